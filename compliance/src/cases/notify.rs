//! What a service manager is told (Debian's patch sd_daemon).

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use crate::cases::{Case, case};
use crate::client::ask;
use crate::daemon::{Mode, Process};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Server::{Busybox, Inetutils};

const NO_NOTIFY: &str = "speaks to no service manager";
const LINE: &str = "2001 stream tcp nowait nobody /srv/probe probe\n";

pub const CASES: &[Case] = &[
    case("ready", "config(): sd_notify(\"READY=1\") when everything is open", ready)
        .ignored(&[(Inetutils, NO_NOTIFY), (Busybox, NO_NOTIFY)]),
    case(
        "foreground_by_itself",
        "main(): `if (getenv(\"NOTIFY_SOCKET\")) nodaemon = 1`",
        foreground_by_itself,
    )
    .ignored(&[(Inetutils, NO_NOTIFY), (Busybox, NO_NOTIFY)]),
    case("reloading", "config(): RELOADING=1, then READY=1", reloading)
        .ignored(&[(Inetutils, NO_NOTIFY), (Busybox, NO_NOTIFY)]),
    case("stopping", "die(): STOPPING=1", stopping).ignored(&[(Inetutils, NO_NOTIFY), (Busybox, NO_NOTIFY)]),
    case("watchdog", "main(): WATCHDOG=1 at half of WATCHDOG_USEC", watchdog)
        .ignored(&[(Inetutils, NO_NOTIFY), (Busybox, NO_NOTIFY)]),
    case(
        "not_for_the_programs",
        "the socket of the service manager is not for the programs",
        not_for_the_programs,
    )
    .ignored(&[
        (crate::server::Server::Openbsd, "NOTIFY_SOCKET is passed on"),
        (Inetutils, NO_NOTIFY),
        (Busybox, NO_NOTIFY),
    ]),
];

/// Starts the daemon as a service manager would, without the option for the foreground.
fn start(lab: &mut Lab, more: &[(&str, &str)]) -> (UnixDatagram, Process) {
    let socket = UnixDatagram::bind("/run/notify").expect("/run is the case's own");
    socket.set_read_timeout(Some(deadline::patience())).expect("a time above zero");
    let mut launch = lab.launch();
    launch.mode = Mode::ForegroundByCase;
    launch.environment = vec![("NOTIFY_SOCKET".to_owned(), "/run/notify".to_owned())];
    launch.environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    lab.write_config(LINE);
    let started = launch.spawn();
    lab.wait_read();
    (socket, started)
}

/// Waits for a message that has this line.
fn expect(socket: &UnixDatagram, line: &str) {
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {line}: {error}"));
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.lines().any(|one| one == line) {
            return;
        }
    }
}

fn ready(lab: &mut Lab) {
    let (socket, _) = start(lab, &[]);
    expect(&socket, "READY=1");
    ask("127.0.0.1:2001");
}

fn foreground_by_itself(lab: &mut Lab) {
    let (socket, started) = start(lab, &[]);
    expect(&socket, "READY=1");
    assert!(started.is_alive());
    assert_eq!(Process::from_pid_file().number(), started.number());
}

fn reloading(lab: &mut Lab) {
    let (socket, started) = start(lab, &[]);
    expect(&socket, "READY=1");
    started.signal(Signal::HUP);
    expect(&socket, "RELOADING=1");
    expect(&socket, "READY=1");
}

fn stopping(lab: &mut Lab) {
    let (socket, started) = start(lab, &[]);
    expect(&socket, "READY=1");
    started.signal(Signal::TERM);
    expect(&socket, "STOPPING=1");
    assert_eq!(started.wait().code(), Some(0));
}

fn watchdog(lab: &mut Lab) {
    let (socket, _) = start(lab, &[("WATCHDOG_USEC", "400000")]);
    expect(&socket, "WATCHDOG=1");
    expect(&socket, "WATCHDOG=1");
}

fn not_for_the_programs(lab: &mut Lab) {
    let (socket, _) = start(lab, &[("WATCHDOG_USEC", "9000000")]);
    expect(&socket, "READY=1");
    let report = ask("127.0.0.1:2001");
    assert_eq!(report.environment("NOTIFY_SOCKET"), None);
    assert_eq!(report.environment("WATCHDOG_USEC"), None);
}
