//! What does not go well: limits, failed starts, and resources that have run out. Each is said when it begins and when it
//! ends, and none of it is for ever.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{ListenerId, ServiceId, Supervisor, Timer, turn_away};
use crate::admission::Limit;
use crate::episode::{Episode, Held};
use crate::event::{AcceptError, Action, BUSY_RETRY, Handed, Log, Reason, Start};
use crate::failure::{Errno, StartError};
use crate::lifecycle::{Pause, Phase};
use crate::service::ListenAddress;
use crate::tcpmux;
use crate::time::Tick;

impl Supervisor {
    pub(super) fn accept_failed(
        &mut self,
        id: ListenerId,
        error: AcceptError,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        self.answer_offer(id);
        match error {
            AcceptError::Nobody => {}
            AcceptError::Busy => self.wait_until_not_busy(id, now, actions),
            AcceptError::Exhausted(errno) => self.rest(id, Held::Waits, errno, now, actions),
            AcceptError::Failed(errno) => {
                actions.push(Action::Log(Log::AcceptFailed(id, errno)));
                self.pause_for_resources(id, now, actions);
            }
        }
    }

    /// The listener is not looked at for so long; that is nothing to speak of.
    pub(super) fn wait_until_not_busy(&mut self, id: ListenerId, now: Tick, actions: &mut Vec<Action>) {
        self.set_phase(id, Phase::Paused(Pause::Resources(now.after(BUSY_RETRY))), actions);
    }

    /// Something has run out: the listener rests, and says so once.
    pub(super) fn rest(
        &mut self,
        id: ListenerId,
        held: Held,
        errno: Errno,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let pause = self.pause_for_resources(id, now, actions);
        let holding = Holding { held, errno: Some(errno), ..Holding::waits(Limit::Resources, pause) };
        self.hold_back(id, holding, now, actions);
    }

    pub(super) fn pause_for_resources(
        &mut self,
        id: ListenerId,
        now: Tick,
        actions: &mut Vec<Action>,
    ) -> Option<Duration> {
        let pause = self.listeners.get_mut(id)?.resources.fail();
        self.set_phase(id, Phase::Paused(Pause::Resources(now.after(pause))), actions);
        Some(pause)
    }

    /// A start failed that was granted. Where that costs no caller, the next would follow at once.
    pub(super) fn start_failed(
        &mut self,
        start: &Start,
        error: StartError,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let Start { service, listener, .. } = *start;
        match start.handed {
            Handed::Connection(_) => self.note_failure(service, listener, error, None, now, actions),
            Handed::DatagramPeer | Handed::Listener => {
                self.rest_after_failure(service, listener, error, now, actions);
            }
        }
    }

    /// A start failed of which the next would follow at once, since the listener stays readable: it rests.
    pub(super) fn rest_after_failure(
        &mut self,
        service: ServiceId,
        id: ListenerId,
        error: StartError,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let pause = self.listeners.get_mut(id).map(|listener| listener.starting.fail());
        if let Some(pause) = pause {
            self.set_phase(id, Phase::Paused(Pause::StartFailed(now.after(pause))), actions);
        }
        self.note_failure(service, id, error, pause, now, actions);
    }

    pub(super) fn note_failure(
        &mut self,
        service: ServiceId,
        listener: ListenerId,
        error: StartError,
        pause: Option<Duration>,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let Some(state) = self.services.get_mut(service) else { return };
        if state.troubles().failures.add(error.clone(), now) {
            actions.push(Action::Log(Log::StartFailed { service, listener, error, pause }));
        }
    }

    /// Notes that a limit held a caller back, and says so when that began.
    pub(super) fn hold_back(
        &mut self,
        id: ListenerId,
        holding: Holding,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let Holding { limit, held, peer, pause, errno } = holding;
        let Some(service) = self.listeners.get(id).map(|listener| listener.service) else { return };
        let Some(state) = self.services.get_mut(service) else { return };
        let episodes = &mut state.troubles().episodes;
        let timed = episodes.next_end().is_some();
        if episodes.hit(limit, held, now) {
            let listener = id;
            let began = Log::LimitBegan { service, listener, limit, held, peer, pause, errno };
            actions.push(Action::Log(began));
        }
        if let (false, Some(end)) = (timed, episodes.next_end()) {
            self.timers.insert((end, Timer::Episodes(service)));
        }
    }

    /// Turns a caller away for a limit of the service, of its source, or of all. Where more than may come in a stretch of
    /// time end the service for a while, that begins here.
    pub(super) fn refuse(
        &mut self,
        id: ListenerId,
        handed: Handed,
        limit: Limit,
        peer: Option<SocketAddr>,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        self.dismiss(id, handed, Reason::Limit(limit), peer, actions);
        let rest = self.service_of(id).and_then(|service| service.limits.rest);
        let rest = rest.filter(|_| limit == Limit::Starts);
        let service = self.listeners.get(id).map(|listener| listener.service);
        let begins = service.is_some_and(|service| self.flood(service).is_none());
        self.hold_back(id, Holding { pause: rest, ..Holding::refused(limit, 1, peer) }, now, actions);
        let (Some(rest), Some(service)) = (rest, service) else { return };
        self.note_rest(service, rest, begins, actions);
        let mut place = 0;
        let mut next = |core: &Self| {
            place += 1;
            core.services.get(service)?.listeners.get(place - 1).copied()
        };
        while let Some(listener) = next(self) {
            if self.listeners.get(listener).is_some_and(|listener| listener.phase.is_polled()) {
                let pause = Pause::Limit(Limit::Starts, Some(now.after(rest)));
                self.set_phase(listener, Phase::Paused(pause), actions);
            }
        }
    }

    /// Says that a service rests, unless it does already or what began was said to be that.
    fn note_rest(&mut self, service: ServiceId, rest: Duration, begins: bool, actions: &mut Vec<Action>) {
        if self.rests(service) {
            return;
        }
        if let Some(episode) = self.flood(service) {
            episode.rests += 1;
        }
        if !begins {
            actions.push(Action::Log(Log::RestsAgain { service, rest }));
        }
    }

    /// Says that a service is there again that rested because too many came.
    pub(super) fn rest_is_over(&mut self, service: ServiceId, actions: &mut Vec<Action>) {
        let Some(state) = self.services.get(service) else { return };
        if state.service.limits.rest.is_some() && !self.rests(service) {
            let again = self.flood(service).is_some_and(|episode| episode.rests > 1);
            actions.push(Action::Log(Log::Resumed { service, again }));
        }
    }

    /// Whether a listener of a service waits until the stretch of time is over in which too many came.
    fn rests(&self, service: ServiceId) -> bool {
        let rests = |id: &ListenerId| {
            let phase = self.listeners.get(*id).map(|listener| listener.phase);
            matches!(phase, Some(Phase::Paused(Pause::Limit(Limit::Starts, _))))
        };
        self.services.get(service).is_some_and(|state| state.listeners.iter().any(rests))
    }

    /// What has been going on since more came to a service than may.
    fn flood(&mut self, service: ServiceId) -> Option<&mut Episode> {
        self.services.get_mut(service)?.troubles.as_mut()?.episodes.current(Limit::Starts)
    }

    /// Sends a caller away, with what such callers are sent, and says so where that is logged.
    pub(super) fn dismiss(
        &mut self,
        id: ListenerId,
        handed: Handed,
        reason: Reason,
        peer: Option<SocketAddr>,
        actions: &mut Vec<Action>,
    ) {
        self.decline(id, handed, actions);
        self.log_failure(id, reason, peer, actions);
        let policy = self.policy(id);
        // Who was asked already and has not said it is not asked again.
        let asks = reason != Reason::NoUser && policy.is_some_and(|policy| policy.log.failure.user);
        match self.listeners.get(id).map(|listener| listener.service) {
            Some(service) if asks && matches!(handed, Handed::Connection(_)) => {
                // Its machine can say whose connection it is only as long as it is one.
                let start = Start { service, listener: id, handed, peer };
                self.leaving.push(start);
                actions.push(Action::Examine(start));
            }
            Some(_) | None => actions.push(turn_away(id, handed)),
        }
    }

    /// Sends a caller what those are sent who are not served. What is behind tcpmux answers first, as RFC 1078 has it.
    pub(super) fn decline(&self, id: ListenerId, handed: Handed, actions: &mut Vec<Action>) {
        self.decline_as_tcpmux(id, handed, actions);
        let banner = self.policy(id).and_then(|policy| policy.banners.failure.as_ref());
        self.say_banner(banner, handed, actions);
    }

    /// Turns a caller away of whom nothing else is said.
    pub(super) fn send_away(&self, id: ListenerId, handed: Handed, actions: &mut Vec<Action>) {
        self.decline_as_tcpmux(id, handed, actions);
        actions.push(turn_away(id, handed));
    }

    fn decline_as_tcpmux(&self, id: ListenerId, handed: Handed, actions: &mut Vec<Action>) {
        if let (true, Handed::Connection(connection)) = (self.is_behind_tcpmux(id), handed) {
            actions.push(Action::Say(connection, Cow::Borrowed(tcpmux::NOT_AVAILABLE)));
        }
    }

    /// Whether callers of tcpmux come here, and nobody else does.
    pub(super) fn is_behind_tcpmux(&self, id: ListenerId) -> bool {
        self.spec(id).is_some_and(|spec| matches!(spec.key.address, ListenAddress::Mux(_)))
    }

    /// Says that somebody is not served, where that is logged.
    pub(super) fn log_failure(
        &self,
        listener: ListenerId,
        reason: Reason,
        peer: Option<SocketAddr>,
        actions: &mut Vec<Action>,
    ) {
        let policy = self.policy(listener);
        if policy.is_some_and(|policy| policy.log.failure.attempt) {
            actions.push(Action::Log(Log::Failed { listener, reason, peer }));
        }
    }

    /// Sends a caller what those are sent who are served: first the answer of tcpmux, where the program does not give it.
    pub(super) fn welcome(&self, start: &Start, actions: &mut Vec<Action>) {
        let greets = self.spec(start.listener).is_some_and(|spec| spec.extras().greets);
        if let (true, Handed::Connection(connection)) = (greets, start.handed) {
            actions.push(Action::Say(connection, Cow::Borrowed(tcpmux::GO)));
        }
        let policy = self.services.get(start.service).and_then(|state| state.service.policy.as_deref());
        if let Some(policy) = policy {
            self.say_banner(policy.banners.success.as_ref(), start.handed, actions);
        }
    }

    pub(super) fn say_banner(&self, banner: Option<&Arc<[u8]>>, handed: Handed, actions: &mut Vec<Action>) {
        if let (Some(banner), Handed::Connection(connection)) = (banner, handed) {
            actions.push(Action::Say(connection, Cow::Owned(banner.to_vec())));
        }
    }

    pub(super) fn wait_for(
        &mut self,
        id: ListenerId,
        limit: Limit,
        until: Option<Tick>,
        actions: &mut Vec<Action>,
    ) {
        self.set_phase(id, Phase::Paused(Pause::Limit(limit, until)), actions);
        if limit == Limit::Children
            && let Some((_, state)) = self.both(id)
        {
            state.troubles().waiting = true;
        }
    }

    pub(super) fn end_episodes(&mut self, service: ServiceId, now: Tick, actions: &mut Vec<Action>) {
        let Some(state) = self.services.get_mut(service) else { return };
        let Some(troubles) = &mut state.troubles else { return };
        while let Some((limit, episode)) = troubles.episodes.take_ended(now) {
            let lasted = episode.last.since(episode.began);
            let refused = episode.refused;
            actions.push(Action::Log(Log::LimitEnded { service, limit, lasted, refused }));
        }
        if let Some(end) = troubles.episodes.next_end() {
            self.timers.insert((end, Timer::Episodes(service)));
        }
    }
}

/// A limit that was met, as what is noted and said of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding {
    limit: Limit,
    held: Held,
    /// The caller, where one is known.
    peer: Option<SocketAddr>,
    /// How long callers wait at the most, where that is known.
    pause: Option<Duration>,
    /// The kernel's error, when it is resources that have run out.
    errno: Option<Errno>,
}

impl Holding {
    pub(super) fn waits(limit: Limit, pause: Option<Duration>) -> Self {
        Self { limit, held: Held::Waits, peer: None, pause, errno: None }
    }

    /// Something has run out, which has cost a caller.
    pub(super) fn exhausted(errno: Errno) -> Self {
        Self { errno: Some(errno), ..Self::refused(Limit::Resources, 1, None) }
    }

    pub(super) fn refused(limit: Limit, count: u32, peer: Option<SocketAddr>) -> Self {
        Self { limit, held: Held::Refused(count), peer, pause: None, errno: None }
    }
}
