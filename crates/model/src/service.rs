//! What a service is, whichever dialect it was written in.
//!
//! These types cannot hold a wrong value, and nothing in them means "unset, so take the default": defaults were
//! resolved when the configuration was checked. They hold no descriptors and no names that remain to be looked up, so
//! a `Config` can be sent from the loader to the core as it is.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::access::Tables;
use crate::diagnostic::printable;
use crate::policy::{LogTarget, Policy};
use crate::process_settings::ProcessSettings;
use crate::tcpmux;

/// All that one load found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The files that were read; [`Origin::file`] counts them.
    pub files: Vec<String>,
    /// The services, in the order of the files.
    #[serde(deserialize_with = "deserialize_services")]
    pub services: Vec<Service>,
    /// Lines that name a service and could not be used: what they name goes on as it was before.
    pub broken: Vec<Broken>,
    /// Files and folders that could not be read: services that came from them go on as they were.
    pub unreadable: Vec<String>,
    /// Files that hold no service and something that is none: what came from them goes on, too.
    pub garbled: Vec<String>,
    /// hosts.allow and hosts.deny, when a service asks them.
    pub tables: Option<Tables>,
}

/// Reads services and keeps once what many of them have alike. Each one's copy is given back before the next one is
/// read, so that a thousand leave no holes in memory.
fn deserialize_services<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Service>, D::Error> {
    struct Services;

    impl<'de> Visitor<'de> for Services {
        type Value = Vec<Service>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("services")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<Service>, A::Error> {
            let mut services = Vec::new();
            let (mut users, mut limits, mut processes) = (HashSet::new(), HashSet::new(), HashSet::new());
            let mut files = HashSet::new();
            while let Some(mut service) = sequence.next_element::<Service>()? {
                share(&mut service.limits, &mut limits);
                if let Task::Program(program) = &mut service.task {
                    if let Identity::User(credentials) = &mut program.identity {
                        share(credentials, &mut users);
                    }
                    if let Some(process) = &mut program.process {
                        share(process, &mut processes);
                    }
                }
                if let Some(LogTarget::File(file)) =
                    service.policy.as_mut().map(|policy| &mut policy.log.target)
                {
                    share(file, &mut files);
                }
                services.push(service);
            }
            Ok(services)
        }
    }

    deserializer.deserialize_seq(Services)
}

fn share<T: Eq + Hash>(value: &mut Arc<T>, known: &mut HashSet<Arc<T>>) {
    match known.get(value) {
        Some(same) => *value = Arc::clone(same),
        None => drop(known.insert(Arc::clone(value))),
    }
}

/// A line that was left out, as far as it says which service it meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Where it stands.
    pub origin: Origin,
    /// The service's name as written, without addresses.
    pub name: Box<[u8]>,
}

/// Where a service was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// An index of [`Config::files`].
    pub file: u32,
    /// From 1.
    pub line: u32,
}

/// One service: what is started when somebody calls one of its listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The name as written: `ftp`, `2121`, `/run/x.sock`.
    pub name: Box<[u8]>,
    /// Where it was written.
    pub origin: Origin,
    /// The sockets that belong to it; at least one.
    pub listeners: Box<[Listener]>,
    /// What runs.
    pub task: Task,
    /// How much of it may run. Many services share theirs.
    pub limits: Arc<Limits>,
    /// Who is let in, where hosts.allow and hosts.deny are asked.
    pub wrapped: Option<Box<Wrapped>>,
    /// What is said to callers and logged of them, besides what is of all.
    pub policy: Option<Box<Policy>>,
}

/// How hosts.allow and hosts.deny are asked for a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapped {
    /// The name by which the tables know it.
    pub daemon: Box<[u8]>,
    /// Whose lines the log has.
    pub voice: Voice,
}

/// In whose words it is logged who was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Voice {
    /// tcpd's, in the name of the daemon.
    Tcpd,
    /// inetd's.
    Inetd,
    /// inetd's, and only of those who were refused.
    Refusals,
    /// xinetd's.
    Xinetd,
}

impl Service {
    /// The name for people.
    pub fn display_name(&self) -> String {
        printable(&self.name)
    }

    /// The name in the lines of xinetd.log(5).
    pub fn logged_name(&self) -> String {
        let shared = self.policy.as_ref().and_then(|policy| policy.log.name.as_deref());
        shared.map_or_else(|| self.display_name(), str::to_owned)
    }

    /// Name and protocol of one of its listeners, as the originals log them: `ftp/tcp6`.
    pub fn label(&self, listener: &Listener) -> String {
        let rpc = if listener.extras().versions.is_some() { "rpc/" } else { "" };
        format!("{}/{rpc}{}", self.display_name(), listener.protocol.word())
    }

    /// The name by which hosts.allow and hosts.deny know it, or would.
    pub fn daemon(&self) -> &[u8] {
        self.wrapped.as_ref().map_or(&self.name, |wrapped| &wrapped.daemon)
    }

    /// The built-in that answers datagrams of such a socket, if one does. (A sensor answers none.)
    pub fn datagram_builtin(&self, kind: SocketKind) -> Option<Builtin> {
        let is_sensor = self.policy.as_ref().is_some_and(|policy| policy.guard.sensor.is_some());
        match (&self.task, kind) {
            (Task::Builtin(builtin), SocketKind::Datagram) if !is_sensor => Some(*builtin),
            (Task::Builtin(_) | Task::Program(_) | Task::Redirect(_), _) => None,
        }
    }

    /// Whether it matters who has sent a datagram.
    pub fn wants_sender(&self) -> bool {
        let is_told = |program: &Program| program.variables == CallerVariables::RemoteHost;
        self.limits.has_source_limits()
            || self.wrapped.is_some()
            || self.policy.is_some()
            || self.program().is_some_and(is_told)
    }

    /// The program, when it is not a built-in.
    pub fn program(&self) -> Option<&Program> {
        match &self.task {
            Task::Program(program) => Some(program),
            Task::Builtin(_) | Task::Redirect(_) => None,
        }
    }

    /// Whether something that it needs could not be had when it was read, so that no caller is served.
    pub fn is_unusable(&self) -> bool {
        match &self.task {
            Task::Builtin(_) | Task::Redirect(Redirect::To(_)) => false,
            Task::Redirect(Redirect::Unavailable(_)) => true,
            Task::Program(program) => match program.identity {
                Identity::Unavailable(_) => true,
                Identity::Daemon | Identity::User(_) => false,
            },
        }
    }
}

/// One socket that is listened on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The protocol as the originals name it in their logs.
    pub protocol: Protocol,
    /// What tells it from all others, and cannot change while it is open.
    pub key: ListenerKey,
    /// Connections that the kernel holds before they are accepted, as given to listen(2).
    pub backlog: u32,
    extras: Option<Box<Extras>>,
}

impl Listener {
    /// One of these.
    pub fn new(protocol: Protocol, key: ListenerKey, backlog: u32, extras: Extras) -> Self {
        let extras = if extras == Extras::NONE { None } else { Some(Box::new(extras)) };
        Self { protocol, key, backlog, extras }
    }

    /// What few listeners have.
    pub fn extras(&self) -> &Extras {
        self.extras.as_deref().unwrap_or(&Extras::NONE)
    }
}

/// What few listeners have, apart from those that have none of it: there may be thousands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// `SO_SNDBUF` in bytes.
    pub send_buffer: Option<u32>,
    /// `SO_RCVBUF` in bytes.
    pub receive_buffer: Option<u32>,
    /// Who may use the file of a Unix socket; nothing for others.
    pub file: Option<FileAccess>,
    /// Whether callers of tcpmux are told that the service begins (`+`); otherwise the program does that.
    pub greets: bool,
    /// The versions that rpcbind is told of; there for [`ListenAddress::Rpc`] and nothing else.
    pub versions: Option<Versions>,
    /// Whether callers' connections have `TCP_NODELAY`.
    pub no_delay: bool,
    /// Whether they have `SO_KEEPALIVE`.
    pub keep_alive: bool,
}

impl Extras {
    /// Nothing of it.
    pub const NONE: Extras = Extras {
        send_buffer: None,
        receive_buffer: None,
        file: None,
        greets: false,
        versions: None,
        no_delay: false,
        keep_alive: false,
    };
}

/// Who may use a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileAccess {
    /// Permission bits.
    pub mode: u32,
    /// User and group, where they are not ours.
    pub user: Option<u32>,
    /// See `user`.
    pub group: Option<u32>,
}

/// Versions of an RPC program: `lowest..=highest`, without 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    lowest: NonZeroU32,
    highest: NonZeroU32,
}

impl Versions {
    /// The most in one range: each is a call to rpcbind.
    pub const MOST: u32 = 256;

    /// A range, unless it is empty, too long, or begins at 0.
    pub fn new(lowest: u32, highest: u32) -> Option<Self> {
        let fits = highest.checked_sub(lowest)? < Self::MOST;
        let (lowest, highest) = (NonZeroU32::new(lowest)?, NonZeroU32::new(highest)?);
        if fits { Some(Self { lowest, highest }) } else { None }
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        self.lowest.get()..=self.highest.get()
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lowest == self.highest {
            write!(f, "{}", self.lowest)
        } else {
            write!(f, "{}-{}", self.lowest, self.highest)
        }
    }
}

/// A protocol's word. (`tcp` alone opens two sockets, which are called `tcp` and `tcp6`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the word of that name")]
pub enum Protocol {
    Tcp,
    Tcp4,
    Tcp6,
    Tcp46,
    Tcp6only,
    Udp,
    Udp4,
    Udp6,
    Udp46,
    Udp6only,
    Unix,
}

impl Protocol {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Tcp4 => "tcp4",
            Protocol::Tcp6 => "tcp6",
            Protocol::Tcp46 => "tcp46",
            Protocol::Tcp6only => "tcp6only",
            Protocol::Udp => "udp",
            Protocol::Udp4 => "udp4",
            Protocol::Udp6 => "udp6",
            Protocol::Udp46 => "udp46",
            Protocol::Udp6only => "udp6only",
            Protocol::Unix => "unix",
        }
    }
}

/// The identity of a listener: two configurations mean the same socket when these are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListenerKey {
    /// Where it is bound.
    pub address: ListenAddress,
    /// Its type.
    pub kind: SocketKind,
}

impl Hash for ListenerKey {
    /// Thousands are hashed with each load, so what tells internet addresses apart is hashed in two pieces.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.address {
            ListenAddress::Inet(InetAddress { ip: IpAddr::V4(ip), port, .. }) => {
                state.write_u64(u64::from(ip.to_bits()) << 16 | u64::from(*port));
            }
            ListenAddress::Inet(InetAddress { ip: IpAddr::V6(ip), port, .. }) => {
                state.write_u128(ip.to_bits());
                state.write_u16(*port);
            }
            ListenAddress::Rpc(_) | ListenAddress::Unix(_) | ListenAddress::Mux(_) => {
                self.address.hash(state);
            }
        }
    }
}

/// Where a listener is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ListenAddress {
    /// An internet address and a port that is not 0.
    Inet(InetAddress),
    /// An internet address, and a port that the kernel chooses: callers ask rpcbind for it.
    Rpc(Box<RpcAddress>),
    /// A path; not empty and without NUL.
    Unix(Box<[u8]>),
    /// No socket of its own: callers of tcpmux name it, in lower case.
    Mux(Box<[u8]>),
}

/// An internet address to bind to. Half as large as a `SocketAddr` with a flag: there may be thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InetAddress {
    ip: IpAddr,
    port: u16,
    scope: u32,
    /// Whether an IPv6 socket serves IPv4 callers as well.
    pub dual: bool,
}

impl InetAddress {
    /// Address, port and IPv6 scope, and whether an IPv6 socket serves IPv4 callers as well.
    pub fn new(address: SocketAddr, dual: bool) -> Self {
        let scope = match address {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(address) => address.scope_id(),
        };
        Self { ip: address.ip(), port: address.port(), scope, dual }
    }

    /// The same with another port.
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// As bind(2) takes it.
    pub fn socket_address(self) -> SocketAddr {
        match self.ip {
            IpAddr::V4(ip) => SocketAddr::from((ip, self.port)),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, self.port, 0, self.scope).into(),
        }
    }

    /// The address alone.
    pub fn ip(self) -> IpAddr {
        self.ip
    }

    /// The port; 0 where the kernel chooses it.
    pub fn port(self) -> u16 {
        self.port
    }
}

impl fmt::Display for InetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) if ip.is_unspecified() && !self.dual => write!(f, "*:{}", self.port),
            IpAddr::V4(_) | IpAddr::V6(_) if self.dual => write!(f, "{} (IPv4 too)", self.socket_address()),
            IpAddr::V4(_) | IpAddr::V6(_) => self.socket_address().fmt(f),
        }
    }
}

/// Where an RPC program listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RpcAddress {
    /// Without a port.
    pub address: InetAddress,
    /// The program's number, by which callers ask.
    pub program: u32,
}

impl ListenAddress {
    /// The internet address, if it is one.
    pub fn inet(&self) -> Option<InetAddress> {
        match self {
            ListenAddress::Inet(address) => Some(*address),
            ListenAddress::Rpc(rpc) => Some(rpc.address),
            ListenAddress::Unix(_) | ListenAddress::Mux(_) => None,
        }
    }

    /// Whether only this machine can call it.
    pub fn is_local(&self) -> bool {
        match self {
            ListenAddress::Inet(address) => address.ip().to_canonical().is_loopback(),
            ListenAddress::Rpc(rpc) => rpc.address.ip().to_canonical().is_loopback(),
            ListenAddress::Unix(_) => true,
            // Wherever tcpmux itself listens.
            ListenAddress::Mux(_) => false,
        }
    }

    /// As people write it.
    pub fn display(&self) -> String {
        match self {
            ListenAddress::Inet(address) => address.to_string(),
            ListenAddress::Rpc(rpc) => {
                let too = if rpc.address.dual { " (IPv4 too)" } else { "" };
                format!("RPC program {} on {}{too}", rpc.program, rpc.address.ip())
            }
            ListenAddress::Unix(path) => printable(path),
            ListenAddress::Mux(_) => "through tcpmux".to_owned(),
        }
    }
}

/// The type of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SocketKind {
    /// `SOCK_STREAM`.
    Stream,
    /// `SOCK_DGRAM`.
    Datagram,
    /// `SOCK_SEQPACKET`; Unix sockets only.
    SeqPacket,
}

impl SocketKind {
    /// Whether callers are accepted one by one.
    pub fn has_connections(self) -> bool {
        match self {
            SocketKind::Stream | SocketKind::SeqPacket => true,
            SocketKind::Datagram => false,
        }
    }

    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            SocketKind::Stream => "stream",
            SocketKind::Datagram => "dgram",
            SocketKind::SeqPacket => "seqpacket",
        }
    }
}

/// What runs when somebody calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// A service of our own, inside the event loop.
    Builtin(Builtin),
    /// A program.
    Program(Program),
    /// A connection to somewhere else, inside the event loop.
    Redirect(Redirect),
}

/// The services that need no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Builtin {
    /// RFC 862.
    Echo,
    /// RFC 863.
    Discard,
    /// RFC 864.
    Chargen,
    /// RFC 867.
    Daytime,
    /// RFC 868: seconds since 1900 in four bytes.
    Time,
    /// RFC 1078: the caller names the service that it wants.
    Tcpmux,
    /// RFC 864 without blanks, as xinetd has it.
    ChargenOfXinetd,
    /// RFC 867 as xinetd writes it: `30 NOV 2026 18:14:06 UTC`.
    DaytimeOfXinetd,
    /// xinetd's list of the services that can be called.
    Services,
    /// xinetd's list of the programs that run.
    Servers,
    /// xinetd's prompt, at which both are asked for.
    Xadmin,
}

impl Builtin {
    /// All of them, in the form that most originals have.
    pub const ALL: [Builtin; 6] =
        [Builtin::Echo, Builtin::Discard, Builtin::Chargen, Builtin::Daytime, Builtin::Time, Builtin::Tcpmux];

    /// Those that xinetd alone had, until 2.3.12.
    const XINETD_ALONE: [Builtin; 3] = [Builtin::Services, Builtin::Servers, Builtin::Xadmin];

    /// Its name, in /etc/services where that has it.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::Echo => "echo",
            Builtin::Discard => "discard",
            Builtin::Chargen | Builtin::ChargenOfXinetd => "chargen",
            Builtin::Daytime | Builtin::DaytimeOfXinetd => "daytime",
            Builtin::Time => "time",
            Builtin::Tcpmux => "tcpmux",
            Builtin::Services => "services",
            Builtin::Servers => "servers",
            Builtin::Xadmin => "xadmin",
        }
    }

    /// The port that the RFC gives it, if there is an RFC.
    pub fn port(self) -> Option<u16> {
        match self {
            Builtin::Echo => Some(7),
            Builtin::Discard => Some(9),
            Builtin::Chargen | Builtin::ChargenOfXinetd => Some(19),
            Builtin::Daytime | Builtin::DaytimeOfXinetd => Some(13),
            Builtin::Time => Some(37),
            Builtin::Tcpmux => Some(tcpmux::PORT),
            Builtin::Services | Builtin::Servers | Builtin::Xadmin => None,
        }
    }

    /// Whether it shows what the daemon runs, which is nobody's business on other machines.
    pub fn shows_the_daemon(self) -> bool {
        Builtin::XINETD_ALONE.contains(&self)
    }

    /// Whether a session of it is over as soon as it has begun.
    pub fn is_momentary(self) -> bool {
        match self {
            Builtin::Daytime | Builtin::DaytimeOfXinetd | Builtin::Time => true,
            Builtin::Echo
            | Builtin::Discard
            | Builtin::Chargen
            | Builtin::ChargenOfXinetd
            | Builtin::Tcpmux
            | Builtin::Services
            | Builtin::Servers
            | Builtin::Xadmin => false,
        }
    }

    /// Whether it serves callers of such a socket.
    pub fn speaks(self, kind: SocketKind) -> bool {
        match (self, kind) {
            (_, SocketKind::Stream) => true,
            (Builtin::Tcpmux, SocketKind::Datagram) | (_, SocketKind::SeqPacket) => false,
            (builtin, SocketKind::Datagram) if builtin.shows_the_daemon() => false,
            (_, SocketKind::Datagram) => true,
        }
    }

    /// The same in the form that xinetd has.
    pub fn of_xinetd(self) -> Builtin {
        match self {
            Builtin::Chargen => Builtin::ChargenOfXinetd,
            Builtin::Daytime => Builtin::DaytimeOfXinetd,
            Builtin::Echo
            | Builtin::Discard
            | Builtin::Time
            | Builtin::Tcpmux
            | Builtin::ChargenOfXinetd
            | Builtin::DaytimeOfXinetd
            | Builtin::Services
            | Builtin::Servers
            | Builtin::Xadmin => self,
        }
    }

    /// The built-in of that name.
    pub fn by_name(name: &[u8]) -> Option<Builtin> {
        Builtin::ALL.into_iter().find(|builtin| builtin.name().as_bytes() == name)
    }

    /// The same, in the form that xinetd has or had.
    pub fn by_name_of_xinetd(name: &[u8]) -> Option<Builtin> {
        let alone = Builtin::XINETD_ALONE.into_iter().find(|builtin| builtin.name().as_bytes() == name);
        alone.or_else(|| Builtin::by_name(name).map(Builtin::of_xinetd))
    }
}

/// Where callers are connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Redirect {
    /// To the first of these that answers.
    To(Targets),
    /// The host could not be looked up: callers are turned away with this reason until a reload finds it.
    Unavailable(Box<str>),
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Redirect::To(targets) => targets.fmt(f),
            Redirect::Unavailable(_) => f.write_str("(unavailable)"),
        }
    }
}

/// Addresses that are tried in their order. At least one; each has a port. The core and the sessions share them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<InetAddress>", into = "Vec<InetAddress>")]
pub struct Targets(Arc<[SocketAddr]>);

impl Targets {
    /// A host with more addresses has its first ones tried: each has its share of the time that a caller waits.
    pub const MOST: usize = 8;

    /// These, each once. `None` when there is none, or one without a port. An IPv4 address in IPv6 clothes is the IPv4
    /// address that it is.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Option<Self> {
        let mut targets = Vec::new();
        for address in addresses {
            let target = match address {
                SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
                    SocketAddr::new(address.ip().to_canonical(), address.port())
                }
                SocketAddr::V4(_) | SocketAddr::V6(_) => address,
            };
            if target.port() == 0 {
                return None;
            }
            if targets.len() < Self::MOST && !targets.contains(&target) {
                targets.push(target);
            }
        }
        if targets.is_empty() { None } else { Some(Self(targets.into())) }
    }

    /// All of them, in the order in which they are tried.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }
}

impl TryFrom<Vec<InetAddress>> for Targets {
    type Error = &'static str;

    fn try_from(addresses: Vec<InetAddress>) -> Result<Self, Self::Error> {
        Self::new(addresses.into_iter().map(InetAddress::socket_address)).ok_or("no address to connect to")
    }
}

/// With their scopes, which serde's own form of an address has not.
impl From<Targets> for Vec<InetAddress> {
    fn from(targets: Targets) -> Self {
        targets.0.iter().map(|target| InetAddress::new(*target, false)).collect()
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, address) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{address}")?;
        }
        Ok(())
    }
}

/// A program that is started for callers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// What is executed.
    pub command: CommandLine,
    /// What it is given.
    pub handover: Handover,
    /// Whom it runs as.
    pub identity: Identity,
    /// What it is told about its caller.
    pub variables: CallerVariables,
    /// Where its standard error goes.
    pub stderr: Stderr,
    /// What it finds around it, where that is not what the daemon has. Many services share theirs.
    pub process: Option<Arc<ProcessSettings>>,
}

/// Which variables tell a program about its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallerVariables {
    /// None.
    None,
    /// The addresses of both ends of a TCP connection, by the UCSPI convention: `PROTO`, `TCPREMOTEIP`, …
    Ucspi,
    /// The caller's address alone, as xinetd has it: `REMOTE_HOST`.
    RemoteHost,
}

/// A program's path and its arguments, as the one text that exec needs: each word with a NUL behind it. The core and
/// the plans of children share it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLine(Arc<[u8]>);

/// The user (and the group) of the helper that talks to name servers. No service runs as this one.
///
/// Distributions give users numbers below 60000, systemd those from 61184 to 65519 as it goes, and 65534 is nobody: see
/// "Users, Groups, UIDs and GIDs on systemd Systems".
pub const RESOLVER: u32 = 65_531;

/// The program that this process is, whatever has become of its file. The child that executes it is one too.
pub const OURSELVES: &[u8] = b"/proc/self/exe";

impl CommandLine {
    /// Joins a path and arguments, `argv[0]` first. A word ends at its first NUL, which no checked word has.
    pub fn new<'a>(path: &'a [u8], arguments: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut text = Vec::new();
        for word in std::iter::once(path).chain(arguments) {
            text.extend(word.iter().take_while(|byte| **byte != 0));
            text.push(0);
        }
        Self(text.into())
    }

    /// The program's path.
    pub fn path(&self) -> &[u8] {
        self.words().next().unwrap_or_default()
    }

    /// The arguments, `argv[0]` first.
    pub fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        self.words().skip(1)
    }

    /// The program for people. What runs through a program of ours is named, and not that one.
    pub fn display(&self) -> String {
        let arguments: Vec<&[u8]> = self.arguments().take(4).collect();
        match (self.path(), arguments.as_slice()) {
            (OURSELVES, [_, b"with-names", _, path]) => printable(path),
            (OURSELVES, [name, face, ..]) => format!("{} {}", printable(name), printable(face)),
            (path, _) => printable(path),
        }
    }

    /// All of it: words with a NUL behind each.
    pub fn text(&self) -> Arc<[u8]> {
        Arc::clone(&self.0)
    }

    fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split_inclusive(|byte| *byte == 0).filter_map(|word| word.strip_suffix(&[0]))
    }
}

impl fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.words().map(printable)).finish()
    }
}

/// What a started program finds on its standard input and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handover {
    /// One caller's connection (`nowait`): for datagrams, a socket that is connected to that caller.
    Connection,
    /// The listener itself (`wait`), which is not looked at until the program has ended.
    Listener,
}

impl Handover {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Handover::Connection => "nowait",
            Handover::Listener => "wait",
        }
    }
}

/// Where standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stderr {
    /// To the caller, as all inetds do.
    Connection,
    /// To our log, line by line.
    Log,
}

/// Whom a program runs as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// As the daemon itself, which is not root or has just this identity.
    Daemon,
    /// As this user. Many services share theirs.
    User(Arc<Credentials>),
    /// What was asked for cannot be had: starts fail with this reason until a reload finds it.
    Unavailable(Box<Unavailable>),
}

/// A user, looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, the primary one included.
    pub groups: Vec<u32>,
}

/// Why an identity cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unavailable {
    /// There is no such user.
    NoSuchUser(String),
    /// There is no such group.
    NoSuchGroup(String),
    /// The daemon is not root and may only start programs as itself.
    NotPermitted(String),
    /// It is the user of our own helper, whom nobody else may touch.
    Reserved(String),
    /// A data base has not said whether there is such a user or group; its own words.
    NotLookedUp(String, String),
}

/// How much of a service may run. `None` is "no limit".
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Starts in a stretch of time.
    pub starts: Option<Rate>,
    /// For so long nobody is served once somebody came who was one too many for `starts`; otherwise until the stretch of
    /// time is over.
    pub rest: Option<Duration>,
    /// Programs (or sessions) at the same time.
    pub children: Option<u32>,
    /// Starts in a stretch of time for one source.
    pub source_starts: Option<Rate>,
    /// Programs (or sessions) at the same time for one source.
    pub source_children: Option<u32>,
    /// What counts as one source.
    pub source_prefix: SourcePrefix,
    /// What happens at a limit of the service or of the daemon. (At a limit of one source a caller is refused: the
    /// source is known only once it was accepted.)
    pub at_limit: AtLimit,
}

impl Limits {
    /// Whether it matters who calls.
    pub fn has_source_limits(&self) -> bool {
        self.source_children.is_some() || self.source_starts.is_some()
    }
}

/// A number of starts in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// So many are allowed, this one included.
    pub count: u32,
    /// In this time, counted from the first.
    pub window: Duration,
}

/// How many leading bits of an address make one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourcePrefix {
    /// 0 to 32.
    pub v4: u8,
    /// 0 to 128. A caller with IPv6 usually owns a /64.
    pub v6: u8,
}

impl SourcePrefix {
    /// The network that counts as one source. An IPv4 caller of an IPv6 socket is the IPv4 source that it is.
    pub fn of(self, address: IpAddr) -> IpNet {
        let address = address.to_canonical();
        let length = if address.is_ipv4() { self.v4 } else { self.v6 };
        IpNet::new(address, length).unwrap_or(IpNet::from(address)).trunc()
    }
}

impl Default for SourcePrefix {
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

/// What happens to callers beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AtLimit {
    /// They wait in the kernel's backlog until there is room.
    Pause,
    /// They are accepted and closed.
    Refuse,
}
