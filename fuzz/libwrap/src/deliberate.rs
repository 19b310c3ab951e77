//! What usherd does otherwise on purpose. Each class has a row in `docs/compat.md`.
//!
//! A class explains a difference by taking away what makes it, in the question or in the answers; what is left is compared
//! like everything else. So a class cannot hide what it is not about.

use crate::answer::Answer;
use crate::compare::{Answers, Trial};
use crate::oracle;
use crate::question::{Contents, Question};

/// One deliberate difference.
pub struct Class {
    pub name: &'static str,
    /// How its row in `docs/compat.md` begins.
    pub row: &'static str,
    /// Changes the trial so that this makes no difference. False, and no change, where there is nothing of the kind.
    pub take_away: fn(&mut Trial, &Answers) -> bool,
}

impl Class {
    /// Whether the document has its row.
    pub fn is_documented(&self) -> bool {
        COMPAT.lines().any(|line| line.strip_prefix("| ").is_some_and(|line| line.starts_with(self.row)))
    }
}

const COMPAT: &str = include_str!("../../../docs/compat.md");

/// What decides which rules match comes first: the others show only where these do.
pub const CLASSES: [Class; 11] = [
    Class { name: "an interface that is not there", row: "`[address%interface]`", take_away: interface },
    Class { name: "a table that is a folder", row: "hosts.deny that is a folder (D7)", take_away: folder },
    Class {
        name: "a last line without its end",
        row: "a last line without its end (D7)",
        take_away: last_line,
    },
    Class { name: "a long line", row: "a line of more than 2046 bytes (D7)", take_away: long_line },
    Class {
        name: "a long line, by a long value",
        row: "a line of more than 2046 bytes (D7)",
        take_away: long_value,
    },
    Class { name: "aclexec refuses", row: "`aclexec` that fails", take_away: aclexec },
    Class { name: "a file that names itself", row: "a `/file` that names itself", take_away: names_itself },
    Class { name: "user and group are changed", row: "options `user` and `group` (D1)", take_away: identity },
    Class {
        name: "a banner's line that is too long",
        row: "a banner's line that `%` makes longer than 16382 bytes",
        take_away: long_banner,
    },
    Class {
        name: "a banner is expanded when it is sent",
        row: "what a banner looks up",
        take_away: late_banner,
    },
    Class {
        name: "an expansion that is too long",
        row: "a value that `%` makes longer than 8190 bytes",
        take_away: too_long,
    },
];

/// Debian's libwrap does it in rehearsals only.
fn identity(trial: &mut Trial, answers: &Answers) -> bool {
    if answers.mine.of("identity").is_empty() {
        return false;
    }
    trial.edits.push(|answers, trial| {
        let rehearsed = Answer::new(&oracle::rehearse(&trial.theirs));
        // A user is found to be unknown when the group is taken already. Nobody is let in then.
        let is_unknown = rehearsed.of("log").iter().any(|line| line.contains(": unknown user: "));
        let same = if is_unknown { &answers.mine } else { &rehearsed };
        answers.theirs.set("identity", same.of("identity").to_vec());
    });
    true
}

/// Who is refused by a command is refused, and no other rule is looked at.
fn aclexec(trial: &mut Trial, _: &Answers) -> bool {
    if !trial.theirs.aclexec_fails {
        return false;
    }
    trial.theirs.aclexec_fails = false;
    trial.edits.push(|answers, _| {
        let is_decided = answers.theirs.of("verdict") != ["abort"];
        if is_decided && answers.theirs.of("effect").iter().any(|effect| effect == "aclexec") {
            answers.theirs.set("verdict", vec!["deny".to_owned()]);
        }
    });
    true
}

fn folder(trial: &mut Trial, _: &Answers) -> bool {
    let mut is_any = false;
    for (path, contents) in &mut trial.theirs.files {
        if is_table(path) && *contents == Contents::Folder {
            *contents = Contents::RefusedFolder;
            is_any = true;
        }
    }
    is_any
}

fn last_line(trial: &mut Trial, _: &Answers) -> bool {
    change_texts(&mut trial.theirs, is_table, with_end)
}

/// With an end behind the last line, which no NUL byte hides and no backslash joins to nothing.
fn with_end(text: &[u8]) -> Vec<u8> {
    if text.is_empty() {
        return Vec::new();
    }
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let start = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let line = text[start..].split(|byte| *byte == 0).next().unwrap_or_default();
    let is_hidden = line.len() < text.len() - start;
    let line = if is_hidden { line } else { line.strip_suffix(b"\\").unwrap_or(line) };
    // A backslash that is left is a letter like any other, as long as no end of a line follows it.
    let end: &[u8] = if line.ends_with(b"\\") { b" \n" } else { b"\n" };
    [&text[..start], line, end].concat()
}

/// What makes lines long in these stories is blanks.
fn long_line(trial: &mut Trial, _: &Answers) -> bool {
    change_texts(&mut trial.theirs, is_table, without_blanks)
}

/// Blanks that got into an option's value are a part of it, so both have to do without them.
fn long_value(trial: &mut Trial, _: &Answers) -> bool {
    change_texts(&mut trial.theirs, is_table, without_blanks)
        | change_texts(&mut trial.mine, is_table, without_blanks)
}

/// With one blank for very many.
fn without_blanks(text: &[u8]) -> Vec<u8> {
    const MANY: usize = 100;
    let mut short = Vec::new();
    for run in text.chunk_by(|one, other| *one == b' ' && *other == b' ') {
        short.extend(if run.len() > MANY { b" " } else { run });
    }
    short
}

/// Libwrap reads until it may open no more files, and says so.
fn names_itself(trial: &mut Trial, answers: &Answers) -> bool {
    if !answers.mine.of("log").iter().any(|line| line.contains("names itself")) {
        return false;
    }
    trial.theirs.has_no_rings = true;
    trial.edits.push(|answers, _| {
        let lines = answers.theirs.of("log").iter().map(|line| {
            match line.strip_suffix(": Too many levels of symbolic links") {
                Some(line) => line.replacen(": open ", ": ", 1) + ": names itself",
                None => line.clone(),
            }
        });
        let lines = lines.collect();
        answers.theirs.set("log", lines);
    });
    true
}

/// Libwrap ends its process without a verdict.
fn too_long(trial: &mut Trial, answers: &Answers) -> bool {
    const WORDS: &str = "percent_x: expansion too long";
    if answers.theirs.of("verdict") != ["abort"] {
        return false;
    }
    trial.edits.push(|answers, _| {
        let lines = answers.theirs.of("log").iter().map(|line| match line.split_once(WORDS) {
            Some((before, _)) => format!("{}{WORDS}", before.replacen("warning", "error", 1)),
            None => line.clone(),
        });
        let lines = lines.collect();
        answers.theirs.set("log", lines);
        answers.theirs.set("verdict", vec!["deny".to_owned()]);
    });
    true
}

/// The same in a banner, which is not sent any further here.
fn long_banner(trial: &mut Trial, answers: &Answers) -> bool {
    if answers.theirs.of("verdict") != ["abort"] {
        return false;
    }
    change_texts(&mut trial.mine, is_banner, |_| Vec::new());
    change_texts(&mut trial.theirs, is_banner, |_| Vec::new())
}

/// All look-ups of the rules come first, and show in the banner; its own show nowhere else.
fn late_banner(trial: &mut Trial, _: &Answers) -> bool {
    let mut is_any = false;
    for question in [&mut trial.theirs, &mut trial.mine] {
        is_any = change_texts(question, is_banner, without_names);
    }
    is_any
}

/// With `%d` in the place of what can be looked up.
fn without_names(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        out.push(*byte);
        rest = after;
        if let (b'%', [letter, after @ ..]) = (*byte, after) {
            out.push(if b"chHnNsu".contains(letter) { b'd' } else { *letter });
            rest = after;
        }
    }
    out
}

/// An interface that is not there makes an address none to the C library; here interfaces do not count.
fn interface(trial: &mut Trial, _: &Answers) -> bool {
    let mut is_any = false;
    for question in [&mut trial.theirs, &mut trial.mine] {
        is_any = change_texts(question, |_| true, without_interfaces);
    }
    is_any
}

fn without_interfaces(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        // Also over the end of a line that is joined to the next.
        let is_inside = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._-\\\n".contains(byte);
        let length = after.iter().take_while(is_inside).count();
        if *byte == b'%' && after.get(length) == Some(&b']') {
            rest = &after[length..];
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    out
}

fn is_table(path: &str) -> bool {
    matches!(path, "/allow" | "/deny")
}

/// As the stories have them.
fn is_banner(path: &str) -> bool {
    path.starts_with("/banners")
}

/// Whether any text has changed.
fn change_texts(question: &mut Question, whose: fn(&str) -> bool, change: fn(&[u8]) -> Vec<u8>) -> bool {
    let mut is_any = false;
    for (path, contents) in &mut question.files {
        if let Contents::Text(text) = contents
            && whose(path)
        {
            let changed = change(text);
            is_any |= changed != *text;
            *text = changed;
        }
    }
    is_any
}
