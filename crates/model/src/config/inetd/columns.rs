//! A line of words → an entry.
//!
//! ```text
//! [host[,host…]:]service  type[,children]  protocol[,sndbuf=N[k|m]][,rcvbuf=N[k|m]]  wait|nowait[limits]  user[group][/class]  program  [argv…]
//! host[,host…]:
//! ```
//!
//! The name of an RPC service has its versions behind it: `name/version` or `name/lowest-highest`.
//!
//! A `host:` alone is the default for the lines below it, in this file and in those that it includes.

use super::keys::Definition;
use super::lines::Line;
use super::words::{part, split, split_at_most, split_host, split_versions};
use super::{BareArgv, Dialect, Limited, ProtocolWord, Split, WaitLimit, WaitRule, union, unsupported};
use crate::config::syntax::{
    Account, Entry, FileWords, LimitWord, LimitWords, Numeral, Transport, Tree, WaitMeaning, Word, Zero, base,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, printable};
use crate::service::Handover;
use crate::source::{Span, Spanned};

/// The columns that a line must have, by the name that a person knows them by.
const COLUMNS: [&str; 6] =
    ["service name", "socket type", "protocol", "wait or nowait", "user", "program (or internal)"];

/// Reads the lines of one file, in order.
pub(super) struct Columns<'a> {
    dialect: &'a Dialect,
    default_hosts: Vec<Word>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(dialect: &'a Dialect, default_hosts: Vec<Word>) -> Self {
        Self { dialect, default_hosts }
    }

    pub(super) fn default_hosts(&self) -> &[Word] {
        &self.default_hosts
    }

    /// Makes an entry of one line, or changes the default address.
    pub(super) fn read(&mut self, line: Line, tree: &mut Tree, diagnostics: &mut Diagnostics) {
        let span = line.span();
        let mut words = line.words.into_iter();
        let first = words.next().expect("a line is never empty");
        let (hosts, name) = match split_host(&first) {
            None => (self.default_hosts.clone(), Some(first.clone())),
            Some((hosts, Some(name))) => (hosts, Some(name)),
            // "host:" with more words behind it: the service is the next word.
            Some((hosts, None)) => (hosts, words.next()),
        };
        let Some(name) = name else {
            self.default_hosts = hosts;
            return;
        };
        let mut columns = [const { None }; COLUMNS.len()];
        columns[0] = Some(name);
        for column in &mut columns[1..] {
            *column = words.next();
        }
        match columns {
            [Some(name), Some(socket_type), Some(protocol), Some(wait), Some(owner), Some(program)] => {
                let mut entry = Entry {
                    span,
                    name,
                    versions: None,
                    hosts,
                    file: FileWords {
                        user: None,
                        group: None,
                        mode: None,
                        default_mode: self.dialect.socket_mode,
                    },
                    socket_type,
                    protocol,
                    transport: None,
                    send_buffer: None,
                    receive_buffer: None,
                    wait,
                    handover: WaitMeaning::Unknown,
                    limits: LimitWords::default(),
                    owner,
                    accounts: Vec::new(),
                    class: None,
                    program,
                    arguments: words.collect(),
                    attributes: None,
                };
                match self.take_apart(&mut entry, &first, diagnostics) {
                    Ok(()) => tree.entries.push(entry),
                    Err(diagnostic) => {
                        diagnostics.push(*diagnostic);
                        tree.broken.push(entry.name);
                    }
                }
            }
            [Some(name), rest @ ..] => {
                let have = 1 + rest.iter().flatten().count();
                diagnostics.push(too_few(span, have));
                let name =
                    rest[1].as_ref().map_or(name.clone(), |protocol| split_versions(&name, protocol).0);
                tree.broken.push(name);
            }
            [None, ..] => {}
        }
    }

    /// Makes an entry of one that is switched off. What cannot be read is a comment.
    pub(super) fn read_off(&mut self, line: Line, tree: &mut Tree) {
        let mut own = Tree::default();
        let hosts = self.default_hosts.clone();
        self.read(line, &mut own, &mut Diagnostics::default());
        self.default_hosts = hosts;
        tree.off.append(&mut own.entries);
    }

    /// Makes an entry of a definition in NetBSD's second form.
    pub(super) fn read_definition(
        &self,
        mut definition: Definition,
        tree: &mut Tree,
        diagnostics: &mut Diagnostics,
    ) {
        let hosts = match split_host(&definition.name) {
            None => self.default_hosts.clone(),
            Some((hosts, name)) => {
                definition.name = name.unwrap_or(definition.name);
                hosts
            }
        };
        let (name, is_on) = (definition.name.clone(), definition.is_on);
        match definition.entry(hosts, self.dialect, diagnostics) {
            Ok(entry) if is_on => tree.entries.push(entry),
            Ok(entry) => tree.off.push(entry),
            Err(diagnostic) => {
                diagnostics.push(*diagnostic);
                tree.broken.push(name);
            }
        }
    }

    /// Splits the columns that hold several things.
    fn take_apart(
        &self,
        entry: &mut Entry,
        first: &Word,
        diagnostics: &mut Diagnostics,
    ) -> Result<(), Box<Diagnostic>> {
        self.take_apart_protocol(entry, diagnostics)?;
        if entry.transport == Some(Transport::Unix) {
            take_apart_path(entry, first);
        }
        self.take_apart_type(entry, diagnostics);
        self.take_apart_wait(entry);
        self.take_apart_owner(entry);
        if entry.arguments.is_empty() && entry.program.value != b"internal" {
            let word = match self.dialect.bare_argv {
                BareArgv::Base => base(&entry.program.value),
                BareArgv::Path => &entry.program.value,
            };
            entry.arguments.push(Spanned::new(word.into(), entry.program.span));
        }
        Ok(())
    }

    fn take_apart_protocol(
        &self,
        entry: &mut Entry,
        diagnostics: &mut Diagnostics,
    ) -> Result<(), Box<Diagnostic>> {
        let protocol = entry.protocol.clone();
        let mut parts = split(&protocol, b',').into_iter();
        entry.protocol = parts.next().unwrap_or(protocol);
        entry.transport = self.dialect.transport(&entry.protocol, diagnostics);
        (entry.name, entry.versions) = split_versions(&entry.name, &entry.protocol);
        for part in parts {
            let sizes = split(&part, b'=');
            let target = match sizes.first().map(|name| name.value.as_slice()) {
                Some(b"sndbuf") => &mut entry.send_buffer,
                Some(b"rcvbuf") => &mut entry.receive_buffer,
                _ => return Err(Box::new(bad_buffer(&entry.name, &part))),
            };
            match sizes.into_iter().nth(1) {
                Some(size) if target.is_none() => *target = Some(size),
                _ => return Err(Box::new(bad_buffer(&entry.name, &part))),
            }
        }
        Ok(())
    }

    /// `stream,children:filter`, which is NetBSD's.
    fn take_apart_type(&self, entry: &mut Entry, diagnostics: &mut Diagnostics) {
        let word = entry.socket_type.clone();
        // Without a type in front of it a mark is part of a wrong word.
        let mark = |mark: u8| word.value.iter().position(|byte| *byte == mark).filter(|at| *at > 0);
        let filter = mark(b':');
        let end = filter.unwrap_or(word.value.len());
        let children = mark(b',').filter(|at| *at < end);
        if let Some(at) = filter {
            diagnostics.push(unsupported::no_accept_filter(part(&word, at, word.value.len()).span));
        }
        if let Some(at) = children {
            let children = part(&word, at + 1, end);
            entry.limits.children = Some(LimitWord {
                word: children,
                zero: Zero::Never,
                numeral: Numeral::Decimal,
                refuses: false,
            });
        }
        entry.socket_type = part(&word, 0, children.unwrap_or(end));
    }

    /// `nowait.N` and the like.
    fn take_apart_wait(&self, entry: &mut Entry) {
        let word = entry.wait.clone();
        let limit_of = |byte: &u8| self.dialect.wait_limits.iter().find(|limit| limit.mark == *byte);
        let mut bytes = word.value.iter().enumerate();
        if let Some((at, limit)) = bytes.find_map(|(at, byte)| Some((at, limit_of(byte)?))) {
            entry.wait = part(&word, 0, at);
            limit.read(&part(&word, at + 1, word.value.len()), &mut entry.limits);
        }
        entry.handover = self.dialect.wait.meaning(&entry.wait.value);
    }

    /// `user`, with a group and a class behind it.
    fn take_apart_owner(&self, entry: &mut Entry) {
        let class = entry.owner.value.iter().rposition(|byte| *byte == b'/').filter(|_| self.dialect.classes);
        let owner = part(&entry.owner, 0, class.unwrap_or(entry.owner.value.len()));
        entry.class = class.map(|at| part(&entry.owner, at + 1, entry.owner.value.len()));
        entry.accounts = self.dialect.accounts(&owner);
    }
}

/// The service's name in the first word of an entry.
pub(super) fn name_of(word: Word) -> Word {
    match split_host(&word) {
        Some((_, Some(name))) => name,
        Some((_, None)) | None => word,
    }
}

impl Dialect {
    /// What a protocol word means. A word that is not the dialect's own is read as in the others, and said.
    pub(super) fn transport(&self, word: &Word, diagnostics: &mut Diagnostics) -> Option<Transport> {
        if word.value == b"unix" {
            return Some(Transport::Unix);
        }
        let (is_rpc, plain) = match word.value.strip_prefix(b"rpc/") {
            Some(plain) => (true, plain),
            None => (false, word.value.as_slice()),
        };
        let find = |words: &[ProtocolWord]| words.iter().find(|(name, ..)| *name == plain).copied();
        let stray = || {
            let taken =
                find(self.strays).map(|found| (found, "it is taken for what the original takes it for"));
            let read =
                || Some((find(union::UNION.protocols)?, "it is read as the originals do that know it"));
            taken.or_else(read)
        };
        let (_, protocol, families) = find(self.protocols).or_else(|| {
            let (found, hint) = stray()?;
            diagnostics.push(not_in_dialect(word, self, hint));
            Some(found)
        })?;
        Some(if is_rpc {
            Transport::Rpc { protocol, families }
        } else {
            Transport::Inet { protocol, families }
        })
    }

    /// The users and groups that a word can mean; see [`Dialect::splits`].
    fn accounts(&self, owner: &Word) -> Vec<Account> {
        let whole = || Account { user: owner.clone(), group: None };
        let at = |at: usize| {
            let group = Some(part(owner, at + 1, owner.value.len()));
            let group = group.filter(|group| !self.bare_marks || !group.value.is_empty());
            Account { user: part(owner, 0, at), group }
        };
        let position = |split: &Split| match *split {
            Split::Never => Some(whole()),
            Split::First(mark) => owner.value.iter().position(|byte| *byte == mark).map(at),
            Split::Last(mark) => owner.value.iter().rposition(|byte| *byte == mark).map(at),
        };
        let mut accounts: Vec<Account> = self.splits.iter().filter_map(position).collect();
        if !self.splits.contains(&Split::Never) {
            accounts.truncate(1);
        }
        if accounts.is_empty() { vec![whole()] } else { accounts }
    }
}

impl WaitRule {
    fn meaning(self, word: &[u8]) -> WaitMeaning {
        match (word, self) {
            (b"wait", _) => WaitMeaning::Known(Handover::Listener),
            (b"nowait", _) => WaitMeaning::Known(Handover::Connection),
            (word, WaitRule::Prefix) if word.starts_with(b"wait") => {
                WaitMeaning::TakenFor(Handover::Listener)
            }
            (word, WaitRule::Prefix) if word.starts_with(b"nowait") => {
                WaitMeaning::TakenFor(Handover::Connection)
            }
            (_, WaitRule::ElseNowait) => WaitMeaning::TakenFor(Handover::Connection),
            (_, WaitRule::Exact | WaitRule::Prefix) => WaitMeaning::Unknown,
        }
    }
}

impl WaitLimit {
    /// Reads what stands behind the mark.
    fn read(&self, text: &Word, limits: &mut LimitWords) {
        let limit = |word| Some(LimitWord { word, zero: self.zero, numeral: self.numeral, refuses: false });
        match self.limits {
            Limited::Starts => limits.starts = limit(text.clone()),
            Limited::ChildrenAndSources => {
                // What stands behind a third mark is more of the third number, and wrong.
                let mut parts = split_at_most(text, self.mark, 3).into_iter();
                limits.children =
                    parts.next().and_then(limit).map(|limit| LimitWord { refuses: true, ..limit });
                limits.source_starts = parts.next().and_then(limit);
                limits.source_children = parts.next().and_then(limit);
            }
        }
    }
}

/// `[:user:group:mode:]/path`, which is FreeBSD's.
fn take_apart_path(entry: &mut Entry, first: &Word) {
    let mut parts = split(first, b':').into_iter();
    match [parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next()] {
        [Some(empty), Some(user), Some(group), Some(mode), Some(_), None] if empty.value.is_empty() => {
            let named = |word: Word| if word.value.is_empty() { None } else { Some(word) };
            entry.hosts = Vec::new();
            entry.file =
                FileWords { user: named(user), group: named(group), mode: named(mode), ..entry.file.clone() };
        }
        _ => {}
    }
}

fn not_in_dialect(word: &Word, dialect: &Dialect, hint: &str) -> Diagnostic {
    let message = format!("{} does not know the word {:?}", dialect.name, printable(&word.value));
    Diagnostic::warning("not-in-dialect", Place::Text(word.span), message).hint(hint)
}

fn bad_buffer(name: &Word, part: &Word) -> Diagnostic {
    let original =
        format!("{}: malformed buffer size option `{}'", printable(&name.value), printable(&part.value));
    Diagnostic::error("bad-buffer-size", Place::Text(part.span), "not a buffer size, or given twice")
        .expected("sndbuf=N or rcvbuf=N, N in bytes or with k or m")
        .original(original)
}

/// The mark stands where the next column belongs, behind the last word.
fn too_few(span: Span, have: usize) -> Diagnostic {
    let end = Span { start: span.end, ..span };
    let message = format!("the line ends before the {}", COLUMNS[have]);
    Diagnostic::error("not-enough-fields", Place::Text(end), message)
        .expected(format!("six columns: {}", COLUMNS.join(", ")))
        .hint("a line that goes on with the one above begins with a blank")
        .original("syntax error in inetd config file")
}
