//! Work on the project that is not the product: `cargo xtask NAME`.
//!
//! One file for each command. A command prints what it found and fails with a sentence; it changes nothing outside
//! of build folders unless it was called with `--write`.

mod child_check;
mod compliance;
mod crates;
mod faults;
mod fuzz_smoke;
mod layering;
mod listed;
mod modules;
mod pages;
mod product;
mod program;
mod project;

use std::process::ExitCode;

/// Why a command failed, in words. What it has to say in full was printed before.
type Outcome = Result<(), String>;

/// A command: what it is called, what it does, and the function.
struct Task {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
}

const TASKS: [Task; 7] = [
    Task {
        name: "child-check",
        about: "look in the object code of the child's function for what it must not do [--binary PATH]",
        run: child_check::run,
    },
    Task { name: "layering", about: "who names whom inside the core [--write]", run: layering::run },
    Task { name: "crates", about: "what the product is built of [--write]", run: crates::run },
    Task {
        name: "fuzz-smoke",
        about: "each fuzz target for a short time [--seconds N] [TARGET...]",
        run: fuzz_smoke::run,
    },
    Task {
        name: "pages",
        about: "man pages and completions are those of the command line [--write]",
        run: pages::run,
    },
    Task { name: "faults", about: "the fault harness, with its own arguments", run: faults::run },
    Task {
        name: "compliance",
        about: "the same cases against openbsd-inetd and against usherd",
        run: compliance::run,
    },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let task = words.first().and_then(|name| TASKS.iter().find(|task| task.name == name));
    let Some(task) = task else {
        eprintln!("usage: cargo xtask NAME [ARGUMENT...]\n");
        for Task { name, about, .. } in &TASKS {
            eprintln!("  {name:12} {about}");
        }
        return ExitCode::from(64);
    };
    match (task.run)(&words[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask {}: {why}", task.name);
            ExitCode::FAILURE
        }
    }
}
