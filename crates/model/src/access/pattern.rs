//! What a word of a list matches.
//!
//! One matcher serves daemons, users, addresses and names alike, as in libwrap; the tests stand in the original's
//! order, which is what gives a word like `.3` or `foo.` its meaning. Words are read once; matching reads no text but
//! the caller's.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::address::{quad, v6};
use super::number::{atoi, unsigned};
use super::request::UNKNOWN;
use crate::prefix::first_bits;

/// A word that is compared with a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TextPattern {
    /// With `*` and `?`, over the whole text.
    Glob(Box<[u8]>),
    /// `.tue.nl`: the text ends so, and is longer.
    Suffix(Box<[u8]>),
    /// Any text.
    All,
    /// Any text but `unknown`.
    Known,
    /// `131.155.`: the text begins so.
    Prefix(Box<[u8]>),
    /// `[::1]`, by its address; no address in the brackets matches nothing.
    V6(Option<Ipv6Addr>),
    /// The text itself. That `unknown` and `paranoid` are words for failed look-ups makes UNKNOWN and PARANOID
    /// patterns without any further rule.
    Exact(Box<[u8]>),
}

impl TextPattern {
    pub(super) fn new(word: &[u8]) -> Self {
        match word {
            word if word.iter().any(|byte| matches!(byte, b'*' | b'?')) => TextPattern::Glob(word.into()),
            [b'.', ..] => TextPattern::Suffix(word.into()),
            word if word.eq_ignore_ascii_case(b"ALL") => TextPattern::All,
            word if word.eq_ignore_ascii_case(b"KNOWN") => TextPattern::Known,
            [.., b'.'] => TextPattern::Prefix(word.into()),
            [b'[', inside @ .., b']'] => TextPattern::V6(v6(inside)),
            word => TextPattern::Exact(word.into()),
        }
    }

    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let text = without_mapping(text);
        match self {
            TextPattern::Glob(pattern) => glob(pattern, text),
            TextPattern::Suffix(end) => {
                text.len() > end.len() && text[text.len() - end.len()..].eq_ignore_ascii_case(end)
            }
            TextPattern::All => true,
            TextPattern::Known => !text.eq_ignore_ascii_case(UNKNOWN),
            TextPattern::Prefix(begin) => {
                text.len() >= begin.len() && text[..begin.len()].eq_ignore_ascii_case(begin)
            }
            TextPattern::V6(address) => address.is_some() && v6(text) == *address,
            TextPattern::Exact(word) => text.eq_ignore_ascii_case(word),
        }
    }
}

/// A word of a daemon list, before its `@`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ProcessPattern {
    /// The port that was called.
    Port(u16),
    /// The daemon's name.
    Name(TextPattern),
}

impl ProcessPattern {
    pub(super) fn new(word: &[u8]) -> Self {
        match port(word) {
            Some(port) => ProcessPattern::Port(port),
            None => ProcessPattern::Name(TextPattern::new(word)),
        }
    }
}

/// What scanf(3) reads as `%u` when nothing follows, if it can be a port.
fn port(word: &[u8]) -> Option<u16> {
    u16::try_from(unsigned(word, 10)?).ok()
}

/// A word of a daemon list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServerPattern {
    pub(super) process: ProcessPattern,
    /// What stands behind the `@`.
    pub(super) host: Option<HostPattern>,
}

impl ServerPattern {
    pub(super) fn new(word: &[u8]) -> Self {
        let (process, host) = split_at_sign(word);
        Self { process: ProcessPattern::new(process), host: host.map(HostPattern::new) }
    }
}

/// A word of a client list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClientPattern {
    /// What stands before the `@`.
    pub(super) user: Option<TextPattern>,
    pub(super) host: HostPattern,
}

impl ClientPattern {
    pub(super) fn new(word: &[u8]) -> Self {
        match split_at_sign(word) {
            (host, None) => Self { user: None, host: HostPattern::new(host) },
            (user, Some(host)) => Self { user: Some(TextPattern::new(user)), host: HostPattern::new(host) },
        }
    }
}

/// Parts a word at its first `@`, which is looked for from the second letter on and not in brackets.
pub(super) fn split_at_sign(word: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(rest) = word.get(1..) else { return (word, None) };
    match split_outside_brackets(rest, b'@') {
        Some(at) => (&word[..=at], Some(&word[at + 2..])),
        None => (word, None),
    }
}

/// Where a letter stands for the first time outside brackets. A bracket too many in either direction hides all that
/// follows it.
pub(super) fn split_outside_brackets(text: &[u8], letter: u8) -> Option<usize> {
    let mut depth = 0_i64;
    text.iter().position(|byte| {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            byte => return depth == 0 && *byte == letter,
        }
        false
    })
}

/// A host, by its address or its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum HostPattern {
    /// `@group`. The C libraries of today's distributions ask no netgroups for libwrap; it matches nobody.
    Netgroup(Box<[u8]>),
    /// `/path`: a file of such patterns.
    File(Box<[u8]>),
    /// Name and address are known.
    Known,
    /// The name has no dot.
    Local,
    /// `net/mask`, by the address alone.
    Net(Net),
    /// By the address, and then by the name.
    Text(TextPattern),
    /// By the address alone: a word of digits and dots is no name.
    Address(TextPattern),
}

impl HostPattern {
    pub(super) fn new(word: &[u8]) -> Self {
        match word {
            [b'@', group @ ..] => HostPattern::Netgroup(group.into()),
            [b'/', ..] => HostPattern::File(word.into()),
            word if word.eq_ignore_ascii_case(b"KNOWN") => HostPattern::Known,
            word if word.eq_ignore_ascii_case(b"LOCAL") => HostPattern::Local,
            word => match split_outside_brackets(word, b'/') {
                Some(at) => HostPattern::Net(Net::new(&word[..at], &word[at + 1..])),
                None if word.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'/')) => {
                    HostPattern::Address(TextPattern::new(word))
                }
                None => HostPattern::Text(TextPattern::new(word)),
            },
        }
    }
}

/// Addresses that agree in some bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Net {
    /// Those whose bits under the mask are these.
    V4 { net: u32, mask: u32 },
    /// Those that agree in so many first bits. IPv4 callers of an IPv6 socket are none of them.
    V6 { net: Ipv6Addr, length: u32 },
    /// None: the words mean no net.
    Nothing,
}

impl Net {
    fn new(net: &[u8], mask: &[u8]) -> Self {
        if let [b'[', inside @ .., b']'] = net {
            let length = u32::try_from(atoi(mask)).ok().filter(|length| *length <= 128);
            return match (v6(inside), length) {
                (Some(net), Some(length)) => Net::V6 { net, length },
                _ => Net::Nothing,
            };
        }
        let mask = quad(mask).or_else(|| {
            let length = u32::try_from(atoi(mask)).ok().filter(|length| (1..=32).contains(length))?;
            Some(u32::MAX << (32 - length))
        });
        match (quad(net), mask) {
            (Some(net), Some(mask)) => Net::V4 { net, mask },
            _ => Net::Nothing,
        }
    }

    pub(super) fn holds(self, address: &[u8]) -> bool {
        let address = without_mapping(address);
        match self {
            Net::V4 { net, mask } => quad(address).is_some_and(|address| address & mask == net),
            Net::V6 { net, length } => v6(address).is_some_and(|address| {
                first_bits(address.to_bits(), length) == first_bits(net.to_bits(), length)
            }),
            Net::Nothing => false,
        }
    }
}

/// `::ffff:10.0.0.1` → `10.0.0.1`; everything else as it is.
pub(super) fn without_mapping(text: &[u8]) -> &[u8] {
    const PREFIX: &[u8] = b"::ffff:";
    let mapped = text.len() > PREFIX.len() && text[..PREFIX.len()].eq_ignore_ascii_case(PREFIX);
    let rest = &text[if mapped { PREFIX.len() } else { 0 }..];
    if mapped && quad(rest).is_some() { rest } else { text }
}

/// `*` and `?`, without regard to case. What a star has eaten is given back one letter at a time, by the last star
/// only, so that no pattern takes longer than its length times the text's.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(letter) if *letter == b'?' || letter.eq_ignore_ascii_case(&text[read]) => {
                at += 1;
                read += 1;
            }
            _ => match &mut star {
                Some((place, eaten)) => {
                    *eaten += 1;
                    (at, read) = (*place + 1, *eaten);
                }
                None => return false,
            },
        }
    }
    // Of two stars at the end the first one leaves a letter to the second, as in libwrap.
    matches!(pattern[at..], [] | [b'*'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        TextPattern::new(pattern.as_bytes()).matches(text.as_bytes())
    }

    #[test]
    fn one_matcher_for_all_texts() {
        for (pattern, text, expected) in [
            ("*.example.com", "a.b.EXAMPLE.com", true),
            ("a*b*c", "aXbbYc", true),
            ("a*b*c", "aXbbY", false),
            ("ab*", "ab", true),
            ("ab**", "ab", false),
            ("ab**", "abc", true),
            ("*b**", "abb", true),
            ("*", "", true),
            (".tue.nl", "wzv.win.tue.nl", true),
            (".tue.nl", ".tue.nl", false),
            (".3", "10.1.2.3", true),
            ("10.1.", "::ffff:10.1.2.3", true),
            ("KNOWN", "unknown", false),
            ("unknown", "unknown", true),
            ("[::1]", "0:0::1", true),
            ("[fe80::1]", "fe80::1%lo", true),
            ("[::ffff:10.0.0.1]", "::ffff:10.0.0.1", false),
            ("[junk]", "junk", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn numbers_are_ports_where_scanf_says_so() {
        for (word, expected) in [
            ("23", Some(23)),
            ("+23", Some(23)),
            ("023", Some(23)),
            ("-1", None),
            ("65536", None),
            ("23x", None),
            ("\x0b23", Some(23)),
        ] {
            assert_eq!(port(word.as_bytes()), expected, "{word}");
        }
        assert_eq!(port(b"99999999999999999999999"), None);
        assert_eq!(port(b"-4294967273"), Some(23));
    }

    #[test]
    fn nets_have_the_bits_that_libwrap_sees() {
        let holds = |net: &str, address: &str| {
            let (net, mask) = net.split_once('/').expect("a net");
            Net::new(net.as_bytes(), mask.as_bytes()).holds(address.as_bytes())
        };
        for (net, address, expected) in [
            ("10.0.0.0/255.0.0.0", "10.1.2.3", true),
            ("10.0.0.1/255.0.0.0", "10.0.0.1", false),
            ("10.1.0.0/08", "10.1.2.3", false),
            ("10.0.0.0/4294967304", "10.1.2.3", true),
            ("10.0.0.0\x0bx/8", "10.1.2.3", true),
            ("10.0.0.0/8x", "10.1.2.3", true),
            ("10.1.2.3/255.255.255.255", "10.1.2.3", false),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("0x0a.0.0.0/8", "10.1.2.3", true),
            ("10/8", "10.1.2.3", false),
            ("0.0.0.0/0", "10.1.2.3", false),
            ("[2001:db8::1]/32", "2001:db8::9", true),
            ("[2001:db8::]/x", "::1", true),
            ("[2001:db8::]/129", "2001:db8::", false),
            ("[::]/0", "::ffff:10.0.0.1", false),
        ] {
            assert_eq!(holds(net, address), expected, "{net} {address}");
        }
    }
}
