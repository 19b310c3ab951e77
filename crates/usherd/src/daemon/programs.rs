//! Programs: made ready with a load, started for a caller, heard on their standard error.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::EventFlags;
use rustix::net::getsockname;
use usherd_model::access::{self, Endpoint};
use usherd_model::children::Pid;
use usherd_model::event::{Errand, Event, Handed, NotStarted, Start};
use usherd_model::failure::Errno;
use usherd_model::service::{CallerVariables, SocketKind, Stderr};
use usherd_model::supervisor::{ListenerId, ServiceId, Supervisor};
use usherd_sys::spawn::Given;

use crate::endpoints::endpoints;
use crate::errno::{from_io, from_rustix, is_exhaustion};
use crate::listeners::SplitError;
use crate::log::{Level, Logger, Record};
use crate::poller::Token;
use crate::programs::{CallerValues, MOST_VALUES};
use crate::stderr_log::{self, PipeId};
use crate::{descriptors, effects, ip_options};

use super::Daemon;
use super::callers::pending_key;

/// What a rule wants done is more than a program can be told.
const TOO_LARGE: NotStarted = NotStarted::Failed(Errno(rustix::io::Errno::TOOBIG.raw_os_error()));

impl Daemon {
    pub(super) fn start(&mut self, start: Start, errand: Option<&Errand>) -> Event {
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
    pub(super) fn examine(&mut self, start: Start) {
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
    pub(super) fn long_lived(&self) -> usize {
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

    pub(super) fn prepare(&mut self, id: ServiceId) {
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

    pub(super) fn read_stderr(&mut self, pipe: PipeId) {
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
    pub(super) fn end_stderr_line(&mut self, pid: Pid) {
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

fn log_stderr(logger: &mut Logger, supervisor: &Supervisor, service: ServiceId, line: &str) {
    let name = supervisor.service(service).map_or_else(String::new, |state| state.service().display_name());
    let record = Record::new(Level::Info, "stderr", format!("{name}: stderr: {line}"));
    logger.log(&record.field("service", name));
}
