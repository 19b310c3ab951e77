//! hosts.allow and hosts.deny before a start: who waits, who is let in, and what becomes of the others.

mod world;

use std::time::Duration;

use usherd_model::access::{Effect, Verdict};
use usherd_model::children::Pid;
use usherd_model::event::{Event, Log};
use usherd_model::lookups::{MOST_OF_SOURCE, Question};
use usherd_model::status;
use usherd_model::tcpmux::Request;
use world::{Call, World, read, tables};

const FTP: &str = "ftp stream tcp4 nowait root /usr/sbin/tcpd /usr/sbin/in.ftpd -l\n";
const TFTP: &str = "tftp dgram udp4 wait nobody /usr/sbin/tcpd in.tftpd\n";

fn world(text: &str, allow: &str, deny: &str) -> World {
    let mut world = World::new("");
    world.load_wrapped(text, allow, deny);
    world
}

fn is_started(call: Call) -> bool {
    matches!(call, Call::Started(_))
}

fn judged(world: &World) -> Vec<(Verdict, String)> {
    let words = |log: &Log| {
        if let Log::Judged(judged) = log { Some((judged.verdict, judged.rule.clone())) } else { None }
    };
    world.logs.iter().filter_map(words).collect()
}

fn denied(world: &World, name: &str) -> u64 {
    let services = status::services(&world.core, world.now, &|_| String::new(), &|_| Vec::new());
    services.iter().find(|service| service.name == name).expect("it is configured").denied
}

#[test]
fn tcpd_is_not_started_but_what_it_would_start() {
    for (line, path, arguments) in [
        ("/usr/sbin/tcpd /usr/sbin/in.ftpd -l", "/usr/sbin/in.ftpd", vec!["in.ftpd", "-l"]),
        ("/usr/libexec/tcpd in.ftpd", "/usr/sbin/in.ftpd", vec!["in.ftpd"]),
    ] {
        let (config, diagnostics, _) = read(&format!("ftp stream tcp4 nowait root {line}\n"));
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let service = &config.services[0];
        let program = service.program().expect("a program");
        assert_eq!(program.command.path(), path.as_bytes());
        let found: Vec<_> = program.command.arguments().map(String::from_utf8_lossy).collect();
        assert_eq!(found, arguments);
        assert_eq!(&*service.wrapped.as_ref().expect("it is wrapped").daemon, b"in.ftpd");
    }
    let (config, diagnostics, _) = read("ftp stream tcp4 nowait root /usr/sbin/tcpd\n");
    assert_eq!((config.services.len(), diagnostics[0].code), (0, "tcpd-of-nothing"));
}

#[test]
fn the_rules_decide_and_the_log_says_which() {
    let mut world = world(FTP, "in.ftpd: 192.0.2.\n", "ALL: ALL\n");
    assert!(is_started(world.call_from("ftp", "192.0.2.9:40000")));
    assert_eq!(world.call_from("ftp", "198.51.100.1:40000"), Call::Refused);
    assert_eq!(
        judged(&world),
        [(Verdict::Allow, "/etc/hosts.allow:1".to_owned()), (Verdict::Deny, "/etc/hosts.deny:1".to_owned())]
    );
    assert_eq!(denied(&world, "ftp"), 1);
    // Who was refused holds no place.
    assert_eq!(status::children(&world.core).0, 1);
}

#[test]
fn a_service_without_tcpd_asks_nobody() {
    let mut world = world("2000 stream tcp4 nowait root /bin/x x\n", "", "ALL: ALL\n");
    assert!(is_started(world.call("2000")));
}

#[test]
fn who_is_looked_up_delays_nobody_else() {
    let mut world = world(FTP, "in.ftpd: 198.51.100., .example.com\n", "ALL: ALL\n");
    assert_eq!(world.call_from("ftp", "192.0.2.9:40000"), Call::Waits);
    assert!(is_started(world.call_from("ftp", "198.51.100.1:40000")), "no name is needed for this one");
    assert_eq!(world.call_from("ftp", "192.0.2.9:40001"), Call::Waits);
    assert_eq!(world.asked.len(), 1, "both ask the same");
    let question = world.answer(Some("a.example.com"));
    assert_eq!(question, Question::Name("192.0.2.9:0".parse().expect("an address")));
    assert!(is_started(world.outcome()));
    assert_eq!(world.running.len(), 3);
    assert_eq!(world.call_from("ftp", "192.0.2.10:40000"), Call::Waits);
    world.answer(Some("unknown"));
    assert_eq!(world.outcome(), Call::Refused);
}

#[test]
fn what_takes_too_long_lets_nobody_in() {
    let mut world = world(FTP, "in.ftpd: .example.com\n", "ALL: .example.net\n");
    assert_eq!(world.call("ftp"), Call::Waits);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.outcome(), Call::Refused);
    assert_eq!(judged(&world), [(Verdict::Deny, "/etc/hosts.deny:1".to_owned())]);
    // An answer that comes after all is nobody's.
    world.answer(Some("a.example.com"));
    assert_eq!((world.running.len(), status::children(&world.core).0), (0, 0));
}

#[test]
fn one_source_has_a_few_places_for_look_ups() {
    let mut world = world(FTP, "in.ftpd: joe@ALL\n", "ALL: ALL\n");
    for port in 1..=10 {
        assert_eq!(world.call_from("ftp", &format!("192.0.2.9:{}", 40_000 + port)), Call::Waits);
    }
    assert_eq!(world.asked.len(), MOST_OF_SOURCE);
    assert_eq!(world.call_from("ftp", "198.51.100.1:40000"), Call::Waits);
    assert_eq!(world.asked.len(), MOST_OF_SOURCE + 1);
    world.answer(Some("joe"));
    assert!(is_started(world.outcome()));
    assert_eq!(world.asked.len(), MOST_OF_SOURCE + 1, "the next one of that source has its place");
}

#[test]
fn a_changed_table_is_read_before_anybody_is_let_in() {
    let mut world = world(FTP, "ALL: ALL\n", "");
    world.tables_are_current = false;
    assert_eq!(world.call("ftp"), Call::Waits);
    assert_eq!(world.call_from("ftp", "198.51.100.1:40000"), Call::Waits);
    assert_eq!(world.table_reads, 1);
    world.tables_are_current = true;
    world.raise(Event::TablesRead(Box::new(tables("in.ftpd: 198.51.100.\n", "ALL: ALL\n"))));
    assert_eq!((world.running.len(), denied(&world, "ftp")), (1, 1));
    assert!(is_started(world.call_from("ftp", "198.51.100.2:40000")));
}

#[test]
fn tables_that_cannot_be_read_let_nobody_in() {
    for is_told in [true, false] {
        let mut world = world(FTP, "ALL: ALL\n", "");
        world.tables_are_current = false;
        assert_eq!(world.call("ftp"), Call::Waits);
        if is_told {
            world.raise(Event::TablesNotRead("no memory".to_owned()));
        } else {
            world.pass(Duration::from_secs(60));
        }
        assert_eq!(world.outcome(), Call::Refused);
        assert_eq!(world.logged(|log| matches!(log, Log::TablesNotRead(_))), 1);
        // The next one is a new try.
        assert_eq!(world.call("ftp"), Call::Waits);
        assert_eq!(world.table_reads, 2);
    }
}

#[test]
fn the_first_datagram_of_a_wait_service_is_judged() {
    let mut world = world(TFTP, "in.tftpd: 192.0.2.9\n", "ALL: .example.net\n");
    assert!(is_started(world.call_from("tftp", "192.0.2.9:40000")));
    world.end(Pid(101));
    // While it is found out who sent it the datagram stays where it is, and nobody looks at it again.
    assert_eq!(world.call_from("tftp", "192.0.2.10:40000"), Call::Waits);
    assert!(!world.polled.contains(&world.listener("tftp")));
    world.answer(Some("a.example.net"));
    assert_eq!((world.outcome(), world.skipped), (Call::Refused, 1));
    assert!(world.polled.contains(&world.listener("tftp")));
    assert_eq!(world.call_from("tftp", "192.0.2.10:40000"), Call::Waits);
    world.answer(Some("a.example.com"));
    assert!(is_started(world.outcome()));
    assert!(!world.polled.contains(&world.listener("tftp")), "the program has the socket");
}

#[test]
fn commands_are_run_in_the_programs_place_and_before_it() {
    let mut world = world(
        FTP,
        "in.ftpd: 192.0.2.1: setenv WHO %a\nin.ftpd: 192.0.2.2: twist echo %a\n",
        "ALL: ALL: spawn echo %a\n",
    );
    for (address, verdict, effect) in [
        ("192.0.2.1", Verdict::Allow, Effect::Setenv(b"WHO".to_vec(), b"192.0.2.1".to_vec())),
        ("192.0.2.2", Verdict::Twist, Effect::Twist(b"echo 192.0.2.2".to_vec())),
        ("192.0.2.3", Verdict::Deny, Effect::Spawn(b"echo 192.0.2.3".to_vec())),
    ] {
        assert!(is_started(world.call_from("ftp", &format!("{address}:40000"))));
        let errand = world.errands.pop().expect("there is something to do");
        assert_eq!((errand.verdict, errand.effects), (verdict, vec![effect]));
    }
    assert_eq!(denied(&world, "ftp"), 1);
}

#[test]
fn a_caller_of_tcpmux_hears_what_was_decided() {
    let lines = "1 stream tcp4 nowait root internal tcpmux\n\
                 tcpmux/+a stream tcp nowait root /usr/sbin/tcpd in.a\n";
    let mut world = world(lines, "in.a: 192.0.2.9\n", "ALL: .example.net\n");
    assert!(is_started(world.ask("1", Request::Service(b"a".as_slice().into()))));
    assert_eq!(world.said, ["+Go\r\n"]);
    world.load_wrapped(lines, "", "ALL: ALL\n");
    assert_eq!(world.ask("1", Request::Service(b"a".as_slice().into())), Call::Refused);
    assert_eq!(world.said, ["-Service not available\r\n"]);
}

#[test]
fn a_caller_of_tcpmux_whom_a_command_refuses_or_answers_is_not_welcomed() {
    let lines = "1 stream tcp4 nowait root internal tcpmux\n\
                 tcpmux/+a stream tcp nowait root /usr/sbin/tcpd in.a\n";
    for (option, said) in [("spawn echo", "-Service not available\r\n"), ("twist echo", "")] {
        let mut world = world(lines, "", &format!("ALL: ALL: {option}\n"));
        assert!(is_started(world.ask("1", Request::Service(b"a".as_slice().into()))));
        assert_eq!(world.said.concat(), said, "{option}");
    }
}

#[test]
fn a_service_that_goes_while_its_caller_is_looked_up_takes_the_caller_with_it() {
    let mut world = world(FTP, "in.ftpd: .example.com\n", "ALL: ALL\n");
    assert_eq!(world.call("ftp"), Call::Waits);
    world.load_wrapped("", "", "");
    world.answer(Some("a.example.com"));
    assert_eq!(world.outcome(), Call::Refused);
    assert_eq!((world.running.len(), status::children(&world.core).0), (0, 0));
    assert_eq!(world.core.services().count(), 0);
}
