//! What a file says differently to different originals.
//!
//! Found by reading it as each of them does, and not by rules about what they might read differently.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{DialectName, parse};
use crate::config::includes::NoIncludes;
use crate::config::syntax::{Entry, Families, LimitWord, Transport, Tree, WaitMeaning, Word, Zero, literal};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, printable};
use crate::source::{FileId, Sources};

/// One part of an entry that originals can disagree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Sockets,
    FileMode,
    Wait,
    Program,
}

const PARTS: [Part; 4] = [Part::Sockets, Part::FileMode, Part::Wait, Part::Program];

/// A finding that is not told again for every line.
struct Finding {
    part: Part,
    /// The word that is read differently.
    word: Word,
    here: String,
    /// What each original makes of it.
    others: Vec<(String, Vec<&'static str>)>,
    lines: usize,
}

/// Says where the union of the dialects, by which `entries` were read, means something else to an original that can
/// read the line too.
pub fn compare(sources: &mut Sources, entries: &[Entry]) -> Vec<Diagnostic> {
    // What stands in an xinetd.conf means one thing only.
    let of_inetd = entries.iter().filter(|entry| entry.attributes.is_none());
    let mut files: Vec<FileId> = of_inetd.map(|entry| entry.span.file).collect();
    files.dedup();
    files.iter().flat_map(|file| compare_file(sources, *file, entries)).collect()
}

fn compare_file(sources: &mut Sources, file: FileId, entries: &[Entry]) -> Vec<Diagnostic> {
    let readings: Vec<(&str, HashMap<u32, Entry>)> = DialectName::ORIGINALS
        .into_iter()
        .map(|name| {
            let tree = read(sources, file, name);
            let usable = tree.entries.into_iter().filter(is_usable);
            (name.word(), usable.map(|entry| (entry.span.start, entry)).collect())
        })
        .collect();
    let mut findings: Vec<Finding> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.span.file == file) {
        for part in PARTS {
            let others = disagreements(entry, part, &readings);
            if !others.is_empty() {
                note(&mut findings, entry, part, others);
            }
        }
    }
    findings.iter().map(Finding::diagnostic).collect()
}

fn read(sources: &mut Sources, file: FileId, name: DialectName) -> Tree {
    let mut tree = Tree::default();
    // What is included is compared by itself.
    parse(sources, file, name.dialect(), &mut NoIncludes, &mut tree, &mut Diagnostics::default());
    tree
}

/// Whether an original would do anything with its own reading, but refuse it.
fn is_usable(entry: &Entry) -> bool {
    let types: [&[u8]; 5] = [b"stream", b"dgram", b"seqpacket", b"raw", b"rdm"];
    entry.transport.is_some() && types.contains(&entry.socket_type.value.as_slice())
}

fn disagreements(
    entry: &Entry,
    part: Part,
    readings: &[(&'static str, HashMap<u32, Entry>)],
) -> Vec<(String, Vec<&'static str>)> {
    let here = part.of(entry);
    let mut others: Vec<(String, Vec<&'static str>)> = Vec::new();
    for (name, entries) in readings {
        let Some(there) = entries.get(&entry.span.start).and_then(|other| part.of(other)) else { continue };
        if here.as_ref() == Some(&there) {
            continue;
        }
        match others.iter_mut().find(|(meaning, _)| *meaning == there) {
            Some((_, names)) => names.push(name),
            None => others.push((there, vec![name])),
        }
    }
    others
}

fn note(findings: &mut Vec<Finding>, entry: &Entry, part: Part, others: Vec<(String, Vec<&'static str>)>) {
    let word = part.word(entry).clone();
    let known = findings.iter_mut().find(|finding| {
        part != Part::Program
            && finding.part == part
            && finding.word.value == word.value
            && finding.others == others
    });
    match known {
        Some(finding) => finding.lines += 1,
        None => {
            let here = part.of(entry).unwrap_or_default();
            findings.push(Finding { part, word, here, others, lines: 1 });
        }
    }
}

impl Part {
    /// What an entry says of it, in words; `None` when it says nothing that could be used.
    fn of(self, entry: &Entry) -> Option<String> {
        match self {
            Part::Sockets => sockets(entry),
            Part::FileMode if entry.transport == Some(Transport::Unix) && entry.file.mode.is_none() => {
                Some(format!("mode {:04o}", entry.file.default_mode))
            }
            Part::FileMode => None,
            Part::Wait => wait(entry),
            // What argv[0] is when there are no arguments hardly matters to anybody.
            Part::Program if entry.arguments.iter().all(|word| word.span == entry.program.span) => {
                Some(printable(&entry.program.value))
            }
            Part::Program => {
                let words = std::iter::once(&entry.program).chain(&entry.arguments);
                Some(words.map(|word| format!("{:?}", printable(&word.value))).collect::<Vec<_>>().join(" "))
            }
        }
    }

    fn word(self, entry: &Entry) -> &Word {
        match self {
            Part::Sockets | Part::FileMode => &entry.protocol,
            Part::Wait => &entry.wait,
            Part::Program => entry.arguments.first().unwrap_or(&entry.program),
        }
    }
}

/// Which sockets are opened, in the families of the addresses that are written.
fn sockets(entry: &Entry) -> Option<String> {
    let Transport::Inet { families, .. } = entry.transport? else { return None };
    let literals: Vec<IpAddr> = entry.hosts.iter().filter_map(literal).collect();
    let all_literal = !entry.hosts.is_empty() && literals.len() == entry.hosts.len();
    let written = |v6: bool| !all_literal || literals.iter().any(|address| address.is_ipv6() == v6);
    let (v4, v6, dual) = match families {
        Families::V4(_) => (true, false, false),
        Families::V6(_) => (false, true, false),
        Families::Both(..) => (true, true, false),
        Families::Mapped(_) if !written(true) => return Some("an IPv6 socket for IPv4 callers".to_owned()),
        Families::Dual(_) | Families::Mapped(_) => (false, true, true),
        Families::OfHost(_) => (!all_literal || written(false), all_literal && written(true), false),
    };
    Some(
        match (v4 && written(false), v6 && written(true), dual) {
            (true, true, _) => "an IPv4 and an IPv6 socket",
            (true, false, _) => "an IPv4 socket",
            (false, true, true) => "one socket for IPv6 and IPv4",
            (false, true, false) => "an IPv6 socket",
            (false, false, _) => return None,
        }
        .to_owned(),
    )
}

fn wait(entry: &Entry) -> Option<String> {
    let handover = match entry.handover {
        WaitMeaning::Known(handover) | WaitMeaning::TakenFor(handover) => handover,
        WaitMeaning::Unknown => return None,
    };
    let limits = &entry.limits;
    let all = [
        ("starts a minute", &limits.starts),
        ("programs", &limits.children),
        ("starts a minute for a source", &limits.source_starts),
        ("programs for a source", &limits.source_children),
    ];
    let mut text = handover.word().to_owned();
    for (of, limit) in all {
        if let Some(limit) = limit {
            text.push_str(&format!(", {} {of}", number(limit)?));
        }
    }
    Some(text)
}

fn number(limit: &LimitWord) -> Option<String> {
    Some(match (limit.number()?, limit.zero) {
        (number @ 1.., _) => number.to_string(),
        (0, Zero::Wrong | Zero::Default) => "the default of".to_owned(),
        (0, Zero::Unlimited) => "any number of".to_owned(),
        (0, Zero::Never) => "no".to_owned(),
    })
}

impl Finding {
    fn diagnostic(&self) -> Diagnostic {
        let others: Vec<String> = self
            .others
            .iter()
            .map(|(meaning, names)| format!("{} to {}", meaning, names.join(", ")))
            .collect();
        let more = match self.lines {
            1 => String::new(),
            2 => " (and on 1 more line)".to_owned(),
            lines => format!(" (and on {} more lines)", lines - 1),
        };
        let here = if self.here.is_empty() { "nothing" } else { &self.here };
        let message = format!("this means {here} here, {}{more}", others.join(", "));
        let place = Place::Text(self.word.span);
        let diagnostic = match self.part {
            Part::Program => Diagnostic::warning("dialects-differ", place, message),
            Part::Sockets | Part::FileMode | Part::Wait => {
                Diagnostic::note("dialects-differ", place, message)
            }
        };
        diagnostic.hint("--dialect NAME reads the file as that original does")
    }
}
