//! Configuration files and folders → texts.
//!
//! Only regular files are opened for reading, and no more than [`MAX_TEXT`] bytes are read: a pipe, a device or a
//! disk image in place of a configuration costs a diagnostic and no time.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, File, read_dir};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use usherd_model::config::syntax::Word;
use usherd_model::config::{Includes, Naming};
use usherd_model::diagnostic::{Diagnostic, Diagnostics, Place, printable};
use usherd_model::source::{FileId, MAX_TEXT, Sources};

use crate::errno;

/// Reads files, and remembers which.
#[derive(Debug, Default)]
pub struct ConfigFiles {
    /// Files and folders that could not be read.
    pub unreadable: Vec<String>,
    /// Which file each of those is that were read.
    identities: HashMap<FileId, Identity>,
    /// Paths that are no text, by the texts that stand for them.
    no_texts: HashMap<String, PathBuf>,
    included: usize,
}

/// Device and inode: a file has many names.
type Identity = (u64, u64);

/// So many files can be included in one load. A pattern that means more is a mistake.
const MOST_INCLUDED: usize = 10_000;

/// File names that one finding names.
const SHOWN: usize = 20;

/// Files in a folder that are left alone: what editors and packages leave behind, and hidden ones.
const LEFTOVERS: [&str; 7] = ["~", ".bak", ".orig", ".rej", ".swp", ".tmp", ".disabled"];

impl ConfigFiles {
    /// Reads a file.
    pub fn read_file(
        &mut self,
        path: &str,
        sources: &mut Sources,
        diagnostics: &mut Diagnostics,
    ) -> Vec<FileId> {
        self.read(path, sources, diagnostics).into_iter().collect()
    }

    /// Reads the files of a folder, in the order of their names.
    pub fn read_folder(
        &mut self,
        path: &str,
        sources: &mut Sources,
        diagnostics: &mut Diagnostics,
    ) -> Vec<FileId> {
        let names = match names(path) {
            Ok(names) => names,
            Err(error) => {
                self.refuse(path, &Problem::System(error), diagnostics);
                return Vec::new();
            }
        };
        let paths = names.iter().map(|name| Path::new(path.trim_end_matches('/')).join(name));
        // Folders among the files are none of ours.
        let files: Vec<PathBuf> = paths.filter(|path| !path.is_dir()).collect();
        let read = |path| {
            let path = self.text_of_path(path);
            self.read(&path, sources, diagnostics)
        };
        files.into_iter().filter_map(read).collect()
    }

    /// What stands for a path in texts.
    fn text_of_path(&mut self, path: PathBuf) -> String {
        let path = match path.into_os_string().into_string() {
            Ok(text) => return text,
            Err(path) => PathBuf::from(path),
        };
        let shown = path.to_string_lossy().into_owned();
        let mut text = shown.clone();
        let mut number = 1;
        while self.no_texts.get(&text).is_some_and(|known| *known != path) {
            number += 1;
            text = format!("{shown} ({number})");
        }
        self.no_texts.insert(text.clone(), path);
        text
    }

    /// The path that a text stands for.
    fn path<'a>(&'a self, text: &'a str) -> &'a Path {
        self.no_texts.get(text).map_or_else(|| Path::new(text), PathBuf::as_path)
    }

    /// Reads a file as it is: a byte order mark is a part of it.
    pub fn read_as_it_is(
        &mut self,
        path: &str,
        sources: &mut Sources,
        diagnostics: &mut Diagnostics,
    ) -> Option<FileId> {
        let (text, identity) = self.text_of(path, diagnostics)?;
        let file = sources.add(path, text);
        self.identities.insert(file, identity);
        Some(file)
    }

    fn read(&mut self, path: &str, sources: &mut Sources, diagnostics: &mut Diagnostics) -> Option<FileId> {
        let found = self.text_of(path, diagnostics)?;
        Some(self.add(path, found, sources, diagnostics))
    }

    fn add(
        &mut self,
        path: &str,
        (mut text, identity): (Vec<u8>, Identity),
        sources: &mut Sources,
        diagnostics: &mut Diagnostics,
    ) -> FileId {
        if text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
            let message = "the file begins with a byte order mark";
            let place = Place::File(path.to_owned());
            diagnostics.push(
                Diagnostic::warning("byte-order-mark", place, message)
                    .hint("save it without; it is read as if it had none"),
            );
        }
        let file = sources.add(path, text);
        self.identities.insert(file, identity);
        file
    }

    fn text_of(&mut self, path: &str, diagnostics: &mut Diagnostics) -> Option<(Vec<u8>, Identity)> {
        configuration(self.path(path)).map_err(|problem| self.refuse(path, &problem, diagnostics)).ok()
    }

    fn refuse(&mut self, path: &str, problem: &Problem, diagnostics: &mut Diagnostics) {
        let why = problem.words();
        let (original, hint) = match problem {
            Problem::System(error) => {
                (errno::words(errno::from_io(error)), "check the path and its permissions")
            }
            Problem::Folder | Problem::Content(_) => (why.clone(), ""),
        };
        diagnostics.push(
            Diagnostic::error("unreadable", Place::File(path.to_owned()), format!("cannot be read: {why}"))
                .hint(hint)
                .original(format!("{path}: {original}")),
        );
        self.unreadable.push(path.to_owned());
    }

    fn paths_of_pattern(&mut self, pattern: &str, word: &Word, diagnostics: &mut Diagnostics) -> Vec<String> {
        let place = Place::Text(word.span);
        let paths = match self.matches(pattern) {
            Ok(paths) => paths,
            Err(why) => {
                diagnostics.push(Diagnostic::error("bad-pattern", place, why));
                return Vec::new();
            }
        };
        if paths.is_empty() {
            match missing_folder(pattern) {
                Some(folder) => {
                    self.refuse(&folder, &Problem::System(ErrorKind::NotFound.into()), diagnostics);
                }
                None => diagnostics.push(Diagnostic::warning("include-nothing", place, "no file matches")),
            }
        }
        paths
    }

    /// The files of a folder as xinetd's `includedir` takes them, in the order of their names. What it leaves out
    /// without a word is said.
    fn paths_of_folder(&mut self, folder: &str, word: &Word, diagnostics: &mut Diagnostics) -> Vec<String> {
        let listed =
            read_dir(self.path(folder)).and_then(|entries| entries.collect::<Result<Vec<DirEntry>, _>>());
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                self.refuse(folder, &Problem::System(error), diagnostics);
                return Vec::new();
            }
        };
        let mut names: Vec<(OsString, DirEntry)> =
            entries.into_iter().map(|entry| (entry.file_name(), entry)).collect();
        names.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut left_out = Vec::new();
        names.retain(|(name, _)| {
            let is_left_out = name.as_bytes().contains(&b'.') || name.as_bytes().ends_with(b"~");
            // Hidden files are not meant to be seen.
            if is_left_out && !name.as_bytes().starts_with(b".") && left_out.len() < SHOWN {
                left_out.push(printable(name.as_bytes()));
            }
            !is_left_out
        });
        if !left_out.is_empty() {
            let message = format!("left out for the dot or ~ in their names: {}", left_out.join(", "));
            diagnostics.push(
                Diagnostic::warning("file-name", Place::Text(word.span), message)
                    .hint("rename those that are meant, as xinetd wants it"),
            );
        }
        // Folders are none of ours. Mostly the entry says what it is, and needs no look.
        let is_file = |(_, entry): &(OsString, DirEntry)| match entry.file_type() {
            Ok(kind) if kind.is_file() => true,
            Ok(kind) if kind.is_dir() => false,
            Ok(_) | Err(_) => !entry.path().is_dir(),
        };
        let files = names.into_iter().filter(is_file);
        files.map(|(_, entry)| self.text_of_path(entry.path())).collect()
    }

    /// A file, a folder or a pattern as seen from the file that names it.
    fn meant(&mut self, word: &Word, chain: &[FileId], sources: &Sources) -> String {
        let holder = self.path(chain.last().map_or("", |file| sources.path(*file)));
        let folder = holder.parent().unwrap_or(Path::new("/"));
        let path = folder.join(OsStr::from_bytes(&word.value));
        self.text_of_path(path)
    }

    /// The paths that a pattern means, in the order of their names; a name without wildcards means itself.
    fn matches(&mut self, pattern: &str) -> Result<Vec<String>, String> {
        if !has_wildcard(pattern) {
            return Ok(vec![pattern.to_owned()]);
        }
        let options = MatchOptions {
            require_literal_separator: true,
            require_literal_leading_dot: true,
            ..MatchOptions::new()
        };
        let found = glob_with(&as_glob(pattern), options).map_err(|error| error.to_string())?;
        // What is no file is refused aloud when it is read: a service that came from it goes on.
        let paths = found.filter_map(Result::ok).take(MOST_INCLUDED + 1 - self.included);
        Ok(paths.map(|path| self.text_of_path(path)).collect())
    }
}

impl Includes for ConfigFiles {
    fn include(
        &mut self,
        word: &Word,
        naming: Naming,
        chain: &[FileId],
        sources: &mut Sources,
        diagnostics: &mut Diagnostics,
    ) -> Vec<FileId> {
        let place = || Place::Text(word.span);
        let meant = self.meant(word, chain, sources);
        let paths = match naming {
            Naming::Pattern => self.paths_of_pattern(&meant, word, diagnostics),
            Naming::File => vec![meant.clone()],
            Naming::Folder => self.paths_of_folder(&meant, word, diagnostics),
        };
        let mut files = Vec::new();
        for path in paths {
            if self.included >= MOST_INCLUDED {
                let message = format!("more than {MOST_INCLUDED} files are included; the rest is left out");
                diagnostics.push(Diagnostic::error("too-many-files", place(), message));
                self.unreadable.extend(whole(&meant, naming));
                break;
            }
            self.included += 1;
            let found = match configuration(self.path(&path)) {
                Ok(found) => found,
                Err(problem) if naming == Naming::Folder && problem.is_gone(self.path(&path)) => continue,
                Err(problem) => {
                    self.refuse(&path, &problem, diagnostics);
                    continue;
                }
            };
            if chain.iter().any(|file| self.identities.get(file) == Some(&found.1)) {
                let message = format!("{path} is being read already, and is left out here");
                diagnostics.push(Diagnostic::warning("include-ring", place(), message));
                continue;
            }
            files.push(self.add(&path, found, sources, diagnostics));
        }
        files
    }

    fn leave_out(&mut self, word: &Word, naming: Naming, chain: &[FileId], sources: &Sources) {
        let path = self.meant(word, chain, sources);
        self.unreadable.push(whole(&path, naming).unwrap_or(path));
    }
}

/// The folder that has all files that are meant.
fn whole(path: &str, naming: Naming) -> Option<String> {
    match naming {
        Naming::Pattern if has_wildcard(path) => folder_of(path),
        Naming::Pattern | Naming::File => None,
        Naming::Folder => Some(path.trim_end_matches('/').to_owned()),
    }
}

fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// A pattern of glob(7) in the words of the crate, to which `**` means folders in folders and a backslash nothing.
fn as_glob(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '*' if text.ends_with('*') => {}
            '\\' => text.extend(rest.next().map(|literal| Pattern::escape(&literal.to_string()))),
            letter => text.push(letter),
        }
    }
    text
}

/// The folder of a pattern, up to its first wildcard.
fn folder_of(pattern: &str) -> Option<String> {
    let plain = pattern.split(['*', '?', '[']).next()?;
    plain.rfind('/').map(|at| plain[..at].to_owned()).filter(|folder| !folder.is_empty())
}

/// The folder of a pattern, when it is not there.
fn missing_folder(pattern: &str) -> Option<String> {
    folder_of(pattern).filter(|folder| !Path::new(folder).is_dir())
}

fn names(folder: &str) -> std::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in read_dir(folder)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        let leftover = LEFTOVERS.iter().any(|ending| text.ends_with(ending)) || text.contains(".dpkg-");
        if !text.starts_with('.') && !leftover {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Why a file cannot be read.
pub enum Problem {
    /// The system says no.
    System(std::io::Error),
    /// It is a folder.
    Folder,
    /// It is not what is wanted.
    Content(&'static str),
}

impl Problem {
    /// Whether a file that was listed is not there any more. A link to nowhere is, and somebody meant it.
    fn is_gone(&self, path: &Path) -> bool {
        let is_not_found = matches!(self, Problem::System(error) if error.kind() == ErrorKind::NotFound);
        is_not_found && path.symlink_metadata().is_err()
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Problem::System(error) => words(error),
            Problem::Folder => "it is a folder".to_owned(),
            Problem::Content(why) => (*why).to_owned(),
        }
    }
}

/// A file's text.
///
/// # Errors
///
/// What is not a regular file is not read, nor what is larger than [`MAX_TEXT`].
pub fn text(path: &Path) -> Result<Vec<u8>, Problem> {
    text_and_identity(path).map(|(text, _)| text)
}

/// The text of a configuration file.
fn configuration(path: &Path) -> Result<(Vec<u8>, Identity), Problem> {
    let (text, identity) = text_and_identity(path)?;
    match not_text(&text) {
        None => Ok((text, identity)),
        Some(why) => Err(Problem::Content(why)),
    }
}

/// A file's text, with its device and inode.
fn text_and_identity(path: &Path) -> Result<(Vec<u8>, Identity), Problem> {
    // Without waiting for the other end of a pipe, and without making a terminal ours.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open(path, flags, Mode::empty()).map_err(|error| Problem::System(error.into()))?;
    let found = fstat(&file).map_err(|error| Problem::System(error.into()))?;
    let kind = FileType::from_raw_mode(found.st_mode);
    if kind == FileType::Directory {
        return Err(Problem::Folder);
    }
    if kind != FileType::RegularFile {
        return Err(Problem::Content("it is not a file but a device, a pipe or a socket"));
    }
    // In one piece, and with room for the end of the file to be seen.
    let size = usize::try_from(found.st_size).unwrap_or_default().min(MAX_TEXT);
    let mut text = Vec::with_capacity(size + 1);
    let limit = u64::try_from(MAX_TEXT + 1).unwrap_or(u64::MAX);
    File::from(file).take(limit).read_to_end(&mut text).map_err(Problem::System)?;
    if text.len() > MAX_TEXT {
        return Err(Problem::Content(TOO_LARGE));
    }
    Ok((text, (found.st_dev, found.st_ino)))
}

/// U+FEFF in UTF-8, which some editors put in front of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_glob_7_says() {
        for (pattern, glob) in
            [("/a/*.conf", "/a/*.conf"), ("/a/**/b**", "/a/*/b*"), (r"/a/\*b\c", "/a/[*]bc"), (r"/a\", "/a")]
        {
            assert_eq!(as_glob(pattern), glob);
        }
        assert_eq!(folder_of("/a/b/*.conf").as_deref(), Some("/a/b"));
        assert_eq!(folder_of("*.conf"), None);
    }
}
