//! Services on Unix sockets: stale files are replaced, live ones never stolen, other files never touched.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use crate::client::{line, rest};
use crate::daemon::{self, Daemon, wait_for_log};
use crate::sandbox;
use crate::wait;

const PATH: &str = "/run/x.sock";

fn says_well() -> String {
    daemon::line(PATH, "stream unix", "nowait", "say well")
}

#[track_caller]
fn call() -> String {
    rest(&mut UnixStream::connect(PATH).expect("connect"))
}

#[test]
fn a_stream_service_has_a_socket_for_all_and_removes_it() {
    sandbox::run(|| {
        let daemon = Daemon::run(&says_well());
        assert_eq!(fs::metadata(PATH).expect("a socket").permissions().mode() & 0o777, 0o666);
        assert_eq!(call(), "well");
        daemon.reload("");
        assert!(!fs::exists(PATH).expect("stat"), "a service that is gone leaves no file");
        daemon.reload(&says_well());
        assert_eq!(call(), "well");
        assert!(daemon.terminate().success());
        assert!(!fs::exists(PATH).expect("stat"));
    });
}

#[test]
fn a_stale_socket_is_replaced() {
    sandbox::run(|| {
        drop(UnixListener::bind(PATH).expect("bind"));
        assert!(fs::metadata(PATH).expect("a file").file_type().is_socket());
        let _daemon = Daemon::run(&says_well());
        assert_eq!(call(), "well");
    });
}

#[test]
fn a_live_socket_is_not_stolen_and_had_when_it_is_free() {
    sandbox::run(|| {
        let other = UnixListener::bind(PATH).expect("bind");
        let daemon = Daemon::run(&says_well());
        wait_for_log("event=not-opened address=/run/x.sock Address already in use");
        assert_eq!(daemon.state(PATH), "closed");
        let _caller = UnixStream::connect(PATH).expect("connect");
        assert!(other.accept().is_ok(), "it is the other's still");
        drop(other);
        daemon.signal(rustix::process::Signal::ALARM);
        wait::until("it is open", || daemon.state(PATH) == "listening");
        assert_eq!(call(), "well");
    });
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    sandbox::run(|| {
        fs::write(PATH, "precious").expect("write");
        let daemon = Daemon::run(&says_well());
        assert_eq!(daemon.state(PATH), "closed");
        daemon.terminate();
        assert_eq!(fs::read_to_string(PATH).expect("read"), "precious");
    });
}

#[test]
fn a_socket_that_somebody_put_in_its_place_is_not_removed() {
    sandbox::run(|| {
        let daemon = Daemon::run(&says_well());
        fs::remove_file(PATH).expect("remove");
        let _other = UnixListener::bind(PATH).expect("bind");
        daemon.terminate();
        assert!(fs::exists(PATH).expect("stat"));
    });
}

#[test]
fn wait_datagram_and_seqpacket_services_work_too() {
    sandbox::run(|| {
        let config = [
            daemon::line("/run/wait.sock", "stream unix", "wait", "accept-unix server"),
            daemon::line("/run/datagram.sock", "dgram unix", "wait", "exit 0"),
            daemon::line("/run/packet.sock", "seqpacket unix", "nowait", "say packet"),
        ];
        let daemon = Daemon::run(&config.concat());
        assert!(line(&mut UnixStream::connect("/run/wait.sock").expect("connect")).starts_with("server "));
        let datagrams = UnixDatagram::unbound().expect("a socket");
        datagrams.send_to(b"x", "/run/datagram.sock").expect("send");
        wait::until("it is started", || daemon.count("/run/datagram.sock", "started") > 0);

        use rustix::net::{AddressFamily, RecvFlags, SocketAddrUnix, SocketType, connect, recv, socket};
        let packets = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).expect("a socket");
        connect(&packets, &SocketAddrUnix::new("/run/packet.sock").expect("a path")).expect("connect");
        let mut buffer = [0; 64];
        let (_, length) = recv(&packets, &mut buffer[..], RecvFlags::empty()).expect("a packet");
        assert_eq!(&buffer[..length], b"packet");
    });
}
