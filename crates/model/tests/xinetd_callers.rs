//! What services of an xinetd.conf do with their callers: lists, times, load, limits, sensors, banners, log lines.

mod world;

use std::time::Duration;

use usherd_model::access::IpOptions;
use usherd_model::admission::Limit;
use usherd_model::event::{Ending, Event, Log, Reason, Traffic};
use usherd_model::guard::{Circumstances, Load};
use usherd_model::lookups::Question;
use usherd_model::supervisor::Settings;
use usherd_model::tcpmux::Request;
use world::{Call, World};

fn service(name: &str, port: u16, lines: &str) -> String {
    format!(
        "service {name}\n{{\n type = UNLISTED\n port = {port}\n socket_type = stream\n wait = no\n user = nobody\n \
         server = /bin/cat\n{lines}\n}}\n"
    )
}

fn world(text: &str) -> World {
    let mut world = World::new("");
    world.load_xinetd(text);
    world
}

fn one(lines: &str) -> World {
    world(&service("it", 9000, lines))
}

fn started(call: Call) -> bool {
    matches!(call, Call::Started(_))
}

/// Why callers were not served, as far as it was logged.
fn reasons(world: &World) -> Vec<Reason> {
    let reason = |log: &Log| if let Log::Failed { reason, .. } = log { Some(*reason) } else { None };
    world.logs.iter().filter_map(reason).collect()
}

#[test]
fn lists_turn_callers_away_and_cost_them_nothing_of_the_limits() {
    let mut world = one("only_from = 10.0.0.0\n no_access = 10.1.2.3\n log_on_failure = HOST\n cps = 1 30");
    for caller in ["192.0.2.1:1", "10.1.2.3:1", "[2001:db8::1]:1"] {
        for _ in 0..3 {
            assert_eq!(world.call_from("it", caller), Call::Refused, "{caller}");
        }
    }
    assert!(started(world.call_from("it", "10.9.9.9:1")));
    assert_eq!(reasons(&world), [Reason::Address; 9]);
    let (_, state) = world.core.services().next().expect("it");
    assert_eq!(state.counters().denied, 9);
}

#[test]
fn a_name_is_looked_up_only_for_those_about_whom_it_decides() {
    let mut world = one("only_from = 10.0.0.0 .example.com");
    assert!(started(world.call_from("it", "10.9.9.9:1")));
    assert_eq!(world.asked.len(), 0);
    for (name, is_served) in [
        (Some("host.example.com"), true),
        (Some("host.example.net"), false),
        (Some("unknown"), false),
        (Some("paranoid"), false),
        (None, false),
    ] {
        assert_eq!(world.call_from("it", "192.0.2.7:1"), Call::Waits);
        world.answer(name);
        assert_eq!(started(world.outcome()), is_served, "{name:?}");
    }
    let mut world = one("no_access = .evil.test");
    for (name, is_served) in [(Some("a.evil.test"), false), (Some("a.good.test"), true), (None, false)] {
        assert_eq!(world.call_from("it", "192.0.2.7:1"), Call::Waits);
        world.answer(name);
        assert_eq!(started(world.outcome()), is_served, "{name:?}");
    }
}

#[test]
fn a_name_that_was_looked_up_for_a_list_is_not_looked_up_again_for_the_tables() {
    let mut world = World::new("");
    let text = service("it", 9000, "only_from = .example.com");
    let (mut config, ..) = world::read_xinetd(&text, &mut world::Files(Vec::new()));
    config.tables = Some(world::tables("cat: .example.com\n", "ALL: ALL\n"));
    world.raise(Event::Loaded(Box::new(config)));
    assert_eq!(world.call_from("it", "192.0.2.7:1"), Call::Waits);
    world.answer(Some("a.example.com"));
    assert!(started(world.outcome()));
}

#[test]
fn times_and_load_are_those_of_the_moment() {
    let mut world = one("access_times = 9:00-17:00 22:00-24:00\n max_load = 2.5\n log_on_failure = ATTEMPT");
    // As long as nothing is known of the machine, nobody is served.
    assert_eq!(world.call("it"), Call::Refused);
    for (minute_of_day, load, expected) in [
        (9 * 60, "2.49", None),
        (17 * 60, "0.00", None),
        (17 * 60 + 1, "0.00", Some(Reason::Time)),
        (23 * 60 + 59, "0.00", None),
        (8 * 60 + 59, "0.00", Some(Reason::Time)),
        (12 * 60, "2.50", Some(Reason::Load)),
    ] {
        world.logs.clear();
        let load = Load::in_loadavg(format!("{load} 0.00 0.00 1/100 1").as_bytes());
        world.raise(Event::Observed(Circumstances { minute_of_day, load }));
        assert_eq!(started(world.call("it")), expected.is_none(), "{minute_of_day}");
        assert_eq!(reasons(&world), expected.into_iter().collect::<Vec<_>>());
    }
    let listener = world.listener("it");
    assert!(world.core.wants_circumstances(listener));
    let other = one("");
    assert!(!other.core.wants_circumstances(other.listener("it")));
}

#[test]
fn too_many_in_a_second_end_the_service_for_a_while_and_it_comes_back() {
    let mut world = one("cps = 2 30\n log_on_failure = HOST");
    assert!(started(world.call("it")) && started(world.call("it")));
    assert_eq!(world.call("it"), Call::Refused);
    assert_eq!(reasons(&world), [Reason::Limit(Limit::Starts)]);
    assert_eq!(world.call("it"), Call::Waits, "the port stays open, and callers wait");
    world.pass(Duration::from_secs(29));
    assert_eq!(world.call("it"), Call::Waits);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.logged(|log| matches!(log, Log::Resumed { again: false, .. })), 1);
    assert!(started(world.call("it")));
}

#[test]
fn each_rest_is_said_and_whether_it_is_the_first_of_a_flood() {
    let mut world = one("cps = 2 30\n log_on_failure = HOST");
    // What is said of a rest: that it began, for the first time or again; that it is over, likewise.
    let said = |world: &World| {
        let word = |log: &Log| {
            if let Log::Resumed { again, .. } = log {
                return Some(if *again { "there again" } else { "there" });
            }
            let again =
                Log::RestsAgain { service: world.core.services().next()?.0, rest: Duration::from_secs(30) };
            let began = matches!(log, Log::LimitBegan { limit: Limit::Starts, .. });
            if began { Some("began") } else { (*log == again).then_some("again") }
        };
        world.logs.iter().filter_map(word).collect::<Vec<_>>().join(", ")
    };
    let rest = |world: &mut World| {
        while started(world.call("it")) {}
        world.pass(Duration::from_secs(30));
    };
    for _ in 0..3 {
        rest(&mut world);
    }
    assert_eq!(said(&world), "began, there, again, there again, again, there again");
    world.pass(Duration::from_secs(90));
    world.logs.clear();
    rest(&mut world);
    assert_eq!(said(&world), "began, there");
}

/// tcpmux, and a service behind it.
fn behind_tcpmux(kind: &str, lines: &str) -> World {
    let mux =
        "service tcpmux\n{\n type = INTERNAL UNLISTED\n port = 1\n socket_type = stream\n wait = no\n}\n";
    let text = service("plus", 0, lines).replace("UNLISTED", &format!("{kind} UNLISTED"));
    world(&(mux.to_owned() + &text.replace(" port = 0\n", "")))
}

fn plus() -> Request {
    Request::Service(b"plus".as_slice().into())
}

const BANNERS: &str = "banner = /etc/banner\n banner_success = /etc/banner\n banner_fail = /etc/goodbye";
const NOT_AVAILABLE: &str = "-Service not available\r\n";

#[test]
fn behind_tcpmux_the_answer_comes_before_banners() {
    let mut world = behind_tcpmux("TCPMUXPLUS", BANNERS);
    assert!(started(world.ask("tcpmux", plus())));
    assert_eq!(world.said, ["+Go\r\n", "welcome\r\n"]);
    let mut world = behind_tcpmux("TCPMUX", BANNERS);
    assert!(started(world.ask("tcpmux", plus())));
    assert_eq!(world.said, ["welcome\r\n"], "the program answers itself");
    for lines in ["only_from = 10.0.0.1", "instances = 0", "per_source = 0", "flags = SENSOR"] {
        for kind in ["TCPMUX", "TCPMUXPLUS"] {
            let mut world = behind_tcpmux(kind, &format!("{BANNERS}\n{lines}"));
            assert_eq!(world.ask("tcpmux", plus()), Call::Refused);
            assert_eq!(world.said, [NOT_AVAILABLE, "not you\r\n"], "{lines}");
        }
    }
}

#[test]
fn behind_tcpmux_who_is_judged_first_is_answered_then() {
    for (lines, answer, is_served) in [
        ("flags = NOLIBWRAP\n only_from = .example.com", Some("a.example.com"), true),
        ("flags = NOLIBWRAP\n only_from = .example.com", Some("a.example.net"), false),
        ("only_from = .example.com", Some("a.example.com"), true),
        ("flags = NOLIBWRAP\n log_on_success = USERID", None, true),
        ("flags = IDONLY\n log_on_success = USERID", None, false),
    ] {
        let mut world = behind_tcpmux("TCPMUXPLUS", &format!("{BANNERS}\n{lines}"));
        assert_eq!(world.call("tcpmux"), Call::Served);
        world.pass_to_tcpmux(plus());
        assert_eq!((world.outcome(), world.said.len()), (Call::Waits, 0), "{lines}");
        world.answer(answer);
        assert_eq!(started(world.outcome()), is_served, "{lines}");
        let words = if is_served { ["+Go\r\n", "welcome\r\n"] } else { [NOT_AVAILABLE, "not you\r\n"] };
        assert_eq!(world.said, words, "{lines}");
    }
}

#[test]
fn behind_tcpmux_who_is_turned_away_is_told_once() {
    let mut world = behind_tcpmux("TCPMUXPLUS", "no_access = 192.0.2.9\n log_on_failure = USERID");
    assert_eq!(world.call("tcpmux"), Call::Served);
    world.pass_to_tcpmux(plus());
    assert_eq!((world.outcome(), world.said.concat()), (Call::Waits, NOT_AVAILABLE.to_owned()));
    world.answer(None);
    assert_eq!((world.outcome(), world.said.concat()), (Call::Refused, NOT_AVAILABLE.to_owned()));
    let mut world = behind_tcpmux("TCPMUXPLUS", "");
    assert_eq!(world.call("tcpmux"), Call::Served);
    world.ip_options = Some(IpOptions::SourceRoute);
    world.pass_to_tcpmux(plus());
    assert_eq!((world.outcome(), world.said.concat()), (Call::Refused, NOT_AVAILABLE.to_owned()));
}

#[test]
fn a_service_behind_tcpmux_that_rests_rests_once() {
    let mut world = behind_tcpmux("TCPMUXPLUS", "cps = 1 30");
    assert!(started(world.ask("tcpmux", plus())));
    for _ in 0..3 {
        assert_eq!(world.ask("tcpmux", plus()), Call::Refused);
    }
    world.pass(Duration::from_secs(30));
    let rests =
        |log: &Log| matches!(log, Log::LimitBegan { limit: Limit::Starts, .. } | Log::RestsAgain { .. });
    assert_eq!(world.logged(rests), 1);
    assert_eq!(world.logged(|log| matches!(log, Log::Resumed { .. })), 1);
}

#[test]
fn limits_refuse_and_say_which() {
    let mut world = one("instances = 2\n per_source = 1\n log_on_failure = HOST");
    assert!(started(world.call_from("it", "192.0.2.1:1")));
    assert_eq!(world.call_from("it", "192.0.2.1:2"), Call::Refused);
    assert!(started(world.call_from("it", "192.0.2.2:1")));
    assert_eq!(world.call_from("it", "192.0.2.3:1"), Call::Refused);
    assert_eq!(reasons(&world), [Reason::Limit(Limit::SourceChildren), Reason::Limit(Limit::Children)]);
}

#[test]
fn a_sensor_denies_its_callers_everywhere_for_as_long_as_it_says() {
    let sensor = service("trap", 9001, "flags = SENSOR\n deny_time = 10\n log_on_failure = HOST");
    let mut world = world(&(service("it", 9000, "") + &sensor));
    assert!(started(world.call_from("it", "192.0.2.1:1")));
    assert_eq!(world.call_from("trap", "192.0.2.1:1"), Call::Refused);
    assert_eq!(world.logged(|log| matches!(log, Log::Sensed { .. })), 1);
    assert_eq!(world.call_from("it", "192.0.2.1:2"), Call::Refused);
    assert!(started(world.call_from("it", "192.0.2.2:1")));
    world.pass(Duration::from_secs(10 * 60));
    assert!(started(world.call_from("it", "192.0.2.1:3")));
}

#[test]
fn a_sensor_does_not_notice_whom_its_times_its_load_and_its_limits_turn_away() {
    let at = |minute_of_day| Circumstances { minute_of_day, load: Load::in_loadavg(b"1.00") };
    for (lines, expected) in [
        ("access_times = 9:00-17:00", Reason::Time),
        ("max_load = 0.5", Reason::Load),
        ("instances = 0", Reason::Limit(Limit::Children)),
        ("per_source = 0", Reason::Limit(Limit::SourceChildren)),
    ] {
        let lines = format!("flags = SENSOR\n deny_time = FOREVER\n log_on_failure = HOST\n{lines}");
        let mut world = world(&(service("it", 9000, "") + &service("trap", 9001, &lines)));
        world.raise(Event::Observed(at(8 * 60)));
        assert_eq!(world.call_from("trap", "192.0.2.1:1"), Call::Refused);
        assert_eq!(reasons(&world), [expected]);
        assert_eq!((world.logged(|log| matches!(log, Log::Sensed { .. })), world.skipped), (0, 0));
        assert!(started(world.call_from("it", "192.0.2.1:2")), "{expected:?}");
    }
    let lines = "flags = SENSOR\n deny_time = FOREVER\n access_times = 9:00-17:00\n only_from = 10.0.0.1";
    let mut world = world(&(service("it", 9000, "") + &service("trap", 9001, lines)));
    world.raise(Event::Observed(at(9 * 60)));
    assert_eq!(world.call_from("trap", "192.0.2.1:20"), Call::Refused, "from whatever port");
    assert_eq!(world.call_from("it", "192.0.2.1:2"), Call::Refused);
}

#[test]
fn a_sensor_rests_when_too_many_call_and_holds_nothing() {
    let lines = "flags = SENSOR\n deny_time = FOREVER\n log_on_failure = HOST\n cps = 1 30\n instances = 1\n \
                 per_source = 1";
    let mut world = world(&(service("it", 9000, "") + &service("trap", 9001, lines)));
    assert_eq!(world.call_from("trap", "192.0.2.1:1"), Call::Refused);
    assert_eq!(world.call_from("trap", "192.0.2.2:1"), Call::Refused);
    assert_eq!(reasons(&world), [Reason::Address, Reason::Limit(Limit::Starts)]);
    assert_eq!(world.call_from("trap", "192.0.2.3:1"), Call::Waits);
    assert_eq!(world.call_from("it", "192.0.2.1:2"), Call::Refused);
    assert!(started(world.call_from("it", "192.0.2.2:2")));
    world.pass(Duration::from_secs(30));
    assert_eq!(world.call_from("trap", "192.0.2.1:3"), Call::Refused);
    let counts = (reasons(&world).pop(), world.core.denied_sources(world.now));
    assert_eq!(counts, (Some(Reason::Address), 1), "one that is denied already");
}

#[test]
fn a_sensor_notices_its_callers_when_there_is_no_room_left() {
    let sensor = service("trap", 9001, "flags = SENSOR\n deny_time = FOREVER");
    let settings = Settings { max_children: 1, max_sessions: 1, ..Settings::default() };
    let mut world = World::with("", &world::defaults(), settings);
    world.load_xinetd(&(service("it", 9000, "") + &sensor));
    assert!(started(world.call_from("it", "192.0.2.1:1")));
    assert_eq!(world.call_from("trap", "192.0.2.2:1"), Call::Refused);
    assert_eq!(world.core.denied_sources(world.now), 1);
}

#[test]
fn a_sensor_for_datagrams_denies_nobody_and_is_no_service() {
    let trap = service("trap", 9001, "flags = SENSOR\n deny_time = FOREVER\n log_on_failure = HOST")
        .replace("stream", "dgram")
        .replace("wait = no", "wait = yes");
    let mut world = world(&(service("it", 9000, "") + &trap));
    assert_eq!(world.call_from("trap", "192.0.2.1:1"), Call::Refused);
    assert_eq!(reasons(&world), [Reason::Address]);
    assert!(started(world.call_from("it", "192.0.2.1:2")));
    let (_, state) = world.core.services().find(|(_, state)| &*state.service().name == b"trap").expect("it");
    assert_eq!(state.service().datagram_builtin(usherd_model::service::SocketKind::Datagram), None);
}

#[test]
fn the_first_datagram_of_a_wait_service_is_judged() {
    let text = service("it", 9000, "only_from = 10.0.0.0")
        .replace("stream", "dgram")
        .replace("wait = no", "wait = yes");
    let mut world = world(&text);
    assert_eq!(world.call_from("it", "192.0.2.1:1"), Call::Refused);
    assert_eq!(world.skipped, 1);
    assert!(started(world.call_from("it", "10.0.0.1:1")));
}

#[test]
fn banners_are_sent_to_all_to_some_and_to_the_others() {
    let banners = "banner = /etc/banner\n banner_success = /etc/banner\n banner_fail = /etc/goodbye";
    let mut world = one(&format!("{banners}\n no_access = 192.0.2.1"));
    assert_eq!(world.call_from("it", "192.0.2.1:1"), Call::Refused);
    assert_eq!(world.said, ["welcome\r\n", "not you\r\n"]);
    world.said.clear();
    assert!(started(world.call_from("it", "192.0.2.2:1")));
    assert_eq!(world.said, ["welcome\r\n", "welcome\r\n"]);
}

#[test]
fn starts_and_ends_are_said_where_that_is_wanted() {
    let said = |lines: &str| {
        let mut world = one(lines);
        let Call::Started(pid) = world.call("it") else { panic!("it starts") };
        world.end(pid);
        let starts = world.logged(|log| matches!(log, Log::Connected(..)));
        (starts, world.logged(|log| matches!(log, Log::Disconnected { .. })))
    };
    assert_eq!(said(""), (0, 0));
    assert_eq!(said("log_on_success = PID"), (1, 0));
    assert_eq!(said("log_on_success = EXIT"), (1, 1));
    assert_eq!(said("log_on_success = HOST DURATION"), (1, 1));
}

#[test]
fn a_reload_that_changes_a_list_counts_with_the_next_caller() {
    let mut world = one("only_from = 10.0.0.0");
    assert_eq!(world.call_from("it", "192.0.2.1:1"), Call::Refused);
    world.load_xinetd(&service("it", 9000, "only_from = 192.0.2.0"));
    assert!(started(world.call_from("it", "192.0.2.1:1")));
    assert_eq!(world.logged(|log| matches!(log, Log::Configured(changes) if changes.changed == 1)), 1);
}

/// What was logged of who callers are.
fn users(world: &World) -> Vec<Result<String, String>> {
    let user = |log: &Log| {
        let Log::Identified { said, .. } = log else { return None };
        Some(said.clone().map(|text| String::from_utf8(text).expect("text")))
    };
    world.logs.iter().filter_map(user).collect()
}

#[test]
fn a_callers_machine_is_asked_who_calls_before_it_is_served() {
    let mut world = one("log_on_success = USERID");
    assert_eq!(world.call("it"), Call::Waits);
    assert!(matches!(world.answer(Some("UNIX :joe")), Question::Ident { patience: 30, .. }));
    assert!(started(world.outcome()));
    assert_eq!(users(&world), [Ok("UNIX :joe".to_owned())]);
    world.logs.clear();
    assert_eq!(world.call("it"), Call::Waits);
    world.answer(None);
    assert!(started(world.outcome()), "who does not say it is served all the same");
    assert_eq!(users(&world), []);
}

#[test]
fn who_does_not_say_it_is_not_served_where_that_is_asked_for() {
    let mut world = one("log_on_success = USERID\n flags = IDONLY\n log_on_failure = HOST");
    assert_eq!(world.call("it"), Call::Waits);
    world.answer(None);
    assert_eq!(world.outcome(), Call::Refused);
    assert_eq!(users(&world), [Err("timeout".to_owned())]);
    assert_eq!(reasons(&world), [Reason::NoUser]);
    let (_, state) = world.core.services().next().expect("it");
    assert_eq!(state.usage().running(), 0);
    assert_eq!(world.call("it"), Call::Waits);
    world.answer(Some("UNIX :joe"));
    assert!(started(world.outcome()));
}

#[test]
fn who_is_turned_away_is_asked_first_and_holds_nothing() {
    let mut world = one("no_access = 192.0.2.9\n log_on_failure = USERID\n instances = 1");
    assert_eq!(world.call("it"), Call::Waits);
    assert_eq!(reasons(&world), [Reason::Address]);
    assert!(started(world.call_from("it", "192.0.2.1:1")), "its place is another's");
    world.answer(Some("UNIX :joe"));
    assert_eq!(world.outcome(), Call::Refused);
    assert_eq!(users(&world), [Ok("UNIX :joe".to_owned())]);
}

#[test]
fn a_source_route_is_turned_away_at_once_and_gives_back_what_it_was_granted_and_no_more() {
    let mut world = one("log_on_failure = USERID\n per_source = 2\n instances = 2");
    world.ip_options = Some(IpOptions::SourceRoute);
    let running = |world: &World| world.core.services().next().expect("it").1.usage().running();
    assert_eq!(world.call("it"), Call::Refused);
    assert_eq!(running(&world), 0);
    world.ip_options = None;
    assert!(started(world.call("it")) && started(world.call("it")));
    world.ip_options = Some(IpOptions::SourceRoute);
    assert_eq!(world.call("it"), Call::Refused, "beyond the limit it would be asked who it is");
    assert_eq!(running(&world), 2);
    world.ip_options = None;
    assert_eq!(world.call("it"), Call::Waits, "the limit is reached still");
    assert!(world.asked.iter().all(|(_, question)| matches!(question, Question::Ident { .. })));
}

#[test]
fn who_leaves_before_the_target_answers_has_neither_a_start_nor_an_end() {
    let text = service("it", 9000, "redirect = 192.0.2.1 80\n log_on_success = HOST EXIT TRAFFIC");
    let mut world = world(&text.replace(" server = /bin/cat\n", ""));
    for (is_reached, expected) in [(false, 0), (true, 1)] {
        world.logs.clear();
        let Call::Redirected(session) = world.call("it") else { panic!("a redirect") };
        if is_reached {
            world.report(Event::Reached(session, "192.0.2.1:80".parse().expect("an address")));
        }
        let traffic = Traffic { received: 0, sent: 0 };
        world.report(Event::RedirectEnded(session, traffic, Ending::Complete));
        assert_eq!(world.logged(|log| matches!(log, Log::Redirected { .. })), expected);
        assert_eq!(world.logged(|log| matches!(log, Log::RedirectEnded { .. })), expected);
        assert_eq!(world.logged(|log| matches!(log, Log::Disconnected { .. })), expected);
    }
}

#[test]
fn a_datagram_to_a_built_in_that_is_refused_has_a_line() {
    let text = "service echo\n{\n type = INTERNAL UNLISTED\n port = 9000\n socket_type = dgram\n wait = yes\n \
                bind = 127.0.0.1\n only_from = 10.0.0.0\n log_on_failure = HOST\n}\n";
    let mut world = world(text);
    let (listener, source) = (world.listener("echo"), "127.0.0.1:4000".parse().expect("an address"));
    world.report(Event::DatagramsDenied(listener, 3, source));
    assert_eq!(reasons(&world), [Reason::Address]);
}
