//! Which words of a rule decided.
//!
//! Only whoever explains pays for it: a rule that was looked at is looked at once more, with the same answers, and now each
//! part of its lists by itself.

use super::Search;
use crate::access::known::{Asked, End};
use crate::access::list::{List, Truth, first};
use crate::access::pattern::{ClientPattern, HostPattern};
use crate::access::request::Lookup;
use crate::access::table::{PatternFile, Rule};
use crate::access::why::{ListOf, Part, Reason, Step, WordAt};

/// A rule, whether its daemon list matches, and its client list, where that matters.
pub(super) type LookedAt<'a> = (&'a Rule, Truth, Option<Truth>);

impl<'a> Search<'a> {
    /// Adds a step for the rule that was looked at, or the line that is none.
    pub(super) fn explain(&mut self, before: Asked, rule: Option<LookedAt<'a>>) -> Result<(), Lookup> {
        let Some(at) = self.at.filter(|_| self.steps.is_some()) else { return Ok(()) };
        let asked = self.known.asked;
        // What there was to be said has been said the first time.
        let said = self.notes.len();
        let (daemons, clients) = match rule {
            None => (None, None),
            Some((rule, daemons, clients)) => {
                let parts = self.parts(ListOf::Daemons, &rule.daemons, Self::server_matches, |pattern| {
                    pattern.host.as_ref().map(|host| (host, End::Server))
                })?;
                let daemons = Reason { matched: daemons.into(), parts };
                let clients = match clients {
                    None => None,
                    Some(truth) => {
                        let client = |pattern: &'a ClientPattern| Some((&pattern.host, End::Client));
                        let parts =
                            self.parts(ListOf::Clients, &rule.clients, Self::client_matches, client)?;
                        Some(Reason { matched: truth.into(), parts })
                    }
                };
                (Some(daemons), clients)
            }
        };
        self.notes.truncate(said);
        self.steps.get_or_insert_default().push(Step {
            rule: at,
            daemons,
            clients,
            asked_client_name: asked.client_name && !before.client_name,
            asked_server_name: asked.server_name && !before.server_name,
            asked_user: asked.user && !before.user,
        });
        Ok(())
    }

    /// The parts of a list that mattered: those up to the first in which no word matches.
    fn parts<P>(
        &mut self,
        list: ListOf,
        patterns: &'a List<P>,
        test: fn(&mut Self, &'a P) -> Result<Truth, Lookup>,
        host: impl Fn(&'a P) -> Option<(&'a HostPattern, End)>,
    ) -> Result<Vec<Part>, Lookup> {
        let mut parts = Vec::new();
        for (part, group) in patterns.groups.iter().enumerate() {
            let Some((place, truth)) = first(0..group.len(), |place| test(self, &group[place]))? else {
                parts.push(Part { matched: Truth::No.into(), word: None });
                break;
            };
            let mut within = Vec::new();
            if let Some((host, end)) = host(&group[place]) {
                self.walk_in(host, end, &mut within)?;
            }
            let word = WordAt { list, part, place, within };
            parts.push(Part { matched: truth.into(), word: Some(word) });
        }
        Ok(parts)
    }

    /// The words that decide in a file, and in the file that such a word names.
    fn walk_in(&mut self, host: &'a HostPattern, end: End, within: &mut Vec<usize>) -> Result<(), Lookup> {
        let tables = self.tables;
        let HostPattern::File(path) = host else { return Ok(()) };
        let Some(PatternFile::Read { patterns, index }) = tables.files.get(path) else { return Ok(()) };
        if self.open.contains(&&**path) {
            return Ok(());
        }
        self.open.push(path);
        let hits = index.candidates(self.known.address(end));
        if let Some((place, _)) = first(hits, |place| self.host_matches(&patterns[place], end))? {
            within.push(place);
            self.walk_in(&patterns[place], end, within)?;
        }
        self.open.pop();
        Ok(())
    }
}
