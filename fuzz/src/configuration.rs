//! Texts → typed configurations, the way the loader does it.

use usherd_model::config::inetd::{self, DialectName};
use usherd_model::config::syntax::{Tree, Word};
use usherd_model::config::{Defaults, Facts, Includes, Naming, check, xinetd};
use usherd_model::diagnostic::Diagnostics;
use usherd_model::service::{AtLimit, CallerVariables, Config, Limits, Rate, SourcePrefix, Stderr};
use usherd_model::source::{FileId, Sources};

/// A read text, with all that was made on the way.
pub struct Read {
    pub sources: Sources,
    pub file: FileId,
    pub tree: Tree,
    pub diagnostics: Diagnostics,
}

/// Reads a text as one file of a dialect.
pub fn read(dialect: DialectName, path: &str, text: &[u8]) -> Read {
    let (mut sources, mut tree, mut diagnostics) =
        (Sources::default(), Tree::default(), Diagnostics::default());
    let file = sources.add(path, text.to_vec());
    inetd::parse(&mut sources, file, dialect.dialect(), &mut Itself, &mut tree, &mut diagnostics);
    Read { sources, file, tree, diagnostics }
}

/// Reads a text as an `xinetd.conf`.
pub fn read_xinetd(path: &str, text: &[u8]) -> Read {
    let (mut sources, mut tree, mut diagnostics) =
        (Sources::default(), Tree::default(), Diagnostics::default());
    let file = sources.add(path, text.to_vec());
    let mut reading = xinetd::Reading::default();
    reading.read(&mut sources, file, &mut Itself, &mut diagnostics);
    reading.finish(&mut tree, &mut diagnostics);
    tree.off.extend(reading.off(&mut Diagnostics::default()));
    Read { sources, file, tree, diagnostics }
}

/// Whatever a text includes is that text again, as deep as it goes. (A short one only: it grows by powers.)
struct Itself;

impl Includes for Itself {
    fn include(
        &mut self,
        _: &Word,
        _: Naming,
        chain: &[FileId],
        sources: &mut Sources,
        _: &mut Diagnostics,
    ) -> Vec<FileId> {
        let text = sources.text(chain[0]).to_vec();
        if chain.len() < 3 && text.len() < 300 { vec![sources.add("included", text)] } else { Vec::new() }
    }

    fn leave_out(&mut self, _: &Word, _: Naming, _: &[FileId], _: &Sources) {}
}

impl Read {
    /// Goes on to the typed configuration.
    pub fn check(&mut self, facts: &mut dyn Facts) -> Config {
        check(&self.sources, &self.tree, &defaults(), facts, &mut self.diagnostics)
    }
}

fn defaults() -> Defaults {
    let stderr = Stderr::Connection;
    Defaults {
        limits: limits(),
        sessions: 3,
        backlog: 128,
        variables: CallerVariables::None,
        names: false,
        stderr,
        wraps_programs: None,
        wraps_builtins: None,
        bind: None,
    }
}

/// The limits of the original.
pub fn limits() -> Limits {
    Limits {
        starts: Some(Rate { count: 256, window: usherd_model::config::STARTS_WINDOW }),
        children: None,
        source_starts: None,
        source_children: None,
        source_prefix: SourcePrefix::default(),
        rest: None,
        at_limit: AtLimit::Pause,
    }
}
