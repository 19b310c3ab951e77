//! `usherd convert`: what it prints, what it writes, what it says about the rest, and what it ends with.

use std::fs;
use std::process::{Command, Stdio};

use crate::client::{at, is_refused, listen};
use crate::daemon::{self, CONTROL, Daemon, usherd};
use crate::sandbox::{self, user};

struct Said {
    status: Option<i32>,
    output: String,
    errors: String,
}

fn convert(arguments: &[&str]) -> Said {
    let mut command = usherd("convert");
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { status: output.status.code(), output: text(&output.stdout), errors: text(&output.stderr) }
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_is_converted_serves_as_before() {
    sandbox::run(|| {
        let line = |place: &str, words: &str| daemon::line(place, "stream tcp4", "nowait", words);
        fs::write("/run/old.conf", line("127.0.0.1:2001", "say one") + &line("2002", "say two"))
            .expect("write");
        let said = convert(&["--to", "xinetd", "-o", "/run/xinetd.d", "/run/old.conf"]);
        assert_eq!((said.status, said.output.as_str(), said.errors.as_str()), (Some(0), "", ""));
        assert_eq!(names("/run/xinetd.d"), ["2001", "2002"]);
        let mut command = usherd("run");
        command.args(["-c", "/run/xinetd.d", "--control", CONTROL]);
        let running = Daemon::start(command);
        assert_eq!((listen(at(2001)), listen(at(2002))), ("one".to_owned(), "two".to_owned()));
        running.terminate();

        // And back.
        let said = convert(&["--to", "inetd", "-o", "/run/back", "/run/xinetd.d"]);
        assert_eq!((said.status, said.errors.as_str()), (Some(0), ""));
        assert_eq!(names("/run/back"), ["inetd.conf"]);
        let back = fs::read_to_string("/run/back/inetd.conf").expect("text");
        let lines: Vec<&str> =
            back.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        let probe = |place: &str, words: &str| line(place, words).trim_end().replace(' ', "\t");
        assert_eq!(lines, [probe("127.0.0.1:2001", "say one"), probe("2002", "say two")]);
    });
}

#[test]
fn what_cannot_be_said_is_said_and_switches_off() {
    sandbox::run(|| {
        let user = user();
        let text = format!(
            "defaults\n{{\n\tlog_type = SYSLOG daemon\n}}\nservice guarded\n{{\n\ttype = UNLISTED\n\tport = 2001\n\t\
             socket_type = stream\n\twait = no\n\tuser = {user}\n\tgroups = yes\n\tflags = NOLIBWRAP IPv4\n\tserver = \
             /bin/date\n\tonly_from = 192.0.2.1\n}}\n"
        );
        fs::write("/run/x.conf", text).expect("write");
        let said = convert(&["--to", "inetd", "/run/x.conf"]);
        assert_eq!(said.status, Some(1));
        let errors: Vec<&str> = said.errors.lines().collect();
        assert_eq!(
            errors,
            [
                "/run/x.conf:3:2: guarded: log_type: inetd.conf cannot say where a service is logged; left out",
                "/run/x.conf:5:9: guarded: guarded: the line has the port in the name's place; left out",
                "/run/x.conf:15:2: guarded: only_from: inetd.conf cannot say who may call; hosts.allow can; it is \
                 switched off",
            ]
        );
        assert_eq!(
            said.output,
            format!(
                "# guarded, from /run/x.conf:5:1\n\
                 # left out: /run/x.conf:3:2: log_type: inetd.conf cannot say where a service is logged\n\
                 # left out: /run/x.conf:5:9: guarded: the line has the port in the name's place\n\
                 # left out: /run/x.conf:15:2: only_from: inetd.conf cannot say who may call; hosts.allow can\n\
                 # and so it is switched off\n\
                 #<off># 2001\tstream\ttcp4\tnowait\t{user}\t/bin/date\tdate\n"
            )
        );
        fs::write("/run/converted.conf", &said.output).expect("write");
        let mut command = usherd("run");
        command.args(["-c", "/run/converted.conf", "--control", CONTROL]);
        let running = Daemon::start(command);
        assert!(is_refused(at(2001)));
        running.terminate();

        let said = convert(&["--to", "inetd", "--lossy", "/run/x.conf"]);
        assert_eq!(said.status, Some(1));
        assert!(
            said.errors.contains("only_from") && said.errors.contains("on all the same"),
            "{}",
            said.errors
        );
        assert!(said.output.contains("\n2001\tstream\t"), "{}", said.output);

        let inetd = format!("/run/x.sock stream unix nowait {user} /bin/date date\n");
        fs::write("/run/unix.conf", inetd).expect("write");
        let said = convert(&["--to", "xinetd", "--lossy", "/run/unix.conf"]);
        assert_eq!(said.status, Some(1));
        assert!(said.output.lines().all(|line| line.starts_with('#')), "{}", said.output);
        assert!(
            said.errors.ends_with("xinetd.conf has no Unix sockets; it is not converted\n"),
            "{}",
            said.errors
        );
    });
}

#[test]
fn it_ends_as_its_work_does() {
    sandbox::run(|| {
        fs::write("/run/wrong.conf", "2001 stream tcp4\n2002 stream tcp4 nowait root internal echo\n")
            .expect("write");
        let said = convert(&["--to", "xinetd", "/run/wrong.conf"]);
        assert_eq!(said.status, Some(78));
        assert!(
            said.errors.starts_with("/run/wrong.conf:1:17: error: the line ends before"),
            "{}",
            said.errors
        );
        assert!(said.output.contains("service echo\n"), "the rest is converted: {}", said.output);
        assert_eq!(convert(&["--to", "xinetd", "/run/missing.conf"]).status, Some(78));
        assert_eq!(convert(&["--to", "elsewhere", "/run/wrong.conf"]).status, Some(64));
        assert_eq!(convert(&["/run/wrong.conf"]).status, Some(64));
        assert_eq!(convert(&["--to", "inetd"]).status, Some(64));
        fs::write("/run/none.conf", "# nothing\n").expect("write");
        let said = convert(&["--to", "inetd", "/run/none.conf"]);
        assert_eq!((said.status, said.output.as_str(), said.errors.as_str()), (Some(0), "", ""));

        fs::write("/run/good.conf", "2002 stream tcp4 nowait root internal echo\n").expect("write");
        let full = fs::File::options().write(true).open("/dev/full").expect("open");
        let mut command: Command = usherd("convert");
        command.args(["--to", "xinetd", "/run/good.conf"]).stdout(full).stderr(Stdio::null());
        assert_eq!(command.status().expect("it runs").code(), Some(74));
    });
}

#[test]
fn nothing_is_written_over() {
    sandbox::run(|| {
        let lines =
            "2001 stream tcp4 nowait root internal echo\n2002 stream tcp4 nowait root internal echo\n";
        fs::write("/run/good.conf", lines).expect("write");
        fs::create_dir("/run/out").expect("create");
        fs::write("/run/out/2002", "mine\n").expect("write");
        let said = convert(&["--to", "xinetd", "-o", "/run/out", "/run/good.conf"]);
        assert_eq!(said.status, Some(74));
        assert_eq!(said.errors, "usherd convert: /run/out/2002: File exists\n");
        assert_eq!(names("/run/out"), ["2002"], "and nothing beside it");
        assert_eq!(fs::read("/run/out/2002").expect("text"), b"mine\n");
        // A link to nowhere is there too.
        fs::remove_file("/run/out/2002").expect("remove");
        std::os::unix::fs::symlink("/run/elsewhere", "/run/out/2001").expect("link");
        assert_eq!(convert(&["--to", "xinetd", "-o", "/run/out", "/run/good.conf"]).status, Some(74));
        assert!(!std::path::Path::new("/run/elsewhere").exists());
        assert_eq!(convert(&["--to", "inetd", "-o", "/run/good.conf", "/run/good.conf"]).status, Some(74));
        // Two services whose names are one name of a file.
        let alike = "service a.b\n{\n id = a.b\n type = UNLISTED\n port = 2001\n socket_type = stream\n wait = no\n user = root\n \
                     server = /bin/a\n}\n";
        fs::write("/run/alike.conf", alike.to_owned() + &alike.replace("a.b", "a-b").replace("2001", "2002"))
            .expect("write");
        convert(&["--to", "xinetd", "-o", "/run/alike", "/run/alike.conf"]);
        assert_eq!(names("/run/alike"), ["a-b", "a-b-2"]);
    });
}
