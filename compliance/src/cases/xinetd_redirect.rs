//! Connections that are handed on to another place.

use std::io::Read;
use std::net::TcpListener;

use crate::cases::xinetd_conf::{defaults, internal, service, service_without};
use crate::cases::{Case, case};
use crate::client::{refuses, tcp};
use crate::deadline;
use crate::lab::Lab;
use crate::report::END;

pub const CASES: &[Case] = &[
    case(
        "to_an_address",
        "\"establishes a connection to the host and port number specified, and forwards all data between the two hosts\"",
        to_an_address,
    ),
    case("to_a_host", "\"You can also use a hostname instead of the IP address\"", to_a_host),
    case("to_an_ipv6_address", "redir_handler(): AF_INET6", to_an_ipv6_address),
    case(
        "to_a_name_of_a_port",
        "redir_parser(): the port can be a name of /etc/services",
        to_a_name_of_a_port,
    ),
    case("both_ways", "\"forwards all data between the two hosts\", whatever their size", both_ways),
    case(
        "server_is_not_needed",
        "\"The \"server\" attribute is not required when this option is specified\"",
        server_is_not_needed,
    ),
    case(
        "redirect_beats_server",
        "\"If the \"server\" attribute is specified, this attribute takes priority\"",
        redirect_beats_server,
    ),
    case(
        "end_of_the_target",
        "redir_handler(): when the target closes, the caller is closed",
        end_of_the_target,
    ),
    case(
        "end_of_the_caller",
        "redir_handler(): when the caller closes, the target is closed",
        end_of_the_caller,
    ),
    case("target_that_refuses", "redir_handler(): \"can't connect to remote host\"", target_that_refuses),
    case("traffic", "TRAFFIC: \"logs the total bytes in and out for a redirected service\"", traffic),
    case("start_and_exit", "the lines of a redirected service are those of any other", start_and_exit),
    case(
        "datagrams_are_not_redirected",
        "check_entry(): \"redirect\" is for tcp",
        datagrams_are_not_redirected,
    ),
    case(
        "banners_and_limits",
        "what holds for services holds for those that are redirected",
        banners_and_limits,
    ),
];

const PLACE: &str = "127.0.0.1:2002";

/// A service that is handed on to the probe on port 2001.
fn moved(lines: &str) -> String {
    service_without(&["server"], "moved", 2002, lines)
}

fn start(lab: &mut Lab, lines: &str) {
    lab.start(
        &[
            defaults("log_type = SYSLOG daemon"),
            service("target", 2001, "server_args = do=obey"),
            moved(lines),
        ]
        .concat(),
    );
}

fn to_an_address(lab: &mut Lab) {
    start(lab, "redirect = 127.0.0.1 2001");
    assert_eq!(tcp(PLACE).command("uid"), "65534");
}

fn to_a_host(lab: &mut Lab) {
    let target = service("target", 2001, "bind = 127.0.0.5\nserver_args = do=obey");
    lab.start(&format!("{target}{}", moved("redirect = labhost 2001")));
    assert_eq!(tcp(PLACE).command("uid"), "65534");
}

fn to_an_ipv6_address(lab: &mut Lab) {
    let target = service("target", 2001, "bind = ::1\nserver_args = do=obey");
    lab.start(&format!("{target}{}", moved("redirect = ::1 2001")));
    assert_eq!(tcp(PLACE).command("uid"), "65534");
}

fn to_a_name_of_a_port(lab: &mut Lab) {
    let target = service("target", 2101, "server_args = do=obey");
    lab.start(&format!("{target}{}", moved("redirect = 127.0.0.1 labone")));
    assert_eq!(tcp(PLACE).command("uid"), "65534");
}

fn both_ways(lab: &mut Lab) {
    let echo = internal("echo", "stream", "bind = 127.0.0.1");
    lab.start(&format!("{echo}{}", moved("redirect = 127.0.0.1 7")));
    let mut caller = tcp(PLACE);
    let block: Vec<u8> = (0..20_000_u32).map(|number| (number % 251) as u8).collect();
    for _ in 0..20 {
        caller.send(&block);
        assert_eq!(caller.exactly(block.len()), block);
    }
}

fn server_is_not_needed(lab: &mut Lab) {
    start(lab, "redirect = 127.0.0.1 2001\nuser = root");
    assert_eq!(tcp(PLACE).command("uid"), "65534");
}

fn redirect_beats_server(lab: &mut Lab) {
    start(lab, "redirect = 127.0.0.1 2001\nserver = /bin/false");
    assert_eq!(tcp(PLACE).command("uid"), "65534");
}

fn end_of_the_target(lab: &mut Lab) {
    lab.start(&format!("{}{}", service("target", 2001, ""), moved("redirect = 127.0.0.1 2001")));
    assert!(tcp(PLACE).text().contains(END));
}

fn end_of_the_caller(lab: &mut Lab) {
    let target = TcpListener::bind("127.0.0.1:2001").expect("the port is free here");
    lab.start(&moved("redirect = 127.0.0.1 2001"));
    let mut caller = tcp(PLACE);
    caller.send("last words");
    let (mut stream, _) = target.accept().expect("the daemon calls");
    stream.set_read_timeout(Some(deadline::patience())).expect("above zero");
    drop(caller);
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an end before the deadline");
    assert_eq!(text, "last words");
}

fn target_that_refuses(lab: &mut Lab) {
    lab.start(&moved("redirect = 127.0.0.1 2009"));
    assert_eq!(tcp(PLACE).text(), "");
    lab.syslog.expect_where("a line about it", |message| {
        message.text.contains("127.0.0.1") && message.text.contains("refused")
    });
    lab.assert_serves();
}

fn traffic(lab: &mut Lab) {
    start(lab, "redirect = 127.0.0.1 2001\nlog_on_success = TRAFFIC");
    let mut caller = tcp(PLACE);
    assert_eq!(caller.command("uid"), "65534");
    drop(caller);
    lab.syslog.expect("TRAFFIC: moved in=4(bytes) out=6(bytes)");
}

fn start_and_exit(lab: &mut Lab) {
    start(lab, "redirect = 127.0.0.1 2001\nlog_on_success = HOST EXIT");
    let mut caller = tcp(PLACE);
    caller.command("uid");
    lab.syslog.expect("START: moved from=127.0.0.1");
    drop(caller);
    lab.syslog.expect("EXIT: moved status=0");
}

fn datagrams_are_not_redirected(lab: &mut Lab) {
    let lost = moved("redirect = 127.0.0.1 2001\nsocket_type = dgram\nprotocol = udp");
    lab.start(&format!("{lost}{}", service("target", 2001, "")));
    tcp("127.0.0.1:2001").all();
    assert!(crate::sockets::udp_sockets_on(2002).is_empty());
}

fn banners_and_limits(lab: &mut Lab) {
    std::fs::write("/etc/hello", "hello\n").expect("/etc is ours");
    start(lab, "redirect = 127.0.0.1 2001\ninstances = 1\nbanner = /etc/hello\nlog_on_failure = HOST");
    let mut first = tcp(PLACE);
    assert_eq!(first.line(), "hello");
    first.command("uid");
    assert_eq!(tcp(PLACE).text(), "hello\n");
    lab.syslog.expect("FAIL: moved service_limit from=127.0.0.1");
    assert!(!refuses(PLACE));
}
