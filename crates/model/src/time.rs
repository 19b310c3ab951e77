//! Time as the core sees it: a distance from an arbitrary start, handed in by the shell.
//!
//! The core never asks what time it is. A test makes ticks up and runs ten minutes of back-off in a microsecond.

use std::time::Duration;

/// A moment, as the time since the shell's clock began. The shell's clock never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(Duration);

impl Tick {
    /// The moment `since_start` after the clock began.
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Tick) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `delay` after this one.
    pub fn after(self, delay: Duration) -> Tick {
        Tick(self.0.saturating_add(delay))
    }
}
