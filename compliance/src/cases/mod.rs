//! The cases by subject, and what a case is.
//!
//! A case names the sentence that it checks: of Debian's inetd(8), quoted, or the behaviour observed in the
//! original's source. When a server differs, the case is ignored for it with the reason, is run all the same,
//! and must fail: an ignored case that passes fails the run. Only what cannot be asked of a server at all, or
//! what it answers by chance, is not run.

mod addresses;
mod autopkgtest;
mod builtins;
mod busybox;
mod datagram;
mod freebsd;
mod gnu;
mod grammar;
mod inetutils_tests;
mod killall;
mod limits;
mod logging;
mod netbsd;
mod netbsd_tests;
mod notify;
mod openbsd;
mod options;
mod pidfile;
mod reload;
mod robustness;
mod rpc;
mod signals;
mod starting;
mod tcpd;
mod under_xinetd;
mod union;
mod unix;
mod update_inetd;
mod wait;
mod xinetd_access;
mod xinetd_conf;
mod xinetd_internal;
mod xinetd_language;
mod xinetd_limits;
mod xinetd_logging;
mod xinetd_options;
mod xinetd_process;
mod xinetd_redirect;
mod xinetd_reload;
mod xinetd_rpc;
mod xinetd_signals;
mod xinetd_sockets;
mod xinetd_wrapped;

use crate::lab::Lab;
use crate::server::{Dialect, Server};

type Reasons = &'static [(Server, &'static str)];
type DialectReasons = &'static [(Dialect, &'static str)];

/// Why a case about both families is none in most dialects.
const V4_ONLY: &str = "`tcp` and `udp` are IPv4 only there";
const V4_DIALECTS: DialectReasons = &[
    (Dialect::Gnu, V4_ONLY),
    (Dialect::Freebsd, V4_ONLY),
    (Dialect::Netbsd, V4_ONLY),
    (Dialect::Busybox, V4_ONLY),
];

/// One question and its answer.
pub struct Case {
    pub name: &'static str,
    /// What the manual says, or what was observed.
    pub sentence: &'static str,
    pub run: fn(&mut Lab),
    /// Servers that answer otherwise, and why. The case must fail there.
    pub ignored: Reasons,
    /// Dialects in which a file means something else, and what: whoever reads such a dialect must fail the
    /// case, the original and ours alike.
    pub other_dialects: DialectReasons,
    /// Servers that cannot be asked, and why.
    pub not_run: Reasons,
}

/// A case that every server passes, until [`Case::ignored`] says otherwise.
pub const fn case(name: &'static str, sentence: &'static str, run: fn(&mut Lab)) -> Case {
    Case { name, sentence, run, ignored: &[], other_dialects: &[], not_run: &[] }
}

impl Case {
    pub const fn ignored(mut self, reasons: Reasons) -> Case {
        self.ignored = reasons;
        self
    }

    pub const fn other_dialects(mut self, reasons: DialectReasons) -> Case {
        self.other_dialects = reasons;
        self
    }

    pub const fn not_run(mut self, reasons: Reasons) -> Case {
        self.not_run = reasons;
        self
    }

    pub fn ignored_on(&self, server: Server) -> Option<&'static str> {
        let in_dialect = || server.dialect().and_then(|dialect| reason_for(self.other_dialects, dialect));
        reason_for(self.ignored, server).or_else(in_dialect)
    }

    pub fn not_run_on(&self, server: Server) -> Option<&'static str> {
        reason_for(self.not_run, server)
    }
}

fn reason_for<T: PartialEq>(reasons: &[(T, &'static str)], wanted: T) -> Option<&'static str> {
    reasons.iter().find(|(one, _)| *one == wanted).map(|(_, reason)| *reason)
}

/// Who is asked the questions of a subject.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Whoever reads an inetd.conf.
    Everybody,
    /// Whoever reads an xinetd.conf.
    Xinetd,
    /// usherd without `--dialect`.
    Union,
    /// Whoever reads that dialect.
    Readers(Dialect),
    /// Those, and usherd without `--dialect`.
    ReadersAndUnion(Dialect),
}

impl Asked {
    fn includes(self, server: Server) -> bool {
        match self {
            Asked::Everybody => !server.is_xinetd(),
            Asked::Xinetd => server.is_xinetd(),
            Asked::Union => server == Server::Usherd,
            Asked::ReadersAndUnion(dialect) => server == Server::Usherd || server.dialect() == Some(dialect),
            Asked::Readers(dialect) => server.dialect() == Some(dialect),
        }
    }
}

const SUBJECTS: &[(&str, Asked, &[Case])] = &[
    ("limits", Asked::Everybody, limits::CASES),
    ("grammar", Asked::Everybody, grammar::CASES),
    ("addresses", Asked::Everybody, addresses::CASES),
    ("unix", Asked::Everybody, unix::CASES),
    ("starting", Asked::Everybody, starting::CASES),
    ("wait", Asked::Everybody, wait::CASES),
    ("datagram", Asked::Everybody, datagram::CASES),
    ("builtins", Asked::Everybody, builtins::CASES),
    ("reload", Asked::Everybody, reload::CASES),
    ("rpc", Asked::Everybody, rpc::CASES),
    ("signals", Asked::Everybody, signals::CASES),
    ("pidfile", Asked::Everybody, pidfile::CASES),
    ("options", Asked::Everybody, options::CASES),
    ("logging", Asked::Everybody, logging::CASES),
    ("notify", Asked::Everybody, notify::CASES),
    ("tcpd", Asked::Everybody, tcpd::CASES),
    ("under_xinetd", Asked::Union, under_xinetd::CASES),
    ("update_inetd", Asked::Everybody, update_inetd::CASES),
    ("killall", Asked::Everybody, killall::CASES),
    ("robustness", Asked::Everybody, robustness::CASES),
    ("inetutils_tests", Asked::Everybody, inetutils_tests::CASES),
    ("autopkgtest", Asked::ReadersAndUnion(Dialect::Openbsd), autopkgtest::CASES),
    ("netbsd_tests", Asked::ReadersAndUnion(Dialect::Netbsd), netbsd_tests::CASES),
    ("union", Asked::Union, union::CASES),
    ("openbsd", Asked::Readers(Dialect::Openbsd), openbsd::CASES),
    ("gnu", Asked::Readers(Dialect::Gnu), gnu::CASES),
    ("freebsd", Asked::Readers(Dialect::Freebsd), freebsd::CASES),
    ("netbsd", Asked::Readers(Dialect::Netbsd), netbsd::CASES),
    ("busybox", Asked::Readers(Dialect::Busybox), busybox::CASES),
    ("xinetd_language", Asked::Xinetd, xinetd_language::CASES),
    ("xinetd_sockets", Asked::Xinetd, xinetd_sockets::CASES),
    ("xinetd_process", Asked::Xinetd, xinetd_process::CASES),
    ("xinetd_limits", Asked::Xinetd, xinetd_limits::CASES),
    ("xinetd_access", Asked::Xinetd, xinetd_access::CASES),
    ("xinetd_wrapped", Asked::Xinetd, xinetd_wrapped::CASES),
    ("xinetd_logging", Asked::Xinetd, xinetd_logging::CASES),
    ("xinetd_internal", Asked::Xinetd, xinetd_internal::CASES),
    ("xinetd_rpc", Asked::Xinetd, xinetd_rpc::CASES),
    ("xinetd_redirect", Asked::Xinetd, xinetd_redirect::CASES),
    ("xinetd_options", Asked::Xinetd, xinetd_options::CASES),
    ("xinetd_signals", Asked::Xinetd, xinetd_signals::CASES),
    ("xinetd_reload", Asked::Xinetd, xinetd_reload::CASES),
];

/// Every case with its full name, `subject::name`.
pub fn all() -> Vec<(String, &'static Case)> {
    of_subjects(|_| true)
}

/// The cases that a server is asked.
pub fn of(server: Server) -> Vec<(String, &'static Case)> {
    of_subjects(|asked| asked.includes(server))
}

fn of_subjects(wanted: impl Fn(Asked) -> bool) -> Vec<(String, &'static Case)> {
    let subjects = SUBJECTS.iter().filter(|(_, asked, _)| wanted(*asked));
    let named = |(subject, _, cases): &(&str, Asked, &'static [Case])| {
        let subject = (*subject).to_owned();
        cases.iter().map(move |case| (format!("{subject}::{}", case.name), case))
    };
    subjects.flat_map(named).collect()
}
