//! `usherd resolve`, asked as the daemon asks it: one packet a question, one an answer.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use usherd_model::access::Found;
use usherd_model::lookups::Question;

use crate::name_server::{Answer as Record, NameServer};
use crate::sandbox::{self, USHERD, need_users};
use crate::wait;

/// Before each message.
const VERSION: u8 = 4;

/// As in the program's `message`.
#[derive(Serialize)]
struct Asked {
    id: u64,
    question: Question,
}

/// As in the program's `message`.
#[derive(Debug, Deserialize)]
struct Answer {
    id: u64,
    found: Option<Found>,
    remark: Option<String>,
}

/// As in the program's `message`.
#[derive(Debug, Deserialize)]
enum Said {
    Ready { missing: Option<String> },
    Refused(String),
    Answer(Answer),
}

/// A helper and the daemon's end of its socket.
struct Helper {
    process: Child,
    socket: OwnedFd,
}

impl Helper {
    /// One that has given its rights up.
    #[track_caller]
    fn start() -> Self {
        let helper = Self::run(Command::new(USHERD));
        let Said::Ready { missing } = helper.hear() else { panic!("it does not serve") };
        assert!(missing.is_none_or(|what| what.starts_with("Landlock")), "all else is there or it ends");
        helper
    }

    fn run(mut command: Command) -> Self {
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("socketpair");
        let process = command.arg("resolve").stdin(theirs).stdout(Stdio::null()).spawn();
        Self { process: process.expect("spawn"), socket }
    }

    fn ask(&self, id: u64, question: Question) {
        let packet = postcard::to_extend(&Asked { id, question }, vec![VERSION]).expect("a message");
        send(&self.socket, &packet, SendFlags::NOSIGNAL).expect("send");
    }

    #[track_caller]
    fn answer(&self) -> Answer {
        let Said::Answer(answer) = self.hear() else { panic!("no answer") };
        answer
    }

    #[track_caller]
    fn hear(&self) -> Said {
        let mut look = [PollFd::new(&self.socket, PollFlags::IN)];
        let patience = Timespec::try_from(wait::DEADLINE).expect("a time");
        assert_eq!(poll(&mut look, Some(&patience)), Ok(1), "it says something");
        let mut packet = [0; 4096];
        let (_, length) = recv(&self.socket, &mut packet, RecvFlags::empty()).expect("recv");
        assert_eq!(packet[0], VERSION);
        postcard::from_bytes(&packet[1..length]).expect("what it says")
    }

    /// The name or user, and the remark.
    #[track_caller]
    fn find(&self, question: Question) -> (String, Option<String>) {
        self.ask(7, question);
        let Answer { id, found, remark } = self.answer();
        assert_eq!(id, 7);
        (text(found), remark)
    }

    #[track_caller]
    fn name(&self, address: &str) -> (String, Option<String>) {
        let address: IpAddr = address.parse().expect("an address");
        self.find(Question::Name(SocketAddr::new(address, 0)))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(found: Option<Found>) -> String {
    match found {
        Some(Found::Text(text)) => String::from_utf8(text.into()).expect("text"),
        Some(Found::Undecided) => "(undecided)".to_owned(),
        None => "(nothing)".to_owned(),
    }
}

#[test]
fn every_recorded_name_is_believed_or_doubted_as_by_libwrap() {
    sandbox::run(|| {
        let server = NameServer::start();
        let helper = Helper::start();
        for line in include_str!("names.jsonl").lines() {
            let case: Value = serde_json::from_str(line).expect("a record");
            let word = |value: &Value| value.as_str().expect("text").to_owned();
            let zone = case["zone"].as_array().expect("records").iter().map(|record| {
                let answer = match record[2].as_array() {
                    Some(all) => Record::Records(all.iter().map(word).collect()),
                    None if record[2] == "DROP" => Record::Drops,
                    None => Record::Fails,
                };
                (word(&record[0]), word(&record[1]), answer)
            });
            server.says(zone.collect());
            fs::write("/etc/hosts", format!("127.0.0.1 localhost\n{}", word(&case["hosts"]))).expect("write");
            let remarks = case["remarks"].as_array().expect("a list");
            let expected = (word(&case["name"]), remarks.first().map(word));
            assert_eq!(helper.name(&word(&case["client_addr"])), expected, "{}", case["id"]);
        }
    });
}

/// Whoever has an address can give it any name, numbers among them, and the C library says of a number that it is its
/// own address: it would agree with itself, and be a name without a dot.
#[test]
fn a_number_is_no_name() {
    sandbox::run(|| {
        let server = NameServer::start();
        let helper = Helper::start();
        for number in ["10.1.2.3", "167838211", "0xa010203", "10.66051", "012.0x1.515"] {
            let names = Record::Records(vec![number.to_owned()]);
            server.says(vec![("3.2.1.10.in-addr.arpa".to_owned(), "PTR".to_owned(), names)]);
            let (name, remark) = helper.name("10.1.2.3");
            let why = format!("host name/name mismatch: reverse lookup results in non-FQDN {number}");
            assert_eq!((name.as_str(), remark), ("paranoid", Some(why)));
        }
    });
}

#[test]
fn a_name_with_a_thousand_addresses_is_looked_through() {
    sandbox::run(|| {
        let server = NameServer::start();
        let helper = Helper::start();
        let others = (0..999_u32).map(|number| std::net::Ipv4Addr::from(0xc612_0000 + number).to_string());
        let own = "10.1.2.3".to_owned();
        let zone = |addresses: Vec<String>| {
            let name = Record::Records(vec!["friend.example.com".to_owned()]);
            vec![
                ("3.2.1.10.in-addr.arpa".to_owned(), "PTR".to_owned(), name),
                ("friend.example.com".to_owned(), "A".to_owned(), Record::Records(addresses)),
            ]
        };
        server.says(zone(others.clone().chain([own.clone()]).collect()));
        assert_eq!(helper.name(&own), ("friend.example.com".to_owned(), None));
        server.says(zone(others.chain(["198.18.99.99".to_owned()]).collect()));
        let why = "host name/address mismatch: 10.1.2.3 != friend.example.com".to_owned();
        assert_eq!(helper.name(&own), ("paranoid".to_owned(), Some(why)));
    });
}

const LOCAL: ([u8; 4], u16) = ([127, 0, 0, 5], 23);
const REMOTE: ([u8; 4], u16) = ([127, 0, 0, 1], 4000);

fn user(patience: u32) -> Question {
    Question::User { local: LOCAL.into(), remote: REMOTE.into(), patience }
}

/// The end of a connection to the ident server at which a question has come in.
fn asked(ident: &TcpListener) -> TcpStream {
    let (mut caller, from) = ident.accept().expect("accept");
    assert_eq!(from.ip(), IpAddr::from(LOCAL.0), "from the address that was called");
    let mut question = [0; 9];
    caller.read_exact(&mut question).expect("a question");
    assert_eq!(&question, b"4000,23\r\n");
    caller
}

#[test]
fn an_ident_server_is_believed_about_its_own_connection_only() {
    sandbox::run(|| {
        let helper = Helper::start();
        assert_eq!(helper.find(user(10)), ("unknown".to_owned(), None), "nobody listens there");
        let ident = TcpListener::bind("127.0.0.1:113").expect("bind");
        for (answer, expected) in [
            ("4000 , 23 : USERID : UNIX : joe\r\n", "joe"),
            ("23 , 4000 : USERID : UNIX : joe\r\n", "unknown"),
            ("4001 , 23 : USERID : UNIX : joe\r\n", "unknown"),
            ("4000 , 23 : ERROR : HIDDEN-USER\r\n", "unknown"),
            ("\r\n4000 , 23 : USERID : UNIX : joe\r\n", "unknown"),
            ("", "unknown"),
        ] {
            helper.ask(1, user(10));
            asked(&ident).write_all(answer.as_bytes()).expect("write");
            assert_eq!(text(helper.answer().found), expected, "{answer:?}");
        }
    });
}

#[test]
fn an_ident_server_that_says_too_much_or_nothing_costs_its_time_only() {
    sandbox::run(|| {
        let helper = Helper::start();
        let ident = TcpListener::bind("127.0.0.1:113").expect("bind");
        helper.ask(1, user(600));
        let mut endless = asked(&ident);
        let cut_off = loop {
            if let Err(error) = endless.write_all(&[b'x'; 4096]) {
                break error.kind();
            }
        };
        assert!(matches!(cut_off, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{cut_off}");
        assert_eq!(text(helper.answer().found), "unknown");

        helper.ask(2, user(1));
        let silent = asked(&ident);
        assert_eq!(text(helper.answer().found), "unknown");
        drop(silent);

        helper.ask(3, user(1));
        let mut slow = asked(&ident);
        let drips = std::thread::spawn(move || {
            while slow.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        assert_eq!(text(helper.answer().found), "unknown");
        drips.join().expect("it is hung up on");
    });
}

#[test]
fn only_so_much_is_done_at_once_and_what_waits_is_not_lost() {
    sandbox::run(|| {
        let helper = Helper::start();
        let ident = TcpListener::bind("127.0.0.1:113").expect("bind");
        let most = u64::try_from(usherd_model::lookups::MOST_UNDER_WAY).expect("few");
        for id in 0..=most {
            helper.ask(id, user(600));
        }
        let mut callers: Vec<TcpStream> = (0..most).map(|_| asked(&ident)).collect();
        ident.set_nonblocking(true).expect("fcntl");
        wait::stays("nobody else asks", || ident.accept().is_err());
        ident.set_nonblocking(false).expect("fcntl");
        callers.truncate(1);
        callers.push(asked(&ident));
        for caller in &mut callers {
            caller.write_all(b"4000,23:USERID:UNIX:joe\r\n").expect("write");
        }
        let mut answers: Vec<Answer> = (0..=most).map(|_| helper.answer()).collect();
        answers.sort_by_key(|answer| answer.id);
        assert!(answers.iter().map(|answer| answer.id).eq(0..=most), "each has its answer");
        assert_eq!(answers.into_iter().filter(|answer| text(answer.found.clone()) == "joe").count(), 2);
    });
}

#[test]
fn it_ends_with_the_daemon_even_if_all_that_it_does_hangs() {
    sandbox::run(|| {
        let mut helper = Helper::start();
        let ident = TcpListener::bind("127.0.0.1:113").expect("bind");
        for id in 0..40 {
            helper.ask(id, user(600));
        }
        let callers: Vec<TcpStream> =
            (0..usherd_model::lookups::MOST_UNDER_WAY).map(|_| asked(&ident)).collect();
        let (other, _) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .expect("socketpair");
        helper.socket = other;
        wait::until("it ends", || helper.process.try_wait().expect("wait").is_some());
        drop(callers);
    });
}

/// In its `/proc/PID/status`.
fn status(helper: &Helper, field: &str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", helper.process.id())).expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.expect("every process has it").split_whitespace().map(str::to_owned).collect()
}

#[test]
fn it_has_no_rights_before_it_hears_a_word() {
    sandbox::run(|| {
        let helper = Helper::start();
        assert_eq!(status(&helper, "Name"), ["usherd-resolve"]);
        assert_eq!(
            (status(&helper, "NoNewPrivs"), status(&helper, "Seccomp")),
            (vec!["1".to_owned()], vec!["2".to_owned()])
        );
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status(&helper, set), ["0000000000000000"], "{set}");
        }
        if rustix::process::getuid().is_root() {
            assert_eq!(status(&helper, "CapBnd"), ["0000000000000000"]);
            let own = ["65531"; 4].map(str::to_owned);
            assert_eq!((status(&helper, "Uid"), status(&helper, "Gid")), (own.to_vec(), own.to_vec()));
            assert!(status(&helper, "Groups").is_empty());
        }
    });
}

/// Makes this process and all that it starts see a kernel that has never heard of Landlock.
pub fn forget_landlock() {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
    let calls =
        [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];
    let rules = calls.map(|call| (call, Vec::new())).into_iter().collect();
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let target = std::env::consts::ARCH.try_into().expect("one that the program is for");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, unknown, target).expect("a filter");
    let program = BpfProgram::try_from(filter).expect("a program");
    apply_filter(&program).expect("it is taken");
}

#[test]
fn on_a_kernel_without_landlock_it_says_so_and_answers() {
    sandbox::run(|| {
        fs::write("/etc/hosts", "127.0.0.1 localhost\n10.1.2.3 friend.example.com\n").expect("write");
        forget_landlock();
        let helper = Helper::run(Command::new(USHERD));
        let Said::Ready { missing } = helper.hear() else { panic!("it does not serve") };
        assert_eq!(missing.as_deref(), Some("Landlock, which this kernel has not"));
        assert_eq!(helper.name("10.1.2.3"), ("friend.example.com".to_owned(), None));
        // Its filter of system calls is there all the same.
        assert_eq!(status(&helper, "Seccomp"), ["2"]);
        assert_eq!(status(&helper, "CapEff"), ["0000000000000000"]);
    });
}

#[test]
fn one_that_cannot_give_its_rights_up_says_so_and_answers_nobody() {
    sandbox::run(|| {
        need_users();
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-setuid,-setgid", "--", USHERD]);
        let mut helper = Helper::run(command);
        let Said::Refused(why) = helper.hear() else { panic!("it went on") };
        assert!(why.starts_with("cannot be shut in: ") && why.contains("not permitted"), "{why}");
        wait::until("it ends", || helper.process.try_wait().expect("wait").is_some());
    });
}
