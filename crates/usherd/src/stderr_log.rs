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
    tails: Side<ServiceState, Tail>,
    /// Counts the turns of the event loop.
    turn: u64,
}

/// One service's pipe.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    service: ServiceId,
}

/// What a service's programs wrote last.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<String>,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    /// Whether there was more to read than was read.
    has_more: bool,
    /// The turn in which one of the programs has ended last.
    ended: Option<u64>,
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
        if self.tails.get(service).is_none() {
            self.tails.insert(service, Tail::default());
        }
        let id = self.pipes.insert(Pipe { read: move_up(read), service });
        Ok((id, move_up(for_programs(write))))
    }

    /// Our end of a pipe.
    pub fn pipe(&self, id: PipeId) -> Option<BorrowedFd<'_>> {
        self.pipes.get(id).map(|pipe| pipe.read.as_fd())
    }

    /// A turn of the event loop begins.
    pub fn begin_turn(&mut self) {
        self.turn += 1;
    }

    /// Reads what has been written, a bounded piece, and passes each whole line on. What a program has written last is
    /// a line even without an end.
    pub fn read(&mut self, id: PipeId, mut line: impl FnMut(ServiceId, &str)) -> Progress {
        let Some(Pipe { read, service }) = self.pipes.get(id) else { return Progress::Ended };
        let Some(tail) = self.tails.get_mut(*service) else { return Progress::Ended };
        let mut line = |text: &str| line(*service, text);
        let mut piece = [0_u8; 4096];
        let got = match rustix::io::read(read, &mut piece) {
            Ok(got @ 1..) => got,
            Err(Errno::AGAIN | Errno::INTR) => return Progress::Open,
            Ok(0) | Err(_) => {
                tail.end_line(&mut line);
                return Progress::Ended;
            }
        };
        tail.add(&piece[..got], &mut line);
        tail.has_more = got == piece.len();
        // What a program wrote before it ended may be read after its end is known: in the same turn or in the next.
        let has_ended = tail.ended.is_some_and(|ended| self.turn <= ended + 1);
        if has_ended && !tail.has_more {
            tail.end_line(&mut line);
        }
        Progress::Open
    }

    /// A program of a service has ended: the last that it wrote is a line, if all of it is read. This costs no call.
    pub fn ended(&mut self, service: ServiceId, mut line: impl FnMut(ServiceId, &str)) {
        let Some(tail) = self.tails.get_mut(service) else { return };
        tail.ended = Some(self.turn);
        if !tail.has_more {
            tail.end_line(&mut |text| line(service, text));
        }
    }

    /// Whether any service logs its standard error.
    pub fn is_used(&self) -> bool {
        !self.pipes.is_empty()
    }

    /// Closes a pipe.
    pub fn close(&mut self, id: PipeId) {
        self.pipes.remove(id);
    }

    /// The last lines of a service.
    pub fn last(&self, id: ServiceId) -> Vec<String> {
        self.tails.get(id).into_iter().flat_map(|tail| &tail.lines).cloned().collect()
    }
}

impl Tail {
    fn add(&mut self, bytes: &[u8], line: &mut impl FnMut(&str)) {
        for byte in bytes {
            let ends = *byte == b'\n';
            if !ends {
                self.partial.push(*byte);
            }
            if ends || self.partial.len() == LONGEST {
                self.pass_on(line);
            }
        }
    }

    /// A line whose end will not come is one as it is.
    fn end_line(&mut self, line: &mut impl FnMut(&str)) {
        if !self.partial.is_empty() {
            self.pass_on(line);
        }
    }

    fn pass_on(&mut self, line: &mut impl FnMut(&str)) {
        let text = printable(&std::mem::take(&mut self.partial));
        line(&text);
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(text);
    }
}

/// The programs' end, open for reading too: a program that goes on when the daemon has ended is its own reader then,
/// and is not killed by its next complaint. (When nobody reads, it waits once the pipe is full.)
fn for_programs(write: OwnedFd) -> OwnedFd {
    let path = format!("/proc/self/fd/{}", write.as_raw_fd());
    open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap_or(write)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Service {
        log: StderrLog,
        pipe: PipeId,
        id: ServiceId,
        lines: Vec<String>,
    }

    impl Service {
        fn new() -> (Self, OwnedFd) {
            let (mut log, id) = (StderrLog::default(), Key::unpack(0));
            let (pipe, write) = log.open(id).expect("pipe");
            (Self { log, pipe, id, lines: Vec::new() }, write)
        }

        fn turn(&mut self) {
            self.log.begin_turn();
        }

        fn read(&mut self) -> Progress {
            self.log.read(self.pipe, |_, line| self.lines.push(line.to_owned()))
        }

        fn end(&mut self) {
            self.log.ended(self.id, |_, line| self.lines.push(line.to_owned()));
        }
    }

    fn write(pipe: &OwnedFd, text: &str) {
        assert_eq!(rustix::io::write(pipe, text.as_bytes()), Ok(text.len()));
    }

    #[test]
    fn the_last_line_of_a_program_needs_no_end() {
        let (mut service, pipe) = Service::new();
        write(&pipe, "one\ntwo");
        service.turn();
        service.read();
        assert_eq!(service.lines, ["one"]);
        service.end();
        assert_eq!(service.lines, ["one", "two"]);
        write(&pipe, "three\n");
        service.read();
        assert_eq!(service.lines, ["one", "two", "three"]);
    }

    #[test]
    fn an_end_that_is_known_first_does_not_glue_the_next_programs_line() {
        let (mut service, pipe) = Service::new();
        service.turn();
        write(&pipe, "one");
        service.end();
        service.turn();
        service.read();
        assert_eq!(service.lines, ["one"]);
        // Later it means nothing any more: this line is not done.
        service.turn();
        write(&pipe, "tw");
        service.read();
        write(&pipe, "o\n");
        service.read();
        assert_eq!(service.lines, ["one", "two"]);
    }

    #[test]
    fn a_line_that_is_not_read_to_its_end_is_not_cut_by_an_end() {
        let (mut service, pipe) = Service::new();
        let long = "x".repeat(100);
        write(&pipe, &(format!("{}\n", "x".repeat(99)).repeat(40) + &"y".repeat(96) + &long));
        service.turn();
        service.read();
        service.end();
        assert_eq!(service.lines.len(), 40);
        service.read();
        assert_eq!(service.lines.last(), Some(&("y".repeat(96) + &long)));
    }

    #[test]
    fn the_end_of_a_pipe_ends_its_last_line() {
        let (mut service, pipe) = Service::new();
        write(&pipe, "one");
        drop(pipe);
        service.read();
        assert_eq!(service.read(), Progress::Ended);
        assert_eq!(service.lines, ["one"]);
    }
}
