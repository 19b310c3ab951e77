//! A datagram service that does not take its socket over, which originals serve in two ways.

use crate::config::syntax::Entry;
use crate::diagnostic::{Diagnostic, Place};
use crate::service::{Handover, Service, SocketKind};

pub(super) fn check(entry: &Entry, service: &Service) -> Option<Diagnostic> {
    let program = service.program()?;
    let datagram = service.listeners.iter().any(|listener| listener.key.kind == SocketKind::Datagram);
    if !datagram || program.handover != Handover::Connection {
        return None;
    }
    let message = "each peer gets a program with a socket of its own, as in busybox";
    Some(Diagnostic::note("datagram-nowait", Place::Text(entry.wait.span), message).hint(
        "the other originals start programs until one has read the datagram; most programs expect wait",
    ))
}
