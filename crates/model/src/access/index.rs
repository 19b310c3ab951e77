//! Which rules of a table, or words of a file, can match an address at all.
//!
//! A table of ten thousand addresses is asked for every caller. What depends on nothing but the address is found by
//! looking its prefixes up; what depends on more (names, files, users, wildcards) is tried in its turn, as ever.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::pattern::{HostPattern, Net, TextPattern, without_mapping};
use crate::prefix::{ByPrefix, Prefix};

/// The addresses that a pattern matches, where these are all that it needs to know.
pub(super) fn prefix_of(pattern: &HostPattern) -> Option<Prefix> {
    // A prefix may hold more than the pattern does: whoever it finds is compared all the same.
    match pattern {
        HostPattern::Address(TextPattern::Exact(word)) => {
            Some(Prefix::new(IpAddr::V4(text(word)?.parse().ok()?), 32))
        }
        HostPattern::Address(TextPattern::Prefix(word)) => v4_start(text(word)?),
        HostPattern::Net(Net::V4 { net, mask }) => {
            let length = mask.leading_ones();
            let is_prefix = mask.count_ones() == length && net & mask == *net;
            let length = u8::try_from(length).ok().filter(|_| is_prefix)?;
            Some(Prefix::new(IpAddr::V4(Ipv4Addr::from(*net)), length))
        }
        HostPattern::Net(Net::V6 { net, length }) => {
            Some(Prefix::new(IpAddr::V6(*net), u8::try_from(*length).ok()?))
        }
        // `[::1]` is no such pattern: where it does not match the address, libwrap asks for the name.
        HostPattern::Netgroup(_)
        | HostPattern::File(_)
        | HostPattern::Known
        | HostPattern::Local
        | HostPattern::Net(Net::Nothing)
        | HostPattern::Text(_)
        | HostPattern::Address(_) => None,
    }
}

/// `10.1.` → 10.1.0.0/16, when a caller's address can begin so.
fn v4_start(word: &str) -> Option<Prefix> {
    let mut fields = [0; 4];
    let mut count = 0;
    for field in word.strip_suffix('.')?.split('.') {
        let number: u8 = field.parse().ok()?;
        let is_canonical = number.to_string() == field;
        *fields.get_mut(count).filter(|_| is_canonical)? = number;
        count += 1;
    }
    let length = u8::try_from(8 * count).ok().filter(|length| *length < 32)?;
    Some(Prefix::new(IpAddr::V4(fields.into()), length))
}

fn text(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok()
}

/// Numbers of things in order, some of which only certain addresses can match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    /// What is to be tried for every address.
    always: Vec<u32>,
    by_prefix: ByPrefix<Vec<u32>>,
    count: u32,
}

impl Index {
    /// Adds the next thing, and says which addresses can match it; `None` for all.
    pub(super) fn push(&mut self, prefixes: Option<Vec<Prefix>>) {
        match prefixes {
            None => self.always.push(self.count),
            Some(prefixes) => {
                for prefix in prefixes {
                    let places = self.by_prefix.entry(prefix).or_default();
                    // A rule may name an address twice.
                    if places.last() != Some(&self.count) {
                        places.push(self.count);
                    }
                }
            }
        }
        self.count += 1;
    }

    /// What an address can match, in order.
    pub(super) fn candidates(&self, address: &[u8]) -> impl Iterator<Item = usize> {
        let address = text(without_mapping(address));
        let address = address.map(|text| text.split_once('%').map_or(text, |(address, _)| address));
        let mut hits = Vec::new();
        match address.and_then(|address| address.parse::<IpAddr>().ok()) {
            // Who has no address, or one that is not written as addresses are, is compared with everything.
            None => hits.extend(0..self.count),
            Some(address) => {
                hits.extend(self.by_prefix.matching(address).flatten());
                hits.sort_unstable();
                hits.dedup();
            }
        }
        merge(&self.always, hits).map(|number| number as usize)
    }
}

/// Two ascending lists as one.
fn merge(always: &[u32], hits: Vec<u32>) -> impl Iterator<Item = u32> {
    let mut always = always.iter().copied().peekable();
    let mut hits = hits.into_iter().peekable();
    std::iter::from_fn(move || match (always.peek(), hits.peek()) {
        (Some(one), Some(other)) if one == other => {
            hits.next();
            always.next()
        }
        (Some(one), Some(other)) if one < other => always.next(),
        (Some(_), None) => always.next(),
        (_, _) => hits.next(),
    })
}
