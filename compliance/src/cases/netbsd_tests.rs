//! What NetBSD's own tests ask of its inetd, told anew: rate limits of a service and of a source for each way
//! of serving, and the most programs at the same time.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::cases::{Case, case};
use crate::client::{Caller, Fate, tcp, udp, unix};
use crate::lab::Lab;

pub const CASES: &[Case] = &[
    case(
        "limits_on_datagrams",
        "t_inetd: service_max and ip_max of `dgram` with `wait`",
        limits_on_datagrams,
    ),
    case("limits_on_listeners", "t_inetd: service_max of `stream` with `wait`", limits_on_listeners),
    case(
        "limits_on_connections",
        "t_inetd: service_max and ip_max of `stream` with `nowait`",
        limits_on_connections,
    ),
    case("term_exits_0", "t_inetd: after all of it, SIGTERM ends it with status 0", term_exits_0),
    case("accept_max_in_columns", "t_accept_max: `stream,2`", accept_max_in_columns),
    case("accept_max_in_keys", "t_accept_max: `accept_max = 2`", accept_max_in_keys),
];

/// As the tests: what does not come within a second does not come.
const LATE: Duration = Duration::from_secs(1);

/// One service of the file, and how many callers in a row it has to serve.
struct Row {
    port: u16,
    protocol: &'static str,
    wait: &'static str,
    limits: &'static str,
    served: usize,
}

const ROWS: &[Row] = &[
    Row { port: 5432, protocol: "udp4", wait: "yes", limits: "service_max = 5, ip_max = 3", served: 3 },
    Row { port: 5433, protocol: "udp4", wait: "yes", limits: "ip_max = 0", served: 0 },
    Row { port: 5434, protocol: "udp4", wait: "yes", limits: "service_max = 2", served: 2 },
    Row { port: 5435, protocol: "udp4", wait: "yes", limits: "service_max = 0", served: 0 },
    Row { port: 5434, protocol: "tcp4", wait: "yes", limits: "service_max = 2", served: 2 },
    Row { port: 5435, protocol: "tcp4", wait: "yes", limits: "service_max = 0", served: 0 },
    Row { port: 5436, protocol: "tcp4", wait: "no", limits: "ip_max = 3, service_max = 5", served: 3 },
    Row { port: 5437, protocol: "tcp4", wait: "no", limits: "ip_max = 0", served: 0 },
    Row { port: 5438, protocol: "tcp4", wait: "no", limits: "service_max = 2", served: 2 },
    Row { port: 5439, protocol: "tcp4", wait: "no", limits: "service_max = 0", served: 0 },
];

fn start(lab: &mut Lab) {
    let line = |row: &Row| {
        format!(
            "127.0.0.1:{} on protocol = {}, wait = {}, user = nobody, exec = /srv/probe, args = probe, {};\n",
            row.port, row.protocol, row.wait, row.limits
        )
    };
    lab.start(&ROWS.iter().map(line).collect::<String>());
}

/// Calls each service of a kind once more than it has to serve.
fn check(lab: &mut Lab, protocol: &str, wait: &str) {
    start(lab);
    for row in ROWS.iter().filter(|row| row.protocol == protocol && row.wait == wait) {
        let address = format!("127.0.0.1:{}", row.port);
        for number in 0..=row.served {
            let is_served = if protocol == "udp4" {
                let caller = udp(&address);
                caller.send("x");
                caller.try_receive(LATE).is_some()
            } else {
                // Connecting has to work for all of them.
                tcp(&address).fate(LATE) == Fate::Answered
            };
            assert_eq!(is_served, number < row.served, "{}, caller {number} of {address}", row.limits);
        }
    }
}

fn limits_on_datagrams(lab: &mut Lab) {
    check(lab, "udp4", "yes");
}

fn limits_on_listeners(lab: &mut Lab) {
    check(lab, "tcp4", "yes");
}

fn limits_on_connections(lab: &mut Lab) {
    check(lab, "tcp4", "no");
}

fn term_exits_0(lab: &mut Lab) {
    check(lab, "tcp4", "no");
    let daemon = lab.daemon();
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(0));
}

/// Five callers, of whom two are served at a time.
fn assert_two_at_a_time() {
    let mut callers: Vec<Caller<UnixStream>> = Vec::new();
    for _ in 0..5 {
        let mut caller = unix("/run/lab.sock");
        caller.send("pid\n");
        callers.push(caller);
    }
    let mut waiting = callers.split_off(2);
    for caller in &mut callers {
        assert!(caller.line().parse::<u32>().is_ok());
    }
    assert_eq!(waiting[0].fate(LATE), Fate::Waiting, "a third is served");
    while let Some(done) = callers.pop() {
        drop(done);
        if !waiting.is_empty() {
            let mut next = waiting.remove(0);
            assert!(next.line().parse::<u32>().is_ok());
            callers.push(next);
        }
    }
    assert!(waiting.is_empty());
}

fn accept_max_in_columns(lab: &mut Lab) {
    lab.start("/run/lab.sock stream,2 unix nowait nobody /srv/probe probe do=obey\n");
    assert_two_at_a_time();
}

fn accept_max_in_keys(lab: &mut Lab) {
    lab.start(
        "/run/lab.sock on protocol = unix, socktype = stream, accept_max = 2, wait = no, user = nobody,\n\
         \texec = /srv/probe, args = probe do=obey;\n",
    );
    assert_two_at_a_time();
}
