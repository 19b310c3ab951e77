//! The syntax tree that every dialect is read into.
//!
//! An entry is a service with its settings as they were written: words with spans, nothing looked up, nothing
//! defaulted. Columns of an `inetd.conf` line and attributes of an `xinetd.conf` block become the same settings, so
//! that checks, diagnostics and everything later are written once.

use crate::service::Protocol;
use crate::source::{Span, Spanned};

/// A word as it stands in the file: any bytes but NUL, not necessarily UTF-8.
pub type Word = Spanned<Vec<u8>>;

/// What one or several files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The services, in order.
    pub entries: Vec<Entry>,
    /// Lines that a reader could not make an entry of, as far as they name a service.
    pub broken: Vec<Word>,
}

/// One service as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// All of its text.
    pub span: Span,
    /// The service's name, number or path.
    pub name: Word,
    /// The versions of an RPC service: `1`, `1-5`.
    pub versions: Option<Word>,
    /// Where it listens; empty means the wildcard address.
    pub hosts: Vec<Word>,
    /// The socket type.
    pub socket_type: Word,
    /// The protocol's word, and what its dialect takes it for.
    pub protocol: Word,
    /// The address families and the transport that `protocol` means; `None` when the dialect does not know it.
    pub transport: Option<Transport>,
    /// Size of the send buffer.
    pub send_buffer: Option<Word>,
    /// Size of the receive buffer.
    pub receive_buffer: Option<Word>,
    /// `wait` or `nowait`.
    pub wait: Word,
    /// Starts a minute.
    pub starts: Option<Word>,
    /// User, or user and group.
    pub owner: Word,
    /// The program's path, or `internal`.
    pub program: Word,
    /// The argument list, `argv[0]` first.
    pub arguments: Vec<Word>,
}

/// What a protocol word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A Unix socket.
    Unix,
    /// Internet sockets.
    Inet {
        /// The protocol's name in /etc/services.
        protocol: &'static str,
        /// Which sockets are opened, by the names that they have in logs.
        families: Families,
    },
    /// Internet sockets whose ports rpcbind is told.
    Rpc {
        /// `tcp` or `udp`.
        protocol: &'static str,
        /// As above.
        families: Families,
    },
}

/// Which sockets a protocol word asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// IPv4 only.
    V4(Protocol),
    /// IPv6 only.
    V6(Protocol),
    /// One socket for each of the two.
    Both(Protocol, Protocol),
    /// One IPv6 socket that serves IPv4 callers too.
    Dual(Protocol),
}
