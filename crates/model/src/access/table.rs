//! hosts.allow or hosts.deny, read.
//!
//! A table that cannot be read is no empty table: hosts.deny then denies. Where libwrap takes a folder for an empty table,
//! and a last line without its end for the end of all rules, this one does not; see `docs/compat.md`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::index::{Index, prefix_of};
use super::line::lines;
use super::list::{List, pieces};
use super::number::is_space;
use super::option::{self, Accounts, Act, Opt};
use super::pattern::{ClientPattern, HostPattern, ServerPattern, split_outside_brackets};
use crate::prefix::Prefix;

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// This text.
    Text(Rc<[u8]>),
    /// Nothing.
    Missing,
    /// A folder.
    Folder,
    /// Something that cannot be read, for this reason in the system's words.
    Unreadable(String),
}

/// Reads files.
pub trait Files {
    /// What is there now.
    fn contents(&mut self, path: &[u8]) -> Contents;
}

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// hosts.allow.
    Allow,
    /// hosts.deny.
    Deny,
}

/// A rule's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleAt {
    /// In which table.
    pub table: Which,
    /// On which line, from 1; the last one, where it goes over several.
    pub line: u32,
}

/// Both tables, with the files that they name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    pub(super) allow: Table,
    pub(super) deny: Table,
    pub(super) files: BTreeMap<Box<[u8]>, PatternFile>,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) path: String,
    pub(super) state: State,
    pub(super) items: Vec<Item>,
    pub(super) index: Index,
}

/// Whether a table could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    Read,
    Missing,
    Folder,
    Unreadable(String),
}

/// A line of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) line: u32,
    /// `None` for a line without a colon.
    pub(super) rule: Option<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) daemons: List<ServerPattern>,
    pub(super) clients: List<ClientPattern>,
    /// `None` without the second colon.
    pub(super) options: Option<Vec<Opt>>,
}

/// A file of patterns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PatternFile {
    Read {
        patterns: Vec<HostPattern>,
        index: Index,
    },
    /// Missing, or a folder: it matches nobody, as in libwrap.
    Nothing,
    Unreadable(String),
}

impl Tables {
    /// Reads both tables and the files that they name. Users and groups of options are looked up.
    pub fn read(allow: &str, deny: &str, files: &mut dyn Files, accounts: &mut dyn Accounts) -> Self {
        let mut tables = Self {
            allow: Table::read(allow, files, accounts),
            deny: Table::read(deny, files, accounts),
            files: BTreeMap::new(),
        };
        let mut named: Vec<Box<[u8]>> =
            [&tables.allow, &tables.deny].into_iter().flat_map(Table::files).collect();
        while let Some(path) = named.pop() {
            if let Entry::Vacant(place) = tables.files.entry(path) {
                let file = PatternFile::read(place.key(), files);
                named.extend(file.files());
                place.insert(file);
            }
        }
        tables
    }

    /// The path of a table.
    pub fn path(&self, which: Which) -> &str {
        match which {
            Which::Allow => &self.allow.path,
            Which::Deny => &self.deny.path,
        }
    }

    /// The tables that are not there, which is as if they had no rules.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        let tables = [&self.allow, &self.deny].into_iter();
        tables.filter(|table| table.state == State::Missing).map(|table| table.path.as_str())
    }

    /// The paths whose change changes what the tables say.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        let tables = [&self.allow, &self.deny].into_iter().map(|table| table.path.as_bytes());
        tables.chain(self.files.keys().map(|path| &**path))
    }
}

impl Table {
    fn read(path: &str, files: &mut dyn Files, accounts: &mut dyn Accounts) -> Self {
        let mut table =
            Table { path: path.to_owned(), state: State::Read, items: Vec::new(), index: Index::default() };
        match files.contents(path.as_bytes()) {
            Contents::Text(text) => {
                table.items = lines(&text).map(|line| Item::new(&line.text, line.number, accounts)).collect()
            }
            Contents::Missing => table.state = State::Missing,
            Contents::Folder => table.state = State::Folder,
            Contents::Unreadable(why) => table.state = State::Unreadable(why),
        }
        for item in &table.items {
            table.index.push(item.rule.as_ref().and_then(Rule::prefixes));
        }
        table
    }

    fn files(&self) -> Vec<Box<[u8]>> {
        let rules = self.items.iter().filter_map(|item| item.rule.as_ref());
        let hosts = rules.flat_map(|rule| {
            let servers = rule.daemons.groups.iter().flatten().filter_map(|pattern| pattern.host.as_ref());
            servers.chain(rule.clients.groups.iter().flatten().map(|pattern| &pattern.host))
        });
        named_files(hosts)
    }
}

impl Item {
    fn new(text: &[u8], line: u32, accounts: &mut dyn Accounts) -> Self {
        let rule = split_outside_brackets(text, b':').map(|colon| {
            let rest = &text[colon + 1..];
            let second = split_outside_brackets(rest, b':');
            Rule {
                daemons: List::new(&text[..colon], ServerPattern::new),
                clients: List::new(&rest[..second.unwrap_or(rest.len())], ClientPattern::new),
                options: second.map(|second| option::read(&rest[second + 1..], accounts)),
            }
        });
        Self { line, rule }
    }
}

impl Rule {
    /// Whether a rule of hosts.allow can refuse somebody.
    pub(super) fn may_refuse(&self) -> bool {
        self.options.iter().flatten().any(|option| {
            option.act.as_ref().map_or(true, |act| matches!(act, Act::Deny | Act::Aclexec | Act::Twist))
        })
    }

    /// The callers' addresses without which the rule cannot match, when nothing has to be looked up to know that.
    fn prefixes(&self) -> Option<Vec<Prefix>> {
        let asks_for_our_name = |pattern: &ServerPattern| pattern.host.is_some();
        if self.daemons.groups.iter().flatten().any(asks_for_our_name) {
            return None;
        }
        self.clients.outer().iter().map(|pattern| prefix_of(&pattern.host)).collect()
    }
}

impl PatternFile {
    fn read(path: &[u8], files: &mut dyn Files) -> Self {
        match files.contents(path) {
            Contents::Text(text) => {
                let patterns: Vec<HostPattern> = file_words(&text).map(HostPattern::new).collect();
                let mut index = Index::default();
                for pattern in &patterns {
                    index.push(prefix_of(pattern).map(|prefix| vec![prefix]));
                }
                PatternFile::Read { patterns, index }
            }
            Contents::Missing | Contents::Folder => PatternFile::Nothing,
            Contents::Unreadable(why) => PatternFile::Unreadable(why),
        }
    }

    fn files(&self) -> Vec<Box<[u8]>> {
        match self {
            PatternFile::Read { patterns, .. } => named_files(patterns.iter()),
            PatternFile::Nothing | PatternFile::Unreadable(_) => Vec::new(),
        }
    }
}

/// The words of a file of patterns, as scanf(3) reads `%s`. A NUL byte hides what follows it in its word.
pub(super) fn file_words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    placed_file_words(text).map(|(_, word)| word)
}

/// The same, each with where it begins.
pub(super) fn placed_file_words(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    pieces(text, is_space)
        .filter_map(|(at, word)| Some((at, word.split(|byte| *byte == 0).next()?)))
        .filter(|(_, word)| !word.is_empty())
}

fn named_files<'a>(hosts: impl Iterator<Item = &'a HostPattern>) -> Vec<Box<[u8]>> {
    hosts
        .filter_map(|host| match host {
            HostPattern::File(path) => Some(path.clone()),
            HostPattern::Netgroup(_)
            | HostPattern::Known
            | HostPattern::Local
            | HostPattern::Net(_)
            | HostPattern::Text(_)
            | HostPattern::Address(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_file_are_those_that_scanf_reads() {
        let words: Vec<&[u8]> = file_words(b"a\x0bb\x0cc\0d e, \0f\n").collect();
        assert_eq!(words, [&b"a"[..], b"b", b"c", b"e,"]);
    }
}
