//! Programs over datagrams: `wait` hands the socket over, `nowait` gives each peer a child of its own.

use rustix::process::Signal;

use crate::client::{ask_by_datagram, at, datagrams, receive};
use crate::daemon::{self, Daemon, log_count, wait_for_log};
use crate::sandbox;
use crate::wait;
use crate::waiting::number;

#[test]
fn a_wait_server_gets_the_socket_with_its_first_datagram() {
    sandbox::run(|| {
        let daemon = Daemon::run(&daemon::line("2001", "dgram udp4", "wait", "receive server 2"));
        let first = ask_by_datagram(at(2001), "one");
        let second = ask_by_datagram(at(2001), "two");
        assert!(first.ends_with(" one") && second.ends_with(" two"));
        assert_eq!(number(&first), number(&second));
        let third = ask_by_datagram(at(2001), "three");
        assert_ne!(number(&first), number(&third));
        assert_eq!(daemon.count("2001", "started"), 2);
    });
}

#[test]
fn nowait_gives_each_peer_its_own_program_and_loses_no_first_datagram() {
    sandbox::run(|| {
        let daemon = Daemon::run(&daemon::line("2001", "dgram udp4", "nowait", "answer it"));
        let peers: Vec<_> = (0..5).map(|_| datagrams(at(2001))).collect();
        let mut numbers = Vec::new();
        for peer in &peers {
            peer.send(b"first").expect("send");
            let answer = receive(peer);
            assert!(answer.ends_with(" first"), "{answer:?}");
            numbers.push(number(&answer));
        }
        for (peer, number_of_peer) in peers.iter().zip(&numbers) {
            peer.send(b"second").expect("send");
            assert_eq!(number(&receive(peer)), *number_of_peer, "the program that it has already");
            peer.send(b"end").expect("send");
            receive(peer);
        }
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!((numbers.len(), daemon.count("2001", "started")), (5, 5));
        wait::until("all have ended", || daemon.count("2001", "running") == 0);
    });
}

#[test]
fn with_several_peers_queued_the_first_is_served_and_the_others_can_try_again() {
    sandbox::run(|| {
        let daemon = Daemon::run(&daemon::line("2001", "dgram udp4", "nowait", "answer it"));
        let peers: Vec<_> = (0..5).map(|_| datagrams(at(2001))).collect();
        daemon.signal(Signal::STOP);
        for (peer, name) in peers.iter().zip(0..) {
            peer.send(format!("queued {name}").as_bytes()).expect("send");
        }
        daemon.signal(Signal::CONT);
        assert!(receive(&peers[0]).ends_with(" queued 0"), "the first one's first datagram");
        // What was queued behind it went to the same program; whoever asks again gets one of its own.
        for (peer, name) in peers.iter().zip(0..).skip(1) {
            peer.send(format!("again {name}").as_bytes()).expect("send");
            assert!(receive(peer).ends_with(&format!(" again {name}")));
        }
        assert_eq!(daemon.count("2001", "started"), 5);
    });
}

#[test]
fn a_program_that_reads_nothing_is_started_once_for_each_peer() {
    sandbox::run(|| {
        let daemon = Daemon::run(&daemon::line("2001", "dgram udp4", "nowait", "exit 1"));
        for sent in 1..=3 {
            datagrams(at(2001)).send(b"x").expect("send");
            wait::until("a start", || daemon.count("2001", "started") == sent);
        }
        wait::stays("three starts", || daemon.count("2001", "started") == 3);
    });
}

#[test]
fn a_wait_program_that_reads_nothing_is_stopped_by_the_limit() {
    sandbox::run(|| {
        let config = [
            daemon::line("2001", "dgram udp4", "wait.5", "exit 0"),
            daemon::line("2002", "stream tcp4", "nowait", "say well"),
        ];
        let daemon = Daemon::run(&config.concat());
        datagrams(at(2001)).send(b"x").expect("send");
        wait::until("it rests", || daemon.state("2001") == "paused");
        assert_eq!((daemon.count("2001", "started"), log_count("event=limit-began limit=starts")), (5, 1));
        assert_eq!(crate::client::listen(at(2002)), "well");
    });
}

#[test]
fn a_program_that_cannot_be_started_costs_one_datagram_and_no_loop() {
    sandbox::run(|| {
        let user = sandbox::user();
        let daemon = Daemon::run(&format!(
            "2001 dgram udp4 wait {user} /srv/missing missing\n2002 dgram udp4 nowait {user} /srv/missing missing\n"
        ));
        for (port, name) in [(2001, "2001"), (2002, "2002")] {
            for _ in 0..3 {
                datagrams(at(port)).send(b"x").expect("send");
            }
            wait::until("it rests", || daemon.state(name) == "paused");
            assert_eq!(daemon.service(name)["listeners"][0]["why"], "the last start failed");
            wait::stays("no more starts than datagrams", || daemon.count(name, "failed") <= 3);
        }
        wait_for_log("event=start-failed service=2001 No such file");
        assert_eq!(log_count("event=start-failed"), 2, "once for each service");
    });
}

#[test]
fn a_service_recovers_when_its_program_appears() {
    sandbox::run(|| {
        let user = sandbox::user();
        let daemon = Daemon::run(&format!("2001 dgram udp4 wait {user} /run/late probe receive late 1\n"));
        datagrams(at(2001)).send(b"x").expect("send");
        wait::until("it rests", || daemon.state("2001") == "paused");
        std::os::unix::fs::symlink(crate::probe::PROBE, "/run/late").expect("link");
        daemon.signal(Signal::ALARM);
        assert!(ask_by_datagram(at(2001), "hello").ends_with(" hello"), "SIGALRM tries at once");
        wait_for_log("event=start-recovered service=2001");
    });
}

#[test]
fn peers_of_both_families_have_programs_of_their_own() {
    sandbox::run(|| {
        crate::sandbox::need_ipv6();
        let daemon = Daemon::run(&daemon::line("2001", "dgram udp", "nowait", "answer it"));
        let six = "[::1]:2001".parse().expect("an address");
        for to in [at(2001), six, at(2001), six] {
            assert!(ask_by_datagram(to, "end").ends_with(" end"), "{to}");
        }
        assert_eq!(daemon.count("2001", "started"), 4);
        daemon.reload(&daemon::line("2001", "dgram udp46", "nowait", "answer it"));
        for to in [at(2001), six] {
            assert!(ask_by_datagram(to, "end").ends_with(" end"), "{to} on one socket for both");
        }
    });
}

#[test]
fn a_served_peers_socket_does_not_keep_the_port_from_others() {
    sandbox::run(|| {
        let config = daemon::line("2001", "dgram udp4", "nowait", "answer it");
        let daemon = Daemon::run(&config);
        let peer = datagrams(at(2001));
        peer.send(b"hello").expect("send");
        let said = receive(&peer);
        // The listener goes and comes while a program has the old socket.
        daemon.reload("");
        daemon.reload(&config);
        assert!(ask_by_datagram(at(2001), "end").ends_with(" end"));
        peer.send(b"end").expect("send");
        assert_eq!(number(&receive(&peer)), number(&said), "and the old peer has the old program");
    });
}
