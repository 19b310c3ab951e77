//! The pid file: one line, locked for as long as the daemon lives, removed at its end.
//!
//! The lock, not the number, says whether a daemon runs, so a file that a crash left behind is just taken over.

use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, ftruncate, lstat, open, unlink};
use rustix::io::Errno;

/// A pid file of ours.
#[derive(Debug)]
pub struct PidFile {
    path: String,
    file: OwnedFd,
}

/// Why there is none.
#[derive(Debug)]
pub enum PidFileError {
    /// Another daemon holds it.
    Held(String),
    /// It cannot be written.
    Refused(String, Errno),
}

impl std::fmt::Display for PidFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PidFileError::Held(path) => write!(f, "another daemon runs: it holds {path}"),
            PidFileError::Refused(path, error) => write!(f, "{path}: {error}"),
        }
    }
}

impl std::error::Error for PidFileError {}

impl PidFile {
    /// Takes the file and locks it; the number is written by [`Self::write`].
    pub fn take(path: &str) -> Result<Self, PidFileError> {
        let refused = |error| PidFileError::Refused(path.to_owned(), error);
        // Not through a link: the folder may be writable by others.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        loop {
            let file = open(path, flags, Mode::from_raw_mode(0o644)).map_err(refused)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::AGAIN) => return Err(PidFileError::Held(path.to_owned())),
                Err(error) => return Err(refused(error)),
            }
            // A daemon that ended between the two calls has removed the file, and another may have made a new one: then
            // this lock keeps nobody out. The next round finds what is there now.
            if is_at(&file, path).map_err(refused)? {
                return Ok(Self { path: path.to_owned(), file: crate::descriptors::move_up(file) });
            }
        }
    }

    /// Writes the number of this process.
    pub fn write(&self) -> Result<(), PidFileError> {
        let refused = |error| PidFileError::Refused(self.path.clone(), error);
        ftruncate(&self.file, 0).map_err(refused)?;
        let line = format!("{}\n", std::process::id());
        rustix::io::pwrite(&self.file, line.as_bytes(), 0).map_err(refused)?;
        Ok(())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = unlink(self.path.as_str());
    }
}

/// Whether an open file is the one that the path names.
fn is_at(file: &OwnedFd, path: &str) -> rustix::io::Result<bool> {
    let ours = fstat(file)?;
    match lstat(path) {
        Ok(now) => Ok((now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_pid_file_has_one_holder_however_often_it_is_removed() {
        let path = std::env::temp_dir().join(format!("usherd-pid-file-{}", std::process::id()));
        let path = path.to_str().expect("a path of letters");
        let (holders, taken) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    while taken.load(Ordering::Relaxed) < 20_000 {
                        let Ok(file) = PidFile::take(path) else { continue };
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                        taken.fetch_add(1, Ordering::Relaxed);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(file);
                    }
                });
            }
        });
    }
}
