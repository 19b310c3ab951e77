//! A redirect whose target is the redirect: each caller makes it call itself, until a limit stops that.

use std::net::{IpAddr, SocketAddr};

use crate::config::syntax::Entry;
use crate::diagnostic::{Diagnostic, Place};
use crate::service::{InetAddress, Redirect, Service, Task};

pub(super) fn check(entry: &Entry, service: &Service) -> Option<Diagnostic> {
    let Task::Redirect(Redirect::To(targets)) = &service.task else { return None };
    let own = || service.listeners.iter().filter_map(|listener| listener.key.address.inet());
    if !targets.addresses().iter().any(|target| own().any(|own| is_reached(own, *target))) {
        return None;
    }
    let words = entry.attributes.as_ref().and_then(|attributes| attributes.redirect.as_ref());
    let place = Place::Text(words.map_or(entry.name.span, |words| words.name.span));
    let hint = "name another port, or another address in bind";
    Some(Diagnostic::warning("redirect-to-itself", place, "the service is its own target").hint(hint))
}

/// Whether a listener hears who calls this address, as far as can be told without the machine.
fn is_reached(own: InetAddress, target: SocketAddr) -> bool {
    let ours = |ip: IpAddr| ip == target.ip();
    let everywhere = own.ip().is_unspecified() && (own.dual || own.ip().is_ipv4() == target.is_ipv4());
    own.port() == target.port() && (ours(own.ip()) || everywhere && target.ip().is_loopback())
}
