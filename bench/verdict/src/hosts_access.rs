//! hosts.allow and hosts.deny.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};

use usherd_model::access::{
    Account, Accounts, Contents, Endpoint, Facts, Files, Outcome, Request, Tables, Verdict, decide,
};

use crate::{Question, STRANGER, address};

const ALLOW: &str = "/etc/hosts.allow";
const DENY: &str = "/etc/hosts.deny";
const LIST: &str = "/etc/callers";

/// hosts.allow, a file that it names, and a hosts.deny that refuses all others.
struct Etc {
    allow: String,
    list: String,
}

impl Files for Etc {
    fn contents(&mut self, path: &[u8]) -> Contents {
        let text: &str = match path {
            path if path == ALLOW.as_bytes() => &self.allow,
            path if path == LIST.as_bytes() => &self.list,
            _ => "ALL: ALL\n",
        };
        Contents::Text(text.as_bytes().into())
    }
}

/// No rule here names a user or a group.
struct NoAccounts;

impl Accounts for NoAccounts {
    fn account(&mut self, _: &str, _: Option<u32>) -> Result<Option<Account>, String> {
        Ok(None)
    }

    fn gid(&mut self, _: &str) -> Result<Option<u32>, String> {
        Ok(None)
    }
}

/// An address, the start of one and a net take turns; the last one is an address.
fn word(number: u32, count: u32) -> String {
    let [a, b, c, d] = address(number).octets();
    match (count - 1 - number) % 3 {
        0 => format!("{a}.{b}.{c}.{d}"),
        1 => format!("{a}.{b}.{c}."),
        _ => format!("{a}.{b}.{c}.0/255.255.255.0"),
    }
}

/// How the addresses stand in the tables.
#[derive(Clone, Copy)]
pub enum Form {
    /// A rule for each.
    Rules,
    /// A line for each, in a file that one rule names.
    File,
}

fn tables(form: Form, count: u32) -> Tables {
    let mut etc = Etc { allow: String::new(), list: String::new() };
    for number in 0..count {
        let word = word(number, count);
        // Writing to a text cannot fail.
        let _ = match form {
            Form::Rules => writeln!(etc.allow, "in.ftpd: {word}"),
            Form::File => writeln!(etc.list, "{word}"),
        };
    }
    if let Form::File = form {
        etc.allow = format!("in.ftpd: {LIST}\n");
    }
    Tables::read(ALLOW, DENY, &mut etc, &mut NoAccounts)
}

/// A table, and a caller with the verdict that it must get.
pub struct Case {
    tables: Tables,
    request: Request,
    verdict: Verdict,
}

impl Case {
    pub fn new(form: Form, count: u32, is_known: bool) -> Self {
        let caller = if is_known { address(count - 1) } else { STRANGER };
        let [client, server] = [(caller, 40_000), (Ipv4Addr::LOCALHOST, 21)]
            .map(|(address, port)| Endpoint::of(SocketAddr::from((address, port))));
        let request = Request::new(b"in.ftpd", client, server);
        let verdict = if is_known { Verdict::Allow } else { Verdict::Deny };
        Self { tables: tables(form, count), request, verdict }
    }
}

impl Question for Case {
    fn is_right(&self) -> bool {
        let outcome = decide(&self.tables, &self.request, &Facts::default());
        matches!(outcome, Outcome::Decided(decision) if decision.verdict == self.verdict)
    }
}
