//! What holds where a line says nothing else: the face and the dialect decide.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::service::{AtLimit, CallerVariables, Limits, Rate, SourcePrefix, Stderr, Voice};

/// What holds where a line says nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defaults {
    /// For programs; a built-in is limited only when its line says so.
    pub limits: Limits,
    /// Sessions of one built-in service at the same time.
    pub sessions: u32,
    /// Connections that wait in the kernel.
    pub backlog: u32,
    /// What programs are told about their callers.
    pub variables: CallerVariables,
    /// Whether programs that are started for TCP connections get the host names of both ends.
    pub names: bool,
    /// Where standard error goes.
    pub stderr: Stderr,
    /// How hosts.allow and hosts.deny are asked for programs that are not started through tcpd, if they are.
    pub wraps_programs: Option<Wraps>,
    /// The same for built-ins.
    pub wraps_builtins: Option<Wraps>,
    /// The address that services listen on whose line has none, instead of the wildcard.
    pub bind: Option<String>,
}

impl Defaults {
    /// The same for services of xinetd.conf, as xinetd has it: callers beyond a limit are refused, hosts.allow and
    /// hosts.deny are always asked, and programs are told who calls.
    pub fn of_xinetd(&self) -> Defaults {
        let limits = Limits {
            starts: Some(Rate { count: 50, window: Duration::from_secs(1) }),
            rest: Some(Duration::from_secs(10)),
            children: None,
            source_starts: None,
            source_children: None,
            source_prefix: SourcePrefix::default(),
            at_limit: AtLimit::Refuse,
        };
        let wraps = Some(Wraps { by_path: false, voice: Voice::Xinetd });
        Defaults {
            limits,
            backlog: self.backlog.max(XINETD_BACKLOG),
            variables: CallerVariables::RemoteHost,
            names: false,
            wraps_programs: wraps,
            wraps_builtins: wraps,
            ..self.clone()
        }
    }
}

/// How hosts.allow and hosts.deny are asked by an inetd itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wraps {
    /// Whether a program goes by the name of its file, and not by its `argv[0]`.
    pub by_path: bool,
    /// What is logged.
    pub voice: Voice,
}

/// `LISTEN_BACKLOG` of xinetd.
const XINETD_BACKLOG: u32 = 64;

/// The window of a line's `.N` and of `-R`: `CNT_INTVL` of the original.
pub const STARTS_WINDOW: Duration = Duration::from_secs(60);
