//! `wait`: a program gets the listener, and the daemon looks away until it has ended.

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{at, connect, is_refused, line, listen};
use crate::daemon::{self, Daemon, log_count, wait_for_log};
use crate::sandbox;
use crate::wait;

/// The number that a probe says of itself.
pub fn number(said: &str) -> i32 {
    let word = said.split(' ').nth(1).unwrap_or_else(|| panic!("no number in {said:?}"));
    word.trim().parse().unwrap_or_else(|_| panic!("no number in {said:?}"))
}

#[test]
fn a_wait_server_serves_until_it_ends_and_then_another_is_started() {
    sandbox::run(|| {
        let daemon = Daemon::run(&daemon::line("2001", "stream tcp4", "wait", "accept server 2"));
        let mut first = connect(at(2001));
        let said = line(&mut first);
        wait::until("it has the socket", || daemon.state("2001") == "handed-over");
        let why = daemon.service("2001")["listeners"][0]["why"].clone();
        assert_eq!(why, format!("process {} has the socket", number(&said)));
        drop(first);
        assert_eq!(line(&mut connect(at(2001))), said, "one server, two callers");
        wait::until("it has ended", || daemon.state("2001") == "listening");
        let next = line(&mut connect(at(2001)));
        assert_ne!(number(&next), number(&said));
        assert_eq!(daemon.count("2001", "started"), 2);
    });
}

#[test]
fn a_wait_server_that_is_killed_is_replaced_for_the_next_caller() {
    sandbox::run(|| {
        let daemon = Daemon::run(&daemon::line("2001", "stream tcp4", "wait", "accept server 0"));
        for round in 1..=3 {
            let said = line(&mut connect(at(2001)));
            kill_process(Pid::from_raw(number(&said)).expect("a pid"), Signal::KILL).expect("kill");
            wait::until("it is gone", || daemon.state("2001") == "listening");
            assert_eq!(log_count("event=wait-server-failed exit signal 9"), round);
        }
    });
}

#[test]
fn every_program_can_be_killed() {
    sandbox::run(|| {
        let daemon = Daemon::run(&daemon::line("2001", "stream tcp4", "nowait", "hold it"));
        let before = daemon.descriptors();
        let mut callers: Vec<_> = (0..10).map(|_| connect(at(2001))).collect();
        for caller in &mut callers {
            let pid = Pid::from_raw(number(&line(caller))).expect("a pid");
            kill_process(pid, Signal::KILL).expect("kill");
        }
        drop(callers);
        daemon.comes_to_rest(before);
        assert!(line(&mut connect(at(2001))).starts_with("it "));
    });
}

#[test]
fn a_wait_program_that_cannot_be_started_costs_one_caller_and_no_loop() {
    sandbox::run(|| {
        let user = sandbox::user();
        let daemon = Daemon::run(&format!("2001 stream tcp4 wait {user} /srv/missing missing\n"));
        assert_eq!(listen(at(2001)), "", "the caller is not left hanging");
        wait_for_log("event=start-failed exec: No such file");
        let _second = connect(at(2001));
        wait::until("it rests", || daemon.state("2001") == "paused");
        wait::stays("few starts", || daemon.count("2001", "failed") <= 2);
        assert!(!is_refused(at(2001)));
    });
}
