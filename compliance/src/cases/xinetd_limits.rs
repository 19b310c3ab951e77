//! How many callers of a service are served, and how fast: instances, per_source, cps, -limit.

use std::time::Duration;

use crate::cases::xinetd_conf::{defaults, service, service_without};
use crate::cases::{Case, case};
use crate::client::{Fate, ask, tcp, tcp_from, wait_refused};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Server::{UsherdXinetd, Xinetd};
use crate::sockets;
use crate::syslog::SEVERITY_ERR;

pub const CASES: &[Case] = &[
    case(
        "instances",
        "\"determines the number of servers that can be simultaneously active for a service\": one more is turned away",
        instances,
    ),
    case("instances_of_nothing", "parent_access_control(): with 0 nobody is served", instances_of_nothing),
    case(
        "more_than_can_be_counted",
        "parse_int(): what does not fit is cut off, and mostly leaves a large number",
        more_than_can_be_counted,
    ),
    case("a_count_that_becomes_nothing", "4294967296 is as good as no limit", a_count_that_becomes_nothing)
        .ignored(&[(Xinetd, "what does not fit is cut off: 0 is left, and nobody is served")]),
    case("instances_unlimited", "\"UNLIMITED which means that there is no limit\"", instances_unlimited),
    case(
        "instances_by_default",
        "\"Note 2: the instances attribute overrides the default\"",
        instances_by_default,
    ),
    case(
        "per_source",
        "\"This specifies the maximum instances of this service per source IP address\"",
        per_source,
    ),
    case("per_source_and_ipv6", "parent_access_control(): IPv6 sources are counted too", per_source_and_ipv6),
    case(
        "per_source_unlimited",
        "\"Takes an integer or \"UNLIMITED\" as an argument\"",
        per_source_unlimited,
    ),
    case(
        "cps_rests_and_comes_back",
        "\"If the rate of incoming connections is higher than this, the service will be temporarily disabled\"",
        cps_rests_and_comes_back,
    ),
    case(
        "cps_says_each_rest",
        "cps_service_stop(), cps_service_restart(): a line for each, of the level err",
        cps_says_each_rest,
    ),
    case("cps_closes_the_port", "cps_service_stop(): the port is closed meanwhile", cps_closes_the_port)
        .ignored(&[(UsherdXinetd, "the port stays open: callers wait")]),
    case(
        "cps_makes_callers_wait",
        "callers of a service that rests are served when it is over",
        cps_makes_callers_wait,
    )
    .ignored(&[(Xinetd, "the port is closed meanwhile")]),
    case(
        "cps_of_one_service",
        "\"the service will be temporarily disabled\", and no other",
        cps_of_one_service,
    ),
    case(
        "cps_allows_its_rate",
        "parent_access_control(): N a second are served, and the next one is not",
        cps_allows_its_rate,
    ),
    case(
        "cps_by_default",
        "\"The default for this setting is 50 incoming connections\": 40 in a second are served",
        cps_by_default,
    ),
    case("limit", "\"This option places a limit on the number of concurrently running processes\"", limit),
    case(
        "wait_programs_have_no_rate_below_it",
        "wait = yes: starts are counted, not connections",
        wait_programs,
    ),
];

const PLACE: &str = "127.0.0.1:2001";
const LOG: &str = "log_type = SYSLOG daemon\nlog_on_failure = HOST";
const OBEY: &str = "server_args = do=obey";

fn start(lab: &mut Lab, lines: &str) {
    lab.start(&format!("{}{}", defaults(LOG), service("probed", 2001, &format!("{OBEY}\n{lines}"))));
}

fn instances(lab: &mut Lab) {
    start(lab, "instances = 2");
    let (mut one, mut two) = (tcp(PLACE), tcp(PLACE));
    one.command("pid");
    two.command("pid");
    assert_eq!(tcp(PLACE).text(), "");
    lab.syslog.expect("FAIL: probed service_limit from=127.0.0.1");
    one.send("exit 0\n");
    assert_eq!(one.text(), "");
    wait_served();
}

fn wait_served() {
    deadline::wait_until("somebody is served", || {
        let mut caller = tcp(PLACE);
        caller.send("pid\n");
        caller.end_writing();
        !caller.all().is_empty()
    });
}

fn instances_of_nothing(lab: &mut Lab) {
    start(lab, "instances = 0");
    assert_eq!(tcp(PLACE).text(), "");
    lab.syslog.expect("FAIL: probed service_limit from=127.0.0.1");
    assert_eq!(lab.starts(), 0);
}

fn more_than_can_be_counted(lab: &mut Lab) {
    let lines = [
        "instances = 99999999999",
        "per_source = 99999999999",
        "cps = 99999999999 1",
        "cps = 1000 99999999999",
    ];
    let text: String =
        (2001..).zip(lines).map(|(port, line)| service(&format!("many-{port}"), port, line)).collect();
    lab.start(&text);
    for (port, line) in (2001..).zip(lines) {
        for _ in 0..3 {
            assert!(!tcp(&format!("127.0.0.1:{port}")).text().is_empty(), "{line}");
        }
    }
}

fn a_count_that_becomes_nothing(lab: &mut Lab) {
    lab.start(&service("many", 2001, "instances = 4294967296"));
    ask("127.0.0.1:2001");
}

fn instances_unlimited(lab: &mut Lab) {
    let text = service("probed", 2001, &format!("{OBEY}\ninstances = UNLIMITED"));
    lab.start(&format!("{}{text}", defaults("instances = 1")));
    let mut callers: Vec<_> = (0..5).map(|_| tcp(PLACE)).collect();
    for caller in &mut callers {
        caller.command("pid");
    }
}

fn instances_by_default(lab: &mut Lab) {
    let text = service("probed", 2001, OBEY);
    lab.start(&format!("{}{text}", defaults("instances = 1")));
    tcp(PLACE).command("pid");
    let mut one = tcp(PLACE);
    deadline::wait_until("one is served", || {
        one = tcp(PLACE);
        one.send("pid\n");
        one.fate(deadline::patience()) == Fate::Answered
    });
    assert_eq!(tcp(PLACE).text(), "");
}

fn per_source(lab: &mut Lab) {
    let lines = format!("{OBEY}\nper_source = 1\nbind = 0.0.0.0");
    lab.start(&format!("{}{}", defaults(LOG), service("probed", 2001, &lines)));
    let mut first = tcp_from("127.0.0.2:0", PLACE);
    first.command("pid");
    assert_eq!(tcp_from("127.0.0.2:0", PLACE).text(), "");
    lab.syslog.expect("FAIL: probed per_source_limit from=127.0.0.2");
    tcp_from("127.0.0.3:0", PLACE).command("pid");
    first.send("exit 0\n");
    assert_eq!(first.text(), "");
    deadline::wait_until("the first source is served again", || {
        let mut caller = tcp_from("127.0.0.2:0", PLACE);
        caller.send("pid\n");
        caller.end_writing();
        !caller.all().is_empty()
    });
}

fn per_source_and_ipv6(lab: &mut Lab) {
    let lines = format!("{OBEY}\nper_source = 1");
    lab.start(&format!("{}{}", defaults(LOG), service_without(&["bind"], "probed", 2001, &lines)));
    let mut first = tcp("[::1]:2001");
    first.command("pid");
    assert_eq!(tcp("[::1]:2001").text(), "");
    lab.syslog.expect("FAIL: probed per_source_limit from=::1");
    let mut other = tcp(PLACE);
    other.command("pid");
    assert_eq!(tcp(PLACE).text(), "");
    lab.syslog.expect("FAIL: probed per_source_limit from=::ffff:127.0.0.1");
}

fn per_source_unlimited(lab: &mut Lab) {
    let text = service("probed", 2001, &format!("{OBEY}\nper_source = UNLIMITED"));
    lab.start(&format!("{}{text}", defaults("per_source = 1")));
    let mut callers: Vec<_> = (0..5).map(|_| tcp(PLACE)).collect();
    for caller in &mut callers {
        caller.command("pid");
    }
}

/// Calls until the service rests.
fn call_until_it_rests(lab: &Lab) {
    let rests =
        "Deactivating service probed due to excessive incoming connections.  Restarting in 2 seconds.";
    let is_it = |text: &str| text.split_whitespace().eq(rests.split_whitespace());
    deadline::wait_until("the service rests", || {
        if lab.syslog.count(|message| is_it(&message.text)) > 0 {
            return true;
        }
        drop(std::net::TcpStream::connect(PLACE));
        false
    });
}

fn cps_rests_and_comes_back(lab: &mut Lab) {
    start(lab, "cps = 3 2");
    call_until_it_rests(lab);
    lab.syslog.expect("Activating service probed");
    tcp(PLACE).command("pid");
}

fn cps_says_each_rest(lab: &mut Lab) {
    start(lab, "cps = 3 1");
    let lines = |lab: &Lab| -> Vec<(u8, String)> {
        let lines = lab.syslog.messages().into_iter();
        let lines = lines.filter(|message| message.text.contains("tivating service probed"));
        lines.map(|message| (message.severity, message.text)).collect()
    };
    deadline::wait_until("the service has rested three times", || {
        drop(std::net::TcpStream::connect(PLACE));
        lines(lab).len() >= 6
    });
    for (place, (severity, text)) in lines(lab).into_iter().take(6).enumerate() {
        let word = if place % 2 == 0 { "Deactivating" } else { "Activating" };
        assert!(text.starts_with(word), "{place}: {text}");
        assert_eq!(severity, SEVERITY_ERR, "{text}");
    }
}

fn cps_closes_the_port(lab: &mut Lab) {
    start(lab, "cps = 3 2");
    call_until_it_rests(lab);
    wait_refused(PLACE);
    lab.syslog.expect("FAIL: probed connections per second from=127.0.0.1");
    lab.syslog.expect("Activating service probed");
    assert!(!sockets::tcp_listeners_on(2001).is_empty());
}

fn cps_makes_callers_wait(lab: &mut Lab) {
    start(lab, "cps = 3 2");
    call_until_it_rests(lab);
    let mut caller = tcp(PLACE);
    assert_eq!(lab.syslog.count(|message| message.text.starts_with("Activating")), 0, "it still rests");
    caller.command("pid");
    lab.syslog.expect("Activating service probed");
}

fn cps_of_one_service(lab: &mut Lab) {
    let text = [defaults(LOG), service("probed", 2001, "cps = 3 2"), service("other", 2002, "")].concat();
    lab.start(&text);
    call_until_it_rests(lab);
    ask("127.0.0.1:2002");
}

fn cps_allows_its_rate(lab: &mut Lab) {
    start(lab, "cps = 5 30");
    for _ in 0..5 {
        tcp(PLACE).command("pid");
    }
    let mut one_more = tcp(PLACE);
    one_more.send("pid\n");
    assert_ne!(one_more.fate(Duration::from_millis(300)), Fate::Answered);
}

fn cps_by_default(lab: &mut Lab) {
    start(lab, "");
    for _ in 0..40 {
        tcp(PLACE).command("pid");
    }
}

fn limit(lab: &mut Lab) {
    let launch = lab.launch_with(&["-limit", "2"]);
    let text = [defaults(LOG), service("probed", 2001, OBEY), service("other", 2002, OBEY)].concat();
    lab.start_with(launch, &text);
    let (mut one, mut two) = (tcp(PLACE), tcp("127.0.0.1:2002"));
    one.command("pid");
    two.command("pid");
    let fate = tcp(PLACE).fate(Duration::from_millis(300));
    assert_ne!(fate, Fate::Answered);
    assert_eq!(lab.starts(), 2);
    one.send("exit 0\n");
    assert_eq!(one.text(), "");
    wait_served();
}

fn wait_programs(lab: &mut Lab) {
    start(lab, "wait = yes\ncps = 2 30");
    for _ in 0..20 {
        tcp(PLACE).command("pid");
    }
}
