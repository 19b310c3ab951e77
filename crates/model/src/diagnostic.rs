//! What is wrong with a configuration, as data.
//!
//! `usherd check` and a reload print the same diagnostics; how they look is the shell's affair. A diagnostic never
//! stops a load: it says what one line, or one file, has cost.

use serde::{Deserialize, Serialize};

use crate::source::{Sources, Span, Spanned, Text};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Neither wrong nor unwise; worth knowing for whoever looks.
    Note,
    /// Legal and followed, but probably not meant, or unwise.
    Warning,
    /// The line, or the part of it that is marked (or the file), cannot be followed.
    Error,
}

impl Severity {
    /// The word that a person reads.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// Where a finding lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the text.
    Text(Span),
    /// The file as a whole: it could not be read, or not be understood at all.
    File(String),
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable short name, in kebab case, for scripts and search engines.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// Where it lies.
    pub place: Place,
    /// What is wrong: a sentence fragment without a final period.
    pub message: String,
    /// What would have been right; empty when the message says it all.
    pub expected: String,
    /// What to do about it; empty when that is plain.
    pub hint: String,
    /// What the original would log, in lines, for those who match on it; empty when it says nothing.
    pub original: String,
}

impl Diagnostic {
    /// A finding that costs the line, or the part of it that is marked.
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, place, message.into())
    }

    /// A finding that costs nothing.
    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, place, message.into())
    }

    /// A finding that is no fault.
    pub fn note(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Note, place, message.into())
    }

    /// Adds what would have been right.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds what the original would log.
    pub fn original(mut self, original: impl Into<String>) -> Self {
        self.original = original.into();
        self
    }

    /// The finding with its text cited, so that it can be shown without the sources.
    pub fn report(&self, sources: &Sources) -> Report {
        let (path, excerpt) = match &self.place {
            Place::File(path) => (path.as_str(), None),
            Place::Text(span) => (sources.path(span.file), Some(Excerpt::new(sources, *span))),
        };
        Report {
            code: self.code.to_owned(),
            severity: self.severity,
            path: printable(path.as_bytes()),
            excerpt,
            message: self.message.clone(),
            expected: self.expected.clone(),
            hint: self.hint.clone(),
            original: self.original.clone(),
        }
    }

    fn new(code: &'static str, severity: Severity, place: Place, message: String) -> Self {
        Self {
            code,
            severity,
            place,
            message,
            expected: String::new(),
            hint: String::new(),
            original: String::new(),
        }
    }
}

/// A finding on its own: what the loader sends to the core, and what is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// See [`Diagnostic::code`].
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// The file.
    pub path: String,
    /// The place in the file; absent when the whole file is meant.
    pub excerpt: Option<Excerpt>,
    /// What is wrong.
    pub message: String,
    /// What would have been right, or empty.
    pub expected: String,
    /// What to do, or empty.
    pub hint: String,
    /// What the original would log, in lines, or empty.
    pub original: String,
}

impl Report {
    /// `file:line:column`, as far as there is a place.
    pub fn position(&self) -> String {
        match &self.excerpt {
            Some(excerpt) => format!("{}:{}:{}", self.path, excerpt.line, excerpt.column),
            None => self.path.clone(),
        }
    }

    /// All of it in one line, for a log.
    pub fn line(&self) -> String {
        let mut line = format!("{}: {}: {}", self.position(), self.severity.word(), self.message);
        for (word, text) in [("expected", &self.expected), ("hint", &self.hint)] {
            if !text.is_empty() {
                line.push_str(&format!("; {word}: {text}"));
            }
        }
        line
    }
}

/// A cited piece of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// From 1.
    pub line: u32,
    /// From 1, in bytes of the file's line.
    pub column: u32,
    /// The line's text, at most [`EXCERPT`] bytes around the place, made printable.
    pub text: String,
    /// The marked range of `text`, in bytes; within bounds and on character boundaries.
    pub mark: (usize, usize),
}

/// The most bytes of a line that a diagnostic cites: a terminal or two.
const EXCERPT: usize = 160;

impl Excerpt {
    /// Whether the text begins where the line does, so that columns can be counted in it.
    pub fn is_whole_line(&self) -> bool {
        self.text.get(..self.mark.0).is_some_and(|before| before.len() + 1 == self.column as usize)
    }

    fn new(sources: &Sources, span: Span) -> Self {
        let location = sources.locate(span);
        let at = location.column as usize - 1;
        let from = if location.text.len() <= EXCERPT { 0 } else { at.saturating_sub(EXCERPT / 4) };
        let to = location.text.len().min(from + EXCERPT);
        let marked_to = (at + (span.end - span.start) as usize).min(to);
        let mut text = printable(&location.text[from..at.min(to)]);
        let start = text.len();
        text.push_str(&printable(&location.text[at.min(to)..marked_to.max(at.min(to))]));
        let end = text.len();
        text.push_str(&printable(&location.text[marked_to.max(at.min(to))..to]));
        Self { line: location.line, column: location.column, text, mark: (start, end) }
    }
}

/// Text from a file or a peer as something that can safely be shown: control characters and invalid UTF-8 are
/// replaced, a tab is one blank.
pub fn printable(bytes: &[u8]) -> String {
    let shown = |c: char| {
        if c == '\t' {
            ' '
        } else if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    String::from_utf8_lossy(bytes).chars().map(shown).collect()
}

/// A word in one line, shortened when somebody wrote a novel.
pub fn shown(word: &[u8]) -> String {
    let (text, more) = beginning(word);
    text + more
}

/// The same in quotes.
pub fn quoted(word: &Spanned<Text>) -> String {
    let (text, more) = beginning(&word.value);
    format!("{text:?}{more}")
}

/// As much of a word as is shown, and what is said of the rest.
fn beginning(word: &[u8]) -> (String, &'static str) {
    const SHOWN: usize = 60;
    let mut text = printable(word);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => {
            text.truncate(end);
            (text, " and more")
        }
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_line() {
        let mut sources = Sources::default();
        let file = sources.add("/etc/xinetd.d/a\nb", b"x".to_vec());
        let place = Place::Text(Span { file, start: 0, end: 1 });
        let report = Diagnostic::error("x", place, "m").report(&sources);
        assert_eq!(report.line(), "/etc/xinetd.d/a\u{fffd}b:1:1: error: m");
    }

    #[test]
    fn a_hundred_thousand_places_in_one_line_take_no_long_time() {
        let mut sources = Sources::default();
        let file = sources.add("f", b"a ".repeat(100_000));
        for start in (0..200_000).step_by(2) {
            let place = Place::Text(Span { file, start, end: start + 1 });
            let excerpt = Diagnostic::error("x", place, "m").report(&sources).excerpt.expect("an excerpt");
            assert_eq!((excerpt.line, excerpt.column), (1, start + 1));
        }
    }

    #[test]
    fn a_long_line_is_cited_around_the_mark() {
        let mut sources = Sources::default();
        let mut text = vec![b'a'; 10_000];
        text[5_000] = b'\x01';
        let file = sources.add("f", text);
        let span = Span { file, start: 5_000, end: 5_001 };
        let report = Diagnostic::error("x", Place::Text(span), "m").report(&sources);
        let excerpt = report.excerpt.expect("a span has an excerpt");
        assert_eq!((excerpt.line, excerpt.column), (1, 5_001));
        assert_eq!(&excerpt.text[excerpt.mark.0..excerpt.mark.1], "\u{fffd}");
        assert!(excerpt.text.len() < EXCERPT + 8);
    }
}
