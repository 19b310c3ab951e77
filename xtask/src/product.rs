//! The product, built as it is shipped.

use std::path::PathBuf;

use crate::{program, project};

/// Builds the release and returns its path.
pub fn build() -> Result<PathBuf, String> {
    let root = project::path("");
    program::run(program::cargo(&root).args(["build", "--release", "--locked", "--package", "usherd"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Ok(root.join(target).join("release/usherd"))
}
