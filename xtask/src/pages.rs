//! The pages in `man/` and the scripts in `completions/`: whether they are those of the command line, or `--write` makes them so.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::{Outcome, program, project};

/// Written by hand; everything else in the folder is made.
const BY_HAND: [&str; 8] = [
    "usherd-inetd.conf.5",
    "usherd-xinetd.conf.5",
    "usherd-tcpd.8",
    "safe_finger.8",
    "tcpd.8",
    "tcpdchk.8",
    "tcpdmatch.8",
    "try-from.8",
];

pub fn run(words: &[String]) -> Outcome {
    let write = words == ["--write"];
    let made = if write { project::path("") } else { project::path("xtask/target/pages") };
    if !write && made.exists() {
        fs::remove_dir_all(&made).map_err(|error| format!("{}: {error}", made.display()))?;
    }
    let mut cargo = program::cargo(&project::path("xtask/generate"));
    // What the product was built of need not be built again.
    cargo.env("CARGO_TARGET_DIR", project::path("target"));
    cargo.args(["run", "--quiet", "--locked", "--"]).arg(&made);
    program::run(&mut cargo)?;
    for folder in ["man", "completions"] {
        let (kept, now) = (files(&project::path(folder))?, files(&made.join(folder))?);
        let mut names = now.keys().chain(kept.keys()).filter(|name| !BY_HAND.contains(&name.as_str()));
        if let Some(name) = names.find(|name| kept.get(*name) != now.get(*name)) {
            return Err(format!(
                "{folder}/{name} is not what the command line says; cargo xtask pages --write"
            ));
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let words = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(words)? {
        let entry = entry.map_err(words)?;
        let text = fs::read(entry.path()).map_err(words)?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), text);
    }
    Ok(files)
}
