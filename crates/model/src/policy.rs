//! Who may call a service, what callers are sent, and what is logged of them, where its configuration says something of
//! that.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::guard::Guard;

/// All of it. Most services of an inetd.conf have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What is logged of callers, and where.
    pub log: ServiceLog,
    /// What callers are sent.
    pub banners: Banners,
    /// Who may call.
    pub guard: Guard,
}

/// What is logged of a service's callers, in the lines of xinetd.log(5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLog {
    /// The name in the lines, where several services have it and their own are longer.
    pub name: Option<Arc<str>>,
    /// Where the lines go.
    pub target: LogTarget,
    /// Of those who are served.
    pub success: LogOnSuccess,
    /// Of those who are not.
    pub failure: LogOnFailure,
}

/// Where lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogTarget {
    /// To the daemon's own log.
    #[default]
    Daemon,
    /// To syslog.
    Syslog {
        /// As in syslog(3), not shifted.
        facility: u8,
        /// As in syslog(3).
        level: u8,
    },
    /// To a file. Many services share theirs.
    File(Arc<LogFile>),
}

/// A file that lines are added to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogFile {
    /// An absolute path.
    pub path: Box<[u8]>,
    /// Beyond so many bytes it is said, once, that the file grows.
    pub soft: Option<u64>,
    /// Beyond so many bytes nothing is added.
    pub hard: Option<u64>,
}

/// What is logged when a program starts and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogOnSuccess {
    /// Its process number.
    pub pid: bool,
    /// Its caller's address.
    pub host: bool,
    /// Its caller's user, as the caller's machine says.
    pub user: bool,
    /// Its exit status, or the signal that ended it.
    pub exit: bool,
    /// How long it ran.
    pub duration: bool,
    /// The bytes that a redirected connection has carried.
    pub traffic: bool,
}

impl LogOnSuccess {
    /// Whether a start is logged.
    pub fn logs_start(self) -> bool {
        self != Self::default()
    }

    /// Whether an end is logged.
    pub fn logs_end(self) -> bool {
        self.exit || self.duration
    }
}

/// What is logged when somebody is not served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogOnFailure {
    /// That it is so, and why; the others imply it.
    pub attempt: bool,
    /// The caller's address.
    pub host: bool,
    /// The caller's user, as the caller's machine says.
    pub user: bool,
}

/// Texts that callers are sent. What is in them was read with the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Banners {
    /// To everybody, first of all.
    pub always: Option<Arc<[u8]>>,
    /// To those who are served, before anything else is.
    pub success: Option<Arc<[u8]>>,
    /// To those who are not.
    pub failure: Option<Arc<[u8]>>,
}

/// The longest banner: what a fresh connection takes without anybody waiting.
pub const MOST_OF_BANNER: usize = 16 * 1024;
