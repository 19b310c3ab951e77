//! The programs that run, by process number, and the sessions that need none.
//!
//! Counts of running programs come from here and from nowhere else: a child belongs to the service and the source
//! that started it until it has ended, whatever a reload does to the configuration meanwhile.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::admission::Claim;
use crate::slots::Key;
use crate::supervisor::ListenerId;
use crate::time::Tick;

/// A process number. Positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub i32);

/// One running program.
#[derive(Clone, Copy, Debug)]
pub struct Child {
    /// What it takes one of, for whom.
    pub claim: Claim,
    /// The listener that was called.
    pub listener: ListenerId,
    /// The caller's port, which the claim does not count; 0 where no caller is known.
    pub port: u16,
    /// When it was started.
    pub started: Tick,
}

impl Child {
    /// The caller, where one is known.
    pub fn peer(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.claim.source?, self.port))
    }
}

/// One open session of a built-in or a redirect.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// What it takes one of, for whom.
    pub claim: Claim,
    /// The caller, if it has an internet address: one who has left still has it here, and nowhere else.
    pub peer: Option<SocketAddr>,
    /// When it began.
    pub began: Tick,
    /// When it is ended, whatever it does.
    pub ends: Option<Tick>,
    /// There for a redirect's.
    pub redirected: Option<Redirected>,
}

/// What is told of a redirect's session when it ends.
#[derive(Clone, Copy, Debug)]
pub struct Redirected {
    /// The listener that was called.
    pub listener: ListenerId,
    /// Whom the caller is connected to, once it is.
    pub target: Option<SocketAddr>,
}

/// Names a session.
pub type SessionId = Key<Session>;

/// All running programs.
#[derive(Debug, Default)]
pub struct Children {
    by_pid: HashMap<Pid, Child>,
}

impl Children {
    /// Notes a program that was started.
    pub fn insert(&mut self, pid: Pid, child: Child) {
        self.by_pid.insert(pid, child);
    }

    /// Forgets a program that has ended.
    pub fn remove(&mut self, pid: Pid) -> Option<Child> {
        self.by_pid.remove(&pid)
    }

    /// A program that runs.
    pub fn get(&self, pid: Pid) -> Option<&Child> {
        self.by_pid.get(&pid)
    }

    /// How many run.
    pub fn len(&self) -> usize {
        self.by_pid.len()
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.by_pid.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Pid, &Child)> {
        self.by_pid.iter().map(|(pid, child)| (*pid, child))
    }
}
