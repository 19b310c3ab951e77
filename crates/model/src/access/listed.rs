//! A table's words as they stand, for programs that list and check them.

use super::false_net::FalseNet;
use super::line::lines;
use super::list::words;
use super::pattern::{HostPattern, Net, split_at_sign, split_outside_brackets};

/// One rule in its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRule {
    /// From 1; the last one, where it goes over several.
    pub line: u32,
    /// Daemons and clients; none for a line without a colon.
    pub lists: Option<(WordList, WordList)>,
    /// What stands behind the second colon.
    pub options: Option<Box<[u8]>>,
}

/// Words in order.
pub type WordList = Vec<Box<[u8]>>;

/// The rules of a text.
pub fn listed(text: &[u8]) -> Vec<ListedRule> {
    let all = |list: &[u8]| words(list).map(Into::into).collect();
    lines(text)
        .map(|line| {
            let Some(colon) = split_outside_brackets(&line.text, b':') else {
                return ListedRule { line: line.number, lists: None, options: None };
            };
            let rest = &line.text[colon + 1..];
            let second = split_outside_brackets(rest, b':');
            ListedRule {
                line: line.number,
                lists: Some((all(&line.text[..colon]), all(&rest[..second.unwrap_or(rest.len())]))),
                options: second.map(|second| rest[second + 1..].into()),
            }
        })
        .collect()
}

/// A word parted at its `@`: what stands before it, or all of it, and the host behind it.
pub fn host_word(word: &[u8]) -> (Box<[u8]>, Option<Box<[u8]>>) {
    let (first, host) = split_at_sign(word);
    (first.into(), host.map(Into::into))
}

/// What a word for a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostWord {
    /// `@group`.
    Netgroup(Box<[u8]>),
    /// `/path`.
    File,
    /// `net/mask`.
    Net,
    /// One that is not what it looks like.
    FalseNet(FalseNet),
    /// What was meant as one, and is none.
    BadNet,
    /// Digits and dots.
    Number,
    /// A name, a wildcard, or an address in brackets.
    Text,
}

impl HostWord {
    /// Of this word.
    pub fn of(word: &[u8]) -> Self {
        match HostPattern::new(word) {
            HostPattern::Netgroup(group) => HostWord::Netgroup(group),
            HostPattern::File(_) => HostWord::File,
            HostPattern::Net(net) => match (FalseNet::of(word, net), net) {
                (Some(false_net), _) => HostWord::FalseNet(false_net),
                (None, Net::Nothing) => HostWord::BadNet,
                (None, Net::V4 { .. } | Net::V6 { .. }) => HostWord::Net,
            },
            HostPattern::Address(_) => HostWord::Number,
            HostPattern::Known | HostPattern::Local | HostPattern::Text(_) => HostWord::Text,
        }
    }
}
