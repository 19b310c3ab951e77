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
    /// As it is without `--dialect`: the union of the dialects.
    Usherd,
    UsherdAs(Dialect),
}

/// Whose `inetd.conf` is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    Openbsd,
    Gnu,
    Freebsd,
    Netbsd,
    Busybox,
}

use Server::{Busybox, Inetutils, Openbsd, Usherd, UsherdAs};

impl Server {
    pub const ALL: [Server; 9] = [
        Openbsd,
        Inetutils,
        Busybox,
        Usherd,
        UsherdAs(Dialect::Openbsd),
        UsherdAs(Dialect::Gnu),
        UsherdAs(Dialect::Freebsd),
        UsherdAs(Dialect::Netbsd),
        UsherdAs(Dialect::Busybox),
    ];

    pub fn from_name(name: &str) -> Option<Server> {
        Server::ALL.into_iter().find(|server| server.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Openbsd => "openbsd",
            Inetutils => "inetutils",
            Busybox => "busybox",
            Usherd => "usherd",
            UsherdAs(Dialect::Openbsd) => "usherd-openbsd",
            UsherdAs(Dialect::Gnu) => "usherd-gnu",
            UsherdAs(Dialect::Freebsd) => "usherd-freebsd",
            UsherdAs(Dialect::Netbsd) => "usherd-netbsd",
            UsherdAs(Dialect::Busybox) => "usherd-busybox",
        }
    }

    /// The one dialect that it reads; `None` for the union.
    pub fn dialect(self) -> Option<Dialect> {
        match self {
            Openbsd => Some(Dialect::Openbsd),
            Inetutils => Some(Dialect::Gnu),
            Busybox => Some(Dialect::Busybox),
            Usherd => None,
            UsherdAs(dialect) => Some(dialect),
        }
    }

    /// Whether it is ours, in whatever dialect.
    pub fn is_usherd(self) -> bool {
        matches!(self, Usherd | UsherdAs(_))
    }

    /// What has to stand in front of all other options.
    pub fn first_options(self) -> Vec<&'static str> {
        match self {
            Openbsd | Inetutils | Busybox | Usherd => Vec::new(),
            UsherdAs(dialect) => vec!["--dialect", dialect.word()],
        }
    }

    /// The name of the process, which is what `killall` and `update-inetd` look for.
    pub fn process_name(self) -> &'static str {
        match self {
            Inetutils => "inetutils-inetd",
            Openbsd | Busybox | Usherd | UsherdAs(_) => "inetd",
        }
    }

    /// Where the program is found on this machine, before the sandbox shows it under another path.
    pub fn program(self, usherd: &Path) -> PathBuf {
        match self {
            Openbsd => originals().join("openbsd-inetd/usr/sbin/inetd"),
            Inetutils => originals().join("inetutils-inetd/usr/sbin/inetutils-inetd"),
            Busybox => originals().join("busybox/busybox"),
            Usherd | UsherdAs(_) => usherd.to_path_buf(),
        }
    }

    /// The word that keeps it in the foreground; inetutils 2.4 has none but `-d`, which changes more.
    pub fn foreground_option(self) -> Option<&'static str> {
        match self {
            Openbsd | Usherd | UsherdAs(_) => Some("-i"),
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
            Usherd | UsherdAs(_) => {
                "build it with `cargo build --release` in the project's root, or name it with --usherd"
            }
            Openbsd | Inetutils | Busybox => "run `cargo run -- fetch-originals`",
        };
        Some(format!("{} is not there: {remedy}", program.display()))
    }
}

impl Dialect {
    /// The word for `--dialect`.
    pub fn word(self) -> &'static str {
        match self {
            Dialect::Openbsd => "openbsd",
            Dialect::Gnu => "gnu",
            Dialect::Freebsd => "freebsd",
            Dialect::Netbsd => "netbsd",
            Dialect::Busybox => "busybox",
        }
    }
}

/// The folder into which `fetch-originals` unpacks.
pub fn originals() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/originals"))
}
