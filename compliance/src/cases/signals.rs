//! Signals but SIGHUP: TERM, INT, QUIT, ALRM, CHLD, PIPE, USR1, USR2.

use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::cases::{Case, case};
use crate::client::{self, ask, refuses, tcp};
use crate::daemon::{Mode, Process};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Server::{Busybox, Inetutils, Openbsd};

const DEFAULT_ACTION: &str = "the signal has its default action there";

pub const CASES: &[Case] =
    &[
        case("term_exits_0", "die(): exit(0)", term_exits_0).ignored(&[(Inetutils, DEFAULT_ACTION)]),
        case("term_exits_0_as_a_daemon", "die(): exit(0)", term_exits_0_as_a_daemon)
            .ignored(&[(Inetutils, DEFAULT_ACTION)]),
        case("int_exits_0", "main(): SIGINT is handled like SIGTERM", int_exits_0)
            .ignored(&[(Inetutils, DEFAULT_ACTION)]),
        case("quit_exits_0", "SIGQUIT tidies up like SIGTERM: no file stays behind", quit_exits_0)
            .ignored(&[(Openbsd, DEFAULT_ACTION), (Inetutils, DEFAULT_ACTION), (Busybox, DEFAULT_ACTION)]),
        case("stray_signals_are_nothing", "SIGUSR1 and SIGUSR2 mean nothing, and end nothing", stray_signals)
            .ignored(&[(Openbsd, DEFAULT_ACTION), (Inetutils, DEFAULT_ACTION), (Busybox, DEFAULT_ACTION)]),
        case("term_closes_listeners", "die(): close(sep->se_fd)", term_closes_listeners),
        case("sessions_live_on_after_term", "die() leaves the children alone", sessions_live_on_after_term),
        case(
            "wait_server_lives_on_after_term",
            "die() leaves the children alone",
            wait_server_lives_on_after_term,
        ),
        case("killed_children", "reap(): children who are killed are children who ended", killed_children),
        case("pipe_is_nothing", "main(): signal(SIGPIPE, SIG_IGN)", pipe_is_nothing),
        case("alarm_retries", "retry(): SIGALRM opens again what could not be opened", alarm_retries)
            .ignored(&[(Inetutils, "sets up a socket that nobody listens on")]),
        case(
            "port_is_retried_unasked",
            "a port that was taken is tried again soon, unasked",
            port_is_retried_unasked,
        )
        .ignored(&[
            (Openbsd, "tries again after ten minutes"),
            (Inetutils, "tries again after ten minutes, and then does not listen"),
            (Busybox, "tries again after a minute"),
        ]),
        case(
            "child_is_nothing_to_the_daemon",
            "a program has a session of its own: its signals are its own",
            child_is_nothing_to_the_daemon,
        )
        .ignored(&[(Inetutils, "programs are in the daemon's own process group")]),
    ];

const LINE: &str = "2001 stream tcp nowait nobody /srv/probe probe\n";
const OBEY: &str = "2001 stream tcp nowait nobody /srv/probe probe do=obey\n";

fn term_exits_0(lab: &mut Lab) {
    let daemon = lab.start(LINE);
    ask("127.0.0.1:2001");
    lab.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(0));
}

fn term_exits_0_as_a_daemon(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.mode = Mode::Daemon;
    let daemon = lab.start_with(launch, LINE);
    ask("127.0.0.1:2001");
    lab.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(0));
}

fn int_exits_0(lab: &mut Lab) {
    let daemon = lab.start(LINE);
    lab.signal(Signal::INT);
    assert_eq!(daemon.wait().code(), Some(0));
}

fn quit_exits_0(lab: &mut Lab) {
    let daemon = lab.start(LINE);
    lab.signal(Signal::QUIT);
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(std::fs::metadata("/run/inetd.pid").is_err());
}

fn stray_signals(lab: &mut Lab) {
    let daemon = lab.start(LINE);
    for signal in [Signal::USR1, Signal::USR2] {
        lab.signal(signal);
        ask("127.0.0.1:2001");
        deadline::stays(Duration::from_millis(100), "the daemon lives", || daemon.is_alive());
    }
    lab.assert_serves();
}

fn term_closes_listeners(lab: &mut Lab) {
    let daemon = lab.start(LINE);
    lab.signal(Signal::TERM);
    daemon.wait();
    assert!(refuses("127.0.0.1:2001"));
}

fn sessions_live_on_after_term(lab: &mut Lab) {
    let daemon = lab.start(OBEY);
    let mut session = tcp("127.0.0.1:2001");
    let pid = session.command("pid");
    lab.signal(Signal::TERM);
    daemon.wait();
    assert_eq!(session.command("pid"), pid);
}

fn wait_server_lives_on_after_term(lab: &mut Lab) {
    let daemon = lab.start("2001 dgram udp wait nobody /srv/probe probe do=obey\n");
    let caller = client::udp("127.0.0.1:2001");
    let pid = caller.command("pid");
    lab.signal(Signal::TERM);
    daemon.wait();
    assert_eq!(caller.command("pid"), pid);
}

fn killed_children(lab: &mut Lab) {
    let daemon = lab.start(OBEY);
    let mut sessions: Vec<_> = (0..10).map(|_| tcp("127.0.0.1:2001")).collect();
    for session in &mut sessions {
        session.send("kill 9\n");
        session.all();
    }
    deadline::wait_until("every child has been waited for", || daemon.zombies() == 0);
    assert_ne!(tcp("127.0.0.1:2001").command("pid"), "");
}

fn pipe_is_nothing(lab: &mut Lab) {
    lab.start(LINE);
    lab.signal(Signal::PIPE);
    ask("127.0.0.1:2001");
    lab.assert_serves();
}

fn alarm_retries(lab: &mut Lab) {
    let holder = client::occupy("0.0.0.0:2001").expect("the port is free");
    lab.start("2001 stream tcp nowait nobody /srv/probe probe\n");
    drop(holder);
    lab.signal(Signal::ALARM);
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe"]);
    lab.assert_serves();
}

fn port_is_retried_unasked(lab: &mut Lab) {
    let holder = client::occupy("0.0.0.0:2001").expect("the port is free");
    lab.start("2001 stream tcp nowait nobody /srv/probe probe\n");
    drop(holder);
    // Back-off may have grown by now, but a port is no ten-minutes matter.
    let limit = deadline::patience() * 3;
    deadline::wait_at_most(limit, "the port is open", || (!refuses("127.0.0.1:2001")).then_some(()));
    ask("127.0.0.1:2001");
}

fn child_is_nothing_to_the_daemon(lab: &mut Lab) {
    let daemon = lab.start(OBEY);
    let mut session = tcp("127.0.0.1:2001");
    let pid: i32 = session.command("pid").parse().expect("the probe answers with a number");
    let group = Pid::from_raw(pid).expect("no process is 0");
    // A program that ends its whole process group.
    rustix::process::kill_process_group(group, Signal::TERM).expect("the program leads a group");
    session.all();
    deadline::stays(Duration::from_millis(100), "the daemon lives", || daemon.is_alive());
    Process::from_pid_file();
    assert_ne!(tcp("127.0.0.1:2001").command("pid"), "");
}
