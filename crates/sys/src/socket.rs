//! What rustix does not tell of a connection.

use std::ffi::{CStr, c_int};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes that were written and that the peer's kernel does not have yet, as far as it has told.
///
/// # Errors
///
/// Those of ioctl(2).
pub fn unsent(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: c_int = 0;
    // SAFETY: this request writes one int, which is there. (For a socket TIOCOUTQ is SIOCOUTQ.)
    crate::checked(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or_default())
}

/// The name of a network interface by its number; `None` when there is none of that number (any more).
pub fn interface_name(index: u32) -> Option<String> {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the IF_NAMESIZE bytes that are written at the most, with a NUL at their end.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: the call has succeeded: what it has written ends with a NUL inside of the buffer.
    Some(unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn interfaces_have_names() {
        assert_eq!(interface_name(u32::MAX), None);
        let numbers = std::fs::read_dir("/sys/class/net").expect("a folder");
        for name in numbers.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
            let index = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex"));
            let Some(index) = index.ok().and_then(|index| index.trim().parse().ok()) else { continue };
            assert_eq!(interface_name(index).as_deref(), Some(&*name));
        }
    }

    #[test]
    fn what_nobody_has_read_is_unsent_on_this_machine() {
        let (mut one, mut other) = UnixStream::pair().expect("socketpair");
        assert_eq!(unsent(one.as_fd()).expect("ioctl"), 0);
        one.write_all(b"five!").expect("write");
        assert!(unsent(one.as_fd()).expect("ioctl") >= 5);
        other.read_exact(&mut [0; 5]).expect("read");
        assert_eq!(unsent(one.as_fd()).expect("ioctl"), 0);
    }
}
