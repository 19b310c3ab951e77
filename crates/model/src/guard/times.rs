//! `access_times`: when a service may be called, by the clock on the wall.

use serde::{Deserialize, Serialize};

use super::word::WordError;
use crate::numeral;

/// A stretch of one day, in minutes from midnight. Both bounds belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interval {
    first: u16,
    last: u16,
}

/// `24:00`, which is the end of a day and the begin of none.
const MIDNIGHT: u16 = 24 * 60;

impl Interval {
    /// `hour:minute-hour:minute`. At the last minute calls are still taken.
    ///
    /// One that ends before it has begun is an error: whoever means the night has two intervals, and whoever has mixed
    /// the numbers up does not open what he wants closed.
    pub fn parse(word: &[u8]) -> Result<Self, WordError> {
        let bounds = split(word, b'-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
        let (first, last) = bounds.filter(|(first, _)| *first < MIDNIGHT).ok_or(WordError::Interval)?;
        if first < last { Ok(Self { first, last }) } else { Err(WordError::Backward) }
    }

    fn holds(self, minute_of_day: u16) -> bool {
        self.first <= minute_of_day && minute_of_day <= self.last
    }
}

/// `hour:minute`, as minutes from midnight.
fn minute(text: &[u8]) -> Option<u16> {
    let (hour, minute) = split(text, b':')?;
    let [hour, minute] = [hour, minute]
        .map(|digits| numeral::number(digits, 10).and_then(|number| u16::try_from(number).ok()));
    let (hour, minute) = (hour.filter(|hour| *hour <= 24)?, minute.filter(|minute| *minute < 60)?);
    Some(hour * 60 + minute).filter(|minute| *minute <= MIDNIGHT)
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == at)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The intervals of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// In order, without the repeated.
    intervals: Box<[Interval]>,
}

impl Times {
    /// Of these intervals; none of them is never.
    pub fn new(mut intervals: Vec<Interval>) -> Self {
        intervals.sort_unstable();
        intervals.dedup();
        Self { intervals: intervals.into() }
    }

    /// Whether calls are taken in this minute, counted from midnight in local time.
    pub fn admits(&self, minute_of_day: u16) -> bool {
        self.intervals.iter().any(|interval| interval.holds(minute_of_day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_belongs_to_an_interval() {
        for (word, first, last) in [
            ("8:30-17:59", 510, 1079),
            ("0:00-24:00", 0, 1439),
            ("00:0-23:059", 0, 1439),
            ("12:00-23:58", 720, 1438),
        ] {
            let times = Times::new(vec![Interval::parse(word.as_bytes()).expect("an interval")]);
            for minute in 0..MIDNIGHT {
                assert_eq!(times.admits(minute), (first..=last).contains(&minute), "{word} {minute}");
            }
        }
    }

    #[test]
    fn one_of_several_is_enough_and_none_is_never() {
        let times = ["22:00-24:00", "0:00-6:00", "5:00-7:00"]
            .map(|word| Interval::parse(word.as_bytes()).expect("an interval"));
        let times = Times::new(times.into());
        let admits = [0, 360, 420, 421, 1319, 1320, 1439].map(|minute| times.admits(minute));
        assert_eq!(admits, [true, true, true, false, false, true, true]);
        assert!(!Times::new(Vec::new()).admits(0));
    }

    #[test]
    fn what_is_no_interval_is_named() {
        for (word, expected) in [
            ("22:00-6:00", WordError::Backward),
            ("8:00-8:00", WordError::Backward),
            ("24:00-24:00", WordError::Interval),
            ("8:00-24:01", WordError::Interval),
            ("8:00-25:00", WordError::Interval),
            ("8:60-9:00", WordError::Interval),
            ("8-9", WordError::Interval),
            (":-23:59", WordError::Interval),
            ("8:00", WordError::Interval),
            ("8:00-9:00-10:00", WordError::Interval),
            ("8:00-9:00x", WordError::Interval),
            ("+8:00-9:00", WordError::Interval),
            ("4294967304:00-9:00", WordError::Interval),
            ("", WordError::Interval),
        ] {
            assert_eq!(Interval::parse(word.as_bytes()), Err(expected), "{word}");
        }
    }
}
