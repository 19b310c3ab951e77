//! The control socket: how `usherd status` asks.
//!
//! A conversation is one line from the client and one answer. Only root and the daemon's own user are heard. What a
//! client can cost is bounded: [`CLIENTS`] at a time, [`REQUEST`] bytes each, [`PATIENCE`] of time, and one answer in
//! memory; nothing is ever waited for.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, listen, recv, send,
    socket_with, sockopt,
};
use rustix::process::geteuid;
use usherd_model::event::Call;
use usherd_model::service::FileAccess;
use usherd_model::slots::{Key, Slots};
use usherd_model::time::Tick;

use crate::socket_file::{Refused, SocketFile};

/// Clients at the same time.
const CLIENTS: usize = 8;
/// The longest request, with its end.
const REQUEST: usize = 64;
/// How long a client may take for its request, and for taking the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket and its clients.
#[derive(Debug)]
pub struct Control {
    /// Goes with the socket.
    _file: SocketFile,
    socket: OwnedFd,
    clients: Slots<Client>,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    connection: OwnedFd,
    request: Vec<u8>,
    answer: Vec<u8>,
    sent: usize,
    deadline: Tick,
}

/// Names a client.
pub type ClientId = Key<Client>;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A snapshot, as JSON.
    Status,
}

/// How a conversation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The client has not said all.
    Reads,
    /// It asks for this; see [`Control::answer`].
    Asks(Request),
    /// Some of the answer is still to be taken.
    Writes,
    /// It is over.
    Over,
}

impl Control {
    /// Opens the socket, in place of one that nobody serves. Mode 0600: nobody else can connect, not even for a moment.
    pub fn open(path: &str) -> Result<Self, Refused> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(|error| (Call::Socket, error))?;
        let ours = FileAccess { mode: 0o600, user: None, group: None };
        let file = SocketFile::bind(&socket, path.as_bytes(), SocketType::STREAM, &ours)?;
        listen(&socket, 16).map_err(|error| (Call::Listen, error))?;
        Ok(Self { _file: file, socket: crate::descriptors::move_up(socket), clients: Slots::default() })
    }

    /// The listening socket.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Accepts a client, if it may ask and there is room.
    pub fn accept(&mut self, now: Tick) -> Result<Option<ClientId>, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let connection = match accept_with(&self.socket, flags) {
            Ok(connection) => connection,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return Ok(None),
            Err(error) => return Err(error),
        };
        if self.clients.len() >= CLIENTS || !may_ask(&connection) {
            return Ok(None);
        }
        let connection = crate::descriptors::move_up(connection);
        let deadline = now.after(PATIENCE);
        let client = Client { connection, request: Vec::new(), answer: Vec::new(), sent: 0, deadline };
        Ok(Some(self.clients.insert(client)))
    }

    /// A client's connection.
    pub fn connection(&self, id: ClientId) -> Option<BorrowedFd<'_>> {
        self.clients.get(id).map(|client| client.connection.as_fd())
    }

    /// Goes on with a conversation.
    pub fn proceed(&mut self, id: ClientId) -> Progress {
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        if client.answer.is_empty() { client.read() } else { client.write() }
    }

    /// Gives a client its answer.
    pub fn answer(&mut self, id: ClientId, answer: Vec<u8>) -> Progress {
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        client.answer = answer;
        client.write()
    }

    /// Ends a conversation. The connection, which is polled, is to be closed by the caller.
    #[must_use]
    pub fn end(&mut self, id: ClientId) -> Option<OwnedFd> {
        self.clients.remove(id).map(|client| client.connection)
    }

    /// When the first client has had its time.
    pub fn deadline(&self) -> Option<Tick> {
        self.clients.iter().map(|(_, client)| client.deadline).min()
    }

    /// Ends the conversation with one who has had its time, as [`Self::end`] does.
    #[must_use]
    pub fn expire(&mut self, now: Tick) -> Option<OwnedFd> {
        let (over, _) = self.clients.iter().find(|(_, client)| client.deadline <= now)?;
        self.end(over)
    }
}

impl Client {
    fn read(&mut self) -> Progress {
        let mut piece = [0_u8; REQUEST];
        match recv(&self.connection, &mut piece[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Progress::Over,
            Ok((got, _)) => self.request.extend(&piece[..got]),
            Err(Errno::AGAIN | Errno::INTR) => return Progress::Reads,
            Err(_) => return Progress::Over,
        }
        match self.request.iter().position(|byte| *byte == b'\n') {
            Some(end) if &self.request[..end] == b"status" => Progress::Asks(Request::Status),
            Some(_) => Progress::Over,
            None if self.request.len() >= REQUEST => Progress::Over,
            None => Progress::Reads,
        }
    }

    fn write(&mut self) -> Progress {
        let rest = &self.answer[self.sent..];
        match send(&self.connection, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => self.sent += sent,
            Err(Errno::AGAIN | Errno::INTR) => return Progress::Writes,
            Err(_) => return Progress::Over,
        }
        if self.sent == self.answer.len() { Progress::Over } else { Progress::Writes }
    }
}

/// Whether the other end is root or the daemon's own user.
fn may_ask(connection: &OwnedFd) -> bool {
    let peer = sockopt::socket_peercred(connection);
    peer.is_ok_and(|peer| peer.uid.is_root() || peer.uid == geteuid())
}

/// Where the daemon of this user listens when nothing else is said: one for root, one for each user.
pub fn default_path() -> String {
    if geteuid().is_root() {
        return "/run/usherd.sock".to_owned();
    }
    match std::env::var("XDG_RUNTIME_DIR") {
        Ok(folder) if folder.starts_with('/') => format!("{folder}/usherd.sock"),
        _ => format!("/tmp/usherd-{}.sock", geteuid().as_raw()),
    }
}
