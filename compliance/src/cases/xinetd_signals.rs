//! Signals but SIGHUP: how xinetd ends, and what it tells when it is asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::cases::xinetd_conf::{defaults, internal, service};
use crate::cases::{Case, case};
use crate::client::{ask, refuses, tcp};
use crate::daemon::{Mode, Process};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Server::{UsherdXinetd, Xinetd};

pub const CASES: &[Case] = &[
    case("term_exits_0", "terminate_program(): quit_program(), exit(0)", term_exits_0),
    case("quit_exits_0", "\"SIGQUIT causes program termination\"", quit_exits_0),
    case("int_exits_0", "SIGINT ends the daemon, as it ends others in the foreground", int_exits_0)
        .ignored(&[(Xinetd, "ignores it")]),
    case("the_end_is_logged", "quit_program(): \"Exiting...\"", the_end_is_logged),
    case(
        "programs_live_on_after_quit",
        "quit_program(): servers are left alone",
        programs_live_on_after_quit,
    ),
    case(
        "programs_live_on_after_term",
        "terminate_program(): external servers are left alone",
        programs_live_on_after_term,
    ),
    case(
        "internal_sessions_end_at_term",
        "terminate_program(): \"internal (if we don't, it'll zombie)\"",
        internal_sessions_end_at_term,
    )
    .ignored(&[(Xinetd, "sends SIGTERM to the process, which takes no notice of it")]),
    case("term_as_a_daemon", "the same in the background", term_as_a_daemon),
    case(
        "usr1_dumps_the_state",
        "\"SIGUSR1 causes an internal state dump (the default dump file is /var/run/xinetd.dump)\"",
        usr1_dumps,
    ),
    case(
        "usr1_dumps_in_its_format",
        "dump_internal_state(): appended to /var/run/xinetd.dump, mode 0644",
        usr1_dumps_in_its_format,
    )
    .ignored(&[(
        UsherdXinetd,
        "writes the state of now, in its own words, where nobody else can have put a link",
    )]),
    case("usr2_reloads", "xconfig.h: OLD_RECONFIG_HARD_SIG is SIGUSR2", usr2_reloads),
    case("abrt_is_a_check", "\"SIGABRT causes an internal consistency check\"", abrt_is_a_check)
        .ignored(&[(UsherdXinetd, "has nothing to check, and SIGABRT ends it")]),
    case(
        "stray_signals_are_nothing",
        "general_handler(): other signals are nothing",
        stray_signals_are_nothing,
    ),
    case(
        "killed_programs_are_reaped",
        "child_exit(): children who are killed are children who ended",
        killed_programs,
    ),
];

const PLACE: &str = "127.0.0.1:2001";
const DUMP: &str = "/run/xinetd.dump";

fn obeying() -> String {
    service("probed", 2001, "server_args = do=obey")
}

fn ends_with_0(lab: &mut Lab, signal: Signal) {
    let daemon = lab.start(&service("probed", 2001, ""));
    ask(PLACE);
    lab.signal(signal);
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(refuses(PLACE));
}

fn term_exits_0(lab: &mut Lab) {
    ends_with_0(lab, Signal::TERM);
}

fn quit_exits_0(lab: &mut Lab) {
    ends_with_0(lab, Signal::QUIT);
}

fn int_exits_0(lab: &mut Lab) {
    ends_with_0(lab, Signal::INT);
}

fn the_end_is_logged(lab: &mut Lab) {
    ends_with_0(lab, Signal::TERM);
    lab.syslog.expect("Exiting...");
}

fn programs_live_on(lab: &mut Lab, signal: Signal) {
    let daemon = lab.start(&obeying());
    let mut caller = tcp(PLACE);
    let pid = caller.command("pid");
    lab.signal(signal);
    daemon.wait();
    assert_eq!(caller.command("pid"), pid);
}

fn programs_live_on_after_quit(lab: &mut Lab) {
    programs_live_on(lab, Signal::QUIT);
}

fn programs_live_on_after_term(lab: &mut Lab) {
    programs_live_on(lab, Signal::TERM);
}

fn internal_sessions_end_at_term(lab: &mut Lab) {
    let daemon = lab.start(&internal("echo", "stream", "bind = 127.0.0.1"));
    let mut caller = tcp("127.0.0.1:7");
    caller.send("one\n");
    assert_eq!(caller.line(), "one");
    lab.signal(Signal::TERM);
    daemon.wait();
    assert_eq!(caller.text(), "");
}

fn term_as_a_daemon(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.mode = Mode::Daemon;
    let daemon = lab.start_with(launch, &obeying());
    assert_eq!(Process::from_pid_file().number(), daemon.number());
    lab.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(0));
}

fn usr1_dumps(lab: &mut Lab) {
    lab.start(&obeying());
    let mut caller = tcp(PLACE);
    caller.command("pid");
    lab.signal(Signal::USR1);
    let says = "generated state dump in file ";
    let message = lab.syslog.expect_where("where it is", |message| message.text.starts_with(says));
    let text = fs::read_to_string(&message.text[says.len()..]).expect("it is there");
    assert!(text.contains("probed") && text.contains("mark-59001"), "{text}");
    lab.assert_serves();
}

/// Waits for so many dumps in the original's file.
fn dumps(count: usize) -> String {
    deadline::wait_for("the dump", || {
        let text = fs::read_to_string(DUMP).ok()?;
        let is_whole = ["INTERNAL STATE DUMP", "Retry table dump"].map(|part| text.matches(part).count());
        (is_whole == [count, count]).then_some(text)
    })
}

fn usr1_dumps_in_its_format(lab: &mut Lab) {
    let lines = "instances = 7\nserver_args = do=obey more\nlog_on_success = PID HOST";
    lab.start(&format!("{}{}", defaults("per_source = 5"), service("probed", 2001, lines)));
    let mut caller = tcp(PLACE);
    let pid = caller.command("pid");
    lab.signal(Signal::USR1);
    let text = dumps(1);
    let running = format!("probed server\npid = {pid}\n");
    for words in ["Services + defaults:", "Service = probed", "State = Active", &running] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let mode = fs::metadata(DUMP).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    lab.signal(Signal::USR1);
    dumps(2);
}

fn usr2_reloads(lab: &mut Lab) {
    lab.start(&obeying());
    lab.write_config(&service("added", 2002, ""));
    lab.signal(Signal::USR2);
    lab.wait_read();
    ask("127.0.0.1:2002");
    deadline::wait_until("the first one is gone", || refuses(PLACE));
}

fn abrt_is_a_check(lab: &mut Lab) {
    lab.start(&obeying());
    lab.signal(Signal::ABORT);
    lab.syslog.expect("Consistency check passed");
    lab.assert_serves();
}

fn stray_signals_are_nothing(lab: &mut Lab) {
    lab.start(&obeying());
    for signal in [Signal::ALARM, Signal::PIPE, Signal::WINCH, Signal::CHILD, Signal::URG] {
        lab.signal(signal);
        lab.assert_serves();
    }
}

fn killed_programs(lab: &mut Lab) {
    lab.start(&obeying());
    for _ in 0..5 {
        let mut caller = tcp(PLACE);
        caller.command("pid");
        caller.send("kill 9\n");
        assert_eq!(caller.text(), "");
    }
    deadline::wait_until("nobody is left to be waited for", || lab.daemon().zombies() == 0);
    lab.assert_serves();
}
