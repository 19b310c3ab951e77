//! Everything about one case.

use std::fmt;

use crate::answer::side_by_side;
use crate::compare::{Outcome, compare};
use crate::question::Question;
use crate::shrink::smallest;
use crate::story;

/// A case, made small if it differs.
pub struct Report {
    seed: u64,
    case: u64,
    question: Question,
    outcome: Outcome,
}

impl Report {
    pub fn of(seed: u64, case: u64) -> Self {
        let mut question = story::question(seed, case);
        let mut outcome = compare(&question).0;
        if let Outcome::Differs(_) = outcome {
            question = smallest(&question, &|question| matches!(compare(question).0, Outcome::Differs(_)));
            outcome = compare(&question).0;
        }
        Self { seed, case, question, outcome }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, case, question, outcome } = self;
        write!(out, "--seed {seed} --case {case}\n{question}")?;
        match outcome {
            Outcome::Same => writeln!(out, "  no difference"),
            Outcome::Deliberate(reasons) => {
                reasons.iter().try_for_each(|class| writeln!(out, "  on purpose: {}", class.name))
            }
            Outcome::Differs(answers) => write!(out, "{}", side_by_side(&answers.theirs, &answers.mine)),
        }
    }
}
