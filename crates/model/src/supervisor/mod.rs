//! All services: what is done when something happens.
//!
//! The supervisor holds no descriptor and calls nobody. [`Supervisor::handle`] takes one event and the time, changes
//! its tables and says what is to be done. What is decided per caller costs no walk over services, listeners or
//! children, and no allocation.
//!
//! What this module must never do: end the daemon, or forget a listener, because of anything that a caller did.

mod configure;
mod guard;
mod judgment;
mod redirect;
mod rpcbind;
mod trouble;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use self::judgment::{Judgment, JudgmentId, TOO_LONG};
use self::trouble::Holding;
use crate::access::{Tables, Verdict};
use crate::admission::{Admission, Claim, Gate, Limit, Pool, Usage};
use crate::children::{Child, Children, Pid, Session, SessionId};
use crate::episode::{Episodes, Held};
use crate::event::{
    Action, ConnectionId, Errand, Event, Exit, Handed, IDLE, Log, NotStarted, OpenError, Reason, Start,
};
use crate::failure::{Errno, Failures, StartError, Step};
use crate::guard::{Circumstances, DenyList};
use crate::lifecycle::{ListenerState, Pause, Phase};
use crate::lookups::{self, Lookups};
use crate::queue::Queue;
use crate::registry::{Registry, Standing, Tidings};
use crate::service::{AtLimit, Builtin, Handover, Identity, Listener, Redirect, Service, Task};
use crate::slots::{Key, Slots};
use crate::tcpmux::{self, Request};
use crate::time::Tick;

/// Names a look-up that is under way.
pub type LookupId = lookups::LookupId<JudgmentId>;

/// Names a service that is configured or has programs running.
pub type ServiceId = Key<ServiceState>;
/// Names a listener.
pub type ListenerId = Key<ListenerState>;

/// A service as it is now.
#[derive(Debug)]
pub struct ServiceState {
    service: Service,
    /// Listeners that are configured; empty once the service is gone and only its programs are left.
    listeners: Box<[ListenerId]>,
    usage: Usage,
    counters: Counters,
    /// Made with the first trouble: most services of most daemons never have any.
    troubles: Option<Box<Troubles>>,
}

/// What did not go well with a service.
#[derive(Debug, Default)]
struct Troubles {
    /// Whether a listener of the service has waited for one of its programs to end since one did.
    waiting: bool,
    episodes: Episodes,
    failures: Failures,
}

/// What a service has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Callers that were accepted, or programs that were started for waiting ones.
    pub calls: u64,
    /// Programs that were started, sessions of a built-in, or callers that were connected to a target.
    pub started: u64,
    /// Callers whom hosts.allow and hosts.deny did not let in.
    pub denied: u64,
}

/// How the daemon is to behave.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most programs at the same time.
    pub max_children: u32,
    /// The most sessions of built-in services and of redirects at the same time.
    pub max_sessions: u32,
    /// The most look-ups about callers at the same time.
    pub max_lookups: usize,
    /// Whether each connection is logged.
    pub log_connections: bool,
}

impl Default for Settings {
    /// Nothing is limited that need not be, and no connection logged.
    fn default() -> Self {
        Self {
            max_children: u32::MAX,
            max_sessions: u32::MAX,
            max_lookups: lookups::MOST_UNDER_WAY,
            log_connections: false,
        }
    }
}

/// Something that ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Listener(ListenerId),
    Session(SessionId),
    Episodes(ServiceId),
    Registry,
    Lookup(LookupId),
    Tables,
}

/// All that is known about the services.
#[derive(Debug)]
pub struct Supervisor {
    settings: Settings,
    /// Whether there was a configuration.
    is_configured: bool,
    files: Vec<String>,
    services: Slots<ServiceState>,
    /// Services that are over. They go with the next event: what was said of them with this one has their names.
    over: Vec<ServiceId>,
    listeners: Slots<ListenerState>,
    /// Ports on which built-ins answer datagrams.
    builtin_ports: BTreeSet<u16>,
    /// What callers of tcpmux can ask for.
    behind_tcpmux: BTreeMap<Box<[u8]>, ListenerId>,
    children: Children,
    sessions: Slots<Session>,
    admission: Admission,
    /// Listeners that wait for any program to end.
    for_child: Queue<ListenerId>,
    /// Listeners that wait for any session to end.
    for_session: Queue<ListenerId>,
    registry: Registry,
    /// hosts.allow and hosts.deny, once a service has asked them.
    tables: Option<Box<Tables>>,
    /// Until when they are being read anew.
    reading_tables: Option<Tick>,
    /// Callers about whom something has to be found out.
    judgments: Slots<Box<Judgment>>,
    lookups: Lookups<JudgmentId>,
    /// Callers who are turned away once it is logged who they are.
    leaving: Vec<Start>,
    /// Who has called a sensor.
    denied: DenyList,
    /// How the machine was when that mattered last.
    circumstances: Option<Circumstances>,
    timers: BTreeSet<(Tick, Timer)>,
}

impl Supervisor {
    /// With nothing to serve yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            is_configured: false,
            files: Vec::new(),
            services: Slots::default(),
            over: Vec::new(),
            listeners: Slots::default(),
            builtin_ports: BTreeSet::new(),
            behind_tcpmux: BTreeMap::new(),
            children: Children::default(),
            sessions: Slots::default(),
            admission: Admission::new(settings.max_children, settings.max_sessions),
            for_child: Queue::default(),
            for_session: Queue::default(),
            registry: Registry::new(),
            tables: None,
            reading_tables: None,
            judgments: Slots::default(),
            lookups: Lookups::new(settings.max_lookups),
            leaving: Vec::new(),
            denied: DenyList::default(),
            circumstances: None,
            timers: BTreeSet::new(),
        }
    }

    /// Takes one event and adds what is to be done to `actions`.
    pub fn handle(&mut self, event: Event, now: Tick, actions: &mut Vec<Action>) {
        while let Some(id) = self.over.pop() {
            self.services.remove(id);
        }
        self.take(event, now, actions);
        self.offer_room(actions);
    }

    fn take(&mut self, event: Event, now: Tick, actions: &mut Vec<Action>) {
        match event {
            Event::Observed(circumstances) => self.circumstances = Some(circumstances),
            Event::Readable(listener) => self.readable(listener, now, actions),
            Event::Silent(listener) => self.answer_offer(listener),
            Event::Accepted { listener, connection, peer } => {
                self.accepted(listener, connection, peer, now, actions);
            }
            Event::DatagramFrom { listener, peer } => self.datagram_from(listener, peer, now, actions),
            Event::AcceptFailed(listener, error) => self.accept_failed(listener, error, now, actions),
            Event::Started(start, pid) => self.started(start, pid, now, actions),
            Event::NotStarted(start, error) => self.not_started(start, error, now, actions),
            Event::Ended(pid, exit, failure) => self.ended(pid, exit, failure, now, actions),
            Event::SessionEnded(session) => self.session_ended(session, now, actions),
            Event::Reached(session, target) => self.reached(session, target, actions),
            Event::NotReached(session, why) => self.not_reached(session, why, now, actions),
            Event::RedirectEnded(session, traffic, ending) => {
                self.redirect_ended(session, traffic, ending, now, actions);
            }
            Event::Asked { session, connection, request } => {
                let peer = self.sessions.get(session).and_then(|session| session.peer);
                self.session_ended(session, now, actions);
                self.asked(connection, peer, request, now, actions);
            }
            Event::LoopsDropped(listener, count, source) => {
                self.hold_back(listener, Holding::refused(Limit::Loop, count, Some(source)), now, actions);
            }
            Event::Opened(listener) => self.opened(listener, actions),
            Event::Bound(listener, port) => {
                if self.listeners.get(listener).is_some() {
                    self.registry.opened(listener, port);
                    self.tell_rpcbind(now);
                }
                self.opened(listener, actions);
            }
            Event::Examined(start, request, is_current) => {
                self.examined(start, *request, is_current, now, actions);
            }
            Event::HasIpOptions(start, options) => self.has_ip_options(start, options, actions),
            Event::TablesRead(tables) => self.tables_read(*tables, now, actions),
            Event::TablesNotRead(why) => self.tables_not_read(why, now, actions),
            Event::LookedUp(id, found, remark) => self.looked_up(id, found, remark, now, actions),
            Event::DatagramsDenied(listener, count, source) => {
                if let Some((_, state)) = self.both(listener) {
                    state.counters.denied += u64::from(count);
                }
                let reason = self.reason_against_datagram(listener, source, now).unwrap_or(Reason::Tables);
                self.log_failure(listener, reason, Some(source), actions);
                self.hold_back(listener, Holding::refused(Limit::Tables, count, Some(source)), now, actions);
            }
            Event::NotOpened(listener, error) => self.not_opened(listener, error, now, actions),
            Event::TimerDue => self.timer_due(now, actions),
            Event::ReloadRequested => actions.push(Action::Load),
            Event::Registered(refused) => {
                let news = self.registry.answered(refused);
                self.rpcbind_answered(news, now, actions);
            }
            Event::NotRegistered(why) => {
                let news = self.registry.failed(&why);
                self.rpcbind_failed(news, now, actions);
            }
            Event::Loaded(config) => {
                self.configure(*config, actions);
                self.tell_rpcbind(now);
            }
            Event::LoadFailed(why) => actions.push(Action::Log(Log::LoadFailed(why))),
            Event::RetryRequested => {
                self.retry_all(actions);
                self.tell_rpcbind(now);
            }
            Event::StopRequested => {
                let unset = self.registry.forget_all();
                if !unset.is_empty() {
                    actions.push(Action::Register(Tidings { set: Vec::new(), unset }));
                }
                self.end_redirects(actions);
                actions.push(Action::Exit);
            }
        }
    }

    /// When [`Event::TimerDue`] is to come.
    pub fn next_deadline(&self) -> Option<Tick> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// A service, while it is configured or has programs running.
    pub fn service(&self, id: ServiceId) -> Option<&ServiceState> {
        self.services.get(id)
    }

    /// A listener, while it is configured.
    pub fn listener(&self, id: ListenerId) -> Option<&ListenerState> {
        self.listeners.get(id)
    }

    /// What is configured of a listener.
    pub fn spec(&self, id: ListenerId) -> Option<&Listener> {
        let listener = self.listeners.get(id)?;
        self.services.get(listener.service)?.service.listeners.get(listener.place as usize)
    }

    /// The service of a listener.
    pub fn service_of(&self, listener: ListenerId) -> Option<&Service> {
        let state = self.listeners.get(listener)?;
        Some(&self.services.get(state.service)?.service)
    }

    /// All services.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &ServiceState)> {
        self.services.iter().filter(|(_, state)| !state.is_over())
    }

    /// All listeners.
    pub fn listeners(&self) -> impl Iterator<Item = (ListenerId, &ListenerState)> {
        self.listeners.iter()
    }

    /// The programs that run.
    pub fn children(&self) -> &Children {
        &self.children
    }

    /// The counts of programs and sessions.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// How the listener of an RPC service stands with rpcbind: its port, its standing, and when rpcbind is told next.
    pub fn rpc(&self, id: ListenerId) -> Option<(u16, &Standing, Option<Tick>)> {
        self.registry.standing(id).map(|(port, standing)| (port, standing, self.registry.due))
    }

    /// Listeners that wait for room in a pool, in the order in which it is offered to them.
    pub fn waiting(&self, pool: Pool) -> impl Iterator<Item = ListenerId> {
        let queue = match pool {
            Pool::Children => Some(&self.for_child),
            Pool::Sessions => Some(&self.for_session),
            Pool::Moments => None,
        };
        queue.into_iter().flat_map(Queue::iter)
    }

    /// The files that the services come from.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Whether a built-in answers datagrams on a port.
    pub fn is_builtin_port(&self, port: u16) -> bool {
        self.builtin_ports.contains(&port)
    }

    fn readable(&mut self, id: ListenerId, now: Tick, actions: &mut Vec<Action>) {
        let Some(listener) = self.listeners.get(id).filter(|listener| listener.phase.is_polled()) else {
            return;
        };
        let Some(state) = self.services.get(listener.service) else { return };
        let Some(spec) = state.service.listeners.get(listener.place as usize) else { return };
        let has_connections = spec.key.kind.has_connections();
        let handover = state.service.program().map_or(Handover::Connection, |program| program.handover);
        let gate = self.admission.gate(pool(&state.service.task), &state.service.limits, &state.usage, now);
        match (gate, state.service.limits.at_limit) {
            (Gate::Open, _) => match (handover, has_connections) {
                (Handover::Connection, true) => actions.push(Action::Accept(id)),
                (Handover::Connection, false) => actions.push(Action::PeekDatagram(id)),
                // Whose datagram it is counts only where somebody wants to know.
                (Handover::Listener, false) if state.service.wants_sender() => {
                    actions.push(Action::PeekDatagram(id));
                }
                (Handover::Listener, _) => {
                    if self.guards_against(id, Handed::Listener, None, now, actions) {
                        self.answer_offer(id);
                    } else {
                        self.grant(id, Handed::Listener, None, now, actions);
                    }
                }
            },
            (Gate::Closed(limit, until), AtLimit::Pause) => {
                let builtin = matches!(state.service.task, Task::Builtin(_));
                let until = match limit {
                    Limit::Children if builtin => {
                        actions.push(Action::EndIdleSession(Some(listener.service)));
                        Some(now.after(IDLE))
                    }
                    Limit::Sessions => {
                        actions.push(Action::EndIdleSession(None));
                        Some(now.after(IDLE))
                    }
                    Limit::Children
                    | Limit::Starts
                    | Limit::Total
                    | Limit::SourceStarts
                    | Limit::SourceChildren
                    | Limit::SourceTable
                    | Limit::Bounce
                    | Limit::Loop
                    | Limit::Tables
                    | Limit::Resources => until,
                };
                let pause = until.map(|until| until.since(now));
                self.hold_back(id, Holding::waits(limit, pause), now, actions);
                self.wait_for(id, limit, until, actions);
                self.answer_offer(id);
            }
            // Who is refused is accepted first, so that the log can say who it was.
            (Gate::Closed(..), AtLimit::Refuse) if has_connections && handover == Handover::Connection => {
                actions.push(Action::Accept(id));
            }
            (Gate::Closed(limit, _), AtLimit::Refuse) => {
                self.answer_offer(id);
                self.refuse(id, Handed::Listener, limit, None, now, actions);
            }
        }
    }

    fn datagram_from(
        &mut self,
        id: ListenerId,
        peer: Option<SocketAddr>,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let program = self.service_of(id).and_then(Service::program);
        let handed = match program.map(|program| program.handover) {
            Some(Handover::Listener) => Handed::Listener,
            Some(Handover::Connection) | None => Handed::DatagramPeer,
        };
        if self.guards_against(id, handed, peer, now, actions) {
            self.answer_offer(id);
            return;
        }
        self.grant(id, handed, peer, now, actions);
    }

    fn accepted(
        &mut self,
        id: ListenerId,
        connection: ConnectionId,
        peer: Option<SocketAddr>,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let Some((listener, state)) = self.both(id) else {
            actions.push(Action::Refuse(connection));
            return;
        };
        listener.resources.succeed();
        state.counters.calls += 1;
        let always = state.service.policy.as_ref().and_then(|policy| policy.banners.always.clone());
        let handed = Handed::Connection(connection);
        // What a caller of tcpmux hears first is the answer, which is not known yet.
        if !self.is_behind_tcpmux(id) {
            self.say_banner(always.as_ref(), handed, actions);
        }
        if self.guards_against(id, handed, peer, now, actions) {
            self.answer_offer(id);
            return;
        }
        let gate = self.gate_of(id, now);
        let limit = match gate {
            Gate::Closed(limit, _) => Some(limit),
            Gate::Open if peer.is_some_and(|peer| peer.port() == FTP_DATA) => Some(Limit::Bounce),
            Gate::Open => None,
        };
        if let Some(limit) = limit {
            self.answer_offer(id);
            self.refuse(id, handed, limit, peer, now, actions);
            return;
        }
        self.grant(id, handed, peer, now, actions);
    }

    /// Starts what the listener is for, unless the caller's source has had enough.
    fn grant(
        &mut self,
        id: ListenerId,
        handed: Handed,
        peer: Option<SocketAddr>,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        self.answer_offer(id);
        let Some(listener) = self.listeners.get(id) else { return };
        let service = listener.service;
        let Some(state) = self.services.get_mut(service) else { return };
        let claim = Claim { pool: pool(&state.service.task), service, source: peer.map(|peer| peer.ip()) };
        let begun = self.admission.begin(claim, &state.service.limits, &mut state.usage, now);
        if let Err(limit) = begun {
            self.refuse(id, handed, limit, peer, now, actions);
            return;
        }
        let start = Start { service, listener: id, handed, peer };
        if state.service.wrapped.is_some() || self.needs_name(&start) || self.needs_user(&start) {
            actions.push(Action::Examine(start));
        } else {
            self.begin(start, None, now, actions);
        }
    }

    /// Begins what was granted, and does before it what a rule of hosts.allow wants done.
    fn begin(&mut self, start: Start, errand: Option<Box<Errand>>, now: Tick, actions: &mut Vec<Action>) {
        let Start { service, listener: id, handed, peer } = start;
        let Some(state) = self.services.get_mut(service) else { return };
        let claim = claim(&start, &state.service.task);
        match (&state.service.task, handed) {
            (Task::Builtin(builtin), Handed::Connection(connection)) => {
                state.counters.started += 1;
                let ends = if *builtin == Builtin::Tcpmux { Some(now.after(tcpmux::PATIENCE)) } else { None };
                let (logs, builtin) = (state.logs_start(&self.settings), *builtin);
                let session =
                    self.sessions.insert(Session { claim, peer, began: now, ends, redirected: None });
                self.timers.extend(ends.map(|ends| (ends, Timer::Session(session))));
                self.welcome(&start, actions);
                if logs {
                    actions.push(Action::Log(Log::Connected(start, None)));
                }
                actions.push(Action::Serve { session, service, builtin, connection });
            }
            // Datagrams of built-ins are answered by the shell at once; see `builtins`.
            (Task::Builtin(_), Handed::DatagramPeer | Handed::Listener) => {
                self.admission.end(claim, &state.service.limits, &mut state.usage);
            }
            (Task::Redirect(Redirect::To(targets)), Handed::Connection(connection)) => {
                let targets = targets.clone();
                self.redirect(start, claim, targets, connection, now, actions);
            }
            // There are none over datagrams: nothing that came as one is left to be looked at again.
            (Task::Redirect(Redirect::To(_)), Handed::DatagramPeer | Handed::Listener) => {
                self.admission.end(claim, &state.service.limits, &mut state.usage);
                actions.push(turn_away(id, handed));
            }
            (Task::Redirect(Redirect::Unavailable(why)), _) => {
                let error = StartError::NoTarget(why.clone());
                self.admission.end(claim, &state.service.limits, &mut state.usage);
                self.send_away(id, handed, actions);
                self.start_failed(&start, error, now, actions);
            }
            (Task::Program(program), _) => match &program.identity {
                Identity::Unavailable(why) => {
                    let error = StartError::Identity((**why).clone());
                    self.admission.end(claim, &state.service.limits, &mut state.usage);
                    self.send_away(id, handed, actions);
                    self.start_failed(&start, error, now, actions);
                }
                Identity::Daemon | Identity::User(_) => {
                    match errand.as_ref().map_or(Verdict::Allow, |errand| errand.verdict) {
                        Verdict::Allow => self.welcome(&start, actions),
                        Verdict::Deny => self.decline(id, handed, actions),
                        // A command answers in the program's place.
                        Verdict::Twist => {}
                    }
                    actions.push(
                        errand.map_or(Action::Start(start), |errand| Action::StartAfter(start, errand)),
                    );
                }
            },
        }
    }

    fn started(&mut self, start: Start, pid: Pid, now: Tick, actions: &mut Vec<Action>) {
        let (claim, port) = (program_claim(&start), start.peer.map_or(0, |peer| peer.port()));
        self.children.insert(pid, Child { claim, listener: start.listener, port, started: now });
        if let Some(listener) = self.listeners.get_mut(start.listener) {
            listener.resources.succeed();
        }
        let mut logs = false;
        if let Some(state) = self.services.get_mut(start.service) {
            state.counters.started += 1;
            if !matches!(start.handed, Handed::Connection(_)) {
                state.counters.calls += 1;
            }
            logs = state.logs_start(&self.settings);
        }
        if start.handed == Handed::Listener {
            self.set_phase(start.listener, Phase::HandedOver(pid), actions);
        }
        if logs {
            actions.push(Action::Log(Log::Connected(start, Some(pid))));
        }
    }

    fn not_started(&mut self, start: Start, error: NotStarted, now: Tick, actions: &mut Vec<Action>) {
        self.release(program_claim(&start), actions);
        if error != NotStarted::Nobody {
            self.log_failure(start.listener, Reason::NoProcess, start.peer, actions);
        }
        match error {
            NotStarted::Nobody => {}
            NotStarted::Busy => {
                self.wait_until_not_busy(start.listener, now, actions);
                if let Handed::Connection(_) = start.handed {
                    let holding = Holding::refused(Limit::Resources, 1, start.peer);
                    self.hold_back(start.listener, holding, now, actions);
                }
            }
            NotStarted::Exhausted(errno) => {
                let held = match start.handed {
                    Handed::Connection(_) => Held::Refused(1),
                    Handed::DatagramPeer | Handed::Listener => Held::Waits,
                };
                self.rest(start.listener, held, errno, now, actions);
            }
            NotStarted::Failed(errno) => {
                let error = StartError::Refused { step: Step::Clone, errno };
                if !matches!(start.handed, Handed::Connection(_)) {
                    actions.push(Action::Skip(start.listener));
                }
                self.start_failed(&start, error, now, actions);
            }
        }
    }

    fn ended(
        &mut self,
        pid: Pid,
        exit: Exit,
        failure: Option<(Step, Errno)>,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let Some(child) = self.children.remove(pid) else { return };
        let Claim { service, source, .. } = child.claim;
        let listener = self.listeners.get_mut(child.listener);
        let had_listener = listener.as_ref().is_some_and(|listener| listener.phase == Phase::HandedOver(pid));
        match failure {
            Some((step, errno)) => {
                // There was a process, but never the program.
                if let Some(state) = self.services.get_mut(service) {
                    state.counters.started = state.counters.started.saturating_sub(1);
                }
                let spec = self.spec(child.listener);
                let datagrams = spec.is_some_and(|spec| !spec.key.kind.has_connections());
                let error = StartError::Refused { step, errno };
                if had_listener {
                    actions.push(Action::Skip(child.listener));
                }
                if had_listener || datagrams {
                    self.rest_after_failure(service, child.listener, error, now, actions);
                } else {
                    self.note_failure(service, child.listener, error, None, now, actions);
                }
            }
            None => {
                if let Some(listener) = listener {
                    listener.starting.succeed();
                }
                if let Some(state) = self.services.get_mut(service) {
                    if state.troubles.as_mut().is_some_and(|troubles| troubles.failures.recovered()) {
                        actions.push(Action::Log(Log::StartRecovered(service)));
                    }
                    if had_listener && !exit.is_success() {
                        actions.push(Action::Log(Log::WaitServerFailed(service, exit)));
                    }
                }
                if had_listener {
                    self.set_phase(child.listener, Phase::Polled, actions);
                }
            }
        }
        // Where each start is said, its end is, too, whatever came of it.
        let logs = self.services.get(service).is_some_and(|state| {
            state.logs_end(&self.settings) && (failure.is_none() || state.service.policy.is_some())
        });
        if logs {
            let lasted = now.since(child.started);
            actions.push(Action::Log(Log::Disconnected { service, pid: Some(pid), source, exit, lasted }));
        }
        self.release(child.claim, actions);
    }

    fn session_ended(&mut self, id: SessionId, now: Tick, actions: &mut Vec<Action>) {
        if let Some(Session { claim, began, ends, redirected, .. }) = self.sessions.remove(id) {
            if let Some(ends) = ends {
                self.timers.remove(&(ends, Timer::Session(id)));
            }
            let Claim { service, source, pool } = claim;
            let logs = self.services.get(service).is_some_and(|state| match redirected {
                // What else is said of its end stands with its bytes. Who left on the way to a target has no start.
                Some(redirected) => redirected.target.is_some() && state.policy_logs_end(),
                None => state.logs_end(&self.settings),
            });
            // One that is over as soon as it has begun has no end to speak of.
            if logs && pool != Pool::Moments {
                let (exit, lasted) = (Exit::Status(0), now.since(began));
                actions.push(Action::Log(Log::Disconnected { service, pid: None, source, exit, lasted }));
            }
            self.release(claim, actions);
        }
    }

    /// A caller of tcpmux wants this: it is served, or told that it is not.
    fn asked(
        &mut self,
        connection: ConnectionId,
        peer: Option<SocketAddr>,
        request: Request,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let answer = match request {
            Request::Service(name) => match self.behind_tcpmux.get(&name).copied() {
                // Which decides as for callers of its own, and says whether it serves this one.
                Some(listener) => return self.accepted(listener, connection, peer, now, actions),
                None => Cow::Borrowed(tcpmux::NOT_AVAILABLE),
            },
            Request::Help => Cow::Owned(tcpmux::list(self.behind_tcpmux.keys().map(|name| &**name))),
            Request::Unreadable => Cow::Borrowed(tcpmux::NO_NAME),
        };
        actions.push(Action::Say(connection, answer));
        actions.push(Action::Refuse(connection));
    }

    /// Gives back what a program or a session had, and lets those go on that waited for it.
    fn release(&mut self, claim: Claim, actions: &mut Vec<Action>) {
        let id = claim.service;
        let Some(state) = self.services.get_mut(id) else { return };
        self.admission.end(claim, &state.service.limits, &mut state.usage);
        if state.is_over() {
            self.over.push(id);
        } else if state.troubles.as_mut().is_some_and(|troubles| std::mem::take(&mut troubles.waiting)) {
            self.resume_waiting(id, actions);
        }
    }

    /// Lets the listeners of a service go on that waited for one of its programs to end.
    fn resume_waiting(&mut self, service: ServiceId, actions: &mut Vec<Action>) {
        let mut place = 0;
        while let Some(id) = self.services.get(service).and_then(|state| state.listeners.get(place).copied())
        {
            place += 1;
            let phase = self.listeners.get(id).map(|listener| listener.phase);
            if matches!(phase, Some(Phase::Paused(Pause::Limit(Limit::Children, _)))) {
                self.set_phase(id, Phase::Polled, actions);
            }
        }
    }

    /// Offers room that all share to the one who has waited longest for it.
    fn offer_room(&mut self, actions: &mut Vec<Action>) {
        for pool in [Pool::Children, Pool::Sessions] {
            let (running, most) = self.admission.running(pool);
            let queue = if pool == Pool::Children { &mut self.for_child } else { &mut self.for_session };
            if running >= most {
                continue;
            }
            if let Some(next) = queue.offer() {
                self.set_phase(next, Phase::Polled, actions);
                actions.push(Action::Look(next));
            }
        }
    }

    /// A listener that was offered room has taken it, or has nobody who wants it.
    fn answer_offer(&mut self, id: ListenerId) {
        for queue in [&mut self.for_child, &mut self.for_session] {
            queue.answer(id);
        }
    }

    fn opened(&mut self, id: ListenerId, actions: &mut Vec<Action>) {
        let Some(listener) = self.listeners.get_mut(id) else { return };
        if listener.opening.is_failing() {
            actions.push(Action::Log(Log::OpenedAtLast(id)));
        }
        listener.opening.succeed();
        self.set_phase(id, Phase::Polled, actions);
    }

    fn not_opened(&mut self, id: ListenerId, error: OpenError, now: Tick, actions: &mut Vec<Action>) {
        let Some(listener) = self.listeners.get_mut(id) else { return };
        let wait = listener.opening.fail();
        // A cause that lasts is said once; status shows it for as long as it does.
        let is_new = match listener.phase {
            Phase::Closed { error: before, .. } => before != error,
            Phase::Opening => listener.opening.has_just_failed(),
            Phase::Polled | Phase::Paused(_) | Phase::HandedOver(_) => true,
        };
        if is_new {
            actions.push(Action::Log(Log::NotOpened(id, error, wait)));
        }
        self.set_phase(id, Phase::Closed { error, retry_at: now.after(wait) }, actions);
    }

    fn timer_due(&mut self, now: Tick, actions: &mut Vec<Action>) {
        while let Some((at, timer)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Listener(id) => self.wake(id, actions),
                Timer::Session(id) => actions.push(Action::EndSession(id)),
                Timer::Episodes(id) => self.end_episodes(id, now, actions),
                Timer::Registry => self.ask_rpcbind(actions),
                Timer::Lookup(id) => self.looked_up(id, None, None, now, actions),
                Timer::Tables => self.tables_not_read(TOO_LONG.to_owned(), now, actions),
            }
        }
    }

    /// A phase has come to its end.
    fn wake(&mut self, id: ListenerId, actions: &mut Vec<Action>) {
        let Some(listener) = self.listeners.get(id) else { return };
        let service = listener.service;
        match listener.phase {
            Phase::Closed { .. } => actions.push(Action::Open(id)),
            Phase::Paused(Pause::Limit(Limit::Starts, _)) => {
                self.set_phase(id, Phase::Polled, actions);
                self.rest_is_over(service, actions);
            }
            Phase::Paused(_) => self.set_phase(id, Phase::Polled, actions),
            Phase::Opening | Phase::Polled | Phase::HandedOver(_) => {}
        }
    }

    fn retry_all(&mut self, actions: &mut Vec<Action>) {
        let ids: Vec<ListenerId> = self.listeners.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.retry(id, actions);
        }
    }

    /// Does not wait any longer for what waits for time. (What waits for a program to end goes on waiting.)
    fn retry(&mut self, id: ListenerId, actions: &mut Vec<Action>) {
        let Some(listener) = self.listeners.get(id) else { return };
        if listener.phase.deadline().is_some() {
            self.wake(id, actions);
        }
    }

    /// The one place where a listener's phase changes: polling, timers and queues follow it.
    fn set_phase(&mut self, id: ListenerId, phase: Phase, actions: &mut Vec<Action>) {
        let Some(listener) = self.listeners.get_mut(id) else { return };
        let old = std::mem::replace(&mut listener.phase, phase);
        if let Some(at) = old.deadline() {
            self.timers.remove(&(at, Timer::Listener(id)));
        }
        if let Some(at) = phase.deadline() {
            self.timers.insert((at, Timer::Listener(id)));
        }
        if let Some(queue) = self.queue(old) {
            queue.remove(id);
        }
        if let Some(queue) = self.queue(phase) {
            queue.push(id);
        }
        let has_socket = self.listeners.get(id).is_some_and(|listener| listener.has_socket);
        match (old.is_polled(), phase.is_polled()) {
            _ if !has_socket => {}
            (false, true) => actions.push(Action::Poll(id)),
            (true, false) => actions.push(Action::Pause(id)),
            (true, true) | (false, false) => {}
        }
    }

    /// Where a listener in this phase waits for its turn.
    fn queue(&mut self, phase: Phase) -> Option<&mut Queue<ListenerId>> {
        match phase {
            Phase::Paused(Pause::Limit(Limit::Total, _)) => Some(&mut self.for_child),
            Phase::Paused(Pause::Limit(Limit::Sessions, _)) => Some(&mut self.for_session),
            Phase::Paused(_)
            | Phase::Opening
            | Phase::Closed { .. }
            | Phase::Polled
            | Phase::HandedOver(_) => None,
        }
    }

    fn gate_of(&self, id: ListenerId, now: Tick) -> Gate {
        let state = self.listeners.get(id).and_then(|listener| self.services.get(listener.service));
        state.map_or(Gate::Open, |state| {
            self.admission.gate(pool(&state.service.task), &state.service.limits, &state.usage, now)
        })
    }

    fn both(&mut self, id: ListenerId) -> Option<(&mut ListenerState, &mut ServiceState)> {
        let listener = self.listeners.get_mut(id)?;
        let state = self.services.get_mut(listener.service)?;
        Some((listener, state))
    }
}

impl ServiceState {
    /// What it is.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Its listeners; none when it is configured no longer and only its programs are left.
    pub fn listeners(&self) -> &[ListenerId] {
        &self.listeners
    }

    /// Whether it is configured no longer, and nothing of it runs.
    fn is_over(&self) -> bool {
        self.listeners.is_empty() && self.usage.running() == 0
    }

    /// What it has in use.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// What its limits have done; `None` when none was ever met and no start has failed.
    pub fn episodes(&self) -> Option<&Episodes> {
        self.troubles.as_ref().map(|troubles| &troubles.episodes)
    }

    /// Its failed starts; `None` as above.
    pub fn failures(&self) -> Option<&Failures> {
        self.troubles.as_ref().map(|troubles| &troubles.failures)
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether it is logged that somebody is served.
    fn logs_start(&self, settings: &Settings) -> bool {
        let policy = self.service.policy.as_ref();
        settings.log_connections || policy.is_some_and(|policy| policy.log.success.logs_start())
    }

    /// Whether it is logged that somebody was served.
    fn logs_end(&self, settings: &Settings) -> bool {
        settings.log_connections || self.policy_logs_end()
    }

    fn policy_logs_end(&self) -> bool {
        self.service.policy.as_ref().is_some_and(|policy| policy.log.success.logs_end())
    }

    /// Whether it is logged how many bytes a redirect has passed on.
    fn logs_traffic(&self, settings: &Settings) -> bool {
        let policy = self.service.policy.as_ref();
        settings.log_connections || policy.is_some_and(|policy| policy.log.success.traffic)
    }

    fn troubles(&mut self) -> &mut Troubles {
        self.troubles.get_or_insert_default()
    }
}

/// The port that FTP servers call back from: a caller from there was sent by somebody else.
const FTP_DATA: u16 = 20;

fn pool(task: &Task) -> Pool {
    match task {
        Task::Builtin(builtin) if builtin.is_momentary() => Pool::Moments,
        Task::Builtin(_) | Task::Redirect(_) => Pool::Sessions,
        Task::Program(_) => Pool::Children,
    }
}

/// What a granted start was counted as.
fn claim(start: &Start, task: &Task) -> Claim {
    Claim { pool: pool(task), service: start.service, source: start.source() }
}

/// The same, of a program.
fn program_claim(start: &Start) -> Claim {
    Claim { pool: Pool::Children, service: start.service, source: start.source() }
}

fn turn_away(listener: ListenerId, handed: Handed) -> Action {
    match handed {
        Handed::Connection(connection) => Action::Refuse(connection),
        Handed::DatagramPeer | Handed::Listener => Action::Skip(listener),
    }
}
