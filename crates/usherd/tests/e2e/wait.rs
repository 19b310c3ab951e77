//! Waiting for a condition, with a deadline; never for a duration.

use std::time::{Duration, Instant};

/// Long enough for a machine that is busy with other things; nothing here takes so long when it works.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How long it is looked whether something happens that must not happen.
pub const MOMENT: Duration = Duration::from_millis(150);

const STEP: Duration = Duration::from_millis(2);

/// Waits until `condition` holds. `what` says what is waited for.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    some(what, || condition().then_some(()));
}

/// Waits until there is an answer.
#[track_caller]
pub fn some<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(began.elapsed() < DEADLINE, "waited in vain: {what}");
        std::thread::sleep(STEP);
    }
}

/// Looks for a moment whether `condition` goes on to hold.
#[track_caller]
pub fn stays(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while began.elapsed() < MOMENT {
        assert!(condition(), "no longer: {what}");
        std::thread::sleep(STEP);
    }
}
