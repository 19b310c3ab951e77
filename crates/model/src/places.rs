//! The places of the helper that finds out who calls: what it is about, and until when each answer is due.
//!
//! It does a bounded number of things at once. One that hangs would keep its place for ever, so a helper whose answer is
//! overdue ends, and whoever asked something else is asked again of the next one.

use std::collections::HashMap;
use std::time::Duration;

use crate::lookups::{MOST_UNDER_WAY, Question};
use crate::time::Tick;

/// After so long without a question the helper ends; the daemon starts another one.
const IDLE: Duration = Duration::from_secs(30);

/// A name that is not found out in so long hangs. No resolver takes so long, and the daemon has given up long before.
const NAME_HANGS: Duration = Duration::from_secs(90);

/// A user is asked for with a patience of his own; what takes so much longer hangs.
const USER_HANGS: Duration = Duration::from_secs(30);

/// Names a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlaceId(u64);

/// Those that are taken.
#[derive(Debug, Default)]
pub struct Places {
    last: u64,
    due: HashMap<PlaceId, Tick>,
}

/// What the helper does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// An answer is overdue: it ends.
    End,
    /// It waits so long, and ends when nothing happens meanwhile.
    Wait {
        /// So long.
        patience: Duration,
        /// Whether one more question is read.
        has_place: bool,
    },
}

impl Places {
    /// Takes one for a question.
    pub fn take(&mut self, question: &Question, now: Tick) -> PlaceId {
        let patience = match question {
            Question::Name(_) => NAME_HANGS,
            Question::User { patience, .. } | Question::Ident { patience, .. } => {
                Duration::from_secs(u64::from(*patience)) + USER_HANGS
            }
        };
        self.last += 1;
        let place = PlaceId(self.last);
        self.due.insert(place, now.after(patience));
        place
    }

    /// Gives one back.
    pub fn give_back(&mut self, place: PlaceId) {
        self.due.remove(&place);
    }

    /// What to do now.
    pub fn turn(&self, now: Tick) -> Turn {
        let patience = match self.due.values().min() {
            // Seen here, since others may ask and be answered all the time.
            Some(due) if *due <= now => return Turn::End,
            Some(due) => due.since(now),
            None => IDLE,
        };
        Turn::Wait { patience, has_place: self.due.len() < MOST_UNDER_WAY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::new(Duration::from_secs(seconds))
    }

    fn name() -> Question {
        Question::Name(([10, 1, 2, 3], 0).into())
    }

    fn user(patience: u32) -> Question {
        Question::User { local: ([10, 0, 0, 1], 23).into(), remote: ([10, 1, 2, 3], 4000).into(), patience }
    }

    fn waits(seconds: u64) -> Turn {
        Turn::Wait { patience: Duration::from_secs(seconds), has_place: true }
    }

    #[test]
    fn a_name_that_hangs_ends_the_helper_whatever_else_goes_on() {
        let mut places = Places::default();
        assert_eq!(places.turn(at(0)), waits(30), "nobody asks");
        places.take(&name(), at(100));
        for second in 100..190 {
            // Others come and go.
            let other = places.take(&name(), at(second));
            assert_eq!(places.turn(at(second)), waits(190 - second));
            places.give_back(other);
        }
        let other = places.take(&name(), at(190));
        assert_eq!(places.turn(at(190)), Turn::End);
        places.give_back(other);
        assert_eq!(places.turn(at(500)), Turn::End);
    }

    #[test]
    fn an_answer_in_time_ends_nothing() {
        let mut places = Places::default();
        let place = places.take(&name(), at(0));
        assert_eq!(places.turn(at(89)), waits(1));
        places.give_back(place);
        assert_eq!(places.turn(at(90)), waits(30));
    }

    #[test]
    fn a_user_has_the_time_that_the_rule_says_and_some_more() {
        let mut places = Places::default();
        places.take(&user(600), at(0));
        assert_eq!(places.turn(at(629)), waits(1));
        assert_eq!(places.turn(at(630)), Turn::End);
        places.take(&user(1), at(0));
        assert_eq!(places.turn(at(31)), Turn::End, "whoever is due first");
    }

    #[test]
    fn when_all_places_are_taken_no_question_is_read() {
        let mut places = Places::default();
        let taken: Vec<PlaceId> = (0..MOST_UNDER_WAY).map(|_| places.take(&name(), at(0))).collect();
        assert_eq!(places.turn(at(0)), Turn::Wait { patience: NAME_HANGS, has_place: false });
        places.give_back(taken[7]);
        assert_eq!(places.turn(at(0)), Turn::Wait { patience: NAME_HANGS, has_place: true });
    }
}
