//! What rpcbind is told, and when again.

use std::collections::HashSet;

use super::{Supervisor, Timer};
use crate::event::{Action, Log};
use crate::registry::News;
use crate::time::Tick;

impl Supervisor {
    /// Something has changed that rpcbind is to know. It is told when all that happens now has happened.
    pub(super) fn tell_rpcbind(&mut self, now: Tick) {
        if self.registry.is_asking() {
            self.registry.has_changed = true;
        } else if !self.registry.is_idle() {
            self.tell_rpcbind_at(now);
        }
    }

    fn tell_rpcbind_at(&mut self, at: Tick) {
        if let Some(before) = self.registry.due.replace(at) {
            self.timers.remove(&(before, Timer::Registry));
        }
        self.timers.insert((at, Timer::Registry));
    }

    pub(super) fn ask_rpcbind(&mut self, actions: &mut Vec<Action>) {
        self.registry.due = None;
        self.registry.has_changed = false;
        let (listeners, services) = (&self.listeners, &self.services);
        let tidings = self.registry.ask(|id| {
            let listener = listeners.get(id)?;
            services.get(listener.service)?.service.listeners.get(listener.place as usize)
        });
        actions.extend(tidings.map(Action::Register));
    }

    pub(super) fn rpcbind_answered(&mut self, news: Vec<News>, now: Tick, actions: &mut Vec<Action>) {
        if self.registry.has_failures() {
            self.rpcbind_failed(news, now, actions);
            return;
        }
        self.registry.backoff.succeed();
        self.log_news(news, std::time::Duration::ZERO, actions);
        if self.registry.has_changed {
            self.tell_rpcbind_at(now);
        }
    }

    pub(super) fn rpcbind_failed(&mut self, news: Vec<News>, now: Tick, actions: &mut Vec<Action>) {
        let wait = self.registry.backoff.fail();
        self.log_news(news, wait, actions);
        if self.registry.has_changed {
            self.tell_rpcbind_at(now);
        } else if !self.registry.is_idle() {
            self.tell_rpcbind_at(now.after(wait));
        }
    }

    /// The same about several listeners of a service is said once.
    fn log_news(&self, news: Vec<News>, wait: std::time::Duration, actions: &mut Vec<Action>) {
        let mut said = HashSet::new();
        for news in news {
            let (listener, why, log) = match news {
                News::Failed(listener, refusal) => {
                    (listener, Some(refusal.why.clone()), Log::NotRegistered(listener, refusal, wait))
                }
                News::Registered(listener) => (listener, None, Log::RegisteredAtLast(listener)),
            };
            if said.insert((self.listeners.get(listener).map(|listener| listener.service), why)) {
                actions.push(Action::Log(log));
            }
        }
    }
}
