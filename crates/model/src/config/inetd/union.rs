//! All dialects at once: what only one original can read is read its way, and where several can, openbsd-inetd is
//! followed.

use super::{Comments, Dialect, Split, freebsd, netbsd, openbsd};
use crate::config::syntax::Families;
use crate::service::Protocol;

/// The dialect of those who do not say which.
pub(super) const UNION: Dialect = Dialect {
    name: "union",
    // An indented comment is never meant as arguments.
    comments: Comments::FirstWord,
    ipsec: true,
    netbsd_forms: true,
    protocols: &[
        (b"tcp", "tcp", Families::Both(Protocol::Tcp, Protocol::Tcp6)),
        (b"tcp4", "tcp", Families::V4(Protocol::Tcp4)),
        (b"tcp6", "tcp", Families::V6(Protocol::Tcp6)),
        (b"tcp46", "tcp", Families::Dual(Protocol::Tcp46)),
        (b"tcp6only", "tcp", Families::V6(Protocol::Tcp6only)),
        (b"udp", "udp", Families::Both(Protocol::Udp, Protocol::Udp6)),
        (b"udp4", "udp", Families::V4(Protocol::Udp4)),
        (b"udp6", "udp", Families::V6(Protocol::Udp6)),
        (b"udp46", "udp", Families::Dual(Protocol::Udp46)),
        (b"udp6only", "udp", Families::V6(Protocol::Udp6only)),
    ],
    strays: &[],
    wait_limits: &[openbsd::STARTS, netbsd::STARTS, freebsd::CHILDREN_AND_SOURCES],
    // A user's name may hold dots.
    splits: &[Split::Never, Split::First(b':'), Split::Last(b'.'), Split::First(b'.')],
    classes: true,
    ..openbsd::OPENBSD
};
