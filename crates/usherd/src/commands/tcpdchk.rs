//! tcpdchk, by name: what is wrong with hosts.allow, hosts.deny and inetd.conf, in the words of the original.
//!
//! Source: tcpdchk(8), and what the original would print if Debian's build did not lose its findings. `usherd check` says
//! the same with the place of every word, and more.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::metadata;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use usherd_model::access::{
    Asked, Contents, Endpoint, Facts, Files, Found, HostWord, ListedRule, NoteKind, Outcome, Request, Tables,
    Verdict, Which, banner, decide, host_word, listed,
};
use usherd_model::config::NoIncludes;
use usherd_model::config::inetd::{DialectName, parse};
use usherd_model::config::syntax::{Tree, Word};
use usherd_model::diagnostic::Diagnostics;
use usherd_model::diagnostic::printable;
use usherd_model::lookups::Question;
use usherd_model::source::Sources;
use usherd_sys::names;

use crate::errno;
use crate::exit_code::Exit;
use crate::lookup;
use crate::machine::Machine;
use crate::output::{answer, complain};
use crate::tables::{self, OnDisk};

const USAGE: &str = "usage: tcpdchk [-a] [-d] [-i inet_conf] [-v]\n\t-a: report rules with implicit \"ALLOW\" at end\n\t-d: use allow/deny files in current directory\n\t-i: location of inetd.conf file\n\t-v: list all rules\n";

/// Where inetd.conf can be.
const INETD_CONF: [&str; 1] = ["/etc/inetd.conf"];

pub(super) fn run(arguments: impl Iterator<Item = OsString>) -> Exit {
    let (mut implicit, mut here, mut verbose, mut inetd_conf) = (false, false, false, None);
    let mut words = arguments.map(|word| word.to_string_lossy().into_owned()).skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-a" => implicit = true,
            "-d" => here = true,
            "-v" => verbose = true,
            "-i" => inetd_conf = words.next(),
            option => {
                if let Some(letter) = option.strip_prefix('-').and_then(|rest| rest.chars().next()) {
                    complain(&format!("tcpdchk: invalid option -- '{letter}'"));
                }
                complain(USAGE);
                return Exit::Failure;
            }
        }
    }
    let wrapped = match Wrapped::read(inetd_conf.as_deref(), &KNOWN) {
        Ok(wrapped) => wrapped,
        Err(why) => {
            complain(&why);
            return Exit::Failure;
        }
    };
    let mut out = wrapped.findings();
    if verbose {
        out.push_str(&format!("Using network configuration file: {}\n", wrapped.path));
    }
    let (allow, deny) = if here { ("hosts.allow", "hosts.deny") } else { (tables::ALLOW, tables::DENY) };
    let mut check = Check { wrapped, implicit, verbose, out };
    check.table(allow, Which::Allow);
    check.table(deny, Which::Deny);
    answer(&check.out, Exit::Success)
}

/// What inetd.conf starts, and whether through tcpd.
#[derive(Debug)]
pub(super) struct Wrapped {
    path: String,
    findings: String,
    /// Whether a process is wrapped; those that were complained of once are not again.
    processes: std::cell::RefCell<BTreeMap<String, bool>>,
}

/// Daemons that ask libwrap themselves.
const KNOWN: [&str; 23] = [
    "portmap",
    "mountd",
    "statd",
    "ugidd",
    "redir",
    "rlinetd",
    "sshd",
    "atftpd",
    "diald",
    "esound",
    "gdm",
    "gnome-session",
    "icecast",
    "icecast_admin",
    "icecast_client",
    "icecast_source",
    "mysqld",
    "ntop",
    "pptpd",
    "rquotad",
    "sendmail",
    "smail",
    "tcpd",
];

impl Wrapped {
    /// Reads the file that is named, or the first that there is. `known` are daemons that need not be in it.
    pub(super) fn read(path: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let path = match path {
            Some(path) => path,
            None => INETD_CONF.into_iter().find(|path| Path::new(path).exists()).ok_or(
                "Cannot find your inetd.conf or tlid.conf file.\nPlease specify its location.".to_owned(),
            )?,
        };
        let text = std::fs::read(path)
            .map_err(|error| format!("open {path}: {}", errno::words(errno::from_io(&error))))?;
        let processes = known.iter().map(|name| ((*name).to_owned(), true)).collect();
        let mut wrapped = Self {
            path: path.to_owned(),
            findings: String::new(),
            processes: std::cell::RefCell::new(processes),
        };
        wrapped.read_lines(path, text);
        Ok(wrapped)
    }

    fn read_lines(&mut self, path: &str, text: Vec<u8>) {
        let mut sources = Sources::default();
        let file = sources.add(path, text);
        let mut tree = Tree::default();
        let dialect = DialectName::Openbsd.dialect();
        parse(&mut sources, file, dialect, &mut NoIncludes, &mut tree, &mut Diagnostics::default());
        for entry in &tree.entries {
            let line = sources.locate(entry.span).line;
            let program = text_of(&entry.program);
            let program = program.strip_prefix('?').unwrap_or(&program).to_owned();
            if program == "internal" {
                continue;
            }
            // Some systems' files have no column for the user.
            if entry.owner.value.starts_with(b"/") {
                let own = text_of(&entry.program);
                let next = entry.arguments.first().map(text_of).unwrap_or_default();
                self.entry(line, &text_of(&entry.protocol), &text_of(&entry.owner), &own, &next);
                continue;
            }
            // Where none is written, the tree has the program's own name in the place of argv[0].
            let own = entry.arguments.first().filter(|word| word.span != entry.program.span);
            let Some(own) = own else {
                self.warn(line, "incomplete line");
                continue;
            };
            let next = entry.arguments.get(1).map(text_of).unwrap_or_default();
            self.entry(line, &text_of(&entry.protocol), &program, &text_of(own), &next);
        }
    }

    fn entry(&mut self, line: u32, protocol: &str, program: &str, own: &str, next: &str) {
        let daemon = base(own);
        self.check_program(line, program, program);
        if ["rexd", "rpc.rexd"].contains(&daemon) {
            self.warn(line, &format!("{daemon} may be an insecure service"));
        }
        let is_wrapped = base(program) == "tcpd";
        if is_wrapped {
            if daemon == "tcpd" {
                self.warn(line, "tcpd is recursively calling itself");
            }
            if metadata(program).is_ok_and(|found| found.mode() & 0o6000 != 0) {
                self.warn(line, &format!("{program}: file is set-uid or set-gid"));
            }
            if own.starts_with('/') && daemon == base(next) {
                self.warn(line, &format!("{program} inserted before {own}"));
            }
            if own.starts_with('/') {
                self.check_program(line, own, own);
            } else {
                self.check_program(line, &format!("/usr/sbin/{own}"), own);
            }
            if protocol == "rpc/tcp" {
                self.warn(line, &format!("{daemon}: cannot wrap rpc/tcp services"));
            }
        }
        self.processes.borrow_mut().insert(daemon.to_owned(), is_wrapped);
    }

    /// Looks at a program's file; `shown` is its name where it has to be there without a folder of its own.
    fn check_program(&mut self, line: u32, path: &str, shown: &str) {
        for folder in Path::new(path).ancestors().skip(1) {
            let is_open = |found: std::fs::Metadata| {
                found.permissions().mode() & 0o002 != 0 && found.permissions().mode() & 0o1000 == 0
            };
            if metadata(folder).is_ok_and(is_open) {
                self.warn(line, &format!("{}: world writable", folder.display()));
            }
        }
        match metadata(path) {
            Err(error) => {
                let why = errno::words(errno::from_io(&error));
                let place = if shown == path { "" } else { " in /usr/sbin" };
                self.warn(line, &format!("{shown}: not found{place}: {why}"));
            }
            Ok(found) if found.mode() & 0o100 == 0 => self.warn(line, &format!("{path}: not executable")),
            Ok(found) if found.mode() & 0o002 != 0 => self.warn(line, &format!("{path}: world writable")),
            Ok(_) => {}
        }
    }

    fn warn(&mut self, line: u32, text: &str) {
        let path = &self.path;
        self.findings.push_str(&format!("warning: {path}, line {line}: {text}\n"));
    }

    /// What is wrong with the file itself.
    pub(super) fn findings(&self) -> String {
        self.findings.clone()
    }

    /// What there is to say about a daemon's name, the first time.
    fn finding(&self, daemon: &str) -> Option<String> {
        let found = self.processes.borrow_mut().insert(daemon.to_owned(), true);
        match found {
            Some(true) => None,
            Some(false) => Some(format!("{daemon}: service possibly not wrapped")),
            None => Some(format!("{daemon}: no such process name in {}", self.path)),
        }
    }

    /// The same as a line.
    pub(super) fn about(&self, daemon: &str) -> String {
        self.finding(daemon).map_or_else(String::new, |text| format!("warning: {text}\n"))
    }
}

fn text_of(word: &Word) -> String {
    String::from_utf8_lossy(&word.value).into_owned()
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The tables, one rule after the other.
struct Check {
    wrapped: Wrapped,
    implicit: bool,
    verbose: bool,
    out: String,
}

impl Check {
    fn table(&mut self, path: &str, which: Which) {
        let text = match OnDisk::default().contents(path.as_bytes()) {
            Contents::Text(text) => text,
            Contents::Missing => return,
            Contents::Folder => {
                return self.out.push_str(&format!("warning: cannot open {path}: Is a directory\n"));
            }
            Contents::Unreadable(why) => {
                return self.out.push_str(&format!("warning: cannot open {path}: {why}\n"));
            }
        };
        for rule in listed(&text) {
            self.rule(path, which, &rule);
        }
    }

    fn rule(&mut self, path: &str, which: Which, rule: &ListedRule) {
        let mut say = Say { path, line: rule.line, out: String::new() };
        let Some((daemons, clients)) = &rule.lists else {
            say.warn("missing \":\" separator");
            self.out.push_str(&say.out);
            return;
        };
        if self.verbose {
            say.out.push_str(&format!("\n>>> Rule {path} line {}:\n", rule.line));
            say.out.push_str(&format!("daemons:  {}\n", shown(daemons)));
        }
        self.daemons(daemons, &mut say);
        if self.verbose {
            say.out.push_str(&format!("clients:  {}\n", shown(clients)));
        }
        check_clients(clients, &mut say);
        self.options(which, rule, &mut say);
        self.out.push_str(&say.out);
    }

    fn daemons(&self, words: &[Box<[u8]>], say: &mut Say<'_>) {
        for word in words.iter().filter(|word| !is(word, "EXCEPT")) {
            let (name, host) = host_word(word);
            if let Some(host) = host
                && check_host(&host, say) > 1
            {
                say.warn(&format!("host {} has more than one address", printable(&host)));
                say.warn("(consider using an address instead)");
            }
            if check_name(&name, "daemon", &["ALL", "unknown"], say) {
                let finding = self.wrapped.finding(&printable(&name));
                finding.iter().for_each(|text| say.warn(text));
            }
        }
        if ends_empty(words) {
            say.warn("daemon list is empty or ends in EXCEPT");
        }
    }

    fn options(&self, which: Which, rule: &ListedRule, say: &mut Say<'_>) {
        let default = if which == Which::Allow { Verdict::Allow } else { Verdict::Deny };
        let mut verdict = default;
        if let Some(options) = &rule.options {
            let decision = dry_run(which, options);
            for option in &decision.options {
                if self.verbose {
                    say.out.push_str(&format!("option:   {}\n", printable(option)));
                }
                let shown = banner_of(option, b"daemon_name");
                match shown {
                    Ok(text) if self.verbose => say.out.push_str(&text),
                    Ok(_) => {}
                    Err(why) => say.warn(&why),
                }
            }
            for note in &decision.notes {
                match note.kind {
                    NoteKind::Warning => say.warn(&note.text),
                    NoteKind::Error => say.error(&note.text),
                }
            }
            verdict = if decision.verdict == Verdict::Twist { default } else { decision.verdict };
            let ends = decision.options.last().is_some_and(|last| {
                [b"allow ".as_slice(), b"deny "].contains(&last.as_slice()) || last.starts_with(b"twist ")
            });
            if self.implicit && which == Which::Allow && !ends && decision.verdict != Verdict::Deny {
                say.warn("implicit \"allow\" at end of rule");
            }
        } else if self.implicit && which == Which::Allow {
            say.warn("implicit \"allow\" at end of rule");
        }
        if self.verbose {
            say.out.push_str(if verdict == Verdict::Deny {
                "access:   denied\n"
            } else {
                "access:   granted\n"
            });
        }
    }
}

/// Writes findings of one rule.
struct Say<'a> {
    path: &'a str,
    line: u32,
    out: String,
}

impl Say<'_> {
    fn warn(&mut self, text: &str) {
        self.out.push_str(&format!("warning: {}, line {}: {text}\n", self.path, self.line));
    }

    fn error(&mut self, text: &str) {
        self.out.push_str(&format!("error: {}, line {}: {text}\n", self.path, self.line));
    }
}

fn shown(words: &[Box<[u8]>]) -> String {
    words.iter().map(|word| printable(word)).collect::<Vec<_>>().join(" ")
}

fn is(word: &[u8], other: &str) -> bool {
    word.eq_ignore_ascii_case(other.as_bytes())
}

fn ends_empty(words: &[Box<[u8]>]) -> bool {
    words.last().is_none_or(|last| is(last, "EXCEPT"))
}

fn is_reserved(word: &[u8]) -> bool {
    ["unknown", "paranoid", "KNOWN", "ALL", "LOCAL", "EXCEPT", "FAIL"]
        .iter()
        .any(|reserved| is(word, reserved))
}

/// Whether a name means nothing but itself; what is odd about it is said.
fn check_name(name: &[u8], what: &str, wildcards: &[&str], say: &mut Say<'_>) -> bool {
    let text = printable(name);
    match name {
        [b'@', ..] => say.warn(&format!("{text}: {what} name begins with \"@\"")),
        [b'/', ..] => say.warn(&format!("{text}: {what} name begins with \"/\"")),
        [b'.', ..] => say.warn(&format!("{text}: {what} name begins with dot")),
        [.., b'.'] => say.warn(&format!("{text}: {what} name ends in dot")),
        _ if wildcards.iter().any(|word| is(name, word)) => {}
        _ if is(name, "FAIL") => say_fail(say),
        _ if is_reserved(name) => say.warn(&format!("{text}: {what} name may be reserved word")),
        _ => return true,
    }
    false
}

fn say_fail(say: &mut Say<'_>) {
    say.warn("FAIL is no longer recognized");
    say.warn("(use EXCEPT or DENY instead)");
}

fn check_clients(words: &[Box<[u8]>], say: &mut Say<'_>) {
    for word in words.iter().filter(|word| !is(word, "EXCEPT")) {
        let (first, host) = host_word(word);
        match host {
            Some(host) => {
                check_name(&first, "user", &["ALL", "unknown", "KNOWN"], say);
                check_host(&host, say);
            }
            None => {
                check_host(&first, say);
            }
        }
    }
    if ends_empty(words) {
        say.warn("client list is empty or ends in EXCEPT");
    }
}

/// Says what is odd about a host pattern. How many addresses it has, where it is a name.
fn check_host(word: &[u8], say: &mut Say<'_>) -> usize {
    let text = printable(word);
    match HostWord::of(word) {
        HostWord::Netgroup(group) => say.warn(&format!("{}: unknown or empty netgroup", printable(&group))),
        HostWord::File => {
            if let Contents::Unreadable(why) = OnDisk::default().contents(word) {
                say.warn(&format!("open {text}: {why}"));
            }
        }
        HostWord::FalseNet(net) => say.error(&net.to_string()),
        HostWord::BadNet => say.warn(&format!("{text}: bad net/mask pattern")),
        HostWord::Net => {}
        HostWord::Text if is(word, "FAIL") => say_fail(say),
        HostWord::Text if is_reserved(word) => {}
        HostWord::Text if word.ends_with(b".") => {
            say.warn(&format!("{text}: domain or host name ends in dot"));
        }
        HostWord::Text if word.starts_with(b".") => {}
        HostWord::Text => return check_dns(&text, say),
        HostWord::Number if ["0.0.0.0", "255.255.255.255"].contains(&text.as_str()) => {}
        HostWord::Number if word.starts_with(b".") => {
            say.warn(&format!("{text}: network number begins with dot"));
        }
        HostWord::Number if word.ends_with(b".") => {}
        HostWord::Number => return check_dns(&text, say),
    }
    1
}

/// Asks for a host as the original does: its addresses, and of each its name.
fn check_dns(host: &str, say: &mut Say<'_>) -> usize {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let numeric = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<IpAddr>().ok(),
    };
    // One in brackets is compared as an address, and has no name to be asked for.
    if bare.is_some() && numeric.is_some() {
        return 1;
    }
    let found: Vec<SocketAddr> = match numeric {
        Some(ip) => vec![SocketAddr::new(ip, 0)],
        None => match names::c_name(host) {
            Some(name) => {
                [false, true].into_iter().flat_map(|v6| names::host(&name, v6).unwrap_or_default()).collect()
            }
            None => Vec::new(),
        },
    };
    if found.is_empty() {
        say.warn(&format!("{host}: host not found"));
    }
    for address in &found {
        check_address(host, *address, numeric.is_some(), say);
    }
    found.len()
}

fn check_address(host: &str, address: SocketAddr, is_numeric: bool, say: &mut Say<'_>) {
    let (found, remark) = lookup::answer(Question::Name(address));
    remark.iter().for_each(|remark| say.warn(remark));
    let Found::Text(name) = found else { return };
    if is(&name, "unknown") {
        say.warn(&format!("host address {}->name lookup failed", address.ip()));
    } else if !is_numeric && !is(&name, "paranoid") && !is(&name, host) {
        say.warn(&format!("{host}: hostname alias"));
        say.warn(&format!("(official name: {})", printable(&name)));
    }
}

/// What a `banners` option would send; nothing for another option, or when there is no banner for this daemon.
///
/// # Errors
///
/// Why its folder cannot be looked at.
pub(super) fn banner_of(option: &[u8], daemon: &[u8]) -> Result<String, String> {
    let Some(folder) = option.strip_prefix(b"banners ") else { return Ok(String::new()) };
    let folder = Path::new(OsStr::from_bytes(folder));
    let Contents::Text(text) =
        OnDisk::default().contents(folder.join(OsStr::from_bytes(daemon)).as_os_str().as_bytes())
    else {
        let words = |error| errno::words(errno::from_io(&error));
        return metadata(folder)
            .map(|_| String::new())
            .map_err(|error| format!("{}: {}", folder.display(), words(error)));
    };
    let known = || Some(Found::text(b"unknown"));
    let facts = Facts { client_name: known(), server_name: known(), user: known() };
    let request = Request::new(daemon, Endpoint::unknown(), Endpoint::unknown());
    let said = banner(&text, &request, &facts, Asked::default()).map(|(said, _)| said).unwrap_or_default();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// What a rule's options come to, for a made-up caller.
fn dry_run(which: Which, options: &[u8]) -> usherd_model::access::Decision {
    let text = [b"ALL: ALL:", options, b"\n"].concat();
    let (allow, deny) = if which == Which::Allow { (text, Vec::new()) } else { (Vec::new(), text) };
    let tables = Tables::read("allow", "deny", &mut Texts { allow, deny }, &mut Machine::default());
    let known = |text: &str| Some(Found::text(text.as_bytes()));
    let facts = Facts {
        client_name: known("client_hostname"),
        server_name: known("server_hostname"),
        user: known("client_user"),
    };
    let request =
        Request::new(b"daemon_name", Endpoint::text(b"client_addr"), Endpoint::text(b"server_addr"));
    match decide(&tables, &request, &facts) {
        Outcome::Decided(decision) => *decision,
        Outcome::Needs(..) => usherd_model::access::Decision::undecided(),
    }
}

struct Texts {
    allow: Vec<u8>,
    deny: Vec<u8>,
}

impl Files for Texts {
    fn contents(&mut self, path: &[u8]) -> Contents {
        Contents::Text(if path == b"allow" { &self.allow } else { &self.deny }.as_slice().into())
    }
}
