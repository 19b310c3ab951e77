//! What /proc says about the daemon and its children.

use std::collections::BTreeMap;
use std::fs;

/// A process, as far as its parent is concerned.
pub struct Child {
    pub pid: u32,
    /// The letter of proc(5).
    pub state: char,
}

/// The helper that looks names up, which stays for the next question.
const RESOLVER: &str = "usherd-resolve";

/// The children of a process that have to end.
pub fn children(parent: u32) -> Vec<Child> {
    let stays = |process: &Process| process.name == RESOLVER && process.state != 'Z';
    let of_parent = all().into_iter().filter(|process| process.parent == parent && !stays(process));
    of_parent.map(|Process { pid, state, .. }| Child { pid, state }).collect()
}

/// Whether a process of that name runs.
pub fn any(name: &str) -> bool {
    all().iter().any(|process| process.name == name && process.state != 'Z')
}

struct Process {
    pid: u32,
    name: String,
    state: char,
    parent: u32,
}

fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold blanks.
        let (head, tail) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let mut words = tail.split_whitespace();
        let state = words.next()?.chars().next()?;
        Some(Process { pid, name, state, parent: words.next()?.parse().ok()? })
    })
    .collect()
}

/// How many descriptors of each kind a process has.
pub fn descriptors(pid: u32) -> BTreeMap<String, u32> {
    let mut kinds = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        // socket:[123] and pipe:[123] have a number each.
        let kind = target.split(":[").next().unwrap_or(&target);
        *kinds.entry(if kind == "anon_inode" { target.clone() } else { kind.to_owned() }).or_default() += 1;
    }
    kinds
}

/// What there is more of in the first description than in the second.
pub fn more(now: &str, before: &str) -> Vec<String> {
    let before: BTreeMap<&str, u32> = read(before).collect();
    let more = read(now).filter(|(kind, count)| before.get(kind).is_none_or(|before| before < count));
    more.map(|(kind, count)| format!("{kind}*{count}")).collect()
}

fn read(description: &str) -> impl Iterator<Item = (&str, u32)> {
    description.split(',').filter_map(|part| {
        let (kind, count) = part.rsplit_once('*')?;
        Some((kind, count.parse().ok()?))
    })
}

/// In one word.
pub fn describe(kinds: &BTreeMap<String, u32>) -> String {
    kinds.iter().map(|(kind, count)| format!("{kind}*{count}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_of_one_kind() {
        assert_eq!(more("pipe*2,socket*8", "pipe*1,socket*9,x*1"), ["pipe*2"]);
        assert_eq!(more("y*1", ""), ["y*1"]);
        assert!(more("", "x*1").is_empty());
    }
}
