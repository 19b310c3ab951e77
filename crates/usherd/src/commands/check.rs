//! `usherd check`: what is wrong with a configuration, and where.

use std::collections::BTreeMap;
use std::path::Path;

use clap::ArgMatches;
use rustix::termios::isatty;
use usherd_model::access::{Which, findings};
use usherd_model::config::inetd::DialectName;
use usherd_model::diagnostic::{Report, Severity};
use usherd_model::source::Sources;

use super::load::{self, Compare};
use super::{defaults, dialect};
use crate::config_files::ConfigFiles;
use crate::exit_code::Exit;
use crate::machine::Machine;
use crate::message::{Request, SourceSpec};
use crate::output::answer;
use crate::render::{Colours, render};
use crate::tables::{OnDisk, TablePaths};

/// Findings of one file that are shown. Whoever names a wrong file gets the idea.
const SHOWN: usize = 200;

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
        reply.reports.extend(table(path).into_iter().flat_map(|which| findings_of(path, which)));
    }
    let colours = if isatty(rustix::stdio::stdout()) { Colours::Terminal } else { Colours::Plain };
    let mut text = String::new();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for report in &reply.reports {
        let found = found.entry(&report.path).or_default();
        *found += 1;
        if *found <= SHOWN {
            text.push_str(&format!("{}\n\n", render(report, colours)));
        }
    }
    for (path, found) in found.iter().filter(|(_, found)| **found > SHOWN) {
        text.push_str(&format!("{path}: {} more findings\n\n", found - SHOWN));
    }
    let count = |severity| reply.reports.iter().filter(|report| report.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
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

fn findings_of(path: &str, which: Which) -> Vec<Report> {
    let (mut sources, mut diagnostics) = (Sources::default(), Vec::new());
    if let Some(file) = ConfigFiles::default().read_as_it_is(path, &mut sources, &mut diagnostics) {
        let (files, accounts) = (&mut OnDisk::default(), &mut Machine::default());
        diagnostics.extend(findings(&mut sources, file, which, files, accounts));
    }
    diagnostics.iter().map(|diagnostic| diagnostic.report(&sources)).collect()
}
