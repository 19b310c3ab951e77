//! Who may call a service at all: before its limits are asked, so that those who may not use none of them up. To a sensor
//! everybody may, and its limits say whom it notices.

use std::net::SocketAddr;

use super::{ListenerId, Supervisor};
use crate::admission::{Claim, Gate, Pool};
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
        if let Some(reason) = self.reason_against(id, peer, now) {
            self.deny(id, handed, reason, peer, actions);
            return true;
        }
        let is_sensor = self.guard(id).is_some_and(|guard| guard.sensor.is_some());
        if is_sensor {
            self.sense(id, handed, peer, now, actions);
        }
        is_sensor
    }

    fn deny(
        &mut self,
        id: ListenerId,
        handed: Handed,
        reason: Reason,
        peer: Option<SocketAddr>,
        actions: &mut Vec<Action>,
    ) {
        if let Some((_, state)) = self.both(id) {
            state.counters.denied += 1;
        }
        self.dismiss(id, handed, reason, peer, actions);
    }

    /// Turns the caller of a sensor away. Whom its limits turn away is not denied elsewhere: as with any service, it
    /// never got that far. Room that all share does not count, since a sensor takes none: who has filled it must not
    /// get by unseen.
    fn sense(
        &mut self,
        id: ListenerId,
        handed: Handed,
        peer: Option<SocketAddr>,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let Some(service) = self.listeners.get(id).map(|listener| listener.service) else { return };
        let Some(state) = self.services.get_mut(service) else { return };
        let pool = Pool::Moments;
        let claim = Claim { pool, service, source: peer.map(|peer| peer.ip()) };
        let limits = &state.service.limits;
        if let Gate::Closed(limit, _) = self.admission.gate(pool, limits, &state.usage, now) {
            self.refuse(id, handed, limit, peer, now, actions);
            return;
        }
        if let Err(limit) = self.admission.begin(claim, limits, &mut state.usage, now) {
            self.refuse(id, handed, limit, peer, now, actions);
            return;
        }
        self.admission.end(claim, limits, &mut state.usage);
        self.note_sensed(id, peer, now, actions);
        self.deny(id, handed, Reason::Address, peer, actions);
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

    /// Why a caller may not call, as far as that can be said before its limits are asked. To a sensor the lists do not
    /// matter.
    fn reason_against(&self, id: ListenerId, peer: Option<SocketAddr>, now: Tick) -> Option<Reason> {
        let source = peer.map(|peer| peer.ip());
        let is_sensor = self.guard(id).is_some_and(|guard| guard.sensor.is_some());
        if !is_sensor && source.is_some_and(|source| self.denied.denies(source, now)) {
            return Some(Reason::Address);
        }
        let Guard { peers, times, max_load, sensor: _, id_only: _ } = self.guard(id)?;
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
        let peers = peers.as_ref().filter(|_| !is_sensor)?;
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
