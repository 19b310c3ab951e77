//! What programs write to standard error, where that comes to us.
//!
//! A service has one pipe for all its programs; it is read until the last of them has let go of it, whatever a reload
//! does meanwhile, since a program that writes to a pipe that nobody reads is killed. Each line becomes one log line,
//! and the last few are kept to be shown with failed starts. A line, the lines that are kept and what is read at once
//! are bounded: a program that writes without end costs its own lines.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use usherd_model::diagnostic::printable;
use usherd_model::slots::{Key, Side, Slots};
use usherd_model::supervisor::{ServiceId, ServiceState};

use crate::descriptors::move_up;

/// The standard error of all services that log it.
#[derive(Debug, Default)]
pub struct StderrLog {
    pipes: Slots<Pipe>,
    last: Side<ServiceState, VecDeque<String>>,
}

/// One service's pipe.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    service: ServiceId,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
}

/// Names a pipe.
pub type PipeId = Key<Pipe>;

/// What a pipe has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Open,
    /// Nobody can write to it any more.
    Ended,
}

/// The longest line that is logged in one piece.
const LONGEST: usize = 1024;
/// Lines that are kept of each service.
const KEPT: usize = 8;

impl StderrLog {
    /// Makes a pipe for a service. The end for programs is returned; it is to be closed when no more are started.
    pub fn open(&mut self, service: ServiceId) -> rustix::io::Result<(PipeId, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfl(&read, fcntl_getfl(&read)? | OFlags::NONBLOCK)?;
        let id = self.pipes.insert(Pipe { read: move_up(read), service, partial: Vec::new() });
        Ok((id, move_up(for_programs(write))))
    }

    /// Our end of a pipe.
    pub fn pipe(&self, id: PipeId) -> Option<BorrowedFd<'_>> {
        self.pipes.get(id).map(|pipe| pipe.read.as_fd())
    }

    /// Reads what has been written, a bounded piece, and passes each whole line on.
    pub fn read(&mut self, id: PipeId, mut line: impl FnMut(ServiceId, &str)) -> Progress {
        let Some(pipe) = self.pipes.get_mut(id) else { return Progress::Ended };
        let mut piece = [0_u8; 4096];
        let got = match rustix::io::read(&pipe.read, &mut piece) {
            Ok(0) => return Progress::Ended,
            Ok(got) => got,
            Err(Errno::AGAIN | Errno::INTR) => return Progress::Open,
            Err(_) => return Progress::Ended,
        };
        if self.last.get(pipe.service).is_none() {
            self.last.insert(pipe.service, VecDeque::new());
        }
        let Some(last) = self.last.get_mut(pipe.service) else { return Progress::Open };
        for byte in &piece[..got] {
            let ends = *byte == b'\n';
            if !ends {
                pipe.partial.push(*byte);
            }
            if ends || pipe.partial.len() == LONGEST {
                let text = printable(&std::mem::take(&mut pipe.partial));
                line(pipe.service, &text);
                if last.len() == KEPT {
                    last.pop_front();
                }
                last.push_back(text);
            }
        }
        Progress::Open
    }

    /// Closes a pipe.
    pub fn close(&mut self, id: PipeId) {
        self.pipes.remove(id);
    }

    /// The last lines of a service.
    pub fn last(&self, id: ServiceId) -> Vec<String> {
        self.last.get(id).into_iter().flatten().cloned().collect()
    }
}

/// The programs' end, open for reading too: a program that goes on when the daemon has ended is its own reader then,
/// and is not killed by its next complaint. (When nobody reads, it waits once the pipe is full.)
fn for_programs(write: OwnedFd) -> OwnedFd {
    let path = format!("/proc/self/fd/{}", write.as_raw_fd());
    open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap_or(write)
}
