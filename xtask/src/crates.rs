//! The crates that the product is built of, as a list that is reviewed: adding one is a visible change.
//!
//! Normal dependencies of `usherd`, for the system that runs this, and without those of tests. A crate is listed with
//! the part of its version that has to agree, so that two versions of one are two lines and an update is none.

use std::collections::BTreeSet;

use crate::{Outcome, listed, program, project};

const FILE: &str = "xtask/crates.txt";

const HEAD: &str = "\
# What usherd is built of: cargo xtask crates compares this with Cargo.lock.
# Each has its reason in ARCHITECTURE.md; \"for the build\" runs when we compile and is not in the program.
";

pub fn run(words: &[String]) -> Outcome {
    let write = match words {
        [] => false,
        [option] if option == "--write" => true,
        _ => return Err("usage: crates [--write]".to_owned()),
    };
    let in_program = tree("normal,no-proc-macro")?;
    let for_build = tree("normal,build")?;
    let mut now = in_program.clone();
    now.extend(for_build.difference(&in_program).map(|line| format!("{line} for the build")));
    println!("{} crates, {} of them in the program", now.len(), in_program.len());
    listed::compare(FILE, HEAD, &now, write)
}

fn tree(edges: &str) -> Result<BTreeSet<String>, String> {
    let arguments = ["tree", "--locked", "--package", "usherd", "--prefix", "none", "--edges", edges];
    let text = program::output(program::cargo(&project::path("")).args(arguments))?;
    Ok(text.lines().filter_map(package).collect())
}

/// `syn v2.0.106 (*)` → `syn 2`.
fn package(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some(format!("{name} {}", compatible(version)))
}

/// The part of a version that has to agree.
fn compatible(version: &str) -> &str {
    let mut ends = version.match_indices('.').map(|(at, _)| at);
    let end = match version.as_bytes() {
        [b'0', b'.', b'0', ..] => None,
        [b'0', ..] => ends.nth(1),
        _ => ends.next(),
    };
    end.map_or(version, |end| &version[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_its_name_and_what_has_to_agree() {
        assert_eq!(package("syn v2.0.106 (proc-macro) (*)").as_deref(), Some("syn 2"));
        assert_eq!(package("strsim v0.11.1").as_deref(), Some("strsim 0.11"));
        assert_eq!(package("tiny v0.0.3").as_deref(), Some("tiny 0.0.3"));
        assert_eq!(package(""), None);
    }
}
