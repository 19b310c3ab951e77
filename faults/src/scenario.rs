//! What happens in one case: callers, a reload that adds and removes a service, callers again, an orderly end.
//!
//! Meanwhile one call fails. After that the daemon has to be as if it had not: it lives, every service answers, one
//! caller at the most was lost, nothing is left over. A daemon that cannot start may end instead, and has to say why.

use std::fs;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::calls::{self, Outcome};
use crate::case::{Case, Fault, Parent};
use crate::daemon::{CONFIGURATIONS, CONTROL, Daemon, PID_FILE};
use crate::services::{AFTER, Address, BEFORE, DATAGRAM, GUARDED, STREAM, Service, WAIT};
use crate::story::Story;
use crate::{daemon, processes, sandbox, services, trace};

/// Back-offs of a second or a few are allowed for; a minute is not.
const RECOVERY: Duration = Duration::from_secs(15);

/// A service manager that does not hear of it in time ends the daemon.
const READINESS: Duration = Duration::from_secs(5);

/// The exit codes that a start may end with: those of the manual.
const START_UP_CODES: [i32; 4] = [71, 73, 77, 78];

pub fn run(case: &Case, usherd: &Path) -> ExitCode {
    let mut story = Story::default();
    if let Err(why) = play(case, usherd, &mut story) {
        story.wrong.push(why);
    }
    let trace = daemon::trace();
    story.injected = trace::was_injected(&trace);
    if *case == Case::Undisturbed {
        story.calls = trace::occurrences(&trace);
    }
    if !story.wrong.is_empty() {
        let log = daemon::log();
        let lines: Vec<&str> = log.lines().collect();
        story.log = lines[lines.len().saturating_sub(12)..].iter().map(|line| (*line).to_owned()).collect();
    }
    print!("{}", story.to_text());
    ExitCode::SUCCESS
}

/// An error ends the case; what is wrong otherwise is noted, and it goes on.
fn play(case: &Case, usherd: &Path, story: &mut Story) -> Result<(), String> {
    sandbox::furnish()?;
    configure(&BEFORE, case)?;
    allow(services::ALLOW[0])?;
    let mut daemon = Daemon::start(usherd, case)?;
    let is_ready = daemon.wait_until_ready(READINESS);
    if let Some(status) = daemon.ended() {
        check_start_up(status, case, story);
        return Ok(());
    }
    if !is_ready {
        story.wrong.push("it did not say that it is ready".to_owned());
    }
    let mut callers = Callers::default();
    callers.call_all(&BEFORE);
    callers.count(calls::status(CONTROL));
    if let Case::Child(parent, fault) = case {
        disturb_child(&mut daemon, *parent, fault, &mut callers)?;
    }
    configure(&AFTER, case)?;
    daemon.signal(Signal::HUP);
    if !daemon.wait_until_ready(READINESS) {
        story.wrong.push("asked for a reload, it did not say that it is ready again".to_owned());
    }
    allow(services::ALLOW[1])?;
    callers.call_all(&AFTER);
    callers.count(calls::status(CONTROL));
    let recovered = recover(&daemon, &mut callers);
    if let Some(status) = daemon.ended() {
        return Err(format!("it has ended: {status}"));
    }
    recovered?;
    if callers.lost.len() > 1 {
        story.wrong.push(format!("{} callers were lost: {}", callers.lost.len(), callers.lost.join("; ")));
    }
    check_children(&daemon, story);
    story.descriptors = settled_descriptors(&daemon);
    daemon.signal(Signal::TERM);
    match daemon.wait(Duration::from_secs(5)) {
        Some(status) if status.success() => {}
        Some(status) => story.wrong.push(format!("told to end, it ended with {status}")),
        None => story.wrong.push("told to end, it goes on".to_owned()),
    }
    check_files(case, story);
    Ok(())
}

fn configure(services: &[&Service], case: &Case) -> Result<(), String> {
    let mut lines = services::lines(services, sandbox::HARNESS);
    if case.is_crowded() {
        lines.push_str(&services::crowd());
    }
    for (path, text) in CONFIGURATIONS.into_iter().zip([lines, services::blocks(services)]) {
        fs::write(path, text).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(())
}

/// Whom hosts.allow lets in; hosts.deny refuses all others.
fn allow(text: &str) -> Result<(), String> {
    fs::write("/etc/hosts.allow", text).map_err(|error| format!("/etc/hosts.allow: {error}"))
}

/// The callers of the scenario.
#[derive(Default)]
struct Callers {
    lost: Vec<String>,
}

impl Callers {
    /// Each calls once. One who finds nobody listening was not lost: the service comes later, as it must.
    fn call_all(&mut self, services: &[&Service]) {
        for service in services {
            let outcome = calls::call(service);
            self.count(outcome);
        }
    }

    fn count(&mut self, outcome: Outcome) {
        if let Outcome::Lost(why) = outcome {
            self.lost.push(why);
        }
    }
}

/// Lets a call of one child fail.
fn disturb_child(
    daemon: &mut Daemon,
    parent: Parent,
    fault: &Fault,
    callers: &mut Callers,
) -> Result<(), String> {
    // A program that has the listener would answer the next one too.
    if !has_no_children(daemon) {
        return Err("programs do not end".to_owned());
    }
    let (mut outcome, mut changed) = (Outcome::Served, Ok(()));
    daemon.disturb(fault, || match parent {
        Parent::Stream => outcome = calls::call_in_vain(&STREAM),
        Parent::Wait => outcome = calls::call_in_vain(&WAIT),
        Parent::Datagram => outcome = calls::call_in_vain(&DATAGRAM),
        Parent::Guarded => outcome = calls::call_in_vain(&GUARDED),
        Parent::Tables => {
            changed = allow(services::ALLOW[1]);
            outcome = calls::call_in_vain(&GUARDED);
        }
        Parent::Loader => {
            daemon.signal(Signal::HUP);
            std::thread::sleep(Duration::from_millis(500));
        }
    })?;
    callers.count(outcome);
    changed
}

/// Every service answers in the end. After a while SIGALRM asks for another try, as a person would.
fn recover(daemon: &Daemon, callers: &mut Callers) -> Result<(), String> {
    for service in AFTER {
        let lost = calls::call_until_served(service, RECOVERY, |attempt| match attempt {
            5 => daemon.signal(Signal::ALARM),
            20 => daemon.signal(Signal::HUP),
            _ => {}
        })?;
        callers.lost.extend((0..lost).map(|_| format!("{}, later", service.name)));
    }
    let removed = BEFORE.into_iter().filter(|service| AFTER.iter().all(|other| other.name != service.name));
    for service in removed {
        if calls::call(service) != Outcome::NotOpen {
            return Err(format!("{} was removed, and listens", service.name));
        }
    }
    let began = Instant::now();
    while calls::status(CONTROL) != Outcome::Served {
        if began.elapsed() > RECOVERY {
            return Err("the control socket does not answer".to_owned());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// No program is left, and no zombie.
fn check_children(daemon: &Daemon, story: &mut Story) {
    if !has_no_children(daemon) {
        let children = processes::children(daemon.pid()).into_iter();
        let children = children.map(|child| format!("{} ({})", child.pid, child.state));
        story.wrong.push(format!("children are left: {}", children.collect::<Vec<_>>().join(", ")));
    }
}

/// Waits until all programs have ended.
fn has_no_children(daemon: &Daemon) -> bool {
    let began = Instant::now();
    while !processes::children(daemon.pid()).is_empty() {
        if began.elapsed() > Duration::from_secs(5) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// What is open when nothing has changed for a while.
fn settled_descriptors(daemon: &Daemon) -> String {
    let look = || processes::describe(&processes::descriptors(daemon.pid()));
    let mut last = look();
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(200));
        let now = look();
        if now == last {
            break;
        }
        last = now;
    }
    last
}

fn check_start_up(status: ExitStatus, case: &Case, story: &mut Story) {
    let log = daemon::log();
    let said = log.lines().last().unwrap_or_default();
    story.start_up = Some(format!("{status}: {said}"));
    if !status.code().is_some_and(|code| START_UP_CODES.contains(&code)) {
        story.wrong.push(format!("the start ended with {status}, which the manual does not have"));
    }
    if said.is_empty() {
        story.wrong.push("the start ended without a word".to_owned());
    }
    let left = files_left(case).into_iter();
    story.wrong.extend(left.map(|path| format!("the start left {path}")));
}

/// Its files are gone, unless it was the removal that failed.
fn check_files(case: &Case, story: &mut Story) {
    let removes = ["unlink", "unlinkat", "stat", "lstat", "newfstatat", "statx"];
    if case.fault().is_some_and(|fault| removes.contains(&fault.call.as_str())) {
        return;
    }
    story.wrong.extend(files_left(case).into_iter().map(|path| format!("it left {path}")));
}

fn files_left(case: &Case) -> Vec<&'static str> {
    // Without the lock, and without a look whether it is on this file, nobody knows whose the pid file is.
    let locks = ["flock", "fstat"];
    let is_ours = !case.fault().is_some_and(|fault| locks.contains(&fault.call.as_str()));
    let sockets = AFTER.iter().filter_map(|service| match service.address {
        Address::Unix(path) => Some(path),
        Address::Tcp(_) | Address::Udp(_) => None,
    });
    let pid_file = Some(PID_FILE).filter(|_| is_ours);
    sockets.chain([CONTROL]).chain(pid_file).filter(|path| fs::symlink_metadata(path).is_ok()).collect()
}
