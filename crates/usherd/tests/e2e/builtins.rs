//! The services without a program, over connections and datagrams.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, UdpSocket};

use crate::client::{ask, ask_by_datagram, at, connect, datagrams_from, echoes, listen, receive, rest};
use crate::daemon::{Daemon, log_count};
use crate::sandbox::{self, need_ipv6};
use crate::wait::{self, DEADLINE};

fn all() -> String {
    let lines =
        |name: &str| format!("{name} stream tcp nowait root internal\n{name} dgram udp wait root internal\n");
    ["echo", "discard", "chargen", "daytime", "time"].map(lines).concat()
}

#[test]
fn each_answers_over_connections_and_datagrams_of_both_families() {
    sandbox::run(|| {
        need_ipv6();
        let daemon = Daemon::run(&all());
        let loopbacks = ["127.0.0.1", "::1"].map(|ip| ip.parse().expect("an address"));
        for ip in loopbacks {
            let to = |port: u16| SocketAddr::new(ip, port);
            assert_eq!(ask(to(7), "echo this\r\n"), "echo this\r\n");
            assert_eq!(ask(to(9), "and forget this"), "");
            assert_eq!(ask_by_datagram(to(7), "a datagram"), "a datagram");
            let (daytime, by_datagram) = (listen(to(13)), ask_by_datagram(to(13), ""));
            assert!(daytime.ends_with("\r\n") && by_datagram.ends_with("\r\n"));
            assert_eq!((daytime.len(), by_datagram.len()), (26, 26), "{daytime:?}");

            let mut now = [0; 4];
            connect(to(37)).read_exact(&mut now).expect("four bytes");
            let unix =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
            let wrapped = (unix.as_secs() + 2_208_988_800) & u64::from(u32::MAX);
            assert!(wrapped.abs_diff(u64::from(u32::from_be_bytes(now))) <= 2);

            let mut chargen = connect(to(19));
            let mut lines = vec![0; 74 * 96];
            chargen.read_exact(&mut lines).expect("lines");
            assert!(lines.starts_with(b" !\"#$%&'()*+,-./0123456789") && lines[74..].starts_with(b"!\"#"));
            assert_eq!(lines[..74], lines[74 * 95..], "after 95 lines it begins again");
            assert_eq!(ask_by_datagram(to(19), "").len(), 74);
        }
        assert_eq!(daemon.status()["children"], 0, "no process");
    });
}

#[test]
fn echo_gives_back_what_it_gets_whatever_its_size_and_the_readers_speed() {
    sandbox::run(|| {
        let _daemon = Daemon::run(&all());
        let bytes: Vec<u8> =
            (0..4_000_000_u32).map(|number| number.to_le_bytes()[number as usize % 3]).collect();
        let mut stream = connect(at(7));
        let mut writer = stream.try_clone().expect("dup");
        let sent = bytes.clone();
        let writing = std::thread::spawn(move || {
            writer.write_all(&sent).expect("write");
            writer.shutdown(Shutdown::Write).expect("shutdown");
        });
        // The writer is ahead until nobody takes any more; another caller does not notice.
        echoes(&mut connect(at(7)), "meanwhile");
        let mut back = Vec::new();
        stream.read_to_end(&mut back).expect("read");
        writing.join().expect("the writer");
        assert!(back == bytes, "{} of {} bytes", back.len(), bytes.len());
    });
}

#[test]
fn a_datagram_is_answered_from_the_address_that_it_was_sent_to() {
    sandbox::run(|| {
        need_ipv6();
        let _daemon =
            Daemon::run("echo dgram udp wait root internal\n2007 dgram udp46 wait root internal echo\n");
        let socket = UdpSocket::bind("0.0.0.0:0").expect("bind");
        socket.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        for to in ["127.0.0.2:7", "127.0.0.1:7", "127.0.0.3:7", "127.0.0.2:2007"] {
            let to: SocketAddr = to.parse().expect("an address");
            socket.send_to(b"hello", to).expect("send");
            let mut buffer = [0; 16];
            let (length, from) = socket.recv_from(&mut buffer).expect("an answer");
            assert_eq!((&buffer[..length], from), (&b"hello"[..], to));
        }
    });
}

#[test]
fn datagrams_that_could_go_in_circles_are_dropped_and_counted() {
    sandbox::run(|| {
        let config =
            "127.0.0.1:\necho dgram udp4 wait root internal\n2019 dgram udp4 wait root internal chargen\n";
        let daemon = Daemon::run(config);
        // Another machine's echo, chargen and time; and a port on which a built-in of this daemon answers.
        for port in [7, 19, 37, 2019] {
            let socket = datagrams_from(SocketAddr::from(([127, 0, 0, 5], port)), at(7));
            socket.send(b"round and round").expect("send");
        }
        assert_eq!(ask_by_datagram(at(7), "a plain client"), "a plain client");
        assert_eq!(daemon.limit("echo", "loop"), Some((true, 4)));
        assert_eq!(log_count("event=limit-began limit=loop"), 1, "said once");
    });
}

#[test]
fn a_burst_of_datagrams_is_answered() {
    sandbox::run(|| {
        let _daemon = Daemon::run("echo dgram udp4 wait root internal\n");
        let socket = crate::client::datagrams(at(7));
        for number in 0..100 {
            socket.send(format!("{number}").as_bytes()).expect("send");
        }
        for number in 0..100 {
            assert_eq!(receive(&socket), format!("{number}"));
        }
    });
}

#[test]
fn a_caller_who_says_nothing_keeps_nobody_from_anything() {
    sandbox::run(|| {
        let daemon = Daemon::run(&all());
        let before = daemon.descriptors();
        let silent: Vec<_> = [7, 9, 19].iter().map(|port| connect(at(*port))).collect();
        let mut half_closed = connect(at(9));
        half_closed.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!(rest(&mut half_closed), "", "discard ends when its caller does");
        echoes(&mut connect(at(7)), "well");
        wait::until("they are sessions", || daemon.status()["sessions"] == 3);
        drop(silent);
        daemon.comes_to_rest(before);
    });
}
