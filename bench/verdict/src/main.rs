//! What a verdict of hosts.allow and hosts.deny costs, with few addresses in them and with many.
//!
//! A table of ten thousand addresses is asked for every caller, so its length must hardly matter: the goal is that the
//! long one costs at most twice what the short one does. Both are asked in turns, and the best turn of each counts, so
//! that a busy machine disturbs neither more than the other.

use std::fmt::Write;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Instant;

use usherd_model::access::{
    Account, Accounts, Contents, Endpoint, Facts, Files, Outcome, Request, Tables, Verdict, decide,
};

const FEW: u32 = 10;
const MANY: u32 = 10_000;

/// How many times as much the long table may cost.
const GOAL: f64 = 2.0;

const TURNS: u32 = 40;
const VERDICTS: u32 = 20_000;

const ALLOW: &str = "/etc/hosts.allow";
const DENY: &str = "/etc/hosts.deny";
const LIST: &str = "/etc/callers";

/// A caller of whom no table knows.
const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

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

/// The address that the word of this number is about. All differ in their first 24 bits.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0007 + (number << 8))
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
enum Form {
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
struct Case {
    tables: Tables,
    request: Request,
    verdict: Verdict,
}

impl Case {
    fn new(form: Form, count: u32, is_known: bool) -> Self {
        let caller = if is_known { address(count - 1) } else { STRANGER };
        let [client, server] = [(caller, 40_000), (Ipv4Addr::LOCALHOST, 21)]
            .map(|(address, port)| Endpoint::of(SocketAddr::from((address, port))));
        let request = Request::new(b"in.ftpd", client, server);
        let verdict = if is_known { Verdict::Allow } else { Verdict::Deny };
        Self { tables: tables(form, count), request, verdict }
    }

    fn is_right(&self) -> bool {
        let outcome = decide(&self.tables, &self.request, &Facts::default());
        matches!(outcome, Outcome::Decided(decision) if decision.verdict == self.verdict)
    }

    /// Nanoseconds of a verdict, in one turn.
    fn turn(&self) -> f64 {
        let facts = Facts::default();
        let began = Instant::now();
        for _ in 0..VERDICTS {
            black_box(decide(black_box(&self.tables), black_box(&self.request), &facts));
        }
        began.elapsed().as_secs_f64() * 1e9 / f64::from(VERDICTS)
    }
}

fn main() -> ExitCode {
    println!(
        "{:36} {FEW:>7} {MANY:>7} {:>6}  goal <= {GOAL:.2}",
        "ns of a verdict, so many addresses", "ratio"
    );
    let mut is_reached = true;
    for (name, form, is_known) in [
        ("rules, the last one matches", Form::Rules, true),
        ("rules, none matches", Form::Rules, false),
        ("a file's lines, the last one matches", Form::File, true),
        ("a file's lines, none matches", Form::File, false),
    ] {
        let cases = [FEW, MANY].map(|count| Case::new(form, count, is_known));
        if !cases.iter().all(Case::is_right) {
            println!("{name:36} wrong verdict");
            is_reached = false;
            continue;
        }
        let mut best = [f64::INFINITY; 2];
        for _ in 0..TURNS {
            for (best, case) in best.iter_mut().zip(&cases) {
                *best = best.min(case.turn());
            }
        }
        let ratio = best[1] / best[0];
        let is_good = ratio <= GOAL;
        println!(
            "{name:36} {:7.0} {:7.0} {ratio:6.2}  {}",
            best[0],
            best[1],
            if is_good { "ok" } else { "short" }
        );
        is_reached &= is_good;
    }
    if is_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
