//! The daemon's clock: time since it began, sleep of the machine included.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use usherd_model::time::Tick;
use usherd_sys::clock::{LocalTime, local_time};

/// Now, on a clock that never goes back and goes on while the machine sleeps (`CLOCK_BOOTTIME`, as in the original).
pub fn now() -> Tick {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Tick::new(Duration::new(seconds, nanoseconds))
}

/// Seconds since 1970, as the machine believes.
pub fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}

/// The time of day where the machine is.
pub fn local() -> LocalTime {
    local_time(unix_seconds())
}

/// Names of days, from Sunday.
pub const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
/// Names of months, from January.
pub const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
