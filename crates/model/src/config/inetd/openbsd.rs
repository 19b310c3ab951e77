//! Debian's openbsd-inetd: the most installed inetd, and the default dialect.
//!
//! Source: inetd(8) of Debian's package and its `inetd.c`.

use super::Dialect;
use crate::config::syntax::{Families, Transport};
use crate::service::Protocol;

/// The dialect of Debian's openbsd-inetd.
pub const OPENBSD: Dialect = Dialect { name: "openbsd", blank_continues: true, transport };

/// `tcp` and `udp` alone open two sockets (Debian's patch `default_v4v6`), `46` one that serves both families
/// (patch `tcp46`).
fn transport(word: &[u8]) -> Option<Transport> {
    if word == b"unix" {
        return Some(Transport::Unix);
    }
    if let Some(word) = word.strip_prefix(b"rpc/") {
        return match transport(word) {
            Some(Transport::Inet { protocol, families }) => Some(Transport::Rpc { protocol, families }),
            Some(Transport::Rpc { .. } | Transport::Unix) | None => None,
        };
    }
    let (protocol, families) = match word {
        b"tcp" => ("tcp", Families::Both(Protocol::Tcp, Protocol::Tcp6)),
        b"tcp4" => ("tcp", Families::V4(Protocol::Tcp4)),
        b"tcp6" => ("tcp", Families::V6(Protocol::Tcp6)),
        b"tcp46" => ("tcp", Families::Dual(Protocol::Tcp46)),
        b"udp" => ("udp", Families::Both(Protocol::Udp, Protocol::Udp6)),
        b"udp4" => ("udp", Families::V4(Protocol::Udp4)),
        b"udp6" => ("udp", Families::V6(Protocol::Udp6)),
        b"udp46" => ("udp", Families::Dual(Protocol::Udp46)),
        _ => return None,
    };
    Some(Transport::Inet { protocol, families })
}
