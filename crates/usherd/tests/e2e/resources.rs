//! When descriptors or processes run out: one caller at the most is lost, and all comes back by itself.

use std::io::Read;
use std::os::unix::process::CommandExt;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::client::{at, connect, echoes, line, listen, rest};
use crate::daemon::{self, CONTROL, Daemon, configure, log_count, usherd, wait_for_log};
use crate::probe::PROBE;
use crate::sandbox::{self, need_users};
use crate::wait;

#[test]
fn without_descriptors_callers_wait_and_are_served_later() {
    sandbox::run(|| {
        let config = [
            "127.0.0.1:2007 stream tcp4 nowait root internal echo\n".to_owned(),
            daemon::line("2001", "stream tcp4", "nowait", "say well"),
        ];
        let daemon = Daemon::run(&config.concat());
        let mut session = connect(at(2007));
        echoes(&mut session, "before");
        let before = daemon.descriptors();

        // From now on it gets no descriptor any more; those that it has stay.
        let own = daemon.limit_descriptors(Some(3));
        let mut waiting = [connect(at(2007)), connect(at(2001))];
        wait_for_log("event=limit-began listener=2007/tcp4 limit=resources Too many open files");
        wait_for_log("event=limit-began listener=2001/tcp4 limit=resources Too many open files");
        echoes(&mut session, "meanwhile");

        daemon.limit_descriptors(own);
        echoes(&mut waiting[0], "at last");
        assert_eq!(rest(&mut waiting[1]), "well");
        assert_eq!(log_count("event=limit-began"), 2, "said once");
        drop(waiting);
        wait::until("one session is left", || daemon.status()["sessions"] == 1);
        wait::until("no descriptor is lost", || daemon.descriptors() == before);
    });
}

#[test]
fn programs_that_go_on_take_no_descriptor_from_others() {
    sandbox::run(|| {
        let mut config = [
            daemon::line("2001", "stream tcp4", "nowait.1000", "hold it"),
            daemon::line("2002", "stream tcp4", "nowait.1000", "say well"),
            daemon::line("2003", "dgram udp4", "wait", "receive it 1"),
            "127.0.0.1:2007 stream tcp4 nowait root internal echo\n".to_owned(),
        ]
        .concat();
        let daemon = Daemon::run(&config);
        let before = daemon.descriptors();
        daemon.limit_descriptors(Some(40));
        let mut held: Vec<_> = (0..100).map(|_| connect(at(2001))).collect();
        held.iter_mut().for_each(|caller| assert!(line(caller).starts_with("it ")));
        for _ in 0..10 {
            assert_eq!(listen(at(2002)), "well");
            assert!(crate::client::ask_by_datagram(at(2003), "hello").ends_with(" hello"));
            echoes(&mut connect(at(2007)), "well");
        }
        config.push_str(&daemon::line("2004", "stream tcp4", "nowait", "say new"));
        daemon.reload(&config);
        assert_eq!(listen(at(2004)), "new");
        assert_eq!(log_count("event=limit-began"), 0, "nobody has waited");
        assert_eq!(daemon.count("2001", "running"), 100);
        drop(held);
        wait::until("the end of each is seen", || daemon.count("2001", "running") == 0);
        assert!(daemon.descriptors() <= before + 1, "one for the new service");
    });
}

#[test]
fn a_reload_without_descriptors_fails_and_the_next_one_does_not() {
    sandbox::run(|| {
        let daemon = Daemon::run(&daemon::line("2001", "stream tcp4", "nowait", "say old"));
        let before = daemon.descriptors();
        let own = daemon.limit_descriptors(Some(3));
        daemon.reload(&daemon::line("2001", "stream tcp4", "nowait", "say new"));
        wait_for_log("event=load-failed Too many open files");
        daemon.limit_descriptors(own);
        assert_eq!(listen(at(2001)), "old");
        daemon.reread();
        assert_eq!(listen(at(2001)), "new");
        daemon.comes_to_rest(before);
    });
}

#[test]
fn listeners_that_wait_for_descriptors_leave_those_to_ask_and_reload_with() {
    sandbox::run(|| {
        let config: String = (2001..2061)
            .map(|port| daemon::line(&format!("127.0.0.1:{port}"), "stream tcp4", "nowait", "say well"))
            .collect();
        configure(&config);
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\"", sandbox::USHERD]);
        command.args(["run", "--control", CONTROL]);
        let daemon = Daemon::start(command);
        for round in 1..=4 {
            daemon.reread();
            assert_eq!(log_count("event=configured kept=60"), round, "no load has failed");
            assert_eq!(daemon.state("2060"), "closed");
            assert_eq!(listen(at(2001)), "well");
        }
    });
}

#[test]
fn without_processes_callers_wait_and_are_served_later() {
    sandbox::run(|| {
        need_users();
        // A user of our own, so that no other process counts.
        let mut uid = [0; 2];
        std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut uid)).expect("random");
        let uid = 200_000 + u32::from(u16::from_ne_bytes(uid));
        let users = std::fs::read_to_string("/etc/passwd").expect("read");
        std::fs::write("/etc/passwd", format!("{users}lonely:x:{uid}:{uid}::/:/bin/sh\n")).expect("write");
        let some = Some(3);
        setrlimit(Resource::Nproc, Rlimit { current: some, maximum: some }).expect("setrlimit");
        configure(&format!(
            "2001 stream tcp4 nowait lonely {PROBE} probe hold it\n127.0.0.1:2007 stream tcp4 nowait lonely internal echo\n"
        ));
        std::os::unix::fs::chown("/run", Some(uid), Some(uid)).expect("chown");
        let mut command = usherd("run");
        command.args(["--control", CONTROL]).uid(uid).gid(uid);
        let daemon = Daemon::start(command);
        let before = daemon.descriptors();
        wait::until("the loader counts no more", || daemon.is_childless());
        let mut held = [connect(at(2001)), connect(at(2001))];
        held.iter_mut().for_each(|caller| assert!(line(caller).starts_with("it ")));
        let mut third = connect(at(2001));
        let mut fourth = connect(at(2001));
        wait_for_log("event=limit-began limit=resources");
        echoes(&mut connect(at(2007)), "others are well");
        drop(held);
        // One of the two may have been lost with the start that failed; the other is served.
        let said: Vec<String> = [&mut third, &mut fourth].map(line).into();
        assert!(said.iter().any(|said| said.starts_with("it ")), "{said:?}");
        drop((third, fourth));
        daemon.comes_to_rest(before);
        assert!(line(&mut connect(at(2001))).starts_with("it "));
    });
}

#[test]
fn thousands_of_connections_leave_nothing_behind() {
    sandbox::run(|| {
        let config = [
            daemon::line("2001", "stream tcp4", "nowait", "say well"),
            daemon::line("2002", "dgram udp4", "nowait", "answer it"),
            "127.0.0.1:7 stream tcp4 nowait root internal echo\n".to_owned(),
            "127.0.0.1:13 stream tcp4 nowait root internal daytime\n".to_owned(),
        ];
        let daemon = Daemon::run_with(&config.concat(), &["--rate", "100000"]);
        assert_eq!(listen(at(2001)), "well");
        daemon.comes_to_rest(daemon.descriptors());
        let before = daemon.descriptors();
        for round in 0..1000 {
            assert_eq!(listen(at(13)).len(), 26);
            echoes(&mut connect(at(7)), "x");
            if round % 10 == 0 {
                assert_eq!(listen(at(2001)), "well");
                assert!(crate::client::ask_by_datagram(at(2002), "end").ends_with(" end"));
            }
        }
        daemon.comes_to_rest(before);
        assert!(daemon.is_childless());
    });
}
