//! What holds where a line says nothing else: the face and the dialect decide.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::service::{Limits, Stderr, Voice};

/// What holds where a line says nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defaults {
    /// For programs; a built-in is limited only when its line says so.
    pub limits: Limits,
    /// Sessions of one built-in service at the same time.
    pub sessions: u32,
    /// Connections that wait in the kernel.
    pub backlog: u32,
    /// Whether programs get UCSPI variables.
    pub ucspi: bool,
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

/// How hosts.allow and hosts.deny are asked by an inetd itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wraps {
    /// Whether a program goes by the name of its file, and not by its `argv[0]`.
    pub by_path: bool,
    /// What is logged.
    pub voice: Voice,
}

/// The window of a line's `.N` and of `-R`: `CNT_INTVL` of the original.
pub const STARTS_WINDOW: Duration = Duration::from_secs(60);
