//! Options in the headers of an IPv4 caller's packets, which tcpd looks at before it asks any rule.
//!
//! Source: `fix_options.c` of Debian's tcp-wrappers.

use crate::failure::Errno;

/// What a caller's packets had in their headers, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpOptions {
    /// By which way answers are to go. Such a caller is wherever it wants to be, and is refused.
    SourceRoute,
    /// Something else, which answers do not have any more.
    Ignored(Box<[u8]>),
    /// Something else, which could not be taken off: that refuses, too.
    Kept(Errno),
    /// It could not be found out: nor does that let anybody in.
    Unseen(Errno),
}

impl IpOptions {
    /// What options mean that are about to be taken off; `None` where there are none.
    pub fn new(options: &[u8]) -> Option<Self> {
        match options {
            [] => None,
            options if is_source_routed(options) => Some(IpOptions::SourceRoute),
            options => Some(IpOptions::Ignored(options.into())),
        }
    }

    /// Whether no rule is asked about the caller any more.
    pub fn refuses(&self) -> bool {
        match self {
            IpOptions::SourceRoute | IpOptions::Kept(_) | IpOptions::Unseen(_) => true,
            IpOptions::Ignored(_) => false,
        }
    }
}

/// Whether one of the options is for loose or strict source routing.
fn is_source_routed(options: &[u8]) -> bool {
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    const LOOSE: u8 = 131;
    const STRICT: u8 = 137;
    let mut rest = options;
    loop {
        match rest {
            [] | [END, ..] => return false,
            [NOTHING, after @ ..] => rest = after,
            [LOOSE | STRICT, ..] => return true,
            [_, length, ..] => rest = rest.get(usize::from(*length).max(2)..).unwrap_or_default(),
            [_] => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_routes_are_found_among_other_options() {
        assert!(is_source_routed(&[1, 131, 7, 4, 127, 0, 0, 1]));
        assert!(is_source_routed(&[7, 7, 4, 0, 0, 0, 0, 137, 7, 4, 127, 0, 0, 1]));
        assert!(!is_source_routed(&[7, 7, 4, 131, 0, 0, 0, 0]), "what stands in another one is none");
        assert!(!is_source_routed(&[1, 0, 131]));
        assert!(!is_source_routed(&[7, 0, 7]));
    }
}
