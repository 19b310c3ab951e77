//! `usherd check`: what is wrong with a configuration, and where.

use clap::ArgMatches;
use rustix::termios::isatty;
use usherd_model::config::Defaults;
use usherd_model::diagnostic::Severity;
use usherd_model::service::Stderr;

use super::{SERVICES_SHARE, STARTS_A_MINUTE, limits, load, max_sessions};
use crate::exit_code::Exit;
use crate::message::SourceSpec;
use crate::render::{Colours, render};

#[expect(clippy::print_stdout, reason = "this is where the command answers")]
pub(super) fn run(matches: &ArgMatches) -> Exit {
    let paths = matches.get_many::<String>("path").into_iter().flatten();
    let sources: Vec<SourceSpec> = paths.map(|path| SourceSpec::path(path.clone())).collect();
    let defaults = Defaults {
        limits: limits(Some(STARTS_A_MINUTE)),
        sessions: max_sessions() / SERVICES_SHARE,
        backlog: 128,
        ucspi: false,
        stderr: Stderr::Connection,
    };
    let reply = load::load(&sources, &defaults);
    let colours = if isatty(rustix::stdio::stdout()) { Colours::Terminal } else { Colours::Plain };
    for report in &reply.reports {
        println!("{}\n", render(report, colours));
    }
    let count = |severity| reply.reports.iter().filter(|report| report.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    println!("{} services, {errors} errors, {warnings} warnings", reply.config.services.len());
    match (errors, warnings, matches.get_flag("strict")) {
        (1.., _, _) => Exit::Config,
        (0, 1.., true) => Exit::Failure,
        (0, _, _) => Exit::Success,
    }
}
