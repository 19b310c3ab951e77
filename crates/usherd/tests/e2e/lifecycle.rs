//! From start to end: signals, the pid file, going into the background, the service manager, the log.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixDatagram;

use rustix::process::{Pid, Signal, getuid, kill_process, test_kill_process};

use crate::client::{at, connect, echoes, is_refused, line, listen, rest};
use crate::daemon::{self, CONFIG, CONTROL, Daemon, configure, inetd, said_by, usherd};
use crate::sandbox::{self, need_users};
use crate::syslog::Syslog;
use crate::wait::{self, DEADLINE};
use crate::waiting::number;

#[test]
fn term_and_int_end_it_with_0_and_leave_nothing_but_the_programs() {
    sandbox::run(|| {
        for signal in [Signal::TERM, Signal::INT] {
            let config = [
                daemon::line("2001", "stream tcp4", "nowait", "echo"),
                daemon::line("2002", "stream tcp4", "nowait", "hold it"),
                daemon::line("/run/x.sock", "stream unix", "nowait", "say well"),
            ];
            let mut daemon = Daemon::run_with(&config.concat(), &["--pid-file", "/run/usherd.pid"]);
            let pid = fs::read_to_string("/run/usherd.pid").expect("a pid file");
            assert_eq!(pid, format!("{}\n", daemon.pid()));
            let mut session = connect(at(2001));
            echoes(&mut session, "before");
            let mut held = connect(at(2002));
            let program = number(&line(&mut held));

            daemon.signal(signal);
            assert!(daemon.ended().success());
            assert!(is_refused(at(2001)));
            for left in ["/run/x.sock", "/run/usherd.pid", CONTROL] {
                assert!(!fs::exists(left).expect("stat"), "{left} is left");
            }
            echoes(&mut session, "and after");
            assert!(test_kill_process(Pid::from_raw(program).expect("a pid")).is_ok(), "it runs on");
        }
    });
}

#[test]
fn a_program_whose_standard_error_is_logged_outlives_the_daemon_too() {
    sandbox::run(|| {
        let script = "read -r line; echo complaint >&2; echo \"$line\"";
        let daemon = Daemon::serve(&["127.0.0.1:2001", "--", "/bin/sh", "-c", script]);
        let mut caller = connect(at(2001));
        wait::until("it runs", || daemon.count("2001", "running") == 1);
        assert!(daemon.terminate().success());
        caller.write_all(b"still here\n").expect("write");
        assert_eq!(rest(&mut caller), "still here\n");
    });
}

#[test]
fn a_pid_file_is_for_one_daemon() {
    sandbox::run(|| {
        // What a crash left behind is no daemon.
        fs::write("/run/usherd.pid", "1\n").expect("write");
        let config = daemon::line("2001", "stream tcp4", "nowait", "say well");
        let daemon = Daemon::run_with(&config, &["--pid-file", "/run/usherd.pid"]);
        let mut second = usherd("run");
        second.args(["--control", "none", "--pid-file", "/run/usherd.pid"]);
        let (status, said) = said_by(second);
        assert!(status == Some(73) && said.contains("/run/usherd.pid"), "{status:?} {said}");
        assert_eq!(fs::read_to_string("/run/usherd.pid").expect("read"), format!("{}\n", daemon.pid()));
        assert_eq!(listen(at(2001)), "well");
    });
}

#[test]
fn a_control_socket_is_for_one_daemon() {
    sandbox::run(|| {
        let _daemon = Daemon::run("127.0.0.1:2001 stream tcp4 nowait root internal echo\n");
        let mut second = usherd("run");
        second.args(["--control", CONTROL]);
        let (status, said) = said_by(second);
        assert!(status == Some(71) && said.contains(CONTROL), "{status:?} {said}");
        assert_eq!(daemon::status()["version"], 1);
    });
}

/// The classic face in the background, and what its parent said.
#[track_caller]
fn start_inetd(arguments: &[&str]) -> Daemon {
    let (status, said) = said_by(inetd(arguments));
    assert_eq!((status, said.as_str()), (Some(0), ""));
    let pid = if getuid().is_root() {
        fs::read_to_string("/run/inetd.pid").expect("a pid file").trim().parse().expect("a number")
    } else {
        let status = daemon::status();
        status["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid")
    };
    Daemon::of_pid(pid)
}

#[test]
fn inetd_leaves_its_caller_when_all_is_bound() {
    sandbox::run(|| {
        need_users();
        let log = Syslog::listen();
        configure(&daemon::line("2001", "stream tcp4", "nowait", "report"));
        let daemon = start_inetd(&[CONFIG]);
        // No waiting here: whoever started it may call at once.
        let report = crate::client::report(at(2001));
        assert_eq!(report["parent"], daemon.pid().to_string());
        let proc = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", daemon.pid())).expect("read");
        assert_eq!(proc("comm"), "inetd\n", "killall finds it");
        let stat = proc("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        assert_eq!(
            (fields[1], fields[3], fields[4]),
            ("1", daemon.pid().to_string().as_str(), "0"),
            "{stat}"
        );
        for number in 0..3 {
            let target = fs::read_link(format!("/proc/{}/fd/{number}", daemon.pid())).expect("a descriptor");
            assert_eq!(target.to_string_lossy(), "/dev/null");
        }

        // As "killall -HUP inetd" does: everybody of that name.
        configure(&daemon::line("2002", "stream tcp4", "nowait", "say reloaded"));
        for pid in named("inetd") {
            kill_process(Pid::from_raw(pid).expect("a pid"), Signal::HUP).expect("kill");
        }
        wait::until("the new service is there", || !is_refused(at(2002)));
        assert_eq!(listen(at(2002)), "reloaded");
        assert!(log.lines().iter().all(|line| line.contains(&format!(" inetd[{}]: ", daemon.pid()))));

        daemon.signal(Signal::TERM);
        wait::until("the pid file is gone", || !fs::exists("/run/inetd.pid").expect("stat"));
        wait::until("it has ended", || is_refused(at(2002)));
    });
}

/// All processes of a name.
fn named(name: &str) -> Vec<i32> {
    let all = fs::read_dir("/proc").expect("proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name))
        .collect()
}

#[test]
fn inetd_writes_the_originals_lines_to_syslog() {
    sandbox::run(|| {
        let log = Syslog::listen();
        let user = sandbox::user();
        let _taken = std::net::TcpListener::bind("127.0.0.1:2003").expect("bind");
        configure(&format!(
            "2001 stream tcp4 nowait {user} /srv/missing missing\n2002 stream tcp4 nowait nobodyhere /bin/sh sh\n\
             2003 stream tcp4 nowait {user} /bin/sh sh\nno-such stream tcp4 nowait {user} /bin/sh sh\n\
             2004 stream tcp4 nowait root internal tarpit\n2005 stream\n{}{}",
            daemon::line("2006", "stream tcp4", "nowait.1", "say well"),
            daemon::line("2007", "stream tcp4", "wait.1", "exit 3"),
        ));
        let child = inetd(&["-i", CONFIG]).env("XDG_RUNTIME_DIR", "/run").spawn().expect("spawn");
        log.wait_for("configured");
        for port in [2001, 2002] {
            assert_eq!(listen(at(port)), "");
        }
        assert_eq!(listen(at(2006)), "well");
        let _one_too_many = connect(at(2006));
        let _caller = connect(at(2007));
        let lines = [
            "execv /srv/missing: No such file or directory",
            "getpwnam: nobodyhere: No such user",
            "2003/tcp4: bind: Address already in use",
            "no-such/tcp4: unknown service",
            "internal service 2004 unknown",
            "2006/tcp4 server failing (looping), service terminated for 1 min",
            "/run/e2e/probe: exit status 3",
        ];
        for text in lines {
            let line = log.wait_for(text);
            assert!(line.ends_with(&format!(" inetd[{}]: {text}", child.id())), "{line}");
            let priority = line.split(['<', '>']).nth(1).and_then(|number| number.parse::<u8>().ok());
            assert_eq!(priority.map(|number| number >> 3), Some(3), "the daemons' facility: {line}");
        }
        let mut daemon = child;
        kill_process(Pid::from_child(&daemon), Signal::TERM).expect("kill");
        assert!(daemon.wait().expect("wait").success());
    });
}

#[test]
fn inetd_serves_with_odd_values_and_without_a_pid_file() {
    sandbox::run(|| {
        let log = Syslog::listen();
        let user = sandbox::user();
        configure(&format!(
            "{}2002 dgram udp4 wait {user} /srv/missing missing\nno-such stream tcp4 nowait {user} /bin/sh sh\n",
            daemon::line("2001", "stream tcp4", "nowait", "say well"),
        ));
        let arguments = ["-i", "-R", "-1", "-q", "-1", "-p", "/nowhere/inetd.pid", CONFIG];
        let mut child = inetd(&arguments).env("XDG_RUNTIME_DIR", "/run").spawn().expect("spawn");
        log.wait_for("configured");
        assert_eq!(listen(at(2001)), "well");
        let (_, said) = said_by(daemon::status_command());
        assert!(said.contains(" programs, 0 sessions") && !said.contains("at most"), "{said}");
        let line = log.wait_for("-R -1");
        assert!(line.starts_with("<11>"), "{line}");
        assert!(line.ends_with(" inetd: -R -1: bad value for service invocation rate"), "{line}");
        log.wait_for("no pid file: /nowhere/inetd.pid: ");
        assert!(log.wait_for("no-such").starts_with("<27>"));
        assert_eq!(log.count("no-such"), 1, "a finding is said once");
        std::net::UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.send_to(b"hello", at(2002)))
            .expect("send");
        assert!(log.wait_for("execv /srv/missing: No such file or directory").starts_with("<27>"));
        let line = log.wait_for("/srv/missing: exit status 1");
        assert!(line.starts_with("<28>"), "{line}");
        kill_process(Pid::from_child(&child), Signal::TERM).expect("kill");
        assert!(child.wait().expect("wait").success());
    });
}

#[test]
fn a_log_daemon_that_is_restarted_is_found_again() {
    sandbox::run(|| {
        let first = UnixDatagram::bind("/dev/log").expect("bind");
        configure(&format!("2001 stream tcp4 nowait {} /srv/missing missing\n", sandbox::user()));
        let mut daemon = inetd(&["-i", CONFIG]).env("XDG_RUNTIME_DIR", "/run").spawn().expect("spawn");
        first.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        let mut buffer = [0; 4096];
        first.recv(&mut buffer).expect("a line");
        drop(first);
        fs::remove_file("/dev/log").expect("remove");
        let log = Syslog::listen();
        wait::until("it serves", || !is_refused(at(2001)));
        assert_eq!(listen(at(2001)), "");
        log.wait_for("execv /srv/missing");
        kill_process(Pid::from_child(&daemon), Signal::TERM).expect("kill");
        assert!(daemon.wait().expect("wait").success());
    });
}

#[test]
fn a_log_daemon_that_comes_late_is_found() {
    sandbox::run(|| {
        configure(&format!("2001 stream tcp4 nowait {} /srv/missing missing\n", sandbox::user()));
        let mut daemon = inetd(&["-i", CONFIG]).env("XDG_RUNTIME_DIR", "/run").spawn().expect("spawn");
        wait::until("it serves", || !is_refused(at(2001)));
        let log = Syslog::listen();
        assert_eq!(listen(at(2001)), "");
        log.wait_for("execv /srv/missing");
        log.wait_for("log lines were lost");
        kill_process(Pid::from_child(&daemon), Signal::TERM).expect("kill");
        assert!(daemon.wait().expect("wait").success());
    });
}

#[test]
fn a_service_manager_hears_of_start_reload_life_and_end() {
    sandbox::run(|| {
        let manager = UnixDatagram::bind("/run/notify").expect("bind");
        manager.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        let hear = |word: &str| loop {
            let mut buffer = [0; 4096];
            let length = manager.recv(&mut buffer).expect("a message");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|line| line == word) {
                break text;
            }
        };
        configure(&daemon::line("2001", "stream tcp4", "nowait", "report"));
        let mut command = usherd("run");
        command.args(["--control", CONTROL]);
        command.env("NOTIFY_SOCKET", "/run/notify").env("WATCHDOG_USEC", "100000");
        let mut daemon = Daemon::start(command);
        hear("READY=1");
        hear("WATCHDOG=1");
        hear("WATCHDOG=1");
        daemon.signal(Signal::HUP);
        assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="));
        hear("READY=1");
        configure("\0\0\0\0\0");
        daemon.signal(Signal::HUP);
        hear("RELOADING=1");
        hear("READY=1");
        let environment = crate::client::report(at(2001))["environment"].to_string();
        assert!(!environment.contains("NOTIFY") && !environment.contains("WATCHDOG"), "{environment}");
        daemon.signal(Signal::TERM);
        hear("STOPPING=1");
        assert!(daemon.ended().success());
    });
}

#[test]
fn signals_that_mean_nothing_do_not_end_it() {
    sandbox::run(|| {
        let daemon = Daemon::run(&daemon::line("2001", "stream tcp4", "nowait", "say well"));
        for signal in [Signal::USR1, Signal::USR2, Signal::PIPE, Signal::ALARM, Signal::CHILD, Signal::CONT] {
            daemon.signal(signal);
        }
        assert_eq!(listen(at(2001)), "well");
        assert!(daemon.terminate().success());
    });
}

#[test]
fn a_second_inetd_refuses_and_the_first_goes_on() {
    sandbox::run(|| {
        need_users();
        let _log = Syslog::listen();
        configure(&daemon::line("2001", "stream tcp4", "nowait", "say well"));
        let daemon = start_inetd(&[]);
        let (status, said) = said_by(inetd(&[CONFIG]));
        assert!(status == Some(1) && said.contains("/run/inetd.pid"), "{status:?} {said}");
        assert_eq!(listen(at(2001)), "well");
        daemon.signal(Signal::TERM);
        wait::until("it has ended", || is_refused(at(2001)));
    });
}

#[test]
fn inetds_flags_do_what_they_did() {
    sandbox::run(|| {
        let log = Syslog::listen();
        let environment = [("XDG_RUNTIME_DIR", "/run"), ("TMPDIR", "/x"), ("PATH", "/bin:/usr/bin")];
        // Each has a port of its own: a child on its way to its program keeps the last one's for a moment.
        let run = |port: u16, arguments: &[&str]| {
            configure(&daemon::line(&port.to_string(), "stream tcp4", "nowait", "report"));
            let child = inetd(arguments).arg(CONFIG).envs(environment).spawn().expect("spawn");
            log.wait_for(&format!("inetd[{}]: configured", child.id()));
            child
        };
        let end = |mut child: std::process::Child| {
            kill_process(Pid::from_child(&child), Signal::TERM).expect("kill");
            assert!(child.wait().expect("wait").success());
        };
        let environment_at = |port: u16| crate::client::report(at(port))["environment"].to_string();

        let child = run(2001, &["-i", "-E"]);
        assert!(environment_at(2001).contains("TMPDIR=/x"));
        end(child);

        let child = run(2002, &["-i", "-R", "2", "-q", "20"]);
        assert!(!environment_at(2002).contains("TMPDIR=/x"));
        listen(at(2002));
        let _third = connect(at(2002));
        log.wait_for("2002/tcp4 server failing (looping), service terminated for 1 min");
        end(child);

        let child = run(2003, &["-i", "-R", "none"]);
        log.wait_for("-R none: bad value for service invocation rate");
        end(child);
    });
}

#[test]
fn inetd_of_an_ordinary_user_wants_a_file() {
    sandbox::run(|| {
        use std::os::unix::process::CommandExt;
        let mut command = inetd(&["-i"]);
        if getuid().is_root() {
            command.uid(1001).gid(1001);
        }
        let (status, said) = said_by(command);
        assert!(
            status == Some(1) && said.contains("non-root must specify a config file"),
            "{status:?} {said}"
        );
    });
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    sandbox::run(|| {
        configure(&daemon::line("2001", "stream tcp4", "nowait", "say well"));
        let mut command = usherd("run");
        command.args(["--control", CONTROL, "--log-connections", "--rate", "100000"]);
        let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("spawn");
        wait::until("it serves", || !is_refused(at(2001)));
        // Two lines of about a hundred bytes each: the pipe is full long before the end.
        for _ in 0..500 {
            assert_eq!(listen(at(2001)), "well");
        }
        assert_eq!(daemon::status()["services"][0]["started"].as_u64(), Some(501));
        kill_process(Pid::from_child(&child), Signal::TERM).expect("kill");
        assert!(child.wait().expect("wait").success());
    });
}
