//! The bounded table of admission against one that is unbounded and obvious.
//!
//! So few sources call that no set of the table is ever full, whichever set the keyed hash puts them into: then both
//! have to give the same answers. (The hash differs from run to run, and so does what meets what in a set. An input
//! that fails once may pass at the next try; it fails again when it is tried some hundred times.)

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use arbitrary::Unstructured;
use usherd_model::admission::{Admission, Claim, Gate, Limit, Pool, Usage};
use usherd_model::service::{Limits, Rate, SourcePrefix};
use usherd_model::slots::Key;
use usherd_model::supervisor::ServiceId;
use usherd_model::time::Tick;

use crate::configuration;

/// Checks one story.
pub fn check(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let mut below = |end: u8| bytes.arbitrary::<u8>().ok().map(|byte| byte % end);
    let mut story = Story::default();
    for service in &mut story.services {
        service.limits = limits(&mut below).unwrap_or_else(configuration::limits);
    }
    for _ in 0..MOVES {
        if story.go_on(&mut below).is_none() {
            break;
        }
    }
    story.end_all();
}

const MOVES: usize = 500;

/// Programs that may run in all.
const MOST: u32 = 5;

/// Two of them are one where 24 bits count.
const SOURCES: [[u8; 4]; 3] = [[192, 0, 2, 1], [192, 0, 2, 2], [198, 51, 100, 1]];

fn limits(below: &mut impl FnMut(u8) -> Option<u8>) -> Option<Limits> {
    let window = |seconds: u8| Duration::from_secs(1 << seconds);
    let mut rate = || {
        let (count, seconds) = (below(4)?, below(6)?);
        Some((count > 0).then_some(Rate { count: count.into(), window: window(seconds) }))
    };
    let (starts, source_starts) = (rate()?, rate()?);
    let mut few = || Some(below(4)?.checked_sub(1).map(|few| u32::from(few) + 1));
    let (children, source_children) = (few()?, few()?);
    let source_prefix = SourcePrefix { v4: if below(2)? == 0 { 32 } else { 24 }, v6: 64 };
    Some(Limits {
        starts,
        children,
        source_starts,
        source_children,
        source_prefix,
        ..configuration::limits()
    })
}

/// What is tested, beside what it should be.
struct Story {
    admission: Admission,
    services: [Service; 2],
    /// Service and source of each program.
    running: Vec<(usize, [u8; 4])>,
    sources: HashMap<(usize, IpAddr), Starts>,
    now: Tick,
}

struct Service {
    limits: Limits,
    usage: Usage,
    starts: Starts,
}

impl Default for Story {
    fn default() -> Self {
        let service = || Service {
            limits: configuration::limits(),
            usage: Usage::default(),
            starts: Starts::default(),
        };
        Self {
            admission: Admission::new(MOST, 0),
            services: [service(), service()],
            running: Vec::new(),
            sources: HashMap::new(),
            now: Tick::default(),
        }
    }
}

impl Story {
    fn go_on(&mut self, below: &mut impl FnMut(u8) -> Option<u8>) -> Option<()> {
        match below(8)? {
            0..=3 => self.begin(below(2)?.into(), SOURCES[usize::from(below(3)?)]),
            4 | 5 => {
                let index = usize::from(below(255)?);
                if !self.running.is_empty() {
                    self.end(index % self.running.len());
                }
            }
            6 => self.now = self.now.after(Duration::from_millis(u64::from(below(255)?) * 100)),
            _ => {
                let service = usize::from(below(2)?);
                self.services[service].limits = limits(below)?;
                self.recount();
            }
        }
        Some(())
    }

    fn begin(&mut self, at: usize, source: [u8; 4]) {
        let gate = self.expected_gate(at);
        let Service { limits, usage, .. } = &mut self.services[at];
        assert_eq!(self.admission.gate(Pool::Children, limits, usage, self.now), gate);
        if gate != Gate::Open {
            return;
        }
        let expected = self.expected(at, source);
        let Service { limits, usage, starts } = &mut self.services[at];
        let got = self.admission.begin(claim(at, source), limits, usage, self.now);
        assert_eq!(got, expected, "service {at}, source {source:?}, {:?}", self.now);
        if got.is_ok() {
            starts.count(limits.starts, self.now);
            let net = net(source, limits);
            let rate = limits.source_starts;
            if limits.source_starts.is_some() || limits.source_children.is_some() {
                self.sources.entry((at, net)).or_default().count(rate, self.now);
            }
            self.running.push((at, source));
        }
        self.check();
    }

    fn end(&mut self, index: usize) {
        let (at, source) = self.running.swap_remove(index);
        let Service { limits, usage, .. } = &mut self.services[at];
        self.admission.end(claim(at, source), limits, usage);
        self.check();
    }

    /// As after a reload.
    fn recount(&mut self) {
        let services = &self.services;
        let running =
            self.running.iter().map(|(at, source)| (id(*at), &services[*at].limits, (*source).into()));
        self.admission.recount(running);
    }

    fn expected_gate(&self, at: usize) -> Gate {
        let Service { limits, starts, .. } = &self.services[at];
        if self.running.len() >= MOST as usize {
            return Gate::Closed(Limit::Total, None);
        }
        let of_service = self.running.iter().filter(|(other, _)| *other == at).count();
        if limits.children.is_some_and(|most| of_service >= most as usize) {
            return Gate::Closed(Limit::Children, None);
        }
        match starts.closed_until(limits.starts, self.now) {
            Some(until) => Gate::Closed(Limit::Starts, Some(until)),
            None => Gate::Open,
        }
    }

    fn expected(&self, at: usize, source: [u8; 4]) -> Result<(), Limit> {
        let Service { limits, .. } = &self.services[at];
        let wanted = net(source, limits);
        let same = |(other, source): &&(usize, [u8; 4])| *other == at && net(*source, limits) == wanted;
        let of_source = self.running.iter().filter(same).count();
        if limits.source_children.is_some_and(|most| of_source >= most as usize) {
            return Err(Limit::SourceChildren);
        }
        let starts = self.sources.get(&(at, wanted));
        let closed = starts.and_then(|starts| starts.closed_until(limits.source_starts, self.now));
        if closed.is_some() { Err(Limit::SourceStarts) } else { Ok(()) }
    }

    fn check(&self) {
        let (running, _) = self.admission.running(Pool::Children);
        assert_eq!(running as usize, self.running.len());
        for (at, service) in self.services.iter().enumerate() {
            let of_service = self.running.iter().filter(|(other, _)| *other == at).count();
            assert_eq!(service.usage.running() as usize, of_service);
        }
    }

    fn end_all(&mut self) {
        while !self.running.is_empty() {
            self.end(0);
        }
    }
}

/// The starts of one stretch of time, each written down.
#[derive(Default)]
struct Starts {
    at: Vec<Tick>,
}

impl Starts {
    fn closed_until(&self, rate: Option<Rate>, now: Tick) -> Option<Tick> {
        let rate = rate?;
        let ends = self.at.first()?.after(rate.window);
        if now < ends && self.at.len() >= rate.count as usize { Some(ends) } else { None }
    }

    fn count(&mut self, rate: Option<Rate>, now: Tick) {
        let Some(rate) = rate else { return };
        if self.at.first().is_some_and(|first| now >= first.after(rate.window)) {
            self.at.clear();
        }
        self.at.push(now);
    }
}

fn net(source: [u8; 4], limits: &Limits) -> IpAddr {
    let [a, b, c, d] = source;
    if limits.source_prefix.v4 == 24 { [a, b, c, 0].into() } else { [a, b, c, d].into() }
}

fn claim(at: usize, source: [u8; 4]) -> Claim {
    Claim { pool: Pool::Children, service: id(at), source: Some(source.into()) }
}

fn id(at: usize) -> ServiceId {
    Key::unpack(at as u64)
}
