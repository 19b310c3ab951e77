//! Files that a configuration names, to be read as more of it.

use super::syntax::Word;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::source::{FileId, Sources};

/// How files are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By a pattern of glob(7): NetBSD's `.include`.
    Pattern,
    /// One file: xinetd's `include`.
    File,
    /// A folder of which all files are meant, but for those whose names have a dot or end in `~`: xinetd's
    /// `includedir`.
    Folder,
}

/// Finds the files that a configuration names.
pub trait Includes {
    /// Adds the files that a word means to `sources`. `chain` is the file that holds the word, with those that included
    /// it before it; none of them is given again. What cannot be read, or is left out, is said.
    fn include(
        &mut self,
        word: &Word,
        naming: Naming,
        chain: &[FileId],
        sources: &mut Sources,
        diagnostics: &mut Diagnostics,
    ) -> Vec<FileId>;

    /// The files that a word means are not read: what came from them before goes on.
    fn leave_out(&mut self, word: &Word, naming: Naming, chain: &[FileId], sources: &Sources);
}

/// Reads none.
#[derive(Clone, Copy, Debug)]
pub struct NoIncludes;

impl Includes for NoIncludes {
    fn include(
        &mut self,
        _: &Word,
        _: Naming,
        _: &[FileId],
        _: &mut Sources,
        _: &mut Diagnostics,
    ) -> Vec<FileId> {
        Vec::new()
    }

    fn leave_out(&mut self, _: &Word, _: Naming, _: &[FileId], _: &Sources) {}
}

/// So deep can files include each other.
const DEEPEST: usize = 16;

/// The files that a word means, unless files include each other too deep.
pub(super) fn included(
    includes: &mut dyn Includes,
    word: &Word,
    naming: Naming,
    chain: &[FileId],
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> Vec<FileId> {
    if chain.len() < DEEPEST {
        return includes.include(word, naming, chain, sources, diagnostics);
    }
    let message = format!("files include each other more than {DEEPEST} deep");
    diagnostics.push(
        Diagnostic::error("include-depth", Place::Text(word.span), message)
            .hint("what is named here is left out; do two files include each other by different names?"),
    );
    includes.leave_out(word, naming, chain, sources);
    Vec::new()
}
