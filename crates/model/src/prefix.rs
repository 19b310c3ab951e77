//! Addresses that agree in their first bits, and finding what was said about them without a walk.
//!
//! IPv4 addresses stand among those of IPv6 where a socket of both shows them, in `::ffff:0:0/96`: one table holds both
//! families, and an IPv4 caller of an IPv6 socket is the IPv4 caller that it is.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Addresses that agree in so many first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prefix {
    bits: u128,
    length: u8,
}

/// Where in `::ffff:0:0/96` an IPv4 address begins.
const V4_START: u8 = 96;

impl Prefix {
    /// The first `length` bits of an address, counted in its own family.
    pub fn new(address: IpAddr, length: u8) -> Self {
        let (bits, length) = match address {
            IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), V4_START + length.min(32)),
            IpAddr::V6(address) => (address.to_bits(), length.min(128)),
        };
        Self { bits: first_bits(bits, u32::from(length)), length }
    }

    /// One address.
    pub fn whole(address: IpAddr) -> Self {
        Self::new(address, 128)
    }

    fn cut(self, length: u8) -> Self {
        Self { bits: first_bits(self.bits, u32::from(length)), length }
    }
}

/// The first bits of an IPv6 address, the others 0.
pub fn first_bits(address: u128, length: u32) -> u128 {
    match length {
        0 => 0,
        length => address & (u128::MAX << (128 - length.min(128))),
    }
}

/// What belongs to prefixes. A look-up costs one step for each length that occurs, however many prefixes there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByPrefix<T> {
    values: HashMap<Prefix, T>,
    /// The lengths that occur, the longest first.
    lengths: Vec<u8>,
}

impl<T> Default for ByPrefix<T> {
    fn default() -> Self {
        Self { values: HashMap::new(), lengths: Vec::new() }
    }
}

impl<T> ByPrefix<T> {
    /// The place of a prefix, for something to be put there.
    pub fn entry(&mut self, prefix: Prefix) -> Entry<'_, Prefix, T> {
        if let Err(at) = self.lengths.binary_search_by(|length| prefix.length.cmp(length)) {
            self.lengths.insert(at, prefix.length);
        }
        self.values.entry(prefix)
    }

    /// What belongs to the prefixes of an address, the longest first.
    pub fn matching(&self, address: IpAddr) -> impl Iterator<Item = &T> {
        let whole = Prefix::whole(address);
        self.lengths.iter().filter_map(move |length| self.values.get(&whole.cut(*length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_comes_first_and_both_families_are_one() {
        let mut found = ByPrefix::default();
        for (address, length) in
            [("10.0.0.0", 8), ("::", 0), ("10.1.0.0", 16), ("2001:db8::", 32), ("10.1.2.3", 32)]
        {
            let address: IpAddr = address.parse().expect("an address");
            found.entry(Prefix::new(address, length)).or_insert((address.to_string(), length));
        }
        let matching = |address: &str| -> Vec<u8> {
            found.matching(address.parse().expect("an address")).map(|(_, length)| *length).collect()
        };
        assert_eq!(matching("10.1.2.3"), [32, 16, 8, 0]);
        assert_eq!(matching("::ffff:10.1.9.9"), [16, 8, 0]);
        assert_eq!(matching("2001:db8::1"), [32, 0]);
        assert_eq!(matching("11.0.0.0"), [0]);
    }
}
