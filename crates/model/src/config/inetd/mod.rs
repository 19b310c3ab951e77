//! `inetd.conf`, in the dialects of its family.
//!
//! All of them have the same seven columns; what they disagree about is data, a [`Dialect`], and each dialect's data is
//! in a short file of its own. `lines` cuts a text into logical lines of words, `columns` makes an entry of such a
//! line, `keys` reads NetBSD's second form, and `compare` finds what a file says differently to different originals.
//!
//! A dialect gives each line that its original accepts the original's meaning. A line that its original refuses may be
//! read all the same, where it cannot mean anything else.

mod busybox;
mod columns;
mod compare;
mod freebsd;
mod gnu;
mod keys;
mod lines;
mod netbsd;
mod openbsd;
mod print;
mod union;
mod unsupported;
mod words;

pub use compare::compare;
pub use print::print;

use serde::{Deserialize, Serialize};

use self::columns::Columns;
use self::lines::{Lines, Piece};
use super::includes::{Includes, Naming, included};
use super::syntax::{Families, Numeral, Tree, Word, Zero};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, printable};
use crate::source::{FileId, Sources};

/// Which original a file is read like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialectName {
    /// Each line like the one original that can read it, and like openbsd-inetd where several can.
    #[default]
    Union,
    /// Debian's openbsd-inetd.
    Openbsd,
    /// GNU inetutils.
    Gnu,
    /// FreeBSD.
    Freebsd,
    /// NetBSD.
    Netbsd,
    /// busybox.
    Busybox,
}

impl DialectName {
    /// Those that an original speaks.
    pub const ORIGINALS: [DialectName; 5] = [
        DialectName::Openbsd,
        DialectName::Gnu,
        DialectName::Freebsd,
        DialectName::Netbsd,
        DialectName::Busybox,
    ];

    /// What tells it from the others.
    pub fn dialect(self) -> &'static Dialect {
        match self {
            DialectName::Union => &union::UNION,
            DialectName::Openbsd => &openbsd::OPENBSD,
            DialectName::Gnu => &gnu::GNU,
            DialectName::Freebsd => &freebsd::FREEBSD,
            DialectName::Netbsd => &netbsd::NETBSD,
            DialectName::Busybox => &busybox::BUSYBOX,
        }
    }

    /// The word for `--dialect`.
    pub fn word(self) -> &'static str {
        self.dialect().name
    }
}

/// What tells one dialect from another.
pub struct Dialect {
    /// The word for `--dialect`.
    pub name: &'static str,
    /// Starts a minute of a service whose line says nothing; `None` for no limit.
    pub starts: Option<u32>,
    /// Connections that wait in the kernel.
    pub backlog: u32,
    comments: Comments,
    continuation: Continuation,
    quotes: Quotes,
    /// Whether tcpmux is added when there are services that need it.
    adds_tcpmux: bool,
    /// Whether a comment that begins with `#@` sets an IPsec policy.
    ipsec: bool,
    /// Whether NetBSD's second form and `.include` are read.
    netbsd_forms: bool,
    /// The protocol words, with the protocol's name in /etc/services and the sockets that are opened. `unix` and `rpc/`
    /// are the same everywhere.
    protocols: &'static [ProtocolWord],
    /// Words of others that its original does not know and takes for something all the same.
    strays: &'static [ProtocolWord],
    /// What else than `wait` and `nowait` is read in the wait column.
    wait: WaitRule,
    /// What can stand behind the word in the wait column.
    wait_limits: &'static [WaitLimit],
    /// Where the user column can be parted into a user and a group. With [`Split::Never`] among them each is tried, and
    /// the first whose user exists is meant; otherwise the first mark that is there parts it.
    splits: &'static [Split],
    /// Whether the user column can end in `/class`.
    classes: bool,
    /// Whether a mark in the user column may have no group behind it.
    bare_marks: bool,
    /// `argv[0]` of a program without arguments.
    bare_argv: BareArgv,
    /// The mode of a Unix socket's file.
    socket_mode: u32,
}

impl Dialect {
    /// The first word for a protocol of /etc/services that opens such sockets, with those sockets.
    pub(in crate::config) fn protocol_word(
        &self,
        protocol: &str,
        is_such: impl Fn(&Families) -> bool,
    ) -> Option<(&'static [u8], Families)> {
        let mut known = self.protocols.iter();
        let found = known.find(|(_, name, families)| *name == protocol && is_such(families));
        found.map(|(word, _, families)| (*word, *families))
    }

    /// Whether the number of programs can stand behind the type, where 0 is none.
    pub(in crate::config) fn limits_children(&self) -> bool {
        self.netbsd_forms
    }

    /// Whether limits for programs and for sources can stand behind `nowait`, where 0 is no limit.
    pub(in crate::config) fn limits_sources(&self) -> bool {
        self.wait_limits.iter().any(|limit| limit.limits == Limited::ChildrenAndSources)
    }
}

/// Where comments begin. Everywhere `#` in the first column begins one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comments {
    /// In the first column only.
    FirstColumn,
    /// Behind blanks too.
    FirstWord,
    /// At any `#`.
    Anywhere,
}

/// How an entry goes on with the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Continuation {
    /// Never.
    Never,
    /// When the next line begins with a blank.
    LeadingBlank,
    /// When this one ends in a backslash.
    Backslash,
}

/// What quotes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// Nothing.
    Literal,
    /// One at the beginning of a word makes a word of all up to the next; `"` ends a word that it stands in. A quote
    /// without its other half is literal, and its word goes on to the end of the line.
    AtWord,
    /// One at the beginning of a word makes a word of all up to the next, or to the end of the line.
    AroundWord,
    /// As in a shell: also inside words.
    Shell,
}

type ProtocolWord = (&'static [u8], &'static str, Families);

/// What else than its two words is read in the wait column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitRule {
    /// Nothing.
    Exact,
    /// What begins with one of them.
    Prefix,
    /// Anything is `nowait`.
    ElseNowait,
}

/// A way to part a user from a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// It is all a user.
    Never,
    /// At the first of these.
    First(u8),
    /// At the last of these.
    Last(u8),
}

/// A limit that can stand behind `wait` or `nowait`.
#[derive(Clone, Copy, Debug)]
struct WaitLimit {
    /// What stands in front of the number.
    mark: u8,
    /// What it limits.
    limits: Limited,
    /// What 0 means.
    zero: Zero,
    /// How digits are read.
    numeral: Numeral,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limited {
    Starts,
    /// `/children[/starts of a source[/children of a source]]`
    ChildrenAndSources,
}

/// `argv[0]` of a program without arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BareArgv {
    /// The last part of its path.
    Base,
    /// Its path.
    Path,
}

/// Reads one file's text, with what it includes, and adds its entries to `tree`.
pub fn parse(
    sources: &mut Sources,
    file: FileId,
    dialect: &Dialect,
    includes: &mut dyn Includes,
    tree: &mut Tree,
    diagnostics: &mut Diagnostics,
) {
    tree.adds_tcpmux |= dialect.adds_tcpmux;
    let mut reader = Reader { sources, dialect, includes, tree, diagnostics, chain: Vec::new() };
    reader.read(file, Vec::new());
}

struct Reader<'a> {
    sources: &'a mut Sources,
    dialect: &'a Dialect,
    includes: &'a mut dyn Includes,
    tree: &'a mut Tree,
    diagnostics: &'a mut Diagnostics,
    /// The files that are being read, each included by the one before it.
    chain: Vec<FileId>,
}

impl Reader<'_> {
    /// Reads a file in which `hosts` are the default address at first.
    fn read(&mut self, file: FileId, hosts: Vec<Word>) {
        self.chain.push(file);
        let mut columns = Columns::new(self.dialect, hosts);
        let mut lines = Lines::new(self.sources, file, self.dialect);
        while let Some(piece) = lines.piece(self.diagnostics) {
            match piece {
                Piece::Line(line) => columns.read(line, self.tree, self.diagnostics),
                Piece::Off(line) => columns.read_off(line, self.tree),
                Piece::Definition(definition) => {
                    columns.read_definition(*definition, self.tree, self.diagnostics);
                }
                Piece::Broken(word) => self.tree.broken.push(columns::name_of(word)),
                Piece::Include(pattern) => self.include(&pattern, columns.default_hosts()),
                Piece::UnknownDirective(name, rest) => {
                    self.diagnostics.push(unknown_directive(&name));
                    if let Some(pattern) = rest {
                        self.includes.leave_out(&pattern, Naming::Pattern, &self.chain, self.sources);
                    }
                }
            }
        }
        self.chain.pop();
    }

    fn include(&mut self, pattern: &Word, hosts: &[Word]) {
        let files =
            included(self.includes, pattern, Naming::Pattern, &self.chain, self.sources, self.diagnostics);
        for file in files {
            self.read(file, hosts.to_vec());
        }
    }
}

fn unknown_directive(name: &Word) -> Diagnostic {
    let message = format!("there is no directive {:?}", printable(&name.value));
    Diagnostic::error("unknown-directive", Place::Text(name.span), message).expected(".include FILES")
}
