//! xinetd's access control: the recorded answers of Debian's xinetd, and what is looked up against what is walked through.
//!
//! `corpus/xinetd_access.jsonl` has one service a line, with whom xinetd 2.3.15.3 let in of [`CALLERS`]. `all` is all of
//! them; a service that is off had a word that xinetd could not read. Unless it says IPv4, a socket of both families was
//! called.

mod literal;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use usherd_model::guard::{Admits, DenyList, DenyTime, Pattern, Peers, WordError};
use usherd_model::service::SocketKind;
use usherd_model::time::Tick;

const CASES: &str = include_str!("corpus/xinetd_access.jsonl");

/// Who called.
const CALLERS: [&str; 19] = [
    "10.1.2.3",
    "10.1.2.0",
    "10.1.3.9",
    "10.2.0.1",
    "10.0.0.1",
    "0.0.0.10",
    "8.0.0.1",
    "11.0.0.1",
    "192.168.1.7",
    "192.168.2.7",
    "172.16.5.5",
    "9.9.9.9",
    "127.0.0.1",
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8:1::1",
    "2001:db9::1",
    "fd00::1",
    "::1",
];

/// Who had a name.
const HOSTS: [(&str, &str); 7] = [
    ("127.0.0.1", "localhost"),
    ("::1", "localhost"),
    ("10.1.2.3", "Host.Example.com"),
    ("10.1.3.9", "other.example.com.example.com"),
    ("2001:db8::1", "six.example.com"),
    ("9.9.9.9", "evil.test"),
    ("192.168.1.7", "plain"),
];

/// What stood in `/etc/networks`.
const NETWORKS: [(&str, u32); 6] = [
    ("default", 0),
    ("loopback", 0x7f00_0000),
    ("tennet", 0x0a00_0000),
    ("mynet", 0xc0a8_0100),
    ("plain", 0xac10_0000),
    ("shortnet", 0x0a01_0000),
];

/// Services of which this project says otherwise, and why: `only_from`, with `no_access` behind `but`.
const DIFFERENCES: [(&str, &str); 43] = [
    ("10", NO_ADDRESS),
    ("10.1", NO_ADDRESS),
    ("010.0.0.1", NO_ADDRESS),
    ("0x0a.1.2.3", NO_ADDRESS),
    ("10/8", NO_ADDRESS),
    ("10.1{2}", NO_ADDRESS),
    ("10.1.{300}", NO_ADDRESS),
    ("10.1.2.3.{4}", NO_ADDRESS),
    ("10.1.0.0/255.255.0.0", NO_LENGTH),
    ("10.1.2.3/33", NO_LENGTH),
    ("10.1.0.0/16x", NO_LENGTH),
    ("10.1.2.3/-1", NO_LENGTH),
    ("10.1.2.3/", NO_LENGTH),
    ("10.1.2.3/x", NO_LENGTH),
    ("2001:db8::/129", NO_LENGTH),
    ("/8", PASSED_OVER),
    ("[::1]", PASSED_OVER),
    ("fe80::1%lo", PASSED_OVER),
    ("*", PASSED_OVER),
    ("but *", PASSED_OVER),
    ("but 10.1", NO_ADDRESS),
    ("but 10.1.0.0/255.255.0.0", NO_LENGTH),
    ("2001:db8::1/128", WHOLE),
    ("but 2001:db8::1/128", WHOLE),
    ("tennet", NETWORK),
    ("mynet", NETWORK),
    ("loopback", NETWORK),
    ("shortnet", NETWORK),
    ("plain", NETWORK),
    ("IPv4: plain", NETWORK),
    ("10.1.2.3 but 10.0.0.0", BETTER),
    ("IPv4: host.example.com but .example.com", BETTER),
    ("IPv4: .EXAMPLE.com", DOMAIN),
    ("IPv4: .com", DOMAIN),
    ("IPv4: .example.com but host.example.com", DOMAIN),
    ("host.example.com.", DOT),
    ("IPv4: 10.0.0.0 but .example.com", NAMELESS),
    ("but nosuchname", NAMELESS),
    ("IPv4: but .example.com", NAMELESS),
    ("IPv4: but evil.test", NAMELESS),
    ("localhost", SOCKET),
    ("IPv4: ::/0", SOCKET),
    ("IPv4: ::ffff:10.1.2.3", SOCKET),
];

const NO_ADDRESS: &str = "what is no address is an error, and is not filled up or cut";
const NO_LENGTH: &str = "what is no prefix length is an error";
const PASSED_OVER: &str = "a word that means nothing is an error, and is not passed over";
const WHOLE: &str = "an IPv6 address with /128 is that address";
const NETWORK: &str = "a network of /etc/networks is a network";
const SOCKET: &str = "the lists mean the same on every socket";
const BETTER: &str = "the better match decides, as the manual says";
const DOMAIN: &str = "a name that has the domain in it twice ends with it, too";
const DOT: &str = "a dot at the end of a name does not count";
const NAMELESS: &str = "a caller without a name may be any that no_access names";

fn parse(words: &str) -> Result<Vec<Pattern>, WordError> {
    let mut patterns = Vec::new();
    for word in words.split_whitespace() {
        patterns.extend(Pattern::parse(word.as_bytes())?);
    }
    for pattern in &mut patterns {
        if let Pattern::Name(name) = pattern
            && let Some((_, number)) = NETWORKS.iter().find(|(network, _)| *network == &**name)
            && let Some(network) = Pattern::network(*number)
        {
            *pattern = network;
        }
    }
    Ok(patterns)
}

/// Whom a service lets in; nobody is called if it is off.
fn admitted(case: &Value) -> Option<Vec<&'static str>> {
    let only_from = case["only_from"].as_str().map(parse).transpose().ok()?;
    let no_access = parse(case["no_access"].as_str().unwrap_or_default()).ok()?;
    let peers = Peers::new(only_from.as_deref(), &no_access);
    let admits = |caller: &&str| {
        let address: IpAddr = caller.parse().expect("an address");
        let name = HOSTS.iter().find(|(host, _)| host == caller).map(|(_, name)| name.as_bytes());
        let seen = match address {
            IpAddr::V4(address) if case["socket"].is_null() => address.to_ipv6_mapped().into(),
            IpAddr::V4(_) | IpAddr::V6(_) => address,
        };
        match peers.admits(seen) {
            Admits::Yes => true,
            Admits::No => false,
            Admits::NeedsName => peers.admits_name(seen, name),
        }
    };
    Some(callers(case).filter(admits).collect())
}

fn callers(case: &Value) -> impl Iterator<Item = &'static str> {
    let is_ipv4_only = case["socket"] == "IPv4";
    CALLERS.into_iter().filter(move |caller| !is_ipv4_only || !caller.contains(':'))
}

/// Whom xinetd let in.
fn recorded(case: &Value) -> Option<Vec<&'static str>> {
    let listed = case["admitted"].as_array()?;
    let is_admitted = |caller: &&str| listed.iter().any(|one| one == "all" || one == *caller);
    Some(callers(case).filter(is_admitted).collect())
}

/// How a case is named among the differences.
fn key(case: &Value) -> String {
    let socket = case["socket"].as_str().map(|socket| format!("{socket}: ")).unwrap_or_default();
    let only_from = case["only_from"].as_str().unwrap_or_default();
    let no_access = case["no_access"].as_str().map(|words| format!(" but {words}")).unwrap_or_default();
    format!("{socket}{}", format!("{only_from}{no_access}").trim_start())
}

#[test]
fn what_xinetd_answers_and_where_we_differ() {
    let mut differences = 0;
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).expect("a case");
        let key = key(&case);
        match DIFFERENCES.iter().find(|(other, _)| *other == key) {
            Some((_, why)) => {
                differences += 1;
                assert_ne!(admitted(&case), recorded(&case), "no difference any more ({why}): {line}");
            }
            None => assert_eq!(admitted(&case), recorded(&case), "{line}"),
        }
    }
    assert_eq!(differences, DIFFERENCES.len(), "a difference is of no case");
}

/// Words that meet: addresses in each other's nets, names in each other's domains.
fn word() -> impl Strategy<Value = String> {
    let octet = || prop_oneof![Just(0_u8), Just(1), Just(2), Just(128), any::<u8>()];
    let quad = (prop_oneof![Just(10_u8), Just(0), any::<u8>()], octet(), octet(), octet())
        .prop_map(|(a, b, c, d)| format!("{a}.{b}.{c}.{d}"));
    let v6 = prop::sample::select(
        &["::", "2001:db8::", "2001:db8::1", "2001:db8:1::", "::ffff:10.1.0.0", "::1"][..],
    );
    let names = &["example.com", ".example.com", "a.example.com", ".a.example.com", ".com", "plain", "x"][..];
    prop_oneof![
        4 => quad.clone(),
        4 => (quad, 0..=32_u8).prop_map(|(address, length)| format!("{address}/{length}")),
        1 => v6.clone().prop_map(str::to_owned),
        2 => (v6, 0..=128_u8).prop_map(|(address, length)| format!("{address}/{length}")),
        1 => (octet(), octet(), octet()).prop_map(|(a, b, c)| format!("10.{a}.{{{b},{c}}}")),
        2 => prop::sample::select(names).prop_map(str::to_owned),
    ]
}

fn patterns(words: &[String]) -> Vec<Pattern> {
    words.iter().flat_map(|word| Pattern::parse(word.as_bytes()).expect("a word of the language")).collect()
}

/// Callers near the entries: the ends of their nets and what is next to them.
fn near(patterns: &[Pattern]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for pattern in patterns {
        let Pattern::Net(net) = pattern else { continue };
        for end in [net.network(), net.broadcast()] {
            let bits = match end {
                IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
                IpAddr::V6(address) => address.to_bits(),
            };
            for bits in [bits.wrapping_sub(1), bits, bits.wrapping_add(1)] {
                found.extend([IpAddr::V6(bits.into()), IpAddr::V6(bits.into()).to_canonical()]);
            }
        }
    }
    found
}

const NAMES: [&str; 9] = [
    "example.com",
    "A.example.com",
    "b.a.example.com",
    "b.example.com",
    "plain",
    "x",
    "com",
    "example.com.evil.test",
    "evil.test",
];

proptest! {
    #[test]
    fn compiled_lists_say_what_the_rule_says(
        only_from in prop::option::of(prop::collection::vec(word(), 0..8)),
        no_access in prop::collection::vec(word(), 0..8),
        addresses in prop::collection::vec(any::<IpAddr>(), 4),
    ) {
        let (only_from, no_access) = (only_from.as_deref().map(patterns), patterns(&no_access));
        let peers = Peers::new(only_from.as_deref(), &no_access);
        let listed = [only_from.as_deref().unwrap_or_default(), &no_access].concat();
        for address in near(&listed).into_iter().chain(addresses) {
            let mut answers = Vec::new();
            for name in std::iter::once(None).chain(NAMES.map(|name| Some(name.as_bytes()))) {
                let expected = literal::admits(only_from.as_deref(), &no_access, address, name);
                prop_assert_eq!(peers.admits_name(address, name), expected, "{} {:?}", address, name);
                answers.push(expected);
            }
            match peers.admits(address) {
                Admits::Yes => prop_assert!(answers.iter().all(|admits| *admits), "{}", address),
                Admits::No => prop_assert!(answers.iter().all(|admits| !*admits), "{}", address),
                Admits::NeedsName => prop_assert!(
                    listed.iter().any(|pattern| !matches!(pattern, Pattern::Net(_))),
                    "{}",
                    address
                ),
            }
        }
    }

    /// Who is denied is who has called a sensor, counted from the call that denies longest.
    #[test]
    fn a_sensor_denies_whom_a_plain_table_denies(
        calls in prop::collection::vec((0..4_u8, 0..4_u64, 0..40_u64, any::<bool>()), 0..40),
    ) {
        let (mut list, mut plain) = (DenyList::default(), BTreeMap::<IpAddr, u64>::new());
        let mut minute = 0;
        for (caller, minutes, pause, is_datagram) in calls {
            let address = IpAddr::from([192, 0, 2, caller]);
            let time = DenyTime::parse((10 * minutes).to_string().as_bytes()).expect("a time");
            let kind = if is_datagram { SocketKind::Datagram } else { SocketKind::Stream };
            list.note(kind, address, time, at(minute));
            if !is_datagram {
                let end = plain.entry(address).or_default();
                *end = (*end).max(minute + 10 * minutes);
            }
            minute += pause;
            for (address, end) in &plain {
                prop_assert_eq!(list.denies(*address, at(minute)), minute < *end);
            }
            prop_assert_eq!(list.count(at(minute)), plain.values().filter(|end| minute < **end).count());
        }
    }
}

fn at(minute: u64) -> Tick {
    Tick::new(Duration::from_secs(60 * minute))
}
