//! Taking a new configuration up, in one turn: what is the same goes on, what is new is opened, what is gone is closed.

use std::collections::{BTreeMap, HashMap};

use super::{Counters, ListenerId, ServiceId, ServiceState, Supervisor, Timer};
use crate::admission::{Claim, Usage};
use crate::event::{Action, Changes, Log};
use crate::lifecycle::{ListenerState, Phase};
use crate::reload::{self, Successor};
use crate::service::{
    Config, Handover, ListenAddress, Listener, ListenerKey, Origin, Service, SocketKind, Task,
};

impl Supervisor {
    /// Takes up a new configuration.
    pub(super) fn configure(&mut self, mut new: Config, actions: &mut Vec<Action>) {
        if reload::has_unusable(&new) {
            self.keep_unusable(&mut new, actions);
        }
        let of = |gone: bool| {
            let states = self.services.iter().filter(move |(_, state)| state.listeners.is_empty() == gone);
            states.map(|(id, state)| (id, &state.service))
        };
        let plan = reload::plan(of(false), of(true), &new);
        let mut changes = Changes {
            removed: crate::source::offset(plan.remove.len()),
            unread: crate::source::offset(new.unreadable.len()),
            is_first: !std::mem::replace(&mut self.is_configured, true),
            ..Changes::default()
        };
        let mut open = self.open_listeners(&plan.contested);
        for key in &plan.close {
            if let Some((id, _)) = open.remove(key) {
                self.close(id, actions);
            }
        }
        self.files = new.files;
        if let Some(tables) = new.tables.take() {
            self.tables = Some(Box::new(tables));
        }
        self.services.reserve(new.services.len());
        self.listeners.reserve(new.services.iter().map(|service| service.listeners.len()).sum());
        for (service, successor) in new.services.into_iter().zip(plan.successors) {
            match successor {
                Successor::Same(id) if self.is_unchanged(id, &service) => {
                    changes.kept += 1;
                    self.keep(id, service.origin, actions);
                }
                Successor::Same(id) => {
                    self.change(id, service, None, &mut changes, actions);
                }
                Successor::Takes(id) => {
                    self.change(id, service, Some(&open), &mut changes, actions);
                }
                Successor::New => {
                    changes.added += 1;
                    self.add(service, &open, actions);
                }
            }
        }
        for id in plan.remove {
            actions.push(Action::Discard(id));
            if let Some(state) = self.services.get_mut(id) {
                state.listeners = Box::default();
                if state.is_over() {
                    self.over.push(id);
                }
            }
        }
        self.recount();
        self.behind_tcpmux = self.behind_tcpmux();
        self.builtin_ports = self.services().flat_map(|(_, state)| builtin_ports(&state.service)).collect();
        actions.push(Action::Log(Log::Configured(changes)));
        actions.push(Action::Ready);
    }

    fn behind_tcpmux(&self) -> BTreeMap<Box<[u8]>, ListenerId> {
        let name = |id| match &self.spec(id)?.key.address {
            ListenAddress::Mux(name) => Some((name.clone(), id)),
            ListenAddress::Inet(_) | ListenAddress::Rpc(_) | ListenAddress::Unix(_) => None,
        };
        self.listeners.iter().filter_map(|(id, _)| name(id)).collect()
    }

    /// Puts into a new configuration what has to go on because it says nothing usable of it.
    fn keep_unusable(&self, new: &mut Config, actions: &mut Vec<Action>) {
        let states = self.services.iter().map(|(_, state)| state);
        let configured = states.filter(|state| !state.listeners.is_empty());
        let services = configured.map(|state| state.service.clone()).collect();
        let old = Config { files: self.files.clone(), services, ..Config::default() };
        let kept = reload::keep_unusable(&old, new);
        let lines = kept.lines.into_iter().map(|service| Log::Kept { service });
        let files = kept.unread.into_iter().map(|(path, services)| Log::KeptAll { path, services });
        actions.extend(lines.chain(files).map(Action::Log));
    }

    /// The listeners of these services, with what was configured of them so far.
    fn open_listeners(&self, services: &[ServiceId]) -> HashMap<ListenerKey, (ListenerId, Listener)> {
        let states = services.iter().filter_map(|id| self.services.get(*id));
        let all = states.flat_map(|state| state.listeners.iter().zip(&state.service.listeners));
        all.map(|(id, spec)| (spec.key.clone(), (*id, spec.clone()))).collect()
    }

    fn is_unchanged(&self, id: ServiceId, service: &Service) -> bool {
        self.services.get(id).is_some_and(|state| says_the_same(&state.service, service))
    }

    /// A service goes on as it was; only its line may have moved.
    fn keep(&mut self, id: ServiceId, origin: Origin, actions: &mut Vec<Action>) {
        let Some(state) = self.services.get_mut(id) else { return };
        state.service.origin = origin;
        self.retry_closed(id, actions);
    }

    fn add(
        &mut self,
        service: Service,
        open: &HashMap<ListenerKey, (ListenerId, Listener)>,
        actions: &mut Vec<Action>,
    ) {
        let id = self.services.insert(ServiceState {
            service,
            listeners: Box::default(),
            usage: Usage::default(),
            counters: Counters::default(),
            troubles: None,
        });
        actions.push(Action::Prepare(id));
        self.attach(id, open, true, actions);
    }

    /// A running service is what this one says from now on. Without `open` it has the same sockets.
    fn change(
        &mut self,
        id: ServiceId,
        service: Service,
        open: Option<&HashMap<ListenerKey, (ListenerId, Listener)>>,
        changes: &mut Changes,
        actions: &mut Vec<Action>,
    ) {
        let Some(state) = self.services.get_mut(id) else { return };
        let old = std::mem::replace(&mut state.service, service);
        let unchanged = says_the_same(&old, &state.service);
        let task_changed = old.task != state.service.task;
        if unchanged {
            changes.kept += 1;
        } else {
            changes.changed += 1;
        }
        // Of one that was gone everything was forgotten but its programs.
        if task_changed || state.listeners.is_empty() {
            actions.push(Action::Prepare(id));
        }
        match open {
            Some(open) => self.attach(id, open, task_changed, actions),
            None => self.adjust(id, &old, task_changed, actions),
        }
        if !unchanged {
            let listeners = self.services.get(id).map(|state| state.listeners.clone()).unwrap_or_default();
            for listener in listeners {
                self.apply_change(listener, actions);
            }
        }
        self.retry_closed(id, actions);
    }

    /// Gives a service its listeners: those that are there already, whoever had them, and new ones.
    fn attach(
        &mut self,
        id: ServiceId,
        open: &HashMap<ListenerKey, (ListenerId, Listener)>,
        task_changed: bool,
        actions: &mut Vec<Action>,
    ) {
        let Some(state) = self.services.get_mut(id) else { return };
        let mut moved = Vec::new();
        let mut ids = Vec::with_capacity(state.service.listeners.len());
        for (spec, place) in state.service.listeners.iter().zip(0..) {
            let there =
                open.get(&spec.key).and_then(|(id, old)| Some((*id, old, self.listeners.get_mut(*id)?)));
            let Some((listener, old, listener_state)) = there else {
                let listener = match &spec.key.address {
                    ListenAddress::Mux(_) => self.listeners.insert(ListenerState::behind_tcpmux(id, place)),
                    ListenAddress::Inet(_) | ListenAddress::Rpc(_) | ListenAddress::Unix(_) => {
                        let listener = self.listeners.insert(ListenerState::new(id, place));
                        actions.push(Action::Open(listener));
                        listener
                    }
                };
                ids.push(listener);
                continue;
            };
            if (old != spec || task_changed) && listener_state.phase.is_open() && listener_state.has_socket {
                actions.push(Action::Adjust(listener));
            }
            if listener_state.service != id {
                moved.push(listener);
            }
            (listener_state.service, listener_state.place) = (id, place);
            ids.push(listener);
        }
        state.listeners = ids.into();
        for listener in moved {
            self.apply_change(listener, actions);
        }
    }

    /// Has the sockets of a service follow what is configured of them now.
    fn adjust(&self, id: ServiceId, old: &Service, task_changed: bool, actions: &mut Vec<Action>) {
        let Some(state) = self.services.get(id) else { return };
        for (listener, (before, now)) in
            state.listeners.iter().zip(old.listeners.iter().zip(&state.service.listeners))
        {
            let is_open = |listener: &ListenerState| listener.phase.is_open() && listener.has_socket;
            if (before != now || task_changed) && self.listeners.get(*listener).is_some_and(is_open) {
                actions.push(Action::Adjust(*listener));
            }
        }
    }

    /// A listener's service is another than before: what held it back may hold no longer. If it does, the next caller
    /// finds out.
    fn apply_change(&mut self, id: ListenerId, actions: &mut Vec<Action>) {
        let Some(listener) = self.listeners.get_mut(id) else { return };
        listener.starting.succeed();
        let phase = listener.phase;
        let waits = self
            .service_of(id)
            .and_then(Service::program)
            .is_some_and(|program| program.handover == Handover::Listener);
        match phase {
            Phase::Paused(_) => self.set_phase(id, Phase::Polled, actions),
            // The program that has the listener goes on; but who says "nowait" now wants callers served now.
            Phase::HandedOver(_) if !waits => self.set_phase(id, Phase::Polled, actions),
            Phase::HandedOver(_) | Phase::Polled | Phase::Opening | Phase::Closed { .. } => {}
        }
    }

    /// Tries the listeners of a service again that could not be opened.
    pub(super) fn retry_closed(&mut self, id: ServiceId, actions: &mut Vec<Action>) {
        let is_closed = |listener: &ListenerState| matches!(listener.phase, Phase::Closed { .. });
        let mut place = 0;
        while let Some(listener) = self.services.get(id).and_then(|state| state.listeners.get(place).copied())
        {
            place += 1;
            if self.listeners.get(listener).is_some_and(is_closed) {
                self.retry(listener, actions);
            }
        }
    }

    pub(super) fn close(&mut self, id: ListenerId, actions: &mut Vec<Action>) {
        let Some(listener) = self.listeners.remove(id) else { return };
        self.registry.closed(id);
        if let Some(at) = listener.phase.deadline() {
            self.timers.remove(&(at, Timer::Listener(id)));
        }
        if listener.phase.is_open() && listener.has_socket {
            actions.push(Action::Close(id));
        }
        if let Some(queue) = self.queue(listener.phase) {
            queue.remove(id);
        }
        self.answer_offer(id);
    }

    /// Counts what runs for each source again, since limits and what counts as one source may have changed.
    pub(super) fn recount(&mut self) {
        let services = &self.services;
        let programs = self.children.iter().map(|(_, child)| child.claim);
        let sessions = self.sessions.iter().map(|(_, session)| session.claim);
        let running = programs.chain(sessions).filter_map(|Claim { service, source, .. }| {
            let limits = &*services.get(service)?.service.limits;
            Some((service, limits, source?))
        });
        self.admission.recount(running);
    }
}

/// Whether two configurations of a service mean the same, wherever they stand.
fn says_the_same(a: &Service, b: &Service) -> bool {
    (&a.task, &a.limits, &a.listeners, &a.name, &a.wrapped, &a.policy)
        == (&b.task, &b.limits, &b.listeners, &b.name, &b.wrapped, &b.policy)
}

fn builtin_ports(service: &Service) -> impl Iterator<Item = u16> {
    let is_builtin = matches!(service.task, Task::Builtin(_));
    let listeners = if is_builtin { &*service.listeners } else { &[] };
    let datagrams = listeners.iter().filter(|listener| listener.key.kind == SocketKind::Datagram);
    datagrams.filter_map(|listener| match &listener.key.address {
        ListenAddress::Inet(address) => Some(address.port()),
        ListenAddress::Rpc(_) | ListenAddress::Unix(_) | ListenAddress::Mux(_) => None,
    })
}
