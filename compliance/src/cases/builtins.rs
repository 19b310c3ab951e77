//! The services that inetd provides itself, over TCP and UDP, byte for byte.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cases::{Case, V4_DIALECTS, case};
use crate::client::{tcp, udp, udp_from};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Server::{Busybox, Inetutils, Openbsd};

const FOUR_BYTES: &str = "\"“time” (machine readable time, in the form of the number of seconds since midnight, January 1, 1900)\"";
const EIGHT: &str = "sends a `long`, 8 bytes";
const NO_PORT_RULE: &str = "has no rule about source ports";

pub const CASES: &[Case] = &[
    case("echo_tcp", "RFC 862: \"any data received is sent back\"", echo_tcp),
    case("echo_tcp_much", "RFC 862: as much as is sent, with a half-close at the end", echo_tcp_much),
    case(
        "echo_udp",
        "RFC 862: \"When a datagram is received, the data from it is sent back in an answering datagram.\"",
        echo_udp,
    ),
    case("discard_tcp", "RFC 863: \"Any data received is thrown away.\"", discard_tcp),
    case("discard_udp", "RFC 863: \"When a datagram is received, it is thrown away.\"", discard_udp),
    case(
        "chargen_tcp",
        "chargen_stream: lines of 72 of the 95 printing characters, each one further on",
        chargen_tcp,
    ),
    case("chargen_udp", "chargen_dg: one line of 72 characters and CR LF for each datagram", chargen_udp),
    case(
        "chargen_udp_goes_on",
        "chargen_dg: `if (++rs == endring)`: each answer is one further on",
        chargen_udp_goes_on,
    ),
    case("daytime_tcp", "daytime_stream: `%.24s\\r\\n` of ctime(3)", daytime_tcp),
    case("daytime_udp", "daytime_dg: `%.24s\\r\\n` of ctime(3)", daytime_udp),
    case("time_tcp", FOUR_BYTES, time_tcp).ignored(&[(Inetutils, EIGHT)]),
    case("time_udp", FOUR_BYTES, time_udp).ignored(&[(Inetutils, EIGHT)]),
    case("tcp_over_v6", "the built-in services are services like others: both families", tcp_over_v6)
        .other_dialects(V4_DIALECTS),
    case("udp_over_v6", "the built-in services are services like others: both families", udp_over_v6)
        .other_dialects(V4_DIALECTS),
    case("udp_answers_127", "a plain client on 127.0.0.1 is answered", udp_answers_127)
        .ignored(&[(Openbsd, "dg_badinput drops what comes from 127.0.0.0/8")]),
    case(
        "udp_answers_from_the_asked_address",
        "an answer comes from the address that was asked",
        udp_answers_from_the_asked_address,
    )
    .ignored(&[
        (Openbsd, "the kernel chooses the address of the answer"),
        (Inetutils, "the kernel chooses the address of the answer"),
        (Busybox, "the kernel chooses the address of the answer"),
    ]),
    case(
        "udp_refuses_loops",
        "a datagram from the port of another built-in service is not answered",
        udp_refuses_loops,
    )
    .ignored(&[(Openbsd, NO_PORT_RULE), (Inetutils, NO_PORT_RULE), (Busybox, NO_PORT_RULE)]),
    case(
        "wait_word_does_not_matter",
        "getconfigent: `sep->se_wait = bi->bi_wait`: the table decides, not the line",
        wait_word_does_not_matter,
    )
    .ignored(&[(Busybox, "the line must say what the table says")]),
    case(
        "internal_as_program_and_argument",
        "\"If the service is provided internally, the word “internal” should take the place of this entry.\"",
        internal_as_program_and_argument,
    ),
    case("with_an_address", "a prefix holds for built-in services", with_an_address),
    case("many_at_once", "one caller of a built-in service keeps nobody waiting", many_at_once),
    case("slow_reader", "chargen to a caller who does not read keeps nobody waiting", slow_reader),
    case("reader_who_leaves", "chargen ends when its caller leaves", reader_who_leaves),
    case("echo_udp_big", "echo_dg: up to 4096 bytes come back", echo_udp_big),
    case("echo_udp_empty", "an empty datagram is echoed as one", echo_udp_empty)
        .ignored(&[(Busybox, "answers nothing to it")]),
    case(
        "udp_user_does_not_matter",
        "the user field of a built-in service is read and not used",
        udp_user_does_not_matter,
    ),
];

const ALL: &str = "\
echo stream tcp nowait root internal
echo dgram udp wait root internal
discard stream tcp nowait root internal
discard dgram udp wait root internal
daytime stream tcp nowait root internal
daytime dgram udp wait root internal
chargen stream tcp nowait root internal
chargen dgram udp wait root internal
time stream tcp nowait root internal
time dgram udp wait root internal
";

/// The originals answer no datagram from 127.0.0.0/8.
const HOST: &str = "192.0.2.1";

fn to(port: u16) -> String {
    format!("{HOST}:{port}")
}

fn echo_tcp(lab: &mut Lab) {
    lab.start(ALL);
    let mut caller = tcp(&to(7));
    caller.send("hello\r\n");
    assert_eq!(caller.exactly(7), b"hello\r\n");
    caller.send([0, 255, 10]);
    assert_eq!(caller.exactly(3), [0, 255, 10]);
    caller.end_writing();
    assert_eq!(caller.all(), b"");
}

fn echo_tcp_much(lab: &mut Lab) {
    lab.start(ALL);
    let mut caller = tcp(&to(7));
    let block: Vec<u8> = (0..100_003_u32).map(|number| (number % 251) as u8).collect();
    for _ in 0..20 {
        caller.send(&block);
        assert!(caller.exactly(block.len()) == block);
    }
    caller.end_writing();
    assert_eq!(caller.all(), b"");
}

fn echo_udp(lab: &mut Lab) {
    lab.start(ALL);
    let caller = udp(&to(7));
    assert_eq!(caller.ask("hello"), b"hello");
    assert_eq!(caller.ask([0, 1, 2]), [0, 1, 2]);
}

fn discard_tcp(lab: &mut Lab) {
    lab.start(ALL);
    let mut caller = tcp(&to(9));
    caller.send(vec![b'x'; 500_000]);
    caller.end_writing();
    assert_eq!(caller.all(), b"");
}

fn discard_udp(lab: &mut Lab) {
    lab.start(ALL);
    let caller = udp(&to(9));
    caller.send("hello");
    assert_eq!(caller.try_receive(Duration::from_millis(200)), None);
    // An unread datagram would wake the daemon for ever; echo shows that it rests.
    assert_eq!(udp(&to(7)).ask("x"), b"x");
}

/// Line `number` of the character generator.
fn chargen_line(number: usize) -> Vec<u8> {
    let ring: Vec<u8> = (b' '..=b'~').collect();
    let mut line: Vec<u8> = (0..72).map(|column| ring[(number + column) % ring.len()]).collect();
    line.extend_from_slice(b"\r\n");
    line
}

fn chargen_tcp(lab: &mut Lab) {
    lab.start(ALL);
    let expected: Vec<u8> = (0..200).flat_map(chargen_line).collect();
    assert!(tcp(&to(19)).exactly(expected.len()) == expected, "the first 200 lines");
}

fn chargen_udp(lab: &mut Lab) {
    lab.start(ALL);
    assert_eq!(udp(&to(19)).ask("x"), chargen_line(0));
}

fn chargen_udp_goes_on(lab: &mut Lab) {
    lab.start(ALL);
    let caller = udp(&to(19));
    for number in 0..100 {
        assert_eq!(caller.ask(""), chargen_line(number), "answer {number}");
    }
}

/// Seconds of now, which the answer's may differ from by the time that it took.
fn now() -> i64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(time.as_secs()).expect("before the year 292 billion")
}

/// ctime(3) of a second in UTC, which is what /etc without a localtime means.
fn ctime(second: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let day = second.div_euclid(86_400);
    let clock = second.rem_euclid(86_400);
    // Days to a date, by counting in years that begin in March.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    let name = DAYS[usize::try_from(day.rem_euclid(7)).expect("0 to 6")];
    let month = MONTHS[usize::try_from(month).expect("0 to 11")];
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{name} {month} {of_month:2} {hour:02}:{minute:02}:{second:02} {year}")
}

fn assert_is_daytime(answer: &[u8]) {
    let answer = String::from_utf8_lossy(answer).into_owned();
    let near = (-2..=2).any(|shift| answer == format!("{}\r\n", ctime(now() + shift)));
    assert!(near, "{answer:?} is not {:?}", ctime(now()));
}

fn daytime_tcp(lab: &mut Lab) {
    lab.start(ALL);
    assert_is_daytime(&tcp(&to(13)).all());
}

fn daytime_udp(lab: &mut Lab) {
    lab.start(ALL);
    assert_is_daytime(&udp(&to(13)).ask("x"));
}

fn assert_is_time(answer: &[u8]) {
    let four: [u8; 4] = answer.try_into().expect("four bytes");
    let seconds = i64::from(u32::from_be_bytes(four)) - 2_208_988_800;
    assert!((seconds - now()).abs() <= 2, "{seconds} is not {}", now());
}

fn time_tcp(lab: &mut Lab) {
    lab.start(ALL);
    assert_is_time(&tcp(&to(37)).all());
}

fn time_udp(lab: &mut Lab) {
    lab.start(ALL);
    assert_is_time(&udp(&to(37)).ask("x"));
}

fn tcp_over_v6(lab: &mut Lab) {
    lab.start(ALL);
    let mut caller = tcp("[::1]:7");
    caller.send("six\n");
    assert_eq!(caller.line(), "six");
    assert_is_daytime(&tcp("[::1]:13").all());
    assert_is_time(&tcp("[::1]:37").all());
    assert_eq!(tcp("[::1]:19").exactly(74), chargen_line(0));
}

fn udp_over_v6(lab: &mut Lab) {
    lab.start(ALL);
    assert_eq!(udp("[::1]:7").ask("six"), b"six");
    assert_is_daytime(&udp("[::1]:13").ask("x"));
    assert_is_time(&udp("[::1]:37").ask("x"));
    assert_eq!(udp("[::1]:19").ask("x"), chargen_line(0));
}

fn udp_answers_127(lab: &mut Lab) {
    lab.start(ALL);
    assert_eq!(udp("127.0.0.1:7").ask("hello"), b"hello");
    assert_is_daytime(&udp("127.0.0.1:13").ask("x"));
}

fn udp_answers_from_the_asked_address(lab: &mut Lab) {
    lab.start(ALL);
    // A connected caller takes answers from nobody else.
    assert_eq!(udp_from("192.0.2.1:0", "192.0.2.2:7").ask("hello"), b"hello");
}

fn udp_refuses_loops(lab: &mut Lab) {
    lab.start("echo dgram udp wait root internal\n");
    for port in [9, 13, 19, 37] {
        let caller = udp_from(&format!("{HOST}:{port}"), &to(7));
        caller.send("round and round");
        assert_eq!(caller.try_receive(Duration::from_millis(150)), None, "port {port} should get no answer");
    }
    assert_eq!(udp(&to(7)).ask("x"), b"x");
}

fn wait_word_does_not_matter(lab: &mut Lab) {
    lab.start("echo stream tcp wait root internal\necho dgram udp nowait root internal\n");
    let mut caller = tcp(&to(7));
    caller.send("a\n");
    assert_eq!(caller.line(), "a");
    assert_eq!(udp(&to(7)).ask("b"), b"b");
}

fn internal_as_program_and_argument(lab: &mut Lab) {
    lab.start("daytime stream tcp nowait root internal internal\n");
    assert_is_daytime(&tcp(&to(13)).all());
}

fn with_an_address(lab: &mut Lab) {
    lab.start("192.0.2.1:daytime stream tcp nowait root internal\n");
    assert_is_daytime(&tcp("192.0.2.1:13").all());
    assert!(crate::client::refuses("192.0.2.2:13"));
}

fn many_at_once(lab: &mut Lab) {
    lab.start(ALL);
    let mut callers: Vec<_> = (0..30).map(|_| tcp(&to(7))).collect();
    for (number, caller) in callers.iter_mut().enumerate() {
        caller.send(format!("{number}\n"));
    }
    assert_is_daytime(&tcp(&to(13)).all());
    for (number, caller) in callers.iter_mut().enumerate().rev() {
        assert_eq!(caller.line(), number.to_string());
    }
}

fn slow_reader(lab: &mut Lab) {
    lab.start(ALL);
    let mut slow = tcp(&to(19));
    assert_eq!(slow.exactly(74), chargen_line(0));
    // Nothing is read from here on; the socket's buffers fill and stay full.
    for _ in 0..5 {
        assert_is_daytime(&tcp(&to(13)).all());
        assert_eq!(udp(&to(7)).ask("x"), b"x");
    }
    assert_eq!(tcp(&to(19)).exactly(74), chargen_line(0));
    drop(slow);
}

fn reader_who_leaves(lab: &mut Lab) {
    let daemon = lab.start(ALL);
    for _ in 0..10 {
        tcp(&to(19)).exactly(740);
    }
    let children =
        || crate::sockets::processes().into_iter().filter(|row| row.parent == daemon.number()).count();
    deadline::wait_until("no process is left over", || {
        children() == 0 || lab.server == crate::server::Server::Usherd
    });
    let sockets = || daemon.descriptors().iter().filter(|(_, target)| target.starts_with("socket:")).count();
    deadline::wait_until("no connection is left over", || sockets() <= 30);
    assert_is_daytime(&tcp(&to(13)).all());
}

fn echo_udp_big(lab: &mut Lab) {
    lab.start(ALL);
    let datagram = vec![b'e'; 4000];
    assert_eq!(udp(&to(7)).ask(&datagram), datagram);
}

fn echo_udp_empty(lab: &mut Lab) {
    lab.start(ALL);
    assert_eq!(udp(&to(7)).ask(""), b"");
}

fn udp_user_does_not_matter(lab: &mut Lab) {
    lab.start("time dgram udp wait nobody internal\ndaytime stream tcp nowait bob internal\n");
    assert_eq!(udp(&to(37)).ask("x").len() % 4, 0);
    assert_is_daytime(&tcp(&to(13)).all());
}
