//! The same answer from usherd, in the oracle's words.

use std::net::{SocketAddr, SocketAddrV6};

use usherd_model::access::{
    Account, Accounts, Asked, Contents as Text, Decision, Effect, Endpoint, Facts, Files, Found, Lookup,
    Outcome, Request, RuleAt, Severity, Tables, Verdict, Which, banner, cut, decide, explain,
};

use crate::question::{Caller, Contents, Question};

struct InMemory<'a>(&'a Question);

impl Files for InMemory<'_> {
    fn contents(&mut self, path: &[u8]) -> Text {
        match self.0.files.iter().find(|(known, _)| known.as_bytes() == path) {
            Some((_, Contents::Text(text))) => Text::Text(text.as_slice().into()),
            Some((_, Contents::Folder | Contents::RefusedFolder)) => Text::Folder,
            Some((_, Contents::Refused)) => Text::Unreadable("Permission denied".to_owned()),
            None => Text::Missing,
        }
    }
}

/// As `oracle.c` has them.
struct Users;

impl Accounts for Users {
    fn account(&mut self, name: &str, gid: Option<u32>) -> Result<Option<Account>, String> {
        let ids = match name {
            "root" => Some((0, 0)),
            "joe" => Some((1000, 100)),
            "nobody" => Some((65534, 65533)),
            _ => None,
        };
        Ok(ids.map(|(uid, own)| Account {
            name: name.to_owned(),
            uid,
            gid: gid.unwrap_or(own),
            groups: Vec::new(),
        }))
    }

    fn gid(&mut self, name: &str) -> Result<Option<u32>, String> {
        Ok(match name {
            "root" => Some(0),
            "users" => Some(100),
            "nogroup" => Some(65534),
            _ => None,
        })
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    let endpoint = Endpoint::of(address);
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            Endpoint { address: [&*endpoint.address, b"%", scope(v6).as_bytes()].concat().into(), ..endpoint }
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => endpoint,
    }
}

/// As getnameinfo(3) writes it: by name for addresses of one link. Every machine's first interface is its loopback.
fn scope(address: SocketAddrV6) -> String {
    match address.scope_id() {
        1 if address.ip().is_unicast_link_local() => "lo".to_owned(),
        number => number.to_string(),
    }
}

fn request(question: &Question) -> Request {
    let client = match &question.client {
        Caller::Unknown => Endpoint::unknown(),
        Caller::Socket(address) => endpoint(*address),
        Caller::Text { address, name } => {
            Endpoint { name: name.as_deref().map(|name| cut(name).into()), ..Endpoint::text(address) }
        }
    };
    let server = question.server.map_or_else(Endpoint::unknown, endpoint);
    Request {
        user: question.is_user_given.then(|| cut(&question.user).into()),
        is_datagram: question.is_datagram,
        is_resident: question.is_resident,
        pid: std::process::id(),
        ..Request::new(&question.daemon, client, server)
    }
}

/// What usherd does.
pub fn ask(question: &Question) -> Vec<u8> {
    let tables = Tables::read("/allow", "/deny", &mut InMemory(question), &mut Users);
    let request = request(question);
    let mut told =
        Told { out: Vec::new(), question, tables: &tables, request: &request, facts: Facts::default() };
    loop {
        let outcome = decide(&tables, &request, &told.facts);
        let all = explain(&tables, &request, &told.facts).0;
        assert_eq!(all, outcome, "the index leaves something out");
        match outcome {
            Outcome::Decided(decision) => {
                told.decision(&decision);
                return told.out;
            }
            Outcome::Needs(lookup, rule) => told.look_up(lookup, rule),
        }
    }
}

fn place(rule: RuleAt) -> (&'static str, u32) {
    (if rule.table == Which::Allow { "/allow" } else { "/deny" }, rule.line)
}

/// The answer so far.
struct Told<'a> {
    out: Vec<u8>,
    question: &'a Question,
    tables: &'a Tables,
    request: &'a Request,
    facts: Facts,
}

impl Told<'_> {
    fn look_up(&mut self, lookup: Lookup, rule: Option<RuleAt>) {
        let (answer, name) = match lookup {
            Lookup::ClientName => (&self.question.client_name, "client_name".to_owned()),
            Lookup::ServerName => (&self.question.server_name, "server_name".to_owned()),
            Lookup::User(seconds) => (&self.question.user, format!("user {seconds}")),
        };
        self.facts.learn(lookup, Found::text(answer));
        let (table, line) = rule.map_or(("", 0), place);
        self.say("lookup", format!("{name} at {table}:{line}").as_bytes());
    }

    fn decision(&mut self, decision: &Decision) {
        if let Some((table, line)) = decision.rule.map(place) {
            self.say("verbose", format!("matched:  {table} line {line}").as_bytes());
        }
        for option in &decision.options {
            self.say("verbose", &[b"option:   ", option.as_slice()].concat());
        }
        for note in &decision.notes {
            self.say("log", format!("3 {}", note.line(self.tables)).as_bytes());
        }
        let number = |default: u8| {
            decision.severity.map_or(default, |Severity { facility, level }| {
                facility.map_or(0, |facility| facility.number() << 3) | level.number()
            })
        };
        let (allow, deny) = (number(6), number(4));
        for effect in &decision.effects {
            self.effect(effect, decision.rule);
            if let Effect::Twist(command) = effect {
                let line = [format!("{deny} twist ").as_bytes(), &decision.client, b" to ", command].concat();
                self.say("log", &line);
            }
        }
        let has_aclexec = decision.effects.iter().any(|effect| matches!(effect, Effect::Aclexec(_)));
        let verdict: &[u8] = match decision.verdict {
            // Who carries the effects out sees to it.
            _ if has_aclexec && self.question.aclexec_fails => b"deny",
            Verdict::Allow => b"allow",
            Verdict::Deny => b"deny",
            Verdict::Twist => b"twist",
        };
        self.say("verdict", verdict);
        self.say("severity", format!("{allow} {deny}").as_bytes());
        self.say("client", &decision.client);
    }

    fn effect(&mut self, effect: &Effect, rule: Option<RuleAt>) {
        let text = match effect {
            Effect::Spawn(command) => [b"spawn ", command.as_slice()].concat(),
            Effect::Aclexec(_) => b"aclexec".to_vec(),
            Effect::Twist(command) => [b"twist ", command.as_slice()].concat(),
            Effect::Setenv(name, value) => [b"setenv ", name.as_slice(), b"=", value].concat(),
            Effect::KeepAlive => b"keepalive 1".to_vec(),
            Effect::Linger(seconds) => format!("linger {} {seconds}", u8::from(*seconds != 0)).into_bytes(),
            Effect::Nice(by) => format!("nice {by}").into_bytes(),
            Effect::Umask(mask) => format!("umask {mask:03o}").into_bytes(),
            Effect::Banners(folder) => return self.banner(folder, rule),
            Effect::User(account) => {
                self.say("identity", format!("group {}", account.gid).as_bytes());
                return self.say("identity", format!("user {}", account.uid).as_bytes());
            }
            Effect::Group(gid) => return self.say("identity", format!("group {gid}").as_bytes()),
        };
        self.say("effect", &text);
    }

    /// As `usherd effects` sends it.
    fn banner(&mut self, folder: &[u8], rule: Option<RuleAt>) {
        let path = [folder, b"/", &self.request.daemon].concat();
        let Some((_, text)) = self.question.texts().find(|(known, _)| known.as_bytes() == path) else {
            return;
        };
        let asked = Asked::all_of(&self.facts);
        let (said, unrecognized) = loop {
            match banner(text, self.request, &self.facts, asked) {
                Ok(said) => break said,
                Err(lookup) => self.look_up(lookup, rule),
            }
        };
        let (table, line) = rule.map_or(("", 0), place);
        for letter in unrecognized {
            let text = format!("3 warning: {table}, line {line}: unrecognized %{letter}");
            self.say("log", text.as_bytes());
        }
        if !said.is_empty() {
            let hexadecimal: String = said.iter().map(|byte| format!("{byte:02x}")).collect();
            self.say("banner", hexadecimal.as_bytes());
        }
    }

    fn say(&mut self, what: &str, text: &[u8]) {
        self.out.extend(what.as_bytes());
        self.out.push(b' ');
        // As the oracle does with an end of a line, and as C ends a text.
        let visible = text.split(|byte| *byte == 0).next().unwrap_or_default();
        self.out.extend(visible.iter().map(|byte| if *byte == b'\n' { b'~' } else { *byte }));
        self.out.push(b'\n');
    }
}
