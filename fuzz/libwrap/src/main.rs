//! Differential fuzzing: what usherd and Debian's libwrap make of the same tables and callers.
//!
//! `cargo run --release -- --cases N [--seed S]`. Every case follows from the seed and its number. One that differs is
//! made small and printed with both answers, and can be had again with `--seed S --case NUMBER`. What differs on purpose
//! is counted by its class (see `deliberate`).

mod answer;
mod compare;
mod deliberate;
mod dice;
mod oracle;
mod ours;
mod question;
mod report;
mod shrink;
mod story;
mod tally;
mod workers;

use std::process::ExitCode;

use report::Report;
use tally::Tally;

fn main() -> ExitCode {
    let mut cases = 10_000;
    let mut seed = 0;
    let mut task = Task::Watch;
    let mut arguments = std::env::args().skip(1);
    while let Some(word) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (word.as_str(), value) {
            ("--cases", Some(value)) => cases = value,
            ("--seed", Some(value)) => seed = value,
            ("--case", Some(value)) => task = Task::Explain(value),
            (workers::FIRST, Some(value)) => task = Task::Work(value),
            _ => {
                eprintln!("usage: usherd-libwrap [--seed S] [--cases N | --case NUMBER]");
                return ExitCode::from(2);
            }
        }
    }
    match task {
        Task::Watch => workers::watch(seed, cases),
        Task::Work(first) => {
            print!("{}", Tally::of(seed, first..first + cases));
            ExitCode::SUCCESS
        }
        Task::Explain(case) => {
            println!("{}", Report::of(seed, case));
            ExitCode::SUCCESS
        }
    }
}

/// What this process is for.
enum Task {
    /// Have others work, and say what they have found.
    Watch,
    /// Count what becomes of cases from this one on.
    Work(u64),
    /// Say everything about this case.
    Explain(u64),
}
