//! `inetd.conf`, in the dialects of its family.
//!
//! All of them have the same seven columns; what they disagree about is in a [`Dialect`], one short file each.
//! `lines` cuts the text into logical lines of words, `columns` makes an entry of such a line.

mod columns;
mod lines;
mod openbsd;
mod print;

pub use openbsd::OPENBSD;
pub use print::print;

use crate::config::syntax::{Transport, Tree};
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Sources};

/// What tells one dialect from another.
pub struct Dialect {
    /// The word for `--dialect`.
    pub name: &'static str,
    /// Whether a line that begins with a blank goes on with the line before it.
    pub blank_continues: bool,
    /// What a protocol word means; `None` for a word that the dialect does not know.
    pub transport: fn(&[u8]) -> Option<Transport>,
}

/// Reads one file's text and adds its entries to `tree`.
pub fn parse(
    sources: &Sources,
    file: FileId,
    dialect: &Dialect,
    tree: &mut Tree,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut columns = columns::Columns::new(dialect);
    for line in lines::logical_lines(sources, file, dialect, diagnostics) {
        columns.read(&line, tree, diagnostics);
    }
}
