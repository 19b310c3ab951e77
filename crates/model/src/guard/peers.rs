//! `only_from` and `no_access`: from where a service may be called.
//!
//! The more specific entry of the two lists decides, and `no_access` among equals. Addresses are compared with addresses
//! and names with names: neither is more specific than the other, so who is in `no_access` by one of them stays out.
//! Therefore both lists are one table, in which the longest match decides.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::pattern::Pattern;
use crate::prefix::{ByPrefix, Prefix};

/// Who may call a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    has_only_from: bool,
    nets: ByPrefix<List>,
    /// Hosts by their names, and domains with the dot in front.
    names: HashMap<Box<[u8]>, List>,
    names_let_in: bool,
    names_refuse: bool,
}

/// The list in which something stands; of both, `no_access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum List {
    OnlyFrom,
    NoAccess,
}

/// What an address says of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admits {
    /// It may call.
    Yes,
    /// It may not.
    No,
    /// That depends on its host name: see [`Peers::admits_name`].
    NeedsName,
}

/// Where a caller is by its address alone.
enum Standing {
    /// In, unless its name is refused.
    In,
    /// Out, unless its name is let in.
    Out,
    Refused,
}

impl Peers {
    /// Of two lists. Without `only_from` all may call who are not in `no_access`; an empty one lets nobody in.
    pub fn new(only_from: Option<&[Pattern]>, no_access: &[Pattern]) -> Self {
        let (mut nets, mut names) = (ByPrefix::default(), HashMap::new());
        let lists = [(only_from.unwrap_or_default(), List::OnlyFrom), (no_access, List::NoAccess)];
        for (pattern, list) in
            lists.into_iter().flat_map(|(all, list)| all.iter().map(move |one| (one, list)))
        {
            match pattern {
                Pattern::Net(net) => {
                    nets.entry(Prefix::new(net.addr(), net.prefix_len())).insert_entry(list);
                }
                Pattern::Name(name) | Pattern::Domain(name) => {
                    names.insert(name.as_bytes().into(), list);
                }
            }
        }
        let has = |list| names.values().any(|other| *other == list);
        let (names_let_in, names_refuse) = (has(List::OnlyFrom), has(List::NoAccess));
        Self { has_only_from: only_from.is_some(), nets, names, names_let_in, names_refuse }
    }

    /// Whether a caller may call, as far as its address says.
    pub fn admits(&self, address: IpAddr) -> Admits {
        match self.standing(address) {
            Standing::Refused => Admits::No,
            Standing::In if !self.names_refuse => Admits::Yes,
            Standing::Out if !self.names_let_in => Admits::No,
            Standing::In | Standing::Out => Admits::NeedsName,
        }
    }

    /// Whether a caller with this host name may call. The name is one that its address has, and that has its address;
    /// `None` when there is none, or it could not be found out. Such a caller matches no name of `only_from`, and can be
    /// any of `no_access`.
    pub fn admits_name(&self, address: IpAddr, name: Option<&[u8]>) -> bool {
        match (self.standing(address), name.and_then(|name| self.by_name(name))) {
            (Standing::Refused, _) | (Standing::In | Standing::Out, Some(List::NoAccess)) => false,
            (Standing::In | Standing::Out, Some(List::OnlyFrom)) => true,
            (Standing::In, None) => name.is_some() || !self.names_refuse,
            (Standing::Out, None) => false,
        }
    }

    fn standing(&self, address: IpAddr) -> Standing {
        match self.nets.matching(address).next() {
            Some(List::NoAccess) => Standing::Refused,
            Some(List::OnlyFrom) => Standing::In,
            None if self.has_only_from => Standing::Out,
            None => Standing::In,
        }
    }

    /// The list of a name itself, or of the smallest domain that it is in.
    fn by_name(&self, name: &[u8]) -> Option<List> {
        let name = name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase();
        let dots = name.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
        std::iter::once(0).chain(dots).find_map(|at| self.names.get(&name[at..]).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(words: &str) -> Vec<Pattern> {
        let parse = |word: &str| Pattern::parse(word.as_bytes()).expect("a pattern");
        words.split_whitespace().flat_map(parse).collect()
    }

    fn peers(only_from: Option<&str>, no_access: &str) -> Peers {
        Peers::new(only_from.map(patterns).as_deref(), &patterns(no_access))
    }

    fn admits(peers: &Peers, address: &str) -> Admits {
        peers.admits(address.parse().expect("an address"))
    }

    #[test]
    fn the_more_specific_entry_decides_and_no_access_among_equals() {
        for (only_from, no_access, address, expected) in [
            (None, "", "10.1.2.3", Admits::Yes),
            (None, "10.1.0.0", "10.1.2.3", Admits::No),
            (None, "10.1.0.0", "10.2.2.3", Admits::Yes),
            (Some(""), "", "10.1.2.3", Admits::No),
            (Some("10.0.0.0"), "", "10.1.2.3", Admits::Yes),
            (Some("10.0.0.0"), "", "11.1.2.3", Admits::No),
            (Some("10.0.0.0"), "10.1.0.0", "10.1.2.3", Admits::No),
            (Some("10.0.0.0 10.1.2.3"), "10.1.0.0", "10.1.2.3", Admits::Yes),
            (Some("10.1.2.3"), "10.1.2.3", "10.1.2.3", Admits::No),
            (Some("10.1.{2,3}"), "", "10.1.3.9", Admits::Yes),
            (Some("2001:db8::/32"), "2001:db8:1::/48", "2001:db8:1::1", Admits::No),
            (Some("2001:db8::1/128"), "", "2001:db8::1", Admits::Yes),
        ] {
            assert_eq!(admits(&peers(only_from, no_access), address), expected, "{only_from:?} {no_access}");
        }
    }

    #[test]
    fn a_mapped_caller_is_the_ipv4_caller_that_it_is() {
        let peers = peers(Some("10.0.0.0"), "10.1.2.3");
        assert_eq!(admits(&peers, "::ffff:10.9.9.9"), Admits::Yes);
        assert_eq!(admits(&peers, "::ffff:10.1.2.3"), Admits::No);
        assert_eq!(admits(&peers, "::10.9.9.9"), Admits::No);
    }

    #[test]
    fn all_of_ipv6_is_all_and_all_of_ipv4_is_not() {
        let (v6, v4) = (peers(None, "::/0"), peers(None, "0.0.0.0"));
        assert_eq!(["10.1.2.3", "2001:db8::1"].map(|address| admits(&v6, address)), [Admits::No; 2]);
        assert_eq!(
            ["10.1.2.3", "2001:db8::1"].map(|address| admits(&v4, address)),
            [Admits::No, Admits::Yes]
        );
    }

    #[test]
    fn a_name_is_asked_for_only_where_it_matters() {
        for (only_from, no_access, expected) in [
            (Some("10.0.0.0 .example.com"), "", Admits::Yes),
            (Some("11.0.0.0 .example.com"), "", Admits::NeedsName),
            (Some("11.0.0.0"), ".evil.test", Admits::No),
            (Some("10.0.0.0"), ".evil.test", Admits::NeedsName),
            (Some(".example.com"), "10.0.0.0", Admits::No),
            (Some(".example.com"), ".example.com", Admits::No),
            (None, ".evil.test", Admits::NeedsName),
        ] {
            assert_eq!(
                admits(&peers(only_from, no_access), "10.1.2.3"),
                expected,
                "{only_from:?} {no_access}"
            );
        }
    }

    #[test]
    fn a_name_is_compared_without_regard_to_case_and_a_domain_is_no_host() {
        let peers = peers(Some("host.example.com .example.org"), "bad.example.org");
        let address = IpAddr::from([10, 1, 2, 3]);
        for (name, expected) in [
            ("HOST.example.com", true),
            ("host.example.com.", true),
            ("a.host.example.com", false),
            ("example.com", false),
            ("a.b.Example.ORG", true),
            ("a.example.org.example.org", true),
            ("example.org", false),
            ("xexample.org", false),
            ("bad.example.org", false),
            ("a.bad.example.org", true),
            ("example.org.evil.test", false),
        ] {
            assert_eq!(peers.admits_name(address, Some(name.as_bytes())), expected, "{name}");
        }
    }

    #[test]
    fn who_has_no_name_is_let_in_by_none_and_may_be_whom_no_access_means() {
        let address = IpAddr::from([10, 1, 2, 3]);
        for (only_from, no_access, expected) in [
            (Some(".example.com"), "", false),
            (Some("10.0.0.0 .example.com"), "", true),
            (Some("10.0.0.0"), ".evil.test", false),
            (None, ".evil.test", false),
            (None, "11.0.0.0", true),
        ] {
            let peers = peers(only_from, no_access);
            assert_eq!(peers.admits_name(address, None), expected, "{only_from:?} {no_access}");
        }
    }
}
