//! `--tables`: a daemon that anybody runs has hosts.allow and hosts.deny of its own, and needs nobody's rights for them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::client::{at, listen, rest};
use crate::daemon::{self, CONFIG, Daemon, log, said_by, usherd, wait_for_log};
use crate::name_server::NameServer;
use crate::probe::PROBE;
use crate::sandbox;
use crate::wrappers::connect_from;

const FOLDER: &str = "/run/tables";

fn tables(allow: &str, deny: &str) {
    fs::create_dir_all(FOLDER).expect("a folder");
    fs::write(Path::new(FOLDER).join("hosts.allow"), allow).expect("write");
    fs::write(Path::new(FOLDER).join("hosts.deny"), deny).expect("write");
}

fn from(last: u8, port: u16) -> String {
    rest(&mut connect_from([127, 0, 0, last], SocketAddr::from(([127, 0, 0, 1], port))))
}

#[test]
fn a_daemon_asks_the_tables_that_it_is_told() {
    sandbox::run(|| {
        fs::write("/etc/hosts.deny", "ALL: ALL\n").expect("write");
        tables("probe: 127.0.0.1\n", "ALL: ALL\n");
        let user = sandbox::user();
        let config = format!(
            "127.0.0.1:2001 stream tcp4 nowait {user} /usr/sbin/tcpd {PROBE} say within\n\
             127.0.0.1:2002 stream tcp4 nowait {user} {PROBE} probe say open\n"
        );
        let daemon = Daemon::run_with(&config, &["--tables", FOLDER]);
        assert_eq!((from(1, 2001).as_str(), from(2, 2001).as_str()), ("within", ""));
        wait_for_log("event=access-denied address=127.0.0.2 rule=/run/tables/hosts.deny:1");
        assert_eq!(from(2, 2002), "open", "only what is behind tcpd is guarded");
        // An edit counts for the next caller, and a reload forgets nothing of this.
        tables("probe: 127.0.0.2\n", "ALL: ALL\n");
        assert_eq!((from(1, 2001).as_str(), from(2, 2001).as_str()), ("", "within"));
        daemon.reread();
        assert_eq!((from(1, 2001).as_str(), from(2, 2001).as_str()), ("", "within"));
    });
}

#[test]
fn serve_asks_tables_that_it_is_given() {
    sandbox::run(|| {
        tables("probe: 127.0.0.1\n", "ALL: ALL\n");
        // The folder as it is seen from where it is started.
        let mut command = usherd("serve");
        command.current_dir("/run").args(["--tables", "tables", "--control", daemon::CONTROL]);
        let _daemon = Daemon::start({
            command.args(["127.0.0.1:2001", "--", PROBE, "say", "within"]);
            command
        });
        assert_eq!((from(1, 2001).as_str(), from(2, 2001).as_str()), ("within", ""));
        wait_for_log("event=access-denied daemon=probe rule=/run/tables/hosts.deny:1");
    });
}

#[test]
fn who_calls_is_looked_up_without_rights_too() {
    sandbox::run(|| {
        let server = NameServer::start();
        server.says(vec![]);
        tables("probe: LOCAL: deny\nprobe: 127.0.0.1 UNKNOWN: twist echo hello %a\n", "ALL: ALL\n");
        let serve = ["--tables", FOLDER, "127.0.0.1:2001", "--", PROBE, "say", "within"];
        let _daemon = Daemon::serve(&serve);
        assert_eq!(rest(&mut connect_from([127, 1, 2, 3], at(2001))), "hello 127.1.2.3\n");
        assert!(!log().contains("event=no-resolver"), "{}", log());
    });
}

#[test]
fn tables_that_are_not_there_let_nobody_in() {
    sandbox::run(|| {
        daemon::configure("");
        for face in [&["run", "-c", CONFIG][..], &["serve", "2001"]] {
            let mut command = usherd(face[0]);
            command.args(&face[1..]).args(["--control", "none", "--tables", "/run/no-such-folder"]);
            if face[0] == "serve" {
                command.args(["--", PROBE]);
            }
            let (status, said) = said_by(command);
            let expected =
                format!("usherd {}: --tables /run/no-such-folder: No such file or directory\n", face[0]);
            assert_eq!((status, said), (Some(78), expected));
        }
        // One that goes while it serves.
        tables("", "");
        let _daemon = Daemon::serve(&["--tables", FOLDER, "127.0.0.1:2001", "--", PROBE, "say", "within"]);
        assert_eq!(listen(at(2001)), "within");
        fs::rename(FOLDER, "/run/elsewhere").expect("rename");
        assert_eq!(listen(at(2001)), "");
        wait_for_log("event=access-remark cannot open /run/tables/hosts.deny");
        fs::rename("/run/elsewhere", FOLDER).expect("rename");
        assert_eq!(listen(at(2001)), "within");
        // An empty folder is one without rules, as the original has it.
        fs::remove_file("/run/tables/hosts.allow").expect("it is there");
        fs::remove_file("/run/tables/hosts.deny").expect("it is there");
        assert_eq!(listen(at(2001)), "within");
    });
}
