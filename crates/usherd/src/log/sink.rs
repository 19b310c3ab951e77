//! Where log lines go: the standard error or syslog. Neither is ever waited for.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};

use usherd_model::policy::LogFile;

use super::files::{Files, Outcome, open_to_add, stamp};
use super::{Level, Line, Speaker, XINETD};
use crate::clock;

/// Where lines go.
#[derive(Debug)]
pub enum Sink {
    /// Standard error.
    Terminal(Terminal),
    /// The system's log.
    Syslog(Syslog),
    /// A file of xinetd's own messages.
    File(OwnFile),
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is written.
    Done,
    /// The reader is slow: it can be written later.
    Later,
    /// There is no reader.
    Nobody,
}

impl Sink {
    /// Writes one line.
    pub(super) fn write(&mut self, line: &Line) -> Written {
        match self {
            Sink::Terminal(terminal) => terminal.write(&line.text),
            Sink::Syslog(syslog) => syslog.write(line),
            Sink::File(file) => file.write(line),
        }
    }

    /// Lets go of a file, which may have been moved away.
    pub(super) fn reopen(&mut self) {
        if let Sink::File(file) = self {
            file.files.reopen();
        }
    }
}

/// Standard error, by a description of our own that does not block: the one that we inherited is shared with
/// programs that do not expect that.
#[derive(Debug)]
pub struct Terminal {
    own: Option<OwnedFd>,
}

impl Terminal {
    /// Opens the standard error anew.
    pub fn new() -> Self {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::APPEND | OFlags::NOCTTY | OFlags::CLOEXEC;
        // A socket (as systemd gives) cannot be opened anew; it is written to without waiting. Neither can a pipe or a
        // terminal of another user; see write_shared.
        let own = open("/proc/self/fd/2", flags, Mode::empty()).ok();
        Self { own: own.map(crate::descriptors::move_up) }
    }

    #[cfg(test)]
    pub(super) fn on(own: OwnedFd) -> Self {
        Self { own: Some(own) }
    }

    fn write(&self, line: &str) -> Written {
        let line = format!("{line}\n");
        let written = match &self.own {
            Some(fd) => rustix::io::write(fd, line.as_bytes()),
            None => {
                let stderr = rustix::stdio::stderr();
                match send(stderr, line.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                    Err(Errno::NOTSOCK) => write_shared(stderr, line),
                    result => result,
                }
            }
        };
        match written {
            Ok(_) => Written::Done,
            Err(Errno::AGAIN | Errno::INTR) => Written::Later,
            Err(_) => Written::Nobody,
        }
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes to a description that blocks, if that does not block now. A pipe that is writable has room for `PIPE_BUF`
/// bytes, and so has a terminal for all that matters; a longer line is cut. Whoever else writes to it may take the room
/// between the two calls: then we wait for the reader, which nothing but a description of our own could prevent.
fn write_shared(fd: BorrowedFd<'_>, mut line: String) -> rustix::io::Result<usize> {
    let mut look = [PollFd::new(&fd, PollFlags::OUT)];
    if poll(&mut look, Some(&NOW))? == 0 {
        return Err(Errno::AGAIN);
    }
    if line.len() > PIPE_BUF {
        // Room for the line's end, and no letter in two.
        let end = (0..PIPE_BUF).rev().find(|end| line.is_char_boundary(*end)).unwrap_or_default();
        line.truncate(end);
        line.push('\n');
    }
    rustix::io::write(fd, line.as_bytes())
}

/// No waiting.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What a pipe takes at once; see pipe(7).
const PIPE_BUF: usize = 4096;

/// A file of messages in xinetd's form: `26/12/1@08:17:29 xinetd[23378]: NOTICE: words`.
#[derive(Debug)]
pub struct OwnFile {
    files: Files,
    file: LogFile,
    pid: u32,
}

impl OwnFile {
    /// Adds to this file.
    pub fn new(path: &str) -> Self {
        let file = LogFile { path: path.as_bytes().into(), soft: None, hard: None };
        Self { files: Files::default(), file, pid: std::process::id() }
    }

    /// Whether it can be opened.
    pub fn probe(path: &str) -> Result<(), Errno> {
        open_to_add(path).map(drop)
    }

    fn write(&mut self, line: &Line) -> Written {
        let word = match line.level {
            Level::Critical => "CRITICAL",
            Level::Error => "ERROR",
            Level::Warning => "WARNING",
            Level::Notice => "NOTICE",
            Level::Info => "INFO",
        };
        let text = format!("{} {}: {word}: {}", stamp(), tag(XINETD, self.pid), line.text);
        match self.files.write(&self.file, &text) {
            Outcome::Lost => Written::Nobody,
            Outcome::Written | Outcome::Grown | Outcome::Full => Written::Done,
        }
    }
}

/// syslog(3)'s socket, with its format, without its waiting.
#[derive(Debug)]
pub struct Syslog {
    facility: u8,
    /// What each line begins with.
    tag: String,
    /// Our process number: nobody forks with one of these.
    pid: u32,
    /// It stays when there is no reader: a line that nobody hears costs no new socket.
    socket: Option<OwnedFd>,
    /// Whether there was a reader when we last looked.
    is_connected: bool,
}

/// `LOG_USER` and `LOG_DAEMON`, shifted as in a priority.
const USER: u8 = 1 << 3;
const DAEMON: u8 = 3 << 3;

impl Syslog {
    /// Lines will begin with `ident[pid]`.
    pub fn new(ident: &str) -> Self {
        let pid = std::process::id();
        Self { facility: DAEMON, tag: tag(ident, pid), pid, socket: None, is_connected: false }
    }

    /// The same with another facility, as in syslog(3) and not shifted.
    pub fn with_facility(ident: &str, facility: u8) -> Self {
        Self { facility: facility << 3, ..Self::new(ident) }
    }

    /// As syslog(3) writes before openlog(3): as the user's, without a number.
    pub fn unopened(name: &str) -> Self {
        Self { facility: USER, tag: name.to_owned(), ..Self::new(name) }
    }

    pub(super) fn write(&mut self, line: &Line) -> Written {
        let (priority, tag) = match &line.speaker {
            None => (self.facility | line.level as u8, self.tag.clone()),
            Some(Speaker { name, facility, level }) => {
                let tag = if name.is_empty() { self.tag.clone() } else { tag(name, self.pid) };
                (facility << 3 | level, tag)
            }
        };
        let time = clock::local();
        let text = format!(
            "<{priority}>{} {:2} {:02}:{:02}:{:02} {tag}: {}",
            clock::MONTHS[time.month % 12],
            time.day,
            time.hour,
            time.minute,
            time.second,
            line.text,
        );
        // A log daemon that was restarted has another socket: one try with the old one, one with a new one.
        for _ in 0..2 {
            let Some(socket) = self.connected() else { return Written::Nobody };
            match send(socket, text.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => return Written::Done,
                Err(Errno::AGAIN | Errno::NOBUFS) => return Written::Later,
                Err(_) => self.is_connected = false,
            }
        }
        Written::Nobody
    }

    /// The socket, where somebody reads.
    fn connected(&mut self) -> Option<&OwnedFd> {
        if self.socket.is_none() {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).ok()?;
            self.socket = Some(crate::descriptors::move_up(socket));
        }
        let socket = self.socket.as_ref()?;
        if !self.is_connected {
            connect(socket, &SocketAddrUnix::new("/dev/log").ok()?).ok()?;
            self.is_connected = true;
        }
        Some(socket)
    }
}

fn tag(ident: &str, pid: u32) -> String {
    format!("{ident}[{pid}]")
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use rustix::fs::{fcntl_getfl, fcntl_setfl};

    use super::*;

    /// A pipe whose ends block, and that is full.
    fn full_pipe() -> (OwnedFd, OwnedFd) {
        let (read, write) = rustix::pipe::pipe().expect("pipe");
        let flags = fcntl_getfl(&write).expect("fcntl");
        fcntl_setfl(&write, flags | OFlags::NONBLOCK).expect("fcntl");
        while rustix::io::write(&write, &[b'x'; PIPE_BUF]).is_ok() {}
        fcntl_setfl(&write, flags).expect("fcntl");
        (read, write)
    }

    #[test]
    fn a_shared_pipe_that_nobody_reads_is_not_waited_for() {
        let (read, write) = full_pipe();
        let (tell, told) = std::sync::mpsc::channel();
        let writer = std::thread::spawn(move || {
            tell.send(write_shared(write.as_fd(), "a line\n".to_owned())).expect("somebody waits for this");
            write
        });
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(Err(Errno::AGAIN)));
        let write = writer.join().expect("it has ended");
        let mut piece = [0; PIPE_BUF];
        assert_eq!(rustix::io::read(&read, &mut piece), Ok(PIPE_BUF));
        assert_eq!(write_shared(write.as_fd(), "a line\n".to_owned()), Ok(7));
    }

    #[test]
    fn a_line_takes_no_more_than_a_shared_pipe_has_room_for() {
        let (read, write) = full_pipe();
        let mut piece = [0; PIPE_BUF];
        rustix::io::read(&read, &mut piece).expect("read");
        // A letter of two bytes is not cut in half.
        assert_eq!(write_shared(write.as_fd(), "ä".repeat(PIPE_BUF) + "\n"), Ok(PIPE_BUF - 1));
    }
}
