//! The two ends of a connection, as hosts.allow and hosts.deny know them.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, getsockname};
use usherd_model::access::Endpoint;

/// The caller's end and ours. Of a socket that nobody can be seen on (a listener of streams) the caller is unknown.
pub fn endpoints(socket: BorrowedFd<'_>, peer: Option<SocketAddr>) -> (Endpoint, Endpoint) {
    let Ok(local) = getsockname(socket) else { return (Endpoint::unknown(), Endpoint::unknown()) };
    if local.address_family() == AddressFamily::UNIX {
        return (Endpoint::local(), Endpoint::local());
    }
    let of = |address: Option<SocketAddr>| {
        address.map_or_else(Endpoint::unknown, |address| with_scope(socket, address))
    };
    (of(peer), of(SocketAddr::try_from(local).ok()))
}

/// An address with the name of its interface behind it, where it is valid on one only.
fn with_scope(socket: BorrowedFd<'_>, address: SocketAddr) -> Endpoint {
    let endpoint = Endpoint::of(address);
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            let scope = v6.scope_id();
            let name = index_to_name(socket, scope).unwrap_or_else(|_| scope.to_string());
            let text = [&*endpoint.address, b"%", name.as_bytes()].concat();
            Endpoint { address: text.into(), ..endpoint }
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => endpoint,
    }
}
