//! What runs when somebody calls, and whom it runs as.

use std::sync::Arc;

use super::wrapped::{is_tcpd, is_tcpd_name, tcpd_program};
use super::{Checker, quoted};
use crate::config::facts::{NoAnswer, User};
use crate::config::mux;
use crate::config::syntax::{Account, Attributes, Entry, Transport, WaitMeaning, Word, base};
use crate::diagnostic::printable;
use crate::numeral;
use crate::service::{
    Builtin, CommandLine, Credentials, Handover, Identity, ListenAddress, Listener, OURSELVES, Program,
    RESOLVER, Service, SocketKind, Task, Unavailable,
};

impl Checker<'_> {
    pub(super) fn handover(&mut self, entry: &Entry, kind: Option<SocketKind>) -> Option<Handover> {
        let wait = &entry.wait;
        let handover = match entry.handover {
            WaitMeaning::Known(handover) => handover,
            WaitMeaning::TakenFor(handover) => {
                let message = format!("{} is neither wait nor nowait", quoted(wait));
                self.warning("bad-wait", wait, message).hint =
                    format!("taken as {}, as the original does", handover.word());
                handover
            }
            WaitMeaning::Unknown => {
                let message = format!("{} is neither wait nor nowait", quoted(wait));
                self.error("bad-wait", wait, message).expected = "wait or nowait".to_owned();
                return None;
            }
        };
        let is_unix_datagram = entry.transport == Some(Transport::Unix) && kind == Some(SocketKind::Datagram);
        if handover == Handover::Connection && is_unix_datagram {
            self.warning("unix-datagrams-wait", wait, "a Unix datagram socket cannot be had twice").hint =
                "served as wait: one program at a time gets the socket".to_owned();
            return Some(Handover::Listener);
        }
        if handover == Handover::Listener && mux::name(&entry.name).is_some() {
            self.warning("tcpmux-waits", wait, "tcpmux hands over the caller's connection").hint =
                "served as nowait".to_owned();
            return Some(Handover::Connection);
        }
        Some(handover)
    }

    pub(super) fn internal(
        &mut self,
        entry: &Entry,
        kind: SocketKind,
        handover: Option<Handover>,
    ) -> Option<Task> {
        if let Some(Transport::Rpc { .. }) = entry.transport {
            self.error("rpc-internal", &entry.program, "no internal service speaks RPC").expected =
                "a program".to_owned();
            return None;
        }
        // The service's name says which, and arguments are ignored. On a port of another name, which every original
        // refuses, the first argument says it.
        let mux = mux::name(&entry.name).map(|(name, _)| name);
        if entry.attributes.as_ref().is_some_and(|attributes| attributes.flags.sensor.is_some()) {
            // Nobody is served.
            return Some(Task::Builtin(Builtin::Discard));
        }
        let words = std::iter::once(mux.unwrap_or(&entry.name.value))
            .chain(entry.arguments.first().map(|word| word.value.as_slice()));
        // tcpmux behind itself would be a way to ask for ever.
        let is_of_xinetd = entry.attributes.is_some();
        let by_name = |name: &[u8]| Internal::by_name(name, is_of_xinetd);
        let known = words.into_iter().find_map(by_name).or_else(|| self.internal_of_alias(entry));
        let known = known.filter(|known| mux.is_none() || !known.is_tcpmux());
        match known {
            Some(Internal::Builtin(builtin)) if builtin.speaks(kind) => Some(Task::Builtin(builtin)),
            Some(Internal::Auth) if kind == SocketKind::Stream => {
                self.auth(entry, handover).map(Task::Program)
            }
            Some(Internal::Builtin(_) | Internal::Auth) | None => {
                let name = entry.arguments.first().filter(|_| known.is_none()).unwrap_or(&entry.name);
                let message = format!("internal service {} unknown", printable(&name.value));
                let diagnostic = self.error("unknown-internal", name, message);
                diagnostic.original = format!("internal service {} unknown", printable(&entry.name.value));
                let streams = if is_of_xinetd {
                    "auth, tcpmux, services, servers or xadmin"
                } else {
                    diagnostic.hint = "on another port, name it behind the word: internal echo".to_owned();
                    "auth or tcpmux"
                };
                diagnostic.expected = format!(
                    "echo, discard, chargen, daytime or time, over stream or dgram; or {streams}, over stream"
                );
                None
            }
        }
    }

    /// FreeBSD goes by the aliases of /etc/services too, and for a Unix socket by the last part of its path.
    fn internal_of_alias(&mut self, entry: &Entry) -> Option<Internal> {
        let name = entry.name.value.rsplit(|byte| *byte == b'/').next()?;
        let is_of_xinetd = entry.attributes.is_some();
        match entry.transport? {
            Transport::Unix => Internal::by_name(name, is_of_xinetd),
            Transport::Inet { protocol, .. } => {
                let port = self.facts.port(std::str::from_utf8(name).ok()?, protocol)?;
                let mut all = Builtin::ALL.into_iter();
                let builtin = all.find(|one| self.facts.port(one.name(), protocol) == Some(port))?;
                Some(Internal::Builtin(if is_of_xinetd { builtin.of_xinetd() } else { builtin }))
            }
            Transport::Rpc { .. } => None,
        }
    }

    /// What shows the daemon is for those who are on its machine. `None` when others could see it.
    pub(super) fn is_not_shown_to_others(
        &mut self,
        entry: &Entry,
        task: &Task,
        listeners: &[Listener],
    ) -> Option<()> {
        let Task::Builtin(builtin) = task else { return Some(()) };
        let open = listeners.iter().find(|listener| !listener.key.address.is_local());
        let Some(open) = open.filter(|_| builtin.shows_the_daemon()) else { return Some(()) };
        let address = open.key.address.display();
        let message = format!("{} shows what runs here, and others could call it: {address}", builtin.name());
        let diagnostic = self.error("shown-to-others", entry.hosts.first().unwrap_or(&entry.name), message);
        diagnostic.expected = "an address of the loopback, and a port of its own".to_owned();
        diagnostic.hint = "bind = 127.0.0.1".to_owned();
        None
    }

    /// FreeBSD's `auth` is a program of ours: what callers write is not read in the daemon.
    fn auth(&mut self, entry: &Entry, handover: Option<Handover>) -> Option<Program> {
        let arguments: Vec<&[u8]> =
            entry.arguments.iter().skip(1).map(|argument| argument.value.as_slice()).collect();
        if let Some(fault) = self.facts.auth_fault(&arguments) {
            let first = entry.arguments.get(1).unwrap_or(&entry.program);
            self.error("bad-auth-option", first, fault).expected =
                "the options of usherd ident: -d -f -F -g -i -n -o -r -t".to_owned();
            return None;
        }
        if handover == Some(Handover::Listener) {
            self.warning("auth-waits", &entry.wait, "auth answers one caller").hint =
                "served as nowait".to_owned();
        }
        let command = [b"usherd" as &[u8], b"ident"].into_iter().chain(arguments);
        let program = self.program(entry, handover.and(Some(Handover::Connection)))?;
        Some(Program { command: CommandLine::new(OURSELVES, command), ..program })
    }

    pub(super) fn program(&mut self, entry: &Entry, handover: Option<Handover>) -> Option<Program> {
        let command = self.command(entry)?;
        if let Some(long) = entry.arguments.iter().find(|argument| argument.value.len() > MAX_ARGUMENT) {
            let message = format!("an argument of {} bytes", long.value.len());
            self.error("argument-too-long", long, message).expected =
                format!("at most {MAX_ARGUMENT} bytes: the kernel passes no longer one");
            return None;
        }
        let identity = self.identity(&entry.owner, &entry.accounts, entry.attributes.as_deref());
        let process = self.process_settings(entry.attributes.as_deref());
        Some(Program {
            command,
            handover: handover?,
            identity,
            variables: self.defaults.variables,
            stderr: self.defaults.stderr,
            process: process?,
        })
    }

    /// What is executed. tcpd is not: what it would ask is asked before anything is started.
    fn command(&mut self, entry: &Entry) -> Option<CommandLine> {
        let mut arguments = entry.arguments.iter().map(|argument| argument.value.as_slice());
        if !is_tcpd(entry) {
            return Some(CommandLine::new(&entry.program.value, arguments));
        }
        let real = arguments.next().unwrap_or_default();
        if is_tcpd_name(real) {
            self.error("tcpd-of-nothing", &entry.program, "tcpd has no program to start").expected =
                "the real program behind it: /usr/sbin/tcpd /usr/sbin/in.ftpd -l".to_owned();
            return None;
        }
        let path = tcpd_program(real);
        Some(CommandLine::new(&path, std::iter::once(base(real)).chain(arguments)))
    }

    fn identity(&mut self, owner: &Word, accounts: &[Account], attributes: Option<&Attributes>) -> Identity {
        // A command line may leave the user out; a file cannot.
        if owner.value.is_empty() {
            return Identity::Daemon;
        }
        let text = |word: &Word| printable(&word.value);
        // xinetd.conf can have numbers for both.
        let numbered = |name: &str| attributes.and_then(|_| id_of_digits(name));
        let mut known = None;
        for account in accounts {
            let Ok(name) = std::str::from_utf8(&account.user.value) else { continue };
            if let Some(number) = numbered(name) {
                let user = User { name: name.to_owned(), uid: number, gid: number };
                known = Some((user, account.group.as_ref().map(text)));
                break;
            }
            match self.facts.user(name) {
                Ok(Some(user)) => {
                    known = Some((user, account.group.as_ref().map(text)));
                    break;
                }
                Ok(None) => {}
                // The next reading could be another user.
                Err(NoAnswer(why)) => {
                    return self.unavailable(owner, Unavailable::NotLookedUp(name.to_owned(), why));
                }
            }
        }
        let Some((user, group)) = known else {
            // The shortest reading: a group behind a user is no part of the user's name.
            let shortest = accounts.iter().map(|account| &account.user).min_by_key(|user| user.value.len());
            return self.unavailable(owner, Unavailable::NoSuchUser(text(shortest.unwrap_or(owner))));
        };
        let mut look_up = |group: &str| match numbered(group) {
            Some(number) => Ok(Some(number)),
            None => self.facts.group(group),
        };
        let gid = match group.as_deref().map(|group| (group, look_up(group))) {
            None => user.gid,
            Some((_, Ok(Some(gid)))) => gid,
            Some((group, Ok(None))) => {
                return self.unavailable(owner, Unavailable::NoSuchGroup(group.to_owned()));
            }
            Some((group, Err(NoAnswer(why)))) => {
                return self.unavailable(owner, Unavailable::NotLookedUp(group.to_owned(), why));
            }
        };
        match self.facts.unprivileged_as() {
            None if user.uid == RESOLVER => self.unavailable(owner, Unavailable::Reserved(user.name)),
            None => {
                let groups = match attributes {
                    None => self.facts.groups_of(&user.name, gid),
                    // xinetd keeps the user's own group beside the one that is written.
                    Some(attributes) if attributes.has_groups => self.facts.groups_of(&user.name, user.gid),
                    Some(_) => Vec::new(),
                };
                Identity::User(Arc::new(Credentials { user: user.name, uid: user.uid, gid, groups }))
            }
            Some(own) if own.uid == user.uid && (group.is_none() || gid == own.gid) => Identity::Daemon,
            Some(_) => self.unavailable(owner, Unavailable::NotPermitted(user.name)),
        }
    }

    fn unavailable(&mut self, owner: &Word, why: Unavailable) -> Identity {
        let (code, message, hint) = match &why {
            Unavailable::NoSuchUser(name) => (
                "unknown-user",
                format!("no such user {name:?}"),
                "callers are turned away until a reload finds the user",
            ),
            Unavailable::NoSuchGroup(name) => (
                "unknown-group",
                format!("no such group {name:?}"),
                "callers are turned away until a reload finds the group",
            ),
            Unavailable::NotPermitted(name) => (
                "not-permitted",
                format!("only root can start programs as {name:?}"),
                "run as root, or write the user that usherd runs as",
            ),
            Unavailable::Reserved(name) => (
                "reserved-user",
                format!("{name:?} has the number of usherd's own helper ({RESOLVER})"),
                "give the user another number",
            ),
            Unavailable::NotLookedUp(name, why) => (
                "not-looked-up",
                format!("{name:?} could not be looked up: {why}"),
                "callers are turned away until a reload finds it",
            ),
        };
        self.error(code, owner, message).hint = hint.to_owned();
        Identity::Unavailable(Box::new(why))
    }
}

/// Puts `usherd with-names` in front of a program that is started for TCP connections.
pub(super) fn look_names_up(service: &mut Service) {
    let is_tcp = |listener: &Listener| {
        listener.key.kind == SocketKind::Stream && !matches!(listener.key.address, ListenAddress::Unix(_))
    };
    if let Task::Program(program) = &mut service.task
        && program.handover == Handover::Connection
        && service.listeners.iter().all(is_tcp)
    {
        let words = [b"usherd" as &[u8], b"with-names", b"--", program.command.path()];
        let command = CommandLine::new(OURSELVES, words.into_iter().chain(program.command.arguments()));
        program.command = command;
    }
}

/// A user or group by its number; -1 is nobody's.
fn id_of_digits(digits: &str) -> Option<u32> {
    numeral::number(digits.as_bytes(), 10).filter(|number| *number != u32::MAX)
}

/// What `internal` can mean.
enum Internal {
    Builtin(Builtin),
    Auth,
}

impl Internal {
    fn by_name(name: &[u8], is_of_xinetd: bool) -> Option<Internal> {
        match name {
            // Both are names of port 113.
            b"auth" | b"ident" => Some(Internal::Auth),
            name if is_of_xinetd => Builtin::by_name_of_xinetd(name).map(Internal::Builtin),
            name => Builtin::by_name(name).map(Internal::Builtin),
        }
    }

    fn is_tcpmux(&self) -> bool {
        matches!(self, Internal::Builtin(Builtin::Tcpmux))
    }
}

/// The longest single argument that the kernel takes: `MAX_ARG_STRLEN`, 32 pages, with its end.
const MAX_ARGUMENT: usize = 32 * 4096 - 1;
