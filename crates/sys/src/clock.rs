//! Local time, for log lines and the daytime service.

use std::mem::MaybeUninit;

/// A moment in the machine's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the part of that name, as people count it")]
pub struct LocalTime {
    pub year: i32,
    /// 0 to 11.
    pub month: usize,
    pub day: i32,
    /// 0 is Sunday.
    pub weekday: usize,
    pub hour: i32,
    pub minute: i32,
    pub second: i32,
    zone: [u8; ZONE],
}

/// Names of time zones are shorter; see tzset(3).
const ZONE: usize = 15;

impl LocalTime {
    /// The name of the time zone, as `UTC` or `CEST`; empty where it has none.
    pub fn zone(&self) -> String {
        let end = self.zone.iter().position(|byte| *byte == 0).unwrap_or(self.zone.len());
        String::from_utf8_lossy(&self.zone[..end]).into_owned()
    }
}

/// The local time of so many seconds since 1970. The first call reads the time zone from its file.
pub fn local_time(seconds: i64) -> LocalTime {
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    let seconds: libc::time_t = seconds;
    // SAFETY: both pointers lead to values that live across the call.
    unsafe { libc::localtime_r(&raw const seconds, parts.as_mut_ptr()) };
    // SAFETY: the call has filled the value in, or left the valid zeroes.
    let parts = unsafe { parts.assume_init() };
    LocalTime {
        year: parts.tm_year + 1900,
        month: usize::try_from(parts.tm_mon).unwrap_or_default(),
        day: parts.tm_mday,
        weekday: usize::try_from(parts.tm_wday).unwrap_or_default(),
        hour: parts.tm_hour,
        minute: parts.tm_min,
        second: parts.tm_sec,
        zone: zone_of(&parts),
    }
}

fn zone_of(parts: &libc::tm) -> [u8; ZONE] {
    let mut zone = [0; ZONE];
    if parts.tm_zone.is_null() {
        return zone;
    }
    // SAFETY: localtime_r(3) leaves null, or a string of the C library's that stays until the next tzset(3), which
    // nobody calls meanwhile: the daemon has one thread.
    let name = unsafe { std::ffi::CStr::from_ptr(parts.tm_zone) };
    for (to, from) in zone.iter_mut().zip(name.to_bytes()) {
        *to = *from;
    }
    zone
}
