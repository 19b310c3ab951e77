//! Addresses as the C library reads them from a text.

use std::net::Ipv6Addr;

use super::number::is_space;
use crate::numeral::c_number;

/// Four fields with dots between them, as inet_addr(3) reads them: decimal, octal or hexadecimal. All ones are its error.
///
/// Libwrap counts the fields of the whole text, and inet_addr reads it up to a blank. Where that leaves fewer of them, the
/// last one fills the rest of the address.
pub(super) fn quad(text: &[u8]) -> Option<u32> {
    if text.split(|byte| *byte == b'.').filter(|field| !field.is_empty()).count() != 4 {
        return None;
    }
    let end = text.iter().position(|byte| is_space(*byte)).unwrap_or(text.len());
    let mut fields = text[..end].split(|byte| *byte == b'.').peekable();
    let (mut address, mut room) = (0, u32::BITS);
    while let Some(field) = fields.next() {
        let number = c_number(field)?;
        let bits = if fields.peek().is_some() { u8::BITS } else { room };
        if u64::from(number) >> bits != 0 {
            return None;
        }
        room = room.checked_sub(bits)?;
        address |= number << room;
    }
    if address == u32::MAX { None } else { Some(address) }
}

/// A numeric IPv6 address, with a scope that does not count; but what can be none makes it no address.
pub(super) fn v6(text: &[u8]) -> Option<Ipv6Addr> {
    let text = std::str::from_utf8(text).ok()?;
    let Some((address, scope)) = text.split_once('%') else { return text.parse().ok() };
    let address: Ipv6Addr = address.parse().ok()?;
    let is_number = scope.bytes().all(|byte| byte.is_ascii_digit()) && scope.parse::<u32>().is_ok();
    let is_scope = is_number || (is_of_a_link(address) && is_interface(scope));
    is_scope.then_some(address)
}

/// Addresses of one link, also of many listeners on it: only these have an interface by name.
fn is_of_a_link(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local() || address.segments()[0] & 0xff0f == 0xff02
}

/// Whether there can be an interface of that name.
fn is_interface(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quad_is_what_inet_addr_reads() {
        for (text, expected) in [
            ("10.1.2.3", Some(0x0a01_0203)),
            ("0x0a.012.0.3", Some(0x0a0a_0003)),
            ("10.1.2.3\x0bx", Some(0x0a01_0203)),
            ("10.1.2 x.y", Some(0x0a01_0002)),
            ("10.1.2", None),
            ("10.1.2.256", None),
            ("10.1.2. 3", None),
            ("10..1.2.3", None),
            ("10.1.2.08", None),
            ("10.1.2.0x", None),
            ("255.255.255.255", None),
        ] {
            assert_eq!(quad(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_scope_has_to_be_one() {
        for (text, is_address) in [
            ("::1", true),
            ("::1%1", true),
            ("::1%lo", false),
            ("fe80::1%lo", true),
            ("ff02::1%lo", true),
            ("fe80::1%", false),
            ("fe80::1%l/o", false),
            ("::1%4294967296", false),
        ] {
            assert_eq!(v6(text.as_bytes()).is_some(), is_address, "{text}");
        }
    }
}
