//! RPC services of an xinetd.conf, with the real rpcbind.

use std::net::UdpSocket;

use crate::cases::rpc::{registered, start_rpcbind};
use crate::cases::{Case, case};
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::server::Server::Xinetd;

pub const CASES: &[Case] = &[
    case(
        "versions_are_registered",
        "rpc_version: \"a single number or a range in the form number-number\"",
        versions,
    ),
    case("unlisted", "\"rpc_number determines the number for an UNLISTED RPC service\"", unlisted),
    case("a_call_starts_the_server", "the program gets the registered socket", a_call_starts_the_server),
    case("registered_for_ipv6", "a socket of both families is registered for both", registered_for_ipv6)
        .ignored(&[(Xinetd, "pmap_set() registers IPv4 only")]),
    case("unregistered_with_its_service", "deactivate(): pmap_unset()", unregistered_with_its_service),
    case(
        "unregistered_at_term",
        "terminate_program(): \"It's RPC (we must deregister it.\"",
        unregistered_at_term,
    ),
];

fn rstatd(lines: &str) -> String {
    format!(
        "service rstatd\n{{\n type = RPC\n socket_type = dgram\n protocol = udp\n wait = yes\n user = nobody\n \
         server = /srv/probe\n flags = IPv4\n {lines}\n}}\n"
    )
}

/// Waits until rpcbind knows a version of a program for IPv4.
fn port_of(key: &str) -> u16 {
    deadline::wait_for(&format!("{key} is registered"), || registered().get(key).copied())
}

fn versions(lab: &mut Lab) {
    start_rpcbind();
    lab.start(&rstatd("rpc_version = 2-3"));
    assert_eq!(port_of("100001 2 udp"), port_of("100001 3 udp"));
    assert!(!registered().contains_key("100001 1 udp"));
}

fn unlisted(lab: &mut Lab) {
    start_rpcbind();
    let text = rstatd("rpc_version = 1\n rpc_number = 300123");
    lab.start(&text.replace("type = RPC", "type = RPC UNLISTED").replace("service rstatd", "service own"));
    port_of("300123 1 udp");
}

fn a_call_starts_the_server(lab: &mut Lab) {
    start_rpcbind();
    lab.start(&rstatd("rpc_version = 1"));
    let port = port_of("100001 1 udp");
    let caller = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    caller.set_read_timeout(Some(deadline::patience())).expect("above zero");
    caller.send_to(b"x", ("127.0.0.1", port)).expect("it is there");
    let mut buffer = [0; 65536];
    let length = caller.recv(&mut buffer).expect("an answer before the deadline");
    assert_eq!(Report::parse(&buffer[..length]).arguments(), ["probe"]);
}

fn registered_for_ipv6(lab: &mut Lab) {
    start_rpcbind();
    lab.start(&rstatd("rpc_version = 1").replace(" flags = IPv4\n", ""));
    assert_eq!(port_of("100001 1 udp"), port_of("100001 1 udp6"));
}

fn unregistered_with_its_service(lab: &mut Lab) {
    start_rpcbind();
    lab.start(&rstatd("rpc_version = 1"));
    port_of("100001 1 udp");
    lab.reload("");
    deadline::wait_until("it is forgotten", || !registered().contains_key("100001 1 udp"));
}

fn unregistered_at_term(lab: &mut Lab) {
    start_rpcbind();
    let daemon = lab.start(&rstatd("rpc_version = 1"));
    port_of("100001 1 udp");
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait();
    deadline::wait_until("it is forgotten", || !registered().contains_key("100001 1 udp"));
}
