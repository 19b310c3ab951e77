//! The compliance suite: first against the originals, where it has to pass, then against ours in each dialect.

use crate::{Outcome, product, program, project};

/// In this order: a case that the original does not pass says nothing about us.
const SERVERS: [&str; 11] = [
    "openbsd",
    "usherd",
    "usherd-openbsd",
    "inetutils",
    "usherd-gnu",
    "busybox",
    "usherd-busybox",
    "usherd-freebsd",
    "usherd-netbsd",
    "xinetd",
    "usherd-xinetd",
];

pub fn run(words: &[String]) -> Outcome {
    let binary = product::build()?;
    for server in SERVERS {
        let mut suite = program::cargo(&project::path("compliance"));
        suite.args(["run", "--release", "--locked", "--quiet", "--", "--server", server, "--usherd"]);
        program::run(suite.arg(&binary).args(words)).map_err(|why| format!("{server}: {why}"))?;
    }
    Ok(())
}
