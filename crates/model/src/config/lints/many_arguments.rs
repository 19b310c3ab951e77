//! More arguments than the tables of some originals hold.

use crate::config::syntax::Entry;
use crate::diagnostic::{Diagnostic, Place};

/// What openbsd-inetd and FreeBSD take, with `argv[0]`.
const FEWEST: usize = 20;

pub(super) fn check(entry: &Entry) -> Option<Diagnostic> {
    // xinetd takes all.
    if entry.attributes.is_some() {
        return None;
    }
    let first = entry.arguments.get(FEWEST)?;
    let message = format!("argument {FEWEST} and those behind it do not reach the program everywhere");
    Some(
        Diagnostic::note("many-arguments", Place::Text(first.span), message)
            .hint("all are passed here; openbsd-inetd drops the rest, FreeBSD refuses the line, busybox makes one word of it"),
    )
}
