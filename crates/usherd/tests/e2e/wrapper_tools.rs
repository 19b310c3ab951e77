//! safe_finger and try-from, by name; and the names that a package has.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use crate::client::{at, line, rest};
use crate::daemon::{self, Daemon};
use crate::name_server::{Answer, NameServer};
use crate::probe::PROBE;
use crate::sandbox::{self, USHERD};
use crate::wrappers::connect_from;

/// What it has shown, with `answer` as what the other machine says.
#[track_caller]
fn fingered(answer: impl FnOnce(TcpStream) + Send + 'static) -> Output {
    // One of the folders where it is looked for, and ours; where there is a real one, that does the same.
    fs::write("/etc/finger", format!("#!/bin/sh\nexec {PROBE} finger \"$@\"\n")).expect("write");
    fs::set_permissions("/etc/finger", fs::Permissions::from_mode(0o755)).expect("chmod");
    let server = TcpListener::bind("127.0.0.1:79").expect("nobody else is here");
    let server = std::thread::spawn(move || {
        let (mut caller, _) = server.accept().expect("accept");
        assert_eq!(line(&mut caller).trim_end(), "joe", "who is wanted");
        answer(caller);
    });
    let output = Command::new(USHERD).arg0("/usr/sbin/safe_finger").arg("joe@127.0.0.1").output();
    server.join().expect("it is asked once, and hung up on");
    output.expect("it runs")
}

fn shown(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    // A real finger says first whom it asks.
    text.strip_prefix(" [127.0.0.1]\n").unwrap_or(&text).to_owned()
}

/// The user of the process at the other end, which is on this machine.
fn user_of(caller: &TcpStream) -> u32 {
    let port = caller.peer_addr().expect("an address").port();
    let table = fs::read_to_string("/proc/net/tcp").expect("/proc");
    let own = format!("0100007F:{port:04X}");
    let row = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let row = row.into_iter().find(|row| row.get(1) == Some(&own.as_str())).expect("it is open");
    row[7].parse().expect("a number")
}

#[test]
fn what_a_finger_server_says_does_no_harm() {
    sandbox::run(|| {
        let output = fingered(|mut caller| {
            if rustix::process::getuid().is_root() {
                assert_eq!(user_of(&caller), 65_534);
            }
            caller.write_all(b"~!rm -rf /\r\n.\n\x1b]0;title\x07 back\\slash\n").expect("write");
        });
        // A real finger, where there is one, has its own signs for odd letters; none comes through in either case.
        let text = shown(&output);
        assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n')), "{text:?}");
        assert!(text.lines().all(|line| line.starts_with(' ')), "{text:?}");
        assert!(text.starts_with(" ~!rm -rf /") && text.ends_with(" back\\\\slash\n"), "{text:?}");
        assert!(output.status.success(), "{output:?}");
    });
}

#[test]
fn a_finger_server_that_never_stops_is_hung_up_on() {
    sandbox::run(|| {
        let output = fingered(|mut caller| while caller.write_all(&[b'x'; 4096]).is_ok() {});
        let text = shown(&output);
        assert!(text.ends_with("x\n\n Input truncated to 100000 bytes...\n"), "{} bytes", text.len());
        assert!(text.len() < 110_000, "{} bytes", text.len());
        assert!(!output.status.success(), "it is not all");
    });
}

#[test]
fn a_finger_that_fails_is_said() {
    sandbox::run(|| {
        let mut command = Command::new(USHERD);
        command.arg0("safe_finger").arg("joe@127.0.0.1");
        fs::write("/etc/finger", "#!/bin/sh\nexit 3\n").expect("write");
        fs::set_permissions("/etc/finger", fs::Permissions::from_mode(0o755)).expect("chmod");
        assert!(!command.status().expect("it runs").success());
    });
}

#[test]
fn try_from_says_how_its_caller_is_seen() {
    sandbox::run(|| {
        let server = NameServer::start();
        let records = |text: &str| Answer::Records(vec![text.to_owned()]);
        server.says(vec![
            ("3.2.1.127.in-addr.arpa".to_owned(), "PTR".to_owned(), records("friend.example.com")),
            ("friend.example.com".to_owned(), "A".to_owned(), records("127.1.2.3")),
        ]);
        let ident = TcpListener::bind("127.1.2.3:113").expect("bind");
        let ident = std::thread::spawn(move || {
            let (mut caller, _) = ident.accept().expect("accept");
            let mut question = [0; 100];
            let got = caller.read(&mut question).expect("a question");
            let ports = String::from_utf8_lossy(&question[..got]).trim().to_owned();
            caller.write_all(format!("{ports}:USERID:UNIX:eve;`id`\r\n").as_bytes()).expect("write");
        });
        symlink(USHERD, "/run/e2e/try-from").expect("a link");
        let user = sandbox::user();
        let daemon =
            Daemon::run(&format!("2001 stream tcp4 nowait {user} /run/e2e/try-from /usr/sbin/try-from\n"));
        let expected = "client address  (%a): 127.1.2.3\n\
                        client hostname (%n): friend.example.com\n\
                        client username (%u): eve__id_\n\
                        client info     (%c): eve__id_@friend.example.com\n\
                        server address  (%A): 127.0.0.1\n\
                        server hostname (%N): localhost\n\
                        server process  (%d): try-from\n\
                        server info     (%s): try-from@localhost\n";
        assert_eq!(rest(&mut connect_from([127, 1, 2, 3], at(2001))), expected);
        ident.join().expect("it is asked");
        // Of somebody else nothing is known, and it says so.
        let other = rest(&mut connect_from([127, 0, 0, 9], SocketAddr::from(([127, 0, 0, 2], 2001))));
        let expected = "client address  (%a): 127.0.0.9\n\
                        client hostname (%n): unknown\n\
                        client username (%u): unknown\n\
                        client info     (%c): 127.0.0.9\n\
                        server address  (%A): 127.0.0.2\n\
                        server hostname (%N): second\n\
                        server process  (%d): try-from\n\
                        server info     (%s): try-from@second\n";
        assert_eq!(other, expected);
        assert_eq!(daemon.count("2001", "failed"), 0, "{}", daemon::log());
    });
}

#[test]
fn every_link_of_the_package_is_a_program_of_its_own() {
    sandbox::run(|| {
        let is_usherd = |path: &str| {
            let output = Command::new(path).arg("--no-such-option").output().expect("it runs");
            String::from_utf8_lossy(&output.stderr).contains("Usage: usherd")
        };
        assert!(is_usherd(USHERD), "that is how it is known");
        let links = include_str!("../../../../dist/usherd.links").lines();
        let links = links.map(|line| line.rsplit_once('/').expect("a path").1);
        let mut count = 0;
        for name in links {
            let path = format!("/run/{name}");
            symlink(USHERD, &path).expect("a link");
            assert!(!is_usherd(&path), "{name}");
            count += 1;
        }
        assert_eq!(count, 7, "inetd, xinetd, tcpd and its four tools");
    });
}
