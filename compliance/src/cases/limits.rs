//! How often a service may be started, and who is not served at all.

use std::net::TcpStream;
use std::time::Duration;

use crate::cases::{Case, case};
use crate::client::{Fate, ask, tcp, tcp_from, udp};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Dialect;
use crate::server::Server::{Busybox, Inetutils, Openbsd};
use crate::sockets;

const BEHIND_A_SLASH: &str = "limits stand behind a `/` there, and starts a minute are for -R only";
const ONE_LESS: &str = "counts so that N allows N-1";

pub const CASES: &[Case] = &[
    case(
        "queue_is_served_after_the_minute",
        "a service at its limit pauses: the caller stays in the queue and is served when the minute is over",
        queue_is_served_after_the_minute,
    )
    .ignored(&[
        (Openbsd, "closes the connections of callers beyond the limit"),
        (Inetutils, "closes the service for good"),
        (Busybox, "closes the service for a while"),
    ]),
    case(
        "max_suffix",
        "\"The optional “max” suffix […] specifies the maximum number of times a service can be invoked in one \
         minute\" (N-1 or N, as they count)",
        max_suffix,
    )
    .other_dialects(&[(Dialect::Freebsd, BEHIND_A_SLASH)]),
    case(
        "max_suffix_is_exact",
        "\"specifies the maximum number of times a service can be invoked in one minute\": N allows N",
        max_suffix_is_exact,
    )
    .ignored(&[(Openbsd, ONE_LESS), (Busybox, ONE_LESS)])
    .other_dialects(&[(Dialect::Freebsd, BEHIND_A_SLASH)]),
    case("max_suffix_on_wait", "\"separated from “wait” or “nowait” by a dot\"", max_suffix_on_wait)
        .other_dialects(&[(Dialect::Freebsd, BEHIND_A_SLASH)]),
    case(
        "max_suffix_on_datagrams",
        "\"specifies the maximum number of times a service can be invoked\"",
        max_suffix_on_datagrams,
    )
    .other_dialects(&[(Dialect::Freebsd, BEHIND_A_SLASH)]),
    case(
        "rate_option",
        "\"-R rate: Specify the maximum number of times a service can be invoked in one minute\"",
        rate_option,
    ),
    case("suffix_beats_option", "getconfigent: `-R` is for services without a suffix", suffix_beats_option)
        .ignored(&[(Inetutils, "a suffix cannot exceed -R")])
        .other_dialects(&[(Dialect::Freebsd, BEHIND_A_SLASH)]),
    case(
        "default_is_high_enough",
        "\"the default is 256\": 200 callers in a minute are served",
        default_is_high_enough,
    )
    .not_run(&[(Inetutils, "stalls for a second after every child, so 200 are no matter of a minute")])
    .other_dialects(&[(Dialect::Netbsd, "the default is 40 there")]),
    case("one_service_only", "\"stop servicing requests for the specific service\"", one_service_only)
        .other_dialects(&[(Dialect::Freebsd, BEHIND_A_SLASH)]),
    case(
        "limit_is_logged",
        "\"If a service exceeds this limit, inetd will log the problem\"",
        limit_is_logged,
    )
    .ignored(&[
        (Openbsd, "says nothing on IPv4 ports from 1024: \"there are thieves on the system\""),
        (Busybox, "says it in other words"),
    ])
        .other_dialects(&[(Dialect::Freebsd, BEHIND_A_SLASH)]),
    case(
        "limit_is_logged_in_openbsd_words",
        "spawn() logs `SERVICE/PROTOCOL server failing (looping), service terminated […]`",
        limit_is_logged_in_openbsd_words,
    )
    .ignored(&[(Busybox, "says it in other words")])
    .other_dialects(&[(Dialect::Freebsd, BEHIND_A_SLASH)]),
    case(
        "beyond_the_limit_nothing_spins",
        "a datagram that waits at a limit does not keep the processor busy",
        beyond_the_limit_nothing_spins,
    )
    .ignored(&[(Openbsd, "leaves the datagram, which wakes it for ever")]),
    case("ftp_bounce", "gettcp(): \"ignore things that look like ftp bounce\": source port 20", ftp_bounce)
        .ignored(&[(Inetutils, "has no such rule"), (Busybox, "has no such rule")]),
];

/// How many of `callers`, one after the other, get an answer.
fn served(address: &str, callers: usize) -> usize {
    let mut count = 0;
    for _ in 0..callers {
        let target = address.parse().expect("a numeric address");
        let Ok(stream) = TcpStream::connect_timeout(&target, deadline::patience()) else {
            break;
        };
        let mut caller = crate::client::Caller::from(stream);
        match caller.fate(Duration::from_millis(1800)) {
            Fate::Answered => count += 1,
            Fate::Closed | Fate::Waiting => break,
        }
        caller.all();
    }
    count
}

fn queue_is_served_after_the_minute(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait.2 nobody /srv/probe probe\n");
    served("127.0.0.1:2001", 2);
    let mut caller = tcp("127.0.0.1:2001");
    // The case is about a minute, so this one may take longer than others.
    let fate = deadline::wait_at_most(Duration::from_secs(75), "the caller's fate", || {
        let fate = caller.fate(Duration::from_secs(1));
        (fate != Fate::Waiting).then_some(fate)
    });
    assert_eq!(fate, Fate::Answered);
    caller.all();
    ask("127.0.0.1:2001");
}

fn max_suffix(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait.5 nobody /srv/probe probe\n");
    let count = served("127.0.0.1:2001", 12);
    assert!((4..=5).contains(&count), "served {count}");
    assert_eq!(lab.starts(), count);
}

fn max_suffix_is_exact(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait.5 nobody /srv/probe probe\n");
    assert_eq!(served("127.0.0.1:2001", 12), 5);
}

fn max_suffix_on_wait(lab: &mut Lab) {
    lab.start("2001 stream tcp wait.4 nobody /srv/probe probe\n");
    let count = served("127.0.0.1:2001", 10);
    assert!((3..=4).contains(&count), "served {count}");
}

fn max_suffix_on_datagrams(lab: &mut Lab) {
    lab.start("2001 dgram udp wait.3 nobody /srv/probe probe\n");
    let caller = udp("127.0.0.1:2001");
    let answered = |_: &usize| {
        caller.send("x");
        caller.try_receive(Duration::from_millis(1800)).is_some()
    };
    let count = (0..8).take_while(answered).count();
    assert!((2..=3).contains(&count), "answered {count}");
    lab.assert_serves();
}

fn rate_option(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.arguments = vec!["-R".to_owned(), "4".to_owned()];
    lab.start_with(launch, "2001 stream tcp nowait nobody /srv/probe probe\n");
    let count = served("127.0.0.1:2001", 10);
    assert!((3..=4).contains(&count), "served {count}");
}

fn suffix_beats_option(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.arguments = vec!["-R".to_owned(), "3".to_owned()];
    lab.start_with(launch, "2001 stream tcp nowait.20 nobody /srv/probe probe\n");
    assert_eq!(served("127.0.0.1:2001", 10), 10);
}

fn default_is_high_enough(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe\n");
    assert_eq!(served("127.0.0.1:2001", 200), 200);
}

fn one_service_only(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait.2 nobody /srv/probe one\n2002 stream tcp nowait nobody /srv/probe two\n",
    );
    assert!(served("127.0.0.1:2001", 5) < 5);
    assert_eq!(served("127.0.0.1:2002", 10), 10);
    lab.assert_serves();
}

fn limit_is_logged(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait.2 nobody /srv/probe probe\n");
    served("127.0.0.1:2001", 4);
    lab.syslog.expect_where("a line about the limit of 2001/tcp", |message| {
        message.text.contains("2001/tcp") && message.text.contains("looping")
    });
}

fn limit_is_logged_in_openbsd_words(lab: &mut Lab) {
    lab.start("2001 stream tcp6 nowait.2 nobody /srv/probe probe\n");
    served("[::1]:2001", 4);
    lab.syslog.expect_where("the looping line", |message| {
        message.text.starts_with("2001/tcp6 server failing (looping), service terminated")
    });
}

fn beyond_the_limit_nothing_spins(lab: &mut Lab) {
    let daemon = lab.start("2001 dgram udp wait.2 nobody /srv/probe probe\n");
    let caller = udp("127.0.0.1:2001");
    for _ in 0..5 {
        caller.send("x");
        if caller.try_receive(Duration::from_millis(500)).is_none() {
            break;
        }
    }
    let before = sockets::processor_ticks(daemon.number());
    let used = || sockets::processor_ticks(daemon.number()) - before;
    // A tick is a hundredth of a second: a loop uses them up even on a machine that has other work.
    deadline::stays(Duration::from_secs(2), "the daemon rests", || used() < 15);
}

fn ftp_bounce(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe\n");
    assert_eq!(tcp_from("127.0.0.1:20", "127.0.0.1:2001").text(), "");
    assert_ne!(tcp_from("127.0.0.1:21", "127.0.0.1:2001").text(), "");
    assert_eq!(lab.starts(), 1);
}
