//! What is peculiar to FreeBSD's inetd, by its manual and its source: there is no original to run here.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use crate::cases::{Case, case};
use crate::client::{self, Fate, ask, refuses, tcp, tcp_from};
use crate::daemon::{Launch, Mode};
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::sockets;

const LINE: &str = "2001 stream tcp nowait nobody /srv/probe probe\n";
/// A program that stays for as long as its caller.
const OBEY: &str = "2001 stream tcp nowait nobody /srv/probe probe do=obey\n";
const SHORT: Duration = Duration::from_millis(700);

pub const CASES: &[Case] = &[
    case("tcp_is_v4", "\"tcp, tcp4: TCP IPv4\"", tcp_is_v4),
    case("tcp6_is_v6_only", "\"tcp6: TCP IPv6 only\"", tcp6_is_v6_only),
    case("tcp46_is_both", "\"tcp46: TCP supporting both IPv4 and v6\"", tcp46_is_both),
    case("quotes_round_a_word", "skip(): a word may stand in `'` or `\"`", quotes_round_a_word),
    case("quote_in_a_word", "skip(): a quote in mid-word is a letter", quote_in_a_word),
    case("unclosed_quote", "skip(): an unclosed quote goes on to the end of the line", unclosed_quote),
    case("continuation", "nextline(): a line that begins with a blank goes on with the entry", continuation),
    case("wait_prefix", "getconfigent compares the first letters of wait and nowait", wait_prefix),
    case("bad_wait_word", "getconfigent: `bad wait/nowait for service`; the line is skipped", bad_wait_word),
    case(
        "max_child",
        "\"the maximum number of child processes that may be spawned at the same time\": the next one waits",
        max_child,
    ),
    case("max_child_zero", "\"A value of 0 means unlimited\"", max_child_zero),
    case(
        "max_connections_per_ip_per_minute",
        "\"the maximum number of times a service can be invoked from a single IP address in one minute\"",
        max_per_ip_per_minute,
    ),
    case(
        "max_child_per_ip",
        "\"the maximum number of times a service can be invoked from a single IP address at any one time\"",
        max_child_per_ip,
    ),
    case("option_c", "\"-c maximum: the default maximum number of simultaneous invocations\"", option_c),
    case("option_c_is_a_default", "\"may be overridden on a per-service basis\"", option_c_is_a_default),
    case(
        "option_capital_c",
        "\"-C rate: the default maximum number of times a service can be invoked from a single IP address\"",
        option_capital_c,
    ),
    case(
        "option_s",
        "\"-s maximum: the default maximum number of simultaneous invocations from a single IP address\"",
        option_s,
    ),
    case(
        "option_r_zero",
        "\"-R rate: A rate of 0 allows an unlimited number of invocations\"",
        option_r_zero,
    ),
    case(
        "option_r",
        "\"-R rate: the maximum number of times a service can be invoked in one minute\"",
        option_r,
    ),
    case("option_a", "\"-a address: one specific IP address to bind to\"", option_a),
    case("option_a_host_name", "\"Alternatively, a hostname can be specified\"", option_a_host_name),
    case("option_a_v6", "\"the IPv4 or IPv6 address\": services listen in its family", option_a_v6),
    case("option_p", "\"-p filename: an alternate file in which to store the process ID\"", option_p),
    case("option_l", "\"-l Turn on logging of successful connections\"", option_l),
    case("not_l", "without -l nothing is logged of a connection", not_l),
    case("unix_default_mode", "setup(): a socket is its owner's alone, mode 0200", unix_default_mode),
    case("unix_owner_group_mode", "\":user:group:mode:\" in front of the path", unix_owner_group_mode),
    case("unix_prefix_at_reload", "a changed prefix holds after a reload", unix_prefix_at_reload),
    case(
        "unix_unknown_owner",
        "an unknown owner costs the line: nobody else gets the socket",
        unix_unknown_owner,
    ),
    case(
        "login_class",
        "`user:group/class`: the class is not Linux's, the user and the group are",
        login_class,
    ),
    case("dot_in_a_user", "getconfigent parts user and group at `:` only", dot_in_a_user),
    case("default_is_256", "\"the default is 256\" starts a minute: 200 callers are served", default_is_256),
    case("internal_by_alias", "matchservent: a built-in is known by its aliases", internal_by_alias),
    case(
        "internal_on_a_unix_socket",
        "matchservent: by the last part of the path",
        internal_on_a_unix_socket,
    ),
    case("ipsec_is_said", "`#@` sets an IPsec policy, which is not applied here and said", ipsec_is_said),
    case("all_limits_after_reload", "config() takes all limits of the new line", all_limits_after_reload),
];

fn arguments(lab: &mut Lab, written: &str) -> Vec<String> {
    lab.start(&format!("2001 stream tcp nowait nobody /srv/probe {written}\n"));
    ask("127.0.0.1:2001").arguments().into_iter().map(str::to_owned).collect()
}

fn tcp_is_v4(lab: &mut Lab) {
    lab.start(LINE);
    ask("127.0.0.1:2001");
    assert!(refuses("[::1]:2001"));
}

fn tcp6_is_v6_only(lab: &mut Lab) {
    lab.start("2001 stream tcp6 nowait nobody /srv/probe probe\n");
    ask("[::1]:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn tcp46_is_both(lab: &mut Lab) {
    lab.start("2001 stream tcp46 nowait nobody /srv/probe probe\n");
    assert!(ask("127.0.0.1:2001").get("peer").starts_with("[::ffff:127.0.0.1]:"));
    ask("[::1]:2001");
    assert_eq!(sockets::tcp_listeners_on(2001).len(), 1);
}

fn quotes_round_a_word(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe \"a b\" 'c  \"d' \"\""), ["probe", "a b", "c  \"d", ""]);
}

fn quote_in_a_word(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe don't e\"f g\"h"), ["probe", "don't", "e\"f", "g\"h"]);
}

fn unclosed_quote(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe \"open end"), ["probe", "open end"]);
}

fn continuation(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe one\n  two\n\tthree"), ["probe", "one", "two", "three"]);
}

fn wait_prefix(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowaiting nobody /srv/probe probe\n2002 stream tcp waiting nobody /srv/probe probe\n",
    );
    assert_eq!(ask("127.0.0.1:2001").get("listening"), "false");
    assert_eq!(ask("127.0.0.1:2002").get("listening"), "true");
}

fn bad_wait_word(lab: &mut Lab) {
    lab.start("2002 stream tcp nowiat nobody /srv/probe p\n2001 stream tcp nowait nobody /srv/probe probe\n");
    ask("127.0.0.1:2001");
    assert!(refuses("127.0.0.1:2002"));
}

/// Two callers are served at the same time, a third waits and is served when one of them is gone.
fn assert_two_at_a_time(address: &str) {
    let mut first = tcp(address);
    let mut second = tcp(address);
    first.command("pid");
    second.command("pid");
    let mut third = tcp(address);
    third.send("pid\n");
    assert_eq!(third.fate(SHORT), Fate::Waiting);
    drop(first);
    assert!(third.line().parse::<u32>().is_ok());
    second.command("pid");
}

/// So many callers from one source are answered, the next is closed on, and one from elsewhere is served.
fn assert_per_source(address: &str, allowed: usize, at_once: bool) {
    let mut held = Vec::new();
    for _ in 0..allowed {
        let mut caller = tcp_from("127.0.0.3:0", address);
        caller.command("pid");
        if at_once {
            held.push(caller);
        }
    }
    assert_eq!(tcp_from("127.0.0.3:0", address).text(), "", "one more from the same source is closed on");
    assert!(tcp_from("127.0.0.4:0", address).command("pid").parse::<u32>().is_ok());
}

fn max_child(lab: &mut Lab) {
    lab.start(&OBEY.replace("nowait", "nowait/2"));
    assert_two_at_a_time("127.0.0.1:2001");
}

fn max_child_zero(lab: &mut Lab) {
    let launch = lab.launch_with(&["-c", "1"]);
    lab.start_with(launch, &OBEY.replace("nowait", "nowait/0"));
    let mut callers: Vec<_> = (0..5).map(|_| tcp("127.0.0.1:2001")).collect();
    for caller in &mut callers {
        caller.command("pid");
    }
}

fn max_per_ip_per_minute(lab: &mut Lab) {
    lab.start(&OBEY.replace("nowait", "nowait/0/3"));
    assert_per_source("127.0.0.1:2001", 3, false);
}

fn max_child_per_ip(lab: &mut Lab) {
    lab.start(&OBEY.replace("nowait", "nowait/0/0/2"));
    assert_per_source("127.0.0.1:2001", 2, true);
}

fn start_with(lab: &mut Lab, options: &[&str], config: &str) {
    let launch: Launch = lab.launch_with(options);
    lab.start_with(launch, config);
}

fn option_c(lab: &mut Lab) {
    start_with(lab, &["-c", "2"], OBEY);
    assert_two_at_a_time("127.0.0.1:2001");
}

fn option_c_is_a_default(lab: &mut Lab) {
    start_with(lab, &["-c", "1"], &OBEY.replace("nowait", "nowait/2"));
    assert_two_at_a_time("127.0.0.1:2001");
}

fn option_capital_c(lab: &mut Lab) {
    start_with(lab, &["-C", "3"], OBEY);
    assert_per_source("127.0.0.1:2001", 3, false);
}

fn option_s(lab: &mut Lab) {
    start_with(lab, &["-s", "2"], OBEY);
    assert_per_source("127.0.0.1:2001", 2, true);
}

fn option_r_zero(lab: &mut Lab) {
    start_with(lab, &["-R", "0"], LINE);
    for _ in 0..300 {
        ask("127.0.0.1:2001");
    }
}

fn option_r(lab: &mut Lab) {
    start_with(lab, &["-R", "4"], LINE);
    let answered = (0..8).take_while(|_| tcp("127.0.0.1:2001").fate(SHORT) == Fate::Answered).count();
    assert_eq!(answered, 4);
}

fn option_a(lab: &mut Lab) {
    start_with(lab, &["-a", "127.0.0.2"], LINE);
    assert_eq!(ask("127.0.0.2:2001").get("local"), "127.0.0.2:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn option_a_host_name(lab: &mut Lab) {
    start_with(lab, &["-a", "labhost"], LINE);
    assert_eq!(ask("127.0.0.5:2001").get("local"), "127.0.0.5:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn option_a_v6(lab: &mut Lab) {
    start_with(lab, &["-a", "::1"], LINE);
    assert_eq!(ask("[::1]:2001").get("local"), "[::1]:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn option_p(lab: &mut Lab) {
    lab.write_config(LINE);
    let mut launch = lab.launch_with(&["-p", "/run/other.pid"]);
    launch.mode = Mode::Daemon;
    assert!(launch.spawn().wait().success());
    lab.wait_read();
    deadline::wait_until("a number in the pid file", || {
        fs::read_to_string("/run/other.pid").is_ok_and(|text| text.trim().parse::<u32>().is_ok())
    });
    assert!(fs::metadata("/run/inetd.pid").is_err());
}

fn mentions_the_caller(message: &crate::syslog::Message) -> bool {
    message.text.contains("2001") && message.text.contains("127.0.0.1")
}

fn option_l(lab: &mut Lab) {
    start_with(lab, &["-l"], LINE);
    ask("127.0.0.1:2001");
    lab.syslog.expect_where("a line about the caller", mentions_the_caller);
}

fn not_l(lab: &mut Lab) {
    lab.start(LINE);
    ask("127.0.0.1:2001");
    lab.assert_serves();
    assert_eq!(lab.syslog.count(mentions_the_caller), 0);
}

const UNIX: &str = "/run/lab.sock stream unix nowait nobody /srv/probe probe\n";

/// Owner, group and mode of the socket's file.
fn access() -> (u32, u32, u32) {
    let found = fs::metadata("/run/lab.sock").expect("the socket is there");
    (found.uid(), found.gid(), found.permissions().mode() & 0o7777)
}

fn unix_default_mode(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.umask = Some(0);
    lab.start_with(launch, UNIX);
    assert_eq!(access(), (0, 0, 0o200));
    Report::parse(&client::unix("/run/lab.sock").all());
}

fn unix_owner_group_mode(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.umask = Some(0o077);
    lab.start_with(launch, &format!(":alice:printers:660:{UNIX}"));
    assert_eq!(access(), (1501, 1602, 0o660));
    Report::parse(&client::unix("/run/lab.sock").all());
}

fn unix_prefix_at_reload(lab: &mut Lab) {
    lab.start(&format!(":alice:printers:660:{UNIX}"));
    lab.reload(&format!(":bob:other:600:{UNIX}"));
    deadline::wait_until("the new owner", || access() == (1502, 1603, 0o600));
    Report::parse(&client::unix("/run/lab.sock").all());
}

fn unix_unknown_owner(lab: &mut Lab) {
    lab.start(&format!(":nosuchuser:printers:660:{UNIX}{LINE}"));
    ask("127.0.0.1:2001");
    assert!(fs::metadata("/run/lab.sock").is_err());
}

fn login_class(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait alice:bob/daemon /srv/probe probe\n2002 stream tcp nowait bob/staff /srv/probe p\n",
    );
    let report = ask("127.0.0.1:2001");
    assert_eq!((report.get("Uid"), report.get("Gid")), ("1501 1501 1501 1501", "1502 1502 1502 1502"));
    assert_eq!(ask("127.0.0.1:2002").get("Uid"), "1502 1502 1502 1502");
}

fn dot_in_a_user(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait dot.user:bob /srv/probe probe\n2002 stream tcp nowait dot.user /srv/probe p\n");
    let report = ask("127.0.0.1:2001");
    assert_eq!((report.get("Uid"), report.get("Gid")), ("1503 1503 1503 1503", "1502 1502 1502 1502"));
    assert_eq!(ask("127.0.0.1:2002").get("Gid"), "1503 1503 1503 1503");
}

fn default_is_256(lab: &mut Lab) {
    lab.start(LINE);
    for _ in 0..200 {
        ask("127.0.0.1:2001");
    }
}

fn internal_by_alias(lab: &mut Lab) {
    lab.start("ttytst stream tcp nowait root internal\ntimserver stream tcp nowait root internal\n");
    assert!(tcp("127.0.0.1:19").line().starts_with(" !\"#"));
    assert_eq!(tcp("127.0.0.1:37").all().len(), 4);
}

fn internal_on_a_unix_socket(lab: &mut Lab) {
    lab.start(":root:wheelers:666:/run/echo stream unix nowait root internal\n");
    let mut caller = client::unix("/run/echo");
    assert_eq!(caller.command("said"), "said");
}

fn ipsec_is_said(lab: &mut Lab) {
    fs::write("/etc/checked.conf", format!("#@ ipsec ah/require\n{LINE}")).expect("/etc is the case's own");
    let (code, said) = lab.check(&["/etc/checked.conf"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("IPsec"), "{said}");
}

fn all_limits_after_reload(lab: &mut Lab) {
    lab.start(OBEY);
    let mut held: Vec<_> = (0..3).map(|_| tcp_from("127.0.0.3:0", "127.0.0.1:2001")).collect();
    for caller in &mut held {
        caller.command("pid");
    }
    lab.reload(&OBEY.replace("nowait", "nowait/0/0/3"));
    // Those who were there before the reload are counted.
    assert_eq!(tcp_from("127.0.0.3:0", "127.0.0.1:2001").text(), "");
    assert!(tcp_from("127.0.0.4:0", "127.0.0.1:2001").command("pid").parse::<u32>().is_ok());
    drop(held);
    deadline::wait_until("the source may call again", || {
        let mut caller = tcp_from("127.0.0.3:0", "127.0.0.1:2001");
        caller.send("pid\n");
        caller.fate(SHORT) == Fate::Answered
    });
}
