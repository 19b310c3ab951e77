//! busybox's inetd.
//!
//! Source: `networking/inetd.c` and `libbb/parse_config.c` of busybox 1.37. `tcp6` is as the kernel has it, which
//! serves both families.

use super::{BareArgv, Comments, Continuation, Dialect, Limited, Quotes, Split, WaitLimit, WaitRule};
use crate::config::syntax::{Families, Numeral, Zero};
use crate::service::Protocol;

/// The dialect of busybox.
pub(super) const BUSYBOX: Dialect = Dialect {
    name: "busybox",
    starts: None,
    backlog: 128,
    comments: Comments::Anywhere,
    continuation: Continuation::Backslash,
    quotes: Quotes::Literal,
    adds_tcpmux: false,
    ipsec: false,
    netbsd_forms: false,
    protocols: &[
        (b"tcp", "tcp", Families::V4(Protocol::Tcp)),
        (b"tcp6", "tcp", Families::Dual(Protocol::Tcp6)),
        (b"udp", "udp", Families::V4(Protocol::Udp)),
        (b"udp6", "udp", Families::Dual(Protocol::Udp6)),
    ],
    strays: &[],
    wait: WaitRule::Exact,
    wait_limits: &[WaitLimit {
        mark: b'.',
        limits: Limited::Starts,
        zero: Zero::Unlimited,
        numeral: Numeral::Decimal,
    }],
    splits: &[Split::First(b'.'), Split::First(b':')],
    classes: false,
    bare_marks: false,
    bare_argv: BareArgv::Path,
    // As the umask leaves it.
    socket_mode: 0o755,
};
