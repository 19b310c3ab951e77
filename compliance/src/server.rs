//! How each implementation is started: its program, its name, its words for the foreground.
//!
//! It starts nothing itself; see `daemon.rs`.

use std::path::{Path, PathBuf};

/// An implementation under test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    Openbsd,
    Inetutils,
    Busybox,
    Usherd,
}

use Server::{Busybox, Inetutils, Openbsd, Usherd};

impl Server {
    pub const ALL: [Server; 4] = [Openbsd, Inetutils, Busybox, Usherd];

    pub fn from_name(name: &str) -> Option<Server> {
        Server::ALL.into_iter().find(|server| server.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Openbsd => "openbsd",
            Inetutils => "inetutils",
            Busybox => "busybox",
            Usherd => "usherd",
        }
    }

    /// The name of the process, which is what `killall` and `update-inetd` look for.
    pub fn process_name(self) -> &'static str {
        match self {
            Inetutils => "inetutils-inetd",
            Openbsd | Busybox | Usherd => "inetd",
        }
    }

    /// Where the program is found on this machine, before the sandbox shows it under another path.
    pub fn program(self, usherd: &Path) -> PathBuf {
        match self {
            Openbsd => originals().join("openbsd-inetd/usr/sbin/inetd"),
            Inetutils => originals().join("inetutils-inetd/usr/sbin/inetutils-inetd"),
            Busybox => originals().join("busybox/busybox"),
            Usherd => usherd.to_path_buf(),
        }
    }

    /// The word that keeps it in the foreground; inetutils 2.4 has none but `-d`, which changes more.
    pub fn foreground_option(self) -> Option<&'static str> {
        match self {
            Openbsd | Usherd => Some("-i"),
            Busybox => Some("-f"),
            Inetutils => None,
        }
    }

    /// What is wrong with this machine for testing this server, if anything.
    pub fn missing(self, usherd: &Path) -> Option<String> {
        let program = self.program(usherd);
        if program.exists() {
            return None;
        }
        let remedy = match self {
            Usherd => "build it with `cargo build --release` in the project's root, or name it with --usherd",
            Openbsd | Inetutils | Busybox => "run `cargo run -- fetch-originals`",
        };
        Some(format!("{} is not there: {remedy}", program.display()))
    }
}

/// The folder into which `fetch-originals` unpacks.
pub fn originals() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/originals"))
}
