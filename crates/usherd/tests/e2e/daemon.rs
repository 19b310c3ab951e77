//! The daemon under test: started by one of its faces, asked, told, and ended.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::Value;

use crate::probe::PROBE;
use crate::sandbox::{self, USHERD};
use crate::wait;

/// Where a sandbox's daemon writes, and is asked.
pub const LOG: &str = "/run/usherd.log";
pub const CONTROL: &str = "/run/usherd.sock";
pub const CONFIG: &str = "/etc/inetd.conf";

/// A daemon that serves.
pub struct Daemon {
    pid: i32,
    child: Option<Child>,
}

impl Daemon {
    /// `usherd run` with this configuration, when all is open.
    #[track_caller]
    pub fn run(config: &str) -> Self {
        Self::run_with(config, &[])
    }

    /// The same, with more arguments.
    #[track_caller]
    pub fn run_with(config: &str, arguments: &[&str]) -> Self {
        configure(config);
        let mut command = usherd("run");
        command.args(["--control", CONTROL]).args(arguments);
        Self::start(command)
    }

    /// `usherd serve` with these arguments.
    #[track_caller]
    pub fn serve(arguments: &[&str]) -> Self {
        let mut command = usherd("serve");
        command.args(["--control", CONTROL]).args(arguments);
        Self::start(command)
    }

    /// Starts a command that stays in the foreground and writes to the log file, and waits until all is open.
    #[track_caller]
    pub fn start(mut command: Command) -> Self {
        let _ = fs::remove_file(LOG);
        let child =
            command.stdin(Stdio::null()).stdout(log_file()).stderr(log_file()).spawn().expect("spawn");
        let mut daemon = Self { pid: i32::try_from(child.id()).expect("a pid"), child: Some(child) };
        wait::until("the daemon is ready", || {
            let ended = daemon.child.as_mut().and_then(|child| child.try_wait().expect("wait"));
            assert!(ended.is_none(), "it ended: {ended:?}\n{}", log());
            log().contains("configured")
        });
        daemon
    }

    /// One in the foreground that somebody else has waited for.
    pub fn of_child(child: Child) -> Self {
        Self { pid: i32::try_from(child.id()).expect("a pid"), child: Some(child) }
    }

    /// One that has gone into the background.
    pub fn of_pid(pid: i32) -> Self {
        Self { pid, child: None }
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid).expect("a pid"), signal).expect("kill");
    }

    /// Writes a configuration, has it read, and waits until that is done.
    #[track_caller]
    pub fn reload(&self, config: &str) {
        configure(config);
        self.reread();
    }

    /// Has the configuration read again, and waits until that is done.
    #[track_caller]
    pub fn reread(&self) {
        let done = || log_count("event=configured") + log_count("event=load-failed");
        let before = done();
        self.signal(Signal::HUP);
        wait::until("the configuration is read", || done() > before);
    }

    /// Sends SIGTERM and waits for the end.
    #[track_caller]
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits for the end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("one in the foreground");
        wait::some("the daemon ends", || child.try_wait().expect("wait"))
    }

    /// What `usherd status --json` shows.
    #[track_caller]
    pub fn status(&self) -> Value {
        status()
    }

    /// What it shows of one service.
    #[track_caller]
    pub fn service(&self, name: &str) -> Value {
        let status = self.status();
        let services = status["services"].as_array().expect("services");
        let found = services.iter().find(|service| service["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {status:#}")).clone()
    }

    /// A count of one service.
    #[track_caller]
    pub fn count(&self, name: &str, what: &str) -> u64 {
        let service = self.service(name);
        service[what].as_u64().unwrap_or_else(|| panic!("no {what} in {service:#}"))
    }

    /// The state of a service's first listener.
    #[track_caller]
    pub fn state(&self, name: &str) -> String {
        self.service(name)["listeners"][0]["state"].as_str().expect("a state").to_owned()
    }

    /// What a limit has done: whether it holds callers back now, and how many it has refused.
    #[track_caller]
    pub fn limit(&self, name: &str, limit: &str) -> Option<(bool, u64)> {
        let service = self.service(name);
        let limits = service["limits"].as_array().expect("limits");
        let found = limits.iter().find(|record| record["limit"] == limit)?;
        Some((found["active"].as_bool().expect("active"), found["refused"].as_u64().expect("refused")))
    }

    /// How many descriptors it has open, when it has done what it was about.
    #[track_caller]
    pub fn descriptors(&self) -> usize {
        self.status();
        fs::read_dir(format!("/proc/{}/fd", self.pid)).expect("it runs").count()
    }

    /// Sets how many descriptors it may have; those that it has stay. Returns how many it might have before.
    pub fn limit_descriptors(&self, soft: Option<u64>) -> Option<u64> {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current: soft, maximum };
        prlimit(Pid::from_raw(self.pid), Resource::Nofile, limit).expect("prlimit").current
    }

    /// Whether it has no child at all, not even a dead one.
    pub fn is_childless(&self) -> bool {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid));
        // Not every kernel has the file.
        children.unwrap_or_default().is_empty()
    }

    /// Waits until no program and no session is left, and it has as many descriptors as before.
    #[track_caller]
    pub fn comes_to_rest(&self, descriptors: usize) {
        wait::until("programs and sessions end", || {
            let status = self.status();
            status["children"] == 0 && status["sessions"] == 0
        });
        let mut now = 0;
        let deadline = std::time::Instant::now() + wait::DEADLINE;
        while std::time::Instant::now() < deadline {
            now = self.descriptors();
            if now <= descriptors {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        panic!("{now} descriptors, {descriptors} before");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            if std::thread::panicking() {
                let _ = writeln!(std::io::stderr(), "the daemon said:\n{}", log());
            }
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `usherd FACE`, to be completed.
pub fn usherd(face: &str) -> Command {
    let mut command = Command::new(USHERD);
    command.arg(face);
    command
}

/// `usherd status`, which asks the sandbox's daemon.
pub fn status_command() -> Command {
    let mut command = usherd("status");
    command.args(["--control", CONTROL]);
    command
}

/// The old name, with its arguments, to be completed.
pub fn inetd(arguments: &[&str]) -> Command {
    let mut command = Command::new("/run/e2e/inetd");
    command.args(arguments);
    command
}

/// A line for a probe: `line("2001", "stream tcp4", "nowait", "say hello")`.
pub fn line(place: &str, socket: &str, wait: &str, words: &str) -> String {
    let user = sandbox::user();
    format!("{place} {socket} {wait} {user} {PROBE} probe {words}\n")
}

/// Writes the configuration, whole or not at all, as update-inetd does: a reload may look at any time.
#[track_caller]
pub fn configure(config: &str) {
    let new = format!("{CONFIG}.new");
    fs::write(&new, config).expect("write");
    fs::rename(&new, CONFIG).expect("rename");
}

/// Runs a command that is to end by itself; returns its status and all that it said.
#[track_caller]
pub fn said_by(mut command: Command) -> (Option<i32>, String) {
    let mut said = fs::File::from(memfd_create("said", MemfdFlags::CLOEXEC).expect("memfd_create"));
    let copy = || Stdio::from(said.try_clone().expect("dup"));
    let mut child = command.stdin(Stdio::null()).stdout(copy()).stderr(copy()).spawn().expect("spawn");
    let status = wait::some("the command ends", || child.try_wait().expect("wait"));
    let mut text = String::new();
    said.seek(SeekFrom::Start(0)).expect("seek");
    said.read_to_string(&mut text).expect("text");
    (status.code(), text)
}

/// Asks the control socket. It has few places, so who is turned away asks again.
#[track_caller]
pub fn status() -> Value {
    wait::some("an answer of the control socket", || {
        let mut socket = UnixStream::connect(CONTROL).ok()?;
        socket.set_read_timeout(Some(wait::DEADLINE)).expect("a time-out");
        socket.write_all(b"status\n").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        serde_json::from_str(&answer).ok()
    })
}

/// All that was logged.
pub fn log() -> String {
    String::from_utf8_lossy(&fs::read(LOG).unwrap_or_default()).into_owned()
}

/// Lines of the log that hold all of these words, which blanks part.
pub fn log_count(words: &str) -> usize {
    let text = log();
    text.lines().filter(|line| words.split(' ').all(|word| line.contains(word))).count()
}

/// Waits for such a line.
#[track_caller]
pub fn wait_for_log(words: &str) {
    wait::until(&format!("{words:?} in the log"), || log_count(words) > 0);
}

fn log_file() -> Stdio {
    fs::File::options().append(true).create(true).open(LOG).expect("the log file").into()
}
