//! xinetd's access control: from where, when, and under what load a service may be called.
//!
//! Words → compiled sets → a verdict, as a function of the caller and of nothing else. Source: xinetd.conf(5) and the
//! behaviour of Debian's xinetd 2.3.15.3; where this module differs, `docs/compat.md` says so. What it must never do: let
//! somebody in because something could not be found out, or remember more callers than it has room for.

mod load;
mod pattern;
mod peers;
mod sensor;
mod times;
mod word;

pub use load::{Load, MaxLoad};
pub use pattern::Pattern;
pub use peers::{Admits, Peers};
pub use sensor::{DenyList, DenyTime, MOST_DENIED, Noted};
pub use times::{Interval, Times};
pub use word::WordError;

use serde::{Deserialize, Serialize};

/// All of it, for one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// From where, if not from everywhere.
    pub peers: Option<Peers>,
    /// When, if not always.
    pub times: Option<Times>,
    /// Under what load, if not under any.
    pub max_load: Option<MaxLoad>,
    /// Nobody is served whose machine does not say who calls.
    pub id_only: bool,
    /// Nobody is served, and whoever calls is denied everywhere for so long.
    pub sensor: Option<DenyTime>,
}

impl Guard {
    /// Whether the machine has to be looked at before it can be said who may call.
    pub fn wants_circumstances(&self) -> bool {
        self.times.is_some() || self.max_load.is_some()
    }
}

/// How the machine is, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Minutes since midnight, where the machine is.
    pub minute_of_day: u16,
    /// The mean load of the last minute, if it could be found out.
    pub load: Option<Load>,
}
