//! GNU inetutils' inetd.
//!
//! Source: `src/inetd.c` and `libinetutils/argcv.c` of inetutils 2.6, and what they do when run. The manual says 40
//! starts a minute; the code says 1000.

use super::{BareArgv, Comments, Continuation, Dialect, Limited, Quotes, Split, WaitLimit, WaitRule};
use crate::config::syntax::{Families, Numeral, Zero};
use crate::service::Protocol;

/// The dialect of GNU inetutils.
pub(super) const GNU: Dialect = Dialect {
    name: "gnu",
    starts: Some(1000),
    backlog: 10,
    comments: Comments::FirstColumn,
    continuation: Continuation::Never,
    quotes: Quotes::AtWord,
    adds_tcpmux: true,
    ipsec: false,
    netbsd_forms: false,
    protocols: &[
        (b"tcp", "tcp", Families::V4(Protocol::Tcp)),
        (b"tcp4", "tcp", Families::V4(Protocol::Tcp4)),
        (b"tcp6", "tcp", Families::Mapped(Protocol::Tcp6)),
        (b"tcp6only", "tcp", Families::V6(Protocol::Tcp6only)),
        (b"udp", "udp", Families::V4(Protocol::Udp)),
        (b"udp4", "udp", Families::V4(Protocol::Udp4)),
        (b"udp6", "udp", Families::Mapped(Protocol::Udp6)),
        (b"udp6only", "udp", Families::V6(Protocol::Udp6only)),
    ],
    // What it does not know behind `tcp` or `udp` is IPv4.
    strays: &[
        (b"tcp46", "tcp", Families::V4(Protocol::Tcp46)),
        (b"udp46", "udp", Families::V4(Protocol::Udp46)),
    ],
    wait: WaitRule::ElseNowait,
    wait_limits: &[WaitLimit {
        mark: b'.',
        limits: Limited::Starts,
        zero: Zero::Default,
        numeral: Numeral::Decimal,
    }],
    splits: &[Split::First(b':'), Split::First(b'.')],
    classes: false,
    bare_marks: true,
    bare_argv: BareArgv::Base,
    // It has no Unix sockets.
    socket_mode: 0o666,
};
