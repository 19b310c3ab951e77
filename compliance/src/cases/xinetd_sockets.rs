//! Where services of an xinetd.conf listen, and how: bind, families, and what their sockets have set.

use crate::cases::xinetd_conf::{service, service_without};
use crate::cases::{Case, case};
use crate::client::{ask, occupy, refuses, udp};
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::server::Server::{UsherdXinetd, Xinetd};
use crate::sockets;

pub const CASES: &[Case] = &[
    case("bind", "\"Allows a service to be bound to a specific interface on the machine\"", bind),
    case("interface", "\"Synonym for bind\"", interface),
    case(
        "one_port_on_two_addresses",
        "\"one port on one interface can do something, while the same port on a different interface can do something completely different\"",
        one_port_on_two_addresses,
    ),
    case("bind_a_host", "bind_parser(): a host name is looked up", bind_a_host),
    case("bind_an_ipv6_address", "service_fill(): the address says the family", bind_an_ipv6_address),
    case(
        "bind_any_ipv6_address",
        "a socket of IPv6 that v6only does not say to be one alone",
        bind_any_ipv6_address,
    ),
    case("bind_a_host_of_ipv6", "bind_parser(): the family is what the host has", bind_a_host_of_ipv6),
    case(
        "both_families",
        "service_fill(): \"try bind IPv6 by default\", which serves IPv4 too",
        both_families,
    ),
    case("ipv4", "\"Sets the service to be an IPv4 service (AF_INET)\"", ipv4),
    case("ipv6", "\"Sets the service to be an IPv6 service (AF_INET6)\": it serves IPv4 too", ipv6),
    case("ipv6_only", "v6only: the socket is for IPv6 alone", ipv6_only),
    case("v6only_no", "v6only = no: the socket is for both families", v6only_no)
        .ignored(&[(Xinetd, "tests whether it is said, not what")]),
    case("datagrams_of_both_families", "the same for UDP", datagrams_of_both_families),
    case(
        "flags_that_do_nothing",
        "\"The REUSE flag is deprecated\"; NORETRY is about forks that fail",
        flags_that_do_nothing,
    ),
    case("nodelay", "\"the TCP_NODELAY flag will be set on the socket\"", nodelay),
    case("keepalive", "\"the SO_KEEPALIVE socket flag will be set on the socket\"", keepalive),
    case("backlog", "LISTEN_BACKLOG is 64: so many callers can wait at least", backlog),
    case("a_port_that_is_taken", "svc_activate(): the failure is logged, and the others are served", taken),
    case(
        "a_port_that_is_taken_is_tried_again",
        "a port that was taken is opened when it is free",
        taken_is_tried_again,
    )
    .ignored(&[(Xinetd, "drops the service after ten tries in a row")]),
    case(
        "a_port_that_is_taken_is_no_service",
        "\"Started working\" counts services that are served",
        taken_is_no_service,
    )
    .ignored(&[(UsherdXinetd, "counts what is configured: the port is opened when it is free")]),
];

const PLACE: &str = "127.0.0.1:2001";

/// Without an address of its own.
fn anywhere(lines: &str) -> String {
    service_without(&["bind"], "probed", 2001, lines)
}

fn bind(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "bind = 127.0.0.2"));
    assert_eq!(ask("127.0.0.2:2001").get("local"), "127.0.0.2:2001");
    assert!(refuses(PLACE) && refuses("192.0.2.1:2001"));
}

fn interface(lab: &mut Lab) {
    lab.start(&anywhere("interface = 127.0.0.2"));
    assert_eq!(ask("127.0.0.2:2001").get("local"), "127.0.0.2:2001");
    assert!(refuses(PLACE));
}

fn one_port_on_two_addresses(lab: &mut Lab) {
    let one = service("one", 2001, "server_args = one");
    let two = service("two", 2001, "bind = 192.0.2.1\nserver_args = two");
    lab.start(&format!("{one}{two}"));
    assert_eq!(ask(PLACE).arguments()[1], "one");
    assert_eq!(ask("192.0.2.1:2001").arguments()[1], "two");
}

fn bind_a_host(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "bind = labhost\nflags = IPv4"));
    assert_eq!(ask("127.0.0.5:2001").get("local"), "127.0.0.5:2001");
    assert!(refuses(PLACE));
}

fn bind_an_ipv6_address(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "bind = ::1"));
    assert_eq!(ask("[::1]:2001").get("local"), "[::1]:2001");
    assert!(refuses(PLACE) && refuses("[2001:db8::1]:2001"));
}

fn bind_any_ipv6_address(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "bind = ::"));
    assert_eq!(ask("[::1]:2001").get("local"), "[::1]:2001");
    assert_eq!(ask(PLACE).environment("REMOTE_HOST"), Some("::ffff:127.0.0.1"));
}

fn bind_a_host_of_ipv6(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "bind = lab6host"));
    assert_eq!(ask("[2001:db8::1]:2001").get("local"), "[2001:db8::1]:2001");
    assert!(refuses("[::1]:2001"));
}

fn both_families(lab: &mut Lab) {
    lab.start(&anywhere(""));
    assert_eq!(ask("[::1]:2001").environment("REMOTE_HOST"), Some("::1"));
    let report = ask(PLACE);
    assert_eq!(report.get("v6only"), "false");
    assert_eq!(report.environment("REMOTE_HOST"), Some("::ffff:127.0.0.1"));
}

fn ipv4(lab: &mut Lab) {
    lab.start(&anywhere("flags = IPv4"));
    assert_eq!(ask(PLACE).environment("REMOTE_HOST"), Some("127.0.0.1"));
    ask("192.0.2.1:2001");
    assert!(refuses("[::1]:2001"));
}

fn ipv6(lab: &mut Lab) {
    lab.start(&anywhere("flags = IPv6"));
    assert_eq!(ask("[::1]:2001").environment("REMOTE_HOST"), Some("::1"));
    assert_eq!(ask(PLACE).environment("REMOTE_HOST"), Some("::ffff:127.0.0.1"));
}

fn ipv6_only(lab: &mut Lab) {
    lab.start(&anywhere("flags = IPv6\nv6only = yes"));
    assert_eq!(ask("[::1]:2001").get("v6only"), "true");
    assert!(refuses(PLACE));
}

fn v6only_no(lab: &mut Lab) {
    lab.start(&anywhere("flags = IPv6\nv6only = no"));
    ask("[::1]:2001");
    ask(PLACE);
}

fn datagrams_of_both_families(lab: &mut Lab) {
    let lines = "socket_type = dgram\nprotocol = udp\nwait = yes\nserver_args = do=obey";
    lab.start(&anywhere(lines));
    for address in ["[::1]:2001", PLACE] {
        let report = Report::parse(&udp(address).ask("report"));
        assert_eq!(report.get("local"), "[::]:2001");
    }
}

fn flags_that_do_nothing(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "flags = REUSE NORETRY"));
    ask(PLACE);
}

fn nodelay(lab: &mut Lab) {
    lab.start(&format!("{}{}", service("set", 2001, "flags = NODELAY"), service("unset", 2002, "")));
    assert_eq!(ask(PLACE).get("nodelay"), "true");
    assert_eq!(ask("127.0.0.1:2002").get("nodelay"), "false");
}

fn keepalive(lab: &mut Lab) {
    lab.start(&format!("{}{}", service("set", 2001, "flags = KEEPALIVE"), service("unset", 2002, "")));
    assert_eq!(ask(PLACE).get("keepalive"), "true");
    assert_eq!(ask("127.0.0.1:2002").get("keepalive"), "false");
}

fn backlog(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "wait = yes"));
    let backlog: u32 = ask(PLACE).get("backlog").parse().expect("a number");
    assert!(backlog >= 64, "{backlog}");
}

fn taken(lab: &mut Lab) {
    let _holder = occupy(PLACE).expect("the port is free here");
    lab.start(&format!("{}{}", service("probed", 2001, ""), service("other", 2002, "")));
    ask("127.0.0.1:2002");
    lab.syslog.expect_where("a line about it", |message| {
        message.text.contains("Address already in use") && message.text.contains("probed")
    });
}

fn taken_is_tried_again(lab: &mut Lab) {
    let holder = occupy(PLACE).expect("the port is free here");
    lab.start(&service("probed", 2001, ""));
    drop(holder);
    deadline::wait_until("the service listens", || !sockets::tcp_listeners_on(2001).is_empty());
    ask(PLACE);
}

fn taken_is_no_service(lab: &mut Lab) {
    let _holder = occupy(PLACE).expect("the port is free here");
    lab.start(&service("probed", 2001, ""));
    lab.syslog.expect("Started working: 1 available service");
}
