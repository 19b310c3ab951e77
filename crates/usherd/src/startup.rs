//! From a called program to a serving daemon: the privilege timeline, top to bottom.
//!
//! Nothing of what a caller can reach exists before the process is in the state that it keeps; no child is started
//! before descriptors, signals, groups and capabilities are what children may inherit.

use std::os::fd::OwnedFd;

use rustix::fs::Mode;
use rustix::process::{chdir, geteuid, getgid, getuid, setsid};
use rustix::thread::{CapabilitySet, capabilities, clear_ambient_capability_set, set_capabilities};
use usherd_model::environment::Inherit;
use usherd_model::first_load::{Failure, Insistence};
use usherd_model::supervisor::Settings;
use usherd_sys::signal::{self, Signal, SignalFd};
use usherd_sys::spawn::{Memory, Spawner};

use crate::control::Control;
use crate::daemon::{Daemon, OnReady, Parts};
use crate::exit_code::Exit;
use crate::loader::Loader;
use crate::log::{Format, Level, Logger, OwnFile, Record, Sink, Syslog, Terminal, XINETD};
use crate::message::Request;
use crate::notify::ServiceManager;
use crate::pid_file::{PidFile, PidFileError};
use crate::programs::{Own, Programs};
use crate::socket_file::Refused;
use crate::tables::TableReader;
use crate::{clock, control, descriptors};

/// What a face asks for.
pub struct Options {
    /// What is loaded.
    pub request: Request,
    /// How the daemon behaves.
    pub settings: Settings,
    /// Whether it serves what can be served, or all or nothing.
    pub insistence: Insistence,
    /// Where it speaks, and how.
    pub speech: Speech,
    /// Its pid file.
    pub pid_file: Option<String>,
    /// Its control socket.
    pub control: ControlPath,
    /// Whether it goes into the background.
    pub background: Background,
    /// What programs inherit of the environment.
    pub inherit: Inherit,
    /// What programs may not give away when they make files, where their services say nothing of it.
    pub umask: Umask,
    /// What happens when all is open for the first time.
    pub on_ready: OnReady,
}

/// The daemon's own umask, which programs inherit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Umask {
    /// 022, whatever the daemon was started with.
    Usual,
    /// The same and what the daemon was started with, as xinetd does.
    UsualAndInherited,
}

/// Where a daemon speaks, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speech {
    /// On standard error: for people on a terminal, as fields otherwise.
    Stderr,
    /// On standard error, for people.
    People,
    /// To syslog, under this name, as the original does.
    Syslog(&'static str),
    /// To syslog with this facility, not shifted, as xinetd does.
    XinetdSyslog(u8),
    /// To a file, as xinetd does.
    XinetdFile(String),
    /// On standard error, as xinetd does.
    XinetdStderr,
}

/// Where the control socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlPath {
    /// Nowhere.
    Absent,
    /// Where `usherd status` looks; if another daemon is there, this one does without.
    Default,
    /// Here.
    At(String),
}

/// Whether a daemon stays with the one who started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// It stays.
    Foreground,
    /// It leaves; who started it waits until all is open.
    Detached,
}

/// Why a daemon did not start.
#[derive(Debug)]
pub enum StartError {
    /// A call that must not fail failed.
    System(&'static str, std::io::Error),
    /// There is no pid file.
    PidFile(PidFileError),
    /// There is no control socket.
    Control(String, Refused),
    /// The file for the daemon's own lines cannot be written.
    LogFile(String, std::io::Error),
    /// The first load failed, or what it found cannot be served.
    Refused(Failure),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::System(call, _) => write!(f, "{call}"),
            StartError::PidFile(error) => write!(f, "{error}"),
            StartError::Control(path, (call, _)) => write!(f, "control socket {path}: {call}"),
            StartError::LogFile(path, _) => write!(f, "cannot open the log file {path}"),
            StartError::Refused(Failure::Configuration(why) | Failure::NotPermitted(why)) => {
                write!(f, "{why}")
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::System(_, error) | StartError::LogFile(_, error) => Some(error),
            StartError::Control(_, (_, error)) => Some(error),
            StartError::PidFile(_) | StartError::Refused(_) => None,
        }
    }
}

impl StartError {
    /// How the program ends.
    pub fn exit(&self) -> Exit {
        match self {
            StartError::System(..) | StartError::Control(..) | StartError::LogFile(..) => Exit::System,
            StartError::PidFile(PidFileError::Held(_)) => Exit::Running,
            StartError::PidFile(PidFileError::Refused(..)) => Exit::System,
            StartError::Refused(Failure::Configuration(_)) => Exit::Config,
            StartError::Refused(Failure::NotPermitted(_)) => Exit::NotPermitted,
        }
    }
}

/// Becomes the daemon that a face asks for, and serves until it is told to end.
pub fn serve(options: Options) -> Result<(), StartError> {
    let Options {
        request,
        settings,
        insistence,
        speech,
        pid_file,
        control,
        background,
        inherit,
        umask,
        on_ready,
    } = options;
    descriptors::sanitise().map_err(system("descriptors"))?;
    signal::reset_dispositions();
    signal::block_all().map_err(|error| StartError::System("sigprocmask", error))?;
    set_umask(umask);
    chdir("/").map_err(system("chdir"))?;
    let own = forget_groups()?;
    forget_inheritable_capabilities();
    let limit = descriptors::raise_limit();
    // The file is taken here, so that "another daemon runs" is said where it is read.
    let (pid_file, no_pid_file) = match pid_file.as_deref().map(PidFile::take).transpose() {
        Ok(pid_file) => (pid_file, None),
        Err(error @ PidFileError::Held(_)) => return Err(StartError::PidFile(error)),
        // As the original: a daemon without one is better than no daemon.
        Err(error @ PidFileError::Refused(..)) => (None, Some(error)),
    };
    // Whoever starts a daemon that nobody would hear is to know.
    if let Speech::XinetdFile(path) = &speech {
        OwnFile::probe(path).map_err(|error| StartError::LogFile(path.clone(), error.into()))?;
    }
    let launcher = match background {
        Background::Foreground => None,
        Background::Detached => Some(detach()?),
    };
    let no_pid_file = no_pid_file.or_else(|| pid_file.as_ref()?.write().err());
    let mut logger = logger(speech);
    if let Some(error) = no_pid_file {
        logger.log(&Record::new(Level::Warning, "no-pid-file", format!("no pid file: {error}")));
    }
    let control = open_control(&control, &mut logger)?;
    let memory = memory(&mut logger);
    Daemon::new(Parts {
        settings,
        table_reader: TableReader::new(request.tables.clone()),
        loader: Loader::new(request),
        spawner: Spawner::new(memory),
        programs: Programs::new(inherit, limit, own),
        insistence,
        logger,
        signals: SignalFd::new(&[
            Signal::HUP,
            Signal::TERM,
            Signal::INT,
            Signal::QUIT,
            Signal::CHLD,
            Signal::ALRM,
            Signal::USR1,
            Signal::USR2,
        ])
        .map_err(|error| StartError::System("signalfd", error))?,
        control,
        manager: ServiceManager::new(clock::now()),
        on_ready: Box::new(move |supervisor| {
            on_ready(supervisor);
            if let Some(launcher) = launcher {
                release(launcher);
            }
        }),
    })
    .map_err(system("epoll"))
    .and_then(|daemon| daemon.run().map_err(StartError::Refused))
}

fn set_umask(which: Umask) {
    let usual = Mode::from_raw_mode(0o022);
    let inherited = rustix::process::umask(usual);
    if which == Umask::UsualAndInherited {
        rustix::process::umask(usual | inherited);
    }
}

/// Drops the supplementary groups of whoever started us, as the original does.
fn forget_groups() -> Result<Own, StartError> {
    let gid = getgid().as_raw();
    if geteuid().is_root() {
        usherd_sys::process::set_groups(&[gid]).map_err(|error| StartError::System("setgroups", error))?;
    }
    Ok(Own { uid: getuid().as_raw(), gid })
}

/// A change of user clears permitted and effective capabilities and leaves the inheritable ones; an ambient one
/// would even outlive exec. The daemon keeps what it can do itself.
fn forget_inheritable_capabilities() {
    // Neither can fail for a process that only gives something up; a kernel without them has none to give.
    let _ = clear_ambient_capability_set();
    if let Ok(sets) = capabilities(None) {
        let _ = set_capabilities(
            None,
            rustix::thread::CapabilitySets { inheritable: CapabilitySet::empty(), ..sets },
        );
    }
}

/// Forks. The first process waits until the second is ready, and ends; this returns in the second, with the pipe that
/// the first waits at.
fn detach() -> Result<OwnedFd, StartError> {
    let (wait, release) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(system("pipe"))?;
    let release = descriptors::move_up(release);
    if usherd_sys::process::fork().map_err(|error| StartError::System("fork", error))?.is_some() {
        drop(release);
        let mut ready = [0_u8; 1];
        let exit = match rustix::io::read(&wait, &mut ready) {
            Ok(1) => Exit::Success,
            // The second process has said why on the standard error that both have.
            Ok(_) | Err(_) => Exit::Failure,
        };
        usherd_sys::process::exit_now(exit.number().into());
    }
    setsid().map_err(system("setsid"))?;
    Ok(release)
}

/// Tells the first process that we are ready, and lets go of its terminal.
fn release(launcher: OwnedFd) {
    let _ = descriptors::detach_stdio();
    let _ = rustix::io::write(&launcher, b"1");
}

fn logger(speech: Speech) -> Logger {
    match speech {
        Speech::Syslog(ident) => Logger::new(Sink::Syslog(Syslog::new(ident)), Format::Original),
        Speech::XinetdSyslog(facility) => {
            Logger::new(Sink::Syslog(Syslog::with_facility(XINETD, facility)), Format::Xinetd)
        }
        Speech::XinetdFile(path) => Logger::new(Sink::File(OwnFile::new(&path)), Format::Xinetd),
        Speech::XinetdStderr => Logger::new(Sink::Terminal(Terminal::new()), Format::Xinetd),
        Speech::People => Logger::new(Sink::Terminal(Terminal::new()), Format::People),
        Speech::Stderr => {
            let people = rustix::termios::isatty(rustix::stdio::stderr());
            let format = if people { Format::People } else { Format::Fields };
            Logger::new(Sink::Terminal(Terminal::new()), format)
        }
    }
}

fn open_control(path: &ControlPath, logger: &mut Logger) -> Result<Option<Control>, StartError> {
    match path {
        ControlPath::Absent => Ok(None),
        ControlPath::At(path) => {
            Control::open(path).map(Some).map_err(|error| StartError::Control(path.clone(), error))
        }
        ControlPath::Default => {
            let path = control::default_path();
            Ok(match Control::open(&path) {
                Ok(control) => Some(control),
                Err((call, error)) => {
                    let text = format!(
                        "no control socket, so no status: {path}: {call}: {error}; --control names another"
                    );
                    logger.log(&Record::new(Level::Warning, "no-control", text));
                    None
                }
            })
        }
    }
}

/// Children share our memory until exec, unless a user could look into it meanwhile.
fn memory(logger: &mut Logger) -> Memory {
    let dumpable = std::fs::read_to_string("/proc/sys/fs/suid_dumpable").unwrap_or_default();
    if dumpable.trim() != "1" {
        return Memory::Shared;
    }
    let text = "fs.suid_dumpable is 1: children are started by fork, which is slower";
    logger.log(&Record::new(Level::Warning, "suid-dumpable", text));
    Memory::Copied
}

fn system(call: &'static str) -> impl Fn(rustix::io::Errno) -> StartError {
    move |error| StartError::System(call, error.into())
}
