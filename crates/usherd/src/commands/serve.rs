//! `usherd serve`: one service from the command line.

use std::os::unix::ffi::OsStringExt;

use clap::ArgMatches;
use usherd_model::config::inetd::DialectName;
use usherd_model::config::syntax::{
    Account, Entry, Families, FileWords, LimitWords, Transport, Tree, WaitMeaning, Word,
};
use usherd_model::config::{Defaults, Wraps};
use usherd_model::first_load::Insistence;
use usherd_model::service::{AtLimit, Handover, Limits, Protocol, Stderr, Voice};
use usherd_model::source::{FileId, Sources, Span, Spanned};
use usherd_model::supervisor::Settings;

use super::{caller_variables, control_path, defaults, inherit, max_sessions, per_minute, table_paths};
use crate::cli::StderrChoice;
use crate::exit_code::Exit;
use crate::message::{CommandLine, Request, SourceSpec};
use crate::output;
use crate::startup::{Background, Options, Speech, Umask};

const FACE: &str = "usherd serve";

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let number = |name: &str| matches.get_one::<u32>(name).copied();
    let program = matches.get_many::<std::ffi::OsString>("program").into_iter().flatten();
    let command = CommandLine {
        listen: matches.get_many::<String>("listen").into_iter().flatten().cloned().collect(),
        user: matches.get_one::<String>("user").cloned().unwrap_or_default(),
        wait: matches.get_flag("wait"),
        program: program.map(|word| word.clone().into_vec()).collect(),
    };
    let command = match resolve_program(command) {
        Ok(command) => command,
        Err(name) => {
            output::complain(&format!("{FACE}: no program {name:?} in the folders of PATH"));
            return Exit::Config;
        }
    };
    let tables = match table_paths(FACE, matches) {
        Ok(tables) => tables,
        Err(exit) => return exit,
    };
    // Whoever names tables means that they are asked.
    let wraps = Wraps { by_path: false, voice: Voice::Tcpd };
    let wraps_programs = matches.contains_id("tables").then_some(wraps);
    let dialect = DialectName::Union;
    let general = defaults(dialect);
    let limits = Limits {
        starts: number("rate").map(per_minute),
        children: number("max"),
        source_children: number("max-per-source"),
        source_starts: number("rate-per-source").map(per_minute),
        at_limit: if matches.get_flag("refuse") { AtLimit::Refuse } else { AtLimit::Pause },
        ..general.limits
    };
    let stderr = match matches.get_one("stderr") {
        Some(StderrChoice::Connection) => Stderr::Connection,
        Some(StderrChoice::Log) | None => Stderr::Log,
    };
    let backlog = number("backlog").unwrap_or(general.backlog);
    let defaults = Defaults {
        limits,
        stderr,
        backlog,
        variables: caller_variables(matches.get_flag("ucspi")),
        wraps_programs,
        ..general
    };
    let options = Options {
        request: Request { sources: vec![SourceSpec::Command(command)], dialect, defaults, tables },
        settings: Settings {
            max_children: number("max-children").unwrap_or(u32::MAX),
            max_sessions: max_sessions(),
            log_connections: !matches.get_flag("quiet"),
            ..Settings::default()
        },
        insistence: Insistence::AllOrNothing,
        speech: Speech::Stderr,
        pid_file: None,
        control: control_path(matches),
        background: Background::Foreground,
        inherit: inherit(matches),
        umask: Umask::Usual,
        on_ready: Box::new(|_| {}),
    };
    super::serve(FACE, options)
}

/// Looks a program without a slash up in `PATH`, as people at a prompt expect it; a relative path is made absolute
/// before the daemon leaves the folder. `argv[0]` stays as it was written. Returns the name of what is not found.
fn resolve_program(mut command: CommandLine) -> Result<CommandLine, String> {
    let Some(first) = command.program.first() else { return Ok(command) };
    let name = String::from_utf8_lossy(first).into_owned();
    let found = if name.contains('/') {
        Some(super::absolute(&name))
    } else {
        let path = std::env::var("PATH").unwrap_or_default();
        path.split(':')
            .map(|folder| format!("{folder}/{name}"))
            .find(|path| std::path::Path::new(path).is_file())
    };
    command.program.insert(0, found.ok_or(name)?.into_bytes());
    Ok(command)
}

/// Adds the service of a command line to the tree, with a text of its own for diagnostics to cite.
pub(super) fn add_command_line(command: &CommandLine, sources: &mut Sources, tree: &mut Tree) {
    let mut text = Vec::new();
    let mut spans = Vec::new();
    let words = command.listen.iter().map(String::as_bytes).chain([command.user.as_bytes()]);
    for word in words.chain(command.program.iter().map(Vec::as_slice)) {
        let start = text.len();
        text.extend(word);
        spans.push((start, text.len()));
        text.push(b' ');
    }
    let file = sources.add("command line", text);
    let word = |index: usize, value: &[u8]| {
        let (start, end) = spans.get(index).copied().unwrap_or_default();
        Spanned::new(value.into(), span(file, start, end))
    };
    let user = command.listen.len();
    let program: Vec<Word> =
        command.program.iter().enumerate().map(|(index, value)| word(user + 1 + index, value)).collect();
    let Some((path, arguments)) = program.split_first() else { return };
    let owner = word(user, command.user.as_bytes());
    for (index, listen) in command.listen.iter().enumerate() {
        let place = Place::of(listen);
        let at = |value: &str| word(index, value.as_bytes());
        tree.entries.push(Entry {
            span: word(index, b"").span.to(path.span),
            name: at(place.port),
            versions: None,
            hosts: place.hosts.iter().map(|host| at(host)).collect(),
            file: FileWords { user: None, group: None, mode: None, default_mode: 0o666 },
            socket_type: at(place.socket_type),
            protocol: at(place.protocol),
            transport: Some(place.transport),
            send_buffer: None,
            receive_buffer: None,
            wait: at(if command.wait { "wait" } else { "nowait" }),
            handover: WaitMeaning::Known(if command.wait {
                Handover::Listener
            } else {
                Handover::Connection
            }),
            limits: LimitWords::default(),
            accounts: accounts(&owner),
            owner: owner.clone(),
            class: None,
            program: path.clone(),
            arguments: arguments.to_vec(),
            attributes: None,
        });
    }
}

/// `USER[:GROUP]`.
fn accounts(owner: &Word) -> Vec<Account> {
    let part = |text: &[u8]| Spanned::new(text.into(), owner.span);
    let mut parts = owner.value.splitn(2, |byte| *byte == b':').map(part);
    parts.next().map(|user| Account { user, group: parts.next() }).into_iter().collect()
}

/// A LISTEN word, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    port: &'a str,
    hosts: Vec<&'a str>,
    socket_type: &'static str,
    protocol: &'static str,
    transport: Transport,
}

impl<'a> Place<'a> {
    /// A bare port is this machine's alone: the whole network must be written out.
    fn of(word: &'a str) -> Self {
        let (protocol, rest) = match word.split_once(':') {
            Some(("udp", rest)) => ("udp", rest),
            Some(("tcp", rest)) => ("tcp", rest),
            _ => ("tcp", word),
        };
        let socket_type = if protocol == "udp" { "dgram" } else { "stream" };
        if rest.starts_with('/') {
            let transport = Transport::Unix;
            return Place { port: rest, hosts: Vec::new(), socket_type, protocol: "unix", transport };
        }
        let (hosts, port) = match rest.rsplit_once(':') {
            None => (vec!["127.0.0.1", "::1"], rest),
            Some((host, port)) => (vec![host.trim_start_matches('[').trim_end_matches(']')], port),
        };
        let families = match protocol {
            "udp" => Families::Both(Protocol::Udp, Protocol::Udp6),
            _ => Families::Both(Protocol::Tcp, Protocol::Tcp6),
        };
        let transport = Transport::Inet { protocol, families };
        Place { port, hosts, socket_type, protocol, transport }
    }
}

fn span(file: FileId, start: usize, end: usize) -> Span {
    let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span { file, start: offset(start), end: offset(end) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_is_for_this_machine_only() {
        assert_eq!(Place::of("2000").hosts, ["127.0.0.1", "::1"]);
        assert_eq!(Place::of("*:2000").hosts, ["*"]);
        assert_eq!(Place::of("[2001:db8::1]:2000").hosts, ["2001:db8::1"]);
        let datagrams = Place::of("udp:192.0.2.1:53");
        assert_eq!(
            (datagrams.hosts, datagrams.port, datagrams.socket_type),
            (vec!["192.0.2.1"], "53", "dgram")
        );
        assert_eq!(Place::of("/run/x.sock").transport, Transport::Unix);
    }
}
