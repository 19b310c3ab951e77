//! Nets that are not what they look like: libwrap takes them without a word, or cannot read what anybody would.

use std::fmt;
use std::net::Ipv4Addr;

use super::address::quad;
use super::pattern::{Net, split_outside_brackets};
use crate::diagnostic::printable;

/// Why one is not what it looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FalseNet {
    word: String,
    pub(super) flaw: Flaw,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The mask takes bits of the address away, so no address is in it; this one was meant.
    HostBits(Ipv4Addr),
    /// What stands for the length is none and is read as 0: every IPv6 address is in it.
    OpensAll { length: String },
    /// All bits as a mask, which libwrap takes for a mistake: no address is in it.
    AllBits,
}

impl FalseNet {
    /// Of a word, and how it was read.
    pub(super) fn of(word: &[u8], read: Net) -> Option<Self> {
        let slash = split_outside_brackets(word, b'/')?;
        let (address, mask) = (&word[..slash], &word[slash + 1..]);
        let flaw = match read {
            Net::V4 { net, mask } if net & mask != net => Flaw::HostBits(Ipv4Addr::from(net & mask)),
            Net::V6 { length: 0, .. } if mask != b"0" => Flaw::OpensAll { length: printable(mask) },
            Net::Nothing if quad(address).is_some() && mask == b"255.255.255.255" => Flaw::AllBits,
            Net::V4 { .. } | Net::V6 { .. } | Net::Nothing => return None,
        };
        Some(Self { word: printable(word), flaw })
    }
}

impl fmt::Display for FalseNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { word, flaw } = self;
        match flaw {
            Flaw::HostBits(_) => write!(f, "{word}: no address is in this net"),
            Flaw::OpensAll { length } => write!(f, "{word}: {length:?} is read as 0: every IPv6 address"),
            // In the words of tcpdchk.
            Flaw::AllBits => write!(f, "{word}: bad net/mask pattern"),
        }
    }
}
