//! One running daemon: how it is started, signalled and waited for.
//!
//! Signals go only to a process that this module started, by its id.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions};

use crate::deadline;
use crate::sandbox::{SERVER_FOLDER, library_path};
use crate::server::Server;

/// What the daemon writes on its standard output and standard error.
pub const OUTPUT: &str = "/srv/daemon.out";
pub const PID_FILE: &str = "/run/inetd.pid";

/// Whether the process that is started becomes the daemon or makes one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In the foreground where the server can, by its own word for it.
    Foreground,
    /// In the foreground, because the arguments or the environment of the case say so.
    ForegroundByCase,
    Daemon,
}

/// Everything about a start that a case may want otherwise.
#[derive(Clone)]
pub struct Launch {
    pub server: Server,
    /// Options and arguments, without the one for the foreground.
    pub arguments: Vec<String>,
    pub mode: Mode,
    pub environment: Vec<(String, String)>,
    pub umask: Option<u32>,
    pub descriptors: Option<(u64, u64)>,
    pub ignored_signals: Vec<i32>,
    pub blocked_signals: Vec<i32>,
    /// Keep CAP_NET_RAW inheritable and ambient.
    pub inheritable_capability: bool,
    /// A descriptor, not close-on-exec, that whoever started the daemon forgot to close.
    pub forgotten_descriptor: Option<i32>,
    pub user: Option<u32>,
    pub folder: String,
}

impl Launch {
    pub fn new(server: Server) -> Launch {
        Launch {
            server,
            arguments: Vec::new(),
            mode: Mode::Foreground,
            environment: Vec::new(),
            umask: None,
            descriptors: None,
            ignored_signals: Vec::new(),
            blocked_signals: Vec::new(),
            inheritable_capability: false,
            forgotten_descriptor: None,
            user: None,
            folder: "/".to_owned(),
        }
    }

    /// Starts the program and gives its process, which for a daemon is the one that will fork and exit.
    #[expect(clippy::zombie_processes, reason = "waited for by its id: see `Process`")]
    pub fn spawn(&self) -> Process {
        let output = File::options().create(true).append(true).open(OUTPUT).expect("/srv is the case's own");
        let program = Path::new(SERVER_FOLDER).join(self.server.process_name());
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("descriptors are not short"))
            .stderr(output);
        if self.server.needs_libraries() {
            command.env("LD_LIBRARY_PATH", library_path());
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(self.server.first_options());
        if self.mode == Mode::Foreground {
            command.args(self.server.foreground_option());
        }
        command.args(&self.arguments);
        let launch = self.clone();
        // SAFETY: the closure makes system calls only; this process has no thread that holds a lock then
        // which the closure would need.
        unsafe { command.pre_exec(move || launch.prepare_child()) };
        let child = command.spawn().expect("the server's program is there: the runner looked");
        Process { pid: Pid::from_child(&child) }
    }

    fn prepare_child(&self) -> io::Result<()> {
        if let Some((soft, hard)) = self.descriptors {
            let limit = Rlimit { current: Some(soft), maximum: Some(hard) };
            rustix::process::setrlimit(Resource::Nofile, limit)?;
        }
        if let Some(umask) = self.umask {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        }
        // SIGPIPE is ignored in this process; a shell would hand it on with its default action.
        set_disposition(libc::SIGPIPE, libc::SIG_DFL);
        reset_internal_signals();
        for signal in &self.ignored_signals {
            set_disposition(*signal, libc::SIG_IGN);
        }
        block(&self.blocked_signals);
        if let Some(number) = self.forgotten_descriptor {
            // SAFETY: duplicates standard input, without close-on-exec, onto a number that is free here.
            unsafe { libc::dup2(0, number) };
        }
        if self.inheritable_capability {
            keep_net_raw()?;
        }
        if let Some(user) = self.user {
            // SAFETY: plain system calls on this process, which is about to exec.
            if unsafe { libc::setgroups(0, std::ptr::null()) } != 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: as above.
            if unsafe { libc::setresgid(user, user, user) } != 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: as above.
            if unsafe { libc::setresuid(user, user, user) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

/// A process that the suite started, or one that such a process left to process 1, which is the suite.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub pid: Pid,
}

impl Process {
    /// The daemon that wrote the pid file.
    pub fn from_pid_file() -> Process {
        let pid = deadline::wait_for("a number in the pid file", || {
            fs::read_to_string(PID_FILE).ok()?.trim().parse().ok().and_then(Pid::from_raw)
        });
        Process { pid }
    }

    pub fn signal(self, signal: Signal) {
        rustix::process::kill_process(self.pid, signal).expect("the process has not been waited for");
    }

    /// Waits for the end, with the deadline.
    pub fn wait(self) -> ExitStatus {
        deadline::wait_for(&format!("the end of process {}", self.number()), || self.ended())
    }

    /// The exit status, once it has ended. Afterwards the process is gone.
    pub fn ended(self) -> Option<ExitStatus> {
        let found = rustix::process::waitpid(Some(self.pid), WaitOptions::NOHANG);
        let status = found.expect("every process of the case is a child of process 1 in the end");
        status.map(|(_, status)| ExitStatus::from_raw(status.as_raw()))
    }

    pub fn number(self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    pub fn is_alive(self) -> bool {
        let state = self.status_value("State");
        state.is_some_and(|state| !state.starts_with('Z') && !state.starts_with('X'))
    }

    /// A line of /proc/PID/status.
    pub fn status_value(self, key: &str) -> Option<String> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.number())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// What the process's descriptors lead to.
    pub fn descriptors(self) -> Vec<(i32, String)> {
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", self.number())) else {
            return Vec::new();
        };
        entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let number = entry.file_name().to_str()?.parse().ok()?;
                let target = fs::read_link(entry.path()).ok()?;
                Some((number, target.to_string_lossy().into_owned()))
            })
            .collect()
    }

    /// Its children that ended and were not waited for.
    pub fn zombies(self) -> usize {
        let children = crate::sockets::processes();
        children.iter().filter(|one| one.parent == self.number() && one.state == 'Z').count()
    }
}

pub fn ignore_sigpipe() {
    set_disposition(libc::SIGPIPE, libc::SIG_IGN);
}

pub fn set_disposition(signal: i32, action: libc::sighandler_t) {
    // SAFETY: SIG_DFL and SIG_IGN run no code.
    unsafe { libc::signal(signal, action) };
}

/// posix_spawn(3), by which this process was started, leaves one of libc's own two signals ignored.
fn reset_internal_signals() {
    const LENGTH_OF_MASK: usize = 8;
    // All zeroes is SIG_DFL without flags, in the kernel's layout on every architecture.
    let default = [0_u64; 4];
    for signal in [32, 33] {
        // SAFETY: the kernel reads `default`, which is as long as its structure, and writes nothing.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null::<u64>(),
                LENGTH_OF_MASK,
            )
        };
    }
}

fn block(signals: &[i32]) {
    // SAFETY: sigset_t is plain data; sigemptyset makes it a valid set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is this frame's.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in signals {
        // SAFETY: as above; a wrong number is refused by the call.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    // SAFETY: changes the mask of this thread, which is about to exec.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
}

/// Makes CAP_NET_RAW inheritable and ambient, as a container or a pam module may have done.
fn keep_net_raw() -> io::Result<()> {
    let mut sets = rustix::thread::capabilities(None)?;
    sets.inheritable |= rustix::thread::CapabilitySet::NET_RAW;
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::configure_capability_in_ambient_set(rustix::thread::CapabilitySet::NET_RAW, true)?;
    Ok(())
}
