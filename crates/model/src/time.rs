//! Time as the core sees it: a distance from an arbitrary start, handed in by the shell.
//!
//! The core never asks what time it is. A test makes ticks up and runs ten minutes of back-off in a microsecond.

use std::num::NonZeroU64;
use std::time::Duration;

/// A moment, as the time since the shell's clock began. The shell's clock never goes back.
///
/// In nanoseconds and one more, so that `Option<Tick>` is no larger; enough for 584 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(NonZeroU64);

impl Tick {
    /// The moment `since_start` after the clock began.
    pub fn new(since_start: Duration) -> Self {
        Self::default().after(since_start)
    }

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// The moment `delay` after this one.
    pub fn after(self, delay: Duration) -> Tick {
        Tick(self.0.saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Default for Tick {
    /// When the clock began.
    fn default() -> Self {
        Self(NonZeroU64::MIN)
    }
}
