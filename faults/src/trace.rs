//! What strace wrote.

use std::collections::BTreeMap;

/// For each call, which of its occurrences are worth a fault.
pub type Occurrences = BTreeMap<String, Vec<u32>>;

/// Counts the calls of a daemon's trace. What comes before the daemon's first own call (the dynamic linker, the
/// standard library) is counted and not offered, and so is what cannot fail.
pub fn occurrences(trace: &str) -> Occurrences {
    let mut found: BTreeMap<String, (u32, Vec<u32>)> = BTreeMap::new();
    let mut is_own = false;
    for line in trace.lines() {
        let Some((name, arguments)) = line.split_once('(') else { continue };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        is_own |= is_first(name, arguments);
        let (count, own) = found.entry(name.to_owned()).or_default();
        *count += 1;
        if is_own && !only_asks(name, arguments) {
            own.push(*count);
        }
    }
    let named = found.into_iter().map(|(name, (_, own))| (name, own));
    named.filter(|(_, own)| !own.is_empty()).collect()
}

/// Asking for a limit cannot fail.
fn only_asks(name: &str, arguments: &str) -> bool {
    name == "prlimit64" && arguments.contains(", NULL, {")
}

/// The daemon begins by making sure that 0, 1 and 2 are open.
fn is_first(name: &str, arguments: &str) -> bool {
    matches!(name, "open" | "openat") && arguments.contains("\"/dev/null\"")
}

/// Whether the fault came to pass.
pub fn was_injected(trace: &str) -> bool {
    trace.contains("(INJECTED)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_calls_are_counted_behind_the_linkers() {
        let trace = "openat(AT_FDCWD, \"/lib/libc.so.6\", O_RDONLY) = 3\nread(3, \"\", 9) = 0\n\
                     openat(AT_FDCWD, \"/dev/null\", O_RDWR) = 3\nsocket(AF_INET) = 4\nsocket(AF_INET) = 5\n\
                     --- SIGHUP {si_signo=SIGHUP} ---\n+++ exited with 0 +++\n";
        let found = occurrences(trace);
        assert_eq!(found.get("openat"), Some(&vec![2]));
        assert_eq!(found.get("socket"), Some(&vec![1, 2]));
        assert_eq!(found.len(), 2);
    }
}
