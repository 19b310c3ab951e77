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
    unix_seconds_before(Duration::ZERO)
}

/// The same, so long ago.
fn unix_seconds_before(ago: Duration) -> i64 {
    let then = SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH);
    let since = then.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}

/// The time of day where the machine is.
pub fn local() -> LocalTime {
    local_time(unix_seconds())
}

/// A time as ctime(3) writes it: `Mon Nov 23 08:52:17 2026`.
pub fn ctime(time: &LocalTime) -> String {
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} {}",
        DAYS[time.weekday % 7],
        MONTHS[time.month % 12],
        time.day,
        time.hour,
        time.minute,
        time.second,
        time.year
    )
}

/// The same of what was so long ago.
pub fn ctime_before(ago: Duration) -> String {
    ctime(&local_time(unix_seconds_before(ago)))
}

/// Names of days, from Sunday.
pub const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
/// Names of months, from January.
pub const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
