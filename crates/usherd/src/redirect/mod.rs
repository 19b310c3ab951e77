//! Callers that are connected to another host and port.
//!
//! A session is two sockets in the event loop, which are looked at once and told of edge by edge: what is known of
//! them stands in [`flow::End`]. Sessions with something to do stand in a queue; each does a bounded piece of work in
//! its turn, and all together do one before the loop looks at everything else.
//!
//! What must never happen here: waiting in a call, a session that holds the others up, or bytes that get lost while
//! both connections are whole. What is said about a session is said by the core.

mod calling;
mod flow;
mod pipes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::sockopt::set_socket_linger;
use usherd_model::children::{self, SessionId};
use usherd_model::event::{Ending, Event, NotReached, Traffic};
use usherd_model::service::Targets;
use usherd_model::slots::Side;
use usherd_model::time::Tick;
use usherd_sys::socket::unsent;

use self::calling::Calling;
use self::flow::{End, Flow, Tools};
use crate::descriptors::move_up;
use crate::errno::from_rustix;
use crate::poller::{Poller, Token};

/// Bytes that are copied at once. More than that is a stream.
const PIECE: usize = 16 * 1024;

/// Bytes that one session passes on in its turn, in each direction.
const SHARE: usize = 256 * 1024;

/// Bytes that all sessions pass on before the loop looks at everything else.
const TURN: usize = 1024 * 1024;

/// A turn in which nothing is passed on counts as so many bytes.
const LOOK: usize = 4 * 1024;

/// After one end has said all, the other may be silent for so long.
pub const HALF_CLOSED: Duration = Duration::from_secs(600);

/// Everything that is looked for, edge by edge.
const EDGES: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::PRI)
    .union(EventFlags::RDHUP)
    .union(EventFlags::ET);

/// One session.
#[derive(Debug)]
struct Session {
    caller: End,
    target: End,
    /// There while the target is being called.
    calling: Option<Calling>,
    /// From the caller to the target.
    inward: Flow,
    /// From the target to the caller.
    outward: Flow,
    /// When something was last passed on.
    active: Tick,
    /// When it is looked at in any case.
    due: Option<Tick>,
    /// Whether it stands in the queue.
    is_queued: bool,
}

/// One of the two sockets of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The caller's.
    Caller,
    /// The target's.
    Target,
}

/// What has become of a session.
#[derive(Debug)]
pub struct News {
    /// The same for the core.
    pub event: Event,
    /// What is to be closed.
    pub closed: [Option<OwnedFd>; 2],
}

/// All sessions, by the core's names for them.
#[derive(Debug, Default)]
pub struct Redirects {
    open: Side<children::Session, Session>,
    count: usize,
    tools: Tools,
    /// Those that have something to do.
    queue: VecDeque<SessionId>,
    timers: BTreeSet<(Tick, SessionId)>,
}

impl Redirects {
    /// Begins a session: calls the target. Says so if it is over at once.
    pub fn begin(
        &mut self,
        id: SessionId,
        caller: OwnedFd,
        targets: Targets,
        poller: &Poller,
        now: Tick,
    ) -> Option<News> {
        let caller = move_up(caller);
        match begin(id, &caller, targets, poller, now) {
            Ok((calling, target)) => {
                let until = calling.until;
                self.open.insert(id, Session::new(caller, target, calling, now));
                self.count += 1;
                self.set_due(id, Some(until));
                None
            }
            Err(why) => Some(News { event: Event::NotReached(id, why), closed: [Some(caller), None] }),
        }
    }

    /// Notes what the poller says of a session. [`Self::work`] does something about it.
    pub fn note(&mut self, id: SessionId, which: Which, ready: EventFlags) {
        let Some(session) = self.open.get_mut(id) else { return };
        match which {
            Which::Caller => session.caller.note(ready),
            Which::Target => session.target.note(ready),
        }
        self.enqueue(id);
    }

    /// Whether [`Self::work`] has something to do now.
    pub fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    /// When [`Self::expire`] has something to do.
    pub fn deadline(&self) -> Option<Tick> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Descriptors that sessions have.
    pub fn descriptors(&self) -> usize {
        2 * self.count + self.tools.pipes.descriptors()
    }

    /// Does a bounded piece of work: each session in the queue has its turn, or the first ones have, and the others the
    /// next time.
    pub fn work(&mut self, poller: &Poller, now: Tick, news: &mut Vec<News>) {
        let mut left = TURN;
        for _ in 0..self.queue.len() {
            let Some(id) = self.queue.pop_front() else { return };
            let Some(session) = self.open.get_mut(id) else { continue };
            session.is_queued = false;
            let passed = if session.calling.is_some() {
                self.go_on_calling(id, poller, now, news);
                0
            } else {
                self.pass_on(id, now, news)
            };
            left = left.saturating_sub(passed.max(LOOK));
            if left == 0 {
                return;
            }
        }
    }

    /// Does what is to be done at a time that has come.
    pub fn expire(&mut self, poller: &Poller, now: Tick, news: &mut Vec<News>) {
        while let Some((_, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.set_due(id, None);
            let Some(session) = self.open.get(id) else { continue };
            let until = session.active.after(HALF_CLOSED);
            if session.calling.is_some() {
                self.call_next(id, Errno::TIMEDOUT, poller, now, news);
            } else if until <= now {
                news.extend(self.end(id, Ending::Silent));
            } else {
                self.set_due(id, Some(until));
            }
        }
    }

    /// Ends a session. `None` when there is none.
    pub fn end(&mut self, id: SessionId, ending: Ending) -> Option<News> {
        let Session { caller, target, inward, outward, .. } = self.remove(id)?;
        match ending {
            Ending::CallerLost(_) => break_off(&target.socket),
            Ending::TargetLost(_) => break_off(&caller.socket),
            Ending::Complete | Ending::Silent | Ending::Stopped => {}
        }
        let traffic = Traffic { received: inward.passed(), sent: outward.passed() };
        let event = Event::RedirectEnded(id, traffic, ending);
        Some(News { event, closed: [Some(caller.socket), Some(target.socket)] })
    }

    fn go_on_calling(&mut self, id: SessionId, poller: &Poller, now: Tick, news: &mut Vec<News>) {
        let Some(session) = self.open.get_mut(id) else { return };
        if let Some(error) = session.caller.loss() {
            news.extend(self.end(id, Ending::CallerLost(from_rustix(error))));
            return;
        }
        let Some(calling) = session.calling.as_ref().filter(|_| session.target.is_known()) else { return };
        match calling.outcome(&session.target.socket) {
            Ok(target) => {
                (session.calling, session.active) = (None, now);
                self.set_due(id, None);
                news.push(News { event: Event::Reached(id, target), closed: [None, None] });
                self.enqueue(id);
            }
            Err(error) => self.call_next(id, error, poller, now, news),
        }
    }

    /// An address does not answer.
    fn call_next(&mut self, id: SessionId, error: Errno, poller: &Poller, now: Tick, news: &mut Vec<News>) {
        let Some(session) = self.open.get_mut(id) else { return };
        let Some(calling) = &mut session.calling else { return };
        let called = calling.go_on(error, now).and_then(|socket| {
            watch(&socket, Token::RedirectTarget(id), poller)?;
            Ok((socket, calling.until))
        });
        match called {
            Ok((socket, until)) => {
                poller.remove(&session.target.socket);
                session.target = End::new(socket);
                self.set_due(id, Some(until));
            }
            Err(why) => {
                let Some(Session { caller, target, .. }) = self.remove(id) else { return };
                let closed = [Some(caller.socket), Some(target.socket)];
                news.push(News { event: Event::NotReached(id, why), closed });
            }
        }
    }

    /// Gives a session its turn. Returns how many bytes it has passed on.
    fn pass_on(&mut self, id: SessionId, now: Tick, news: &mut Vec<News>) -> usize {
        let Some(session) = self.open.get_mut(id) else { return 0 };
        let passed = session.pass_on(&mut self.tools);
        if passed > 0 {
            session.active = now;
        }
        if let Some(ending) = session.ending() {
            news.extend(self.end(id, ending));
            return passed;
        }
        let (can_go_on, is_timed) = (session.can_go_on(), session.due.is_some());
        if session.is_half_over() && !is_timed {
            self.set_due(id, Some(now.after(HALF_CLOSED)));
        }
        if can_go_on {
            self.enqueue(id);
        }
        passed
    }

    fn enqueue(&mut self, id: SessionId) {
        let Some(session) = self.open.get_mut(id) else { return };
        if !std::mem::replace(&mut session.is_queued, true) {
            self.queue.push_back(id);
        }
    }

    /// The one place where a session's time changes: the timers follow it.
    fn set_due(&mut self, id: SessionId, due: Option<Tick>) {
        let Some(session) = self.open.get_mut(id) else { return };
        if let Some(before) = std::mem::replace(&mut session.due, due) {
            self.timers.remove(&(before, id));
        }
        self.timers.extend(due.map(|due| (due, id)));
    }

    fn remove(&mut self, id: SessionId) -> Option<Session> {
        self.set_due(id, None);
        let mut session = self.open.remove(id)?;
        session.inward.discard(&mut self.tools.pipes);
        session.outward.discard(&mut self.tools.pipes);
        self.count -= 1;
        Some(session)
    }
}

impl Session {
    fn new(caller: OwnedFd, target: OwnedFd, calling: Calling, now: Tick) -> Self {
        Self {
            caller: End::new(caller),
            target: End::new(target),
            calling: Some(calling),
            inward: Flow::default(),
            outward: Flow::default(),
            active: now,
            due: None,
            is_queued: false,
        }
    }

    fn pass_on(&mut self, tools: &mut Tools) -> usize {
        let Self { caller, target, inward, outward, .. } = self;
        inward.pump(caller, target, tools, SHARE) + outward.pump(target, caller, tools, SHARE)
    }

    fn can_go_on(&self) -> bool {
        let Self { caller, target, inward, outward, .. } = self;
        inward.can_go_on(caller, target) || outward.can_go_on(target, caller)
    }

    /// Whether one end has said all, or is lost.
    fn is_half_over(&self) -> bool {
        let is_lost = self.caller.is_lost() || self.target.is_lost();
        is_lost || self.inward.is_over() || self.outward.is_over()
    }

    /// How it has ended, if it has. What an end had said before it was lost is passed on first.
    fn ending(&self) -> Option<Ending> {
        let lost_after = |is_over: bool, end: &End| if is_over { end.loss().map(from_rustix) } else { None };
        let (inward, outward) = (self.inward.is_over(), self.outward.is_over());
        if let Some(error) = lost_after(inward, &self.caller) {
            Some(Ending::CallerLost(error))
        } else if let Some(error) = lost_after(outward, &self.target) {
            Some(Ending::TargetLost(error))
        } else if inward && outward {
            Some(Ending::Complete)
        } else {
            None
        }
    }
}

/// What [`Redirects::begin`] does with the kernel.
fn begin(
    id: SessionId,
    caller: &OwnedFd,
    targets: Targets,
    poller: &Poller,
    now: Tick,
) -> Result<(Calling, OwnedFd), NotReached> {
    ioctl_fionbio(caller, true).map_err(exhausted)?;
    let (calling, target) = Calling::begin(targets, now)?;
    watch(caller, Token::RedirectCaller(id), poller)?;
    watch(&target, Token::RedirectTarget(id), poller)?;
    Ok((calling, target))
}

fn watch(socket: &OwnedFd, token: Token, poller: &Poller) -> Result<(), NotReached> {
    poller.add(socket, token, EDGES).map_err(exhausted)
}

fn exhausted(error: Errno) -> NotReached {
    NotReached::Exhausted(from_rustix(error))
}

/// Has the peer of a connection see that the conversation broke off, and did not come to its end. Unless it has not yet
/// been sent all that was said before: then that counts more.
fn break_off(socket: &OwnedFd) {
    if unsent(socket.as_fd()).is_ok_and(|bytes| bytes == 0) {
        let _ = set_socket_linger(socket, Some(Duration::ZERO));
    }
}
