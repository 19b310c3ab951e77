//! `usherd run`: the daemon, in the foreground.

use clap::ArgMatches;
use usherd_model::first_load::Insistence;
use usherd_model::service::Stderr;
use usherd_model::supervisor::Settings;

use super::{STARTS_A_MINUTE, absolute, control_path, defaults, inherit, limits, max_sessions, serve};
use crate::exit_code::Exit;
use crate::message::SourceSpec;
use crate::startup::{Background, Options, Speech};

/// What is read when nothing is said.
const DEFAULT_CONFIG: &str = "/etc/inetd.conf";

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let paths = matches.get_many::<String>("config").into_iter().flatten();
    let mut sources: Vec<SourceSpec> = paths.map(|path| SourceSpec::path(absolute(path))).collect();
    if sources.is_empty() {
        sources.push(SourceSpec::File(DEFAULT_CONFIG.to_owned()));
    }
    let rate = matches.get_one::<u32>("rate").copied().unwrap_or(STARTS_A_MINUTE);
    let options = Options {
        sources,
        defaults: defaults(matches, limits(Some(rate)), Stderr::Connection),
        settings: Settings {
            max_children: matches.get_one::<u32>("max-children").copied().unwrap_or(u32::MAX),
            max_sessions: max_sessions(),
            log_connections: matches.get_flag("log-connections"),
        },
        insistence: Insistence::ServeTheRest,
        speech: Speech::Stderr,
        pid_file: matches.get_one::<String>("pid-file").map(|path| absolute(path)),
        control: control_path(matches),
        background: Background::Foreground,
        inherit: inherit(matches),
        on_ready: Box::new(|_| {}),
    };
    serve("usherd run", options)
}
