//! The classic face: `inetd`, with the flags, the log lines and the habits of Debian's openbsd-inetd.

use std::ffi::OsString;
use std::path::Path;

use clap::ArgMatches;
use rustix::process::getuid;
use usherd_model::config::inetd::DialectName;
use usherd_model::config::{Defaults, Wraps};
use usherd_model::environment::Inherit;
use usherd_model::first_load::Insistence;
use usherd_model::service::Voice;
use usherd_model::supervisor::Settings;

use super::{absolute, caller_variables, defaults, dialect, max_sessions, per_minute};
use crate::cli;
use crate::exit_code::Exit;
use crate::log::{Format, Level, Logger, Record, Sink, Syslog};
use crate::message::{Request, SourceSpec};
use crate::output;
use crate::startup::{Background, ControlPath, Options, Speech, Umask};
use crate::tables::TablePaths;

/// As the package has it, for its init script and for update-inetd.
const PID_FILE: &str = "/run/inetd.pid";
const CONFIG: &str = "/etc/inetd.conf";
/// What GNU's reads too.
const CONFIG_FOLDER: &str = "/etc/inetd.d";
const IDENT: &str = "inetd";

/// The smallest backlog that `-q` can ask for; busybox takes what it is given.
fn least_backlog(dialect: DialectName) -> u32 {
    match dialect {
        DialectName::Busybox => 1,
        DialectName::Union
        | DialectName::Openbsd
        | DialectName::Gnu
        | DialectName::Freebsd
        | DialectName::Netbsd => 10,
    }
}

pub(super) fn run(arguments: &[OsString]) -> Exit {
    match cli::inetd().try_get_matches_from(attach_values(arguments)) {
        Ok(matches) => run_matches(matches),
        Err(error) if !error.use_stderr() => super::say_usage(&error),
        Err(_) => usage(),
    }
}

/// GNU's `-p` has a value only when it is attached: a word behind it is a configuration, which a pid file must not
/// take the place of.
pub(super) fn attach_values(arguments: &[OsString]) -> Vec<OsString> {
    let is_gnu = arguments.iter().any(|word| word == "--dialect=gnu")
        || arguments.windows(2).any(|pair| pair == ["--dialect", "gnu"]);
    let attach = |word: &OsString| match word.to_str() {
        Some("-p" | "--pidfile") if is_gnu => OsString::from("--pidfile="),
        _ => word.clone(),
    };
    arguments.iter().map(attach).collect()
}

pub(super) fn run_matches(matches: ArgMatches) -> Exit {
    let options = match options(&matches) {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    // A daemon has no use for them any more.
    drop(matches);
    // The original knows one status for everything that goes wrong.
    if super::serve(IDENT, options) == Exit::Success { Exit::Success } else { Exit::Failure }
}

fn options(matches: &ArgMatches) -> Result<Options, Exit> {
    let dialect = dialect(matches);
    let logs_connections = matches.get_flag("log") && dialect == DialectName::Freebsd;
    let root = getuid().is_root();
    let debug = matches.get_flag("debug");
    let stays = debug || matches.get_flag("foreground") || std::env::var_os("NOTIFY_SOCKET").is_some();
    let default_pid_file = if root { Some(PID_FILE.to_owned()) } else { None };
    let pid_file = match matches.get_one::<String>("pid-file") {
        None => default_pid_file,
        Some(path) if path.is_empty() => None,
        Some(path) => Some(absolute(path)),
    };
    Ok(Options {
        request: Request {
            sources: sources(matches, dialect, root)?,
            dialect,
            defaults: numbers(matches, dialect),
            tables: TablePaths::default(),
        },
        settings: Settings {
            max_children: u32::MAX,
            max_sessions: max_sessions(),
            log_connections: debug || logs_connections,
            ..Settings::default()
        },
        insistence: Insistence::ServeTheRest,
        speech: match (debug, matches.get_flag("stderr")) {
            (true, _) => Speech::People,
            (false, true) => Speech::Stderr,
            (false, false) => Speech::Syslog(IDENT),
        },
        pid_file,
        control: ControlPath::Default,
        background: if stays { Background::Foreground } else { Background::Detached },
        inherit: if matches.get_flag("keep-environment") { Inherit::All } else { Inherit::Cleaned },
        umask: Umask::Usual,
        on_ready: Box::new(|_| {}),
    })
}

/// One file for all but GNU's, which takes any number of files and folders.
fn sources(matches: &ArgMatches, dialect: DialectName, root: bool) -> Result<Vec<SourceSpec>, Exit> {
    let paths: Vec<&String> = matches.get_many("config").into_iter().flatten().collect();
    match (paths.as_slice(), dialect) {
        ([], DialectName::Gnu) => {
            let folder = Some(CONFIG_FOLDER).filter(|path| Path::new(path).is_dir());
            Ok([CONFIG].into_iter().chain(folder).map(|path| SourceSpec::path(path.to_owned())).collect())
        }
        ([], _) if root => Ok(vec![SourceSpec::File(CONFIG.to_owned())]),
        ([], _) => {
            complain("non-root must specify a config file");
            Err(Exit::Failure)
        }
        (paths, DialectName::Gnu) => Ok(paths.iter().map(|path| SourceSpec::path(absolute(path))).collect()),
        ([path], _) => Ok(vec![SourceSpec::File(absolute(path))]),
        _ => {
            complain("more than one argument specified");
            Err(Exit::Failure)
        }
    }
}

/// What holds where a line says nothing else.
fn numbers(matches: &ArgMatches, dialect: DialectName) -> Defaults {
    let mut defaults = defaults(dialect);
    // A bad value is logged, and the default used.
    let count = |name: &str, letter: char| -> Option<u32> {
        let text = matches.get_one::<String>(name)?;
        let count = text.parse().ok();
        if count.is_none() {
            log_bad_value(letter, text);
        }
        count
    };
    match (count("rate", 'R'), dialect) {
        (None, _) => {}
        (Some(0), DialectName::Freebsd | DialectName::Busybox) => defaults.limits.starts = None,
        (Some(0), _) => log_bad_value('R', "0"),
        (Some(rate), _) => defaults.limits.starts = Some(per_minute(rate)),
    }
    let limited = |count: Option<u32>| count.filter(|count| *count > 0);
    defaults.limits.children = limited(count("children", 'c'));
    defaults.limits.source_starts = limited(count("source-rate", 'C')).map(per_minute);
    defaults.limits.source_children = limited(count("source-children", 's'));
    if let Some(text) = matches.get_one::<String>("backlog") {
        // As atoi(3), which takes what begins like a number.
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        defaults.backlog = digits.parse::<u32>().unwrap_or_default().max(least_backlog(dialect));
    }
    defaults.names = matches.get_flag("resolve");
    defaults.variables = caller_variables(matches.get_flag("environment") || defaults.names);
    defaults.bind = matches.get_one::<String>("address").cloned();
    (defaults.wraps_programs, defaults.wraps_builtins) = wraps(matches, dialect);
    defaults
}

/// Whether hosts.allow and hosts.deny are asked: `-l` of openbsd-inetd, `-w` and `-W` of FreeBSD's, and always by NetBSD's,
/// which says only with `-l` whom it has let in.
fn wraps(matches: &ArgMatches, dialect: DialectName) -> (Option<Wraps>, Option<Wraps>) {
    let [log, programs, builtins] = ["log", "wrap", "wrap-internal"].map(|name| matches.get_flag(name));
    let is_freebsd = dialect == DialectName::Freebsd;
    let is_netbsd = dialect == DialectName::Netbsd;
    let voice = if is_netbsd && !log { Voice::Refusals } else { Voice::Inetd };
    let wraps = |asked: bool| if asked { Some(Wraps { by_path: is_freebsd, voice }) } else { None };
    (wraps(programs || is_netbsd || log && !is_freebsd), wraps(builtins))
}

fn log_bad_value(letter: char, text: &str) {
    let what = if letter == 'R' { "bad value for service invocation rate" } else { "bad value" };
    let text = format!("-{letter} {text}: {what}");
    // The original has not called openlog(3) yet.
    let mut logger = Logger::new(Sink::Syslog(Syslog::unopened(IDENT)), Format::Original);
    logger.log(&Record::new(Level::Error, "bad-value", text));
}

fn usage() -> Exit {
    output::complain(&format!("usage: {}", cli::INETD_USAGE));
    Exit::Failure
}

fn complain(text: &str) {
    output::complain(&format!("inetd: {text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_behind_gnus_p_is_a_configuration() {
        let attached = |text: &str| -> Vec<String> {
            let words: Vec<OsString> = text.split(' ').map(OsString::from).collect();
            attach_values(&words).into_iter().filter_map(|word| word.into_string().ok()).collect()
        };
        let gnu = attached("inetd --dialect gnu -p /etc/x.conf");
        assert_eq!(gnu, ["inetd", "--dialect", "gnu", "--pidfile=", "/etc/x.conf"]);
        assert_eq!(attached("inetd --dialect=gnu -p/run/x"), ["inetd", "--dialect=gnu", "-p/run/x"]);
        assert_eq!(attached("inetd -p /run/x"), ["inetd", "-p", "/run/x"]);
        let matches = cli::inetd().try_get_matches_from(gnu).expect("these are good arguments");
        assert_eq!(matches.get_one::<String>("pid-file").map(String::as_str), Some(""));
        assert_eq!(matches.get_one::<String>("config").map(String::as_str), Some("/etc/x.conf"));
    }
}
