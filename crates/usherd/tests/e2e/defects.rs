//! What Debian's libwrap and its programs are known to do wrong, and what is done here: D1 to D8 of `docs/compat.md`.
//!
//! Each where the daemon asks and where tcpd does, if it can be seen there.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{at, rest};
use crate::daemon::{self, Daemon, log_count, wait_for_log};
use crate::probe::PROBE;
use crate::sandbox::{self, USHERD, need_users};
use crate::syslog::Syslog;
use crate::wait;
use crate::wrappers::{behind_tcpd, connect_from, tables, through_tcpd};

/// A caller's address.
const fn ip(last: u8) -> [u8; 4] {
    [127, 0, 0, last]
}

/// What a caller hears of the daemon.
#[track_caller]
fn ask(port: u16, last: u8) -> String {
    rest(&mut connect_from(ip(last), at(port)))
}

/// What a caller hears of a probe that says "well" behind tcpd.
#[track_caller]
fn ask_tcpd(last: u8) -> String {
    through_tcpd(PROBE, &["say", "well"], ip(last), &[])
}

/// Asks both for a probe that says "well".
#[track_caller]
fn ask_both(last: u8) -> [String; 2] {
    [ask(2001, last), ask_tcpd(last)]
}

/// What [`ask_both`] gives whom both have let in, and whom both have refused.
const LET_IN: [&str; 2] = ["well", "well"];
const REFUSED: [&str; 2] = ["", ""];

/// A folder where everybody may write.
fn spool() {
    fs::create_dir("/run/spool").expect("a folder");
    fs::set_permissions("/run/spool", fs::Permissions::from_mode(0o777)).expect("chmod");
}

#[test]
fn d1_user_and_group_take_effect() {
    sandbox::run(|| {
        need_users();
        tables(
            "probe: 127.0.0.2: user alice\nprobe: 127.0.0.3: user bob.games\nprobe: 127.0.0.4: group games\n\
             probe: 127.0.0.5: user stranger\nprobe: 127.0.0.6: group strangers\n",
            "ALL: ALL\n",
        );
        let _daemon =
            Daemon::run(&(behind_tcpd(2001, "root", "report") + &behind_tcpd(2002, "bob", "report")));
        let through_tcpd = |last| through_tcpd(PROBE, &["report"], ip(last), &[]);
        for (last, ids, groups) in [
            (2, [1001, 1001, 1001, 1001], Some(vec![1001, 1101, 1102])),
            (3, [1002, 1002, 1102, 1102], Some(vec![1102])),
            (4, [0, 0, 1102, 1102], None),
        ] {
            for said in [ask(2001, last), through_tcpd(last)] {
                let report: Value = serde_json::from_str(&said).expect("a report");
                assert_eq!(report["ids"], json!(ids), "{last}");
                let mut found: Vec<u64> = report["groups"]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|group| group.as_u64().expect("a number"))
                    .collect();
                found.sort_unstable();
                assert!(groups.as_ref().is_none_or(|groups| *groups == found), "{last}: {found:?}");
            }
        }
        // Nobody is served as somebody else.
        for last in [5, 6] {
            assert_eq!([ask(2001, last), through_tcpd(last)], REFUSED, "{last}");
        }
        // A program that is bob's cannot become alice's.
        assert_eq!(ask(2002, 2), "");
    });
}

#[test]
fn d2_findings_are_printed_and_do_not_go_to_syslog() {
    sandbox::run(|| {
        let syslog = Syslog::listen();
        fs::create_dir("/run/tools").expect("a folder");
        let write = |name: &str, text: &str| fs::write(format!("/run/tools/{name}"), text).expect("write");
        write("hosts.allow", "true: 127.0.0.1\nno colon\ntrue: 127.0.0.2: nonsense\n");
        write("inetd.conf", "telnet stream tcp nowait root /usr/sbin/tcpd /bin/true\n");
        let said_by = |name: &str, words: &[&str]| {
            let mut command = Command::new(USHERD);
            command.arg0(name).args(["-d", "-i", "inetd.conf"]).args(words).current_dir("/run/tools");
            let output = command.output().expect("it runs");
            String::from_utf8(output.stdout).expect("text")
        };
        let said = said_by("tcpdchk", &[]);
        for line in [
            "warning: hosts.allow, line 2: missing \":\" separator\n",
            "error: hosts.allow, line 3: bad option name: \"nonsense\"\n",
        ] {
            assert!(said.contains(line), "no {line:?} in {said}");
        }
        let said = said_by("tcpdmatch", &["true", "127.0.0.1"]);
        assert!(said.contains("matched:  hosts.allow line 1\naccess:   granted\n"), "{said}");
        let said = said_by("tcpdmatch", &["true", "127.0.0.2"]);
        for line in [
            "warning: hosts.allow, line 2: missing \":\" separator\n",
            "error: hosts.allow, line 3: bad option name: \"nonsense\"\n",
            "access:   denied\n",
        ] {
            assert!(said.contains(line), "no {line:?} in {said}");
        }
        assert!(syslog.lines().is_empty(), "{:?}", syslog.lines());
    });
}

#[test]
fn d3_an_aclexec_that_fails_in_hosts_allow_refuses() {
    sandbox::run(|| {
        // Nothing else would: there is no hosts.deny.
        fs::write(
            "/etc/hosts.allow",
            "probe: 127.0.0.2: aclexec false\nprobe: 127.0.0.3: aclexec kill -9 $$\n\
             probe: 127.0.0.4: aclexec /srv/missing\nprobe: 127.0.0.5: aclexec true\n\
             probe: 127.0.0.7: aclexec false: aclexec true\n",
        )
        .expect("write");
        let syslog = Syslog::listen();
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        for last in [2, 3, 4] {
            assert_eq!(ask_both(last), REFUSED, "{last}");
            let line = format!("refused connect from 127.0.0.{last} (127.0.0.{last})");
            wait::until("both have said so", || syslog.count(&line) == 2);
        }
        assert_eq!(syslog.count("aclexec returned 1"), 6);
        assert_eq!(ask_both(5), LET_IN);
        assert_eq!(ask_both(6), LET_IN, "nothing is said of others");
        assert_eq!(ask_both(7), LET_IN, "of several the last one counts, as in libwrap");
        assert_eq!(syslog.count("refused connect from 127.0.0.6"), 0);
    });
}

#[test]
fn d4_an_aclexec_that_fails_in_hosts_deny_refuses_and_is_forgotten() {
    sandbox::run(|| {
        tables(
            "probe: 127.0.0.2: aclexec false\n",
            "probe: 127.0.0.3: aclexec false\nprobe: 127.0.0.4: aclexec true\n\
             probe: 127.0.0.5: setenv A b: severity info\n",
        );
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        // Twice: a failure must not be there for the next caller either.
        for _ in 0..2 {
            for last in [2, 3, 4, 5] {
                assert_eq!(ask_both(last), REFUSED, "{last}");
            }
            assert_eq!(ask_both(6), LET_IN);
        }
        // A failure in hosts.allow, and then a rule with options of hosts.deny that fits the same caller.
        tables("probe: 127.0.0.2: aclexec false\n", "ALL: ALL: severity info\n");
        assert_eq!(ask_both(2), REFUSED);
    });
}

#[test]
fn d5_an_aclexec_command_has_the_null_device_and_not_the_caller() {
    sandbox::run(|| {
        spool();
        // Those of the shell that was started; the one in brackets is another process.
        let look =
            "(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 > /run/spool/seen); echo leaked; true";
        let greedy = "cat; true";
        tables(&format!("probe: 127.0.0.2: aclexec {look}\nprobe: 127.0.0.3: aclexec {greedy}\n"), "");
        let _daemon = Daemon::run(
            &(behind_tcpd(2001, sandbox::user(), "say well") + &behind_tcpd(2002, sandbox::user(), "echo")),
        );
        for served in [ask as fn(u16, u8) -> String, |_, last| ask_tcpd(last)] {
            let _ = fs::remove_file("/run/spool/seen");
            assert_eq!(served(2001, 2), "well", "and nothing else");
            let seen = fs::read_to_string("/run/spool/seen").expect("it was written");
            assert_eq!(seen, "/dev/null\n".repeat(3));
        }
        // What the caller says is the program's, and no command's.
        let mut caller = connect_from(ip(3), at(2002));
        caller.write_all(b"all of it").expect("write");
        caller.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!(rest(&mut caller), "all of it");
    });
}

#[test]
fn d6_each_shape_is_an_error_of_usherd_check_and_of_tcpdchk() {
    sandbox::run(|| {
        fs::write("/etc/inetd.conf", "telnet stream tcp nowait root /usr/sbin/tcpd /bin/true\n")
            .expect("write");
        for (line, of_check, of_tcpdchk) in [
            ("ALL: ALL:", "error[bad-option]: missing option name", "missing option name"),
            (
                "ALL: ALL: allow:",
                "error[bad-option]: option \"allow\" must be at end",
                "option \"allow\" must be at end",
            ),
            ("ALL: ALL: severity info:", "error[bad-option]: missing option name", "missing option name"),
            (
                "ALL: [2001:db8::]/typo",
                "error[opens-all]: [2001:db8::]/typo: \"typo\" is read as 0: every IPv6 address",
                "[2001:db8::]/typo: \"typo\" is read as 0: every IPv6 address",
            ),
            (
                "ALL: [2001:db8::]/",
                "error[opens-all]: [2001:db8::]/: \"\" is read as 0: every IPv6 address",
                "[2001:db8::]/: \"\" is read as 0: every IPv6 address",
            ),
            (
                "ALL: joe@10.1.2.3/8",
                "error[host-bits]: 10.1.2.3/8: no address is in this net",
                "10.1.2.3/8: no address is in this net",
            ),
            (
                "ALL@10.1.2.3/255.255.0.0: ALL",
                "error[host-bits]: 10.1.2.3/255.255.0.0: no address is in this net",
                "10.1.2.3/255.255.0.0: no address is in this net",
            ),
            (
                "ALL: 10.1.2.3/255.255.255.255",
                "error[bad-net]: 10.1.2.3/255.255.255.255: bad net/mask pattern",
                "10.1.2.3/255.255.255.255: bad net/mask pattern",
            ),
        ] {
            for table in ["/etc/hosts.allow", "/etc/hosts.deny"] {
                tables("", "");
                fs::write(table, format!("# One line before it.\n{line}\n")).expect("write");
                let mut check = daemon::usherd("check");
                check.arg(table);
                let (status, said) = daemon::said_by(check);
                assert_eq!(status, Some(78), "{line}");
                assert!(said.contains(of_check) && said.contains(&format!("{table}:2:")), "{line}: {said}");
                let mut tcpdchk = Command::new(USHERD);
                tcpdchk.arg0("tcpdchk");
                let (_, said) = daemon::said_by(tcpdchk);
                let expected = format!("error: {table}, line 2: {of_tcpdchk}\n");
                assert!(said.contains(&expected), "{line}: no {expected:?} in {said}");
            }
        }
        // What is right is no finding.
        tables("ALL: 10.0.0.0/8 10.1.2.3/32 10.1.2.3 [2001:db8::1]/32 [::]/0\n", "ALL: ALL: severity info\n");
        let mut tcpdchk = Command::new(USHERD);
        tcpdchk.arg0("tcpdchk");
        let (_, said) = daemon::said_by(tcpdchk);
        assert!(!said.contains("error: ") && !said.contains("net/mask"), "{said}");
    });
}

#[test]
fn d7_a_hosts_deny_that_is_a_folder_refuses_and_is_said() {
    sandbox::run(|| {
        fs::create_dir("/etc/hosts.deny").expect("a folder");
        let syslog = Syslog::listen();
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        assert_eq!(ask_both(1), REFUSED);
        wait_for_log("event=access-remark cannot open /etc/hosts.deny");
        wait_for_log("event=access-denied address=127.0.0.1");
        syslog.wait_for("cannot open /etc/hosts.deny: Is a directory");
        syslog.wait_for("refused connect from 127.0.0.1");
        fs::write("/etc/hosts.allow", "probe: 127.0.0.1\n").expect("write");
        assert_eq!(ask_both(1), LET_IN, "whom hosts.allow names needs no hosts.deny");
    });
}

#[test]
fn d7_a_last_line_without_its_end_is_a_line() {
    sandbox::run(|| {
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        tables("probe: 127.0.0.1", "ALL: ALL\n");
        assert_eq!((ask_both(1), ask_both(2)), (LET_IN.map(String::from), REFUSED.map(String::from)));
        tables("", "probe: 127.0.0.2");
        assert_eq!((ask_both(1), ask_both(2)), (LET_IN.map(String::from), REFUSED.map(String::from)));
        tables("", "probe: 127.0.0.2\n# the end");
        assert_eq!((ask_both(1), ask_both(2)), (LET_IN.map(String::from), REFUSED.map(String::from)));
    });
}

#[test]
fn d7_a_line_of_more_than_2046_bytes_is_a_line() {
    sandbox::run(|| {
        let _daemon = Daemon::run(&behind_tcpd(2001, sandbox::user(), "say well"));
        let others = "192.0.2.1 ".repeat(300);
        tables(&format!("probe: {others}127.0.0.1\n"), "ALL: ALL\n");
        assert_eq!((ask_both(1), ask_both(2)), (LET_IN.map(String::from), REFUSED.map(String::from)));
        tables("", &format!("probe: {others}127.0.0.2\n"));
        assert_eq!((ask_both(1), ask_both(2)), (LET_IN.map(String::from), REFUSED.map(String::from)));
        // In lines that belong together it is their sum; and rules behind it count.
        let joined = "192.0.2.1 \\\n".repeat(300);
        tables("", &format!("# {others}\nprobe: {joined}192.0.2.2\nprobe: 127.0.0.2\n"));
        assert_eq!((ask_both(1), ask_both(2)), (LET_IN.map(String::from), REFUSED.map(String::from)));
    });
}

/// The number of the last process of this sandbox.
fn last_process() -> u64 {
    let text = fs::read_to_string("/proc/loadavg").expect("/proc");
    text.split_whitespace().last().and_then(|word| word.parse().ok()).expect("a number")
}

#[test]
fn d8_a_refusal_takes_no_process_and_no_five_seconds() {
    sandbox::run(|| {
        const FIVE: Duration = Duration::from_secs(5);
        tables("", "probe: 127.0.0.2\n");
        let daemon = Daemon::run_with(&behind_tcpd(2001, sandbox::user(), "say well"), &["--rate", "100000"]);
        assert_eq!(ask(2001, 1), "well");
        wait::until("nobody is served any more", || daemon.is_childless());
        let (before, began) = (last_process(), Instant::now());
        for _ in 0..100 {
            assert_eq!(ask(2001, 2), "");
        }
        assert!(began.elapsed() < FIVE, "{:?}", began.elapsed());
        assert_eq!(last_process(), before, "somebody was started");
        assert_eq!((daemon.count("2001", "denied"), daemon.count("2001", "started")), (100, 1));
        assert_eq!(log_count("event=access-denied address=127.0.0.2"), 100);
        // tcpd is a process already.
        let began = Instant::now();
        assert_eq!(ask_tcpd(2), "");
        assert!(began.elapsed() < FIVE, "{:?}", began.elapsed());
        // The count counts.
        assert!(last_process() > before);
    });
}
