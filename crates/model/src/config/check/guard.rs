//! From where, when and under what load a service may be called.

use super::{Checker, quoted};
use crate::config::facts::NoAnswer;
use crate::config::syntax::{Attributes, Entry, Word, Words};
use crate::guard::{DenyTime, Guard, Interval, MaxLoad, Pattern, Peers, Times, WordError};
use crate::service::{Handover, SocketKind};

/// What a name is that may be a network's, when that could not be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unknown {
    /// A host's: in a list that lets callers in, that lets nobody in who should stay out.
    MatchesNobody,
    /// Nothing that can be left out of a list that keeps callers out.
    IsAnError,
}

impl Checker<'_> {
    /// `None` when a word is wrong, or what is asked for cannot be had.
    pub(super) fn guard(
        &mut self,
        entry: &Entry,
        attributes: &Attributes,
        kind: Option<SocketKind>,
        handover: Option<Handover>,
    ) -> Option<Guard> {
        let peers = self.peers(attributes);
        let times = attributes.access_times.as_ref().map(|words| self.times(words));
        let max_load = attributes.max_load.as_ref().map(|word| self.max_load(word));
        let sensor = self.sensor(attributes);
        let accepts = kind.is_some_and(SocketKind::has_connections) && handover == Some(Handover::Listener);
        let lists = attributes.only_from.as_ref().or(attributes.no_access.as_ref());
        if let (true, Some(list)) = (accepts, lists) {
            // What cannot be enforced is not served.
            let message = format!("with wait = yes, {} accepts its callers itself", quoted(&entry.program));
            self.error("unseen-callers", &list.name, message).hint =
                "only it sees who they are: write wait = no, or keep callers out with a firewall and leave the list out"
                    .to_owned();
            return None;
        }
        Some(Guard {
            peers: peers?,
            times: if let Some(times) = times { Some(times?) } else { None },
            max_load: if let Some(max_load) = max_load { Some(max_load?) } else { None },
            id_only: self.id_only(attributes, kind, handover)?,
            sensor: sensor?,
        })
    }

    #[expect(clippy::option_option, reason = "no list and a wrong one are different answers")]
    fn peers(&mut self, attributes: &Attributes) -> Option<Option<Peers>> {
        let only_from =
            attributes.only_from.as_ref().map(|words| self.patterns(words, Unknown::MatchesNobody));
        let no_access = attributes.no_access.as_ref().map(|words| self.patterns(words, Unknown::IsAnError));
        if only_from.is_none() && no_access.is_none() {
            return Some(None);
        }
        let only_from = if let Some(patterns) = only_from { Some(patterns?) } else { None };
        let no_access = if let Some(patterns) = no_access { patterns? } else { Vec::new() };
        Some(Some(Peers::new(only_from.as_deref(), &no_access)))
    }

    fn patterns(&mut self, words: &Words, unknown: Unknown) -> Option<Vec<Pattern>> {
        let mut all = Vec::with_capacity(words.values.len());
        let mut is_good = true;
        for word in &words.values {
            match Pattern::parse(&word.value) {
                Ok(patterns) => {
                    for pattern in patterns {
                        match self.network(word, pattern, unknown) {
                            Some(pattern) => all.push(pattern),
                            None => is_good = false,
                        }
                    }
                }
                Err(why) => is_good = self.bad_word("bad-peer", word, why),
            }
        }
        if is_good { Some(all) } else { None }
    }

    /// What a name means that may be a network's.
    fn network(&mut self, word: &Word, pattern: Pattern, unknown: Unknown) -> Option<Pattern> {
        let Pattern::Name(name) = &pattern else { return Some(pattern) };
        match self.facts.network(name) {
            Ok(number) => Some(number.and_then(Pattern::network).unwrap_or(pattern)),
            Err(NoAnswer(why)) => {
                let message = format!("it could not be found out whether {name:?} is a network: {why}");
                match unknown {
                    Unknown::MatchesNobody => {
                        self.warning("not-looked-up", word, message).hint =
                            "it is taken for a host until a reload can tell".to_owned();
                        Some(pattern)
                    }
                    Unknown::IsAnError => {
                        self.error("not-looked-up", word, message).hint =
                            "the service is left out until a reload can tell whom it is to be kept from"
                                .to_owned();
                        None
                    }
                }
            }
        }
    }

    fn times(&mut self, words: &Words) -> Option<Times> {
        let mut intervals = Vec::new();
        let mut is_good = true;
        for word in &words.values {
            match Interval::parse(&word.value) {
                Ok(interval) => intervals.push(interval),
                Err(why) => is_good = self.bad_word("bad-interval", word, why),
            }
        }
        if words.values.is_empty() {
            self.error("bad-interval", &words.name, "there is no interval").expected =
                "HOUR:MINUTE-HOUR:MINUTE".to_owned();
            is_good = false;
        }
        if is_good { Some(Times::new(intervals)) } else { None }
    }

    fn max_load(&mut self, word: &Word) -> Option<MaxLoad> {
        match MaxLoad::parse(&word.value) {
            Ok(load) => Some(load),
            Err(why) => {
                self.bad_word("bad-load", word, why);
                None
            }
        }
    }

    fn id_only(
        &mut self,
        attributes: &Attributes,
        kind: Option<SocketKind>,
        handover: Option<Handover>,
    ) -> Option<bool> {
        let Some(word) = &attributes.flags.id_only else { return Some(false) };
        if kind == Some(SocketKind::Stream) && handover == Some(Handover::Connection) {
            return Some(true);
        }
        self.error("id-only", word, "nobody can be asked who calls this service").expected =
            "socket_type = stream and wait = no, or no IDONLY".to_owned();
        None
    }

    #[expect(clippy::option_option, reason = "no sensor and a wrong one are different answers")]
    fn sensor(&mut self, attributes: &Attributes) -> Option<Option<DenyTime>> {
        let time = match &attributes.deny_time {
            None => DenyTime::Never,
            Some(word) => match DenyTime::parse(&word.value) {
                Ok(time) => time,
                Err(why) => {
                    self.bad_word("bad-deny-time", word, why);
                    return None;
                }
            },
        };
        match (&attributes.flags.sensor, &attributes.deny_time) {
            (Some(_), _) => Some(Some(time)),
            (None, None) => Some(None),
            (None, Some(word)) => {
                self.warning("no-sensor", word, "deny_time means nothing without flags = SENSOR");
                Some(None)
            }
        }
    }

    fn bad_word(&mut self, code: &'static str, word: &Word, why: WordError) -> bool {
        self.error(code, word, format!("{}: {why}", quoted(word))).expected = why.expected().to_owned();
        false
    }
}
