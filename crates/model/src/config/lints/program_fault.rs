//! A program that could not be started if somebody called now.

use crate::config::facts::{Facts, ProgramFault};
use crate::config::syntax::Entry;
use crate::diagnostic::{Diagnostic, Place, printable};
use crate::service::Service;

pub(super) fn check(entry: &Entry, service: &Service, facts: &mut dyn Facts) -> Option<Diagnostic> {
    let program = service.program()?;
    let named;
    let (code, problem, hint) = match facts.program_fault(program.command.path())? {
        ProgramFault::Missing => {
            ("program-missing", "there is no such program", "install it, or disable the line")
        }
        ProgramFault::NotAFile => ("program-not-a-file", "this is not a file", "name the program itself"),
        ProgramFault::NotExecutable => ("program-not-executable", "nobody may execute this", "chmod +x it"),
        ProgramFault::NoInterpreterLine => (
            "program-without-interpreter",
            "this is a text without a #! line, which the kernel does not start",
            "begin it with #!/bin/sh or the like",
        ),
        ProgramFault::NoInterpreter(interpreter) => {
            named = format!("its #! line names {}, and there is no such program", printable(&interpreter));
            ("program-without-interpreter", named.as_str(), "install it, or correct the line")
        }
    };
    let message = format!("{problem}: {}", printable(program.command.path()));
    Some(Diagnostic::warning(code, Place::Text(entry.program.span), message).hint(hint))
}
