//! Debian's openbsd-inetd: the most installed inetd, whom the union follows where originals disagree.
//!
//! Source: inetd(8) of Debian's package and its `inetd.c`. `tcp` and `udp` alone open two sockets (Debian's patch
//! `default_v4v6`), `46` one that serves both families (patch `tcp46`).

use super::{BareArgv, Comments, Continuation, Dialect, Limited, Quotes, Split, WaitLimit, WaitRule};
use crate::config::syntax::{Families, Numeral, Zero};
use crate::service::Protocol;

/// The dialect of Debian's openbsd-inetd.
pub(super) const OPENBSD: Dialect = Dialect {
    name: "openbsd",
    starts: Some(256),
    backlog: 128,
    comments: Comments::FirstColumn,
    continuation: Continuation::LeadingBlank,
    quotes: Quotes::Literal,
    adds_tcpmux: false,
    ipsec: false,
    netbsd_forms: false,
    protocols: &[
        (b"tcp", "tcp", Families::Both(Protocol::Tcp, Protocol::Tcp6)),
        (b"tcp4", "tcp", Families::V4(Protocol::Tcp4)),
        (b"tcp6", "tcp", Families::V6(Protocol::Tcp6)),
        (b"tcp46", "tcp", Families::Dual(Protocol::Tcp46)),
        (b"udp", "udp", Families::Both(Protocol::Udp, Protocol::Udp6)),
        (b"udp4", "udp", Families::V4(Protocol::Udp4)),
        (b"udp6", "udp", Families::V6(Protocol::Udp6)),
        (b"udp46", "udp", Families::Dual(Protocol::Udp46)),
    ],
    // What it does not know behind `tcp6` or `udp6` is as `tcp` or `udp`.
    strays: &[
        (b"tcp6only", "tcp", Families::Both(Protocol::Tcp6only, Protocol::Tcp6only)),
        (b"udp6only", "udp", Families::Both(Protocol::Udp6only, Protocol::Udp6only)),
    ],
    wait: WaitRule::ElseNowait,
    wait_limits: &[STARTS],
    // A user's name cannot hold a dot.
    splits: &[Split::First(b'.'), Split::First(b':')],
    classes: false,
    bare_marks: false,
    bare_argv: BareArgv::Base,
    // Its umask is 0111.
    socket_mode: 0o666,
};

/// `.N`, which strtoul(3) reads with base 0.
pub(super) const STARTS: WaitLimit =
    WaitLimit { mark: b'.', limits: Limited::Starts, zero: Zero::Wrong, numeral: Numeral::C };
