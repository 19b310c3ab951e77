//! The cases by subject, and what a case is.
//!
//! A case names the sentence that it checks: of Debian's inetd(8), quoted, or the behaviour observed in the
//! original's source. When a server differs, the case is ignored for it with the reason, is run all the same,
//! and must fail: an ignored case that passes fails the run. Only what cannot be asked of a server at all, or
//! what it answers by chance, is not run.

mod addresses;
mod builtins;
mod datagram;
mod grammar;
mod killall;
mod limits;
mod logging;
mod notify;
mod options;
mod pidfile;
mod reload;
mod rpc;
mod signals;
mod starting;
mod unix;
mod update_inetd;
mod wait;

use crate::lab::Lab;
use crate::server::Server;

type Reasons = &'static [(Server, &'static str)];

/// One question and its answer.
pub struct Case {
    pub name: &'static str,
    /// What the manual says, or what was observed.
    pub sentence: &'static str,
    pub run: fn(&mut Lab),
    /// Servers that answer otherwise, and why. The case must fail there.
    pub ignored: Reasons,
    /// Servers that cannot be asked, and why.
    pub not_run: Reasons,
}

/// A case that every server passes, until [`Case::ignored`] says otherwise.
pub const fn case(name: &'static str, sentence: &'static str, run: fn(&mut Lab)) -> Case {
    Case { name, sentence, run, ignored: &[], not_run: &[] }
}

impl Case {
    pub const fn ignored(mut self, reasons: Reasons) -> Case {
        self.ignored = reasons;
        self
    }

    pub const fn not_run(mut self, reasons: Reasons) -> Case {
        self.not_run = reasons;
        self
    }

    pub fn ignored_on(&self, server: Server) -> Option<&'static str> {
        reason_for(self.ignored, server)
    }

    pub fn not_run_on(&self, server: Server) -> Option<&'static str> {
        reason_for(self.not_run, server)
    }
}

fn reason_for(reasons: Reasons, server: Server) -> Option<&'static str> {
    reasons.iter().find(|(one, _)| *one == server).map(|(_, reason)| *reason)
}

/// Every case with its full name, `subject::name`.
pub fn all() -> Vec<(String, &'static Case)> {
    let subjects: [(&str, &'static [Case]); 17] = [
        ("limits", limits::CASES),
        ("grammar", grammar::CASES),
        ("addresses", addresses::CASES),
        ("unix", unix::CASES),
        ("starting", starting::CASES),
        ("wait", wait::CASES),
        ("datagram", datagram::CASES),
        ("builtins", builtins::CASES),
        ("reload", reload::CASES),
        ("rpc", rpc::CASES),
        ("signals", signals::CASES),
        ("pidfile", pidfile::CASES),
        ("options", options::CASES),
        ("logging", logging::CASES),
        ("notify", notify::CASES),
        ("update_inetd", update_inetd::CASES),
        ("killall", killall::CASES),
    ];
    let named = |(subject, cases): (&str, &'static [Case])| {
        let subject = subject.to_owned();
        cases.iter().map(move |case| (format!("{subject}::{}", case.name), case))
    };
    subjects.into_iter().flat_map(named).collect()
}
