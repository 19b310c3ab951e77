//! xinetd by name: its configuration, its files, its log lines, and what it does on signals.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::client::{ask, ask_by_datagram, at, connect, echoes, is_refused, line, listen, report, rest};
use crate::daemon::{Daemon, said_by, status, usherd};
use crate::probe::PROBE;
use crate::sandbox::{self, need_users};
use crate::syslog::Syslog;
use crate::wait;

const CONFIG: &str = "/etc/xinetd.conf";
const LOG: &str = "/run/xinetd.log";
const SERVICES: &str = "/run/services.log";
const PID: &str = "/run/xinetd.pid";

/// A service on a port that runs a probe.
fn service(name: &str, port: u16, words: &str, lines: &str) -> String {
    let user = sandbox::user();
    format!(
        "service {name}\n{{\n\ttype\t\t= UNLISTED\n\tport\t\t= {port}\n\tsocket_type\t= stream\n\twait\t\t= no\n\tuser\t\t= {user}\n\
         \tserver\t\t= {PROBE}\n\tserver_args\t= {words}\n{lines}}}\n"
    )
}

/// xinetd in the foreground, when all is open.
#[track_caller]
fn start(config: &str, options: &[&str]) -> Daemon {
    fs::write(CONFIG, config).expect("write");
    let _ = fs::remove_file(LOG);
    let mut command = Command::new("/run/e2e/xinetd");
    command.args(["-dontfork", "-filelog", LOG, "-pidfile", PID]).args(options);
    let child = command.stdin(Stdio::null()).spawn().expect("spawn");
    wait_for(LOG, "Started working:");
    Daemon::of_child(child)
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[track_caller]
fn wait_for(path: &str, words: &str) -> String {
    wait::some(&format!("{words:?} in {path}"), || {
        text(path).lines().find(|line| line.contains(words)).map(str::to_owned)
    })
}

/// The lines of a service log, without the time.
fn lines() -> Vec<String> {
    text(SERVICES).lines().filter_map(|line| Some(line.split_once(": ")?.1.to_owned())).collect()
}

#[test]
fn a_configuration_with_a_folder_runs_as_it_is() {
    sandbox::run(|| {
        fs::create_dir_all("/etc/xinetd.d").expect("a folder");
        fs::write("/etc/xinetd.d/it", service("it", 2001, "report", "\tenv = COLOUR=blue\n")).expect("write");
        fs::write("/etc/xinetd.d/left.out", service("out", 2002, "report", "")).expect("write");
        fs::write("/etc/xinetd.d/off", service("off", 2003, "report", "\tdisable = yes\n")).expect("write");
        let daemon = start("defaults\n{\n\tinstances = 5\n}\nincludedir /etc/xinetd.d\n", &[]);
        let found = report(at(2001));
        assert_eq!(found["argv"], serde_json::json!(["probe", "report"]));
        let has = |variable: &str| {
            let all = found["environment"].as_array().expect("variables");
            all.iter().any(|one| one == variable)
        };
        assert!(has("COLOUR=blue") && has("REMOTE_HOST=::ffff:127.0.0.1"), "{found:#}");
        assert!(is_refused(at(2002)) && is_refused(at(2003)));
        wait_for(LOG, "left.out");
        assert_eq!(text(PID).trim(), daemon.pid().to_string());
        assert!(daemon.terminate().success());
        wait_for(LOG, "Exiting...");
        assert!(!fs::exists(PID).expect("a folder"));
    });
}

#[test]
fn files_whose_names_are_no_text_are_read() {
    sandbox::run(|| {
        fs::create_dir_all("/etc/xinetd.d").expect("a folder");
        let path = |name: &[u8]| Path::new("/etc/xinetd.d").join(OsStr::from_bytes(name));
        let closed = "defaults\n{\n\tonly_from = 10.0.0.1\n}\n";
        fs::write(path(b"a-k\xf6ln"), closed).expect("write");
        fs::write(path(b"b-k\xf6ln"), service("it", 2001, "say in", "")).expect("write");
        fs::write(path(b"b-k\xe4ln"), service("other", 2002, "say in", "\tonly_from =  127.0.0.1\n"))
            .expect("write");
        let daemon = start("includedir /etc/xinetd.d\n", &[]);
        assert_eq!((listen(at(2001)).as_str(), listen(at(2002)).as_str()), ("", "in"));
        fs::write(path(b"a-k\xf6ln"), "").expect("write");
        daemon.signal(Signal::HUP);
        wait::until("it is open", || listen(at(2001)) == "in");
    });
}

#[test]
fn starts_ends_and_failures_have_the_lines_of_the_original() {
    sandbox::run(|| {
        let log = format!(
            "defaults\n{{\n\tlog_type = FILE {SERVICES}\n\tlog_on_success = PID HOST EXIT DURATION\n\tlog_on_failure = HOST\n}}\n"
        );
        let config = log
            + &service("it", 2001, "exit 3", "")
            + &service("denied", 2002, "say in", "\tno_access = 127.0.0.1\n")
            + &service("full", 2003, "say in", "\tinstances = 0\n")
            + &service("quiet", 2004, "say in", "\tlog_on_success -= PID HOST EXIT DURATION\n")
            + "service echo\n{\n\ttype = INTERNAL UNLISTED\n\tport = 2005\n\tsocket_type = stream\n\twait = no\n}\n";
        let daemon = start(&config, &[]);
        for port in [2001, 2002, 2003, 2004] {
            listen(at(port));
        }
        echoes(&mut connect(at(2005)), "hello");
        wait_for(SERVICES, "EXIT: echo");
        let first = text(SERVICES).lines().next().expect("a line").to_owned();
        let pid = first.split("pid=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a number");
        let said = lines();
        for expected in [
            format!("START: it pid={pid} from=::ffff:127.0.0.1"),
            format!("EXIT: it status=3 pid={pid} duration=0(sec)"),
            "FAIL: denied address from=::ffff:127.0.0.1".to_owned(),
            "FAIL: full service_limit from=::ffff:127.0.0.1".to_owned(),
            "START: echo pid=0 from=::ffff:127.0.0.1".to_owned(),
            "EXIT: echo status=0 pid=0 duration=0(sec)".to_owned(),
        ] {
            assert!(said.contains(&expected), "{expected}: {said:#?}");
        }
        assert_eq!(said.len(), 6, "{said:#?}");
        // Moved away, and made anew.
        fs::rename(SERVICES, "/run/services.old").expect("rename");
        daemon.signal(Signal::HUP);
        wait_for(LOG, "Reconfigured: new=0 old=5 dropped=0 (services)");
        listen(at(2002));
        wait_for(SERVICES, "FAIL: denied");
        assert_eq!(lines().len(), 1);
    });
}

#[test]
fn what_a_service_that_is_gone_leaves_is_logged_when_it_ends() {
    sandbox::run(|| {
        let log = format!("\tlog_type = FILE {SERVICES}\n\tlog_on_success = HOST EXIT TRAFFIC\n");
        let stays = service("stays", 2001, "echo", "");
        let redirect = format!(
            "service redirect\n{{\n\ttype = UNLISTED\n\tport = 2003\n\tsocket_type = stream\n\twait = no\n\
             \tredirect = 127.0.0.1 2001\n{log}}}\n"
        );
        let daemon = start(&(stays.clone() + &service("goes", 2002, "echo", &log) + &redirect), &[]);
        let mut sessions = [2002, 2003].map(|port| connect(at(port)));
        sessions.iter_mut().for_each(|session| echoes(session, "hello"));
        fs::write(CONFIG, stays).expect("write");
        daemon.signal(Signal::HUP);
        wait_for(LOG, "Reconfigured: new=0 old=1 dropped=2 (services)");
        drop(sessions);
        wait_for(SERVICES, "EXIT: goes status=");
        wait_for(SERVICES, "TRAFFIC: redirect in=5(bytes) out=5(bytes)");
        assert_eq!(lines().len(), 5, "{:?}", lines());
    });
}

#[test]
fn who_is_denied_behind_tcpmux_is_denied_after_a_reset_too() {
    sandbox::run(|| {
        let mux = "service tcpmux\n{\n\ttype = INTERNAL UNLISTED\n\tport = 2001\n\tsocket_type = stream\n\twait = no\n}\n";
        let lines = format!(
            "\tonly_from = 10.0.0.1\n\tlog_type = FILE {SERVICES}\n\tlog_on_success = HOST\n\tlog_on_failure = HOST\n"
        );
        let denied = service("denied", 2002, "say in", &lines).replace("UNLISTED", "TCPMUX UNLISTED");
        let _daemon = start(&[mux, &denied].concat(), &[]);
        for _ in 0..20 {
            let mut caller = connect(at(2001));
            rustix::net::sockopt::set_socket_linger(&caller, Some(Duration::ZERO)).expect("linger");
            caller.write_all(b"denied\r\nsomething for it\n").expect("write");
        }
        assert_eq!(ask(at(2001), "denied\r\n"), "-Service not available\r\n");
        let all = wait::some("a line for each", || Some(self::lines()).filter(|all| all.len() == 21));
        assert!(all.iter().all(|line| line.starts_with("FAIL: denied address from=")), "{all:#?}");
    });
}

#[test]
fn lines_go_to_syslog_with_facility_and_level() {
    sandbox::run(|| {
        let syslog = Syslog::listen();
        let config =
            service("it", 2001, "say in", "\tlog_type = SYSLOG local3 notice\n\tlog_on_success = HOST\n")
                + &service("own", 2002, "say in", "\tlog_on_success = HOST\n");
        let _daemon = start(&config, &[]);
        listen(at(2001));
        listen(at(2002));
        // local3 is 19, notice 5.
        let line = syslog.wait_for("START: it from=::ffff:127.0.0.1");
        assert!(line.starts_with(&format!("<{}>", 19 * 8 + 5)) && line.contains(" xinetd["), "{line}");
        wait_for(LOG, "START: own from=::ffff:127.0.0.1");
        assert_eq!(syslog.count("own"), 0);
    });
}

#[test]
fn banners_are_what_files_hold() {
    sandbox::run(|| {
        for name in ["all", "in", "out"] {
            fs::write(format!("/run/{name}"), format!("{name}\n")).expect("write");
        }
        let banners = "\tbanner = /run/all\n\tbanner_success = /run/in\n\tbanner_fail = /run/out\n";
        let _daemon = start(
            &(service("it", 2001, "say well", banners)
                + &service("no", 2002, "say well", &format!("{banners}\tonly_from =\n"))),
            &[],
        );
        assert_eq!(listen(at(2001)), "all\nin\nwell");
        assert_eq!(listen(at(2002)), "all\nout\n");
    });
}

#[test]
fn internal_services_have_the_forms_of_xinetd() {
    sandbox::run(|| {
        let internal = |name: &str, port: u16, kind: &str| {
            let wait = if kind == "dgram" { "yes" } else { "no" };
            format!(
                "service {name}\n{{\n\tid = {name}-{kind}\n\ttype = INTERNAL UNLISTED\n\tport = {port}\n\tsocket_type = {kind}\n\twait = {wait}\n}}\n"
            )
        };
        let config = ["stream", "dgram"].map(|kind| internal("daytime", 2001, kind)).concat()
            + &internal("chargen", 2002, "stream");
        let _daemon = start(&config, &[]);
        for said in [listen(at(2001)), ask_by_datagram(at(2001), "when?")] {
            let words: Vec<&str> = said.trim_end_matches("\r\n").split(' ').collect();
            let [day, month, year, time, _zone] = words.as_slice() else { panic!("{said:?}") };
            assert!(day.len() == 2 && year.len() == 4 && time.len() == 8, "{said:?}");
            assert!(month.chars().all(|letter| letter.is_ascii_uppercase()), "{said:?}");
        }
        assert!(line(&mut connect(at(2002))).starts_with("!\"#$%&'()"));
    });
}

#[test]
fn an_address_of_a_group_joins_it() {
    sandbox::run(|| {
        need_users();
        // The sandbox has the loopback only, and no way to groups.
        let mut route = Command::new("ip");
        route.args(["route", "add", "224.0.0.0/4", "dev", "lo"]);
        if !route.status().is_ok_and(|status| status.success()) {
            sandbox::skip("needs ip(8)");
        }
        let lines = format!("\tbind = 239.1.2.3\n\tlog_type = FILE {SERVICES}\n\tlog_on_success = HOST\n");
        let config =
            service("it", 2001, "answer it", &lines).replace("= stream", "= dgram").replace("= no", "= yes");
        let _daemon = start(&config, &[]);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        socket.send_to(b"hello", "239.1.2.3:2001").expect("send");
        wait_for(SERVICES, "START: it from=127.0.0.1");
    });
}

#[test]
fn a_sensor_shuts_its_callers_out_of_everything() {
    sandbox::run(|| {
        let config = service("it", 2001, "say well", "")
            + &service("trap", 2002, "say well", "\tflags = SENSOR IPv4\n\tdeny_time = 1\n");
        let _daemon = start(&config, &[]);
        assert_eq!(listen(at(2001)), "well");
        assert_eq!(listen(at(2002)), "");
        assert_eq!(listen(at(2001)), "");
        wait_for(LOG, "Adding 127.0.0.1 to the global_no_access list for 1 minutes");
        if rustix::process::getuid().is_root() {
            assert_eq!(status()["denied_sources"], 1);
        }
    });
}

#[test]
fn callers_machines_are_asked_who_calls() {
    sandbox::run(|| {
        let ident = TcpListener::bind("127.0.0.1:113").expect("nobody else is here");
        let server = std::thread::spawn(move || {
            for user in ["joe", "eve"] {
                let (mut caller, _) = ident.accept().expect("accept");
                let mut question = [0; 100];
                let length = caller.read(&mut question).expect("a question");
                let ports = String::from_utf8_lossy(&question[..length]).trim().to_owned();
                caller.write_all(format!("{ports} : USERID : UNIX :{user}\r\n").as_bytes()).expect("write");
            }
        });
        let log = format!(
            "\tlog_type = FILE {SERVICES}\n\tflags = IPv4\n\tlog_on_success = USERID\n\tlog_on_failure = USERID\n"
        );
        let config = service("it", 2001, "say well", &log)
            + &service("no", 2002, "say well", &format!("{log}\tno_access = 127.0.0.1\n"))
            + &service("must", 2003, "say well", &log.replace("IPv4", "IPv4 IDONLY"));
        let _daemon = start(&config, &[]);
        assert_eq!(listen(at(2001)), "well");
        assert_eq!(listen(at(2002)), "");
        server.join().expect("both were asked");
        // Nobody answers any more.
        assert_eq!(listen(at(2003)), "");
        wait_for(SERVICES, "NOID: must 127.0.0.1 no server");
        let said = lines();
        for expected in ["USERID: it UNIX :joe", "FAIL: no address", "USERID: no UNIX :eve"] {
            assert!(said.contains(&expected.to_owned()), "{expected}: {said:#?}");
        }
    });
}

#[test]
fn an_inetd_conf_is_read_too_when_that_is_asked_for() {
    sandbox::run(|| {
        let user = sandbox::user();
        fs::write(
            "/etc/inetd.conf",
            format!(
                "2001 stream tcp nowait {user} {PROBE} probe say of-inetd\n2002 stream tcp nowait {user} {PROBE} probe say hidden\n"
            ),
        )
        .expect("write");
        let daemon = start(&service("it", 2002, "say of-xinetd", "\tid = 2002-stream\n"), &["-inetd_compat"]);
        assert_eq!(listen(at(2001)), "of-inetd");
        assert_eq!(listen(at(2002)), "of-xinetd");
        daemon.terminate();
        let _daemon = start(&service("it", 2002, "say of-xinetd", ""), &[]);
        assert!(is_refused(at(2001)));
    });
}

#[test]
fn a_log_file_that_cannot_be_opened_is_said_and_ends_it() {
    sandbox::run(|| {
        fs::write(CONFIG, service("it", 2001, "say well", "")).expect("write");
        let mut command = Command::new("/run/e2e/xinetd");
        command.args(["-filelog", "/run/missing/xinetd.log"]);
        let (status, said) = said_by(command);
        assert_eq!(status, Some(1));
        assert!(said.contains("/run/missing/xinetd.log"), "{said}");
        assert!(is_refused(at(2001)));
    });
}

#[test]
fn without_services_it_ends_unless_it_is_told_to_stay() {
    sandbox::run(|| {
        fs::write(CONFIG, "defaults\n{\n}\n").expect("write");
        let mut command = Command::new("/run/e2e/xinetd");
        command.args(["-filelog", LOG]);
        let (status, _) = said_by(command);
        assert_eq!(status, Some(1));
        wait_for(LOG, "no services. Exiting...");
        let daemon = start("defaults\n{\n}\n", &["-stayalive"]);
        fs::write(CONFIG, service("it", 2001, "say well", "")).expect("write");
        daemon.signal(Signal::HUP);
        wait_for(LOG, "Reconfigured: new=1 old=0 dropped=0 (services)");
        assert_eq!(listen(at(2001)), "well");
    });
}

#[test]
fn what_is_set_around_a_program_is_there() {
    sandbox::run(|| {
        need_users();
        let lines =
            "\tumask = 077\n\tnice = 5\n\trlimit_files = 77\n\tgroup = 12\n\tpassenv =\n\tenv = ONLY=this\n";
        let config =
            service("it", 2001, "report", lines).replace(&format!("= {}", sandbox::user()), "= 4242");
        let _daemon = start(&config, &[]);
        let found = report(at(2001));
        assert_eq!(found["ids"], serde_json::json!([4242, 4242, 12, 12]));
        assert_eq!(found["groups"], serde_json::json!([]));
        assert_eq!((found["umask"].as_str(), &found["nofile"]), (Some("077"), &serde_json::json!([77, 77])));
        let variables = serde_json::json!(["ONLY=this", "REMOTE_HOST=::ffff:127.0.0.1"]);
        assert_eq!(found["environment"], variables);
    });
}

#[test]
fn the_state_is_written_where_nobody_else_writes() {
    sandbox::run(|| {
        need_users();
        let daemon = start(&service("it", 2001, "say well", ""), &[]);
        daemon.signal(Signal::USR1);
        wait_for(LOG, "generated state dump in file /run/usherd/xinetd.dump");
        assert!(text("/run/usherd/xinetd.dump").contains("[::]:2001 (IPv4 too) stream  listening"));
        // Not through a link that somebody has put there.
        fs::remove_dir_all("/run/usherd").expect("it is ours");
        fs::create_dir("/run/elsewhere").expect("a folder");
        std::os::unix::fs::symlink("/run/elsewhere", "/run/usherd").expect("a link");
        daemon.signal(Signal::USR1);
        wait_for(LOG, "no state dump:");
        assert_eq!(fs::read_dir("/run/elsewhere").expect("a folder").count(), 0);
        // The second user signal is another hang-up.
        daemon.signal(Signal::USR2);
        wait_for(LOG, "Reconfigured:");
    });
}

#[test]
fn run_and_check_know_the_language_by_its_looks() {
    sandbox::run(|| {
        let good = service("it", 2001, "say well", "");
        let daemon = Daemon::run(&good);
        assert_eq!(listen(at(2001)), "well");
        daemon.terminate();
        fs::write(CONFIG, service("it", 2001, "say well", "\tonly_form = 127.0.0.1\n")).expect("write");
        let mut command = usherd("check");
        command.arg(CONFIG);
        let (status, said) = said_by(command);
        assert_eq!(status, Some(78), "{said}");
        for words in ["unknown-attribute", "xinetd.conf:10:2", "did you mean only_from"] {
            assert!(said.contains(words), "{words}: {said}");
        }
    });
}

#[test]
fn a_program_that_waits_gets_the_listener() {
    sandbox::run(|| {
        let config = service("it", 2001, "accept server 0", "").replace("= no", "= yes");
        let _daemon = start(&config, &[]);
        let mut caller = connect(at(2001));
        assert!(line(&mut caller).starts_with("server "));
        drop(caller);
        assert!(line(&mut connect(at(2001))).starts_with("server "));
    });
}

/// A service of xinetd's own that is for this machine alone.
fn local(name: &str, port: u16) -> String {
    format!(
        "service {name}\n{{\n\ttype = INTERNAL UNLISTED\n\tport = {port}\n\tbind = 127.0.0.1\n\tsocket_type = stream\n\twait = no\n}}\n"
    )
}

/// What is said up to a prompt.
#[track_caller]
fn answer(caller: &mut impl Read) -> String {
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(b"> ") {
        caller.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {said:?}"));
        said.extend(byte);
    }
    said.truncate(said.len() - 2);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn services_and_servers_list_what_can_be_called_and_what_runs() {
    sandbox::run(|| {
        let config = service("it", 2001, "hold held", "\tflags = IPv4\n")
            + &service("other", 2002, "say well", "\tid = another\n\tflags = IPv4\n")
            + &service("off", 2003, "say well", "\tdisable = yes\n")
            + &service("taken", 2004, "say well", "\tflags = IPv4\n")
            + &service("datagrams", 2005, "receive it 0", "")
                .replace("= stream", "= dgram")
                .replace("= no", "= yes")
            + &local("services", 9098)
            + &local("servers", 9099);
        let _taken = TcpListener::bind("0.0.0.0:2004").expect("nobody else is here");
        let daemon = start(&config, &[]);
        let before = daemon.descriptors();
        // What could not be opened cannot be called.
        let expected =
            "it tcp 2001\nanother tcp 2002\ndatagrams udp 2005\nservices tcp 9098\nservers tcp 9099\n";
        assert_eq!(listen(at(9098)), expected);
        assert_eq!(listen(at(9099)), "");
        let mut caller = connect(at(2001));
        let said = line(&mut caller);
        let pid = said.strip_prefix("held ").expect("its number");
        let from = caller.local_addr().expect("an address").port();
        let servers = listen(at(9099));
        let lines: Vec<&str> = servers.lines().collect();
        let [name, number, began, info, of, address, ""] = lines.as_slice() else { panic!("{servers:?}") };
        assert_eq!([*name, *info, *of], ["it server", "Connection info:", "\tservice = it"]);
        assert_eq!(*number, format!("pid = {pid}"));
        assert_eq!(*address, format!("\tremote_address = 127.0.0.1,{from}"));
        // As ctime has it: Mon Nov 23 08:52:17 2026
        let began = began.strip_prefix("start_time = ").expect("a time");
        assert!(began.len() == 24 && began.as_bytes()[13] == b':', "{began}");
        drop(caller);
        wait::until("nothing runs", || listen(at(9099)).is_empty());
        daemon.comes_to_rest(before);
    });
}

#[test]
fn xadmin_answers_one_command_after_the_other() {
    sandbox::run(|| {
        let config = service("it", 2001, "hold held", "\tflags = IPv4\n") + &local("xadmin", 9100);
        let daemon = start(&config, &[]);
        let before = daemon.descriptors();
        let mut held = connect(at(2001));
        let said = line(&mut held);
        let pid = said.strip_prefix("held ").expect("its number");
        let mut caller = connect(at(9100));
        let mut say = |text: &str| {
            caller.write_all(text.as_bytes()).expect("write");
            answer(&mut caller)
        };
        assert_eq!(say(""), "");
        assert!(say("help\r\n").starts_with("xinetd admin help:\nshow run  :"));
        let running = say("show run\n");
        assert!(running.starts_with("Running services:\nit server\n"), "{running:?}");
        assert!(running.contains(&format!("\npid = {pid}\n")), "{running:?}");
        let user = rustix::process::getuid().as_raw();
        assert_eq!(
            say("show avail\r\n"),
            format!(
                "Available services:\nservice    port   bound address    uid\n\
                 it         2001   0.0.0.0          {user}\nxadmin     9100   127.0.0.1        {user}\n"
            )
        );
        assert!(say("show\n").starts_with("Relevant commands:\n"));
        assert_eq!(say("reboot\n"), "");
        assert_eq!(daemon.status()["sessions"], 1);
        drop(held);
        wait::until("nothing runs", || say("show run\n") == "Running services:\n");
        caller.write_all(b"quit\n").expect("write");
        assert_eq!(rest(&mut caller), "bye bye\n");
        // Several at once, and one that only the end of all ends.
        let said = ask(at(9100), "show\nnothing\nshow run");
        assert_eq!(said.matches("> ").count(), 3, "{said:?}");
        assert!(said.ends_with("> Running services:\n"), "{said:?}");
        daemon.comes_to_rest(before);
    });
}

#[test]
fn xadmin_reads_no_more_than_a_line_and_waits_for_nobody() {
    const TIMES: usize = 3000;
    sandbox::run(|| {
        let all: String = (3000..3100).map(|port| local("echo", port)).collect();
        let daemon = start(&(all + &local("xadmin", 9100)), &[]);
        let before = daemon.descriptors();
        // A megabyte and no line.
        let mut caller = connect(at(9100));
        assert_eq!(answer(&mut caller), "");
        let sent = caller.write_all(&[b'x'; 1 << 20]);
        let heard = caller.read(&mut [0; 16]);
        assert!(sent.is_err() || heard.is_err() || heard.is_ok_and(|length| length == 0));
        wait::until("it is dropped", || daemon.status()["sessions"] == 0);
        // One who asks and asks, and does not read: the answers are more than the kernel takes.
        let mut slow = connect(at(9100));
        slow.write_all("show avail\n".repeat(TIMES).as_bytes()).expect("write");
        slow.shutdown(Shutdown::Write).expect("shutdown");
        wait::until("it has a session", || daemon.status()["sessions"] == 1);
        echoes(&mut connect(at(3000)), "meanwhile");
        let said = rest(&mut slow);
        assert_eq!(said.matches("Available services:").count(), TIMES);
        assert_eq!(said.matches("echo       3099 ").count(), TIMES);
        daemon.comes_to_rest(before);
    });
}

#[test]
fn what_runs_here_is_shown_to_nobody_elsewhere() {
    sandbox::run(|| {
        let open = local("services", 9098).replace("\tbind = 127.0.0.1\n", "");
        fs::write(CONFIG, open.clone() + &local("servers", 9099)).expect("write");
        let mut command = usherd("check");
        command.arg(CONFIG);
        let (status, said) = said_by(command);
        assert_eq!(status, Some(78), "{said}");
        for words in ["shown-to-others", "services shows what runs here", "bind = 127.0.0.1"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(!said.contains("servers shows"), "{said}");
        // It is left out, and the others are served.
        let _daemon = start(&(open + &local("servers", 9099)), &[]);
        assert!(is_refused(at(9098)));
        assert_eq!(listen(at(9099)), "");
    });
}
