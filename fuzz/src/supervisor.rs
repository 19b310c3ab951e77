//! Anything that can happen to a daemon, in any order.
//!
//! The bytes choose what happens and what the system answers. What has to hold at each step is in `shell`; here is
//! what has to hold over a reload, and what can happen at all.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Unstructured;
use usherd_model::access::{Account, Accounts, Contents, Files, Tables};
use usherd_model::config::inetd::DialectName;
use usherd_model::event::{Event, Exit};
use usherd_model::failure::{Errno, Step};
use usherd_model::service::{
    AtLimit, Config, ListenerKey, Rate, Redirect, Service, SocketKind, Targets, Task,
};
use usherd_model::supervisor::Settings;

use crate::configuration::{limits, read};
use crate::machine::Machine;
use crate::shell::Shell;

/// Longer stories find nothing that shorter ones do not.
const MOVES: usize = 300;

/// Checks one story.
pub fn check(bytes: &[u8]) {
    let mut fate = Fate { bytes: Unstructured::new(bytes), is_kind: false };
    let settings = Settings {
        max_children: 1 + u32::from(fate.below(4)),
        max_sessions: 1 + u32::from(fate.below(3)),
        ..Settings::default()
    };
    let mut shell = Shell::new(settings, fate);
    for _ in 0..MOVES {
        if shell.fate.bytes.is_empty() {
            break;
        }
        happen(&mut shell);
    }
    shell.check_recovery();
}

fn happen(shell: &mut Shell) {
    let index = |shell: &mut Shell| usize::from(shell.fate.below(255));
    match shell.fate.below(16) {
        0 => reload(shell),
        1..=6 => {
            let index = index(shell);
            shell.call(index);
        }
        7 => {
            let index = index(shell);
            shell.late(index);
        }
        8..=10 => {
            let (index, how) = (index(shell), shell.fate.below(8));
            let failure = (how == 0).then_some((Step::Exec, Errno(2)));
            let exit = match how {
                0 => Exit::Status(127),
                1 => Exit::Signal(9),
                _ => Exit::Status(0),
            };
            shell.end(index, exit, failure);
        }
        11 => {
            let index = index(shell);
            shell.end_session(index);
        }
        12 => {
            shell.wait_for_deadline();
        }
        13 => {
            let milliseconds = u64::from(shell.fate.below(255)).pow(2);
            shell.wait(Duration::from_millis(milliseconds));
        }
        14 if shell.rpcbind_answers() || shell.tables_are_read() => {}
        14 => shell.raise(Event::RetryRequested),
        _ => {
            let index = index(shell);
            if !shell.look_up_answers(index) && !shell.redirect_goes_on(index) {
                shell.loops(index);
            }
        }
    }
}

fn reload(shell: &mut Shell) {
    shell.raise(Event::ReloadRequested);
    assert!(std::mem::take(&mut shell.is_loading), "a reload loads");
    if shell.fate.below(8) == 1 {
        let before = shell.open_keys();
        shell.raise(Event::LoadFailed("no answer".to_owned()));
        assert_eq!(shell.open_keys(), before, "a failed load changes something");
        return;
    }
    let config = configuration(&mut shell.fate);
    let wanted: BTreeSet<ListenerKey> = config
        .services
        .iter()
        .flat_map(|service| &service.listeners)
        .map(|listener| listener.key.clone())
        .collect();
    let is_whole = config.broken.is_empty() && config.unreadable.is_empty();
    let is_unreadable = !config.unreadable.is_empty();
    let before = shell.open_keys();
    shell.raise(Event::Loaded(Box::new(config)));
    let after = shell.open_keys();
    for (key, id) in &before {
        if wanted.contains(key) || is_unreadable {
            assert_eq!(after.get(key), Some(id), "a socket that stays was closed: {key:?}");
        } else if is_whole {
            assert!(!after.contains_key(key), "a socket that is gone stays open: {key:?}");
        }
    }
}

const FILE: &str = "/etc/inetd.conf";

/// A configuration of a few services that may well be those of the one before.
fn configuration(fate: &mut Fate) -> Config {
    if fate.below(16) == 1 {
        return Config { unreadable: vec![FILE.to_owned()], ..Config::default() };
    }
    let mut text = String::new();
    for port in 1001..1005 {
        line(&mut text, port, fate);
    }
    if fate.below(3) == 1 {
        text.push_str("1000 stream tcp4 nowait root internal tcpmux\n");
        text.push_str("tcpmux/+a stream tcp4 nowait nobody /bin/server\n");
        text.push_str(if fate.below(2) == 1 {
            "tcpmux/b stream tcp4 nowait eve /bin/server\n"
        } else {
            "tcpmux/b stream tcp4 nowait root internal echo\n"
        });
    }
    let mut config =
        read(DialectName::Union, FILE, text.as_bytes()).check(&mut Machine { is_root: true, has_ipv6: true });
    for service in &mut config.services {
        if fate.below(6) == 1 {
            redirect(service, fate);
        }
        let starts = service.limits.starts;
        let mut limits = limits();
        limits.starts = starts;
        let few = |fate: &mut Fate| Some(1 + u32::from(fate.below(2)));
        limits.children = if fate.below(3) == 1 { few(fate) } else { None };
        limits.source_children = if fate.below(4) == 1 { few(fate) } else { None };
        let window = Duration::from_secs(10);
        let source_starts = if fate.below(4) == 1 { few(fate) } else { None };
        limits.source_starts = source_starts.map(|count| Rate { count, window });
        limits.at_limit = if fate.below(3) == 1 { AtLimit::Refuse } else { AtLimit::Pause };
        service.limits = Arc::new(limits);
    }
    config.tables = Some(tables(fate));
    config
}

/// Makes a service of connections a redirect.
fn redirect(service: &mut Service, fate: &mut Fate) {
    if service.listeners.iter().all(|listener| listener.key.kind == SocketKind::Stream) {
        let targets = Targets::new([SocketAddr::from(([192, 0, 2, 80], 80))]).expect("an address");
        let is_unknown = fate.below(4) == 1;
        let unknown = Redirect::Unavailable("no such host".into());
        service.task = Task::Redirect(if is_unknown { unknown } else { Redirect::To(targets) });
        service.wrapped = None;
    }
}

/// Tables that let in, refuse, do something, or need to know something.
pub fn tables(fate: &mut Fate) -> Tables {
    let mut table = || match fate.below(8) {
        0 => "ALL: ALL\n",
        1 => "ALL: joe@ALL\n",
        2 => "ALL: .example.com, joe\n",
        3 => "ALL: 10.\n",
        4 => "ALL: ALL: spawn echo %n\n",
        5 => "ALL: ALL: twist echo %a\n",
        _ => "",
    };
    let (allow, deny) = (table(), table());
    Tables::read("allow", "deny", &mut Both { allow, deny }, &mut Nobody)
}

struct Both {
    allow: &'static str,
    deny: &'static str,
}

impl Files for Both {
    fn contents(&mut self, path: &[u8]) -> Contents {
        let text = if path == b"allow" { self.allow } else { self.deny };
        Contents::Text(text.as_bytes().into())
    }
}

struct Nobody;

impl Accounts for Nobody {
    fn account(&mut self, _: &str, _: Option<u32>) -> Result<Option<Account>, String> {
        Ok(None)
    }

    fn gid(&mut self, _: &str) -> Result<Option<u32>, String> {
        Ok(None)
    }
}

/// One service, or none, or two that share what one had.
fn line(text: &mut String, port: u16, fate: &mut Fate) {
    let host = match fate.below(8) {
        0 | 1 => return,
        2 => "127.0.0.6:",
        3 => "127.0.0.6,127.0.0.7:",
        4 => "127.0.0.7,127.0.0.6:",
        _ => "",
    };
    let (kind, protocol) = match fate.below(6) {
        0 => ("dgram", "udp4"),
        1 => ("dgram", "udp"),
        2 => ("stream", "sctp"),
        3 => ("stream", "tcp"),
        _ => ("stream", "tcp4"),
    };
    let wait = match fate.below(6) {
        0 | 1 => "wait",
        2 => "nowait.1",
        3 => "wait.2",
        _ => "nowait",
    };
    // The same number is a port or an RPC program.
    let (name, protocol) = match fate.below(8) {
        0 => (format!("{port}/1-2"), format!("rpc/{protocol}")),
        1 => (format!("{port}/2"), format!("rpc/{protocol}")),
        _ => (port.to_string(), protocol.to_owned()),
    };
    let program = match fate.below(6) {
        0 => "root internal echo",
        1 => "eve /bin/server",
        2 => "nobody /bin/server",
        3 => "nobody /usr/sbin/tcpd /bin/server",
        _ => "root /bin/server",
    };
    writeln!(text, "{host}{name} {kind} {protocol} {wait} {program}").expect("a string takes everything");
    if host == "127.0.0.6:" && fate.below(2) == 0 {
        writeln!(text, "127.0.0.7:{name} {kind} {protocol} {wait} {program} other")
            .expect("a string takes everything");
    }
}

/// What decides: the bytes, while there are any.
pub struct Fate<'a> {
    bytes: Unstructured<'a>,
    /// From now on everything succeeds.
    pub is_kind: bool,
}

impl Fate<'_> {
    /// A number below `end`; the largest, which is never a fault, when everything succeeds.
    pub fn below(&mut self, end: u8) -> u8 {
        if self.is_kind { end - 1 } else { self.bytes.arbitrary::<u8>().unwrap_or_default() % end }
    }

    /// A caller.
    pub fn peer(&mut self) -> Option<SocketAddr> {
        match self.below(6) {
            0 => None,
            1 => Some(SocketAddr::from(([192, 0, 2, 1], 20))),
            host => Some(SocketAddr::from(([192, 0, 2, host], 1024))),
        }
    }
}
