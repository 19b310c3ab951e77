//! Words, and what they are made of.

use crate::config::syntax::Word;
use crate::source::{Span, Spanned, offset};

/// Splits `hosts:service` at the last colon. The service is absent when nothing follows the colon.
pub(super) fn split_host(word: &Word) -> Option<(Vec<Word>, Option<Word>)> {
    let colon = word.value.iter().rposition(|byte| *byte == b':')?;
    let service = part(word, colon + 1, word.value.len());
    let service = if service.value.is_empty() { None } else { Some(service) };
    let list = part(word, 0, colon);
    let hosts = split(&list, b',').into_iter().filter(|host| !host.value.is_empty()).map(unbracket).collect();
    Some((hosts, service))
}

/// `rstatd/1-5` → `rstatd` and `1-5`, for an RPC protocol.
pub(super) fn split_versions(name: &Word, protocol: &Word) -> (Word, Option<Word>) {
    let slash = name.value.iter().position(|byte| *byte == b'/');
    match slash.filter(|_| protocol.value.starts_with(b"rpc/")) {
        Some(slash) => (part(name, 0, slash), Some(part(name, slash + 1, name.value.len()))),
        None => (name.clone(), None),
    }
}

/// `[::1]` → `::1`.
fn unbracket(host: Word) -> Word {
    match host.value.as_slice() {
        [b'[', _, .., b']'] => part(&host, 1, host.value.len() - 1),
        _ => host,
    }
}

/// The parts between separators; an empty word has one.
pub(super) fn split(word: &Word, separator: u8) -> Vec<Word> {
    split_at_most(word, separator, usize::MAX)
}

/// The same, with everything behind the last separator in the last part.
pub(super) fn split_at_most(word: &Word, separator: u8, most: usize) -> Vec<Word> {
    let mut parts = Vec::new();
    let mut start = 0;
    for piece in word.value.splitn(most, |byte| *byte == separator) {
        parts.push(part(word, start, start + piece.len()));
        start += piece.len() + 1;
    }
    parts
}

/// The bytes from `start` to `end`. A word that was quoted does not stand in the file as it is: its parts all have its
/// place.
pub(super) fn part(word: &Word, start: usize, end: usize) -> Word {
    let is_plain = offset(word.value.len()) == word.span.end - word.span.start;
    let span = if is_plain {
        Span {
            file: word.span.file,
            start: word.span.start + offset(start),
            end: word.span.start + offset(end),
        }
    } else {
        word.span
    };
    Spanned::new(word.value.part(start, end), span)
}
