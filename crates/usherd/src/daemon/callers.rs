//! Who calls: connections on their way to the core, datagrams, sessions of built-ins and of redirects.

use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;
use rustix::net::{SendFlags, send};
use usherd_model::access;
use usherd_model::children::SessionId;
use usherd_model::event::{AcceptError, ConnectionId, Ending, Event, IDLE};
use usherd_model::service::{Builtin, Service, Targets};
use usherd_model::slots::Key;
use usherd_model::supervisor::{ListenerId, ServiceId};

use crate::builtins::{self, Rules};
use crate::endpoints::endpoints;
use crate::poller::Token;
use crate::redirect::News;
use crate::{circumstances, server_list};

use super::Daemon;

impl Daemon {
    pub(super) fn called(&mut self, listener: ListenerId) {
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

    pub(super) fn accept(&mut self, listener: ListenerId) {
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

    pub(super) fn take(&mut self, connection: ConnectionId) -> Option<OwnedFd> {
        self.pending.remove(pending_key(connection))
    }

    pub(super) fn serve(
        &mut self,
        session: SessionId,
        service: ServiceId,
        builtin: Builtin,
        connection: ConnectionId,
    ) {
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

    pub(super) fn proceed(&mut self, session: SessionId, ready: EventFlags) {
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

    pub(super) fn end_session(&mut self, session: SessionId) {
        if let Some(connection) = self.sessions.end(session) {
            self.forget(connection);
            self.events.push_back(Event::SessionEnded(session));
        } else if let Some(news) = self.redirects.end(session, Ending::Stopped) {
            self.take_news(news);
        }
    }

    pub(super) fn end_idle_session(&mut self, service: Option<ServiceId>) {
        let silent = self.sessions.most_silent(service).filter(|(_, since)| self.now.since(*since) >= IDLE);
        if let Some((session, _)) = silent {
            self.end_session(session);
        }
    }

    pub(super) fn redirect(&mut self, session: SessionId, targets: Targets, connection: ConnectionId) {
        let Some(caller) = self.take(connection) else {
            self.events.push_back(Event::SessionEnded(session));
            return;
        };
        if let Some(news) = self.redirects.begin(session, caller, targets, &self.poller, self.now) {
            self.take_news(news);
        }
    }

    /// Lets sessions of redirects do what they can do now.
    pub(super) fn redirect_on(&mut self) {
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

    pub(super) fn say(&self, connection: ConnectionId, words: &[u8]) {
        if let Some(connection) = self.pending.get(pending_key(connection)) {
            // Whoever does not read it is closed or served all the same.
            let _ = send(connection, words, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
    }
}

/// The core names a connection by the place where the shell keeps it.
fn connection_id(key: Key<OwnedFd>) -> ConnectionId {
    ConnectionId::unpack(key.pack())
}

pub(super) fn pending_key(connection: ConnectionId) -> Key<OwnedFd> {
    Key::unpack(connection.pack())
}
