//! Sockets that two services want.
//!
//! Of lines of an inetd.conf the last one has it, as with the originals. With xinetd the first service does, which may be
//! there for few callers only: another one in its place would let in the others.

use std::collections::HashMap;

use super::Checker;
use crate::config::syntax::Entry;
use crate::diagnostic::{Diagnostic, Place};
use crate::service::{Config, InetAddress, ListenAddress, ListenerKey, Service, SocketKind};
use crate::source::Span;

/// Who has which socket, so far.
pub(super) struct Taken {
    sockets: HashMap<ListenerKey, Holder>,
    /// The same by port, of those that are for callers of one address or of all; `None` where no service is of xinetd, and
    /// nobody asks.
    ports: Option<HashMap<u16, Vec<(InetAddress, Holder)>>>,
}

#[derive(Clone, Copy)]
struct Holder {
    /// Its place among the services.
    index: usize,
    span: Span,
    is_of_xinetd: bool,
}

impl Taken {
    /// Nobody has one yet.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let has_xinetd = entries.iter().any(|entry| entry.attributes.is_some());
        Self {
            sockets: HashMap::with_capacity(2 * entries.len()),
            ports: if has_xinetd { Some(HashMap::with_capacity(entries.len())) } else { None },
        }
    }

    fn take(&mut self, key: &ListenerKey, holder: Holder) {
        if let (Some(ports), Some(address)) = (&mut self.ports, of_connections(key)) {
            ports.entry(address.port()).or_default().push((address, holder));
        }
        self.sockets.insert(key.clone(), holder);
    }

    /// Who keeps another one from a socket: the kernel lets nobody listen to an address that is among those of another.
    fn holder(&self, key: &ListenerKey, own: Holder) -> Option<Holder> {
        if let Some(holder) = self.sockets.get(key) {
            return Some(*holder).filter(|holder| holder.index != own.index);
        }
        let address = of_connections(key)?;
        let others = self.ports.as_ref()?.get(&address.port()).into_iter().flatten();
        // An inetd tries it, and says what the kernel says.
        let mut others =
            others.filter(|(_, holder)| holder.index != own.index && follows_first(*holder, own));
        others.find(|(other, _)| has(address, *other) || has(*other, address)).map(|(_, holder)| *holder)
    }
}

fn of_connections(key: &ListenerKey) -> Option<InetAddress> {
    match key.address {
        ListenAddress::Inet(address) if key.kind == SocketKind::Stream => Some(address),
        ListenAddress::Inet(_) | ListenAddress::Rpc(_) | ListenAddress::Unix(_) | ListenAddress::Mux(_) => {
            None
        }
    }
}

/// Whether callers of one address come to another, too.
fn has(all: InetAddress, one: InetAddress) -> bool {
    let is_of_family = all.ip().is_ipv6() == one.ip().is_ipv6() || all.dual;
    all.ip() == one.ip() || all.ip().is_unspecified() && is_of_family
}

/// Whether of two the first one is followed.
fn follows_first(one: Holder, other: Holder) -> bool {
    one.is_of_xinetd || other.is_of_xinetd
}

impl Checker<'_> {
    /// Takes a service's sockets, or takes away those that are another's.
    pub(super) fn take_sockets(&mut self, entry: &Entry, service: &mut Service, config: &mut Config) {
        let own = Holder {
            index: config.services.len(),
            span: entry.span,
            is_of_xinetd: entry.attributes.is_some(),
        };
        let mut lost: Vec<ListenerKey> = Vec::new();
        for listener in &service.listeners {
            let Some(holder) = self.taken.holder(&listener.key, own) else {
                self.taken.take(&listener.key, own);
                continue;
            };
            let first = self.sources.locate(holder.span);
            let on = if matches!(listener.key.address, ListenAddress::Mux(_)) { "" } else { "on " };
            let what = format!("{} {on}{}", service.label(listener), listener.key.address.display());
            let place = Place::Text(entry.name.span);
            if follows_first(own, holder) {
                lost.push(listener.key.clone());
                let message = format!("{what} is another service's already");
                let hint = format!("{}:{} has it, and is followed, as in xinetd", first.path, first.line);
                self.diagnostics.push(Diagnostic::error("socket-taken", place, message).hint(hint));
            } else {
                self.taken.take(&listener.key, own);
                let others = &mut config.services[holder.index].listeners;
                *others = others.iter().filter(|other| other.key != listener.key).cloned().collect();
                let message = format!("{what} stands twice");
                let hint = format!("this line is followed, not {}:{}", first.path, first.line);
                self.diagnostics.push(Diagnostic::warning("duplicate", place, message).hint(hint));
            }
        }
        if !lost.is_empty() {
            let left = service.listeners.iter().filter(|listener| !lost.contains(&listener.key));
            service.listeners = left.cloned().collect();
        }
    }
}
