//! What no test of an original asks, and what went wrong with them in the wild: floods of refusals, forged
//! datagrams, garbage at a reload, addresses that come late, and what an option could leave behind in a
//! program.

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use rustix::process::Signal;

use crate::cases::{Case, case};
use crate::client::{self, Caller, ask, refuses, tcp, udp_from};
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::sandbox;
use crate::server::Dialect;
use crate::server::Server::{self, Busybox, Inetutils, Openbsd, UsherdAs};
use crate::sockets;

pub const CASES: &[Case] = &[
    case(
        "ten_thousand_refused",
        "callers who are turned away cost no memory, no descriptor, no process and no flood of lines",
        ten_thousand_refused,
    )
    .ignored(&[(Openbsd, "a process and a line for each"), (Busybox, "a process and a line for each")]),
    case(
        "source_without_route",
        "a datagram whose answer has no way costs only itself",
        source_without_route,
    ),
    case(
        "source_without_route_to_a_program",
        "a datagram whose answer has no way costs only itself",
        source_without_route_to_a_program,
    ),
    case(
        "garbage_at_reload",
        "a file of garbage at SIGHUP ends nothing, and the next good file is read",
        garbage,
    ),
    case(
        "nowait_to_wait_while_a_program_runs",
        "a service that becomes `wait` while a program of it runs is served, and the program goes on",
        nowait_to_wait_while_a_program_runs,
    )
    .ignored(&[
        (Openbsd, "the socket's event handler stays the one for `nowait`"),
        (Inetutils, "goes on accepting itself"),
    ]),
    case(
        "added_removed_added",
        "the same port added, removed and added again, with somebody still connected",
        added_removed_added,
    ),
    case(
        "address_that_comes_late",
        "an address that is not there at the start is listened on after SIGALRM",
        address_that_comes_late,
    )
    .ignored(&[(Inetutils, "retry() opens the socket and never listens")]),
    case(
        "address_that_comes_late_unasked",
        "an address that is not there at the start is listened on within a minute",
        address_that_comes_late_unasked,
    )
    .ignored(&[
        (Openbsd, "tries again after ten minutes"),
        (Inetutils, "retry() opens the socket and never listens"),
    ])
    .not_run(&[(Busybox, "tries again after a minute, which is at the limit of the case")]),
    case("many_callers_killed", "programs that are killed one and all are counted off", many_callers_killed),
    case(
        "options_leave_nothing",
        "no option leaves a descriptor or a signal in a program",
        options_leave_nothing,
    )
    .ignored(&[(Inetutils, "programs get SIGPIPE ignored")]),
    case(
        "caller_who_says_nothing",
        "a caller of `nowait` who says nothing holds up nobody",
        caller_who_says_nothing,
    ),
    case(
        "oversized_datagram_to_a_builtin",
        "the largest datagram there is costs a built-in nothing",
        oversized_datagram_to_a_builtin,
    ),
];

fn memory_of(lab: &Lab) -> u64 {
    let text = lab.daemon().status_value("VmRSS").expect("the daemon is there");
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number of kB")
}

fn ten_thousand_refused(lab: &mut Lab) {
    const CALLERS: usize = 10_000;
    const WARM_UP: usize = 200;
    // Half a megabyte: what an allocator may keep, and far less than anything kept for each caller.
    const ALLOWED: u64 = 512;
    let launch = if lab.server.dialect() == Some(Dialect::Freebsd) {
        lab.launch_with(&["-R", "0"])
    } else {
        lab.launch()
    };
    lab.start_with(launch, "2001 stream tcp nowait.60000 no-such-user /srv/probe probe\n");
    let call = |count: usize| {
        for _ in 0..count {
            let target = "127.0.0.1:2001".parse().expect("a numeric address");
            // Whoever drops the line at load refuses by not listening.
            if let Ok(stream) = TcpStream::connect_timeout(&target, deadline::patience()) {
                assert_eq!(Caller::from(stream).text(), "");
            }
        }
    };
    call(WARM_UP);
    let (memory, descriptors) = (memory_of(lab), lab.daemon().descriptors().len());
    let lines = lab.syslog.messages().len();
    call(CALLERS);
    let grown = memory_of(lab).saturating_sub(memory);
    assert!(grown <= ALLOWED, "{grown} kB more");
    deadline::wait_until("as few descriptors as before", || lab.daemon().descriptors().len() <= descriptors);
    let more = lab.syslog.messages().len() - lines;
    assert!(more < 100, "{more} lines of log");
    assert_eq!(lab.daemon().zombies(), 0);
    lab.assert_serves();
}

/// Nobody has this address, and nothing leads to it.
const NOWHERE: &str = "198.51.100.9:4000";

fn source_without_route(lab: &mut Lab) {
    lab.start("echo dgram udp wait root internal\ndaytime dgram udp wait root internal\n");
    for port in [7, 13] {
        for _ in 0..20 {
            client::forged_datagram(NOWHERE, &format!("192.0.2.1:{port}"), b"x");
        }
    }
    assert_eq!(udp_from("192.0.2.2:0", "192.0.2.1:7").ask("still there"), b"still there");
    assert!(udp_from("192.0.2.2:0", "192.0.2.1:13").ask("x").ends_with(b"\r\n"));
    lab.assert_serves();
}

fn source_without_route_to_a_program(lab: &mut Lab) {
    lab.start("2001 dgram udp wait nobody /srv/probe probe\n");
    client::forged_datagram(NOWHERE, "192.0.2.1:2001", b"x");
    deadline::wait_until("a program for the datagram", || lab.starts() == 1);
    Report::parse(&udp_from("192.0.2.2:0", "192.0.2.1:2001").ask("x"));
}

const ONE: &str = "2001 stream tcp nowait nobody /srv/probe one\n";

fn garbage(lab: &mut Lab) {
    lab.start(ONE);
    let bytes: Vec<u8> =
        (0..20_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    lab.write_raw_config(bytes);
    lab.signal(Signal::HUP);
    lab.reload(&ONE.replace("one", "two"));
    deadline::wait_until("the good file", || {
        !refuses("127.0.0.1:2001") && ask("127.0.0.1:2001").arguments() == ["two"]
    });
}

fn nowait_to_wait_while_a_program_runs(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe do=obey\n");
    let mut session = tcp("127.0.0.1:2001");
    let before = session.command("pid");
    lab.reload("2001 stream tcp wait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.1:2001").get("listening"), "true");
    assert_eq!(session.command("pid"), before);
}

fn added_removed_added(lab: &mut Lab) {
    let service = "2001 stream tcp nowait nobody /srv/probe probe do=obey\n";
    lab.start(service);
    let mut session = tcp("127.0.0.1:2001");
    session.command("pid");
    for _ in 0..3 {
        lab.reload("");
        client::wait_refused("127.0.0.1:2001");
        lab.reload(service);
        deadline::wait_until("it listens again", || !sockets::tcp_listeners_on(2001).is_empty());
        tcp("127.0.0.1:2001").command("pid");
    }
    session.command("pid");
}

const LATE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 77);

fn start_before_the_address(lab: &mut Lab) {
    lab.start("203.0.113.77:2001 stream tcp nowait nobody /srv/probe probe\n");
    assert!(sockets::tcp_listeners_on(2001).is_empty());
    sandbox::add_v4_address(7, LATE).expect("the network is the case's own");
}

fn address_that_comes_late(lab: &mut Lab) {
    start_before_the_address(lab);
    lab.signal(Signal::ALARM);
    assert_eq!(ask("203.0.113.77:2001").get("local"), "203.0.113.77:2001");
}

fn address_that_comes_late_unasked(lab: &mut Lab) {
    start_before_the_address(lab);
    assert_eq!(ask("203.0.113.77:2001").get("local"), "203.0.113.77:2001");
}

fn many_callers_killed(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe do=obey\n2002 stream tcp wait nobody /srv/probe probe do=obey\n");
    for _ in 0..10 {
        let mut callers = [tcp("127.0.0.1:2001"), tcp("127.0.0.1:2002")];
        for caller in &mut callers {
            caller.command("pid");
            caller.send("kill 9\n");
            assert_eq!(caller.text(), "");
        }
    }
    deadline::wait_until("nobody is left to be waited for", || lab.daemon().zombies() == 0);
    lab.assert_serves();
}

/// Options that change nothing which a program may see.
fn harmless_options(server: Server) -> &'static [&'static str] {
    match server {
        Openbsd | Server::Usherd | UsherdAs(Dialect::Openbsd) => &["-E", "-q", "20", "-R", "100"],
        Inetutils | UsherdAs(Dialect::Gnu) => &["--environment", "--rate=100"],
        Busybox | UsherdAs(Dialect::Busybox) => &["-q", "20", "-R", "100"],
        UsherdAs(Dialect::Freebsd) => &[
            "-l",
            "-c",
            "10",
            "-C",
            "100",
            "-s",
            "10",
            "-R",
            "100",
            "-a",
            "127.0.0.1",
            "-p",
            "/run/other.pid",
        ],
        UsherdAs(Dialect::Netbsd) => &["-E"],
        // They are not asked these cases.
        Server::Xinetd | Server::UsherdXinetd => &[],
    }
}

fn options_leave_nothing(lab: &mut Lab) {
    let launch = lab.launch_with(harmless_options(lab.server));
    lab.start_with(
        launch,
        "2001 stream tcp nowait nobody /srv/probe probe\n2002 stream tcp wait nobody /srv/probe probe\n\
         2003 dgram udp wait nobody /srv/probe probe\n",
    );
    let datagram = Report::parse(&client::udp("127.0.0.1:2003").ask("x"));
    for report in [ask("127.0.0.1:2001"), ask("127.0.0.1:2002"), datagram] {
        assert_eq!(report.get("fds"), "0 1 2");
        assert_eq!(report.get("SigIgn"), "0000000000000000");
        assert_eq!(report.get("SigBlk"), "0000000000000000");
        assert_eq!(report.get("Groups"), "65534");
        assert_eq!(report.get("CapEff"), "0000000000000000");
    }
}

fn caller_who_says_nothing(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait nobody /srv/probe probe do=obey\ndaytime stream tcp nowait root internal\n",
    );
    let _silent: Vec<_> = (0..10).map(|_| tcp("127.0.0.1:2001")).collect();
    tcp("127.0.0.1:2001").command("pid");
    assert!(tcp("127.0.0.1:13").text().ends_with("\r\n"));
}

fn oversized_datagram_to_a_builtin(lab: &mut Lab) {
    const LARGEST: usize = 65_507;
    lab.start("echo dgram udp wait root internal\ndiscard dgram udp wait root internal\n");
    let caller = udp_from("192.0.2.2:0", "192.0.2.1:7");
    caller.send(vec![b'x'; LARGEST]);
    // How much of it comes back is the original's affair.
    let _ = caller.try_receive(Duration::from_millis(300));
    udp_from("192.0.2.2:0", "192.0.2.1:9").send(vec![b'x'; LARGEST]);
    assert_eq!(udp_from("192.0.2.2:0", "192.0.2.1:7").ask("small"), b"small");
    lab.assert_serves();
}
