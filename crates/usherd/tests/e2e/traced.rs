//! What a caller costs, as the kernel sees it: the system calls of a daemon that is warm, shown by strace.

use std::fs;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{at, listen};
use crate::daemon::Daemon;
use crate::probe::PROBE;
use crate::sandbox::{self, skip};
use crate::wait;
use crate::wrappers::{behind_tcpd, tables};

const TRACE: &str = "/run/trace";

/// One that watches a daemon and what it starts.
struct Strace {
    process: Child,
}

impl Strace {
    /// Watches from now on. Leaves the test where nobody may.
    #[track_caller]
    fn of(daemon: &Daemon) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-s", "200", "-o", TRACE, "-p", &daemon.pid().to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let Ok(mut process) = command.spawn() else { skip("needs strace") };
        let is_traced = || {
            let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("/proc");
            let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
            tracer.is_some_and(|pid| pid.trim() != "0")
        };
        let may = wait::some("strace attaches", || match process.try_wait().expect("wait") {
            Some(_) => Some(false),
            None => is_traced().then_some(true),
        });
        if !may {
            let why = std::io::read_to_string(process.stderr.take().expect("a pipe")).unwrap_or_default();
            skip(&format!("strace may not watch: {}", why.trim()));
        }
        Self { process }
    }

    /// Stops, and returns the calls in order, each with its process.
    #[track_caller]
    fn end(mut self) -> Vec<(i32, String)> {
        kill_process(Pid::from_child(&self.process), Signal::TERM).expect("kill");
        self.process.wait().expect("wait");
        let text = String::from_utf8_lossy(&fs::read(TRACE).expect("it was written")).into_owned();
        let calls = text.lines().filter_map(|line| {
            let (pid, call) = line.split_once(' ')?;
            Some((pid.parse().ok()?, call.trim_start().to_owned()))
        });
        calls.collect()
    }
}

/// The name of a call; none for what is no beginning of one.
fn name(call: &str) -> Option<&str> {
    let (name, _) = call.split_once('(')?;
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(name)
}

fn is_one_of(call: &str, names: &[&str]) -> bool {
    name(call).is_some_and(|name| names.contains(&name))
}

const MAKES_PROCESS: [&str; 4] = ["clone", "clone3", "fork", "vfork"];
const LOOKS_AT_FILE: [&str; 6] = ["stat", "lstat", "newfstatat", "statx", "access", "faccessat2"];
const OPENS: [&str; 6] = ["open", "openat", "openat2", "creat", "socket", "socketpair"];

#[test]
fn a_caller_of_a_wrapped_service_costs_one_process_and_a_look_at_two_files() {
    sandbox::run(|| {
        // A name would have to be looked up by the rules that come later.
        tables("probe: 127.0.0.1, .example.com\nprobe: UNKNOWN\n", "ALL: PARANOID\nALL: ALL\n");
        let daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        for _ in 0..2 {
            assert_eq!(listen(at(2001)), "well");
        }
        wait::until("it has nothing else to do", || daemon.is_childless());
        let strace = Strace::of(&daemon);
        assert_eq!(listen(at(2001)), "well");
        wait::until("the program's end is seen", || daemon.is_childless());
        let calls = strace.end();
        let shown = || calls.iter().map(|(pid, call)| format!("{pid} {call}\n")).collect::<String>();

        let made: Vec<_> = calls.iter().filter(|(_, call)| is_one_of(call, &MAKES_PROCESS)).collect();
        assert_eq!(made.len(), 1, "processes: {}", shown());
        assert_eq!(made[0].0, daemon.pid(), "{}", shown());
        let executed: Vec<_> =
            calls.iter().filter(|(_, call)| is_one_of(call, &["execve", "execveat"])).collect();
        let program = format!("execve(\"{PROBE}\", [\"probe\", \"say\", \"well\"]");
        assert!(executed.len() == 1 && executed[0].1.starts_with(&program), "{}", shown());
        let child = executed[0].0;

        // What the child does is its own affair once it is the program.
        let begins =
            calls.iter().position(|(_, call)| call.starts_with("execve(")).expect("it is one of them");
        let ours: Vec<&str> = calls
            .iter()
            .enumerate()
            .filter(|(index, (pid, _))| *pid == daemon.pid() || *pid == child && *index < begins)
            .map(|(_, (_, call))| call.as_str())
            .collect();
        let opened: Vec<_> = ours.iter().filter(|call| is_one_of(call, &OPENS)).collect();
        assert!(opened.is_empty(), "{opened:?} in {}", shown());
        let looked_at: Vec<_> = ours.iter().filter(|call| is_one_of(call, &LOOKS_AT_FILE)).collect();
        let is_of = |call: &str, path: &str| call.contains(&format!("\"{path}\""));
        assert!(
            looked_at.len() == 2
                && is_of(looked_at[0], "/etc/hosts.allow")
                && is_of(looked_at[1], "/etc/hosts.deny"),
            "{looked_at:?} in {}",
            shown()
        );
        // The control socket, by which this test has asked nothing meanwhile, is the only other thing that accepts.
        assert_eq!(ours.iter().filter(|call| is_one_of(call, &["accept4"])).count(), 1, "{}", shown());
    });
}

#[test]
fn a_caller_who_is_refused_costs_no_process() {
    sandbox::run(|| {
        tables("", "ALL: 127.0.0.1, .example.com\n");
        let daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        assert_eq!(listen(at(2001)), "");
        wait::until("it has nothing else to do", || daemon.is_childless());
        let strace = Strace::of(&daemon);
        assert_eq!(listen(at(2001)), "");
        let calls = strace.end();
        let shown = || calls.iter().map(|(pid, call)| format!("{pid} {call}\n")).collect::<String>();
        assert!(calls.iter().any(|(_, call)| is_one_of(call, &["accept4"])), "{}", shown());
        let others = |(pid, call): &(i32, String)| {
            *pid != daemon.pid() || is_one_of(call, &MAKES_PROCESS) || is_one_of(call, &OPENS)
        };
        assert!(!calls.iter().any(others), "{}", shown());
    });
}
