//! What does not end or is too much, around hosts.allow and hosts.deny: it costs those who meet it and nobody else.
//!
//! What the helper makes of name servers and ident servers that say too much is in `resolve`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{at, rest};
use crate::daemon::{self, CONFIG, Daemon, log_count, wait_for_log};
use crate::name_server::{Answer, NameServer};
use crate::resolve::forget_landlock;
use crate::sandbox;
use crate::wait;
use crate::wrappers::{behind_tcpd, connect_from, tables};

/// A command that never ends, which can be told from others.
const ENDLESS: &str = "sleep 86399";

/// The processes of this sandbox with these arguments.
fn processes(words: &str) -> Vec<Pid> {
    let arguments = words.replace(' ', "\0") + "\0";
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    all.filter(|entry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|found| found == arguments.as_bytes())
    })
    .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
    .collect()
}

fn call(port: u16, last: u8) -> TcpStream {
    connect_from([127, 0, 0, last], at(port))
}

fn ask(port: u16, last: u8) -> String {
    rest(&mut call(port, last))
}

#[test]
fn a_command_that_never_ends_delays_nobody_else() {
    sandbox::run(|| {
        tables(
            &format!("probe: 127.0.0.2: spawn {ENDLESS}\nprobe: 127.0.0.3: aclexec {ENDLESS}\n"),
            &format!("probe: 127.0.0.4: spawn {ENDLESS}\n"),
        );
        let daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        let mut callers = [2, 3, 4].map(|last| call(2001, last));
        wait::until("all commands run", || processes(ENDLESS).len() == 3);
        for _ in 0..3 {
            assert_eq!(ask(2001, 1), "well");
        }
        wait::until("they hold their own places", || daemon.count("2001", "running") == 3);
        // When they are ended at last: spawn's status says nothing, aclexec's does.
        for pid in processes(ENDLESS) {
            kill_process(pid, Signal::KILL).expect("kill");
        }
        assert_eq!(callers.each_mut().map(rest), ["well", "", ""]);
        wait::until("nothing is left", || daemon.is_childless());
    });
}

#[test]
fn commands_that_never_end_are_no_more_than_programs_may_be() {
    sandbox::run(|| {
        tables(
            &format!("probe: 127.0.0.2: spawn {ENDLESS}\n"),
            &format!("probe: 127.0.0.3: spawn {ENDLESS}\n"),
        );
        let user = sandbox::user();
        daemon::configure(&(behind_tcpd(2001, user, "say well") + &behind_tcpd(2002, user, "say others")));
        let mut command = daemon::inetd(&["-c", "4", "-R", "1000", "-i", "-e", CONFIG]);
        command.env_remove("NOTIFY_SOCKET").env("XDG_RUNTIME_DIR", "/run");
        let daemon = Daemon::start(command);
        // Those who are refused are counted, too, for as long as something is done about them.
        let _callers: Vec<TcpStream> = (0..20).flat_map(|_| [call(2001, 2), call(2001, 3)]).collect();
        wait::until("there is no more room", || processes(ENDLESS).len() == 4);
        wait::stays("the others wait", || {
            processes(ENDLESS).len() == 4 && daemon.count("2001", "running") == 4
        });
        assert_eq!(ask(2002, 1), "others");
    });
}

/// Answers as an ident server for a caller does, once.
fn asked(ident: &TcpListener) -> (TcpStream, String) {
    let (mut caller, _) = ident.accept().expect("accept");
    let mut question = [0; 100];
    let length = caller.read(&mut question).expect("a question");
    let ports = String::from_utf8_lossy(&question[..length]).trim().to_owned();
    (caller, ports)
}

#[test]
fn an_ident_server_that_says_nothing_delays_its_own_callers_only() {
    sandbox::run(|| {
        tables("probe: joe@ALL\n", "ALL: ALL\n");
        let silent = TcpListener::bind("127.0.0.2:113").expect("bind");
        let honest = TcpListener::bind("127.0.0.3:113").expect("bind");
        let daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        let waiting: Vec<TcpStream> = (0..20).map(|_| call(2001, 2)).collect();
        let held = asked(&silent);
        let mut other = call(2001, 3);
        let (mut caller, ports) = asked(&honest);
        caller.write_all(format!("{ports}:USERID:UNIX:joe\r\n").as_bytes()).expect("write");
        assert_eq!(rest(&mut other), "well");
        assert_eq!(daemon.count("2001", "denied"), 0, "the others still wait");
        drop((held, waiting));
    });
}

/// What a caller is called is not for a shell, wherever the name comes from: here a file, which no resolver looks
/// through, and an ident server.
#[test]
fn no_letter_of_a_name_or_a_user_means_anything_to_a_shell() {
    sandbox::run(|| {
        fs::create_dir("/run/spool").expect("a folder");
        fs::set_permissions("/run/spool", fs::Permissions::from_mode(0o777)).expect("chmod");
        let touch = ">/run/spool/taken";
        fs::write("/etc/hosts", format!("127.0.0.1 localhost\n127.0.0.2 $(id){touch};`id`.example.com\n"))
            .expect("write");
        tables("probe: ALL: spawn echo %n %u %c > /run/spool/said\n", "");
        let ident = TcpListener::bind("127.0.0.2:113").expect("bind");
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        let mut caller = call(2001, 2);
        let (mut server, ports) = asked(&ident);
        server.write_all(format!("{ports}:USERID:UNIX:joe;{touch}|$(id)'&\r\n").as_bytes()).expect("write");
        assert_eq!(rest(&mut caller), "well");
        let name = "__id__/run/spool/taken__id_.example.com";
        let user = "joe__/run/spool/taken___id___";
        let said = fs::read_to_string("/run/spool/said").expect("it was written");
        assert_eq!(said, format!("{name} {user} {user}@{name}\n"));
        assert!(!fs::exists("/run/spool/taken").expect("the folder is there"));
    });
}

#[test]
fn a_caller_with_a_thousand_addresses_is_let_in_by_its_own() {
    sandbox::run(|| {
        let server = NameServer::start();
        let addresses =
            (0..1000_u32).map(|number| std::net::Ipv4Addr::from(0x7f01_0000 + number).to_string());
        let name = || Answer::Records(vec!["friend.example.com".to_owned()]);
        server.says(vec![
            ("231.3.1.127.in-addr.arpa".to_owned(), "PTR".to_owned(), name()),
            ("1.9.9.127.in-addr.arpa".to_owned(), "PTR".to_owned(), name()),
            ("friend.example.com".to_owned(), "A".to_owned(), Answer::Records(addresses.collect())),
        ]);
        tables("probe: .example.com\n", "ALL: ALL\n");
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        assert_eq!(rest(&mut connect_from([127, 1, 3, 231], at(2001))), "well");
        assert_eq!(rest(&mut connect_from([127, 9, 9, 1], at(2001))), "");
        wait_for_log("event=access-remark host name/address mismatch: 127.9.9.1 != friend.example.com");
    });
}

#[test]
fn a_kernel_without_landlock_is_said_once_and_names_are_still_found() {
    sandbox::run(|| {
        fs::write("/etc/hosts", "127.0.0.1 localhost\n127.0.0.2 friend.example.com\n").expect("write");
        tables("probe: .example.com\n", "ALL: ALL\n");
        forget_landlock();
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        let helper = || {
            let all = processes("usherd resolve");
            assert!(all.len() <= 1, "there is one helper");
            all.into_iter().next()
        };
        let mut last = None;
        for _ in 0..3 {
            assert_eq!((ask(2001, 2), ask(2001, 1)), ("well".to_owned(), String::new()));
            let pid = helper().expect("it waits for another question");
            assert_ne!(last.replace(pid), Some(pid), "another one");
            kill_process(pid, Signal::KILL).expect("kill");
            wait::until("it is gone", || helper().is_none());
        }
        wait_for_log("event=resolver Landlock");
        assert_eq!(log_count("event=resolver"), 1);
    });
}
