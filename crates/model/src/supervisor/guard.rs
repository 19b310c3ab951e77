//! Who may call a service at all: before its limits are asked, so that those who may not use none of them up.

use std::net::SocketAddr;

use super::{ListenerId, Supervisor};
use crate::event::{Action, Handed, Log, Reason, Start};
use crate::guard::{Admits, Guard, Noted, Peers};
use crate::policy::Policy;
use crate::time::Tick;

impl Supervisor {
    /// Turns a caller away who may not call; false when it may, as far as its address says.
    pub(super) fn guards_against(
        &mut self,
        id: ListenerId,
        handed: Handed,
        peer: Option<SocketAddr>,
        now: Tick,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(reason) = self.reason_against(id, peer, now) else { return false };
        self.note_sensed(id, peer, now, actions);
        if let Some((_, state)) = self.both(id) {
            state.counters.denied += 1;
        }
        self.dismiss(id, handed, reason, peer, actions);
        true
    }

    /// Whether it depends on a caller's host name whether it may call.
    pub(super) fn needs_name(&self, start: &Start) -> bool {
        let peers = self.peers(start.listener);
        match (peers, start.source()) {
            (Some(peers), Some(source)) => peers.admits(source) == Admits::NeedsName,
            (None, _) | (_, None) => false,
        }
    }

    /// Whether a caller may call who has this host name; `None` when that could not be found out.
    pub(super) fn admits_name(&self, start: &Start, name: Option<&[u8]>) -> bool {
        let peers = self.peers(start.listener);
        match (peers, start.source()) {
            (Some(peers), Some(source)) => peers.admits_name(source, name),
            (None, _) => true,
            (Some(_), None) => false,
        }
    }

    /// Whether a caller's machine is asked who calls before it is served.
    pub(super) fn needs_user(&self, start: &Start) -> bool {
        let policy = self.policy(start.listener);
        matches!(start.handed, Handed::Connection(_))
            && policy.is_some_and(|policy| policy.guard.id_only || policy.log.success.user)
    }

    /// How many sources are denied because they have called a sensor.
    pub fn denied_sources(&self, now: Tick) -> usize {
        self.denied.count(now)
    }

    /// Whether the machine has to be looked at before callers of a listener are.
    pub fn wants_circumstances(&self, id: ListenerId) -> bool {
        self.guard(id).is_some_and(Guard::wants_circumstances)
    }

    /// Whether a built-in may answer a datagram from here, as far as lists, times and load say. Nothing is looked up for
    /// one.
    pub fn admits_datagram(&self, id: ListenerId, source: SocketAddr, now: Tick) -> bool {
        self.reason_against_datagram(id, source, now).is_none()
    }

    pub(super) fn reason_against_datagram(
        &self,
        id: ListenerId,
        source: SocketAddr,
        now: Tick,
    ) -> Option<Reason> {
        let peers = self.peers(id);
        self.reason_against(id, Some(source), now).or_else(|| {
            peers.is_some_and(|peers| peers.admits(source.ip()) != Admits::Yes).then_some(Reason::Address)
        })
    }

    pub(super) fn guard(&self, id: ListenerId) -> Option<&Guard> {
        self.policy(id).map(|policy| &policy.guard)
    }

    pub(super) fn policy(&self, id: ListenerId) -> Option<&Policy> {
        self.service_of(id)?.policy.as_deref()
    }

    /// Whom its lists let call.
    fn peers(&self, id: ListenerId) -> Option<&Peers> {
        self.guard(id)?.peers.as_ref()
    }

    fn reason_against(&self, id: ListenerId, peer: Option<SocketAddr>, now: Tick) -> Option<Reason> {
        let source = peer.map(|peer| peer.ip());
        if source.is_some_and(|source| self.denied.denies(source, now)) {
            return Some(Reason::Address);
        }
        let Guard { peers, times, max_load, sensor, id_only: _ } = self.guard(id)?;
        if sensor.is_some() {
            return Some(Reason::Address);
        }
        if let Some(max_load) = max_load
            && !max_load.admits(self.circumstances.and_then(|now| now.load))
        {
            return Some(Reason::Load);
        }
        if let Some(times) = times
            && !self.circumstances.is_some_and(|now| times.admits(now.minute_of_day))
        {
            return Some(Reason::Time);
        }
        let peers = peers.as_ref()?;
        // What is behind a Unix socket has no address.
        let refused = source.is_some_and(|source| peers.admits(source) == Admits::No);
        if refused { Some(Reason::Address) } else { None }
    }

    fn note_sensed(
        &mut self,
        id: ListenerId,
        peer: Option<SocketAddr>,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let Some(time) = self.guard(id).and_then(|guard| guard.sensor) else { return };
        let Some(kind) = self.spec(id).map(|spec| spec.key.kind) else { return };
        let Some(source) = peer.map(|peer| peer.ip()) else { return };
        if self.denied.note(kind, source, time, now) == Noted::Added {
            actions.push(Action::Log(Log::Sensed { listener: id, source, time }));
        }
    }
}
