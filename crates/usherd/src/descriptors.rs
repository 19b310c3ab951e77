//! Where descriptors stand in our table.
//!
//! What lives long is moved up, to [`FIRST_LONG_LIVED`] and beyond, so that connections get the low numbers: a child
//! that shares our table copies only what is below its connection (see `usherd_sys::spawn`).

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use usherd_sys::process::{close_on_exec, close_on_exec_from};
use usherd_sys::spawn::Table;

/// Numbers below are for connections on their way to a child.
pub const FIRST_LONG_LIVED: i32 = 64;

/// Up to so many long-lived descriptors a child gets a copy of the table: copying costs less than leaving a shared one.
const COPIED_TABLE: usize = 128;

/// The most descriptors that we ask for: more than ports there are, and a table of that size takes 8 MiB.
const MOST: u64 = 1 << 20;

/// Gives a descriptor a number that is out of the way of connections. When there is none left it keeps the one that
/// it has, which is right, too, and only slower.
pub fn move_up(fd: OwnedFd) -> OwnedFd {
    if fd.as_raw_fd() >= FIRST_LONG_LIVED {
        return fd;
    }
    fcntl_dupfd_cloexec(&fd, FIRST_LONG_LIVED).unwrap_or(fd)
}

/// All numbers for connections, taken: what is opened meanwhile is out of their way as it is. For thousands of listeners,
/// each of which would have to be moved.
#[derive(Debug)]
pub struct LowNumbers {
    _taken: Vec<OwnedFd>,
}

impl LowNumbers {
    /// Takes them, when so many descriptors will be opened that it pays. `None` also when there are not enough.
    pub fn take(opened: usize) -> Option<Self> {
        if opened <= COPIED_TABLE {
            return None;
        }
        let mut taken = Vec::new();
        loop {
            let fd = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).ok()?;
            if fd.as_raw_fd() >= FIRST_LONG_LIVED {
                return Some(Self { _taken: taken });
            }
            taken.push(fd);
        }
    }
}

/// Descriptors that are kept so that the daemon can be asked, can reload, and can accept for a program when all others
/// are in use.
#[derive(Debug, Default)]
pub struct Reserve {
    kept: Vec<OwnedFd>,
}

impl Reserve {
    /// A load needs the most: a memory file and a pipe.
    const SIZE: usize = 4;

    /// Gives them free.
    pub fn release(&mut self) {
        self.kept.clear();
    }

    /// Takes what is missing again, as far as there is something to take.
    pub fn fill(&mut self) {
        while self.kept.len() < Self::SIZE {
            match open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
                Ok(fd) => self.kept.push(move_up(fd)),
                Err(_) => break,
            }
        }
    }
}

/// How children get our table when so many long-lived descriptors are in it.
pub fn table(long_lived: usize) -> Table {
    if long_lived <= COPIED_TABLE { Table::Copied } else { Table::Shared }
}

/// Makes sure that 0, 1 and 2 are open, and that nothing else that we inherited is passed on.
pub fn sanitise() -> rustix::io::Result<()> {
    loop {
        let fd = open("/dev/null", OFlags::RDWR, Mode::empty())?;
        if fd.as_raw_fd() > 2 {
            break;
        }
        // It has become one of the three, for good.
        std::mem::forget(fd);
    }
    let closed = close_on_exec_from(3).or_else(|_| close_on_exec_one_by_one(3));
    closed.map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))
}

/// What kernels need (5.10) whose close_range(2) can only close.
fn close_on_exec_one_by_one(first: i32) -> std::io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        if let Some(fd) = number.filter(|fd| *fd >= first) {
            // The descriptor that reads the folder is in it; when this one is closed by now, all is well, too.
            let _ = close_on_exec(fd);
        }
    }
    Ok(())
}

/// Takes as many descriptors as we may. Returns the limit as it was, which children get back.
pub fn raise_limit() -> Rlimit {
    let original = getrlimit(Resource::Nofile);
    let hard = original.maximum.unwrap_or(MOST).min(MOST);
    if original.current.is_some_and(|soft| soft < hard) {
        // Without it we have fewer; each that is missing later costs its listener or its caller and is said.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(hard), maximum: original.maximum });
    }
    original
}

/// Replaces 0, 1 and 2 by the null device.
pub fn detach_stdio() -> rustix::io::Result<()> {
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_by_one_is_as_good_as_all_at_once() {
        use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
        let fd = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).expect("open");
        // Far away from what other tests have.
        let fd = fcntl_dupfd_cloexec(&fd, 700).expect("dup");
        fcntl_setfd(&fd, FdFlags::empty()).expect("fcntl");
        close_on_exec_one_by_one(700).expect("/proc");
        assert_eq!(fcntl_getfd(&fd), Ok(FdFlags::CLOEXEC));
    }
}
