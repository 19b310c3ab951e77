//! The two ends of a connection, as hosts.allow and hosts.deny know them.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use rustix::net::{AddressFamily, getsockname};
use usherd_model::access::Endpoint;
use usherd_sys::socket::interface_name;

/// The caller's end and ours. Of a socket that nobody can be seen on (a listener of streams) the caller is unknown.
pub fn endpoints(socket: BorrowedFd<'_>, peer: Option<SocketAddr>) -> (Endpoint, Endpoint) {
    let Ok(local) = getsockname(socket) else { return (Endpoint::unknown(), Endpoint::unknown()) };
    if local.address_family() == AddressFamily::UNIX {
        return (Endpoint::local(), Endpoint::local());
    }
    let of = |address: Option<SocketAddr>| address.map_or_else(Endpoint::unknown, with_scope);
    (of(peer), of(SocketAddr::try_from(local).ok()))
}

/// A host's address as getnameinfo(3) shows it: with the name of its interface, where it is valid on one only.
pub struct HostText(pub SocketAddr);

impl fmt::Display for HostText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.ip().fmt(f)?;
        match self.0 {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => match interface_name(v6.scope_id()) {
                Some(name) => write!(f, "%{name}"),
                None => write!(f, "%{}", v6.scope_id()),
            },
            SocketAddr::V4(_) | SocketAddr::V6(_) => Ok(()),
        }
    }
}

/// The same for the tables.
fn with_scope(address: SocketAddr) -> Endpoint {
    let endpoint = Endpoint::of(address);
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            Endpoint { address: HostText(address).to_string().into_bytes().into(), ..endpoint }
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => endpoint,
    }
}
