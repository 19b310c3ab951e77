//! Which RPC programs rpcbind is to know, and which it knows.
//!
//! The port of an RPC service is the kernel's choice, and rpcbind is where callers ask for it. The registry compares
//! what is open with what rpcbind was told; when something is to be told is the supervisor's business, and a helper
//! does it (`usherd load`), since rpcbind may be slow, dead or not there.
//!
//! What this module must never do: forget what rpcbind was told before rpcbind was told to forget it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::service::{ListenAddress, Listener, SocketKind};
use crate::supervisor::ListenerId;
use crate::time::Tick;

/// One version of a program over one transport, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Registration {
    /// The program's number.
    pub program: u32,
    /// One of its versions.
    pub version: u32,
    /// Over this transport.
    pub netid: Netid,
    /// Bound here.
    pub address: SocketAddr,
}

/// How rpcbind names a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the word of that name")]
pub enum Netid {
    Tcp,
    Tcp6,
    Udp,
    Udp6,
}

impl Netid {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Netid::Tcp => "tcp",
            Netid::Tcp6 => "tcp6",
            Netid::Udp => "udp",
            Netid::Udp6 => "udp6",
        }
    }

    /// The number of its protocol in IP.
    pub fn protocol(self) -> u32 {
        match self {
            Netid::Tcp | Netid::Tcp6 => 6,
            Netid::Udp | Netid::Udp6 => 17,
        }
    }

    fn new(kind: SocketKind, address: IpAddr) -> Self {
        match (kind, address) {
            (SocketKind::Datagram, IpAddr::V4(_)) => Netid::Udp,
            (SocketKind::Datagram, IpAddr::V6(_)) => Netid::Udp6,
            (SocketKind::Stream | SocketKind::SeqPacket, IpAddr::V4(_)) => Netid::Tcp,
            (SocketKind::Stream | SocketKind::SeqPacket, IpAddr::V6(_)) => Netid::Tcp6,
        }
    }
}

/// A registration that rpcbind did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which.
    pub registration: Registration,
    /// Why not.
    pub why: String,
}

/// How an RPC listener stands with rpcbind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was not yet told.
    Waiting,
    /// It was told of all versions.
    Registered,
    /// It could not be told, or refuses, for this reason.
    Failed(String),
}

/// What rpcbind is told at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tidings {
    /// All that is open: what rpcbind knows already, it takes again.
    pub set: Vec<Registration>,
    /// What is not any more.
    pub unset: Vec<Registration>,
}

/// What has become of a listener's registration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It failed, for a reason that was not yet said.
    Failed(ListenerId, Refusal),
    /// It has worked after failures.
    Registered(ListenerId),
}

/// What rpcbind has room for once.
type Place = (u32, u32, Netid);

/// All RPC listeners, and what rpcbind was told of them.
#[derive(Debug)]
pub(crate) struct Registry {
    open: BTreeMap<ListenerId, Open>,
    /// What rpcbind knows, or may know, from us.
    told: BTreeSet<Registration>,
    asked: Option<Asked>,
    pub(crate) backoff: Backoff,
    /// When rpcbind is told next.
    pub(crate) due: Option<Tick>,
    /// Whether something has changed since it was asked.
    pub(crate) has_changed: bool,
}

#[derive(Debug)]
struct Open {
    port: u16,
    standing: Standing,
}

/// What a helper is telling rpcbind now.
#[derive(Debug)]
struct Asked {
    set: Vec<(Registration, ListenerId)>,
    unset: Vec<Registration>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            open: BTreeMap::new(),
            told: BTreeSet::new(),
            asked: None,
            backoff: Backoff::REGISTERING,
            due: None,
            has_changed: false,
        }
    }

    /// Whether there is nothing that rpcbind could be told.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.told.is_empty()
    }

    /// Whether a helper is on its way.
    pub(crate) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// The port and the standing of a listener.
    pub(crate) fn standing(&self, id: ListenerId) -> Option<(u16, &Standing)> {
        self.open.get(&id).map(|open| (open.port, &open.standing))
    }

    /// A listener was opened on this port.
    pub(crate) fn opened(&mut self, id: ListenerId, port: u16) {
        self.open.insert(id, Open { port, standing: Standing::Waiting });
    }

    /// A listener is closed.
    pub(crate) fn closed(&mut self, id: ListenerId) {
        self.open.remove(&id);
    }

    /// What is to be told now; [`Self::answered`] or [`Self::failed`] follows.
    pub(crate) fn ask<'a>(&mut self, spec: impl Fn(ListenerId) -> Option<&'a Listener>) -> Option<Tidings> {
        let mut places = BTreeMap::new();
        for (id, open) in &self.open {
            let all = spec(*id).into_iter().flat_map(|spec| registrations(spec, open.port));
            places.extend(all.map(|registration| (place(&registration), (registration, *id))));
        }
        let set: Vec<(Registration, ListenerId)> = places.into_values().collect();
        let wanted: BTreeSet<Registration> = set.iter().map(|(registration, _)| *registration).collect();
        // rpcbind has one place for both of two addresses: whose it is not has nothing to wait for.
        let asked: BTreeSet<ListenerId> = set.iter().map(|(_, id)| *id).collect();
        for (_, open) in self.open.iter_mut().filter(|(id, _)| !asked.contains(id)) {
            open.standing = Standing::Waiting;
        }
        let unset: Vec<Registration> = self.told.difference(&wanted).copied().collect();
        if set.is_empty() && unset.is_empty() {
            return None;
        }
        let tidings = Tidings { set: wanted.into_iter().collect(), unset: unset.clone() };
        self.asked = Some(Asked { set, unset });
        Some(tidings)
    }

    /// The helper has told rpcbind, and this it did not take. Returns what is new about it.
    pub(crate) fn answered(&mut self, refused: Vec<Refusal>) -> Vec<News> {
        let Some(asked) = self.asked.take() else { return Vec::new() };
        let mut refused: BTreeMap<Registration, Refusal> =
            refused.into_iter().map(|refusal| (refusal.registration, refusal)).collect();
        for registration in asked.unset {
            self.told.remove(&registration);
        }
        let mut results: BTreeMap<ListenerId, Option<Refusal>> = BTreeMap::new();
        for (registration, id) in asked.set {
            let result = results.entry(id).or_default();
            match refused.remove(&registration) {
                Some(refusal) => *result = result.take().or(Some(refusal)),
                None => drop(self.told.insert(registration)),
            }
        }
        self.note(results)
    }

    /// rpcbind could not be told, or not all of it: it may have heard any part. Returns what is new about it.
    pub(crate) fn failed(&mut self, why: &str) -> Vec<News> {
        let Some(asked) = self.asked.take() else { return Vec::new() };
        let mut results: BTreeMap<ListenerId, Option<Refusal>> = BTreeMap::new();
        for (registration, id) in asked.set {
            self.told.insert(registration);
            results.entry(id).or_insert_with(|| Some(Refusal { registration, why: why.to_owned() }));
        }
        self.note(results)
    }

    /// What rpcbind has to forget when nothing is open any more: what it knows, and what it may be hearing now.
    pub(crate) fn forget_all(&mut self) -> Vec<Registration> {
        let asked = self.asked.take().map(|asked| asked.set).unwrap_or_default();
        let mut all = std::mem::take(&mut self.told);
        all.extend(asked.into_iter().map(|(registration, _)| registration));
        self.open.clear();
        all.into_iter().collect()
    }

    fn note(&mut self, results: BTreeMap<ListenerId, Option<Refusal>>) -> Vec<News> {
        let mut news = Vec::new();
        for (id, refusal) in results {
            let Some(open) = self.open.get_mut(&id) else { continue };
            let standing = match &refusal {
                Some(refusal) => Standing::Failed(refusal.why.clone()),
                None => Standing::Registered,
            };
            let before = std::mem::replace(&mut open.standing, standing);
            match (before, refusal) {
                (Standing::Failed(before), Some(refusal)) if before == refusal.why => {}
                (_, Some(refusal)) => news.push(News::Failed(id, refusal)),
                (Standing::Failed(_), None) => news.push(News::Registered(id)),
                (Standing::Waiting | Standing::Registered, None) => {}
            }
        }
        news
    }

    /// Whether some listener is not registered although rpcbind was asked.
    pub(crate) fn has_failures(&self) -> bool {
        self.open.values().any(|open| matches!(open.standing, Standing::Failed(_)))
    }
}

/// All that a listener has to say. One IPv6 socket that serves IPv4 callers too has two transports.
fn registrations(spec: &Listener, port: u16) -> impl Iterator<Item = Registration> {
    let (addresses, program) = match &spec.key.address {
        ListenAddress::Rpc(rpc) => {
            let ip = rpc.address.ip();
            let both = rpc.address.dual && ip.is_unspecified();
            let v4 = if both { Some(IpAddr::from(Ipv4Addr::UNSPECIFIED)) } else { None };
            ([Some(ip), v4], rpc.program)
        }
        ListenAddress::Inet(_) | ListenAddress::Unix(_) | ListenAddress::Mux(_) => ([None, None], 0),
    };
    let kind = spec.key.kind;
    let versions = spec.extras().versions.into_iter().flat_map(|versions| versions.iter());
    versions.flat_map(move |version| {
        addresses.into_iter().flatten().map(move |ip| Registration {
            program,
            version,
            netid: Netid::new(kind, ip),
            address: SocketAddr::new(ip, port),
        })
    })
}

fn place(registration: &Registration) -> Place {
    (registration.program, registration.version, registration.netid)
}
