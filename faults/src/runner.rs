//! Runs cases, some at a time, and says how they went.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;

use crate::case::Case;
use crate::command::{ENTER, Options};
use crate::story::Story;
use crate::{plan, processes};

pub fn run(options: &Options) -> ExitCode {
    let (few, many) = match (measure(Case::Undisturbed, options), measure(Case::Crowded, options)) {
        (Ok(few), Ok(many)) => (few, many),
        (Err(why), _) | (_, Err(why)) => return give_up(&why),
    };
    if few.calls.is_empty() {
        return give_up("strace shows no calls of an undisturbed run");
    }
    let unknown = plan::unknown(&few.calls);
    if !unknown.is_empty() {
        return give_up(&format!("these calls are not in errors.rs: {}", unknown.join(", ")));
    }
    let wanted = |case: &Case| {
        let name = case.to_string();
        options.filters.is_empty() || options.filters.iter().any(|filter| name.contains(filter))
    };
    let cases: Vec<Case> = plan::cases(&few.calls, options.smoke).into_iter().filter(wanted).collect();
    if options.list {
        cases.iter().for_each(|case| println!("{case}"));
        return ExitCode::SUCCESS;
    }
    println!("{} cases; an undisturbed run ends with {}", cases.len(), few.descriptors);
    let count = run_all(cases, &[few, many], options);
    println!(
        "{} held, {} ended at the start and said why, {} not reached, {} failed",
        count.held, count.start_up, count.not_reached, count.failed
    );
    if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How a run without faults goes, which has to be well.
fn measure(case: Case, options: &Options) -> Result<Story, String> {
    let mut story = tell(&case, &options.usherd)?;
    story.wrong.extend(story.start_up.take());
    if story.wrong.is_empty() {
        return Ok(story);
    }
    story.wrong.append(&mut story.log);
    Err(format!("a run without faults fails ({case}):\n  {}", story.wrong.join("\n  ")))
}

fn give_up(why: &str) -> ExitCode {
    eprintln!("faults: {why}");
    ExitCode::FAILURE
}

#[derive(Default)]
struct Count {
    held: u32,
    start_up: u32,
    not_reached: u32,
    failed: u32,
}

fn run_all(cases: Vec<Case>, [few, many]: &[Story; 2], options: &Options) -> Count {
    let todo = Mutex::new(cases.into_iter());
    let count = Mutex::new(Count::default());
    let next = || todo.lock().expect("no worker panics").next();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while let Some(case) = next() {
                    let told = tell(&case, &options.usherd);
                    let base = if case.is_crowded() { many } else { few };
                    judge(&case, told, base, &mut count.lock().expect("no worker panics"));
                }
            });
        }
    });
    count.into_inner().expect("no worker panics")
}

/// Runs one case in namespaces of its own.
fn tell(case: &Case, usherd: &Path) -> Result<Story, String> {
    let own = std::env::current_exe().map_err(|error| format!("own path: {error}"))?;
    let mut command = Command::new(own);
    let output = command.arg(ENTER).arg(usherd).args(case.to_words()).output();
    let output = output.map_err(|error| format!("cannot start the case: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{case}: the harness failed: {}", said.trim()));
    }
    Ok(Story::from_text(&String::from_utf8_lossy(&output.stdout)))
}

fn judge(case: &Case, told: Result<Story, String>, base: &Story, count: &mut Count) {
    let mut story = match told {
        Ok(story) => story,
        Err(why) => Story { wrong: vec![why], ..Story::default() },
    };
    // Fewer can be right: there are things that it does without.
    let more = processes::more(&story.descriptors, &base.descriptors);
    if !is_told_to_wait(case) {
        story.wrong.extend(more.into_iter().map(|kind| format!("descriptors are left open: {kind}")));
    }
    if !story.wrong.is_empty() {
        count.failed += 1;
        println!("FAILED {case}");
        story.wrong.iter().for_each(|wrong| println!("  {wrong}"));
        story.log.iter().for_each(|line| println!("  | {line}"));
    } else if let Some(why) = &story.start_up {
        count.start_up += 1;
        println!("start  {case}: {why}");
    } else if !story.injected {
        count.not_reached += 1;
        println!("missed {case}");
    } else {
        count.held += 1;
    }
}

/// Whether a socket is said to be as it is not. A session that is told of its sockets edge by edge then waits for what has
/// been already, until its time is over, which is longer than a case.
fn is_told_to_wait(case: &Case) -> bool {
    let transfers = ["recvfrom", "sendto", "splice"];
    case.fault().is_some_and(|fault| fault.error == "EAGAIN" && transfers.contains(&fault.call.as_str()))
}
