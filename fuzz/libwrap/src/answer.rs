//! What one of the two has answered, made comparable.

use std::collections::BTreeMap;

/// Facts by their kind. Those of one kind keep their order; kinds are not compared in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(pub BTreeMap<String, Vec<String>>);

impl Answer {
    /// From lines of `kind value`.
    pub fn new(lines: &[u8]) -> Self {
        let mut answer = Answer(BTreeMap::new());
        // What is no text is shown as if it were, by usherd.
        for line in String::from_utf8_lossy(lines).split_terminator('\n') {
            let (kind, value) = line.split_once(' ').unwrap_or((line, ""));
            match kind {
                // Written in pieces by one, at once by the other.
                "banner" => answer.append("banner", value),
                // Said while a banner is sent, which is after everything else in usherd.
                "log" if value.contains(": unrecognized %") => answer.push("unrecognized", value),
                kind => answer.push(kind, value),
            }
        }
        for unordered in ["unrecognized", "identity"] {
            answer.0.entry(unordered.to_owned()).and_modify(|lines| lines.sort());
        }
        answer
    }

    /// The facts of a kind.
    pub fn of(&self, kind: &str) -> &[String] {
        self.0.get(kind).map_or(&[], Vec::as_slice)
    }

    /// Makes these all facts of a kind.
    pub fn set(&mut self, kind: &str, lines: Vec<String>) {
        if lines.is_empty() {
            self.0.remove(kind);
        } else {
            self.0.insert(kind.to_owned(), lines);
        }
    }

    fn push(&mut self, kind: &str, value: &str) {
        self.0.entry(kind.to_owned()).or_default().push(value.escape_debug().to_string());
    }

    fn append(&mut self, kind: &str, value: &str) {
        let lines = self.0.entry(kind.to_owned()).or_default();
        match lines.last_mut() {
            Some(line) => line.push_str(value),
            None => lines.push(value.to_owned()),
        }
    }
}

/// Two answers beside each other; `!` is before what differs.
pub fn side_by_side(theirs: &Answer, mine: &Answer) -> String {
    let mut out = format!("  {:<60} {}\n", "libwrap", "usherd");
    let kinds = theirs.0.keys().chain(mine.0.keys().filter(|kind| !theirs.0.contains_key(*kind)));
    for kind in kinds {
        let (left, right) = (theirs.of(kind), mine.of(kind));
        for at in 0..left.len().max(right.len()) {
            let (one, other) = (left.get(at), right.get(at));
            let mark = if one == other { ' ' } else { '!' };
            let text = |line: Option<&String>| line.map_or("-".to_owned(), |line| format!("{kind} {line}"));
            out.push_str(&format!("{mark} {:<60} {}\n", text(one), text(other)));
        }
    }
    out
}
