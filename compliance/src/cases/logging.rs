//! Who speaks to syslog, and in which words; the words of each mishap are with its subject.

use crate::cases::{Case, case};
use crate::client::{self, ask, tcp};
use crate::lab::Lab;
use crate::server::Server::Busybox;
use crate::syslog::{FACILITY_DAEMON, SEVERITY_ERR, SEVERITY_WARNING};

pub const CASES: &[Case] = &[
    case(
        "ident_facility_and_pid",
        "main(): openlog(\"inetd\", LOG_PID | LOG_NOWAIT, LOG_DAEMON)",
        ident_facility_and_pid,
    ),
    case("severity_of_a_bad_line", "setup(): syslog(LOG_ERR, …)", severity_of_a_bad_line),
    case("severity_of_an_exit_status", "reap(): syslog(LOG_WARNING, …)", severity_of_an_exit_status)
        .ignored(&[(Busybox, "says it as an error")]),
    case(
        "ident_of_a_failed_start",
        "a child's words have the same ident and facility",
        ident_of_a_failed_start,
    ),
    case("taken_port", "setup() logs `SERVICE/PROTOCOL: bind: Address already in use`", taken_port)
        .ignored(&[(Busybox, "says \"bind\" with the address")]),
    case(
        "taken_port_costs_only_itself",
        "setup() returns, and config() goes on",
        taken_port_costs_only_itself,
    ),
    case(
        "nothing_when_all_is_well",
        "no warning and no error comes of a good start, a caller, a reload and an end",
        nothing_when_all_is_well,
    ),
    case("named_service_is_named", "`SERVICE/PROTOCOL` is as written in the file", named_service_is_named)
        .ignored(&[(Busybox, "says \"bind\" with the address")]),
];

const LINE: &str = "2001 stream tcp4 nowait nobody /srv/probe probe\n";

/// The reason in the words of all of them.
const MISSING: &str = "No such file or directory";
/// The word that all of them have for a port that is taken.
const IN_USE: &str = "Address already in use";

fn ident_facility_and_pid(lab: &mut Lab) {
    let _holder = client::occupy("0.0.0.0:2001").expect("the port is free");
    let daemon = lab.start("2001 stream tcp nowait nobody /srv/probe probe\n");
    let message = lab.syslog.expect_where("a line about the port", |message| message.text.contains(IN_USE));
    assert_eq!(message.ident, "inetd");
    assert_eq!(message.facility, FACILITY_DAEMON);
    assert_eq!(message.pid.and_then(|pid| i32::try_from(pid).ok()), Some(daemon.number()));
}

fn severity_of_a_bad_line(lab: &mut Lab) {
    let _holder = client::occupy("0.0.0.0:2001").expect("the port is free");
    lab.start("2001 stream tcp nowait nobody /srv/probe probe\n");
    let message = lab.syslog.expect_where("a line about the port", |message| message.text.contains(IN_USE));
    assert_eq!(message.severity, SEVERITY_ERR);
}

fn severity_of_an_exit_status(lab: &mut Lab) {
    lab.start("2001 stream tcp wait nobody /srv/probe probe do=obey\n");
    tcp("127.0.0.1:2001").send("exit 3\n");
    let message =
        lab.syslog.expect_where("a line about the end", |message| message.text.contains("exit status"));
    assert_eq!(message.severity, SEVERITY_WARNING);
    assert_eq!(message.facility, FACILITY_DAEMON);
}

fn ident_of_a_failed_start(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/absent absent\n");
    tcp("127.0.0.1:2001").all();
    let message =
        lab.syslog.expect_where("a line about the program", |message| message.text.contains(MISSING));
    assert!(message.text.contains("/srv/absent"));
    assert_eq!(message.ident, "inetd");
    assert_eq!(message.facility, FACILITY_DAEMON);
    assert_eq!(message.severity, SEVERITY_ERR);
}

fn taken_port(lab: &mut Lab) {
    let _holder = client::occupy("0.0.0.0:2001").expect("the port is free");
    lab.start(LINE);
    lab.syslog.expect("2001/tcp4: bind: Address already in use");
}

fn taken_port_costs_only_itself(lab: &mut Lab) {
    let _holder = client::occupy("0.0.0.0:2001").expect("the port is free");
    lab.start(
        "2001 stream tcp nowait nobody /srv/probe probe\n2002 stream tcp nowait nobody /srv/probe two\n",
    );
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["two"]);
}

fn nothing_when_all_is_well(lab: &mut Lab) {
    let daemon = lab.start(
        "2001 stream tcp nowait nobody /srv/probe probe\n2002 dgram udp wait nobody /srv/probe probe\n\
         time stream tcp nowait root internal\n",
    );
    ask("127.0.0.1:2001");
    client::udp("127.0.0.1:2002").ask("x");
    tcp("127.0.0.1:37").all();
    lab.reload("2001 stream tcp nowait nobody /srv/probe probe\n");
    ask("127.0.0.1:2001");
    lab.signal(rustix::process::Signal::TERM);
    daemon.wait();
    assert_eq!(lab.syslog.count(|message| message.severity <= SEVERITY_WARNING), 0);
}

fn named_service_is_named(lab: &mut Lab) {
    let _holder = client::occupy("0.0.0.0:2101").expect("the port is free");
    lab.start("labalias stream tcp4 nowait nobody /srv/probe probe\n");
    lab.syslog.expect("labalias/tcp4: bind: Address already in use");
}
