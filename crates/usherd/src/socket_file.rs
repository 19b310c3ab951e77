//! The files of Unix sockets, for listeners and for the control socket.
//!
//! A file that nobody serves is replaced, one that somebody serves is never taken, one that is no socket is left
//! alone; ours go with us, unless somebody has put another in their place.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, Stat, lstat, stat, unlink};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with};
use rustix::process::umask;

/// The file of a socket of ours; removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: Vec<u8>,
    device: u64,
    inode: u64,
}

/// A call that failed, and how.
pub type Refused = (&'static str, Errno);

impl SocketFile {
    /// Binds a socket of this type to a path; the file gets the permissions that `mask` leaves.
    pub fn bind(socket: &OwnedFd, path: &[u8], kind: SocketType, mask: Mode) -> Result<Self, Refused> {
        let address = SocketAddrUnix::new(path).map_err(|error| ("bind", error))?;
        remove_stale(path, &address, kind)?;
        // The file has its permissions from its first moment.
        let old = umask(mask);
        let bound = bind(socket, &address);
        umask(old);
        bound.map_err(|error| ("bind", error))?;
        let Stat { st_dev: device, st_ino: inode, .. } = stat(path).map_err(|error| {
            // It was bound a moment ago.
            let _ = unlink(path);
            ("stat", error)
        })?;
        Ok(Self { path: path.to_vec(), device, inode })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let path = self.path.as_slice();
        if stat(path).is_ok_and(|now| (now.st_dev, now.st_ino) == (self.device, self.inode)) {
            let _ = unlink(path);
        }
    }
}

/// Removes the file of a socket that nobody serves any more.
fn remove_stale(path: &[u8], address: &SocketAddrUnix, kind: SocketType) -> Result<(), Refused> {
    match lstat(path) {
        Err(_) => return Ok(()),
        Ok(found) if FileType::from_raw_mode(found.st_mode) != FileType::Socket => {
            return Err(("bind", Errno::ADDRINUSE));
        }
        Ok(_) => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, kind, flags, None).map_err(|error| ("socket", error))?;
    match connect(&probe, address) {
        // PROTOTYPE: it is alive and of another type; AGAIN: it is alive and its backlog is full.
        Ok(()) | Err(Errno::PROTOTYPE | Errno::AGAIN) => Err(("bind", Errno::ADDRINUSE)),
        Err(Errno::CONNREFUSED) => unlink(path).map_err(|error| ("unlink", error)),
        Err(error) => Err(("connect", error)),
    }
}
