//! How much of a service may run.

use std::time::Duration;

use super::{Checker, quoted};
use crate::config::STARTS_WINDOW;
use crate::config::syntax::{Entry, LimitWord, Numeral, Word, Zero};
use crate::diagnostic::printable;
use crate::numeral;
use crate::service::{Limits, Rate, Task};

impl Checker<'_> {
    pub(super) fn limits(&mut self, entry: &Entry, task: Option<&Task>) -> Option<Limits> {
        let mut limits = self.defaults.limits.clone();
        if let Some(Task::Builtin(builtin)) = task {
            // A built-in makes no process; it is limited in its sessions, and in the rest when its line says so. xinetd's
            // are limited in their starts as all others.
            limits.starts = limits.starts.filter(|_| entry.attributes.is_some());
            limits.source_starts = None;
            limits.source_children = None;
            limits.children = if builtin.is_momentary() { None } else { Some(self.defaults.sessions) };
        }
        if let Some(Task::Redirect(_)) = task {
            // It makes no process either, and nobody's sessions are ended to make room for others.
            limits.children = Some(self.defaults.sessions);
        }
        let rate = |count| Rate { count, window: STARTS_WINDOW };
        let count = |rate: Option<Rate>| rate.map(|rate| rate.count);
        let words = &entry.limits;
        if let Some(word) = &words.starts {
            limits.starts = self.limit(entry, word, count(limits.starts))?.map(rate);
        }
        if let Some(word) = &words.children {
            limits.children = self.limit(entry, word, limits.children)?;
        }
        if let Some(word) = &words.source_starts {
            limits.source_starts = self.limit(entry, word, count(limits.source_starts))?.map(rate);
        }
        if let Some(word) = &words.source_children {
            limits.source_children = self.limit(entry, word, limits.source_children)?;
        }
        if let Some([count, rest]) = &words.rate {
            let (count, rest) = (self.number(count), self.number(rest));
            let rest = Duration::from_secs(rest?.into());
            // None a second is no limit, as with xinetd.
            let rate = Some(count?).filter(|count| *count > 0);
            limits.starts = rate.map(|count| Rate { count, window: Duration::from_secs(1) });
            limits.rest = Some(rest);
        }
        Some(limits)
    }

    fn number(&mut self, word: &Word) -> Option<u32> {
        let number = Numeral::Xinetd.number(&word.value);
        if number.is_none() {
            self.error("bad-number", word, format!("{} is not a number", quoted(word))).expected =
                "a number of 0 or more".to_owned();
        }
        self.may_be_too_many(word);
        number
    }

    /// Where xinetd takes what is left of a number that is too large for it, which can be 0.
    fn may_be_too_many(&mut self, word: &Word) {
        let is_exact = numeral::xinetd::<u32>(&word.value).is_some();
        if !is_exact && numeral::count(&word.value).is_some() {
            self.warning("large-number", word, format!("{} is more than can be counted", quoted(word)))
                .hint = format!("taken as {}", u32::MAX);
        }
    }

    /// A program that accepts its callers itself is the only one to see who they are.
    pub(super) fn sources_are_unseen(&mut self, entry: &Entry, limits: &mut Limits) {
        let words = [&entry.limits.source_starts, &entry.limits.source_children];
        let is_limit = |limit: &&LimitWord| limit.zero == Zero::Never || limit.number() != Some(0);
        if let Some(limit) = words.into_iter().flatten().find(is_limit) {
            self.warning("source-limit", &limit.word, "a limit for sources has no effect with wait").hint =
                "the program accepts its callers itself, and only it sees who they are".to_owned();
        }
        // Nobody is nobody, from wherever.
        if limits.source_starts.is_some_and(|rate| rate.count == 0) {
            limits.starts = limits.source_starts;
        }
    }

    /// Outer `None`: the line cannot be used. Inner `None`: no limit.
    #[expect(clippy::option_option, reason = "no limit and a wrong one are different answers")]
    fn limit(&mut self, entry: &Entry, limit: &LimitWord, default: Option<u32>) -> Option<Option<u32>> {
        if limit.numeral == Numeral::Xinetd {
            self.may_be_too_many(&limit.word);
        }
        Some(match (limit.number(), limit.zero) {
            (Some(0), Zero::Never) => Some(0),
            (Some(0), Zero::Unlimited) => None,
            (Some(0), Zero::Default) => default,
            (Some(count @ 1..), _) => Some(count),
            (None, _) if limit.refuses => {
                let message = format!("{} is not a limit", quoted(&limit.word));
                let expected = match limit.zero {
                    Zero::Unlimited => "a number; 0 for no limit",
                    _ if entry.attributes.is_some() => "a number, or UNLIMITED",
                    Zero::Wrong | Zero::Default | Zero::Never => "a number",
                };
                self.error("bad-max", &limit.word, message).expected = expected.to_owned();
                return None;
            }
            (Some(0), Zero::Wrong) | (None, _) => {
                let word = &limit.word;
                let message = format!("{} is not a limit", quoted(word));
                let diagnostic = self.warning("bad-max", word, message);
                diagnostic.expected = "a number of 1 or more".to_owned();
                diagnostic.hint = "the default is used".to_owned();
                diagnostic.original = format!(
                    "{}: illegal max field \"{}\", setting to {}",
                    printable(&entry.name.value),
                    printable(&word.value),
                    default.unwrap_or_default()
                );
                default
            }
        })
    }
}
