//! `usherd run`: the daemon, in the foreground.

use clap::ArgMatches;
use usherd_model::first_load::Insistence;
use usherd_model::supervisor::Settings;

use super::{
    absolute, caller_variables, control_path, defaults, dialect, inherit, max_sessions, per_minute, serve,
    table_paths,
};
use crate::exit_code::Exit;
use crate::message::{Request, SourceSpec};
use crate::startup::{Background, Options, Speech, Umask};

const FACE: &str = "usherd run";

/// What is read when nothing is said.
const DEFAULT_CONFIG: &str = "/etc/inetd.conf";

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let paths = matches.get_many::<String>("config").into_iter().flatten();
    let mut sources: Vec<SourceSpec> = paths.map(|path| SourceSpec::path(absolute(path))).collect();
    if sources.is_empty() {
        sources.push(SourceSpec::File(DEFAULT_CONFIG.to_owned()));
    }
    let dialect = dialect(matches);
    let mut defaults = defaults(dialect);
    if let Some(rate) = matches.get_one::<u32>("rate") {
        defaults.limits.starts = Some(per_minute(*rate));
    }
    if let Some(backlog) = matches.get_one::<u32>("backlog") {
        defaults.backlog = *backlog;
    }
    defaults.variables = caller_variables(matches.get_flag("ucspi"));
    let tables = match table_paths(FACE, matches) {
        Ok(tables) => tables,
        Err(exit) => return exit,
    };
    let options = Options {
        request: Request { sources, dialect, defaults, tables },
        settings: Settings {
            max_children: matches.get_one::<u32>("max-children").copied().unwrap_or(u32::MAX),
            max_sessions: max_sessions(),
            log_connections: matches.get_flag("log-connections"),
            ..Settings::default()
        },
        insistence: Insistence::ServeTheRest,
        speech: Speech::Stderr,
        pid_file: matches.get_one::<String>("pid-file").map(|path| absolute(path)),
        control: control_path(matches),
        background: Background::Foreground,
        inherit: inherit(matches),
        umask: Umask::Usual,
        on_ready: Box::new(|_| {}),
    };
    serve(FACE, options)
}
