//! `usherd load`: the helper. Does one errand of the daemon, answers with one message, and ends.
//!
//! It has the daemon's rights, and is the only place where files of others are parsed, name services asked (which
//! `check` does in its own process, too) and rpcbind told.

use std::io::{Read, Write};

use usherd_model::config::check;
use usherd_model::config::inetd::DialectName;
use usherd_model::config::syntax::Tree;
use usherd_model::config::{inetd, xinetd};
use usherd_model::diagnostic::Diagnostics;
use usherd_model::source::Sources;
use usherd_sys::signal::{self, Signal};

use super::serve::add_command_line;
use crate::config_files::ConfigFiles;
use crate::exit_code::Exit;
use crate::machine::Machine;
use crate::message::{self, Errand, Reply, Request, SourceSpec};
use crate::rpcbind;
use crate::tables::{self, Stamps};

pub(super) fn run() -> Exit {
    // "killall -HUP inetd" means the daemon and not us.
    signal::ignore(Signal::HUP);
    let _ = rustix::thread::set_name(c"usherd-load");
    let mut request = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut request).is_err() {
        return Exit::System;
    }
    let Ok(errand) = message::decode::<Errand>(&request) else { return Exit::Usage };
    let reply = match errand {
        Errand::Load(request) => message::encode(&load(&request, Compare::Nothing)),
        Errand::ReadTables(paths) => message::encode(&tables::read_from(&paths)),
        Errand::Register(tidings) => message::encode(&rpcbind::tell(&tidings)),
    };
    let Ok(reply) = reply else { return Exit::System };
    match std::io::stdout().lock().write_all(&reply) {
        Ok(()) => Exit::Success,
        Err(_) => Exit::System,
    }
}

/// What else than loading is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    /// Nothing.
    Nothing,
    /// The originals are compared, and where they disagree is said.
    Originals,
}

/// Texts, and what was made of them.
pub(super) struct Texts {
    pub(super) sources: Sources,
    pub(super) tree: Tree,
    pub(super) diagnostics: Diagnostics,
    /// What the tree has of xinetd's, and what is switched off there.
    pub(super) xinetd: xinetd::Reading,
    /// Files and folders that could not be read.
    unreadable: Vec<String>,
}

/// Reads all texts.
pub(super) fn read(specs: &[SourceSpec], dialect: DialectName) -> Texts {
    let mut sources = Sources::default();
    let mut tree = Tree::default();
    let mut diagnostics = Diagnostics::default();
    let mut files = ConfigFiles::default();
    let mut xinetd = xinetd::Reading::default();
    let dialect = dialect.dialect();
    for spec in specs {
        let found = match spec {
            // What is read besides need not be there.
            SourceSpec::InetdForXinetd(path) if is_missing(path) => Vec::new(),
            SourceSpec::File(path) | SourceSpec::Xinetd(path) | SourceSpec::InetdForXinetd(path) => {
                files.read_file(path, &mut sources, &mut diagnostics)
            }
            SourceSpec::Folder(path) => files.read_folder(path, &mut sources, &mut diagnostics),
            SourceSpec::Text { name, text } => vec![sources.add(name, text.clone())],
            SourceSpec::Command(command) => {
                add_command_line(command, &mut sources, &mut tree);
                Vec::new()
            }
        };
        for file in found {
            if matches!(spec, SourceSpec::InetdForXinetd(_)) {
                let mut inner = Tree::default();
                inetd::parse(&mut sources, file, dialect, &mut files, &mut inner, &mut diagnostics);
                xinetd.add_inetd(inner);
            } else if matches!(spec, SourceSpec::Xinetd(_)) || xinetd::is_written_in(sources.text(file)) {
                xinetd.read(&mut sources, file, &mut files, &mut diagnostics);
            } else {
                inetd::parse(&mut sources, file, dialect, &mut files, &mut tree, &mut diagnostics);
            }
        }
    }
    xinetd.finish(&mut tree, &mut diagnostics);
    Texts { sources, tree, diagnostics, xinetd, unreadable: files.unreadable }
}

fn is_missing(path: &str) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Loads all sources.
pub(super) fn load(request: &Request, compare: Compare) -> Reply {
    let Texts { mut sources, tree, mut diagnostics, xinetd, unreadable } =
        read(&request.sources, request.dialect);
    if compare == Compare::Originals {
        diagnostics.extend(inetd::compare(&mut sources, &tree.entries));
    }
    let mut config =
        check::check(&sources, &tree, &request.defaults, &mut Machine::default(), &mut diagnostics);
    config.unreadable = unreadable;
    let mut stamps = Stamps::default();
    if config.services.iter().any(|service| service.wrapped.is_some()) {
        let stamped = tables::read_from(&request.tables);
        config.tables = Some(stamped.tables);
        stamps = stamped.stamps;
    }
    diagnostics.sort(&sources);
    let reports = diagnostics.reports(&sources);
    // The process ends next: what was made on the way is not taken apart first.
    std::mem::forget((sources, tree, xinetd));
    Reply { config, reports, stamps }
}
