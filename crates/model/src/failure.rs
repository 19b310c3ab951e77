//! Why a program could not be started, or a target not reached.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::service::Unavailable;
use crate::time::Tick;

/// An error number of the kernel, as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

/// What a child was doing when it failed, before it was the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Being created.
    Clone,
    /// Taking leave of the daemon's descriptor table.
    Descriptors,
    /// Becoming a session leader.
    Session,
    /// Setting supplementary groups.
    Groups,
    /// Setting the group.
    Group,
    /// Setting the user.
    User,
    /// Looking whether user and group are really what was set.
    Verify,
    /// Setting a resource limit.
    Limit,
    /// Setting the priority.
    Nice,
    /// Setting the umask.
    Umask,
    /// Restoring the signal mask.
    Signals,
    /// Executing the program.
    Exec,
}

impl Step {
    /// The word for logs.
    pub fn word(self) -> &'static str {
        match self {
            Step::Clone => "clone",
            Step::Descriptors => "descriptors",
            Step::Session => "setsid",
            Step::Groups => "setgroups",
            Step::Group => "setgid",
            Step::User => "setuid",
            Step::Verify => "verify",
            Step::Limit => "setrlimit",
            Step::Nice => "setpriority",
            Step::Umask => "umask",
            Step::Signals => "sigmask",
            Step::Exec => "exec",
        }
    }
}

/// Why a start failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The user or group cannot be had; nothing was started.
    Identity(Unavailable),
    /// The kernel refused one step.
    Refused {
        /// Which.
        step: Step,
        /// With this error.
        errno: Errno,
    },
    /// The host that callers are connected to could not be looked up, for this reason.
    NoTarget(Box<str>),
    /// None of the addresses that callers are connected to answers.
    Unreached(Box<[Attempt]>),
}

/// An address that could not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which.
    pub target: SocketAddr,
    /// Why not.
    pub errno: Errno,
}

/// A failure, remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When it happened last.
    pub at: Tick,
    /// What it was.
    pub error: StartError,
    /// How often it happened in a row.
    pub times: u64,
}

/// The last failed starts of one service. A cause that repeats is counted and not listed again, so one caller cannot
/// push the others out.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    recent: VecDeque<Failure>,
    /// Whether the last start failed.
    failing: bool,
    total: u64,
}

/// How many different failures of a service are remembered.
const REMEMBERED: usize = 4;

impl Failures {
    /// Counts a failure. True when it has to be logged: it is not just a repetition of the one before.
    #[must_use]
    pub fn add(&mut self, error: StartError, now: Tick) -> bool {
        self.total += 1;
        match self.recent.back_mut() {
            Some(last) if last.error == error => {
                last.at = now;
                last.times += 1;
                !std::mem::replace(&mut self.failing, true)
            }
            _ => {
                if self.recent.len() == REMEMBERED {
                    self.recent.pop_front();
                }
                self.recent.push_back(Failure { at: now, error, times: 1 });
                self.failing = true;
                true
            }
        }
    }

    /// A program ran. True when the start before it had failed.
    pub fn recovered(&mut self) -> bool {
        std::mem::take(&mut self.failing)
    }

    /// Whether no program ran since the last failure.
    pub fn is_failing(&self) -> bool {
        self.failing
    }

    /// The last ones, oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &Failure> {
        self.recent.iter()
    }

    /// All that were ever counted.
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_logged_once_until_it_changes_or_a_program_ran() {
        let missing = StartError::Refused { step: Step::Exec, errno: Errno(2) };
        let denied = StartError::Refused { step: Step::Exec, errno: Errno(13) };
        let mut failures = Failures::default();
        let now = Tick::default();
        assert!(failures.add(missing.clone(), now));
        assert!(!failures.add(missing.clone(), now));
        assert!(failures.add(denied, now));
        assert!(failures.add(missing.clone(), now));
        assert!(failures.recovered());
        assert!(!failures.recovered());
        assert!(failures.add(missing, now));
        assert_eq!(failures.total(), 5);
        assert_eq!(failures.recent().count(), 3);
    }
}
