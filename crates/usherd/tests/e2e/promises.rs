//! The six promises of the README, a test for each. What lies behind them is tested in the other files.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;

use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};
use serde_json::json;

use crate::client::{
    ask, ask_by_datagram, at, connect, echoes, is_refused, line, listen, report, reset, rest,
};
use crate::daemon::{self, Daemon, configure, log_count, said_by, usherd, wait_for_log};
use crate::probe::PROBE;
use crate::sandbox::{self, need_ipv6, need_users};
use crate::wait;

/// What Debian's package, its friends and an administrator left behind over the years.
const DEBIAN: &str = "\
# /etc/inetd.conf:  see inetd(8) for further informations.
#
# Internet superserver configuration database
#
# <service_name>\t<sock_type>\t<proto>\t<flags>\t<user>\t<server_path>\t<args>
#
#:INTERNAL: Internal services
discard\t\tstream\ttcp\tnowait\troot\tinternal
discard\t\tdgram\tudp\twait\troot\tinternal
daytime\t\tstream\ttcp6\tnowait\troot\tinternal
#chargen\tstream\ttcp6\tnowait\troot\tinternal
time\t\tstream\ttcp\tnowait\troot\tinternal
echo\t\tdgram\tudp\twait\troot\tinternal

#:STANDARD: These are standard services.
#<off># ftp\tstream\ttcp\tnowait\troot\t/usr/sbin/tcpd\t/usr/sbin/in.ftpd
#<off># netstat\tstream\ttcp\tnowait\tnobody\t/bin/netstat\tnetstat
telnet\t\tstream\ttcp\tnowait\tbob.smith\t/run/e2e/probe\tprobe report
finger\t\tstream\ttcp4\tnowait\tnobody.staff\t/run/e2e/probe\tin.fingerd report

#:BOOT: TFTP service is provided primarily for booting.
tftp\t\tdgram\tudp4\twait\tnobody\t/run/e2e/probe\tprobe receive tftp 1

#:OTHER: Other services
example\t\tstream\ttcp4,rcvbuf=64k,sndbuf=32k\tnowait.400\talice:games\t/run/e2e/probe\tprobe
\treport one
\ttwo  three
127.0.0.2:2600\tstream\ttcp4\tnowait\talice\t/run/e2e/probe\tprobe say only here
localhost,second:
2700\t\tstream\ttcp4\tnowait\tnobody\t/run/e2e/probe\tprobe say two addresses
*:
2800\t\tstream\ttcp46\tnowait\tnobody\t/run/e2e/probe\tprobe say both families
/run/old.sock\tstream\tunix\tnowait\troot\t/run/e2e/probe\tprobe say by a path
";

#[test]
fn promise_1_old_configurations_run() {
    sandbox::run(|| {
        need_users();
        need_ipv6();
        let daemon = Daemon::run(DEBIAN);
        let six = |port: u16| -> SocketAddr { format!("[::1]:{port}").parse().expect("an address") };
        let second = |port: u16| -> SocketAddr { format!("127.0.0.2:{port}").parse().expect("an address") };

        assert_eq!(ask(at(9), "anything"), "");
        assert_eq!(ask(six(9), "anything"), "");
        assert!(listen(six(13)).ends_with("\r\n") && is_refused(at(13)), "daytime is for IPv6 only");
        assert_eq!(listen(at(37)).len().min(4), listen(six(37)).len().min(4));
        assert_eq!(ask_by_datagram(at(7), "hello"), "hello");
        assert_eq!(ask_by_datagram(six(7), "hello"), "hello");
        assert!(is_refused(at(21)) && is_refused(at(15)) && is_refused(at(19)), "they are switched off");

        let telnet = report(six(23));
        assert_eq!(telnet["ids"], json!([1003, 1003, 1002, 1002]), "a name may hold a dot");
        let finger = report(at(79));
        assert_eq!(finger["ids"], json!([65534, 65534, 1101, 1101]));
        assert_eq!(finger["argv"], json!(["in.fingerd", "report"]));
        assert!(ask_by_datagram(at(69), "get").ends_with(" get"));

        let example = report(at(2500));
        assert_eq!(example["argv"], json!(["probe", "report", "one", "two", "three"]));
        assert_eq!(example["ids"], json!([1001, 1001, 1102, 1102]));
        assert_eq!(example["buffers"], json!([2 * 64 * 1024, 2 * 32 * 1024]), "the kernel doubles them");

        assert_eq!(listen(second(2600)), "only here");
        assert!(is_refused(at(2600)) && is_refused(six(2600)));
        assert_eq!(
            (listen(at(2700)), listen(second(2700))),
            (listen(second(2700)), "two addresses".to_owned())
        );
        assert_eq!(
            (listen(at(2800)).as_str(), listen(six(2800)).as_str()),
            ("both families", "both families")
        );
        assert_eq!(rest(&mut UnixStream::connect("/run/old.sock").expect("connect")), "by a path");
        assert_eq!(daemon.status()["diagnostics"].as_array().map_or(9, Vec::len), 1, "the amplifier only");
    });
}

#[test]
fn promise_2_nothing_a_caller_does_stops_the_daemon() {
    sandbox::run(|| {
        let own = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: own.maximum, maximum: own.maximum })
            .expect("setrlimit");
        // A built-in has an eighth of the daemon's descriptors, and we need as many as it.
        let many = own.maximum.map_or(1100, |most| 1100.min(most / 8 - 10));
        let builtin = |name: &str| format!("{name} stream tcp4 nowait root internal\n");
        let config: String = [
            builtin("echo"),
            builtin("discard"),
            builtin("chargen"),
            builtin("daytime"),
            daemon::line("2001", "stream tcp4", "nowait", "hold it"),
            daemon::line("2002", "stream tcp4", "nowait", "say well"),
        ]
        .concat();
        let daemon = Daemon::run_with(&config, &["--rate", "100000"]);
        let is_well = || {
            assert_eq!(listen(at(2002)), "well");
            echoes(&mut connect(at(7)), "well");
            assert_eq!(daemon.status()["version"], 1);
        };
        is_well();
        daemon.comes_to_rest(daemon.descriptors());
        let before = daemon.descriptors();

        for _ in 0..100 {
            reset(at(7));
            reset(at(19));
            reset(at(2001));
        }
        is_well();

        let megabyte = vec![b'x'; 1 << 20];
        for port in [7, 9, 13, 2001] {
            let mut stream = connect(at(port));
            stream.set_nonblocking(true).expect("no waiting");
            let mut rest = megabyte.as_slice();
            // Until it is all gone, or nobody takes more.
            while let Ok(written @ 1..) = stream.write(rest) {
                rest = &rest[written..];
            }
        }
        is_well();

        let mut callers: Vec<_> = (0..many).flat_map(|_| [connect(at(7)), connect(at(9))]).collect();
        is_well();
        callers.extend((0..20).flat_map(|_| [9, 19, 2001].map(|port| connect(at(port)))));
        for half_closed in callers.iter().rev().take(40) {
            half_closed.shutdown(Shutdown::Write).expect("shutdown");
        }
        is_well();
        drop(callers);
        daemon.comes_to_rest(before);
        is_well();
    });
}

#[test]
fn promise_3_no_limit_is_permanent() {
    sandbox::run(|| {
        let hold = ["--", PROBE, "hold", "it"];
        let daemon = Daemon::serve(&[&["127.0.0.1:2001", "--max", "1"][..], &hold].concat());
        let first = connect(at(2001));
        let mut second = connect(at(2001));
        wait::until("it rests", || daemon.state("2001") == "paused");
        assert_eq!(daemon.service("2001")["listeners"][0]["why"], "limit reached: children");
        assert_eq!(daemon.limit("2001", "children"), Some((true, 0)));
        drop(first);
        assert!(line(&mut second).starts_with("it "));
        drop(second);
        daemon.terminate();

        let daemon = Daemon::serve(&[&["127.0.0.1:2001", "--max-per-source", "1"][..], &hold].concat());
        let mut first = connect(at(2001));
        line(&mut first);
        assert_eq!(listen(at(2001)), "", "one too many is refused");
        assert_eq!(daemon.limit("2001", "source-children"), Some((true, 1)));
        drop(first);
        wait::until("there is room again", || !line(&mut connect(at(2001))).is_empty());
        daemon.terminate();

        // Starts are limited by time: what is to be seen here is that it ends, and when.
        let daemon =
            Daemon::serve(&[&["127.0.0.1:2001", "--rate", "2"][..], &["--", PROBE, "say", "it"]].concat());
        assert_eq!((listen(at(2001)), listen(at(2001))), ("it".to_owned(), "it".to_owned()));
        let _third = connect(at(2001));
        wait::until("it rests", || daemon.state("2001") == "paused");
        let left = daemon.service("2001")["listeners"][0]["seconds_left"].as_u64();
        assert!(left.is_some_and(|left| left <= 60), "{left:?}");
        assert_eq!(log_count("event=limit-began limit=starts"), 1);
    });
}

#[test]
fn promise_4_reload_drops_no_session_and_bad_file_takes_nothing_down() {
    sandbox::run(|| {
        let builtin = "127.0.0.1:7 stream tcp4 nowait root internal echo\n";
        let program = daemon::line("2001", "stream tcp4", "nowait", "echo");
        let server = daemon::line("2002", "stream tcp4", "wait", "accept server 0");
        let other = daemon::line("2003", "stream tcp4", "nowait", "say old");
        let daemon = Daemon::run(&[builtin, &program, &server, &other].concat());
        let mut sessions = [connect(at(7)), connect(at(2001))];
        let mut served = connect(at(2002));
        let server_says = line(&mut served);
        let mut live = |daemon: &Daemon| {
            for session in &mut sessions {
                echoes(session, "still here\n");
            }
            wait::until("the wait server has the socket", || daemon.state("2002") == "handed-over");
            drop(std::mem::replace(&mut served, connect(at(2002))));
            assert_eq!(line(&mut served), server_says, "the same server");
            echoes(&mut connect(at(7)), "and new ones");
            echoes(&mut connect(at(2001)), "and new ones");
        };
        live(&daemon);

        let changed = daemon::line("2003", "stream tcp4", "nowait", "say new");
        daemon.reload(&[builtin, &program, &server, &changed].concat());
        live(&daemon);
        assert_eq!(listen(at(2003)), "new");

        // One line is bad: that service goes on as it was, and the others follow the file.
        let bad = "2003 stream tcp4 nowait\n";
        daemon.reload(&[builtin, &program, &server, bad].concat());
        live(&daemon);
        assert_eq!(listen(at(2003)), "new");

        let spoil: [(&str, &dyn Fn()); 4] = [
            ("missing", &|| fs::remove_file(daemon::CONFIG).expect("remove")),
            ("garbage", &|| configure("\u{1}\u{2}\0\0\0\0\0\0 garbage")),
            ("utf-16", &|| fs::write(daemon::CONFIG, b"\xff\xfe7\0 \0s\0").expect("write")),
            ("a folder", &|| {
                fs::remove_file(daemon::CONFIG).expect("remove");
                fs::create_dir(daemon::CONFIG).expect("create");
                fs::write("/etc/inetd.conf/x", "\0\0\0").expect("write");
            }),
        ];
        for (name, spoil) in spoil {
            spoil();
            daemon.reread();
            live(&daemon);
            assert_eq!(listen(at(2003)), "new", "with a file that is {name}");
        }
    });
}

#[test]
fn promise_5_a_failed_start_tells_why() {
    sandbox::run(|| {
        let daemon = Daemon::serve(&["127.0.0.1:2001", "--", "/srv/no-such-program", "argument"]);
        assert_eq!(listen(at(2001)), "");
        wait_for_log("event=start-failed service=2001 program=/srv/no-such-program No such file");
        let service = daemon.service("2001");
        assert_eq!((&service["program"], &service["failed"]), (&json!("/srv/no-such-program"), &json!(1)));
        assert_eq!(service["failures"][0]["errno"], 2);
        assert_eq!(service["failures"][0]["error"], "exec: No such file or directory");
        daemon.terminate();

        let complaint = ["127.0.0.1:2001", "--", PROBE, "complain", "no database at 192.0.2.1", "3"];
        let daemon = Daemon::serve(&complaint);
        assert_eq!(listen(at(2001)), "", "standard error is not for the caller");
        wait_for_log("event=stderr service=2001 no database at 192.0.2.1");
        wait_for_log("event=disconnected service=2001 exit status 3");
        assert_eq!(daemon.service("2001")["stderr"], json!(["first line", "no database at 192.0.2.1"]));
        let text = usherd("status").args(["--control", daemon::CONTROL]).output().expect("status").stdout;
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains(PROBE) && text.contains("stderr: no database at 192.0.2.1"), "{text}");
    });
}

#[test]
fn promise_6_what_cannot_be_enforced_refuses_to_start() {
    sandbox::run(|| {
        // A guard that cannot be asked lets nobody in.
        let line = format!("2001 stream tcp4 nowait root /usr/sbin/tcpd {PROBE} say within\n");
        let guarded = Daemon::run(&line);
        assert_eq!(listen(at(2001)), "within");
        fs::remove_file("/etc/hosts.deny").ok();
        fs::create_dir("/etc/hosts.deny").expect("the sandbox has an /etc");
        assert_eq!(listen(at(2001)), "");
        wait_for_log("event=access-denied daemon=probe");
        guarded.terminate();

        // Who is not root cannot start programs as another: no program starts, and serve, which has no other, neither.
        let ordinary = |face: &str| {
            let mut command = usherd(face);
            if getuid().is_root() {
                command.uid(1001).gid(1001);
            }
            command
        };
        let mut serve = ordinary("serve");
        serve.args(["--control", "none", "--user", "bob", "127.0.0.1:2001", "--", PROBE, "say", "as whom?"]);
        let (status, said) = said_by(serve);
        assert_eq!(status, Some(77), "{said}");

        configure(&format!("2002 stream tcp4 nowait bob {PROBE} probe say as whom?\n"));
        let mut run = ordinary("run");
        run.args(["--control", "none"]);
        let _daemon = Daemon::start(run);
        assert_eq!(listen(at(2002)), "");
        wait_for_log("event=start-failed only root can start it as bob");
    });
}
