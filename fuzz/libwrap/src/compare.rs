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

/// Asks both, and says what usherd has answered. A difference is on purpose only if it is gone when what makes it is taken away from the question or the
/// answers: one class alone, or several together.
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
    for class in &CLASSES {
        let mut alone = trial.clone();
        if (class.take_away)(&mut alone, &answers) && alone.answers().are_same() {
            return Outcome::Deliberate(vec![class]);
        }
    }
    let (mut all, mut reasons) = (trial.clone(), Vec::new());
    let mut left = None;
    for class in &CLASSES {
        if (class.take_away)(&mut all, left.as_ref().unwrap_or(&answers)) {
            reasons.push(class);
            let after = all.answers();
            if after.are_same() {
                return Outcome::Deliberate(reasons);
            }
            left = Some(after);
        }
    }
    Outcome::Differs(answers)
}
