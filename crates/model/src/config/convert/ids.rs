//! Ids of services of xinetd.conf: no two may have the same.

use std::collections::{HashMap, HashSet};

use crate::config::syntax::Entry;
use crate::source::{Spanned, Text};

/// Gives those an id of their own that have none: by their types, as xinetd does, then by their addresses, then by
/// numbers.
pub(super) fn tell_apart<'a>(entries: impl Iterator<Item = &'a mut Entry>) {
    let mut entries: Vec<&mut Entry> = entries.collect();
    add(&mut entries, |entry| Some(entry.socket_type.value.clone()));
    add(&mut entries, |entry| entry.hosts.first().map(|host| host.value.clone()));
    let mut known: HashSet<Text> = HashSet::new();
    for entry in entries {
        let id = entry.id().value.clone();
        let numbered = |number: u32| Text::from(&*[&*id, b"-", number.to_string().as_bytes()].concat());
        let mut own = id.clone();
        let mut number = 1;
        while !known.insert(own.clone()) {
            number += 1;
            own = numbered(number);
        }
        if own != id {
            set(entry, own);
        }
    }
}

/// Adds something to the ids that several have.
fn add(entries: &mut [&mut Entry], addition: impl Fn(&Entry) -> Option<Text>) {
    let mut counts: HashMap<Text, u32> = HashMap::new();
    for entry in entries.iter() {
        *counts.entry(entry.id().value.clone()).or_default() += 1;
    }
    for entry in entries {
        let id = entry.id().value.clone();
        if let (Some(2..), Some(addition)) = (counts.get(&id), addition(entry)) {
            set(entry, Text::from(&*[&*id, b"-", &*addition].concat()));
        }
    }
}

fn set(entry: &mut Entry, id: Text) {
    let span = entry.name.span;
    if let Some(attributes) = &mut entry.attributes {
        attributes.id = Some(Spanned::new(id, span));
    }
}
