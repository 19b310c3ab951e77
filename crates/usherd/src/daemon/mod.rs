//! The event loop: what happens becomes an event, what the core wants done is done.
//!
//! One thread, one epoll. Nothing here waits for anybody: not for a caller, a child, the loader, the log, or a client
//! of the control socket. Nothing here decides: that is the core's, `usherd_model::supervisor`, and, for what ends a
//! daemon before it serves, `usherd_model::first_load`.
//!
//! What is done stands beside this: for `callers`, with `programs`, about `children` that end, by `helpers`, for the
//! `clients` of the control socket.

mod callers;
mod children;
mod clients;
mod helpers;
mod programs;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use usherd_model::children::Pid;
use usherd_model::event::{AcceptError, Action, Event, Exit, Log};
use usherd_model::first_load::{Failure, Insistence, Stage};
use usherd_model::slots::Slots;
use usherd_model::supervisor::{ListenerId, Settings, Supervisor};
use usherd_model::time::Tick;
use usherd_sys::signal::SignalFd;
use usherd_sys::spawn::Spawner;

use crate::builtins::{Datagrams, Sessions};
use crate::clock;
use crate::control::Control;
use crate::descriptors::Reserve;
use crate::errno::{self, from_rustix};
use crate::listeners::Listeners;
use crate::loader::Loader;
use crate::log::{Level, Logger, Record, describe, describe_more};
use crate::notify::ServiceManager;
use crate::poller::{Poller, Token};
use crate::programs::Programs;
use crate::reap::Reaper;
use crate::redirect::{News, Redirects, Which};
use crate::registrar::Registrar;
use crate::resolver::Resolver;
use crate::stderr_log::StderrLog;
use crate::tables::{Stamps, TableReader};

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

/// Log lines that could not be written are tried again so soon.
const LOG_AGAIN: Duration = Duration::from_millis(20);

/// The end waits so often, [`SETTLE`] each time, for children that are not yet their programs.
const LAST_WAITS: u32 = 100;

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

    /// Closes a descriptor that is polled. A child that is not yet its program has a copy, and for as long epoll would
    /// go on looking at what it is of: then closing is not enough.
    fn forget(&self, fd: OwnedFd) {
        if self.spawner.is_busy() {
            self.poller.remove(&fd);
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
