//! Starts that fail: what is said, how often, and what it costs the others.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::client::{at, listen};
use crate::daemon::{self, Daemon, log_count, wait_for_log};
use crate::sandbox::{self, need_users, user};
use crate::syslog::Syslog;
use crate::wait;

#[test]
fn each_cause_is_told_with_its_number() {
    sandbox::run(|| {
        let file = |path: &str, text: &str, mode: u32| {
            fs::write(path, text).expect("write");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
        };
        file("/run/plain", "#!/bin/sh\n", 0o644);
        file("/run/no-interpreter", "#!/srv/missing\n", 0o755);
        file("/run/no-first-line", "echo hello\n", 0o755);
        file("/run/file", "", 0o644);
        let programs = [
            ("2001", "/srv/missing", 2, "No such file or directory"),
            ("2002", "/run/plain", 13, "Permission denied"),
            ("2003", "/run", 13, "Permission denied"),
            ("2004", "/run/no-interpreter", 2, "No such file or directory"),
            ("2005", "/run/no-first-line", 8, "Exec format error"),
            ("2006", "/run/file/x", 20, "Not a directory"),
        ];
        let config: String = programs
            .iter()
            .map(|(port, program, ..)| format!("{port} stream tcp4 nowait {} {program} x\n", user()))
            .collect();
        let daemon = Daemon::run(&(config + &daemon::line("2009", "stream tcp4", "nowait", "say well")));
        for (port, program, errno, words) in programs {
            let number = port.parse().expect("a port");
            assert_eq!(listen(at(number)), "", "{program}");
            wait_for_log(&format!("event=start-failed service={port} program={program} {words}"));
            let failure = daemon.service(port)["failures"][0].clone();
            assert_eq!(failure["errno"], errno, "{program}: {failure}");
            assert_eq!(listen(at(2009)), "well");
        }
    });
}

#[test]
fn a_cause_is_said_once_however_many_call() {
    sandbox::run(|| {
        let daemon = Daemon::run(&format!(
            "2001 stream tcp4 nowait {0} /srv/missing missing\n2002 stream tcp4 nowait no-such-user /bin/sh sh\n\
             2003 stream tcp4 nowait {0}.no-such-group /bin/sh sh\n",
            user()
        ));
        let before = daemon.descriptors();
        for _ in 0..50 {
            for port in [2001, 2002, 2003] {
                assert_eq!(listen(at(port)), "");
            }
        }
        wait::until("all failed", || daemon.count("2001", "failed") == 50);
        for (name, error) in
            [("2002", "no such user: no-such-user"), ("2003", "no such group: no-such-group")]
        {
            let failure = daemon.service(name)["failures"][0].clone();
            assert_eq!((failure["error"].as_str(), failure["times"].as_u64()), (Some(error), Some(50)));
        }
        assert_eq!(log_count("event=start-failed"), 3);
        daemon.comes_to_rest(before);
    });
}

#[test]
fn the_classic_face_says_a_cause_once_too() {
    sandbox::run(|| {
        let log = Syslog::listen();
        daemon::configure(&format!("2001 stream tcp4 nowait {} /srv/missing missing\n", user()));
        let mut command = daemon::inetd(&["-i", daemon::CONFIG]);
        let mut inetd = command.env("XDG_RUNTIME_DIR", "/run").spawn().expect("spawn");
        log.wait_for("configured");
        for _ in 0..20 {
            assert_eq!(listen(at(2001)), "");
        }
        log.wait_for("execv /srv/missing: No such file or directory");
        wait::stays("once", || log.count("execv") == 1);
        inetd.kill().expect("kill");
        inetd.wait().expect("wait");
    });
}

#[test]
fn a_program_that_appears_is_started_and_that_is_said() {
    sandbox::run(|| {
        let _daemon = Daemon::run(&format!("2001 stream tcp4 nowait {} /run/late late say well\n", user()));
        assert_eq!(listen(at(2001)), "");
        wait_for_log("event=start-failed");
        std::os::unix::fs::symlink(crate::probe::PROBE, "/run/late").expect("link");
        assert_eq!(listen(at(2001)), "well");
        wait_for_log("event=start-recovered service=2001");
        let (_, said) = daemon::said_by(daemon::status_command());
        assert!(said.contains("last failed start: ") && said.contains("(it has started since)"), "{said}");
        assert!(!said.contains("start failed"), "{said}");
    });
}

#[test]
fn a_user_that_appears_is_found_by_a_reload() {
    sandbox::run(|| {
        need_users();
        let config = format!("2001 stream tcp4 nowait carol {} probe say well\n", crate::probe::PROBE);
        let daemon = Daemon::run(&config);
        assert_eq!(listen(at(2001)), "");
        let users = fs::read_to_string("/etc/passwd").expect("read");
        fs::write("/etc/passwd", users + "carol:x:1010:1010::/:/bin/sh\n").expect("write");
        daemon.reread();
        assert_eq!(listen(at(2001)), "well");
    });
}

#[test]
fn standard_error_without_end_costs_its_own_lines() {
    sandbox::run(|| {
        fs::write("/run/noisy", "#!/bin/sh\nexec head -c 300000 /dev/zero >&2\n").expect("write");
        fs::set_permissions("/run/noisy", fs::Permissions::from_mode(0o755)).expect("chmod");
        let daemon = Daemon::serve(&["127.0.0.1:2001", "--", "/run/noisy"]);
        assert_eq!(listen(at(2001)), "");
        wait::until("it has said it all", || log_count("event=stderr") >= 290);
        assert!(daemon.service("2001")["stderr"].as_array().expect("lines").len() <= 9);
    });
}

#[test]
fn a_last_line_without_an_end_is_logged_and_is_not_glued_to_the_next() {
    sandbox::run(|| {
        fs::write("/run/terse", "#!/bin/sh\nprintf 'no end' >&2\n").expect("write");
        fs::set_permissions("/run/terse", fs::Permissions::from_mode(0o755)).expect("chmod");
        let daemon = Daemon::serve(&["127.0.0.1:2001", "--", "/run/terse"]);
        for round in 1..=20 {
            assert_eq!(listen(at(2001)), "");
            wait::until("it is logged", || log_count("event=stderr no end\"") == round);
        }
        assert_eq!(daemon.service("2001")["stderr"][0], "no end");
        assert_eq!(log_count("no endno end"), 0);
    });
}

#[test]
fn why_there_is_no_loader_is_said() {
    sandbox::run(|| {
        let copy = "/run/usherd-copy";
        fs::copy(sandbox::USHERD, copy).expect("copy");
        fs::set_permissions(copy, fs::Permissions::from_mode(0o755)).expect("chmod");
        daemon::configure(&daemon::line("2001", "stream tcp4", "nowait", "say well"));
        let mut command = std::process::Command::new(copy);
        command.args(["run", "--control", daemon::CONTROL]);
        let daemon = Daemon::start(command);
        fs::set_permissions(copy, fs::Permissions::from_mode(0o644)).expect("chmod");
        let before = daemon.descriptors();
        for round in 1..=3 {
            daemon.reread();
            let said = "event=load-failed no loader: exec: Permission denied";
            assert_eq!(log_count(said), round, "{}", daemon::log());
        }
        assert_eq!(listen(at(2001)), "well");
        daemon.comes_to_rest(before);
        fs::set_permissions(copy, fs::Permissions::from_mode(0o755)).expect("chmod");
        daemon.reread();
        wait::until("it is read", || log_count("event=configured") == 2);
    });
}
