//! Datagram services, `wait` and `nowait`.

use std::time::Duration;

use crate::cases::{Case, case};
use crate::client::{udp, udp_from};
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::server::Server::{Busybox, Inetutils, Openbsd};

const OBEY: &str = "2001 dgram udp wait nobody /srv/probe probe do=obey\n";

pub const CASES: &[Case] = &[
    case(
        "wait_gets_the_datagram",
        "\"Datagram oriented services are invoked when a datagram arrives; a process is created and passed a \
         pending message on file descriptor 0.\" (inetd.c)",
        wait_gets_the_datagram,
    ),
    case(
        "wait_is_one_server",
        "\"For datagram servers which process all incoming datagrams on a socket and eventually time out, the \
         server is said to be “single-threaded” and should use a “wait” entry.\"",
        wait_is_one_server,
    ),
    case(
        "wait_is_started_again",
        "reap(): the end of the server gives the socket back",
        wait_is_started_again,
    ),
    case("wait_exit_status_logged", "reap() logs `PROGRAM: exit status N`", wait_exit_status_logged)
        .ignored(&[(Inetutils, "writes the raw status in hexadecimal")]),
    case("wait_descriptors", "spawn(): the socket is on 0, 1 and 2", wait_descriptors)
        .ignored(&[(Busybox, "descriptor 2 stays what inetd had for `wait`")]),
    case("wait_over_v6", "\"use something like “tcp4” or “udp6”\"", wait_over_v6),
    case("nothing_before_the_first", "no program runs before a datagram has come", nothing_before_the_first),
    case(
        "nowait_answers",
        "\"If a datagram server connects to its peer […] it is said to be a “multi-threaded” server, and \
         should use the “nowait” entry.\"",
        nowait_answers,
    ),
    case(
        "nowait_starts_one_per_peer",
        "a datagram starts one program, however slow that is to read it",
        nowait_starts_one_per_peer,
    )
    .ignored(&[
        (Openbsd, "\"inetd will spawn processes until the maximum is reached\" (BUGS)"),
        (Inetutils, "starts programs until one has read the datagram"),
    ]),
    case(
        "nowait_keeps_peers_apart",
        "two peers of a `nowait` service have a program each",
        nowait_keeps_peers_apart,
    )
    .ignored(&[(Openbsd, "all programs share one socket"), (Inetutils, "all programs share one socket")]),
    case(
        "nowait_socket_is_the_peers",
        "the socket of a `nowait` program is connected to its peer",
        nowait_socket_is_the_peers,
    )
    .ignored(&[(Openbsd, "all programs share one socket"), (Inetutils, "all programs share one socket")]),
    case("nowait_socket_is_blocking", "a program expects a blocking socket", nowait_socket_is_blocking),
    case(
        "missing_program_logged",
        "spawn() logs `execv PROGRAM: No such file or directory` and reads the datagram off",
        missing_program_logged,
    )
    .ignored(&[(Inetutils, "says it in other words"), (Busybox, "says it in other words")]),
    case(
        "missing_program_is_no_loop",
        "spawn(): \"recv(0, buf, sizeof (buf), 0)\" when exec fails: one datagram, one attempt",
        missing_program_is_no_loop,
    ),
    case(
        "unknown_user_is_no_loop",
        "spawn(): getpwnam failed: one datagram is read off",
        unknown_user_is_no_loop,
    )
    .not_run(&[(Inetutils, "drops such a line at load")])
    .ignored(&[
        (Openbsd, "reads from descriptor 0, which is not the socket yet, and loops"),
        (Busybox, "says it in other words"),
    ]),
    case("big_datagram", "a datagram is passed whole", big_datagram),
    case("empty_datagram", "an empty datagram is a datagram", empty_datagram),
];

fn wait_gets_the_datagram(lab: &mut Lab) {
    lab.start("2001 dgram udp wait nobody /srv/probe probe one\n");
    let report = Report::parse(&udp("127.0.0.1:2001").ask("hello"));
    assert_eq!(report.arguments(), ["probe", "one"]);
    assert_eq!(report.get("Uid"), "65534 65534 65534 65534");
    assert_eq!(report.get("nonblocking[0]"), "false");
}

fn wait_is_one_server(lab: &mut Lab) {
    lab.start(OBEY);
    let first = udp("127.0.0.1:2001").command("pid");
    let second = udp("127.0.0.1:2001").command("pid");
    assert_eq!(first, second);
    assert_eq!(lab.starts(), 1);
}

fn wait_is_started_again(lab: &mut Lab) {
    lab.start(OBEY);
    let caller = udp("127.0.0.1:2001");
    let first = caller.command("pid");
    caller.send("exit 0");
    // The first program may still be reading when this arrives; nobody loses a datagram for good.
    assert_ne!(caller.command("pid"), first);
    assert_eq!(lab.starts(), 2);
}

fn wait_exit_status_logged(lab: &mut Lab) {
    lab.start(OBEY);
    udp("127.0.0.1:2001").send("exit 7");
    lab.syslog.expect("/srv/probe: exit status 7");
}

fn wait_descriptors(lab: &mut Lab) {
    lab.start("2001 dgram udp wait nobody /srv/probe probe\n");
    let report = Report::parse(&udp("127.0.0.1:2001").ask("x"));
    assert_eq!(report.get("fds"), "0 1 2");
    assert_eq!(report.get("fd[1]"), report.get("fd[0]"));
    assert_eq!(report.get("fd[2]"), report.get("fd[0]"));
}

fn wait_over_v6(lab: &mut Lab) {
    lab.start("2001 dgram udp6 wait nobody /srv/probe probe six\n");
    assert_eq!(Report::parse(&udp("[::1]:2001").ask("x")).arguments(), ["probe", "six"]);
}

fn nothing_before_the_first(lab: &mut Lab) {
    lab.start(OBEY);
    lab.assert_serves();
    assert_eq!(lab.starts(), 0);
    udp("127.0.0.1:2001").command("pid");
    assert_eq!(lab.starts(), 1);
}

fn nowait_answers(lab: &mut Lab) {
    lab.start("2001 dgram udp nowait nobody /srv/probe probe one\n");
    assert_eq!(Report::parse(&udp("127.0.0.1:2001").ask("x")).arguments(), ["probe", "one"]);
}

fn nowait_starts_one_per_peer(lab: &mut Lab) {
    lab.start("2001 dgram udp nowait nobody /srv/probe probe do=late\n");
    let caller = udp("127.0.0.1:2001");
    let pid = caller.command("pid");
    assert_eq!(caller.command("pid"), pid, "the peer stays with its program");
    assert_eq!(lab.starts(), 1);
}

fn nowait_keeps_peers_apart(lab: &mut Lab) {
    lab.start("2001 dgram udp nowait nobody /srv/probe probe do=obey\n");
    let (one, two) = (udp("127.0.0.1:2001"), udp("127.0.0.1:2001"));
    let first = one.command("pid");
    let second = two.command("pid");
    assert_ne!(first, second);
    for _ in 0..3 {
        assert_eq!(one.command("pid"), first);
        assert_eq!(two.command("pid"), second);
    }
    assert_eq!(lab.starts(), 2);
}

fn nowait_socket_is_the_peers(lab: &mut Lab) {
    lab.start("2001 dgram udp nowait nobody /srv/probe probe\n");
    let report = Report::parse(&udp_from("127.0.0.1:4321", "127.0.0.1:2001").ask("x"));
    assert_eq!(report.get("peer"), "127.0.0.1:4321");
}

fn nowait_socket_is_blocking(lab: &mut Lab) {
    lab.start("2001 dgram udp nowait nobody /srv/probe probe\n");
    let report = Report::parse(&udp("127.0.0.1:2001").ask("x"));
    assert_eq!(report.get("nonblocking[0]"), "false");
    assert_eq!(report.get("fd[1]"), report.get("fd[0]"));
    assert_eq!(report.get("fd[2]"), report.get("fd[0]"));
}

fn missing_program_logged(lab: &mut Lab) {
    lab.start("2001 dgram udp wait nobody /srv/absent absent\n");
    udp("127.0.0.1:2001").send("x");
    lab.syslog.expect("execv /srv/absent: No such file or directory");
}

fn missing_program_is_no_loop(lab: &mut Lab) {
    lab.start("2001 dgram udp wait nobody /srv/absent absent\n");
    udp("127.0.0.1:2001").send("x");
    let is_of_call = |text: &str| text.contains("/srv/absent") && !text.contains("warning: ");
    let said = || lab.syslog.count(|message| is_of_call(&message.text));
    deadline::wait_until("a word about the missing program", || said() > 0);
    // reap() adds `exit status 1` to the one line of exec.
    deadline::stays(Duration::from_millis(500), "one attempt", || said() <= 2);
    lab.assert_serves();
}

fn unknown_user_is_no_loop(lab: &mut Lab) {
    lab.start("2001 dgram udp wait ghost /srv/probe probe\n");
    udp("127.0.0.1:2001").send("x");
    let said = || lab.syslog.count(|message| message.text == "getpwnam: ghost: No such user");
    deadline::wait_until("a word about the unknown user", || said() > 0);
    deadline::stays(Duration::from_millis(500), "one attempt", || said() == 1);
    lab.assert_serves();
}

fn big_datagram(lab: &mut Lab) {
    lab.start(OBEY);
    let request = "z".repeat(30_000);
    let answer = udp("127.0.0.1:2001").command(&request);
    assert_eq!(answer.len(), format!("what is {request:?}").len());
}

fn empty_datagram(lab: &mut Lab) {
    lab.start(OBEY);
    assert_eq!(udp_from("127.0.0.1:0", "127.0.0.1:2001").command(""), "what is \"\"");
}
