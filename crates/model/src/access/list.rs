//! `a b EXCEPT c d EXCEPT e`.

use std::ops::{BitAnd, Not};

use serde::{Deserialize, Serialize};

/// Whether something is so. What could not be found out is [`Truth::Undecided`], and Kleene's rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    Undecided,
}

impl From<bool> for Truth {
    fn from(so: bool) -> Self {
        if so { Truth::Yes } else { Truth::No }
    }
}

impl BitAnd for Truth {
    type Output = Truth;

    fn bitand(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Yes, Truth::Yes) => Truth::Yes,
            (Truth::Undecided, _) | (_, Truth::Undecided) => Truth::Undecided,
        }
    }
}

impl Not for Truth {
    type Output = Truth;

    fn not(self) -> Truth {
        match self {
            Truth::Yes => Truth::No,
            Truth::No => Truth::Yes,
            Truth::Undecided => Truth::Undecided,
        }
    }
}

/// A list of patterns, what is excepted from it, what is excepted from that, and so on; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct List<P> {
    pub(super) groups: Vec<Vec<P>>,
}

impl<P> List<P> {
    pub(super) fn new(text: &[u8], pattern: impl Fn(&[u8]) -> P) -> Self {
        let mut groups = vec![Vec::new()];
        for word in words(text) {
            if is_except(word) {
                groups.push(Vec::new());
            } else if let Some(group) = groups.last_mut() {
                group.push(pattern(word));
            }
        }
        for group in &mut groups {
            group.shrink_to_fit();
        }
        Self { groups }
    }

    /// Whether the list holds for a caller. Patterns are tried from the left, and none that does not matter any more.
    pub(super) fn matches<'a, E>(
        &'a self,
        mut test: impl FnMut(&'a P) -> Result<Truth, E>,
    ) -> Result<Truth, E> {
        if let [only] = self.groups.as_slice() {
            return any(only.iter(), test);
        }
        let mut found = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let truth = any(group.iter(), &mut test)?;
            found.push(truth);
            if truth == Truth::No {
                break;
            }
        }
        Ok(found.into_iter().rev().reduce(|exception, truth| truth & !exception).unwrap_or(Truth::No))
    }

    /// The patterns without which nothing matches.
    pub(super) fn outer(&self) -> &[P] {
        self.groups.first().map_or(&[], Vec::as_slice)
    }
}

/// Whether one of several is so; nothing is tried behind one that is.
pub(super) fn any<P, E>(
    patterns: impl Iterator<Item = P>,
    mut test: impl FnMut(P) -> Result<Truth, E>,
) -> Result<Truth, E> {
    let mut truth = Truth::No;
    for pattern in patterns {
        match test(pattern)? {
            Truth::Yes => return Ok(Truth::Yes),
            Truth::Undecided => truth = Truth::Undecided,
            Truth::No => {}
        }
    }
    Ok(truth)
}

/// The first of several that is so; where none is, the first of which that cannot be told.
pub(super) fn first<P: Copy, E>(
    patterns: impl Iterator<Item = P>,
    mut test: impl FnMut(P) -> Result<Truth, E>,
) -> Result<Option<(P, Truth)>, E> {
    let mut undecided = None;
    for pattern in patterns {
        match test(pattern)? {
            Truth::Yes => return Ok(Some((pattern, Truth::Yes))),
            Truth::Undecided => undecided = undecided.or(Some((pattern, Truth::Undecided))),
            Truth::No => {}
        }
    }
    Ok(undecided)
}

/// Whether a word is the one that begins exceptions.
pub(super) fn is_except(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"EXCEPT")
}

/// The words of a list.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    placed_words(text).map(|(_, word)| word)
}

/// The same, each with where it begins.
pub(super) fn placed_words(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let is_separator = |byte| matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n');
    pieces(text, is_separator).filter(|(_, word)| !word.is_empty())
}

/// What stands between the bytes that part it, each with where it begins.
pub(super) fn pieces(text: &[u8], parts: fn(u8) -> bool) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    text.split(move |byte| parts(*byte)).map(move |piece| {
        let start = at;
        at += piece.len() + 1;
        (start, piece)
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// `y`, `n` and `u` are what they say.
    fn truth(text: &str) -> Truth {
        let list = List::new(text.as_bytes(), |word| word[0]);
        let test = |letter: &u8| {
            Ok::<_, Infallible>(match letter {
                b'y' => Truth::Yes,
                b'n' => Truth::No,
                _ => Truth::Undecided,
            })
        };
        match list.matches(test) {
            Ok(truth) => truth,
        }
    }

    #[test]
    fn exceptions_nest_to_the_right() {
        for (text, expected) in [
            ("", Truth::No),
            ("n y", Truth::Yes),
            ("y EXCEPT y", Truth::No),
            ("y EXCEPT", Truth::Yes),
            ("y EXCEPT y EXCEPT y", Truth::Yes),
            ("y EXCEPT EXCEPT y", Truth::Yes),
            ("EXCEPT n", Truth::No),
            ("n EXCEPT n", Truth::No),
            ("y except y", Truth::No),
            ("u", Truth::Undecided),
            ("u y", Truth::Yes),
            ("u EXCEPT y", Truth::No),
            ("u EXCEPT n", Truth::Undecided),
            ("y EXCEPT u", Truth::Undecided),
            ("y EXCEPT y EXCEPT u", Truth::Undecided),
        ] {
            assert_eq!(truth(text), expected, "{text}");
        }
    }

    #[test]
    fn a_list_of_exceptions_alone_needs_no_stack() {
        assert_eq!(truth(&"y EXCEPT ".repeat(100_001)), Truth::Yes);
    }
}
