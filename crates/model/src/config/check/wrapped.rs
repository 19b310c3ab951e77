//! Whether hosts.allow and hosts.deny are asked before a service is started.

use super::Checker;
use crate::config::syntax::{Attributes, Entry, base};
use crate::service::{Task, Voice, Wrapped};

/// Where tcpd looks for a program that is named without a folder: `REAL_DAEMON_DIR` of Debian's.
const DAEMONS: &[u8] = b"/usr/sbin/";

impl Checker<'_> {
    /// By which name, and in whose words: those of tcpd for what is started through it, whatever its path.
    pub(super) fn wrapped(&self, entry: &Entry, task: &Task) -> Option<Box<Wrapped>> {
        if let Some(attributes) = entry.attributes.as_deref() {
            return self.wrapped_by_attributes(entry, attributes);
        }
        let is_internal = entry.program.value == b"internal";
        let first = entry.arguments.first().map(|argument| argument.value.as_slice());
        let (programs, builtins) = (self.defaults.wraps_programs, self.defaults.wraps_builtins);
        let (daemon, voice) = match (is_internal, programs, builtins) {
            _ if is_tcpd(entry) => (base(first?), programs.map_or(Voice::Tcpd, |wraps| wraps.voice)),
            (true, _, Some(wraps)) => {
                let name = match task {
                    Task::Builtin(builtin) => builtin.name(),
                    Task::Program(_) => "auth",
                    Task::Redirect(_) => "redirect",
                };
                (name.as_bytes(), wraps.voice)
            }
            (false, Some(wraps), _) => {
                let own = first.filter(|_| !wraps.by_path);
                (base(own.unwrap_or(&entry.program.value)), wraps.voice)
            }
            (true, _, None) | (false, None, _) => return None,
        };
        Some(Box::new(Wrapped { daemon: daemon.into(), voice }))
    }
}

impl Checker<'_> {
    /// As xinetd asks them: by the program's name, or that of the service when it has none.
    fn wrapped_by_attributes(&self, entry: &Entry, attributes: &Attributes) -> Option<Box<Wrapped>> {
        // What tcpd would ask is asked whatever else is said.
        let through_tcpd = is_tcpd(entry);
        if attributes.flags.no_libwrap && !through_tcpd {
            return None;
        }
        let first = entry.arguments.first().map(|argument| argument.value.as_slice());
        let own = if entry.program.value == b"internal" { &entry.name.value } else { base(first?) };
        let named = attributes.libwrap.as_ref().filter(|_| !through_tcpd);
        let daemon = named.map_or(own, |word| word.value.as_slice());
        Some(Box::new(Wrapped { daemon: daemon.into(), voice: self.defaults.wraps_programs?.voice }))
    }
}

/// Whether a program is started through tcpd.
pub(super) fn is_tcpd(entry: &Entry) -> bool {
    is_tcpd_name(&entry.program.value)
}

/// Whether a path is that of tcpd, in whichever folder a system has it.
pub(super) fn is_tcpd_name(path: &[u8]) -> bool {
    base(path) == b"tcpd"
}

/// What tcpd executes when this is its `argv[0]`.
pub(super) fn tcpd_program(real: &[u8]) -> Vec<u8> {
    if real.starts_with(b"/") { real.to_vec() } else { [DAEMONS, real].concat() }
}
