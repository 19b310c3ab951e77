//! Complaints of programs of ours that have a caller on their standard input.
//!
//! Standard error can be the caller, too, and must then not be written to: what is wrong here is none of its business,
//! and would be taken for an answer.

use rustix::fs::{Stat, fstat};
use rustix::stdio::{stderr, stdin};

use crate::log::{Format, Level, Logger, Record, Sink, Syslog};
use crate::output;

/// Says what is wrong: in the system's log where standard error is the caller.
pub fn complain(name: &str, text: &str) {
    if !stderr_is_the_caller() {
        output::complain(&format!("{name}: {text}"));
        return;
    }
    let mut logger = Logger::new(Sink::Syslog(Syslog::new(&name.replace(' ', "-"))), Format::Original);
    logger.log(&Record::new(Level::Error, "complaint", text));
}

/// Whether what is written to standard error reaches the caller.
pub fn stderr_is_the_caller() -> bool {
    let file = |about: Stat| (about.st_dev, about.st_ino);
    let [input, error] = [fstat(stdin()), fstat(stderr())].map(|about| about.map(file).ok());
    input == error
}
