//! Real children, with every way of sharing memory and descriptors.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, waitpid};
use usherd_sys::child::{FAILED, Plan, Setup, Step, StepName, Strings};
use usherd_sys::spawn::{Given, Memory, Spawner, Table};

const WAYS: [(Memory, Table); 4] = [
    (Memory::Shared, Table::Copied),
    (Memory::Shared, Table::Shared),
    (Memory::Copied, Table::Copied),
    (Memory::Copied, Table::Shared),
];

fn strings(words: &[&str]) -> Strings {
    let text: Vec<u8> = words.iter().flat_map(|word| word.bytes().chain([0])).collect();
    Strings::new(text.into())
}

fn plan(steps: &[Step], command: &[&str]) -> Arc<Plan> {
    let environment = Arc::new(strings(&["A=1", "B=2"]));
    let setup = Arc::new(Setup { steps: steps.into(), environment });
    Arc::new(Plan::new(setup, strings(command)).expect("a command"))
}

fn stdio() -> Vec<Step> {
    vec![
        Step::Descriptors,
        Step::Session,
        Step::Connection(0),
        Step::Connection(1),
        Step::Connection(2),
        Step::Signals,
    ]
}

fn wait(pid: i32) -> i32 {
    let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty()).expect("wait").expect("ended");
    status.exit_status().expect("by exit")
}

/// Runs a shell command with a pipe as its standard output.
fn output(
    spawner: &mut Spawner,
    table: Table,
    script: &str,
    variables: &[(&std::ffi::CStr, &[u8])],
) -> String {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
    let plan = plan(&stdio(), &["/bin/sh", "sh", "-c", script]);
    let pid = spawner.spawn(&plan, Given::Away(write), None, variables, table).expect("spawn");
    let deadline = Instant::now() + Duration::from_secs(10);
    while spawner.settle() {
        assert!(Instant::now() < deadline, "the child leaves the table");
        std::thread::yield_now();
    }
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).expect("read");
    assert_eq!(wait(pid), 0);
    text
}

#[test]
fn a_program_gets_its_arguments_and_its_environment() {
    for (memory, table) in WAYS {
        let mut spawner = Spawner::new(memory);
        let text = output(&mut spawner, table, "echo $0 $A$B $C", &[(c"C", b"three"), (c"D", b"")]);
        assert_eq!(text, "sh 12 three\n", "{memory:?} {table:?}");
    }
}

#[test]
fn a_program_has_three_descriptors() {
    // As the daemon does at start: what we inherited is not for children.
    usherd_sys::process::close_on_exec_from(3).expect("close_range");
    let kept: Vec<OwnedFd> = (0..100).map(|_| File::open("/dev/null").expect("open").into()).collect();
    for (memory, table) in WAYS {
        let mut spawner = Spawner::new(memory);
        // The last one is the shell's own look at the folder.
        let text = output(&mut spawner, table, "cd /proc/$$/fd && echo *", &[]);
        assert_eq!(text, "0 1 2 3\n", "{memory:?} {table:?}");
    }
    drop(kept);
}

#[test]
fn what_fails_is_told_with_its_step_and_number() {
    for (memory, table) in WAYS {
        let mut spawner = Spawner::new(memory);
        let cases = [
            ("/nonexistent", StepName::Exec, libc::ENOENT),
            ("/etc/passwd", StepName::Exec, libc::EACCES),
            ("/", StepName::Exec, libc::EACCES),
        ];
        for (path, step, errno) in cases {
            let pid = spawner
                .spawn(
                    &plan(&stdio(), &[path, "x"]),
                    Given::Away(File::open("/dev/null").expect("open").into()),
                    None,
                    &[],
                    table,
                )
                .expect("spawn");
            assert_eq!(wait(pid), FAILED);
            let failed = spawner.take_failure(pid).expect("a failure");
            assert_eq!((failed.step, failed.errno), (step, errno), "{memory:?} {table:?} {path}");
            assert_eq!(spawner.take_failure(pid), None, "it is told once");
        }
    }
}

#[test]
fn a_step_that_fails_keeps_the_program_from_running() {
    let mut spawner = Spawner::new(Memory::Shared);
    let mut steps = stdio();
    steps.insert(4, Step::Other(9));
    let pid = spawner
        .spawn(
            &plan(&steps, &["/bin/true", "true"]),
            Given::Away(File::open("/dev/null").expect("open").into()),
            None,
            &[],
            Table::Copied,
        )
        .expect("spawn");
    assert_eq!(wait(pid), FAILED);
    let failed = spawner.take_failure(pid).expect("a failure");
    assert_eq!((failed.step, failed.errno), (StepName::Other, libc::EBADF));
}

#[test]
fn a_program_that_ends_with_127_is_no_failure_of_ours() {
    let mut spawner = Spawner::new(Memory::Shared);
    let null = File::open("/dev/null").expect("open");
    let pid = spawner
        .spawn(
            &plan(&stdio(), &["/bin/sh", "sh", "-c", "exit 127"]),
            Given::Away(null.into()),
            None,
            &[],
            Table::Copied,
        )
        .expect("spawn");
    assert_eq!(wait(pid), FAILED);
    assert_eq!(spawner.take_failure(pid), None);
}

#[test]
fn failures_are_kept_while_slots_are_used_again() {
    let mut spawner = Spawner::new(Memory::Shared);
    let missing = plan(&stdio(), &["/nonexistent", "x"]);
    let null = || File::open("/dev/null").expect("open").into();
    let pids: Vec<i32> = (0..300)
        .map(|_| {
            loop {
                // All slots can be in use for a moment.
                match spawner.spawn(&missing, Given::Away(null()), None, &[], Table::Copied) {
                    Ok(pid) => break pid,
                    Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EAGAIN)),
                }
            }
        })
        .collect();
    for pid in pids {
        assert_eq!(wait(pid), FAILED);
        let failed = spawner.take_failure(pid).expect("each has its own");
        assert_eq!(failed.errno, libc::ENOENT);
    }
}

#[test]
fn a_plan_may_go_while_its_child_still_reads_it() {
    let mut spawner = Spawner::new(Memory::Shared);
    for round in 0..200 {
        let null = File::open("/dev/null").expect("open");
        let words = format!("exit {}", round % 100);
        let plan = plan(&stdio(), &["/bin/sh", "sh", "-c", &words]);
        let pid = spawner.spawn(&plan, Given::Away(null.into()), None, &[], Table::Copied).expect("spawn");
        drop(plan);
        assert_eq!(wait(pid), round % 100);
    }
}

#[test]
fn a_second_descriptor_is_passed() {
    for (memory, table) in WAYS {
        let mut spawner = Spawner::new(memory);
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
        let mut steps = stdio();
        steps[4] = Step::Other(2);
        let plan = plan(&steps, &["/bin/sh", "sh", "-c", "echo to the log >&2"]);
        let null = File::open("/dev/null").expect("open");
        // It is nobody's but the spawner's from here on.
        let pid =
            spawner.spawn(&plan, Given::Away(null.into()), Some(Arc::new(write)), &[], table).expect("spawn");
        while spawner.settle() {
            std::thread::yield_now();
        }
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).expect("read");
        assert_eq!((wait(pid), text.as_str()), (0, "to the log\n"), "{memory:?} {table:?}");
    }
}

#[test]
fn a_child_on_its_way_goes_on_without_its_spawner() {
    let plan = plan(&stdio(), &["/bin/true", "true"]);
    for (memory, table) in WAYS {
        for _ in 0..50 {
            let mut spawner = Spawner::new(memory);
            let null = File::open("/dev/null").expect("open");
            let pid = spawner.spawn(&plan, Given::Away(null.into()), None, &[], table).expect("spawn");
            drop(spawner);
            assert_eq!(wait(pid), 0, "{memory:?} {table:?}");
        }
    }
}

#[test]
fn what_is_lent_may_be_closed_at_once_and_is_not_closed_by_us() {
    for (memory, table) in WAYS {
        let mut spawner = Spawner::new(memory);
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
        let plan = plan(&stdio(), &["/bin/sh", "sh", "-c", "echo to the lender"]);
        let pid = spawner.spawn(&plan, Given::Lent(write.as_fd()), None, &[], table).expect("spawn");
        assert!(!spawner.settle(), "nothing is kept for the child");
        rustix::io::write(&write, b"mine, ").expect("it is still open");
        drop(write);
        assert_eq!(wait(pid), 0);
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).expect("read");
        assert!(text.contains("mine, ") && text.contains("to the lender\n"), "{memory:?} {table:?}: {text}");
    }
}
