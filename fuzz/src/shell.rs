//! A made-up shell: it performs actions on a system that is a few tables, and complains about what a real one could
//! not do.
//!
//! Nothing here decides what is right for a service; it only knows what is there. The real one is `crates/usherd`'s
//! `daemon`, and this does things in the same order: an event, all of its actions, then the events that they made.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use usherd_model::access::{self, Endpoint, Found, IpOptions};
use usherd_model::admission::{Limit, Pool};
use usherd_model::children::{Pid, SessionId};
use usherd_model::event::{
    AcceptError, Action, Call, ConnectionId, Ending, Event, Exit, Handed, NotReached, NotStarted, OpenError,
    Start, Traffic,
};
use usherd_model::failure::{Attempt, Errno, Step};
use usherd_model::lifecycle::{Pause, Phase};
use usherd_model::registry::{Netid, Refusal, Registration, Tidings};
use usherd_model::service::{Builtin, ListenAddress, ListenerKey, SocketKind, Task};
use usherd_model::slots::Key;
use usherd_model::supervisor::{ListenerId, LookupId, ServiceId, Settings, Supervisor};
use usherd_model::tcpmux::Request;
use usherd_model::time::Tick;

use crate::supervisor::{Fate, tables};

/// A daemon on a made-up system.
pub struct Shell<'a> {
    pub supervisor: Supervisor,
    pub now: Tick,
    /// Decides what the system answers.
    pub fate: Fate<'a>,
    settings: Settings,
    /// Open sockets, and whether they are polled.
    open: HashMap<ListenerId, bool>,
    /// All that ever were, for late events about those that are gone.
    known: Vec<ListenerId>,
    pending: HashSet<ConnectionId>,
    connections: u64,
    running: BTreeMap<Pid, Start>,
    pids: i32,
    sessions: Vec<(SessionId, ServiceId, Option<IpAddr>)>,
    /// Those of redirects.
    redirects: Vec<(SessionId, ServiceId, Option<IpAddr>)>,
    /// Of the caller that was accepted last.
    last_source: Option<IpAddr>,
    prepared: HashSet<ServiceId>,
    pub is_loading: bool,
    /// Whether a helper is reading hosts.allow and hosts.deny.
    reads_tables: bool,
    /// Look-ups that have no answer yet.
    asked: Vec<LookupId>,
    /// What a helper is telling rpcbind.
    telling: Option<Tidings>,
    /// What rpcbind knows. It has room for each program, version and transport once.
    rpcbind: BTreeMap<(u32, u32, Netid), SocketAddr>,
    ports: u16,
    events: VecDeque<Event>,
}

impl<'a> Shell<'a> {
    /// With nothing open.
    pub fn new(settings: Settings, fate: Fate<'a>) -> Self {
        Self {
            supervisor: Supervisor::new(settings),
            now: Tick::default(),
            fate,
            settings,
            open: HashMap::new(),
            known: Vec::new(),
            pending: HashSet::new(),
            connections: 0,
            running: BTreeMap::new(),
            pids: 0,
            sessions: Vec::new(),
            redirects: Vec::new(),
            last_source: None,
            prepared: HashSet::new(),
            is_loading: false,
            reads_tables: false,
            asked: Vec::new(),
            telling: None,
            rpcbind: BTreeMap::new(),
            ports: 0,
            events: VecDeque::new(),
        }
    }

    /// Something happens, with all that follows from it at once.
    pub fn raise(&mut self, event: Event) {
        self.events.push_back(event);
        let mut actions = Vec::new();
        while let Some(event) = self.events.pop_front() {
            self.supervisor.handle(event, self.now, &mut actions);
            for action in actions.drain(..) {
                self.perform(action);
            }
        }
        self.check();
    }

    /// Time goes on; a timer that is due is told.
    pub fn wait(&mut self, time: Duration) {
        self.now = self.now.after(time);
        if self.supervisor.next_deadline().is_some_and(|next| next <= self.now) {
            self.raise(Event::TimerDue);
        }
    }

    /// Time goes on to the next deadline. False when there is none.
    pub fn wait_for_deadline(&mut self) -> bool {
        let Some(next) = self.supervisor.next_deadline() else { return false };
        self.wait(next.since(self.now));
        true
    }

    /// Somebody calls one of the listeners that were ever there, which the kernel says only of one that is polled.
    pub fn call(&mut self, index: usize) {
        let Some(listener) = self.known(index) else { return };
        if self.open.get(&listener) != Some(&true) {
            return;
        }
        // Datagrams of built-ins are answered by the shell.
        let task = self.supervisor.service_of(listener).map(|service| &service.task);
        let kind = self.supervisor.spec(listener).map(|spec| spec.key.kind);
        match (task, kind) {
            (Some(Task::Builtin(_)), Some(SocketKind::Datagram)) => self.loops(index),
            _ => self.raise(Event::Readable(listener)),
        }
    }

    /// An event that comes late: its listener may be paused or gone.
    pub fn late(&mut self, index: usize) {
        if let Some(listener) = self.known(index) {
            self.raise(Event::Readable(listener));
        }
    }

    /// Datagrams that could have made loops come to a listener.
    pub fn loops(&mut self, index: usize) {
        if let Some(listener) = self.known(index) {
            self.raise(Event::LoopsDropped(listener, 3, SocketAddr::from(([192, 0, 2, 9], 7))));
        }
    }

    /// A program ends. False when none runs.
    pub fn end(&mut self, index: usize, exit: Exit, failure: Option<(Step, Errno)>) -> bool {
        let Some(pid) = nth(self.running.keys(), index).copied() else { return false };
        self.running.remove(&pid);
        self.raise(Event::Ended(pid, exit, failure));
        true
    }

    /// A session ends. False when there is none.
    pub fn end_session(&mut self, index: usize) -> bool {
        if self.sessions.is_empty() {
            return false;
        }
        let (session, ..) = self.sessions.swap_remove(index % self.sessions.len());
        self.raise(Event::SessionEnded(session));
        true
    }

    /// Something becomes of a redirected caller. False when there is none.
    pub fn redirect_goes_on(&mut self, index: usize) -> bool {
        if self.redirects.is_empty() {
            return false;
        }
        let index = index % self.redirects.len();
        let (session, ..) = self.redirects[index];
        let target = SocketAddr::from(([192, 0, 2, 80], 80));
        let event = match self.fate.below(8) {
            0 => Event::NotReached(session, NotReached::Exhausted(Errno(24))),
            1 => {
                let attempts = Box::new([Attempt { target, errno: Errno(111) }]);
                Event::NotReached(session, NotReached::Failed(attempts))
            }
            2..=4 => Event::Reached(session, target),
            _ => Event::RedirectEnded(session, Traffic::default(), Ending::Complete),
        };
        if !matches!(event, Event::Reached(..)) {
            self.redirects.swap_remove(index);
        }
        self.raise(event);
        true
    }

    /// The tables were read, or not. False when nobody reads them.
    pub fn tables_are_read(&mut self) -> bool {
        if !std::mem::take(&mut self.reads_tables) {
            return false;
        }
        let event = match self.fate.below(4) {
            0 => Event::TablesNotRead("it hangs".to_owned()),
            _ => Event::TablesRead(Box::new(tables(&mut self.fate))),
        };
        self.raise(event);
        true
    }

    /// A look-up has an answer, or none will come. False when there is none.
    pub fn look_up_answers(&mut self, index: usize) -> bool {
        if self.asked.is_empty() {
            return false;
        }
        let id = self.asked.swap_remove(index % self.asked.len());
        let found = match self.fate.below(4) {
            0 => None,
            1 => Some(Found::text(b"unknown")),
            _ => Some(Found::text(b"joe")),
        };
        self.raise(Event::LookedUp(id, found, None));
        true
    }

    /// The helper that tells rpcbind answers, if there is one: all was told, some of it, or nothing as far as it knows.
    pub fn rpcbind_answers(&mut self) -> bool {
        let Some(Tidings { set, unset }) = self.telling.take() else { return false };
        let heard = if self.fate.below(4) == 0 { self.fate.below(4).into() } else { usize::MAX };
        let place =
            |registration: &Registration| (registration.program, registration.version, registration.netid);
        let mut refused = Vec::new();
        for gone in unset.iter().take(heard) {
            if self.rpcbind.get(&place(gone)) == Some(&gone.address) {
                self.rpcbind.remove(&place(gone));
            }
        }
        for new in set.iter().take(heard.saturating_sub(unset.len())) {
            if self.fate.below(8) == 0 {
                refused.push(Refusal { registration: *new, why: "no".to_owned() });
            } else {
                self.rpcbind.insert(place(new), new.address);
            }
        }
        self.raise(match heard {
            usize::MAX => Event::Registered(refused),
            _ => Event::NotRegistered("it hangs".to_owned()),
        });
        true
    }

    /// The sockets that are open, by what tells them apart.
    pub fn open_keys(&self) -> BTreeMap<ListenerKey, ListenerId> {
        let spec = |id: &ListenerId| self.supervisor.spec(*id).expect("what is open is configured");
        self.open.keys().map(|id| (spec(id).key.clone(), *id)).collect()
    }

    fn known(&self, index: usize) -> Option<ListenerId> {
        nth(self.known.iter(), index).copied()
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Look(listener) => {
                assert!(self.open.contains_key(&listener), "a look at a closed listener");
                let somebody = self.fate.below(2) == 0;
                let event = if somebody { Event::Readable(listener) } else { Event::Silent(listener) };
                self.events.push_back(event);
            }
            Action::Accept(listener) => {
                assert!(self.open.contains_key(&listener), "accept on a closed listener");
                let event = match self.fate.below(8) {
                    0 => Event::AcceptFailed(listener, self.accept_error()),
                    _ => {
                        let connection = self.connect();
                        let peer = self.fate.peer();
                        self.last_source = peer.map(|peer| peer.ip());
                        Event::Accepted { listener, connection, peer }
                    }
                };
                self.events.push_back(event);
            }
            Action::PeekDatagram(listener) => {
                assert!(self.open.contains_key(&listener), "peek at a closed listener");
                let event = match self.fate.below(8) {
                    0 => Event::AcceptFailed(listener, self.accept_error()),
                    _ => Event::DatagramFrom { listener, peer: self.fate.peer() },
                };
                self.events.push_back(event);
            }
            Action::Start(start) | Action::StartAfter(start, _) => self.start(start),
            Action::Examine(start) => {
                if matches!(start.handed, Handed::Connection(_)) && self.fate.below(8) == 1 {
                    let is_routed = self.fate.below(2) == 0;
                    let ignored = IpOptions::Ignored([7, 7, 4].into());
                    let options = if is_routed { IpOptions::SourceRoute } else { ignored };
                    self.events.push_back(Event::HasIpOptions(start, options));
                    if is_routed {
                        return;
                    }
                }
                let client = start.peer.map_or_else(Endpoint::unknown, Endpoint::of);
                let request =
                    access::Request::new(b"server", client, Endpoint::of(([10, 0, 0, 1], 23).into()));
                let is_current = self.fate.below(8) != 1;
                self.events.push_back(Event::Examined(start, Box::new(request), is_current));
            }
            // One that runs is ended.
            Action::ReadTables => self.reads_tables = true,
            Action::LookUp(id, _) => {
                self.asked.push(id);
                assert!(self.asked.len() <= 1000, "more is asked than anybody could answer");
            }
            Action::Serve { session, service, builtin, connection } => {
                assert!(self.pending.remove(&connection), "a session with a connection that is not there");
                let source = self.last_source;
                self.check_source(service, source);
                // In the end callers of tcpmux say nothing and leave, or there would be one after the other for ever.
                let leaves = builtin == Builtin::Tcpmux && self.fate.is_kind;
                if builtin.is_momentary() || leaves || self.fate.below(8) == 0 {
                    self.events.push_back(Event::SessionEnded(session));
                } else if builtin == Builtin::Tcpmux && self.fate.below(2) == 0 {
                    let connection = self.connect();
                    let request = match self.fate.below(8) {
                        0 => Request::Help,
                        1 => Request::Unreadable,
                        name => Request::Service([b'a' + name % 3].into()),
                    };
                    self.events.push_back(Event::Asked { session, connection, request });
                } else {
                    self.check_sessions();
                    self.sessions.push((session, service, source));
                }
            }
            Action::Redirect { session, service, connection, .. } => {
                assert!(self.pending.remove(&connection), "a redirect of a connection that is not there");
                self.check_sessions();
                let source = self.last_source;
                self.check_source(service, source);
                self.redirects.push((session, service, source));
            }
            Action::EndSession(session) if self.redirects.iter().any(|(other, ..)| *other == session) => {
                self.redirects.retain(|(other, ..)| *other != session);
                let ended = Event::RedirectEnded(session, Traffic::default(), Ending::Stopped);
                self.events.push_back(ended);
            }
            Action::EndSession(session) => {
                let before = self.sessions.len();
                self.sessions.retain(|(other, ..)| *other != session);
                assert_eq!(self.sessions.len() + 1, before, "the end of a session that is not there");
                self.events.push_back(Event::SessionEnded(session));
            }
            Action::Say(connection, _) => {
                assert!(self.pending.contains(&connection), "words for a connection that is not there");
            }
            Action::EndIdleSession(wanted) => {
                let of_it =
                    |session: &(SessionId, ServiceId, _)| wanted.is_none_or(|wanted| session.1 == wanted);
                let found = self.sessions.iter().position(of_it);
                // Most of the time none has been silent for long enough.
                if let (Some(index), 0) = (found, self.fate.below(4)) {
                    let (session, ..) = self.sessions.remove(index);
                    self.events.push_back(Event::SessionEnded(session));
                }
            }
            Action::Refuse(connection) => {
                assert!(self.pending.remove(&connection), "a connection is refused that is not there");
            }
            Action::Skip(listener) => {
                assert!(self.open.contains_key(&listener), "skip on a closed listener");
            }
            Action::Open(listener) => self.open(listener),
            Action::Adjust(listener) => {
                assert!(self.open.contains_key(&listener), "a closed listener is adjusted");
            }
            Action::Close(listener) => {
                assert!(self.open.remove(&listener).is_some(), "a listener is closed that is not open");
            }
            Action::Poll(listener) => {
                let polled = self.open.get_mut(&listener).expect("only an open listener is polled");
                assert!(!std::mem::replace(polled, true), "a listener is polled twice");
                // As when epoll has no memory. The core is told, and rests.
                if self.fate.below(32) == 1 {
                    let error = AcceptError::Exhausted(Errno(12));
                    self.events.push_back(Event::AcceptFailed(listener, error));
                }
            }
            Action::Pause(listener) => {
                let polled = self.open.get_mut(&listener).expect("only an open listener is paused");
                assert!(std::mem::replace(polled, false), "a listener is paused twice");
            }
            Action::Prepare(service) => {
                self.prepared.insert(service);
            }
            Action::Discard(service) => {
                self.prepared.remove(&service);
            }
            Action::Load => self.is_loading = true,
            Action::Register(tidings) => {
                assert!(self.telling.is_none(), "two helpers at a time");
                self.telling = Some(tidings);
            }
            Action::Ready | Action::Exit | Action::Log(_) => {}
        }
    }

    fn connect(&mut self) -> ConnectionId {
        let connection = Key::unpack(self.connections);
        self.connections += 1;
        self.pending.insert(connection);
        connection
    }

    fn accept_error(&mut self) -> AcceptError {
        match self.fate.below(5) {
            0 | 1 => AcceptError::Nobody,
            4 => AcceptError::Busy,
            2 => AcceptError::Exhausted(Errno(24)),
            _ => AcceptError::Failed(Errno(22)),
        }
    }

    fn open(&mut self, listener: ListenerId) {
        assert!(self.supervisor.listener(listener).is_some(), "a listener is opened that nobody knows");
        assert!(!self.open.contains_key(&listener), "a listener is opened twice");
        self.known.push(listener);
        let event = if self.fate.below(8) == 1 {
            let errno = Errno(if self.fate.below(2) == 0 { 98 } else { 99 });
            Event::NotOpened(listener, OpenError { call: Call::Bind, errno })
        } else {
            self.open.insert(listener, false);
            match self.supervisor.spec(listener).map(|spec| &spec.key.address) {
                Some(ListenAddress::Rpc(_)) => {
                    self.ports += 1;
                    Event::Bound(listener, self.ports)
                }
                _ => Event::Opened(listener),
            }
        };
        self.events.push_back(event);
    }

    fn start(&mut self, start: Start) {
        assert!(self.prepared.contains(&start.service), "a program is started that was not made ready");
        assert!(self.running.len() < self.settings.max_children as usize, "too many programs");
        let state = self.supervisor.service(start.service).expect("a service that starts is known");
        let of_service = self.running.values().filter(|other| other.service == start.service).count();
        // Who was judged first may have been granted its place by other limits, before a reload.
        if state.service().wrapped.is_none() {
            if let Some(most) = state.service().limits.children {
                assert!(of_service < most as usize, "too many programs of one service");
            }
            self.check_source(start.service, start.source());
        }
        match start.handed {
            Handed::Connection(connection) => {
                assert!(self.pending.remove(&connection), "a program gets a connection that is not there");
            }
            Handed::DatagramPeer | Handed::Listener => {
                assert!(self.open.contains_key(&start.listener), "a program gets a closed listener");
            }
        }
        let event = match self.fate.below(16) {
            1 => Event::NotStarted(start, NotStarted::Exhausted(Errno(11))),
            2 => Event::NotStarted(start, NotStarted::Failed(Errno(1))),
            4 => Event::NotStarted(start, NotStarted::Busy),
            3 if start.handed == Handed::DatagramPeer => Event::NotStarted(start, NotStarted::Nobody),
            _ => {
                self.pids += 1;
                let pid = Pid(self.pids);
                self.running.insert(pid, start);
                Event::Started(start, pid)
            }
        };
        self.events.push_back(event);
    }

    /// Whether there is room for one more session.
    fn check_sessions(&self) {
        let open = self.sessions.len() + self.redirects.len();
        assert!(open < self.settings.max_sessions as usize, "too many sessions");
    }

    /// Whether one more of this source is within the limit.
    fn check_source(&self, service: ServiceId, source: Option<IpAddr>) {
        let most = self.supervisor.service(service).and_then(|state| state.service().limits.source_children);
        let (Some(most), Some(source)) = (most, source) else { return };
        let programs = self.running.values().map(|start| (start.service, start.source()));
        let sessions = self.sessions.iter().chain(&self.redirects);
        let all = programs.chain(sessions.map(|(_, service, source)| (*service, *source)));
        let of_source = all.filter(|other| *other == (service, Some(source))).count();
        assert!(of_source < most as usize, "too many of one source");
    }

    /// What holds whenever all that has happened was dealt with.
    fn check(&self) {
        assert!(self.pending.len() <= self.supervisor.judged().count(), "a connection was forgotten");
        self.check_counts();
        let mut open = BTreeSet::new();
        for (id, state) in self.supervisor.listeners() {
            let phase = state.phase();
            if !state.has_socket() {
                assert!(!self.open.contains_key(&id), "{id:?} has a socket");
                continue;
            }
            assert_eq!(phase.is_open(), self.open.contains_key(&id), "{id:?} is {phase:?}");
            assert_eq!(phase.is_polled(), self.open.get(&id) == Some(&true), "{id:?} is {phase:?}");
            if phase.is_open() {
                open.insert(id);
            }
            self.check_owner(id, state.service());
            self.check_phase(id, phase);
        }
        assert_eq!(open.len(), self.open.len(), "sockets are open that nobody knows");
        self.check_queues();
    }

    /// Whoever waits for room that all share has one place in one queue, and nobody else has.
    fn check_queues(&self) {
        for (pool, limit) in [(Pool::Children, Limit::Total), (Pool::Sessions, Limit::Sessions)] {
            let mut waiting: Vec<ListenerId> = self.supervisor.waiting(pool).collect();
            let by = |phase: Phase| matches!(phase, Phase::Paused(Pause::Limit(by, _)) if by == limit);
            let listeners = self.supervisor.listeners();
            let mut paused: Vec<ListenerId> =
                listeners.filter(|(_, state)| by(state.phase())).map(|(id, _)| id).collect();
            waiting.sort();
            paused.sort();
            assert_eq!(waiting, paused, "who waits for {pool:?}");
        }
    }

    fn check_counts(&self) {
        let (children, _) = self.supervisor.admission().running(Pool::Children);
        let (sessions, _) = self.supervisor.admission().running(Pool::Sessions);
        let judged: Vec<ServiceId> = self.supervisor.judged().collect();
        assert_eq!(children as usize, self.running.len() + judged.len(), "programs that run");
        assert_eq!(sessions as usize, self.sessions.len() + self.redirects.len(), "sessions");
        assert_eq!(self.supervisor.children().len(), self.running.len(), "programs that are known");
        for (id, state) in self.supervisor.services() {
            let programs = self.running.values().filter(|start| start.service == id).count();
            let sessions = self.sessions.iter().chain(&self.redirects);
            let sessions = sessions.filter(|(_, service, _)| *service == id).count();
            let waiting = judged.iter().filter(|service| **service == id).count();
            let all = programs + sessions + waiting;
            assert_eq!(state.usage().running() as usize, all, "of service {id:?}");
            assert!(!state.listeners().is_empty() || all > 0, "a service of nothing");
        }
        let is_known = |service: ServiceId| self.supervisor.service(service).is_some();
        assert!(self.running.values().all(|start| is_known(start.service)), "a program of no service");
        let mut sessions = self.sessions.iter().chain(&self.redirects);
        assert!(sessions.all(|(_, service, _)| is_known(*service)), "a session of no service");
    }

    fn check_owner(&self, id: ListenerId, service: ServiceId) {
        let service = self.supervisor.service(service).expect("a listener belongs to a service");
        assert!(service.listeners().contains(&id), "a listener's service does not know it");
        let listed = service.listeners().iter().filter(|listener| {
            self.supervisor.listener(**listener).is_some_and(|state| state.phase().is_open())
        });
        assert!(listed.count() <= service.service().listeners.len(), "more sockets than listeners");
    }

    /// Whatever a listener waits for exists.
    fn check_phase(&self, id: ListenerId, phase: Phase) {
        if let Some(deadline) = phase.deadline() {
            let next = self.supervisor.next_deadline().expect("a listener waits for a time");
            assert!(next <= deadline, "{id:?} waits until {deadline:?}, the timer is at {next:?}");
            return;
        }
        match phase {
            Phase::Opening => panic!("{id:?} was never opened"),
            Phase::HandedOver(pid) => {
                assert!(self.running.contains_key(&pid), "{id:?} waits for a program that has ended");
            }
            Phase::Paused(Pause::Limit(limit, None)) => {
                let something_ends = !self.running.is_empty()
                    || !self.sessions.is_empty()
                    || !self.redirects.is_empty()
                    || self.supervisor.judged().next().is_some();
                assert!(something_ends, "{id:?} waits at {limit:?} for an end, and nothing runs");
            }
            Phase::Polled | Phase::Closed { .. } | Phase::Paused(_) => {}
        }
    }

    /// Whatever happened: when all programs have ended and time goes on, every listener is looked at.
    pub fn check_recovery(&mut self) {
        self.fate.is_kind = true;
        while self.end(0, Exit::Status(0), None) || self.end_session(0) || self.redirect_goes_on(0) {}
        // Back-offs, windows and episodes are minutes long at the most; each wait ends one of them.
        let mut waits = 0;
        while self.rpcbind_answers()
            || self.tables_are_read()
            || self.look_up_answers(0)
            || self.wait_for_deadline()
            || self.end(0, Exit::Status(0), None)
            || self.end_session(0)
            || self.redirect_goes_on(0)
        {
            waits += 1;
            assert!(waits < 10_000, "time never runs out of deadlines");
        }
        for (id, state) in self.supervisor.listeners() {
            assert_eq!(state.phase(), Phase::Polled, "{id:?} was left behind");
        }
        for (id, state) in self.supervisor.services() {
            assert!(!state.listeners().is_empty(), "{id:?} has nothing and is still there");
        }
        self.check_rpcbind();
    }

    /// rpcbind knows what is open, and nothing else.
    fn check_rpcbind(&self) {
        let mut open = BTreeSet::new();
        for (id, _) in self.supervisor.listeners() {
            let spec = self.supervisor.spec(id).expect("a listener is configured");
            let (ListenAddress::Rpc(rpc), Some(versions)) = (&spec.key.address, spec.extras().versions)
            else {
                continue;
            };
            let (port, ..) = self.supervisor.rpc(id).expect("its port is known");
            open.extend(versions.iter().map(|version| (rpc.program, version, port)));
        }
        let known =
            self.rpcbind.iter().map(|((program, version, _), address)| (*program, *version, address.port()));
        let known: BTreeSet<_> = known.collect();
        assert!(known.is_subset(&open), "rpcbind knows what is gone: {known:?}, {open:?}");
        let named = |all: &BTreeSet<(u32, u32, u16)>| -> BTreeSet<(u32, u32)> {
            all.iter().map(|(program, version, _)| (*program, *version)).collect()
        };
        assert_eq!(named(&known), named(&open), "rpcbind was not told");
    }
}

fn nth<T>(items: impl ExactSizeIterator<Item = T>, index: usize) -> Option<T> {
    let count = items.len();
    if count == 0 { None } else { items.into_iter().nth(index % count) }
}
