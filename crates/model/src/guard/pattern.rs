//! The words of `only_from` and `no_access`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use super::word::WordError;
use crate::numeral;

/// Callers, by their addresses or by their host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Addresses that agree in their first bits; the others are 0.
    Net(IpNet),
    /// A host by its name, or a network: whoever has `/etc/networks` at hand makes the latter a [`Pattern::network`]. In
    /// small letters, without a dot at the end.
    Name(Box<str>),
    /// The hosts whose names end so. In small letters, with a dot at the begin and none at the end.
    Domain(Box<str>),
}

impl Pattern {
    /// What a word means; several patterns for a list in braces.
    pub fn parse(word: &[u8]) -> Result<Vec<Pattern>, WordError> {
        let text = std::str::from_utf8(word).map_err(|_| WordError::Name)?;
        if text.contains(['{', '}']) {
            return braces(text);
        }
        if text.contains(',') {
            return Err(WordError::Comma);
        }
        one(text).map(|pattern| vec![pattern])
    }

    /// A network by its number, as getnetbyname(3) has it: zeros at the end may be there or not, and are wildcards as in
    /// an address. Network 0 is none.
    pub fn network(number: u32) -> Option<Pattern> {
        match number {
            0 => None,
            number => Some(v4_net(number << (number.leading_zeros() & !7))),
        }
    }
}

fn one(text: &str) -> Result<Pattern, WordError> {
    if let Some((address, length)) = text.split_once('/') {
        return net(address, length);
    }
    if text.contains(':') {
        return Ok(Pattern::Net(IpNet::from(IpAddr::V6(v6(text)?))));
    }
    if is_number(text) {
        return Ok(v4_net(v4(text)?.to_bits()));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if !is_name(name.strip_prefix('.').unwrap_or(&name)) {
        return Err(WordError::Name);
    }
    Ok(if name.starts_with('.') { Pattern::Domain(name.into()) } else { Pattern::Name(name.into()) })
}

/// Zeros at the end of an IPv4 address are wildcards.
fn v4_net(address: u32) -> Pattern {
    let wild = address.trailing_zeros() & !7;
    let net = u8::try_from(32 - wild).ok().and_then(|length| Ipv4Net::new(address.into(), length).ok());
    Pattern::Net(net.unwrap_or_default().into())
}

/// `address/length`; bits behind the length do not count.
fn net(address: &str, length: &str) -> Result<Pattern, WordError> {
    let is_mask = length.contains(['.', ':']);
    let address = if address.contains(':') { v6(address)?.into() } else { v4(address)?.into() };
    if is_mask {
        return Err(WordError::Netmask);
    }
    let bits = numeral::number(length.as_bytes(), 10).and_then(|bits| u8::try_from(bits).ok());
    let net = bits.and_then(|bits| IpNet::new(address, bits).ok()).ok_or(WordError::Length)?;
    Ok(Pattern::Net(net.trunc()))
}

/// `10.1.{2,3}`: the braces stand for the last number that is given, and those behind it are wildcards.
fn braces(text: &str) -> Result<Vec<Pattern>, WordError> {
    let parts = text.split_once('{').and_then(|(head, tail)| Some((head, tail.strip_suffix('}')?)));
    let (head, list) = parts.filter(|(_, list)| !list.contains(['{', '}'])).ok_or(WordError::Braces)?;
    let mut begin = [0; 4];
    let mut count = 0;
    for number in head.split_terminator('.') {
        *begin.get_mut(count).ok_or(WordError::Braces)? = octet(number)?;
        count += 1;
    }
    if count > 3 || !(head.is_empty() || head.ends_with('.')) {
        return Err(WordError::Braces);
    }
    let length = u8::try_from(8 * (count + 1)).map_err(|_| WordError::Braces)?;
    let one_of = |number: &str| {
        let mut address = begin;
        address[count] = octet(number)?;
        let net = IpNet::new(Ipv4Addr::from(address).into(), length).map_err(|_| WordError::Braces)?;
        Ok(Pattern::Net(net))
    };
    list.split(',').map(one_of).collect()
}

/// One number of an IPv4 address.
fn octet(number: &str) -> Result<u8, WordError> {
    if is_octal(number) {
        return Err(WordError::Octal);
    }
    let number = numeral::number(number.as_bytes(), 10).and_then(|number| u8::try_from(number).ok());
    number.ok_or(WordError::Braces)
}

fn v4(text: &str) -> Result<Ipv4Addr, WordError> {
    if text.split('.').any(is_octal) {
        return Err(WordError::Octal);
    }
    text.parse().map_err(|_| WordError::Ipv4)
}

fn is_octal(number: &str) -> bool {
    number.len() > 1 && number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn v6(text: &str) -> Result<Ipv6Addr, WordError> {
    if text.contains('%') {
        return Err(WordError::Interface);
    }
    text.parse().map_err(|_| WordError::Ipv6)
}

/// Whether a word ends in a number and so can only be an address: no name does, and inet_aton(3) takes `0x0a.1` for one.
fn is_number(text: &str) -> bool {
    let last = text.strip_suffix('.').unwrap_or(text).rsplit('.').next().unwrap_or_default();
    let is_hex = last
        .strip_prefix("0x")
        .or(last.strip_prefix("0X"))
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_hex || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether it can be the name of a host, or of a network.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= LONGEST_NAME && text.split('.').all(is_label)
}

/// What fits into a packet of DNS.
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(word: &str) -> Result<Vec<String>, WordError> {
        let show = |pattern: Pattern| match pattern {
            Pattern::Net(net) => net.to_string(),
            Pattern::Name(name) => format!("name {name}"),
            Pattern::Domain(name) => format!("domain {name}"),
        };
        Pattern::parse(word.as_bytes()).map(|patterns| patterns.into_iter().map(show).collect())
    }

    #[test]
    fn each_form_of_the_manual() {
        for (word, expected) in [
            ("10.1.2.3", ["10.1.2.3/32"].as_slice()),
            ("10.1.2.0", &["10.1.2.0/24"]),
            ("10.0.2.0", &["10.0.2.0/24"]),
            ("10.0.0.0", &["10.0.0.0/8"]),
            ("0.0.0.0", &["0.0.0.0/0"]),
            ("10.1.{2,3}", &["10.1.2.0/24", "10.1.3.0/24"]),
            ("10.1.2.{0,255}", &["10.1.2.0/32", "10.1.2.255/32"]),
            ("10.{0}", &["10.0.0.0/16"]),
            ("{10,172}", &["10.0.0.0/8", "172.0.0.0/8"]),
            ("10.1.9.9/16", &["10.1.0.0/16"]),
            ("10.1.2.3/032", &["10.1.2.3/32"]),
            ("10.1.2.3/0", &["0.0.0.0/0"]),
            ("2001:db8::1", &["2001:db8::1/128"]),
            ("::", &["::/128"]),
            ("2001:DB8::1/46", &["2001:db8::/46"]),
            ("2001:db8::1/128", &["2001:db8::1/128"]),
            ("Host.Example.com", &["name host.example.com"]),
            ("host.example.com.", &["name host.example.com"]),
            ("tennet", &["name tennet"]),
            ("3com", &["name 3com"]),
            ("a_b-c", &["name a_b-c"]),
            (".Example.com", &["domain .example.com"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(shown(word), Ok(expected), "{word}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        for (word, expected) in [
            ("10", WordError::Ipv4),
            ("10.1", WordError::Ipv4),
            ("10.1.2.3.4", WordError::Ipv4),
            ("10.1.2.256", WordError::Ipv4),
            ("10.1.2.3.", WordError::Ipv4),
            ("0x0a.1.2.3", WordError::Ipv4),
            ("10.1.2.0x3", WordError::Ipv4),
            ("a.b.3", WordError::Ipv4),
            (".1.2", WordError::Ipv4),
            ("010.0.0.1", WordError::Octal),
            ("010.0.0.0/8", WordError::Octal),
            ("10.1.{02}", WordError::Octal),
            ("10/8", WordError::Ipv4),
            ("/8", WordError::Ipv4),
            ("host/8", WordError::Ipv4),
            ("2001:db8", WordError::Ipv6),
            ("[::1]", WordError::Ipv6),
            ("fe80::1%lo", WordError::Interface),
            ("fe80::1%lo/64", WordError::Interface),
            ("10.0.0.0/33", WordError::Length),
            ("10.0.0.0/", WordError::Length),
            ("10.0.0.0/-1", WordError::Length),
            ("10.0.0.0/8x", WordError::Length),
            ("::/129", WordError::Length),
            ("10.0.0.0/255.0.0.0", WordError::Netmask),
            ("10.1.{}", WordError::Braces),
            ("10.1.{2,}", WordError::Braces),
            ("10.1.{,2}", WordError::Braces),
            ("10.1.{2", WordError::Braces),
            ("10.1.2}", WordError::Braces),
            ("10.1.{2}3", WordError::Braces),
            ("10.1.{2}{3}", WordError::Braces),
            ("10.1{2}", WordError::Braces),
            ("10..{2}", WordError::Braces),
            ("10.1.{300}", WordError::Braces),
            ("10.1.2.3.{4}", WordError::Braces),
            ("10.1.2.3.4.{5}", WordError::Braces),
            ("10.1.{2}/24", WordError::Braces),
            ("10.1.2.3,10.1.2.4", WordError::Comma),
            ("", WordError::Name),
            (".", WordError::Name),
            ("..a", WordError::Name),
            ("a..b", WordError::Name),
            ("*", WordError::Name),
            ("@group", WordError::Name),
            ("b\u{fc}ro", WordError::Name),
        ] {
            assert_eq!(shown(word), Err(expected), "{word}");
        }
        assert_eq!(Pattern::parse(b"\xff"), Err(WordError::Name));
        assert!(shown(&"a.".repeat(127)).is_ok());
        assert_eq!(shown(&"a.".repeat(128)), Err(WordError::Name));
    }

    #[test]
    fn a_network_has_zeros_at_its_end_or_not() {
        for (number, expected) in [
            (0, None),
            (10, Some("10.0.0.0/8")),
            (0x0a01, Some("10.1.0.0/16")),
            (0x7f00_0000, Some("127.0.0.0/8")),
            (0xc0a8_0100, Some("192.168.1.0/24")),
            (0xc0a8_0107, Some("192.168.1.7/32")),
        ] {
            let net = expected.map(|text| Pattern::Net(text.parse().expect("a net")));
            assert_eq!(Pattern::network(number), net, "{number:x}");
        }
    }
}
