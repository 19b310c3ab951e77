//! TCP wrappers: hosts.allow and hosts.deny.
//!
//! Text → tables → a verdict, as a function of the tables, of a caller and of what was looked up about it. What a verdict
//! brings with it (commands, banners, another user) is data here; carrying it out is the shell's.
//!
//! Source: hosts_access(5), hosts_options(5) and the behaviour of Debian's libwrap 7.6.q, in whose order everything is
//! asked. Where this module differs, it is because libwrap is open where its manual says closed; `docs/compat.md` has the
//! list. What it must never do: let somebody in because something could not be found out.

mod address;
mod banner;
mod expand;
mod false_net;
mod findings;
mod index;
mod ip_options;
mod known;
mod line;
mod list;
mod listed;
mod number;
mod option;
mod pattern;
mod request;
mod search;
mod table;
mod verdict;
mod verify;
mod why;

pub use banner::banner;
pub use false_net::FalseNet;
pub use findings::findings;
pub use ip_options::IpOptions;
pub use known::{Asked, PATIENCE};
pub use listed::{HostWord, ListedRule, host_word, listed};
pub use option::{Account, Accounts, Facility, Level, Severity};
pub use request::{Endpoint, Facts, Found, Lookup, PARANOID, Request, UNKNOWN, cut};
pub use table::{Contents, Files, RuleAt, Tables, Which};
pub use verdict::{Decision, Effect, Note, NoteKind, Outcome, Verdict};
pub use verify::{Forward, Host, IDENT_MOST, ident_question, ident_text, ident_user, verified};
pub use why::{Matched, Part, Reason, Step, WordAt, Words};

use self::search::Search;

/// Decides about a caller, or says what has to be known first.
pub fn decide(tables: &Tables, request: &Request, facts: &Facts) -> Outcome {
    Search::new(tables, request, facts, false).run().0
}

/// The same, with every rule that was looked at. All are, up to the one that decides.
pub fn explain(tables: &Tables, request: &Request, facts: &Facts) -> (Outcome, Vec<Step>) {
    Search::new(tables, request, facts, true).run()
}
