//! Who is let in.
//!
//! The one place that counts starts and running programs, for services and for sources, whatever the dialect. At a
//! limit of a service or of the daemon a caller waits or is refused, as the service says; at a limit of one source
//! only that source's callers are refused. No limit is for ever: a window ends, a program ends.
//!
//! What this module must never do: grow with traffic. The table of sources has a fixed size; what it cannot hold
//! is decided by a rule that one attacker cannot turn against the others (see [`Sources`]).

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::service::{Limits, Rate};
use crate::supervisor::ServiceId;
use crate::time::Tick;

/// Why a caller is not served now. Every refusal and pause is counted under one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// The service has started as often as it may in its stretch of time.
    Starts,
    /// As many of the service's programs run as may.
    Children,
    /// As many programs run in all as may.
    Total,
    /// As many sessions of built-ins and redirects are open as may.
    Sessions,
    /// This source has had as many starts as it may in its stretch of time.
    SourceStarts,
    /// As many programs run for this source as may.
    SourceChildren,
    /// The table of sources has no place for a source that it does not know.
    SourceTable,
    /// The call comes from TCP port 20, as an FTP server does that was sent here (the ftp bounce attack).
    Bounce,
    /// The datagram could make two services answer each other, or one victim be answered by many.
    Loop,
    /// hosts.allow and hosts.deny do not let the sender of a datagram to a built-in in.
    Tables,
    /// Descriptors, memory or process numbers have run out.
    Resources,
}

impl Limit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Limit; 11] = [
        Limit::Starts,
        Limit::Children,
        Limit::Total,
        Limit::Sessions,
        Limit::SourceStarts,
        Limit::SourceChildren,
        Limit::SourceTable,
        Limit::Bounce,
        Limit::Loop,
        Limit::Tables,
        Limit::Resources,
    ];

    /// The word for logs and status.
    pub fn word(self) -> &'static str {
        match self {
            Limit::Starts => "starts",
            Limit::Children => "children",
            Limit::Total => "total-children",
            Limit::Sessions => "sessions",
            Limit::SourceStarts => "source-starts",
            Limit::SourceChildren => "source-children",
            Limit::SourceTable => "source-table",
            Limit::Bounce => "ftp-bounce",
            Limit::Loop => "loop",
            Limit::Tables => "tables",
            Limit::Resources => "resources",
        }
    }
}

/// Starts in the current stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    began: Tick,
    starts: u32,
}

impl Window {
    /// When the next start is allowed: `None` means now. A stretch begins with its first start and allows exactly
    /// `rate.count` of them.
    pub fn closed_until(&self, rate: Rate, now: Tick) -> Option<Tick> {
        let ends = self.ends(rate);
        if rate.count == 0 {
            // Nobody, ever: it is looked at again only because a reload may have changed it.
            return Some(now.after(rate.window));
        }
        if self.starts < rate.count || now >= ends { None } else { Some(ends) }
    }

    /// Counts a start that was allowed.
    pub fn count(&mut self, rate: Rate, now: Tick) {
        if self.starts == 0 || now >= self.ends(rate) {
            *self = Window { began: now, starts: 0 };
        }
        self.starts = self.starts.saturating_add(1);
    }

    fn ends(&self, rate: Rate) -> Tick {
        self.began.after(rate.window)
    }
}

/// What one service has in use. It outlives reloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    window: Window,
    running: u32,
}

impl Usage {
    /// Programs (or sessions) that run.
    pub fn running(&self) -> u32 {
        self.running
    }
}

/// The answer to "may this service start another one now?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Gate {
    /// Yes.
    Open,
    /// No, because of this limit; with the time when it ends, where that is known. The others end when a program
    /// does.
    Closed(Limit, Option<Tick>),
}

/// What a start takes one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Programs.
    Children,
    /// Sessions of built-in services and of redirects.
    Sessions,
    /// Sessions of built-in services that are over as soon as they have begun. There is no end of them.
    Moments,
}

/// One start, as it is counted: given back as it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it takes one of.
    pub pool: Pool,
    /// Whose it is.
    pub service: ServiceId,
    /// The caller, where one is known.
    pub source: Option<IpAddr>,
}

/// The counts that are not one service's own.
#[derive(Debug)]
pub struct Admission {
    children: Share,
    sessions: Share,
    moments: Share,
    sources: Sources,
}

/// What is in use of a pool, and how much there is.
#[derive(Clone, Copy, Debug)]
struct Share {
    running: u32,
    most: u32,
}

impl Admission {
    /// With a cap on all running programs and one on all sessions of built-in services and redirects.
    pub fn new(most_children: u32, most_sessions: u32) -> Self {
        Self {
            children: Share { running: 0, most: most_children },
            sessions: Share { running: 0, most: most_sessions },
            moments: Share { running: 0, most: u32::MAX },
            sources: Sources::default(),
        }
    }

    /// Whether the service may start another one, before anybody is accepted.
    pub fn gate(&self, pool: Pool, limits: &Limits, usage: &Usage, now: Tick) -> Gate {
        let (share, limit) = match pool {
            Pool::Children => (self.children, Limit::Total),
            Pool::Sessions => (self.sessions, Limit::Sessions),
            Pool::Moments => (self.moments, Limit::Sessions),
        };
        if share.running >= share.most {
            return Gate::Closed(limit, None);
        }
        if limits.children.is_some_and(|most| usage.running >= most) {
            return Gate::Closed(Limit::Children, None);
        }
        if let Some(until) = limits.starts.and_then(|rate| usage.window.closed_until(rate, now)) {
            return Gate::Closed(Limit::Starts, Some(until));
        }
        Gate::Open
    }

    /// Counts a start for a service whose gate is open, unless its source has had enough.
    pub fn begin(
        &mut self,
        claim: Claim,
        limits: &Limits,
        usage: &mut Usage,
        now: Tick,
    ) -> Result<(), Limit> {
        if let Some(source) = claim.source {
            self.sources.begin(claim.service, limits, source, now)?;
        }
        if let Some(rate) = limits.starts {
            usage.window.count(rate, now);
        }
        usage.running += 1;
        self.share(claim.pool).running += 1;
        Ok(())
    }

    /// What was counted by [`Self::begin`] has ended, or could not be started after all. It stays counted as a start.
    pub fn end(&mut self, claim: Claim, limits: &Limits, usage: &mut Usage) {
        usage.running = usage.running.saturating_sub(1);
        let share = self.share(claim.pool);
        share.running = share.running.saturating_sub(1);
        if let Some(source) = claim.source {
            self.sources.end(claim.service, limits, source);
        }
    }

    /// What runs of a pool, and how much may.
    pub fn running(&self, pool: Pool) -> (u32, u32) {
        let share = match pool {
            Pool::Children => self.children,
            Pool::Sessions => self.sessions,
            Pool::Moments => self.moments,
        };
        (share.running, share.most)
    }

    fn share(&mut self, pool: Pool) -> &mut Share {
        match pool {
            Pool::Children => &mut self.children,
            Pool::Sessions => &mut self.sessions,
            Pool::Moments => &mut self.moments,
        }
    }

    /// Forgets the counts of all sources, to count the running programs again after a reload has changed limits.
    pub fn recount<'a>(&mut self, running: impl Iterator<Item = (ServiceId, &'a Limits, IpAddr)>) {
        self.sources.clear_running();
        for (service, limits, source) in running {
            self.sources.recount(service, limits, source);
        }
    }
}

/// What each source has in use, for services that limit sources.
///
/// A table of [`SETS`] sets with [`WAYS`] places each; a keyed hash chooses the set, so nobody can aim at one. A
/// source that is new takes a free place, or that of a source that has nothing running and has not been seen for the
/// longest time. If all sources of a set have programs running, the new one is refused: at most `WAYS` sources of
/// millions meet in a set, and each of them holds a program that counts against its own limits.
#[derive(Debug, Default)]
struct Sources {
    places: Vec<Option<Source>>,
    hash: RandomState,
}

const SETS: usize = 512;
const WAYS: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Source {
    service: ServiceId,
    net: IpNet,
    window: Window,
    running: u32,
    seen: Tick,
    /// From when on the window says nothing any more, by the rate of the source's own service.
    remembered_until: Tick,
}

impl Sources {
    fn begin(
        &mut self,
        service: ServiceId,
        limits: &Limits,
        address: IpAddr,
        now: Tick,
    ) -> Result<(), Limit> {
        if !limits.has_source_limits() {
            return Ok(());
        }
        let source = self.place(service, limits.source_prefix.of(address), now)?;
        if limits.source_children.is_some_and(|most| source.running >= most) {
            return Err(Limit::SourceChildren);
        }
        if limits.source_starts.is_some_and(|rate| source.window.closed_until(rate, now).is_some()) {
            return Err(Limit::SourceStarts);
        }
        if let Some(rate) = limits.source_starts {
            source.window.count(rate, now);
            source.remembered_until = source.window.ends(rate);
        }
        source.running += 1;
        source.seen = now;
        Ok(())
    }

    fn end(&mut self, service: ServiceId, limits: &Limits, address: IpAddr) {
        let net = limits.source_prefix.of(address);
        if let Some(source) =
            self.set(service, net).iter_mut().flatten().find(|source| source.is(service, net))
        {
            source.running = source.running.saturating_sub(1);
        }
    }

    fn clear_running(&mut self) {
        for source in self.places.iter_mut().flatten() {
            source.running = 0;
        }
    }

    fn recount(&mut self, service: ServiceId, limits: &Limits, address: IpAddr) {
        if !limits.has_source_limits() {
            return;
        }
        let net = limits.source_prefix.of(address);
        if let Ok(source) = self.place(service, net, Tick::default()) {
            source.running += 1;
        }
    }

    /// The place of a source, which is made if there is none.
    fn place(&mut self, service: ServiceId, net: IpNet, now: Tick) -> Result<&mut Source, Limit> {
        if self.places.is_empty() {
            self.places = vec![None; SETS * WAYS];
        }
        let set = self.set(service, net);
        let known = set.iter().position(|place| place.is_some_and(|source| source.is(service, net)));
        let free = || set.iter().position(Option::is_none);
        let unused = || {
            let over = |source: &Source| source.running == 0 && now >= source.remembered_until;
            set.iter().position(|place| place.as_ref().is_some_and(over))
        };
        let oldest = || {
            let idle = set.iter().enumerate().filter_map(|(at, place)| Some((at, place.as_ref()?)));
            idle.filter(|(_, source)| source.running == 0)
                .min_by_key(|(_, source)| source.seen)
                .map(|(at, _)| at)
        };
        let at = known.or_else(free).or_else(unused).or_else(oldest).ok_or(Limit::SourceTable)?;
        if known.is_none() {
            set[at] = Some(Source {
                service,
                net,
                window: Window::default(),
                running: 0,
                seen: now,
                remembered_until: now,
            });
        }
        set[at].as_mut().ok_or(Limit::SourceTable)
    }

    fn set(&mut self, service: ServiceId, net: IpNet) -> &mut [Option<Source>] {
        if self.places.is_empty() {
            return &mut [];
        }
        let hash = usize::try_from(self.hash.hash_one((service, net)) % SETS as u64).unwrap_or_default();
        &mut self.places[hash * WAYS..(hash + 1) * WAYS]
    }
}

impl Source {
    fn is(&self, service: ServiceId, net: IpNet) -> bool {
        self.service == service && self.net == net
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::time::Duration;

    use super::*;
    use crate::service::{AtLimit, SourcePrefix};
    use crate::slots::Key;

    fn limits() -> Limits {
        Limits {
            starts: None,
            children: None,
            source_starts: None,
            source_children: None,
            source_prefix: SourcePrefix::default(),
            rest: None,
            at_limit: AtLimit::Pause,
        }
    }

    fn rate(count: u32) -> Option<Rate> {
        Some(Rate { count, window: Duration::from_secs(60) })
    }

    fn at(seconds: u64) -> Tick {
        Tick::new(Duration::from_secs(seconds))
    }

    fn claim(service: u64, source: Option<IpAddr>) -> Claim {
        Claim { pool: Pool::Children, service: Key::unpack(service), source }
    }

    #[test]
    fn a_window_allows_exactly_its_count_and_opens_again() {
        let admission = Admission::new(100, 0);
        let limits = Limits { starts: rate(3), ..limits() };
        let mut usage = Usage::default();
        let mut counting = Admission::new(100, 0);
        for second in 0..3 {
            assert_eq!(admission.gate(Pool::Children, &limits, &usage, at(second)), Gate::Open);
            counting.begin(claim(0, None), &limits, &mut usage, at(second)).expect("no source limit");
        }
        assert_eq!(
            admission.gate(Pool::Children, &limits, &usage, at(59)),
            Gate::Closed(Limit::Starts, Some(at(60)))
        );
        assert_eq!(admission.gate(Pool::Children, &limits, &usage, at(60)), Gate::Open);
        counting.begin(claim(0, None), &limits, &mut usage, at(60)).expect("no source limit");
        assert_eq!(admission.gate(Pool::Children, &limits, &usage, at(60)), Gate::Open);
    }

    #[test]
    fn children_are_limited_for_a_service_and_in_all() {
        let mut admission = Admission::new(3, 0);
        let limits = Limits { children: Some(2), ..limits() };
        let (mut one, mut two) = (Usage::default(), Usage::default());
        admission.begin(claim(1, None), &limits, &mut one, at(0)).expect("no source limit");
        admission.begin(claim(1, None), &limits, &mut one, at(0)).expect("no source limit");
        assert_eq!(admission.gate(Pool::Children, &limits, &one, at(0)), Gate::Closed(Limit::Children, None));
        assert_eq!(admission.gate(Pool::Children, &limits, &two, at(0)), Gate::Open);
        admission.begin(claim(2, None), &limits, &mut two, at(0)).expect("no source limit");
        assert_eq!(admission.gate(Pool::Children, &limits, &two, at(0)), Gate::Closed(Limit::Total, None));
        admission.end(claim(1, None), &limits, &mut one);
        assert_eq!(admission.gate(Pool::Children, &limits, &one, at(0)), Gate::Open);
    }

    #[test]
    fn a_source_is_a_prefix() {
        let mut admission = Admission::new(100, 0);
        let limits = Limits { source_children: Some(1), ..limits() };
        let mut usage = Usage::default();
        let mut begin = |address: &str| {
            let address = address.parse().expect("an address");
            admission.begin(claim(0, Some(address)), &limits, &mut usage, at(0))
        };
        assert_eq!(begin("192.0.2.1"), Ok(()));
        assert_eq!(begin("::ffff:192.0.2.1"), Err(Limit::SourceChildren));
        assert_eq!(begin("192.0.2.2"), Ok(()));
        assert_eq!(begin("2001:db8::1"), Ok(()));
        assert_eq!(begin("2001:db8::2"), Err(Limit::SourceChildren));
        assert_eq!(begin("2001:db8:0:1::2"), Ok(()));
    }

    #[test]
    fn a_refused_source_is_not_counted() {
        let mut admission = Admission::new(100, 0);
        let limits = Limits { source_starts: rate(1), ..limits() };
        let mut usage = Usage::default();
        let source = Some("192.0.2.1".parse().expect("an address"));
        assert_eq!(admission.begin(claim(0, source), &limits, &mut usage, at(0)), Ok(()));
        assert_eq!(admission.begin(claim(0, source), &limits, &mut usage, at(1)), Err(Limit::SourceStarts));
        assert_eq!((usage.running(), admission.running(Pool::Children)), (1, (1, 100)));
        assert_eq!(admission.begin(claim(0, source), &limits, &mut usage, at(60)), Ok(()));
    }

    #[test]
    fn a_million_sources_leave_those_with_programs_alone() {
        let mut admission = Admission::new(u32::MAX, 0);
        let limits = Limits { source_children: Some(1), source_starts: rate(100), ..limits() };
        let mut usage = Usage::default();
        let held: IpAddr = "192.0.2.1".parse().expect("an address");
        assert_eq!(admission.begin(claim(0, Some(held)), &limits, &mut usage, at(0)), Ok(()));
        for number in 0..1_000_000_u128 {
            let other = IpAddr::V6(Ipv6Addr::from(number << 64 | 0x2000 << 112));
            if admission.begin(claim(0, Some(other)), &limits, &mut usage, at(1)).is_ok() {
                admission.end(claim(0, Some(other)), &limits, &mut usage);
            }
        }
        assert_eq!(
            admission.begin(claim(0, Some(held)), &limits, &mut usage, at(1)),
            Err(Limit::SourceChildren)
        );
        admission.end(claim(0, Some(held)), &limits, &mut usage);
        assert_eq!(admission.begin(claim(0, Some(held)), &limits, &mut usage, at(1)), Ok(()));
        assert_eq!(admission.sources.places.len(), SETS * WAYS);
    }
}
