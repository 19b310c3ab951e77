//! `xinetd.conf`.
//!
//! ```text
//! bytes ─► blocks (lines of words) ─► settings (with the defaults) ─► entries, as of inetd.conf
//! ```
//!
//! `blocks` knows where a service begins and ends, `attribute` which attributes there are, `settings` how lines and
//! defaults come together, `entry` what they mean. What the words of an attribute must be is checked where those of an
//! inetd.conf are.
//!
//! Defaults hold for all services of a load, wherever they stand. So nothing is made of a block before all files were
//! read: [`Reading`] collects, [`Reading::finish`] makes.

mod attribute;
mod blocks;
mod entry;
mod list;
mod print;
mod settings;

pub(super) use print::attribute as attribute_of;
pub use print::{Switch, print};

use std::collections::{HashMap, HashSet};

use self::attribute::{Attribute, is_like};
use self::blocks::{Block, Blocks, Kind, Piece};
use self::settings::Settings;
use super::includes::{Includes, included};
use super::syntax::{Entry, Families, Transport, Tree, Word};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, printable};
use crate::source::{FileId, Sources, Spanned, Text};

/// What was read of a configuration so far.
#[derive(Default)]
pub struct Reading {
    services: Vec<Block>,
    /// What holds for all of them: the first of each file.
    defaults: Vec<Block>,
    /// Services that cannot be read.
    broken: Vec<Word>,
    /// Whether defaults are wrong: then no service is what was meant.
    defaults_are_wrong: bool,
    /// Services of an inetd.conf.
    of_inetd: Tree,
}

/// Whether a text is one of these, and no inetd.conf: by its first words.
pub fn is_written_in(text: &[u8]) -> bool {
    let lines = text.split(|byte| *byte == b'\n');
    let mut words = lines.map(|line| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        (words.next(), words.next(), words.next())
    });
    let first = words.find(|(first, ..)| first.is_some_and(|word| !word.starts_with(b"#")));
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    // A line of an inetd.conf has neither as its second or third column.
    let is_behind = |word: &[u8]| word == b"{" || word.starts_with(b"#");
    match first {
        Some((Some(word), None, _)) => is(word, "service") || is_like(&word.to_ascii_lowercase(), "defaults"),
        Some((Some(word), Some(behind), _)) if is_like(&word.to_ascii_lowercase(), "defaults") => {
            is_behind(behind)
        }
        Some((Some(word), Some(_), None)) => {
            is(word, "service") || is(word, "include") || is(word, "includedir")
        }
        Some((Some(word), Some(_), Some(behind))) => is(word, "service") && is_behind(behind),
        Some((None, ..)) | None => false,
    }
}

impl Reading {
    /// Reads one file, with what it includes.
    pub fn read(
        &mut self,
        sources: &mut Sources,
        file: FileId,
        includes: &mut dyn Includes,
        diagnostics: &mut Diagnostics,
    ) {
        Reader { reading: self, sources, includes, diagnostics, chain: Vec::new() }.read(file);
    }

    /// Adds services of an inetd.conf, for which the defaults hold too (`-inetd_compat`).
    pub fn add_inetd(&mut self, mut tree: Tree) {
        self.of_inetd.entries.append(&mut tree.entries);
        self.of_inetd.broken.append(&mut tree.broken);
    }

    /// Makes entries of all that was read.
    pub fn finish(&mut self, tree: &mut Tree, diagnostics: &mut Diagnostics) {
        tree.broken.append(&mut self.of_inetd.broken);
        let mut defaults = Settings::default();
        let mut defaults_are_wrong = self.defaults_are_wrong;
        for block in &self.defaults {
            defaults_are_wrong |= !defaults.add_defaults(block, diagnostics);
        }
        let choice = Choice::new(&defaults);
        tree.broken.extend(self.broken.drain(..).filter(|id| choice.is_on(id)));
        let mut entries: Vec<Entry> = Vec::with_capacity(self.services.len());
        // Of what is switched off nothing else is looked at.
        for block in self.services.iter().filter(|block| !block.is_off()) {
            let settings = Settings::of_service(block, &defaults, diagnostics);
            let entry = settings.as_ref().and_then(|settings| entry::entry(block, settings, diagnostics));
            let id =
                settings.as_ref().and_then(|settings| settings.word(Attribute::Id)).unwrap_or(&block.head);
            match entry {
                _ if !choice.is_on(id) => {}
                Some(entry) if !defaults_are_wrong => entries.push(entry),
                Some(_) | None => tree.broken.push(id.clone()),
            }
        }
        let of_inetd = std::mem::take(&mut self.of_inetd.entries);
        // Mostly there are none.
        let others = if of_inetd.is_empty() { &[] } else { entries.as_slice() };
        let of = |entry: &Entry| (entry.name.value.clone(), entry.socket_type.value.clone());
        let known: HashSet<(Text, Text)> = others.iter().map(of).collect();
        for mut entry in of_inetd {
            entry::of_inetd(&mut entry, &defaults, diagnostics);
            if !choice.is_on(entry.id()) || known.contains(&of(&entry)) {
                continue;
            }
            if defaults_are_wrong {
                tree.broken.push(entry.id().clone());
            } else {
                entries.push(entry);
            }
        }
        tell_apart(&mut entries, diagnostics);
        // They are large: where nothing is in front of them they stay where they are.
        match tree.entries.is_empty() {
            true => tree.entries = entries,
            false => tree.entries.append(&mut entries),
        }
    }

    /// Services that are switched off. Those that cannot be read are said; what else is wrong with them is nobody's
    /// concern.
    pub fn off(&self, diagnostics: &mut Diagnostics) -> Vec<Entry> {
        let mut defaults = Settings::default();
        for block in &self.defaults {
            defaults.add_defaults(block, &mut Diagnostics::default());
        }
        let choice = Choice::new(&defaults);
        let mut entries = Vec::new();
        for block in &self.services {
            let mut unheard = Diagnostics::default();
            let settings = Settings::of_service(block, &defaults, &mut unheard);
            let id = settings.as_ref().and_then(|settings| settings.word(Attribute::Id));
            if !block.is_off() && choice.is_on(id.unwrap_or(&block.head)) {
                continue;
            }
            let settings = settings.filter(|_| block.is_whole);
            match settings.and_then(|settings| entry::entry(block, &settings, &mut unheard)) {
                Some(entry) => entries.push(entry),
                None => diagnostics.push(
                    Diagnostic::warning(
                        "off-and-broken",
                        Place::Text(block.head.span),
                        "the service is switched off, and cannot be read",
                    )
                    .hint("it is left out here; usherd check says what is wrong once it is switched on"),
                ),
            }
        }
        entries
    }
}

/// Which services the defaults switch on and off, by their ids in letters of either case.
struct Choice {
    disabled: HashSet<Vec<u8>>,
    enabled: Option<HashSet<Vec<u8>>>,
}

impl Choice {
    fn new(defaults: &Settings<'_>) -> Self {
        let list = |attribute| {
            let setting = defaults.get(attribute)?;
            Some(setting.values.iter().map(|word| word.value.to_ascii_lowercase()).collect())
        };
        Self { disabled: list(Attribute::Disabled).unwrap_or_default(), enabled: list(Attribute::Enabled) }
    }

    fn is_on(&self, id: &Word) -> bool {
        if self.disabled.is_empty() && self.enabled.is_none() {
            return true;
        }
        let id = id.value.to_ascii_lowercase();
        self.enabled.as_ref().is_none_or(|ids| ids.contains(&id)) && !self.disabled.contains(&id)
    }
}

/// Gives each service an id of its own. Those of one name that say none are told apart by their socket types, as xinetd
/// does, then by their ports, their addresses and their families; of two that say the same one the first is followed.
fn tell_apart(entries: &mut Vec<Entry>, diagnostics: &mut Diagnostics) {
    let mut ids = HashSet::with_capacity(entries.len());
    if entries.iter().all(|entry| ids.insert(&entry.id().value)) {
        return;
    }
    let kind = |entry: &Entry| entry.socket_type.value.clone();
    let port = |entry: &Entry| {
        entry.attributes.as_ref().and_then(|attributes| Some(attributes.port.as_ref()?.value.clone()))
    };
    let family = |entry: &Entry| match entry.transport {
        Some(Transport::Inet { families: Families::V4(_), .. }) => Some(Text::from(b"IPv4".as_slice())),
        Some(Transport::Inet { .. }) => Some(Text::from(b"IPv6".as_slice())),
        _ => None,
    };
    add_to_ids(entries, |entry| Some(kind(entry)));
    add_to_ids(entries, port);
    add_to_ids(entries, |entry| Some(entry.hosts.first()?.value.clone()));
    add_to_ids(entries, family);
    let mut known: HashSet<Text> = HashSet::new();
    entries.retain(|entry| {
        let id = entry.id();
        if known.insert(id.value.clone()) {
            return true;
        }
        let message = format!("another service has the id {:?}", printable(&id.value));
        let hint = "give each an id of its own: id = NAME; the first one is followed";
        diagnostics.push(Diagnostic::error("duplicate-id", Place::Text(id.span), message).hint(hint));
        false
    });
}

/// Adds something to the ids that several services have and none of them has said.
fn add_to_ids(entries: &mut [Entry], addition: impl Fn(&Entry) -> Option<Text>) {
    let mut counts: HashMap<Text, usize> = HashMap::new();
    for entry in entries.iter() {
        *counts.entry(entry.id().value.clone()).or_default() += 1;
    }
    for entry in entries {
        let id = entry.id().clone();
        // What was added before stands where the name stands.
        let is_said = entry.attributes.as_ref().and_then(|attributes| attributes.id.as_ref());
        let is_said = is_said.is_some_and(|id| id.span != entry.name.span);
        if let (Some(2..), false, Some(addition)) = (counts.get(&id.value), is_said, addition(entry))
            && let Some(attributes) = &mut entry.attributes
        {
            let longer = [&*id.value, b"-", &*addition].concat();
            attributes.id = Some(Spanned::new(Text::from(&*longer), entry.name.span));
            attributes.shared_id.get_or_insert(Box::new(id));
        }
    }
}

struct Reader<'a> {
    reading: &'a mut Reading,
    sources: &'a mut Sources,
    includes: &'a mut dyn Includes,
    diagnostics: &'a mut Diagnostics,
    /// The files that are being read, each included by the one before it.
    chain: Vec<FileId>,
}

impl Reader<'_> {
    fn read(&mut self, file: FileId) {
        self.chain.push(file);
        let mut has_defaults = false;
        let mut blocks = Blocks::new(self.sources, file);
        while let Some(piece) = blocks.piece(self.diagnostics) {
            match piece {
                Piece::Block(block) if block.kind == Kind::Service => self.reading.services.push(block),
                Piece::Block(block) if has_defaults => self.diagnostics.push(
                    Diagnostic::error(
                        "defaults-twice",
                        Place::Text(block.head.span),
                        "the file has defaults already",
                    )
                    .hint("the first ones are followed, as in xinetd"),
                ),
                Piece::Block(block) => {
                    has_defaults = true;
                    self.reading.defaults.push(block);
                }
                Piece::Broken(Kind::Defaults, _) => self.reading.defaults_are_wrong = true,
                Piece::Broken(Kind::Service, name) => self.reading.broken.push(name),
                Piece::Include(naming, word) => {
                    let files =
                        included(self.includes, &word, naming, &self.chain, self.sources, self.diagnostics);
                    for file in files {
                        self.read(file);
                    }
                }
            }
        }
        self.chain.pop();
    }
}
