//! The compliance suite: the same cases against Debian's inetds and against usherd.
//!
//! One binary with three faces. Called by its own name it runs cases or fetches the originals; it starts
//! itself again inside new namespaces, once per case; and a service line in such a namespace starts it as
//! `/srv/probe`, to tell what the daemon gave it.
//!
//! `main` is C's: Rust's start-up ignores SIGPIPE and opens missing descriptors, and both are things that the
//! probe has to report. Nothing may run before [`probe::is_called_for`] has been asked.

#![no_main]

mod cases;
mod client;
mod command;
mod daemon;
mod deadline;
mod fetch;
mod lab;
mod probe;
mod report;
mod runner;
mod sandbox;
mod server;
mod sockets;
mod syslog;

use std::ffi::{c_char, c_int};

use command::Command;

#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    if probe::is_called_for() {
        return probe::run();
    }
    daemon::ignore_sigpipe();
    match command::parse(std::env::args().skip(1)) {
        Ok(Command::Run(plan)) => runner::run(&plan),
        Ok(Command::List) => runner::list(),
        Ok(Command::FetchOriginals) => fetch::run(),
        Ok(Command::EnterNamespaces(arguments)) => sandbox::enter_and_start_again(&arguments),
        Ok(Command::OneCase(one)) => lab::run_case(&one),
        Err(message) => {
            eprintln!("compliance: {message}\n{}", command::USAGE);
            2
        }
    }
}
