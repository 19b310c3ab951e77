//! The names that the program is called by: serve, demo, check, status, and what they end with.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{ask_by_datagram, at, connect, echoes, line, listen, rest};
use crate::daemon::{self, CONTROL, Daemon, inetd, said_by, usherd};
use crate::probe::PROBE;
use crate::sandbox::{self, need_ipv6};

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

#[test]
fn serve_listens_where_it_is_told() {
    sandbox::run(|| {
        need_ipv6();
        let places = ["2001", "*:2002", "127.0.0.2:2003", "[::1]:2004", "/run/serve.sock"];
        let _daemon = Daemon::serve(&[&places[..], &["-q", "--", PROBE, "say", "well"]].concat());
        let well = |to: &str| rest(&mut std::net::TcpStream::connect(to).expect(to)) == "well";
        assert!(well("127.0.0.1:2001") && well("[::1]:2001"), "a bare port is this machine's");
        assert!(std::net::TcpStream::connect("127.0.0.2:2001").is_err(), "and not the world's");
        assert!(well("127.0.0.2:2002") && well("[::1]:2002") && well("127.0.0.2:2003") && well("[::1]:2004"));
        let mut stream = std::os::unix::net::UnixStream::connect("/run/serve.sock").expect("connect");
        assert_eq!(rest(&mut stream), "well");
    });
}

#[test]
fn serve_has_datagrams_and_wait_servers_too() {
    sandbox::run(|| {
        let daemon = Daemon::serve(&["udp:127.0.0.1:2001", "--", PROBE, "answer", "it"]);
        assert!(ask_by_datagram(at(2001), "hello").ends_with(" hello"));
        daemon.terminate();
        let daemon = Daemon::serve(&["--wait", "127.0.0.1:2002", "--", PROBE, "accept", "server", "0"]);
        assert!(line(&mut connect(at(2002))).starts_with("server "));
        assert_eq!(daemon.state("2002"), "handed-over");
    });
}

#[test]
fn serve_finds_programs_as_a_shell_does() {
    sandbox::run(|| {
        let mut command = usherd("serve");
        command.current_dir("/run/e2e").env("PATH", "/nowhere:/run/e2e");
        command.args(["--control", CONTROL, "127.0.0.1:2001", "--", "probe", "say", "by name"]);
        let daemon = Daemon::start(command);
        assert_eq!(listen(at(2001)), "by name");
        daemon.terminate();
        let mut command = usherd("serve");
        command.current_dir("/run").args(["--control", CONTROL, "127.0.0.1:2001", "--"]);
        command.args(["e2e/probe", "say", "by path"]);
        let _daemon = Daemon::start(command);
        assert_eq!(listen(at(2001)), "by path");
        let (status, said) =
            said_by(with(usherd("serve"), &["--control", "none", "2002", "--", "no-such-program"]));
        assert!(status == Some(78) && said.contains("in the folders of PATH"), "{status:?} {said}");
    });
}

#[test]
fn the_demo_says_what_to_type_and_serves_it() {
    sandbox::run(|| {
        // One of its ports is taken: it takes another.
        let _taken = std::net::TcpListener::bind("127.0.0.1:9007").expect("bind");
        let mut demo = usherd("demo")
            .args(["--control", CONTROL])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("spawn");
        let mut said = String::new();
        for text in BufReader::new(demo.stdout.take().expect("a pipe")).lines() {
            let text = text.expect("text");
            said.push_str(&text);
            said.push('\n');
            if text.contains("Ctrl-C") {
                break;
            }
        }
        let ports: Vec<u16> = said
            .split("/dev/tcp/127.0.0.1/")
            .skip(1)
            .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
            .collect();
        let [list, script, echo, daytime, guarded] = ports[..] else { panic!("not five ports in {said}") };
        assert_ne!(echo, 9007);
        assert!(listen(at(list)).contains("usherd"), "a list of processes");
        let mut stream = connect(at(script));
        assert_eq!(line(&mut stream), "Hello. What is your name?");
        stream.write_all(b"Ada\n").expect("write");
        assert!(rest(&mut stream).starts_with("Good day, Ada."));
        echoes(&mut connect(at(echo)), "hello");
        assert!(listen(at(daytime)).ends_with("\r\n"));
        assert_eq!(listen(at(guarded)), "", "hosts.deny says no");
        let typed = |start: &str| {
            let line = said.lines().find(|line| line.trim_start().starts_with(start)).expect("it is said");
            let mut command = Command::new("/bin/sh");
            command.args(["-c", line.trim()]).env("PATH", "/run/e2e:/bin:/usr/bin");
            said_by(command)
        };
        let (status, why) = typed("usherd access test");
        assert!(
            status == Some(1) && why.contains("hosts.deny:1: the daemon list matches by \"ALL\""),
            "{why}"
        );
        assert_eq!(typed("echo 'date: 127.0.0.1'").0, Some(0));
        assert!(listen(at(guarded)).contains(':'), "the edit counts");
        let folder = why.lines().last().and_then(|line| line.split_whitespace().last()).expect("a table");
        let folder = std::path::Path::new(folder).parent().expect("its folder").to_owned();
        assert!(folder.is_dir());
        let pid = Pid::from_child(&demo);
        kill_process(pid, Signal::INT).expect("kill");
        assert!(demo.wait().expect("wait").success());
        assert!(!folder.exists(), "it is taken away at the end");
    });
}

#[test]
fn check_ends_as_its_findings_are() {
    sandbox::run(|| {
        let check = |config: &str, more: &[&str]| {
            daemon::configure(config);
            said_by(with(usherd("check"), &[&[daemon::CONFIG][..], more].concat()))
        };
        let clean = "127.0.0.1:2001 stream tcp4 nowait root internal echo\n";
        let warned = format!("2001 stream tcp4 nowait {} /bin/sh sh\n", sandbox::user());
        let wrong = "2001 stream tcp4 nowait root internal no-such\n";
        assert_eq!(check(clean, &[]).0, Some(0));
        assert_eq!(check(clean, &["--strict"]).0, Some(0));
        let (status, said) = check(&warned, &[]);
        assert!(status == Some(0) && said.contains("shell"), "{status:?} {said}");
        assert_eq!(check(&warned, &["--strict"]).0, Some(1));
        let (status, said) = check(&format!("{clean}{wrong}"), &[]);
        assert_eq!(status, Some(78));
        for words in ["/etc/inetd.conf:2:", "internal no-such", "echo, discard, chargen", "1 errors"] {
            assert!(said.contains(words), "no {words:?} in {said}");
        }
        let (status, said) = said_by(with(usherd("check"), &["/srv/missing"]));
        assert_eq!(status, Some(78));
        assert!(said.contains("permissions") && !said.contains("reload"), "{said}");
    });
}

#[test]
fn check_sees_what_does_not_show_and_shows_no_more_than_somebody_reads() {
    sandbox::run(|| {
        let check = |config: &[u8]| {
            std::fs::write(daemon::CONFIG, config).expect("write");
            said_by(with(usherd("check"), &[daemon::CONFIG]))
        };
        let clean = "127.0.0.1:2001 stream tcp4 nowait root internal echo\n";
        let (status, said) = check(format!("\u{feff}{clean}").as_bytes());
        assert!(said.contains("begins with a byte order mark") && said.contains("save it without"), "{said}");
        assert!(status == Some(0) && said.ends_with("1 services, 0 errors, 1 warnings\n"), "{said}");

        let (status, said) = check("nonsense\n".repeat(10_000).as_bytes());
        assert!(
            status == Some(78) && said.contains("and 9800 more like these in /etc/inetd.conf\n"),
            "{said}"
        );
        assert!(said.ends_with("0 services, 10000 errors, 0 warnings\n") && said.len() < 200_000);

        std::fs::write("/run/script", "#!/srv/missing -x\n").expect("write");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions("/run/script", mode).expect("chmod");
        let line = format!("127.0.0.1:2001 stream tcp4 nowait {} /run/script\n", sandbox::user());
        let (_, said) = check(line.as_bytes());
        assert!(said.contains("its #! line names /srv/missing, and there is no such program"), "{said}");
    });
}

#[test]
fn answers_that_nobody_reads_are_an_end_and_those_that_cannot_be_written_an_error() {
    sandbox::run(|| {
        // More than a pipe holds.
        let many: String = (1..2000).map(|_| "no-such stream tcp4 nowait root internal no-such\n").collect();
        daemon::configure(&many);
        let with_output = |face: &str, arguments: &[&str], output: Stdio| {
            let mut command = usherd(face);
            command.args(arguments).stdout(output).stderr(Stdio::null());
            command.spawn().expect("spawn").wait().expect("wait").code()
        };
        let closed = || {
            let (_, write) = rustix::pipe::pipe().expect("pipe");
            Stdio::from(write)
        };
        assert_eq!(with_output("check", &[daemon::CONFIG], closed()), Some(78));
        let daemon = Daemon::run("127.0.0.1:2001 stream tcp4 nowait root internal echo\n");
        assert_eq!(with_output("status", &["--control", CONTROL], closed()), Some(0));
        let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").expect("open"));
        assert_eq!(with_output("check", &[daemon::CONFIG], full()), Some(74));
        assert_eq!(with_output("status", &["--control", CONTROL, "--json"], full()), Some(74));
        daemon.terminate();

        let mut demo = usherd("demo");
        demo.args(["--control", CONTROL]).stdout(closed());
        let mut demo = demo.stderr(Stdio::null()).spawn().expect("spawn");
        crate::wait::until("it serves", || !crate::client::is_refused(at(9007)));
        echoes(&mut connect(at(9007)), "hello");
        kill_process(Pid::from_child(&demo), Signal::INT).expect("kill");
        assert!(demo.wait().expect("wait").success());
    });
}

#[test]
fn status_without_a_daemon_and_wrong_words_have_their_codes() {
    sandbox::run(|| {
        let (status, said) = said_by(with(usherd("status"), &["--control", "/run/none.sock"]));
        assert!(status == Some(69) && said.contains("/run/none.sock"), "{status:?} {said}");
        assert_eq!(said_by(usherd("no-such-face")).0, Some(64));
        assert_eq!(said_by(with(usherd("run"), &["--no-such-option"])).0, Some(64));
        assert_eq!(said_by(with(usherd("serve"), &["2001"])).0, Some(64), "without a program");
        let (status, said) = said_by(inetd(&["-Z"]));
        assert!(status == Some(1) && said.contains("usage: inetd"), "{status:?} {said}");
        assert_eq!(said_by(with(usherd("run"), &["--help"])).0, Some(0));
    });
}

#[test]
fn status_shows_services_and_why_they_wait() {
    sandbox::run(|| {
        let _taken = std::net::TcpListener::bind("127.0.0.1:2001").expect("bind");
        let config = [
            daemon::line("2001", "stream tcp4", "nowait", "say well"),
            daemon::line("2002", "stream tcp4", "nowait", "say well"),
        ];
        let _daemon = Daemon::run(&config.concat());
        assert_eq!(listen(at(2002)), "well");
        daemon::wait_for_log("event=not-opened");
        let (status, said) = said_by(with(usherd("status"), &["--control", CONTROL]));
        assert_eq!(status, Some(0));
        for words in ["2001", "closed: bind: Address already in use", "trying again in", "1 calls, 1 started"]
        {
            assert!(said.contains(words), "no {words:?} in {said}");
        }
        let (_, json) = said_by(with(usherd("status"), &["--control", CONTROL, "--json"]));
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["services"][0]["listeners"][0]["state"], "closed");
    });
}

#[test]
fn the_control_socket_is_for_its_owner_and_bears_rude_clients() {
    sandbox::run(|| {
        use std::os::unix::fs::PermissionsExt;
        use std::os::unix::net::UnixStream;
        let daemon = Daemon::run("127.0.0.1:2001 stream tcp4 nowait root internal echo\n");
        let mode = std::fs::metadata(CONTROL).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let before = daemon.descriptors();
        for bytes in [&b"gibberish\n"[..], &[0; 4096], b"status", b"status\nstatus\n"] {
            let mut socket = UnixStream::connect(CONTROL).expect("connect");
            // It may be closed before all is written.
            let _ = socket.write_all(bytes);
        }
        let silent: Vec<_> = (0..20).map(|_| UnixStream::connect(CONTROL).expect("connect")).collect();
        echoes(&mut connect(at(2001)), "well");
        drop(silent);
        daemon.comes_to_rest(before);
    });
}

#[test]
fn inetd_with_a_file_named_load_is_inetd() {
    sandbox::run(|| {
        let (status, said) = daemon::said_by(daemon::inetd(&["load", "--no-such-flag"]));
        assert_eq!(status, Some(1));
        assert!(said.starts_with("usage: "), "{said}");
    });
}
