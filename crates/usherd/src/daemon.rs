//! The event loop: what happens becomes an event, what the core wants done is done.
//!
//! One thread, one epoll. Nothing here waits for anybody: not for a caller, a child, the loader, the log, or a client
//! of the control socket. Nothing here decides: that is the core's, `usherd_model::supervisor`, and, for what ends a
//! daemon before it serves, `usherd_model::first_load`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::net::{SendFlags, getsockname, send};
use usherd_model::access::{self, Endpoint};
use usherd_model::children::{Pid, SessionId};
use usherd_model::diagnostic::{Report, Severity};
use usherd_model::event::{
    AcceptError, Action, ConnectionId, Ending, Errand, Event, Exit, Handed, IDLE, Log, NotStarted, Start,
};
use usherd_model::failure::Errno;
use usherd_model::first_load::{self, Failure, Insistence, Stage};
use usherd_model::lookups::Question;
use usherd_model::registry::Tidings;
use usherd_model::service::{Builtin, CallerVariables, Service, SocketKind, Stderr, Targets};
use usherd_model::slots::{Key, Slots};
use usherd_model::status::{self, Snapshot};
use usherd_model::supervisor::{ListenerId, LookupId, ServiceId, Settings, Supervisor};
use usherd_model::time::Tick;
use usherd_sys::child::FAILED;
use usherd_sys::signal::{Signal, SignalFd};
use usherd_sys::spawn::{Failed, Given, Spawner};

use crate::builtins::{self, Datagrams, Rules, Sessions};
use crate::control::{self, ClientId, Control};
use crate::descriptors::{LowNumbers, Reserve};
use crate::endpoints::endpoints;
use crate::errno::{self, from_io, from_rustix, is_exhaustion};
use crate::helper::{Ended, Progress};
use crate::listeners::{Listeners, SplitError};
use crate::loader::Loader;
use crate::log::{Level, Logger, Record, describe, describe_more};
use crate::message::{Reply, Told};
use crate::notify::ServiceManager;
use crate::poller::{Poller, Token};
use crate::programs::{CallerValues, MOST_VALUES, Programs, failed_step};
use crate::reap::Reaper;
use crate::redirect::{News, Redirects, Which};
use crate::registrar::Registrar;
use crate::resolver::{Heard, Resolver};
use crate::state_text::state_text;
use crate::stderr_log::{self, PipeId, StderrLog};
use crate::tables::{Stamped, Stamps, TableReader};
use crate::{circumstances, clock, descriptors, effects, ip_options, server_list, state_dump};

/// Called once, when all is open for the first time.
pub type OnReady = Box<dyn FnOnce(&Supervisor)>;

/// What a daemon is made of at start; see `startup`.
pub struct Parts {
    /// How it behaves.
    pub settings: Settings,
    /// Where its configuration comes from.
    pub loader: Loader,
    /// Where hosts.allow and hosts.deny come from.
    pub table_reader: TableReader,
    /// Starts children.
    pub spawner: Spawner,
    /// Makes programs ready.
    pub programs: Programs,
    /// Whether it serves what can be served, or all or nothing.
    pub insistence: Insistence,
    /// Speaks.
    pub logger: Logger,
    /// Hears signals.
    pub signals: SignalFd,
    /// Is asked.
    pub control: Option<Control>,
    /// Is told.
    pub manager: ServiceManager,
    /// What happens when all is open for the first time.
    pub on_ready: OnReady,
}

/// A daemon.
pub struct Daemon {
    supervisor: Supervisor,
    poller: Poller,
    listeners: Listeners,
    programs: Programs,
    spawner: Spawner,
    reaper: Reaper,
    sessions: Sessions,
    redirects: Redirects,
    datagrams: Datagrams,
    stderr_log: StderrLog,
    loader: Loader,
    registrar: Registrar,
    table_reader: TableReader,
    /// What the files of hosts.allow and hosts.deny were when they were read.
    stamps: Stamps,
    resolver: Resolver,
    /// Whether there was a load whose memory was not given back yet.
    has_loaded: bool,
    control: Option<Control>,
    manager: ServiceManager,
    logger: Logger,
    signals: SignalFd,
    on_ready: Option<OnReady>,
    /// Connections that the core has not decided about.
    pending: Slots<OwnedFd>,
    reserve: Reserve,
    events: VecDeque<Event>,
    actions: Vec<Action>,
    ended: Vec<(Pid, Exit)>,
    news: Vec<News>,
    diagnostics: Vec<String>,
    /// Our process number. Each caller of whom the tables are asked needs it.
    pid: u32,
    began: Tick,
    now: Tick,
    ending: bool,
    /// Why the daemon cannot start, found with the first load.
    failure: Option<Failure>,
    insistence: Insistence,
}

/// With children that have not left our descriptor table, the loop looks again so soon.
const SETTLE: Duration = Duration::from_millis(1);

/// Findings of one load that are logged and kept for status. Somebody who names a wrong file gets the idea.
const FINDINGS: usize = 200;

/// Log lines that could not be written are tried again so soon.
const LOG_AGAIN: Duration = Duration::from_millis(20);

/// The end waits so often, [`SETTLE`] each time, for children that are not yet their programs.
const LAST_WAITS: u32 = 100;

/// What a rule wants done is more than a program can be told.
const TOO_LARGE: NotStarted = NotStarted::Failed(Errno(rustix::io::Errno::TOOBIG.raw_os_error()));

/// How long the loop sleeps when even waiting fails.
const WAIT_ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Actions and events that one event makes, outside of loads.
const USUAL: usize = 64;

impl Daemon {
    /// Puts a daemon together.
    pub fn new(parts: Parts) -> rustix::io::Result<Self> {
        let Parts {
            settings,
            loader,
            table_reader,
            spawner,
            programs,
            insistence,
            logger,
            signals,
            control,
            manager,
            on_ready,
        } = parts;
        let poller = Poller::new()?;
        poller.add(&signals, Token::Signals, EventFlags::IN)?;
        if let Some(control) = &control {
            poller.add(control.socket(), Token::Control, EventFlags::IN)?;
        }
        let now = clock::now();
        Ok(Self {
            supervisor: Supervisor::new(settings),
            poller,
            listeners: Listeners::default(),
            programs,
            spawner,
            reaper: Reaper::default(),
            sessions: Sessions::default(),
            redirects: Redirects::default(),
            datagrams: Datagrams::default(),
            stderr_log: StderrLog::default(),
            loader,
            registrar: Registrar::new(),
            table_reader,
            stamps: Stamps::default(),
            resolver: Resolver::new(),
            has_loaded: false,
            control,
            manager,
            logger,
            signals,
            on_ready: Some(on_ready),
            pending: Slots::default(),
            reserve: Reserve::default(),
            events: VecDeque::new(),
            actions: Vec::new(),
            ended: Vec::new(),
            news: Vec::new(),
            diagnostics: Vec::new(),
            pid: std::process::id(),
            began: now,
            now,
            ending: false,
            failure: None,
            insistence,
        })
    }

    /// Serves until it is told to end.
    ///
    /// # Errors
    ///
    /// Why it cannot start. Once it serves there is none.
    pub fn run(mut self) -> Result<(), Failure> {
        self.raise(Event::ReloadRequested);
        while !self.ending {
            if self.has_loaded && self.loader.helper.process().is_none() {
                self.forget_the_load();
            }
            let timeout = self.timeout();
            if self.poller.wait(timeout).is_err() {
                // Memory for a moment: nothing is lost, what has happened is still there the next time.
                std::thread::sleep(WAIT_ERROR_PAUSE);
            }
            self.now = clock::now();
            self.stderr_log.begin_turn();
            for index in 0..self.poller.len() {
                if let Some((token, ready)) = self.poller.event(index) {
                    self.dispatch(token, ready);
                }
            }
            self.redirect_on();
            self.look_at_the_clock();
        }
        self.finish();
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// What a load needed, of thousands of services and once in a while, is not needed for one caller.
    fn forget_the_load(&mut self) {
        self.has_loaded = false;
        self.actions.shrink_to(USUAL);
        self.events.shrink_to(USUAL);
        usherd_sys::process::trim_heap();
        usherd_sys::process::forget_text();
    }

    fn timeout(&mut self) -> Option<Duration> {
        if self.redirects.has_work() {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.supervisor.next_deadline(),
            self.loader.helper.deadline(),
            self.registrar.helper.deadline(),
            self.table_reader.helper.deadline(),
            self.manager.deadline(),
            self.control.as_ref().and_then(Control::deadline),
            self.reaper.deadline(),
            self.redirects.deadline(),
        ];
        let next = deadlines.into_iter().flatten().min().map(|next| next.since(self.now));
        let settle = if self.spawner.settle() { Some(SETTLE) } else { None };
        let log = if self.logger.is_behind() { Some(LOG_AGAIN) } else { None };
        next.into_iter().chain(settle).chain(log).min()
    }

    fn look_at_the_clock(&mut self) {
        if self.reaper.deadline().is_some_and(|deadline| deadline <= self.now) {
            let now = self.now;
            self.reap(|reaper, ended| reaper.sweep_old(now, |pid, exit| ended.push((pid, exit))));
        }
        if self.supervisor.next_deadline().is_some_and(|next| next <= self.now) {
            self.raise(Event::TimerDue);
        }
        let progress = self.loader.helper.expire(self.now);
        self.go_on_loading(progress);
        let progress = self.registrar.helper.expire(self.now);
        self.go_on_registering(progress);
        let progress = self.table_reader.helper.expire(self.now);
        self.go_on_reading_tables(progress);
        while let Some(client) = self.control.as_mut().and_then(|control| control.expire(self.now)) {
            self.forget(client);
        }
        self.manager.keep_alive(self.now);
        self.logger.flush();
        self.reserve.fill();
    }

    fn dispatch(&mut self, token: Token, ready: EventFlags) {
        match token {
            Token::Signals => self.read_signals(),
            Token::Listener(listener) => self.called(listener),
            Token::Session(session) => self.proceed(session, ready),
            Token::RedirectCaller(session) => self.redirects.note(session, Which::Caller, ready),
            Token::RedirectTarget(session) => self.redirects.note(session, Which::Target, ready),
            Token::Loader => self.read_loader(),
            Token::Registrar => self.read_registrar(),
            Token::Tables => self.read_tables(),
            Token::Resolver => self.read_resolver(),
            Token::Stderr(pipe) => self.read_stderr(pipe),
            Token::Control => self.accept_client(),
            Token::Client(client) => self.converse(client),
        }
    }

    /// Hands an event to the core and does what it wants done, until nothing is left.
    fn raise(&mut self, event: Event) {
        self.events.push_back(event);
        self.raise_pending();
    }

    fn raise_pending(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        while let Some(event) = self.events.pop_front() {
            self.supervisor.handle(event, self.now, &mut actions);
            for action in actions.drain(..) {
                self.perform(action);
            }
        }
        self.actions = actions;
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Look(listener) => {
                let readable = self.listeners.is_readable(listener);
                let event = if readable { Event::Readable(listener) } else { Event::Silent(listener) };
                self.events.push_back(event);
            }
            Action::Accept(listener) => self.accept(listener),
            Action::PeekDatagram(listener) => {
                let event = match self.listeners.peek(listener) {
                    Ok(peer) => Event::DatagramFrom { listener, peer },
                    Err(error) => Event::AcceptFailed(listener, error),
                };
                self.events.push_back(event);
            }
            Action::Start(start) => {
                let event = self.start(start, None);
                self.events.push_back(event);
            }
            Action::StartAfter(start, errand) => {
                let event = self.start(start, Some(&errand));
                self.events.push_back(event);
            }
            Action::Examine(start) => self.examine(start),
            Action::ReadTables => self.start_reading_tables(),
            Action::LookUp(id, question) => self.look_up(id, question),
            Action::Serve { session, service, builtin, connection } => {
                self.serve(session, service, builtin, connection);
            }
            Action::Redirect { session, targets, connection, .. } => {
                self.redirect(session, targets, connection);
            }
            Action::EndIdleSession(service) => self.end_idle_session(service),
            Action::EndSession(session) => self.end_session(session),
            Action::Say(connection, words) => self.say(connection, &words),
            Action::Refuse(connection) => drop(self.take(connection)),
            Action::Skip(listener) => {
                if let Some(spec) = self.supervisor.spec(listener) {
                    self.listeners.skip(listener, spec.key.kind);
                }
            }
            Action::Open(listener) => self.open(listener),
            Action::Adjust(listener) => self.adjust(listener),
            Action::Close(listener) => {
                self.pause(listener);
                self.listeners.close(listener);
            }
            Action::Poll(listener) => self.poll(listener),
            Action::Pause(listener) => self.pause(listener),
            Action::Prepare(service) => self.prepare(service),
            Action::Discard(service) => self.programs.discard(service),
            Action::Load => self.load(),
            Action::Register(tidings) => self.register(tidings),
            Action::Ready => self.ready(),
            Action::Exit => self.ending = true,
            Action::Log(log) => self.log(&log),
        }
    }

    fn log(&mut self, log: &Log) {
        self.logger.log(&describe(log, &self.supervisor));
        if self.logger.speaks_as_original()
            && let Some(more) = describe_more(log, &self.supervisor)
        {
            self.logger.log(&more);
        }
    }

    // Callers.

    fn called(&mut self, listener: ListenerId) {
        let Some(kind) = self.supervisor.spec(listener).map(|spec| spec.key.kind) else { return };
        if self.supervisor.wants_circumstances(listener) {
            self.events.push_back(Event::Observed(circumstances::now()));
        }
        let builtin = self.supervisor.service_of(listener).and_then(|service| service.datagram_builtin(kind));
        match builtin {
            Some(builtin) => self.answer_datagrams(listener, builtin),
            None => self.raise(Event::Readable(listener)),
        }
    }

    fn answer_datagrams(&mut self, listener: ListenerId, builtin: Builtin) {
        self.raise_pending();
        let service = self.supervisor.service_of(listener);
        let wrapped = service.and_then(|service| service.wrapped.as_deref()).cloned();
        let is_guarded = service.is_some_and(|service| service.policy.is_some());
        if wrapped.is_some() && !self.stamps.are_current() && !self.table_reader.helper.is_running() {
            self.start_reading_tables();
            self.raise_pending();
        }
        let Some(socket) = self.listeners.socket(listener) else { return };
        let supervisor = &self.supervisor;
        let is_current = self.stamps.are_current();
        let now = self.now;
        let lets_in = |source| {
            if !supervisor.admits_datagram(listener, source, now) {
                return false;
            }
            let Some(wrapped) = &wrapped else { return true };
            if !is_current {
                return false;
            }
            let (client, server) = endpoints(socket, Some(source));
            let request = access::Request {
                is_datagram: true,
                is_resident: true,
                ..access::Request::new(&wrapped.daemon, client, server)
            };
            supervisor.lets_datagram_in(&request)
        };
        let rules = Rules {
            is_builtin_port: &|port| supervisor.is_builtin_port(port),
            lets_in: if wrapped.is_some() || is_guarded { Some(&lets_in) } else { None },
        };
        let (loops, denied) = self.datagrams.serve(builtin, socket, rules);
        if let Some(dropped) = loops {
            self.raise(Event::LoopsDropped(listener, dropped.count, dropped.source));
        }
        if let Some(dropped) = denied {
            self.raise(Event::DatagramsDenied(listener, dropped.count, dropped.source));
        }
    }

    fn accept(&mut self, listener: ListenerId) {
        if !self.spawner.has_room() {
            self.events.push_back(Event::AcceptFailed(listener, AcceptError::Busy));
            return;
        }
        let mut accepted = self.listeners.accept(listener);
        let is_program = || self.supervisor.service_of(listener).and_then(Service::program).is_some();
        if matches!(accepted, Err(AcceptError::Exhausted(_))) && is_program() {
            // On its way to a program a connection is ours for a moment only: it has that of the reserve.
            self.reserve.release();
            accepted = self.listeners.accept(listener);
            self.reserve.fill();
        }
        let event = match accepted {
            Ok((connection, peer)) => {
                let connection = connection_id(self.pending.insert(connection));
                Event::Accepted { listener, connection, peer }
            }
            Err(error) => Event::AcceptFailed(listener, error),
        };
        self.events.push_back(event);
    }

    fn take(&mut self, connection: ConnectionId) -> Option<OwnedFd> {
        self.pending.remove(pending_key(connection))
    }

    // Programs.

    fn start(&mut self, start: Start, errand: Option<&Errand>) -> Event {
        match self.try_start(start, errand) {
            Ok(pid) => {
                self.reaper.watch(pid, self.now);
                Event::Started(start, pid)
            }
            Err(error) => Event::NotStarted(start, error),
        }
    }

    fn try_start(&mut self, start: Start, errand: Option<&Errand>) -> Result<Pid, NotStarted> {
        let taken = match start.handed {
            // It is taken first: whatever becomes of the start, nobody else closes it.
            Handed::Connection(connection) => {
                let connection = self.take(connection).ok_or(NotStarted::Nobody)?;
                self.need_room()?;
                Some(connection)
            }
            Handed::Listener => {
                self.need_room()?;
                None
            }
            Handed::DatagramPeer => {
                self.need_room()?;
                Some(self.split(start.listener)?)
            }
        };
        if self.programs.get(start.service).is_none() {
            self.prepare(start.service);
        }
        let no_pipe = NotStarted::Exhausted(from_rustix(rustix::io::Errno::MFILE));
        let program = self.programs.get(start.service).ok_or(no_pipe)?;
        let connection = taken.as_ref().filter(|_| matches!(start.handed, Handed::Connection(_)));
        let values = caller_values(program.variables, connection, start.peer);
        let mut variables = [(c"", &[] as &[u8]); MOST_VALUES];
        let mut count = 0;
        for (place, pair) in variables.iter_mut().zip(values.iter().flat_map(CallerValues::pairs)) {
            *place = pair;
            count += 1;
        }
        let variables = &variables[..count];
        let table = descriptors::table(self.long_lived());
        let stderr = program.stderr.clone();
        let handed = match taken {
            Some(taken) => Given::Away(taken),
            None => Given::Lent(self.listeners.lend(start.listener).ok_or(NotStarted::Nobody)?),
        };
        let plan = match errand {
            None => Arc::clone(&program.plan),
            Some(errand) => {
                let service = self.supervisor.service(start.service).ok_or(NotStarted::Nobody)?.service();
                effects::plan(&program.plan, service, errand).ok_or(TOO_LARGE)?
            }
        };
        match self.spawner.spawn(&plan, handed, stderr, variables, table) {
            Ok(pid) => Ok(Pid(pid)),
            Err(error) if is_exhaustion(from_io(&error)) => Err(NotStarted::Exhausted(from_io(&error))),
            Err(error) => Err(NotStarted::Failed(from_io(&error))),
        }
    }

    /// Finds out who calls and what was called, for hosts.allow and hosts.deny.
    fn examine(&mut self, start: Start) {
        let Some(service) = self.supervisor.service_of(start.listener) else { return };
        let socket = match start.handed {
            Handed::Connection(connection) => self.pending.get(pending_key(connection)).map(OwnedFd::as_fd),
            Handed::DatagramPeer | Handed::Listener => self.listeners.socket(start.listener),
        };
        // As tcpd does before it asks: no rule can tell anything from an address that answers do not go to.
        if service.wrapped.is_some()
            && matches!(start.handed, Handed::Connection(_))
            && start.source().is_some_and(|source| source.to_canonical().is_ipv4())
            && let Some(options) = socket.and_then(ip_options::take)
        {
            let refuses = options.refuses();
            self.events.push_back(Event::HasIpOptions(start, options));
            if refuses {
                return;
            }
        }
        let has_connections =
            self.supervisor.spec(start.listener).is_some_and(|spec| spec.key.kind.has_connections());
        let (client, server) = match socket {
            Some(socket) => endpoints(socket, start.peer),
            None => (Endpoint::unknown(), Endpoint::unknown()),
        };
        let request = access::Request {
            is_datagram: !has_connections,
            is_resident: service.program().is_none(),
            pid: self.pid,
            ..access::Request::new(service.daemon(), client, server)
        };
        let is_current = self.stamps.are_current();
        self.events.push_back(Event::Examined(start, Box::new(request), is_current));
    }

    fn need_room(&mut self) -> Result<(), NotStarted> {
        if self.spawner.has_room() { Ok(()) } else { Err(NotStarted::Busy) }
    }

    /// Descriptors that stay, as far as their number grows.
    fn long_lived(&self) -> usize {
        self.listeners.count() + self.sessions.count() + self.redirects.descriptors()
    }

    /// The socket for the sender of the next datagram; the listener goes on with another one.
    fn split(&mut self, listener: ListenerId) -> Result<OwnedFd, NotStarted> {
        let Some(spec) = self.supervisor.spec(listener) else { return Err(NotStarted::Nobody) };
        let Some(service) = self.supervisor.service_of(listener) else { return Err(NotStarted::Nobody) };
        self.pause(listener);
        let split = self.listeners.split(listener, spec, &service.task);
        // Whatever came of it, the listener's socket, old or new, is looked at.
        if let Some(socket) = self.listeners.socket(listener)
            && let Err(error) = self.poller.add(socket, Token::Listener(listener), EventFlags::IN)
        {
            return Err(not_started(error));
        }
        match split {
            Ok(socket) => Ok(socket),
            Err(SplitError::Nobody) => {
                self.listeners.skip(listener, SocketKind::Datagram);
                Err(NotStarted::Nobody)
            }
            Err(SplitError::Refused(error)) if is_exhaustion(error.errno) => {
                Err(NotStarted::Exhausted(error.errno))
            }
            Err(SplitError::Refused(error)) => Err(NotStarted::Failed(error.errno)),
        }
    }

    fn prepare(&mut self, id: ServiceId) {
        let Some(state) = self.supervisor.service(id) else { return };
        let Some(program) = state.service().program() else {
            self.programs.discard(id);
            return;
        };
        let program = program.clone();
        let stderr = match program.stderr {
            Stderr::Connection => None,
            Stderr::Log => match self.programs.take_stderr(id).map_or_else(|| self.open_stderr(id), Ok) {
                Ok(pipe) => Some(pipe),
                // It is tried again with the next start.
                Err(error) => {
                    let text = format!("no pipe for the standard error: {error}");
                    self.logger.log(&Record::new(Level::Error, "prepare-failed", text));
                    // Rather no program than one that the configuration does not mean any more.
                    self.programs.discard(id);
                    return;
                }
            },
        };
        self.programs.prepare(id, &program, stderr);
    }

    fn open_stderr(&mut self, id: ServiceId) -> rustix::io::Result<Arc<OwnedFd>> {
        let (pipe, write) = self.stderr_log.open(id)?;
        if let Some(read) = self.stderr_log.pipe(pipe)
            && let Err(error) = self.poller.add(read, Token::Stderr(pipe), EventFlags::IN)
        {
            self.stderr_log.close(pipe);
            return Err(error);
        }
        Ok(Arc::new(write))
    }

    fn read_stderr(&mut self, pipe: PipeId) {
        let (logger, supervisor) = (&mut self.logger, &self.supervisor);
        let progress =
            self.stderr_log.read(pipe, |service, line| log_stderr(logger, supervisor, service, line));
        if progress == stderr_log::Progress::Ended {
            if let Some(read) = self.stderr_log.pipe(pipe) {
                self.poller.remove(read);
            }
            self.stderr_log.close(pipe);
        }
    }

    /// A program has ended, and with it the last line that it wrote.
    fn end_stderr_line(&mut self, pid: Pid) {
        if !self.stderr_log.is_used() {
            return;
        }
        let (logger, supervisor) = (&mut self.logger, &self.supervisor);
        if let Some(child) = supervisor.children().get(pid) {
            self.stderr_log.ended(child.claim.service, |service, line| {
                log_stderr(logger, supervisor, service, line);
            });
        }
    }

    // Children.

    fn read_signals(&mut self) {
        let mut sweep = false;
        for signal in self.signals.read().iter() {
            match signal {
                Signal::CHLD => sweep = true,
                // The second is xinetd's.
                Signal::HUP | Signal::USR2 => {
                    self.logger.reopen();
                    self.logger.log_for_xinetd(Level::Notice, "Starting reconfiguration");
                    self.raise(Event::ReloadRequested);
                }
                Signal::TERM | Signal::INT | Signal::QUIT => self.raise(Event::StopRequested),
                Signal::USR1 => self.dump_state(),
                Signal::ALRM => self.raise(Event::RetryRequested),
                // Means nothing to us, and must not end us.
                Signal(_) => {}
            }
        }
        if sweep {
            let now = self.now;
            self.reap(|reaper, ended| reaper.sweep(now, |pid, exit| ended.push((pid, exit))));
        }
    }

    fn reap(&mut self, sweep: impl FnOnce(&mut Reaper, &mut Vec<(Pid, Exit)>)) {
        let mut ended = std::mem::take(&mut self.ended);
        sweep(&mut self.reaper, &mut ended);
        for (pid, exit) in ended.drain(..) {
            self.child_ended(pid, exit);
        }
        self.ended = ended;
    }

    fn child_ended(&mut self, pid: Pid, exit: Exit) {
        // Taken for every child: what stays would be told of a later one with the same number.
        let failed = self.spawner.take_failure(pid.0).filter(|_| exit == Exit::Status(FAILED));
        if self.loader.helper.reaped(pid) {
            if let Some(failed) = failed {
                self.stop_loader();
                self.load_failed(no_helper("loader", failed));
            }
            return;
        }
        if self.table_reader.helper.reaped(pid) {
            if let Some(failed) = failed {
                self.stop_table_reader();
                self.raise(Event::TablesNotRead(no_helper("table reader", failed)));
            }
            return;
        }
        if self.resolver.reaped(pid) {
            if let Some(failed) = failed {
                self.say_no_resolver(&no_helper("helper", failed));
            }
            return;
        }
        if self.registrar.helper.reaped(pid) {
            if let Some(failed) = failed {
                self.stop_registrar();
                self.raise(Event::NotRegistered(no_helper("helper", failed)));
            }
            return;
        }
        self.end_stderr_line(pid);
        let failure = failed.map(|failed| (failed_step(failed.step), Errno(failed.errno)));
        self.raise(Event::Ended(pid, exit, failure));
    }

    /// Closes a descriptor that is polled. A child that is not yet its program has a copy, and for as long epoll would
    /// go on looking at what it is of: then closing is not enough.
    fn forget(&self, fd: OwnedFd) {
        if self.spawner.is_busy() {
            self.poller.remove(&fd);
        }
    }

    // Built-in sessions.

    fn serve(&mut self, session: SessionId, service: ServiceId, builtin: Builtin, connection: ConnectionId) {
        let over = Event::SessionEnded(session);
        let Some(connection) = self.take(connection) else {
            self.events.push_back(over);
            return;
        };
        let Some(flags) = self.sessions.begin(session, builtin, connection, service, self.now) else {
            self.events.push_back(over);
            return;
        };
        let added = match self.sessions.connection(session) {
            Some(connection) => self.poller.add(connection, Token::Session(session), flags),
            None => Ok(()),
        };
        if added.is_err() {
            self.sessions.end(session);
            self.events.push_back(over);
        }
    }

    fn proceed(&mut self, session: SessionId, ready: EventFlags) {
        let mut progress = self.sessions.proceed(session, ready, self.now);
        if let Some(builtins::Progress::Wants(page)) = progress {
            let text = server_list::text(page, &self.supervisor, self.now);
            progress = self.sessions.tell(session, text);
        }
        match progress {
            None | Some(builtins::Progress::Waits | builtins::Progress::Wants(_)) => {}
            Some(builtins::Progress::Over(connection)) => {
                self.forget(connection);
                self.raise(Event::SessionEnded(session));
            }
            Some(builtins::Progress::Asked(connection, request)) => {
                self.poller.remove(&connection);
                let connection = connection_id(self.pending.insert(connection));
                self.raise(Event::Asked { session, connection, request });
            }
            Some(builtins::Progress::Changed(flags)) => {
                if let Some(connection) = self.sessions.connection(session) {
                    // It is in the poller already: changing its flags needs no memory.
                    let _ = self.poller.change(connection, Token::Session(session), flags);
                }
            }
        }
    }

    fn end_session(&mut self, session: SessionId) {
        if let Some(connection) = self.sessions.end(session) {
            self.forget(connection);
            self.events.push_back(Event::SessionEnded(session));
        } else if let Some(news) = self.redirects.end(session, Ending::Stopped) {
            self.take_news(news);
        }
    }

    fn end_idle_session(&mut self, service: Option<ServiceId>) {
        let silent = self.sessions.most_silent(service).filter(|(_, since)| self.now.since(*since) >= IDLE);
        if let Some((session, _)) = silent {
            self.end_session(session);
        }
    }

    // Sessions of redirects.

    fn redirect(&mut self, session: SessionId, targets: Targets, connection: ConnectionId) {
        let Some(caller) = self.take(connection) else {
            self.events.push_back(Event::SessionEnded(session));
            return;
        };
        if let Some(news) = self.redirects.begin(session, caller, targets, &self.poller, self.now) {
            self.take_news(news);
        }
    }

    /// Lets sessions of redirects do what they can do now.
    fn redirect_on(&mut self) {
        let mut all = std::mem::take(&mut self.news);
        self.redirects.work(&self.poller, self.now, &mut all);
        self.redirects.expire(&self.poller, self.now, &mut all);
        for news in all.drain(..) {
            self.take_news(news);
        }
        self.news = all;
        self.raise_pending();
    }

    fn take_news(&mut self, news: News) {
        for socket in news.closed.into_iter().flatten() {
            self.forget(socket);
        }
        self.events.push_back(news.event);
    }

    fn say(&self, connection: ConnectionId, words: &[u8]) {
        if let Some(connection) = self.pending.get(pending_key(connection)) {
            // Whoever does not read it is closed or served all the same.
            let _ = send(connection, words, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
    }

    // Listeners.

    fn open(&mut self, id: ListenerId) {
        let Some(spec) = self.supervisor.spec(id) else { return };
        let Some(service) = self.supervisor.service_of(id) else { return };
        let event = match self.listeners.open(id, spec, &service.task) {
            Ok(None) => Event::Opened(id),
            Ok(Some(port)) => Event::Bound(id, port),
            Err(error) => Event::NotOpened(id, error),
        };
        self.events.push_back(event);
    }

    fn adjust(&mut self, id: ListenerId) {
        let Some(spec) = self.supervisor.spec(id) else { return };
        let Some(service) = self.supervisor.service_of(id) else { return };
        if let Err(error) = self.listeners.adjust(id, spec, &service.task) {
            let text = format!("{}: {}: {}", service.label(spec), error.call, errno::words(error.errno));
            self.logger.log(&Record::new(Level::Error, "adjust-failed", text));
        }
    }

    fn poll(&mut self, id: ListenerId) {
        let Some(socket) = self.listeners.socket(id) else { return };
        if let Err(error) = self.poller.add(socket, Token::Listener(id), EventFlags::IN) {
            self.events.push_back(Event::AcceptFailed(id, AcceptError::Exhausted(from_rustix(error))));
        }
    }

    fn pause(&self, id: ListenerId) {
        if let Some(socket) = self.listeners.socket(id) {
            self.poller.remove(socket);
        }
    }

    // The configuration.

    fn load(&mut self) {
        self.manager.reloading();
        self.stop_loader();
        let table = descriptors::table(self.long_lived());
        self.reserve.release();
        let started = self.loader.start(&mut self.spawner, table, self.now);
        match started {
            Ok(pid) => {
                self.reaper.watch(pid, self.now);
                let added = self
                    .loader
                    .helper
                    .reply()
                    .map(|reply| self.poller.add(reply, Token::Loader, EventFlags::IN));
                if let Some(Err(error)) = added {
                    self.stop_loader();
                    self.load_failed(format!("epoll: {error}"));
                }
            }
            Err(why) => self.load_failed(why),
        }
    }

    fn read_loader(&mut self) {
        let progress = self.loader.helper.read();
        self.go_on_loading(progress);
    }

    fn go_on_loading(&mut self, progress: Progress<Reply>) {
        let process = self.loader.helper.process();
        match self.answer("loader", process, progress) {
            None => {}
            Some(Ok(reply)) => self.loaded(*reply),
            Some(Err(why)) => self.load_failed(why),
        }
    }

    fn stop_loader(&mut self) {
        if let Some(pipe) = self.loader.helper.stop() {
            self.forget(pipe);
        }
    }

    fn register(&mut self, tidings: Tidings) {
        if let Err(why) = self.try_register(tidings) {
            self.events.push_back(Event::NotRegistered(why));
        }
    }

    fn try_register(&mut self, tidings: Tidings) -> Result<(), String> {
        self.stop_registrar();
        let table = descriptors::table(self.long_lived());
        self.reserve.release();
        let pid = self.registrar.start(tidings, &mut self.spawner, table, self.now)?;
        self.reaper.watch(pid, self.now);
        let Some(reply) = self.registrar.helper.reply() else { return Ok(()) };
        if let Err(error) = self.poller.add(reply, Token::Registrar, EventFlags::IN) {
            self.stop_registrar();
            return Err(format!("epoll: {error}"));
        }
        Ok(())
    }

    fn read_registrar(&mut self) {
        let progress = self.registrar.helper.read();
        self.go_on_registering(progress);
    }

    fn go_on_registering(&mut self, progress: Progress<Told>) {
        let process = self.registrar.helper.process();
        match self.answer("helper", process, progress).map(|told| told.and_then(|told| *told)) {
            None => {}
            Some(Ok(refused)) => self.raise(Event::Registered(refused)),
            Some(Err(why)) => self.raise(Event::NotRegistered(why)),
        }
    }

    fn start_reading_tables(&mut self) {
        if let Err(why) = self.try_reading_tables() {
            self.events.push_back(Event::TablesNotRead(why));
        }
    }

    fn try_reading_tables(&mut self) -> Result<(), String> {
        self.stop_table_reader();
        let table = descriptors::table(self.long_lived());
        self.reserve.release();
        let pid = self.table_reader.start(&mut self.spawner, table, self.now)?;
        self.reaper.watch(pid, self.now);
        let Some(reply) = self.table_reader.helper.reply() else { return Ok(()) };
        if let Err(error) = self.poller.add(reply, Token::Tables, EventFlags::IN) {
            self.stop_table_reader();
            return Err(format!("epoll: {error}"));
        }
        Ok(())
    }

    fn read_tables(&mut self) {
        let progress = self.table_reader.helper.read();
        self.go_on_reading_tables(progress);
    }

    fn go_on_reading_tables(&mut self, progress: Progress<Stamped>) {
        let process = self.table_reader.helper.process();
        match self.answer("table reader", process, progress) {
            None => {}
            Some(Ok(stamped)) => {
                let Stamped { tables, stamps } = *stamped;
                self.stamps = stamps;
                self.raise(Event::TablesRead(Box::new(tables)));
            }
            Some(Err(why)) => self.raise(Event::TablesNotRead(why)),
        }
    }

    fn look_up(&mut self, id: LookupId, question: Question) {
        if self.resolver.needs_helper() && !self.start_resolver() || !self.resolver.ask(id, question) {
            self.events.push_back(Event::LookedUp(id, None, None));
        }
    }

    fn start_resolver(&mut self) -> bool {
        let table = descriptors::table(self.long_lived());
        match self.resolver.start(&mut self.spawner, table) {
            Ok(pid) => {
                self.reaper.watch(pid, self.now);
                let socket = self.resolver.socket();
                let added = socket.map(|socket| self.poller.add(socket, Token::Resolver, EventFlags::IN));
                let is_polled = matches!(added, Some(Ok(())));
                if !is_polled {
                    self.resolver.stop();
                }
                is_polled
            }
            Err(error) => {
                self.say_no_resolver(&errno::words(from_io(&error)));
                false
            }
        }
    }

    fn say_no_resolver(&mut self, why: &str) {
        let text = format!("no helper to look names up: {why}");
        self.logger.log(&Record::new(Level::Error, "no-resolver", text));
    }

    fn read_resolver(&mut self) {
        loop {
            match self.resolver.read() {
                Heard::Nothing => return,
                Heard::Again => {}
                Heard::Missing(what) => {
                    let text = format!("the helper that looks names up does without {what}");
                    self.logger.log(&Record::new(Level::Warning, "resolver", text));
                }
                Heard::Refused(why) => self.say_no_resolver(&why),
                Heard::Answer(id, answer) => {
                    self.raise(Event::LookedUp(id, answer.found, answer.remark));
                }
                Heard::Gone { socket, again, lost } => {
                    self.forget(socket);
                    for (id, question) in again {
                        if self.supervisor.is_looking_up(id) {
                            self.look_up(id, question);
                        } else {
                            self.resolver.forget(id);
                        }
                    }
                    for id in lost {
                        self.events.push_back(Event::LookedUp(id, None, None));
                    }
                    self.raise_pending();
                    return;
                }
            }
        }
    }

    fn stop_table_reader(&mut self) {
        if let Some(pipe) = self.table_reader.helper.stop() {
            self.forget(pipe);
        }
    }

    fn stop_registrar(&mut self) {
        if let Some(pipe) = self.registrar.helper.stop() {
            self.forget(pipe);
        }
    }

    /// What a helper that is done has said, or why it has not: where it never ran, that, and not its silence.
    fn answer<Answer>(
        &mut self,
        name: &str,
        process: Option<Pid>,
        progress: Progress<Answer>,
    ) -> Option<Result<Box<Answer>, String>> {
        let Progress::Done(Ended { pipe, outcome }) = progress else { return None };
        self.forget(pipe);
        Some(outcome.map_err(|why| {
            // Its pipe ends before we hear of its own end.
            let failed = process.and_then(|pid| self.spawner.take_failure(pid.0));
            failed.map_or(why, |failed| no_helper(name, failed))
        }))
    }

    fn loaded(&mut self, reply: Reply) {
        let Reply { config, reports, stamps } = reply;
        if config.tables.is_some() {
            self.stamps = stamps;
        }
        // Before a listener that waits for a descriptor takes what the load has used.
        self.reserve.fill();
        let shown = &reports[..reports.len().min(FINDINGS)];
        self.diagnostics = shown.iter().map(Report::line).collect();
        if reports.len() > shown.len() {
            let more = format!("{} more findings; usherd check shows all", reports.len() - shown.len());
            self.logger.log(&Record::new(Level::Warning, "configuration", more.clone()));
            self.diagnostics.push(more);
        }
        for report in shown {
            let level = match report.severity {
                // All that the original says of a configuration is an error to it.
                _ if self.logger.speaks_as_original() && !report.original.is_empty() => Level::Error,
                Severity::Error => Level::Error,
                Severity::Warning => Level::Warning,
                Severity::Note => Level::Info,
            };
            let record = Record::new(level, "configuration", report.line())
                .original(report.original.clone())
                .field("code", report.code.clone())
                .field("place", report.position());
            self.logger.log(&record);
        }
        let listeners = config.services.iter().map(|service| service.listeners.len()).sum();
        match first_load::answered(self.stage(), config, &reports) {
            Ok(event) => {
                let low_numbers = LowNumbers::take(listeners);
                self.raise(event);
                drop(low_numbers);
                self.has_loaded = true;
            }
            Err(failure) => self.give_up(failure),
        }
    }

    fn load_failed(&mut self, why: String) {
        match first_load::not_answered(self.stage(), why) {
            Ok(event) => {
                self.raise(event);
                self.manager.ready(self.supervisor.services().count());
            }
            Err(failure) => self.give_up(failure),
        }
    }

    fn stage(&self) -> Stage {
        if self.on_ready.is_some() { Stage::First(self.insistence) } else { Stage::Later }
    }

    /// Ends a daemon that has not begun to serve.
    fn give_up(&mut self, failure: Failure) {
        let (Failure::Configuration(why) | Failure::NotPermitted(why)) = &failure;
        self.logger.log_for_xinetd(Level::Error, why);
        self.failure = Some(failure);
        self.ending = true;
    }

    fn ready(&mut self) {
        self.manager.ready(self.supervisor.services().count());
        if let Some(on_ready) = self.on_ready.take() {
            on_ready(&self.supervisor);
        }
    }

    // Those who ask.

    fn accept_client(&mut self) {
        let Some(control) = &mut self.control else { return };
        let mut accepted = control.accept(self.now);
        if accepted.is_err_and(|error| is_exhaustion(from_rustix(error))) {
            // Whoever wants to know what is wrong when descriptors have run out gets the reserve.
            self.reserve.release();
            accepted = control.accept(self.now);
        }
        let Ok(Some(client)) = accepted else { return };
        let added =
            control.connection(client).map(|fd| self.poller.add(fd, Token::Client(client), EventFlags::IN));
        if !matches!(added, Some(Ok(()))) {
            self.end_client(client);
        }
    }

    fn converse(&mut self, client: ClientId) {
        let Some(control) = &mut self.control else { return };
        let mut progress = control.proceed(client);
        if let control::Progress::Asks(control::Request::Status) = progress {
            let answer = serde_json::to_vec(&self.snapshot()).unwrap_or_default();
            let Some(control) = &mut self.control else { return };
            progress = control.answer(client, answer);
        }
        let Some(control) = &mut self.control else { return };
        match progress {
            control::Progress::Reads | control::Progress::Asks(_) => {}
            control::Progress::Writes => {
                if let Some(connection) = control.connection(client) {
                    let _ = self.poller.change(connection, Token::Client(client), EventFlags::OUT);
                }
            }
            control::Progress::Over => self.end_client(client),
        }
    }

    fn end_client(&mut self, client: ClientId) {
        if let Some(connection) = self.control.as_mut().and_then(|control| control.end(client)) {
            self.forget(connection);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let (children, max_children) = status::children(&self.supervisor);
        Snapshot {
            version: 1,
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: self.pid,
            uptime_seconds: self.now.since(self.began).as_secs(),
            children,
            max_children,
            sessions: status::sessions(&self.supervisor),
            denied_sources: self.supervisor.denied_sources(self.now),
            loading: self.loader.helper.is_running(),
            diagnostics: self.diagnostics.clone(),
            services: status::services(&self.supervisor, self.now, &errno::words, &|id| {
                self.stderr_log.last(id)
            }),
        }
    }

    fn dump_state(&mut self) {
        let record = match state_dump::write(&state_text(&self.snapshot())) {
            Ok(path) => {
                let text = format!("generated state dump in file {}", path.display());
                Record::new(Level::Info, "state-dump", text)
            }
            Err(error) => Record::new(Level::Error, "state-dump", format!("no state dump: {error}")),
        };
        self.logger.log(&record);
    }

    /// Leaves nothing behind but the programs that run.
    fn finish(&mut self) {
        self.manager.stopping();
        self.logger.log_for_xinetd(Level::Warning, "Exiting...");
        self.stop_loader();
        self.stop_table_reader();
        self.registrar.finish();
        self.listeners.close_all();
        // They have copies of the listeners, which whoever comes after us wants to bind.
        for _ in 0..LAST_WAITS {
            self.logger.flush();
            if !self.spawner.is_busy() && !self.logger.is_behind() {
                break;
            }
            std::thread::sleep(SETTLE);
        }
    }
}

/// The core names a connection by the place where the shell keeps it.
fn connection_id(key: Key<OwnedFd>) -> ConnectionId {
    ConnectionId::unpack(key.pack())
}

fn pending_key(connection: ConnectionId) -> Key<OwnedFd> {
    Key::unpack(connection.pack())
}

/// What a program is told about its caller.
fn caller_values(
    variables: CallerVariables,
    connection: Option<&OwnedFd>,
    peer: Option<SocketAddr>,
) -> Option<CallerValues> {
    match variables {
        CallerVariables::None => None,
        // These speak of one TCP connection.
        CallerVariables::Ucspi => {
            let local = getsockname(connection?.as_fd()).ok();
            Some(CallerValues::ucspi(peer?, SocketAddr::try_from(local?).ok()?))
        }
        CallerVariables::RemoteHost => Some(CallerValues::remote_host(peer?)),
    }
}

fn not_started(error: rustix::io::Errno) -> NotStarted {
    let errno = from_rustix(error);
    if is_exhaustion(errno) { NotStarted::Exhausted(errno) } else { NotStarted::Failed(errno) }
}

/// Why there was no helper, in words.
fn no_helper(name: &str, failed: Failed) -> String {
    format!("no {name}: {}: {}", failed_step(failed.step).word(), errno::words(Errno(failed.errno)))
}

fn log_stderr(logger: &mut Logger, supervisor: &Supervisor, service: ServiceId, line: &str) {
    let name = supervisor.service(service).map_or_else(String::new, |state| state.service().display_name());
    let record = Record::new(Level::Info, "stderr", format!("{name}: stderr: {line}"));
    logger.log(&record.field("service", name));
}
