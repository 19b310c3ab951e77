//! A checked-in list that has to agree with the project: a difference is shown line by line, and fails.

use std::collections::BTreeSet;
use std::fs;

use crate::{Outcome, project};

/// Compares lines with those of a file, or writes the file.
///
/// `head` is written above the lines: comments, and whatever else people wrote that cannot be made again.
pub fn compare(file: &str, head: &str, now: &BTreeSet<String>, write: bool) -> Outcome {
    let path = project::path(file);
    if write {
        let lines: String = now.iter().map(|line| format!("{line}\n")).collect();
        return fs::write(&path, format!("{head}\n{lines}")).map_err(|error| format!("{file}: {error}"));
    }
    let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
    let listed: BTreeSet<String> = lines(&text).map(str::to_owned).collect();
    for line in now.difference(&listed) {
        println!("+ {line}");
    }
    for line in listed.difference(now) {
        println!("- {line}");
    }
    if *now == listed {
        return Ok(());
    }
    Err(format!("{file} does not say so; if this is meant, run it with --write and let the diff be reviewed"))
}

/// The lines that are not comments.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
