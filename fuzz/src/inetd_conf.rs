//! Any bytes as an `inetd.conf`.
//!
//! No panic; what is cited is there; what is printed reads back as the same entry.

use usherd_model::config::inetd;
use usherd_model::config::syntax::{Entry, Word};
use usherd_model::diagnostic::{Diagnostic, Place, Severity};
use usherd_model::source::{Sources, Span};

use crate::configuration::{Read, read};
use crate::machine::Machine;

/// Checks one text.
pub fn check(text: &[u8]) {
    for (is_root, has_ipv6) in [(true, true), (false, false)] {
        let mut read = read("inetd.conf", text);
        assert_eq!(read.sources.text(read.file), text);
        check_words(&read);
        let config = read.check(&mut Machine { is_root, has_ipv6 });
        let mut reports = Vec::new();
        for diagnostic in &read.diagnostics {
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
    check_printing(&read("inetd.conf", text));
}

fn check_words(read: &Read) {
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
    let optional =
        [&entry.versions, &entry.send_buffer, &entry.receive_buffer, &entry.starts].into_iter().flatten();
    [name, socket_type, protocol, wait, owner, program]
        .into_iter()
        .chain(hosts)
        .chain(arguments)
        .chain(optional)
}

fn check_word(word: &Word, sources: &Sources) {
    check_span(word.span, sources);
    assert_eq!(sources.slice(word.span), word.value, "a word's span does not cite it");
    assert!(!word.value.contains(&0) && !word.value.contains(&b'\n'), "a word holds {:?}", word.value);
}

fn check_span(span: Span, sources: &Sources) {
    let length = sources.text(span.file).len();
    assert!(span.start <= span.end && span.end as usize <= length, "{span:?} of {length} bytes");
}

fn check_diagnostic(diagnostic: &Diagnostic, sources: &Sources) {
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
        let again = crate::configuration::read("printed", &line);
        let shown = String::from_utf8_lossy(&line);
        let [other] = again.tree.entries.as_slice() else {
            panic!("printed as {shown:?}, which is {} entries", again.tree.entries.len());
        };
        assert_eq!(values(other), values(entry), "printed as {shown:?}");
        assert_eq!(other.transport, entry.transport, "printed as {shown:?}");
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
        ("starts", list(&entry.starts)),
        ("owner", list([&entry.owner])),
        ("program", list([&entry.program])),
        ("arguments", list(&entry.arguments)),
    ]
}

fn list<'a>(words: impl IntoIterator<Item = &'a Word>) -> Vec<&'a [u8]> {
    words.into_iter().map(|word| word.value.as_slice()).collect()
}
