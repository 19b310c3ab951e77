//! /run/inetd.pid and the name of the process: what init scripts, update-inetd and killall go by.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::cases::{Case, case};
use crate::client::ask;
use crate::daemon::{Mode, PID_FILE};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Server::{Busybox, Inetutils, Openbsd};

const STAYS: &str = "the pid file stays";
const LINE: &str = "2001 stream tcp nowait nobody /srv/probe probe\n";

pub const CASES: &[Case] = &[
    case("written_in_the_foreground", "logpid(): \"%ld\\n\" to /run/inetd.pid", written_in_the_foreground),
    case(
        "written_as_a_daemon",
        "logpid() comes after daemon(3): the number is the daemon's",
        written_as_a_daemon,
    ),
    case("readable_by_all", "main(): umask(022) before logpid()", readable_by_all),
    case("removed_at_term", "die(): unlink(\"/run/inetd.pid\")", removed_at_term)
        .ignored(&[(Inetutils, STAYS)]),
    case("removed_at_int", "die(): unlink(\"/run/inetd.pid\")", removed_at_int)
        .ignored(&[(Inetutils, STAYS)]),
    case("stale_one_is_replaced", "logpid(): fopen with \"w\"", stale_one_is_replaced),
    case("kept_at_reload", "config() does not touch it", kept_at_reload),
    case(
        "second_instance_leaves_it_alone",
        "a second inetd does not take the first one's pid file",
        second_instance_leaves_it_alone,
    )
    .ignored(&[
        (Openbsd, "writes its own number into it"),
        (Inetutils, "writes its own number into it"),
        (Busybox, "writes its own number into it"),
    ]),
    case(
        "name_of_the_process",
        "update-inetd signals only a process with the comm `inetd`",
        name_of_the_process,
    ),
];

fn written() -> String {
    fs::read_to_string(PID_FILE).expect("the pid file is there")
}

fn written_in_the_foreground(lab: &mut Lab) {
    let daemon = lab.start(LINE);
    assert_eq!(written(), format!("{}\n", daemon.number()));
}

fn written_as_a_daemon(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.mode = Mode::Daemon;
    let daemon = lab.start_with(launch, LINE);
    assert_eq!(written(), format!("{}\n", daemon.number()));
    assert_eq!(daemon.status_value("PPid").as_deref(), Some("1"));
    ask("127.0.0.1:2001");
}

fn readable_by_all(lab: &mut Lab) {
    lab.start(LINE);
    let mode = fs::metadata(PID_FILE).expect("the pid file is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o644);
}

fn removed_after(lab: &mut Lab, signal: Signal) {
    let daemon = lab.start(LINE);
    lab.signal(signal);
    daemon.wait();
    assert!(fs::metadata(PID_FILE).is_err(), "the pid file should be gone");
}

fn removed_at_term(lab: &mut Lab) {
    removed_after(lab, Signal::TERM);
}

fn removed_at_int(lab: &mut Lab) {
    removed_after(lab, Signal::INT);
}

fn stale_one_is_replaced(lab: &mut Lab) {
    fs::write(PID_FILE, "999999999\nand more\n").expect("/run is the case's own");
    // The lab would take the stale number for a daemon's.
    lab.write_config(LINE);
    let mut launch = lab.launch();
    launch.mode = Mode::Daemon;
    let started = launch.spawn();
    assert!(started.wait().success());
    lab.wait_read();
    let number = written();
    let name = fs::read_to_string(format!("/proc/{}/comm", number.trim()));
    assert_eq!(name.expect("the number is a process's").trim(), lab.server.process_name());
}

fn kept_at_reload(lab: &mut Lab) {
    lab.start(LINE);
    let before = written();
    lab.reload(LINE);
    assert_eq!(written(), before);
}

fn second_instance_leaves_it_alone(lab: &mut Lab) {
    let daemon = lab.start(LINE);
    let second = lab.launch().spawn();
    let status = deadline::wait_for("the second gives up", || second.ended());
    assert!(!status.success());
    assert_eq!(written(), format!("{}\n", daemon.number()));
    lab.assert_serves();
}

fn name_of_the_process(lab: &mut Lab) {
    let daemon = lab.start(LINE);
    assert_eq!(daemon.status_value("Name").as_deref(), Some(lab.server.process_name()));
}
