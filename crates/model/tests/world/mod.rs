//! A made-up machine and a made-up shell: what tests of the core use in place of the system.
//!
//! [`World`] performs the core's actions on sets and maps, and checks as it goes that they make sense.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod other_language;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use usherd_model::access::{self, Endpoint, Found, IpOptions, Tables};
use usherd_model::children::{Pid, SessionId};
use usherd_model::config::inetd::{DialectName, parse};
use usherd_model::config::syntax::{Tree, Word};
use usherd_model::config::{Defaults, STARTS_WINDOW};
use usherd_model::config::{Facts, HostError, Includes, Naming, NoAnswer, ProgramFault, User, check, xinetd};
use usherd_model::diagnostic::{Diagnostic, Diagnostics};
use usherd_model::event::{
    self, Action, ConnectionId, Ending, Errand, Event, Exit, Handed, Log, NotStarted, OpenError, Start,
    Traffic,
};
use usherd_model::failure::{Errno, Step};
use usherd_model::lookups::Question;
use usherd_model::process_settings::Resource;
use usherd_model::registry::{Refusal, Registration, Tidings};
use usherd_model::service::{
    AtLimit, CallerVariables, Config, Limits, ListenAddress, Rate, SourcePrefix, Stderr, Targets,
};
use usherd_model::slots::Key;
use usherd_model::source::{FileId, Sources};
use usherd_model::supervisor::{ListenerId, LookupId, ServiceId, Settings, Supervisor};
use usherd_model::tcpmux::Request;
use usherd_model::time::Tick;

/// A machine as a table.
#[derive(Clone, Debug)]
pub struct Table {
    pub users: Vec<(&'static str, u32, u32)>,
    pub unprivileged_as: Option<(&'static str, u32, u32)>,
    pub has_ipv6: bool,
}

impl Default for Table {
    fn default() -> Self {
        let users = vec![
            ("root", 0, 0),
            ("nobody", 65534, 65534),
            ("www-data", 33, 33),
            ("first.last", 1000, 1000),
            ("backup", 34, 34),
            ("nagios", 119, 125),
            ("uucp", 10, 10),
        ];
        Self { users, unprivileged_as: None, has_ipv6: true }
    }
}

impl Facts for Table {
    fn user(&mut self, name: &str) -> Result<Option<User>, NoAnswer> {
        if name.starts_with("slow") {
            return Err(NoAnswer("the directory does not answer".to_owned()));
        }
        let found = self.users.iter().find(|(user, ..)| *user == name);
        Ok(found.map(|(name, uid, gid)| User { name: (*name).to_owned(), uid: *uid, gid: *gid }))
    }

    fn group(&mut self, name: &str) -> Result<Option<u32>, NoAnswer> {
        let found = [
            ("root", 0),
            ("tty", 5),
            ("mail", 8),
            ("nogroup", 65534),
            ("www-data", 33),
            ("disk", 6),
            ("nagios", 125),
        ]
        .into_iter()
        .find(|(group, _)| *group == name)
        .map(|(_, gid)| gid);
        Ok(found)
    }

    fn groups_of(&mut self, user: &str, gid: u32) -> Vec<u32> {
        if user == "www-data" { vec![gid, 8] } else { vec![gid] }
    }

    fn port(&mut self, service: &str, protocol: &str) -> Option<u16> {
        let ports = [
            ("amanda", 10_080),
            ("auth", 113),
            ("chargen", 19),
            ("rsync", 873),
            ("swat", 901),
            ("time", 37),
            ("uucp", 540),
            ("ftp", 21),
            ("telnet", 23),
            ("smtp", 25),
            ("mail", 25),
            ("tftp", 69),
            ("echo", 7),
            ("daytime", 13),
        ];
        ports
            .into_iter()
            .chain([("discard", 9), ("sink", 9)])
            .find(|(name, _)| *name == service && (protocol == "tcp" || *name == "tftp" || *name == "echo"))
            .map(|(_, port)| port)
    }

    fn rpc_program(&mut self, name: &str) -> Option<u32> {
        [("rstatd", 100_001), ("rup", 100_001), ("rusersd", 100_002), ("3270_mapper", 100_013)]
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, program)| program)
    }

    fn network(&mut self, name: &str) -> Result<Option<u32>, NoAnswer> {
        match name {
            "loopback" => Ok(Some(0x7f00_0000)),
            "slownet" => Err(NoAnswer("the directory does not answer".to_owned())),
            _ => Ok(None),
        }
    }

    fn host(&mut self, name: &str, v6: bool) -> Result<Vec<SocketAddr>, HostError> {
        let scoped = |text: &str| format!("[{text}]:0").parse().ok();
        let address =
            |text: &str| text.parse().map(|ip| SocketAddr::new(ip, 0)).ok().or_else(|| scoped(text));
        let found: Vec<SocketAddr> = match name {
            "localhost" => ["127.0.0.1", "::1"].into_iter().filter_map(address).collect(),
            "two" => ["192.0.2.1", "192.0.2.2"].into_iter().filter_map(address).collect(),
            "slow" => return Err(HostError::Failed("Temporary failure in name resolution".to_owned())),
            literal => address(literal).into_iter().collect(),
        };
        let fitting: Vec<SocketAddr> = found.into_iter().filter(|address| address.is_ipv6() == v6).collect();
        if fitting.is_empty() { Err(HostError::Unknown) } else { Ok(fitting) }
    }

    fn has_ipv6(&mut self) -> bool {
        self.has_ipv6
    }

    fn program_fault(&mut self, path: &[u8]) -> Option<ProgramFault> {
        if path.ends_with(b"missing") { Some(ProgramFault::Missing) } else { None }
    }

    fn file(&mut self, path: &[u8], most: usize) -> Result<Vec<u8>, String> {
        match path {
            b"/etc/banner" => Ok(b"welcome\r\n"[..most.min(9)].to_vec()),
            b"/etc/goodbye" => Ok(b"not you\r\n".to_vec()),
            _ => Err("there is no such file".to_owned()),
        }
    }

    fn auth_fault(&mut self, arguments: &[&[u8]]) -> Option<String> {
        if arguments.contains(&b"-x".as_slice()) { Some("unknown option -x".to_owned()) } else { None }
    }

    fn unprivileged_as(&mut self) -> Option<User> {
        let (name, uid, gid) = self.unprivileged_as?;
        Some(User { name: name.to_owned(), uid, gid })
    }

    fn highest_limit(&mut self, resource: Resource) -> Option<u64> {
        if resource == Resource::Descriptors { Some(1 << 20) } else { None }
    }
}

/// What holds where a line says nothing else: openbsd's defaults.
pub fn defaults() -> Defaults {
    Defaults {
        limits: Limits {
            starts: Some(Rate { count: 256, window: STARTS_WINDOW }),
            children: None,
            source_starts: None,
            source_children: None,
            source_prefix: SourcePrefix::default(),
            rest: None,
            at_limit: AtLimit::Pause,
        },
        sessions: 8,
        backlog: 128,
        variables: CallerVariables::None,
        names: false,
        stderr: Stderr::Connection,
        wraps_programs: None,
        wraps_builtins: None,
        bind: None,
    }
}

/// Reads a text as `/etc/inetd.conf`.
pub fn read(text: &str) -> (Config, Vec<Diagnostic>, Sources) {
    read_on(text.as_bytes(), &defaults(), &mut Table::default())
}

/// Reads a text on a given machine.
pub fn read_on(text: &[u8], defaults: &Defaults, facts: &mut Table) -> (Config, Vec<Diagnostic>, Sources) {
    read_as(DialectName::Union, text, defaults, facts)
}

/// Reads a text as an original does.
pub fn read_as(
    dialect: DialectName,
    text: &[u8],
    defaults: &Defaults,
    facts: &mut Table,
) -> (Config, Vec<Diagnostic>, Sources) {
    let (tree, mut diagnostics, sources) = parse_as(dialect, text, &mut Files(Vec::new()));
    other_language::assert_same(&tree, &sources, dialect);
    let config = check(&sources, &tree, defaults, facts, &mut diagnostics);
    (config, diagnostics.into(), sources)
}

/// Makes a tree of a text, with other files beside it.
pub fn parse_as(dialect: DialectName, text: &[u8], files: &mut Files) -> (Tree, Diagnostics, Sources) {
    let mut sources = Sources::default();
    let file = sources.add("/etc/inetd.conf", text.to_vec());
    let (mut tree, mut diagnostics) = (Tree::default(), Diagnostics::default());
    parse(&mut sources, file, dialect.dialect(), files, &mut tree, &mut diagnostics);
    (tree, diagnostics, sources)
}

/// Reads a text as `/etc/xinetd.conf`, with other files beside it.
pub fn read_xinetd(text: &str, files: &mut Files) -> (Config, Vec<Diagnostic>, Sources) {
    let (tree, mut diagnostics, sources) = parse_xinetd(text.as_bytes(), files);
    other_language::assert_same(&tree, &sources, DialectName::Union);
    let config = check(&sources, &tree, &defaults(), &mut Table::default(), &mut diagnostics);
    (config, diagnostics.into(), sources)
}

/// Makes a tree of a text in the language of xinetd.conf.
pub fn parse_xinetd(text: &[u8], files: &mut Files) -> (Tree, Diagnostics, Sources) {
    let mut sources = Sources::default();
    let file = sources.add("/etc/xinetd.conf", text.to_vec());
    let (mut tree, mut diagnostics) = (Tree::default(), Diagnostics::default());
    let mut reading = xinetd::Reading::default();
    reading.read(&mut sources, file, files, &mut diagnostics);
    reading.finish(&mut tree, &mut diagnostics);
    tree.off.extend(reading.off(&mut Diagnostics::default()));
    (tree, diagnostics, sources)
}

/// Two tables that name no files.
pub fn tables(allow: &str, deny: &str) -> Tables {
    struct Both<'a>(&'a str, &'a str);

    impl access::Files for Both<'_> {
        fn contents(&mut self, path: &[u8]) -> access::Contents {
            let text = if path == b"/etc/hosts.allow" { self.0 } else { self.1 };
            access::Contents::Text(text.as_bytes().into())
        }
    }

    struct Nobody;

    impl access::Accounts for Nobody {
        fn account(&mut self, _: &str, _: Option<u32>) -> Result<Option<access::Account>, String> {
            Ok(None)
        }

        fn gid(&mut self, _: &str) -> Result<Option<u32>, String> {
            Ok(None)
        }
    }

    Tables::read("/etc/hosts.allow", "/etc/hosts.deny", &mut Both(allow, deny), &mut Nobody)
}

/// Files that can be included, by their names.
pub struct Files(pub Vec<(&'static str, &'static str)>);

impl Includes for Files {
    fn include(
        &mut self,
        pattern: &Word,
        _: Naming,
        _: &[FileId],
        sources: &mut Sources,
        _: &mut Diagnostics,
    ) -> Vec<FileId> {
        let meant = self.0.iter().filter(|(name, _)| pattern.value == name.as_bytes());
        meant.map(|(name, text)| sources.add(*name, text.as_bytes().to_vec())).collect()
    }

    fn leave_out(&mut self, pattern: &Word, _: Naming, _: &[FileId], _: &Sources) {
        self.0.retain(|(name, _)| pattern.value != name.as_bytes());
    }
}

/// What became of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// This process was started.
    Started(Pid),
    /// A session of a built-in was begun.
    Served,
    /// A session of a redirect was begun, whose target is being called.
    Redirected(SessionId),
    /// The caller was turned away.
    Refused,
    /// Nobody looks: the caller waits in the kernel.
    Waits,
}

/// What a made-up rpcbind does when it is told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rpcbind {
    Answers,
    /// It is not there, with these words.
    Missing(&'static str),
    /// It takes nothing of this version.
    Refuses(u32),
    /// It has not answered yet; the test does.
    Thinks,
}

/// A core with a made-up shell around it.
pub struct World {
    pub core: Supervisor,
    pub now: Tick,
    /// What callers were told by the daemon itself.
    pub said: Vec<String>,
    pub logs: Vec<Log>,
    pub polled: BTreeSet<ListenerId>,
    pub open: BTreeSet<ListenerId>,
    pub prepared: u32,
    pub skipped: u32,
    pub exited: bool,
    pub loads: u32,
    /// Ports that cannot be bound.
    pub taken: BTreeSet<u16>,
    /// What clone says, when it says no.
    pub clone_error: Option<NotStarted>,
    /// Running programs.
    pub running: BTreeMap<Pid, Start>,
    /// Sessions of built-ins.
    pub sessions: Vec<Event>,
    /// Sessions of redirects, and where they go.
    pub redirects: Vec<(SessionId, Targets)>,
    /// Whether sessions are silent, so that the shell ends one when room is asked for.
    pub sessions_are_idle: bool,
    pub asked_for_room: u32,
    /// Whether a listener that is offered room has somebody who wants it.
    pub callers_wait: bool,
    pub rpcbind: Rpcbind,
    /// What rpcbind knows.
    pub registered: BTreeSet<Registration>,
    /// How often it was told something.
    pub told: u32,
    /// Whether hosts.allow and hosts.deny are as they were read.
    pub tables_are_current: bool,
    /// What callers' packets have in their headers.
    pub ip_options: Option<IpOptions>,
    /// How often they were to be read anew.
    pub table_reads: u32,
    /// Look-ups that have no answer yet.
    pub asked: Vec<(LookupId, Question)>,
    /// What was to be done before programs were started.
    pub errands: Vec<Errand>,
    peer: Option<SocketAddr>,
    next_port: u16,
    next_pid: i32,
    next_connection: u64,
    outcome: Option<Call>,
}

impl World {
    pub fn new(text: &str) -> Self {
        Self::with(text, &defaults(), Settings { max_children: 100, max_sessions: 10, ..Settings::default() })
    }

    pub fn with(text: &str, defaults: &Defaults, settings: Settings) -> Self {
        let mut world = Self {
            core: Supervisor::new(settings),
            now: Tick::new(Duration::from_secs(1000)),
            said: Vec::new(),
            logs: Vec::new(),
            polled: BTreeSet::new(),
            open: BTreeSet::new(),
            prepared: 0,
            skipped: 0,
            exited: false,
            loads: 0,
            taken: BTreeSet::new(),
            clone_error: None,
            running: BTreeMap::new(),
            sessions: Vec::new(),
            redirects: Vec::new(),
            sessions_are_idle: false,
            asked_for_room: 0,
            callers_wait: false,
            rpcbind: Rpcbind::Answers,
            registered: BTreeSet::new(),
            told: 0,
            tables_are_current: true,
            ip_options: None,
            table_reads: 0,
            asked: Vec::new(),
            errands: Vec::new(),
            peer: None,
            next_port: 40_000,
            next_pid: 100,
            next_connection: 0,
            outcome: None,
        };
        world.load_with(text, defaults);
        world
    }

    /// A reload with a new text.
    pub fn load(&mut self, text: &str) {
        self.load_with(text, &defaults());
    }

    pub fn load_with(&mut self, text: &str, defaults: &Defaults) {
        let (config, _, _) = read_on(text.as_bytes(), defaults, &mut Table::default());
        self.raise(Event::Loaded(Box::new(config)));
    }

    /// Lets time pass; timers go off when they are due, not later.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        while let Some(next) = self.core.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.raise(Event::TimerDue);
        }
        self.now = end;
    }

    /// A reload with the text of an xinetd.conf, and tables that let everybody in.
    pub fn load_xinetd(&mut self, text: &str) {
        let (mut config, diagnostics, _) = read_xinetd(text, &mut Files(Vec::new()));
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        config.tables = Some(tables("", ""));
        self.raise(Event::Loaded(Box::new(config)));
    }

    /// Somebody calls the first listener of a service.
    pub fn call(&mut self, name: &str) -> Call {
        self.call_from(name, "192.0.2.9:40000")
    }

    pub fn call_from(&mut self, name: &str, peer: &str) -> Call {
        let listener = self.listener(name);
        if !self.polled.contains(&listener) {
            return Call::Waits;
        }
        self.outcome = None;
        self.peer = Some(peer.parse().expect("a socket address"));
        self.raise(Event::Readable(listener));
        self.outcome.unwrap_or(Call::Waits)
    }

    fn connect(&mut self) -> ConnectionId {
        self.next_connection += 1;
        Key::unpack(self.next_connection)
    }

    /// Somebody calls tcpmux and asks for this.
    pub fn ask(&mut self, name: &str, request: Request) -> Call {
        assert_eq!(self.call(name), Call::Served);
        self.pass_to_tcpmux(request);
        self.outcome.expect("something becomes of a caller")
    }

    /// The caller of tcpmux who came last asks for this.
    pub fn pass_to_tcpmux(&mut self, request: Request) {
        let Some(Event::SessionEnded(session)) = self.sessions.pop() else { panic!("a session") };
        self.said.clear();
        self.outcome = None;
        let connection = self.connect();
        self.raise(Event::Asked { session, connection, request });
    }

    /// Whether a session is one of a redirect that has not ended.
    pub fn is_redirect(&self, session: SessionId) -> bool {
        self.redirects.iter().any(|(other, _)| *other == session)
    }

    /// What becomes of a redirect is told; what is over is over.
    pub fn report(&mut self, event: Event) {
        if let Event::NotReached(session, _) | Event::RedirectEnded(session, ..) = &event {
            self.redirects.retain(|(other, _)| other != session);
        }
        self.raise(event);
    }

    /// The first listener of a service.
    pub fn listener(&self, name: &str) -> ListenerId {
        let (_, state) = self
            .core
            .services()
            .find(|(_, state)| &*state.service().name == name.as_bytes() && !state.listeners().is_empty())
            .expect("the service is configured");
        state.listeners()[0]
    }

    /// A program ends.
    pub fn end(&mut self, pid: Pid) {
        self.end_with(pid, Exit::Status(0), None);
    }

    pub fn end_with(&mut self, pid: Pid, exit: Exit, failure: Option<(Step, Errno)>) {
        self.running.remove(&pid).expect("the program runs");
        self.raise(Event::Ended(pid, exit, failure));
    }

    pub fn logged(&self, is: impl Fn(&Log) -> bool) -> usize {
        self.logs.iter().filter(|log| is(log)).count()
    }

    /// Everything that is due has happened.
    pub fn settle(&mut self) {
        self.pass(Duration::ZERO);
    }

    fn register(&mut self, tidings: Tidings) -> Option<Event> {
        self.told += 1;
        let is_refused = |registration: &Registration| match self.rpcbind {
            Rpcbind::Refuses(version) => registration.version == version,
            Rpcbind::Answers | Rpcbind::Missing(_) | Rpcbind::Thinks => false,
        };
        let refused: Vec<Refusal> = tidings
            .set
            .iter()
            .filter(|registration| is_refused(registration))
            .map(|registration| Refusal { registration: *registration, why: "refused".to_owned() })
            .collect();
        match self.rpcbind {
            Rpcbind::Missing(why) => return Some(Event::NotRegistered(why.to_owned())),
            Rpcbind::Answers | Rpcbind::Refuses(_) | Rpcbind::Thinks => {}
        }
        for gone in &tidings.unset {
            self.registered.remove(gone);
        }
        for new in tidings.set.iter().filter(|registration| !is_refused(registration)) {
            let place = |other: &Registration| (other.program, other.version, other.netid);
            self.registered.retain(|other| place(other) != place(new));
            self.registered.insert(*new);
        }
        if self.rpcbind == Rpcbind::Thinks { None } else { Some(Event::Registered(refused)) }
    }

    pub fn raise(&mut self, event: Event) {
        let mut events = vec![event];
        while !events.is_empty() {
            let mut actions = Vec::new();
            self.core.handle(events.remove(0), self.now, &mut actions);
            for action in actions {
                events.extend(self.perform(action));
            }
        }
    }

    fn start(&mut self, start: Start) -> Event {
        if let Some(error) = self.clone_error {
            return Event::NotStarted(start, error);
        }
        if start.handed == Handed::Listener {
            assert!(self.open.contains(&start.listener), "only an open listener is handed over");
        }
        self.next_pid += 1;
        let pid = Pid(self.next_pid);
        self.running.insert(pid, start);
        self.outcome = Some(Call::Started(pid));
        Event::Started(start, pid)
    }

    /// Reads a text with these tables.
    pub fn load_wrapped(&mut self, text: &str, allow: &str, deny: &str) {
        let (mut config, _, _) = read_on(text.as_bytes(), &defaults(), &mut Table::default());
        config.tables = Some(tables(allow, deny));
        self.raise(Event::Loaded(Box::new(config)));
    }

    /// The oldest look-up has this answer.
    pub fn answer(&mut self, answer: Option<&str>) -> Question {
        let (id, question) = self.asked.remove(0);
        let found = answer.map(|text| Found::text(text.as_bytes()));
        self.outcome = None;
        self.raise(Event::LookedUp(id, found, None));
        question
    }

    /// What became of the caller who was answered or called last.
    pub fn outcome(&self) -> Call {
        self.outcome.unwrap_or(Call::Waits)
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Look(listener) => {
                let waits = self.callers_wait;
                return Some(if waits { Event::Readable(listener) } else { Event::Silent(listener) });
            }
            Action::Accept(listener) => {
                assert!(self.open.contains(&listener), "only an open listener accepts");
                return Some(Event::Accepted { listener, connection: self.connect(), peer: self.peer });
            }
            Action::PeekDatagram(listener) => return Some(Event::DatagramFrom { listener, peer: self.peer }),
            Action::Start(start) => return Some(self.start(start)),
            Action::StartAfter(start, errand) => {
                self.errands.push(*errand);
                return Some(self.start(start));
            }
            Action::Examine(start) => {
                let service = self.core.service_of(start.listener)?;
                let daemon = service.wrapped.as_ref().map_or(&b""[..], |wrapped| &wrapped.daemon);
                if let Some(options) = &self.ip_options {
                    return Some(Event::HasIpOptions(start, options.clone()));
                }
                let client = start.peer.map_or_else(Endpoint::unknown, Endpoint::of);
                let request = access::Request::new(daemon, client, Endpoint::of(([10, 0, 0, 1], 23).into()));
                return Some(Event::Examined(start, Box::new(request), self.tables_are_current));
            }
            Action::ReadTables => self.table_reads += 1,
            Action::LookUp(id, question) => self.asked.push((id, question)),
            Action::Serve { session, .. } => {
                self.sessions.push(Event::SessionEnded(session));
                self.outcome = Some(Call::Served);
            }
            Action::EndIdleSession(_) => {
                self.asked_for_room += 1;
                if self.sessions_are_idle {
                    return self.sessions.pop();
                }
            }
            Action::Redirect { session, targets, .. } => {
                self.redirects.push((session, targets));
                self.outcome = Some(Call::Redirected(session));
            }
            Action::EndSession(session) if self.is_redirect(session) => {
                self.redirects.retain(|(other, _)| *other != session);
                return Some(Event::RedirectEnded(session, Traffic::default(), Ending::Stopped));
            }
            Action::EndSession(session) => {
                self.sessions.retain(|other| !matches!(other, Event::SessionEnded(id) if *id == session));
                return Some(Event::SessionEnded(session));
            }
            Action::Say(_, words) => self.said.push(String::from_utf8_lossy(&words).into_owned()),
            Action::Refuse(_) => self.outcome = Some(Call::Refused),
            Action::Skip(_) => {
                self.skipped += 1;
                self.outcome = Some(Call::Refused);
            }
            Action::Open(listener) => {
                assert!(!self.open.contains(&listener), "no listener is opened twice");
                let spec = self.core.spec(listener).expect("what is opened is configured");
                let (port, is_rpc) = match &spec.key.address {
                    ListenAddress::Inet(address) => (address.port(), false),
                    ListenAddress::Rpc(_) => (0, true),
                    ListenAddress::Unix(_) | ListenAddress::Mux(_) => (0, false),
                };
                if self.taken.contains(&port) {
                    return Some(Event::NotOpened(
                        listener,
                        OpenError { call: event::Call::Bind, errno: Errno(98) },
                    ));
                }
                self.open.insert(listener);
                if is_rpc {
                    self.next_port += 1;
                    return Some(Event::Bound(listener, self.next_port));
                }
                return Some(Event::Opened(listener));
            }
            Action::Close(listener) => {
                assert!(self.open.remove(&listener), "only an open listener is closed");
                self.polled.remove(&listener);
            }
            Action::Poll(listener) => {
                assert!(self.open.contains(&listener), "only an open listener is polled");
                assert!(self.polled.insert(listener), "no listener is polled twice");
            }
            Action::Pause(listener) => {
                assert!(self.polled.remove(&listener), "only a polled listener is paused")
            }
            Action::Prepare(_) => self.prepared += 1,
            Action::Load => self.loads += 1,
            Action::Register(tidings) => return self.register(tidings),
            Action::Exit => self.exited = true,
            Action::Log(log) => {
                let service = service_of(&log);
                assert!(service.is_none_or(|id| self.core.service(id).is_some()), "nobody's: {log:?}");
                self.logs.push(log);
            }
            Action::Adjust(_) | Action::Discard(_) | Action::Ready => {}
        }
        None
    }
}

/// Whom an entry of the log speaks of: a name that is needed to say it.
fn service_of(log: &Log) -> Option<ServiceId> {
    match log {
        Log::LimitBegan { service, .. }
        | Log::LimitEnded { service, .. }
        | Log::RestsAgain { service, .. }
        | Log::Resumed { service, .. }
        | Log::StartFailed { service, .. }
        | Log::Disconnected { service, .. }
        | Log::Redirected { service, .. }
        | Log::RedirectEnded { service, .. } => Some(*service),
        Log::StartRecovered(service) | Log::WaitServerFailed(service, _) => Some(*service),
        Log::Connected(start, _) => Some(start.service),
        Log::Judged(_)
        | Log::IpOptions { .. }
        | Log::Remarked(_)
        | Log::TablesNotRead(_)
        | Log::Failed { .. }
        | Log::Identified { .. }
        | Log::Sensed { .. }
        | Log::NotOpened(..)
        | Log::OpenedAtLast(_)
        | Log::NotRegistered(..)
        | Log::RegisteredAtLast(_)
        | Log::AcceptFailed(..)
        | Log::Configured(_)
        | Log::LoadFailed(_)
        | Log::Kept { .. }
        | Log::KeptAll { .. } => None,
    }
}
