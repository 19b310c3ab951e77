//! Files that services have their own lines in: xinetd's `log_type = FILE`.
//!
//! A file is opened when a line goes into it and stays open; [`Files::reopen`] lets go of all, so that they can be moved
//! away. Nothing is read, and nothing beyond a file's hard limit is written.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags, fstat, open};
use usherd_model::policy::LogFile;

use crate::{clock, descriptors};

/// The files that are open, by their paths.
#[derive(Debug, Default)]
pub(super) struct Files {
    open: HashMap<Box<[u8]>, File>,
}

#[derive(Debug)]
struct File {
    fd: OwnedFd,
    size: u64,
    /// Whether it was said that the file is beyond its soft limit.
    is_large: bool,
    /// Whether it is beyond its hard limit.
    is_full: bool,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is written.
    Written,
    /// It is written, and the file is beyond its soft limit since then.
    Grown,
    /// It is written, and is the last one.
    Full,
    /// It is not.
    Lost,
}

impl Files {
    /// Adds a line.
    pub(super) fn write(&mut self, file: &LogFile, line: &str) -> Outcome {
        let Some(open) = self.file(file) else { return Outcome::Lost };
        if open.is_full {
            return Outcome::Lost;
        }
        let line = format!("{line}\n");
        // A disk that is full takes a part of it.
        let Ok(written) = rustix::io::write(&open.fd, line.as_bytes()) else { return Outcome::Lost };
        open.size += written as u64;
        open.outcome(file)
    }

    /// Lets go of all files: the next line opens its file anew.
    pub(super) fn reopen(&mut self) {
        self.open.clear();
    }

    fn file(&mut self, file: &LogFile) -> Option<&mut File> {
        if !self.open.contains_key(&file.path) {
            self.open.insert(file.path.clone(), File::open(file)?);
        }
        self.open.get_mut(&file.path)
    }
}

/// Opens a file that lines are added to, and makes it where there is none.
pub(super) fn open_to_add(path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    open(path, flags, Mode::from_raw_mode(0o644))
}

impl File {
    fn open(file: &LogFile) -> Option<Self> {
        let fd = open_to_add(OsStr::from_bytes(&file.path)).ok()?;
        let size = fstat(&fd).map_or(0, |found| u64::try_from(found.st_size).unwrap_or_default());
        let is_full = file.hard.is_some_and(|most| size > most);
        let is_large = file.soft.is_some_and(|most| size > most);
        Some(Self { fd: descriptors::move_up(fd), size, is_large, is_full })
    }

    fn outcome(&mut self, file: &LogFile) -> Outcome {
        let exceeds = |most: Option<u64>| most.is_some_and(|most| self.size > most);
        if exceeds(file.hard) {
            self.is_full = true;
            return Outcome::Full;
        }
        if exceeds(file.soft) && !self.is_large {
            self.is_large = true;
            return Outcome::Grown;
        }
        Outcome::Written
    }
}

/// The time, as xinetd writes it: `26/12/1@08:17:30`.
pub(super) fn stamp() -> String {
    let time = clock::local();
    format!(
        "{}/{}/{}@{:02}:{:02}:{:02}",
        time.year % 100,
        time.month + 1,
        time.day,
        time.hour,
        time.minute,
        time.second
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_ends_at_its_hard_limit() {
        let folder = std::env::temp_dir().join(format!("usherd-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("log");
        let limits = |soft, hard| LogFile { path: path.as_os_str().as_bytes().into(), soft, hard };
        let line = "START: it pid=1";
        let length = line.len() as u64 + 1;
        let file = limits(Some(length), Some(3 * length));
        let mut files = Files::default();
        let outcomes: Vec<Outcome> = (0..6).map(|_| files.write(&file, line)).collect();
        let expected =
            [Outcome::Written, Outcome::Grown, Outcome::Written, Outcome::Full, Outcome::Lost, Outcome::Lost];
        assert_eq!(outcomes, expected);
        // One that was moved away begins anew, and one that is full is full.
        files.reopen();
        assert_eq!(files.write(&file, line), Outcome::Lost);
        std::fs::remove_file(&path).expect("it is there");
        files.reopen();
        assert_eq!(files.write(&file, line), Outcome::Written);
        let missing =
            LogFile { path: folder.join("no/log").as_os_str().as_bytes().into(), ..limits(None, None) };
        assert_eq!(files.write(&missing, line), Outcome::Lost);
        std::fs::remove_dir_all(&folder).expect("it is ours");
    }
}
