//! One listener, from being wanted to being closed.
//!
//! ```text
//!            ┌────────── retry ──────────┐
//!            ▼                           │
//!  wanted ► Opening ──► Polled ◄──► Paused (a limit, a back-off)
//!            │  ▲         │ ▲
//!            ▼  │         ▼ │
//!           Closed       Handed over (a wait server has the socket)
//! ```
//!
//! A phase carries all that belongs to it, its end included: there is no flag beside it that could disagree.

use crate::admission::Limit;
use crate::backoff::Backoff;
use crate::children::Pid;
use crate::event::OpenError;
use crate::supervisor::ServiceId;
use crate::time::Tick;

/// A listener as it is now.
#[derive(Debug)]
pub struct ListenerState {
    pub(crate) service: ServiceId,
    /// Its place among the service's listeners, where all that was configured of it stands.
    pub(crate) place: u32,
    /// Whether there is a socket to open and to look at. Those behind tcpmux have none: theirs is tcpmux's.
    pub(crate) has_socket: bool,
    /// Changed by the supervisor only, in one place, which keeps the shell's polling and the timers in step.
    pub(crate) phase: Phase,
    pub(crate) opening: Backoff,
    pub(crate) starting: Backoff,
    pub(crate) resources: Backoff,
}

impl ListenerState {
    /// One that is about to be opened.
    pub(crate) fn new(service: ServiceId, place: u32) -> Self {
        Self {
            service,
            place,
            has_socket: true,
            phase: Phase::Opening,
            opening: Backoff::OPENING,
            starting: Backoff::STARTING,
            resources: Backoff::RESOURCES,
        }
    }

    /// One that callers of tcpmux come to.
    pub(crate) fn behind_tcpmux(service: ServiceId, place: u32) -> Self {
        Self { has_socket: false, phase: Phase::Polled, ..Self::new(service, place) }
    }

    /// Whether it is looked at when callers may come.
    pub fn has_socket(&self) -> bool {
        self.has_socket
    }

    /// Whose it is.
    pub fn service(&self) -> ServiceId {
        self.service
    }

    /// What it is doing.
    pub fn phase(&self) -> Phase {
        self.phase
    }
}

/// What a listener is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The shell was asked to open it.
    Opening,
    /// It could not be opened.
    Closed {
        /// Why.
        error: OpenError,
        /// When it is tried again.
        retry_at: Tick,
    },
    /// It is open and looked at.
    Polled,
    /// It is open, and callers wait in the kernel.
    Paused(Pause),
    /// A program has it (`wait`), and it is not looked at until that has ended.
    HandedOver(Pid),
}

/// Why callers wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// A limit was reached: until then, or until a program ends.
    Limit(Limit, Option<Tick>),
    /// A start failed that would only fail again at once.
    StartFailed(Tick),
    /// Descriptors, memory or processes have run out.
    Resources(Tick),
    /// It is being found out whether the one who sent the first datagram is let in.
    Judgment,
}

impl Phase {
    /// Whether the shell looks out for callers.
    pub fn is_polled(self) -> bool {
        self == Phase::Polled
    }

    /// Whether there is a socket.
    pub fn is_open(self) -> bool {
        match self {
            Phase::Opening | Phase::Closed { .. } => false,
            Phase::Polled | Phase::Paused(_) | Phase::HandedOver(_) => true,
        }
    }

    /// When the phase ends by itself.
    pub fn deadline(self) -> Option<Tick> {
        match self {
            Phase::Closed { retry_at, .. } => Some(retry_at),
            Phase::Paused(Pause::Limit(_, until)) => until,
            Phase::Paused(Pause::StartFailed(until) | Pause::Resources(until)) => Some(until),
            Phase::Opening | Phase::Polled | Phase::Paused(Pause::Judgment) | Phase::HandedOver(_) => None,
        }
    }
}
