//! `usherd access test`: what hosts.allow and hosts.deny say about a caller, and why.

mod why;

use std::net::{IpAddr, SocketAddr};

use clap::ArgMatches;
use usherd_model::access::{
    Decision, Endpoint, Facts, Found, Lookup, Outcome, Request, RuleAt, Step, Tables, UNKNOWN, Verdict,
    explain,
};
use usherd_model::diagnostic::printable;
use usherd_sys::names;

use self::why::step_text;
use super::table_paths;
use crate::exit_code::Exit;
use crate::lookup;
use crate::output::{answer, complain};
use crate::tables;

const CLIENT_NAME: &str = "the client's name";
const SERVER_NAME: &str = "the server's name";
const USER: &str = "the user";

pub(super) fn run(matches: &ArgMatches) -> Exit {
    match matches.subcommand() {
        Some(("test", matches)) => test(matches),
        Some(_) | None => Exit::Usage,
    }
}

fn test(matches: &ArgMatches) -> Exit {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let mut paths = match table_paths("access", matches) {
        Ok(paths) => paths,
        Err(exit) => return exit,
    };
    for (name, path) in [("allow", &mut paths.allow), ("deny", &mut paths.deny)] {
        if let Some(named) = text(name) {
            named.clone_into(path);
        }
    }
    let (Some(daemon), Some(client)) = (text("daemon"), text("client")) else { return Exit::Usage };
    let request = match request(daemon, client) {
        Ok(request) => request,
        Err(why) => {
            complain(&format!("access: {why}"));
            return Exit::Unavailable;
        }
    };
    let (tables, words) = tables::read_with_words(&paths);
    let (decision, steps, found) = decided(&tables, &request);
    let mut out = String::new();
    if matches.get_flag("explain") {
        for path in tables.missing() {
            out.push_str(&format!("{path}: no such file, so no rules\n"));
        }
        for line in found {
            out.push_str(&format!("{line}\n"));
        }
        for step in &steps {
            out.push_str(&format!("{}\n", step_text(step, &tables, &words)));
        }
    }
    for note in &decision.notes {
        out.push_str(&format!("{}\n", note.line(&tables)));
    }
    for option in &decision.options {
        out.push_str(&format!("option {}\n", printable(option).trim_end()));
    }
    let (word, exit) = match decision.verdict {
        Verdict::Allow => ("granted", Exit::Success),
        Verdict::Twist => ("answered by a command", Exit::Success),
        Verdict::Deny => ("refused", Exit::Failure),
    };
    let by = match decision.rule {
        Some(rule) => format!(" by {}", place(rule, &tables)),
        None if decision.verdict == Verdict::Allow => ": no rule matches".to_owned(),
        None => String::new(),
    };
    out.push_str(&format!("{word}{by}\n"));
    answer(&out, exit)
}

/// `DAEMON[@SERVER]` and `[USER@]CLIENT`. Names are looked up; a number for a daemon is the port that is called.
fn request(daemon: &str, client: &str) -> Result<Request, String> {
    let (daemon, server) =
        daemon.split_once('@').map_or((daemon, None), |(daemon, server)| (daemon, Some(server)));
    let (user, client) =
        client.rsplit_once('@').map_or((None, client), |(user, client)| (Some(user), client));
    let port = daemon.parse().unwrap_or(0);
    let server = match server {
        Some(server) => endpoint(server, port)?,
        None if port > 0 => Endpoint::of(SocketAddr::new(IpAddr::from([0; 4]), port)),
        None => Endpoint::unknown(),
    };
    let user = user.map(|user| user.as_bytes().into());
    Ok(Request { user, ..Request::new(daemon.as_bytes(), endpoint(client, 0)?, server) })
}

/// A host by its address, whose name is looked up when a rule wants it; or by its name, which is believed.
fn endpoint(host: &str, port: u16) -> Result<Endpoint, String> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(Endpoint::of(SocketAddr::new(ip, port)));
    }
    if ["unknown", "paranoid"].contains(&host) {
        return Ok(Endpoint { name: Some(host.as_bytes().into()), ..Endpoint::unknown() });
    }
    let name = names::c_name(host).ok_or_else(|| format!("{host:?} is no host name"))?;
    let found = [false, true].into_iter().find_map(|v6| names::host(&name, v6).ok()?.into_iter().next());
    let address = found.ok_or_else(|| format!("{host}: host not found"))?;
    let endpoint = Endpoint::of(SocketAddr::new(address.ip(), port));
    Ok(Endpoint { name: Some(host.as_bytes().into()), ..endpoint })
}

/// Looks up what the rules need. What was found is said in words, too.
fn decided(tables: &Tables, request: &Request) -> (Decision, Vec<Step>, Vec<String>) {
    let mut facts = Facts::default();
    let mut said = Vec::new();
    loop {
        match explain(tables, request, &facts) {
            (Outcome::Decided(decision), steps) => return (*decision, steps, said),
            (Outcome::Needs(lookup, rule), _) => {
                let (found, remark) = lookup::find(lookup, request);
                let text = match &found {
                    Found::Text(text) => printable(text),
                    Found::Undecided => printable(UNKNOWN),
                };
                facts.learn(lookup, found);
                let what = match lookup {
                    Lookup::ClientName => CLIENT_NAME,
                    Lookup::ServerName => SERVER_NAME,
                    Lookup::User(_) => USER,
                };
                let why =
                    rule.map_or_else(String::new, |rule| format!(", which {} needs", place(rule, tables)));
                said.push(format!("{what}{why}: {text}"));
                said.extend(remark);
            }
        }
    }
}

fn place(rule: RuleAt, tables: &Tables) -> String {
    format!("{}:{}", tables.path(rule.table), rule.line)
}
