//! The way to a target: its addresses one after the other, without waiting in any call.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, connect, getsockname, socket_with,
    sockopt::{set_socket_keepalive, set_tcp_nodelay, socket_error},
};
use usherd_model::event::NotReached;
use usherd_model::failure::Attempt;
use usherd_model::service::Targets;
use usherd_model::time::Tick;

use crate::descriptors::move_up;
use crate::errno::{from_rustix, is_exhaustion};

/// A caller waits so long for a target, whatever number of addresses it has.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A target that is being called.
#[derive(Debug)]
pub struct Calling {
    targets: Targets,
    failed: Vec<Attempt>,
    /// When the next address has its turn.
    pub until: Tick,
    ends: Tick,
}

impl Calling {
    /// Calls the first address that can be called, with this socket.
    pub fn begin(targets: Targets, now: Tick) -> Result<(Self, OwnedFd), NotReached> {
        let ends = now.after(PATIENCE);
        let mut failed = Vec::new();
        let (socket, until) = call_next(&targets, &mut failed, now, ends)?;
        Ok((Self { targets, failed, until, ends }, socket))
    }

    /// What has become of the call, once the poller has said something of its socket.
    pub fn outcome(&self, socket: &OwnedFd) -> Result<SocketAddr, Errno> {
        let target = self.target();
        match socket_error(socket) {
            Ok(Ok(())) if is_ourselves(socket, target) => Err(Errno::CONNREFUSED),
            Ok(Ok(())) => Ok(target),
            Ok(Err(error)) | Err(error) => Err(error),
        }
    }

    /// This address does not answer: calls the next one.
    pub fn go_on(&mut self, error: Errno, now: Tick) -> Result<OwnedFd, NotReached> {
        self.failed.push(Attempt { target: self.target(), errno: from_rustix(error) });
        let (socket, until) = call_next(&self.targets, &mut self.failed, now, self.ends)?;
        self.until = until;
        Ok(socket)
    }

    /// Those that were called before this one have failed, and no others.
    fn target(&self) -> SocketAddr {
        self.targets.addresses()[self.failed.len()]
    }
}

/// Calls the first address behind those that have failed, and says how long it may take.
fn call_next(
    targets: &Targets,
    failed: &mut Vec<Attempt>,
    now: Tick,
    ends: Tick,
) -> Result<(OwnedFd, Tick), NotReached> {
    while let Some(target) = targets.addresses().get(failed.len()) {
        match call(*target) {
            Ok(socket) => {
                // Each has its share of what is left.
                let left = u32::try_from(targets.addresses().len() - failed.len()).unwrap_or(u32::MAX);
                return Ok((socket, now.after(ends.since(now) / left)));
            }
            Err(CallError::Socket(error)) if is_exhaustion(from_rustix(error)) => {
                return Err(NotReached::Exhausted(from_rustix(error)));
            }
            Err(CallError::Socket(error) | CallError::Connect(error)) => {
                failed.push(Attempt { target: *target, errno: from_rustix(error) });
            }
        }
    }
    Err(NotReached::Failed(std::mem::take(failed).into()))
}

enum CallError {
    Socket(Errno),
    Connect(Errno),
}

fn call(target: SocketAddr) -> Result<OwnedFd, CallError> {
    let family = if target.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None).map_err(CallError::Socket)?;
    let socket = move_up(socket);
    set_socket_keepalive(&socket, true).map_err(CallError::Socket)?;
    set_tcp_nodelay(&socket, true).map_err(CallError::Socket)?;
    match connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(error) => Err(CallError::Connect(error)),
    }
}

/// Whether nobody listens on one of our own ports, and the kernel has chosen just that port for the call: then TCP
/// connects the socket with itself.
pub fn is_ourselves(socket: &OwnedFd, target: SocketAddr) -> bool {
    getsockname(socket).ok().and_then(|own| SocketAddr::try_from(own).ok()) == Some(target)
}
