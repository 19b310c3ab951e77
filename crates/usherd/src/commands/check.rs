//! `usherd check`: what is wrong with a configuration, and where.

use std::path::Path;

use clap::ArgMatches;
use rustix::termios::isatty;
use usherd_model::access::{Which, findings};
use usherd_model::config::inetd::DialectName;
use usherd_model::diagnostic::{Diagnostics, Reports, Severity};
use usherd_model::source::Sources;

use super::load::{self, Compare};
use super::{defaults, dialect};
use crate::config_files::ConfigFiles;
use crate::exit_code::Exit;
use crate::machine::Machine;
use crate::message::{Request, SourceSpec};
use crate::output::answer;
use crate::render::{Colours, more, render};
use crate::tables::{OnDisk, TablePaths};

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let paths = matches.get_many::<String>("path").into_iter().flatten();
    let (access, paths): (Vec<&String>, Vec<&String>) = paths.partition(|path| table(path).is_some());
    let sources: Vec<SourceSpec> = paths.into_iter().map(|path| SourceSpec::path(path.clone())).collect();
    let dialect = dialect(matches);
    let request = Request { sources, dialect, defaults: defaults(dialect), tables: TablePaths::default() };
    // Whoever names an original does not ask what the others would make of it.
    let compare = if dialect == DialectName::Union { Compare::Originals } else { Compare::Nothing };
    let mut reply = load::load(&request, compare);
    for path in access {
        if let Some(which) = table(path) {
            reply.reports.append(findings_of(path, which));
        }
    }
    let colours = if isatty(rustix::stdio::stdout()) { Colours::Terminal } else { Colours::Plain };
    let mut text = String::new();
    for report in &reply.reports.shown {
        text.push_str(&format!("{}\n\n", render(report, colours)));
    }
    for line in more(&reply.reports) {
        text.push_str(&format!("{line}\n\n"));
    }
    let (errors, warnings) = (reply.reports.count(Severity::Error), reply.reports.count(Severity::Warning));
    let services = reply.config.services.len();
    text.push_str(&format!("{services} services, {errors} errors, {warnings} warnings\n"));
    let exit = match (errors, warnings, matches.get_flag("strict")) {
        (1.., _, _) => Exit::Config,
        (0, 1.., true) => Exit::Failure,
        (0, _, _) => Exit::Success,
    };
    answer(&text, exit)
}

/// Which table a file is, by its name: everything else is a configuration.
fn table(path: &str) -> Option<Which> {
    match Path::new(path).file_name()?.to_str()? {
        "hosts.allow" => Some(Which::Allow),
        "hosts.deny" => Some(Which::Deny),
        _ => None,
    }
}

fn findings_of(path: &str, which: Which) -> Reports {
    let (mut sources, mut diagnostics) = (Sources::default(), Diagnostics::default());
    if let Some(file) = ConfigFiles::default().read_as_it_is(path, &mut sources, &mut diagnostics) {
        let (files, accounts) = (&mut OnDisk::default(), &mut Machine::default());
        diagnostics.append(findings(&mut sources, file, which, files, accounts));
    }
    diagnostics.reports(&sources)
}
