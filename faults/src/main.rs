//! The fault harness: the real program, while each of its system calls fails once.
//!
//! One binary with three faces. Called by its name it plans and runs cases; it starts itself again inside new
//! namespaces, once for each case; and as the program of the services in there it answers callers. Nothing it does
//! reaches the machine outside of those namespaces.

mod calls;
mod case;
mod command;
mod daemon;
mod errors;
mod plan;
mod processes;
mod responder;
mod runner;
mod sandbox;
mod scenario;
mod services;
mod story;
mod trace;

use std::process::ExitCode;

use command::Command;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match command::parse(&words) {
        Ok(Command::Plan(options)) => runner::run(&options),
        Ok(Command::Enter(words)) => sandbox::enter(&words),
        Ok(Command::Inside(case, usherd)) => scenario::run(&case, &usherd),
        Ok(Command::Respond(kind)) => responder::run(kind),
        Err(why) => {
            eprintln!("faults: {why}\n{}", command::USAGE);
            ExitCode::from(64)
        }
    }
}
