//! Whether what is written of an entry says the same when it is read.

use super::{Mismatch, Target, inetd_texts, limit_number};
use crate::config::includes::NoIncludes;
use crate::config::inetd;
use crate::config::syntax::{
    Account, Entry, FileWords, LimitWord, LimitWords, Numeral, Transport, Tree, WaitMeaning, Word, Zero,
};
use crate::config::xinetd::{self, Switch};
use crate::diagnostic::Diagnostics;
use crate::source::{Sources, Spanned};

/// The text of an entry, or what in it cannot be written.
pub(super) fn text(entry: &Entry, target: Target) -> Result<Vec<u8>, Mismatch> {
    let meant = said(entry);
    let mut mismatch = None;
    let texts: Vec<Vec<u8>> = match target {
        Target::Xinetd => vec![xinetd::print(entry, Switch::On)],
        Target::Inetd(_) => inetd_texts(entry).collect(),
    };
    for text in texts {
        match read(&text, target).map(|read| said(&read.placed_at(entry.span))) {
            Some(read) if read == meant => return Ok(text),
            Some(read) => mismatch = Some(difference(entry, &meant, &read)),
            None => {}
        }
    }
    let nothing = || (entry.name.clone(), "it cannot be written in one piece".to_owned());
    Err(mismatch.unwrap_or_else(nothing))
}

/// The only service of a text.
fn read(text: &[u8], target: Target) -> Option<Entry> {
    let (mut sources, mut tree, mut diagnostics) =
        (Sources::default(), Tree::default(), Diagnostics::default());
    let file = sources.add("converted", text.to_vec());
    match target {
        Target::Xinetd => {
            let mut reading = xinetd::Reading::default();
            reading.read(&mut sources, file, &mut NoIncludes, &mut diagnostics);
            reading.finish(&mut tree, &mut diagnostics);
        }
        Target::Inetd(dialect) => {
            let dialect = dialect.dialect();
            inetd::parse(&mut sources, file, dialect, &mut NoIncludes, &mut tree, &mut diagnostics);
        }
    }
    let is_all = tree.broken.is_empty() && tree.entries.len() == 1;
    tree.entries.pop().filter(|_| is_all)
}

/// What an entry says, however it is written.
fn said(entry: &Entry) -> Entry {
    let mut entry = entry.clone().placed_at(entry.span);
    let span = entry.span;
    let word = |text: &[u8]| Spanned::new(text.into(), span);
    entry.protocol = word(b"");
    entry.wait = word(b"");
    entry.owner = word(b"");
    if let WaitMeaning::TakenFor(handover) = entry.handover {
        entry.handover = WaitMeaning::Known(handover);
    }
    // A user's name has no colon.
    let is_possible = |account: &Account| !account.user.value.contains(&b':');
    entry.accounts = entry.accounts.into_iter().find(is_possible).into_iter().collect();
    let limit = |limit: Option<LimitWord>| match limit.as_ref().map(limit_number) {
        None | Some(Ok(None)) => None,
        Some(Ok(Some(number))) => Some(canonical(word(number.to_string().as_bytes()))),
        Some(Err(())) => limit.map(|limit| canonical(limit.word)),
    };
    let LimitWords { starts, children, source_starts, source_children, rate } = entry.limits;
    entry.limits = LimitWords {
        starts: limit(starts),
        children: limit(children),
        source_starts: limit(source_starts),
        source_children: limit(source_children),
        rate,
    };
    if entry.transport != Some(Transport::Unix) {
        entry.file = FileWords { user: None, group: None, mode: None, default_mode: 0 };
    }
    // Lists have the names of their attributes, in letters of either case.
    if let Some(attributes) = &mut entry.attributes {
        for words in attributes.lists_mut() {
            words.name = Spanned::new(words.name.value.to_ascii_lowercase().as_slice().into(), span);
        }
        attributes.id = attributes.id.take().filter(|id| id.value != entry.name.value);
        attributes.shared_id = None;
        let flags = &mut attributes.flags;
        let flags = [&mut flags.sensor, &mut flags.id_only, &mut flags.labeled];
        flags.into_iter().flatten().for_each(|flag| **flag = word(b""));
    }
    entry
}

fn canonical(word: Word) -> LimitWord {
    LimitWord { word, zero: Zero::Never, numeral: Numeral::Decimal, refuses: true }
}

/// The word that is read as something else.
fn difference(entry: &Entry, meant: &Entry, read: &Entry) -> Mismatch {
    let (word, what) = if meant.program != read.program {
        (&entry.program, "the program is read as another")
    } else if meant.arguments != read.arguments {
        let first = first_difference(&meant.arguments, &read.arguments);
        (entry.arguments.get(first).unwrap_or(&entry.program), "the arguments are read as others")
    } else if meant.hosts != read.hosts {
        let first = first_difference(&meant.hosts, &read.hosts);
        (entry.hosts.get(first).unwrap_or(&entry.name), "the address is read as another")
    } else if meant.accounts != read.accounts {
        (&entry.owner, "the user is read as another")
    } else if meant.limits != read.limits {
        (&entry.wait, "the limits are read as others")
    } else {
        (&entry.name, "the service is read as another")
    };
    (word.clone(), format!("{what}: it cannot be written here"))
}

fn first_difference(words: &[Word], others: &[Word]) -> usize {
    let same = words.iter().zip(others).take_while(|(word, other)| word == other).count();
    same.min(words.len().saturating_sub(1))
}
