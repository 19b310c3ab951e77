//! The core's decisions, event by event, with a clock of our own.

mod world;

use std::time::Duration;

use usherd_model::admission::{Limit, Pool};
use usherd_model::children::Pid;
use usherd_model::config::Defaults;
use usherd_model::episode::Held;
use usherd_model::event::{AcceptError, Event, Exit, Log, NotStarted};
use usherd_model::failure::{Errno, StartError, Step};
use usherd_model::lifecycle::Phase;
use usherd_model::service::{AtLimit, Limits, Rate};
use usherd_model::status;
use usherd_model::supervisor::Settings;
use world::{Call, World, defaults};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn started(call: Call) -> Pid {
    match call {
        Call::Started(pid) => pid,
        Call::Served | Call::Redirected(_) | Call::Refused | Call::Waits => panic!("started, not {call:?}"),
    }
}

#[test]
fn a_caller_gets_a_program() {
    let mut world = World::new("2000 stream tcp4 nowait nobody /bin/cat cat\n");
    let pid = started(world.call("2000"));
    assert_eq!(world.core.children().len(), 1);
    world.end(pid);
    assert!(world.core.children().is_empty());
}

/// inetd(8): "the maximum number of server instances that may be spawned from inetd within an interval of 60
/// seconds". Here it is exactly that number, then a pause, and then it goes on.
#[test]
fn a_rate_pauses_and_recovers_by_itself() {
    let mut world = World::new("2000 stream tcp4 nowait.3 nobody /bin/cat cat\n");
    for _ in 0..3 {
        let pid = started(world.call("2000"));
        world.end(pid);
        world.pass(SECOND);
    }
    assert_eq!(world.call("2000"), Call::Waits);
    assert_eq!(world.polled.len(), 0);
    let began = |log: &Log| matches!(log, Log::LimitBegan { limit: Limit::Starts, .. });
    assert_eq!(world.logged(began), 1);
    world.pass(Duration::from_secs(56));
    assert_eq!(world.call("2000"), Call::Waits);
    world.pass(SECOND);
    started(world.call("2000"));
    // The log says when nobody was held back for a while.
    let ended = |log: &Log| matches!(log, Log::LimitEnded { limit: Limit::Starts, .. });
    assert_eq!(world.logged(ended), 0);
    world.pass(2 * MINUTE);
    assert_eq!((world.logged(began), world.logged(ended)), (1, 1));
}

#[test]
fn a_flood_for_an_hour_is_one_episode_and_every_minute_serves() {
    let mut world = World::new("2000 stream tcp4 nowait.3 nobody /bin/cat cat\n");
    let mut served = 0;
    for _ in 0..3600 {
        if let Call::Started(pid) = world.call("2000") {
            served += 1;
            world.end(pid);
        }
        world.pass(SECOND);
    }
    assert_eq!(served, 3 * 60);
    assert_eq!(world.logged(|log| matches!(log, Log::LimitBegan { .. })), 1);
    assert_eq!(world.logged(|log| matches!(log, Log::LimitEnded { .. })), 0);
    world.pass(2 * MINUTE);
    assert_eq!(world.logged(|log| matches!(log, Log::LimitEnded { .. })), 1);
}

fn limited(limits: Limits) -> World {
    let defaults = Defaults { limits, ..defaults() };
    let settings = Settings { max_children: 100, max_sessions: 10, ..Settings::default() };
    World::with("2000 stream tcp4 nowait nobody /bin/cat cat\n", &defaults, settings)
}

#[test]
fn a_limit_on_children_lets_callers_wait_until_one_ends() {
    let mut world = limited(Limits { children: Some(2), ..defaults().limits });
    let first = started(world.call("2000"));
    started(world.call("2000"));
    assert_eq!(world.call("2000"), Call::Waits);
    assert!(world.polled.is_empty());
    world.pass(60 * MINUTE);
    assert_eq!(world.call("2000"), Call::Waits);
    world.end(first);
    started(world.call("2000"));
}

#[test]
fn a_service_that_refuses_at_its_limit_counts_whom_it_turned_away() {
    let mut world = limited(Limits { children: Some(1), at_limit: AtLimit::Refuse, ..defaults().limits });
    let first = started(world.call("2000"));
    for _ in 0..5 {
        assert_eq!(world.call("2000"), Call::Refused);
    }
    world.end(first);
    started(world.call("2000"));
    world.pass(2 * MINUTE);
    let ended = world.logged(|log| matches!(log, Log::LimitEnded { limit: Limit::Children, refused: 5, .. }));
    assert_eq!(ended, 1);
    let said = world.logged(|log| matches!(log, Log::LimitBegan { held: Held::Refused(1), .. }));
    assert_eq!(said, 1, "nobody is said to wait");
}

#[test]
fn a_source_is_refused_and_the_others_are_not() {
    let rate = Rate { count: 2, window: MINUTE };
    let mut world = limited(Limits { source_starts: Some(rate), ..defaults().limits });
    for _ in 0..2 {
        started(world.call_from("2000", "192.0.2.1:1000"));
    }
    assert_eq!(world.call_from("2000", "192.0.2.1:1001"), Call::Refused);
    started(world.call_from("2000", "192.0.2.2:1000"));
    world.pass(MINUTE);
    started(world.call_from("2000", "192.0.2.1:1002"));
}

#[test]
fn the_cap_on_all_children_resumes_listeners_in_order() {
    let text = "2000 stream tcp4 nowait nobody /bin/cat cat\n2001 stream tcp4 nowait nobody /bin/cat cat\n";
    let settings = Settings { max_children: 1, max_sessions: 10, ..Settings::default() };
    let mut world = World::with(text, &defaults(), settings);
    let first = started(world.call("2000"));
    assert_eq!(world.call("2001"), Call::Waits);
    assert_eq!(world.call("2000"), Call::Waits);
    world.callers_wait = true;
    world.end(first);
    let names: Vec<_> = world.running.values().map(|start| world.core.service(start.service)).collect();
    assert_eq!(names.len(), 1, "there is room for one");
    assert_eq!(
        names[0].map(|state| &*state.service().name),
        Some(b"2001".as_slice()),
        "who has waited longest"
    );
}

#[test]
fn room_that_nobody_wants_any_more_goes_to_the_next() {
    let lines: Vec<String> =
        (2000..2005).map(|port| format!("{port} stream tcp4 nowait nobody /bin/cat cat\n")).collect();
    let settings = Settings { max_children: 1, max_sessions: 10, ..Settings::default() };
    let mut world = World::with(&lines.concat(), &defaults(), settings);
    let first = started(world.call("2000"));
    for port in 2000..2005 {
        assert_eq!(world.call(&port.to_string()), Call::Waits);
    }
    // All callers have gone meanwhile. Nobody may be left behind.
    world.end(first);
    assert_eq!(world.polled.len(), 5);
    started(world.call("2004"));
}

#[test]
fn a_listener_waits_for_room_in_one_place_only() {
    let line = |port: u16, program: &str| format!("{port} stream tcp4 nowait nobody {program} it\n");
    let settings = Settings { max_children: 1, max_sessions: 10, ..Settings::default() };
    let mut world = World::with(&(line(2000, "/bin/cat") + &line(2001, "/bin/cat")), &defaults(), settings);
    let first = started(world.call("2000"));
    let waiting = |world: &World| world.core.waiting(Pool::Children).collect::<Vec<_>>();
    for round in 0..10 {
        assert_eq!(world.call("2001"), Call::Waits);
        assert_eq!(waiting(&world), [world.listener("2001")]);
        // A change lets it try again, and it finds that there is still no room.
        let program = if round % 2 == 0 { "/bin/tac" } else { "/bin/cat" };
        world.load(&(line(2000, "/bin/cat") + &line(2001, program)));
        assert_eq!(waiting(&world), []);
    }
    assert_eq!(world.call("2001"), Call::Waits);
    world.load(&line(2000, "/bin/cat"));
    assert_eq!(waiting(&world), [], "a listener that is closed waits for nothing");
    world.end(first);
}

#[test]
fn a_listener_that_changes_its_service_while_it_waits_goes_on() {
    let line =
        |host: &str, port: u16, wait: &str| format!("{host}:{port} stream tcp4 {wait} nobody /bin/cat cat\n");
    let defaults = Defaults { limits: Limits { children: Some(1), ..defaults().limits }, ..defaults() };
    let settings = Settings { max_children: 100, max_sessions: 10, ..Settings::default() };
    let text = line("192.0.2.1", 2000, "nowait") + &line("192.0.2.1", 2001, "nowait");
    let mut world = World::with(&text, &defaults, settings);
    let first = started(world.call("2000"));
    assert_eq!(world.call("2000"), Call::Waits);
    // The socket that waits is another service's now, which has nothing running.
    let tree = "192.0.2.2,192.0.2.1:2000 stream tcp4 nowait nobody /bin/tac tac\n";
    world.load_with(tree, &defaults);
    world.end(first);
    for (_, listener) in world.core.listeners() {
        assert_eq!(listener.phase(), Phase::Polled);
    }
}

#[test]
fn built_in_sessions_have_a_cap_each_and_in_all() {
    let mut world = World::new(
        "echo stream tcp4 nowait root internal\n2001 stream tcp4 nowait root internal discard\n\
         daytime stream tcp4 nowait root internal\n",
    );
    for _ in 0..8 {
        assert_eq!(world.call("echo"), Call::Served);
    }
    assert_eq!(world.call("echo"), Call::Waits, "one service has its share");
    for _ in 0..2 {
        assert_eq!(world.call("2001"), Call::Served);
    }
    assert_eq!(world.call("2001"), Call::Waits, "there are ten in all");
    for _ in 0..100 {
        assert_eq!(world.call("daytime"), Call::Served, "what is over at once needs no room");
    }
    let momentary = world.sessions.split_off(10);
    momentary.into_iter().for_each(|over| world.raise(over));
    let echo = world.sessions.remove(0);
    world.raise(echo);
    assert_eq!(world.call("echo"), Call::Served);
}

#[test]
fn silent_sessions_make_room_for_those_who_wait() {
    let mut world = World::new("echo stream tcp4 nowait root internal\n");
    for _ in 0..8 {
        world.call("echo");
    }
    assert_eq!(world.call("echo"), Call::Waits);
    assert_eq!(world.asked_for_room, 1);
    // None has been silent for long enough; it is asked again when one may have been.
    world.sessions_are_idle = true;
    world.pass(9 * SECOND);
    assert!(world.polled.is_empty());
    world.pass(SECOND);
    assert_eq!(world.polled.len(), 1);
    assert_eq!(world.call("echo"), Call::Waits, "the caller waits until the silent one has gone");
    assert_eq!(world.call("echo"), Call::Served);
}

#[test]
fn calls_from_the_ftp_data_port_are_refused() {
    let mut world = World::new("2000 stream tcp4 nowait nobody /bin/cat cat\n");
    assert_eq!(world.call_from("2000", "192.0.2.1:20"), Call::Refused);
    started(world.call_from("2000", "192.0.2.1:21"));
}

#[test]
fn a_wait_server_has_the_listener_until_it_ends() {
    let mut world = World::new("2000 stream tcp4 wait nobody /bin/server server\n");
    let pid = started(world.call("2000"));
    assert_eq!(world.core.listener(world.listener("2000")).map(|l| l.phase()), Some(Phase::HandedOver(pid)));
    assert_eq!(world.call("2000"), Call::Waits);
    world.end_with(pid, Exit::Status(3), None);
    assert_eq!(world.logged(|log| matches!(log, Log::WaitServerFailed(_, Exit::Status(3)))), 1);
    started(world.call("2000"));
}

/// A start that fails while its datagram stays would be tried again at once, for ever.
#[test]
fn a_failing_wait_service_reads_one_packet_off_and_backs_off() {
    let mut world = World::new("2000 dgram udp4 wait nobody /bin/missing missing\n");
    let failure = Some((Step::Exec, Errno(2)));
    let mut waited = Vec::new();
    for round in 1..=8 {
        let pid = started(world.call("2000"));
        world.end_with(pid, Exit::Status(127), failure);
        assert_eq!(world.skipped, round);
        let before = world.now;
        while world.call("2000") == Call::Waits && waited.len() < usize::try_from(round).expect("small") {
            world.pass(SECOND);
            if !world.polled.is_empty() {
                waited.push(world.now.since(before).as_secs());
            }
        }
        if let Some(pid) = world.running.keys().next().copied() {
            world.end_with(pid, Exit::Status(127), failure);
            world.pass(MINUTE);
            break;
        }
    }
    assert_eq!(waited.first(), Some(&1));
    let failed = |log: &Log| matches!(log, Log::StartFailed { error: StartError::Refused { .. }, .. });
    assert_eq!(world.logged(failed), 1, "one cause is logged once");
    world.pass(MINUTE);
    let pid = started(world.call("2000"));
    world.end(pid);
    assert_eq!(world.logged(|log| matches!(log, Log::StartRecovered(_))), 1);
}

#[test]
fn a_failing_stream_service_costs_its_callers_only_and_is_logged_once() {
    let mut world = World::new("2000 stream tcp4 nowait nobody /bin/missing missing\n");
    for _ in 0..50 {
        let pid = started(world.call("2000"));
        world.end_with(pid, Exit::Status(127), Some((Step::Exec, Errno(2))));
    }
    assert_eq!(world.logged(|log| matches!(log, Log::StartFailed { .. })), 1);
    let (_, state) = world.core.services().next().expect("one service");
    assert_eq!(state.failures().map(|failures| failures.total()), Some(50));
}

#[test]
fn an_unknown_user_turns_callers_away_without_a_process() {
    let mut world = World::new("2000 stream tcp4 nowait nosuch /bin/cat cat\n");
    assert_eq!(world.call("2000"), Call::Refused);
    assert_eq!(world.call("2000"), Call::Refused);
    assert!(world.running.is_empty());
    assert_eq!(world.logged(|log| matches!(log, Log::StartFailed { error: StartError::Identity(_), .. })), 1);
    assert_eq!(world.core.children().len(), 0);
}

#[test]
fn what_runs_out_costs_time_and_nothing_else() {
    let mut world = World::new("2000 stream tcp4 nowait nobody /bin/cat cat\n");
    let listener = world.listener("2000");
    world.raise(Event::AcceptFailed(listener, AcceptError::Exhausted(Errno(24))));
    assert!(world.polled.is_empty());
    world.pass(Duration::from_millis(49));
    assert!(world.polled.is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.polled.len(), 1);
    for _ in 0..100 {
        world.raise(Event::AcceptFailed(listener, AcceptError::Exhausted(Errno(24))));
        world.pass(5 * SECOND);
        assert_eq!(world.polled.len(), 1, "the longest pause is five seconds");
    }
    assert_eq!(world.logged(|log| matches!(log, Log::LimitBegan { limit: Limit::Resources, .. })), 1);
    let pid = started(world.call("2000"));
    world.end(pid);
    world.clone_error = Some(NotStarted::Exhausted(Errno(11)));
    world.call("2000");
    assert!(world.polled.is_empty());
    assert_eq!(world.core.children().len(), 0);
    world.clone_error = None;
    world.pass(Duration::from_millis(50));
    started(world.call("2000"));
}

/// The connection of a start that failed is closed: nobody waits at its other end.
#[test]
fn a_caller_whose_program_finds_no_process_is_counted_as_refused() {
    for error in [NotStarted::Exhausted(Errno(11)), NotStarted::Busy] {
        let mut world = World::new(
            "2000 stream tcp4 nowait nobody /bin/cat cat\n2001 stream tcp4 wait nobody /bin/server server\n",
        );
        world.clone_error = Some(error);
        world.call("2000");
        let held = |log: &Log| {
            if let Log::LimitBegan { limit: Limit::Resources, held, .. } = log { Some(*held) } else { None }
        };
        assert_eq!(world.logs.iter().find_map(held), Some(Held::Refused(1)), "{error:?}");
        let (_, state) = world.core.services().next().expect("the first service");
        let refused: u64 = state.episodes().expect("one").records().iter().map(|record| record.refused).sum();
        assert_eq!(refused, 1, "{error:?}");
        // A listener that could not be handed over still has its caller.
        world.logs.clear();
        world.call("2001");
        assert!(world.logs.iter().filter_map(held).all(|held| held == Held::Waits), "{error:?}");
        assert!(world.polled.is_empty(), "both rest");
    }
}

#[test]
fn services_are_shown_in_the_order_of_their_lines() {
    let line = |number: u16| format!("{} stream tcp4 nowait nobody /bin/cat cat\n", 2000 + number);
    let world = World::new(&(1..=12).map(line).collect::<String>());
    let words = |errno: Errno| errno.0.to_string();
    let all = status::services(&world.core, world.now, &words, &|_| Vec::new());
    let lines: Vec<&str> = all.iter().filter_map(|service| service.origin.rsplit(':').next()).collect();
    assert_eq!(lines, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]);
}

#[test]
fn a_port_that_is_taken_is_tried_again_and_said_once() {
    let mut world = World::new("");
    world.taken.insert(2000);
    world.load("2000 stream tcp4 nowait nobody /bin/cat cat\n2001 stream tcp4 nowait nobody /bin/cat cat\n");
    assert_eq!(world.open.len(), 1);
    world.pass(10 * MINUTE);
    assert_eq!(world.logged(|log| matches!(log, Log::NotOpened(..))), 1);
    world.taken.clear();
    world.pass(MINUTE);
    assert_eq!(world.open.len(), 2);
    assert_eq!(world.logged(|log| matches!(log, Log::OpenedAtLast(_))), 1);
    started(world.call("2000"));
}

#[test]
fn a_retry_on_request_does_not_wait() {
    let mut world = World::new("");
    world.taken.insert(2000);
    world.load("2000 stream tcp4 nowait nobody /bin/cat cat\n");
    world.pass(10 * MINUTE);
    world.taken.clear();
    world.raise(Event::RetryRequested);
    assert_eq!(world.open.len(), 1);
}

#[test]
fn a_reload_keeps_what_stays_and_closes_what_goes() {
    let mut world = World::new(
        "2000 stream tcp4 nowait nobody /bin/cat cat\n2001 stream tcp4 nowait nobody /bin/cat cat\n",
    );
    let kept = world.listener("2000");
    let pid = started(world.call("2001"));
    world.load("2000 stream tcp4 nowait nobody /bin/cat cat\n2002 stream tcp4 nowait nobody /bin/cat cat\n");
    assert_eq!(world.listener("2000"), kept);
    assert_eq!(world.open.len(), 2);
    // The removed service's program goes on, and is counted until it ends.
    assert_eq!(world.core.children().len(), 1);
    assert_eq!(world.core.services().count(), 3);
    world.end(pid);
    assert_eq!(world.core.services().count(), 2);
}

#[test]
fn counts_survive_a_reload_that_changes_the_program() {
    let mut world = World::new("2000 stream tcp4 nowait.2 nobody /bin/cat cat\n");
    started(world.call("2000"));
    started(world.call("2000"));
    let prepared = world.prepared;
    world.load("2000 stream tcp4 nowait.2 nobody /bin/tac tac\n");
    assert_eq!(world.prepared, prepared + 1);
    assert_eq!(world.call("2000"), Call::Waits, "a reload forgets no start");
    world.load("2000 stream tcp4 nowait.3 nobody /bin/tac tac\n");
    started(world.call("2000"));
    assert_eq!(world.call("2000"), Call::Waits);
}

#[test]
fn wait_becomes_nowait_while_a_server_runs() {
    let mut world = World::new("2000 stream tcp4 wait nobody /bin/server server\n");
    let server = started(world.call("2000"));
    world.load("2000 stream tcp4 wait nobody /bin/server server -v\n");
    assert_eq!(world.call("2000"), Call::Waits, "a running wait server is remembered");
    world.load("2000 stream tcp4 nowait nobody /bin/cat cat\n");
    started(world.call("2000"));
    world.end(server);
    started(world.call("2000"));
}

#[test]
fn nowait_becomes_wait_while_programs_run() {
    let mut world = World::new("2000 stream tcp4 nowait nobody /bin/cat cat\n");
    let old = started(world.call("2000"));
    world.load("2000 stream tcp4 wait nobody /bin/server server\n");
    let server = started(world.call("2000"));
    world.end(old);
    assert_eq!(world.call("2000"), Call::Waits);
    world.end(server);
    started(world.call("2000"));
}

#[test]
fn internal_becomes_external_and_back() {
    let mut world = World::new("echo stream tcp4 nowait root internal\n");
    assert_eq!(world.call("echo"), Call::Served);
    world.load("echo stream tcp4 nowait nobody /bin/cat cat\n");
    let pid = started(world.call("echo"));
    let session = world.sessions.pop().expect("the session goes on");
    world.raise(session);
    world.load("echo stream tcp4 nowait root internal\n");
    assert_eq!(world.call("echo"), Call::Served);
    world.end(pid);
    assert_eq!(world.core.children().len(), 0);
}

#[test]
fn a_bad_line_keeps_the_service_that_it_replaces() {
    let mut world = World::new(
        "2000 stream tcp4 nowait nobody /bin/cat cat\n2001 stream tcp4 nowait nobody /bin/cat cat\n",
    );
    world.load("2000 stream tcp9 nowait nobody /bin/cat cat\n");
    started(world.call("2000"));
    assert_eq!(world.open.len(), 1);
    assert_eq!(world.logged(|log| matches!(log, Log::Kept { .. })), 1);
}

#[test]
fn a_listener_may_change_its_service() {
    let mut world = World::new(
        "127.0.0.1:2000 stream tcp4 nowait nobody /bin/cat cat\n127.0.0.1:2001 stream tcp4 nowait nobody /bin/cat cat\n",
    );
    let (first, second) = (world.listener("2000"), world.listener("2001"));
    world.load("two,127.0.0.1:2001 stream tcp4 nowait nobody /bin/tac tac\n127.0.0.1:2000 stream tcp4 nowait nobody /bin/tac tac\n");
    assert_eq!(world.listener("2000"), first);
    assert!(world.open.contains(&second));
    assert_eq!(world.open.len(), 4);
    started(world.call("2001"));
}

#[test]
fn a_nowait_datagram_service_starts_a_program_for_each_peer() {
    let mut world = World::new("2000 dgram udp4 nowait nobody /bin/answer answer\n");
    let first = started(world.call_from("2000", "192.0.2.1:1000"));
    let second = started(world.call_from("2000", "192.0.2.2:1000"));
    assert_eq!(world.running.len(), 2);
    world.end(first);
    world.end_with(second, Exit::Status(127), Some((Step::Exec, Errno(2))));
    assert_eq!(world.call("2000"), Call::Waits, "the next would fail as well");
    world.pass(SECOND);
    started(world.call("2000"));
}

#[test]
fn the_end_is_asked_for() {
    let mut world = World::new("2000 stream tcp4 nowait nobody /bin/cat cat\n");
    world.raise(Event::StopRequested);
    assert!(world.exited);
}

#[test]
fn programs_count_for_a_service_that_moves_or_comes_back() {
    let line = |place: &str| format!("{place}3333 stream,1 tcp4 nowait root /bin/x x\n");
    let mut world = World::new(&line(""));
    let Call::Started(pid) = world.call("3333") else { panic!("the first is started") };
    world.load(&line("127.0.0.1:"));
    assert_eq!(world.call("3333"), Call::Waits);
    world.load("");
    world.load(&line(""));
    assert_eq!(world.call("3333"), Call::Waits);
    world.end(pid);
    assert!(matches!(world.call("3333"), Call::Started(_)));
}
