//! What rustix does not tell of a connection.

use std::ffi::c_int;
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

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
