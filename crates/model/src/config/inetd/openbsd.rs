//! Debian's openbsd-inetd: the most installed inetd, and the default dialect.
//!
//! Source: inetd(8) of Debian's package and its `inetd.c`.

use super::Dialect;
use crate::config::syntax::{Families, Transport};

/// The dialect of Debian's openbsd-inetd.
pub const OPENBSD: Dialect = Dialect { name: "openbsd", blank_continues: true, transport };

/// `tcp` and `udp` alone open two sockets (Debian's patch `default_v4v6`), `46` one that serves both families
/// (patch `tcp46`).
fn transport(word: &[u8]) -> Option<Transport> {
    if word == b"unix" {
        return Some(Transport::Unix);
    }
    if word.starts_with(b"rpc/") {
        return Some(Transport::Rpc);
    }
    let (protocol, suffix) = match (word.strip_prefix(b"tcp"), word.strip_prefix(b"udp")) {
        (Some(suffix), _) => ("tcp", suffix),
        (_, Some(suffix)) => ("udp", suffix),
        (None, None) => return None,
    };
    let families = match suffix {
        b"" => Families::Both,
        b"4" => Families::V4,
        b"6" => Families::V6,
        b"46" => Families::Dual,
        _ => return None,
    };
    Some(Transport::Inet { protocol, families })
}
