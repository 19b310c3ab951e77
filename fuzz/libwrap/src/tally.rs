//! What became of many cases.

use std::fmt;
use std::ops::Range;

use crate::compare::{Outcome, compare};
use crate::deliberate::CLASSES;
use crate::story;

/// Counts, and the cases that nobody can explain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub cases: u64,
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
            match compare(&story::question(seed, case)) {
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

    pub fn add(&mut self, other: Tally) {
        self.cases += other.cases;
        for (count, more) in self.classes.iter_mut().zip(other.classes) {
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
        tally.classes = numbers()?.try_into().ok()?;
        tally.differ = numbers()?;
        Some(tally)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        writeln!(out, "{}\n{}\n{}", self.cases, words(&self.classes), words(&self.differ))
    }
}
