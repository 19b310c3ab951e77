//! Which variables a program inherits, and which are made for it.

use crate::service::CallerVariables;

/// What Debian's openbsd-inetd removes (`discard_stupid_environment`). Each is a prefix of `NAME=value`, so `TMP` and
/// `SSH` match every variable that begins so.
const DISCARDED: [&str; 19] = [
    "CVS", "DISPLAY=", "EDITOR=", "GROUP=", "HOME=", "IFS=", "LD_", "LOGNAME=", "MAIL=", "PATH=", "PRINTER=",
    "PWD=", "SHELL=", "SHLVL=", "SSH", "TERM", "TMP", "USER=", "VISUAL=",
];

/// What a service manager tells the daemon and nobody else: never inherited, whatever was asked for.
const OURS: [&str; 6] =
    ["NOTIFY_SOCKET=", "LISTEN_", "WATCHDOG_", "CREDENTIALS_DIRECTORY=", "INVOCATION_ID=", "JOURNAL_STREAM="];

/// The variables of the UCSPI convention. A program that is to have them never inherits one: what is unknown about a
/// caller is unset, not stale.
const UCSPI: [&str; 7] = [
    "PROTO=",
    "TCPLOCALHOST=",
    "TCPLOCALIP=",
    "TCPLOCALPORT=",
    "TCPREMOTEHOST=",
    "TCPREMOTEIP=",
    "TCPREMOTEPORT=",
];

/// Whether the daemon's environment is passed on (`-E`) or cleaned first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherit {
    /// Cleaned of what the original removes.
    Cleaned,
    /// As it is, less what is the daemon's own.
    All,
}

/// Whether a program inherits this `NAME=value`.
pub fn inherited(variable: &[u8], inherit: Inherit) -> bool {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| variable.starts_with(prefix.as_bytes()));
    !begins(&OURS) && (inherit == Inherit::All || !begins(&DISCARDED))
}

/// Whether this `NAME=value` would be taken for one that tells a program about its caller.
pub fn is_told(variable: &[u8], variables: CallerVariables) -> bool {
    let names: &[&str] = match variables {
        CallerVariables::None => &[],
        CallerVariables::Ucspi => &UCSPI,
        CallerVariables::RemoteHost => &["REMOTE_HOST="],
    };
    names.iter().any(|name| variable.starts_with(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_list_is_discarded_by_prefix() {
        for gone in
            ["PATH=/bin", "TMPDIR=/x", "SSH_AUTH_SOCK=y", "TERMINFO=z", "LD_PRELOAD=evil.so", "HOME=/root"]
        {
            assert!(!inherited(gone.as_bytes(), Inherit::Cleaned), "{gone}");
            assert!(inherited(gone.as_bytes(), Inherit::All), "{gone}");
        }
        for kept in ["LANG=C", "TZ=UTC", "HOMEPAGE=x", "PATHOLOGY=y", "USERNAME=z"] {
            assert!(inherited(kept.as_bytes(), Inherit::Cleaned), "{kept}");
        }
    }

    #[test]
    fn what_the_service_manager_says_is_never_passed_on() {
        for gone in ["NOTIFY_SOCKET=@x", "LISTEN_FDS=3", "LISTEN_PID=1", "WATCHDOG_USEC=5", "INVOCATION_ID=a"]
        {
            assert!(!inherited(gone.as_bytes(), Inherit::All), "{gone}");
        }
    }
}
