//! How long to wait before trying again what has failed.

use std::time::Duration;

/// A wait that doubles with each failure in a row, up to a bound, and starts over after a success. Two bytes: every
/// listener has three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pace: Pace,
    /// Failures in a row; more than [`MOST_DOUBLINGS`] are not told apart.
    failures: u8,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Opening,
    Starting,
    Resources,
    Registering,
}

/// After so many doublings every pace has reached its bound.
const MOST_DOUBLINGS: u8 = 16;

impl Backoff {
    /// For a socket that could not be opened: a second to a minute. The originals wait ten minutes; a port that has
    /// become free is worth asking for more often than that.
    pub const OPENING: Backoff = Backoff { pace: Pace::Opening, failures: 0 };
    /// For a program that could not be started while its listener stays readable: a second to a minute.
    pub const STARTING: Backoff = Backoff { pace: Pace::Starting, failures: 0 };
    /// For descriptors, memory or process numbers that have run out: 50 ms to 5 s, since they come back when somebody
    /// ends.
    pub const RESOURCES: Backoff = Backoff { pace: Pace::Resources, failures: 0 };

    /// For rpcbind, which may not be there yet or never: a second to ten minutes.
    pub const REGISTERING: Backoff = Backoff { pace: Pace::Registering, failures: 0 };

    /// Counts a failure and says how long to wait.
    pub fn fail(&mut self) -> Duration {
        let (first, longest) = match self.pace {
            Pace::Opening | Pace::Starting => (Duration::from_secs(1), Duration::from_secs(60)),
            Pace::Resources => (Duration::from_millis(50), Duration::from_secs(5)),
            Pace::Registering => (Duration::from_secs(1), Duration::from_secs(600)),
        };
        let wait = first.saturating_mul(1 << self.failures).min(longest);
        self.failures = (self.failures + 1).min(MOST_DOUBLINGS);
        wait
    }

    /// Counts a success.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Whether the last try failed.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Whether the last try was the first in a row that failed.
    pub fn has_just_failed(&self) -> bool {
        self.failures == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_bound_and_starts_over() {
        let mut backoff = Backoff::OPENING;
        let waits: Vec<u64> = (0..8).map(|_| backoff.fail().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.succeed();
        assert_eq!(backoff.fail().as_secs(), 1);
        for _ in 0..100 {
            backoff.fail();
        }
        assert_eq!(backoff.fail().as_secs(), 60);
    }
}
