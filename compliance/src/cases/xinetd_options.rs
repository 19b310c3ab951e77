//! The command line of xinetd.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::cases::xinetd_conf::{defaults, service};
use crate::cases::{Case, case};
use crate::client::{ask, refuses};
use crate::daemon::{Mode, PID_FILE, Process};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Server::{UsherdXinetd, Xinetd};
use crate::sockets;

pub const CASES: &[Case] = &[
    case("dontfork", "\"Tells xinetd to stay in the foreground rather than detaching itself\"", dontfork),
    case("dontfork_stays_alive", "\"This option automatically sets -stayalive\"", dontfork_stays_alive),
    case("daemon_by_default", "become_daemon(): the process that was started exits 0", daemon_by_default),
    case(
        "daemon_lets_go_of_everything",
        "become_daemon(): folder /, descriptors 0 to 2 on /dev/null",
        daemon_lets_go,
    ),
    case("d", "\"Enables debug mode\": in the foreground, and what is said is said on the terminal", debug)
        .not_run(&[(Xinetd, "opens /dev/tty, and there is none")]),
    case("f", "\"Determines the file that xinetd uses for configuration\"", configuration_file),
    case(
        "f_of_nothing",
        "init_services(): \"couldn't get configuration. Exiting...\", status 1",
        configuration_that_is_missing,
    ),
    case("stayalive", "\"Tells xinetd to stay running even if no services are specified\"", stayalive),
    case("no_services", "init_services(): \"no services. Exiting...\"", no_services),
    case("pidfile", "\"The process ID is written to the file\", mode 0644", pidfile),
    case("pidfile_is_replaced", "create_pidfile(): one that is there is unlinked", pidfile_is_replaced),
    case("pidfile_is_removed", "quit_program(): unlink(ps.ros.pid_file)", pidfile_is_removed),
    case(
        "filelog",
        "\"xinetd-produced messages will be placed in the specified file. Messages are always appended\"",
        filelog,
    ),
    case(
        "filelog_and_service_logs",
        "\"You should not confuse xinetd messages with messages related to service logging\"",
        filelog_and_service_logs,
    ),
    case(
        "syslog",
        "\"enables syslog logging of xinetd-produced messages using the specified syslog facility\"",
        syslog,
    ),
    case(
        "syslog_and_filelog",
        "\"The syslog and filelog options are mutually exclusive\"",
        syslog_and_filelog,
    ),
    case("syslog_of_nothing", "a facility that is not there is an error", syslog_of_nothing)
        .ignored(&[(Xinetd, "says so, and goes on with daemon")]),
    case("version", "\"This option causes xinetd to print out its version information\"", version),
    case("inetd_compat", "\"This option causes xinetd to read /etc/inetd.conf in addition\"", inetd_compat),
    case("inetd_compat_is_asked_for", "without the option /etc/inetd.conf is not read", no_inetd_compat),
    case(
        "inetd_compat_and_defaults",
        "inet.c: the defaults hold for services of /etc/inetd.conf too",
        inetd_compat_and_defaults,
    ),
    case(
        "inetd_compat_groups",
        "inet.c: \"Replicate inetd behavior in this regard\": all groups of the user",
        inetd_compat_groups,
    ),
    case(
        "inetd_compat_has_no_libwrap",
        "inet.c: NOLIBWRAP: who wants it has tcpd in the line",
        inetd_compat_has_no_libwrap,
    ),
    case(
        "inetd_compat_and_a_service_of_both",
        "inet.c: a service of that name and protocol is not added again",
        inetd_compat_and_a_service_of_both,
    ),
    case(
        "inetd_compat_without_a_file",
        "no /etc/inetd.conf is nothing to speak of",
        inetd_compat_without_a_file,
    ),
    case("what_does_nothing_here", "-cc, -logprocs and -reuse are taken", what_does_nothing_here),
    case(
        "without_root",
        "\"This attribute is ineffective if the effective user ID of xinetd is not super-user\"",
        without_root,
    ),
    case("wrong_numbers", "opt_recognize(): usage(), status 1", wrong_numbers),
    case("missing_values", "opt_recognize(): usage(), status 1", missing_values),
    case("arguments", "opt_recognize(): argc - arg != 0 is a wrong usage", arguments),
    case("unknown_options", "an option that is not there is a wrong usage", unknown_options)
        .ignored(&[(Xinetd, "passes them over")]),
    case(
        "limits_of_programs",
        "programs have the limits that the daemon was started with",
        limits_of_programs,
    )
    .ignored(&[(Xinetd, "its programs have the hard limit as the soft one")]),
    case(
        "limits_of_programs_are_raised",
        "exec_server(): rl.rlim_max = rl.rlim_cur = ps.ros.max_descriptors",
        limits_are_raised,
    )
    .ignored(&[(UsherdXinetd, "programs have the limits that the daemon was started with")]),
];

const PLACE: &str = "127.0.0.1:2001";

fn probed() -> String {
    service("probed", 2001, "")
}

/// How a start ends that should not succeed.
fn ends(lab: &Lab, options: &[&str]) -> Option<i32> {
    let mut launch = lab.launch_with(options);
    launch.mode = Mode::Daemon;
    launch.spawn().wait().code()
}

fn start_with(lab: &mut Lab, options: &[&str], text: &str) -> Process {
    let launch = lab.launch_with(options);
    lab.start_with(launch, text)
}

fn start_as_daemon(lab: &mut Lab, options: &[&str], text: &str) -> Process {
    let mut launch = lab.launch_with(options);
    launch.mode = Mode::Daemon;
    launch.folder = "/usr".to_owned();
    lab.start_with(launch, text)
}

fn dontfork(lab: &mut Lab) {
    let mut launch = lab.launch_with(&["-dontfork"]);
    launch.mode = Mode::ForegroundByCase;
    let daemon = lab.start_with(launch, &probed());
    ask(PLACE);
    assert!(daemon.is_alive());
}

fn dontfork_stays_alive(lab: &mut Lab) {
    lab.write_raw_config("");
    let daemon = lab.start_only(&lab.launch());
    lab.syslog.expect("Started working: 0 available services");
    assert!(daemon.is_alive());
}

fn daemon_by_default(lab: &mut Lab) {
    let daemon = start_as_daemon(lab, &[], &probed());
    ask(PLACE);
    assert_eq!(daemon.status_value("PPid").as_deref(), Some("1"));
    assert_eq!(sockets::session_of(daemon.number()), daemon.number());
}

fn daemon_lets_go(lab: &mut Lab) {
    let daemon = start_as_daemon(lab, &[], &probed());
    let folder = fs::read_link(format!("/proc/{}/cwd", daemon.number())).expect("it is there");
    assert_eq!(folder.to_str(), Some("/"));
    let standard: Vec<_> = daemon.descriptors().into_iter().filter(|(number, _)| *number < 3).collect();
    assert_eq!(standard, [0, 1, 2].map(|number| (number, "/dev/null".to_owned())));
}

fn debug(lab: &mut Lab) {
    let mut launch = lab.launch_with(&["-d"]);
    launch.mode = Mode::ForegroundByCase;
    let daemon = lab.start_with(launch, &probed());
    ask(PLACE);
    assert!(daemon.is_alive());
    deadline::wait_until("a line on the terminal", || lab.output().contains("Started working: 2 available"));
    assert_eq!(lab.syslog.messages().len(), 0);
}

fn configuration_file(lab: &mut Lab) {
    fs::write("/etc/xinetd.conf", service("other", 2002, "")).expect("/etc is ours");
    lab.use_config_path("/tmp/own.conf");
    start_with(lab, &["-f", "/tmp/own.conf"], &probed());
    ask(PLACE);
    assert!(refuses("127.0.0.1:2002"));
}

fn configuration_that_is_missing(lab: &mut Lab) {
    let daemon = lab.launch_with(&["-f", "/etc/nosuch.conf"]).spawn();
    assert_eq!(daemon.wait().code(), Some(1));
}

fn stayalive(lab: &mut Lab) {
    lab.write_raw_config(defaults("instances = 3"));
    let mut launch = lab.launch_with(&["-stayalive"]);
    launch.mode = Mode::Daemon;
    let daemon = lab.start_only(&launch);
    lab.syslog.expect("Started working: 0 available services");
    assert!(daemon.is_alive());
}

fn no_services(lab: &mut Lab) {
    lab.write_raw_config(service("probed", 2001, "disable = yes"));
    let started = {
        let mut launch = lab.launch_with(&["-pidfile", PID_FILE]);
        launch.mode = Mode::Daemon;
        launch.spawn()
    };
    started.wait();
    deadline::wait_until("it is said", || {
        let says = "no services. Exiting...";
        lab.output().contains(says) || lab.syslog.count(|message| message.text.contains(says)) > 0
    });
    deadline::wait_until("nobody is left", || {
        sockets::processes().iter().all(|one| one.parent != 1 || one.state == 'Z')
            && fs::metadata(PID_FILE).is_err()
    });
}

fn pidfile(lab: &mut Lab) {
    let daemon = start_as_daemon(lab, &["-pidfile", PID_FILE], &probed());
    assert_eq!(fs::read_to_string(PID_FILE).expect("it is there"), format!("{}\n", daemon.number()));
    let mode = fs::metadata(PID_FILE).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

fn pidfile_is_replaced(lab: &mut Lab) {
    fs::write("/run/own.pid", "999999999\nand more\n").expect("/run is ours");
    let daemon = start_with(lab, &["-pidfile", "/run/own.pid"], &probed());
    assert_eq!(fs::read_to_string("/run/own.pid").expect("it is there"), format!("{}\n", daemon.number()));
}

fn pidfile_is_removed(lab: &mut Lab) {
    let daemon = start_with(lab, &["-pidfile", PID_FILE], &probed());
    assert!(fs::metadata(PID_FILE).is_ok());
    daemon.signal(Signal::TERM);
    daemon.wait();
    assert!(fs::metadata(PID_FILE).is_err(), "the pid file should be gone");
}

fn filelog(lab: &mut Lab) {
    fs::write("/srv/own.log", "older\n").expect("/srv is ours");
    start_with(lab, &["-filelog", "/srv/own.log"], &probed());
    let text = deadline::wait_for("the line", || {
        fs::read_to_string("/srv/own.log").ok().filter(|text| text.contains("Started working"))
    });
    assert!(text.starts_with("older\n"));
    let line = text.lines().find(|line| line.contains("Started working")).expect("just seen");
    let (time, line) = line.split_once(": ").expect("a time in front");
    assert!(time.contains('@') && time.contains('/'), "{time}");
    assert_eq!(line, "NOTICE: Started working: 2 available services");
    assert_eq!(lab.syslog.messages().len(), 0);
}

fn filelog_and_service_logs(lab: &mut Lab) {
    let text = service("probed", 2001, "log_type = FILE /srv/service.log\nlog_on_success = HOST");
    start_with(lab, &["-filelog", "/srv/own.log"], &text);
    ask(PLACE);
    deadline::wait_until("the line of the service", || {
        fs::read_to_string("/srv/service.log").is_ok_and(|text| text.contains("START: probed from=127.0.0.1"))
    });
    let own = fs::read_to_string("/srv/own.log").expect("it is there");
    assert!(!own.contains("START"), "{own}");
}

fn syslog(lab: &mut Lab) {
    start_with(lab, &["-syslog", "local5"], &probed());
    let message = lab.syslog.expect("Started working: 2 available services");
    assert_eq!((message.ident.as_str(), message.facility), ("xinetd", 21));
}

fn syslog_and_filelog(lab: &mut Lab) {
    assert_eq!(ends(lab, &["-filelog", "/srv/own.log", "-syslog", "daemon"]), Some(1));
    assert!(lab.output().contains("Usage: xinetd "));
}

fn syslog_of_nothing(lab: &mut Lab) {
    lab.write_config(&probed());
    assert_eq!(ends(lab, &["-syslog", "nosuch"]), Some(1));
}

fn version(lab: &mut Lab) {
    assert_eq!(ends(lab, &["-version"]), Some(0));
    assert!(lab.output().ends_with(" libwrap loadavg\n"), "{:?}", lab.output());
}

fn write_inetd_conf(lines: &str) {
    fs::write("/etc/inetd.conf", lines).expect("/etc is ours");
}

fn inetd_compat(lab: &mut Lab) {
    write_inetd_conf("# old\nlabone stream tcp nowait nobody /srv/probe name one\n");
    start_with(lab, &["-inetd_compat"], &probed());
    assert_eq!(ask(PLACE).arguments(), ["probe"]);
    let report = ask("127.0.0.1:2101");
    assert_eq!(report.arguments(), ["name", "one"]);
    assert_eq!(report.get("Uid"), "65534 65534 65534 65534");
}

fn no_inetd_compat(lab: &mut Lab) {
    write_inetd_conf("labone stream tcp nowait nobody /srv/probe name one\n");
    lab.start(&probed());
    ask(PLACE);
    assert!(refuses("127.0.0.1:2101"));
}

fn inetd_compat_and_defaults(lab: &mut Lab) {
    write_inetd_conf("labone stream tcp nowait nobody /srv/probe name do=obey\n");
    let defaults =
        defaults("instances = 1\nlog_type = SYSLOG daemon\nlog_on_failure = HOST\nbind = 127.0.0.1");
    start_with(lab, &["-inetd_compat"], &defaults);
    let mut first = crate::client::tcp("127.0.0.1:2101");
    first.command("pid");
    assert_eq!(crate::client::tcp("127.0.0.1:2101").text(), "");
    assert!(refuses("192.0.2.1:2101"));
}

fn inetd_compat_groups(lab: &mut Lab) {
    write_inetd_conf("labone stream tcp nowait alice /srv/probe name\n");
    start_with(lab, &["-inetd_compat"], "");
    assert_eq!(ask("127.0.0.1:2101").get("Groups"), "1501 1601 1602");
}

fn inetd_compat_has_no_libwrap(lab: &mut Lab) {
    crate::cases::tcpd::tables("", "ALL: ALL\n");
    write_inetd_conf("labone stream tcp nowait alice /srv/probe name\n");
    start_with(lab, &["-inetd_compat"], "");
    ask("127.0.0.1:2101");
}

fn inetd_compat_and_a_service_of_both(lab: &mut Lab) {
    write_inetd_conf("labone stream tcp nowait nobody /srv/probe name\n");
    let guarded = service("labone", 2101, "no_access = 127.0.0.1");
    start_with(lab, &["-inetd_compat"], &format!("{}{guarded}", probed()));
    ask(PLACE);
    assert_eq!(crate::client::tcp("127.0.0.1:2101").text(), "");
    assert!(refuses("192.0.2.1:2101"));
}

fn inetd_compat_without_a_file(lab: &mut Lab) {
    const WARNING: u8 = 4;
    let _ = fs::remove_file("/etc/inetd.conf");
    start_with(lab, &["-inetd_compat"], &probed());
    ask(PLACE);
    assert_eq!(lab.syslog.count(|message| message.severity <= WARNING), 0);
}

fn what_does_nothing_here(lab: &mut Lab) {
    start_with(lab, &["-cc", "60", "-logprocs", "3", "-reuse"], &probed());
    ask(PLACE);
}

fn without_root(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.user = Some(1501);
    let text = service("probed", 2001, "user = alice\nserver_args = x");
    lab.write_config(&text);
    lab.start_only(&launch);
    lab.syslog.expect_where("it works", |message| message.text.starts_with("Started working"));
    let report = ask(PLACE);
    assert_eq!((report.get("Uid"), report.arguments()[1]), ("1501 1501 1501 1501", "x"));
}

fn wrong_numbers(lab: &mut Lab) {
    for options in [["-limit", "x"], ["-logprocs", "x"], ["-cc", "x"]] {
        assert_eq!(ends(lab, &options), Some(1), "{options:?}");
    }
    assert!(lab.output().contains("Usage: xinetd "));
}

fn missing_values(lab: &mut Lab) {
    for option in ["-limit", "-logprocs", "-cc", "-f", "-filelog", "-syslog", "-pidfile"] {
        assert_eq!(ends(lab, &[option]), Some(1), "{option}");
    }
    assert!(lab.output().contains("Usage: xinetd "));
}

fn arguments(lab: &mut Lab) {
    lab.write_config(&probed());
    assert_eq!(ends(lab, &["-stayalive", "something"]), Some(1));
    assert!(lab.output().contains("Usage: xinetd "));
}

fn unknown_options(lab: &mut Lab) {
    lab.write_config(&probed());
    assert_eq!(ends(lab, &["-bogus"]), Some(1));
    assert!(lab.output().contains("Usage: xinetd "));
}

fn start_with_descriptors(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.descriptors = Some((256, 512));
    lab.start_with(launch, &probed());
}

fn limits_of_programs(lab: &mut Lab) {
    start_with_descriptors(lab);
    assert_eq!(ask(PLACE).get("nofile"), "256 512");
}

fn limits_are_raised(lab: &mut Lab) {
    start_with_descriptors(lab);
    assert_eq!(ask(PLACE).get("nofile"), "512 512");
}
