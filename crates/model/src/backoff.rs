//! How long to wait before trying again what has failed.

use std::time::Duration;

/// A wait that doubles with each failure in a row, up to a bound, and starts over after a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// For a socket that could not be opened. The originals wait ten minutes; a port that has become free is worth
    /// asking for more often than that.
    pub const OPEN: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    /// For a program that could not be started while its listener stays readable.
    pub const START: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    /// For descriptors, memory or process numbers that have run out: they come back when somebody ends.
    pub const RESOURCE: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

    /// A wait of `first`, twice that after the next failure, and so on up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// Counts a failure and says how long to wait.
    pub fn fail(&mut self) -> Duration {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }

    /// Counts a success.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_bound_and_starts_over() {
        let mut backoff = Backoff::OPEN;
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
