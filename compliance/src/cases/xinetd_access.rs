//! Who may call a service of an xinetd.conf, when, and under what load; banners; sensors.

use std::ffi::CString;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::mount::mount_bind;

use crate::cases::xinetd_conf::{defaults, service, service_without};
use crate::cases::{Case, case};
use crate::client::{ask, tcp, tcp_from, udp, udp_from};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Server::Xinetd;

pub const CASES: &[Case] = &[
    case("only_from_addresses", "\"a numeric address in the form of %d.%d.%d.%d\"", only_from_addresses),
    case(
        "zeros_are_wildcards",
        "\"If the rightmost components are 0, they are treated as wildcards\"",
        zeros_are_wildcards,
    ),
    case("factorized_addresses", "\"a factorized address in the form of %d.%d.%d.{%d,%d,...}\"", factorized_addresses),
    case("lengths", "\"an ip address/netmask range in the form of 1.2.3.4/32\"", lengths),
    case("names_of_hosts", "\"the canonical name returned is compared to the specified host name\"", names_of_hosts),
    case("names_of_domains", "\"You may also use domain names in the form of .domain.com\"", names_of_domains),
    case("names_of_networks", "\"a network name (from /etc/networks)\"", names_of_networks)
        .ignored(&[(Xinetd, "looks the name up among the hosts first, and then compares with the whole address")]),
    case("ipv6_addresses", "\"IPv6 hosts may be specified in the form of abcd:ef01::2345:6789\", with a length or not", ipv6_addresses),
    case("ipv6_with_a_full_length", "\"IPv6 address/netmask ranges\": /128 is that address", ipv6_with_a_full_length)
        .ignored(&[(Xinetd, "matches nobody")]),
    case("only_from_nobody", "\"Specifying this attribute without a value makes the service available to nobody\"", only_from_nobody),
    case("no_access", "\"determines the remote hosts to which the particular service is unavailable\"", no_access),
    case(
        "the_better_match_decides",
        "\"if the only_from list contains 128.138.209.0 and the no_access list contains 128.138.209.10 then the host with the address 128.138.209.10 can not access the service\"",
        the_better_match_decides,
    ),
    case(
        "the_better_match_lets_in_too",
        "\"the one that is the better match for the address of the remote host determines if the service is available to that host\"",
        the_better_match_lets_in,
    )
    .ignored(&[(Xinetd, "who is on both lists is refused")]),
    case("lists_of_defaults", "only_from and no_access take +=, -= and, in defaults, add up", lists_of_defaults),
    case("part_of_a_list_in_braces_is_removed", "an address in braces is one of several", part_of_braces),
    case("only_from_on_ipv4_callers_of_both", "addr.c: IPv4 callers of an IPv6 socket are IPv4 callers", only_from_on_both),
    case("refused_datagrams", "the sender of the first packet is looked at", refused_datagrams),
    case("refusal_is_logged", "xinetd.log(5): \"FAIL: service-id reason [from=%d.%d.%d.%d]\": address", refusal_is_logged),
    case("access_times", "\"determines the time intervals when the service is available\"", access_times),
    case("access_times_at_the_bounds", "\"connections will be accepted at the bounds of an interval\"", access_times_at_the_bounds),
    case("access_times_to_midnight", "the manual's own example: access_times = 2:00-9:00 12:00-24:00", access_times_to_midnight)
        .ignored(&[(Xinetd, "\"invalid time\": the service is left out")]),
    case("max_load", "\"The service will stop accepting connections at this load\"", max_load),
    case("banner", "\"This banner is printed regardless of access control\"", banner),
    case("banner_success", "\"This banner is printed as soon as access is granted for the service\"", banner_success),
    case("banner_fail", "\"This banner is printed immediately upon denial of access\"", banner_fail),
    case("banner_fail_at_a_limit", "failed_service(): for limits too", banner_fail_at_a_limit),
    case("banners_of_defaults", "banners can stand in defaults", banners_of_defaults),
    case("banner_that_is_missing", "banner_always(): it is logged, and the caller is served", banner_that_is_missing),
    case(
        "sensor",
        "\"When an access is made to this service's port, the IP Address is added to a global no_access list\"",
        sensor,
    ),
    case("sensor_and_times", "parent_access_control() comes before a sensor's: time", sensor_and_times),
    case("sensor_and_load", "parent_access_control() comes before a sensor's: load", sensor_and_load),
    case(
        "sensor_and_instances",
        "parent_access_control() comes before a sensor's: instances",
        sensor_and_instances,
    ),
    case(
        "sensor_and_per_source",
        "parent_access_control() comes before a sensor's: per_source",
        sensor_and_per_source,
    ),
    case("sensor_and_cps", "parent_access_control() comes before a sensor's: cps", sensor_and_cps),
    case("sensor_and_lists", "remote_address_check(): a sensor comes before its lists", sensor_and_lists),
    case("sensor_forgets", "\"until the deny_time setting expires\": NEVER denies nobody", sensor_that_never_denies),
];

const PORT: u16 = 2001;
const PLACE: &str = "127.0.0.1:2001";
const LOG: &str = "log_type = SYSLOG daemon\nlog_on_failure = HOST";

fn start(lab: &mut Lab, lines: &str) {
    lab.start(&format!("{}{}", defaults(LOG), service("probed", PORT, &format!("bind = 0.0.0.0\n{lines}"))));
}

/// For callers of both families.
fn start_on_both(lab: &mut Lab, lines: &str) {
    lab.start(&format!("{}{}", defaults(LOG), service_without(&["bind"], "probed", PORT, lines)));
}

/// Whether a caller of that address is served.
fn serves(source: &str) -> bool {
    let text = match source {
        "::1" => tcp("[::1]:2001").text(),
        "2001:db8::1" => tcp("[2001:db8::1]:2001").text(),
        _ => tcp_from(&format!("{source}:0"), PLACE).text(),
    };
    text.contains(crate::report::END)
}

fn assert_verdicts(verdicts: &[(&str, bool)]) {
    for (source, is_served) in verdicts {
        assert_eq!(serves(source), *is_served, "{source}");
    }
}

fn only_from_addresses(lab: &mut Lab) {
    start(lab, "only_from = 127.0.0.2 127.0.0.4");
    assert_verdicts(&[("127.0.0.2", true), ("127.0.0.4", true), ("127.0.0.3", false), ("127.0.0.1", false)]);
}

fn zeros_are_wildcards(lab: &mut Lab) {
    start(lab, "only_from = 127.1.2.0 127.3.0.0");
    assert_verdicts(&[
        ("127.1.2.9", true),
        ("127.1.3.9", false),
        ("127.3.200.9", true),
        ("127.4.0.1", false),
        ("192.0.2.1", false),
    ]);
    lab.reload(&service("probed", PORT, "bind = 0.0.0.0\nonly_from = 0.0.0.0"));
    assert_verdicts(&[("127.1.2.9", true), ("192.0.2.1", true)]);
}

fn factorized_addresses(lab: &mut Lab) {
    start(lab, "only_from = 127.0.0.{2,5,7} 127.1.{2,3}");
    assert_verdicts(&[
        ("127.0.0.2", true),
        ("127.0.0.7", true),
        ("127.0.0.3", false),
        ("127.1.3.77", true),
        ("127.1.4.77", false),
    ]);
}

fn lengths(lab: &mut Lab) {
    start(lab, "only_from = 127.0.0.2/32 127.1.0.0/16 127.2.0.128/25");
    assert_verdicts(&[
        ("127.0.0.2", true),
        ("127.0.0.3", false),
        ("127.1.9.9", true),
        ("127.2.0.129", true),
        ("127.2.0.1", false),
    ]);
}

fn names_of_hosts(lab: &mut Lab) {
    start(lab, "only_from = labhost");
    assert_verdicts(&[("127.0.0.5", true), ("127.0.0.6", false)]);
}

fn names_of_domains(lab: &mut Lab) {
    let hosts = fs::read_to_string("/etc/hosts").expect("the sandbox has one");
    let more = "127.0.0.9 a.example.com\n127.0.0.10 notexample.com\n127.0.0.11 example.org\n";
    fs::write("/etc/hosts", format!("{hosts}{more}")).expect("/etc is ours");
    start(lab, "only_from = .example.com");
    assert_verdicts(&[("127.0.0.9", true), ("127.0.0.10", false), ("127.0.0.11", false)]);
}

fn names_of_networks(lab: &mut Lab) {
    fs::write("/etc/networks", "labnet 127.7.0.0\n").expect("/etc is ours");
    start(lab, "only_from = labnet");
    assert_verdicts(&[("127.7.1.1", true), ("127.8.1.1", false)]);
}

fn ipv6_addresses(lab: &mut Lab) {
    start_on_both(lab, "only_from = 2001:db8::1");
    assert_verdicts(&[("2001:db8::1", true), ("::1", false), ("127.0.0.1", false)]);
    lab.reload(&service_without(&["bind"], "probed", PORT, "only_from = 2001:db8::/46"));
    assert_verdicts(&[("2001:db8::1", true), ("::1", false), ("127.0.0.1", false)]);
}

fn ipv6_with_a_full_length(lab: &mut Lab) {
    start_on_both(lab, "only_from = 2001:db8::1/128");
    assert_verdicts(&[("::1", false), ("2001:db8::1", true)]);
}

fn only_from_nobody(lab: &mut Lab) {
    start(lab, "only_from =");
    assert_verdicts(&[("127.0.0.1", false), ("192.0.2.1", false)]);
}

fn no_access(lab: &mut Lab) {
    start(lab, "no_access = 127.0.0.2 127.1.0.0");
    assert_verdicts(&[("127.0.0.2", false), ("127.1.9.9", false), ("127.0.0.3", true)]);
}

fn the_better_match_decides(lab: &mut Lab) {
    start(lab, "only_from = 127.0.0.0\nno_access = 127.0.0.10");
    assert_verdicts(&[("127.0.0.10", false), ("127.0.0.11", true), ("192.0.2.1", false)]);
}

fn the_better_match_lets_in(lab: &mut Lab) {
    start(lab, "only_from = 127.0.0.10\nno_access = 127.0.0.0");
    assert_verdicts(&[("127.0.0.10", true), ("127.0.0.11", false)]);
}

fn lists_of_defaults(lab: &mut Lab) {
    let lists = defaults("only_from = 127.0.0.2\nonly_from = 127.0.0.3");
    let probed = service("probed", PORT, "bind = 0.0.0.0\nonly_from += 127.0.0.4\nonly_from -= 127.0.0.3");
    lab.start(&format!("{lists}{probed}{}", service("plain", 2002, "bind = 0.0.0.0")));
    assert_verdicts(&[("127.0.0.2", true), ("127.0.0.3", false), ("127.0.0.4", true), ("127.0.0.5", false)]);
    let plain = |source: &str| tcp_from(source, "127.0.0.1:2002").text().contains(crate::report::END);
    assert!(plain("127.0.0.3:0") && !plain("127.0.0.4:0"));
}

fn part_of_braces(lab: &mut Lab) {
    start(lab, "only_from = 127.0.0.{2,3} 127.0.0.4 127.0.0.5\nonly_from -= 127.0.0.2 127.0.0.{4,6}");
    assert_verdicts(&[("127.0.0.2", false), ("127.0.0.3", true), ("127.0.0.4", false), ("127.0.0.5", true)]);
}

fn only_from_on_both(lab: &mut Lab) {
    start_on_both(lab, "only_from = 127.0.0.2");
    assert_verdicts(&[("127.0.0.2", true), ("127.0.0.3", false), ("::1", false)]);
}

fn refused_datagrams(lab: &mut Lab) {
    let lines =
        "socket_type = dgram\nprotocol = udp\nwait = yes\nserver_args = do=obey\nno_access = 127.0.0.2";
    start(lab, lines);
    let refused = udp_from("127.0.0.2:0", PLACE);
    refused.send("pid");
    lab.syslog.expect("FAIL: probed address from=127.0.0.2");
    assert_eq!(lab.starts(), 0);
    let caller = udp(PLACE);
    deadline::wait_until("somebody else is served", || {
        caller.send("pid");
        caller.try_receive(std::time::Duration::from_millis(200)).is_some()
    });
}

fn refusal_is_logged(lab: &mut Lab) {
    start_on_both(lab, "no_access = 127.0.0.2 ::1");
    assert_verdicts(&[("127.0.0.2", false), ("::1", false)]);
    lab.syslog.expect("FAIL: probed address from=::ffff:127.0.0.2");
    lab.syslog.expect("FAIL: probed address from=::1");
}

/// The minute of the day, in UTC, which is the time of a sandbox.
fn minute_of_the_day() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() / 60 % (24 * 60)
}

/// An interval around now, and one without it.
fn intervals() -> (&'static str, &'static str) {
    let (first, second) = ("0:00-11:59", "12:00-23:59");
    if minute_of_the_day() < 12 * 60 { (first, second) } else { (second, first) }
}

fn access_times(lab: &mut Lab) {
    let (now, then) = intervals();
    let open = service("open", 2002, &format!("access_times = {then} {now}"));
    let closed = service("probed", PORT, &format!("access_times = {then}"));
    lab.start(&[defaults(LOG), closed, open].concat());
    ask("127.0.0.1:2002");
    assert_eq!(tcp(PLACE).text(), "");
    lab.syslog.expect("FAIL: probed time from=127.0.0.1");
    assert_eq!(lab.starts(), 1);
}

fn access_times_at_the_bounds(lab: &mut Lab) {
    let show = |minute: u64| format!("{}:{:02}", minute / 60, minute % 60);
    // A minute must not end between the look at the clock and the call.
    deadline::wait_until("the minute has some time left", || {
        SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() % 60 < 55
    });
    let (now, last) = (minute_of_the_day(), 24 * 60 - 1);
    let until = service("until", 2002, &format!("access_times = 0:00-{}", show(now.max(1))));
    let from = service("probed", PORT, &format!("access_times = {}-23:59", show(now.min(last - 1))));
    lab.start(&format!("{until}{from}"));
    ask("127.0.0.1:2002");
    ask(PLACE);
}

fn access_times_to_midnight(lab: &mut Lab) {
    start(lab, "access_times = 0:00-12:00 12:00-24:00");
    assert!(serves("127.0.0.1"));
}

fn max_load(lab: &mut Lab) {
    fs::write("/tmp/loadavg", "2.50 0.00 0.00 1/100 4711\n").expect("/tmp is ours");
    let words = |path: &str| CString::new(path).expect("no NUL");
    mount_bind(words("/tmp/loadavg"), words("/proc/loadavg")).expect("the case is root");
    let below = service("below", 2002, "max_load = 2.6");
    lab.start(&[defaults(LOG), service("probed", PORT, "max_load = 2.5"), below].concat());
    ask("127.0.0.1:2002");
    assert_eq!(tcp(PLACE).text(), "");
    lab.syslog.expect("FAIL: probed load from=127.0.0.1");
}

/// Three files, each with its name as its text.
fn write_banners() {
    for name in ["always", "success", "fail"] {
        fs::write(format!("/etc/{name}"), format!("{name}\r\n")).expect("/etc is ours");
    }
}

const BANNERS: &str = "banner = /etc/always\nbanner_success = /etc/success\nbanner_fail = /etc/fail";

fn banner(lab: &mut Lab) {
    write_banners();
    start(lab, "banner = /etc/always\nno_access = 127.0.0.2");
    assert!(tcp(PLACE).text().starts_with("always\r\nfds "));
    assert_eq!(tcp_from("127.0.0.2:0", PLACE).text(), "always\r\n");
}

fn banner_success(lab: &mut Lab) {
    write_banners();
    start(lab, "banner_success = /etc/success\nno_access = 127.0.0.2");
    assert!(tcp(PLACE).text().starts_with("success\r\nfds "));
    assert_eq!(tcp_from("127.0.0.2:0", PLACE).text(), "");
}

fn banner_fail(lab: &mut Lab) {
    write_banners();
    start(lab, "banner_fail = /etc/fail\nno_access = 127.0.0.2");
    assert!(tcp(PLACE).text().starts_with("fds "));
    assert_eq!(tcp_from("127.0.0.2:0", PLACE).text(), "fail\r\n");
}

fn banner_fail_at_a_limit(lab: &mut Lab) {
    write_banners();
    start(lab, &format!("{BANNERS}\nserver_args = do=obey\ninstances = 1"));
    let mut first = tcp(PLACE);
    assert_eq!((first.line().as_str(), first.line().as_str()), ("always", "success"));
    first.command("pid");
    assert_eq!(tcp(PLACE).text(), "always\r\nfail\r\n");
}

fn banners_of_defaults(lab: &mut Lab) {
    write_banners();
    lab.start(&format!(
        "{}{}",
        defaults(BANNERS),
        service("probed", PORT, "server_args = do=obey\ninstances = 1")
    ));
    let mut first = tcp(PLACE);
    assert_eq!((first.line().as_str(), first.line().as_str()), ("always", "success"));
    assert_eq!(tcp(PLACE).text(), "always\r\nfail\r\n");
}

fn banner_that_is_missing(lab: &mut Lab) {
    start(lab, "banner = /etc/nosuch");
    assert!(serves("127.0.0.1"));
    lab.syslog.expect_where("a line that names it", |message| message.text.contains("banner"));
}

fn sensor(lab: &mut Lab) {
    let trap = service(
        "trap",
        2002,
        "bind = 0.0.0.0\ntype = INTERNAL UNLISTED\nflags = SENSOR\ndeny_time = FOREVER",
    );
    let open = service("probed", PORT, "bind = 0.0.0.0");
    lab.start(&[defaults(LOG), open, trap].concat());
    let caller = || tcp_from("192.0.2.2:0", "192.0.2.1:2001").text();
    assert!(caller().contains(crate::report::END));
    assert_eq!(tcp_from("192.0.2.2:0", "192.0.2.1:2002").text(), "");
    deadline::wait_until("the caller is denied", || !caller().contains(crate::report::END));
    lab.syslog.expect("FAIL: probed address from=192.0.2.2");
    assert!(serves("192.0.2.1"));
}

fn sensor_that_never_denies(lab: &mut Lab) {
    let trap =
        service("trap", 2002, "bind = 0.0.0.0\ntype = INTERNAL UNLISTED\nflags = SENSOR\ndeny_time = NEVER");
    let open = service("probed", PORT, "bind = 0.0.0.0");
    lab.start(&[defaults(LOG), open, trap].concat());
    assert_eq!(tcp_from("192.0.2.2:0", "192.0.2.1:2002").text(), "");
    assert!(tcp_from("192.0.2.2:0", "192.0.2.1:2001").text().contains(crate::report::END));
}

/// Whether who calls a sensor with these lines is served elsewhere afterwards; this is said of the call.
fn is_served_after_a_sensor(lab: &mut Lab, lines: &str, word: &str) {
    let lines = format!("bind = 0.0.0.0\nflags = SENSOR\ndeny_time = FOREVER\n{lines}");
    let trap = service("trap", 2002, &lines);
    lab.start(&[defaults(LOG), service("probed", PORT, "bind = 0.0.0.0"), trap].concat());
    assert_eq!(tcp_from("192.0.2.2:0", "192.0.2.1:2002").text(), "");
    lab.syslog.expect(&format!("FAIL: trap {word} from=192.0.2.2"));
    assert!(tcp_from("192.0.2.2:0", "192.0.2.1:2001").text().contains(crate::report::END));
}

fn sensor_and_times(lab: &mut Lab) {
    let (_, then) = intervals();
    is_served_after_a_sensor(lab, &format!("access_times = {then}"), "time");
}

fn sensor_and_load(lab: &mut Lab) {
    is_served_after_a_sensor(lab, "max_load = 0.0001", "load");
}

fn sensor_and_instances(lab: &mut Lab) {
    is_served_after_a_sensor(lab, "instances = 0", "service_limit");
}

fn sensor_and_per_source(lab: &mut Lab) {
    is_served_after_a_sensor(lab, "per_source = 0", "per_source_limit");
}

fn sensor_and_cps(lab: &mut Lab) {
    let trap = service("trap", 2002, "bind = 0.0.0.0\nflags = SENSOR\ndeny_time = FOREVER\ncps = 1 30");
    lab.start(&[defaults(LOG), service("probed", PORT, "bind = 0.0.0.0"), trap].concat());
    for caller in ["127.0.0.2:0", "127.0.0.3:0"] {
        assert_eq!(tcp_from(caller, "127.0.0.1:2002").text(), "");
    }
    lab.syslog.expect("FAIL: trap address from=127.0.0.2");
    lab.syslog.expect("FAIL: trap connections per second from=127.0.0.3");
    assert_eq!(tcp_from("127.0.0.2:0", PLACE).text(), "");
    assert!(tcp_from("127.0.0.3:0", PLACE).text().contains(crate::report::END));
}

fn sensor_and_lists(lab: &mut Lab) {
    let lines = "bind = 0.0.0.0\nflags = SENSOR\ndeny_time = FOREVER\nonly_from = 192.0.2.1";
    lab.start(
        &[defaults(LOG), service("probed", PORT, "bind = 0.0.0.0"), service("trap", 2002, lines)].concat(),
    );
    assert_eq!(tcp_from("192.0.2.2:0", "192.0.2.1:2002").text(), "");
    lab.syslog.expect("FAIL: trap address from=192.0.2.2");
    assert_eq!(tcp_from("192.0.2.2:0", "192.0.2.1:2001").text(), "");
}
