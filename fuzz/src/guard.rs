//! Bytes as the words of xinetd's access control.
//!
//! Nothing may panic, what is wrong has to be explained, and the compiled lists have to say what the rule says when every
//! entry is walked through.

use std::net::IpAddr;

use usherd_model::guard::{Admits, DenyTime, Interval, Load, MaxLoad, Pattern, Peers, Times};

/// The rule, as the tests of the core have it.
#[path = "../../crates/model/tests/literal/mod.rs"]
mod literal;

/// Parts `only_from` from `no_access`; a text that begins with it has no `only_from`.
const BETWEEN: u8 = b'!';

const CALLERS: [&str; 8] = [
    "10.1.2.3",
    "::ffff:10.1.2.3",
    "10.1.3.3",
    "192.0.2.1",
    "2001:db8::1",
    "2001:db8:1::",
    "::",
    "255.255.255.255",
];

const NAMES: [&[u8]; 5] = [b"host.example.com", b"EXAMPLE.com", b"a.b", b"x", b"\xff.a.b"];

/// Checks one input.
pub fn check(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == BETWEEN);
    let (first, second) = (&bytes[..at.unwrap_or(bytes.len())], at.map_or(&[][..], |at| &bytes[at + 1..]));
    let only_from = if at == Some(0) { None } else { Some(patterns(first)) };
    let no_access = patterns(second);
    let peers = Peers::new(only_from.as_deref(), &no_access);
    for caller in CALLERS {
        // What is no address here would be no caller.
        let Ok(address) = caller.parse() else { continue };
        compare(&peers, only_from.as_deref(), &no_access, address);
    }
    words(bytes).for_each(other_words);
}

fn compare(peers: &Peers, only_from: Option<&[Pattern]>, no_access: &[Pattern], address: IpAddr) {
    let says = peers.admits(address);
    for name in NAMES.into_iter().map(Some).chain([None]) {
        let expected = literal::admits(only_from, no_access, address, name);
        assert_eq!(peers.admits_name(address, name), expected, "{address} {name:?}");
        match says {
            Admits::Yes => assert!(expected, "{address} {name:?}"),
            Admits::No => assert!(!expected, "{address} {name:?}"),
            Admits::NeedsName => {}
        }
    }
}

fn patterns(text: &[u8]) -> Vec<Pattern> {
    let mut found = Vec::new();
    for word in words(text) {
        match Pattern::parse(word) {
            Ok(patterns) => {
                assert!(!patterns.is_empty(), "a word means something or is an error");
                found.extend(patterns);
            }
            Err(error) => assert!(!error.to_string().is_empty() && !error.expected().is_empty()),
        }
    }
    found
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| byte.is_ascii_whitespace() || *byte == BETWEEN).filter(|word| !word.is_empty())
}

fn other_words(word: &[u8]) {
    if let Ok(interval) = Interval::parse(word) {
        let times = Times::new(vec![interval]);
        let minutes = (0..24 * 60).filter(|minute| times.admits(*minute)).count();
        assert!(minutes >= 1, "an interval is not empty");
    }
    if let Ok(limit) = MaxLoad::parse(word) {
        assert!(!limit.admits(Load::in_loadavg(word)), "a limit is too high itself");
        assert!(limit.admits(Load::in_loadavg(b"0.00 0.00 0.00")));
    }
    let _ = DenyTime::parse(word);
}
