//! Syntax tree → typed configuration.
//!
//! Names are looked up, defaults resolved, every wrong word gets its diagnostic. An entry with an error is left out
//! and remembered as broken, so that a reload can go on with what it replaced.

mod duplicates;
mod guard;
mod limits;
mod policy;
mod process;
mod redirect;
mod service_log;
mod sockets;
mod task;
mod wrapped;

use std::collections::HashSet;
use std::sync::Arc;

use self::duplicates::Taken;
use self::task::look_names_up;
use super::facts::Facts;
use super::syntax::{Entry, Tree, Word};
use super::{Defaults, lints, mux};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, quoted};
use crate::service::{Broken, Config, Handover, Origin, Service, SocketKind, Task};
use crate::source::{FileId, Sources, Span, Text};

/// Makes the typed configuration of a tree.
pub fn check(
    sources: &Sources,
    tree: &Tree,
    defaults: &Defaults,
    facts: &mut dyn Facts,
    diagnostics: &mut Diagnostics,
) -> Config {
    let xinetd = defaults.of_xinetd();
    let mut checker = Checker {
        sources,
        defaults,
        facts,
        diagnostics,
        taken: Taken::of(&tree.entries),
        left_out: HashSet::new(),
    };
    let mut config = Config { files: sources.paths().map(str::to_owned).collect(), ..Config::default() };
    for name in &tree.broken {
        checker.leave_out(name, &mut config);
    }
    for entry in &tree.entries {
        let is_of_xinetd = entry.attributes.is_some();
        checker.defaults = if is_of_xinetd { &xinetd } else { defaults };
        match checker.service(entry) {
            Some(mut service) => {
                checker.take_sockets(entry, &mut service, &mut config);
                lints::run(entry, &service, checker.facts, checker.diagnostics);
                if checker.defaults.names {
                    look_names_up(&mut service);
                }
                config.services.push(service);
            }
            None => checker.leave_out(entry.id(), &mut config),
        }
    }
    config.services.retain(|service| !service.listeners.is_empty());
    config.garbled = garbled(sources, tree);
    let has_ipv6 = checker.facts.has_ipv6();
    mux::complete(tree, &mut config, defaults, has_ipv6, diagnostics);
    config
}

/// Files in which there is no entry, and something that was meant to be one or never was.
fn garbled(sources: &Sources, tree: &Tree) -> Vec<String> {
    let mut broken: Vec<FileId> = tree.broken.iter().map(|word| word.span.file).collect();
    broken.dedup();
    let read: HashSet<FileId> = tree.entries.iter().map(|entry| entry.span.file).collect();
    broken.retain(|file| !read.contains(file));
    broken.iter().map(|file| sources.path(*file).to_owned()).collect()
}

struct Checker<'a> {
    sources: &'a Sources,
    defaults: &'a Defaults,
    facts: &'a mut dyn Facts,
    diagnostics: &'a mut Diagnostics,
    /// Which service of the result, and which text, has a socket already.
    taken: Taken,
    /// Names of services that cannot be used, each with its file.
    left_out: HashSet<(FileId, Text)>,
}

impl Checker<'_> {
    /// `None` when a diagnostic says why the entry cannot be used.
    fn service(&mut self, entry: &Entry) -> Option<Service> {
        // All columns are looked at before giving up, so that one run shows all that is wrong with a line.
        let kind = self.socket_kind(entry);
        let handover = self.handover(entry, kind);
        let is_internal = entry.program.value == b"internal";
        let attributes = entry.attributes.as_deref();
        // A sensor is a sensor, whatever else is written.
        let redirect = attributes.filter(|attributes| attributes.flags.sensor.is_none());
        let redirect = redirect.and_then(|attributes| attributes.redirect.as_ref());
        let task = if let Some(words) = redirect {
            self.redirect(entry, kind, handover, words).map(Task::Redirect)
        } else if is_internal {
            kind.and_then(|kind| self.internal(entry, kind, handover))
        } else {
            self.program(entry, handover).map(Task::Program)
        };
        // The name of a built-in that there is not is not looked for in /etc/services: it would be wrong twice.
        let is_nothing = is_internal && task.is_none();
        let listeners = kind.filter(|_| !is_nothing).and_then(|kind| self.listeners(entry, kind));
        if let Some(class) = &entry.class {
            self.warning("login-class", class, "login classes are FreeBSD's and are ignored").hint =
                "set what the class sets in the program's own configuration".to_owned();
        }
        let limits = self.limits(entry, task.as_ref());
        let accepts = kind.is_some_and(SocketKind::has_connections) && handover == Some(Handover::Listener);
        let policy = self.policy(entry, kind, handover);
        let mut limits = limits?;
        if accepts && matches!(task, Some(Task::Program(_))) {
            self.sources_are_unseen(entry, &mut limits);
        }
        handover?;
        self.refuses_labels(entry)?;
        let (task, listeners) = (task?, listeners?);
        self.is_not_shown_to_others(entry, &task, &listeners)?;
        Some(Service {
            name: entry.id().value.as_slice().into(),
            origin: self.origin(entry.span),
            listeners: listeners.into(),
            wrapped: self.wrapped(entry, &task),
            policy: policy?,
            task,
            limits: Arc::new(limits),
        })
    }

    /// A context that cannot be set is no reason to start the program in ours.
    fn refuses_labels(&mut self, entry: &Entry) -> Option<()> {
        let Some(word) = entry.attributes.as_ref().and_then(|attributes| attributes.flags.labeled.clone())
        else {
            return Some(());
        };
        let message = "LABELED wants the program in its caller's SELinux context, which usherd cannot set";
        self.error("no-selinux", &word, message).hint =
            "without the flag the program has the daemon's".to_owned();
        None
    }

    /// Once for each name of a file: that is what a reload looks for, and a file may have millions of wrong lines.
    fn leave_out(&mut self, name: &Word, config: &mut Config) {
        if self.left_out.insert((name.span.file, name.value.clone())) {
            let origin = self.origin(name.span);
            config.broken.push(Broken { origin, name: name.value.as_slice().into() });
        }
    }

    fn origin(&self, span: Span) -> Origin {
        Origin { file: self.sources.position(span.file), line: self.sources.locate(span).line }
    }

    fn error(&mut self, code: &'static str, word: &Word, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::error(code, Place::Text(word.span), message))
    }

    fn warning(&mut self, code: &'static str, word: &Word, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::warning(code, Place::Text(word.span), message))
    }

    fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.diagnostics.add_once(diagnostic)
    }
}
