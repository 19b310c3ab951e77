//! The only unsafe code of usherd.
//!
//! What `rustix` offers is taken from there. This crate has what it does not offer: starting children in shared
//! memory ([`spawn`]) and what runs in them ([`child`]), signals ([`signal`]), the machine's data bases ([`names`]),
//! datagrams in batches ([`datagram`]), options of IP headers ([`ip_options`]), what a connection still has to send
//! ([`socket`]), local time ([`clock`]), and a few calls about our own process ([`process`]).
//!
//! Rules: no policy and no configuration here, nothing of `usherd-model`. One system call a function, typed at both
//! ends; each `SAFETY` comment names the invariant of that call. What runs in a child lives in `child` and `raw` and
//! calls nothing outside them.

pub mod child;
pub mod clock;
pub mod datagram;
pub mod ip_options;
pub mod names;
pub mod process;
mod raw;
pub mod signal;
pub mod socket;
pub mod spawn;

use std::io;

/// The result of a libc call that says -1 and sets errno.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
