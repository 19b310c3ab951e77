//! Any bytes as an `xinetd.conf`.
//!
//! No panic; what is cited is there; what is printed reads back as the same entry; what is written in the other language is
//! as many services as are said to be there.

use usherd_model::config::convert::{Leniency, Target, convert};
use usherd_model::config::inetd::DialectName;
use usherd_model::config::syntax::{Entry, Tree};
use usherd_model::config::xinetd::{Switch, print};
use usherd_model::source::Sources;

use crate::configuration::{Read, read, read_xinetd};
use crate::inetd_conf::{check_diagnostic, check_words};
use crate::machine::Machine;

/// Checks one text.
pub fn check(text: &[u8]) {
    for (is_root, has_ipv6) in [(true, true), (false, false)] {
        let mut read = read_xinetd("xinetd.conf", text);
        check_words(&read);
        let config = read.check(&mut Machine { is_root, has_ipv6 });
        for diagnostic in read.diagnostics.iter() {
            check_diagnostic(diagnostic, &read.sources);
        }
        for service in &config.services {
            assert!(!service.listeners.is_empty(), "a service without a socket: {service:?}");
        }
    }
    let read = read_xinetd("xinetd.conf", text);
    for entry in read.tree.entries.iter().chain(&read.tree.off) {
        check_printing(entry);
    }
    check_converting(&read);
}

fn check_printing(entry: &Entry) {
    let on = print(entry, Switch::On);
    let again = read_xinetd("printed", &on);
    let shown = String::from_utf8_lossy(&on);
    let [other] = again.tree.entries.as_slice() else {
        panic!("printed as {shown:?}, which is {} entries", again.tree.entries.len());
    };
    assert_eq!(said(other.clone(), entry), said(entry.clone(), entry), "printed as {shown:?}");
    assert_eq!(print(other, Switch::On), on, "printed again as something else");
    let off = read_xinetd("printed", &print(entry, Switch::Off)).tree;
    assert!(off.entries.is_empty() && off.off.len() == 1 && off.broken.is_empty(), "{shown:?} is not off");
}

/// An entry with the words that are written another way: names of attributes and flags have no case, and of the wait word
/// only the meaning is printed.
fn said(entry: Entry, like: &Entry) -> Entry {
    let mut entry = entry.placed_at(like.span);
    let wait = entry.wait.value.to_ascii_lowercase();
    entry.wait.value = wait.as_slice().into();
    if let Some(attributes) = &mut entry.attributes {
        // Whose name is that of others depends on the others.
        attributes.shared_id = None;
        for words in attributes.lists_mut() {
            let name = words.name.value.to_ascii_lowercase();
            words.name.value = name.as_slice().into();
        }
        let flags = &mut attributes.flags;
        for flag in [&mut flags.sensor, &mut flags.id_only, &mut flags.labeled].into_iter().flatten() {
            flag.value = b"".as_slice().into();
        }
    }
    entry
}

/// Both ways, whatever the language of the text is.
fn check_converting(read: &Read) {
    let facts = &mut Machine { is_root: true, has_ipv6: true };
    for target in [Target::Inetd(DialectName::Union), Target::Xinetd] {
        for leniency in [Leniency::Strict, Leniency::Lossy] {
            let pieces = convert(&read.tree, &read.sources, target, leniency, facts);
            assert_eq!(pieces.len(), read.tree.entries.len() + read.tree.off.len());
            for piece in &pieces {
                let again = read_as(target, &piece.text);
                let shown = String::from_utf8_lossy(&piece.text);
                let is_on = piece.switch == Switch::On;
                assert_eq!(!again.entries.is_empty(), is_on, "written as {shown:?}");
                assert!(again.broken.is_empty(), "written as {shown:?}");
                assert!(piece.lines(&read.sources).all(|line| !line.contains(char::is_control)));
            }
        }
    }
}

fn read_as(target: Target, text: &[u8]) -> Tree {
    match target {
        Target::Xinetd => read_xinetd("written", text).tree,
        Target::Inetd(dialect) => read(dialect, "written", text).tree,
    }
}

/// Checks one text of an `inetd.conf` as far as it is written as an `xinetd.conf`.
pub fn check_inetd(sources: &Sources, tree: &Tree) {
    let facts = &mut Machine { is_root: true, has_ipv6: true };
    for piece in convert(tree, sources, Target::Xinetd, Leniency::Lossy, facts) {
        let again = read_as(Target::Xinetd, &piece.text);
        let shown = String::from_utf8_lossy(&piece.text);
        assert_eq!(!again.entries.is_empty(), piece.switch == Switch::On, "written as {shown:?}");
        assert!(again.broken.is_empty(), "written as {shown:?}");
    }
}
