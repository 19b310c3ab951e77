//! Any bytes as an `inetd.conf`.
//!
//! No panic; what is cited is there; what is printed reads back as the same entry.

use usherd_model::config::inetd::{self, DialectName};
use usherd_model::config::syntax::{Entry, LimitWord, LimitWords, Word};
use usherd_model::diagnostic::{Diagnostic, Place, Severity};
use usherd_model::source::{Sources, Span};

use crate::configuration::{Read, read};
use crate::machine::Machine;
use crate::xinetd_conf::check_inetd;

/// Checks one text.
pub fn check(text: &[u8]) {
    for dialect in DialectName::ORIGINALS.into_iter().chain([DialectName::Union]) {
        check_as(dialect, text);
    }
    let union = read(DialectName::Union, "inetd.conf", text);
    for entry in &union.tree.entries {
        check_plain_words(entry, &union.sources);
    }
    check_printing(&union);
    check_inetd(&union.sources, &union.tree);
    let Read { mut sources, tree, .. } = union;
    for diagnostic in inetd::compare(&mut sources, &tree.entries) {
        check_diagnostic(&diagnostic, &sources);
    }
}

fn check_as(dialect: DialectName, text: &[u8]) {
    for (is_root, has_ipv6) in [(true, true), (false, false)] {
        let mut read = read(dialect, "inetd.conf", text);
        assert_eq!(read.sources.text(read.file), text);
        check_words(&read);
        let config = read.check(&mut Machine { is_root, has_ipv6 });
        let mut reports = Vec::new();
        for diagnostic in read.diagnostics.iter() {
            check_diagnostic(diagnostic, &read.sources);
            reports.push(diagnostic.severity);
        }
        assert!(
            config.broken.is_empty() || reports.contains(&Severity::Error),
            "a line is left out and nobody says why"
        );
        for service in &config.services {
            assert!(!service.listeners.is_empty(), "a service without a socket: {service:?}");
        }
    }
}

/// What is read as it stands is cited as it stands. (NetBSD's second form has quotes, and what it does not say is made
/// up.)
fn check_plain_words(entry: &Entry, sources: &Sources) {
    if [b"yes" as &[u8], b"no"].contains(&&*entry.wait.value) {
        return;
    }
    for word in [&entry.name, &entry.socket_type, &entry.protocol, &entry.wait, &entry.owner, &entry.program]
    {
        assert_eq!(word.value, sources.slice(word.span), "a word's span does not cite it");
    }
}

pub(crate) fn check_words(read: &Read) {
    for entry in &read.tree.entries {
        check_span(entry.span, &read.sources);
        for word in words(entry) {
            check_word(word, &read.sources);
        }
    }
    for word in &read.tree.broken {
        check_word(word, &read.sources);
    }
}

/// All words of an entry.
fn words(entry: &Entry) -> impl Iterator<Item = &Word> {
    let Entry { name, hosts, socket_type, protocol, wait, owner, program, arguments, .. } = entry;
    let optional = [&entry.versions, &entry.send_buffer, &entry.receive_buffer].into_iter().flatten();
    let limits = limits(entry).into_iter().flatten().map(|limit| &limit.word);
    [name, socket_type, protocol, wait, owner, program]
        .into_iter()
        .chain(hosts)
        .chain(arguments)
        .chain(optional)
        .chain(limits)
        .chain(entry.limits.rate.iter().flatten())
}

fn limits(entry: &Entry) -> [Option<&LimitWord>; 4] {
    let LimitWords { starts, children, source_starts, source_children, rate: _ } = &entry.limits;
    [starts.as_ref(), children.as_ref(), source_starts.as_ref(), source_children.as_ref()]
}

fn check_word(word: &Word, sources: &Sources) {
    check_span(word.span, sources);
    assert!(!word.value.contains(&0), "a word holds {:?}", word.value);
}

fn check_span(span: Span, sources: &Sources) {
    let length = sources.text(span.file).len();
    assert!(span.start <= span.end && span.end as usize <= length, "{span:?} of {length} bytes");
}

pub(crate) fn check_diagnostic(diagnostic: &Diagnostic, sources: &Sources) {
    let Place::Text(span) = diagnostic.place else { return };
    check_span(span, sources);
    let report = diagnostic.report(sources);
    let excerpt = report.excerpt.as_ref().expect("a place in a text has an excerpt");
    let (start, end) = excerpt.mark;
    assert!(excerpt.text.get(start..end).is_some(), "the mark {start}..{end} of {:?}", excerpt.text);
    let lines = sources.text(span.file).split(|byte| *byte == b'\n').count();
    assert!((1..=lines).contains(&(excerpt.line as usize)) && excerpt.column >= 1, "{excerpt:?}");
    assert!(!report.line().contains(char::is_control), "a log line that is none: {:?}", report.line());
}

fn check_printing(read: &Read) {
    for entry in &read.tree.entries {
        let line = inetd::print(entry);
        let again = crate::configuration::read(DialectName::Union, "printed", &line);
        let shown = String::from_utf8_lossy(&line);
        let [other] = again.tree.entries.as_slice() else {
            panic!("printed as {shown:?}, which is {} entries", again.tree.entries.len());
        };
        assert_eq!(values(other), values(entry), "printed as {shown:?}");
        assert_eq!(other.transport, entry.transport, "printed as {shown:?}");
        assert_eq!(other.handover, entry.handover, "printed as {shown:?}");
        let rules = |entry: &Entry| limits(entry).map(|limit| limit.map(|limit| (limit.zero, limit.numeral)));
        assert_eq!(rules(other), rules(entry), "printed as {shown:?}");
    }
}

/// What an entry says, without where.
fn values(entry: &Entry) -> Vec<(&'static str, Vec<&[u8]>)> {
    vec![
        ("name", list([&entry.name])),
        ("versions", list(&entry.versions)),
        ("hosts", list(&entry.hosts)),
        ("socket type", list([&entry.socket_type])),
        ("protocol", list([&entry.protocol])),
        ("send buffer", list(&entry.send_buffer)),
        ("receive buffer", list(&entry.receive_buffer)),
        ("wait", list([&entry.wait])),
        (
            "limits",
            limits(entry)
                .iter()
                .map(|limit| limit.map_or(b"-" as &[u8], |limit| &limit.word.value))
                .collect(),
        ),
        ("owner", list([&entry.owner])),
        ("class", list(&entry.class)),
        ("users", entry.accounts.iter().map(|account| account.user.value.as_slice()).collect()),
        (
            "groups",
            entry
                .accounts
                .iter()
                .filter_map(|account| Some(account.group.as_ref()?.value.as_slice()))
                .collect(),
        ),
        (
            "file",
            [&entry.file.user, &entry.file.group, &entry.file.mode]
                .into_iter()
                .flatten()
                .map(|word| word.value.as_slice())
                .collect(),
        ),
        ("program", list([&entry.program])),
        ("arguments", list(&entry.arguments)),
    ]
}

fn list<'a>(words: impl IntoIterator<Item = &'a Word>) -> Vec<&'a [u8]> {
    words.into_iter().map(|word| word.value.as_slice()).collect()
}
