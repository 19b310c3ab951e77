//! TCP wrappers: services behind tcpd, by whoever starts it.
//!
//! Three programs stand before the probe: Debian's tcpd, usherd's by the name of tcpd, and Debian's by another name. usherd
//! starts neither of the first two, and asks the tables itself; the last one it knows nothing of, and starts it like any
//! program.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::cases::{Case, DialectReasons, case};
use crate::client::{ask, tcp};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Dialect;
use crate::syslog::{FACILITY_DAEMON, SEVERITY_WARNING};

pub const CASES: &[Case] = &[
    case("lets_in", "tcpd(8): \"it runs the appropriate server program and goes away\"", lets_in)
        .other_dialects(NETBSD),
    case(
        "refuses",
        "hosts_access(5): \"Otherwise, access will be denied when a (daemon,client) pair matches\"",
        refuses,
    )
    .other_dialects(NETBSD),
    case(
        "setenv",
        "hosts_options(5): \"setenv name value: Place a (name, value) pair into the process environment\"",
        setenv,
    ),
    case(
        "twist",
        "hosts_options(5): \"twist shell_command: Replace the current process by an instance of the specified shell command\"",
        twist,
    ),
    case(
        "spawn",
        "hosts_options(5): \"spawn shell_command: Execute, in a child process, the specified shell command\"",
        spawn,
    )
    .other_dialects(NETBSD),
    case(
        "names",
        "hosts_access(5): \"A string that begins with a `.' character: a host name is matched if the last components of its name match\"",
        names,
    ),
    case("an_edit_counts_at_once", "tcpd.c: the tables are read for every caller", an_edit_counts_at_once),
];

const NETBSD: DialectReasons =
    &[(Dialect::Netbsd, "inetd itself has asked the tables before tcpd does, and in its own words")];

const PORTS: [u16; 3] = [2001, 2002, 2003];
const PROGRAMS: [&str; 3] = ["/srv/originals/tcpd/usr/sbin/tcpd", "/srv/ours/tcpd", "/srv/wrapper"];

fn start(lab: &mut Lab, allow: &str, deny: &str) {
    tables(allow, deny);
    let lines = PORTS.iter().zip(PROGRAMS);
    let config: String = lines
        .map(|(port, program)| format!("{port} stream tcp nowait nobody {program} /srv/probe x y\n"))
        .collect();
    lab.start(&config);
}

pub(super) fn tables(allow: &str, deny: &str) {
    fs::write("/etc/hosts.allow", allow).expect("/etc is the case's own");
    fs::write("/etc/hosts.deny", deny).expect("/etc is the case's own");
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn each_is_served() {
    for port in PORTS {
        assert_eq!(ask(&address(port)).arguments(), ["probe", "x", "y"], "port {port}");
    }
}

fn lets_in(lab: &mut Lab) {
    start(lab, "probe: 127.0.0.1\n", "ALL: ALL\n");
    each_is_served();
    let message = lab.syslog.expect("connect from 127.0.0.1 (127.0.0.1)");
    assert_eq!((message.ident.as_str(), message.facility, message.severity), ("probe", FACILITY_DAEMON, 6));
    deadline::wait_until("a line of each", || {
        lab.syslog.count(|other| other.text == message.text) == PORTS.len()
    });
}

fn refuses(lab: &mut Lab) {
    start(lab, "other: ALL\n", "probe: 127.\n");
    for port in PORTS {
        assert_eq!(tcp(&address(port)).text(), "", "port {port}");
    }
    assert_eq!(lab.starts(), 0);
    let message = lab.syslog.expect("refused connect from 127.0.0.1 (127.0.0.1)");
    let about = (message.ident.as_str(), message.facility, message.severity);
    assert_eq!(about, ("probe", FACILITY_DAEMON, SEVERITY_WARNING));
}

fn setenv(lab: &mut Lab) {
    start(lab, "probe: ALL: setenv WHO %d from %a: umask 027\n", "");
    for port in PORTS {
        let report = ask(&address(port));
        assert_eq!(report.environment("WHO"), Some("probe from 127.0.0.1"), "port {port}");
        assert_eq!(report.arguments(), ["probe", "x", "y"], "port {port}");
    }
}

fn twist(lab: &mut Lab) {
    start(lab, "probe: ALL: twist echo 421 %a is not served; id -u\n", "");
    for port in PORTS {
        assert_eq!(tcp(&address(port)).text(), "421 127.0.0.1 is not served\n65534\n", "port {port}");
    }
    assert_eq!(lab.starts(), 0);
    lab.syslog.expect_where("a line about it", |message| {
        message.text.starts_with("twist 127.0.0.1 to echo 421 127.0.0.1")
    });
}

fn spawn(lab: &mut Lab) {
    fs::create_dir("/tmp/spool").expect("/tmp is the case's own");
    fs::set_permissions("/tmp/spool", fs::Permissions::from_mode(0o777)).expect("the case is root");
    start(lab, "probe: ALL: spawn echo %c >> /tmp/spool/callers\n", "");
    for port in PORTS {
        // The command has ended before the program begins.
        ask(&address(port));
    }
    let callers = fs::read_to_string("/tmp/spool/callers").expect("commands were run");
    assert_eq!(callers, "127.0.0.1\n".repeat(PORTS.len()));
}

fn names(lab: &mut Lab) {
    start(lab, "probe: LOCAL\n", "ALL: ALL\n");
    each_is_served();
    lab.syslog.expect("connect from localhost (127.0.0.1)");
}

fn an_edit_counts_at_once(lab: &mut Lab) {
    start(lab, "probe: ALL\n", "ALL: ALL\n");
    for port in PORTS {
        ask(&address(port));
        tables("probe: 10.0.0.1\n", "ALL: ALL\n");
        assert_eq!(tcp(&address(port)).text(), "", "port {port}");
        tables("probe: ALL\n", "ALL: ALL\n");
        ask(&address(port));
    }
}
