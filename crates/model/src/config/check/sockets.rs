//! What a line says about its sockets: type, addresses, ports, buffers, and who may use the file of a Unix socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Checker, quoted};
use crate::config::facts::{Facts, HostError};
use crate::config::mux;
use crate::config::syntax::{Attributes, Entry, Families, Numeral, Transport, Word, literal};
use crate::diagnostic::printable;
use crate::service::{
    Extras, FileAccess, InetAddress, ListenAddress, Listener, ListenerKey, Protocol, RpcAddress, SocketKind,
    Versions,
};
use crate::source::Spanned;

impl Checker<'_> {
    pub(super) fn socket_kind(&mut self, entry: &Entry) -> Option<SocketKind> {
        let kind = match entry.socket_type.value.as_slice() {
            b"stream" => SocketKind::Stream,
            b"dgram" => SocketKind::Datagram,
            b"seqpacket" if entry.transport == Some(Transport::Unix) => SocketKind::SeqPacket,
            b"seqpacket" => {
                self.error("bad-socket-type", &entry.socket_type, "seqpacket works with unix sockets only")
                    .expected = "stream or dgram".to_owned();
                return None;
            }
            b"raw" | b"rdm" => {
                let message = format!("socket type {} is not supported", quoted(&entry.socket_type));
                self.error("bad-socket-type", &entry.socket_type, message).expected =
                    "stream or dgram".to_owned();
                return None;
            }
            _ => {
                let message = format!("unknown socket type {}", quoted(&entry.socket_type));
                let hosts = entry.hosts.iter().map(|host| printable(&host.value));
                let hosts: Vec<String> =
                    if entry.hosts.is_empty() { vec!["*".into()] } else { hosts.collect() };
                let original =
                    hosts.iter().map(|host| original(entry, &format!("{host}: ai_socktype not supported")));
                let original = original.collect::<Vec<String>>().join("\n");
                let diagnostic = self.error("bad-socket-type", &entry.socket_type, message);
                diagnostic.expected = "stream, dgram or seqpacket".to_owned();
                diagnostic.original = original;
                return None;
            }
        };
        if let Some(Transport::Inet { protocol, .. } | Transport::Rpc { protocol, .. }) = entry.transport {
            let other = if protocol == "tcp" { SocketKind::Datagram } else { SocketKind::Stream };
            if kind == other {
                self.warning(
                    "type-and-protocol-disagree",
                    &entry.socket_type,
                    format!(
                        "a {} socket has nothing to do with {}",
                        kind.word(),
                        printable(&entry.protocol.value)
                    ),
                )
                .hint = format!(
                    "the socket type is followed, as in openbsd-inetd: this opens a {} socket",
                    kind.word()
                );
            }
        }
        Some(kind)
    }

    pub(super) fn listeners(&mut self, entry: &Entry, kind: SocketKind) -> Option<Vec<Listener>> {
        let send_buffer = self.buffer(entry, entry.send_buffer.as_ref());
        let receive_buffer = self.buffer(entry, entry.receive_buffer.as_ref());
        let mut versions = None;
        let addresses = match entry.transport {
            Some(Transport::Unix) => self.unix_path(entry)?,
            Some(Transport::Inet { protocol, .. }) if mux::name(&entry.name).is_some() => {
                self.mux_address(entry, protocol, kind)?
            }
            Some(Transport::Inet { protocol, families }) => {
                let port = self.port(entry, protocol)?;
                self.inet_addresses(entry, port, families)?
            }
            Some(Transport::Rpc { families, .. }) => {
                let (program, range) = (self.rpc_program(entry), self.versions(entry));
                versions = Some(range?);
                self.rpc_addresses(entry, program?, families)?
            }
            None => {
                let message = format!("unknown protocol {}", quoted(&entry.protocol));
                self.error("bad-protocol", &entry.protocol, message).expected =
                    "tcp, udp, tcp4, udp4, tcp6, udp6, tcp46, udp46, one of these after rpc/, or unix"
                        .to_owned();
                return None;
            }
        };
        let (send_buffer, receive_buffer) = (send_buffer?, receive_buffer?);
        let file =
            if entry.transport == Some(Transport::Unix) { Some(self.file_access(entry)?) } else { None };
        let greets = mux::name(&entry.name).is_some_and(|(_, greets)| greets);
        let flags = entry.attributes.as_ref().map(|attributes| &attributes.flags);
        let is_tcp = kind == SocketKind::Stream;
        let no_delay = is_tcp && flags.is_some_and(|flags| flags.no_delay);
        let keep_alive = is_tcp && flags.is_some_and(|flags| flags.keep_alive);
        let extras = Extras { send_buffer, receive_buffer, file, greets, versions, no_delay, keep_alive };
        let backlog = self.defaults.backlog;
        let listener = |(protocol, address)| {
            Listener::new(protocol, ListenerKey { address, kind }, backlog, extras.clone())
        };
        Some(addresses.into_iter().map(listener).collect())
    }

    fn mux_address(
        &mut self,
        entry: &Entry,
        protocol: &str,
        kind: SocketKind,
    ) -> Option<Vec<(Protocol, ListenAddress)>> {
        if protocol != "tcp" || kind != SocketKind::Stream {
            self.error("bad-tcpmux", &entry.protocol, "tcpmux hands TCP connections over").expected =
                "stream tcp nowait".to_owned();
            return None;
        }
        let written = |host: &&Word| host.span.start >= entry.span.start && host.span.end <= entry.span.end;
        if let Some(host) = entry.hosts.iter().find(written) {
            self.warning("address-of-tcpmux", host, "an address has no effect on a service behind tcpmux")
                .hint = "its callers come through tcpmux; write the address in front of that".to_owned();
        }
        let address = mux::name(&entry.name).and_then(|(name, _)| mux::address(name));
        if address.is_none() {
            self.error("bad-tcpmux", &entry.name, "no caller could ask for this name").expected =
                "tcpmux/name or tcpmux/+name, the name not empty, not help, and less than 256 bytes"
                    .to_owned();
        }
        Some(vec![(Protocol::Tcp, address?)])
    }

    fn unix_path(&mut self, entry: &Entry) -> Option<Vec<(Protocol, ListenAddress)>> {
        let path = &entry.name;
        let problem = if path.value.len() > MAX_UNIX_PATH {
            format!("the socket's path is {} bytes long", path.value.len())
        } else if !path.value.starts_with(b"/") {
            "the socket's path is not absolute".to_owned()
        } else {
            return Some(vec![(Protocol::Unix, ListenAddress::Unix(path.value.to_vec().into()))]);
        };
        let diagnostic = self.error("bad-unix-path", path, problem);
        diagnostic.expected = format!("an absolute path without a colon, at most {MAX_UNIX_PATH} bytes");
        if path.value.len() > MAX_UNIX_PATH {
            diagnostic.original =
                format!("{}/unix: UNIX domain socket path too long", printable(&path.value));
        }
        None
    }

    fn file_access(&mut self, entry: &Entry) -> Option<FileAccess> {
        let words = &entry.file;
        let mode = match &words.mode {
            None => words.default_mode,
            Some(word) => {
                let digits = std::str::from_utf8(&word.value).ok();
                let mode = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok());
                let Some(mode) = mode.filter(|mode| *mode <= 0o777) else {
                    let message = format!("{} is not a mode", quoted(word));
                    self.error("bad-mode", word, message).expected =
                        "an octal number from 0 to 777".to_owned();
                    return None;
                };
                mode
            }
        };
        let user =
            self.named(words.user.as_ref(), "user", |facts, name| Some(facts.user(name).ok()??.uid))?;
        let group = self.named(words.group.as_ref(), "group", |facts, name| facts.group(name).ok()?)?;
        Some(FileAccess { mode, user, group })
    }

    /// Outer `None`: there is no such user or group. Inner `None`: none was named.
    #[expect(clippy::option_option, reason = "an absent word and a wrong one are different answers")]
    fn named(
        &mut self,
        word: Option<&Word>,
        what: &str,
        look_up: impl FnOnce(&mut dyn Facts, &str) -> Option<u32>,
    ) -> Option<Option<u32>> {
        let Some(word) = word else { return Some(None) };
        let number = std::str::from_utf8(&word.value).ok().and_then(|name| look_up(self.facts, name));
        if number.is_none() {
            let message = format!("no such {what} {}", quoted(word));
            self.error(if what == "user" { "unknown-user" } else { "unknown-group" }, word, message);
        }
        number.map(Some)
    }

    fn inet_addresses(
        &mut self,
        entry: &Entry,
        port: u16,
        families: Families,
    ) -> Option<Vec<(Protocol, ListenAddress)>> {
        let bind = self.defaults.bind.as_deref().unwrap_or("*");
        let any = Spanned::new(bind.as_bytes().into(), entry.name.span);
        let hosts = if entry.hosts.is_empty() { std::slice::from_ref(&any) } else { entry.hosts.as_slice() };
        let is_v6 = |host: &Word| literal(host).is_some_and(|address| address.is_ipv6());
        let has_ipv6 = self.facts.has_ipv6();
        let (v4, v6, dual) = match families {
            Families::V4(v4) => (Some(v4), None, false),
            Families::V6(v6) => (None, Some(v6), false),
            // Without IPv6 in the kernel this is IPv4; whoever writes a 6 wants to hear of it.
            Families::Both(v4, v6) => (Some(v4), Some(v6).filter(|_| has_ipv6), false),
            Families::Dual(v4) | Families::Mapped(v4) if !has_ipv6 => (Some(v4), None, false),
            Families::Dual(v6) | Families::Mapped(v6) => (None, Some(v6), true),
            Families::OfHost(v6) if hosts.iter().any(is_v6) => (Some(v6), Some(v6), false),
            Families::OfHost(v4) => (Some(v4), None, false),
        };
        let mut addresses: Vec<(Protocol, ListenAddress)> = Vec::new();
        for host in hosts {
            let mut found = false;
            let mut problem = None;
            for (protocol, is_v6) in [(v4, false), (v6, true)] {
                let Some(protocol) = protocol else { continue };
                let resolved = match (self.resolve(host, is_v6), families) {
                    (Err(_), Families::Mapped(_)) if is_v6 => self.resolve(host, false).map(mapped),
                    (resolved, _) => resolved,
                };
                match resolved {
                    Ok(resolved) => {
                        found |= !resolved.is_empty();
                        for mut address in resolved {
                            address.set_port(port);
                            let address = ListenAddress::Inet(InetAddress::new(address, dual));
                            if addresses.iter().all(|(_, other)| *other != address) {
                                addresses.push((protocol, address));
                            }
                        }
                    }
                    Err(error) => problem = Some(error),
                }
            }
            if let (false, Some(problem)) = (found, problem) {
                self.unknown_host(host, entry, &problem, v4.is_none());
            }
        }
        if addresses.is_empty() { None } else { Some(addresses) }
    }

    fn rpc_addresses(
        &mut self,
        entry: &Entry,
        program: u32,
        families: Families,
    ) -> Option<Vec<(Protocol, ListenAddress)>> {
        let addresses = self.inet_addresses(entry, 0, families)?;
        if addresses
            .iter()
            .enumerate()
            .any(|(at, (first, _))| addresses[..at].iter().any(|(other, _)| other == first))
        {
            self.warning("rpc-one-address", &entry.name, "an RPC service with several addresses").hint =
                "rpcbind tells callers one address of each program; one of these is registered".to_owned();
        }
        let named = addresses.into_iter().map(|(protocol, address)| match address {
            ListenAddress::Inet(address) => {
                (protocol, ListenAddress::Rpc(Box::new(RpcAddress { address, program })))
            }
            ListenAddress::Rpc(_) | ListenAddress::Unix(_) | ListenAddress::Mux(_) => (protocol, address),
        });
        Some(named.collect())
    }

    fn rpc_program(&mut self, entry: &Entry) -> Option<u32> {
        let name = &entry.name;
        let text = std::str::from_utf8(&name.value).unwrap_or_default();
        let number = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
        if let Some(program @ 1..) = number.or_else(|| self.facts.rpc_program(text)) {
            return Some(program);
        }
        let message = format!("unknown RPC service {}", quoted(name));
        let diagnostic = self.error("unknown-rpc-service", name, message);
        diagnostic.expected = "a program number of 32 bits, or a name that /etc/rpc has".to_owned();
        diagnostic.hint = match entry.attributes {
            Some(_) => {
                "add the name to /etc/rpc, or say rpc_number = NUMBER and type = RPC UNLISTED".to_owned()
            }
            None => "add the name to /etc/rpc, or write the number".to_owned(),
        };
        diagnostic.original = format!("{}: unknown rpc service", printable(&name.value));
        None
    }

    fn versions(&mut self, entry: &Entry) -> Option<Versions> {
        let expected = format!("a version or lowest-highest, from 1 on, at most {}", Versions::MOST);
        let Some(word) = &entry.versions else {
            let diagnostic = self.error("no-rpc-version", &entry.name, "the RPC service has no version");
            diagnostic.expected = match entry.attributes {
                Some(_) => "rpc_version = 1, or 1-3 for a range".to_owned(),
                None => format!("{}/1, or /1-3 for a range", printable(&entry.name.value)),
            };
            diagnostic.original = format!("{}: no rpc version", printable(&entry.name.value));
            return None;
        };
        let dash = word.value.iter().position(|byte| *byte == b'-');
        let (lowest, highest) = match dash {
            Some(dash) => (&word.value[..dash], &word.value[dash + 1..]),
            None => (&*word.value, &*word.value),
        };
        let range = Numeral::C.number(lowest).zip(Numeral::C.number(highest));
        let versions = range.and_then(|(lowest, highest)| Versions::new(lowest, highest));
        if versions.is_none() {
            let message = match range {
                Some((lowest, highest)) if lowest > highest => {
                    format!("the versions {} end before they begin", quoted(word))
                }
                _ => format!("{} is not a version or a range of versions", quoted(word)),
            };
            // The original cites the word that it could not read.
            let cited = if Numeral::C.number(lowest).is_some() { highest } else { &*word.value };
            let original = format!("{}/{}: bad rpc version", printable(&entry.name.value), printable(cited));
            let diagnostic = self.error("bad-rpc-version", word, message);
            diagnostic.expected = expected;
            diagnostic.original = original;
        }
        versions
    }

    fn resolve(&mut self, host: &Word, v6: bool) -> Result<Vec<SocketAddr>, HostError> {
        if host.value == b"*" {
            let any = if v6 { IpAddr::from(Ipv6Addr::UNSPECIFIED) } else { Ipv4Addr::UNSPECIFIED.into() };
            return Ok(vec![SocketAddr::new(any, 0)]);
        }
        match std::str::from_utf8(&host.value) {
            Ok(name) => self.facts.host(name, v6),
            Err(_) => Err(HostError::Unknown),
        }
    }

    fn unknown_host(&mut self, host: &Word, entry: &Entry, error: &HostError, asked_v6: bool) {
        let name = quoted(host);
        let (message, words) = match error {
            HostError::Failed(words) => (format!("{name} could not be looked up: {words}"), words.as_str()),
            HostError::Unknown if self.resolve(host, !asked_v6).is_ok() => (
                format!(
                    "{name} is not an address of the family that {} asks for",
                    printable(&entry.protocol.value)
                ),
                "Address family for hostname not supported",
            ),
            HostError::Unknown => (format!("{name} is not known"), "Name or service not known"),
        };
        let original = original(entry, &format!("{}: {words}", printable(&host.value)));
        let diagnostic = self.error("unknown-host", host, message);
        diagnostic.expected = "an address or host name of this machine, or *".to_owned();
        diagnostic.original = original;
    }

    fn port(&mut self, entry: &Entry, protocol: &str) -> Option<u16> {
        if let Some(attributes) = entry.attributes.as_deref() {
            return self.port_of_attributes(entry, attributes, protocol);
        }
        self.port_of_name(entry, &entry.name, protocol)
    }

    /// The port that is written, which for a service of /etc/services is the one that stands there; or that one.
    fn port_of_attributes(&mut self, entry: &Entry, attributes: &Attributes, protocol: &str) -> Option<u16> {
        let Some(port) = &attributes.port else {
            if attributes.is_unlisted {
                let expected = "port = NUMBER";
                self.error("missing-attribute", &entry.name, "an UNLISTED service has no port").expected =
                    expected.to_owned();
                return None;
            }
            return self.port_of_name(entry, &entry.name, protocol);
        };
        let written = self.port_of_name(entry, port, protocol)?;
        if !attributes.is_unlisted {
            let listed = std::str::from_utf8(&entry.name.value).ok();
            let listed = listed.and_then(|name| self.facts.port(name, protocol));
            let message = match listed {
                Some(listed) if listed == written => return Some(written),
                Some(listed) => format!("/etc/services has port {listed} for {}", quoted(&entry.name)),
                None => format!("/etc/services does not have {}", quoted(&entry.name)),
            };
            self.warning("port-not-listed", port, message).hint =
                "this port is opened; xinetd wants type = UNLISTED for that".to_owned();
        }
        Some(written)
    }

    /// The port that a word means: a number, or a name of /etc/services.
    pub(super) fn port_of_name(&mut self, entry: &Entry, name: &Word, protocol: &str) -> Option<u16> {
        let original = || original(entry, "unknown service");
        if name.value.iter().all(u8::is_ascii_digit) {
            let port = std::str::from_utf8(&name.value).ok().and_then(|digits| digits.parse().ok());
            if let Some(port @ 1..) = port {
                return Some(port);
            }
            let message = format!("{} is not a port", quoted(name));
            let diagnostic = self.error("bad-port", name, message);
            diagnostic.expected = "a number from 1 to 65535".to_owned();
            diagnostic.original = original();
            return None;
        }
        let port = std::str::from_utf8(&name.value).ok().and_then(|name| self.facts.port(name, protocol));
        if port.is_none() {
            let message = format!("unknown service {}", quoted(name));
            let diagnostic = self.error("unknown-service", name, message);
            diagnostic.expected = format!("a port number, or a name that /etc/services has for {protocol}");
            diagnostic.hint = match entry.attributes {
                Some(_) => {
                    "add the name to /etc/services, or say port = NUMBER and type = UNLISTED".to_owned()
                }
                None => "add the name to /etc/services, or write the number".to_owned(),
            };
            diagnostic.original = original();
        }
        port
    }

    /// Outer `None`: not a size. Inner `None`: nothing was said.
    #[expect(clippy::option_option, reason = "an absent word and a wrong one are different answers")]
    fn buffer(&mut self, entry: &Entry, word: Option<&Word>) -> Option<Option<u32>> {
        let Some(word) = word else { return Some(None) };
        let (digits, factor) = match word.value.as_slice() {
            [digits @ .., b'k'] => (digits, 1024),
            [digits @ .., b'm'] => (digits, 1024 * 1024),
            digits => (digits, 1),
        };
        let size = number(digits)
            .and_then(|size| size.checked_mul(factor))
            .filter(|size| i32::try_from(*size).is_ok());
        match size {
            Some(size @ 1..) => Some(Some(size)),
            _ => {
                let message = format!("{} is not a buffer size", quoted(word));
                let complaint =
                    if size == Some(0) { "invalid buffer size" } else { "malformed buffer size option" };
                let diagnostic = self.error("bad-buffer-size", word, message);
                diagnostic.expected = "1 or more bytes, less than 2 GiB, k and m allowed".to_owned();
                diagnostic.original =
                    format!("{}: {complaint} `{}'", printable(&entry.name.value), printable(&word.value));
                None
            }
        }
    }
}

/// What the original says about a line's sockets: a line for each family that it opens.
fn original(entry: &Entry, words: &str) -> String {
    let (name, protocol) = (printable(&entry.name.value), printable(&entry.protocol.value));
    match entry.transport {
        Some(Transport::Inet { families: Families::Both(..), .. }) => {
            format!("{name}/{protocol}: {words}\n{name}/{protocol}6: {words}")
        }
        Some(Transport::Inet { .. }) => format!("{name}/{protocol}: {words}"),
        Some(Transport::Rpc { .. } | Transport::Unix) | None => String::new(),
    }
}

/// IPv4 addresses as those that an IPv6 socket has for them.
fn mapped(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let map = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    addresses.into_iter().map(map).collect()
}

fn number(digits: &[u8]) -> Option<u32> {
    if digits.first()?.is_ascii_digit() { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

/// The longest path of a Unix socket: `sun_path` without its end.
const MAX_UNIX_PATH: usize = 107;
