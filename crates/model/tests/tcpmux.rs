//! Callers of tcpmux: who they get, and what they are told.

mod world;

use std::time::Duration;

use usherd_model::supervisor::Settings;
use usherd_model::tcpmux::Request;
use world::{Call, World, defaults};

const CONFIG: &str = "1 stream tcp4 nowait root internal tcpmux\n\
                      tcpmux/+date stream,1 tcp nowait nobody /bin/date date\n\
                      tcpmux/who stream tcp nowait www-data /bin/who who\n\
                      tcpmux/+echo stream tcp nowait root internal\n";

fn world() -> World {
    World::with(CONFIG, &defaults(), Settings { max_children: 9, max_sessions: 2, ..Settings::default() })
}

fn ask(world: &mut World, request: Request) -> Call {
    world.ask("1", request)
}

fn service(name: &str) -> Request {
    Request::Service(name.as_bytes().into())
}

#[test]
fn a_caller_gets_the_service_that_it_names() {
    let mut world = world();
    let Call::Started(pid) = ask(&mut world, service("date")) else { panic!("date is started") };
    assert_eq!(world.said, ["+Go\r\n"]);
    let name = |world: &World, pid| {
        let start = world.running[&pid];
        world.core.service(start.service).expect("a service").service().display_name()
    };
    assert_eq!(name(&world, pid), "tcpmux/+date");
    let Call::Started(pid) = ask(&mut world, service("who")) else { panic!("who is started") };
    assert!(world.said.is_empty(), "the program answers itself");
    assert_eq!(name(&world, pid), "tcpmux/who");
    assert_eq!(ask(&mut world, service("echo")), Call::Served);
}

#[test]
fn other_callers_are_told() {
    let mut world = world();
    assert_eq!(ask(&mut world, service("nobody")), Call::Refused);
    assert_eq!(world.said, ["-Service not available\r\n"]);
    assert_eq!(ask(&mut world, Request::Unreadable), Call::Refused);
    assert_eq!(world.said, ["-Error reading service name\r\n"]);
    assert_eq!(ask(&mut world, Request::Help), Call::Refused);
    assert_eq!(world.said, ["date\r\necho\r\nwho\r\n"]);
}

#[test]
fn the_service_has_its_own_limits() {
    let mut world = world();
    let Call::Started(pid) = ask(&mut world, service("date")) else { panic!("the first is started") };
    assert_eq!(ask(&mut world, service("date")), Call::Refused);
    assert_eq!(world.said, ["-Service not available\r\n"]);
    world.end(pid);
    assert!(matches!(ask(&mut world, service("date")), Call::Started(_)));
}

#[test]
fn who_says_nothing_is_ended_after_ten_seconds() {
    let mut world = world();
    assert_eq!(world.call("1"), Call::Served);
    assert_eq!(world.call("1"), Call::Served);
    assert_eq!(world.call("1"), Call::Waits, "there is room for two");
    world.pass(Duration::from_millis(9_999));
    assert_eq!(world.sessions.len(), 2);
    world.pass(Duration::from_millis(2));
    assert_eq!(world.sessions.len(), 0);
    assert_eq!(world.call("1"), Call::Served);
}

#[test]
fn a_reload_changes_what_can_be_asked_for() {
    let mut world = world();
    world.load(&CONFIG.replace("tcpmux/who", "tcpmux/what"));
    assert_eq!(ask(&mut world, service("who")), Call::Refused);
    assert!(matches!(ask(&mut world, service("what")), Call::Started(_)));
}
