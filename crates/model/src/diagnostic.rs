//! What is wrong with a configuration, as data.
//!
//! `usherd check` and a reload print the same diagnostics; how they look is the shell's affair. A diagnostic never
//! stops a load: it says what one line, or one file, has cost.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::source::{FileId, Sources, Span, Spanned, Text};

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
            message: cut(&self.message),
            expected: cut(&self.expected),
            hint: cut(&self.hint),
            original: cut(&self.original),
        }
    }

    fn file(&self) -> Option<FileId> {
        match self.place {
            Place::Text(span) => Some(span.file),
            Place::File(_) => None,
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

/// What was found. Of each file, and in all, so many are kept that somebody may read them; the others are counted. So
/// the memory that it takes is bounded, whatever stands in a file.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    /// How many there are of each file; those of files as a whole have none.
    files: HashMap<Option<FileId>, Tallies>,
    in_all: Tallies,
    /// What was found in words that hold for many services, by its code, its place and its message's hash.
    said: HashSet<(&'static str, Span, u64)>,
    hashes: RandomState,
    /// The last one that was not kept: whoever pushes one may add to it.
    last: Option<Diagnostic>,
}

/// How many findings there are, of each [`Severity`].
type Tallies = [Tally; 3];

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    kept: usize,
    /// Those that are not kept.
    more: usize,
}

impl Diagnostics {
    /// The most of one severity that are kept of one file.
    pub const OF_FILE: usize = 200;
    /// The most of one severity that are kept in all.
    pub const IN_ALL: usize = 5_000;

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.add(diagnostic);
    }

    /// Adds one, of which more is to be said.
    pub fn add(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        let at = diagnostic.severity as usize;
        let file = diagnostic.file();
        let of_file = &mut self.files.entry(file).or_default()[at];
        // A file is not read twice, and so is no flood of its own.
        let has_room =
            (file.is_none() || of_file.kept < Self::OF_FILE) && self.in_all[at].kept < Self::IN_ALL;
        for tally in [of_file, &mut self.in_all[at]] {
            if has_room {
                tally.kept += 1;
            } else {
                tally.more += 1;
            }
        }
        if !has_room {
            return self.last.insert(diagnostic);
        }
        self.kept.push(diagnostic);
        self.kept.last_mut().expect("one was just pushed")
    }

    /// Adds one that may be found again, which is passed over then: a word of defaults is looked at for each service for
    /// which it holds.
    pub fn add_once(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        if let Place::Text(span) = diagnostic.place {
            let message = self.hashes.hash_one(&diagnostic.message);
            if !self.said.insert((diagnostic.code, span, message)) {
                return self.last.insert(diagnostic);
            }
        }
        self.add(diagnostic)
    }

    /// Adds those of another.
    pub fn append(&mut self, other: Diagnostics) {
        self.extend(other.kept);
        for (file, tallies) in other.files {
            let own = self.files.entry(file).or_default();
            for (at, tally) in tallies.iter().enumerate() {
                own[at].more += tally.more;
                self.in_all[at].more += tally.more;
            }
        }
    }

    /// How many there are, kept or not.
    pub fn count(&self, severity: Severity) -> usize {
        let tally = self.in_all[severity as usize];
        tally.kept + tally.more
    }

    /// Puts them in the order of the files, whichever pass found them.
    pub fn sort(&mut self, sources: &Sources) {
        self.kept.sort_by_key(|diagnostic| match &diagnostic.place {
            Place::File(_) => (0, 0),
            Place::Text(span) => (sources.position(span.file) + 1, span.start),
        });
    }

    /// Those that are kept, and how many others there are.
    pub fn reports(&self, sources: &Sources) -> Reports {
        let mut more = Vec::new();
        for (file, tallies) in &self.files {
            for severity in [Severity::Note, Severity::Warning, Severity::Error] {
                let count = tallies[severity as usize].more;
                let path = file.map_or_else(|| "other files".to_owned(), |file| shown_path(sources, file));
                more.extend(Some(More { path, severity, count }).filter(|more| more.count > 0));
            }
        }
        Reports { shown: self.kept.iter().map(|diagnostic| diagnostic.report(sources)).collect(), more }
    }
}

/// Those that are kept.
impl Deref for Diagnostics {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        &self.kept
    }
}

impl From<Diagnostics> for Vec<Diagnostic> {
    fn from(diagnostics: Diagnostics) -> Self {
        diagnostics.kept
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, found: T) {
        for diagnostic in found {
            self.push(diagnostic);
        }
    }
}

/// What was found, on its own: what the loader sends to the core, and what is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    /// In order.
    pub shown: Vec<Report>,
    /// What there is besides.
    pub more: Vec<More>,
}

/// Findings of a file that are only counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct More {
    /// The file.
    pub path: String,
    /// How much they matter.
    pub severity: Severity,
    /// How many there are.
    pub count: usize,
}

impl Reports {
    /// How many there are of one severity, shown or not.
    pub fn count(&self, severity: Severity) -> usize {
        let shown = self.shown.iter().filter(|report| report.severity == severity).count();
        let more = self.more.iter().filter(|more| more.severity == severity);
        shown + more.map(|more| more.count).sum::<usize>()
    }

    /// Adds those of another.
    pub fn append(&mut self, mut other: Reports) {
        self.shown.append(&mut other.shown);
        self.more.append(&mut other.more);
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

fn shown_path(sources: &Sources, file: FileId) -> String {
    printable(sources.path(file).as_bytes())
}

/// A text of which somebody else may have written most, as long as a message may be.
fn cut(text: &str) -> String {
    const MOST: usize = 1000;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} and more", &text[..end]),
        None => text.to_owned(),
    }
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

    fn at(file: FileId, start: u32) -> Place {
        Place::Text(Span { file, start, end: start + 1 })
    }

    #[test]
    fn of_each_file_so_many_findings_are_kept_and_all_are_counted() {
        let mut sources = Sources::default();
        let [one, two] = ["one", "two"].map(|path| sources.add(path, b"x ".repeat(100_000)));
        let mut found = Diagnostics::default();
        for start in 0..100_000 {
            found.push(Diagnostic::warning("w", at(one, start), "m"));
        }
        // They are kept, whatever there was before.
        found.push(Diagnostic::error("e", at(one, 7), "m"));
        found.push(Diagnostic::warning("w", at(two, 0), "m"));
        found.add(Diagnostic::warning("w", at(one, 1), "m")).hint = "it is not kept".to_owned();
        let mut all = Diagnostics::default();
        all.append(found);
        assert_eq!(
            [Severity::Note, Severity::Warning, Severity::Error].map(|of| all.count(of)),
            [0, 100_002, 1]
        );
        all.sort(&sources);
        let reports = all.reports(&sources);
        assert_eq!(reports.shown.len(), Diagnostics::OF_FILE + 2);
        assert_eq!(reports.shown.last().map(|report| report.path.as_str()), Some("two"));
        let more = More {
            path: "one".to_owned(),
            severity: Severity::Warning,
            count: 100_001 - Diagnostics::OF_FILE,
        };
        assert_eq!(reports.more, [more]);
        assert_eq!((reports.count(Severity::Warning), reports.count(Severity::Error)), (100_002, 1));
    }

    #[test]
    fn of_many_files_so_many_findings_are_kept_and_all_are_counted() {
        let mut sources = Sources::default();
        let mut found = Diagnostics::default();
        for number in 0..2_000 {
            let file = sources.add(number.to_string(), b"x".repeat(10));
            (0..10).for_each(|start| found.push(Diagnostic::warning("w", at(file, start), "m")));
            found.push(Diagnostic::warning("w", Place::File(number.to_string()), "m"));
        }
        let file = sources.add("last", b"x".to_vec());
        found.push(Diagnostic::error("e", at(file, 0), "m"));
        let reports = found.reports(&sources);
        assert_eq!(reports.shown.len(), Diagnostics::IN_ALL + 1);
        assert_eq!((reports.count(Severity::Warning), reports.count(Severity::Error)), (22_000, 1));
    }

    #[test]
    fn what_is_found_again_counts_once() {
        let mut sources = Sources::default();
        let file = sources.add("f", b"x".repeat(1000));
        let mut found = Diagnostics::default();
        for start in (0..1000).chain(0..1000) {
            found.add_once(Diagnostic::error("e", at(file, start), "m")).expected = "x".to_owned();
        }
        found.add_once(Diagnostic::error("e", at(file, 0), "another"));
        found.add_once(Diagnostic::error("other", at(file, 0), "m"));
        assert_eq!((found.len(), found.count(Severity::Error)), (Diagnostics::OF_FILE, 1002));
    }

    #[test]
    fn somebody_elses_novel_is_no_message() {
        let novel = "\u{fffd}".repeat(1 << 20);
        let report = Diagnostic::error("x", Place::File("f".to_owned()), novel.clone()).original(novel);
        let report = report.report(&Sources::default());
        assert!(report.line().len() < 4000 && report.original.len() < 4000);
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
