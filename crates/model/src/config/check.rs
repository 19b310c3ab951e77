//! Syntax tree → typed configuration.
//!
//! Names are looked up, defaults resolved, every wrong word gets its diagnostic. An entry with an error is left out
//! and remembered as broken, so that a reload can go on with what it replaced.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::facts::{Facts, HostError};
use super::syntax::{Account, Entry, Families, LimitWord, Numeral, Transport, Tree, WaitMeaning, Word, Zero};
use super::{Defaults, STARTS_WINDOW, lints, mux};
use crate::diagnostic::{Diagnostic, Place, printable};
use crate::service::{
    Broken, Builtin, CommandLine, Config, Credentials, FileAccess, Handover, Identity, Limits, ListenAddress,
    Listener, ListenerKey, Origin, Program, Protocol, Rate, Service, SocketKind, Task, Unavailable, Versions,
};
use crate::source::{Sources, Span, Spanned};

/// The longest single argument that the kernel takes: `MAX_ARG_STRLEN`, 32 pages, with its end.
const MAX_ARGUMENT: usize = 32 * 4096 - 1;

/// The longest path of a Unix socket: `sun_path` without its end.
const MAX_UNIX_PATH: usize = 107;

/// Makes the typed configuration of a tree.
pub fn check(
    sources: &Sources,
    tree: &Tree,
    defaults: &Defaults,
    facts: &mut dyn Facts,
    diagnostics: &mut Vec<Diagnostic>,
) -> Config {
    let mut checker = Checker {
        sources,
        defaults,
        facts,
        diagnostics,
        seen: HashMap::with_capacity(2 * tree.entries.len()),
    };
    let mut config = Config { files: sources.paths().map(str::to_owned).collect(), ..Config::default() };
    for name in &tree.broken {
        config.broken.push(checker.broken(name));
    }
    for entry in &tree.entries {
        match checker.service(entry) {
            Some(mut service) => {
                checker.forget_duplicates(entry, &service, &mut config);
                lints::run(entry, &service, checker.facts, checker.diagnostics);
                if defaults.names {
                    look_names_up(&mut service);
                }
                config.services.push(service);
            }
            None => config.broken.push(checker.broken(&entry.name)),
        }
    }
    config.services.retain(|service| !service.listeners.is_empty());
    let has_ipv6 = checker.facts.has_ipv6();
    mux::complete(tree, &mut config, defaults, has_ipv6, diagnostics);
    config
}

/// The program that this process is, whatever has become of its file. The child that executes it is one too.
const OURSELVES: &[u8] = b"/proc/self/exe";

/// Puts `usherd with-names` in front of a program that is started for TCP connections.
fn look_names_up(service: &mut Service) {
    let is_tcp = |listener: &Listener| {
        listener.key.kind == SocketKind::Stream && !matches!(listener.key.address, ListenAddress::Unix(_))
    };
    if let Task::Program(program) = &mut service.task
        && program.handover == Handover::Connection
        && service.listeners.iter().all(is_tcp)
    {
        let words = [b"usherd" as &[u8], b"with-names", b"--", program.command.path()];
        let command = CommandLine::new(OURSELVES, words.into_iter().chain(program.command.arguments()));
        program.command = command;
    }
}

/// What `internal` can mean.
enum Internal {
    Builtin(Builtin),
    Auth,
}

impl Internal {
    fn by_name(name: &[u8]) -> Option<Internal> {
        match name {
            // Both are names of port 113.
            b"auth" | b"ident" => Some(Internal::Auth),
            name => Builtin::by_name(name).map(Internal::Builtin),
        }
    }

    fn is_tcpmux(&self) -> bool {
        matches!(self, Internal::Builtin(Builtin::Tcpmux))
    }
}

struct Checker<'a> {
    sources: &'a Sources,
    defaults: &'a Defaults,
    facts: &'a mut dyn Facts,
    diagnostics: &'a mut Vec<Diagnostic>,
    /// Which service of the result, and which text, has a socket already.
    seen: HashMap<ListenerKey, (usize, Span)>,
}

impl Checker<'_> {
    /// `None` when a diagnostic says why the entry cannot be used.
    fn service(&mut self, entry: &Entry) -> Option<Service> {
        // All columns are looked at before giving up, so that one run shows all that is wrong with a line.
        let kind = self.socket_kind(entry);
        let handover = self.handover(entry, kind);
        let is_internal = entry.program.value == b"internal";
        let task = if is_internal {
            kind.and_then(|kind| self.internal(entry, kind, handover))
        } else {
            self.program(entry, handover).map(Task::Program)
        };
        // The name of a built-in that there is not is not looked for in /etc/services: it would be wrong twice.
        let is_nothing = is_internal && task.is_none();
        let listeners = kind.filter(|_| !is_nothing).and_then(|kind| self.listeners(entry, kind));
        if let Some(class) = &entry.class {
            self.warning("login-class", class, "login classes are FreeBSD's and are ignored").hint =
                "set what the class sets in the program's own configuration".to_owned();
        }
        let mut limits = self.limits(entry, task.as_ref());
        let accepts = kind.is_some_and(SocketKind::has_connections) && handover == Some(Handover::Listener);
        if accepts && matches!(task, Some(Task::Program(_))) {
            self.sources_are_unseen(entry, &mut limits);
        }
        handover?;
        Some(Service {
            name: entry.name.value.as_slice().into(),
            origin: self.origin(entry.span),
            listeners: listeners?.into(),
            task: task?,
            limits: Arc::new(limits),
        })
    }

    fn socket_kind(&mut self, entry: &Entry) -> Option<SocketKind> {
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

    fn listeners(&mut self, entry: &Entry, kind: SocketKind) -> Option<Vec<Listener>> {
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
        let listeners = addresses.into_iter().map(|(protocol, address)| Listener {
            protocol,
            key: ListenerKey { address, kind },
            send_buffer,
            receive_buffer,
            backlog: self.defaults.backlog,
            file: file.clone().map(Box::new),
            versions,
        });
        Some(listeners.collect())
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
        let address = mux::name(&entry.name).and_then(|(name, greets)| mux::address(name, greets));
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
            return Some(vec![(Protocol::Unix, ListenAddress::Unix(path.value.to_vec()))]);
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
        let user = self.named(words.user.as_ref(), "user", |facts, name| Some(facts.user(name)?.uid))?;
        let group = self.named(words.group.as_ref(), "group", |facts, name| facts.group(name))?;
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
        let is_v6 =
            |host: &Word| std::str::from_utf8(&host.value).is_ok_and(|host| host.parse::<Ipv6Addr>().is_ok());
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
                            let address = ListenAddress::Inet { address, dual };
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
            ListenAddress::Inet { address, dual } => {
                (protocol, ListenAddress::Rpc { address, dual, program })
            }
            ListenAddress::Rpc { .. } | ListenAddress::Unix(_) | ListenAddress::Mux { .. } => {
                (protocol, address)
            }
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
        diagnostic.hint = "add the name to /etc/rpc, or write the number".to_owned();
        diagnostic.original = format!("{}: unknown rpc service", printable(&name.value));
        None
    }

    fn versions(&mut self, entry: &Entry) -> Option<Versions> {
        let expected = format!("a version or lowest-highest, from 1 on, at most {}", Versions::MOST);
        let Some(word) = &entry.versions else {
            let diagnostic = self.error("no-rpc-version", &entry.name, "the RPC service has no version");
            diagnostic.expected = format!("{}/1, or /1-3 for a range", printable(&entry.name.value));
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
        let name = &entry.name;
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
            diagnostic.hint = "add the name to /etc/services, or write the number".to_owned();
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

    fn handover(&mut self, entry: &Entry, kind: Option<SocketKind>) -> Option<Handover> {
        let wait = &entry.wait;
        let handover = match entry.handover {
            WaitMeaning::Known(handover) => handover,
            WaitMeaning::TakenFor(handover) => {
                let message = format!("{} is neither wait nor nowait", quoted(wait));
                self.warning("bad-wait", wait, message).hint =
                    format!("taken as {}, as the original does", handover.word());
                handover
            }
            WaitMeaning::Unknown => {
                let message = format!("{} is neither wait nor nowait", quoted(wait));
                self.error("bad-wait", wait, message).expected = "wait or nowait".to_owned();
                return None;
            }
        };
        let is_unix_datagram = entry.transport == Some(Transport::Unix) && kind == Some(SocketKind::Datagram);
        if handover == Handover::Connection && is_unix_datagram {
            self.warning("unix-datagrams-wait", wait, "a Unix datagram socket cannot be had twice").hint =
                "served as wait: one program at a time gets the socket".to_owned();
            return Some(Handover::Listener);
        }
        if handover == Handover::Listener && mux::name(&entry.name).is_some() {
            self.warning("tcpmux-waits", wait, "tcpmux hands over the caller's connection").hint =
                "served as nowait".to_owned();
            return Some(Handover::Connection);
        }
        Some(handover)
    }

    fn limits(&mut self, entry: &Entry, task: Option<&Task>) -> Limits {
        let mut limits = self.defaults.limits.clone();
        if let Some(Task::Builtin(builtin)) = task {
            // A built-in makes no process; it is limited in its sessions, and in the rest when its line says so.
            limits.starts = None;
            limits.source_starts = None;
            limits.source_children = None;
            limits.children = if builtin.is_momentary() { None } else { Some(self.defaults.sessions) };
        }
        let rate = |count| Rate { count, window: STARTS_WINDOW };
        let count = |rate: Option<Rate>| rate.map(|rate| rate.count);
        let words = &entry.limits;
        if let Some(word) = &words.starts {
            limits.starts = self.limit(entry, word, count(limits.starts)).map(rate);
        }
        if let Some(word) = &words.children {
            limits.children = self.limit(entry, word, limits.children);
        }
        if let Some(word) = &words.source_starts {
            limits.source_starts = self.limit(entry, word, count(limits.source_starts)).map(rate);
        }
        if let Some(word) = &words.source_children {
            limits.source_children = self.limit(entry, word, limits.source_children);
        }
        limits
    }

    /// A program that accepts its callers itself is the only one to see who they are.
    fn sources_are_unseen(&mut self, entry: &Entry, limits: &mut Limits) {
        let words = [&entry.limits.source_starts, &entry.limits.source_children];
        let is_limit = |limit: &&LimitWord| limit.zero == Zero::Never || limit.number() != Some(0);
        if let Some(limit) = words.into_iter().flatten().find(is_limit) {
            self.warning("source-limit", &limit.word, "a limit for sources has no effect with wait").hint =
                "the program accepts its callers itself, and only it sees who they are".to_owned();
        }
        // Nobody is nobody, from wherever.
        if limits.source_starts.is_some_and(|rate| rate.count == 0) {
            limits.starts = limits.source_starts;
        }
    }

    /// `None` for no limit.
    fn limit(&mut self, entry: &Entry, limit: &LimitWord, default: Option<u32>) -> Option<u32> {
        match (limit.number(), limit.zero) {
            (Some(0), Zero::Never) => Some(0),
            (Some(0), Zero::Unlimited) => None,
            (Some(0), Zero::Default) => default,
            (Some(count @ 1..), _) => Some(count),
            (Some(0), Zero::Wrong) | (None, _) => {
                let word = &limit.word;
                let message = format!("{} is not a limit", quoted(word));
                let diagnostic = self.warning("bad-max", word, message);
                diagnostic.expected = "a number of 1 or more".to_owned();
                diagnostic.hint = "the default is used".to_owned();
                diagnostic.original = format!(
                    "{}: illegal max field \"{}\", setting to {}",
                    printable(&entry.name.value),
                    printable(&word.value),
                    default.unwrap_or_default()
                );
                default
            }
        }
    }

    fn internal(&mut self, entry: &Entry, kind: SocketKind, handover: Option<Handover>) -> Option<Task> {
        if let Some(Transport::Rpc { .. }) = entry.transport {
            self.error("rpc-internal", &entry.program, "no internal service speaks RPC").expected =
                "a program".to_owned();
            return None;
        }
        // The service's name says which, and arguments are ignored. On a port of another name, which every original
        // refuses, the first argument says it.
        let mux = mux::name(&entry.name).map(|(name, _)| name);
        let words = std::iter::once(mux.unwrap_or(&entry.name.value))
            .chain(entry.arguments.first().map(|word| word.value.as_slice()));
        // tcpmux behind itself would be a way to ask for ever.
        let known = words.into_iter().find_map(Internal::by_name).or_else(|| self.internal_of_alias(entry));
        let known = known.filter(|known| mux.is_none() || !known.is_tcpmux());
        match known {
            Some(Internal::Builtin(builtin)) if builtin.speaks(kind) => Some(Task::Builtin(builtin)),
            Some(Internal::Auth) if kind == SocketKind::Stream => {
                self.auth(entry, handover).map(Task::Program)
            }
            Some(Internal::Builtin(_) | Internal::Auth) | None => {
                let name = entry.arguments.first().filter(|_| known.is_none()).unwrap_or(&entry.name);
                let message = format!("internal service {} unknown", printable(&name.value));
                let diagnostic = self.error("unknown-internal", name, message);
                diagnostic.original = format!("internal service {} unknown", printable(&entry.name.value));
                diagnostic.expected =
                    "echo, discard, chargen, daytime or time, over stream or dgram; or auth or tcpmux, over stream"
                        .to_owned();
                diagnostic.hint = "on another port, name it behind the word: internal echo".to_owned();
                None
            }
        }
    }

    /// FreeBSD goes by the aliases of /etc/services too, and for a Unix socket by the last part of its path.
    fn internal_of_alias(&mut self, entry: &Entry) -> Option<Internal> {
        let name = entry.name.value.rsplit(|byte| *byte == b'/').next()?;
        match entry.transport? {
            Transport::Unix => Internal::by_name(name),
            Transport::Inet { protocol, .. } => {
                let port = self.facts.port(std::str::from_utf8(name).ok()?, protocol)?;
                let mut all = Builtin::ALL.into_iter();
                let builtin = all.find(|one| self.facts.port(one.name(), protocol) == Some(port))?;
                Some(Internal::Builtin(builtin))
            }
            Transport::Rpc { .. } => None,
        }
    }

    /// FreeBSD's `auth` is a program of ours: what callers write is not read in the daemon.
    fn auth(&mut self, entry: &Entry, handover: Option<Handover>) -> Option<Program> {
        let arguments: Vec<&[u8]> =
            entry.arguments.iter().skip(1).map(|argument| argument.value.as_slice()).collect();
        if let Some(fault) = self.facts.auth_fault(&arguments) {
            let first = entry.arguments.get(1).unwrap_or(&entry.program);
            self.error("bad-auth-option", first, fault).expected =
                "the options of usherd ident: -d -f -F -g -i -n -o -r -t".to_owned();
            return None;
        }
        if handover == Some(Handover::Listener) {
            self.warning("auth-waits", &entry.wait, "auth answers one caller").hint =
                "served as nowait".to_owned();
        }
        let command = [b"usherd" as &[u8], b"ident"].into_iter().chain(arguments);
        let program = self.program(entry, handover.and(Some(Handover::Connection)))?;
        Some(Program { command: CommandLine::new(OURSELVES, command), ..program })
    }

    fn program(&mut self, entry: &Entry, handover: Option<Handover>) -> Option<Program> {
        let arguments = entry.arguments.iter().map(|argument| argument.value.as_slice());
        let command = CommandLine::new(&entry.program.value, arguments);
        if let Some(long) = entry.arguments.iter().find(|argument| argument.value.len() > MAX_ARGUMENT) {
            let message = format!("an argument of {} bytes", long.value.len());
            self.error("argument-too-long", long, message).expected =
                format!("at most {MAX_ARGUMENT} bytes: the kernel passes no longer one");
            return None;
        }
        let identity = self.identity(&entry.owner, &entry.accounts);
        Some(Program {
            command,
            handover: handover?,
            identity,
            ucspi: self.defaults.ucspi,
            stderr: self.defaults.stderr,
        })
    }

    fn identity(&mut self, owner: &Word, accounts: &[Account]) -> Identity {
        // A command line may leave the user out; a file cannot.
        if owner.value.is_empty() {
            return Identity::Daemon;
        }
        let text = |word: &Word| printable(&word.value);
        let known = accounts.iter().find_map(|account| {
            let name = std::str::from_utf8(&account.user.value).ok()?;
            Some((self.facts.user(name)?, account.group.as_ref().map(text)))
        });
        let Some((user, group)) = known else {
            // The shortest reading: a group behind a user is no part of the user's name.
            let shortest = accounts.iter().map(|account| &account.user).min_by_key(|user| user.value.len());
            return self.unavailable(owner, Unavailable::NoSuchUser(text(shortest.unwrap_or(owner))));
        };
        let gid = match group.as_deref().map(|group| (group, self.facts.group(group))) {
            None => user.gid,
            Some((_, Some(gid))) => gid,
            Some((group, None)) => {
                return self.unavailable(owner, Unavailable::NoSuchGroup(group.to_owned()));
            }
        };
        match self.facts.unprivileged_as() {
            None => {
                let groups = self.facts.groups_of(&user.name, gid);
                Identity::User(Arc::new(Credentials { user: user.name, uid: user.uid, gid, groups }))
            }
            Some(own) if own.uid == user.uid && (group.is_none() || gid == own.gid) => Identity::Daemon,
            Some(_) => self.unavailable(owner, Unavailable::NotPermitted(user.name)),
        }
    }

    fn unavailable(&mut self, owner: &Word, why: Unavailable) -> Identity {
        let (code, message, hint) = match &why {
            Unavailable::NoSuchUser(name) => (
                "unknown-user",
                format!("no such user {name:?}"),
                "callers are turned away until a reload finds the user",
            ),
            Unavailable::NoSuchGroup(name) => (
                "unknown-group",
                format!("no such group {name:?}"),
                "callers are turned away until a reload finds the group",
            ),
            Unavailable::NotPermitted(name) => (
                "not-permitted",
                format!("only root can start programs as {name:?}"),
                "run as root, or write the user that usherd runs as",
            ),
        };
        self.error(code, owner, message).hint = hint.to_owned();
        Identity::Unavailable(Box::new(why))
    }

    /// An entry that stands twice: the last one wins, as with the originals.
    fn forget_duplicates(&mut self, entry: &Entry, service: &Service, config: &mut Config) {
        let index = config.services.len();
        for listener in &service.listeners {
            let Some((earlier, span)) = self.seen.insert(listener.key.clone(), (index, entry.span)) else {
                continue;
            };
            if earlier == index {
                continue;
            }
            let others = &mut config.services[earlier].listeners;
            *others = others.iter().filter(|other| other.key != listener.key).cloned().collect();
            let first = self.sources.locate(span);
            let message =
                format!("{} on {} stands twice", service.label(listener), listener.key.address.display());
            let hint = format!("this line is followed, not {}:{}", first.path, first.line);
            self.diagnostics
                .push(Diagnostic::warning("duplicate", Place::Text(entry.name.span), message).hint(hint));
        }
    }

    fn broken(&self, name: &Word) -> Broken {
        Broken { origin: self.origin(name.span), name: name.value.as_slice().into() }
    }

    fn origin(&self, span: Span) -> Origin {
        Origin { file: self.sources.position(span.file), line: self.sources.locate(span).line }
    }

    fn error(&mut self, code: &'static str, word: &Word, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::error(code, Place::Text(word.span), message))
    }

    fn warning(&mut self, code: &'static str, word: &Word, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::warning(code, Place::Text(word.span), message))
    }

    fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.diagnostics.push(diagnostic);
        self.diagnostics.last_mut().expect("one was just pushed")
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

/// A word in quotes, shortened when somebody wrote a novel.
fn quoted(word: &Word) -> String {
    const SHOWN: usize = 60;
    let text = printable(&word.value);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?} and more", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    if digits.first()?.is_ascii_digit() { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}
