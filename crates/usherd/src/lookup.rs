//! Finding out who calls: host names, both ways, and users, from the caller's own machine.
//!
//! All of it waits for others, so it runs in `usherd resolve` or in the caller's own process and never in the daemon.

use std::ffi::CString;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send, socket_with,
};
use usherd_model::access::{
    Forward, Found, Host, IDENT_MOST, Lookup, Request, UNKNOWN, ident_question, ident_text, ident_user,
    verified,
};
use usherd_model::lookups::Question;
use usherd_sys::names::{self, HostError};

/// Answers a question, however long that takes, and what libwrap would say about it.
pub fn answer(question: Question) -> (Found, Option<String>) {
    match question {
        Question::Name(address) => name(address),
        Question::User { local, remote, patience } => {
            let patience = Duration::from_secs(u64::from(patience));
            match ident(canonical(local), canonical(remote), patience) {
                Ok(line) => (ident_user(&line, local, remote), None),
                Err(error) if is_ours(error) => (Found::Undecided, None),
                // No answer is one: the other machine does not say.
                Err(_) => (Found::text(UNKNOWN), None),
            }
        }
        Question::Ident { local, remote, patience } => {
            let patience = Duration::from_secs(u64::from(patience));
            match ident(canonical(local), canonical(remote), patience) {
                Ok(line) => match ident_text(&line, local, remote) {
                    Some(text) => (Found::text(text), None),
                    None => (Found::Undecided, Some("bad response".to_owned())),
                },
                Err(error) if is_ours(error) => (Found::Undecided, Some("system error".to_owned())),
                Err(Errno::TIMEDOUT) => (Found::Undecided, Some("timeout".to_owned())),
                Err(Errno::CONNRESET) => {
                    (Found::Undecided, Some("error while receiving response".to_owned()))
                }
                Err(_) => (Found::Undecided, Some("no server".to_owned())),
            }
        }
    }
}

/// What a rule has asked for, in the caller's own process.
pub fn find(lookup: Lookup, request: &Request) -> (Found, Option<String>) {
    Question::about(lookup, request).map_or_else(|| (Found::text(UNKNOWN), None), answer)
}

fn name(address: SocketAddr) -> (Found, Option<String>) {
    let address = canonical(address);
    let Ok(reverse) = names::name_of(address) else { return (Found::Undecided, None) };
    verified(address, reverse.as_ref().map(|name| name.to_bytes()), forward)
}

/// A caller with IPv4 on an IPv6 socket is the IPv4 caller that it is.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip.is_ipv4() => SocketAddr::new(ip, address.port()),
        _ => address,
    }
}

fn forward(name: &[u8], v6: bool) -> Forward {
    let Ok(name) = CString::new(name) else { return Forward::Failed };
    if names::is_number(&name, v6) {
        return Forward::Number;
    }
    match names::canonical_host(&name, v6) {
        Ok((canonical, addresses)) => Forward::Host(Host { canonical: canonical.into_bytes(), addresses }),
        Err(HostError::NotAsked(_)) => Forward::NotAsked,
        Err(HostError::Unknown | HostError::Failed(_)) => Forward::Failed,
    }
}

/// The port of ident servers.
const IDENT: u16 = 113;

/// Asks the ident server of the other end (RFC 1413) for one line.
fn ident(local: SocketAddr, remote: SocketAddr, patience: Duration) -> rustix::io::Result<Vec<u8>> {
    let ends = Instant::now() + patience;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let family = if local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // From the address that was called: the other end knows no other connection of ours.
    bind(&socket, &with_port(local, 0))?;
    match connect(&socket, &with_port(remote, IDENT)) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error),
    }
    wait(&socket, PollFlags::OUT, ends)?;
    socket_error(&socket)??;
    send(&socket, ident_question(local, remote).as_bytes(), SendFlags::NOSIGNAL)?;
    let mut answer = Vec::new();
    let mut piece = [0_u8; IDENT_MOST];
    while !answer.contains(&b'\n') && answer.len() < IDENT_MOST {
        wait(&socket, PollFlags::IN, ends)?;
        match recv(&socket, &mut piece[..IDENT_MOST - answer.len()], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => break,
            Ok((_, got)) => answer.extend_from_slice(&piece[..got]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// Whether it is a failure of our own: that says nothing about the other machine.
fn is_ours(error: Errno) -> bool {
    let shortage = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL];
    shortage.contains(&error)
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

fn wait(socket: &OwnedFd, flags: PollFlags, ends: Instant) -> rustix::io::Result<()> {
    loop {
        let left = ends.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or_default();
        let mut look = [PollFd::from_borrowed_fd(socket.as_fd(), flags)];
        match poll(&mut look, Some(&left)) {
            Err(Errno::INTR) => {}
            Ok(0) => return Err(Errno::TIMEDOUT),
            Ok(_) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
