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
