//! The lines of xinetd.log(5), to the letter: existing watchers go on working.

use std::net::SocketAddr;
use std::time::Duration;

use usherd_model::admission::Limit;
use usherd_model::children::Pid;
use usherd_model::event::{Exit, Reason};
use usherd_model::policy::{LogOnFailure, LogOnSuccess};

use crate::endpoints::HostText;

/// `START: id pid=1 from=192.0.2.1`
pub(super) fn start(id: &str, log: LogOnSuccess, pid: Option<Pid>, peer: Option<SocketAddr>) -> String {
    let mut line = format!("START: {id}");
    if log.pid {
        line.push_str(&number(pid));
    }
    if log.host {
        line.push_str(&from(peer));
    }
    line
}

/// `EXIT: id status=0 pid=1 duration=0(sec)`
pub(super) fn exit(id: &str, log: LogOnSuccess, exit: Exit, pid: Option<Pid>, lasted: Duration) -> String {
    let mut line = format!("EXIT: {id}");
    if log.exit {
        line.push_str(&match exit {
            Exit::Status(status) => format!(" status={status}"),
            Exit::Signal(signal) => format!(" signal={signal}"),
        });
    }
    if log.pid {
        line.push_str(&number(pid));
    }
    if log.duration {
        line.push_str(&format!(" duration={}(sec)", lasted.as_secs()));
    }
    line
}

/// `TRAFFIC: id in=1(bytes) out=2(bytes)`
pub(super) fn traffic(id: &str, received: u64, sent: u64) -> String {
    format!("TRAFFIC: {id} in={received}(bytes) out={sent}(bytes)")
}

/// `FAIL: id address from=192.0.2.1`
pub(super) fn fail(id: &str, log: LogOnFailure, reason: Reason, peer: Option<SocketAddr>) -> String {
    let from = if log.host { from(peer) } else { String::new() };
    format!("FAIL: {id} {}{from}", reason_word(reason))
}

/// What xinetd says of a limit: something of one only, that it stops serving for a while.
pub(super) fn limit(id: &str, limit: Limit, pause: Option<Duration>) -> String {
    match (limit, pause) {
        (Limit::Starts, Some(pause)) => rests(id, pause),
        _ => String::new(),
    }
}

/// `Deactivating service id due to excessive incoming connections.  Restarting in 30 seconds.`
pub(super) fn rests(id: &str, rest: Duration) -> String {
    format!(
        "Deactivating service {id} due to excessive incoming connections.  Restarting in {} seconds.",
        rest.as_secs()
    )
}

/// `USERID: id UNIX :joe`, or `NOID: id 192.0.2.1 no server`
pub(super) fn identified(id: &str, peer: Option<SocketAddr>, said: Result<&str, &str>) -> String {
    match said {
        Ok(user) => format!("USERID: {id} {user}"),
        Err(why) => format!("NOID: {id} {} {why}", address_text(peer)),
    }
}

/// The word of xinetd for it.
fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::Limit(limit) => match limit {
            Limit::Starts => "connections per second",
            Limit::Children => "service_limit",
            Limit::Total | Limit::Sessions => "process_limit",
            Limit::SourceStarts | Limit::SourceChildren | Limit::SourceTable => "per_source_limit",
            Limit::Bounce | Limit::Loop => "address",
            Limit::Tables => "libwrap",
            Limit::Resources => "fork",
        },
        Reason::Tables => "libwrap",
        Reason::Address => "address",
        Reason::Time => "time",
        Reason::Load => "load",
        Reason::NoUser => "userid",
        Reason::NoProcess => "fork",
    }
}

/// A session of a built-in has no process.
fn number(pid: Option<Pid>) -> String {
    format!(" pid={}", pid.map_or(0, |pid| pid.0))
}

/// The address as the socket has it: that of an IPv4 caller of an IPv6 socket is longer.
fn from(address: Option<SocketAddr>) -> String {
    format!(" from={}", address_text(address))
}

fn address_text(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "<no address>".to_owned(), |address| HostText(address).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: LogOnSuccess =
        LogOnSuccess { pid: true, host: true, user: false, exit: true, duration: true, traffic: false };

    #[test]
    fn lines_are_those_of_xinetd() {
        let peer = |text: &str| Some(text.parse().expect("an address"));
        let (pid, none) = (Some(Pid(8503)), LogOnSuccess::default());
        assert_eq!(
            start("all", ALL, pid, peer("[::ffff:127.0.0.1]:4")),
            "START: all pid=8503 from=::ffff:127.0.0.1"
        );
        assert_eq!(start("waiter", ALL, pid, None), "START: waiter pid=8503 from=<no address>");
        assert_eq!(start("exitonly", LogOnSuccess { exit: true, ..none }, pid, None), "START: exitonly");
        let seconds = Duration::from_millis(1700);
        assert_eq!(
            exit("all", ALL, Exit::Status(0), pid, seconds),
            "EXIT: all status=0 pid=8503 duration=1(sec)"
        );
        let only = LogOnSuccess { exit: true, ..none };
        assert_eq!(exit("exitonly", only, Exit::Signal(9), pid, seconds), "EXIT: exitonly signal=9");
        assert_eq!(traffic("all", 12, 3456), "TRAFFIC: all in=12(bytes) out=3456(bytes)");
        let failure = LogOnFailure { attempt: true, host: true, user: false };
        assert_eq!(
            fail("cps", failure, Reason::Limit(Limit::Starts), peer("192.0.2.1:5")),
            "FAIL: cps connections per second from=192.0.2.1"
        );
        let attempt = LogOnFailure { attempt: true, host: false, user: false };
        assert_eq!(fail("it", attempt, Reason::Tables, None), "FAIL: it libwrap");
    }
}
