//! Callers that are connected to another host and port: from the first attempt to the last byte.
//!
//! The shell tries the targets and moves the bytes. Here it is counted who is connected, and why somebody was not: a
//! target that does not answer is a start that failed, and costs its caller and nobody else.

use std::net::SocketAddr;

use super::trouble::Holding;
use super::{ListenerId, Supervisor};
use crate::admission::Claim;
use crate::children::{Redirected, Session, SessionId};
use crate::episode::Held;
use crate::event::{Action, ConnectionId, Ending, Log, NotReached, Reason, Start, Traffic};
use crate::failure::{Errno, StartError};
use crate::service::Targets;
use crate::time::Tick;

impl Supervisor {
    /// Begins a session that was granted.
    pub(super) fn redirect(
        &mut self,
        start: Start,
        claim: Claim,
        targets: Targets,
        connection: ConnectionId,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let Start { service, listener, peer, .. } = start;
        let redirected = Some(Redirected { listener, target: None });
        let session = self.sessions.insert(Session { claim, peer, began: now, ends: None, redirected });
        self.welcome(&start, actions);
        actions.push(Action::Redirect { session, service, targets, connection });
    }

    pub(super) fn reached(&mut self, id: SessionId, target: SocketAddr, actions: &mut Vec<Action>) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some(redirected) = &mut session.redirected else { return };
        redirected.target = Some(target);
        let (service, listener, peer) = (session.claim.service, redirected.listener, session.peer);
        let Some(state) = self.services.get_mut(service) else { return };
        state.counters.started += 1;
        if state.troubles.as_mut().is_some_and(|troubles| troubles.failures.recovered()) {
            actions.push(Action::Log(Log::StartRecovered(service)));
        }
        if state.logs_start(&self.settings) {
            actions.push(Action::Log(Log::Redirected { service, listener, peer, target }));
        }
    }

    pub(super) fn not_reached(
        &mut self,
        id: SessionId,
        why: NotReached,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let Some(&Session { claim, peer, redirected, .. }) = self.sessions.get(id) else { return };
        let Some(Redirected { listener, .. }) = redirected else { return };
        self.sessions.remove(id);
        match why {
            NotReached::Failed(attempts) => {
                let error = StartError::Unreached(attempts);
                self.note_failure(claim.service, listener, error, None, now, actions);
            }
            NotReached::Exhausted(errno) => {
                self.log_failure(listener, Reason::NoProcess, peer, actions);
                self.rest_if_polled(listener, errno, now, actions);
            }
        }
        self.release(claim, actions);
    }

    /// Something has run out on the way to a target. That may be long after the caller came: whatever else its listener
    /// is doing by now, it goes on doing.
    fn rest_if_polled(&mut self, id: ListenerId, errno: Errno, now: Tick, actions: &mut Vec<Action>) {
        if self.listeners.get(id).is_some_and(|listener| listener.phase.is_polled()) {
            self.rest(id, Held::Refused(1), errno, now, actions);
        } else {
            self.hold_back(id, Holding::exhausted(errno), now, actions);
        }
    }

    pub(super) fn redirect_ended(
        &mut self,
        id: SessionId,
        traffic: Traffic,
        ending: Ending,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let Some(&Session { claim, peer, began, redirected, .. }) = self.sessions.get(id) else { return };
        let Some(Redirected { target, .. }) = redirected else { return };
        let (service, lasted) = (claim.service, now.since(began));
        let logs = self.services.get(service).is_some_and(|state| {
            // Who left on the way to a target has no START, and xinetd's TRAFFIC is never without one.
            let is_told = target.is_some() || state.service.policy.is_none();
            is_told && state.logs_traffic(&self.settings)
        });
        if logs {
            let ended = Log::RedirectEnded { service, peer, target, traffic, ending, lasted };
            actions.push(Action::Log(ended));
        }
        self.session_ended(id, now, actions);
    }

    /// Ends all sessions of redirects, so that what each has passed on is told before the daemon ends.
    pub(super) fn end_redirects(&self, actions: &mut Vec<Action>) {
        let redirects = self.sessions.iter().filter(|(_, session)| session.redirected.is_some());
        actions.extend(redirects.map(|(id, _)| Action::EndSession(id)));
    }
}
