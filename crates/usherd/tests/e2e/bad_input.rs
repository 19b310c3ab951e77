//! Configurations that are none, lines that are wrong, and far too much of everything.

use std::fs;
use std::process::Command;

use rustix::fs::{FileType, Mode, mknodat};
use rustix::process::getuid;

use crate::client::{at, is_refused, listen};
use crate::daemon::{self, CONFIG, CONTROL, Daemon, configure, log, said_by, usherd};
use crate::sandbox::{self, user};
use crate::wait;

#[track_caller]
fn run_on(path: &str) -> (Option<i32>, String) {
    let mut command = usherd("run");
    command.args(["-c", path, "--control", "none"]);
    said_by(command)
}

#[test]
fn a_start_without_a_configuration_says_what_is_wrong() {
    sandbox::run(|| {
        fs::write("/run/utf16", b"\xff\xfee\0c\0h\0o\0").expect("write");
        fs::write("/run/binary", [0; 5000]).expect("write");
        std::os::unix::fs::symlink("/run/nowhere", "/run/dangling").expect("link");
        mknodat(rustix::fs::CWD, "/run/fifo", FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("mkfifo");
        fs::File::create("/run/huge").and_then(|file| file.set_len(1 << 30)).expect("a sparse file");
        let cases = [
            ("/run/missing", "no such file"),
            ("/run/dangling", "no such file"),
            ("/run/fifo", "a pipe"),
            ("/dev/zero", "a device"),
            ("/run/utf16", "UTF-16"),
            ("/run/binary", "binary"),
            ("/run/huge", "larger than"),
        ];
        for (path, words) in cases {
            let (status, said) = run_on(path);
            assert_eq!(status, Some(78), "{path}: {said}");
            assert!(said.contains(words) && said.contains(path), "{path}: {said}");
        }
    });
}

#[test]
fn a_file_that_may_not_be_read_says_so() {
    sandbox::run(|| {
        use std::os::unix::fs::PermissionsExt;
        use std::os::unix::process::CommandExt;
        fs::write("/run/secret", "").expect("write");
        fs::set_permissions("/run/secret", fs::Permissions::from_mode(0o000)).expect("chmod");
        let mut command = usherd("run");
        command.args(["-c", "/run/secret", "--control", "none"]);
        if getuid().is_root() {
            command.uid(1001).gid(1001);
        }
        let (status, said) = said_by(command);
        assert!(status == Some(78) && said.contains("may not be read"), "{status:?}: {said}");
    });
}

#[test]
fn each_bad_line_costs_itself_only() {
    sandbox::run(|| {
        let user = user();
        let long = "x".repeat(1 << 20);
        let bad = [
            "0 stream tcp4 nowait root internal echo",
            "65536 stream tcp4 nowait root internal echo",
            "2100 stream carrier-pigeon nowait root internal echo",
            "2101 raw ip nowait root internal echo",
            "2102 stream tcp4 nowait root internal tarpit",
            "no-such-service stream tcp4 nowait root internal",
            "2103 stream tcp4",
            "no-such-host.example:2104 stream tcp4 nowait root internal echo",
            "2105 stream tcp4,rcvbuf=lots nowait root internal echo",
            "relative/path stream unix nowait root internal echo",
            &long,
            &format!("2106 stream tcp4 nowait {user} /bin/sh sh -c {long}"),
            "2107 str\u{0}am tcp4 nowait root internal echo",
        ];
        let config: String = (2001..)
            .zip(bad)
            .map(|(port, bad)| {
                let good = daemon::line(&port.to_string(), "stream tcp4", "nowait", "say well");
                format!("{bad}\n{good}")
            })
            .collect();
        let daemon = Daemon::run(&config);
        for (port, bad) in (2001..).zip(bad) {
            assert_eq!(listen(at(port)), "well", "below {:.40}", bad);
        }
        let diagnostics = daemon.status()["diagnostics"].as_array().expect("diagnostics").clone();
        for number in (1..).step_by(2).take(bad.len()) {
            let place = format!("{CONFIG}:{number}:");
            let found = diagnostics.iter().filter_map(|line| line.as_str()).any(|line| line.contains(&place));
            assert!(found, "nothing about line {number} in {diagnostics:#?}");
        }
        assert!(log().lines().all(|line| line.len() < 4096), "no line is repeated whole");
    });
}

#[test]
fn a_folder_is_read_file_by_file_and_what_is_none_is_passed_by() {
    sandbox::run(|| {
        fs::create_dir("/etc/inetd.d").expect("create");
        let write = |name: &str, port: u16| {
            let text = daemon::line(&port.to_string(), "stream tcp4", "nowait", &format!("say {name}"));
            fs::write(format!("/etc/inetd.d/{name}"), text).expect("write");
        };
        write("one", 2001);
        write("two", 2002);
        write("two.dpkg-old", 2003);
        write(".hidden", 2004);
        fs::create_dir("/etc/inetd.d/folder").expect("create");
        mknodat(rustix::fs::CWD, "/etc/inetd.d/fifo", FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .expect("mkfifo");
        let mut command = usherd("run");
        command.args(["-c", "/etc/inetd.d", "--control", CONTROL]);
        let daemon = Daemon::start(command);
        assert_eq!((listen(at(2001)), listen(at(2002))), ("one".to_owned(), "two".to_owned()));
        assert!(is_refused(at(2003)) && is_refused(at(2004)));

        fs::remove_file("/etc/inetd.d/one").expect("remove");
        write("three", 2005);
        daemon.reread();
        assert!(is_refused(at(2001)), "a file that is gone takes its services along");
        assert_eq!((listen(at(2002)), listen(at(2005))), ("two".to_owned(), "three".to_owned()));
    });
}

#[test]
fn a_thousand_services_start_and_reload_while_others_are_served() {
    sandbox::run(|| {
        let many = |say: &str| -> String {
            (3000..4000)
                .map(|port| daemon::line(&format!("127.0.0.1:{port}"), "stream tcp4", "nowait", say))
                .collect()
        };
        let daemon = Daemon::run_with(&many("say before"), &["--rate", "100000"]);
        assert_eq!(daemon.status()["services"].as_array().map(Vec::len), Some(1000));
        for port in [3000, 3499, 3999] {
            assert_eq!(listen(at(port)), "before");
        }
        configure(&many("say after"));
        daemon.signal(rustix::process::Signal::HUP);
        wait::until("the new ones serve", || {
            let answer = listen(at(3500));
            assert!(answer == "before" || answer == "after", "always one of the two: {answer:?}");
            answer == "after"
        });
        for port in [3000, 3999] {
            assert_eq!(listen(at(port)), "after");
        }
        daemon.reload("");
        assert!(is_refused(at(3000)) && is_refused(at(3999)));
    });
}

#[test]
fn ten_thousand_services_are_checked_soon() {
    sandbox::run(|| {
        let lines: String =
            (1..=10_000).map(|port| format!("{port} stream tcp4 nowait root internal echo\n")).collect();
        fs::write("/run/many.conf", lines).expect("write");
        let mut command: Command = usherd("check");
        command.arg("/run/many.conf");
        let (status, said) = said_by(command);
        assert_eq!(status, Some(0));
        assert!(said.ends_with("10000 services, 0 errors, 0 warnings\n"), "{said}");
    });
}
