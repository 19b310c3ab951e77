//! Where things are: all paths begin at the project's root, wherever the command was called.

use std::path::{Path, PathBuf};

/// A path inside the project.
pub fn path(relative: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("xtask lies in the project's root").join(relative)
}
