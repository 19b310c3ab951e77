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
    /// Debian's, which reads xinetd.conf.
    Xinetd,
    /// usherd by that name.
    UsherdXinetd,
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

use Server::{Busybox, Inetutils, Openbsd, Usherd, UsherdAs, UsherdXinetd, Xinetd};

impl Server {
    pub const ALL: [Server; 11] = [
        Openbsd,
        Inetutils,
        Busybox,
        Usherd,
        UsherdAs(Dialect::Openbsd),
        UsherdAs(Dialect::Gnu),
        UsherdAs(Dialect::Freebsd),
        UsherdAs(Dialect::Netbsd),
        UsherdAs(Dialect::Busybox),
        Xinetd,
        UsherdXinetd,
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
            Xinetd => "xinetd",
            UsherdXinetd => "usherd-xinetd",
        }
    }

    /// The one dialect of inetd.conf that it reads; `None` for the union, and for who reads xinetd.conf.
    pub fn dialect(self) -> Option<Dialect> {
        match self {
            Openbsd => Some(Dialect::Openbsd),
            Inetutils => Some(Dialect::Gnu),
            Busybox => Some(Dialect::Busybox),
            Usherd | Xinetd | UsherdXinetd => None,
            UsherdAs(dialect) => Some(dialect),
        }
    }

    /// Whether it is ours, in whatever dialect.
    pub fn is_usherd(self) -> bool {
        matches!(self, Usherd | UsherdAs(_) | UsherdXinetd)
    }

    /// Whether its configuration is an xinetd.conf, and its command line that of xinetd.
    pub fn is_xinetd(self) -> bool {
        matches!(self, Xinetd | UsherdXinetd)
    }

    /// Where it looks for its configuration.
    pub fn config_path(self) -> &'static str {
        if self.is_xinetd() { "/etc/xinetd.conf" } else { "/etc/inetd.conf" }
    }

    /// Whether it is a program of the archive that needs libraries which were unpacked with it.
    pub fn needs_libraries(self) -> bool {
        matches!(self, Openbsd | Xinetd)
    }

    /// What has to stand in front of all other options.
    pub fn first_options(self) -> Vec<&'static str> {
        match self {
            Openbsd | Inetutils | Busybox | Usherd | Xinetd | UsherdXinetd => Vec::new(),
            UsherdAs(dialect) => vec!["--dialect", dialect.word()],
        }
    }

    /// The name of the process, which is what `killall` and `update-inetd` look for.
    pub fn process_name(self) -> &'static str {
        match self {
            Inetutils => "inetutils-inetd",
            Openbsd | Busybox | Usherd | UsherdAs(_) => "inetd",
            Xinetd | UsherdXinetd => "xinetd",
        }
    }

    /// Where the program is found on this machine, before the sandbox shows it under another path.
    pub fn program(self, usherd: &Path) -> PathBuf {
        match self {
            Openbsd => originals().join("openbsd-inetd/usr/sbin/inetd"),
            Inetutils => originals().join("inetutils-inetd/usr/sbin/inetutils-inetd"),
            Busybox => originals().join("busybox/busybox"),
            Xinetd => originals().join("xinetd/usr/sbin/xinetd"),
            Usherd | UsherdAs(_) | UsherdXinetd => usherd.to_path_buf(),
        }
    }

    /// The word that keeps it in the foreground; inetutils 2.4 has none but `-d`, which changes more.
    pub fn foreground_option(self) -> Option<&'static str> {
        match self {
            Openbsd | Usherd | UsherdAs(_) => Some("-i"),
            Busybox => Some("-f"),
            Inetutils => None,
            Xinetd | UsherdXinetd => Some("-dontfork"),
        }
    }

    /// What is wrong with this machine for testing this server, if anything.
    pub fn missing(self, usherd: &Path) -> Option<String> {
        let program = self.program(usherd);
        if program.exists() {
            return None;
        }
        let remedy = match self {
            Usherd | UsherdAs(_) | UsherdXinetd => {
                "build it with `cargo build --release` in the project's root, or name it with --usherd"
            }
            Openbsd | Inetutils | Busybox | Xinetd => "run `cargo run -- fetch-originals`",
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
