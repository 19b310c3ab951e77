//! Configuration text, and where in it a value came from.
//!
//! Spans are byte ranges of one file. They are made by the readers of a dialect and never computed by hand later, so
//! a diagnostic always cites text that is there.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;

/// Which file of a [`Sources`] a span lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId(u32);

/// A range of bytes in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first byte.
    pub start: u32,
    /// One past the last byte; never less than `start`.
    pub end: u32,
}

impl Span {
    /// The smallest span that holds this one and `other`, which lies in the same file.
    pub fn to(self, other: Span) -> Span {
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// Bytes of a file's text, which they share with it, or bytes of their own. A load has some ten words a line: they
/// cost no memory but their own.
#[derive(Clone)]
pub struct Text {
    /// A thin pointer: words are many, and what is their own is small.
    bytes: Rc<Box<[u8]>>,
    start: u32,
    end: u32,
}

impl Text {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start as usize..self.end as usize]
    }

    /// The bytes from `start` to `end`, counted in this text.
    pub(crate) fn part(&self, start: usize, end: usize) -> Text {
        assert!(start <= end && end <= self.len(), "a part lies inside");
        Text {
            bytes: Rc::clone(&self.bytes),
            start: self.start + offset(start),
            end: self.start + offset(end),
        }
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Text::from(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        let end = offset(bytes.len());
        Text { bytes: Rc::new(bytes.into_boxed_slice()), start: 0, end }
    }
}

impl Eq for Text {}
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}
impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Text {
    fn eq(&self, other: &T) -> bool {
        self.as_slice() == other.as_ref()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self))
    }
}

/// A value together with the text that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Joins a value and its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// The place of a span as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// The file's path.
    pub path: &'a str,
    /// From 1.
    pub line: u32,
    /// From 1, in bytes.
    pub column: u32,
    /// The text of that line, without its end.
    pub text: &'a [u8],
}

/// One file's text.
#[derive(Debug)]
struct Source {
    path: String,
    text: Text,
    /// The offset of each line's first byte.
    lines: Vec<u32>,
}

/// All texts of one load, in the order in which they were read.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

/// The largest text that is read: 16 MiB, some hundred thousand services. A configuration beyond it is a mistake
/// (a log, a disk image), and spans are 32 bits wide.
pub const MAX_TEXT: usize = 16 << 20;

impl Sources {
    /// Adds a file's text, which is cut at [`MAX_TEXT`].
    pub fn add(&mut self, path: impl Into<String>, mut text: Vec<u8>) -> FileId {
        text.truncate(MAX_TEXT);
        let starts =
            text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| offset(at + 1));
        let lines = std::iter::once(0).chain(starts).collect();
        self.files.push(Source { path: path.into(), text: text.into(), lines });
        FileId(offset(self.files.len() - 1))
    }

    /// The text of a file.
    pub fn text(&self, file: FileId) -> &Text {
        &self.file(file).text
    }

    /// The path of a file, as it was given.
    pub fn path(&self, file: FileId) -> &str {
        &self.file(file).path
    }

    /// All paths, in the order of their numbers.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.path.as_str())
    }

    /// The number of a file among [`Self::paths`].
    pub fn position(&self, file: FileId) -> u32 {
        file.0
    }

    /// The bytes of a span.
    pub fn slice(&self, span: Span) -> &[u8] {
        self.text(span.file).get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Line, column and line text of a span's first byte.
    pub fn locate(&self, span: Span) -> Location<'_> {
        let file = self.file(span.file);
        let line = file.lines.partition_point(|start| *start <= span.start).max(1);
        let start = file.lines[line - 1];
        let end = file.lines.get(line).map_or(file.text.len(), |next| *next as usize - 1);
        let text = file.text.get(start as usize..end).unwrap_or_default();
        // As Windows ends lines.
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        Location { path: &file.path, line: offset(line), column: span.start - start + 1, text }
    }

    fn file(&self, file: FileId) -> &Source {
        self.files.get(file.0 as usize).expect("a FileId is only made by add, and files are never removed")
    }
}

/// A text offset as stored in a span: texts are at most [`MAX_TEXT`] long.
pub(crate) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_located_by_line_and_column() {
        let mut sources = Sources::default();
        let file = sources.add("f", b"one\n two\n\nfour".to_vec());
        let span = Span { file, start: 5, end: 8 };
        assert_eq!(sources.slice(span), b"two");
        let location = sources.locate(span);
        assert_eq!((location.line, location.column, location.text), (2, 2, b" two".as_slice()));
        let end = sources.locate(Span { file, start: 14, end: 14 });
        assert_eq!((end.line, end.column, end.text), (4, 5, b"four".as_slice()));
    }
}
