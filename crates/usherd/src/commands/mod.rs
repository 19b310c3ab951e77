//! The faces of the program, one file each.

mod access;
mod check;
mod convert;
mod demo;
mod effects;
mod ident;
mod inetd;
mod load;
mod resolve;
mod run;
mod safe_finger;
mod serve;
mod status;
mod tcpd;
mod tcpdchk;
mod tcpdmatch;
mod try_from;
mod with_names;
mod xinetd;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::ArgMatches;
use usherd_model::config::inetd::DialectName;
use usherd_model::config::{Defaults, STARTS_WINDOW};
use usherd_model::environment::Inherit;
use usherd_model::service::{AtLimit, CallerVariables, Limits, Rate, SourcePrefix, Stderr};

use crate::cli::{self, DialectChoice};
use crate::errno;
use crate::exit_code::Exit;
use crate::output::complain;
use crate::startup::{self, ControlPath, Options};
use crate::tables::TablePaths;

/// Runs the face that the arguments name.
pub fn run(arguments: Vec<OsString>) -> Exit {
    let name = arguments.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    if is_tcpd(name) {
        return tcpd::run(arguments.into_iter());
    }
    match name.to_str() {
        Some("tcpdmatch") => return tcpdmatch::run(arguments.into_iter()),
        Some("tcpdchk") => return tcpdchk::run(arguments.into_iter()),
        Some("safe_finger") => return safe_finger::run(arguments.into_iter()),
        Some("try-from") => return try_from::run(arguments.into_iter()),
        Some(_) | None => {}
    }
    if name == "inetd" {
        return inetd::run(&arguments);
    }
    if name == "xinetd" {
        return xinetd::run(&arguments);
    }
    // What the daemon starts does without the command line's machinery.
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some("load") => return load::run(),
        Some("resolve") => return resolve::run(),
        Some("effects") => return effects::run(arguments.into_iter().skip(2)),
        Some(_) | None => {}
    }
    let arguments = match arguments.get(1) {
        Some(word) if word == "inetd" => inetd::attach_values(&arguments),
        Some(word) if word == "xinetd" => xinetd::with_long_words(&arguments),
        Some(_) | None => arguments,
    };
    let mut matches = match cli::usherd().try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) if arguments.get(1).is_some_and(|word| word == "ident") => return ident::misused(&error),
        Err(error) => return say_usage(&error),
    };
    let Some((face, matches)) = matches.remove_subcommand() else { return Exit::Usage };
    match face.as_str() {
        "run" => run::run(&matches),
        "serve" => serve::run(&matches),
        "demo" => demo::run(&matches),
        "check" => check::run(&matches),
        "convert" => convert::run(&matches),
        "access" => access::run(&matches),
        "status" => status::run(&matches),
        "inetd" => inetd::run_matches(matches),
        "xinetd" => xinetd::run_matches(&matches),
        "ident" => ident::run(&matches),
        "with-names" => with_names::run(&matches),
        _ => Exit::Usage,
    }
}

/// Whether this is tcpd: its `argv[0]` is that of the program which it stands before, so its file's name counts.
fn is_tcpd(name: &OsStr) -> bool {
    let file = Path::new(OsStr::from_bytes(rustix::param::linux_execfn().to_bytes())).file_name();
    name == "tcpd" || file.is_some_and(|file| file == "tcpd")
}

/// Prints help where it was asked for, and the complaint where something is wrong.
fn say_usage(error: &clap::Error) -> Exit {
    match error.print() {
        _ if error.use_stderr() => Exit::Usage,
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Exit::Output,
        Ok(()) | Err(_) => Exit::Success,
    }
}

/// Says on standard error why a command ends, and with what status.
fn fail(face: &str, error: &dyn std::error::Error, exit: Exit) -> Exit {
    complain(&format!("{face}: {}", words(error)));
    exit
}

/// An error with its causes, in one line.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Serves, and says why not.
fn serve(face: &str, options: Options) -> Exit {
    match startup::serve(options) {
        Ok(()) => Exit::Success,
        Err(error) => fail(face, &error, error.exit()),
    }
}

/// What holds where a line says nothing else, as the original of this dialect has it. Callers beyond a limit wait.
fn defaults(dialect: DialectName) -> Defaults {
    let dialect = dialect.dialect();
    Defaults {
        limits: Limits {
            starts: dialect.starts.map(per_minute),
            children: None,
            source_starts: None,
            source_children: None,
            source_prefix: SourcePrefix::default(),
            rest: None,
            at_limit: AtLimit::Pause,
        },
        sessions: max_sessions() / SERVICES_SHARE,
        backlog: dialect.backlog,
        variables: CallerVariables::None,
        names: false,
        stderr: Stderr::Connection,
        wraps_programs: None,
        wraps_builtins: None,
        bind: None,
    }
}

/// Whether programs are told who calls.
fn caller_variables(ucspi: bool) -> CallerVariables {
    if ucspi { CallerVariables::Ucspi } else { CallerVariables::None }
}

fn per_minute(count: u32) -> Rate {
    Rate { count, window: STARTS_WINDOW }
}

/// The dialect that was asked for.
fn dialect(matches: &ArgMatches) -> DialectName {
    matches.get_one::<DialectChoice>("dialect").map_or(DialectName::Union, |choice| choice.0)
}

/// Sessions of built-in services at the same time. Each takes a descriptor and some hundred bytes.
fn max_sessions() -> u32 {
    const MOST: u64 = 8192;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    // Half of the descriptors stay for listeners and programs.
    let share = limit.maximum.unwrap_or(2 * MOST) / 2;
    u32::try_from(share.min(MOST)).unwrap_or(u32::MAX)
}

/// One built-in service may have this part of all sessions, so that the callers of one cannot shut out another.
const SERVICES_SHARE: u32 = 4;

fn inherit(matches: &ArgMatches) -> Inherit {
    if matches.get_flag("keep-environment") { Inherit::All } else { Inherit::Cleaned }
}

fn control_path(matches: &ArgMatches) -> ControlPath {
    match matches.get_one::<String>("control").map(String::as_str) {
        None => ControlPath::Default,
        Some("none") => ControlPath::Absent,
        Some(path) => ControlPath::At(absolute(path)),
    }
}

/// Where the daemon has hosts.allow and hosts.deny. A folder that is not there has no rules, and without rules everybody
/// would be let in: then it ends.
fn table_paths(face: &str, matches: &ArgMatches) -> Result<TablePaths, Exit> {
    let Some(folder) = matches.get_one::<String>("tables") else { return Ok(TablePaths::default()) };
    let why = match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => return Ok(TablePaths::within(&absolute(folder))),
        Ok(_) => "it is no folder".to_owned(),
        Err(error) => errno::words(errno::from_io(&error)),
    };
    complain(&format!("{face}: --tables {folder}: {why}"));
    Err(Exit::Config)
}

/// A path that means the same after the daemon has gone to the root folder.
fn absolute(path: &str) -> String {
    match std::path::absolute(path) {
        Ok(path) => path.to_string_lossy().into_owned(),
        Err(_) => path.to_owned(),
    }
}
