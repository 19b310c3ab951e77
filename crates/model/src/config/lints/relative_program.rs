//! A program without an absolute path, which is looked for in the daemon's folder and not in `PATH`.

use crate::config::syntax::Entry;
use crate::diagnostic::{Diagnostic, Place, printable};
use crate::service::Service;

pub(super) fn check(entry: &Entry, service: &Service) -> Option<Diagnostic> {
    let program = service.program()?;
    if program.command.path().starts_with(b"/") {
        return None;
    }
    let message = format!("{} is not an absolute path", printable(program.command.path()));
    Some(
        Diagnostic::warning("relative-program", Place::Text(entry.program.span), message)
            .expected("a path that begins with /")
            .hint("it is looked for in the root folder; PATH is not searched"),
    )
}
