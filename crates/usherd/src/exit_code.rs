//! All exit codes: the only place that names their numbers (sysexits(3), where it has one).

use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Success,
    /// `check --strict` found warnings; `convert` could not say something; or the `inetd` face was called wrongly or could not start, as the original.
    Failure,
    /// The command line is wrong.
    Usage,
    /// There is no daemon to talk to.
    Unavailable,
    /// The system refused something that is needed.
    System,
    /// Another daemon holds the pid file.
    Running,
    /// The answer could not be written.
    Output,
    /// What was asked for cannot be enforced, or not as this user.
    NotPermitted,
    /// The configuration has errors, or cannot be read at start.
    Config,
}

impl Exit {
    /// The number.
    pub fn number(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 64,
            Exit::Unavailable => 69,
            Exit::System => 71,
            Exit::Running => 73,
            Exit::Output => 74,
            Exit::NotPermitted => 77,
            Exit::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.number())
    }
}
