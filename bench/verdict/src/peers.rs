//! xinetd's `only_from` and `no_access`.

use std::net::{IpAddr, Ipv4Addr};

use usherd_model::guard::{Admits, Pattern, Peers};

use crate::{Question, STRANGER, address};

/// Lists, and a caller with what they must say of it.
pub struct Case {
    peers: Peers,
    caller: IpAddr,
    name: Vec<u8>,
    expected: bool,
}

impl Case {
    pub fn new(form: Form, count: u32, is_known: bool) -> Self {
        let only_from: Vec<Pattern> = (0..count).flat_map(|number| patterns(form, number, count)).collect();
        let caller: Ipv4Addr = if is_known { address(count - 1) } else { STRANGER };
        let name = if is_known { host(count - 1) } else { "host.evil.test".to_owned() };
        // One address is excepted: then it takes both lists to say who is meant.
        let no_access = Pattern::parse(b"10.0.0.1").unwrap_or_default();
        let peers = Peers::new(Some(&only_from), &no_access);
        Self { peers, caller: caller.into(), name: name.into_bytes(), expected: is_known }
    }
}

/// What the lists hold.
#[derive(Clone, Copy)]
pub enum Form {
    Addresses,
    Names,
}

fn host(number: u32) -> String {
    format!("h{number}.example.com")
}

/// An address and nets of two lengths take turns; the last one is an address.
fn patterns(form: Form, number: u32, count: u32) -> Vec<Pattern> {
    let [a, b, c, d] = address(number).octets();
    let word = match (form, (count - 1 - number) % 3) {
        (Form::Addresses, 0) => format!("{a}.{b}.{c}.{d}"),
        (Form::Addresses, 1) => format!("{a}.{b}.{{{c}}}"),
        (Form::Addresses, _) => format!("{a}.{b}.{c}.0/28"),
        (Form::Names, _) => host(number),
    };
    Pattern::parse(word.as_bytes()).unwrap_or_default()
}

impl Question for Case {
    fn is_right(&self) -> bool {
        let admits = match self.peers.admits(self.caller) {
            Admits::Yes => true,
            Admits::No => false,
            Admits::NeedsName => self.peers.admits_name(self.caller, Some(&self.name)),
        };
        admits == self.expected
    }
}
