//! A list from which lines of a block take values.
//!
//! It is known where each part of each value stands, so that a line costs what its own words cost, however long the list
//! is. What is left is made when all lines were read.

use std::collections::{HashMap, HashSet};

use super::attribute::Attribute;
use crate::config::syntax::Word;
use crate::guard::Pattern;
use crate::source::{Spanned, Text};

#[derive(Clone, Debug)]
pub(super) struct List {
    attribute: Attribute,
    values: Vec<Value>,
    /// The values, by their numbers, that have a part which was not taken from them.
    places: HashMap<Vec<u8>, Vec<usize>>,
}

#[derive(Clone, Debug)]
struct Value {
    word: Word,
    /// The parts that were taken.
    gone: HashSet<Vec<u8>>,
}

impl List {
    pub(super) fn new(attribute: Attribute, words: &[Word]) -> Self {
        let mut list = Self { attribute, values: Vec::new(), places: HashMap::new() };
        list.add(words);
        list
    }

    pub(super) fn add(&mut self, words: &[Word]) {
        for word in words {
            for part in parts(word, self.attribute) {
                self.places.entry(part).or_default().push(self.values.len());
            }
            self.values.push(Value { word: word.clone(), gone: HashSet::new() });
        }
    }

    /// Takes these away, wherever they stand; the answer is those of which nothing is in the list.
    pub(super) fn remove<'a>(&mut self, words: &'a [Word]) -> Vec<&'a Word> {
        let parts: Vec<Vec<Vec<u8>>> = words.iter().map(|word| parts(word, self.attribute)).collect();
        // Before any of them is taken: who writes a word twice is not told that it is not there.
        let is_there = |parts: &Vec<Vec<u8>>| parts.iter().any(|part| self.places.contains_key(part));
        let missing = words.iter().zip(&parts).filter(|(_, parts)| !is_there(parts)).map(|(word, _)| word);
        let missing = missing.collect();
        for part in parts.into_iter().flatten() {
            for at in self.places.remove(&part).unwrap_or_default() {
                self.values[at].gone.insert(part.clone());
            }
        }
        missing
    }

    /// What is left, in its order. A value of which a part was taken is its other parts.
    pub(super) fn into_words(self) -> Vec<Word> {
        let mut words = Vec::with_capacity(self.values.len());
        for Value { word, gone } in self.values {
            if gone.is_empty() {
                words.push(word);
            } else {
                let left = parts(&word, self.attribute).into_iter().filter(|part| !gone.contains(part));
                words.extend(left.map(|part| Spanned::new(Text::from(part), word.span)));
            }
        }
        words
    }
}

/// What a value of a list stands for, each part as it could be written alone: a net may be written `10.0.0.0` and
/// `10.0.0.0/8`, and `10.0.{1,2}` is two of them.
fn parts(word: &Word, attribute: Attribute) -> Vec<Vec<u8>> {
    let is_of_callers = matches!(attribute, Attribute::OnlyFrom | Attribute::NoAccess);
    let patterns = if is_of_callers { Pattern::parse(&word.value).ok() } else { None };
    let net = |pattern: &Pattern| match pattern {
        Pattern::Net(net) => Some(net.to_string().into_bytes()),
        Pattern::Name(_) | Pattern::Domain(_) => None,
    };
    let nets = patterns.and_then(|patterns| patterns.iter().map(net).collect::<Option<Vec<_>>>());
    nets.filter(|nets| !nets.is_empty()).unwrap_or_else(|| vec![word.value.to_ascii_lowercase()])
}
