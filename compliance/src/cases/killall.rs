//! The real killall(1): people type `killall -HUP inetd`.

use std::fs;
use std::process::Command;

use crate::cases::{Case, case};
use crate::client::{ask, tcp, wait_refused};
use crate::daemon::Mode;
use crate::lab::Lab;
use crate::sandbox::ORIGINALS;
use crate::server::Server::{Busybox, Inetutils, Openbsd};

pub const CASES: &[Case] = &[
    case("hup", "killall(1) -HUP by the name of the process is a reload", hup),
    case("hup_as_a_daemon", "killall(1) -HUP by the name of the process is a reload", hup_as_a_daemon),
    case(
        "hup_with_builtin_sessions",
        "killall reaches a forked built-in, too, and it must not mind",
        hup_with_builtin_sessions,
    )
    .ignored(&[(Openbsd, "a forked built-in keeps every listener of the daemon open")])
    .not_run(&[(Busybox, READS_TOO), (Inetutils, READS_TOO)]),
    case("hup_again_and_again", "every reload works, and the daemon stays one", hup_again_and_again),
    case("term", "killall(1) without a signal ends it, and nothing else", term)
        .ignored(&[(Inetutils, "the signal has its default action there")]),
];

const READS_TOO: &str = "the forked built-in reads the file as well, and either of them gets the port";

const ONE: &str = "2001 stream tcp nowait nobody /srv/probe one do=obey\n";
const TWO: &str = "2002 stream tcp nowait nobody /srv/probe two\n";

fn killall(lab: &Lab, option: &str) {
    let program = format!("{ORIGINALS}/psmisc/usr/bin/killall");
    assert!(fs::metadata(&program).is_ok(), "no killall: run `cargo run -- fetch-originals`");
    let name = lab.server.process_name();
    let output = Command::new(program).args([option, name]).output().expect("it is there");
    assert!(output.status.success(), "killall {option} {name}: {}", String::from_utf8_lossy(&output.stderr));
}

fn reload_by_name(lab: &mut Lab) {
    let mut session = tcp("127.0.0.1:2001");
    let pid = session.command("pid");
    lab.write_config(&format!("{ONE}{TWO}"));
    killall(lab, "-HUP");
    lab.wait_read();
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["two"]);
    assert_eq!(session.command("pid"), pid);
    lab.assert_serves();
}

fn hup(lab: &mut Lab) {
    lab.start(ONE);
    reload_by_name(lab);
}

fn hup_as_a_daemon(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.mode = Mode::Daemon;
    lab.start_with(launch, ONE);
    reload_by_name(lab);
}

fn hup_with_builtin_sessions(lab: &mut Lab) {
    lab.start(&format!("{ONE}echo stream tcp nowait root internal\n"));
    let mut session = tcp("127.0.0.1:7");
    // An answer shows that whatever serves this caller is there before the signal is.
    session.send("hello\n");
    assert_eq!(session.line(), "hello");
    lab.write_config(TWO);
    killall(lab, "-HUP");
    lab.wait_read();
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["two"]);
    wait_refused("127.0.0.1:2001");
    drop(session);
}

fn hup_again_and_again(lab: &mut Lab) {
    let daemon = lab.start(ONE);
    for number in 0..5 {
        lab.write_config(&format!("{ONE}30{number:02} stream tcp nowait nobody /srv/probe p\n"));
        killall(lab, "-HUP");
        lab.wait_read();
        ask(&format!("127.0.0.1:30{number:02}"));
    }
    assert!(daemon.is_alive());
}

fn term(lab: &mut Lab) {
    let daemon = lab.start(ONE);
    let mut session = tcp("127.0.0.1:2001");
    let pid = session.command("pid");
    killall(lab, "-TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    assert_eq!(session.command("pid"), pid);
}
