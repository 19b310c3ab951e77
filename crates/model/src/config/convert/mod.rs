//! The same services in the other language: inetd.conf as xinetd.conf, and back.
//!
//! What the other language cannot say is a [`Loss`], and a service that would be more open without it is written
//! switched off. `to_xinetd` and `to_inetd` make entries of entries, `check` reads what is written of them again: a
//! service whose text does not say the same is not written at all. `ids` gives those names that have the same one.

mod check;
mod ids;
mod loss;
mod to_inetd;
mod to_xinetd;

use std::fmt::Write as _;

pub use self::loss::{Loss, Subject, Weight};

use super::facts::Facts;
use super::inetd::{self, DialectName};
use super::mux;
use super::syntax::{Account, Entry, LimitWord, Tree, Word, Zero};
use super::xinetd::{self, Switch};
use crate::diagnostic::{printable, shown};
use crate::source::{Sources, Span};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// xinetd.conf.
    Xinetd,
    /// inetd.conf, to be read in this dialect.
    Inetd(DialectName),
}

/// What becomes of a service that would be more open without what is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leniency {
    /// It is switched off.
    Strict,
    /// It is switched on.
    Lossy,
}

/// One service as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it was called.
    pub name: String,
    /// What it is called now.
    pub id: String,
    /// Its text, with comments in front of it.
    pub text: Vec<u8>,
    /// What it cannot say.
    pub losses: Vec<Loss>,
    /// Whether it is switched on.
    pub switch: Switch,
}

impl Piece {
    /// A line for each thing that is lost: its place, the service, why, and what becomes of it.
    pub fn lines(&self, sources: &Sources) -> impl Iterator<Item = String> {
        self.losses.iter().map(|loss| {
            let fate = match (loss.weight, self.switch) {
                (Weight::Whole, _) => "it is not converted",
                (Weight::Restriction, Switch::Off) => "it is switched off",
                (Weight::Restriction, Switch::On) => "left out, and the service is on all the same",
                (Weight::Aside, _) => "left out",
            };
            format!("{}: {}: {}; {fate}", place(sources, loss.word.span), self.name, reason(loss))
        })
    }
}

/// Entries of the other language.
struct Converted {
    /// Empty when there are none that mean the service.
    entries: Vec<Entry>,
    losses: Vec<Loss>,
}

/// Writes all services of a tree, those that are switched off last. The machine is asked
/// for users, where a line can mean several.
pub fn convert(
    tree: &Tree,
    sources: &Sources,
    target: Target,
    leniency: Leniency,
    facts: &mut dyn Facts,
) -> Vec<Piece> {
    let on = tree.entries.iter().map(|entry| (entry, Switch::On));
    let off = tree.off.iter().map(|entry| (entry, Switch::Off));
    let mut services: Vec<(&Entry, Switch, Converted)> =
        on.chain(off).map(|(entry, switch)| (entry, switch, converted(entry, target, facts))).collect();
    if target == Target::Xinetd {
        miss_tcpmux(tree, &mut services);
        ids::tell_apart(services.iter_mut().flat_map(|(_, _, converted)| &mut converted.entries));
    }
    services
        .into_iter()
        .map(|(entry, switch, converted)| piece(entry, switch, converted, sources, target, leniency))
        .collect()
}

fn converted(entry: &Entry, target: Target, facts: &mut dyn Facts) -> Converted {
    match (&entry.attributes, target) {
        (None, Target::Xinetd) => to_xinetd::convert(entry, facts),
        (Some(attributes), Target::Inetd(dialect)) => {
            to_inetd::convert(entry, attributes, dialect.dialect(), facts)
        }
        (None, Target::Inetd(_)) | (Some(_), Target::Xinetd) => {
            Converted { entries: vec![entry.clone()], losses: Vec::new() }
        }
    }
}

/// Says that nobody adds tcpmux here, where an inetd would have.
fn miss_tcpmux(tree: &Tree, services: &mut [(&Entry, Switch, Converted)]) {
    let is_there =
        tree.entries.iter().any(|entry| entry.program.value == b"internal" && entry.name.value == b"tcpmux");
    let behind = services.iter_mut().find(|(entry, ..)| mux::name(&entry.name).is_some());
    if let Some((entry, _, converted)) = behind.filter(|_| tree.adds_tcpmux && !is_there) {
        converted.losses.push(Loss {
            word: entry.name.clone(),
            subject: Subject::Service,
            weight: Weight::Aside,
            why: "GNU's inetd adds tcpmux by itself; here a service tcpmux of type INTERNAL is wanted"
                .to_owned(),
        });
    }
}

fn piece(
    entry: &Entry,
    switch: Switch,
    converted: Converted,
    sources: &Sources,
    target: Target,
    leniency: Leniency,
) -> Piece {
    let Converted { entries, mut losses } = converted;
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for made in &entries {
        match check::text(made, target) {
            Ok(text) => texts.push(text),
            Err((word, why)) => {
                losses.push(Loss { word, subject: Subject::Service, weight: Weight::Whole, why });
            }
        }
    }
    losses.sort_by_key(|loss| (loss.word.span.start, loss.word.span.end));
    let weight = losses.iter().map(|loss| loss.weight).max();
    let is_whole = weight == Some(Weight::Whole);
    let loses_too_much = weight == Some(Weight::Restriction) && leniency == Leniency::Strict;
    let switch = if is_whole || loses_too_much { Switch::Off } else { switch };
    let mut text = comments(entry, &losses, sources, switch).into_bytes();
    if is_whole {
        text.extend(cited(entry, sources).into_bytes());
    } else {
        for (made, on) in entries.iter().zip(texts) {
            text.extend(switched(made, on, switch, target));
        }
    }
    let id = printable(&entries.first().unwrap_or(entry).id().value);
    Piece { name: shown(&entry.id().value), id, text, losses, switch }
}

/// Where a service comes from, and what it has lost on the way.
fn comments(entry: &Entry, losses: &[Loss], sources: &Sources, switch: Switch) -> String {
    let mut text = format!("# {}, from {}\n", shown(&entry.id().value), place(sources, entry.span));
    for loss in losses {
        let left_out = if loss.weight == Weight::Whole { "not possible" } else { "left out" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "# {left_out}: {}: {}", place(sources, loss.word.span), reason(loss));
    }
    let loses = losses.iter().any(|loss| loss.weight > Weight::Aside);
    match switch {
        Switch::On => {}
        Switch::Off if loses => text.push_str("# and so it is switched off\n"),
        Switch::Off => text.push_str("# it is switched off there\n"),
    }
    text
}

/// The word that is lost, and why.
fn reason(loss: &Loss) -> String {
    format!("{}: {}", shown(&loss.word.value), loss.why)
}

fn place(sources: &Sources, span: Span) -> String {
    let location = sources.locate(span);
    format!("{}:{}:{}", printable(location.path.as_bytes()), location.line, location.column)
}

/// The lines of a service as comments.
fn cited(entry: &Entry, sources: &Sources) -> String {
    const MOST: usize = 4096;
    let source = sources.slice(entry.span);
    let head = &source[..source.len().min(MOST)];
    let mut text: String = head
        .split(|byte| *byte == b'\n')
        .map(|line| format!("#     {}\n", printable(line).trim_end()))
        .collect();
    if head.len() < source.len() {
        text.push_str("#     and more\n");
    }
    text
}

/// A text that is switched on, or the same switched off.
fn switched(entry: &Entry, text: Vec<u8>, switch: Switch, target: Target) -> Vec<u8> {
    match (switch, target) {
        (Switch::On, _) => text,
        (Switch::Off, Target::Xinetd) => xinetd::print(entry, Switch::Off),
        // As update-inetd switches lines off, and on.
        (Switch::Off, Target::Inetd(_)) => [b"#<off># ".as_slice(), &text].concat(),
    }
}

/// The group that is written for a user whose own is another one.
fn other_group<'a>(account: &'a Account, facts: &mut dyn Facts) -> Option<&'a Word> {
    let group = account.group.as_ref()?;
    let text = |word: &'a Word| std::str::from_utf8(&word.value).ok();
    let own = facts.user(text(&account.user)?).ok()??.gid;
    let written = facts.group(text(group)?).ok()??;
    Some(group).filter(|_| own != written)
}

/// The number that a limit is; `None` when there is no limit, or what holds where nothing is said.
fn limit_number(limit: &LimitWord) -> Result<Option<u32>, ()> {
    match (limit.number(), limit.zero) {
        (Some(0), Zero::Never) => Ok(Some(0)),
        (Some(0), Zero::Wrong | Zero::Default | Zero::Unlimited) => Ok(None),
        (Some(number), _) => Ok(Some(number)),
        (None, _) => Err(()),
    }
}

/// One service of inetd.conf, without the colon that says that no default address is meant.
fn inetd_texts(entry: &Entry) -> impl Iterator<Item = Vec<u8>> {
    let text = inetd::print(entry);
    let plain = text.strip_prefix(b":").map(<[u8]>::to_vec);
    plain.into_iter().chain(std::iter::once(text))
}

/// A word that would be read as something else, and what is wrong with it.
type Mismatch = (Word, String);
