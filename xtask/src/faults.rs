//! The fault harness: builds the release and the harness, and passes its arguments on.

use crate::{Outcome, product, program, project};

pub fn run(words: &[String]) -> Outcome {
    let binary = product::build()?;
    let mut harness = program::cargo(&project::path("faults"));
    harness.args(["run", "--release", "--locked", "--quiet", "--", "--usherd"]).arg(binary);
    program::run(harness.args(words))
}
