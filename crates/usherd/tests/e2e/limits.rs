//! Limits: who waits, who is refused, what is seen of it, and that it ends.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::{at, connect, datagrams_from, echoes, line, listen};
use crate::daemon::{self, Daemon, log_count};
use crate::probe::PROBE;
use crate::sandbox;
use crate::wait;

#[test]
fn a_line_allows_exactly_its_starts_a_minute() {
    sandbox::run(|| {
        let config = [
            daemon::line("2001", "stream tcp4", "nowait.3", "say well"),
            daemon::line("2002", "stream tcp4", "nowait", "say well"),
        ];
        let daemon = Daemon::run(&config.concat());
        for _ in 0..3 {
            assert_eq!(listen(at(2001)), "well");
        }
        let _fourth = connect(at(2001));
        wait::until("it rests", || daemon.state("2001") == "paused");
        assert_eq!(daemon.service("2001")["listeners"][0]["why"], "limit reached: starts");
        assert_eq!((daemon.count("2001", "started"), listen(at(2002)).as_str()), (3, "well"));
        wait::stays("three starts", || daemon.count("2001", "started") == 3);
    });
}

#[test]
fn at_a_limit_of_one_source_others_are_served() {
    sandbox::run(|| {
        let daemon = Daemon::serve(&["127.0.0.1:2001", "--max-per-source", "2", "--", PROBE, "hold", "it"]);
        let mut callers = [connect(at(2001)), connect(at(2001))];
        callers.iter_mut().for_each(|caller| assert!(line(caller).starts_with("it ")));
        for _ in 0..5 {
            assert_eq!(listen(at(2001)), "");
        }
        assert_eq!(daemon.limit("2001", "source-children"), Some((true, 5)));
        assert_eq!(log_count("event=limit-began limit=source-children peer=127.0.0.1"), 1, "said once");
        let mut other = connect_from([127, 0, 0, 9], 2001);
        assert!(line(&mut other).starts_with("it "));
    });
}

/// A caller with an address of its own.
fn connect_from(ip: [u8; 4], port: u16) -> std::net::TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
    bind(&socket, &std::net::SocketAddr::from((ip, 0))).expect("bind");
    connect(&socket, &at(port)).expect("connect");
    let stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(wait::DEADLINE)).expect("a time-out");
    stream
}

#[test]
fn with_refuse_callers_beyond_the_limit_are_sent_away() {
    sandbox::run(|| {
        let daemon = Daemon::serve(&["127.0.0.1:2001", "--max", "1", "--refuse", "--", PROBE, "hold", "it"]);
        let mut first = connect(at(2001));
        line(&mut first);
        for _ in 0..3 {
            assert_eq!(listen(at(2001)), "");
        }
        assert_eq!(daemon.limit("2001", "children"), Some((true, 3)));
        assert_eq!(log_count("event=limit-began limit=children"), 1);
        assert_eq!(log_count("event=limit-began callers are refused"), 1, "{}", daemon::log());
        drop(first);
        wait::until("there is room", || !line(&mut connect(at(2001))).is_empty());
    });
}

#[test]
fn at_the_limit_of_all_programs_callers_of_all_services_wait_their_turn() {
    sandbox::run(|| {
        let config: String = (2001..2005)
            .map(|port| daemon::line(&port.to_string(), "stream tcp4", "nowait", &format!("hold {port}")))
            .collect();
        let daemon = Daemon::run_with(&config, &["--max-children", "2"]);
        let mut held = [connect(at(2001)), connect(at(2002))];
        held.iter_mut().for_each(|caller| assert!(!line(caller).is_empty()));
        let mut waiting = [connect(at(2003)), connect(at(2004))];
        wait::until("both rest", || ["2003", "2004"].iter().all(|name| daemon.state(name) == "paused"));
        drop(held);
        let said: Vec<String> = waiting.iter_mut().map(line).collect();
        assert!(said[0].starts_with("2003 ") && said[1].starts_with("2004 "), "{said:?}");
    });
}

#[test]
fn a_service_that_leaves_the_queue_for_room_does_not_take_anothers_turn() {
    sandbox::run(|| {
        let hold = |port: u16| daemon::line(&port.to_string(), "stream tcp4", "nowait", "hold it");
        let config = [hold(2001), hold(2002), hold(2003)].concat();
        let daemon = Daemon::run_with(&config, &["--max-children", "1"]);
        let mut first = connect(at(2001));
        line(&mut first);
        let _second = connect(at(2002));
        wait::until("2002 rests", || daemon.state("2002") == "paused");
        let mut third = connect(at(2003));
        wait::until("2003 rests", || daemon.state("2003") == "paused");
        // 2002 needs no program any more, and does not wait for room.
        daemon.reload(
            &[hold(2001), "2002 stream tcp4 nowait root internal echo\n".to_owned(), hold(2003)].concat(),
        );
        wait::until("2002 is served", || daemon.state("2002") == "listening");
        drop(first);
        assert!(line(&mut third).starts_with("it "), "there is room, and 2003 gets it");
    });
}

#[test]
fn datagrams_beyond_the_limit_wait() {
    sandbox::run(|| {
        let daemon = Daemon::run(&daemon::line("2001", "dgram udp4", "nowait.2", "answer it"));
        for last in 1..=3 {
            let socket = datagrams_from(([127, 0, 0, last], 0).into(), at(2001));
            socket.send(b"end").expect("send");
            if last < 3 {
                assert!(crate::client::receive(&socket).ends_with(" end"));
            }
        }
        wait::until("it rests", || daemon.state("2001") == "paused");
        assert_eq!(daemon.count("2001", "started"), 2);
    });
}

#[test]
fn sessions_of_a_built_in_have_their_share_and_callers_wait_for_room() {
    sandbox::run(|| {
        let own = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(160), maximum: Some(160) }).expect("setrlimit");
        let config = [
            "127.0.0.1:2007 stream tcp4 nowait root internal echo\n".to_owned(),
            "127.0.0.1:2008 stream tcp4 nowait root internal echo\n".to_owned(),
            daemon::line("2001", "stream tcp4", "nowait", "say well"),
        ];
        let daemon = Daemon::run(&config.concat());
        // We need more than the daemon has.
        let _ = setrlimit(Resource::Nofile, own);
        // Half of its descriptors are for sessions, and a quarter of those for each service.
        let mut sessions: Vec<_> = (0..20).map(|_| connect(at(2007))).collect();
        let mut waiting = connect(at(2007));
        wait::until("it rests", || daemon.state("2007") == "paused");
        assert_eq!(daemon.service("2007")["running"], 20);
        echoes(&mut connect(at(2008)), "another built-in");
        assert_eq!(listen(at(2001)), "well", "and programs are not kept from anything");
        sessions.pop();
        echoes(&mut waiting, "at last");
    });
}

#[test]
fn calls_from_the_ftp_data_port_are_refused_and_counted() {
    sandbox::run(|| {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let daemon = Daemon::run(&daemon::line("2001", "stream tcp4", "nowait", "say well"));
        let bounced = socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
        bind(&bounced, &std::net::SocketAddr::from(([127, 0, 0, 1], 20))).expect("bind");
        connect(&bounced, &at(2001)).expect("connect");
        assert_eq!(crate::client::rest(&mut std::net::TcpStream::from(bounced)), "");
        assert_eq!(daemon.limit("2001", "ftp-bounce"), Some((true, 1)));
        assert_eq!(listen(at(2001)), "well");
    });
}
