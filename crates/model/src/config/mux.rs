//! Services that are reached through tcpmux: `tcpmux/name` and `tcpmux/+name`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::Defaults;
use super::syntax::{Tree, Word};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::service::{
    Builtin, Config, Extras, InetAddress, Limits, ListenAddress, Listener, ListenerKey, Protocol, Service,
    SocketKind, Task,
};

const PREFIX: &[u8] = b"tcpmux/";

/// The name behind `tcpmux/`, in lower case, and whether the daemon says that the service begins (`+`).
pub(super) fn name(word: &Word) -> Option<(&[u8], bool)> {
    let name = word.value.strip_prefix(PREFIX)?;
    Some(match name.strip_prefix(b"+") {
        Some(name) => (name, true),
        None => (name, false),
    })
}

/// The place where callers of tcpmux find the service; `None` when nobody could ask for it.
pub(super) fn address(name: &[u8]) -> Option<ListenAddress> {
    // `help` is the question for the list.
    let asked_for =
        !name.is_empty() && name.len() < crate::tcpmux::MOST && !name.eq_ignore_ascii_case(b"help");
    let name = name.to_ascii_lowercase().into();
    if asked_for { Some(ListenAddress::Mux(name)) } else { None }
}

/// Services behind tcpmux need tcpmux itself. GNU's inetd adds it; where it is not added, its absence is said.
pub(super) fn complete(
    tree: &Tree,
    config: &mut Config,
    defaults: &Defaults,
    has_ipv6: bool,
    diagnostics: &mut Diagnostics,
) {
    let is_behind = |listener: &Listener| matches!(listener.key.address, ListenAddress::Mux(_));
    let good = config.services.iter().find(|service| service.listeners.iter().any(is_behind));
    // What is broken may go on as it was, and is reached as it was.
    let broken = config.broken.iter().find(|broken| broken.name.starts_with(PREFIX));
    let origin = good.map(|service| service.origin).or_else(|| broken.map(|broken| broken.origin));
    let Some(origin) = origin else { return };
    if config.services.iter().any(|service| service.task == Task::Builtin(Builtin::Tcpmux)) {
        return;
    }
    if tree.adds_tcpmux {
        let ip = if has_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let address = SocketAddr::new(ip, crate::tcpmux::PORT);
        let address = ListenAddress::Inet(InetAddress::new(address, has_ipv6));
        let key = ListenerKey { address, kind: SocketKind::Stream };
        let listener = Listener::new(Protocol::Tcp6, key, defaults.backlog, Extras::NONE);
        let limits =
            Limits { starts: None, rest: None, children: Some(defaults.sessions), ..defaults.limits.clone() };
        config.services.push(Service {
            name: b"tcpmux".as_slice().into(),
            origin,
            listeners: Box::new([listener]),
            task: Task::Builtin(Builtin::Tcpmux),
            limits: Arc::new(limits),
            wrapped: None,
            policy: None,
        });
    } else if let Some(entry) =
        tree.entries.iter().find(|entry| good.is_some() && name(&entry.name).is_some())
    {
        let hint = match entry.attributes {
            Some(_) => "add a service tcpmux: type = INTERNAL, socket_type = stream, wait = no",
            None => "add a line: tcpmux stream tcp nowait root internal",
        };
        diagnostics.push(
            Diagnostic::warning(
                "no-tcpmux",
                Place::Text(entry.name.span),
                "there is no tcpmux to reach it by",
            )
            .hint(hint),
        );
    }
}
