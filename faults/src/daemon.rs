//! The daemon under strace: started, looked at, told to end.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::case::{Case, Fault};
use crate::processes;

/// In the language of inetd, and in that of xinetd.
pub const CONFIGURATIONS: [&str; 2] = ["/run/inetd.conf", "/run/xinetd.conf"];
pub const CONTROL: &str = "/run/control.sock";
pub const PID_FILE: &str = "/run/usherd.pid";
const LOG: &str = "/run/log";
const TRACE: &str = "/run/trace";
const NOTIFY: &str = "/run/notify.sock";

/// A running daemon.
pub struct Daemon {
    process: Child,
    notify: UnixDatagram,
}

impl Daemon {
    /// Starts it. A case of a child begins without strace; see [`Daemon::disturb`].
    pub fn start(usherd: &Path, case: &Case) -> Result<Self, String> {
        let notify = UnixDatagram::bind(NOTIFY).map_err(|error| format!("{NOTIFY}: {error}"))?;
        notify
            .set_read_timeout(Some(Duration::from_millis(50)))
            .map_err(|error| format!("{NOTIFY}: {error}"))?;
        let mut command = match case {
            Case::Crowded | Case::Child(..) => Command::new(usherd),
            Case::Undisturbed | Case::Daemon(_) => {
                // The tracer is a grandchild: the process that we wait for is the daemon itself.
                let mut strace = Command::new("strace");
                strace.args(["-D", "-qq", "-s", "64", "-e", "signal=none", "-o", TRACE]);
                if let Some(fault) = case.fault() {
                    strace.args(injection(fault));
                }
                strace.arg("--").arg(usherd);
                strace
            }
        };
        let log = fs::File::create(LOG).map_err(|error| format!("{LOG}: {error}"))?;
        command.arg("run").args(CONFIGURATIONS.iter().flat_map(|path| ["-c", path]));
        command.args(["--control", CONTROL, "--pid-file", PID_FILE]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).env("NOTIFY_SOCKET", NOTIFY);
        let process = command.spawn().map_err(|error| format!("cannot start: {error}"))?;
        Ok(Self { process, notify })
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it says that it is ready. False when it does not.
    pub fn wait_until_ready(&mut self, patience: Duration) -> bool {
        let began = Instant::now();
        let mut text = [0; 512];
        while began.elapsed() < patience && self.ended().is_none() {
            if let Ok(length) = self.notify.recv(&mut text)
                && text[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
            {
                return true;
            }
        }
        false
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Waits until it has ended.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < patience {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            // If it has ended, that is found out and told elsewhere.
            let _ = kill_process(pid, signal);
        }
    }

    /// Lets a call of each new child fail, for as long as `meanwhile` takes.
    pub fn disturb(&self, fault: &Fault, meanwhile: impl FnOnce()) -> Result<(), String> {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", "signal=none", "-o", TRACE, "-p", &self.pid().to_string()]);
        strace.args(injection(fault)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut strace = strace.spawn().map_err(|error| format!("cannot start strace: {error}"))?;
        let began = Instant::now();
        while !self.is_traced() {
            if began.elapsed() > Duration::from_secs(5) {
                return Err("strace does not attach".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        meanwhile();
        if let Some(pid) = i32::try_from(strace.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        strace.wait().map_err(|error| format!("strace: {error}"))?;
        Ok(())
    }

    fn is_traced(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        tracer.is_some_and(|pid| pid.trim() != "0")
    }
}

fn injection(fault: &Fault) -> [String; 4] {
    let Fault { call, error, when } = fault;
    [
        "-e".to_owned(),
        format!("trace={call}"),
        "-e".to_owned(),
        format!("inject={call}:error={error}:when={when}"),
    ]
}

/// What it has said so far.
pub fn log() -> String {
    fs::read_to_string(LOG).unwrap_or_default()
}

/// What strace has written, when it has ended with what it traced.
pub fn trace() -> String {
    let began = Instant::now();
    while processes::any("strace") && began.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(10));
    }
    String::from_utf8_lossy(&fs::read(TRACE).unwrap_or_default()).into_owned()
}
