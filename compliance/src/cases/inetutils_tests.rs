//! What the scripts of GNU inetutils ask of an inetd, told anew: services that are added again and again, and
//! the real programs for TFTP, FTP and telnet, each with a caller written here.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use crate::cases::{Case, case};
use crate::client::{Caller, ask, tcp};
use crate::deadline;
use crate::lab::Lab;
use crate::sandbox::{ORIGINALS, library_path};
use crate::server::Dialect;

pub const CASES: &[Case] = &[
    case("inetd", "inetd.sh: five times two more entries and SIGHUP; each sees its caller", inetd),
    case("tftp_over_v4", "tftp.sh: a file over `udp4` with `wait`", tftp_over_v4),
    case("tftp_over_v6", "tftp.sh: a file over `udp6` with `wait`", tftp_over_v6),
    case("ftp", "ftp-localhost.sh: an anonymous session", ftp),
    case("telnet", "telnet-localhost.sh: a session on a terminal of its own", telnet),
];

/// The word for IPv4 only; busybox has none, and its plain word is IPv4.
fn four(lab: &Lab, protocol: &str) -> String {
    let is_busybox = lab.server.dialect() == Some(Dialect::Busybox);
    if is_busybox { protocol.to_owned() } else { format!("{protocol}4") }
}

fn inetd(lab: &mut Lab) {
    lab.start("");
    let mut config = String::new();
    for round in 0..5_u16 {
        let (v4, v6) = (2001 + round, 2101 + round);
        let word = four(lab, "tcp");
        config.push_str(&format!("127.0.0.1:{v4} stream {word} nowait root /srv/probe probe {v4}\n"));
        config.push_str(&format!("::1:{v6} stream tcp6 nowait root /srv/probe probe {v6}\n"));
        lab.reload(&config);
        for earlier in 0..=round {
            let report = ask(&format!("127.0.0.1:{}", 2001 + earlier));
            assert!(report.get("peer").starts_with("127.0.0.1:"));
            let report = ask(&format!("[::1]:{}", 2101 + earlier));
            assert!(report.get("peer").starts_with("[::1]:"));
        }
    }
}

/// Words for a program of the archive, which may need libraries of it.
fn program(path: &str) -> String {
    format!("/usr/bin/env env LD_LIBRARY_PATH={} {ORIGINALS}/{path}", library_path())
}

const BLOCK: usize = 512;

/// Fetches a file as a TFTP client does (RFC 1350).
fn fetch(server: &str, own: &str, name: &str) -> Vec<u8> {
    let server: SocketAddr = server.parse().expect("cases write addresses as numbers");
    let socket = UdpSocket::bind(own).expect("a free port");
    socket.set_read_timeout(Some(deadline::patience())).expect("a time above zero");
    let request = [b"\0\x01", name.as_bytes(), b"\0octet\0"].concat();
    socket.send_to(&request, server).expect("a datagram can be sent");
    let mut file = Vec::new();
    let mut buffer = [0; 4 + BLOCK];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).expect("a block before the deadline");
        assert_eq!(buffer[..2], [0, 3], "data, not {:?}", String::from_utf8_lossy(&buffer[..length]));
        socket.send_to(&[0, 4, buffer[2], buffer[3]], from).expect("a datagram can be sent");
        file.extend_from_slice(&buffer[4..length]);
        if length < 4 + BLOCK {
            return file;
        }
    }
}

fn tftp(lab: &mut Lab, host: &str, word: &str, server: &str, own: &str) {
    let text: Vec<u8> = (0..3000_u32).map(|number| u8::try_from(number % 251).unwrap_or(0)).collect();
    fs::create_dir("/srv/tftp").expect("/srv is the case's own");
    fs::write("/srv/tftp/file", &text).expect("/srv is the case's own");
    let daemon = program("tftpd-hpa/usr/sbin/in.tftpd");
    lab.start(&format!("{host}:2069 dgram {word} wait root {daemon} -s /srv/tftp\n"));
    assert_eq!(fetch(server, own, "file"), text);
    // The server that waits for more has it as well.
    assert_eq!(fetch(server, own, "file"), text);
    lab.assert_serves();
}

fn tftp_over_v4(lab: &mut Lab) {
    let word = four(lab, "udp");
    tftp(lab, "127.0.0.1", &word, "127.0.0.1:2069", "127.0.0.1:0");
}

fn tftp_over_v6(lab: &mut Lab) {
    tftp(lab, "::1", "udp6", "[::1]:2069", "[::1]:0");
}

fn ftp(lab: &mut Lab) {
    let users = fs::read_to_string("/etc/passwd").expect("it is furnished");
    fs::write("/etc/passwd", format!("{users}ftp:x:1504:1504::/srv/ftp:/bin/sh\n")).expect("the case's own");
    fs::write("/etc/shells", "/bin/sh\n").expect("the case's own");
    fs::create_dir("/srv/ftp").expect("/srv is the case's own");
    fs::write("/srv/ftp/readme", "hello\n").expect("/srv is the case's own");
    let daemon = program("inetutils-ftpd/usr/sbin/ftpd");
    lab.start(&format!("2021 stream tcp nowait root {daemon} -A\n"));
    let mut caller = tcp("127.0.0.1:2021");
    let mut say = |command: &str, code: &str| {
        if !command.is_empty() {
            caller.send(format!("{command}\r\n"));
        }
        // `NNN-` begins an answer of several lines.
        loop {
            let line = caller.line();
            if line.get(3..4) != Some("-") {
                assert!(line.starts_with(code), "{command}: {line}");
                return;
            }
        }
    };
    say("", "220");
    say("USER anonymous", "331");
    say("PASS somebody@example.com", "230");
    say("PWD", "257");
    say("SIZE readme", "213");
    say("QUIT", "221");
}

/// Reads until the text is there, and refuses all telnet options meanwhile (RFC 854).
fn telnet_until(caller: &mut Caller<std::net::TcpStream>, text: &str) {
    const SE: u8 = 240;
    const SB: u8 = 250;
    const WILL: u8 = 251;
    const WONT: u8 = 252;
    const DO: u8 = 253;
    const DONT: u8 = 254;
    const IAC: u8 = 255;
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        match caller.exactly(1)[0] {
            IAC => match caller.exactly(1)[0] {
                WILL => {
                    let option = caller.exactly(1)[0];
                    caller.send([IAC, DONT, option]);
                }
                DO => {
                    let option = caller.exactly(1)[0];
                    caller.send([IAC, WONT, option]);
                }
                WONT | DONT => drop(caller.exactly(1)),
                SB => while caller.exactly(1)[0] != SE {},
                _ => {}
            },
            byte => seen.push(byte),
        }
    }
}

fn telnet(lab: &mut Lab) {
    fs::write("/srv/login", "#!/bin/sh\ntty\nread -r name\necho \"hello $name\"\nread -r nothing\n")
        .expect("/srv is the case's own");
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions("/srv/login", open).expect("/srv is the case's own");
    let daemon = program("inetutils-telnetd/usr/sbin/telnetd");
    lab.start(&format!("2023 stream tcp nowait root {daemon} -h -E/srv/login\n"));
    let mut caller = tcp("127.0.0.1:2023");
    telnet_until(&mut caller, "/dev/pts/");
    caller.send("alice\r\n");
    telnet_until(&mut caller, "hello alice");
}
