//! Listening sockets: opening, accepting, closing.
//!
//! A socket that is open stays open until its key leaves the configuration. All are closed by exec. What must never
//! happen here: replacing a Unix socket that somebody serves, or a file that is not a socket.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with, bind, connect,
    getsockname, listen, recvfrom, socket_with, sockopt,
};
use usherd_model::event::{AcceptError, Call, OpenError};
use usherd_model::lifecycle::ListenerState;
use usherd_model::service::{FileAccess, Identity, ListenAddress, Listener, Program, SocketKind, Task};
use usherd_model::slots::Side;
use usherd_model::supervisor::ListenerId;

use crate::descriptors;
use crate::errno::{from_rustix, is_exhaustion};
use crate::socket_file::SocketFile;

/// No waiting.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// All open listeners.
#[derive(Debug, Default)]
pub struct Listeners {
    open: Side<ListenerState, Open>,
    /// The files of Unix sockets, which go with them.
    files: BTreeMap<ListenerId, SocketFile>,
    count: usize,
}

/// An open listener.
#[derive(Debug)]
struct Open {
    socket: OwnedFd,
    /// As the daemon has set the socket: a program that gets it expects it to block, the daemon must not be blocked by
    /// it.
    blocks: bool,
    /// Whether a program was ever given it (`wait`), which, or a child of which, may still have it and set it as it
    /// likes.
    shared: bool,
}

impl Listeners {
    /// Opens a listener. Returns the port where the kernel was to choose one.
    pub fn open(&mut self, id: ListenerId, spec: &Listener, task: &Task) -> Result<Option<u16>, OpenError> {
        let (socket, file) = open(spec, task)?;
        let port = match spec.key.address {
            ListenAddress::Rpc(_) => Some(bound_to(&socket)?.port()),
            ListenAddress::Inet(_) | ListenAddress::Unix(_) | ListenAddress::Mux(_) => None,
        };
        self.open.insert(id, Open::new(socket, spec));
        self.files.extend(file.map(|file| (id, file)));
        self.count += 1;
        Ok(port)
    }

    /// Closes a listener and removes its file.
    pub fn close(&mut self, id: ListenerId) {
        if self.open.remove(id).is_some() {
            self.files.remove(&id);
            self.count -= 1;
        }
    }

    /// Closes all.
    pub fn close_all(&mut self) {
        let ids: Vec<ListenerId> = self.open.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.close(id);
        }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The socket of a listener.
    pub fn socket(&self, id: ListenerId) -> Option<BorrowedFd<'_>> {
        self.open.get(id).map(|open| open.socket.as_fd())
    }

    /// Applies changed buffer sizes and backlog, and what a changed task needs.
    pub fn adjust(&self, id: ListenerId, spec: &Listener, task: &Task) -> Result<(), OpenError> {
        let Some(open) = self.open.get(id) else { return Ok(()) };
        suit(&open.socket, spec, is_ours(task))?;
        set_buffers(&open.socket, spec)?;
        if let Some(file) = self.files.get(&id) {
            file.allow(file_access(spec)).map_err(|(call, error)| at(call)(error))?;
        }
        if spec.key.kind.has_connections() {
            listen(&open.socket, backlog(spec)).map_err(at(Call::Listen))?;
        }
        Ok(())
    }

    /// Whether somebody waits.
    pub fn is_readable(&self, id: ListenerId) -> bool {
        let Some(open) = self.open.get(id) else { return false };
        let mut look = [PollFd::new(&open.socket, PollFlags::IN)];
        poll(&mut look, Some(&NOW)).is_ok_and(|ready| ready > 0)
    }

    /// Accepts one connection, which blocks, as programs expect it.
    pub fn accept(&mut self, id: ListenerId) -> Result<(OwnedFd, Option<SocketAddr>), AcceptError> {
        let Some(open) = self.open.get_mut(id) else { return Err(AcceptError::Nobody) };
        open.keep_from_blocking();
        match acceptfrom_with(&open.socket, SocketFlags::CLOEXEC) {
            Ok((connection, peer)) => Ok((connection, peer.and_then(internet_address))),
            Err(error) => Err(accept_error(error)),
        }
    }

    /// Looks who sent the next datagram and leaves it where it is.
    pub fn peek(&self, id: ListenerId) -> Result<Option<SocketAddr>, AcceptError> {
        let Some(open) = self.open.get(id) else { return Err(AcceptError::Nobody) };
        let mut nothing = [0_u8; 1];
        match recvfrom(&open.socket, &mut nothing[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, _, peer)) => Ok(peer.and_then(internet_address)),
            Err(error) => Err(accept_error(error)),
        }
    }

    /// Takes one datagram, or one connection, off a listener and drops it. A caller may have gone meanwhile.
    pub fn skip(&mut self, id: ListenerId, kind: SocketKind) {
        if kind.has_connections() {
            let _ = self.accept(id);
        } else if let Some(open) = self.open.get(id) {
            let mut nothing = [0_u8; 1];
            let _ = recvfrom(&open.socket, &mut nothing[..], RecvFlags::DONTWAIT);
        }
    }

    /// The listener's own descriptor, for a program that gets a copy of it (`wait`). It blocks, as programs expect it.
    pub fn lend(&mut self, id: ListenerId) -> Option<BorrowedFd<'_>> {
        let open = self.open.get_mut(id)?;
        open.set_blocking(true);
        open.shared = true;
        Some(open.socket.as_fd())
    }

    /// Gives away the listener's socket, connected to the sender of the next datagram, and puts a new one in its
    /// place, which is bound before: a datagram that comes in between has a socket to come to.
    ///
    /// Datagrams of others that were queued behind the first one stay in the socket that is given away.
    pub fn split(&mut self, id: ListenerId, spec: &Listener, task: &Task) -> Result<OwnedFd, SplitError> {
        let open = self.open.get_mut(id).ok_or(SplitError::Nobody)?;
        let mut nothing = [0_u8; 1];
        let (_, _, peer) = recvfrom(&open.socket, &mut nothing[..], RecvFlags::PEEK | RecvFlags::DONTWAIT)
            .map_err(|_| SplitError::Nobody)?;
        // A sender without an address (an unbound Unix socket) cannot be connected to: it cannot be answered either.
        let peer = peer.ok_or(SplitError::Nobody)?;
        let address = match spec.key.address {
            ListenAddress::Inet(address) => address.socket_address(),
            // The port that the kernel has chosen.
            ListenAddress::Rpc(_) | ListenAddress::Unix(_) | ListenAddress::Mux(_) => {
                bound_to(&open.socket).map_err(SplitError::Refused)?
            }
        };
        let replacement = open_inet(address, spec, task, Sharing::OurOwn).map_err(SplitError::Refused)?;
        connect(&open.socket, &peer).map_err(|error| SplitError::Refused(at(Call::Connect)(error)))?;
        let old = std::mem::replace(open, Open::new(replacement, spec));
        Ok(old.socket)
    }
}

/// Why a datagram socket could not be given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitError {
    /// There is no datagram, or none that could be answered.
    Nobody,
    /// The kernel refused the replacement.
    Refused(OpenError),
}

impl Open {
    fn new(socket: OwnedFd, spec: &Listener) -> Self {
        Self { socket, blocks: !spec.key.kind.has_connections(), shared: false }
    }

    /// Makes sure that accept(2) does not wait. What a program sets counts for all who have the socket, so one that was
    /// ever shared is set anew each time. What remains: a program that makes it block just between this call and
    /// accept(2), and takes the very caller that made the socket readable, holds the daemon until the next one calls.
    fn keep_from_blocking(&mut self) {
        if self.shared && set_blocking(&self.socket, false).is_ok() {
            self.blocks = false;
        }
        self.set_blocking(false);
    }

    fn set_blocking(&mut self, blocks: bool) {
        if self.blocks != blocks && set_blocking(&self.socket, blocks).is_ok() {
            self.blocks = blocks;
        }
    }
}

fn open(spec: &Listener, task: &Task) -> Result<(OwnedFd, Option<SocketFile>), OpenError> {
    match &spec.key.address {
        ListenAddress::Inet(address) => {
            Ok((open_inet(address.socket_address(), spec, task, Sharing::LeftOver)?, None))
        }
        ListenAddress::Rpc(rpc) => Ok((open_rpc(rpc.address.socket_address(), spec, task)?, None)),
        ListenAddress::Unix(path) => {
            let (socket, file) = open_unix(path, spec)?;
            Ok((socket, Some(file)))
        }
        // The core does not ask for it: it has no socket.
        ListenAddress::Mux(_) => {
            Err(OpenError { call: Call::Socket, errno: from_rustix(Errno::AFNOSUPPORT) })
        }
    }
}

/// Which other socket may have the same address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Nobody,
    /// One that a server still has which another inetd started: all inetds make it share.
    LeftOver,
    /// The one that is about to be given to a child.
    OurOwn,
}

/// A port of an RPC service is the kernel's choice. Where its program runs as root it is one that only root can have, as
/// with the originals: there are callers who believe no other.
fn open_rpc(mut address: SocketAddr, spec: &Listener, task: &Task) -> Result<OwnedFd, OpenError> {
    let is_root = match task {
        Task::Program(Program { identity: Identity::User(credentials), .. }) => credentials.uid == 0,
        Task::Program(_) | Task::Builtin(_) | Task::Redirect(_) => false,
    };
    for port in PRIVILEGED_PORTS.rev().filter(|port| is_root && !RESERVED_PORTS.contains(port)) {
        address.set_port(port);
        match open_inet(address, spec, task, Sharing::Nobody) {
            Err(OpenError { errno, .. }) if errno == from_rustix(Errno::ADDRINUSE) => {}
            opened => return opened,
        }
    }
    address.set_port(0);
    open_inet(address, spec, task, Sharing::Nobody)
}

/// Ports that bindresvport(3) takes.
const PRIVILEGED_PORTS: std::ops::Range<u16> = 600..1024;

/// Of those, the ones that belong to services which may start later: Debian's `/etc/bindresvport.blacklist`, and DNS and
/// FTP over TLS.
const RESERVED_PORTS: [u16; 11] = [631, 636, 655, 774, 783, 853, 873, 921, 989, 993, 995];

fn bound_to(socket: &OwnedFd) -> Result<SocketAddr, OpenError> {
    let address = getsockname(socket).map_err(at(Call::GetSockName))?;
    internet_address(address).ok_or_else(|| at(Call::GetSockName)(Errno::AFNOSUPPORT))
}

fn open_inet(
    address: SocketAddr,
    spec: &Listener,
    task: &Task,
    sharing: Sharing,
) -> Result<OwnedFd, OpenError> {
    let dual = spec.key.address.inet().is_some_and(|address| address.dual);
    let v6 = address.is_ipv6();
    let socket = new_socket(if v6 { AddressFamily::INET6 } else { AddressFamily::INET }, spec.key.kind)?;
    if v6 {
        sockopt::set_ipv6_v6only(&socket, !dual).map_err(at(Call::SetV6Only))?;
    }
    let stream = spec.key.kind.has_connections();
    // For streams this lets us bind while old connections linger; it never allows two listeners. For datagrams it
    // would allow two servers, so it comes after the bind, for the sockets that children will hold; see below.
    if stream && sharing == Sharing::LeftOver || sharing == Sharing::OurOwn {
        sockopt::set_socket_reuseaddr(&socket, true).map_err(at(Call::SetReuseAddress))?;
    }
    set_buffers(&socket, spec)?;
    match bind(&socket, &address) {
        Err(Errno::ADDRINUSE) if !stream && sharing == Sharing::LeftOver => {
            sockopt::set_socket_reuseaddr(&socket, true).map_err(at(Call::SetReuseAddress))?;
            bind(&socket, &address).map_err(at(Call::Bind))?;
        }
        result => result.map_err(at(Call::Bind))?,
    }
    if address.ip().is_multicast() {
        join(&socket, address).map_err(at(Call::JoinGroup))?;
    }
    let is_ours = is_ours(task);
    if is_ours || spec.extras().no_delay || spec.extras().keep_alive {
        suit(&socket, spec, is_ours)?;
    }
    if stream {
        listen(&socket, backlog(spec)).map_err(at(Call::Listen))?;
    } else {
        sockopt::set_socket_reuseaddr(&socket, true).map_err(at(Call::SetReuseAddress))?;
    }
    Ok(descriptors::move_up(socket))
}

/// Has what is sent to a group come to a socket that is bound to its address; on which interface is the kernel's choice,
/// but for that of the address itself.
fn join(socket: &OwnedFd, group: SocketAddr) -> rustix::io::Result<()> {
    match group {
        SocketAddr::V4(group) => sockopt::set_ip_add_membership(socket, group.ip(), &Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(group) => sockopt::set_ipv6_add_membership(socket, group.ip(), group.scope_id()),
    }
}

/// Whether connections stay with us.
fn is_ours(task: &Task) -> bool {
    match task {
        Task::Builtin(_) | Task::Redirect(_) => true,
        Task::Program(_) => false,
    }
}

/// Sets what a socket needs whose connections stay with us, and what a program's has only where its service says so.
fn suit(socket: &OwnedFd, spec: &Listener, ours: bool) -> Result<(), OpenError> {
    let ListenAddress::Inet(address) = &spec.key.address else { return Ok(()) };
    if spec.key.kind.has_connections() {
        // Accepted sockets inherit both. A peer that is dead ends its session; and nothing is gained by holding back what
        // a built-in says, or what comes through a redirect.
        let (keep_alive, no_delay) = (spec.extras().keep_alive, spec.extras().no_delay);
        sockopt::set_socket_keepalive(socket, ours || keep_alive).map_err(at(Call::SetKeepAlive))?;
        sockopt::set_tcp_nodelay(socket, ours || no_delay).map_err(at(Call::SetNoDelay))
    } else if ours && address.ip().is_unspecified() {
        usherd_sys::datagram::ask_for_destination(socket.as_fd(), address.ip().is_ipv6())
            .map_err(|error| OpenError { call: Call::SetPacketInfo, errno: crate::errno::from_io(&error) })
    } else {
        Ok(())
    }
}

/// Opens a Unix socket.
fn open_unix(path: &[u8], spec: &Listener) -> Result<(OwnedFd, SocketFile), OpenError> {
    let socket = new_socket(AddressFamily::UNIX, spec.key.kind)?;
    set_buffers(&socket, spec)?;
    let file = SocketFile::bind(&socket, path, socket_type(spec.key.kind), file_access(spec))
        .map_err(|(call, error)| at(call)(error))?;
    if spec.key.kind.has_connections() {
        listen(&socket, backlog(spec)).map_err(at(Call::Listen))?;
    }
    Ok((descriptors::move_up(socket), file))
}

/// Who may use the file of a Unix socket. The checker gives each one its own.
fn file_access(spec: &Listener) -> &FileAccess {
    const OURS: &FileAccess = &FileAccess { mode: 0o600, user: None, group: None };
    spec.extras().file.as_ref().unwrap_or(OURS)
}

fn new_socket(family: AddressFamily, kind: SocketKind) -> Result<OwnedFd, OpenError> {
    let kind = socket_type(kind);
    // A datagram socket is given to programs as it is; the daemon says with each call that it does not wait.
    let blocks = if kind == SocketType::DGRAM { SocketFlags::empty() } else { SocketFlags::NONBLOCK };
    socket_with(family, kind, SocketFlags::CLOEXEC | blocks, None).map_err(at(Call::Socket))
}

fn socket_type(kind: SocketKind) -> SocketType {
    match kind {
        SocketKind::Stream => SocketType::STREAM,
        SocketKind::Datagram => SocketType::DGRAM,
        SocketKind::SeqPacket => SocketType::SEQPACKET,
    }
}

fn set_buffers(socket: &OwnedFd, spec: &Listener) -> Result<(), OpenError> {
    if let Some(size) = spec.extras().send_buffer {
        sockopt::set_socket_send_buffer_size(socket, size as usize).map_err(at(Call::SetSendBuffer))?;
    }
    if let Some(size) = spec.extras().receive_buffer {
        sockopt::set_socket_recv_buffer_size(socket, size as usize).map_err(at(Call::SetReceiveBuffer))?;
    }
    Ok(())
}

fn backlog(spec: &Listener) -> i32 {
    i32::try_from(spec.backlog).unwrap_or(i32::MAX)
}

fn set_blocking(socket: &OwnedFd, blocks: bool) -> rustix::io::Result<()> {
    let flags = fcntl_getfl(socket)?;
    let flags = if blocks { flags - OFlags::NONBLOCK } else { flags | OFlags::NONBLOCK };
    fcntl_setfl(socket, flags)
}

fn internet_address(address: SocketAddrAny) -> Option<SocketAddr> {
    SocketAddr::try_from(address).ok()
}

fn accept_error(error: Errno) -> AcceptError {
    let errno = from_rustix(error);
    match error {
        // accept(2): network errors of the new connection are to be treated like "nobody there". AGAIN is not
        // exhaustion here, and neither is the rest of this list.
        Errno::AGAIN
        | Errno::INTR
        | Errno::CONNABORTED
        | Errno::CONNRESET
        | Errno::CONNREFUSED
        | Errno::PROTO
        | Errno::NETDOWN
        | Errno::NETUNREACH
        | Errno::HOSTDOWN
        | Errno::HOSTUNREACH
        | Errno::NONET
        | Errno::NOPROTOOPT
        | Errno::OPNOTSUPP
        | Errno::PERM
        | Errno::TIMEDOUT => AcceptError::Nobody,
        _ if is_exhaustion(errno) => AcceptError::Exhausted(errno),
        _ => AcceptError::Failed(errno),
    }
}

fn at(call: Call) -> impl Fn(Errno) -> OpenError {
    move |error| OpenError { call, errno: from_rustix(error) }
}

#[cfg(test)]
mod tests {
    use usherd_model::service::{Builtin, Extras, InetAddress, ListenerKey, Protocol};
    use usherd_model::slots::Key;

    use super::*;

    #[test]
    fn a_program_that_makes_the_socket_block_does_not_block_the_daemon() {
        let address = ListenAddress::Inet(InetAddress::new(([127, 0, 0, 1], 0).into(), false));
        let key = ListenerKey { address, kind: SocketKind::Stream };
        let spec = Listener::new(Protocol::Tcp4, key, 1, Extras::NONE);
        let id = Key::unpack(0);
        let mut listeners = Listeners::default();
        listeners.open(id, &spec, &Task::Builtin(Builtin::Discard)).expect("open");
        let programs = listeners.lend(id).expect("a listener").try_clone_to_owned().expect("dup");
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for _ in 0..2 {
                let accepted = listeners.accept(id).map(drop);
                set_blocking(&programs, true).expect("fcntl");
                tell.send(accepted).expect("somebody waits for this");
            }
        });
        for _ in 0..2 {
            let accepted = told.recv_timeout(std::time::Duration::from_secs(10));
            assert_eq!(accepted, Ok(Err(AcceptError::Nobody)));
        }
    }
}
