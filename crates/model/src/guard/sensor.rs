//! Who has called a sensor, and is denied everywhere for a while.
//!
//! An address is put down only for a connection, which nobody can have from an address that is not his; the sender of a
//! datagram is whoever it says, and would be locked out by others.
//!
//! What this module must never do: grow with traffic. A caller with IPv6 usually owns a /64 and could fill any table with
//! it, so all of it is one entry; beyond [`MOST_DENIED`] entries those go that would end first.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::word::WordError;
use crate::numeral;
use crate::service::{SocketKind, SourcePrefix};
use crate::time::Tick;

/// For how long the callers of a sensor are denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DenyTime {
    /// As long as the daemon runs.
    Forever,
    /// Not at all: they are only logged.
    Never,
    /// For so long.
    For(Duration),
}

impl DenyTime {
    /// Minutes, of which none is [`DenyTime::Never`], or a word.
    pub fn parse(word: &[u8]) -> Result<Self, WordError> {
        if word.eq_ignore_ascii_case(b"FOREVER") {
            return Ok(DenyTime::Forever);
        }
        if word.eq_ignore_ascii_case(b"NEVER") {
            return Ok(DenyTime::Never);
        }
        match numeral::number(word, 10).ok_or(WordError::DenyTime)? {
            0 => Ok(DenyTime::Never),
            minutes => Ok(DenyTime::For(Duration::from_secs(60 * u64::from(minutes)))),
        }
    }
}

/// What has become of a sensor's caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is denied from now on.
    Added,
    /// It was denied already, and is so at least as long.
    Known,
    /// It is not denied.
    Ignored,
}

/// So many sources are denied at most.
pub const MOST_DENIED: usize = 10_240;

/// The sources that are denied. It belongs to the daemon and outlives reloads.
#[derive(Debug, Default)]
pub struct DenyList {
    ends: HashMap<IpNet, Place>,
    /// The same, the first to go first.
    order: BTreeMap<Place, IpNet>,
    noted: u64,
}

/// When a source goes; of several at the same time, the one that came first.
type Place = (End, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    At(Tick),
    Never,
}

impl End {
    fn is_over(self, now: Tick) -> bool {
        match self {
            End::At(end) => now >= end,
            End::Never => false,
        }
    }
}

impl DenyList {
    /// Somebody has called a sensor with such a socket. A source that calls again is denied longer, never shorter.
    pub fn note(&mut self, kind: SocketKind, address: IpAddr, time: DenyTime, now: Tick) -> Noted {
        let end = match time {
            DenyTime::Never => return Noted::Ignored,
            DenyTime::Forever => End::Never,
            DenyTime::For(time) => End::At(now.after(time)),
        };
        if !kind.has_connections() {
            return Noted::Ignored;
        }
        self.forget_ended(now);
        let source = source(address);
        let before = self.ends.get(&source).copied();
        if before.is_some_and(|(before, _)| before >= end) {
            return Noted::Known;
        }
        let place = (end, self.noted);
        self.noted += 1;
        self.ends.insert(source, place);
        self.order.insert(place, source);
        match before {
            Some(before) => {
                self.order.remove(&before);
                Noted::Known
            }
            None if self.ends.len() > MOST_DENIED && self.forget_first() == Some(source) => Noted::Ignored,
            None => Noted::Added,
        }
    }

    /// Whether somebody is denied now.
    pub fn denies(&self, address: IpAddr, now: Tick) -> bool {
        // Most daemons have no sensor: then it is not even worked out whose address it is.
        !self.ends.is_empty() && self.ends.get(&source(address)).is_some_and(|(end, _)| !end.is_over(now))
    }

    /// How many sources are denied now.
    pub fn count(&self, now: Tick) -> usize {
        self.order.keys().rev().take_while(|(end, _)| !end.is_over(now)).count()
    }

    fn forget_ended(&mut self, now: Tick) {
        while self.order.first_key_value().is_some_and(|((end, _), _)| end.is_over(now)) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) -> Option<IpNet> {
        let (_, source) = self.order.pop_first()?;
        self.ends.remove(&source);
        Some(source)
    }
}

/// What is denied as one.
fn source(address: IpAddr) -> IpNet {
    SourcePrefix::default().of(address)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn at(minutes: u64) -> Tick {
        Tick::new(Duration::from_secs(60 * minutes))
    }

    fn minutes(minutes: u64) -> DenyTime {
        DenyTime::For(Duration::from_secs(60 * minutes))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn note(list: &mut DenyList, address: &str, time: DenyTime, now: Tick) -> Noted {
        list.note(SocketKind::Stream, ip(address), time, now)
    }

    #[test]
    fn who_has_called_is_denied_until_the_time_is_over() {
        let mut list = DenyList::default();
        assert_eq!(note(&mut list, "192.0.2.1", minutes(60), at(0)), Noted::Added);
        assert_eq!(note(&mut list, "192.0.2.2", DenyTime::Forever, at(0)), Noted::Added);
        assert_eq!(note(&mut list, "192.0.2.3", DenyTime::Never, at(0)), Noted::Ignored);
        let denied = |list: &DenyList, minute| {
            ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|address| list.denies(ip(address), at(minute)))
        };
        assert_eq!(denied(&list, 59), [true, true, false]);
        assert_eq!(denied(&list, 60), [false, true, false]);
        assert_eq!((list.count(at(59)), list.count(at(60))), (2, 1));
        assert_eq!(note(&mut list, "192.0.2.1", minutes(60), at(70)), Noted::Added);
        assert_eq!(denied(&list, 129), [true, true, false]);
    }

    #[test]
    fn who_calls_again_is_denied_longer_and_never_shorter() {
        let mut list = DenyList::default();
        note(&mut list, "192.0.2.1", minutes(60), at(0));
        assert_eq!(note(&mut list, "192.0.2.1", minutes(60), at(30)), Noted::Known);
        assert_eq!(note(&mut list, "192.0.2.1", minutes(1), at(31)), Noted::Known);
        assert!(list.denies(ip("192.0.2.1"), at(89)));
        assert!(!list.denies(ip("192.0.2.1"), at(90)));
        assert_eq!((list.ends.len(), list.order.len()), (1, 1));
    }

    #[test]
    fn a_datagram_denies_nobody() {
        let mut list = DenyList::default();
        let noted = list.note(SocketKind::Datagram, ip("192.0.2.1"), DenyTime::Forever, at(0));
        assert_eq!(noted, Noted::Ignored);
        assert!(!list.denies(ip("192.0.2.1"), at(0)));
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_a_64() {
        let mut list = DenyList::default();
        note(&mut list, "::ffff:192.0.2.1", DenyTime::Forever, at(0));
        note(&mut list, "2001:db8:0:1::1", DenyTime::Forever, at(0));
        let denied = ["192.0.2.1", "192.0.2.2", "2001:db8:0:1:9::", "2001:db8:0:2::1"]
            .map(|address| list.denies(ip(address), at(0)));
        assert_eq!(denied, [true, false, true, false]);
    }

    #[test]
    fn a_flood_takes_no_more_room_and_pushes_out_what_ends_first() {
        let mut list = DenyList::default();
        let number =
            |number: usize| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + u32::try_from(number).expect("few")));
        assert_eq!(note(&mut list, "192.0.2.1", DenyTime::Forever, at(0)), Noted::Added);
        assert_eq!(note(&mut list, "192.0.2.2", minutes(9), at(0)), Noted::Added);
        for attacker in 0..2 * MOST_DENIED {
            list.note(SocketKind::Stream, number(attacker), minutes(10), at(0));
        }
        assert_eq!((list.ends.len(), list.order.len()), (MOST_DENIED, MOST_DENIED));
        let denied = [ip("192.0.2.1"), ip("192.0.2.2"), number(0), number(2 * MOST_DENIED - 1)]
            .map(|address| list.denies(address, at(1)));
        assert_eq!(denied, [true, false, false, true]);
        assert_eq!(note(&mut list, "192.0.2.2", minutes(9), at(0)), Noted::Ignored);
        assert_eq!(note(&mut list, "192.0.2.2", minutes(1), at(10)), Noted::Added);
        assert_eq!((list.ends.len(), list.order.len()), (2, 2), "what is over makes room");
    }

    #[test]
    fn a_time_is_minutes_or_a_word() {
        for (word, expected) in [
            ("FOREVER", Ok(DenyTime::Forever)),
            ("never", Ok(DenyTime::Never)),
            ("0", Ok(DenyTime::Never)),
            ("60", Ok(minutes(60))),
            ("060", Ok(minutes(60))),
            ("-1", Err(WordError::DenyTime)),
            ("60m", Err(WordError::DenyTime)),
            ("4294967296", Err(WordError::DenyTime)),
            ("", Err(WordError::DenyTime)),
        ] {
            assert_eq!(DenyTime::parse(word.as_bytes()), expected, "{word}");
        }
    }
}
