//! One direction of a session: bytes from one socket to the other.
//!
//! A stream is spliced: its bytes stay in the kernel. A few bytes are copied, which for them costs less. Nothing is
//! taken from a socket unless there is a place for all of it, so nothing is ever lost or waits in our own memory.

use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, write};
use rustix::net::sockopt::socket_error;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use rustix::pipe::{SpliceFlags, splice};

use super::PIECE;
use super::pipes::{CAPACITY, Pipe, Pipes};

/// A socket, and what is known of it.
#[derive(Debug)]
pub struct End {
    /// The socket; it does not block.
    pub socket: OwnedFd,
    readable: bool,
    writable: bool,
    /// Something else than bytes can be next: the end, or an urgent mark, before which a read ends early.
    has_marks: bool,
    /// The connection broke. What came before that can be read all the same.
    is_lost: bool,
    error: Option<Errno>,
}

impl End {
    /// One of which nothing is known yet.
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, readable: false, writable: false, has_marks: false, is_lost: false, error: None }
    }

    /// Notes what the poller says.
    pub fn note(&mut self, ready: EventFlags) {
        let ends = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        self.readable |= ready.intersects(EventFlags::IN | EventFlags::PRI | ends);
        self.writable |= ready.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR);
        self.has_marks |= ready.intersects(EventFlags::PRI | ends);
        self.is_lost |= ready.contains(EventFlags::ERR);
    }

    /// Whether the poller has said anything.
    pub fn is_known(&self) -> bool {
        self.readable || self.writable
    }

    /// Whether the connection broke.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Whether the connection broke, and how as far as it is known.
    pub fn loss(&self) -> Option<Errno> {
        let unknown = || socket_error(&self.socket).ok().and_then(Result::err).unwrap_or(Errno::CONNRESET);
        if self.is_lost { Some(self.error.unwrap_or_else(unknown)) } else { None }
    }

    fn lose(&mut self, error: Errno) {
        self.error.get_or_insert(error);
        (self.is_lost, self.readable, self.has_marks) = (true, true, true);
    }
}

/// One direction.
#[derive(Debug, Default)]
pub struct Flow {
    held: Option<Held>,
    /// Whether it is a stream, as far as the last look can tell.
    is_stream: bool,
    is_over: bool,
    passed: u64,
}

/// A pipe with bytes that the reader has not taken.
#[derive(Debug)]
struct Held {
    pipe: Pipe,
    bytes: usize,
}

/// What all flows use.
#[derive(Debug, Default)]
pub struct Tools {
    /// The pipes.
    pub pipes: Pipes,
    buffer: Vec<u8>,
}

/// What one step has brought.
enum Step {
    /// So many bytes were passed on.
    Passed(usize),
    /// There will be none any more.
    End,
}

/// The connection that broke in a step.
enum Broken {
    From(Errno),
    To(Errno),
}

impl Flow {
    /// Passes on what there is, and stops some time after so many bytes. Returns how many they were.
    pub fn pump(&mut self, from: &mut End, to: &mut End, tools: &mut Tools, budget: usize) -> usize {
        let mut passed = 0;
        while passed < budget && self.can_go_on(from, to) {
            match self.step(from, to, tools) {
                Ok(Step::Passed(bytes)) => passed += bytes,
                Ok(Step::End) => {
                    self.is_over = true;
                    // What broke off is not to look as if it were complete.
                    if !from.is_lost {
                        // Who has gone cannot be told.
                        if let Err(error) = shutdown(&to.socket, Shutdown::Write) {
                            to.lose(error);
                        }
                    }
                }
                Err(broken) => {
                    match broken {
                        Broken::From(error) => from.lose(error),
                        Broken::To(error) => to.lose(error),
                    }
                    self.is_over = true;
                    self.discard(&mut tools.pipes);
                }
            }
        }
        self.passed += u64::try_from(passed).unwrap_or_default();
        passed
    }

    /// Whether there is something to do before the poller says more.
    pub fn can_go_on(&self, from: &End, to: &End) -> bool {
        !self.is_over && to.writable && (self.held.is_some() || from.readable)
    }

    /// Whether nothing is to be passed on any more.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Bytes so far.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Closes what it holds.
    pub fn discard(&mut self, pipes: &mut Pipes) {
        if let Some(held) = self.held.take() {
            pipes.discard(held.pipe);
        }
    }

    fn step(&mut self, from: &mut End, to: &mut End, tools: &mut Tools) -> Result<Step, Broken> {
        if let Some(held) = self.held.take() {
            return self.empty(held, to, &mut tools.pipes);
        }
        match tools.pipes.take() {
            Some(pipe) if self.is_stream => self.fill(pipe, from, &mut tools.pipes),
            Some(pipe) => self.copy(pipe, from, to, tools),
            None => self.copy_in_place(from, to, tools),
        }
    }

    /// From the pipe to the socket.
    fn empty(&mut self, mut held: Held, to: &mut End, pipes: &mut Pipes) -> Result<Step, Broken> {
        // Exactly what is there: the kernel would hold the last piece back for more to come.
        let pipe = &held.pipe.read;
        let spliced = match splice(pipe, None, &to.socket, None, held.bytes, SpliceFlags::NONBLOCK) {
            Err(Errno::INTR) => Ok(0),
            Err(Errno::AGAIN) => {
                to.writable = false;
                Ok(0)
            }
            // It is no answer to bytes that are there.
            Ok(0) => Err(Broken::To(Errno::PIPE)),
            spliced => spliced.map_err(Broken::To),
        };
        held.bytes -= spliced.as_ref().copied().unwrap_or_default();
        if held.bytes == 0 {
            pipes.give_back(held.pipe);
        } else {
            self.held = Some(held);
        }
        spliced.map(Step::Passed)
    }

    /// From the socket to an empty pipe.
    fn fill(&mut self, pipe: Pipe, from: &mut End, pipes: &mut Pipes) -> Result<Step, Broken> {
        let spliced = match splice(&from.socket, None, &pipe.write, None, CAPACITY, SpliceFlags::NONBLOCK) {
            Ok(bytes @ 1..) => {
                self.is_stream = bytes >= PIECE;
                self.held = Some(Held { pipe, bytes });
                return Ok(Step::Passed(0));
            }
            Ok(0) => Ok(Step::End),
            Err(Errno::AGAIN) => {
                // It says the same before an urgent mark as when there is nothing. recv(2) knows.
                self.is_stream = false;
                Ok(Step::Passed(0))
            }
            Err(Errno::INTR) => Ok(Step::Passed(0)),
            Err(error) => Err(Broken::From(error)),
        };
        pipes.give_back(pipe);
        spliced
    }

    /// Through our own memory; what the reader does not take goes into the pipe, which has room for it.
    fn copy(&mut self, pipe: Pipe, from: &mut End, to: &mut End, tools: &mut Tools) -> Result<Step, Broken> {
        let Tools { pipes, buffer } = tools;
        let copied = match self.read(from, buffer, RecvFlags::empty()) {
            Ok(Some(0)) => Ok(Step::End),
            Ok(None) => Ok(Step::Passed(0)),
            Ok(Some(bytes)) => match send_now(to, &buffer[..bytes]) {
                Ok(sent) if sent < bytes => {
                    let rest = &buffer[sent..bytes];
                    if write(&pipe.write, rest) == Ok(rest.len()) {
                        self.held = Some(Held { pipe, bytes: rest.len() });
                        return Ok(Step::Passed(sent));
                    }
                    // No memory, then, and the rest is lost.
                    pipes.discard(pipe);
                    return Err(Broken::From(Errno::NOMEM));
                }
                sent => sent.map(Step::Passed),
            },
            Err(error) => Err(error),
        };
        pipes.give_back(pipe);
        copied
    }

    /// Without a pipe: nothing is taken from the one socket before the other one has it.
    fn copy_in_place(&mut self, from: &mut End, to: &mut End, tools: &mut Tools) -> Result<Step, Broken> {
        let buffer = &mut tools.buffer;
        let bytes = match self.read(from, buffer, RecvFlags::PEEK)? {
            Some(bytes @ 1..) => bytes,
            Some(0) => return Ok(Step::End),
            None => return Ok(Step::Passed(0)),
        };
        let sent = send_now(to, &buffer[..bytes])?;
        // What was only looked at is still there.
        from.readable |= sent < bytes;
        if sent > 0 {
            // With TRUNC nothing is copied where that can be.
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            recv(&from.socket, &mut buffer[..sent], flags).map_err(Broken::From)?;
        }
        Ok(Step::Passed(sent))
    }

    /// What is there, up to a piece; `None` when there is nothing.
    fn read(
        &mut self,
        from: &mut End,
        buffer: &mut Vec<u8>,
        flags: RecvFlags,
    ) -> Result<Option<usize>, Broken> {
        buffer.resize(PIECE, 0);
        match recv(&from.socket, &mut buffer[..], RecvFlags::DONTWAIT | flags) {
            Ok((_, bytes)) => {
                self.is_stream = bytes == PIECE;
                from.readable = self.is_stream || from.has_marks;
                Ok(Some(bytes))
            }
            // Of a connection that broke nothing will come any more.
            Err(Errno::AGAIN) if from.is_lost => Ok(Some(0)),
            Err(Errno::AGAIN) => {
                (from.readable, from.has_marks) = (false, false);
                Ok(None)
            }
            Err(Errno::INTR) => Ok(None),
            Err(error) => Err(Broken::From(error)),
        }
    }
}

fn send_now(to: &mut End, bytes: &[u8]) -> Result<usize, Broken> {
    match send(&to.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Err(Errno::INTR) => Ok(0),
        Err(Errno::AGAIN) => {
            to.writable = false;
            Ok(0)
        }
        sent => sent.map_err(Broken::To),
    }
}
