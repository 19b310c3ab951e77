//! The classic face: `inetd`, with the flags, the log lines and the habits of Debian's openbsd-inetd.

use std::ffi::OsString;

use clap::ArgMatches;
use rustix::process::getuid;
use usherd_model::config::Defaults;
use usherd_model::environment::Inherit;
use usherd_model::first_load::Insistence;
use usherd_model::service::Stderr;
use usherd_model::supervisor::Settings;

use super::{SERVICES_SHARE, STARTS_A_MINUTE, absolute, limits, max_sessions};
use crate::cli;
use crate::exit_code::Exit;
use crate::log::{Format, Level, Logger, Record, Sink, Syslog};
use crate::message::SourceSpec;
use crate::startup::{Background, ControlPath, Options, Speech};

/// As the package has it, for its init script and for update-inetd.
const PID_FILE: &str = "/run/inetd.pid";
const CONFIG: &str = "/etc/inetd.conf";
const IDENT: &str = "inetd";

/// The smallest backlog that `-q` can ask for.
const LEAST_BACKLOG: u32 = 10;
const BACKLOG: u32 = 128;

pub(super) fn run(arguments: &[OsString]) -> Exit {
    match cli::inetd().try_get_matches_from(arguments) {
        Ok(matches) => run_matches(&matches),
        Err(error) if !error.use_stderr() => super::say_usage(&error),
        Err(_) => usage(),
    }
}

pub(super) fn run_matches(matches: &ArgMatches) -> Exit {
    let options = match options(matches) {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    // The original knows one status for everything that goes wrong.
    if super::serve(IDENT, options) == Exit::Success { Exit::Success } else { Exit::Failure }
}

fn options(matches: &ArgMatches) -> Result<Options, Exit> {
    if matches.get_flag("wrap") {
        complain(
            "-l: TCP wrappers are not offered by this version, and serving without them would be open to all",
        );
        return Err(Exit::Failure);
    }
    let root = getuid().is_root();
    let paths: Vec<&String> = matches.get_many("config").into_iter().flatten().collect();
    let config = match paths.as_slice() {
        [] if root => CONFIG.to_owned(),
        [] => {
            complain("non-root must specify a config file");
            return Err(Exit::Failure);
        }
        [path] => absolute(path),
        _ => {
            complain("more than one argument specified");
            return Err(Exit::Failure);
        }
    };
    let debug = matches.get_flag("debug");
    let stays = debug || matches.get_flag("foreground") || std::env::var_os("NOTIFY_SOCKET").is_some();
    Ok(Options {
        sources: vec![SourceSpec::File(config)],
        defaults: Defaults {
            limits: limits(Some(rate(matches))),
            sessions: max_sessions() / SERVICES_SHARE,
            backlog: backlog(matches),
            ucspi: false,
            stderr: Stderr::Connection,
        },
        settings: Settings { max_children: u32::MAX, max_sessions: max_sessions(), log_connections: debug },
        insistence: Insistence::ServeTheRest,
        speech: if debug { Speech::People } else { Speech::Syslog(IDENT) },
        pid_file: if root { Some(PID_FILE.to_owned()) } else { None },
        control: ControlPath::Default,
        background: if stays { Background::Foreground } else { Background::Detached },
        inherit: if matches.get_flag("keep-environment") { Inherit::All } else { Inherit::Cleaned },
        on_ready: Box::new(|_| {}),
    })
}

/// `-R`: a bad value is logged, and the default used.
fn rate(matches: &ArgMatches) -> u32 {
    let Some(text) = matches.get_one::<String>("rate") else { return STARTS_A_MINUTE };
    match text.parse() {
        Ok(rate @ 1..) => rate,
        Ok(0) | Err(_) => {
            let text = format!("-R {text}: bad value for service invocation rate");
            let mut logger = Logger::new(Sink::Syslog(Syslog::new(IDENT)), Format::Original);
            logger.log(&Record::new(Level::Error, "bad-rate", text));
            STARTS_A_MINUTE
        }
    }
}

/// `-q`: as atoi(3), which takes what begins like a number, and never less than ten.
fn backlog(matches: &ArgMatches) -> u32 {
    let Some(text) = matches.get_one::<String>("backlog") else { return BACKLOG };
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<u32>().unwrap_or_default().max(LEAST_BACKLOG)
}

fn usage() -> Exit {
    #[expect(clippy::print_stderr, reason = "this is where the face speaks")]
    {
        eprintln!("usage: {}", cli::INETD_USAGE);
    }
    Exit::Failure
}

#[expect(clippy::print_stderr, reason = "this is where the face speaks")]
fn complain(text: &str) {
    eprintln!("inetd: {text}");
}
