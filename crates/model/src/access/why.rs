//! Why a rule matches a caller or does not: what was looked at, and which words decided.
//!
//! A search knows a word by its place in the lists; patterns do not keep their spelling. What stands at a place is in
//! [`Words`], which only somebody who explains reads along.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::list::{Truth, is_except};
use super::listed::{ListedRule, WordList, host_word, listed};
use super::option::Accounts;
use super::table::{Contents, Files, RuleAt, Tables, Which, file_words};

/// What one rule had to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub rule: RuleAt,
    /// Whether its daemon list matched; none for a line without a colon, which is no rule.
    pub daemons: Option<Reason>,
    /// Whether its client list matched, where that mattered.
    pub clients: Option<Reason>,
    /// Whether it was the first to need the caller's name.
    pub asked_client_name: bool,
    /// Whether it was the first to need the name of our address.
    pub asked_server_name: bool,
    /// Whether it was the first to need the caller's user.
    pub asked_user: bool,
}

/// Whether a list matched, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Whether it did.
    pub matched: Matched,
    /// What stands before the first EXCEPT, then what stands behind each, as far as it mattered.
    pub parts: Vec<Part>,
}

/// Whether a part of a list matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whether it did.
    pub matched: Matched,
    /// By which word, or because of which one that cannot be told; none where no word matches.
    pub word: Option<WordAt>,
}

/// The place of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordAt {
    pub(super) list: ListOf,
    /// How many EXCEPTs stand before it.
    pub(super) part: usize,
    /// Its number there.
    pub(super) place: usize,
    /// Where it names a file: the number of that file's word that decides; and so on.
    pub(super) within: Vec<usize>,
}

/// Which list of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListOf {
    Daemons,
    Clients,
}

/// Whether something matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// It did.
    Yes,
    /// It did not.
    No,
    /// It could not be found out.
    Undecided,
}

impl From<Truth> for Matched {
    fn from(truth: Truth) -> Self {
        match truth {
            Truth::Yes => Matched::Yes,
            Truth::No => Matched::No,
            Truth::Undecided => Matched::Undecided,
        }
    }
}

/// The words of both tables and of the files that they name, as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    allow: BTreeMap<u32, ListedRule>,
    deny: BTreeMap<u32, ListedRule>,
    files: BTreeMap<Box<[u8]>, WordList>,
}

impl Words {
    /// Reads both tables, and keeps their words.
    pub fn read(
        allow: &str,
        deny: &str,
        files: &mut dyn Files,
        accounts: &mut dyn Accounts,
    ) -> (Tables, Words) {
        let mut files = Keeping { files, texts: BTreeMap::new() };
        let tables = Tables::read(allow, deny, &mut files, accounts);
        let text = |path: &[u8]| files.texts.get(path).map(|text| &**text).unwrap_or_default();
        let rules = |path: &str| listed(text(path.as_bytes())).into_iter().map(|rule| (rule.line, rule));
        let words = Words {
            allow: rules(allow).collect(),
            deny: rules(deny).collect(),
            files: tables
                .files
                .keys()
                .map(|path| (path.clone(), file_words(text(path)).map(Into::into).collect()))
                .collect(),
        };
        (tables, words)
    }

    /// A word of a rule; where it names a file, the word of that file that decides follows; and so on.
    pub fn at(&self, rule: RuleAt, word: &WordAt) -> Vec<&[u8]> {
        let Some(mut text) = self.word(rule, word) else { return Vec::new() };
        let mut chain = vec![text];
        let mut path = match host_word(text) {
            (_, Some(host)) => host,
            (host, None) => host,
        };
        for place in &word.within {
            let Some(inner) = self.files.get(&path).and_then(|words| words.get(*place)) else { break };
            text = inner;
            chain.push(text);
            path = text.into();
        }
        chain
    }

    fn word(&self, rule: RuleAt, word: &WordAt) -> Option<&[u8]> {
        let rules = match rule.table {
            Which::Allow => &self.allow,
            Which::Deny => &self.deny,
        };
        let (daemons, clients) = rules.get(&rule.line)?.lists.as_ref()?;
        let list = match word.list {
            ListOf::Daemons => daemons,
            ListOf::Clients => clients,
        };
        list.split(|word| is_except(word)).nth(word.part)?.get(word.place).map(|text| &**text)
    }
}

/// Files that are read once, with what was in them.
struct Keeping<'a> {
    files: &'a mut dyn Files,
    texts: BTreeMap<Box<[u8]>, Rc<[u8]>>,
}

impl Files for Keeping<'_> {
    fn contents(&mut self, path: &[u8]) -> Contents {
        let contents = self.files.contents(path);
        if let Contents::Text(text) = &contents {
            self.texts.insert(path.into(), Rc::clone(text));
        }
        contents
    }
}
