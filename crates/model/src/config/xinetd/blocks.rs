//! Text → blocks of attribute lines, and the files that are named between them.
//!
//! ```text
//! service NAME          defaults          include FILE
//! {                     {                 includedir FOLDER
//!     name op value…        name op value…
//! }                     }
//! ```
//!
//! Braces stand alone on their lines, `#` begins a comment as the first letter of a line only, and nothing is quoted. What
//! xinetd refuses but can mean one thing only is read and said: a brace behind the name, an operator without a blank.

use super::attribute::is_like;
use crate::config::includes::Naming;
use crate::config::syntax::Word;
use crate::diagnostic::{Diagnostic, Diagnostics, Place, printable};
use crate::source::{FileId, Sources, Span, Spanned, Text, offset};

/// What a file consists of.
pub(super) enum Piece {
    /// A service, or what holds for all of them.
    Block(Block),
    /// A block that cannot be read, by the service's name.
    Broken(Kind, Word),
    /// Files that are meant.
    Include(Naming, Word),
}

/// A block as it stands.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The service's name, or the word `defaults`.
    pub(super) head: Word,
    pub(super) kind: Kind,
    /// From the first word to the closing brace.
    pub(super) span: Span,
    pub(super) lines: Vec<Line>,
    /// Whether all of its lines could be read; others are taken only when they are switched off.
    pub(super) is_whole: bool,
}

impl Block {
    /// Whether it says `disable = yes`, before anything else does.
    pub(super) fn is_off(&self) -> bool {
        let disable = self.lines.iter().find(|line| line.name.value.eq_ignore_ascii_case(b"disable"));
        let values = disable.map(|line| line.without_comment(1).0);
        matches!(values, Some([word]) if word.value.eq_ignore_ascii_case(b"yes"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Service,
    Defaults,
}

/// One attribute line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: Word,
    pub(super) operator: Operator,
    pub(super) values: Vec<Word>,
}

impl Line {
    /// The values up to a word that begins as a comment, where there are enough, and that word. xinetd leaves such a line
    /// out, which is often a limit, and nobody means that.
    pub(super) fn without_comment(&self, count: usize) -> (&[Word], Option<&Word>) {
        match self.values.get(count).filter(|word| word.value.starts_with(b"#")) {
            Some(comment) => (&self.values[..count], Some(comment)),
            None => (&self.values, None),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Set,
    Add,
    Remove,
}

impl Operator {
    /// The longer ones first.
    const ALL: [Operator; 3] = [Operator::Add, Operator::Remove, Operator::Set];

    pub(super) fn word(self) -> &'static str {
        match self {
            Operator::Set => "=",
            Operator::Add => "+=",
            Operator::Remove => "-=",
        }
    }

    fn at_start(word: &[u8]) -> Option<Operator> {
        Self::ALL.into_iter().find(|operator| word.starts_with(operator.word().as_bytes()))
    }
}

/// Walks through a text.
pub(super) struct Blocks {
    file: FileId,
    text: Text,
    at: usize,
}

/// A keyword that begins something outside of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyword {
    Begins(Kind),
    Includes(Naming),
}

fn keyword(word: &Word) -> Option<Keyword> {
    let is = |keyword: &str| word.value.eq_ignore_ascii_case(keyword.as_bytes());
    Some(match () {
        () if is("service") => Keyword::Begins(Kind::Service),
        () if is("defaults") => Keyword::Begins(Kind::Defaults),
        () if is("include") => Keyword::Includes(Naming::File),
        () if is("includedir") => Keyword::Includes(Naming::Folder),
        () => return None,
    })
}

/// Whether a line begins something outside of the block that it stands in.
fn begins_another(words: &[Word]) -> bool {
    let is_attribute = |word: &Word| Operator::at_start(&word.value).is_some();
    words.first().and_then(keyword).is_some() && !words.get(1).is_some_and(is_attribute)
}

impl Blocks {
    pub(super) fn new(sources: &Sources, file: FileId) -> Self {
        Self { file, text: sources.text(file).clone(), at: 0 }
    }

    /// The next piece of the file.
    pub(super) fn piece(&mut self, diagnostics: &mut Diagnostics) -> Option<Piece> {
        let mut words = Vec::new();
        loop {
            self.line(&mut words, diagnostics)?;
            let [first, rest @ ..] = words.as_slice() else { continue };
            match (keyword(first), rest) {
                (Some(Keyword::Includes(naming)), [path, ..]) => {
                    return Some(Piece::Include(naming, path.clone()));
                }
                (Some(Keyword::Includes(_)), []) => {
                    diagnostics
                        .push(error("no-path", first, "nothing is named").expected("a path behind it"));
                }
                (Some(Keyword::Begins(Kind::Service)), [name, behind @ ..]) => {
                    return Some(self.block(Kind::Service, first.span, name, behind, diagnostics));
                }
                (Some(Keyword::Begins(Kind::Defaults)), behind) => {
                    return Some(self.block(Kind::Defaults, first.span, first, behind, diagnostics));
                }
                (Some(Keyword::Begins(Kind::Service)), []) => {
                    diagnostics.push(error("no-service-name", first, "the service has no name"));
                    self.skip();
                }
                (None, _) => {
                    let message = format!("{:?} begins nothing", printable(&first.value));
                    diagnostics.push(
                        error("no-keyword", first, message)
                            .expected("service NAME, defaults, include FILE or includedir FOLDER")
                            .hint("all up to the next of these is left out"),
                    );
                    self.skip();
                    // Without what holds for all of them the services would not be what is meant.
                    if is_like(&first.value.to_ascii_lowercase(), "defaults") {
                        return Some(Piece::Broken(Kind::Defaults, first.clone()));
                    }
                }
            }
        }
    }

    /// A block whose first line was read, with what stands on it behind the name.
    fn block(
        &mut self,
        kind: Kind,
        start: Span,
        head: &Word,
        behind: &[Word],
        diagnostics: &mut Diagnostics,
    ) -> Piece {
        if !self.opens(head, behind, diagnostics) {
            self.skip();
            return Piece::Broken(kind, head.clone());
        }
        let mut found = Diagnostics::default();
        let piece = self.lines(kind, start, head, &mut found);
        // Of what is switched off nothing else is looked at.
        if !matches!(&piece, Piece::Block(block) if kind == Kind::Service && block.is_off()) {
            diagnostics.append(found);
        }
        piece
    }

    /// The lines of a block, up to its closing brace.
    fn lines(&mut self, kind: Kind, start: Span, head: &Word, diagnostics: &mut Diagnostics) -> Piece {
        let mut lines = Vec::with_capacity(USUAL_LINES);
        let mut is_whole = true;
        let mut words = Vec::new();
        loop {
            let before = self.at;
            if self.line(&mut words, diagnostics).is_none() {
                diagnostics.push(error("unclosed", head, "the block does not end").expected(CLOSING));
                return Piece::Broken(kind, known_as(head, &lines));
            }
            let Some((first, rest)) = words.split_first() else {
                is_whole = false;
                continue;
            };
            if first.value == b"}" {
                if let Some(word) = rest.first() {
                    diagnostics.push(warning(
                        "behind-brace",
                        word,
                        "what stands behind the brace is left out",
                    ));
                }
                let span = start.to(first.span);
                let block = Block { head: head.clone(), kind, span, lines, is_whole };
                let is_off = kind == Kind::Service && block.is_off();
                return match is_whole || is_off {
                    true => Piece::Block(block),
                    false => Piece::Broken(kind, known_as(head, &block.lines)),
                };
            }
            if begins_another(&words) {
                let message = "the block does not end before the next one begins";
                diagnostics.push(error("unclosed", head, message).expected(CLOSING));
                self.at = before;
                return Piece::Broken(kind, known_as(head, &lines));
            }
            match attribute_line(first, rest, diagnostics) {
                Some(line) => lines.push(line),
                None => is_whole = false,
            }
        }
    }

    /// Whether the block is opened, on its first line or on the next one.
    fn opens(&mut self, head: &Word, behind: &[Word], diagnostics: &mut Diagnostics) -> bool {
        match behind {
            [brace] if brace.value == b"{" => {
                diagnostics.push(
                    warning("brace-behind-name", brace, "xinetd wants the brace on a line of its own")
                        .hint("it is read all the same; xinetd leaves the block out"),
                );
                return true;
            }
            [] => {}
            [word, ..] => {
                diagnostics.push(warning("behind-name", word, "what stands behind the name is left out"))
            }
        }
        let before = self.at;
        let mut words = Vec::new();
        let _ = self.line(&mut words, diagnostics);
        match words.as_slice() {
            [brace] if brace.value == b"{" => true,
            found => {
                let word = found.first().unwrap_or(head);
                diagnostics.push(
                    error("no-brace", word, "the block does not begin").expected("{ alone on the next line"),
                );
                self.at = before;
                false
            }
        }
    }

    /// Goes on behind the next closing brace, or where something begins before it.
    fn skip(&mut self) {
        let mut words = Vec::new();
        loop {
            let before = self.at;
            if self.line(&mut words, &mut Diagnostics::default()).is_none() {
                return;
            }
            match words.as_slice() {
                [brace, ..] if brace.value == b"}" => return,
                words if begins_another(words) => {
                    self.at = before;
                    return;
                }
                _ => {}
            }
        }
    }

    /// Reads the words of the next line that has some; none of one that holds a NUL, which is said. `None` when there
    /// is no such line.
    fn line(&mut self, words: &mut Vec<Word>, diagnostics: &mut Diagnostics) -> Option<()> {
        words.clear();
        while self.at < self.text.len() {
            let start = self.at;
            let end = self.text[start..].iter().position(|byte| *byte == b'\n');
            let end = end.map_or(self.text.len(), |end| start + end);
            self.at = (end + 1).min(self.text.len());
            // As the original passes over what a line begins with; and the end of a line as Windows writes it.
            let begins = |byte: &u8| !byte.is_ascii_whitespace() && *byte != VERTICAL_TAB;
            let Some(begin) = self.text[start..end].iter().position(begins) else { continue };
            let start = start + begin;
            let end = if self.text[start..end].ends_with(b"\r") { end - 1 } else { end };
            let line = &self.text[start..end];
            if line.starts_with(b"#") {
                continue;
            }
            if line.contains(&0) {
                let word = self.word(start, end);
                diagnostics
                    .push(error("nul-byte", &word, "the line holds a NUL byte").hint("it is left out"));
            } else {
                self.words(start, end, words);
            }
            return Some(());
        }
        None
    }

    fn words(&self, start: usize, end: usize, words: &mut Vec<Word>) {
        let mut at = start;
        while at < end {
            let rest = &self.text[at..end];
            let Some(begin) = rest.iter().position(|byte| !is_blank(*byte)) else { break };
            let length = rest[begin..].iter().position(|byte| is_blank(*byte)).unwrap_or(rest.len() - begin);
            words.push(self.word(at + begin, at + begin + length));
            at += begin + length;
        }
    }

    fn word(&self, start: usize, end: usize) -> Word {
        let span = Span { file: self.file, start: offset(start), end: offset(end) };
        Spanned::new(self.text.part(start, end), span)
    }
}

/// The name of a service of which not all could be read.
fn known_as(head: &Word, lines: &[Line]) -> Word {
    let id = lines.iter().find(|line| line.name.value.eq_ignore_ascii_case(b"id"));
    id.and_then(|line| line.values.first()).unwrap_or(head).clone()
}

/// `name operator value…`
fn attribute_line(first: &Word, rest: &[Word], diagnostics: &mut Diagnostics) -> Option<Line> {
    let (name, operator, value, values) = match rest {
        [word, values @ ..] if Operator::at_start(&word.value).is_some() => {
            let operator = Operator::at_start(&word.value)?;
            (first.clone(), operator, part(word, operator.word().len()), values)
        }
        values => {
            let Some((at, operator)) = operator_inside(&first.value) else {
                let place = rest.first().unwrap_or(first);
                diagnostics.push(
                    error("no-operator", place, "there is no operator behind the attribute")
                        .expected("name = value, name += value or name -= value"),
                );
                return None;
            };
            let name = Spanned::new(
                first.value.part(0, at),
                Span { end: first.span.start + offset(at), ..first.span },
            );
            diagnostics.push(
                warning("no-blank", first, "xinetd wants a blank before the operator")
                    .hint("it is read all the same; xinetd leaves the block out"),
            );
            (name, operator, part(first, at + operator.word().len()), values)
        }
    };
    // As many as there are: they are kept for a whole load.
    let mut all = Vec::with_capacity(usize::from(!value.value.is_empty()) + values.len());
    all.extend(Some(value).filter(|value| !value.value.is_empty()));
    all.extend_from_slice(values);
    Some(Line { name, operator, values: all })
}

/// Where an operator stands in a word, behind a name.
fn operator_inside(word: &[u8]) -> Option<(usize, Operator)> {
    let at = word.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    match word[at - 1] {
        b'+' if at > 1 => Some((at - 1, Operator::Add)),
        b'-' if at > 1 => Some((at - 1, Operator::Remove)),
        b'+' | b'-' => None,
        _ => Some((at, Operator::Set)),
    }
}

/// A word from this byte on.
pub(super) fn part(word: &Word, start: usize) -> Word {
    let span = Span { start: word.span.start + offset(start), ..word.span };
    Spanned::new(word.value.part(start, word.value.len()), span)
}

/// What stands between words: no more than with the original.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Lines of most blocks.
const USUAL_LINES: usize = 8;

const VERTICAL_TAB: u8 = 0x0b;

const CLOSING: &str = "} alone on a line";

pub(super) fn error(code: &'static str, word: &Word, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, Place::Text(word.span), message)
}

pub(super) fn warning(code: &'static str, word: &Word, message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning(code, Place::Text(word.span), message)
}
