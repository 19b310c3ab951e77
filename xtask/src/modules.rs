//! Who names whom: the paths that begin with `crate::` or `super::` in a crate's source.
//!
//! This reads text and not Rust: comments and what stands below `#[cfg(test)]` (the tests, at the end of a file) do
//! not count. It sees what the project's own style allows, which has no glob imports and no macros that make paths.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// For each module, the modules that it names, by path without the crate.
pub type Edges = BTreeMap<String, BTreeSet<String>>;

/// Reads a crate's `src`.
pub fn edges(source: &Path) -> Result<Edges, String> {
    let mut files = Vec::new();
    collect(source, &mut files).map_err(|error| format!("{}: {error}", source.display()))?;
    let names: BTreeMap<PathBuf, String> = files
        .into_iter()
        .map(|file| (file.clone(), name(file.strip_prefix(source).unwrap_or(&file))))
        .collect();
    let known: BTreeSet<String> = names.values().cloned().collect();
    let mut edges = Edges::new();
    for (file, module) in &names {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let named =
            named(&text, module).iter().filter_map(|path| owner(path, &known)).collect::<BTreeSet<_>>();
        let others = named.into_iter().filter(|other| other != module && !other.is_empty()).collect();
        // The root only lists the modules.
        if !module.is_empty() {
            edges.insert(module.clone(), others);
        }
    }
    Ok(edges)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// `config/inetd/mod.rs` → `config::inetd`; the root is the empty name.
fn name(file: &Path) -> String {
    let mut words: Vec<String> =
        file.with_extension("").iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if words.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
        words.pop();
    }
    words.join("::")
}

/// All paths that a module's text names, from the crate's root on.
fn named(text: &str, module: &str) -> BTreeSet<String> {
    let code = code(text);
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("::") {
        let before = &code[..at];
        let start = before.rfind(|c: char| !is_name(c)).map_or(0, |last| last + 1);
        let root = match &before[start..] {
            // `super::super::` is found at its first word; what follows is taken along there.
            "super" if !before[..start].ends_with("::") => parent(module),
            "crate" => String::new(),
            _ => continue,
        };
        expand(&root, &code[at + 2..], &mut found);
    }
    found
}

/// The text without comments and tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// Follows a path, or a tree of them in braces. Returns what is left of the text.
fn expand<'a>(prefix: &str, text: &'a str, found: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(rest) = rest.strip_prefix('}') {
                return rest;
            }
            let left = expand(prefix, rest, found);
            if left.len() == rest.len() {
                return left;
            }
            rest = left;
        }
    }
    let end = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if word.is_empty() {
        return text;
    }
    let path = match word {
        "super" => parent(prefix),
        "self" => prefix.to_owned(),
        _ => join(prefix, word),
    };
    match rest.strip_prefix("::") {
        Some(rest) => expand(&path, rest, found),
        None => {
            found.insert(path);
            rest
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn parent(path: &str) -> String {
    path.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.to_owned())
}

fn join(prefix: &str, word: &str) -> String {
    if prefix.is_empty() { word.to_owned() } else { format!("{prefix}::{word}") }
}

/// The module that a path leads into.
fn owner(path: &str, known: &BTreeSet<String>) -> Option<String> {
    let mut path = path.to_owned();
    while !known.contains(&path) {
        path = path.rsplit_once("::")?.0.to_owned();
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_trees_and_in_code() {
        let text = "//! crate::comment::X\nuse crate::config::{Facts, inetd::{self, lines}};\n\
                    use super::{Dialect, syntax::Word};\nfn f() { crate::source::offset(1) }\n\
                    #[cfg(test)]\nmod tests { use crate::tests_only; }";
        let found: Vec<String> = named(text, "config::check").into_iter().collect();
        assert_eq!(
            found,
            [
                "config::Dialect",
                "config::Facts",
                "config::inetd",
                "config::inetd::lines",
                "config::syntax::Word",
                "source::offset"
            ]
        );
    }

    #[test]
    fn a_path_belongs_to_the_longest_module() {
        let known = ["a", "a::b"].map(str::to_owned).into_iter().collect();
        assert_eq!(owner("a::b::C::new", &known).as_deref(), Some("a::b"));
        assert_eq!(owner("a::C", &known).as_deref(), Some("a"));
        assert_eq!(owner("std", &known), None);
    }
}
