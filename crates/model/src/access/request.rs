//! Who asks for what: the facts that are there, and those that have to be looked up.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// What libwrap calls a name, an address or a user that is not known.
pub const UNKNOWN: &[u8] = b"unknown";

/// What libwrap calls a name that its address does not confirm.
pub const PARANOID: &[u8] = b"paranoid";

/// Texts about a caller are cut at this length, as in libwrap: 127 bytes.
pub const MOST: usize = 127;

/// Cuts a text at [`MOST`].
pub fn cut(text: &[u8]) -> &[u8] {
    &text[..text.len().min(MOST)]
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address as text; [`UNKNOWN`] when there is none.
    pub address: Box<[u8]>,
    /// The socket address, where there is one.
    pub socket: Option<SocketAddr>,
    /// The name, where it is known without a look-up.
    pub name: Option<Box<[u8]>>,
}

impl Endpoint {
    /// The end of an internet connection.
    pub fn of(address: SocketAddr) -> Self {
        let text = match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => v6_text(*address.ip()),
        };
        Self { address: text.into_bytes().into(), socket: Some(address), name: None }
    }

    /// An end that has no internet address: it is on this machine, and libwrap calls it so.
    pub fn local() -> Self {
        let localhost: &[u8] = b"localhost";
        Self { name: Some(localhost.into()), ..Self::text(localhost) }
    }

    /// One of which nothing is known.
    pub fn unknown() -> Self {
        Self { address: UNKNOWN.into(), socket: None, name: None }
    }

    /// One that is known by this text only.
    pub fn text(address: &[u8]) -> Self {
        Self { address: cut(address).into(), socket: None, name: None }
    }
}

/// As inet_ntop(3) writes it, which has a form of its own for the first 96 bits being 0.
fn v6_text(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            format!("::{}", Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => address.to_string(),
    }
}

/// A caller and what it has called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The name of the daemon's process.
    pub daemon: Box<[u8]>,
    /// The caller's end.
    pub client: Endpoint,
    /// Our end.
    pub server: Endpoint,
    /// The caller's user, where it is known without a look-up.
    pub user: Option<Box<[u8]>>,
    /// Whether it came as a datagram: then nobody can be asked whose it is.
    pub is_datagram: bool,
    /// Whether the process that decides lives on, and cannot become another program.
    pub is_resident: bool,
    /// What `%p` is.
    pub pid: u32,
}

impl Request {
    /// A connection to a daemon of this name, between two sockets.
    pub fn new(daemon: &[u8], client: Endpoint, server: Endpoint) -> Self {
        let pid = 0;
        Self {
            daemon: cut(daemon).into(),
            client,
            server,
            user: None,
            is_datagram: false,
            is_resident: false,
            pid,
        }
    }

    /// Whether the caller's machine can be asked for its user.
    pub(super) fn has_user(&self) -> bool {
        self.client.socket.is_some() && self.server.socket.is_some() && !self.is_datagram
    }
}

/// What a look-up has brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// This name or user; [`UNKNOWN`] or [`PARANOID`] when that was the answer.
    Text(Box<[u8]>),
    /// Nothing, because of a failure of our own: time was up, or nobody could be asked. That is not an answer, and never
    /// lets anybody in.
    Undecided,
}

impl Found {
    /// A name or user, cut as in libwrap.
    pub fn text(text: &[u8]) -> Self {
        Found::Text(cut(text).into())
    }

    /// The host name, if there is one and it is believed. What may have been cut is none: its end says in which domain a
    /// host is.
    pub fn name(&self) -> Option<&[u8]> {
        self.heard().filter(|text| is_known(text) && text.len() < MOST)
    }

    /// The text, if it was found out.
    pub(super) fn heard(&self) -> Option<&[u8]> {
        match self {
            Found::Text(text) => Some(text),
            Found::Undecided => None,
        }
    }
}

/// What was looked up so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The caller's host name.
    pub client_name: Option<Found>,
    /// The name of our address that was called.
    pub server_name: Option<Found>,
    /// The caller's user.
    pub user: Option<Found>,
}

impl Facts {
    /// Keeps what a look-up has brought.
    pub fn learn(&mut self, lookup: Lookup, found: Found) {
        let fact = match lookup {
            Lookup::ClientName => &mut self.client_name,
            Lookup::ServerName => &mut self.server_name,
            Lookup::User(_) => &mut self.user,
        };
        *fact = Some(found);
    }
}

/// Something that has to be looked up before it can be said who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lookup {
    /// The caller's host name.
    ClientName,
    /// The name of our address that was called.
    ServerName,
    /// The caller's user, by RFC 1413, within so many seconds.
    User(u32),
}

/// Whether a text is neither of the two for "nobody knows".
pub(super) fn is_known(text: &[u8]) -> bool {
    !text.eq_ignore_ascii_case(UNKNOWN) && !text.eq_ignore_ascii_case(PARANOID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_believed_and_whole() {
        let whole = [b'a'; MOST - 1];
        assert_eq!(Found::text(b"host.example.com").name(), Some(b"host.example.com".as_slice()));
        assert_eq!(Found::text(&whole).name(), Some(whole.as_slice()));
        for found in
            [Found::text(UNKNOWN), Found::text(PARANOID), Found::text(&[b'a'; MOST]), Found::Undecided]
        {
            assert_eq!(found.name(), None, "{found:?}");
        }
    }
}
