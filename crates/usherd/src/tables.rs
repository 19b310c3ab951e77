//! hosts.allow and hosts.deny as files: how they are read, and whether they are still what was read.
//!
//! They are read in a helper. The core looks at their stamps before every verdict, and has them read anew when one has
//! changed: an edit takes effect with the next caller, as with the original, which reads them for each.

use std::ffi::OsStr;
use std::fs::metadata;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use usherd_model::access::{Account, Accounts, Contents, Files, Tables, Words};
use usherd_model::children::Pid;
use usherd_model::config::Facts;
use usherd_model::time::Tick;
use usherd_sys::spawn::{Spawner, Table};

use crate::config_files::{self, Problem};
use crate::errno;
use crate::helper::Helper;
use crate::machine::Machine;
use crate::message::Errand;

/// Where libwrap has its tables.
pub const ALLOW: &str = "/etc/hosts.allow";
/// See [`ALLOW`].
pub const DENY: &str = "/etc/hosts.deny";

/// Where a daemon has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePaths {
    /// hosts.allow.
    pub allow: String,
    /// hosts.deny.
    pub deny: String,
}

impl TablePaths {
    /// hosts.allow and hosts.deny of this folder.
    pub fn within(folder: &str) -> Self {
        let folder = folder.trim_end_matches('/');
        Self { allow: format!("{folder}/hosts.allow"), deny: format!("{folder}/hosts.deny") }
    }

    /// Whether this is one of the tables, and its folder is gone: that is not a table without rules.
    fn is_homeless(&self, path: &Path) -> bool {
        let is_table = [&self.allow, &self.deny].iter().any(|table| path == Path::new(table));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        is_table && folder.is_some_and(|folder| !folder.is_dir())
    }
}

impl Default for TablePaths {
    fn default() -> Self {
        Self { allow: ALLOW.to_owned(), deny: DENY.to_owned() }
    }
}

/// Tables with the stamps of all files that they were read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// What they say.
    pub tables: Tables,
    /// What the files were.
    pub stamps: Stamps,
}

/// What files were when they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamps(Vec<(PathBuf, Option<Stamp>)>);

/// What tells a file from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The same. An owner can set the other one back.
    changed: (i64, i64),
}

impl Stamps {
    /// Whether all files are what they were.
    pub fn are_current(&self) -> bool {
        self.0.iter().all(|(path, stamp)| stamp_of(path) == *stamp)
    }
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    let found = metadata(path).ok()?;
    Some(Stamp {
        device: found.dev(),
        inode: found.ino(),
        size: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

/// Reads the tables of this machine.
pub fn read() -> Stamped {
    read_from(&TablePaths::default())
}

/// Reads these tables.
pub fn read_from(paths: &TablePaths) -> Stamped {
    let mut files = OnDisk::of(paths);
    let tables = Tables::read(&paths.allow, &paths.deny, &mut files, &mut Machine::default());
    Stamped { tables, stamps: Stamps(files.stamps) }
}

/// The same, with their words as they are written.
pub fn read_with_words(paths: &TablePaths) -> (Tables, Words) {
    Words::read(&paths.allow, &paths.deny, &mut OnDisk::of(paths), &mut Machine::default())
}

/// Files of this machine, each with its stamp from before it was read: what changes meanwhile is seen the next time.
#[derive(Debug, Default)]
pub struct OnDisk {
    stamps: Vec<(PathBuf, Option<Stamp>)>,
    tables: Option<TablePaths>,
}

impl OnDisk {
    fn of(tables: &TablePaths) -> Self {
        Self { stamps: Vec::new(), tables: Some(tables.clone()) }
    }
}

impl Files for OnDisk {
    fn contents(&mut self, path: &[u8]) -> Contents {
        let path = Path::new(OsStr::from_bytes(path));
        self.stamps.push((path.to_owned(), stamp_of(path)));
        match config_files::text(path) {
            Ok(text) => Contents::Text(text.into()),
            Err(Problem::Folder) => Contents::Folder,
            Err(Problem::System(error))
                if error.kind() == ErrorKind::NotFound
                    && !self.tables.as_ref().is_some_and(|tables| tables.is_homeless(path)) =>
            {
                Contents::Missing
            }
            Err(Problem::System(error)) => Contents::Unreadable(errno::words(errno::from_io(&error))),
            Err(Problem::Content(why)) => Contents::Unreadable(why.to_owned()),
        }
    }
}

impl Accounts for Machine {
    fn account(&mut self, name: &str, gid: Option<u32>) -> Result<Option<Account>, String> {
        let Some(user) = self.user(name).map_err(|error| error.0)? else { return Ok(None) };
        let gid = gid.unwrap_or(user.gid);
        let groups = self.groups_of(&user.name, gid);
        Ok(Some(Account { name: user.name, uid: user.uid, gid, groups }))
    }

    fn gid(&mut self, name: &str) -> Result<Option<u32>, String> {
        self.group(name).map_err(|error| error.0)
    }
}

/// The helper may take so long; the core gives up a little later by itself.
const PATIENCE: Duration = Duration::from_secs(9);

/// Has the tables read.
#[derive(Debug)]
pub struct TableReader {
    errand: Errand,
    /// Who reads them.
    pub helper: Helper<Stamped>,
}

impl TableReader {
    /// Of these tables, with nothing read yet.
    pub fn new(tables: TablePaths) -> Self {
        Self { errand: Errand::ReadTables(tables), helper: Helper::new("table reader", PATIENCE) }
    }

    /// Starts the helper; one that runs must have been stopped.
    pub fn start(&mut self, spawner: &mut Spawner, table: Table, now: Tick) -> Result<Pid, String> {
        self.helper.start(&self.errand, spawner, table, now)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_of_any_file_is_seen() {
        let folder = std::env::temp_dir().join(format!("usherd-tables-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let paths = TablePaths::within(folder.to_str().expect("text"));
        let (allow, deny) = (&paths.allow, &paths.deny);
        let list = format!("{allow}.list");
        fs::write(allow, format!("ALL: {list}\n")).expect("a file");
        let read = read_from(&paths);
        assert!(read.stamps.are_current());
        assert_eq!(read.tables.paths().count(), 3);
        for name in [&list, deny, allow] {
            let read = read_from(&paths);
            fs::write(name, format!("ALL: {list} 10.\n")).expect("a file");
            assert!(!read.stamps.are_current(), "{name}");
        }
        let read = read_from(&paths);
        fs::remove_file(deny).expect("it is there");
        assert!(!read.stamps.are_current());
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}
