//! Configuration files and folders → texts.
//!
//! Only regular files are opened for reading, and no more than [`MAX_TEXT`] bytes are read: a pipe, a device or a
//! disk image in place of a configuration costs a diagnostic and no time.

use std::fs::{File, read_dir};
use std::io::{ErrorKind, Read};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use usherd_model::diagnostic::{Diagnostic, Place};
use usherd_model::source::{FileId, MAX_TEXT, Sources};

use crate::errno;

/// What came of a path.
#[derive(Debug, Default)]
pub struct Found {
    /// Texts that were read.
    pub files: Vec<FileId>,
    /// Files and folders that could not be read.
    pub unreadable: Vec<String>,
}

/// Files in a folder that are left alone: what editors and packages leave behind, and hidden ones.
const LEFTOVERS: [&str; 7] = ["~", ".bak", ".orig", ".rej", ".swp", ".tmp", ".disabled"];

/// Reads a file.
pub fn read_file(path: &str, sources: &mut Sources, diagnostics: &mut Vec<Diagnostic>) -> Found {
    let mut found = Found::default();
    found.add(path, sources, diagnostics);
    found
}

/// Reads the files of a folder, in the order of their names.
pub fn read_folder(path: &str, sources: &mut Sources, diagnostics: &mut Vec<Diagnostic>) -> Found {
    let mut found = Found::default();
    match names(path) {
        Ok(names) => {
            for name in names {
                let path = format!("{}/{name}", path.trim_end_matches('/'));
                // Folders among the files are none of ours.
                if !Path::new(&path).is_dir() {
                    found.add(&path, sources, diagnostics);
                }
            }
        }
        Err(error) => found.refuse(path, &Problem::System(error), diagnostics),
    }
    found
}

impl Found {
    /// A text that is no file.
    pub fn text(name: &str, text: &[u8], sources: &mut Sources) -> Self {
        Self { files: vec![sources.add(name, text.to_vec())], unreadable: Vec::new() }
    }

    fn add(&mut self, path: &str, sources: &mut Sources, diagnostics: &mut Vec<Diagnostic>) {
        match text(path) {
            Ok(text) => match not_text(&text) {
                None => self.files.push(sources.add(path, text)),
                Some(why) => self.refuse(path, &Problem::Content(why), diagnostics),
            },
            Err(problem) => self.refuse(path, &problem, diagnostics),
        }
    }

    fn refuse(&mut self, path: &str, problem: &Problem, diagnostics: &mut Vec<Diagnostic>) {
        let (why, original) = match problem {
            Problem::System(error) => (words(error), errno::words(errno::from_io(error))),
            Problem::Content(why) => ((*why).to_owned(), (*why).to_owned()),
        };
        diagnostics.push(
            Diagnostic::error("unreadable", Place::File(path.to_owned()), format!("cannot be read: {why}"))
                .hint("on a reload, services that came from here go on as they are")
                .original(format!("{path}: {original}")),
        );
        self.unreadable.push(path.to_owned());
    }
}

fn names(folder: &str) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let leftover = LEFTOVERS.iter().any(|ending| name.ends_with(ending)) || name.contains(".dpkg-");
        if !name.starts_with('.') && !leftover {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Why a file cannot be read.
enum Problem {
    /// The system says no.
    System(std::io::Error),
    /// It is not what is wanted.
    Content(&'static str),
}

fn text(path: &str) -> Result<Vec<u8>, Problem> {
    // Without waiting for the other end of a pipe, and without making a terminal ours.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open(path, flags, Mode::empty()).map_err(|error| Problem::System(error.into()))?;
    let found = fstat(&file).map_err(|error| Problem::System(error.into()))?;
    let kind = FileType::from_raw_mode(found.st_mode);
    if kind == FileType::Directory {
        return Err(Problem::Content("it is a folder"));
    }
    if kind != FileType::RegularFile {
        return Err(Problem::Content("it is not a file but a device, a pipe or a socket"));
    }
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_TEXT + 1).unwrap_or(u64::MAX);
    File::from(file).take(limit).read_to_end(&mut text).map_err(Problem::System)?;
    if text.len() > MAX_TEXT {
        return Err(Problem::Content(TOO_LARGE));
    }
    Ok(text)
}

const TOO_LARGE: &str = "it is larger than 16 MiB";

fn words(error: &std::io::Error) -> String {
    if error.kind() == ErrorKind::NotFound {
        return "there is no such file".to_owned();
    }
    if error.kind() == ErrorKind::PermissionDenied {
        return "it may not be read".to_owned();
    }
    error.to_string()
}

/// Why bytes are no configuration at all. A text with a few odd bytes is one; its lines are looked at.
fn not_text(text: &[u8]) -> Option<&'static str> {
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return Some("it is in UTF-16; save it as UTF-8 or ASCII");
    }
    let head = &text[..text.len().min(4096)];
    let zeroes = head.iter().filter(|byte| **byte == 0).count();
    if zeroes > head.len() / 10 { Some("it is a binary file") } else { None }
}
