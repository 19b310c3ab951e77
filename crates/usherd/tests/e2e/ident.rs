//! The ident service: whose connection it is, for whoever may ask, with no more rights than that takes.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::{self, ask, at, rest};
use crate::daemon::{self, Daemon};
use crate::probe::PROBE;
use crate::sandbox::{self, USHERD, need_ipv6, need_users};
use crate::syslog::Syslog;
use crate::wait;

const ALICE: u32 = 1001;
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A connection of a user's program to this process.
struct Owned {
    program: Child,
    connection: TcpStream,
    ports: [u16; 2],
}

impl Owned {
    /// Has this user's program call.
    #[track_caller]
    fn by(uid: u32, ip: IpAddr) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("bind");
        let to = listener.local_addr().expect("an address");
        let mut program = Command::new(PROBE);
        program.args(["call", &to.to_string()]).uid(uid).gid(uid).stdin(Stdio::piped());
        let program = program.spawn().expect("spawn");
        let (connection, peer) = listener.accept().expect("accept");
        Self { program, connection, ports: [peer.port(), to.port()] }
    }

    /// The program is gone, and with it the one who owned its end.
    fn end_program(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        self.program.wait().expect("wait");
    }

    /// What is asked about the program's end.
    fn question(&self) -> String {
        let [local, remote] = self.ports;
        format!("{local} , {remote}\r\n")
    }

    /// What is asked about this process's end.
    fn question_about_us(&self) -> String {
        let [remote, local] = self.ports;
        format!("{local} , {remote}\r\n")
    }

    fn answer(&self, rest: &str) -> String {
        let [local, remote] = self.ports;
        format!("{local} , {remote} : {rest}\r\n")
    }

    fn answer_about_us(&self, rest: &str) -> String {
        let [remote, local] = self.ports;
        format!("{local} , {remote} : {rest}\r\n")
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.end_program();
    }
}

/// A line for each of these services: user and options. Ports begin with 2001.
fn lines(services: &[(&str, &str)]) -> String {
    let line = |(port, (user, options)): (u16, &(&str, &str))| {
        format!("{port} stream tcp4 nowait {user} {USHERD} usherd ident {options}\n")
    };
    (2001..).zip(services).map(line).collect()
}

#[test]
fn the_owner_of_a_connection_is_named_as_the_options_say() {
    sandbox::run(|| {
        need_users();
        let services = [
            ("root", "-r -o UNIX", "USERID : UNIX : alice", "ERROR : NO-USER"),
            ("nobody", "-r", "USERID : Linux : alice", "ERROR : NO-USER"),
            ("bob", "-ri -o UNIX", "USERID : UNIX : 1001", "ERROR : NO-USER"),
            ("root", "-r -d somebody -o UNIX", "USERID : UNIX : alice", "USERID : UNIX : somebody"),
            ("root", "-d somebody -o a:b", "USERID : a?b : somebody", "USERID : a?b : somebody"),
            ("root", "-f -n", "ERROR : HIDDEN-USER", "ERROR : HIDDEN-USER"),
        ];
        let config: Vec<_> = services.iter().map(|(user, options, ..)| (*user, *options)).collect();
        let _daemon = Daemon::run(&lines(&config));
        let owned = Owned::by(ALICE, LOOPBACK);
        for (port, (_, options, known, unknown)) in (2001..).zip(services) {
            assert_eq!(ask(at(port), &owned.question()), owned.answer(known), "{options}");
            assert_eq!(ask(at(port), "1,2\n"), format!("1 , 2 : {unknown}\r\n"), "{options}");
        }
        let about_us = ask(at(2001), &owned.question_about_us());
        assert_eq!(about_us, owned.answer_about_us("USERID : UNIX : root"));
    });
}

#[test]
fn garbage_is_another_name_each_time() {
    sandbox::run(|| {
        let user = sandbox::user();
        let _daemon = Daemon::run(&lines(&[(user, "-g -r -d somebody -o UNIX")]));
        let [first, second] = ["6113,23\n"; 2].map(|question| ask(at(2001), question));
        assert_ne!(first, second);
        let name = first.strip_prefix("6113 , 23 : USERID : UNIX : ").expect("an answer").trim_end();
        assert!(
            name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
        );
    });
}

#[test]
fn connections_of_both_families_are_found_from_sockets_of_both() {
    sandbox::run(|| {
        need_users();
        need_ipv6();
        let _daemon = Daemon::run(&format!(
            "2001 stream tcp nowait root {USHERD} usherd ident -r -o UNIX\n\
             2002 stream tcp46 nowait root {USHERD} usherd ident -r -o UNIX\n"
        ));
        for ip in [LOOPBACK, Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()] {
            let owned = Owned::by(ALICE, ip);
            for port in [2001, 2002] {
                let answer = ask(SocketAddr::new(ip, port), &owned.question());
                assert_eq!(answer, owned.answer("USERID : UNIX : alice"), "{ip}, {port}");
            }
        }
    });
}

#[test]
fn a_caller_learns_nothing_of_connections_that_are_not_its_own() {
    sandbox::run(|| {
        need_users();
        let _daemon = Daemon::run(&lines(&[("root", "-r")]));
        let mut owned = Owned::by(ALICE, LOOPBACK);
        let stranger = socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
        bind(&stranger, &SocketAddr::from(([127, 0, 0, 2], 0))).expect("bind");
        connect(&stranger, &at(2001)).expect("connect");
        let mut stranger = TcpStream::from(stranger);
        stranger.set_read_timeout(Some(wait::DEADLINE)).expect("a time-out");
        stranger.write_all(owned.question().as_bytes()).expect("write");
        assert_eq!(rest(&mut stranger), owned.answer("ERROR : NO-USER"));
        // The kernel shows a connection without a process as root's, before and after the other end closes.
        owned.end_program();
        assert_eq!(ask(at(2001), &owned.question()), owned.answer("ERROR : NO-USER"));
        owned.connection.shutdown(std::net::Shutdown::Both).expect("shutdown");
        assert_eq!(ask(at(2001), &owned.question()), owned.answer("ERROR : NO-USER"));
    });
}

const HOME: &str = "/run/home/alice";
const FAKEID: &str = "/run/home/alice/.fakeid";
const NOIDENT: &str = "/run/home/alice/.noident";

/// Gives alice and root a home, closed to others.
fn make_homes() {
    let passwd = fs::read_to_string("/etc/passwd").expect("users");
    let passwd = passwd.replace("root:x:0:0::/root:", "root:x:0:0::/run/home/root:");
    let passwd = passwd.replace("alice:x:1001:1001::/:", &format!("alice:x:1001:1001::{HOME}:"));
    fs::write("/etc/passwd", passwd).expect("users");
    for (home, uid) in [(HOME, ALICE), ("/run/home/root", 0)] {
        fs::create_dir_all(home).expect("a home");
        own(home, uid, uid, 0o700);
    }
}

fn own(path: &str, uid: u32, gid: u32, mode: u32) {
    chown(path, Some(uid), Some(gid)).expect("chown");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

fn put(path: &str, text: &str, uid: u32, mode: u32) {
    let _ = fs::remove_file(path);
    fs::write(path, text).expect("write");
    own(path, uid, uid, mode);
}

#[test]
fn a_fakeid_counts_when_it_is_the_owners_own() {
    sandbox::run(|| {
        need_users();
        make_homes();
        let _daemon = Daemon::run(&lines(&[("root", "-r -f"), ("root", "-r -F"), ("nobody", "-r -f")]));
        let owned = Owned::by(ALICE, LOOPBACK);
        let is = |port, name: &str| {
            let answer = owned.answer(&format!("USERID : Linux : {name}"));
            assert_eq!(ask(at(port), &owned.question()), answer);
        };
        is(2001, "alice");
        put(FAKEID, "  fred and more\nline\n", ALICE, 0o600);
        is(2001, "fred");
        is(2002, "fred");
        is(2003, "alice");
        // With nobody's rights, what nobody may read.
        own(HOME, ALICE, ALICE, 0o755);
        own(FAKEID, ALICE, ALICE, 0o644);
        is(2003, "fred");
        // With the owner's groups: alice is one of games.
        own(HOME, 0, 1102, 0o710);
        is(2001, "fred");
        own(HOME, ALICE, ALICE, 0o700);
        for taken in ["root", "bob", "1002"] {
            put(FAKEID, taken, ALICE, 0o600);
            is(2001, "alice");
            is(2002, taken);
        }
        put(FAKEID, &"x".repeat(1 << 20), ALICE, 0o600);
        is(2001, &"x".repeat(32));
        put(FAKEID, "fred:root\n", ALICE, 0o600);
        is(2001, "fred?root");
    });
}

#[test]
fn what_is_not_a_plain_file_of_the_owner_is_no_fakeid() {
    sandbox::run(|| {
        need_users();
        make_homes();
        let _daemon = Daemon::run(&lines(&[("root", "-r -F")]));
        let owned = Owned::by(ALICE, LOOPBACK);
        let is_refused = |what: &str| {
            let answer = ask(at(2001), &owned.question());
            assert_eq!(answer, owned.answer("USERID : Linux : alice"), "{what}");
        };
        put(FAKEID, "fred", 0, 0o644);
        is_refused("root's file");
        put(FAKEID, "fred", ALICE, 0o000);
        is_refused("one that its owner may not read");
        fs::remove_file(FAKEID).expect("remove");
        put("/run/home/alice/other", "fred", ALICE, 0o600);
        symlink("/run/home/alice/other", FAKEID).expect("symlink");
        is_refused("a link");
        fs::remove_file(FAKEID).expect("remove");
        mkfifoat(CWD, FAKEID, Mode::RUSR).expect("mkfifo");
        own(FAKEID, ALICE, ALICE, 0o600);
        is_refused("a pipe that nobody writes to");
        fs::remove_file(FAKEID).expect("remove");
        fs::create_dir(FAKEID).expect("mkdir");
        is_refused("a folder");
    });
}

#[test]
fn who_does_not_want_to_be_named_is_not() {
    sandbox::run(|| {
        need_users();
        make_homes();
        let _daemon = Daemon::run(&lines(&[("root", "-r -n -F -d somebody"), ("nobody", "-r -n")]));
        let owned = Owned::by(ALICE, LOOPBACK);
        let is = |port, rest: &str| assert_eq!(ask(at(port), &owned.question()), owned.answer(rest));
        is(2001, "USERID : Linux : alice");
        is(2002, "ERROR : HIDDEN-USER");
        own(HOME, ALICE, ALICE, 0o755);
        is(2002, "USERID : Linux : alice");
        put(FAKEID, "fred", ALICE, 0o600);
        symlink("nowhere", NOIDENT).expect("symlink");
        is(2001, "ERROR : HIDDEN-USER");
        is(2002, "ERROR : HIDDEN-USER");
        own(HOME, ALICE, ALICE, 0o700);
        is(2001, "ERROR : HIDDEN-USER");
        fs::remove_dir_all(HOME).expect("remove");
        is(2001, "USERID : Linux : alice");
    });
}

#[test]
fn roots_home_is_looked_at_as_nobody() {
    sandbox::run(|| {
        need_users();
        make_homes();
        let _daemon = Daemon::run(&lines(&[("root", "-r -F"), ("root", "-r -n")]));
        put("/run/home/root/.fakeid", "fred", 0, 0o644);
        let owned = Owned::by(ALICE, LOOPBACK);
        let is = |port, rest: &str| {
            assert_eq!(ask(at(port), &owned.question_about_us()), owned.answer_about_us(rest));
        };
        is(2001, "USERID : Linux : root");
        is(2002, "ERROR : HIDDEN-USER");
        own("/run/home/root", 0, 0, 0o755);
        is(2001, "USERID : Linux : fred");
        is(2002, "USERID : Linux : root");
    });
}

#[test]
fn whatever_is_said_gets_one_line_or_an_end() {
    sandbox::run(|| {
        let user = sandbox::user();
        let daemon = Daemon::run(&lines(&[(user, "-r"), (user, "-r -t 0.3")]));
        const INVALID: &str = "0 , 0 : ERROR : INVALID-PORT\r\n";
        for garbage in
            ["", "\n", "who?\r\n", "6113,23", "0,1\r\n", "1,65536\r\n", "\0\u{1}\u{2}\r\n", "-1,-1\n"]
        {
            assert_eq!(ask(at(2001), garbage), INVALID, "{garbage:?}");
        }
        // Much may be left unread, so the connection may be reset.
        let mut megabyte = client::connect(at(2001));
        let _ = megabyte.write_all(&[b'1'; 1 << 20]);
        let said = rest(&mut megabyte);
        assert!(said == INVALID || said.is_empty(), "{said:?}");
        assert_eq!(rest(&mut client::connect(at(2002))), INVALID, "silence");
        // A byte now and then would take longer than a test waits.
        let mut slow = client::connect(at(2002));
        let mut writer = slow.try_clone().expect("dup");
        let writing = std::thread::spawn(move || {
            while writer.write_all(b"1").is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let said = rest(&mut slow);
        assert!(said == INVALID || said.is_empty(), "{said:?}");
        writing.join().expect("the writer ends when nobody reads");
        client::reset(at(2001));
        wait::until("all have ended", || daemon.status()["children"] == 0);
    });
}

/// The status of a process, as the kernel shows it.
struct Status(String);

impl Status {
    /// That of the process that waits for a query.
    fn of_waiting() -> Option<Self> {
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let mut all = processes.filter_map(|process| fs::read_to_string(process.path().join("status")).ok());
        all.find(|status| status.starts_with("Name:\tusherd-ident\n")).map(Self)
    }

    fn field(&self, name: &str) -> &str {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.0)).trim()
    }

    fn fields<const N: usize>(&self, names: [&str; N]) -> [&str; N] {
        names.map(|name| self.field(name))
    }
}

/// Calls, and waits for the process that is to hear the query.
#[track_caller]
fn call(port: u16) -> (TcpStream, Status) {
    let caller = client::connect(at(port));
    (caller, wait::some("it waits", Status::of_waiting))
}

const NO_CAPABILITY: &str = "0000000000000000";

#[test]
fn who_waits_for_a_query_has_hardly_a_right() {
    sandbox::run(|| {
        need_users();
        let daemon = Daemon::run(&lines(&[
            ("root", "-r"),
            ("root", "-f -n"),
            ("root", "-g -r -f"),
            ("root", "-r -f"),
            ("root", "-r -n"),
            ("alice", "-r -f"),
        ]));
        const NONE: &str = NO_CAPABILITY;
        // CAP_SETGID and CAP_SETUID.
        const CHANGE: &str = "00000000000000c0";
        for (port, left) in
            [(2001, NONE), (2002, NONE), (2003, NONE), (2004, CHANGE), (2005, CHANGE), (2006, NONE)]
        {
            let (id, groups) = if port == 2006 { (1001, "1001 1101 1102") } else { (65534, "65534") };
            let (caller, status) = call(port);
            let ids = format!("{id}\t{id}\t{id}\t{id}");
            assert_eq!(status.fields(["Uid", "Gid", "Groups"]), [&ids, &ids, groups]);
            let capabilities = status.fields(["CapEff", "CapPrm", "CapInh", "CapAmb"]);
            assert_eq!(capabilities, [left, left, NONE, NONE], "{port}");
            assert_eq!(status.field("NoNewPrivs"), "1");
            let limits = fs::read_to_string(format!("/proc/{}/limits", status.field("Pid"))).expect("limits");
            let processes = limits.lines().find(|line| line.starts_with("Max processes")).expect("a limit");
            assert_eq!(processes.split_whitespace().collect::<Vec<_>>()[2..4], ["0", "0"]);
            drop(caller);
            wait::until("it ends with its caller", || daemon.status()["children"] == 0);
        }
    });
}

#[test]
fn who_looks_into_a_home_has_its_owners_rights_and_is_not_in_his_hands() {
    sandbox::run(|| {
        need_users();
        make_homes();
        put(FAKEID, "fred", ALICE, 0o600);
        let _daemon = Daemon::run(&lines(&[("root", "-r -f")]));
        let owned = Owned::by(ALICE, LOOPBACK);
        let (mut caller, status) = call(2001);
        let pid = status.field("Pid").parse().ok().and_then(Pid::from_raw).expect("a pid");
        // Files of the name service that are pipes: it waits there until somebody writes. The first has it stopped
        // between the look-up of the owner and that of the fakeid, which finds the second.
        make_pipe("/etc/group");
        caller.write_all(owned.question().as_bytes()).expect("write");
        let waited_for = wait::some("it looks groups up", || {
            kill_process(pid, Signal::STOP).expect("kill");
            let found = writer("/etc/group");
            if found.is_none() {
                kill_process(pid, Signal::CONT).expect("kill");
            }
            found
        });
        make_pipe("/etc/passwd");
        kill_process(pid, Signal::CONT).expect("kill");
        drop(waited_for);
        let ids = "65534\t1001\t65534\t1001";
        wait::until("it looks as alice", || {
            let status = Status::of_waiting().expect("it runs");
            let has = status.fields(["Uid", "Gid", "Groups", "CapEff", "CapPrm"]);
            has == [ids, ids, "1001", NO_CAPABILITY, NO_CAPABILITY]
        });
        let stop = format!("kill -STOP {}", pid.as_raw_pid());
        let stopped = Command::new("/bin/sh").args(["-c", &stop]).uid(ALICE).gid(ALICE).output();
        assert!(!stopped.expect("it runs").status.success());
        drop(wait::some("it looks the fakeid up", || writer("/etc/passwd")));
        // A name that cannot be looked up may be a user's.
        assert_eq!(rest(&mut caller), owned.answer("USERID : Linux : alice"));
    });
}

fn make_pipe(path: &str) {
    let new = format!("{path}.new");
    mkfifoat(CWD, &new, Mode::RUSR | Mode::ROTH).expect("mkfifo");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o644)).expect("chmod");
    fs::rename(&new, path).expect("rename");
}

/// The writing end, when somebody waits at the other.
fn writer(pipe: &str) -> Option<OwnedFd> {
    open(pipe, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Runs the program on a connection, as a daemon of the old kind does; returns how it ended and what the caller heard.
fn run_on_a_connection(options: &[&str], question: &str) -> (Option<i32>, String) {
    let listener = TcpListener::bind(at(0)).expect("bind");
    let mut caller = client::connect(listener.local_addr().expect("an address"));
    let connection: OwnedFd = listener.accept().expect("accept").0.into();
    caller.write_all(question.as_bytes()).expect("write");
    let mut program = daemon::usherd("ident");
    let copy = || Stdio::from(connection.try_clone().expect("dup"));
    program.args(options).stdin(copy()).stdout(copy()).stderr(copy());
    let mut child = program.spawn().expect("spawn");
    drop((program, connection));
    let said = rest(&mut caller);
    (child.wait().expect("wait").code(), said)
}

#[test]
fn who_cannot_give_up_rights_says_nothing_to_the_caller() {
    sandbox::run(|| {
        need_users();
        assert_eq!(
            run_on_a_connection(&["-d", "x", "-o", "y"], "1,2\n"),
            (Some(0), "1 , 2 : USERID : y : x\r\n".to_owned())
        );
        let passwd = fs::read_to_string("/etc/passwd").expect("users");
        fs::write("/etc/passwd", passwd.replace("nobody:", "somebody:")).expect("users");
        let log = Syslog::listen();
        assert_eq!(run_on_a_connection(&["-r"], "1,2\n"), (Some(71), String::new()));
        let line = log.wait_for("cannot give up rights: there is no user \"nobody\" to become");
        assert!(line.contains(" usherd-ident["), "{line}");
    });
}

#[test]
fn a_wrong_command_line_is_no_business_of_the_caller() {
    sandbox::run(|| {
        for wrong in [&["-z"][..], &["-t", "0"], &["-t", "x"], &["extra"], &["-o"]] {
            assert_eq!(run_on_a_connection(wrong, ""), (Some(64), String::new()), "{wrong:?}");
        }
        let (status, said) = daemon::said_by(daemon::usherd("ident"));
        assert_eq!(
            (status, said.contains("standard input is not a TCP connection")),
            (Some(64), true),
            "{said}"
        );
        let listener: OwnedFd = TcpListener::bind(at(0)).expect("bind").into();
        let status = daemon::usherd("ident").stdin(listener).status().expect("it runs");
        assert_eq!(status.code(), Some(64), "a line that says \"wait\"");
    });
}

#[test]
fn auth_is_an_internal_service() {
    sandbox::run(|| {
        need_users();
        let _daemon = Daemon::run(
            "113 stream tcp4 nowait root internal auth -r -o UNIX\n\
             2001 stream tcp4 nowait nobody internal auth -r -i\n\
             2002 stream tcp4 nowait root internal auth -z\n",
        );
        let owned = Owned::by(ALICE, LOOPBACK);
        assert_eq!(ask(at(113), &owned.question()), owned.answer("USERID : UNIX : alice"));
        assert_eq!(ask(at(2001), &owned.question()), owned.answer("USERID : Linux : 1001"));
        assert!(TcpStream::connect(at(2002)).is_err(), "options are looked at when the file is read");
    });
}
