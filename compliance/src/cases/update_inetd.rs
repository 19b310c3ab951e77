//! The real update-inetd against the daemon: it edits the file and signals by the pid file.

use std::fs;
use std::process::Command;

use crate::cases::{Case, case};
use crate::client::{ask, refuses, tcp, wait_refused};
use crate::daemon::Mode;
use crate::deadline;
use crate::lab::{CONFIG, Lab};
use crate::sandbox::ORIGINALS;

pub const CASES: &[Case] = &[
    case("add", "update-inetd(8): --add adds an entry and makes inetd read it", add),
    case("disable", "update-inetd(8): --disable makes an entry a comment with `#<off># `", disable),
    case("enable", "update-inetd(8): --enable takes the comment off", enable),
    case("remove", "update-inetd(8): --remove takes the entry out", remove),
    case(
        "all_of_it_in_a_row",
        "what a package does in its life: add, disable, enable, remove",
        all_of_it_in_a_row,
    ),
    case(
        "sessions_live_on",
        "an upgrade of one package is nothing to the sessions of another",
        sessions_live_on,
    ),
    case("as_a_daemon", "_wakeup_inetd: the pid file's process must have the comm `inetd`", as_a_daemon),
];

const FILE: &str = "\
# /etc/inetd.conf:  see inetd(8) for further informations.
#:INTERNAL: Internal services
#:STANDARD: These are standard services.
#:OTHER: Other services
";

/// The probe under a name with words, as packages write it.
const ENTRY: &str = "labone\\tstream\\ttcp\\tnowait\\tnobody\\t/srv/probe\\tprobe added";

/// Runs the real thing.
fn update_inetd(arguments: &[&str]) {
    let folder = format!("{ORIGINALS}/update-inetd/usr");
    let script = format!("{folder}/sbin/update-inetd");
    assert!(fs::metadata(&script).is_ok(), "no update-inetd: run `cargo run -- fetch-originals`");
    let output = Command::new("/usr/bin/perl")
        .arg(format!("-I{folder}/share/perl5"))
        .arg(&script)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .expect("perl is part of every Debian");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "update-inetd {arguments:?}: {} {said}", output.status);
    assert_eq!(said, "", "update-inetd {arguments:?} should have nothing to complain of");
}

fn config() -> String {
    fs::read_to_string(CONFIG).expect("the file is there")
}

fn add(lab: &mut Lab) {
    lab.start(FILE);
    update_inetd(&["--group", "STANDARD", "--add", ENTRY]);
    assert_eq!(ask("127.0.0.1:2101").arguments(), ["probe", "added"]);
    assert!(config().contains("labone\tstream\ttcp\tnowait\tnobody\t/srv/probe\tprobe added\n"));
    assert!(config().contains("#:OTHER: Other services\n"), "labels survive");
    lab.assert_serves();
}

const ON: &str = "labone\tstream\ttcp\tnowait\tnobody\t/srv/probe\tprobe on\n";

fn disable(lab: &mut Lab) {
    lab.start(&format!("{FILE}{ON}"));
    ask("127.0.0.1:2101");
    update_inetd(&["--disable", "labone"]);
    wait_refused("127.0.0.1:2101");
    assert!(config().contains("#<off># labone\t"));
    lab.assert_serves();
}

fn enable(lab: &mut Lab) {
    lab.start(&format!("{FILE}#<off># {ON}"));
    assert!(refuses("127.0.0.1:2101"));
    update_inetd(&["--enable", "labone"]);
    assert_eq!(ask("127.0.0.1:2101").arguments(), ["probe", "on"]);
}

fn remove(lab: &mut Lab) {
    lab.start(&format!("{FILE}{ON}"));
    ask("127.0.0.1:2101");
    update_inetd(&["--remove", "lab[o]ne"]);
    wait_refused("127.0.0.1:2101");
    assert!(!config().contains("labone"));
    lab.assert_serves();
}

fn whole_life(lab: &mut Lab) {
    update_inetd(&["--add", ENTRY]);
    ask("127.0.0.1:2101");
    update_inetd(&["--disable", "labone"]);
    wait_refused("127.0.0.1:2101");
    update_inetd(&["--enable", "labone"]);
    ask("127.0.0.1:2101");
    update_inetd(&["--remove", "labone"]);
    wait_refused("127.0.0.1:2101");
    lab.assert_serves();
}

fn all_of_it_in_a_row(lab: &mut Lab) {
    lab.start(FILE);
    whole_life(lab);
}

fn sessions_live_on(lab: &mut Lab) {
    lab.start(&format!("{FILE}2001 stream tcp nowait nobody /srv/probe probe do=obey\n"));
    let mut session = tcp("127.0.0.1:2001");
    let pid = session.command("pid");
    update_inetd(&["--add", ENTRY]);
    ask("127.0.0.1:2101");
    assert_eq!(session.command("pid"), pid);
    deadline::wait_until("the daemon is the same", || lab.daemon().is_alive());
}

fn as_a_daemon(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.mode = Mode::Daemon;
    lab.start_with(launch, FILE);
    whole_life(lab);
}
