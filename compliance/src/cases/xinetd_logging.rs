//! What is logged of a service's callers, where, and to the letter; and what the daemon says itself.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use crate::cases::xinetd_conf::{defaults, service, service_without};
use crate::cases::{Case, case};
use crate::client::{ask, tcp, tcp_from, udp};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Server::{UsherdXinetd, Xinetd};
use crate::syslog::FACILITY_DAEMON;

pub const CASES: &[Case] = &[
    case("start", "xinetd.log(5): \"START: service-id [pid=%d] [from=%d.%d.%d.%d]\"", start),
    case("exit", "svc_log_exit(): \"EXIT: service-id status=%d pid=%d duration=%ld(sec)\"", exit),
    case("exit_by_a_signal", "svc_log_exit(): \"signal=%d\"", exit_by_a_signal),
    case(
        "only_what_is_asked_for",
        "\"the following values may be specified\": what is not, is not there",
        only_what_is_asked_for,
    ),
    case(
        "exit_without_start",
        "EXIT alone: the START line has the id only, SVC_LOGS_ON_SUCCESS()",
        exit_only,
    ),
    case(
        "two_services_of_one_name",
        "\"By default the service id is the same as the service name\": in the lines of both",
        two_services_of_one_name,
    ),
    case("duration_counts_seconds", "\"logs the duration of a service session\"", duration),
    case("fail_without_host", "ATTEMPT: \"logs the fact that a failed attempt was made\"", fail_without_host),
    case("nothing_by_default", "a service that says nothing of it logs no caller", nothing_by_default),
    case("no_log_type_is_no_log", "log_start(): without log_type there is no log", no_log_type)
        .ignored(&[(UsherdXinetd, "what is asked for by log_on_success goes to the daemon's own log then")]),
    case(
        "log_of_the_defaults",
        "\"log_type\" and \"log_on_success\" of the defaults hold",
        log_of_the_defaults,
    ),
    case("facility_and_level", "\"SYSLOG syslog_facility [syslog_level]\"", facility_and_level),
    case(
        "all_facilities_and_levels",
        "\"Possible facility names include […] Possible level names include\"",
        all_facilities,
    ),
    case(
        "usual_level",
        "\"If a level is not present, the messages will be recorded at the info level\"",
        usual_level,
    ),
    case("file", "\"The log output is appended to file which will be created if it does not exist\"", file),
    case(
        "file_of_two_services",
        "\"if the log file is a common log file, then more than one service may be affected\"",
        file_of_two_services,
    ),
    case("file_is_appended_to", "\"The log output is appended to file\"", file_is_appended_to),
    case("soft_limit", "\"xinetd will log a message the first time this limit is exceeded\"", soft_limit)
        .ignored(&[(Xinetd, "says nothing of it")]),
    case(
        "hard_limit",
        "\"xinetd will stop logging for the affected service […] and will log a message about this\"",
        hard_limit,
    ),
    case("file_without_a_limit", "xlog_filelog_create(): a soft limit of 0 is none", file_without_a_limit),
    case(
        "file_with_a_large_limit",
        "\"Each of these limits may be suffixed with K or M\": more than 4 GiB too, and -1 is the largest number",
        file_with_a_large_limit,
    ),
    case(
        "callers_of_wait_programs",
        "conn_addrstr(): a listener that is handed over has no caller",
        callers_of_wait_programs,
    ),
    case("datagrams", "the sender of the first packet is the caller", datagrams),
    case("ipv6", "from= is the address as the socket has it", ipv6),
    case(
        "userid",
        "\"The text is the response of the identification daemon at the remote end excluding the port numbers\"",
        userid,
    ),
    case("userid_of_who_is_refused", "log_on_failure: USERID", userid_of_who_is_refused),
    case("userid_and_nobody_who_tells", "without IDONLY the caller is served all the same", userid_unknown),
    case("idonly", "\"Accept connections only when the remote end identifies the remote user\"", idonly),
    case(
        "nobody_is_asked_twice",
        "child_process(): who is refused for want of a name is not asked for it again",
        nobody_is_asked_twice,
    ),
    case("daemon_starts", "main(): \"Started working: %d available service%s\"", daemon_starts),
    case(
        "daemon_says_its_version",
        "main(): \"VERSION started with … options compiled in.\"",
        daemon_says_its_version,
    ),
    case(
        "ident_and_facility",
        "messages of the daemon are those of xinetd, facility daemon",
        ident_and_facility,
    ),
    case("exec_that_fails", "exec_server(): the failure is logged", exec_that_fails)
        .not_run(&[(Xinetd, "looks whether the program can be started when the file is read")]),
];

const PLACE: &str = "127.0.0.1:2001";
const ALL: &str =
    "log_type = SYSLOG daemon info\nlog_on_success = PID HOST EXIT DURATION\nlog_on_failure = HOST";
const LOG: &str = "/srv/log";

fn start_service(lab: &mut Lab, lines: &str) {
    lab.start(&service("probed", 2001, lines));
}

fn start(lab: &mut Lab) {
    start_service(lab, ALL);
    let report = ask(PLACE);
    let message = lab.syslog.expect(&format!("START: probed pid={} from=127.0.0.1", report.get("pid")));
    assert_eq!((message.ident.as_str(), message.facility, message.severity), ("xinetd", FACILITY_DAEMON, 6));
    assert_eq!(message.pid, Some(lab.daemon().number().unsigned_abs()));
}

fn exit(lab: &mut Lab) {
    start_service(lab, &format!("{ALL}\nserver_args = do=obey"));
    let mut caller = tcp(PLACE);
    let pid = caller.command("pid");
    caller.send("exit 7\n");
    let wanted = [0, 1].map(|seconds| format!("EXIT: probed status=7 pid={pid} duration={seconds}(sec)"));
    lab.syslog.expect_where("the end", |message| wanted.contains(&message.text));
}

fn exit_by_a_signal(lab: &mut Lab) {
    start_service(lab, "log_type = SYSLOG daemon\nlog_on_success = PID EXIT\nserver_args = do=obey");
    let mut caller = tcp(PLACE);
    let pid = caller.command("pid");
    caller.send("kill 9\n");
    lab.syslog.expect(&format!("EXIT: probed signal=9 pid={pid}"));
}

fn only_what_is_asked_for(lab: &mut Lab) {
    start_service(lab, "log_type = SYSLOG daemon\nlog_on_success = HOST");
    ask(PLACE);
    lab.syslog.expect("START: probed from=127.0.0.1");
    deadline::wait_until("the program has ended", || lab.daemon().zombies() == 0);
    ask(PLACE);
    assert_eq!(lab.syslog.count(|message| message.text.starts_with("EXIT")), 0);
}

fn exit_only(lab: &mut Lab) {
    start_service(lab, "log_type = SYSLOG daemon\nlog_on_success = EXIT");
    ask(PLACE);
    lab.syslog.expect("EXIT: probed status=0");
    lab.syslog.expect("START: probed");
}

fn duration(lab: &mut Lab) {
    start_service(lab, "log_type = SYSLOG daemon\nlog_on_success = DURATION\nserver_args = do=obey");
    let mut caller = tcp(PLACE);
    caller.command("pid");
    deadline::stays(std::time::Duration::from_millis(1100), "the session goes on", || {
        lab.daemon().is_alive()
    });
    caller.send("exit 0\n");
    let message =
        lab.syslog.expect_where("the end", |message| message.text.starts_with("EXIT: probed duration="));
    assert!(
        ["EXIT: probed duration=1(sec)", "EXIT: probed duration=2(sec)"].contains(&message.text.as_str())
    );
}

fn two_services_of_one_name(lab: &mut Lab) {
    let log =
        "log_type = SYSLOG daemon\nlog_on_success = HOST\nlog_on_failure = HOST\nno_access = 127.0.0.2\n";
    let datagrams = format!("{log}socket_type = dgram\nprotocol = udp\nwait = yes\nserver_args = do=obey");
    lab.start(&[service("probed", 2001, log), service("probed", 2001, &datagrams)].concat());
    ask(PLACE);
    lab.syslog.expect("START: probed from=127.0.0.1");
    assert_eq!(tcp_from("127.0.0.2:0", PLACE).text(), "");
    lab.syslog.expect("FAIL: probed address from=127.0.0.2");
    udp(PLACE).send("exit 0");
    lab.syslog.expect_where("the second start", |message| {
        message.text == "START: probed from=127.0.0.1" || message.text == "START: probed from=<no address>"
    });
}

fn fail_without_host(lab: &mut Lab) {
    start_service(lab, "log_type = SYSLOG daemon\nlog_on_failure = ATTEMPT\ninstances = 0");
    assert_eq!(tcp(PLACE).text(), "");
    lab.syslog.expect("FAIL: probed service_limit");
}

fn nothing_by_default(lab: &mut Lab) {
    let silent = service("silent", 2001, "log_type = SYSLOG daemon");
    lab.start(&format!("{silent}{}", service("loud", 2002, ALL)));
    ask(PLACE);
    ask("127.0.0.1:2002");
    lab.syslog.expect_where("the end of the other", |message| message.text.starts_with("EXIT: loud"));
    assert_eq!(lab.syslog.count(|message| message.text.contains("silent")), 0);
}

fn no_log_type(lab: &mut Lab) {
    let silent = service("silent", 2001, "log_on_success = PID HOST EXIT");
    lab.start(&format!("{silent}{}", service("loud", 2002, ALL)));
    ask(PLACE);
    ask("127.0.0.1:2002");
    lab.syslog.expect_where("the end of the other", |message| message.text.starts_with("EXIT: loud"));
    assert_eq!(lab.syslog.count(|message| message.text.contains("silent")), 0);
}

fn log_of_the_defaults(lab: &mut Lab) {
    let changed = service("changed", 2002, "log_on_success -= HOST\nlog_on_success += EXIT");
    let defaults = defaults("log_type = SYSLOG daemon\nlog_on_success = HOST");
    lab.start(&[defaults, service("probed", 2001, ""), changed].concat());
    ask(PLACE);
    ask("127.0.0.1:2002");
    lab.syslog.expect("START: probed from=127.0.0.1");
    lab.syslog.expect("START: changed");
    lab.syslog.expect("EXIT: changed status=0");
}

fn facility_and_level(lab: &mut Lab) {
    start_service(lab, "log_type = SYSLOG local3 notice\nlog_on_success = HOST");
    ask(PLACE);
    let message = lab.syslog.expect("START: probed from=127.0.0.1");
    assert_eq!((message.facility, message.severity), (19, 5));
}

fn all_facilities(lab: &mut Lab) {
    let facilities = "daemon auth authpriv user mail lpr news uucp ftp local0 local1 local2 local3 local4 local5 local6 local7";
    let levels = "emerg alert crit err warning notice info debug";
    let facilities = facilities.split(' ').map(|word| format!("SYSLOG {word}"));
    let levels = levels.split(' ').map(|word| format!("SYSLOG mail {word}"));
    let all: Vec<String> = facilities.chain(levels).collect();
    let texts = all.iter().zip(2001..);
    let texts: String = texts
        .map(|(words, port)| {
            service(&format!("log-{port}"), port, &format!("log_type = {words}\nlog_on_success = HOST"))
        })
        .collect();
    lab.start(&texts);
    let numbers = [3, 4, 10, 1, 2, 6, 7, 8, 11, 16, 17, 18, 19, 20, 21, 22, 23];
    let expected = numbers.map(|facility| (facility, 6)).into_iter().chain((0..8).map(|level| (2, level)));
    for (expected, port) in expected.zip(2001..) {
        ask(&format!("127.0.0.1:{port}"));
        let message = lab.syslog.expect(&format!("START: log-{port} from=127.0.0.1"));
        assert_eq!((message.facility, message.severity), expected, "{}", all[port - 2001]);
    }
}

fn usual_level(lab: &mut Lab) {
    start_service(lab, "log_type = SYSLOG authpriv\nlog_on_success = HOST");
    ask(PLACE);
    let message = lab.syslog.expect("START: probed from=127.0.0.1");
    assert_eq!((message.facility, message.severity), (10, 6));
}

/// The lines of the log file without their times, each of which has to be one: `26/11/30@18:14:06: `.
fn file_lines() -> Vec<String> {
    let text = fs::read_to_string(LOG).unwrap_or_default();
    let line = |line: &str| {
        let (time, text) = line.split_once(": ").expect("a time in front");
        let shape: String =
            time.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
        let (day, clock) = shape.split_once('@').expect("a day and a time");
        assert!(["00/00/00", "00/0/0", "00/00/0", "00/0/00"].contains(&day), "{line:?}");
        assert_eq!(clock, "00:00:00", "{line:?}");
        text.to_owned()
    };
    text.lines().map(line).collect()
}

fn wait_for_lines(count: usize) -> Vec<String> {
    deadline::wait_for("lines in the file", || Some(file_lines()).filter(|lines| lines.len() >= count))
}

fn file(lab: &mut Lab) {
    start_service(lab, &format!("log_type = FILE {LOG}\nlog_on_success = PID HOST EXIT"));
    let report = ask(PLACE);
    let pid = report.get("pid");
    let lines = wait_for_lines(2);
    assert_eq!(
        lines,
        [format!("START: probed pid={pid} from=127.0.0.1"), format!("EXIT: probed status=0 pid={pid}")]
    );
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(LOG).expect("it is there").permissions());
    assert_eq!(mode & 0o777, 0o644);
}

fn file_of_two_services(lab: &mut Lab) {
    let defaults = defaults(&format!("log_type = FILE {LOG}\nlog_on_success = HOST"));
    lab.start(&[defaults, service("one", 2001, ""), service("two", 2002, "")].concat());
    ask(PLACE);
    wait_for_lines(1);
    ask("127.0.0.1:2002");
    assert_eq!(wait_for_lines(2), ["START: one from=127.0.0.1", "START: two from=127.0.0.1"]);
}

fn file_is_appended_to(lab: &mut Lab) {
    fs::write(LOG, "26/1/2@03:04:05: older\n").expect("/srv is ours");
    start_service(lab, &format!("log_type = FILE {LOG}\nlog_on_success = HOST"));
    ask(PLACE);
    assert_eq!(wait_for_lines(2), ["older", "START: probed from=127.0.0.1"]);
}

fn soft_limit(lab: &mut Lab) {
    start_service(lab, &format!("log_type = FILE {LOG} 100 100000\nlog_on_success = HOST"));
    for _ in 0..4 {
        ask(PLACE);
    }
    wait_for_lines(4);
    let message = lab.syslog.expect_where("a line about it", |message| message.text.contains("limit"));
    assert!(message.text.contains("soft limit"), "{message:?}");
    assert_eq!(lab.syslog.count(|message| message.text.contains("soft limit")), 1);
}

fn file_without_a_limit(lab: &mut Lab) {
    // More than the hard limit that a small soft one has of itself.
    const MORE: u64 = 6 * 1024;
    let lines = |file: &str, limit: &str| {
        format!("log_type = FILE {file} {limit}\nlog_on_success = HOST PID EXIT DURATION\ncps = 0 1")
    };
    let files = [("/srv/none", "0"), ("/srv/neither", "0 0")];
    let text: String = (2001..)
        .zip(files)
        .map(|(port, (file, limit))| service(&format!("log-{port}"), port, &lines(file, limit)))
        .collect();
    lab.start(&text);
    for (port, (file, limit)) in (2001..).zip(files) {
        let size = || fs::metadata(file).map_or(0, |found| found.len());
        for _ in 0..MORE / 60 {
            ask(&format!("127.0.0.1:{port}"));
        }
        deadline::wait_until("the file has grown", || size() > MORE);
        assert!(size() > MORE, "{limit}");
    }
}

fn file_with_a_large_limit(lab: &mut Lab) {
    let limits = ["5000000000", "5000M", "-1", "100 -1", "+100000"];
    let line = |limit: &str| format!("log_type = FILE {LOG} {limit}\nlog_on_success = HOST");
    let text: String = (2001..)
        .zip(limits)
        .map(|(port, limit)| service(&format!("log-{port}"), port, &line(limit)))
        .collect();
    lab.start(&text);
    for (port, limit) in (2001..).zip(limits) {
        assert!(!ask(&format!("127.0.0.1:{port}")).get("pid").is_empty(), "{limit}");
    }
    wait_for_lines(limits.len());
}

fn hard_limit(lab: &mut Lab) {
    start_service(lab, &format!("log_type = FILE {LOG} 60 100\nlog_on_success = HOST"));
    deadline::wait_until("the limit is said", || {
        ask(PLACE);
        lab.syslog.count(|message| message.text.contains("hard limit")) > 0
    });
    let size = fs::metadata(LOG).expect("it is there").len();
    for _ in 0..3 {
        ask(PLACE);
    }
    assert_eq!(fs::metadata(LOG).expect("it is there").len(), size);
    assert!(size < 300, "{size}");
}

fn callers_of_wait_programs(lab: &mut Lab) {
    start_service(lab, "log_type = SYSLOG daemon\nlog_on_success = HOST EXIT\nwait = yes");
    ask(PLACE);
    lab.syslog.expect("START: probed from=<no address>");
    lab.syslog.expect("EXIT: probed status=0");
}

fn datagrams(lab: &mut Lab) {
    let lines =
        "socket_type = dgram\nprotocol = udp\nwait = yes\nlog_type = SYSLOG daemon\nlog_on_success = HOST";
    start_service(lab, lines);
    udp(PLACE).ask("hello");
    lab.syslog.expect("START: probed from=127.0.0.1");
}

fn ipv6(lab: &mut Lab) {
    lab.start(&service_without(&["bind"], "probed", 2001, ALL));
    let pid = ask("[::1]:2001").get("pid").to_owned();
    lab.syslog.expect(&format!("START: probed pid={pid} from=::1"));
    let pid = ask(PLACE).get("pid").to_owned();
    lab.syslog.expect(&format!("START: probed pid={pid} from=::ffff:127.0.0.1"));
}

fn daemon_starts(lab: &mut Lab) {
    lab.start("");
    lab.syslog.expect("Started working: 1 available service");
}

fn daemon_says_its_version(lab: &mut Lab) {
    lab.start("");
    lab.syslog.expect_where("its version", |message| message.text.ends_with(" options compiled in."));
}

fn ident_and_facility(lab: &mut Lab) {
    lab.start(&service("probed", 2001, ""));
    let message = lab.syslog.expect("Started working: 2 available services");
    assert_eq!((message.ident.as_str(), message.facility, message.severity), ("xinetd", FACILITY_DAEMON, 5));
    assert_eq!(message.pid, Some(lab.daemon().number().unsigned_abs()));
}

fn exec_that_fails(lab: &mut Lab) {
    start_service(lab, "server = /srv/nosuch");
    assert_eq!(tcp(PLACE).text(), "");
    lab.syslog.expect_where("a line that names it", |message| message.text.contains("/srv/nosuch"));
}

/// An identification server that knows everybody as joe.
fn identify() {
    let server = TcpListener::bind("127.0.0.1:113").expect("the port is free here");
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = server.accept() {
            let mut line = String::new();
            if BufReader::new(&stream).read_line(&mut line).is_ok() {
                // Who asked may be gone.
                let _ = write!(stream, "{} : USERID : UNIX : joe\r\n", line.trim_end());
            }
        }
    });
}

const USERID: &str = "log_type = SYSLOG daemon\nlog_on_success = HOST USERID\nlog_on_failure = HOST USERID";

fn is_about_joe(text: &str) -> bool {
    text == "USERID: probed UNIX : joe"
}

fn userid(lab: &mut Lab) {
    identify();
    start_service(lab, USERID);
    ask(PLACE);
    lab.syslog.expect_where("who it was", |message| is_about_joe(&message.text));
    lab.syslog.expect("START: probed from=127.0.0.1");
}

fn userid_of_who_is_refused(lab: &mut Lab) {
    identify();
    start_service(lab, &format!("{USERID}\ninstances = 0"));
    assert_eq!(tcp(PLACE).text(), "");
    lab.syslog.expect("FAIL: probed service_limit from=127.0.0.1");
    lab.syslog.expect_where("who it was", |message| is_about_joe(&message.text));
}

fn userid_unknown(lab: &mut Lab) {
    start_service(lab, USERID);
    ask(PLACE);
    lab.syslog.expect("START: probed from=127.0.0.1");
    assert_eq!(lab.syslog.count(|message| message.text.starts_with("USERID")), 0);
}

fn idonly(lab: &mut Lab) {
    start_service(lab, &format!("{USERID}\nflags = IDONLY"));
    assert_eq!(tcp(PLACE).text(), "");
    lab.syslog.expect_where("why not", |message| message.text.starts_with("NOID: probed 127.0.0.1 "));
    assert_eq!(lab.starts(), 0);
    identify();
    ask(PLACE);
    lab.syslog.expect_where("who it was", |message| is_about_joe(&message.text));
}

fn nobody_is_asked_twice(lab: &mut Lab) {
    start_service(lab, &format!("{USERID}\nflags = IDONLY"));
    assert_eq!(tcp(PLACE).text(), "");
    identify();
    ask(PLACE);
    lab.syslog.expect_where("who it was", |message| is_about_joe(&message.text));
    assert_eq!(lab.syslog.count(|message| message.text.starts_with("NOID")), 1);
}
