//! FreeBSD's inetd.
//!
//! Source: inetd(8) and `usr.sbin/inetd/inetd.c`. `tcp` is IPv4, or the family of the address that `-a` gives.

use super::{BareArgv, Comments, Continuation, Dialect, Limited, Quotes, Split, WaitLimit, WaitRule};
use crate::config::syntax::{Families, Numeral, Zero};
use crate::service::Protocol;

/// The dialect of FreeBSD.
pub(super) const FREEBSD: Dialect = Dialect {
    name: "freebsd",
    starts: Some(256),
    // As listen(2) with -1: what the kernel allows.
    backlog: 65_535,
    comments: Comments::FirstColumn,
    continuation: Continuation::LeadingBlank,
    quotes: Quotes::AroundWord,
    adds_tcpmux: false,
    ipsec: true,
    netbsd_forms: false,
    protocols: &[
        (b"tcp", "tcp", Families::OfHost(Protocol::Tcp)),
        (b"tcp4", "tcp", Families::V4(Protocol::Tcp4)),
        (b"tcp6", "tcp", Families::V6(Protocol::Tcp6)),
        (b"tcp46", "tcp", Families::Dual(Protocol::Tcp46)),
        (b"udp", "udp", Families::OfHost(Protocol::Udp)),
        (b"udp4", "udp", Families::V4(Protocol::Udp4)),
        (b"udp6", "udp", Families::V6(Protocol::Udp6)),
        (b"udp46", "udp", Families::Dual(Protocol::Udp46)),
    ],
    strays: &[],
    wait: WaitRule::Prefix,
    wait_limits: &[CHILDREN_AND_SOURCES],
    splits: &[Split::Last(b':')],
    classes: true,
    bare_marks: false,
    bare_argv: BareArgv::Base,
    // Its owner's alone to write to, and nobody's to read.
    socket_mode: 0o200,
};

/// `/max-child[/max-connections-per-ip-per-minute[/max-child-per-ip]]`, each without limit when it is 0.
pub(super) const CHILDREN_AND_SOURCES: WaitLimit = WaitLimit {
    mark: b'/',
    limits: Limited::ChildrenAndSources,
    zero: Zero::Unlimited,
    numeral: Numeral::Leading,
};
