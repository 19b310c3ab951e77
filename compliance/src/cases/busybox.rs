//! What is peculiar to busybox's inetd: comments anywhere, backslashes, strict words, its log and its modes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::cases::{Case, case};
use crate::client::{self, ask, refuses};
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::server::Dialect;
use crate::server::Server::{Busybox, UsherdAs};
use crate::sockets;

const LINE: &str = "2001 stream tcp nowait nobody /srv/probe probe\n";

pub const CASES: &[Case] = &[
    case("comment_behind_an_entry", "parse_config: `#` anywhere begins a comment", comment_behind_an_entry),
    case(
        "comment_in_a_word",
        "parse_config: `#` anywhere begins a comment, in a word too",
        comment_in_a_word,
    ),
    case("indented_comment", "parse_config: `#` anywhere begins a comment", indented_comment),
    case("backslash_continues", "xmalloc_fgetline: a backslash before the line end joins lines", backslash),
    case("blank_does_not_continue", "a line that begins with a blank is a line of its own", blank),
    case("quotes_are_letters", "parse_config is called without quotes", quotes_are_letters),
    case(
        "strict_wait_word",
        "parse_one_line: neither wait nor nowait is an error of the line",
        strict_wait_word,
    ),
    case(
        "bare_argv_is_the_path",
        "parse_one_line: without arguments argv[0] is the program's path",
        bare_argv,
    ),
    case("tcp_is_v4", "`tcp` is IPv4", tcp_is_v4),
    case(
        "tcp6_is_both",
        "`tcp6` leaves IPV6_V6ONLY to the kernel, so IPv4 callers come mapped",
        tcp6_is_both,
    ),
    case("unix_mode", "the mode of a socket's file is what the umask leaves: 022 of 0777", unix_mode),
    case("unix_seqpacket", "parse_one_line knows seqpacket", unix_seqpacket)
        .ignored(&[(Busybox, "binds the socket and never listens on it")]),
    case("dot_before_colon", "parse_one_line looks for `.` first, then for `:`", dot_before_colon),
    case("dot_zero_is_no_limit", "`.0` is no limit", dot_zero_is_no_limit),
    case("limit_is_decimal", "digits are decimal, with a nought in front too", limit_is_decimal),
    case("no_limit_by_default", "without -R there is no limit: 300 callers in a minute are served", no_limit),
    case("rate_zero", "`-R 0` is no limit", rate_zero),
    case("short_queue", "`-q` takes every length", short_queue),
    case("log_on_standard_error", "\"-e Log to stderr\"", log_on_standard_error),
    case("foreground", "\"-f Run in foreground\"", foreground),
    case("program_in_the_path", "the program is looked for by execvp(3)", program_in_the_path).ignored(&[(
        UsherdAs(Dialect::Busybox),
        "a program is a path: which folders are searched would depend on who started the daemon",
    )]),
    case("bare_v6_address", "the last colon parts address and service: `::1:2001`", bare_v6_address),
];

fn arguments(lab: &mut Lab, written: &str) -> Vec<String> {
    lab.start(&format!("2001 stream tcp nowait nobody /srv/probe {written}\n"));
    ask("127.0.0.1:2001").arguments().into_iter().map(str::to_owned).collect()
}

fn comment_behind_an_entry(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe one # two three"), ["probe", "one"]);
}

fn comment_in_a_word(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe a#b c"), ["probe", "a"]);
}

fn indented_comment(lab: &mut Lab) {
    assert_eq!(
        arguments(lab, "probe one\n   # 2002 stream tcp nowait nobody /srv/probe p"),
        ["probe", "one"]
    );
    assert!(refuses("127.0.0.1:2002"));
}

fn backslash(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe one \\\ntwo \\\n  three"), ["probe", "one", "two", "three"]);
}

fn blank(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe one\n  2002 stream tcp nowait nobody /srv/probe two"), ["probe", "one"]);
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["two"]);
}

fn quotes_are_letters(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe \"a b\" 'c"), ["probe", "\"a", "b\"", "'c"]);
}

fn strict_wait_word(lab: &mut Lab) {
    lab.start("2002 stream tcp nowiat nobody /srv/probe p\n2001 stream tcp nowait nobody /srv/probe probe\n");
    ask("127.0.0.1:2001");
    assert!(refuses("127.0.0.1:2002"));
}

fn bare_argv(lab: &mut Lab) {
    assert_eq!(arguments(lab, ""), ["/srv/probe"]);
}

fn tcp_is_v4(lab: &mut Lab) {
    lab.start(LINE);
    ask("127.0.0.1:2001");
    assert!(refuses("[::1]:2001"));
}

fn tcp6_is_both(lab: &mut Lab) {
    lab.start("2001 stream tcp6 nowait nobody /srv/probe probe\n");
    assert!(ask("127.0.0.1:2001").get("peer").starts_with("[::ffff:127.0.0.1]:"));
    ask("[::1]:2001");
    assert_eq!(sockets::tcp_listeners_on(2001).len(), 1);
}

fn unix_mode(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.umask = Some(0o022);
    lab.start_with(launch, "/run/lab.sock stream unix nowait nobody /srv/probe probe\n");
    let mode = fs::metadata("/run/lab.sock").expect("it listens").permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

fn unix_seqpacket(lab: &mut Lab) {
    lab.start("/run/lab.sock seqpacket unix nowait nobody /srv/probe probe\n");
    deadline::wait_until("the socket is there", || fs::metadata("/run/lab.sock").is_ok());
    let bytes = client::unix_seqpacket("/run/lab.sock");
    assert_eq!(Report::parse(&bytes).arguments(), ["probe"]);
}

fn dot_before_colon(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait alice.bob /srv/probe probe\n2002 stream tcp nowait alice:bob /srv/probe probe\n",
    );
    for address in ["127.0.0.1:2001", "127.0.0.1:2002"] {
        let report = ask(address);
        assert_eq!((report.get("Uid"), report.get("Gid")), ("1501 1501 1501 1501", "1502 1502 1502 1502"));
    }
}

fn dot_zero_is_no_limit(lab: &mut Lab) {
    let launch = lab.launch_with(&["-R", "3"]);
    lab.start_with(launch, "2001 stream tcp nowait.0 nobody /srv/probe probe\n");
    for _ in 0..8 {
        ask("127.0.0.1:2001");
    }
}

fn limit_is_decimal(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait.010 nobody /srv/probe probe\n");
    // N or N-1, as they count; by octal digits it would be 7.
    for _ in 0..9 {
        ask("127.0.0.1:2001");
    }
}

fn no_limit(lab: &mut Lab) {
    lab.start(LINE);
    for _ in 0..300 {
        ask("127.0.0.1:2001");
    }
}

fn rate_zero(lab: &mut Lab) {
    let launch = lab.launch_with(&["-R", "0"]);
    lab.start_with(launch, LINE);
    for _ in 0..300 {
        ask("127.0.0.1:2001");
    }
}

fn short_queue(lab: &mut Lab) {
    let launch = lab.launch_with(&["-q", "3"]);
    lab.start_with(launch, "2001 stream tcp wait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.1:2001").get("backlog"), "3");
}

fn log_on_standard_error(lab: &mut Lab) {
    let launch = lab.launch_with(&["-e"]);
    lab.start_with(launch, "nosuchservice stream tcp nowait nobody /srv/probe x\n");
    deadline::wait_until("a word about the line on standard error", || {
        lab.output().contains("nosuchservice")
    });
    assert_eq!(lab.syslog.count(|message| message.text.contains("nosuchservice")), 0);
}

fn foreground(lab: &mut Lab) {
    let mut launch = lab.launch_with(&["-f"]);
    launch.mode = crate::daemon::Mode::ForegroundByCase;
    let daemon = lab.start_with(launch, LINE);
    ask("127.0.0.1:2001");
    assert!(daemon.is_alive());
}

fn program_in_the_path(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody echo echo found\n");
    assert_eq!(client::tcp("127.0.0.1:2001").text(), "found\n");
}

fn bare_v6_address(lab: &mut Lab) {
    lab.start("::1:2001 stream tcp6 nowait nobody /srv/probe probe\n");
    assert_eq!(ask("[::1]:2001").get("local"), "[::1]:2001");
    assert!(refuses("127.0.0.1:2001"));
}
