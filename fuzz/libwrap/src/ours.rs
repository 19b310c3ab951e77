//! The same answer from usherd.

use std::net::SocketAddr;

use usherd_model::access::{
    Account, Accounts, Contents as Text, Decision, Endpoint, Facts, Files, Found, Lookup, Outcome, Request,
    Severity, Tables, Verdict, Which, decide, explain,
};

use crate::oracle::{Contents, Question};

struct OnDisk<'a>(&'a Question);

impl Files for OnDisk<'_> {
    fn contents(&mut self, path: &[u8]) -> Text {
        match self.0.files.iter().find(|(known, _)| known.as_bytes() == path) {
            Some((_, Contents::Text(text))) => Text::Text(text.as_slice().into()),
            Some((_, Contents::Folder)) => Text::Folder,
            Some((_, Contents::Refused)) => Text::Unreadable("Permission denied".to_owned()),
            None => Text::Missing,
        }
    }
}

/// The accounts that every system has.
struct Users;

impl Accounts for Users {
    fn account(&mut self, name: &str, gid: Option<u32>) -> Result<Option<Account>, String> {
        let account = Account { name: name.to_owned(), uid: 1, gid: gid.unwrap_or(1), groups: Vec::new() };
        Ok(if ["root", "daemon", "nobody"].contains(&name) { Some(account) } else { None })
    }

    fn gid(&mut self, name: &str) -> Result<Option<u32>, String> {
        Ok(if ["root", "daemon", "nogroup"].contains(&name) { Some(1) } else { None })
    }
}

fn endpoint(address: Option<SocketAddr>) -> Endpoint {
    let Some(address) = address else { return Endpoint::unknown() };
    let endpoint = Endpoint::of(address);
    match address {
        SocketAddr::V6(v6) if v6.scope_id() == 1 => {
            Endpoint { address: [&*endpoint.address, b"%lo"].concat().into(), ..endpoint }
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => endpoint,
    }
}

/// What usherd does, in the oracle's words.
pub fn ask(question: &Question) -> Vec<u8> {
    let tables = Tables::read("/allow", "/deny", &mut OnDisk(question), &mut Users);
    let request = Request {
        is_datagram: question.is_datagram,
        is_resident: question.is_resident,
        pid: std::process::id(),
        ..Request::new(question.daemon.as_bytes(), endpoint(question.client), endpoint(question.server))
    };
    let mut facts = Facts::default();
    let mut out = Vec::new();
    loop {
        match decide(&tables, &request, &facts) {
            Outcome::Decided(decision) => {
                let all = explain(&tables, &request, &facts).0;
                assert_eq!(all, Outcome::Decided(decision.clone()), "the index leaves something out");
                tell(&mut out, &decision, &tables, &request);
                return out;
            }
            Outcome::Needs(lookup, _) => {
                let (fact, answer, name) = match lookup {
                    Lookup::ClientName => (&mut facts.client_name, &question.client_name, "client_name"),
                    Lookup::ServerName => (&mut facts.server_name, &question.server_name, "server_name"),
                    Lookup::User(_) => (&mut facts.user, &question.user, "user"),
                };
                *fact = Some(Found::text(answer.as_bytes()));
                say(&mut out, "lookup", name.as_bytes());
            }
        }
    }
}

fn tell(out: &mut Vec<u8>, decision: &Decision, tables: &Tables, request: &Request) {
    if let Some(rule) = decision.rule {
        let table = if rule.table == Which::Allow { "/allow" } else { "/deny" };
        say(out, "verbose", format!("matched:  {table} line {}", rule.line).as_bytes());
    }
    for option in &decision.options {
        say(out, "verbose", &[b"option:   ", option.as_slice()].concat());
    }
    for note in &decision.notes {
        say(out, "log", format!("3 {}", note.line(tables)).as_bytes());
    }
    let verdict = match decision.verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::Twist => "twist",
    };
    say(out, "verdict", verdict.as_bytes());
    let number = |default: u8| {
        decision.severity.map_or(default, |Severity { facility, level }| {
            facility.map_or(0, |facility| facility.number() << 3) | level.number()
        })
    };
    let (allow, deny) = (number(6), number(4));
    if let Some(twist) = decision.effects.iter().find_map(|effect| {
        if let usherd_model::access::Effect::Twist(command) = effect { Some(command) } else { None }
    }) {
        let line = [format!("{deny} twist ").as_bytes(), &decision.client, b" to ", twist].concat();
        say(out, "log", &line);
    }
    say(out, "severity", format!("{allow} {deny}").as_bytes());
    say(out, "client", &[decision.client.as_slice(), b" ", &request.client.address].concat());
}

fn say(out: &mut Vec<u8>, what: &str, text: &[u8]) {
    out.extend(what.as_bytes());
    out.push(b' ');
    // As the oracle does with an end of a line, and as C ends a text.
    let visible = text.split(|byte| *byte == 0).next().unwrap_or_default();
    out.extend(visible.iter().map(|byte| if *byte == b'\n' { b'~' } else { *byte }));
    out.push(b'\n');
}
