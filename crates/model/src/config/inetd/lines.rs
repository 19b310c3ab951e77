//! Text → logical lines → words.
//!
//! What a comment, a continuation and a quote are is the dialect's. An indented comment below an entry would be more
//! arguments of that entry to most originals, which nobody ever meant: where the dialect does not insist, it is a
//! comment and is pointed out.

use super::keys::{self, Definition};
use super::words::part;
use super::{Comments, Continuation, Dialect, Quotes, unsupported};
use crate::config::syntax::Word;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::source::{FileId, Sources, Span, Spanned, Text, offset};

/// What a file consists of.
pub(super) enum Piece {
    /// An entry in columns, or a default address.
    Line(Line),
    /// An entry in columns that is switched off.
    Off(Line),
    /// An entry in NetBSD's second form.
    Definition(Box<Definition>),
    /// One that cannot be read, by its name.
    Broken(Word),
    /// `.include`: the files that are meant.
    Include(Word),
    /// Something else that begins with a dot, and what stands behind it.
    UnknownDirective(Word, Option<Word>),
}

/// The words of one entry, which may stand on several physical lines. Never empty.
pub(super) struct Line {
    pub(super) words: Vec<Word>,
    is_off: bool,
}

/// How update-inetd(8) begins a line that it switches off. To every original it is a comment.
const OFF: &[u8] = b"#<off>#";

/// A line of more words is meant as an entry.
const MOST_OF_A_DIRECTIVE: usize = 3;

/// Words of most lines.
const USUAL: usize = 10;

impl Line {
    /// From the first word to the last.
    pub(super) fn span(&self) -> Span {
        let first = self.words.first().expect("a line is never empty").span;
        first.to(self.words.last().expect("a line is never empty").span)
    }
}

/// What a physical line is to the one before it.
enum Physical {
    /// Nothing stands on it.
    Blank,
    /// A comment that begins behind blanks, at this place.
    IndentedComment(usize),
    /// An entry that is switched off, from its first word to its end.
    Off(usize, usize),
    /// Words from here on.
    Words,
}

/// Walks through a text.
pub(super) struct Lines<'a> {
    file: FileId,
    text: Text,
    at: usize,
    dialect: &'a Dialect,
}

impl<'a> Lines<'a> {
    pub(super) fn new(sources: &Sources, file: FileId, dialect: &'a Dialect) -> Self {
        Self { file, text: sources.text(file).clone(), at: 0, dialect }
    }

    /// The next piece of the file. Comments and empty lines are none.
    pub(super) fn piece(&mut self, diagnostics: &mut Diagnostics) -> Option<Piece> {
        let start = self.at;
        let line = match self.next(diagnostics)? {
            Ok(line) => line,
            Err(name) => return Some(Piece::Broken(name)),
        };
        if line.is_off {
            return Some(Piece::Off(line));
        }
        Some(match line.words.as_slice() {
            [_, state, ..] if self.dialect.netbsd_forms && keys::is_state(state) => {
                let (definition, end) = keys::read(self.file, &self.text, start, diagnostics);
                self.at = end;
                match definition {
                    Ok(definition) => Piece::Definition(Box::new(definition)),
                    Err(name) => Piece::Broken(name),
                }
            }
            [word, pattern] if self.dialect.netbsd_forms && word.value == b".include" => {
                Piece::Include(pattern.clone())
            }
            [word, rest @ ..]
                if self.dialect.netbsd_forms
                    && word.value.starts_with(b".")
                    && rest.len() < MOST_OF_A_DIRECTIVE =>
            {
                Piece::UnknownDirective(word.clone(), rest.first().cloned())
            }
            _ => Piece::Line(line),
        })
    }

    /// The next entry's words; of an entry that holds a NUL only the first, up to there.
    fn next(&mut self, diagnostics: &mut Diagnostics) -> Option<Result<Line, Word>> {
        let mut line: Option<Line> = None;
        let mut has_nul = false;
        while self.at < self.text.len() {
            let (start, end, next) = self.physical();
            let begins_blank = self.text[start..end].first().is_some_and(is_blank);
            let continues = self.dialect.continuation == Continuation::LeadingBlank && begins_blank;
            if line.is_some() && !continues {
                break;
            }
            self.at = next;
            match self.kind(start, end) {
                Physical::Blank => {
                    if self.dialect.ipsec && self.text[start..end].starts_with(b"#@") {
                        diagnostics.push(unsupported::no_ipsec(self.span(start, end)));
                    }
                }
                Physical::IndentedComment(at) => {
                    if line.is_some() {
                        diagnostics.push(indented_comment(self.span(at, end)));
                    }
                }
                Physical::Off(start, end) => {
                    let mut words = Vec::new();
                    self.read_words(start, end, &mut words);
                    if !words.is_empty() {
                        return Some(Ok(Line { words, is_off: true }));
                    }
                }
                Physical::Words => {
                    if self.text[start..end].contains(&0) {
                        diagnostics.push(nul_byte(self.span(start, end)));
                        has_nul = true;
                    }
                    let line =
                        line.get_or_insert_with(|| Line { words: Vec::with_capacity(USUAL), is_off: false });
                    self.read_words(start, end, &mut line.words);
                }
            }
        }
        // Quotes around nothing make no line.
        match line {
            Some(line) if line.words.is_empty() => self.next(diagnostics),
            Some(line) if has_nul => Some(Err(before_nul(&line.words[0]))),
            line => line.map(Ok),
        }
    }

    /// Where the physical line at hand begins, where its text ends, and where the next one begins.
    fn physical(&self) -> (usize, usize, usize) {
        let start = self.at;
        let mut end = start;
        loop {
            end += self.text[end..].iter().position(|byte| *byte == b'\n').unwrap_or(self.text.len() - end);
            let goes_on = self.dialect.continuation == Continuation::Backslash
                && end < self.text.len()
                && self.text[start..end].ends_with(b"\\");
            if !goes_on {
                break;
            }
            end += 1;
        }
        let next = (end + 1).min(self.text.len());
        let body = &self.text[start..end];
        let mut length = body.strip_suffix(b"\r").unwrap_or(body).len();
        if self.dialect.comments == Comments::Anywhere {
            length = body[..length].iter().position(|byte| *byte == b'#').unwrap_or(length);
        }
        (start, start + length, next)
    }

    fn kind(&self, start: usize, end: usize) -> Physical {
        let body = &self.text[start..end];
        if self.text[start..self.at].starts_with(OFF) {
            let whole = self.text[start..self.at].trim_ascii_end();
            return Physical::Off(start + OFF.len(), start + whole.len());
        }
        match body.iter().position(|byte| !is_blank(byte)) {
            None => Physical::Blank,
            Some(0) if body[0] == b'#' => Physical::Blank,
            Some(first) if body[first] == b'#' && self.dialect.comments == Comments::FirstWord => {
                Physical::IndentedComment(start + first)
            }
            Some(_) => Physical::Words,
        }
    }

    fn read_words(&self, start: usize, end: usize, words: &mut Vec<Word>) {
        let mut at = start;
        while let Some(begin) = self.skip_blanks(at, end) {
            let (word, next) = self.word(begin, end);
            words.push(word);
            at = next;
        }
    }

    /// Where the next word begins. A line end that a backslash takes away is a blank between blanks.
    fn skip_blanks(&self, mut at: usize, end: usize) -> Option<usize> {
        while at < end {
            let joins = self.dialect.continuation == Continuation::Backslash
                && self.text[at..end].starts_with(b"\\\n");
            if joins {
                at += 2;
            } else if is_blank(&self.text[at]) {
                at += 1;
            } else {
                return Some(at);
            }
        }
        None
    }

    /// The word that begins at `at`, and where to go on behind it.
    fn word(&self, at: usize, end: usize) -> (Word, usize) {
        let text = &self.text[at..end];
        let closing =
            |quote: u8| text[1..].iter().position(|byte| *byte == quote).map(|length| at + 1 + length);
        match (self.dialect.quotes, text[0]) {
            (Quotes::AtWord, quote @ (b'"' | b'\'')) if closing(quote).is_some() => {
                let close = closing(quote).unwrap_or(end);
                (self.plain(at + 1, close), close + 1)
            }
            (Quotes::AroundWord, quote @ (b'"' | b'\'')) => {
                let close = closing(quote).unwrap_or(end);
                (self.plain(at + 1, close), (close + 1).min(end))
            }
            (Quotes::Shell, _) => self.shell_word(at, end),
            (Quotes::AtWord, b'"' | b'\'') => (self.plain(at, end), end),
            (Quotes::AtWord, _) => {
                let ends = |byte: &u8| is_blank(byte) || *byte == b'"';
                let length = text.iter().position(ends).unwrap_or(text.len());
                (self.plain(at, at + length), at + length)
            }
            (Quotes::Literal | Quotes::AroundWord, _) => {
                let length = text.iter().position(is_blank).unwrap_or(text.len());
                (self.plain(at, at + length), at + length)
            }
        }
    }

    /// The text of a word as it is, but for line ends that a backslash takes away.
    fn plain(&self, start: usize, end: usize) -> Word {
        let text = &self.text[start..end];
        let value = if self.dialect.continuation == Continuation::Backslash && text.contains(&b'\\') {
            without_line_ends(text).as_slice().into()
        } else {
            self.text.part(start, end)
        };
        Spanned::new(value, self.span(start, end))
    }

    fn shell_word(&self, at: usize, end: usize) -> (Word, usize) {
        let mut value = Vec::new();
        let mut quote = None;
        let mut length = 0;
        for byte in &self.text[at..end] {
            match (quote, *byte) {
                (None, b' ' | b'\t') => break,
                (None, b'"' | b'\'') => quote = Some(*byte),
                (Some(open), byte) if open == byte => quote = None,
                (_, byte) => value.push(byte),
            }
            length += 1;
        }
        (Spanned::new(value.as_slice().into(), self.span(at, at + length)), at + length)
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span { file: self.file, start: offset(start), end: offset(end) }
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn before_nul(word: &Word) -> Word {
    let end = word.value.iter().position(|byte| *byte == 0).unwrap_or(word.value.len());
    part(word, 0, end)
}

/// Takes out every backslash with the line end behind it.
fn without_line_ends(text: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        match rest.strip_prefix(b"\\\n") {
            Some(after) => rest = after,
            None => {
                value.push(*byte);
                rest = after;
            }
        }
    }
    value
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
