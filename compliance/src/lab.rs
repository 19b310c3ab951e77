//! What a case works with: the daemon under test, its configuration and its log, in namespaces of their own.
//!
//! The configuration gets a last line of the lab's, a listener on a port that changes with every reload: when
//! that one listens, the daemon has read everything above. No case waits a fixed time for a reload.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rustix::process::Signal;

use crate::cases;
use crate::client;
use crate::command::OneCase;
use crate::daemon::{Launch, Mode, OUTPUT, PID_FILE, Process};
use crate::deadline;
use crate::probe;
use crate::sandbox::{self, SERVER_FOLDER};
use crate::server::{Dialect, Server};
use crate::sockets;
use crate::syslog::Syslog;

pub const CONFIG: &str = "/etc/inetd.conf";
/// Without `-pidfile` xinetd writes no process number, so it is asked for one where it becomes a daemon.
const PID_FILE_OPTION: &str = "-pidfile";
const FIRST_MARK_PORT: u16 = 59_000;

/// Exit codes of a case's process.
pub const PASSED: i32 = 0;
pub const FAILED: i32 = 1;
pub const CANNOT_RUN: i32 = 2;

pub struct Lab {
    pub server: Server,
    pub syslog: Syslog,
    daemon: Option<Process>,
    config_path: String,
    generation: u16,
}

/// Runs one case as process 1 of namespaces that exist already. What it prints explains a failure.
pub fn run_case(one: &OneCase) -> i32 {
    let Some(case) = cases::all().into_iter().find(|(name, _)| *name == one.name).map(|(_, case)| case)
    else {
        println!("no such case: {}", one.name);
        return CANNOT_RUN;
    };
    if let Err(message) = sandbox::furnish(one) {
        println!("this machine cannot give what a case needs: {message}");
        return CANNOT_RUN;
    }
    // A case that is expected to fail often fails by waiting in vain.
    deadline::set_patience(Duration::from_millis(if one.ignored { 2500 } else { 10_000 }));
    let mut lab = Lab {
        server: one.server,
        syslog: Syslog::listen(),
        daemon: None,
        config_path: one.server.config_path().to_owned(),
        generation: 0,
    };
    std::panic::set_hook(Box::new(|panic| println!("{panic}")));
    let result = catch_unwind(AssertUnwindSafe(|| (case.run)(&mut lab)));
    let Err(_) = result else {
        return PASSED;
    };
    lab.explain();
    FAILED
}

impl Lab {
    /// A start as most cases want it.
    pub fn launch(&self) -> Launch {
        Launch::new(self.server)
    }

    /// The same with options.
    pub fn launch_with(&self, options: &[&str]) -> Launch {
        let mut launch = self.launch();
        launch.arguments = options.iter().map(|word| (*word).to_owned()).collect();
        launch
    }

    /// Writes the configuration, starts the daemon and waits until it has read it.
    pub fn start(&mut self, config: &str) -> Process {
        self.start_with(self.launch(), config)
    }

    pub fn start_with(&mut self, launch: Launch, config: &str) -> Process {
        self.write_config(config);
        let process = self.start_only(&launch);
        self.wait_read();
        process
    }

    /// Starts the daemon on the files as they are and waits for nothing but, for a daemon, the pid file.
    pub fn start_only(&mut self, launch: &Launch) -> Process {
        let mut launch = launch.clone();
        if launch.mode == Mode::Daemon
            && self.server.is_xinetd()
            && launch.arguments.iter().all(|word| word != PID_FILE_OPTION)
        {
            launch.arguments.extend([PID_FILE_OPTION, PID_FILE].map(str::to_owned));
        }
        let stays = match launch.mode {
            Mode::Foreground => self.server.foreground_option().is_some(),
            Mode::ForegroundByCase => true,
            Mode::Daemon => false,
        };
        let started = launch.spawn();
        let process = if stays {
            started
        } else {
            let status = started.wait();
            assert!(status.success(), "the process that makes the daemon should exit 0, and gave {status}");
            Process::from_pid_file()
        };
        self.daemon = Some(process);
        process
    }

    /// Reads another file than the usual one from now on.
    pub fn use_config_path(&mut self, path: &str) {
        self.config_path = path.to_owned();
    }

    /// Writes the configuration with the mark of the next generation as its last line.
    pub fn write_config(&mut self, config: &str) {
        self.generation += 1;
        let mark = self.mark_line();
        let end = if config.is_empty() || config.ends_with('\n') { "" } else { "\n" };
        self.write_raw_config(format!("{config}{end}{mark}\n"));
    }

    /// Writes the file and nothing more.
    pub fn write_raw_config(&self, text: impl AsRef<[u8]>) {
        fs::write(&self.config_path, text).expect("/etc is the case's own");
    }

    /// The new configuration by SIGHUP; waits until it has been read.
    pub fn reload(&mut self, config: &str) {
        self.write_config(config);
        self.daemon().signal(Signal::HUP);
        self.wait_read();
    }

    /// What a case adds itself when the file is not written by [`Lab::write_config`]: a line, or several.
    pub fn mark_line(&self) -> String {
        let port = self.mark_port();
        if self.server.is_xinetd() {
            return format!(
                "service mark-{port}\n{{\n type = UNLISTED\n socket_type = stream\n protocol = tcp\n \
                 port = {port}\n bind = 127.0.0.1\n wait = no\n user = root\n server = /bin/true\n \
                 flags = NOLIBWRAP\n}}"
            );
        }
        // With plain `tcp`, openbsd-inetd would complain of the IPv6 twin; busybox knows no `tcp4`.
        let protocol = if self.server.dialect() == Some(Dialect::Busybox) { "tcp" } else { "tcp4" };
        format!("127.0.0.1:{port} stream {protocol} nowait root /bin/true true")
    }

    /// Waits until the mark of this generation listens.
    pub fn wait_read(&self) {
        let port = self.mark_port();
        deadline::wait_until("the daemon has read its configuration", || {
            !sockets::tcp_listeners_on(port).is_empty()
        });
    }

    fn mark_port(&self) -> u16 {
        FIRST_MARK_PORT + self.generation
    }

    /// The daemon that was started last.
    pub fn daemon(&self) -> Process {
        self.daemon.expect("the case has started its daemon")
    }

    pub fn signal(&self, signal: Signal) {
        self.daemon().signal(signal);
    }

    /// Fails unless the daemon is there and still serves.
    pub fn assert_serves(&self) {
        assert!(self.daemon().is_alive(), "the daemon is no longer there");
        let address = format!("127.0.0.1:{}", self.mark_port());
        assert_eq!(client::tcp(&address).all(), b"", "/bin/true says nothing");
    }

    /// `usherd check` of some files in the dialect at hand: its status, and what it said.
    pub fn check(&self, paths: &[&str]) -> (Option<i32>, String) {
        let program = std::path::Path::new(SERVER_FOLDER).join("usherd");
        let mut command = std::process::Command::new(program);
        command.arg("check").args(self.server.first_options()).args(paths);
        let output = command.output().expect("usherd is there: the case is for it");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// How often a probe was started.
    pub fn starts(&self) -> usize {
        fs::read_to_string(probe::STARTS).unwrap_or_default().lines().count()
    }

    /// What the daemon wrote on its own standard output and error.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(OUTPUT).unwrap_or_default()).into_owned()
    }

    fn explain(&self) {
        for message in self.syslog.messages() {
            println!("  syslog: {}[{:?}]: {}", message.ident, message.pid, message.text);
        }
        for line in self.output().lines() {
            println!("  output: {line}");
        }
        for line in fs::read_to_string(&self.config_path).unwrap_or_default().lines().take(60) {
            println!("  config: {}", line.get(..200).unwrap_or(line));
        }
    }
}
