//! What is shown of the daemon's state.
//!
//! A snapshot is plain data with the words that a person reads, made on request; nothing is kept for it.

use serde::{Deserialize, Serialize};

use crate::admission::Pool;
use crate::episode::Episodes;
use crate::event::OpenError;
use crate::failure::{Attempt, Errno, Failures, StartError};
use crate::lifecycle::{Pause, Phase};
use crate::registry::Standing;
use crate::service::{Builtin, Identity, ListenAddress, Listener, Origin, Task, Unavailable};
use crate::supervisor::{ListenerId, ServiceId, ServiceState, Supervisor};
use crate::time::Tick;

/// The whole daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Of this format; raised when a field changes its meaning.
    pub version: u32,
    /// Of the program.
    pub program_version: String,
    /// The daemon's process.
    pub pid: u32,
    /// Seconds since it began.
    pub uptime_seconds: u64,
    /// Programs that run now.
    pub children: u32,
    /// The most that may.
    pub max_children: u32,
    /// Sessions of built-ins and redirects that are open now.
    pub sessions: u32,
    /// Sources that have called a sensor and are denied everywhere.
    #[serde(default)]
    pub denied_sources: usize,
    /// Whether a configuration is being read.
    pub loading: bool,
    /// What the last load complained of.
    pub diagnostics: Vec<String>,
    /// All services.
    pub services: Vec<ServiceStatus>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// `file:line`.
    pub origin: String,
    /// The program, the built-in, or where callers are connected to.
    pub program: String,
    /// Whom it runs as.
    pub user: String,
    /// Programs (or sessions) that run now.
    pub running: u32,
    /// Callers so far.
    pub calls: u64,
    /// Programs started, or callers connected, so far.
    pub started: u64,
    /// Starts that failed so far.
    pub failed: u64,
    /// Callers whom lists and tables did not let in.
    #[serde(default)]
    pub denied: u64,
    /// Where it listens.
    pub listeners: Vec<ListenerStatus>,
    /// Limits that were met.
    pub limits: Vec<LimitStatus>,
    /// Whether the last start failed.
    #[serde(default)]
    pub failing: bool,
    /// The last failed starts, oldest first.
    pub failures: Vec<FailureStatus>,
    /// The last lines that its programs wrote to standard error, where that comes to us.
    pub stderr: Vec<String>,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// `name/protocol`.
    pub label: String,
    /// The socket type.
    pub kind: String,
    /// Where it is bound.
    pub address: String,
    /// `listening`, `paused`, `closed`, `handed-over` or `opening`.
    pub state: String,
    /// Why it is not listening; empty when it is.
    pub why: String,
    /// Seconds until it is tried again, where that is known.
    pub seconds_left: Option<u64>,
    /// How an RPC service stands with rpcbind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc: Option<RpcStatus>,
}

/// What rpcbind knows of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcStatus {
    /// The program's number.
    pub program: u32,
    /// Its versions: `1`, `1-5`.
    pub versions: String,
    /// Whether rpcbind knows all of it.
    pub registered: bool,
    /// Why not; empty when it does, or was not asked yet.
    pub why: String,
    /// Seconds until it is tried again, where that is known.
    pub seconds_left: Option<u64>,
}

/// What one limit has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitStatus {
    /// Which.
    pub limit: String,
    /// Whether it holds callers back now, or did so within the last minute and a half.
    pub active: bool,
    /// Seconds since it held somebody back last, while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seconds_ago: Option<u64>,
    /// Callers that it turned away so far.
    pub refused: u64,
}

/// A failed start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureStatus {
    /// Seconds ago.
    pub seconds_ago: u64,
    /// How often in a row.
    pub times: u64,
    /// What went wrong, with the kernel's words.
    pub error: String,
    /// The kernel's number, where it was the kernel.
    pub errno: Option<i32>,
}

/// What the core cannot know about a number of the kernel.
pub type Strerror<'a> = &'a dyn Fn(Errno) -> String;

/// The services of a daemon, as they are now. `stderr` has the last lines of a service's programs.
pub fn services(
    supervisor: &Supervisor,
    now: Tick,
    strerror: Strerror<'_>,
    stderr: &dyn Fn(ServiceId) -> Vec<String>,
) -> Vec<ServiceStatus> {
    let mut all: Vec<(ServiceId, &ServiceState)> = supervisor.services().collect();
    all.sort_by_cached_key(|(_, state)| {
        let origin = state.service().origin;
        (path(supervisor, origin).to_owned(), origin.line, state.service().display_name())
    });
    let all = all.into_iter();
    all.map(|(id, state)| ServiceStatus { stderr: stderr(id), ..service(supervisor, state, now, strerror) })
        .collect()
}

/// Programs that run, and how many may.
pub fn children(supervisor: &Supervisor) -> (u32, u32) {
    supervisor.admission().running(Pool::Children)
}

/// Sessions of built-ins and redirects that are open.
pub fn sessions(supervisor: &Supervisor) -> u32 {
    supervisor.admission().running(Pool::Sessions).0
}

/// The error of a start in words, as all logs and status print it.
pub fn describe(error: &StartError, strerror: Strerror<'_>) -> String {
    match error {
        StartError::Identity(Unavailable::NoSuchUser(user)) => format!("no such user: {user}"),
        StartError::Identity(Unavailable::NoSuchGroup(group)) => format!("no such group: {group}"),
        StartError::Identity(Unavailable::Reserved(user)) => format!("{user} is the user of our own helper"),
        StartError::Identity(Unavailable::NotPermitted(user)) => format!("only root can start it as {user}"),
        StartError::Identity(Unavailable::NotLookedUp(name, why)) => {
            format!("{name} could not be looked up: {why}")
        }
        StartError::Refused { step, errno } => format!("{}: {}", step.word(), strerror(*errno)),
        StartError::NoTarget(why) => format!("no target: {why}"),
        StartError::Unreached(attempts) => {
            let words = |attempt: &Attempt| format!("{}: {}", attempt.target, strerror(attempt.errno));
            attempts.iter().map(words).collect::<Vec<_>>().join("; ")
        }
    }
}

fn service(
    supervisor: &Supervisor,
    state: &ServiceState,
    now: Tick,
    strerror: Strerror<'_>,
) -> ServiceStatus {
    let service = state.service();
    let (program, user) = match &service.task {
        Task::Builtin(builtin) => (format!("internal {}", Builtin::name(*builtin)), String::new()),
        Task::Redirect(redirect) => (format!("redirect to {redirect}"), String::new()),
        Task::Program(program) => {
            let user = match &program.identity {
                Identity::Daemon => "(own)".to_owned(),
                Identity::User(credentials) => credentials.user.clone(),
                Identity::Unavailable(_) => "(unavailable)".to_owned(),
            };
            (program.command.display(), user)
        }
    };
    let listeners = state
        .listeners()
        .iter()
        .filter_map(|id| Some((*id, supervisor.listener(*id)?)))
        .zip(&service.listeners);
    let failures = state.failures().into_iter().flat_map(Failures::recent).map(|failure| FailureStatus {
        seconds_ago: now.since(failure.at).as_secs(),
        times: failure.times,
        error: describe(&failure.error, strerror),
        errno: match failure.error {
            StartError::Identity(_) | StartError::NoTarget(_) => None,
            StartError::Refused { errno, .. } => Some(errno.0),
            StartError::Unreached(ref attempts) => attempts.last().map(|attempt| attempt.errno.0),
        },
    });
    let limits = state.episodes().into_iter().flat_map(Episodes::records).map(|record| LimitStatus {
        limit: record.limit.word().to_owned(),
        last_seconds_ago: record.episode.map(|episode| now.since(episode.last).as_secs()),
        active: record.episode.is_some(),
        refused: record.refused,
    });
    ServiceStatus {
        name: service.display_name(),
        origin: format!("{}:{}", path(supervisor, service.origin), service.origin.line),
        program,
        user,
        running: state.usage().running(),
        calls: state.counters().calls,
        started: state.counters().started,
        denied: state.counters().denied,
        failed: state.failures().map_or(0, Failures::total),
        listeners: listeners
            .map(|((id, listener), spec)| {
                let (state, why) = phase(listener.phase(), strerror);
                ListenerStatus {
                    label: service.label(spec),
                    kind: spec.key.kind.word().to_owned(),
                    address: address(spec, supervisor.rpc(id).map(|(port, ..)| port)),
                    state: state.to_owned(),
                    why,
                    seconds_left: listener.phase().deadline().map(|at| at.since(now).as_secs()),
                    rpc: rpc(supervisor, id, spec, now),
                }
            })
            .collect(),
        limits: limits.collect(),
        failing: state.failures().is_some_and(Failures::is_failing),
        failures: failures.collect(),
        stderr: Vec::new(),
    }
}

/// Where a listener is bound; the port of an RPC service is known once it is open.
fn address(spec: &Listener, port: Option<u16>) -> String {
    match (&spec.key.address, port) {
        (ListenAddress::Rpc(rpc), Some(port)) => rpc.address.with_port(port).to_string(),
        (address, _) => address.display(),
    }
}

fn rpc(supervisor: &Supervisor, id: ListenerId, spec: &Listener, now: Tick) -> Option<RpcStatus> {
    let (ListenAddress::Rpc(rpc), Some(versions)) = (&spec.key.address, spec.extras().versions) else {
        return None;
    };
    let (standing, due) = match supervisor.rpc(id) {
        Some((_, standing, due)) => (standing.clone(), due),
        None => (Standing::Waiting, None),
    };
    let (registered, why) = match standing {
        Standing::Waiting => (false, String::new()),
        Standing::Registered => (true, String::new()),
        Standing::Failed(why) => (false, why),
    };
    let seconds_left = due.filter(|_| !registered).map(|at| at.since(now).as_secs());
    Some(RpcStatus { program: rpc.program, versions: versions.to_string(), registered, why, seconds_left })
}

fn path(supervisor: &Supervisor, origin: Origin) -> &str {
    supervisor.files().get(origin.file as usize).map_or("?", String::as_str)
}

fn phase(phase: Phase, strerror: Strerror<'_>) -> (&'static str, String) {
    match phase {
        Phase::Opening => ("opening", String::new()),
        Phase::Closed { error: OpenError { call, errno }, .. } => {
            ("closed", format!("{call}: {}", strerror(errno)))
        }
        Phase::Polled => ("listening", String::new()),
        Phase::Paused(Pause::Limit(limit, _)) => ("paused", format!("limit reached: {}", limit.word())),
        Phase::Paused(Pause::StartFailed(_)) => ("paused", "the last start failed".to_owned()),
        Phase::Paused(Pause::Resources(_)) => {
            ("paused", "descriptors, memory or processes ran out".to_owned())
        }
        Phase::Paused(Pause::Judgment) => {
            ("paused", "it is being found out whether a caller is let in".to_owned())
        }
        Phase::HandedOver(pid) => ("handed-over", format!("process {} has the socket", pid.0)),
    }
}
