//! Text → logical lines → words.
//!
//! A line whose first character is `#` is a comment, and so is an indented one: the originals would take an indented
//! comment below an entry for more arguments of that entry, which nobody ever meant, so that one is pointed out.

use super::Dialect;
use crate::config::syntax::Word;
use crate::diagnostic::{Diagnostic, Place};
use crate::source::{FileId, Sources, Span, Spanned, offset};

/// The words of one entry, which may stand on several physical lines. Never empty.
pub(super) struct Line {
    pub(super) words: Vec<Word>,
}

impl Line {
    /// From the first word to the last.
    pub(super) fn span(&self) -> Span {
        let first = self.words.first().expect("a line is never empty").span;
        first.to(self.words.last().expect("a line is never empty").span)
    }
}

/// Cuts a file into its logical lines. Comments and empty lines are gone.
pub(super) fn logical_lines(
    sources: &Sources,
    file: FileId,
    dialect: &Dialect,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Line> {
    let text = sources.text(file);
    let mut lines: Vec<Line> = Vec::new();
    let mut may_continue = false;
    let mut start = 0;
    for physical in text.split(|byte| *byte == b'\n') {
        let at = start;
        start += physical.len() + 1;
        let body = physical.strip_suffix(b"\r").unwrap_or(physical);
        let continues = may_continue && dialect.blank_continues && body.first().is_some_and(is_blank);
        let first = body.iter().position(|byte| !is_blank(byte));
        match first {
            None => may_continue = continues,
            Some(0) if body[0] == b'#' => may_continue = false,
            Some(first) if body[first] == b'#' => {
                if continues {
                    let span = Span { file, start: offset(at + first), end: offset(at + body.len()) };
                    diagnostics.push(indented_comment(span));
                }
            }
            Some(_) if body.contains(&0) => {
                diagnostics.push(nul_byte(Span { file, start: offset(at), end: offset(at + body.len()) }));
                may_continue = false;
            }
            Some(_) => {
                let words = words(file, at, body);
                match lines.last_mut() {
                    Some(line) if continues => line.words.extend(words),
                    _ => lines.push(Line { words }),
                }
                may_continue = true;
            }
        }
    }
    lines
}

fn words(file: FileId, at: usize, line: &[u8]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = at;
    for word in line.split(is_blank) {
        let end = start + word.len();
        if !word.is_empty() {
            let span = Span { file, start: offset(start), end: offset(end) };
            words.push(Spanned::new(word.to_vec(), span));
        }
        start = end + 1;
    }
    words
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn indented_comment(span: Span) -> Diagnostic {
    Diagnostic::warning(
        "indented-comment",
        Place::Text(span),
        "an indented comment below an entry, taken as a comment",
    )
    .hint("openbsd-inetd would pass it to the program as arguments; begin the comment in the first column")
}

fn nul_byte(span: Span) -> Diagnostic {
    Diagnostic::error("nul-byte", Place::Text(span), "the line holds a NUL byte")
        .expected("text")
        .hint("is this really a configuration file?")
}
