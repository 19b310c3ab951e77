//! NetBSD's inetd, both of its forms.
//!
//! Source: inetd(8), `parse.c` and `parse_v2.c` of `usr.sbin/inetd`. `tcp` has the family of the address in front of
//! it, and is IPv4 without one.

use super::{BareArgv, Comments, Continuation, Dialect, Limited, Quotes, Split, WaitLimit, WaitRule};
use crate::config::syntax::{Families, Numeral, Zero};
use crate::service::Protocol;

/// The dialect of NetBSD.
pub(super) const NETBSD: Dialect = Dialect {
    name: "netbsd",
    starts: Some(40),
    backlog: 128,
    comments: Comments::FirstColumn,
    continuation: Continuation::LeadingBlank,
    quotes: Quotes::Shell,
    adds_tcpmux: false,
    ipsec: true,
    netbsd_forms: true,
    protocols: &[
        (b"tcp", "tcp", Families::OfHost(Protocol::Tcp)),
        (b"tcp4", "tcp", Families::V4(Protocol::Tcp4)),
        (b"tcp6", "tcp", Families::V6(Protocol::Tcp6)),
        (b"udp", "udp", Families::OfHost(Protocol::Udp)),
        (b"udp4", "udp", Families::V4(Protocol::Udp4)),
        (b"udp6", "udp", Families::V6(Protocol::Udp6)),
    ],
    strays: &[],
    wait: WaitRule::ElseNowait,
    wait_limits: &[STARTS, WaitLimit { mark: b'.', ..STARTS }],
    splits: &[Split::First(b':'), Split::First(b'.')],
    classes: false,
    bare_marks: false,
    bare_argv: BareArgv::Base,
    // As the umask leaves it.
    socket_mode: 0o755,
};

/// `:N`, where 0 serves nobody.
pub(super) const STARTS: WaitLimit =
    WaitLimit { mark: b':', limits: Limited::Starts, zero: Zero::Never, numeral: Numeral::Decimal };
