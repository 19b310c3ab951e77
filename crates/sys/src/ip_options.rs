//! The options of a connection's IP headers, which rustix does not offer.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The most that an IPv4 header has room for, with what the kernel puts in front.
pub const MOST: usize = 64;

/// The options that came with a connection; none where it has none.
///
/// # Errors
///
/// Those of getsockopt(2); a socket that is none of IPv4 has no such options.
pub fn get<'a>(socket: BorrowedFd<'_>, room: &'a mut [u8; MOST]) -> io::Result<&'a [u8]> {
    let mut length = libc::socklen_t::try_from(room.len()).unwrap_or_default();
    // SAFETY: the buffer may be written as far as its length says, and so may the length.
    crate::checked(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            IP_OPTIONS,
            room.as_mut_ptr().cast(),
            &raw mut length,
        )
    })?;
    Ok(room.get(..usize::try_from(length).unwrap_or_default()).unwrap_or_default())
}

/// Sets the options of what is sent from now on; an empty slice for none.
pub fn set(socket: BorrowedFd<'_>, options: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(options.len()).unwrap_or_default();
    // SAFETY: the options are as long as their length says, and are only read.
    crate::checked(unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, IP_OPTIONS, options.as_ptr().cast(), length)
    })?;
    Ok(())
}

/// `IP_OPTIONS` of in.h, which the libc crate does not declare for every target.
const IP_OPTIONS: c_int = 4;
