//! hosts_access(5): the recorded answers of Debian's libwrap, and what follows from no recording.
//!
//! `corpus/hosts_access.jsonl` has one request a line, with what libwrap 7.6.q said to it: the verdict, the rule, what was
//! looked up in which order, the options, the log. A string's characters U+0000 to U+00FF are bytes, and `@DIR@` is the
//! folder of a case's files.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use serde_json::Value;
use usherd_model::access::{
    Account, Accounts, Contents, Decision, Effect, Endpoint, Facts, Files, Found, Lookup, Matched, Outcome,
    Part, Reason, Request, Severity, Step, Tables, UNKNOWN, Verdict, Which, Words, decide, explain,
};

const CASES: &str = include_str!("corpus/hosts_access.jsonl");

/// Cases in which this project answers otherwise, and why. Everything else is the same.
const DIFFERENCES: &[(&str, &str)] = &[
    ("file-18", FOLDER),
    ("file-19", LAST_LINE),
    ("file-21", LAST_LINE),
    ("file-23", LAST_LINE),
    ("file-25", LAST_LINE),
    ("lex-17", LAST_LINE),
    ("long-03", LONG_LINE),
    ("long-06", LONG_LINE),
    ("acl-02", ACLEXEC),
    ("acl-04", ACLEXEC),
    ("acl-06", ACLEXEC),
    ("acl-09", ACLEXEC),
    ("acl-10", ACLEXEC),
    ("acl-11", ACLEXEC),
    ("acl-14", ACLEXEC),
    ("acl-17", ACLEXEC),
    ("acl-18", ACLEXEC),
    ("real-11", ACLEXEC),
];

const FOLDER: &str = "hosts.deny that is a folder has lost its rules: nobody is let in";
const LAST_LINE: &str = "a last line without its end is a line";
const LONG_LINE: &str = "a line may be as long as it wants";
const ACLEXEC: &str =
    "whom the command of the matching rule refuses is refused, as the manual says; no other rule is asked";

/// A case's files.
struct Folder(BTreeMap<Vec<u8>, Contents>);

impl Files for Folder {
    fn contents(&mut self, path: &[u8]) -> Contents {
        self.0.get(path).cloned().unwrap_or(Contents::Missing)
    }
}

/// Users and groups of the machine on which the cases were recorded.
struct Users;

impl Accounts for Users {
    fn account(&mut self, name: &str, gid: Option<u32>) -> Result<Option<Account>, String> {
        let gid = gid.unwrap_or(65534);
        let account = Account { name: name.to_owned(), uid: 65534, gid, groups: vec![gid] };
        Ok(if name == "nobody" { Some(account) } else { None })
    }

    fn gid(&mut self, name: &str) -> Result<Option<u32>, String> {
        Ok(if name == "nogroup" { Some(65534) } else { None })
    }
}

/// Where a case's files are.
const HERE: &str = "/here";

/// A recorded string as bytes.
fn bytes(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap_or_default().replace("@DIR@", HERE);
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect()
}

fn text(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    text.replace(HERE, "@DIR@")
}

struct Case {
    tables: Tables,
    request: Request,
    answers: Facts,
    /// Which look-ups were made, in order.
    lookups: Vec<&'static str>,
}

fn table(value: &Value, name: &str) -> (String, Contents) {
    let here = format!("{HERE}/{name}");
    match value.as_str() {
        None => (here, Contents::Missing),
        Some("<EACCES>") => (here, Contents::Unreadable("Permission denied".to_owned())),
        Some("<ENOTDIR>") => {
            (format!("{HERE}/plain/{name}"), Contents::Unreadable("Not a directory".to_owned()))
        }
        Some("<ISDIR>") => (here, Contents::Folder),
        Some(_) => (here, Contents::Text(bytes(value).into())),
    }
}

impl Case {
    fn new(case: &Value) -> Self {
        let (allow, allow_contents) = table(&case["allow"], "hosts.allow");
        let (deny, deny_contents) = table(&case["deny"], "hosts.deny");
        let mut files = BTreeMap::from([
            (allow.clone().into_bytes(), allow_contents),
            (deny.clone().into_bytes(), deny_contents),
        ]);
        for (name, contents) in case["files"].as_object().into_iter().flatten() {
            files.insert(format!("{HERE}/{name}").into_bytes(), Contents::Text(bytes(contents).into()));
        }
        match case["id"].as_str() {
            Some("list-12") => {
                let why = "Permission denied".to_owned();
                files.insert(b"/here/list".to_vec(), Contents::Unreadable(why));
            }
            Some("list-25") => {
                let why = "Not a directory".to_owned();
                files.insert(b"/here/list/24".to_vec(), Contents::Unreadable(why));
            }
            _ => {}
        }
        let request = &case["request"];
        Self {
            tables: Tables::read(&allow, &deny, &mut Folder(files), &mut Users),
            request: Request {
                user: request["raw_user"].as_str().map(|_| bytes(&request["raw_user"]).into()),
                is_datagram: request["dgram"] == 1,
                is_resident: request["resident"] == 1,
                pid: 4711,
                ..Request::new(
                    &bytes(&request["daemon"]),
                    endpoint(request, "caddr", "cport", "raw_caddr", "raw_cname"),
                    endpoint(request, "saddr", "sport", "", ""),
                )
            },
            answers: Facts {
                client_name: Some(found(&request["cname"])),
                server_name: Some(found(&request["sname"])),
                user: Some(found(&request["user"])),
            },
            lookups: Vec::new(),
        }
    }

    fn run(&mut self) -> Decision {
        let mut facts = Facts::default();
        loop {
            match decide(&self.tables, &self.request, &facts) {
                Outcome::Decided(decision) => {
                    let (explained, _) = explain(&self.tables, &self.request, &facts);
                    assert_eq!(explained, Outcome::Decided(decision.clone()), "the index leaves nothing out");
                    return *decision;
                }
                Outcome::Needs(Lookup::ClientName, _) => {
                    self.lookups.push("client_name");
                    facts.client_name.clone_from(&self.answers.client_name);
                }
                Outcome::Needs(Lookup::ServerName, _) => {
                    self.lookups.push("server_name");
                    facts.server_name.clone_from(&self.answers.server_name);
                }
                Outcome::Needs(Lookup::User(_), _) => {
                    self.lookups.push("user");
                    facts.user.clone_from(&self.answers.user);
                }
            }
        }
    }
}

fn found(value: &Value) -> Found {
    Found::text(&value.as_str().map_or(UNKNOWN.to_vec(), |_| bytes(value)))
}

fn endpoint(request: &Value, address: &str, port: &str, raw: &str, raw_name: &str) -> Endpoint {
    let mut endpoint = match request[address].as_str() {
        Some(text) => {
            let (ip, scope) = text.split_once('%').map_or((text, None), |(ip, scope)| (ip, Some(scope)));
            let ip: IpAddr = ip.parse().expect("an address");
            let port = request[port].as_str().map_or(0, |port| port.parse().expect("a port"));
            let endpoint = Endpoint::of(SocketAddr::new(ip, port));
            match scope {
                Some(_) => Endpoint { address: text.as_bytes().into(), ..endpoint },
                None => endpoint,
            }
        }
        None => Endpoint::unknown(),
    };
    if request[raw].is_string() {
        endpoint = Endpoint::text(&bytes(&request[raw]));
    }
    if request[raw_name].is_string() {
        endpoint.name = Some(bytes(&request[raw_name]).into());
    }
    endpoint
}

fn severity(severity: Option<Severity>, default: &str) -> String {
    match severity {
        None => default.to_owned(),
        Some(Severity { facility: None, level }) => level.word().to_owned(),
        Some(Severity { facility: Some(facility), level }) => format!("{}.{}", facility.word(), level.word()),
    }
}

/// What the recorded commands come to.
fn is_let_in_by_commands(decision: &Decision) -> bool {
    let last =
        decision.effects.iter().rev().find_map(|effect| {
            if let Effect::Aclexec(command) = effect { Some(text(command)) } else { None }
        });
    last.is_none_or(|last| !["false", "exit 2", "kill -9 $$"].contains(&last.as_str()))
}

/// Compares one case; what differs, in words.
fn differences(case: &Value) -> Vec<String> {
    let mut run = Case::new(case);
    let mut decision = run.run();
    let expect = &case["expect"];
    let mut found = Vec::new();
    let mut compare = |what: &str, ours: Value, theirs: &Value| {
        // What is empty is left out of the recording.
        let theirs =
            if theirs.is_null() && ours.is_array() { Value::Array(Vec::new()) } else { theirs.clone() };
        if ours != theirs {
            found.push(format!("{what}: ours {ours}, libwrap's {theirs}"));
        }
    };
    if !is_let_in_by_commands(&decision) {
        decision.verdict = Verdict::Deny;
    }
    let verdict = match decision.verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::Twist => "twist",
    };
    compare("verdict", verdict.into(), &expect["verdict"]);
    let rule = decision.rule.map_or(Value::Null, |rule| {
        let table = if rule.table == Which::Allow { "allow" } else { "deny" };
        serde_json::json!([table, rule.line])
    });
    compare("matched", rule, &expect["matched"]);
    compare("lookups", run.lookups.clone().into(), &expect["lookups"]);
    let options: Vec<String> = decision.options.iter().map(|option| text(option)).collect();
    let options: Vec<String> = options.iter().map(|option| option.replace("4711", "@PID@")).collect();
    compare("options", options.into(), &expect["options"]);
    let mut logs = Vec::new();
    for note in &decision.notes {
        let line = note.line(&run.tables).replace(HERE, "@DIR@");
        logs.push(serde_json::json!(["err", line]));
    }
    let mut commands = Vec::new();
    for effect in &decision.effects {
        match effect {
            Effect::Twist(command) => {
                commands.push(("twist", text(command)));
                let level = severity(decision.severity, "warning");
                logs.push(serde_json::json!([
                    level,
                    format!("twist {} to {}", text(&decision.client), text(command))
                ]));
            }
            Effect::Spawn(command) => commands.push(("spawn", text(command))),
            Effect::Aclexec(command) => commands.push(("aclexec", text(command))),
            Effect::Setenv(..)
            | Effect::Banners(_)
            | Effect::KeepAlive
            | Effect::Linger(_)
            | Effect::Nice(_)
            | Effect::Umask(_)
            | Effect::User(_)
            | Effect::Group(_) => {}
        }
    }
    compare("logs", logs.into(), &expect["logs"]);
    let theirs = expect["exec"].as_array().into_iter().flatten();
    let theirs: Vec<Value> =
        theirs.map(|command| serde_json::json!([command["kind"], command["cmd"]])).collect();
    let ours: Vec<Value> = commands
        .iter()
        .map(|(kind, command)| serde_json::json!([kind, command.replace("4711", "@PID@")]))
        .collect();
    compare("exec", ours.into(), &theirs.into());
    let line = match decision.verdict {
        Verdict::Twist => Value::Null,
        Verdict::Allow | Verdict::Deny => {
            let (default, word) = if decision.verdict == Verdict::Allow {
                ("info", "connect")
            } else {
                ("warning", "refused connect")
            };
            let client = text(&decision.client);
            let address = text(&run.request.client.address);
            serde_json::json!([
                severity(decision.severity, default),
                format!("{word} from {client} ({address})")
            ])
        }
    };
    compare("tcpd_log", line, &expect["tcpd_log"]);
    let mut environment: BTreeMap<String, String> = BTreeMap::new();
    for effect in &decision.effects {
        if let Effect::Setenv(name, value) = effect {
            environment.insert(text(name), text(value));
        }
    }
    if decision.verdict == Verdict::Twist {
        // Recorded when the command had taken the process over.
        environment.clear();
    }
    let environment: Vec<String> =
        environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    compare("env", environment.into(), &expect["env"]);
    let changed = &expect["changed"];
    let umask =
        decision.effects.iter().rev().find_map(|effect| {
            if let Effect::Umask(mask) = effect { Some(format!("{mask:03o}")) } else { None }
        });
    compare("umask", umask.into(), &changed["umask"]);
    let nice: i32 =
        decision.effects.iter().map(|effect| if let Effect::Nice(by) = effect { *by } else { 0 }).sum();
    compare("nice", nice.into(), &changed.get("nice").cloned().unwrap_or_else(|| 0.into()));
    compare(
        "keepalive",
        decision.effects.contains(&Effect::KeepAlive).into(),
        &changed.get("keepalive").map_or(Value::Bool(false), |_| Value::Bool(true)),
    );
    found
}

#[test]
fn every_recorded_answer_is_libwraps_but_for_a_list() {
    let mut unexplained = Vec::new();
    let mut not_different = Vec::new();
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).expect("a record");
        let id = case["id"].as_str().expect("a name").to_owned();
        let found = differences(&case);
        let listed = DIFFERENCES.iter().any(|(listed, _)| *listed == id);
        match (found.is_empty(), listed) {
            (false, false) => {
                unexplained.push(format!("{id} ({})\n    {}", case["note"], found.join("\n    ")))
            }
            (true, true) => not_different.push(id),
            (true, false) | (false, true) => {}
        }
    }
    assert!(unexplained.is_empty(), "{} cases:\n{}", unexplained.len(), unexplained.join("\n"));
    assert!(not_different.is_empty(), "listed, and the same: {not_different:?}");
}

/// Reads two tables that name no files.
fn tables(allow: &str, deny: &str) -> Tables {
    let text = |text: &str| Contents::Text(text.as_bytes().into());
    let files = BTreeMap::from([(b"/allow".to_vec(), text(allow)), (b"/deny".to_vec(), text(deny))]);
    Tables::read("/allow", "/deny", &mut Folder(files), &mut Users)
}

fn caller(address: &str) -> Request {
    let client = Endpoint::of(SocketAddr::new(address.parse().expect("an address"), 4000));
    let server = Endpoint::of(([10, 0, 0, 1], 23).into());
    Request::new(b"in.telnetd", client, server)
}

fn verdict(tables: &Tables, request: &Request, facts: &Facts) -> Verdict {
    match decide(tables, request, facts) {
        Outcome::Decided(decision) => decision.verdict,
        Outcome::Needs(lookup, _) => panic!("{lookup:?} is among the facts"),
    }
}

fn facts(client_name: &Found, server_name: &Found, user: &Found) -> Facts {
    Facts {
        client_name: Some(client_name.clone()),
        server_name: Some(server_name.clone()),
        user: Some(user.clone()),
    }
}

#[test]
fn files_that_name_each_other_in_a_ring_match_nobody_and_are_said() {
    let text = |text: &str| Contents::Text(text.as_bytes().into());
    let files = BTreeMap::from([
        (b"/allow".to_vec(), text("ALL: /one\n")),
        (b"/one".to_vec(), text("/two 10.9.9.9")),
        (b"/two".to_vec(), text("/one")),
    ]);
    let tables = Tables::read("/allow", "/deny", &mut Folder(files), &mut Users);
    assert_eq!(tables.paths().count(), 4);
    match decide(&tables, &caller("10.1.2.3"), &Facts::default()) {
        Outcome::Decided(decision) => {
            assert_eq!(decision.verdict, Verdict::Allow);
            assert_eq!(
                decision.notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>(),
                ["/one: names itself"]
            );
        }
        Outcome::Needs(lookup, _) => panic!("{lookup:?}"),
    }
}

/// Why each rule of hosts.allow says what it says: its daemon list, its client list. `+` stands before what matches, `?`
/// before what cannot be told, and `-` where nothing does.
fn reasons(allow: &str, files: &[(&str, &str)], request: &Request, facts: &Facts) -> Vec<[String; 2]> {
    let contents = |text: &str| Contents::Text(text.as_bytes().into());
    let mut folder: BTreeMap<_, _> =
        files.iter().map(|(path, text)| (path.as_bytes().to_vec(), contents(text))).collect();
    folder.insert(b"/allow".to_vec(), contents(allow));
    let (tables, words) = Words::read("/allow", "/deny", &mut Folder(folder), &mut Users);
    let (outcome, steps) = explain(&tables, request, facts);
    assert_eq!(outcome, decide(&tables, request, facts), "explaining changes nothing");
    let mark = |matched: Matched| match matched {
        Matched::Yes => "+",
        Matched::No => "-",
        Matched::Undecided => "?",
    };
    let shown = |step: &Step, reason: &Option<Reason>| {
        let Some(reason) = reason else { return "not asked".to_owned() };
        let part = |part: &Part| {
            let chain = part.word.as_ref().map(|word| words.at(step.rule, word)).unwrap_or_default();
            let chain: Vec<String> = chain.into_iter().map(text).collect();
            format!("{}{}", mark(part.matched), chain.join(" > "))
        };
        let parts: Vec<String> = reason.parts.iter().map(part).collect();
        format!("{} because {}", mark(reason.matched), parts.join(" EXCEPT "))
    };
    steps.iter().map(|step| [shown(step, &step.daemons), shown(step, &step.clients)]).collect()
}

#[test]
fn an_explanation_names_the_word_that_decided() {
    let files = [("/friends", "192.0.2.1\n/more 10.1.2.3,\n"), ("/more", "[::1] 10.1.2.0/24\n/friends\n")];
    let told = facts(&Found::text(b"a.example.com"), &Found::text(UNKNOWN), &Found::text(b"joe"));
    for (rule, daemons, clients) in [
        ("in.ftpd, TALKD: ALL", "- because -", "not asked"),
        ("in.ftpd 023 in.telnetd: 192.0.2. 10.1.", "+ because +023", "+ because +10.1."),
        ("ALL@10.0.0.1: 10.1.2.3/255.255.255.0", "+ because +ALL@10.0.0.1", "- because -"),
        ("ALL: all EXCEPT 192.0.2.1 10.1.2.3", "+ because +ALL", "- because +all EXCEPT +10.1.2.3"),
        (
            "ALL: ALL EXCEPT 10. EXCEPT joe@ALL",
            "+ because +ALL",
            "+ because +ALL EXCEPT +10. EXCEPT +joe@ALL",
        ),
        ("ALL: .org .com EXCEPT LOCAL", "+ because +ALL", "+ because +.com EXCEPT -"),
        ("ALL EXCEPT in.*: ALL", "- because +ALL EXCEPT +in.*", "not asked"),
        ("ALL: x /friends", "+ because +ALL", "+ because +/friends > /more > 10.1.2.0/24"),
        (
            "ALL: ann@/friends, joe@/friends",
            "+ because +ALL",
            "+ because +joe@/friends > /more > 10.1.2.0/24",
        ),
        ("ALL: EXCEPT x", "+ because +ALL", "- because -"),
        ("in.telnetd \\\n   : x,\\\n 10.1.2.3", "+ because +in.telnetd", "+ because +10.1.2.3"),
    ] {
        let found = reasons(&format!("{rule}\n"), &files, &caller("10.1.2.3"), &told);
        assert_eq!(found, [[daemons, clients]], "{rule}");
    }
}

#[test]
fn an_explanation_names_what_could_not_be_found_out() {
    let undecided = facts(&Found::Undecided, &Found::Undecided, &Found::Undecided);
    for (clients, expected) in [
        ("192.0.2.1 .example.com LOCAL", "? because ?.example.com"),
        ("LOCAL 10.1.", "+ because +10.1."),
        ("ALL EXCEPT 192.0.2.1 joe@10.", "? because +ALL EXCEPT ?joe@10."),
        ("LOCAL EXCEPT ALL", "- because ?LOCAL EXCEPT +ALL"),
    ] {
        let found = reasons(&format!("ALL: {clients}\n"), &[], &caller("10.1.2.3"), &undecided);
        assert_eq!(found, [["+ because +ALL", expected]], "{clients}");
    }
}

#[test]
fn an_explanation_goes_up_to_the_rule_that_decides_and_says_nothing_twice() {
    let request = caller("10.1.2.3");
    let files = [("/ring", "/ring @group")];
    let found = reasons("no rule\nALL: /ring\nALL: 10.\nALL: ALL\n", &files, &request, &Facts::default());
    assert_eq!(
        found,
        [["not asked", "not asked"], ["+ because +ALL", "- because -"], ["+ because +ALL", "+ because +10."]]
    );
}

#[test]
fn a_table_of_many_addresses_is_not_walked() {
    // Were each rule looked at, the words without a colon between them would be said.
    let rules: String =
        (0..1000).map(|number| format!("ALL: 10.0.{}.{}\n", number / 250, number % 250)).collect();
    let tables = tables(&format!("{rules}ALL: 10.1.\nALL: 192.0.2.0/24 : deny\n"), "ALL: ALL\n");
    for (address, expected) in [
        ("10.0.3.249", Verdict::Allow),
        ("10.0.4.0", Verdict::Deny),
        ("10.1.0.1", Verdict::Allow),
        ("::ffff:10.0.0.7", Verdict::Allow),
        ("192.0.2.9", Verdict::Deny),
        ("2001:db8::1", Verdict::Deny),
    ] {
        assert_eq!(verdict(&tables, &caller(address), &Facts::default()), expected, "{address}");
    }
}

/// Words of lists, most of which may match.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("ALL".to_owned()),
        Just("EXCEPT".to_owned()),
        Just("KNOWN".to_owned()),
        Just("UNKNOWN".to_owned()),
        Just("PARANOID".to_owned()),
        Just("LOCAL".to_owned()),
        Just(".example.com".to_owned()),
        Just("10.1.".to_owned()),
        Just("10.1.2.3".to_owned()),
        Just("10.0.0.0/8".to_owned()),
        Just("joe@ALL".to_owned()),
        Just("KNOWN@ALL".to_owned()),
        Just("a.example.com".to_owned()),
        Just("*.com".to_owned()),
    ]
}

fn table_text() -> impl Strategy<Value = String> {
    let daemon = prop_oneof![
        Just("in.telnetd".to_owned()),
        Just("ALL".to_owned()),
        Just("ALL@a.example.com".to_owned()),
        Just("ALL EXCEPT in.ftpd".to_owned()),
        Just("in.ftpd".to_owned()),
    ];
    let options = prop_oneof![4 => Just(""), 1 => Just(": deny"), 1 => Just(": allow"), 1 => Just(": wrong")];
    let rule = (daemon, prop::collection::vec(word(), 1..5), options)
        .prop_map(|(daemon, words, options)| format!("{daemon}: {} {options}\n", words.join(" ")));
    prop::collection::vec(rule, 0..5).prop_map(|rules| rules.concat())
}

fn answer() -> impl Strategy<Value = Found> {
    prop_oneof![
        Just(Found::text(b"unknown")),
        Just(Found::text(b"paranoid")),
        Just(Found::text(b"a.example.com")),
        Just(Found::text(b"local")),
        Just(Found::text(b"joe")),
    ]
}

proptest! {
    #[test]
    fn what_could_not_be_found_out_lets_nobody_in(
        allow in table_text(),
        deny in table_text(),
        answers in prop::collection::vec((answer(), answer(), answer()), 8),
        undecided in prop::array::uniform3(any::<bool>()),
    ) {
        let tables = tables(&allow, &deny);
        let request = caller("10.1.2.3");
        let hide = |found: &Found, hidden: bool| if hidden { Found::Undecided } else { found.clone() };
        for (client, server, user) in &answers {
            let hidden = facts(
                &hide(client, undecided[0]),
                &hide(server, undecided[1]),
                &hide(user, undecided[2]),
            );
            // Whoever is let in without the answers would be let in with any.
            if verdict(&tables, &request, &hidden) == Verdict::Allow {
                for (other_client, other_server, other_user) in &answers {
                    let pick = |found: &Found, other: &Found, hidden: bool| if hidden { other.clone() } else { found.clone() };
                    let told = facts(
                        &pick(client, other_client, undecided[0]),
                        &pick(server, other_server, undecided[1]),
                        &pick(user, other_user, undecided[2]),
                    );
                    prop_assert_eq!(verdict(&tables, &request, &told), Verdict::Allow);
                }
            }
        }
    }

    #[test]
    fn no_text_is_too_odd(allow in prop::collection::vec(any::<u8>(), 0..200), deny in ".{0,100}") {
        let files = BTreeMap::from([
            (b"/allow".to_vec(), Contents::Text(allow.into())),
            (b"/deny".to_vec(), Contents::Text(deny.into_bytes().into())),
        ]);
        let (tables, words) = Words::read("/allow", "/deny", &mut Folder(files), &mut Users);
        let told = facts(&Found::text(b"a.b"), &Found::text(b"c.d"), &Found::text(b"joe"));
        let request = caller("10.1.2.3");
        let (outcome, steps) = explain(&tables, &request, &told);
        prop_assert_eq!(outcome, decide(&tables, &request, &told));
        for step in &steps {
            let parts = [&step.daemons, &step.clients].into_iter().flatten().flat_map(|reason| &reason.parts);
            for word in parts.filter_map(|part| part.word.as_ref()) {
                prop_assert!(!words.at(step.rule, word).is_empty(), "{:?}", step);
            }
        }
    }
}

/// What the differential fuzzing has found once.
#[test]
fn corners_in_which_libwrap_once_said_otherwise() {
    let notes = |options: &str| {
        let tables = tables(&format!("ALL: ALL: {options}\n"), "");
        match decide(
            &tables,
            &caller("10.1.2.3"),
            &facts(&Found::text(b"a;b"), &Found::text(b"x"), &Found::text(b"j;o")),
        ) {
            Outcome::Decided(decision) => {
                let notes: Vec<String> = decision.notes.iter().map(|note| note.text.clone()).collect();
                (notes.concat(), text(&decision.client))
            }
            Outcome::Needs(lookup, _) => panic!("{lookup:?} is among the facts"),
        }
    };
    assert_eq!(notes("user nosuchuser.nosuch").0, "unknown group: \"nosuch\"");
    assert_eq!(notes("user x]y.nosuch").0, "unknown user: \"x]y.nosuch\"");
    assert_eq!(notes("severity mai[l.info").0, "bad syslog facility or severity: \"mai[l.info\"");
    // The log has the caller as the last expansion has left it.
    assert_eq!(notes("rfc931").1, "j;o@10.1.2.3");
    assert_eq!(notes("rfc931: spawn %c").1, "j;o@10.1.2.3");
    assert_eq!(notes("spawn %u %n").1, "j_o@a_b");
    assert_eq!(notes("rfc931: spawn %n").1, "j;o@a_b");
    let tables = tables("", "ALL: [fe80::1%lo[], [fe80::1%\\:lo]\n");
    let nobody = facts(&Found::text(UNKNOWN), &Found::text(UNKNOWN), &Found::text(UNKNOWN));
    assert_eq!(verdict(&tables, &caller("fe80::1"), &nobody), Verdict::Allow, "no interface is called so");
    // No address is doubted: only a name can be.
    let deny = Contents::Text((*b"ALL: KNOWN\n").into());
    let mut known = Folder(BTreeMap::from([(b"/deny".to_vec(), deny)]));
    let tables = Tables::read("/allow", "/deny", &mut known, &mut Users);
    for (address, expected) in [("paranoid", Verdict::Deny), ("unknown", Verdict::Allow)] {
        let client = Endpoint { name: Some((*b"a.b").into()), ..Endpoint::text(address.as_bytes()) };
        let request = Request::new(b"in.ftpd", client, Endpoint::unknown());
        assert_eq!(verdict(&tables, &request, &nobody), expected, "{address}");
    }
}
