//! Look-ups about callers: which are under way, and who waits for them.
//!
//! A helper asks name servers and callers' machines; it does a bounded number of things at a time. Callers with the same
//! question share its answer, and one source has only a few places: a zone that answers slowly delays its own callers and
//! nobody else.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::access::{Lookup, Request};

use crate::service::SourcePrefix;
use crate::slots::{Key, Slots};
use crate::time::Tick;

/// What is to be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Question {
    /// The host name of this address; the port does not count and is 0.
    Name(SocketAddr),
    /// The user at the other end of a connection, by RFC 1413.
    User {
        /// Our end.
        local: SocketAddr,
        /// The other one.
        remote: SocketAddr,
        /// Seconds that its machine has.
        patience: u32,
    },
    /// All that the other end's machine says of a connection: its system and its user.
    Ident {
        /// Our end.
        local: SocketAddr,
        /// The other one.
        remote: SocketAddr,
        /// Seconds that its machine has.
        patience: u32,
    },
}

impl Question {
    /// What is asked to find something out about a caller; `None` when there is nobody to ask about.
    pub fn about(lookup: Lookup, request: &Request) -> Option<Self> {
        let name = |mut address: SocketAddr| {
            address.set_port(0);
            Question::Name(address)
        };
        match lookup {
            Lookup::ClientName => request.client.socket.map(name),
            Lookup::ServerName => request.server.socket.map(name),
            Lookup::User(patience) => Some(Question::User {
                local: request.server.socket?,
                remote: request.client.socket?,
                patience,
            }),
        }
    }

    /// What is asked to have a caller's user in the log.
    pub fn ident(request: &Request, patience: u32) -> Option<Self> {
        let (local, remote) = (request.server.socket?, request.client.socket?);
        Some(Question::Ident { local, remote, patience })
    }

    fn asked_of(&self) -> IpAddr {
        match self {
            Question::Name(address) => address.ip(),
            Question::User { remote, .. } | Question::Ident { remote, .. } => remote.ip(),
        }
    }
}

/// One question with those who wait for its answer.
#[derive(Debug)]
pub struct Asked<Who> {
    question: Question,
    source: IpNet,
    waiting: Vec<Who>,
    is_under_way: bool,
    ends: Tick,
}

/// Names a question that was asked.
pub type LookupId<Who> = Key<Asked<Who>>;

/// All questions that have no answer yet.
#[derive(Debug)]
pub struct Lookups<Who> {
    asked: Slots<Asked<Who>>,
    by_question: BTreeMap<Question, LookupId<Who>>,
    /// Questions that wait for a place, in order.
    queue: VecDeque<LookupId<Who>>,
    under_way: usize,
    most_under_way: usize,
    of_source: HashMap<IpNet, usize>,
}

/// So many are under way at the same time: what the helper does at once.
pub const MOST_UNDER_WAY: usize = 32;

/// So many of one source.
pub const MOST_OF_SOURCE: usize = 4;

/// So many can be under way or wait. Who would be one more is not served.
pub const MOST: usize = 1024;

impl<Who> Default for Lookups<Who> {
    fn default() -> Self {
        Self::new(MOST_UNDER_WAY)
    }
}

impl<Who> Lookups<Who> {
    /// Of which so many are under way at the same time, and never more than the helper does.
    pub fn new(most_under_way: usize) -> Self {
        Self {
            asked: Slots::default(),
            by_question: BTreeMap::new(),
            queue: VecDeque::new(),
            under_way: 0,
            most_under_way: most_under_way.clamp(1, MOST_UNDER_WAY),
            of_source: HashMap::new(),
        }
    }

    /// Asks for somebody, who waits no longer than until `ends`. The name of a new question, and nothing for one that
    /// others wait for already; or `who` back when there are too many questions.
    pub fn ask(&mut self, question: Question, who: Who, ends: Tick) -> Result<Option<LookupId<Who>>, Who> {
        if let Some(asked) = self.by_question.get(&question).and_then(|id| self.asked.get_mut(*id)) {
            asked.waiting.push(who);
            return Ok(None);
        }
        if self.asked.len() >= MOST {
            return Err(who);
        }
        let source = SourcePrefix::default().of(question.asked_of());
        let id = self.asked.insert(Asked { question, source, waiting: vec![who], is_under_way: false, ends });
        self.by_question.insert(question, id);
        self.queue.push_back(id);
        Ok(Some(id))
    }

    /// The next question for which there is a place; it is under way from now on.
    pub fn begin_next(&mut self) -> Option<(LookupId<Who>, Question)> {
        if self.under_way >= self.most_under_way {
            return None;
        }
        let has_place = |id: &LookupId<Who>| {
            let source = self.asked.get(*id).map(|asked| asked.source);
            source
                .is_none_or(|source| self.of_source.get(&source).is_none_or(|count| *count < MOST_OF_SOURCE))
        };
        let place = self.queue.iter().position(has_place)?;
        let id = self.queue.remove(place)?;
        let asked = self.asked.get_mut(id)?;
        asked.is_under_way = true;
        self.under_way += 1;
        *self.of_source.entry(asked.source).or_default() += 1;
        Some((id, asked.question))
    }

    /// A question has its answer, or none will come: until when it was waited for, and who waits.
    pub fn end(&mut self, id: LookupId<Who>) -> Option<(Tick, Vec<Who>)> {
        let asked = self.asked.remove(id)?;
        self.by_question.remove(&asked.question);
        if asked.is_under_way {
            self.under_way -= 1;
            if let Some(count) = self.of_source.get_mut(&asked.source) {
                *count -= 1;
                if *count == 0 {
                    self.of_source.remove(&asked.source);
                }
            }
        } else {
            self.queue.retain(|queued| *queued != id);
        }
        Some((asked.ends, asked.waiting))
    }

    /// Whether somebody waits for this answer.
    pub fn is_asked(&self, id: LookupId<Who>) -> bool {
        self.asked.get(id).is_some()
    }

    /// Questions that have no answer yet.
    pub fn len(&self) -> usize {
        self.asked.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ends() -> Tick {
        Tick::new(Duration::from_secs(9))
    }

    fn name(a: u8, b: u8) -> Question {
        Question::Name(([10, 0, a, b], 0).into())
    }

    fn user(address: [u8; 4], port: u16) -> Question {
        Question::User { local: ([10, 0, 0, 1], 23).into(), remote: (address, port).into(), patience: 10 }
    }

    #[test]
    fn callers_with_one_question_share_its_answer() {
        let mut lookups = Lookups::default();
        let id = lookups.ask(name(0, 1), "a", ends()).expect("room").expect("new");
        assert_eq!(lookups.ask(name(0, 1), "b", ends()), Ok(None));
        assert_eq!(lookups.begin_next(), Some((id, name(0, 1))));
        assert_eq!(lookups.begin_next(), None);
        assert!(lookups.is_asked(id));
        assert_eq!(lookups.end(id), Some((ends(), vec!["a", "b"])));
        assert!(!lookups.is_asked(id));
        assert_eq!(lookups.end(id), None);
        assert!(lookups.is_empty());
    }

    #[test]
    fn one_source_has_a_few_places_and_does_not_stop_the_others() {
        let mut lookups = Lookups::default();
        let slow: Vec<_> = (0..10)
            .map(|port| lookups.ask(user([10, 0, 0, 9], port), port, ends()).expect("room").expect("new"))
            .collect();
        let other = lookups.ask(name(0, 2), 99, ends()).expect("room").expect("new");
        let begun: Vec<_> = std::iter::from_fn(|| lookups.begin_next()).map(|(id, _)| id).collect();
        assert_eq!(begun, [slow[0], slow[1], slow[2], slow[3], other]);
        // A place that is given back is the next one's; one that gives up in the queue leaves no trace.
        lookups.end(slow[4]);
        lookups.end(slow[0]);
        assert_eq!(lookups.begin_next(), Some((slow[5], user([10, 0, 0, 9], 5))));
        assert_eq!(lookups.begin_next(), None);
    }

    #[test]
    fn places_and_questions_are_counted() {
        let mut lookups = Lookups::default();
        let number = |number: usize| {
            let (a, b) = (number / 256, number % 256);
            name(u8::try_from(a).expect("few"), u8::try_from(b).expect("few"))
        };
        for who in 0..MOST {
            lookups.ask(number(who), who, ends()).expect("room");
        }
        assert_eq!(lookups.ask(number(MOST), MOST, ends()), Err(MOST));
        assert_eq!(lookups.ask(number(7), 8, ends()), Ok(None), "who asks what others ask takes no room");
        assert_eq!(std::iter::from_fn(|| lookups.begin_next()).count(), MOST_UNDER_WAY);
    }
}
