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
use crate::diagnostic::Diagnostics;
use crate::service::Service;

/// Runs all lints over one service.
pub fn run(entry: &Entry, service: &Service, facts: &mut dyn Facts, diagnostics: &mut Diagnostics) {
    let found = [
        shell_on_a_port::check(entry, service),
        amplifier::check(entry, service),
        many_arguments::check(entry),
        datagram_nowait::check(entry, service),
        relative_program::check(entry, service),
        program_fault::check(entry, service, facts),
        redirect_to_itself::check(entry, service),
    ];
    for diagnostic in found.into_iter().flatten() {
        diagnostics.add_once(diagnostic);
    }
}
