//! The files of Unix sockets, for listeners and for the control socket.
//!
//! A file that nobody serves is replaced, one that somebody serves is never taken, one that is no socket is left
//! alone; ours go with us, unless somebody has put another in their place.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, chmod, chownat, fstat, lstat, open, stat, unlink,
};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with};
use rustix::process::umask;
use usherd_model::event::Call;
use usherd_model::service::FileAccess;

/// The file of a socket of ours; removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: Vec<u8>,
    device: u64,
    inode: u64,
}

/// A call that failed, and how.
pub type Refused = (Call, Errno);

impl SocketFile {
    /// Binds a socket of this type to a path. The file has its permissions from its first moment.
    pub fn bind(
        socket: &OwnedFd,
        path: &[u8],
        kind: SocketType,
        access: &FileAccess,
    ) -> Result<Self, Refused> {
        let is_ours = access.user.is_none() && access.group.is_none();
        // What is to be somebody else's is nobody's until it is.
        let mode = if is_ours { access.mode } else { 0 };
        let address = SocketAddrUnix::new(path).map_err(|error| (Call::Bind, error))?;
        remove_stale(path, &address, kind)?;
        let old = umask(Mode::from_raw_mode(!mode & 0o777));
        let bound = bind(socket, &address);
        umask(old);
        bound.map_err(|error| (Call::Bind, error))?;
        let Stat { st_dev: device, st_ino: inode, .. } = stat(path).map_err(|error| {
            // It was bound a moment ago.
            let _ = unlink(path);
            (Call::Stat, error)
        })?;
        let file = Self { path: path.to_vec(), device, inode };
        if !is_ours {
            file.allow(access)?;
        }
        Ok(file)
    }

    /// Gives the file the owner and the permissions of `access`, if it still is ours.
    pub fn allow(&self, access: &FileAccess) -> Result<(), Refused> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = open(self.path.as_slice(), flags, Mode::empty()).map_err(|error| (Call::Open, error))?;
        let now = fstat(&file).map_err(|error| (Call::Stat, error))?;
        if (now.st_dev, now.st_ino) != (self.device, self.inode) {
            return Ok(());
        }
        let (user, group) = (access.user.map(Uid::from_raw), access.group.map(Gid::from_raw));
        if user.is_some() || group.is_some() {
            chownat(&file, "", user, group, AtFlags::EMPTY_PATH).map_err(|error| (Call::Chown, error))?;
        }
        // fchmod(2) does not take such a descriptor; its name in /proc means the same file.
        let name = format!("/proc/self/fd/{}", file.as_raw_fd());
        chmod(&name, Mode::from_raw_mode(access.mode)).map_err(|error| (Call::Chmod, error))
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
            return Err((Call::Bind, Errno::ADDRINUSE));
        }
        Ok(_) => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, kind, flags, None).map_err(|error| (Call::Socket, error))?;
    match connect(&probe, address) {
        // PROTOTYPE: it is alive and of another type; AGAIN: it is alive and its backlog is full.
        Ok(()) | Err(Errno::PROTOTYPE | Errno::AGAIN) => Err((Call::Bind, Errno::ADDRINUSE)),
        Err(Errno::CONNREFUSED) => unlink(path).map_err(|error| (Call::Unlink, error)),
        Err(error) => Err((Call::Connect, error)),
    }
}
