//! The state as a file, on SIGUSR1, as xinetd has it: `xinetd.dump`, in a folder of the daemon's own.
//!
//! What this must never do: write where others could have put something, such as a link, under the file's name.

use std::fs::{DirBuilder, OpenOptions, rename, symlink_metadata};
use std::io::{Error, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

const NAME: &str = "xinetd.dump";

/// Writes it, in place of the one before, and says where.
pub fn write(text: &str) -> Result<PathBuf, Error> {
    let folder = folder()?;
    match DirBuilder::new().mode(0o755).create(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if !is_ours(&folder)? {
        return Err(Error::other(format!("{} is not our own folder", folder.display())));
    }
    let (new, path) = (folder.join(format!(".{NAME}")), folder.join(NAME));
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    rename(&new, &path)?;
    Ok(path)
}

fn folder() -> Result<PathBuf, Error> {
    if geteuid().is_root() {
        return Ok(PathBuf::from("/run/usherd"));
    }
    let run = std::env::var("XDG_RUNTIME_DIR").ok().filter(|folder| folder.starts_with('/'));
    run.map(|folder| Path::new(&folder).join("usherd"))
        .ok_or_else(|| Error::other("there is no XDG_RUNTIME_DIR"))
}

/// Whether a folder is one, and nobody else can write to it.
fn is_ours(folder: &Path) -> Result<bool, Error> {
    let found = symlink_metadata(folder)?;
    Ok(found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0)
}
