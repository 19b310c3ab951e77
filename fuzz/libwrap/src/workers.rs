//! Other processes of this program do the work: a case that ends one of them does not end the others.

use std::ops::Range;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::deliberate::CLASSES;
use crate::story;
use crate::tally::{KINDS, Tally};

/// The word that makes a process a worker, with its first case.
pub const FIRST: &str = "--first";

/// Cases for one process.
const BATCH: u64 = 5_000;

/// Differences that are shown, and after which no more are looked for.
const SHOWN: usize = 10;

/// Has all cases worked on and says what was found.
pub fn watch(seed: u64, cases: u64) -> ExitCode {
    let next = AtomicU64::new(0);
    let all = Mutex::new(Tally::default());
    let work = || {
        loop {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            let found = all.lock().map_or(SHOWN, |all| all.differ.len() + all.fatal.len());
            if first >= cases || found >= SHOWN {
                return;
            }
            let tally = batch(seed, first..(first + BATCH).min(cases));
            if let Ok(mut all) = all.lock() {
                all.add(tally);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut all = all.into_inner().expect("no worker panics");
    all.differ.sort_unstable();
    conclude(seed, &all)
}

/// Works on cases in a process of their own. Where that ends before them, each half of them gets one.
fn batch(seed: u64, cases: Range<u64>) -> Tally {
    let count = cases.end - cases.start;
    let mut worker = ourselves(seed);
    worker.args([FIRST, &cases.start.to_string(), "--cases", &count.to_string()]);
    let done = worker.stderr(Stdio::null()).output().expect("this program starts");
    let tally = std::str::from_utf8(&done.stdout).ok().and_then(Tally::read);
    match tally {
        Some(tally) if done.status.success() => tally,
        _ if count == 1 => Tally { cases: 1, fatal: vec![cases.start], ..Tally::default() },
        _ => {
            let middle = cases.start + count / 2;
            let mut tally = batch(seed, cases.start..middle);
            tally.add(batch(seed, middle..cases.end));
            tally
        }
    }
}

fn conclude(seed: u64, all: &Tally) -> ExitCode {
    for case in all.differ.iter().chain(&all.fatal).take(SHOWN) {
        let ended = explain(seed, *case);
        if !ended.success() {
            println!("--seed {seed} --case {case}: {ended}, when this was asked or made small:");
            println!("{}", story::question(seed, *case));
        }
    }
    println!("{} cases of seed {seed}", all.cases);
    for ((_, what), count) in KINDS.iter().zip(all.kinds) {
        println!("{count:>9} in which the caller {what}");
    }
    for (class, count) in CLASSES.iter().zip(all.classes) {
        assert!(class.is_documented(), "docs/compat.md has no row {:?}", class.row);
        println!("{count:>9} on purpose: {} (docs/compat.md: {})", class.name, class.row);
    }
    println!("{:>9} ended the process", all.fatal.len());
    println!("{:>9} differ", all.differ.len());
    if all.differ.is_empty() && all.fatal.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn explain(seed: u64, case: u64) -> ExitStatus {
    ourselves(seed).args(["--case", &case.to_string()]).status().expect("this program starts")
}

fn ourselves(seed: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["--seed", &seed.to_string()]);
    command
}
