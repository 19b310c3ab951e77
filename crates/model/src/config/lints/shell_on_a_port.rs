//! A shell that reads its commands from whoever calls.
//!
//! It is the classic demonstration of inetd and the classic way to lose a machine: there is no password.

use crate::config::syntax::Entry;
use crate::diagnostic::{Diagnostic, Place, printable};
use crate::service::{Identity, Program, Service};

/// Programs that take commands from standard input when they are given no script.
const SHELLS: [&[u8]; 12] = [
    b"sh", b"bash", b"dash", b"ash", b"zsh", b"ksh", b"mksh", b"csh", b"tcsh", b"fish", b"busybox", b"rbash",
];

pub(super) fn check(entry: &Entry, service: &Service) -> Option<Diagnostic> {
    let program = service.program()?;
    let name = program.command.path().rsplit(|byte| *byte == b'/').next()?;
    if !SHELLS.contains(&name) || !reads_commands(program) {
        return None;
    }
    let user = match &program.identity {
        Identity::User(credentials) => credentials.user.clone(),
        Identity::Daemon => "the user that usherd runs as".to_owned(),
        Identity::Unavailable(_) => printable(&entry.owner.value),
    };
    let local = service.listeners.iter().all(|listener| listener.key.address.is_local());
    let (who, hint) = if local {
        ("everybody on this machine", "there is no password; use ssh, or a program that does one thing")
    } else {
        (
            "the whole network",
            "there is no password; write 127.0.0.1: in front of the port, or use ssh, or a program that does one thing",
        )
    };
    let message = format!("{} gives {who} a shell as {user}", printable(program.command.path()));
    Some(Diagnostic::warning("shell-on-a-port", Place::Text(entry.program.span), message).hint(hint))
}

/// Whether no argument names a script or a command: all are options without `-c`.
fn reads_commands(program: &Program) -> bool {
    let mut arguments = program.command.arguments().skip(1).filter(|argument| !SHELLS.contains(argument));
    arguments.all(|argument| {
        argument.starts_with(b"--") || argument.starts_with(b"-") && !argument.contains(&b'c')
    })
}
