//! Both are asked, and where they differ it is said whether that is on purpose.

use crate::answer::Answer;
use crate::deliberate::{CLASSES, Class};
use crate::question::Question;
use crate::{oracle, ours};

/// What comes of a question.
pub enum Outcome {
    Same,
    /// On purpose, for these reasons.
    Deliberate(Vec<&'static Class>),
    Differs(Answers),
}

/// Both answers.
pub struct Answers {
    pub theirs: Answer,
    pub mine: Answer,
}

/// One question, as it is asked each of them.
#[derive(Clone)]
pub struct Trial {
    pub theirs: Question,
    pub mine: Question,
    /// What is then done with the answers.
    pub edits: Vec<fn(&mut Answers, &Trial)>,
}

impl Trial {
    pub fn new(question: &Question) -> Self {
        Self { theirs: question.clone(), mine: question.clone(), edits: Vec::new() }
    }

    fn answers(&self) -> Answers {
        let theirs = Answer::new(&oracle::ask(&self.theirs));
        let mut answers = Answers { theirs, mine: Answer::new(&ours::ask(&self.mine)) };
        for edit in &self.edits {
            edit(&mut answers, self);
        }
        answers
    }
}

impl Answers {
    fn are_same(&self) -> bool {
        self.theirs == self.mine
    }
}

/// Asks both, and says what usherd has answered.
///
/// A difference is on purpose only if it is gone when what makes it is taken away from the question or the answers: one
/// class alone, or several together.
pub fn compare(question: &Question) -> (Outcome, Answer) {
    let trial = Trial::new(question);
    let answers = trial.answers();
    let mine = answers.mine.clone();
    (outcome(&trial, answers), mine)
}

fn outcome(trial: &Trial, answers: Answers) -> Outcome {
    if answers.are_same() {
        return Outcome::Same;
    }
    let classes: Vec<&Class> = CLASSES.iter().collect();
    let alone = classes.chunks(1).find(|class| explain(trial, &answers, class));
    let together =
        || (2..=classes.len()).map(|count| &classes[..count]).find(|some| explain(trial, &answers, some));
    let Some(reasons) = alone.or_else(together) else { return Outcome::Differs(answers) };
    let mut reasons = reasons.to_vec();
    for at in (0..reasons.len()).rev() {
        let mut fewer = reasons.clone();
        fewer.remove(at);
        if explain(trial, &answers, &fewer) {
            reasons = fewer;
        }
    }
    Outcome::Deliberate(reasons)
}

/// Whether the answers are the same without these classes, taken away one after the other.
fn explain(trial: &Trial, answers: &Answers, classes: &[&Class]) -> bool {
    let mut trial = trial.clone();
    let mut after = None;
    for class in classes {
        if (class.take_away)(&mut trial, after.as_ref().unwrap_or(answers)) {
            after = Some(trial.answers());
        }
    }
    after.is_some_and(|answers| answers.are_same())
}
