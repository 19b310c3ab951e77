//! Runs the cases one namespace each, a few at a time, and prints what came of them.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::cases::{self, Case};
use crate::command::{ENTER_NAMESPACES, OneCase, Plan};
use crate::lab::{FAILED, PASSED};

/// After this a case is ended from outside: more than any deadline of its own.
const LAST_RESORT: Duration = Duration::from_secs(150);

enum Verdict {
    Passed,
    Failed,
    UnexpectedlyPassed,
    /// Ignored, and failed as expected.
    Ignored(&'static str),
    NotRun(&'static str),
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Prints every case with the sentence it checks and the servers it is ignored for.
pub fn list() -> i32 {
    for (name, case) in cases::all() {
        println!("{name}\n    {}", case.sentence);
        for (server, reason) in case.ignored {
            println!("    ignored for {}: {reason}", server.name());
        }
        for (dialect, reason) in case.other_dialects {
            println!("    ignored in the dialect {}: {reason}", dialect.word());
        }
        for (server, reason) in case.not_run {
            println!("    not run for {}: {reason}", server.name());
        }
    }
    0
}

pub fn run(plan: &Plan) -> i32 {
    if let Some(message) = plan.server.missing(&plan.usherd) {
        eprintln!("compliance: {message}");
        return 2;
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("compliance: cases make namespaces of their own and need root");
        return 2;
    }
    let chosen: Vec<(String, &Case)> = cases::of(plan.server)
        .into_iter()
        .filter(|(name, _)| plan.filters.is_empty() || plan.filters.iter().any(|word| name.contains(word)))
        .collect();
    if chosen.is_empty() {
        let known = |word: &&String| cases::all().iter().any(|(name, _)| name.contains(*word));
        return match plan.filters.iter().find(|word| !known(word)) {
            Some(word) => {
                eprintln!("compliance: no case has {word:?} in its name (`--list` prints them all)");
                2
            }
            None => {
                println!("no case of {} has this name", plan.server.name());
                0
            }
        };
    }
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs {
            scope.spawn(|| {
                while let Some((name, case)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (verdict, text, time) = run_one(plan, name, case);
                    report(&mut lock(&tally), plan, name, case, &verdict, &text, time);
                }
            });
        }
    });
    let tally = lock(&tally);
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    i32::from(tally.failed > 0 || tally.passed == 0)
}

fn run_one(plan: &Plan, name: &str, case: &Case) -> (Verdict, String, Duration) {
    if let Some(reason) = case.not_run_on(plan.server) {
        return (Verdict::NotRun(reason), String::new(), Duration::ZERO);
    }
    let reason = case.ignored_on(plan.server);
    let one = OneCase {
        name: name.to_owned(),
        server: plan.server,
        usherd: plan.usherd.canonicalize().unwrap_or_else(|_| plan.usherd.clone()),
        ignored: reason.is_some(),
    };
    let start = Instant::now();
    let (code, text) = start_case(&one);
    let verdict = match (code, reason) {
        (Some(PASSED), None) => Verdict::Passed,
        (Some(PASSED), Some(_)) => Verdict::UnexpectedlyPassed,
        (Some(FAILED), Some(reason)) => Verdict::Ignored(reason),
        _ => Verdict::Failed,
    };
    (verdict, text, start.elapsed())
}

fn start_case(one: &OneCase) -> (Option<i32>, String) {
    let program = std::env::current_exe().expect("/proc is mounted");
    let mut command = Command::new(program);
    command.arg(ENTER_NAMESPACES).args(one.to_arguments());
    let (mut reader, writer) = std::io::pipe().expect("descriptors are not short");
    let clone = writer.try_clone().expect("descriptors are not short");
    command.stdin(Stdio::null()).stdout(writer).stderr(clone);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return (None, format!("cannot start: {error}")),
    };
    // Drops the write ends, so that the end of the case is the end of the text.
    drop(command);
    let text = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // Half a text is better than none.
        let _ = std::io::Read::read_to_end(&mut reader, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let end = Instant::now() + LAST_RESORT;
    let mut late = "";
    let code = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.code(),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                // Process 1 of the namespace dies with its parent, and everything in it with that.
                let _ = child.kill();
                let _ = child.wait();
                late = "the case did not end by itself\n";
                break None;
            }
            Err(_) => break None,
        }
    };
    (code, format!("{late}{}", text.join().unwrap_or_default()))
}

fn report(
    tally: &mut Tally,
    plan: &Plan,
    name: &str,
    case: &Case,
    verdict: &Verdict,
    text: &str,
    time: Duration,
) {
    let seconds = time.as_secs_f32();
    match verdict {
        Verdict::Passed => {
            tally.passed += 1;
            println!("ok       {name} ({seconds:.1} s)");
        }
        Verdict::Failed => {
            tally.failed += 1;
            println!("FAILED   {name} ({seconds:.1} s)\n    checks: {}", case.sentence);
            print_indented(text);
        }
        Verdict::UnexpectedlyPassed => {
            tally.failed += 1;
            let reason = case.ignored_on(plan.server).unwrap_or_default();
            println!("FAILED   {name}: unexpectedly passes; it is ignored because: {reason}");
        }
        Verdict::Ignored(reason) => {
            tally.skipped += 1;
            println!("ignored  {name}: {reason} ({seconds:.1} s)");
            if plan.verbose {
                print_indented(text);
            }
        }
        Verdict::NotRun(reason) => {
            tally.skipped += 1;
            println!("not run  {name}: {reason}");
        }
    }
}

fn print_indented(text: &str) {
    for line in text.lines() {
        println!("    {line}");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of the lock panics")
}
