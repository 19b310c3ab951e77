//! `usherd convert`: services of inetd.conf as xinetd.conf has them, and back.
//!
//! Nothing is dropped in silence: what the other language cannot say goes to standard error and stands as a comment above
//! its service. No file is ever written over.

use std::collections::HashSet;
use std::fs::{File, create_dir_all};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use usherd_model::config::convert::{Leniency, Piece, Target, convert};
use usherd_model::diagnostic::{Diagnostics, Severity};

use super::dialect;
use super::load::{self, Texts};
use crate::cli::LanguageChoice;
use crate::errno;
use crate::exit_code::Exit;
use crate::machine::Machine;
use crate::message::SourceSpec;
use crate::output::{answer_bytes, complain};
use crate::render::more;

const FACE: &str = "usherd convert";

/// The one file of an inetd.
const INETD_CONF: &str = "inetd.conf";

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let paths = matches.get_many::<String>("path").into_iter().flatten();
    let specs: Vec<SourceSpec> = paths.map(|path| SourceSpec::path(path.clone())).collect();
    let dialect = dialect(matches);
    let target = match matches.get_one::<LanguageChoice>("to") {
        Some(LanguageChoice::Xinetd) => Target::Xinetd,
        Some(LanguageChoice::Inetd) | None => Target::Inetd(dialect),
    };
    let leniency = if matches.get_flag("lossy") { Leniency::Lossy } else { Leniency::Strict };
    let Texts { sources, mut tree, mut diagnostics, xinetd, .. } = load::read(&specs, dialect);
    let mut unread = Diagnostics::default();
    tree.off.extend(xinetd.off(&mut unread));
    let is_all_read = unread.is_empty();
    diagnostics.append(unread);
    diagnostics.sort(&sources);
    let reports = diagnostics.reports(&sources);
    for report in &reports.shown {
        complain(&report.line());
    }
    more(&reports).for_each(|line| complain(&line));
    let pieces = convert(&tree, &sources, target, leniency, &mut Machine::default());
    pieces.iter().flat_map(|piece| piece.lines(&sources)).for_each(|line| complain(&line));
    let is_wrong = diagnostics.count(Severity::Error) > 0;
    let is_lossless = is_all_read && pieces.iter().all(|piece| piece.losses.is_empty());
    let exit = match (is_wrong, is_lossless) {
        (true, _) => Exit::Config,
        (false, false) => Exit::Failure,
        (false, true) => Exit::Success,
    };
    match matches.get_one::<String>("output") {
        None => answer_bytes(&joined(&pieces), exit),
        Some(folder) => match write(Path::new(folder), files(pieces, target)) {
            Ok(()) => exit,
            Err((path, error)) => {
                let why = errno::words(errno::from_io(&error));
                complain(&format!("{FACE}: {}: {why}", path.display()));
                Exit::Output
            }
        },
    }
}

fn joined(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().map(|piece| piece.text.as_slice()).collect::<Vec<_>>().join(&b'\n')
}

/// The names of files, with what is in them: one for each service of xinetd, one for all of an inetd.
fn files(pieces: Vec<Piece>, target: Target) -> Vec<(String, Vec<u8>)> {
    match target {
        Target::Inetd(_) => vec![(INETD_CONF.to_owned(), joined(&pieces))],
        Target::Xinetd => {
            let mut known = HashSet::new();
            pieces.into_iter().map(|piece| (file_name(&piece.id, &mut known), piece.text)).collect()
        }
    }
}

/// A name that xinetd's includedir does not pass by, which none of the others has.
fn file_name(id: &str, known: &mut HashSet<String>) -> String {
    /// The longest name of most file systems is 255 bytes.
    const MOST: usize = 200;
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || "-_+".contains(letter) { letter } else { '-' }
    };
    let name: String = id.chars().map(plain).take(MOST).collect();
    let name = if name.is_empty() { "service".to_owned() } else { name };
    let mut own = name.clone();
    let mut number = 1;
    while !known.insert(own.clone()) {
        number += 1;
        own = format!("{name}-{number}");
    }
    own
}

/// Writes files that are not there yet.
fn write(folder: &Path, files: Vec<(String, Vec<u8>)>) -> Result<(), (PathBuf, std::io::Error)> {
    create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.join(name)).collect();
    // All are looked for before the first is written.
    if let Some(path) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err((path.clone(), rustix::io::Errno::EXIST.into()));
    }
    for (path, (_, text)) in paths.into_iter().zip(files) {
        let written = File::create_new(&path).and_then(|mut file| file.write_all(&text));
        written.map_err(|error| (path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_ones_that_xinetd_reads() {
        let mut known = HashSet::new();
        let mut name = |id: &str| file_name(id, &mut known);
        assert_eq!(name("ftp"), "ftp");
        assert_eq!(name("/run/a.b~"), "-run-a-b-");
        assert_eq!(name("127.0.0.1"), "127-0-0-1");
        assert_eq!(name("127-0-0-1"), "127-0-0-1-2");
        assert_eq!(name(""), "service");
        assert_eq!(name(".."), "--");
        assert!(name(&"x".repeat(5000)).len() < 255);
    }
}
