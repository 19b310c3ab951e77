//! Callers that are connected to another host and port, by the whole daemon.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

use rustix::process::Signal;

use crate::client::{at, connect, echoes, listen, rest};
use crate::daemon::{self, Daemon, log_count, wait_for_log};
use crate::sandbox;
use crate::wait;

/// A service on this port of loopback whose callers come to that port, with these lines.
fn redirect(port: u16, target: u16, lines: &str) -> String {
    format!(
        "service r{port}\n{{\n type = UNLISTED\n port = {port}\n bind = 127.0.0.1\n socket_type = stream\n \
         wait = no\n redirect = 127.0.0.1 {target}\n{lines}\n}}\n"
    )
}

fn target(port: u16) -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("bind")
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().expect("accept");
    stream.set_read_timeout(Some(wait::DEADLINE)).expect("a time-out");
    stream
}

/// One who says this to the other.
fn says(from: &mut TcpStream, to: &mut TcpStream, text: &str) {
    from.write_all(text.as_bytes()).expect("write");
    let mut got = vec![0; text.len()];
    to.read_exact(&mut got).expect("read");
    assert_eq!(String::from_utf8_lossy(&got), text);
}

#[test]
fn a_caller_and_a_target_talk_and_what_they_said_is_counted() {
    sandbox::run(|| {
        let back = target(3001);
        let daemon = Daemon::run_with(&redirect(2001, 3001, ""), &["--log-connections"]);
        let mut caller = connect(at(2001));
        let mut other = accept(&back);
        says(&mut caller, &mut other, "a question");
        caller.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!(other.read(&mut [0; 9]).expect("the end is passed on"), 0);
        assert_eq!(daemon.status()["sessions"], 1);
        let long = vec![b'x'; 3_000_000];
        let writes = std::thread::spawn(move || other.write_all(&long));
        assert_eq!(rest(&mut caller).len(), 3_000_000);
        writes.join().expect("no panic").expect("write");
        wait::until("it is over", || daemon.status()["sessions"] == 0);
        let service = daemon.service("r2001");
        assert_eq!(service["program"], "redirect to 127.0.0.1:3001");
        assert_eq!((daemon.count("r2001", "calls"), daemon.count("r2001", "started")), (1, 1));
        assert_eq!(log_count("event=connected service=r2001 target=127.0.0.1:3001"), 1, "{}", daemon::log());
        let said = "event=disconnected service=r2001 in=10 out=3000000 end=complete";
        assert_eq!(log_count(said), 1, "{}", daemon::log());
    });
}

#[test]
fn a_target_that_refuses_is_said_once_and_shown_until_it_is_back() {
    sandbox::run(|| {
        let daemon = Daemon::run(&redirect(2001, 3001, ""));
        for _ in 0..3 {
            assert_eq!(listen(at(2001)), "");
        }
        wait::until("it is shown", || daemon.count("r2001", "failed") == 3);
        let said = "event=start-failed service=r2001 127.0.0.1:3001: Connection refused";
        assert_eq!(log_count(said), 1, "{}", daemon::log());
        let shown = &daemon.service("r2001")["failures"][0];
        assert_eq!(shown["error"], "127.0.0.1:3001: Connection refused");
        assert_eq!(daemon.count("r2001", "running"), 0);
        let back = target(3001);
        let mut caller = connect(at(2001));
        says(&mut accept(&back), &mut caller, "here again");
        wait_for_log("event=start-recovered service=r2001");
    });
}

#[test]
fn a_reload_leaves_those_who_talk_alone() {
    sandbox::run(|| {
        let (old, new) = (target(3001), target(3002));
        let daemon = Daemon::run(&redirect(2001, 3001, ""));
        let mut caller = connect(at(2001));
        let mut other = accept(&old);
        says(&mut caller, &mut other, "before");
        daemon.reload(&redirect(2001, 3002, ""));
        says(&mut other, &mut caller, "and after");
        let mut second = connect(at(2001));
        says(&mut accept(&new), &mut second, "elsewhere");
        daemon.reload("127.0.0.1:2009 stream tcp4 nowait root internal discard\n");
        assert!(crate::client::is_refused(at(2001)));
        says(&mut caller, &mut other, "and when the service has gone");
        drop(caller);
        assert_eq!(rest(&mut other), "");
    });
}

#[test]
fn its_limits_hold() {
    sandbox::run(|| {
        let back = target(3001);
        let daemon = Daemon::run(&redirect(2001, 3001, " instances = 2"));
        let (first, _second) = (connect(at(2001)), connect(at(2001)));
        wait::until("both are there", || daemon.count("r2001", "running") == 2);
        assert_eq!(listen(at(2001)), "");
        assert_eq!(daemon.limit("r2001", "children"), Some((true, 1)));
        drop((accept(&back), accept(&back), first));
        wait::until("there is room", || daemon.count("r2001", "running") < 2);
        let mut third = connect(at(2001));
        says(&mut accept(&back), &mut third, "come in");
    });
}

#[test]
fn without_descriptors_one_caller_is_lost() {
    sandbox::run(|| {
        let back = target(3001);
        let daemon = Daemon::run(
            &(redirect(2001, 3001, "")
                + "service echo\n{\n type = INTERNAL UNLISTED\n port = 2007\n socket_type = stream\n wait = no\n}\n"),
        );
        let mut session = connect(at(2007));
        echoes(&mut session, "before");
        let before = daemon.descriptors();
        // Room for a caller, and none for its target.
        let free = (3..)
            .find(|number| !std::path::Path::new(&format!("/proc/{}/fd/{number}", daemon.pid())).exists());
        let own = daemon.limit_descriptors(Some(free.expect("a number") + 1));
        assert_eq!(listen(at(2001)), "");
        wait_for_log("event=limit-began service=r2001 limit=resources Too many open files");
        echoes(&mut session, "meanwhile");
        daemon.limit_descriptors(own);
        wait::until("it recovers", || daemon.state("r2001") == "listening");
        let mut caller = connect(at(2001));
        says(&mut accept(&back), &mut caller, "well");
        drop(caller);
        drop(session);
        wait::until("all have gone", || daemon.status()["sessions"] == 0);
        // A pipe is kept.
        wait::until("no descriptor is lost", || daemon.descriptors() <= before + 2);
    });
}

#[test]
fn the_end_of_the_daemon_ends_them_and_tells_what_they_said() {
    sandbox::run(|| {
        let back = target(3001);
        let daemon = Daemon::run_with(&redirect(2001, 3001, ""), &["--log-connections"]);
        let mut caller = connect(at(2001));
        let mut other = accept(&back);
        says(&mut caller, &mut other, "five!");
        daemon.signal(Signal::TERM);
        assert_eq!((rest(&mut caller), rest(&mut other)), (String::new(), String::new()));
        wait_for_log("event=disconnected service=r2001 in=5 out=0 end=stopped");
        assert!(daemon.terminate().success());
    });
}

#[test]
fn whom_hosts_deny_refuses_is_not_connected() {
    sandbox::run(|| {
        let back = target(3001);
        std::fs::write("/etc/hosts.deny", "r2001: ALL\n").expect("write");
        let _daemon = Daemon::run(&(redirect(2001, 3001, "") + &redirect(2002, 3001, "")));
        assert_eq!(listen(at(2001)), "");
        let mut caller = connect(at(2002));
        let mut other = accept(&back);
        says(&mut other, &mut caller, "this is the only one");
        back.set_nonblocking(true).expect("fcntl");
        assert!(back.accept().is_err());
    });
}

#[test]
fn what_was_said_is_in_the_lines_of_xinetd() {
    sandbox::run(|| {
        let back = target(3001);
        let lines = " log_type = FILE /run/r.log\n log_on_success = HOST DURATION TRAFFIC";
        let _daemon = Daemon::run(&redirect(2001, 3001, lines));
        let mut caller = connect(at(2001));
        let mut other = accept(&back);
        says(&mut caller, &mut other, "twelve bytes");
        says(&mut other, &mut caller, "well");
        drop((caller, other));
        let log = || std::fs::read_to_string("/run/r.log").unwrap_or_default();
        wait::until("all three lines", || log().lines().count() >= 3);
        for line in [
            "START: r2001 from=127.0.0.1",
            "EXIT: r2001 duration=0(sec)",
            "TRAFFIC: r2001 in=12(bytes) out=4(bytes)",
        ] {
            assert_eq!(log().lines().filter(|said| said.ends_with(line)).count(), 1, "{line}: {}", log());
        }
    });
}
