//! `wait` on stream sockets: one program that takes the listener itself.

use std::time::Duration;

use crate::cases::{Case, case};
use crate::client::{ask, tcp};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Dialect;
use crate::server::Server::{Busybox, Inetutils, Openbsd};

const OBEY: &str = "2001 stream tcp4 wait nobody /srv/probe probe do=obey\n";

pub const CASES: &[Case] = &[
    case(
        "gets_the_listener",
        "\"The master socket will then be passed as fd 0 to the server, which will then need to accept the \
         incoming connection.\"",
        gets_the_listener,
    )
    .ignored(&[(Busybox, "knows no `tcp4`")]),
    case("listener_is_on_0_1_2", "spawn(): dup2 to 1 and 2 for `wait` too", listener_is_on_0_1_2)
        .ignored(&[(Busybox, "descriptor 2 stays what inetd had for `wait`")]),
    case("listener_is_blocking", "a program that accepts expects to wait there", listener_is_blocking),
    case(
        "one_server_for_all",
        "\"if a single server process is to handle multiple connections, it may be marked as “wait”\"",
        one_server_for_all,
    ),
    case(
        "started_again_after_its_end",
        "\"inetd will continue to listen on the master socket for connections, so the server should not close \
         it when it exits.\"",
        started_again_after_its_end,
    ),
    case(
        "started_again_after_a_signal",
        "reap(): the end of the server gives the socket back",
        started_again_after_a_signal,
    ),
    case("exit_status_logged", "reap() logs `PROGRAM: exit status N`", exit_status_logged)
        .ignored(&[(Inetutils, "writes the raw status in hexadecimal")]),
    case("exit_signal_logged", "reap() logs `PROGRAM: exit signal N`", exit_signal_logged)
        .ignored(&[(Inetutils, "writes the raw status in hexadecimal")]),
    case("good_exit_is_not_logged", "reap(): status 0 is not worth a line", good_exit_is_not_logged),
    case("queue_survives_the_server", "callers in the queue get the next server", queue_survives_the_server),
    case(
        "failing_program_is_no_loop",
        "a `wait` program that cannot be started is not tried in a tight loop while a caller waits",
        failing_program_is_no_loop,
    )
    .ignored(&[
        (Openbsd, "tries 255 times at once, then closes the service for ten minutes"),
        (Busybox, "tries without end"),
    ]),
    case("other_services_go_on", "a running `wait` server holds up nobody else", other_services_go_on),
];

fn four(lab: &Lab, text: &str) -> String {
    // Busybox knows no `tcp4`, and its `tcp` is the same.
    if lab.server.dialect() == Some(Dialect::Busybox) { text.replace("tcp4", "tcp") } else { text.to_owned() }
}

fn gets_the_listener(lab: &mut Lab) {
    lab.start("2001 stream tcp4 wait nobody /srv/probe probe\n");
    let report = ask("127.0.0.1:2001");
    assert_eq!(report.get("listening"), "true");
    assert_eq!(report.get("peer"), "none");
    assert_eq!(report.get("Uid"), "65534 65534 65534 65534");
}

fn listener_is_on_0_1_2(lab: &mut Lab) {
    lab.start(&four(lab, "2001 stream tcp4 wait nobody /srv/probe probe\n"));
    let report = ask("127.0.0.1:2001");
    assert_eq!(report.get("fds"), "0 1 2");
    assert_eq!(report.get("fd[1]"), report.get("fd[0]"));
    assert_eq!(report.get("fd[2]"), report.get("fd[0]"));
}

fn listener_is_blocking(lab: &mut Lab) {
    lab.start(&four(lab, "2001 stream tcp4 wait nobody /srv/probe probe\n"));
    assert_eq!(ask("127.0.0.1:2001").get("nonblocking[0]"), "false");
}

fn pid(caller: &mut crate::client::Caller<std::net::TcpStream>) -> String {
    caller.command("pid")
}

fn one_server_for_all(lab: &mut Lab) {
    lab.start(&four(lab, OBEY));
    let first = pid(&mut tcp("127.0.0.1:2001"));
    let second = pid(&mut tcp("127.0.0.1:2001"));
    assert_eq!(first, second);
    assert_eq!(lab.starts(), 1);
}

fn started_again_after_its_end(lab: &mut Lab) {
    lab.start(&four(lab, OBEY));
    let mut caller = tcp("127.0.0.1:2001");
    let first = pid(&mut caller);
    caller.send("exit 0\n");
    caller.all();
    let second = pid(&mut tcp("127.0.0.1:2001"));
    assert_ne!(first, second);
    assert_eq!(lab.starts(), 2);
}

fn started_again_after_a_signal(lab: &mut Lab) {
    lab.start(&four(lab, OBEY));
    let mut caller = tcp("127.0.0.1:2001");
    let first = pid(&mut caller);
    caller.send("kill 9\n");
    caller.all();
    assert_ne!(first, pid(&mut tcp("127.0.0.1:2001")));
}

fn exit_status_logged(lab: &mut Lab) {
    lab.start(&four(lab, OBEY));
    tcp("127.0.0.1:2001").send("exit 3\n");
    lab.syslog.expect("/srv/probe: exit status 3");
}

fn exit_signal_logged(lab: &mut Lab) {
    lab.start(&four(lab, OBEY));
    tcp("127.0.0.1:2001").send("kill 9\n");
    lab.syslog.expect("/srv/probe: exit signal 9");
}

fn good_exit_is_not_logged(lab: &mut Lab) {
    lab.start(&four(lab, OBEY));
    let mut caller = tcp("127.0.0.1:2001");
    caller.send("exit 0\n");
    caller.all();
    // The next server can be started only after the end of the first has been seen.
    pid(&mut tcp("127.0.0.1:2001"));
    assert_eq!(lab.syslog.count(|message| message.text.contains("exit status")), 0);
}

fn queue_survives_the_server(lab: &mut Lab) {
    lab.start(&four(lab, OBEY));
    let mut first = tcp("127.0.0.1:2001");
    let server = pid(&mut first);
    // The server speaks with one caller at a time, so these wait in the listener's queue.
    let mut queued: Vec<_> = (0..3).map(|_| tcp("127.0.0.1:2001")).collect();
    first.send("exit 0\n");
    for caller in &mut queued {
        assert_ne!(pid(caller), server);
        caller.end_writing();
        caller.all();
    }
}

fn failing_program_is_no_loop(lab: &mut Lab) {
    lab.start(&four(lab, "2001 stream tcp4 wait nobody /srv/absent absent\n"));
    let caller = tcp("127.0.0.1:2001");
    lab.syslog
        .expect_where("a word about the missing program", |message| message.text.contains("/srv/absent"));
    let tries = || lab.syslog.count(|message| message.text.contains("/srv/absent"));
    deadline::stays(Duration::from_millis(700), "only a few attempts", || tries() < 10);
    std::os::unix::fs::symlink("/srv/probe", "/srv/absent.new").expect("/srv is the case's own");
    lab.assert_serves();
    drop(caller);
}

fn other_services_go_on(lab: &mut Lab) {
    lab.start(&four(lab, &format!("{OBEY}2002 stream tcp4 nowait nobody /srv/probe other\n")));
    let mut caller = tcp("127.0.0.1:2001");
    pid(&mut caller);
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["other"]);
    pid(&mut caller);
}
