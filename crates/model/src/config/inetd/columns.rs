//! A line of words → an entry.
//!
//! ```text
//! [host[,host…]:]service  type  protocol[,sndbuf=N[k|m]][,rcvbuf=N[k|m]]  wait|nowait[.N]  user[.group]  program  [argv…]
//! host[,host…]:
//! ```
//!
//! The name of an RPC service has its versions behind it: `name/version` or `name/lowest-highest`.
//!
//! A `host:` alone is the default for the lines below it, in this file.

use super::Dialect;
use super::lines::Line;
use crate::config::syntax::{Entry, Tree, Word};
use crate::diagnostic::{Diagnostic, Place, printable};
use crate::source::{Span, Spanned, offset};

/// The columns that a line must have, by the name that a person knows them by.
const COLUMNS: [&str; 6] =
    ["service name", "socket type", "protocol", "wait or nowait", "user", "program (or internal)"];

/// Reads the lines of one file, in order.
pub(super) struct Columns<'a> {
    dialect: &'a Dialect,
    default_hosts: Vec<Word>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(dialect: &'a Dialect) -> Self {
        Self { dialect, default_hosts: Vec::new() }
    }

    /// Makes an entry of one line, or changes the default address.
    pub(super) fn read(&mut self, line: &Line, tree: &mut Tree, diagnostics: &mut Vec<Diagnostic>) {
        let mut words = line.words.iter().cloned();
        let first = words.next().expect("a line is never empty");
        let (hosts, name) = match split_host(&first) {
            None => (self.default_hosts.clone(), Some(first)),
            Some((hosts, Some(name))) => (hosts, Some(name)),
            // "host:" with more words behind it: the service is the next word.
            Some((hosts, None)) => (hosts, words.next()),
        };
        let Some(name) = name else {
            self.default_hosts = hosts;
            return;
        };
        let mut columns = [const { None }; COLUMNS.len()];
        columns[0] = Some(name);
        for column in &mut columns[1..] {
            *column = words.next();
        }
        match columns {
            [Some(name), Some(socket_type), Some(protocol), Some(wait), Some(owner), Some(program)] => {
                let mut entry = Entry {
                    span: line.span(),
                    name,
                    versions: None,
                    hosts,
                    socket_type,
                    transport: None,
                    protocol,
                    send_buffer: None,
                    receive_buffer: None,
                    starts: None,
                    wait,
                    owner,
                    program,
                    arguments: words.collect(),
                };
                match self.take_apart(&mut entry) {
                    Ok(()) => tree.entries.push(entry),
                    Err(diagnostic) => {
                        diagnostics.push(*diagnostic);
                        tree.broken.push(entry.name);
                    }
                }
            }
            [Some(name), rest @ ..] => {
                let have = 1 + rest.iter().flatten().count();
                diagnostics.push(too_few(line.span(), have));
                let name =
                    rest[1].as_ref().map_or(name.clone(), |protocol| split_versions(&name, protocol).0);
                tree.broken.push(name);
            }
            [None, ..] => {}
        }
    }

    /// Splits the columns that hold several things.
    fn take_apart(&self, entry: &mut Entry) -> Result<(), Box<Diagnostic>> {
        let protocol = entry.protocol.clone();
        let mut parts = split(&protocol, b',').into_iter();
        entry.protocol = parts.next().unwrap_or(protocol);
        entry.transport = (self.dialect.transport)(&entry.protocol.value);
        (entry.name, entry.versions) = split_versions(&entry.name, &entry.protocol);
        for part in parts {
            let sizes = split(&part, b'=');
            let target = match sizes.first().map(|name| name.value.as_slice()) {
                Some(b"sndbuf") => &mut entry.send_buffer,
                Some(b"rcvbuf") => &mut entry.receive_buffer,
                _ => return Err(Box::new(bad_buffer(&entry.name, &part))),
            };
            match sizes.into_iter().nth(1) {
                Some(size) if target.is_none() => *target = Some(size),
                _ => return Err(Box::new(bad_buffer(&entry.name, &part))),
            }
        }
        if let Some(dot) = entry.wait.value.iter().position(|byte| *byte == b'.') {
            entry.starts = Some(part(&entry.wait, dot + 1, entry.wait.value.len()));
            entry.wait = part(&entry.wait, 0, dot);
        }
        Ok(())
    }
}

/// Splits `hosts:service` at the last colon. The service is absent when nothing follows the colon.
fn split_host(word: &Word) -> Option<(Vec<Word>, Option<Word>)> {
    let colon = word.value.iter().rposition(|byte| *byte == b':')?;
    let service = part(word, colon + 1, word.value.len());
    let service = if service.value.is_empty() { None } else { Some(service) };
    let list = part(word, 0, colon);
    let hosts = split(&list, b',').into_iter().filter(|host| !host.value.is_empty()).map(unbracket).collect();
    Some((hosts, service))
}

/// `rstatd/1-5` → `rstatd` and `1-5`, for an RPC protocol.
fn split_versions(name: &Word, protocol: &Word) -> (Word, Option<Word>) {
    let slash = name.value.iter().position(|byte| *byte == b'/');
    match slash.filter(|_| protocol.value.starts_with(b"rpc/")) {
        Some(slash) => (part(name, 0, slash), Some(part(name, slash + 1, name.value.len()))),
        None => (name.clone(), None),
    }
}

/// `[::1]` → `::1`.
fn unbracket(host: Word) -> Word {
    match host.value.as_slice() {
        [b'[', _, .., b']'] => part(&host, 1, host.value.len() - 1),
        _ => host,
    }
}

fn split(word: &Word, separator: u8) -> Vec<Word> {
    let mut parts = Vec::new();
    let mut start = 0;
    for piece in word.value.split(|byte| *byte == separator) {
        parts.push(part(word, start, start + piece.len()));
        start += piece.len() + 1;
    }
    parts
}

fn part(word: &Word, start: usize, end: usize) -> Word {
    let span = Span {
        file: word.span.file,
        start: word.span.start + offset(start),
        end: word.span.start + offset(end),
    };
    Spanned::new(word.value[start..end].to_vec(), span)
}

fn bad_buffer(name: &Word, part: &Word) -> Diagnostic {
    let original =
        format!("{}: malformed buffer size option `{}'", printable(&name.value), printable(&part.value));
    Diagnostic::error("bad-buffer-size", Place::Text(part.span), "not a buffer size, or given twice")
        .expected("sndbuf=N or rcvbuf=N, N in bytes or with k or m")
        .original(original)
}

/// The mark stands where the next column belongs, behind the last word.
fn too_few(span: Span, have: usize) -> Diagnostic {
    let end = Span { start: span.end, ..span };
    let message = format!("the line ends before the {}", COLUMNS[have]);
    Diagnostic::error("not-enough-fields", Place::Text(end), message)
        .expected(format!("six columns: {}", COLUMNS.join(", ")))
        .hint("a line that goes on with the one above begins with a blank")
        .original("syntax error in inetd config file")
}
