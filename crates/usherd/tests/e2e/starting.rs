//! What a started program finds: descriptors, signals, identity, environment, arguments.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, getuid, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};

use crate::client::{at, line, report};
use crate::daemon::{self, CONFIG, CONTROL, Daemon, configure, usherd};
use crate::probe::PROBE;
use crate::sandbox::{self, USHERD, need_ipv6, need_users};

/// What every program is to find, whatever the daemon was started with.
#[track_caller]
fn assert_clean(report: &Value) {
    let descriptors = report["descriptors"].as_array().expect("descriptors");
    let sockets = descriptors.iter().filter(|one| one.as_str().is_some_and(|one| one.contains("socket:")));
    assert_eq!((descriptors.len(), sockets.count()), (3, 3), "{descriptors:?}");
    let zero = "0000000000000000";
    assert_eq!((&report["blocked"], &report["ignored"]), (&json!(zero), &json!(zero)));
    assert_eq!((&report["folder"], &report["umask"]), (&json!("/"), &json!("022")));
    assert_eq!((&report["leads_session"], &report["blocks"]), (&json!(true), &json!(true)));
    assert_eq!(report["capabilities"][0], zero, "inheritable");
    assert_eq!(report["capabilities"][3], zero, "ambient");
}

#[test]
fn a_program_gets_a_clean_process() {
    sandbox::run(|| {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(200), maximum: limit.maximum })
            .expect("setrlimit");
        configure(&daemon::line("2001", "stream tcp4", "nowait", "report"));
        // As whoever started it left it: signals ignored, a descriptor open, an odd umask and folder.
        let script = format!(
            "trap '' HUP PIPE USR1 CHLD; umask 077; cd /etc; exec 7</etc/passwd; \
             exec {USHERD} run -c {CONFIG} --control {CONTROL}"
        );
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", &script]);
        let daemon = Daemon::start(shell);
        let report = report(at(2001));
        assert_clean(&report);
        assert_eq!(report["nofile"], json!([200, limit.maximum]), "the original limit");
        assert_eq!(report["parent"], daemon.pid().to_string());
    });
}

#[test]
fn a_program_gets_no_descriptor_of_hundreds_of_listeners() {
    sandbox::run(|| {
        let lines: Vec<String> = (2001..2301)
            .map(|port| daemon::line(&port.to_string(), "stream tcp4", "nowait", "report"))
            .collect();
        let _daemon = Daemon::run(&lines.concat());
        for port in [2001, 2150, 2300, 2001] {
            assert_clean(&report(at(port)));
        }
    });
}

#[test]
fn users_and_groups_are_those_of_the_line() {
    sandbox::run(|| {
        need_users();
        let owners = [
            ("alice", json!([1001, 1001, 1001, 1001]), json!([1001, 1101, 1102])),
            ("alice.staff", json!([1001, 1001, 1101, 1101]), json!([1101, 1102])),
            ("alice:games", json!([1001, 1001, 1102, 1102]), json!([1101, 1102])),
            ("nobody", json!([65534, 65534, 65534, 65534]), json!([65534])),
            ("nobody.root", json!([65534, 65534, 0, 0]), json!([0])),
            ("root.staff", json!([0, 0, 1101, 1101]), json!([1101])),
            ("root", json!([0, 0, 0, 0]), json!([0])),
        ];
        let lines: Vec<String> = (2001..)
            .zip(&owners)
            .map(|(port, (owner, ..))| format!("{port} stream tcp4 nowait {owner} {PROBE} probe report\n"))
            .collect();
        let _daemon = Daemon::run(&lines.concat());
        for (port, (owner, ids, groups)) in (2001..).zip(owners) {
            let report = report(at(port));
            let mut found: Vec<u64> =
                report["groups"].as_array().expect("groups").iter().filter_map(Value::as_u64).collect();
            found.sort_unstable();
            assert_eq!((&report["ids"], json!(found)), (&ids, groups), "{owner}");
            assert_clean(&report);
            if ids[0] != 0 {
                let zero = "0000000000000000";
                assert_eq!(report["capabilities"], json!([zero, zero, zero, zero]), "{owner}");
            }
        }
    });
}

/// What is set around a daemon here.
const AROUND: [(&str, &str); 12] = [
    ("LANG", "C.UTF-8"),
    ("PATH", "/usr/bin:/bin"),
    ("HOME", "/root"),
    ("TMPDIR", "/var/tmp"),
    ("SSH_AUTH_SOCK", "/x"),
    ("LD_LIBRARY_PATH", "/x"),
    ("USER", "somebody"),
    ("LISTEN_FDS", "1"),
    ("JOURNAL_STREAM", "8:1"),
    ("INVOCATION_ID", "0123"),
    ("TCPREMOTEHOST", "stale.example"),
    ("PROTO", "STALE"),
];

/// The environment of a program on port 2001, under a daemon with these arguments.
fn environment_with(arguments: &[&str]) -> Vec<String> {
    let mut command = usherd("run");
    command.args(["--control", CONTROL]).args(arguments).env_clear().envs(AROUND);
    let daemon = Daemon::start(command);
    let all = environment(&report(at(2001)));
    daemon.terminate();
    all
}

/// The environment that a report shows, in order.
fn environment(report: &Value) -> Vec<String> {
    let mut all: Vec<String> =
        report["environment"].as_array().expect("environment").iter().map(word).collect();
    all.sort();
    all
}

fn word(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

#[test]
fn the_environment_is_cleaned_unless_it_is_to_be_kept() {
    sandbox::run(|| {
        configure(&daemon::line("2001", "stream tcp4", "nowait", "report"));
        let cleaned = environment_with(&[]);
        assert_eq!(cleaned, ["LANG=C.UTF-8", "PROTO=STALE", "TCPREMOTEHOST=stale.example"]);
        let kept = environment_with(&["--keep-environment"]);
        for expected in ["PATH=/usr/bin:/bin", "HOME=/root", "TMPDIR=/var/tmp", "LD_LIBRARY_PATH=/x"] {
            assert!(kept.iter().any(|one| one == expected), "{expected} in {kept:?}");
        }
        assert!(
            !kept.iter().any(|one| one.starts_with("LISTEN_") || one.starts_with("JOURNAL_")),
            "{kept:?}"
        );
    });
}

#[test]
fn ucspi_variables_are_those_of_the_connection_and_never_stale() {
    sandbox::run(|| {
        need_ipv6();
        configure(
            &[
                daemon::line("2001", "stream tcp4", "nowait", "report"),
                daemon::line("2002", "stream tcp46", "nowait", "report"),
                daemon::line("/run/x.sock", "stream unix", "nowait", "report"),
            ]
            .concat(),
        );
        let mut command = usherd("run");
        command.args(["--control", CONTROL, "--ucspi"]).env_clear().envs(AROUND);
        let _daemon = Daemon::start(command);
        for (port, to) in [(2001, "127.0.0.2:2001"), (2002, "127.0.0.1:2002"), (2002, "[::1]:2002")] {
            let mut stream = std::net::TcpStream::connect(to).expect("connect");
            let own = stream.local_addr().expect("an address");
            let (ip, _) = to.rsplit_once(':').expect("a port");
            let ip = ip.trim_matches(['[', ']']);
            let report: Value = serde_json::from_str(&crate::client::rest(&mut stream)).expect("a report");
            let all = environment(&report);
            let expected = [
                "LANG=C.UTF-8".to_owned(),
                "PROTO=TCP".to_owned(),
                format!("TCPLOCALIP={ip}"),
                format!("TCPLOCALPORT={port}"),
                format!("TCPREMOTEIP={}", own.ip()),
                format!("TCPREMOTEPORT={}", own.port()),
            ];
            assert_eq!(all, expected, "{to}");
        }
        let mut stream = std::os::unix::net::UnixStream::connect("/run/x.sock").expect("connect");
        let report: Value = serde_json::from_str(&crate::client::rest(&mut stream)).expect("a report");
        let all = environment(&report);
        assert!(!all.iter().any(|one| one.contains("STALE") || one.contains("stale")), "{all:?}");
    });
}

#[test]
fn inetd_resolves_names_beside_the_daemon() {
    sandbox::run(|| {
        let lines = [
            daemon::line("127.0.0.2:2001", "stream tcp4", "nowait", "report"),
            format!("2003 stream tcp4 nowait {} /no/such/program x\n", sandbox::user()),
        ];
        configure(&lines.concat());
        let mut command = daemon::inetd(&["-i", "-e", "--resolve", CONFIG]);
        command.env("XDG_RUNTIME_DIR", "/run");
        let _daemon = Daemon::start(command);
        let report = report("127.0.0.2:2001".parse().expect("an address"));
        let all = environment(&report);
        assert!(all.contains(&"TCPLOCALHOST=second".to_owned()), "{all:?}");
        assert!(all.contains(&"TCPREMOTEHOST=localhost".to_owned()), "{all:?}");
        assert_eq!(report["argv"][0], "probe");
        assert_eq!(crate::client::listen(at(2003)), "", "a caller hears nothing of what is wrong here");
    });
}

#[test]
fn arguments_are_passed_as_they_stand() {
    sandbox::run(|| {
        let user = sandbox::user();
        let many: Vec<String> = (0..300).map(|number| format!("argument{number}")).collect();
        let config = format!(
            "2001 stream tcp4 nowait {user} {PROBE}\n\
             2002 stream tcp4 nowait {user} {PROBE} other-name report -x \"quoted words\" $HOME\n\
             2003 stream tcp4 nowait {user} {PROBE} probe report\n\t{}\n",
            many.join("\n ")
        );
        let _daemon = Daemon::run(&config);
        assert_eq!(report(at(2001))["argv"], json!(["probe"]), "the program's own name");
        let expected = json!(["other-name", "report", "-x", "\"quoted", "words\"", "$HOME"]);
        assert_eq!(report(at(2002))["argv"], expected);
        assert_eq!(report(at(2003))["argv"].as_array().map_or(0, Vec::len), 302);
    });
}

#[test]
fn a_script_is_a_service() {
    sandbox::run(|| {
        std::fs::write("/run/hello.sh", "#!/bin/sh\nread -r name\necho \"Good day, $name.\"\n")
            .expect("write");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions("/run/hello.sh", mode).expect("chmod");
        let _daemon = Daemon::run(&format!("2001 stream tcp4 nowait {} /run/hello.sh\n", sandbox::user()));
        assert_eq!(crate::client::ask(at(2001), "Ada\n"), "Good day, Ada.\n");
        assert_eq!(getuid().is_root(), sandbox::user() == "root");
    });
}

#[test]
fn callers_of_one_service_are_served_side_by_side() {
    sandbox::run(|| {
        let daemon = Daemon::run(&daemon::line("2001", "stream tcp4", "nowait", "hold it"));
        let mut callers: Vec<_> = (0..20).map(|_| crate::client::connect(at(2001))).collect();
        let said: std::collections::HashSet<String> = callers.iter_mut().map(line).collect();
        assert_eq!((said.len(), daemon.count("2001", "running")), (20, 20), "each has a program of its own");
    });
}

#[test]
fn a_daemon_without_standard_descriptors_starts_programs_with_theirs() {
    sandbox::run(|| {
        configure(&daemon::line("2001", "stream tcp4", "nowait", "report"));
        let script = format!("exec {USHERD} run -c {CONFIG} --control {CONTROL} <&- >&- 2>&-");
        let mut shell = std::process::Command::new("/bin/sh").args(["-c", &script]).spawn().expect("spawn");
        crate::wait::until("it serves", || !crate::client::is_refused(at(2001)));
        for _ in 0..2 {
            assert_clean(&report(at(2001)));
        }
        shell.kill().expect("kill");
        shell.wait().expect("wait");
    });
}

#[test]
fn a_daemon_with_few_descriptors_serves() {
    sandbox::run(|| {
        for (few, port) in [(32, 2001), (64, 2002), (80, 2003)] {
            configure(&daemon::line(&port.to_string(), "stream tcp4", "nowait", "say well"));
            let script = format!("ulimit -n {few}; exec {USHERD} run -c {CONFIG} --control {CONTROL}");
            let mut shell = std::process::Command::new("/bin/sh");
            shell.args(["-c", &script]);
            let daemon = Daemon::start(shell);
            assert_eq!(crate::client::listen(at(port)), "well", "with {few}");
            assert!(daemon.terminate().success());
        }
    });
}

#[test]
fn a_burst_of_callers_is_served_to_the_last() {
    sandbox::run(|| {
        let own_cpus = sched_getaffinity(None).expect("sched_getaffinity");
        let config = [
            daemon::line("2001", "stream tcp4", "nowait", "say burst"),
            daemon::line("2002", "stream tcp4", "nowait", "say well"),
        ];
        let daemon = Daemon::run_with(&config.concat(), &["--rate", "100000", "--backlog", "1000"]);
        // On one CPU, where the daemon is ahead of its children; and one caller of another service among the others.
        let mut cpu = CpuSet::new();
        let first = (0..CpuSet::MAX_CPU).find(|cpu| own_cpus.is_set(*cpu)).expect("a CPU");
        cpu.set(first);
        sched_setaffinity(Pid::from_raw(daemon.pid()), &cpu).expect("sched_setaffinity");
        daemon.signal(rustix::process::Signal::STOP);
        let mut callers: Vec<_> = (0..300).map(|_| crate::client::connect(at(2001))).collect();
        let mut other = crate::client::connect(at(2002));
        daemon.signal(rustix::process::Signal::CONT);
        let lost = callers.iter_mut().map(crate::client::rest).filter(|said| said != "burst").count();
        assert_eq!(
            (lost, crate::client::rest(&mut other).as_str()),
            (0, "well"),
            "lost of 300; and the other"
        );
    });
}
