//! Waiting: for a condition, with a deadline. The only place that sleeps.
//!
//! A case never waits a fixed time for something to happen. [`stays`] is for the few that prove that
//! something does *not* happen.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static PATIENCE: OnceLock<Duration> = OnceLock::new();

/// How long a condition may take in this process; called once, before the case starts.
pub fn set_patience(patience: Duration) {
    PATIENCE.set(patience).expect("set once, at the start of the case");
}

pub fn patience() -> Duration {
    *PATIENCE.get_or_init(|| Duration::from_secs(10))
}

/// Waits until `probe` gives a value; the case fails when it takes too long.
pub fn wait_for<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    wait_at_most(patience(), what, probe)
}

/// As [`wait_for`], for what is known to be slow.
pub fn wait_at_most<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Fails when `condition` stops holding within `time`. The price is the whole of `time`: keep it short.
pub fn stays(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert!(condition(), "no longer true: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
