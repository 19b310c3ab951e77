//! hosts.allow and hosts.deny: the daemon asks them itself, and tcpd does for others.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::net::{AddressFamily, SocketType, bind, connect as connect_socket, socket};
use serde_json::Value;

use crate::client::{ask_by_datagram, at, connect, datagrams, listen, report, rest};
use crate::daemon::{self, Daemon, log, log_count, wait_for_log};
use crate::name_server::{Answer, NameServer};
use crate::probe::PROBE;
use crate::sandbox::{self, USHERD, need_users};
use crate::source_route;
use crate::syslog::Syslog;
use crate::wait;

/// Writes both.
pub fn tables(allow: &str, deny: &str) {
    fs::write("/etc/hosts.allow", allow).expect("write");
    fs::write("/etc/hosts.deny", deny).expect("write");
}

/// A line for a probe behind tcpd.
pub fn behind_tcpd(port: u16, user: &str, words: &str) -> String {
    format!("{port} stream tcp4 nowait {user} /usr/sbin/tcpd {PROBE} {words}\n")
}

/// A caller from another address of this machine.
pub fn connect_from(ip: [u8; 4], to: SocketAddr) -> TcpStream {
    connect_with(ip, to, &[])
}

/// The same, with options in the headers of its packets.
pub fn connect_with(ip: [u8; 4], to: SocketAddr, options: &[u8]) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
    if !options.is_empty() {
        usherd_sys::ip_options::set(socket.as_fd(), options).expect("setsockopt");
    }
    bind(&socket, &SocketAddr::from((ip, 0))).expect("bind");
    connect_socket(&socket, &to).expect("connect");
    TcpStream::from(socket)
}

/// A variable of a probe's environment.
pub fn variable(report: &Value, name: &str) -> Option<String> {
    let all = report["environment"].as_array().expect("an environment");
    all.iter()
        .filter_map(Value::as_str)
        .find_map(|text| Some(text.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

#[test]
fn the_real_program_is_started_and_an_edit_counts_for_the_next_caller() {
    sandbox::run(|| {
        tables("probe: 127.0.0.1\n", "ALL: ALL\n");
        let daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "report"));
        let report = report(at(2001));
        assert_eq!(report["argv"], serde_json::json!(["probe", "report"]), "as tcpd passes them on");
        assert_eq!(report["parent"], daemon.pid().to_string(), "nobody stands between");
        wait_for_log("event=access-granted daemon=probe rule=/etc/hosts.allow:1");
        assert_eq!(rest(&mut connect_from([127, 0, 0, 2], at(2001))), "");
        wait_for_log("event=access-denied address=127.0.0.2 rule=/etc/hosts.deny:1");
        for (allow, expected) in [("", ""), ("probe: 127.\n", "{"), ("other: ALL\n", ""), ("ALL: ALL\n", "{")]
        {
            fs::write("/etc/hosts.allow", allow).expect("write");
            assert_eq!(listen(at(2001)).get(..1).unwrap_or_default(), expected, "{allow}");
        }
        assert_eq!(daemon.service("2001")["denied"], 3);
    });
}

#[test]
fn what_a_rule_does_is_done_as_the_programs_user() {
    sandbox::run(|| {
        need_users();
        fs::create_dir("/run/banners").expect("a folder");
        fs::create_dir("/run/spool").expect("a folder");
        fs::set_permissions("/run/spool", fs::Permissions::from_mode(0o777)).expect("chmod");
        fs::write("/run/banners/probe", "hello %h\nagain\n").expect("write");
        tables(
            "probe: localhost: banners /run/banners: setenv WHO %c: umask 027: nice 3: spawn id -u > /run/spool/spawned\n\
             probe: 127.0.0.2: twist echo 421 not here, %a\n\
             probe: 127.0.0.3: aclexec test %a = 127.0.0.3\n\
             probe: 127.0.0.4: aclexec false\n\
             probe: 127.0.0.5: user alice.games\n",
            "ALL: ALL: spawn (echo %a >> /run/spool/refused) &\n",
        );
        let _daemon =
            Daemon::run(&(behind_tcpd(2001, "bob", "report") + &behind_tcpd(2002, "root", "report")));
        let mut caller = connect(at(2001));
        let text = rest(&mut caller);
        let said = text.strip_prefix("hello localhost\r\nagain\r\n").expect("the banner comes first");
        let report: Value = serde_json::from_str(said).expect("the program comes after it");
        assert_eq!(variable(&report, "WHO").as_deref(), Some("localhost"));
        assert_eq!((&report["umask"], &report["ids"][0]), (&"027".into(), &1002.into()));
        assert_eq!(fs::read_to_string("/run/spool/spawned").expect("it was written").trim(), "1002");
        assert_eq!(rest(&mut connect_from([127, 0, 0, 2], at(2001))), "421 not here, 127.0.0.2\n");
        assert!(rest(&mut connect_from([127, 0, 0, 3], at(2001))).starts_with('{'));
        assert_eq!(rest(&mut connect_from([127, 0, 0, 4], at(2001))), "");
        let other: Value =
            serde_json::from_str(&rest(&mut connect_from([127, 0, 0, 5], at(2002)))).expect("a report");
        assert_eq!((&other["ids"][1], &other["ids"][3]), (&1001.into(), &1102.into()));
        assert_eq!(rest(&mut connect_from([127, 0, 0, 9], at(2001))), "");
        wait::until("the trap goes off", || {
            fs::read_to_string("/run/spool/refused").is_ok_and(|text| text == "127.0.0.9\n")
        });
    });
}

#[test]
fn names_are_believed_as_libwrap_believes_them() {
    sandbox::run(|| {
        let server = NameServer::start();
        tables("probe: ALL: setenv NAME %n: setenv CLIENT %c\n", "");
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "report"));
        // The recordings speak of an address that this machine has not.
        let here = |text: &str| text.replace("3.2.1.10.in", "3.2.1.127.in").replace("10.1.2.3", "127.1.2.3");
        for line in include_str!("names.jsonl").lines() {
            let case: Value = serde_json::from_str(line).expect("a record");
            let id = case["id"].as_str().expect("a name");
            if case["client_addr"] != "10.1.2.3" {
                continue;
            }
            let zone = case["zone"].as_array().expect("records").iter().map(|record| {
                let text = |value: &Value| here(value.as_str().expect("text"));
                let answer = match record[2].as_array() {
                    Some(all) => Answer::Records(all.iter().map(text).collect()),
                    None if record[2] == "DROP" => Answer::Drops,
                    None => Answer::Fails,
                };
                (text(&record[0]), text(&record[1]), answer)
            });
            server.says(zone.collect());
            let hosts = format!("127.0.0.1 localhost\n{}", here(case["hosts"].as_str().expect("text")));
            fs::write("/etc/hosts", hosts).expect("write");
            let said = rest(&mut connect_from([127, 1, 2, 3], at(2001)));
            let report: Value = serde_json::from_str(&said).expect("a report");
            let expected = |what: &str| Some(here(case[what].as_str().expect("text")));
            assert_eq!(variable(&report, "NAME"), expected("name"), "{id}");
            assert_eq!(variable(&report, "CLIENT"), expected("client"), "{id}");
            for remark in case["remarks"].as_array().expect("a list") {
                let remark = here(remark.as_str().expect("text"));
                let line = format!("/etc/hosts.allow, line 1: {remark}");
                wait::until(&line, || log().contains(&line));
            }
        }
    });
}

/// The C library takes `2130772483` for 127.1.2.3, and it has no dot.
#[test]
fn a_caller_whose_name_is_a_number_is_not_local() {
    sandbox::run(|| {
        let server = NameServer::start();
        let number = Answer::Records(vec!["2130772483".to_owned()]);
        server.says(vec![("3.2.1.127.in-addr.arpa".into(), "PTR".into(), number)]);
        tables("probe: LOCAL\n", "ALL: ALL\n");
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say within"));
        assert_eq!(rest(&mut connect_from([127, 1, 2, 3], at(2001))), "");
        wait_for_log("reverse lookup results in non-FQDN 2130772483");
        assert_eq!(rest(&mut connect_from([127, 0, 0, 1], at(2001))), "within");
    });
}

#[test]
fn a_slow_zone_delays_its_own_callers_only() {
    sandbox::run(|| {
        let server = NameServer::start();
        fs::write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n")
            .expect("write");
        fs::write("/etc/hosts", "127.0.0.1 localhost\n127.1.2.4 friend.example.com\n").expect("write");
        server.says(vec![("3.2.1.127.in-addr.arpa".into(), "PTR".into(), Answer::Drops)]);
        tables("probe: .example.com\n", "ALL: ALL\n");
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say within"));
        let mut slow: Vec<TcpStream> = (0..20).map(|_| connect_from([127, 1, 2, 3], at(2001))).collect();
        assert_eq!(rest(&mut connect_from([127, 1, 2, 4], at(2001))), "within");
        // Whose name cannot be found out in time is not let in.
        assert_eq!(rest(&mut slow[0]), "");
        wait_for_log("event=access-denied address=127.1.2.3");
        assert_eq!(log_count("event=access-granted address=127.1.2.3"), 0);
    });
}

#[test]
fn users_are_asked_of_the_callers_machine() {
    sandbox::run(|| {
        tables("probe: joe@ALL: setenv WHO %u\n", "ALL: ALL\n");
        let ident = TcpListener::bind("127.0.0.1:113").expect("nobody else is here");
        let answers = ["USERID:UNIX:joe\r\n", "USERID:UNIX:eve\r\n", "ERROR:NO-USER\r\n"];
        let server = std::thread::spawn(move || {
            for answer in answers {
                let (mut caller, _) = ident.accept().expect("accept");
                let mut question = [0; 100];
                let length = caller.read(&mut question).expect("a question");
                let ports = String::from_utf8_lossy(&question[..length]).trim().to_owned();
                caller.write_all(format!("{ports}:{answer}").as_bytes()).expect("write");
            }
            // And one who never stops.
            let (mut caller, _) = ident.accept().expect("accept");
            while caller.write_all(&[b'x'; 4096]).is_ok() {}
        });
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "report"));
        assert_eq!(variable(&report(at(2001)), "WHO").as_deref(), Some("joe"));
        for _ in 0..3 {
            assert_eq!(listen(at(2001)), "");
        }
        server.join().expect("all were asked");
        wait_for_log("event=access-granted client=joe@127.0.0.1");
    });
}

#[test]
fn the_helper_that_looks_names_up_has_no_rights() {
    sandbox::run(|| {
        let server = NameServer::start();
        server.says(vec![]);
        tables("probe: .example.com\n", "");
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say within"));
        assert_eq!(rest(&mut connect_from([127, 1, 2, 3], at(2001))), "within");
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let found =
            processes.map(|entry| fs::read_to_string(entry.path().join("status")).unwrap_or_default());
        let status = found.into_iter().find(|status| status.starts_with("Name:\tusherd-resolve\n"));
        let status = status.expect("it waits for another question");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.expect("every process has it").split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), (vec!["1".to_owned()], vec!["2".to_owned()]));
        assert_eq!(field("CapEff:"), ["0000000000000000"]);
        if rustix::process::getuid().is_root() {
            assert_eq!(field("Uid:"), ["65531"; 4].map(str::to_owned));
            assert!(field("Groups:").is_empty());
        }
    });
}

#[test]
fn a_helper_that_will_not_serve_is_said_once_and_lets_nobody_in() {
    sandbox::run(|| {
        need_users();
        tables("echo: .example.com\n", "ALL: PARANOID\n");
        daemon::configure("127.0.0.1:7 stream tcp4 nowait root internal echo\n");
        // It keeps its own user, and can make nobody another: neither can its helper.
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-setuid", "--", "/run/e2e/inetd"]);
        command.args(["-W", "-i", "-e", daemon::CONFIG]).env_remove("NOTIFY_SOCKET");
        let daemon = Daemon::start(command);
        for refused in 1..=2 {
            assert_eq!(rest(&mut connect_from([127, 0, 0, 1], at(7))), "");
            wait::until("it is counted", || daemon.count("7", "denied") == refused);
        }
        wait_for_log("event=no-resolver");
        assert_eq!(log_count("event=no-resolver"), 1);
    });
}

#[test]
fn a_table_that_is_a_folder_or_cannot_be_parsed_lets_nobody_in() {
    sandbox::run(|| {
        tables("ALL: ALL: nonsense\n", "");
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say within"));
        assert_eq!(listen(at(2001)), "");
        wait_for_log("event=access-remark bad option name");
        fs::write("/etc/hosts.allow", "").expect("write");
        fs::write(
            "/etc/hosts.deny",
            [b"ALL\0 ALL\n".as_slice(), &vec![b'x'; 1 << 20], b"\nALL: ALL\n"].concat(),
        )
        .expect("write");
        assert_eq!(listen(at(2001)), "");
        fs::remove_file("/etc/hosts.deny").expect("it is there");
        assert_eq!(listen(at(2001)), "within");
        fs::create_dir("/etc/hosts.deny").expect("a folder");
        assert_eq!(listen(at(2001)), "");
        wait_for_log("event=access-remark cannot open /etc/hosts.deny");
    });
}

#[test]
fn built_ins_are_guarded_on_request() {
    sandbox::run(|| {
        tables("echo: 127.0.0.1\n", "ALL: ALL\n");
        let config = "127.0.0.1,127.0.0.2:7 stream tcp4 nowait root internal echo\n\
                      127.0.0.1:7 dgram udp4 wait root internal echo\n\
                      127.0.0.1:9000 dgram udp4 wait root internal daytime\n";
        daemon::configure(config);
        let mut command = daemon::inetd(&["-W", "-i", "-e", daemon::CONFIG]);
        command.env_remove("NOTIFY_SOCKET");
        let daemon = Daemon::start(command);
        assert_eq!(ask_by_datagram(at(7), "ping"), "ping");
        let refused = datagrams(at(9000));
        refused.send(b"what time is it?").expect("send");
        wait::until("it is counted", || daemon.count("9000", "denied") == 1);
        assert_eq!(rest(&mut connect_from([127, 0, 0, 2], SocketAddr::from(([127, 0, 0, 2], 7)))), "");
    });
}

#[test]
fn tcpd_guards_programs_of_other_super_servers() {
    sandbox::run(|| {
        tables("sh: 127.0.0.1: setenv WHO %d\nother: 127.0.0.1: twist echo no %d\n", "ALL: ALL\n");
        let syslog = Syslog::listen();
        let words = ["-c", "echo $0 $WHO"];
        let serve_with =
            |name: &str, from: [u8; 4], options: &[u8]| through_tcpd(name, &words, from, options);
        let serve = |name: &str, from: [u8; 4]| serve_with(name, from, &[]);
        assert_eq!(serve("/bin/sh", [127, 0, 0, 1]), "sh sh\n");
        let line = syslog.wait_for("connect from 127.0.0.1 (127.0.0.1)");
        assert!(line.starts_with("<30>") && line.contains(" sh["), "as fail2ban knows it: {line}");
        assert_eq!(serve("other", [127, 0, 0, 1]), "no other\n");
        assert_eq!(serve("/bin/sh", [127, 0, 0, 2]), "");
        assert!(syslog.wait_for("refused connect from 127.0.0.2 (127.0.0.2)").starts_with("<28>"));
        // Where the packets went by is of no interest, and is not asked of the answers either.
        let record_route = [7, 7, 4, 0, 0, 0, 0, 0];
        assert_eq!(serve_with("/bin/sh", [127, 0, 0, 1], &record_route), "sh sh\n");
        syslog.wait_for("connect from 127.0.0.1 with IP options (ignored): 07 07");
    });
}

#[test]
fn tcpd_refuses_who_says_by_which_way_it_is_answered() {
    sandbox::run(|| {
        need_users();
        tables("sh: ALL\n", "");
        let listener = TcpListener::bind("127.0.0.1:2001").expect("bind");
        let syslog = Syslog::listen();
        source_route::connect(v4(2001));
        let (accepted, _) = listener.accept().expect("accept");
        let mut tcpd = tcpd("/bin/sh");
        tcpd.args(["-c", "touch /run/started"]).stdin(OwnedFd::from(accepted));
        assert!(tcpd.status().expect("it runs").success());
        syslog.wait_for("refused connect from 192.0.2.7 with IP source routing options");
        assert!(!fs::exists("/run/started").expect("/run is there"));
    });
}

/// What a caller hears of a program behind tcpd, as any inetd starts it: the connection on all three, the program's name
/// as its own.
#[track_caller]
pub fn through_tcpd(program: &str, words: &[&str], from: [u8; 4], options: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let mut caller = connect_with(from, listener.local_addr().expect("an address"), options);
    let (accepted, _) = listener.accept().expect("accept");
    let accepted = OwnedFd::from(accepted);
    let copy = || Stdio::from(accepted.try_clone().expect("dup"));
    let mut tcpd = tcpd(program);
    tcpd.args(words).stdin(copy()).stdout(copy()).stderr(copy());
    let mut child = tcpd.spawn().expect("spawn");
    drop((tcpd, accepted));
    let said = rest(&mut caller);
    let status = child.wait().expect("wait");
    assert!(status.success(), "{status} after {said:?}");
    said
}

/// tcpd before this program, as any inetd starts it.
pub fn tcpd(program: &str) -> Command {
    // It is known by its file, since its name is the program's.
    if !fs::exists("/run/e2e/tcpd").expect("the folder is there") {
        std::os::unix::fs::symlink(USHERD, "/run/e2e/tcpd").expect("a link");
    }
    let mut command = Command::new("/run/e2e/tcpd");
    command.arg0(program);
    command
}

fn v4(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

#[test]
fn ip_options_are_taken_off_where_tcpd_would_and_source_routes_refused() {
    sandbox::run(|| {
        need_users();
        // Also whom a rule lets in.
        tables("probe: ALL\n", "");
        let syslog = Syslog::listen();
        let other = daemon::line("2002", "stream tcp4", "nowait", "report");
        daemon::configure(&(behind_tcpd(2001, "root", "report") + &other));
        let mut inetd = daemon::inetd(&["-i", daemon::CONFIG]);
        let mut inetd = inetd.env("XDG_RUNTIME_DIR", "/run").spawn().expect("spawn");
        let daemon = Daemon::of_pid(i32::try_from(inetd.id()).expect("a pid"));
        syslog.wait_for("configured");
        let record_route = [7, 7, 4, 0, 0, 0, 0, 0];
        let call = |port: u16, options: &[u8]| rest(&mut connect_with([127, 0, 0, 1], at(port), options));
        let options = |port: u16| -> Value {
            serde_json::from_str::<Value>(&call(port, &record_route)).expect("a report")["ip_options"].clone()
        };
        assert_eq!(options(2001), serde_json::json!([]));
        let line = syslog.wait_for("connect from 127.0.0.1 with IP options (ignored): 07 07");
        assert!(line.starts_with("<29>") && line.contains(" probe["), "{line}");
        assert_ne!(options(2002), serde_json::json!([]), "nobody asked for a guard there");
        source_route::connect(v4(2001));
        let line = syslog.wait_for("refused connect from 192.0.2.7 with IP source routing options");
        assert!(line.starts_with("<28>") && line.contains(" probe["), "{line}");
        source_route::connect(v4(2002));
        wait::until("it is served there", || daemon.count("2002", "started") == 2);
        assert_eq!((daemon.count("2001", "denied"), daemon.count("2001", "started")), (1, 1));
        assert_eq!(syslog.count("connect from 127.0.0.1 (127.0.0.1)"), 1);
        // It is no place lost.
        wait::until("nobody is served any more", || daemon.status()["children"] == 0);
        assert!(call(2001, &[]).starts_with('{'));
        inetd.kill().expect("kill");
        inetd.wait().expect("wait");
    });
}
