//! Callers that are connected elsewhere: who counts, what is told, and what it costs when nobody answers there.

mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use usherd_model::admission::{Limit, Pool};
use usherd_model::children::SessionId;
use usherd_model::event::{Ending, Event, Log, NotReached, Traffic};
use usherd_model::failure::{Attempt, Errno, StartError};
use usherd_model::lifecycle::{Pause, Phase};
use usherd_model::service::{AtLimit, Limits, Redirect, Targets, Task};
use usherd_model::status;
use usherd_model::supervisor::Settings;
use world::{Call, World, defaults, read};

/// A redirect on port 2000, one on 2001, and echo beside them.
const TEXT: &str = "2000 stream tcp4 nowait root internal echo\n\
                    2001 stream tcp4 nowait root internal echo\n\
                    2002 stream tcp4 nowait root internal echo\n";

const TRAFFIC: Traffic = Traffic { received: 12, sent: 34_567 };

fn target() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 8080))
}

fn refused() -> NotReached {
    NotReached::Failed(Box::new([Attempt { target: target(), errno: Errno(111) }]))
}

/// These limits are those of the first redirect.
fn world(limits: Limits) -> World {
    let settings = Settings { max_children: 1, max_sessions: 4, max_lookups: 10, log_connections: true };
    let mut world = World::with("", &defaults(), settings);
    load(&mut world, limits, Redirect::To(Targets::new([target()]).expect("an address")));
    world
}

fn load(world: &mut World, limits: Limits, redirect: Redirect) {
    let (mut config, ..) = read(TEXT);
    for service in &mut config.services[..2] {
        service.task = Task::Redirect(redirect.clone());
        service.limits = Arc::new(Limits { children: None, starts: None, ..Limits::clone(&service.limits) });
    }
    config.services[0].limits = Arc::new(limits);
    world.logs.clear();
    world.report(Event::Loaded(Box::new(config)));
}

fn unlimited() -> Limits {
    Limits { starts: None, ..defaults().limits }
}

fn redirected(call: Call) -> SessionId {
    let Call::Redirected(session) = call else { panic!("a redirect, not {call:?}") };
    session
}

fn running(world: &World, name: &str) -> u32 {
    let service = world.core.listener(world.listener(name)).expect("a listener").service();
    world.core.service(service).expect("a service").usage().running()
}

#[test]
fn a_caller_is_connected_and_its_bytes_are_told() {
    let mut world = world(unlimited());
    let session = redirected(world.call("2000"));
    assert_eq!(world.redirects[0].1.addresses(), [target()]);
    world.report(Event::Reached(session, target()));
    assert_eq!(world.logged(|log| matches!(log, Log::Redirected { target: to, .. } if *to == target())), 1);
    assert_eq!(running(&world, "2000"), 1);
    world.pass(Duration::from_secs(7));
    world.report(Event::RedirectEnded(session, TRAFFIC, Ending::Complete));
    let told = Log::RedirectEnded {
        service: world.core.listener(world.listener("2000")).expect("a listener").service(),
        peer: Some("192.0.2.9:40000".parse().expect("an address")),
        target: Some(target()),
        traffic: TRAFFIC,
        ending: Ending::Complete,
        lasted: Duration::from_secs(7),
    };
    assert_eq!(world.logs.last(), Some(&told));
    assert_eq!((running(&world, "2000"), status::sessions(&world.core)), (0, 0));
    world.report(Event::RedirectEnded(session, TRAFFIC, Ending::Complete));
    assert_eq!(world.logged(|log| matches!(log, Log::RedirectEnded { .. })), 1, "it ends once");
}

#[test]
fn a_target_that_does_not_answer_is_told_once_and_shown() {
    let mut world = world(unlimited());
    for _ in 0..3 {
        let session = redirected(world.call("2000"));
        world.report(Event::NotReached(session, refused()));
    }
    let told = |log: &Log| {
        matches!(log, Log::StartFailed { error: StartError::Unreached(attempts), pause: None, .. }
            if attempts[0].errno == Errno(111) && attempts[0].target == target())
    };
    assert_eq!(world.logged(told), 1);
    assert_eq!((running(&world, "2000"), status::sessions(&world.core)), (0, 0));
    let shown = &status::services(&world.core, world.now, &|_| "refused".to_owned(), &|_| Vec::new())[0];
    assert_eq!(shown.program, "redirect to 198.51.100.7:8080");
    assert_eq!((shown.calls, shown.started, shown.failed, shown.failing), (3, 0, 3, true));
    assert_eq!(
        (shown.failures[0].error.as_str(), shown.failures[0].times),
        ("198.51.100.7:8080: refused", 3)
    );
    let session = redirected(world.call("2000"));
    world.report(Event::Reached(session, target()));
    assert_eq!(world.logged(|log| matches!(log, Log::StartRecovered(_))), 1);
}

#[test]
fn a_host_that_is_not_known_turns_callers_away_until_a_reload_finds_it() {
    let mut world = world(unlimited());
    load(&mut world, unlimited(), Redirect::Unavailable("no such host".into()));
    assert!(matches!(world.call("2000"), Call::Redirected(_)), "what was known goes on");
    let mut world = World::new("");
    load(&mut world, unlimited(), Redirect::Unavailable("no such host".into()));
    assert_eq!(world.call("2000"), Call::Refused);
    let told = |log: &Log| matches!(log, Log::StartFailed { error: StartError::NoTarget(_), .. });
    assert_eq!((world.logged(told), running(&world, "2000")), (1, 0));
    load(&mut world, unlimited(), Redirect::To(Targets::new([target()]).expect("an address")));
    assert!(matches!(world.call("2000"), Call::Redirected(_)));
}

#[test]
fn the_limits_of_the_service_hold_for_sessions() {
    let mut world = world(Limits { children: Some(2), source_children: Some(1), ..unlimited() });
    let first = redirected(world.call_from("2000", "192.0.2.1:5000"));
    assert_eq!(world.call_from("2000", "192.0.2.1:5001"), Call::Refused);
    let second = redirected(world.call_from("2000", "192.0.2.2:5000"));
    assert_eq!(world.call_from("2000", "192.0.2.3:5000"), Call::Waits);
    world.report(Event::RedirectEnded(first, TRAFFIC, Ending::Complete));
    let third = redirected(world.call_from("2000", "192.0.2.1:5002"));
    world.report(Event::NotReached(third, refused()));
    world.report(Event::RedirectEnded(second, TRAFFIC, Ending::Complete));
    assert_eq!(running(&world, "2000"), 0);
    redirected(world.call_from("2000", "192.0.2.2:5001"));
}

#[test]
fn beyond_a_limit_callers_are_refused_where_that_is_wanted() {
    let mut world = world(Limits { children: Some(1), at_limit: AtLimit::Refuse, ..unlimited() });
    redirected(world.call("2000"));
    assert_eq!(world.call("2000"), Call::Refused);
    let met = |log: &Log| matches!(log, Log::LimitBegan { limit: Limit::Children, .. });
    assert_eq!(world.logged(met), 1);
}

#[test]
fn sessions_count_in_all_and_none_is_ended_to_make_room() {
    let mut world = world(unlimited());
    world.sessions_are_idle = true;
    let first = redirected(world.call("2000"));
    redirected(world.call("2000"));
    redirected(world.call("2001"));
    assert_eq!(world.call("2002"), Call::Served);
    assert_eq!(world.core.admission().running(Pool::Sessions), (4, 4));
    // The built-in's goes, which is silent.
    world.callers_wait = true;
    assert_eq!(world.call("2001"), Call::Redirected(world.redirects.last().expect("a session").0));
    assert_eq!((world.redirects.len(), world.sessions.len()), (4, 0));
    assert_eq!(world.call("2000"), Call::Waits);
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.redirects.len(), 4, "whoever waits, they go on");
    world.callers_wait = false;
    world.report(Event::RedirectEnded(first, TRAFFIC, Ending::CallerLost(Errno(104))));
    redirected(world.call("2000"));
}

#[test]
fn a_full_service_asks_for_no_end_of_its_sessions() {
    let mut world = world(Limits { children: Some(1), ..unlimited() });
    redirected(world.call("2000"));
    assert_eq!(world.call("2000"), Call::Waits);
    assert_eq!(world.asked_for_room, 0);
}

#[test]
fn what_runs_out_costs_the_caller_and_a_moment() {
    let mut world = world(unlimited());
    let session = redirected(world.call("2000"));
    world.report(Event::NotReached(session, NotReached::Exhausted(Errno(24))));
    assert_eq!(running(&world, "2000"), 0);
    assert_eq!(world.call("2000"), Call::Waits);
    let said = |log: &Log| matches!(log, Log::LimitBegan { limit: Limit::Resources, .. });
    assert_eq!(world.logged(said), 1);
    world.pass(Duration::from_secs(6));
    redirected(world.call("2000"));
}

#[test]
fn what_runs_out_late_wakes_no_listener_that_waits_for_something_else() {
    let mut world = world(Limits { children: Some(1), ..unlimited() });
    let session = redirected(world.call("2000"));
    assert_eq!(world.call("2000"), Call::Waits);
    let listener = world.listener("2000");
    let phase = |world: &World| world.core.listener(listener).expect("a listener").phase();
    assert_eq!(phase(&world), Phase::Paused(Pause::Limit(Limit::Children, None)));
    world.report(Event::NotReached(session, NotReached::Exhausted(Errno(24))));
    assert_eq!(phase(&world), Phase::Polled, "the session has ended, and that was what it waited for");
}

#[test]
fn a_reload_leaves_sessions_alone_and_counts_them() {
    let mut world = world(Limits { children: Some(1), ..unlimited() });
    let session = redirected(world.call("2000"));
    world.load("");
    assert_eq!(world.redirects.len(), 1);
    load(&mut world, Limits { children: Some(1), ..unlimited() }, Redirect::Unavailable("gone".into()));
    assert_eq!(running(&world, "2000"), 1);
    assert_eq!(world.call("2000"), Call::Waits, "the session counts for the service that is back");
    world.report(Event::RedirectEnded(session, TRAFFIC, Ending::Silent));
    assert_eq!(world.logged(|log| matches!(log, Log::RedirectEnded { .. })), 1);
    assert_eq!(world.call("2000"), Call::Refused);
}

#[test]
fn the_end_of_the_daemon_tells_of_every_session() {
    let mut world = world(unlimited());
    let first = redirected(world.call("2000"));
    world.report(Event::Reached(first, target()));
    redirected(world.call("2001"));
    assert_eq!(world.call("2002"), Call::Served);
    world.report(Event::StopRequested);
    assert!(world.exited && world.redirects.is_empty());
    let stopped = |log: &Log| matches!(log, Log::RedirectEnded { ending: Ending::Stopped, .. });
    assert_eq!(world.logged(stopped), 2);
}

#[test]
fn targets_hold_what_can_be_called() {
    let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
    assert_eq!(Targets::new([]), None);
    assert_eq!(Targets::new([at("192.0.2.1:80"), at("192.0.2.2:0")]), None);
    let targets = Targets::new(["[::1]:80", "[::ffff:192.0.2.1]:80", "192.0.2.1:80"].map(at));
    let targets = targets.expect("addresses");
    assert_eq!(targets.addresses(), [at("[::1]:80"), at("192.0.2.1:80")]);
    let many = (1..100).map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
    assert_eq!(Targets::new(many).map(|targets| targets.addresses().len()), Some(Targets::MOST));
    // As the loader tells them: the scope of an address is a part of it.
    let targets = Targets::new(["[fe80::1%3]:80", "192.0.2.1:80"].map(at)).expect("addresses");
    let sent = serde_json::to_string(&targets).expect("it can be written");
    assert_eq!(serde_json::from_str::<Targets>(&sent).expect("it can be read"), targets);
    assert!(serde_json::from_str::<Targets>("[]").is_err());
    let without_port = sent.replace(":80,", ":0,");
    assert!(without_port != sent && serde_json::from_str::<Targets>(&without_port).is_err());
}
