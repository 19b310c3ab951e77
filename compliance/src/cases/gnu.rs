//! What is peculiar to GNU inetutils' inetd: its quotes, its families, its folders and its options.

use std::fs;

use crate::cases::{Case, case};
use crate::client::{ask, refuses, udp};
use crate::daemon::{Mode, Process};
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::server::Dialect;
use crate::server::Server::{Inetutils, UsherdAs};
use crate::sockets;

const LINE: &str = "2001 stream tcp nowait nobody /srv/probe probe\n";

pub const CASES: &[Case] = &[
    case("quotes_round_a_word", "argcv: `\"` and `'` round a word make one word of it", quotes_round_a_word),
    case("empty_quotes", "argcv: `\"\"` is an empty word", empty_quotes),
    case("double_quote_in_a_word", "argcv: `\"` in mid-word ends the word", double_quote_in_a_word),
    case("single_quote_in_a_word", "argcv: `'` in mid-word is a letter", single_quote_in_a_word),
    case(
        "unclosed_quote",
        "argcv: a quote without its other half is a letter, and its word goes on to the end of the line",
        unclosed_quote,
    ),
    case("no_escapes_in_quotes", "argcv: a backslash is a letter in quotes too", no_escapes_in_quotes),
    case(
        "no_continuation",
        "next_node: each line is an entry of its own, wherever it begins",
        no_continuation,
    ),
    case("comment_in_the_first_column", "next_node: `#` begins a comment in the first column", comments),
    case("tcp_is_v4", "\"tcp4: TCP over IPv4 only\", and `tcp` is the same", tcp_is_v4),
    case("udp_is_v4", "as for tcp", udp_is_v4),
    case("tcp6_is_both", "`tcp6` clears IPV6_V6ONLY: IPv4 callers come mapped", tcp6_is_both),
    case(
        "tcp6_of_an_ipv4_address",
        "getaddrinfo with AI_V4MAPPED: an IPv4 address is bound as `::ffff:a.b.c.d`",
        tcp6_of_an_ipv4_address,
    ),
    case("tcp46_is_v4", "what is not known behind `tcp` is IPv4", tcp46_is_v4),
    case("mark_without_group", "`user.` and `user:` are the user with his own group", mark_without_group),
    case("text_behind_a_quote", "argcv: a word ends with its closing quote", text_behind_a_quote),
    case("tcp6only", "`tcp6only` sets IPV6_V6ONLY", tcp6only),
    case("udp6_is_both", "as for tcp6", udp6_is_both),
    case("udp6only", "as for tcp6only", udp6only),
    case("colon_before_dot", "getconfigent looks for `:` first, then for `.`", colon_before_dot),
    case("queue_is_ten", "servent_setup: listen(fd, 10)", queue_is_ten),
    case("two_files", "\"inetd [OPTION...] [CONF-FILE [CONF-DIR]]...\": any number", two_files),
    case("folder", "a folder stands for the files in it", folder),
    case(
        "folder_without_leftovers",
        "what editors and packages leave behind in a folder is no configuration",
        folder_without_leftovers,
    )
    .ignored(&[(Inetutils, "reads every regular file, whatever its name")]),
    case("default_sources", "without arguments: /etc/inetd.conf and /etc/inetd.d", default_sources),
    case("second_file_is_reread", "SIGHUP reads all files again", second_file_is_reread),
    case(
        "second_file_keeps_its_sockets",
        "config(): a service that matches keeps its socket, whichever file it is in",
        second_file_keeps_its_sockets,
    )
    .ignored(&[(Inetutils, "purges and opens anew what is not in the first file")]),
    case(
        "missing_default_file",
        "a missing /etc/inetd.conf is no end: the folder is read",
        missing_default_file,
    ),
    case(
        "no_arguments_is_one",
        "a program without arguments has its name and nothing else",
        no_arguments_is_one,
    )
    .not_run(&[(Inetutils, "what stands behind argv[0] there is chance")]),
    case("dot_zero", "`.0` is no limit of its own", dot_zero),
    case("limit_is_decimal", "digits are decimal, with a nought in front too", limit_is_decimal),
    case("rate_zero", "a rate of 0 is no rate: somebody is served", rate_zero),
    case("rate_long", "\"-R, --rate=NUMBER\"", rate_long),
    case(
        "environment",
        "\"--environment: pass local and remote socket information in environment variables\"",
        environment,
    ),
    case("no_environment", "without --environment there is none of it", no_environment),
    case(
        "environment_of_others",
        "prepenv is for stream nowait: no other program sees a caller's address",
        environment_of_others,
    )
    .ignored(&[(Inetutils, "sets the variables in itself, and later programs inherit them")]),
    case(
        "environment_of_a_mapped_caller",
        "prepenv gives the address as the IPv6 socket has it",
        environment_of_a_mapped_caller,
    )
    .ignored(&[(UsherdAs(Dialect::Gnu), "gives the IPv4 address, which is what scripts compare with")]),
    case("pid_file_attached", "\"-p, --pidfile[=PIDFILE]\": `-pFILE`", pid_file_attached),
    case("pid_file_long", "\"-p, --pidfile[=PIDFILE]\": `--pidfile=FILE`", pid_file_long),
    case(
        "word_behind_p",
        "an optional value is attached: the word behind `-p` is a configuration",
        word_behind_p,
    ),
    case("debug_long", "\"-d, --debug\": in the foreground", debug_long),
    case("version", "\"--version\" says it and ends with status 0", version),
    case("help", "\"--help\" says it and ends with status 0", help),
    case("default_rate_is_high", "TOOMANY is 1000: 300 callers in a minute are served", default_rate_is_high)
        .not_run(&[(Inetutils, "stalls for a second after every child, so 300 are no matter of a minute")]),
    case(
        "unknown_user_costs_its_service",
        "getconfigent: \"No such user '%s', service ignored\"; nobody is served as somebody else",
        unknown_user_costs_its_service,
    ),
    case(
        "host_of_the_next_lines",
        "a word that ends in `:` alone on a line is the default address",
        default_host,
    ),
    case("v6_address_bare", "the last colon parts address and service: `::1:2001`", v6_address_bare),
    case("not_enough_fields", "next_node logs `FILE:LINE: not enough fields`", not_enough_fields)
        .ignored(&[(UsherdAs(Dialect::Gnu), "has the words of openbsd-inetd in the log in every dialect")]),
];

/// The arguments that a line ends up with.
fn arguments(lab: &mut Lab, written: &str) -> Vec<String> {
    lab.start(&format!("2001 stream tcp nowait nobody /srv/probe {written}\n"));
    ask("127.0.0.1:2001").arguments().into_iter().map(str::to_owned).collect()
}

fn quotes_round_a_word(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe \"a b\" 'c  d'"), ["probe", "a b", "c  d"]);
}

fn empty_quotes(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe \"\" ''"), ["probe", "", ""]);
}

fn double_quote_in_a_word(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe e\"f g\"h"), ["probe", "e", "f g", "h"]);
}

fn single_quote_in_a_word(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe don't can't"), ["probe", "don't", "can't"]);
}

fn unclosed_quote(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe \"open to the end"), ["probe", "\"open to the end"]);
}

fn no_escapes_in_quotes(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe \"a\\\" b"), ["probe", "a\\", "b"]);
}

fn no_continuation(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait nobody /srv/probe probe one\n  two\n\
         \t2002 stream tcp nowait nobody /srv/probe probe indented\n",
    );
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "one"]);
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["probe", "indented"]);
}

fn comments(lab: &mut Lab) {
    lab.start("# 2002 stream tcp nowait nobody /srv/probe probe\n2001 stream tcp nowait nobody /srv/probe probe # x\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "#", "x"]);
    assert!(refuses("127.0.0.1:2002"));
}

fn tcp_is_v4(lab: &mut Lab) {
    lab.start(LINE);
    ask("127.0.0.1:2001");
    assert!(refuses("[::1]:2001"));
    assert_eq!(sockets::tcp_listeners_on(2001).len(), 1);
}

fn udp_is_v4(lab: &mut Lab) {
    lab.start("2001 dgram udp wait nobody /srv/probe probe\n");
    assert_eq!(sockets::udp_sockets_on(2001).len(), 1);
    Report::parse(&udp("127.0.0.1:2001").ask("x"));
}

fn tcp6_is_both(lab: &mut Lab) {
    lab.start("2001 stream tcp6 nowait nobody /srv/probe probe\n");
    assert!(ask("127.0.0.1:2001").get("peer").starts_with("[::ffff:127.0.0.1]:"));
    assert!(ask("[::1]:2001").get("peer").starts_with("[::1]:"));
    assert_eq!(sockets::tcp_listeners_on(2001).len(), 1);
}

fn tcp6_of_an_ipv4_address(lab: &mut Lab) {
    lab.start(
        "127.0.0.2:2001 stream tcp6 nowait nobody /srv/probe probe\n\
         labhost:2002 stream tcp6 nowait nobody /srv/probe probe\n\
         localhost:2003 stream tcp6 nowait nobody /srv/probe probe\n",
    );
    assert!(ask("127.0.0.2:2001").get("peer").starts_with("[::ffff:127.0.0."));
    assert!(refuses("127.0.0.1:2001"));
    ask("127.0.0.5:2002");
    ask("[::1]:2003");
    assert!(refuses("127.0.0.1:2003"));
}

fn tcp46_is_v4(lab: &mut Lab) {
    lab.start("2001 stream tcp46 nowait nobody /srv/probe probe\n");
    assert!(ask("127.0.0.1:2001").get("peer").starts_with("127.0.0.1:"));
    assert!(refuses("[::1]:2001"));
}

fn mark_without_group(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait alice. /srv/probe probe\n2002 stream tcp nowait alice: /srv/probe probe\n",
    );
    for address in ["127.0.0.1:2001", "127.0.0.1:2002"] {
        let report = ask(address);
        assert_eq!((report.get("Uid"), report.get("Gid")), ("1501 1501 1501 1501", "1501 1501 1501 1501"));
    }
}

fn text_behind_a_quote(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe \"a b\"c \"d e\"\"f g\""), ["probe", "a b", "c", "d e", "f g"]);
}

fn tcp6only(lab: &mut Lab) {
    lab.start("2001 stream tcp6only nowait nobody /srv/probe probe\n");
    ask("[::1]:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn udp6_is_both(lab: &mut Lab) {
    lab.start("2001 dgram udp6 wait nobody /srv/probe probe\n");
    assert_eq!(Report::parse(&udp("127.0.0.1:2001").ask("x")).get("v6only"), "false");
    Report::parse(&udp("[::1]:2001").ask("x"));
}

fn udp6only(lab: &mut Lab) {
    lab.start("2001 dgram udp6only wait nobody /srv/probe probe\n");
    assert_eq!(Report::parse(&udp("[::1]:2001").ask("x")).get("v6only"), "true");
}

fn colon_before_dot(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait dot.user:bob /srv/probe probe\n2002 stream tcp nowait alice.bob /srv/probe probe\n",
    );
    let report = ask("127.0.0.1:2001");
    assert_eq!((report.get("Uid"), report.get("Gid")), ("1503 1503 1503 1503", "1502 1502 1502 1502"));
    let report = ask("127.0.0.1:2002");
    assert_eq!((report.get("Uid"), report.get("Gid")), ("1501 1501 1501 1501", "1502 1502 1502 1502"));
}

fn queue_is_ten(lab: &mut Lab) {
    lab.start("2001 stream tcp wait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.1:2001").get("backlog"), "10");
}

fn two_files(lab: &mut Lab) {
    fs::write("/etc/second.conf", "2002 stream tcp nowait nobody /srv/probe second\n")
        .expect("the case's own");
    let launch = lab.launch_with(&["/etc/inetd.conf", "/etc/second.conf"]);
    lab.start_with(launch, LINE);
    ask("127.0.0.1:2001");
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["second"]);
}

fn folder(lab: &mut Lab) {
    in_folder("/etc/services.d", &[("one", 2002), ("two.conf", 2003)]);
    let launch = lab.launch_with(&["/etc/inetd.conf", "/etc/services.d"]);
    lab.start_with(launch, LINE);
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["one"]);
    assert_eq!(ask("127.0.0.1:2003").arguments(), ["two.conf"]);
}

fn folder_without_leftovers(lab: &mut Lab) {
    let names =
        [("one", 2002), (".hidden", 2003), ("two~", 2004), ("three.dpkg-old", 2005), ("four.bak", 2006)];
    in_folder("/etc/services.d", &names);
    let launch = lab.launch_with(&["/etc/inetd.conf", "/etc/services.d"]);
    lab.start_with(launch, LINE);
    ask("127.0.0.1:2002");
    for port in 2003..=2006 {
        assert!(refuses(&format!("127.0.0.1:{port}")), "port {port}");
    }
}

/// A folder of files with a service each, whose argv[0] is the name of the file.
fn in_folder(folder: &str, files: &[(&str, u16)]) {
    fs::create_dir_all(folder).expect("/etc is the case's own");
    for (name, port) in files {
        let line = format!("{port} stream tcp nowait nobody /srv/probe {name}\n");
        fs::write(format!("{folder}/{name}"), line).expect("/etc is the case's own");
    }
}

fn default_sources(lab: &mut Lab) {
    in_folder("/etc/inetd.d", &[("extra", 2002)]);
    lab.start(LINE);
    ask("127.0.0.1:2001");
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["extra"]);
}

fn second_file_is_reread(lab: &mut Lab) {
    in_folder("/etc/inetd.d", &[("extra", 2002)]);
    lab.start(LINE);
    ask("127.0.0.1:2002");
    in_folder("/etc/inetd.d", &[("another", 2003)]);
    fs::remove_file("/etc/inetd.d/extra").expect("it is there");
    lab.reload(LINE);
    assert_eq!(ask("127.0.0.1:2003").arguments(), ["another"]);
    deadline::wait_until("the port of the file that went is closed", || refuses("127.0.0.1:2002"));
    ask("127.0.0.1:2001");
}

fn second_file_keeps_its_sockets(lab: &mut Lab) {
    in_folder("/etc/inetd.d", &[("extra", 2002)]);
    lab.start(LINE);
    ask("127.0.0.1:2002");
    let before = sockets::tcp_listeners_on(2002);
    lab.reload(LINE);
    ask("127.0.0.1:2002");
    assert_eq!(sockets::tcp_listeners_on(2002), before);
}

fn missing_default_file(lab: &mut Lab) {
    in_folder("/etc/inetd.d", &[("extra", 2002)]);
    let mut launch = lab.launch();
    launch.mode = Mode::Daemon;
    lab.start_only(&launch);
    ask("127.0.0.1:2002");
}

fn no_arguments_is_one(lab: &mut Lab) {
    assert_eq!(arguments(lab, ""), ["probe"]);
}

fn dot_zero(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait.0 nobody /srv/probe probe\n");
    for _ in 0..5 {
        ask("127.0.0.1:2001");
    }
}

fn limit_is_decimal(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait.010 nobody /srv/probe probe\n");
    for _ in 0..10 {
        ask("127.0.0.1:2001");
    }
}

fn rate_zero(lab: &mut Lab) {
    let launch = lab.launch_with(&["-R", "0"]);
    lab.start_with(launch, LINE);
    for _ in 0..5 {
        ask("127.0.0.1:2001");
    }
}

fn rate_long(lab: &mut Lab) {
    let launch = lab.launch_with(&["--rate=4"]);
    lab.start_with(launch, LINE);
    let answered = (0..8).take_while(|_| {
        let mut caller = crate::client::tcp("127.0.0.1:2001");
        caller.fate(std::time::Duration::from_millis(1800)) == crate::client::Fate::Answered
    });
    let count = answered.count();
    assert!((3..=4).contains(&count), "served {count}");
}

fn environment(lab: &mut Lab) {
    let launch = lab.launch_with(&["--environment"]);
    lab.start_with(launch, LINE);
    let report = ask("127.0.0.1:2001");
    assert_eq!(report.environment("PROTO"), Some("TCP"));
    assert_eq!(report.environment("TCPLOCALIP"), Some("127.0.0.1"));
    assert_eq!(report.environment("TCPLOCALPORT"), Some("2001"));
    let (address, port) = report.get("peer").rsplit_once(':').expect("an address and a port");
    assert_eq!(report.environment("TCPREMOTEIP"), Some(address));
    assert_eq!(report.environment("TCPREMOTEPORT"), Some(port));
}

fn no_environment(lab: &mut Lab) {
    lab.start(LINE);
    let report = ask("127.0.0.1:2001");
    assert_eq!(report.environment("PROTO"), None);
    assert_eq!(report.environment("TCPREMOTEIP"), None);
}

fn environment_of_others(lab: &mut Lab) {
    let launch = lab.launch_with(&["--environment"]);
    lab.start_with(
        launch,
        "2001 stream tcp nowait nobody /srv/probe probe\n2002 stream tcp wait nobody /srv/probe probe\n\
         2003 dgram udp wait nobody /srv/probe probe\n",
    );
    ask("127.0.0.1:2001");
    for report in [ask("127.0.0.1:2002"), Report::parse(&udp("127.0.0.1:2003").ask("x"))] {
        assert_eq!(report.environment("TCPREMOTEIP"), None);
        assert_eq!(report.environment("TCPREMOTEPORT"), None);
    }
}

fn environment_of_a_mapped_caller(lab: &mut Lab) {
    let launch = lab.launch_with(&["--environment"]);
    lab.start_with(launch, "2001 stream tcp6 nowait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.1:2001").environment("TCPREMOTEIP"), Some("::ffff:127.0.0.1"));
}

/// Starts as a daemon with a pid file of the case's choice and gives what the file says.
fn pid_in(lab: &mut Lab, option: &str, path: &str) -> String {
    lab.write_config(LINE);
    let mut launch = lab.launch_with(&[option]);
    launch.mode = Mode::Daemon;
    assert!(launch.spawn().wait().success());
    lab.wait_read();
    deadline::wait_for("a number in the pid file", || {
        fs::read_to_string(path).ok().filter(|text| text.trim().parse::<u32>().is_ok())
    })
}

fn pid_file_attached(lab: &mut Lab) {
    pid_in(lab, "-p/run/other.pid", "/run/other.pid");
    assert!(fs::metadata("/run/inetd.pid").is_err());
}

fn pid_file_long(lab: &mut Lab) {
    pid_in(lab, "--pidfile=/run/other.pid", "/run/other.pid");
    assert!(fs::metadata("/run/inetd.pid").is_err());
}

fn word_behind_p(lab: &mut Lab) {
    lab.write_raw_config("2002 stream tcp nowait nobody /srv/probe default-file\n");
    lab.use_config_path("/etc/other.conf");
    lab.write_config(LINE);
    let before = fs::read("/etc/other.conf").expect("just written");
    let mut launch = lab.launch_with(&["-p", "/etc/other.conf"]);
    launch.mode = Mode::Daemon;
    assert!(launch.spawn().wait().success());
    lab.wait_read();
    ask("127.0.0.1:2001");
    assert!(refuses("127.0.0.1:2002"));
    assert_eq!(fs::read("/etc/other.conf").expect("still there"), before);
}

fn debug_long(lab: &mut Lab) {
    let mut launch = lab.launch_with(&["--debug"]);
    launch.mode = Mode::ForegroundByCase;
    let daemon = lab.start_with(launch, LINE);
    ask("127.0.0.1:2001");
    assert!(daemon.is_alive());
    assert_eq!(Process::from_pid_file().number(), daemon.number());
}

fn says(lab: &mut Lab, option: &str, word: &str) {
    let mut launch = lab.launch_with(&[option]);
    launch.mode = Mode::Daemon;
    assert_eq!(launch.spawn().wait().code(), Some(0));
    assert!(lab.output().contains(word), "{}", lab.output());
}

fn version(lab: &mut Lab) {
    says(lab, "--version", "inetd");
}

fn help(lab: &mut Lab) {
    says(lab, "--help", "--environment");
}

fn default_rate_is_high(lab: &mut Lab) {
    lab.start(LINE);
    for _ in 0..300 {
        ask("127.0.0.1:2001");
    }
}

fn unknown_user_costs_its_service(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait no-such-user /srv/probe probe\n2002 stream tcp nowait nobody /srv/probe probe\n",
    );
    ask("127.0.0.1:2002");
    if !refuses("127.0.0.1:2001") {
        assert_eq!(crate::client::tcp("127.0.0.1:2001").text(), "");
    }
    assert_eq!(lab.starts(), 1);
}

fn default_host(lab: &mut Lab) {
    lab.start("127.0.0.2:\n2001 stream tcp nowait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.2:2001").get("local"), "127.0.0.2:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn v6_address_bare(lab: &mut Lab) {
    lab.start("::1:2001 stream tcp6 nowait nobody /srv/probe probe\n");
    assert_eq!(ask("[::1]:2001").get("local"), "[::1]:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn not_enough_fields(lab: &mut Lab) {
    lab.start("2002 stream tcp\n2001 stream tcp nowait nobody /srv/probe probe\n");
    ask("127.0.0.1:2001");
    lab.syslog.expect_where("a word about the line", |message| message.text.contains("not enough fields"));
}
