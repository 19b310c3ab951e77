//! xinetd's own services, in its formats: echo, discard, daytime, time, chargen, tcpmux.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::cases::xinetd_conf::{defaults, internal, service, service_without};
use crate::cases::{Case, case};
use crate::client::{Fate, refuses, tcp, udp_from};
use crate::deadline;
use crate::lab::Lab;
use crate::report::END;
use crate::server::Server::{UsherdXinetd, Xinetd};
use crate::sockets;

pub const CASES: &[Case] = &[
    case("echo", "RFC 862: what is sent comes back", echo),
    case("discard", "RFC 863: nothing comes back", discard),
    case("daytime", "daytime_protocol(): \"%02d %s %d %02d:%02d:%02d %Z\"", daytime),
    case("time", "RFC 868: four bytes, seconds since 1900", time),
    case("chargen", "generate_line(): 72 of 93 letters from `!` on, one further in each line", chargen),
    case("datagrams", "the same for UDP", datagrams),
    case("chargen_of_datagrams", "RFC 864: a packet of lines, however short", chargen_of_datagrams),
    case(
        "both_types_of_one_name",
        "\"the id attribute is used to uniquely identify each entry\"",
        both_types_of_one_name,
    ),
    case(
        "on_another_port",
        "type = INTERNAL UNLISTED: the service by its name, wherever it is",
        on_another_port,
    ),
    case("without_a_program", "neither server nor user has to be said", without_a_program),
    case("unknown", "builtin_find(): \"No such internal service: %s/%s - DISABLING\"", unknown),
    case(
        "services_and_servers_are_gone",
        "builtin_services: `servers` and `services` are no longer there",
        gone,
    )
    .ignored(&[(UsherdXinetd, "they are there, as Debian's files name them")]),
    case(
        "services_and_servers",
        "files of Debian's package: \"An internal xinetd service, listing active services\"",
        services_and_servers,
    )
    .ignored(&[(Xinetd, "\"No such internal service\", since 2.3.12")]),
    case(
        "start_without_a_process",
        "xinetd.log(5): of what needs no process of its own the pid is 0",
        start_without_a_process,
    ),
    case("limits_hold", "instances holds for internal services too", limits_hold),
    case("tcpmux", "\"a service that will be started according to the RFC 1078 protocol\"", tcpmux),
    case("tcpmuxplus", "TCPMUX_ACK: \"+Go\\r\\n\" goes in front of what the service says", tcpmuxplus),
    case("tcpmux_in_either_case", "tcpmux_handler(): strcasecmp()", tcpmux_in_either_case),
    case(
        "tcpmux_of_nothing",
        "tcpmux_handler(): a service that is not there is refused with a `-`",
        tcpmux_of_nothing,
    ),
    case(
        "tcpmux_reaches_its_own_only",
        "CVE-2012-0862: only services of the type TCPMUX are reached",
        tcpmux_reaches_its_own_only,
    ),
    case(
        "tcpmux_and_banners",
        "tcpmux_handler(): the answer, then banner_success; nobody is sent banner",
        tcpmux_and_banners,
    ),
    case(
        "tcpmux_and_banners_of_the_refused",
        "tcpmux_handler(): banner_fail, and nobody is sent banner",
        tcpmux_and_banners_of_the_refused,
    ),
    case(
        "tcpmux_goes_where_nobody_is_served",
        "tcpmux_handler(): \"+Go\" before access_control()",
        tcpmux_goes,
    )
    .ignored(&[(UsherdXinetd, "who is refused hears a `-`, as in RFC 1078")]),
    case(
        "tcpmux_says_who_is_not_served",
        "RFC 1078: a service that cannot be had is refused with a `-`",
        tcpmux_says_who_is_not_served,
    )
    .ignored(&[(Xinetd, "says +Go")]),
    case("tcpmux_user", "CVE-2013-4342: the service has its own user and group", tcpmux_user),
    case("tcpmux_opens_no_port", "svc_activate(): \"No activation for MUXCLIENTS\"", tcpmux_opens_no_port),
    case("tcpmux_in_pieces", "a name that comes in two packets is one name", tcpmux_in_pieces)
        .ignored(&[(Xinetd, "wants it in one read")]),
    case("tcpmux_help", "RFC 1078: \"help\" lists the services", tcpmux_help)
        .ignored(&[(Xinetd, "has no help")]),
    case(
        "tcpmux_ends_its_words_with_a_nul",
        "tcpmux_handler(): sizeof() counts the end of the text",
        tcpmux_nul,
    )
    .ignored(&[(UsherdXinetd, "RFC 1078 has no NUL")]),
];

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn on_loopback(name: &str) -> String {
    internal(name, "stream", "bind = 127.0.0.1")
}

/// A UDP service on an address that is not 127: some refuse callers of those, as forged.
fn of_datagrams(name: &str) -> String {
    internal(name, "dgram", "bind = 192.0.2.1")
}

fn echo(lab: &mut Lab) {
    lab.start(&on_loopback("echo"));
    let mut caller = tcp("127.0.0.1:7");
    caller.send("one\ntwo\n");
    assert_eq!((caller.line().as_str(), caller.line().as_str()), ("one", "two"));
    caller.end_writing();
    assert_eq!(caller.text(), "");
}

fn discard(lab: &mut Lab) {
    lab.start(&on_loopback("discard"));
    let mut caller = tcp("127.0.0.1:9");
    caller.send("one\ntwo\n");
    caller.end_writing();
    assert_eq!(caller.text(), "");
}

/// `30 NOV 2026 18:14:06 UTC`, with the end of the line.
fn assert_daytime(text: &str) {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let line = text.strip_suffix("\r\n").unwrap_or_else(|| panic!("{text:?} is no line"));
    let words: Vec<&str> = line.split(' ').collect();
    let [day, month, year, clock, zone] = words[..] else { panic!("{text:?}") };
    let shape: String =
        clock.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert!(day.len() == 2 && day.parse::<u8>().is_ok_and(|day| (1..=31).contains(&day)), "{text:?}");
    assert!(MONTHS.contains(&month), "{text:?}");
    assert_eq!((year.len(), shape.as_str(), zone), (4, "00:00:00", "UTC"), "{text:?}");
    let minute: u64 = clock[3..5].parse().expect("digits");
    let now = seconds() / 60 % 60;
    assert!([now, (now + 59) % 60].contains(&minute), "{text:?}");
}

fn daytime(lab: &mut Lab) {
    lab.start(&on_loopback("daytime"));
    assert_daytime(&tcp("127.0.0.1:13").text());
}

fn assert_time(bytes: &[u8]) {
    const FROM_1900_TO_1970: u64 = 2_208_988_800;
    let bytes: [u8; 4] = bytes.try_into().expect("four bytes");
    let expected = seconds() + FROM_1900_TO_1970;
    let told = u64::from(u32::from_be_bytes(bytes));
    // The count of seconds begins anew in 2036.
    let difference = (expected % (1 << 32)).abs_diff(told);
    assert!(difference <= 5, "{told}");
}

fn time(lab: &mut Lab) {
    lab.start(&on_loopback("time"));
    assert_time(&tcp("127.0.0.1:37").all());
}

/// The lines of chargen: 72 letters each, from `first` on.
fn chargen_line(first: usize) -> String {
    let letter = |at: usize| char::from(b'!' + u8::try_from((first + at) % 93).expect("below 93"));
    (0..72).map(letter).collect()
}

fn chargen(lab: &mut Lab) {
    lab.start(&on_loopback("chargen"));
    let mut caller = tcp("127.0.0.1:19");
    for number in 0..90 {
        let line = String::from_utf8(caller.exactly(74)).expect("ASCII");
        assert_eq!(line, format!("{}\r\n", chargen_line(number)), "line {number}");
    }
}

fn datagrams(lab: &mut Lab) {
    lab.start(&["echo", "discard", "daytime", "time"].map(of_datagrams).concat());
    let caller = |port: u16| udp_from("192.0.2.2:0", &format!("192.0.2.1:{port}"));
    assert_eq!(caller(7).ask("hello"), b"hello");
    assert_daytime(&String::from_utf8(caller(13).ask("x")).expect("ASCII"));
    assert_time(&caller(37).ask("x"));
    caller(9).send("x");
    assert_eq!(caller(7).ask("again"), b"again");
}

fn chargen_of_datagrams(lab: &mut Lab) {
    lab.start(&of_datagrams("chargen"));
    let answer = udp_from("192.0.2.2:0", "192.0.2.1:19").ask("x");
    assert!((1..=1024).contains(&answer.len()));
    let text = String::from_utf8(answer).expect("ASCII");
    assert!(chargen_line(0).starts_with(&text.lines().next().expect("a line")[..8]), "{text:?}");
    assert!(text.ends_with("\r\n"));
}

fn both_types_of_one_name(lab: &mut Lab) {
    let stream = internal("echo", "stream", "id = echo-stream\nbind = 192.0.2.1");
    let datagram = internal("echo", "dgram", "id = echo-dgram\nbind = 192.0.2.1");
    lab.start(&format!("{stream}{datagram}"));
    let mut caller = tcp("192.0.2.1:7");
    caller.send("one\n");
    assert_eq!(caller.line(), "one");
    assert_eq!(udp_from("192.0.2.2:0", "192.0.2.1:7").ask("two"), b"two");
}

fn on_another_port(lab: &mut Lab) {
    lab.start(&service_without(&["server", "user"], "daytime", 2001, "type = INTERNAL UNLISTED"));
    assert_daytime(&tcp("127.0.0.1:2001").text());
}

fn without_a_program(lab: &mut Lab) {
    lab.start("service time\n{\n type = INTERNAL\n socket_type = stream\n wait = no\n}\n");
    assert_time(&tcp("127.0.0.1:37").all());
}

fn unknown(lab: &mut Lab) {
    let lost = service("labone", 2101, "type = INTERNAL");
    lab.start(&format!("{lost}{}", on_loopback("time")));
    tcp("127.0.0.1:37").all();
    assert!(refuses("127.0.0.1:2101"));
    lab.syslog.expect_where("a line about it", |message| message.text.contains("internal service"));
}

fn gone(lab: &mut Lab) {
    let old = |name: &str, port| service(name, port, "type = INTERNAL UNLISTED");
    lab.start(&format!("{}{}{}", old("services", 2001), old("servers", 2002), on_loopback("time")));
    tcp("127.0.0.1:37").all();
    assert!(refuses("127.0.0.1:2001") && refuses("127.0.0.1:2002"));
}

fn services_and_servers(lab: &mut Lab) {
    let old = |name: &str, port| service(name, port, "type = INTERNAL UNLISTED");
    let probed = service("probed", 2003, "server_args = do=obey");
    lab.start(&[old("services", 2001), old("servers", 2002), probed].concat());
    let text = tcp("127.0.0.1:2001").text();
    assert!(text.lines().any(|line| line.starts_with("probed ")), "{text}");
    let mut caller = tcp("127.0.0.1:2003");
    let running = caller.command("pid");
    let text = tcp("127.0.0.1:2002").text();
    assert!(text.contains("probed") && text.contains(&running), "{running} {text}");
}

fn start_without_a_process(lab: &mut Lab) {
    let log = "bind = 127.0.0.1\nlog_type = SYSLOG daemon\nlog_on_success = PID HOST";
    lab.start(&internal("daytime", "stream", log));
    tcp("127.0.0.1:13").all();
    lab.syslog.expect("START: daytime pid=0 from=127.0.0.1");
}

fn limits_hold(lab: &mut Lab) {
    let log = defaults("log_type = SYSLOG daemon\nlog_on_failure = HOST");
    lab.start(&format!("{log}{}", internal("echo", "stream", "bind = 127.0.0.1\ninstances = 1")));
    let mut first = tcp("127.0.0.1:7");
    first.send("one\n");
    assert_eq!(first.line(), "one");
    assert_eq!(tcp("127.0.0.1:7").text(), "");
    lab.syslog.expect("FAIL: echo service_limit from=127.0.0.1");
}

/// tcpmux with two services behind it, and one that is not.
fn start_tcpmux(lab: &mut Lab) {
    let mux = internal("tcpmux", "stream", "bind = 127.0.0.1");
    let plain = service_without(
        &["port", "bind"],
        "plain",
        0,
        "type = TCPMUX UNLISTED\nserver_args = plain\nuser = alice",
    );
    let plus =
        service_without(&["port", "bind"], "plus", 0, "type = TCPMUXPLUS UNLISTED\nserver_args = plus");
    lab.start(&[mux, plain, plus, service("other", 2001, "")].concat());
}

/// What a service of that name says, without the NUL that the original has behind its own words.
fn through_tcpmux(name: &str) -> String {
    let mut caller = tcp("127.0.0.1:1");
    caller.send(format!("{name}\r\n"));
    caller.text().replace('\0', "")
}

fn tcpmux(lab: &mut Lab) {
    start_tcpmux(lab);
    let text = through_tcpmux("plain");
    assert!(text.starts_with("fds ") && text.contains("argv[1] plain\n") && text.contains(END), "{text}");
}

fn tcpmuxplus(lab: &mut Lab) {
    start_tcpmux(lab);
    let text = through_tcpmux("plus");
    assert!(text.starts_with("+Go\r\nfds ") && text.contains("argv[1] plus\n"), "{text}");
}

fn tcpmux_in_either_case(lab: &mut Lab) {
    start_tcpmux(lab);
    assert!(through_tcpmux("PLUS").starts_with("+Go\r\n"));
}

fn tcpmux_of_nothing(lab: &mut Lab) {
    start_tcpmux(lab);
    assert!(through_tcpmux("nosuch").starts_with("-Service n"));
    assert_eq!(lab.starts(), 0);
}

fn tcpmux_reaches_its_own_only(lab: &mut Lab) {
    start_tcpmux(lab);
    assert!(through_tcpmux("other").starts_with("-Service n"));
    assert_eq!(lab.starts(), 0);
}

/// What a caller of a service behind tcpmux hears that has these lines, and all banners.
fn through_tcpmux_with_banners(lab: &mut Lab, kind: &str, lines: &str) -> String {
    for name in ["always", "success", "fail"] {
        std::fs::write(format!("/etc/{name}"), format!("{name}\r\n")).expect("/etc is the case's own");
    }
    let banners = "banner = /etc/always\nbanner_success = /etc/success\nbanner_fail = /etc/fail";
    let lines = format!("type = {kind} UNLISTED\n{banners}\n{lines}");
    let behind = service_without(&["port", "bind"], "behind", 0, &lines);
    lab.start(&[internal("tcpmux", "stream", "bind = 127.0.0.1"), behind].concat());
    through_tcpmux("behind")
}

fn tcpmux_and_banners(lab: &mut Lab) {
    let text = through_tcpmux_with_banners(lab, "TCPMUXPLUS", "");
    assert!(text.starts_with("+Go\r\nsuccess\r\nfds "), "{text}");
}

fn tcpmux_and_banners_of_the_refused(lab: &mut Lab) {
    let text = through_tcpmux_with_banners(lab, "TCPMUXPLUS", "only_from = 192.0.2.7");
    let (_, banners) = text.split_once("\r\n").expect("an answer");
    assert_eq!(banners, "fail\r\n");
}

fn tcpmux_goes(lab: &mut Lab) {
    let text = through_tcpmux_with_banners(lab, "TCPMUXPLUS", "only_from = 192.0.2.7");
    assert!(text.starts_with("+Go\r\n"), "{text}");
}

fn tcpmux_says_who_is_not_served(lab: &mut Lab) {
    let text = through_tcpmux_with_banners(lab, "TCPMUXPLUS", "only_from = 192.0.2.7");
    assert_eq!(text, "-Service not available\r\nfail\r\n");
}

fn tcpmux_user(lab: &mut Lab) {
    start_tcpmux(lab);
    let text = through_tcpmux("plain");
    assert!(
        text.contains("Uid 1501 1501 1501 1501\n") && text.contains("Gid 1501 1501 1501 1501\n"),
        "{text}"
    );
}

fn tcpmux_opens_no_port(lab: &mut Lab) {
    start_tcpmux(lab);
    through_tcpmux("plain");
    let ports: Vec<u16> = sockets::tcp_listeners().iter().map(|one| one.port).collect();
    let mut ports: Vec<u16> = ports.into_iter().filter(|port| *port < 59_000).collect();
    ports.sort_unstable();
    assert_eq!(ports, [1, 2001]);
}

fn tcpmux_in_pieces(lab: &mut Lab) {
    start_tcpmux(lab);
    let mut caller = tcp("127.0.0.1:1");
    caller.send("pl");
    assert_eq!(caller.fate(std::time::Duration::from_millis(100)), Fate::Waiting);
    caller.send("us\r\n");
    assert_eq!(caller.line().replace('\0', ""), "+Go");
}

fn tcpmux_help(lab: &mut Lab) {
    start_tcpmux(lab);
    let text = through_tcpmux("help");
    assert_eq!(text.lines().collect::<Vec<_>>(), ["plain", "plus"]);
}

fn tcpmux_nul(lab: &mut Lab) {
    start_tcpmux(lab);
    let mut caller = tcp("127.0.0.1:1");
    caller.send("nosuch\r\n");
    deadline::wait_until("an answer", || caller.fate(deadline::patience()) == Fate::Answered);
    assert!(caller.text().ends_with("\r\n\0"));
}
