//! `inetd` that asks hosts.allow and hosts.deny without a tcpd in the line: `-l`, and FreeBSD's `-w` and `-W`.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;

use serde_json::{Value, json};

use crate::client::{ask_by_datagram, at, connect, datagrams, datagrams_from, echoes, listen, rest};
use crate::daemon::{self, CONFIG, Daemon};
use crate::probe::PROBE;
use crate::sandbox::{self, need_users};
use crate::source_route;
use crate::syslog::Syslog;
use crate::wait;
use crate::wrappers::{connect_from, connect_with, tables, through_tcpd};

/// One in the foreground, which logs as the original does.
struct Inetd {
    process: Child,
    daemon: Daemon,
}

impl Inetd {
    #[track_caller]
    fn start(options: &[&str], config: &str, syslog: &Syslog) -> Self {
        daemon::configure(config);
        let before = syslog.count("configured");
        let mut command = daemon::inetd(&["-i"]);
        command.args(options).arg(CONFIG).env("XDG_RUNTIME_DIR", "/run").env_remove("NOTIFY_SOCKET");
        let process = command.spawn().expect("spawn");
        let daemon = Daemon::of_pid(i32::try_from(process.id()).expect("a pid"));
        wait::until("it serves", || syslog.count("configured") > before);
        Self { process, daemon }
    }
}

impl Drop for Inetd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a caller hears.
#[track_caller]
fn ask(port: u16, last: u8) -> String {
    rest(&mut connect_from([127, 0, 0, last], at(port)))
}

/// Whether a caller gets an echo.
#[track_caller]
fn is_echoed(port: u16, last: u8) -> bool {
    let mut caller = connect_from([127, 0, 0, last], at(port));
    // Who is refused may not get so far.
    let _ = caller.write_all(b"hello").and_then(|()| caller.shutdown(Shutdown::Write));
    rest(&mut caller) == "hello"
}

/// A program with a name of its own, one behind tcpd, and a built-in.
fn config() -> String {
    let user = sandbox::user();
    format!(
        "2001 stream tcp4 nowait {user} {PROBE} in.own say well\n\
         2002 stream tcp4 nowait {user} /usr/sbin/tcpd {PROBE} say behind\n\
         echo stream tcp4 nowait root internal\n"
    )
}

#[test]
fn with_l_programs_are_asked_for_by_the_name_that_they_are_started_with() {
    sandbox::run(|| {
        tables("in.own: 127.0.0.1\nprobe: 127.0.0.2\n", "ALL: ALL\n");
        let syslog = Syslog::listen();
        let inetd = Inetd::start(&["-l"], &config(), &syslog);
        for (last, own, behind) in [(1, "well", ""), (2, "", "behind"), (3, "", "")] {
            assert_eq!((ask(2001, last), ask(2002, last)), (own.to_owned(), behind.to_owned()), "{last}");
            assert!(is_echoed(7, last), "no built-in is asked for");
        }
        // In the words of this inetd, also for what is behind tcpd: tcpd is not started.
        for line in [
            "connection from 127.0.0.1, service 2001 (tcp4)",
            "refused connection from 127.0.0.1, service 2002 (tcp4)",
            "refused connection from 127.0.0.3, service 2001 (tcp4)",
        ] {
            let line = syslog.wait_for(line);
            assert!(line.contains(" inetd["), "{line}");
        }
        assert_eq!((inetd.daemon.count("2001", "denied"), inetd.daemon.count("2002", "denied")), (2, 2));
        assert_eq!(syslog.count("service echo "), 0);
    });
}

#[test]
fn with_w_programs_are_asked_for_by_their_files_and_with_capital_w_built_ins_by_their_service() {
    sandbox::run(|| {
        tables("probe: 127.0.0.1\nin.own: 127.0.0.2\necho: 127.0.0.2\n", "ALL: ALL\n");
        let syslog = Syslog::listen();
        let freebsd = ["--dialect", "freebsd"];
        let start = |options: &[&str]| Inetd::start(&[&freebsd, options].concat(), &config(), &syslog);
        // -w: programs, by their files or by what is behind tcpd, and no built-ins.
        let inetd = start(&["-w"]);
        assert_eq!([1, 2, 3].map(|last| ask(2001, last)), ["well", "", ""]);
        assert_eq!([1, 2, 3].map(|last| ask(2002, last)), ["behind", "", ""]);
        assert_eq!([1, 2, 3].map(|last| is_echoed(7, last)), [true; 3]);
        drop(inetd);
        // -W: built-ins, and no programs but the one behind tcpd.
        let inetd = start(&["-W"]);
        assert_eq!([1, 2, 3].map(|last| ask(2001, last)), ["well"; 3]);
        assert_eq!([1, 2, 3].map(|last| ask(2002, last)), ["behind", "", ""]);
        assert_eq!([1, 2, 3].map(|last| is_echoed(7, last)), [false, true, false]);
        drop(inetd);
        // -l is another option there.
        let inetd = start(&["-l"]);
        assert_eq!([1, 2, 3].map(|last| ask(2001, last)), ["well"; 3]);
        drop(inetd);
    });
}

#[test]
fn options_that_need_rights_are_done_with_the_programs_own_and_refuse_without() {
    sandbox::run(|| {
        need_users();
        fs::create_dir("/run/spool").expect("a folder");
        fs::set_permissions("/run/spool", fs::Permissions::from_mode(0o777)).expect("chmod");
        tables(
            "probe in.own: 127.0.0.2: user alice\nprobe in.own: 127.0.0.3: group games\n\
             probe in.own: 127.0.0.4: spawn id -u > /run/spool/%p\nprobe in.own: 127.0.0.5: nice -5\n",
            "ALL: ALL\n",
        );
        let syslog = Syslog::listen();
        let config = format!(
            "2001 stream tcp4 nowait root {PROBE} in.own report\n2002 stream tcp4 nowait bob {PROBE} in.own report\n"
        );
        let ids = |port, last| -> Value {
            let said = ask(port, last);
            if said.is_empty() {
                Value::Null
            } else {
                serde_json::from_str::<Value>(&said).expect("a report")["ids"].clone()
            }
        };
        for (round, options) in (1..).zip([&["-l"][..], &["--dialect", "freebsd", "-w"]]) {
            let inetd = Inetd::start(options, &config, &syslog);
            assert_eq!(ids(2001, 2), json!([1001, 1001, 1001, 1001]), "{options:?}");
            assert_eq!(ids(2001, 3), json!([0, 0, 1102, 1102]), "{options:?}");
            // Nobody gets rights by a rule that its program has not.
            assert_eq!((ids(2002, 2), ids(2002, 3)), (Value::Null, Value::Null), "{options:?}");
            wait::until("it is said", || syslog.count("error: cannot become alice: ") == round);
            wait::until("it is said", || syslog.count("error: cannot take the group 1102: ") == round);
            for (port, user) in [(2001, 0), (2002, 1002)] {
                assert_eq!(ids(port, 4)[0], user, "{options:?}");
                let path = format!("/run/spool/{}", inetd.daemon.pid());
                assert_eq!(fs::read_to_string(&path).expect("it was written").trim(), user.to_string());
                fs::remove_file(path).expect("it is there");
            }
            // A priority that cannot be had is said, as by libwrap, and refuses nobody.
            assert_eq!(ids(2001, 5)[0], 0, "{options:?}");
            let before = syslog.count("warning: nice(-5): ");
            assert_eq!(ids(2002, 5)[0], 1002, "{options:?}");
            wait::until("it is said", || syslog.count("warning: nice(-5): ") > before);
        }
    });
}

#[test]
fn a_rule_that_a_built_in_cannot_follow_refuses() {
    sandbox::run(|| {
        let user = sandbox::user();
        tables(
            &format!(
                "echo: 127.0.0.1: umask 077: keepalive: severity info\necho: 127.0.0.2: spawn touch /run/spawned\n\
                 echo: 127.0.0.3: user {user}\necho: 127.0.0.4: group {user}\n"
            ),
            "ALL: ALL\n",
        );
        let syslog = Syslog::listen();
        let config = "2007 stream tcp4 nowait root internal echo\n2008 dgram udp4 wait root internal echo\n";
        let inetd = Inetd::start(&["-W"], config, &syslog);
        assert_eq!([1, 2, 3, 4].map(|last| is_echoed(2007, last)), [true, false, false, false]);
        assert!(!fs::exists("/run/spawned").expect("the folder is there"));
        syslog.wait_for("error: /etc/hosts.allow, line 2: a service without a program runs no commands");
        for line in [3, 4] {
            let line = format!(
                "error: /etc/hosts.allow, line {line}: a service without a program has no user that could be another"
            );
            syslog.wait_for(&line);
        }
        assert_eq!(ask_by_datagram(at(2008), "hello"), "hello");
        let other = datagrams_from(([127, 0, 0, 3], 0).into(), at(2008));
        other.send(b"hello").expect("send");
        wait::until("it is counted", || inetd.daemon.count("2008", "denied") == 1);
    });
}

#[test]
fn of_wait_services_the_first_datagram_is_asked_for_and_of_a_stream_nobody_is_known() {
    sandbox::run(|| {
        tables("probe in.own: 127.0.0.1\n", "ALL: ALL\n");
        let syslog = Syslog::listen();
        let user = sandbox::user();
        let config = format!(
            "2003 dgram udp4 wait {user} {PROBE} in.own receive it 1\n\
             2004 dgram udp4 wait {user} /bin/cat cat\n2005 stream tcp4 wait {user} {PROBE} in.own accept it 1\n"
        );
        for (refused, options) in
            (1..).zip([&["--dialect", "freebsd", "-w"][..], &["-l"], &["--dialect", "netbsd"]])
        {
            let inetd = Inetd::start(options, &config, &syslog);
            assert!(ask_by_datagram(at(2003), "hello").ends_with(" hello"), "{options:?}");
            datagrams(at(2004)).send(b"hello").expect("send");
            wait::until("it is counted", || inetd.daemon.count("2004", "denied") == 1);
            assert_eq!(listen(at(2005)), "", "{options:?}");
            for name in ["2004", "2005"] {
                assert_eq!(inetd.daemon.count(name, "started"), 0, "{options:?}");
            }
            let line = "refused connection from 127.0.0.1, service 2004 (udp4)";
            wait::until("it is said", || syslog.count(line) == refused);
        }
    });
}

#[test]
fn source_routes_are_refused_wherever_the_tables_are_asked() {
    sandbox::run(|| {
        need_users();
        // Also whom a rule lets in.
        tables("ALL: ALL\n", "");
        let syslog = Syslog::listen();
        let user = sandbox::user();
        let routed = |inetd: &Inetd, port: u16, name: &str| {
            let before = inetd.daemon.count(name, "denied");
            source_route::connect(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port));
            wait::until("it is counted", || inetd.daemon.count(name, "denied") > before);
            let line = format!(
                "refused connection from 192.0.2.7 with IP source routing options, service {name} (tcp4)"
            );
            let line = syslog.wait_for(&line);
            assert!(
                line.starts_with("<36>") && line.contains(" inetd["),
                "auth.warning, as refusals are: {line}"
            );
            wait::until("nothing is left", || {
                let status = inetd.daemon.status();
                status["children"] == 0 && status["sessions"] == 0
            });
        };
        let config = format!(
            "2001 stream tcp4 nowait {user} {PROBE} in.own report\n\
             2002 stream tcp4 nowait {user} /usr/sbin/tcpd {PROBE} report\n"
        );
        let inetd = Inetd::start(&["-l"], &config, &syslog);
        routed(&inetd, 2001, "2001");
        routed(&inetd, 2002, "2002");
        // Other options are taken off, as tcpd does it.
        let record_route = [7, 7, 4, 0, 0, 0, 0, 0];
        let mut caller = connect_with([127, 0, 0, 1], at(2001), &record_route);
        let report: Value = serde_json::from_str(&rest(&mut caller)).expect("a report");
        assert_eq!(report["ip_options"], json!([]));
        syslog.wait_for("connection from 127.0.0.1 with IP options (ignored): 07 07");
        drop(inetd);

        let inetd = Inetd::start(&["--dialect", "freebsd", "-w"], &config, &syslog);
        routed(&inetd, 2001, "2001");
        drop(inetd);

        let config = "2007 stream tcp4 nowait root internal echo\n";
        let inetd = Inetd::start(&["-W"], config, &syslog);
        routed(&inetd, 2007, "2007");
        echoes(&mut connect(at(2007)), "well");
    });
}

#[test]
fn netbsds_asks_without_an_option_and_says_only_whom_it_refuses() {
    sandbox::run(|| {
        tables("in.own: 127.0.0.1\n", "ALL: ALL\n");
        let syslog = Syslog::listen();
        let user = sandbox::user();
        let config = format!("2001 stream tcp nowait {user} {PROBE} in.own report\n");
        let inetd = Inetd::start(&["--dialect", "netbsd"], &config, &syslog);
        let record_route = [7, 7, 4, 0, 0, 0, 0, 0];
        let mut caller = connect_with([127, 0, 0, 1], at(2001), &record_route);
        let report: Value = serde_json::from_str(&rest(&mut caller)).expect("a report");
        assert_eq!(report["ip_options"], json!([]));
        assert_eq!(ask(2001, 2), "");
        syslog.wait_for("refused connection from 127.0.0.2");
        assert_eq!(syslog.count("connection from 127.0.0.1"), 0, "{:?}", syslog.lines());
        drop(inetd);
    });
}

#[test]
fn without_an_option_only_tcpd_asks() {
    sandbox::run(|| {
        tables("", "ALL: ALL\n");
        let syslog = Syslog::listen();
        let _inetd = Inetd::start(&[], &config(), &syslog);
        assert_eq!(listen(at(2001)), "well");
        assert_eq!(listen(at(2002)), "");
        assert!(is_echoed(7, 1));
        assert_eq!(through_tcpd(PROBE, &["say", "well"], [127, 0, 0, 1], &[]), "");
        fs::write("/etc/hosts.allow", "probe: ALL\n").expect("write");
        assert_eq!(listen(at(2002)), "behind");
        syslog.wait_for(" probe[");
    });
}
