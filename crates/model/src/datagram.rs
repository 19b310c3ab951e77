//! Which datagrams a built-in service must not answer.
//!
//! A forged source can make two services answer each other for ever, or a whole network answer one victim. OpenBSD
//! looks at the address, FreeBSD and NetBSD at the port; all their rules hold here, but for one: a plain client on
//! 127.0.0.1 is answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::service::Builtin;

/// Whether an answer to this source could go round in circles or to many.
///
/// `is_builtin_port` says whether a built-in of this daemon listens for datagrams on a port, besides the well-known
/// ones that are always refused.
pub fn is_loop(source: SocketAddr, is_builtin_port: impl Fn(u16) -> bool) -> bool {
    let port = source.port();
    let answers = Builtin::ALL.into_iter().any(|builtin| builtin.port() == Some(port));
    port == 0 || answers || is_builtin_port(port) || !is_unicast(source.ip())
}

/// Whether an address can be that of one machine.
fn is_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_unicast_v4(v4),
        IpAddr::V6(v6) => is_unicast_v6(v6),
    }
}

fn is_unicast_v4(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first != 0 && first != 255 && !address.is_multicast()
}

fn is_unicast_v6(address: Ipv6Addr) -> bool {
    if address == Ipv6Addr::LOCALHOST {
        return true;
    }
    // ::ffff:a.b.c.d and ::a.b.c.d follow the rules for a.b.c.d.
    match (address.to_ipv4_mapped(), address.segments()) {
        (Some(mapped), _) => is_unicast_v4(mapped),
        (None, [0, 0, 0, 0, 0, 0, _, _]) => address.to_ipv4().is_some_and(is_unicast_v4),
        (None, _) => !address.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(source: &str) -> bool {
        is_loop(source.parse().expect("a socket address"), |port| port == 7777)
    }

    #[test]
    fn a_plain_client_is_answered() {
        for source in
            ["127.0.0.1:40000", "192.0.2.7:1024", "[::1]:5000", "[2001:db8::1]:53", "[::ffff:192.0.2.1]:99"]
        {
            assert!(!refused(source), "{source}");
        }
    }

    #[test]
    fn loops_and_crowds_are_refused() {
        for source in [
            "192.0.2.7:7",
            "192.0.2.7:9",
            "192.0.2.7:13",
            "192.0.2.7:19",
            "192.0.2.7:37",
            "[2001:db8::1]:19",
            "192.0.2.7:7777",
            "192.0.2.7:0",
            "224.0.0.1:5000",
            "255.255.255.255:5000",
            "0.1.2.3:5000",
            "[ff02::1]:5000",
            "[::]:5000",
            "[::ffff:224.0.0.1]:5000",
            "[::255.1.2.3]:5000",
        ] {
            assert!(refused(source), "{source}");
        }
    }
}
