//! A UDP built-in that answers the whole network: whoever forges a source address can aim its answers.

use crate::config::syntax::Entry;
use crate::diagnostic::{Diagnostic, Place};
use crate::service::{Builtin, Service, SocketKind, Task};

pub(super) fn check(entry: &Entry, service: &Service) -> Option<Diagnostic> {
    let Task::Builtin(builtin) = service.task else { return None };
    let silent = builtin == Builtin::Discard;
    let open = service
        .listeners
        .iter()
        .any(|listener| listener.key.kind == SocketKind::Datagram && !listener.key.address.is_local());
    if silent || !open {
        return None;
    }
    let message = format!("{} over UDP answers the whole network", builtin.name());
    let hint =
        "forged source addresses make it an amplifier; write 127.0.0.1: in front of the name, or use stream";
    Some(Diagnostic::warning("udp-amplifier", Place::Text(entry.program.span), message).hint(hint))
}
