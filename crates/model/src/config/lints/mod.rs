//! What is legal and probably not meant, or unwise: one file for each finding.
//!
//! A lint sees an entry and the service that was made of it, and only ever notes or warns.

mod amplifier;
mod datagram_nowait;
mod many_arguments;
mod program_fault;
mod redirect_to_itself;
mod relative_program;
mod shell_on_a_port;

use super::facts::Facts;
use super::syntax::Entry;
use crate::diagnostic::Diagnostic;
use crate::service::Service;

/// Runs all lints over one service.
pub fn run(entry: &Entry, service: &Service, facts: &mut dyn Facts, diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.extend(shell_on_a_port::check(entry, service));
    diagnostics.extend(amplifier::check(entry, service));
    diagnostics.extend(many_arguments::check(entry));
    diagnostics.extend(datagram_nowait::check(entry, service));
    diagnostics.extend(relative_program::check(entry, service));
    diagnostics.extend(program_fault::check(entry, service, facts));
    diagnostics.extend(redirect_to_itself::check(entry, service));
}
