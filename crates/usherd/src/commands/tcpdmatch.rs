//! tcpdmatch, by name: what hosts.allow and hosts.deny would say about a caller, in the words of the original.
//!
//! Source: tcpdmatch(8), and what the original would print if Debian's build did not lose its findings.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};

use usherd_model::access::{Endpoint, Facts, Found, Lookup, Outcome, Request, UNKNOWN, Verdict, decide};
use usherd_model::diagnostic::printable;
use usherd_sys::names;

use super::tcpdchk::{Wrapped, banner_of};
use crate::exit_code::Exit;
use crate::output::{answer, complain};
use crate::tables::{self, TablePaths};

const USAGE: &str = "usage: tcpdmatch [-d] [-i inet_conf] daemon[@host] [user@]host\n\t-d: use allow/deny files in current directory\n\t-i: location of inetd.conf file";

pub(super) fn run(arguments: impl Iterator<Item = OsString>) -> Exit {
    let Some(asked) = Asked::new(arguments) else {
        complain(USAGE);
        return Exit::Failure;
    };
    match asked.answer() {
        Ok(text) => answer(&text, Exit::Success),
        Err(text) => {
            complain(&text);
            Exit::Failure
        }
    }
}

/// A command line.
struct Asked {
    tables: TablePaths,
    inetd_conf: Option<String>,
    daemon: String,
    client: String,
}

impl Asked {
    fn new(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut words = arguments.map(|word| word.to_string_lossy().into_owned()).skip(1).peekable();
        let (mut here, mut inetd_conf) = (false, None);
        while let Some(option) = words.next_if(|word| word.starts_with('-') && word.len() > 1) {
            match option.as_str() {
                "-d" => here = true,
                "-i" => inetd_conf = Some(words.next()?),
                _ => return None,
            }
        }
        let (daemon, client) = (words.next()?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        let tables = if here {
            TablePaths { allow: "hosts.allow".to_owned(), deny: "hosts.deny".to_owned() }
        } else {
            TablePaths::default()
        };
        Some(Self { tables, inetd_conf, daemon, client })
    }

    /// All that is printed; or why nothing can be said.
    fn answer(&self) -> Result<String, String> {
        let wrapped = Wrapped::read(self.inetd_conf.as_deref(), &[])?;
        let mut out = wrapped.findings();
        let (daemon, server) = self
            .daemon
            .split_once('@')
            .map_or((self.daemon.as_str(), None), |(daemon, host)| (daemon, Some(host)));
        let base = daemon.rsplit('/').next().unwrap_or(daemon);
        if base != daemon {
            out.push_str(&format!("warning: {daemon}: daemon name normalized to: {base}\n"));
        }
        out.push_str(&wrapped.about(base));
        let (user, client) = self
            .client
            .rsplit_once('@')
            .map_or((None, self.client.as_str()), |(user, host)| (Some(user), host));
        let server = match server {
            None => Endpoint::unknown(),
            Some(host) => match endpoints(host)?.as_slice() {
                [only] => only.clone(),
                _ => {
                    return Err(format!(
                        "Error: {host} has more than one address\nPlease specify an address instead"
                    ));
                }
            },
        };
        if server.socket.is_some() && server.name.is_none() {
            out.push_str(&format!(
                "warning: host address {}->name lookup failed\n",
                printable(&server.address)
            ));
        }
        let cases: Vec<String> = endpoints(client)?
            .into_iter()
            .map(|client| {
                let user = user.map(|user| user.as_bytes().into());
                self.case(&Request { user, ..Request::new(base.as_bytes(), client, server.clone()) })
            })
            .collect();
        out.push_str(&cases.join("\n"));
        Ok(out)
    }

    fn case(&self, request: &Request) -> String {
        let mut out = String::new();
        let mut line = |end: &str, what: &str, value: &[u8]| {
            if !value.eq_ignore_ascii_case(UNKNOWN) {
                out.push_str(&format!("{end}   {what} {}\n", printable(value)));
            }
        };
        line("client:", "hostname", request.client.name.as_deref().unwrap_or(UNKNOWN));
        line("client:", "address ", &request.client.address);
        line("client:", "username", request.user.as_deref().unwrap_or(UNKNOWN));
        line("server:", "hostname", request.server.name.as_deref().unwrap_or(UNKNOWN));
        line("server:", "address ", &request.server.address);
        line("server:", "process ", &request.daemon);
        let stamped = tables::read_from(&self.tables);
        let nobody_knows = || Some(Found::text(UNKNOWN));
        let mut facts = Facts::default();
        let decision = loop {
            match decide(&stamped.tables, request, &facts) {
                Outcome::Decided(decision) => break decision,
                Outcome::Needs(Lookup::ClientName, _) => facts.client_name = nobody_knows(),
                Outcome::Needs(Lookup::ServerName, _) => facts.server_name = nobody_knows(),
                Outcome::Needs(Lookup::User(_), _) => facts.user = nobody_knows(),
            }
        };
        // What was said before a rule matched comes before it.
        let (before, after): (Vec<_>, Vec<_>) =
            decision.notes.iter().partition(|note| note.rule != decision.rule || decision.rule.is_none());
        let notes = |notes: &[&usherd_model::access::Note]| -> String {
            notes.iter().map(|note| format!("{}\n", note.line(&stamped.tables))).collect()
        };
        out.push_str(&notes(&before));
        if let Some(rule) = decision.rule {
            out.push_str(&format!("matched:  {} line {}\n", stamped.tables.path(rule.table), rule.line));
        }
        for option in &decision.options {
            out.push_str(&format!("option:   {}\n", printable(option)));
            let shown = banner_of(option, &request.daemon);
            out.push_str(&shown.unwrap_or_else(|why| format!("warning: {why}\n")));
        }
        out.push_str(&notes(&after));
        out.push_str(match decision.verdict {
            Verdict::Allow => "access:   granted\n",
            Verdict::Deny => "access:   denied\n",
            Verdict::Twist => "access:   delegated\n",
        });
        out
    }
}

/// A host by its address, whose name is then unknown; or by its name, with every address that it has. The words for what
/// cannot be looked up stand for themselves.
fn endpoints(host: &str) -> Result<Vec<Endpoint>, String> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let (ip, scope) = bare.split_once('%').map_or((bare, ""), |(ip, scope)| (ip, scope));
    if let Ok(ip) = ip.parse::<IpAddr>() {
        let endpoint = Endpoint::of(SocketAddr::new(ip, 0));
        let endpoint = if scope.is_empty() {
            endpoint
        } else {
            Endpoint { address: bare.as_bytes().into(), ..endpoint }
        };
        return Ok(vec![endpoint]);
    }
    if ["unknown", "paranoid"].iter().any(|word| host.eq_ignore_ascii_case(word)) {
        return Ok(vec![Endpoint { name: Some(host.as_bytes().into()), ..Endpoint::unknown() }]);
    }
    let not_found = || format!("{host}: host not found");
    let name = names::c_name(host).ok_or_else(not_found)?;
    let found = [false, true].into_iter().flat_map(|v6| names::host(&name, v6).unwrap_or_default());
    let all: Vec<Endpoint> = found
        .map(|address| Endpoint { name: Some(host.as_bytes().into()), ..Endpoint::of(address) })
        .collect();
    if all.is_empty() { Err(not_found()) } else { Ok(all) }
}
