//! Our tcpd started by another super-server than an inetd: Debian's xinetd, which is told not to ask the tables itself.

use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::cases::tcpd::tables;
use crate::cases::{Case, case};
use crate::client::{ask, tcp};
use crate::deadline;
use crate::lab::Lab;
use crate::sandbox::{ORIGINALS, library_path};
use crate::syslog::{FACILITY_DAEMON, SEVERITY_WARNING};

pub const CASES: &[Case] = &[
    case("lets_in", "tcpd(8): \"it runs the appropriate server program and goes away\"", lets_in),
    case(
        "refuses",
        "hosts_access(5): \"Otherwise, access will be denied when a (daemon,client) pair matches\"",
        refuses,
    ),
    case(
        "twist",
        "hosts_options(5): \"twist shell_command: Replace the current process by an instance of the specified shell command\"",
        twist,
    ),
];

const PLACE: &str = "127.0.0.1:2001";

#[expect(clippy::zombie_processes, reason = "the case is process 1 of its namespace, and all ends with it")]
fn start(allow: &str, deny: &str) {
    tables(allow, deny);
    let config = "service probed\n{\n type = UNLISTED\n socket_type = stream\n protocol = tcp\n port = 2001\n \
                  bind = 127.0.0.1\n wait = no\n user = nobody\n flags = NAMEINARGS NOLIBWRAP\n \
                  server = /srv/ours/tcpd\n server_args = /srv/probe x y\n}\n";
    fs::write("/etc/xinetd.conf", config).expect("/etc is the case's own");
    Command::new(format!("{ORIGINALS}/xinetd/usr/sbin/xinetd"))
        .args(["-dontfork", "-f", "/etc/xinetd.conf"])
        .env("LD_LIBRARY_PATH", library_path())
        .stdin(Stdio::null())
        .spawn()
        .expect("`cargo run -- fetch-originals` has fetched it");
    deadline::wait_until("xinetd listens", || TcpStream::connect(PLACE).is_ok());
}

fn lets_in(lab: &mut Lab) {
    start("probe: 127.0.0.1: setenv WHO %d from %a\n", "ALL: ALL\n");
    let report = ask(PLACE);
    assert_eq!(report.arguments(), ["probe", "x", "y"]);
    assert_eq!(report.environment("WHO"), Some("probe from 127.0.0.1"));
    let message = lab.syslog.expect("connect from 127.0.0.1 (127.0.0.1)");
    assert_eq!((message.ident.as_str(), message.facility, message.severity), ("probe", FACILITY_DAEMON, 6));
}

fn refuses(lab: &mut Lab) {
    start("other: ALL\n", "probe: 127.\n");
    assert_eq!(tcp(PLACE).text(), "");
    assert_eq!(lab.starts(), 0);
    let message = lab.syslog.expect("refused connect from 127.0.0.1 (127.0.0.1)");
    let about = (message.ident.as_str(), message.facility, message.severity);
    assert_eq!(about, ("probe", FACILITY_DAEMON, SEVERITY_WARNING));
}

fn twist(lab: &mut Lab) {
    start("probe: ALL: twist echo 421 %a is not served; id -u\n", "");
    assert_eq!(tcp(PLACE).text(), "421 127.0.0.1 is not served\n65534\n");
    assert_eq!(lab.starts(), 0);
    lab.syslog.expect_where("a line about it", |message| {
        message.text.starts_with("twist 127.0.0.1 to echo 421 127.0.0.1")
    });
}
