//! SIGHUP: what changes, what stays, and what goes on meanwhile.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpListener};

use rustix::process::Signal;
use serde_json::json;

use crate::client::{ask_by_datagram, at, connect, echoes, is_refused, line, listen, report, rest};
use crate::daemon::{self, CONFIG, Daemon, configure, log_count, wait_for_log};
use crate::probe::PROBE;
use crate::sandbox::{self, need_users, user};
use crate::wait;
use crate::waiting::number;

fn stream(port: u16, wait: &str, words: &str) -> String {
    daemon::line(&port.to_string(), "stream tcp4", wait, words)
}

#[test]
fn services_come_change_and_go() {
    sandbox::run(|| {
        let daemon =
            Daemon::run(&[stream(2001, "nowait", "say one"), stream(2002, "nowait", "say two")].concat());
        daemon.reload(&[stream(2002, "nowait", "say changed"), stream(2003, "nowait", "say new")].concat());
        assert!(is_refused(at(2001)));
        assert_eq!((listen(at(2002)).as_str(), listen(at(2003)).as_str()), ("changed", "new"));
        wait_for_log("event=configured kept=0 added=1 changed=1 removed=1");
        daemon.reread();
        wait_for_log("event=configured kept=2 added=0 changed=0 removed=0");
    });
}

#[test]
fn a_port_that_goes_and_comes_again_works_again() {
    sandbox::run(|| {
        let config = stream(2001, "nowait", "say well");
        let daemon = Daemon::run(&config);
        let before = daemon.descriptors();
        for _ in 0..5 {
            daemon.reload("");
            assert!(is_refused(at(2001)));
            daemon.reload(&config);
            assert_eq!(listen(at(2001)), "well");
        }
        daemon.comes_to_rest(before);
    });
}

#[test]
fn a_mistyped_include_costs_no_service_of_the_file_that_it_meant() {
    sandbox::run(|| {
        fs::write("/etc/included", stream(2002, "nowait", "say included")).expect("the sandbox has an /etc");
        let config = |directive: &str| format!("{directive} included\n{}", stream(2001, "nowait", "say one"));
        let daemon = Daemon::run(&config(".include"));
        daemon.reload(&config(".includ"));
        wait_for_log("event=configured kept=2");
        assert_eq!((listen(at(2001)).as_str(), listen(at(2002)).as_str()), ("one", "included"));
    });
}

#[test]
fn user_and_arguments_change() {
    sandbox::run(|| {
        need_users();
        let daemon = Daemon::run(&stream(2001, "nowait", "report"));
        assert_eq!(report(at(2001))["ids"], json!([0, 0, 0, 0]));
        daemon.reload(&format!("2001 stream tcp4 nowait alice.games {PROBE} probe report again\n"));
        let report = report(at(2001));
        assert_eq!(report["ids"], json!([1001, 1001, 1102, 1102]));
        assert_eq!(report["argv"], json!(["probe", "report", "again"]));
    });
}

#[test]
fn a_wait_server_survives_and_is_remembered() {
    sandbox::run(|| {
        let config = stream(2001, "wait", "accept server 0");
        let daemon = Daemon::run(&config);
        let said = line(&mut connect(at(2001)));
        for _ in 0..3 {
            daemon.reread();
            assert_eq!(line(&mut connect(at(2001))), said);
        }
        // Another program for the next time; the one that runs goes on.
        daemon.reload(&stream(2001, "wait", "accept other 0"));
        assert_eq!(line(&mut connect(at(2001))), said);
        connect(at(2001)).write_all(b"end").expect("write");
        wait::until("it has ended", || daemon.state("2001") == "listening");
        assert!(line(&mut connect(at(2001))).starts_with("other "));
        assert_eq!(daemon.count("2001", "started"), 2);
    });
}

#[test]
fn from_wait_to_nowait_while_a_server_runs() {
    sandbox::run(|| {
        let daemon = Daemon::run(&stream(2001, "wait", "accept server 0"));
        let mut held = connect(at(2001));
        assert!(line(&mut held).starts_with("server "));
        // The server is busy with one caller, so it accepts no other.
        daemon.reload(&stream(2001, "nowait", "say by itself"));
        assert_eq!(listen(at(2001)), "by itself");
        held.write_all(b"end").expect("write");
        held.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!(rest(&mut held), "");
        wait::until("the server has ended", || daemon.count("2001", "running") == 0);
        assert_eq!(listen(at(2001)), "by itself");
        daemon.reread();
        assert_eq!(listen(at(2001)), "by itself");
    });
}

#[test]
fn from_nowait_to_wait_while_programs_run() {
    sandbox::run(|| {
        let daemon = Daemon::run(&stream(2001, "nowait", "echo"));
        let mut session = connect(at(2001));
        echoes(&mut session, "before");
        daemon.reload(&stream(2001, "wait", "accept server 1"));
        for _ in 0..2 {
            assert!(line(&mut connect(at(2001))).starts_with("server "));
        }
        echoes(&mut session, "and after");
    });
}

#[test]
fn to_nowait_and_back_does_not_start_a_second_wait_server_over_the_first() {
    sandbox::run(|| {
        let wait = stream(2001, "wait", "accept server 0");
        let daemon = Daemon::run(&wait);
        let said = line(&mut connect(at(2001)));
        daemon.reload(&stream(2001, "nowait", "say by itself"));
        daemon.reload(&wait);
        // Whoever serves them, a caller is served, and no more than one more server runs.
        for _ in 0..3 {
            assert!(line(&mut connect(at(2001))).starts_with("server "));
        }
        assert!(daemon.count("2001", "running") <= 2);
        assert!(number(&said) > 0);
    });
}

#[test]
fn from_internal_to_external_and_back() {
    sandbox::run(|| {
        let internal = "127.0.0.1:2001 stream tcp4 nowait root internal echo\n\
                        127.0.0.1:2001 dgram udp4 wait root internal echo\n";
        let external = [
            daemon::line("127.0.0.1:2001", "stream tcp4", "nowait", "say external"),
            daemon::line("127.0.0.1:2001", "dgram udp4", "nowait", "answer external"),
        ]
        .concat();
        let daemon = Daemon::run(internal);
        let mut session = connect(at(2001));
        echoes(&mut session, "inside");
        for _ in 0..2 {
            daemon.reload(&external);
            assert_eq!(listen(at(2001)), "external");
            assert!(ask_by_datagram(at(2001), "end").starts_with("external "));
            echoes(&mut session, "still inside");
            daemon.reload(internal);
            echoes(&mut connect(at(2001)), "inside again");
            assert_eq!(ask_by_datagram(at(2001), "inside"), "inside");
        }
    });
}

#[test]
fn limits_change() {
    sandbox::run(|| {
        let daemon = Daemon::run(&stream(2001, "nowait.1", "say well"));
        assert_eq!(listen(at(2001)), "well");
        let mut waiting = connect(at(2001));
        wait::until("it rests", || daemon.state("2001") == "paused");
        daemon.reload(&stream(2001, "nowait.100", "say well"));
        assert_eq!(rest(&mut waiting), "well", "who waited is served");
        for _ in 0..5 {
            assert_eq!(listen(at(2001)), "well");
        }
        daemon.reload(&stream(2001, "nowait.3", "say well"));
        let _waiting = connect(at(2001));
        wait::until("it rests", || daemon.state("2001") == "paused");
        assert_eq!(daemon.count("2001", "started"), 7, "what was started before counts");
    });
}

#[test]
fn an_unchanged_listener_keeps_who_waits_in_it() {
    sandbox::run(|| {
        let limited =
            [stream(2001, "nowait.1", "say well"), stream(2002, "wait", "accept server 0")].concat();
        let daemon = Daemon::run(&limited);
        assert_eq!(listen(at(2001)), "well");
        let mut busy = connect(at(2002));
        line(&mut busy);
        // One waits at a limit, one behind another caller of a wait server.
        let mut at_limit = connect(at(2001));
        wait::until("it rests", || daemon.state("2001") == "paused");
        let mut behind = connect(at(2002));
        for _ in 0..3 {
            daemon.reread();
        }
        drop(busy);
        assert!(line(&mut behind).starts_with("server "));
        daemon.reload(
            &[stream(2001, "nowait.9", "say well"), stream(2002, "wait", "accept server 0")].concat(),
        );
        assert_eq!(rest(&mut at_limit), "well");
    });
}

#[test]
fn from_all_addresses_to_one_and_back() {
    sandbox::run(|| {
        let one = daemon::line("127.0.0.2:2001", "stream tcp4", "nowait", "say one");
        let all = daemon::line("2001", "stream tcp4", "nowait", "say all");
        let daemon = Daemon::run(&all);
        let second = std::net::SocketAddr::from(([127, 0, 0, 2], 2001));
        assert_eq!(listen(at(2001)), "all");
        for _ in 0..2 {
            daemon.reload(&one);
            wait::until("the address is open", || !is_refused(second));
            assert_eq!(listen(second), "one");
            assert!(is_refused(at(2001)));
            daemon.reload(&all);
            wait::until("all addresses are open", || !is_refused(at(2001)));
            assert_eq!((listen(at(2001)).as_str(), listen(second).as_str()), ("all", "all"));
        }
    });
}

#[test]
fn a_taken_port_costs_itself_and_is_had_when_it_is_free() {
    sandbox::run(|| {
        let holder = TcpListener::bind("0.0.0.0:2001").expect("bind");
        let config = [stream(2001, "nowait", "say well"), stream(2002, "nowait", "say well")].concat();
        let daemon = Daemon::run(&config);
        wait_for_log("event=not-opened listener=2001/tcp4 Address already in use");
        assert_eq!(listen(at(2002)), "well");
        let service = daemon.service("2001");
        assert_eq!(service["listeners"][0]["why"], "bind: Address already in use");
        assert!(service["listeners"][0]["seconds_left"].as_u64().is_some_and(|left| left <= 60));
        daemon.signal(Signal::ALARM);
        wait::stays("it is the other's", || daemon.state("2001") == "closed");
        assert_eq!(log_count("event=not-opened"), 1, "said once");
        drop(holder);
        daemon.signal(Signal::ALARM);
        wait::until("it is open", || daemon.state("2001") == "listening");
        assert_eq!(listen(at(2001)), "well");
        wait_for_log("event=opened listener=2001/tcp4");
    });
}

#[test]
fn a_taken_port_is_had_by_itself_too() {
    sandbox::run(|| {
        let holder = TcpListener::bind("0.0.0.0:2001").expect("bind");
        let daemon = Daemon::run(&stream(2001, "nowait", "say well"));
        wait_for_log("event=not-opened");
        drop(holder);
        wait::until("it is open", || daemon.state("2001") == "listening");
        assert_eq!(listen(at(2001)), "well");
    });
}

#[test]
fn a_bad_line_keeps_what_it_replaces_and_others_follow() {
    sandbox::run(|| {
        let daemon =
            Daemon::run(&[stream(2001, "nowait", "say old"), stream(2002, "nowait", "say old")].concat());
        let bad = [
            "2001 stream tcp4 nowait\n".to_owned(),
            format!("2001 stream carrier-pigeon nowait {} {PROBE} probe\n", user()),
            format!("2001 stream tcp4 nowait no-such-user {PROBE} probe say new\n"),
        ];
        for (bad, round) in bad.iter().zip(0..) {
            let other = stream(2002, "nowait", &format!("say {round}"));
            daemon.reload(&[bad.as_str(), &other].concat());
            assert_eq!(listen(at(2001)), "old", "{bad}");
            assert_eq!(listen(at(2002)), round.to_string());
            assert_eq!(log_count("event=kept service=2001"), round + 1);
        }
        // A line that is switched off is not a bad line.
        daemon.reload(&format!("#<off># {}", stream(2001, "nowait", "say old")));
        assert!(is_refused(at(2001)) && is_refused(at(2002)));
    });
}

#[test]
fn an_unreadable_file_takes_nothing_down_and_is_tried_again() {
    sandbox::run(|| {
        let daemon =
            Daemon::run(&[stream(2001, "nowait", "say old"), stream(2002, "nowait", "say old")].concat());
        fs::remove_file(CONFIG).expect("remove");
        daemon.reread();
        let words = "/etc/inetd.conf cannot be read; all 2 services that came from it go on";
        assert_eq!((log_count("event=kept"), log_count(words)), (1, 1), "{}", daemon::log());
        assert_eq!(log_count("event=configured level=warning kept=2 unread=1 cannot be read"), 1);
        assert_eq!(listen(at(2001)), "old");
        let diagnostics = daemon.status()["diagnostics"].to_string();
        assert!(diagnostics.contains("no such file"), "{diagnostics}");
        daemon.reload(&stream(2001, "nowait", "say new"));
        assert_eq!(listen(at(2001)), "new");
    });
}

#[test]
fn a_storm_of_hups_loses_no_caller() {
    sandbox::run(|| {
        let config = |say: &str| [stream(2001, "nowait", "say well"), stream(2002, "nowait", say)].concat();
        let daemon = Daemon::run_with(&config("say old"), &["--rate", "100000"]);
        let before = daemon.descriptors();
        for round in 0..100 {
            configure(&config(&format!("say {round}")));
            daemon.signal(Signal::HUP);
            assert_eq!(listen(at(2001)), "well");
        }
        wait::until("the last one counts", || listen(at(2002)) == "99");
        wait::until("no loader runs", || daemon.status()["loading"] == false);
        daemon.comes_to_rest(before);
    });
}

#[test]
fn programs_of_a_service_that_is_gone_live_on_and_count() {
    sandbox::run(|| {
        let daemon = Daemon::run(&stream(2001, "nowait", "echo"));
        let mut session = connect(at(2001));
        echoes(&mut session, "before");
        daemon.reload("");
        echoes(&mut session, "and after");
        assert_eq!(daemon.status()["children"], 1);
        drop(session);
        wait::until("it has ended", || daemon.status()["children"] == 0);
        assert_eq!(daemon.status()["services"], json!([]));
    });
}

#[test]
fn another_name_for_the_same_port_is_the_same_listener() {
    sandbox::run(|| {
        let named = daemon::line("example", "stream tcp4", "wait", "accept server 0");
        let daemon = Daemon::run(&named);
        let mut held = connect(at(2500));
        let said = line(&mut held);
        let mut behind = connect(at(2500));
        daemon.reload(&stream(2500, "wait", "accept server 0"));
        drop(held);
        assert_eq!(line(&mut behind), said, "the same server");
        assert_eq!(daemon.state("2500"), "handed-over");
    });
}

#[test]
fn two_families_in_one_line_and_then_in_two() {
    sandbox::run(|| {
        crate::sandbox::need_ipv6();
        let both = daemon::line("2001", "stream tcp", "nowait.2", "say both");
        let daemon = Daemon::run(&both);
        let six = "[::1]:2001".parse().expect("an address");
        assert_eq!((listen(at(2001)).as_str(), listen(six).as_str()), ("both", "both"));
        // A caller waits at the line's limit in each of the two sockets.
        let mut waiting = [connect(at(2001)), connect(six)];
        let two = [
            daemon::line("2001", "stream tcp4", "nowait.99", "say four"),
            daemon::line("2001", "stream tcp6", "nowait.99", "say six"),
        ];
        daemon.reload(&two.concat());
        let said: Vec<String> = waiting.iter_mut().map(rest).collect();
        assert_eq!(said, ["four", "six"]);
        daemon.reload(&daemon::line("2001", "stream tcp", "nowait.99", "say both"));
        assert_eq!((listen(at(2001)).as_str(), listen(six).as_str()), ("both", "both"));
    });
}

#[test]
fn a_list_of_hosts_keeps_program_and_arguments() {
    sandbox::run(|| {
        let config = daemon::line("127.0.0.1,127.0.0.2:2001", "stream tcp4", "nowait", "report here");
        let daemon = Daemon::run(&config);
        let more = daemon::line("127.0.0.3,127.0.0.2:2001", "stream tcp4", "nowait", "report there");
        for (config, word, hosts) in
            [(&config, "here", [1, 2]), (&more, "there", [2, 3]), (&config, "here", [1, 2])]
        {
            daemon.reload(config);
            for host in hosts {
                let place = std::net::SocketAddr::from(([127, 0, 0, host], 2001));
                assert_eq!(report(place)["argv"], json!(["probe", "report", word]), "{place}");
            }
        }
    });
}

#[test]
fn buffers_and_backlog_change_without_losing_the_listener() {
    sandbox::run(|| {
        let with = |buffers: &str| daemon::line("2001", &format!("stream tcp4{buffers}"), "nowait", "report");
        let daemon = Daemon::run(&with(",rcvbuf=32k"));
        assert_eq!(report(at(2001))["buffers"][0], 64 * 1024);
        daemon.reload(&with(",rcvbuf=48k,sndbuf=40k"));
        assert_eq!(report(at(2001))["buffers"], json!([96 * 1024, 80 * 1024]));
    });
}

#[test]
fn who_has_descriptors_of_a_service_that_changes_keeps_them() {
    sandbox::run(|| {
        // Programs are started while plans are replaced: each finds the old one or the new one, whole.
        let daemon = Daemon::run_with(&stream(2001, "nowait", "say one"), &["--rate", "100000"]);
        for round in 0..30 {
            configure(&stream(2001, "nowait", &format!("say one {}", "x".repeat(round * 50))));
            daemon.signal(Signal::HUP);
            for _ in 0..3 {
                let said = listen(at(2001));
                let plausible = said == "one"
                    || said.strip_prefix("one ").is_some_and(|xs| xs.bytes().all(|x| x == b'x'));
                assert!(plausible, "{said:?}");
            }
        }
        assert_eq!(daemon.count("2001", "failed"), 0);
    });
}
