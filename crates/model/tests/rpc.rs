//! RPC services: what a line says, and what rpcbind is told when, with a clock of our own.

mod world;

use std::time::Duration;

use usherd_model::event::{Event, Log};
use usherd_model::registry::Registration;
use usherd_model::service::ListenAddress;
use usherd_model::status;
use world::{Rpcbind, World, read};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

const RSTATD: &str = "rstatd/1-3 dgram rpc/udp wait nobody /usr/sbin/rpc.rstatd rpc.rstatd\n";

/// A world in which all that a text asks for has happened.
fn world(text: &str) -> World {
    let mut world = World::new(text);
    world.settle();
    world
}

fn reload(world: &mut World, text: &str) {
    world.load(text);
    world.settle();
}

/// `program version netid`, in order.
fn registered(world: &World) -> Vec<String> {
    let words = |one: &Registration| format!("{} {} {}", one.program, one.version, one.netid.word());
    world.registered.iter().map(words).collect()
}

fn failures(world: &World) -> usize {
    world.logged(|log| matches!(log, Log::NotRegistered(..)))
}

#[track_caller]
fn complaint(text: &str) -> (String, String) {
    let (config, diagnostics, sources) = read(text);
    assert_eq!((config.services.len(), diagnostics.len()), (0, 1), "{diagnostics:?}");
    let report = diagnostics[0].report(&sources);
    (report.code, report.original)
}

#[test]
fn a_line_has_a_program_and_its_versions() {
    let (config, diagnostics, _) = read(
        "rstatd/1-5 dgram rpc/udp wait nobody /bin/a\nrup/2 stream rpc/tcp6 nowait nobody /bin/b\n\
         4294967295/0x10 stream rpc/tcp46 nowait nobody /bin/c\n3270_mapper/1 dgram rpc/udp4 wait nobody /bin/d\n",
    );
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let mut all = Vec::new();
    for service in &config.services {
        for listener in &service.listeners {
            let ListenAddress::Rpc(rpc) = &listener.key.address else { panic!("not RPC") };
            let (address, dual) = (rpc.address.socket_address(), rpc.address.dual);
            let program = rpc.program;
            let versions = listener.extras().versions.expect("versions").to_string();
            all.push(format!("{} {program} {versions} {address} {dual}", service.label(listener)));
        }
    }
    let expected = [
        "rstatd/rpc/udp 100001 1-5 0.0.0.0:0 false",
        "rstatd/rpc/udp6 100001 1-5 [::]:0 false",
        "rup/rpc/tcp6 100001 2 [::]:0 false",
        "4294967295/rpc/tcp46 4294967295 16 [::]:0 true",
        "3270_mapper/rpc/udp4 100013 1 0.0.0.0:0 false",
    ];
    assert_eq!(all, expected);
}

#[test]
fn bad_programs_and_versions_are_said_as_the_original_does() {
    let line = |name: &str| format!("{name} dgram rpc/udp wait nobody /bin/a\n");
    let check = |name: &str| complaint(&line(name));
    let said = |code: &str, original: &str| (code.to_owned(), original.to_owned());
    assert_eq!(check("rstatd"), said("no-rpc-version", "rstatd: no rpc version"));
    assert_eq!(check("rstatd/"), said("bad-rpc-version", "rstatd/: bad rpc version"));
    assert_eq!(check("rstatd/5-1"), said("bad-rpc-version", "rstatd/1: bad rpc version"));
    assert_eq!(check("rstatd/1-"), said("bad-rpc-version", "rstatd/: bad rpc version"));
    assert_eq!(check("rstatd/1x"), said("bad-rpc-version", "rstatd/1x: bad rpc version"));
    assert_eq!(check("rstatd/0"), said("bad-rpc-version", "rstatd/0: bad rpc version"));
    assert_eq!(check("rstatd/1-2000000000").0, "bad-rpc-version");
    assert_eq!(check("nosuch/1"), said("unknown-rpc-service", "nosuch: unknown rpc service"));
    assert_eq!(check("0/1").0, "unknown-rpc-service");
    assert_eq!(check("4294967296/1").0, "unknown-rpc-service");
    assert_eq!(check("/1").0, "unknown-rpc-service");
    assert_eq!(complaint("rstatd/1 dgram rpc/unix wait nobody /bin/a\n").0, "bad-protocol");
    assert_eq!(complaint("rstatd/1 dgram rpc/udp wait root internal\n").0, "rpc-internal");
}

#[test]
fn the_same_program_and_protocol_stand_twice_whatever_they_are_called() {
    let (config, diagnostics, _) = read(
        "rstatd/1 dgram rpc/udp wait nobody /bin/a\nrup/2-3 dgram rpc/udp wait nobody /bin/b\n\
         rup/2 stream rpc/tcp nowait nobody /bin/c\n",
    );
    assert_eq!(config.services.len(), 2);
    assert_eq!(diagnostics.iter().filter(|found| found.code == "duplicate").count(), 2);
}

#[test]
fn every_version_is_registered_for_each_transport_at_once() {
    let world =
        world("rstatd/1-2 dgram rpc/udp wait nobody /bin/a\nrusersd/3 stream rpc/tcp46 nowait nobody /b\n");
    let expected =
        ["100001 1 udp", "100001 1 udp6", "100001 2 udp", "100001 2 udp6", "100002 3 tcp", "100002 3 tcp6"];
    assert_eq!(registered(&world), expected);
    assert_eq!(world.told, 1, "one helper for all of it");
    let ports: Vec<u16> = world.registered.iter().map(|one| one.address.port()).collect();
    assert_eq!(ports, [40001, 40002, 40001, 40002, 40003, 40003]);
    assert!(world.core.next_deadline().is_none());
}

#[test]
fn a_reload_keeps_the_port_and_changes_what_changed() {
    let mut world = world(RSTATD);
    let before = world.registered.clone();
    let listener = world.listener("rstatd");
    reload(&mut world, &format!("# nothing new\n{RSTATD}"));
    assert_eq!((world.listener("rstatd"), &world.registered), (listener, &before));
    assert_eq!(world.told, 2, "rpcbind may have been started anew, and forgotten all");
    reload(&mut world, &RSTATD.replace("1-3", "2-4"));
    assert_eq!(world.listener("rstatd"), listener);
    assert_eq!(registered(&world).len(), 6);
    assert!(registered(&world).contains(&"100001 4 udp6".to_owned()));
    assert!(!registered(&world).contains(&"100001 1 udp".to_owned()));
    let kept = before.iter().filter(|one| one.version > 1).all(|one| world.registered.contains(one));
    assert!(kept, "what stays has its port still");
    reload(&mut world, "");
    assert_eq!(registered(&world), [""; 0]);
    assert!(world.core.next_deadline().is_none());
}

#[test]
fn a_service_without_rpc_tells_nobody() {
    let mut world = world("2000 stream tcp4 nowait nobody /bin/cat cat\n");
    reload(&mut world, "");
    world.raise(Event::StopRequested);
    assert_eq!(world.told, 0);
}

#[test]
fn a_bad_version_at_a_reload_keeps_the_service() {
    let mut world = world(RSTATD);
    reload(&mut world, &RSTATD.replace("1-3", "3-1"));
    assert_eq!(registered(&world).len(), 6);
    reload(&mut world, "rstatd/1-3 dgram rpc/udp\n");
    assert_eq!(registered(&world).len(), 6);
}

#[test]
fn a_missing_rpcbind_is_said_once_and_asked_again_ever_less_often() {
    let mut world = World::new("");
    world.rpcbind = Rpcbind::Missing("not there");
    reload(&mut world, "rstatd/1-3 dgram rpc/udp4 wait nobody /bin/a\n");
    assert_eq!((failures(&world), world.told), (1, 1));
    let said =
        |log: &Log| matches!(log, Log::NotRegistered(_, refusal, SECOND) if refusal.why == "not there");
    assert_eq!(world.logged(said), 1);
    world.pass(SECOND);
    assert_eq!(world.told, 2);
    world.pass(60 * MINUTE);
    let in_an_hour = world.told;
    assert!((12..20).contains(&in_an_hour), "{in_an_hour}");
    assert_eq!(failures(&world), 1, "one cause is said once");
    world.rpcbind = Rpcbind::Missing("it hangs");
    world.pass(10 * MINUTE);
    assert_eq!(failures(&world), 2, "another cause is said");
    world.rpcbind = Rpcbind::Answers;
    world.pass(10 * MINUTE);
    assert_eq!(registered(&world).len(), 3);
    assert_eq!(world.logged(|log| matches!(log, Log::RegisteredAtLast(_))), 1);
    assert!(world.core.next_deadline().is_none());
}

#[test]
fn a_reload_and_a_request_do_not_wait() {
    let mut world = World::new("");
    world.rpcbind = Rpcbind::Missing("not there");
    reload(&mut world, RSTATD);
    world.pass(10 * MINUTE);
    world.rpcbind = Rpcbind::Answers;
    world.raise(Event::RetryRequested);
    world.settle();
    assert_eq!(registered(&world).len(), 6);
}

#[test]
fn status_says_why_it_is_not_registered() {
    let mut world = World::new("");
    world.rpcbind = Rpcbind::Missing("not there");
    reload(&mut world, "rstatd/1-3 dgram rpc/udp4 wait nobody /bin/a\n");
    let rpc = |world: &World| {
        let services = status::services(&world.core, world.now, &|_| String::new(), &|_| Vec::new());
        let listener = &services[0].listeners[0];
        (listener.address.clone(), listener.rpc.clone().expect("an RPC service"))
    };
    let (address, status) = rpc(&world);
    assert_eq!(address, "*:40001");
    assert_eq!((status.program, status.versions.as_str(), status.registered), (100_001, "1-3", false));
    assert_eq!((status.why.as_str(), status.seconds_left), ("not there", Some(1)));
    world.rpcbind = Rpcbind::Answers;
    world.pass(SECOND);
    let (_, status) = rpc(&world);
    assert_eq!((status.registered, status.why.as_str(), status.seconds_left), (true, "", None));
}

#[test]
fn one_version_that_is_refused_costs_no_other() {
    let mut world = World::new("");
    world.rpcbind = Rpcbind::Refuses(2);
    reload(&mut world, "rstatd/1-3 dgram rpc/udp4 wait nobody /bin/a\n");
    assert_eq!(registered(&world), ["100001 1 udp", "100001 3 udp"]);
    assert_eq!(failures(&world), 1);
    world.rpcbind = Rpcbind::Answers;
    world.pass(SECOND);
    assert_eq!(registered(&world).len(), 3);
}

#[test]
fn what_changes_while_rpcbind_thinks_is_told_afterwards() {
    let mut world = World::new("");
    world.rpcbind = Rpcbind::Thinks;
    reload(&mut world, RSTATD);
    reload(&mut world, "rusersd/1 dgram rpc/udp4 wait nobody /bin/a\n");
    assert_eq!(world.told, 1, "one helper at a time");
    world.rpcbind = Rpcbind::Answers;
    world.raise(Event::Registered(Vec::new()));
    world.settle();
    assert_eq!(registered(&world), ["100002 1 udp"]);
}

#[test]
fn the_end_unregisters_even_what_rpcbind_may_only_have_heard() {
    let mut world = world(RSTATD);
    world.rpcbind = Rpcbind::Thinks;
    reload(&mut world, &format!("{RSTATD}rusersd/1 dgram rpc/udp4 wait nobody /bin/a\n"));
    assert_eq!(registered(&world).len(), 7);
    world.rpcbind = Rpcbind::Answers;
    world.raise(Event::StopRequested);
    assert_eq!(registered(&world), [""; 0]);
    assert!(world.exited);
}

#[test]
fn a_part_that_was_heard_before_a_failure_is_forgotten_with_its_service() {
    let mut world = World::new("");
    world.rpcbind = Rpcbind::Thinks;
    reload(&mut world, RSTATD);
    world.raise(Event::NotRegistered("it hung in the middle".to_owned()));
    assert_eq!(registered(&world).len(), 6);
    world.rpcbind = Rpcbind::Answers;
    reload(&mut world, "");
    assert_eq!(registered(&world), [""; 0]);
}
