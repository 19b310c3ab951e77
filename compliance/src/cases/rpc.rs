//! RPC services: `rpc/udp` and its kin, with the real rpcbind.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::cases::{Case, Reasons, V4_DIALECTS, case};
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::sandbox::ORIGINALS;
use crate::sandbox::library_path;
use crate::server::Server::{self, Busybox, Inetutils, Openbsd};

const NO_RPC_IN_GNU: (Server, &str) = (Inetutils, "GNU knows no RPC");
const NO_RPC_IN_BUSYBOX: (Server, &str) = (Busybox, "built without RPC");
const NO_RPC: Reasons = &[NO_RPC_IN_GNU, NO_RPC_IN_BUSYBOX];
/// unregister_rpc() asks for a version and not for a family.
const TWIN: Reasons = &[
    (Openbsd, "at SIGHUP the line's IPv6 twin unregisters what the IPv4 one has just registered"),
    NO_RPC_IN_GNU,
    NO_RPC_IN_BUSYBOX,
];

const RSTATD: &str = "rstatd/1-3 dgram rpc/udp wait nobody /srv/probe probe\n";

pub const CASES: &[Case] = &[
    case(
        "every_version_is_registered",
        "\"For RPC services … name/version … a range of versions\": register_rpc() for each of them",
        every_version_is_registered,
    )
    .ignored(NO_RPC),
    case("ipv6_is_registered", "`rpc/udp` opens sockets of both families, as `udp` does", ipv6_is_registered)
        .ignored(&[
            (Openbsd, "asks /etc/protocols for `udp6`, and registers IPv4 only"),
            NO_RPC_IN_GNU,
            NO_RPC_IN_BUSYBOX,
        ])
        .other_dialects(V4_DIALECTS),
    case("one_family_is_registered", "`rpc/udp4` is `rpc/udp` for IPv4", one_family_is_registered).ignored(
        &[
            (Openbsd, "asks /etc/protocols for `udp4`, and registers nothing"),
            NO_RPC_IN_GNU,
            NO_RPC_IN_BUSYBOX,
        ],
    ),
    case("names_have_aliases", "names of programs are those of rpc(5), aliases too", names_have_aliases)
        .ignored(NO_RPC),
    case("a_number_will_do", "config(): a program may be a number", a_number_will_do).ignored(NO_RPC),
    case("a_number_has_32_bits", "RFC 5531: program numbers have 32 bits", a_number_has_32_bits).ignored(&[
        (Openbsd, "takes no number above 65535"),
        NO_RPC_IN_GNU,
        NO_RPC_IN_BUSYBOX,
    ]),
    case(
        "two_protocols_of_one_program",
        "a program may be served over both protocols",
        two_protocols_of_one_program,
    )
    .ignored(&[
        (Openbsd, "pmap_unset() before the second registration forgets the first"),
        NO_RPC_IN_GNU,
        NO_RPC_IN_BUSYBOX,
    ]),
    case("a_call_starts_the_server", "a wait service gets the registered socket", a_call_starts_the_server)
        .ignored(NO_RPC),
    case(
        "root_has_a_reserved_port",
        "setup(): \"attempt to use a reserved port if they are going to be running as root\"",
        root_has_a_reserved_port,
    )
    .ignored(NO_RPC),
    case(
        "versions_change",
        "config(): unregister_rpc(), then register_rpc() with the new versions",
        versions_change,
    )
    .ignored(TWIN),
    case("the_port_stays_at_a_reload", "config(): an unchanged service keeps its socket", the_port_stays)
        .ignored(TWIN),
    case(
        "unregistered_with_its_line",
        "config(): unregister_rpc() of a service whose line went",
        unregistered_with_its_line,
    )
    .ignored(NO_RPC),
    case("unregistered_at_term", "die(): unregister_rpc() of wait services", unregistered_at_term)
        .ignored(NO_RPC),
    case(
        "nowait_unregistered_at_term",
        "what nobody serves any more is not registered",
        nowait_unregistered_at_term,
    )
    .ignored(&[(Openbsd, "unregisters wait services only"), NO_RPC_IN_GNU, NO_RPC_IN_BUSYBOX]),
    case(
        "served_without_rpcbind",
        "register_rpc() logs `pmap_set: …`, and the service is served",
        served_without_rpcbind,
    )
    .ignored(NO_RPC),
    case("registered_with_a_later_rpcbind", "an rpcbind that starts later hears of it", registered_later)
        .ignored(&[(Openbsd, "tries once"), NO_RPC_IN_GNU, NO_RPC_IN_BUSYBOX]),
    case(
        "mistakes_are_logged",
        "the words of getconfigent() and config() for wrong lines",
        mistakes_are_logged,
    )
    .ignored(NO_RPC),
];

/// Starts rpcbind, which ends with the case.
#[expect(clippy::zombie_processes, reason = "process 1 is the case itself, and all ends with it")]
pub fn start_rpcbind() {
    let mut command = program("sbin/rpcbind");
    command.arg("-f").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("fetched");
    deadline::wait_until("rpcbind listens", || UnixStream::connect("/run/rpcbind.sock").is_ok());
}

fn program(path: &str) -> Command {
    let mut command = Command::new(format!("{ORIGINALS}/rpcbind/{path}"));
    command.env("LD_LIBRARY_PATH", library_path()).stdin(Stdio::null());
    command
}

/// What rpcbind knows beside itself: `program version netid` and the port.
pub fn registered() -> BTreeMap<String, u16> {
    let output = program("usr/bin/rpcinfo").output().expect("fetched");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [program, version, netid, address, ..] = words[..] else { continue };
        let mut bytes = address.rsplit('.').map_while(|byte| byte.parse::<u16>().ok());
        if let (Some(low), Some(high)) = (bytes.next(), bytes.next())
            && program != "100000"
        {
            all.insert(format!("{program} {version} {netid}"), high * 256 + low);
        }
    }
    all
}

/// Waits until exactly these are registered over IPv4.
#[track_caller]
fn wait_registered(wanted: &[&str]) {
    let v4 = || -> Vec<String> { registered().into_keys().filter(|name| !name.ends_with('6')).collect() };
    deadline::wait_until(&format!("{wanted:?} and no more is registered"), || v4() == wanted);
}

fn every_version_is_registered(lab: &mut Lab) {
    start_rpcbind();
    lab.start(RSTATD);
    wait_registered(&["100001 1 udp", "100001 2 udp", "100001 3 udp"]);
}

fn ipv6_is_registered(lab: &mut Lab) {
    start_rpcbind();
    lab.start("rstatd/1 dgram rpc/udp wait nobody /srv/probe probe\n");
    deadline::wait_until("both are registered", || {
        registered().into_keys().eq(["100001 1 udp", "100001 1 udp6"])
    });
}

fn one_family_is_registered(lab: &mut Lab) {
    start_rpcbind();
    lab.start("rstatd/1 dgram rpc/udp4 wait nobody /srv/probe probe\n");
    wait_registered(&["100001 1 udp"]);
}

fn names_have_aliases(lab: &mut Lab) {
    start_rpcbind();
    lab.start("rup/7 dgram rpc/udp wait nobody /srv/probe probe\n");
    wait_registered(&["100001 7 udp"]);
}

fn a_number_will_do(lab: &mut Lab) {
    start_rpcbind();
    lab.start("20001/2 stream rpc/tcp nowait nobody /srv/probe probe\n");
    wait_registered(&["20001 2 tcp"]);
}

fn a_number_has_32_bits(lab: &mut Lab) {
    start_rpcbind();
    lab.start("536870913/1 stream rpc/tcp nowait nobody /srv/probe probe\n");
    wait_registered(&["536870913 1 tcp"]);
}

fn two_protocols_of_one_program(lab: &mut Lab) {
    start_rpcbind();
    lab.start(&format!("{RSTATD}rstatd/3 stream rpc/tcp nowait nobody /srv/probe probe\n"));
    wait_registered(&["100001 1 udp", "100001 2 udp", "100001 3 tcp", "100001 3 udp"]);
}

fn a_call_starts_the_server(lab: &mut Lab) {
    start_rpcbind();
    lab.start(RSTATD);
    let port = deadline::wait_for("a port", || registered().remove("100001 2 udp"));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(deadline::patience())).expect("a time-out");
    socket.send_to(b"x", SocketAddr::from(([127, 0, 0, 1], port))).expect("send");
    let mut answer = [0; 65_536];
    let length = socket.recv(&mut answer).expect("an answer");
    assert_eq!(Report::parse(&answer[..length]).arguments(), ["probe"]);
}

fn root_has_a_reserved_port(lab: &mut Lab) {
    start_rpcbind();
    lab.start(
        "rstatd/1 dgram rpc/udp wait root /srv/probe probe\nrusersd/1 dgram rpc/udp wait nobody /srv/probe probe\n",
    );
    wait_registered(&["100001 1 udp", "100002 1 udp"]);
    let ports = registered();
    assert!(ports["100001 1 udp"] < 1024 && ports["100002 1 udp"] >= 1024, "{ports:?}");
}

fn versions_change(lab: &mut Lab) {
    start_rpcbind();
    lab.start(RSTATD);
    wait_registered(&["100001 1 udp", "100001 2 udp", "100001 3 udp"]);
    lab.reload(&RSTATD.replace("1-3", "3-4"));
    wait_registered(&["100001 3 udp", "100001 4 udp"]);
}

fn the_port_stays(lab: &mut Lab) {
    start_rpcbind();
    lab.start("rstatd/1 dgram rpc/udp wait nobody /srv/probe probe\n");
    wait_registered(&["100001 1 udp"]);
    let before = registered()["100001 1 udp"];
    lab.reload("rstatd/1 dgram rpc/udp wait nobody /srv/probe changed\n");
    wait_registered(&["100001 1 udp"]);
    assert_eq!(registered()["100001 1 udp"], before);
}

fn unregistered_with_its_line(lab: &mut Lab) {
    start_rpcbind();
    lab.start(RSTATD);
    wait_registered(&["100001 1 udp", "100001 2 udp", "100001 3 udp"]);
    lab.reload("");
    wait_registered(&[]);
}

fn unregistered_at_term(lab: &mut Lab) {
    start_rpcbind();
    let daemon = lab.start(RSTATD);
    wait_registered(&["100001 1 udp", "100001 2 udp", "100001 3 udp"]);
    lab.signal(Signal::TERM);
    daemon.wait();
    assert_eq!(registered(), BTreeMap::new());
}

fn nowait_unregistered_at_term(lab: &mut Lab) {
    start_rpcbind();
    let daemon = lab.start("20001/2 stream rpc/tcp nowait nobody /srv/probe probe\n");
    wait_registered(&["20001 2 tcp"]);
    lab.signal(Signal::TERM);
    daemon.wait();
    assert_eq!(registered(), BTreeMap::new());
}

fn served_without_rpcbind(lab: &mut Lab) {
    lab.start("rstatd/1 dgram rpc/udp wait nobody /srv/probe probe\n");
    lab.syslog.expect_where("a line about pmap_set", |message| {
        message.text.starts_with("rstatd rpc/udp: pmap_set: 100001 1 17 ")
    });
    lab.assert_serves();
}

fn registered_later(lab: &mut Lab) {
    lab.start("rstatd/1 dgram rpc/udp wait nobody /srv/probe probe\n");
    lab.syslog.expect_where("a line about pmap_set", |message| message.text.contains(": pmap_set: "));
    start_rpcbind();
    wait_registered(&["100001 1 udp"]);
}

fn mistakes_are_logged(lab: &mut Lab) {
    lab.start(
        "rstatd dgram rpc/udp wait nobody /srv/probe probe\nrstatd/5-1 dgram rpc/udp wait nobody /srv/probe probe\n\
         rstatd/1x dgram rpc/udp wait nobody /srv/probe probe\nnosuch/1 dgram rpc/udp wait nobody /srv/probe probe\n",
    );
    for line in [
        "rstatd: no rpc version",
        "rstatd/1: bad rpc version",
        "rstatd/1x: bad rpc version",
        "nosuch: unknown rpc service",
    ] {
        lab.syslog.expect(line);
    }
    lab.assert_serves();
}
