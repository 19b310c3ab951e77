//! When a limit holds callers back, as something that begins and ends.
//!
//! A flood meets a limit a thousand times a second. The log says that it began, and, once nobody was held back for
//! [`QUIET`], how long it took and how many were turned away.

use std::time::Duration;

use crate::admission::Limit;
use crate::time::Tick;

/// A limit that held nobody back for so long has ended. Longer than the minute of a rate, so that a flood that meets
/// it every minute is one episode.
pub const QUIET: Duration = Duration::from_secs(90);

/// What the limits of one service have done. Only limits that were ever met take room.
#[derive(Debug, Default)]
pub struct Episodes {
    records: Vec<Record>,
}

/// What one limit has done.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The limit.
    pub limit: Limit,
    /// Callers that were turned away, ever.
    pub refused: u64,
    /// What goes on now.
    pub episode: Option<Episode>,
}

/// A time in which a limit holds callers back.
#[derive(Clone, Copy, Debug)]
pub struct Episode {
    /// When it began.
    pub began: Tick,
    /// When somebody was held back last.
    pub last: Tick,
    /// Callers that were turned away in it.
    pub refused: u64,
    /// How often the service has rested in it.
    pub rests: u64,
}

/// Whether a caller who met a limit was turned away or waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// In the backlog.
    Waits,
    /// So many were turned away.
    Refused(u32),
}

impl Episodes {
    /// Notes that a limit held somebody back. True when that began an episode.
    #[must_use]
    pub fn hit(&mut self, limit: Limit, held: Held, now: Tick) -> bool {
        let refused = match held {
            Held::Waits => 0,
            Held::Refused(count) => u64::from(count),
        };
        let at = self.records.iter().position(|record| record.limit == limit).unwrap_or_else(|| {
            self.records.push(Record { limit, refused: 0, episode: None });
            self.records.len() - 1
        });
        let record = &mut self.records[at];
        record.refused += refused;
        let begins = record.episode.is_none();
        let episode = record.episode.get_or_insert(Episode { began: now, last: now, refused: 0, rests: 0 });
        episode.last = now;
        episode.refused += refused;
        begins
    }

    /// What a limit that holds callers back has done since that began.
    pub fn current(&mut self, limit: Limit) -> Option<&mut Episode> {
        self.records.iter_mut().find(|record| record.limit == limit)?.episode.as_mut()
    }

    /// Takes out one episode that has ended.
    pub fn take_ended(&mut self, now: Tick) -> Option<(Limit, Episode)> {
        let ended =
            |record: &&mut Record| record.episode.is_some_and(|episode| now >= episode.last.after(QUIET));
        let record = self.records.iter_mut().find(ended)?;
        record.episode.take().map(|episode| (record.limit, episode))
    }

    /// When the next episode ends, if nobody is held back until then.
    pub fn next_end(&self) -> Option<Tick> {
        self.records.iter().filter_map(|record| record.episode).map(|episode| episode.last.after(QUIET)).min()
    }

    /// What each limit that was ever met has done.
    pub fn records(&self) -> &[Record] {
        &self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::new(Duration::from_secs(seconds))
    }

    #[test]
    fn an_episode_lasts_from_the_first_to_the_last_one_held_back() {
        let mut episodes = Episodes::default();
        assert!(episodes.hit(Limit::Starts, Held::Refused(1), at(10)));
        assert!(!episodes.hit(Limit::Starts, Held::Refused(2), at(40)));
        assert!(episodes.hit(Limit::Children, Held::Waits, at(41)));
        assert_eq!(episodes.next_end(), Some(at(130)));
        assert!(episodes.take_ended(at(129)).is_none());
        let (limit, episode) = episodes.take_ended(at(130)).expect("quiet for long enough");
        assert_eq!(
            (limit, episode.refused, episode.last.since(episode.began)),
            (Limit::Starts, 3, Duration::from_secs(30))
        );
        assert!(episodes.take_ended(at(130)).is_none());
        assert!(episodes.hit(Limit::Starts, Held::Refused(1), at(131)));
        assert_eq!(episodes.records()[0].refused, 4);
    }
}
