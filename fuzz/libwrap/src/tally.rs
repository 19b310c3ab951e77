//! What became of many cases.

use std::fmt;
use std::ops::Range;

use crate::answer::Answer;
use crate::compare::{Outcome, compare};
use crate::deliberate::CLASSES;
use crate::story;

/// What a case should come to now and then: facts by which usherd's answer shows it.
pub const KINDS: [(&str, &str); 8] = [
    ("verdict deny", "is refused"),
    ("verdict twist", "gets another program"),
    ("verbose", "meets a rule that matches"),
    ("lookup", "is looked up"),
    ("effect", "has a command, a variable or the like"),
    ("identity", "gets a user or a group"),
    ("banner", "is sent a banner"),
    ("log", "has something logged"),
];

/// Counts, and the cases that nobody can explain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub cases: u64,
    /// Cases in which usherd does something of each kind (see [`KINDS`]).
    pub kinds: [u64; KINDS.len()],
    /// Cases of each class; one may be of several.
    pub classes: [u64; CLASSES.len()],
    pub differ: Vec<u64>,
    /// Cases that ended the process.
    pub fatal: Vec<u64>,
}

impl Tally {
    pub fn of(seed: u64, cases: Range<u64>) -> Self {
        let mut tally = Tally::default();
        for case in cases {
            tally.cases += 1;
            let (outcome, mine) = compare(&story::question(seed, case));
            tally.count_kinds(&mine);
            match outcome {
                Outcome::Same => {}
                Outcome::Deliberate(reasons) => {
                    for (class, count) in CLASSES.iter().zip(&mut tally.classes) {
                        *count += u64::from(reasons.iter().any(|reason| reason.name == class.name));
                    }
                }
                Outcome::Differs(_) => tally.differ.push(case),
            }
        }
        tally
    }

    fn count_kinds(&mut self, mine: &Answer) {
        for ((fact, _), count) in KINDS.iter().zip(&mut self.kinds) {
            let (kind, value) = fact.split_once(' ').unwrap_or((fact, ""));
            *count += u64::from(mine.of(kind).iter().any(|line| line.starts_with(value)));
        }
    }

    pub fn add(&mut self, other: Tally) {
        self.cases += other.cases;
        for (count, more) in self.classes.iter_mut().zip(other.classes) {
            *count += more;
        }
        for (count, more) in self.kinds.iter_mut().zip(other.kinds) {
            *count += more;
        }
        self.differ.extend(other.differ);
        self.fatal.extend(other.fatal);
    }

    /// From the words of one that was printed, if they are all of them.
    pub fn read(text: &str) -> Option<Self> {
        let mut tally = Tally::default();
        let mut lines = text.lines();
        let mut numbers = || -> Option<Vec<u64>> {
            lines.next()?.split_ascii_whitespace().map(|word| word.parse().ok()).collect()
        };
        tally.cases = *numbers()?.first()?;
        tally.kinds = numbers()?.try_into().ok()?;
        tally.classes = numbers()?.try_into().ok()?;
        tally.differ = numbers()?;
        Some(tally)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let (kinds, classes) = (words(&self.kinds), words(&self.classes));
        writeln!(out, "{}\n{kinds}\n{classes}\n{}", self.cases, words(&self.differ))
    }
}
