//! The command line: options, arguments, and what is said of wrong ones.

use std::fs;

use crate::cases::{Case, Reasons, case};
use crate::client::{ask, refuses, tcp};
use crate::daemon::{Mode, Process};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Dialect;
use crate::server::Server::{Busybox, Inetutils, UsherdAs};
use crate::sockets;

const LINE: &str = "2001 stream tcp nowait nobody /srv/probe probe\n";
const NO_OPTION: &str = "has no such option";
const OWN_OPTIONS: &str = "its options are other ones";

const L_IS_ANOTHER: &str = "-l logs connections there";
const NO_WRAPPERS: Reasons = &[(Inetutils, NO_OPTION), (Busybox, NO_OPTION)];

pub const CASES: &[Case] = &[
    case(
        "i_stays_in_the_foreground",
        "\"-i Makes the program not daemonize itself.\"",
        i_stays_in_the_foreground,
    )
    .ignored(&[(Inetutils, NO_OPTION), (Busybox, NO_OPTION)]),
    case(
        "daemon_by_default",
        "\"not daemonize itself\" is the exception: daemon(3) is the rule",
        daemon_by_default,
    ),
    case(
        "daemon_lets_go_of_everything",
        "daemon(0, 0): working folder /, descriptors 0 to 2 on /dev/null",
        daemon_lets_go_of_everything,
    )
    .ignored(&[(Busybox, "keeps the folder in which it was started")]),
    case("daemon_has_its_own_session", "daemon(3) calls setsid(2)", daemon_has_its_own_session),
    case(
        "d_prints",
        "\"-d Turns on debugging.\": in the foreground, with a line for each service on stderr",
        d_prints,
    )
    .ignored(&[(Busybox, NO_OPTION)]),
    case("options_together", "getopt(3): `-iE` is `-i -E`, and `--` ends the options", options_together)
        .ignored(&[(Inetutils, OWN_OPTIONS), (Busybox, OWN_OPTIONS)]),
    case(
        "options_repeated",
        "main(): an option again is no error, and the last value counts",
        options_repeated,
    )
    .ignored(&[(Inetutils, OWN_OPTIONS), (Busybox, OWN_OPTIONS)]),
    case(
        "e_keeps_the_environment",
        "\"-E Prevents inetd from laundering the environment.\"",
        e_keeps_the_environment,
    )
    .ignored(&[(Inetutils, NO_OPTION), (Busybox, NO_OPTION)]),
    case("queue_length_default", "\"the default is 128\"", queue_length_default).other_dialects(&[
        (Dialect::Gnu, "the queue is 10 long"),
        (Dialect::Freebsd, "the queue is as long as the kernel allows"),
    ]),
    case("queue_length", "\"-q length Specify the length of the listen(2) connections queue\"", queue_length)
        .ignored(&[(Inetutils, NO_OPTION)]),
    case("queue_length_minimum", "main(): a length below 10 is 10", queue_length_minimum)
        .ignored(&[(Inetutils, NO_OPTION)])
        .other_dialects(&[(Dialect::Busybox, "takes every length")]),
    case("queue_length_attached", "getopt(3): `-q50` is `-q 50`", queue_length_attached)
        .ignored(&[(Inetutils, NO_OPTION)]),
    case("bad_rate", "main() logs `-R X: bad value for service invocation rate` and goes on", bad_rate)
        .ignored(&[(Busybox, "exits")]),
    case("file_named", "\"which, by default, is /etc/inetd.conf\": the argument is another", file_named),
    case("two_files", "main(): \"inetd: more than one argument specified\", status 1", two_files)
        .ignored(&[(Busybox, "says it in other words")])
        .other_dialects(&[(Dialect::Gnu, "takes any number of files")]),
    case(
        "unknown_option",
        "main(): `usage: inetd [-OPTIONS] […] [configuration_file]`, status 1",
        unknown_option,
    )
    .ignored(&[(Inetutils, OWN_OPTIONS), (Busybox, OWN_OPTIONS)]),
    case("missing_file", "config(): `FILE: No such file or directory` to syslog, status 1", missing_file)
        .ignored(&[(Inetutils, "goes on without"), (Busybox, "says it in other words")]),
    case(
        "other_users_must_name_a_file",
        "main(): \"inetd: non-root must specify a config file\", status 1",
        other_users_must_name_a_file,
    )
    .ignored(&[(Busybox, "says it in other words")])
    .other_dialects(&[(Dialect::Gnu, "needs none")]),
    case(
        "other_users_serve_as_themselves",
        "spawn(): \"a user running private inetd\"",
        other_users_serve_as_themselves,
    )
    .not_run(&[(Inetutils, "writes no pid file then, and cannot stay in the foreground")]),
    case(
        "other_users_cannot_be_others",
        "spawn(): `if (uid != pwd->pw_uid) exit(1)`",
        other_users_cannot_be_others,
    )
    .not_run(&[(Inetutils, "writes no pid file then, and cannot stay in the foreground")]),
    case("l_logs", "\"-l Turns on libwrap connection logging and access control.\"", l_logs)
        .ignored(NO_WRAPPERS)
        .other_dialects(&[(Dialect::Freebsd, L_IS_ANOTHER)]),
    case("l_denies", "\"inetd uses /etc/hosts.allow and /etc/hosts.deny\"", l_denies)
        .ignored(NO_WRAPPERS)
        .other_dialects(&[(Dialect::Freebsd, L_IS_ANOTHER)]),
    case(
        "l_replaces_tcpd",
        "\"/usr/sbin/tcpd is silently not executed even if present in /etc/inetd.conf\"",
        l_replaces_tcpd,
    )
    .ignored(NO_WRAPPERS)
    .not_run(&[(UsherdAs(Dialect::Freebsd), L_IS_ANOTHER)]),
];

/// A start that should not succeed: without the word for the foreground, it ends at once.
fn ends(lab: &Lab, options: &[&str]) -> Option<i32> {
    let mut launch = lab.launch_with(options);
    launch.mode = Mode::Daemon;
    launch.spawn().wait().code()
}

fn i_stays_in_the_foreground(lab: &mut Lab) {
    let mut launch = lab.launch_with(&["-i"]);
    launch.mode = Mode::ForegroundByCase;
    let daemon = lab.start_with(launch, LINE);
    ask("127.0.0.1:2001");
    assert!(daemon.is_alive());
    assert_eq!(Process::from_pid_file().number(), daemon.number());
}

fn as_daemon(lab: &mut Lab) -> Process {
    let mut launch = lab.launch();
    launch.mode = Mode::Daemon;
    launch.folder = "/usr".to_owned();
    lab.start_with(launch, LINE)
}

fn daemon_by_default(lab: &mut Lab) {
    let daemon = as_daemon(lab);
    ask("127.0.0.1:2001");
    assert_eq!(daemon.status_value("PPid").as_deref(), Some("1"));
}

fn daemon_lets_go_of_everything(lab: &mut Lab) {
    let daemon = as_daemon(lab);
    let folder = fs::read_link(format!("/proc/{}/cwd", daemon.number())).expect("the daemon is there");
    assert_eq!(folder.to_str(), Some("/"));
    let mut first: Vec<(i32, String)> =
        daemon.descriptors().into_iter().filter(|(number, _)| *number < 3).collect();
    first.sort();
    let null = |number| (number, "/dev/null".to_owned());
    assert_eq!(first, [null(0), null(1), null(2)]);
}

fn daemon_has_its_own_session(lab: &mut Lab) {
    let daemon = as_daemon(lab);
    // The session in which the suite runs began outside of the PID namespace, where it has no number.
    assert_ne!(sockets::session_of(daemon.number()), 0);
}

fn d_prints(lab: &mut Lab) {
    let mut launch = lab.launch_with(&["-d"]);
    launch.mode = Mode::ForegroundByCase;
    let daemon = lab.start_with(launch, LINE);
    ask("127.0.0.1:2001");
    assert!(daemon.is_alive());
    deadline::wait_until("a word about 2001 on standard error", || lab.output().contains("2001"));
}

fn options_together(lab: &mut Lab) {
    let mut launch = lab.launch_with(&["-iE", "-q20", "--", "/etc/inetd.conf"]);
    launch.mode = Mode::ForegroundByCase;
    lab.start_with(launch, LINE);
    assert!(ask("127.0.0.1:2001").environment("PATH").is_some());
}

fn options_repeated(lab: &mut Lab) {
    let mut launch = lab.launch_with(&["-i", "-i", "-q", "99", "-q20", "-E", "-E"]);
    launch.mode = Mode::ForegroundByCase;
    lab.start_with(launch, "2001 stream tcp wait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.1:2001").get("backlog"), "20");
}

fn e_keeps_the_environment(lab: &mut Lab) {
    let mut launch = lab.launch_with(&["-E"]);
    launch.environment = [("HOME", "/root"), ("SSH_X", "y"), ("MY_SETTING", "z")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    lab.start_with(launch, LINE);
    let report = ask("127.0.0.1:2001");
    assert_eq!(report.environment("HOME"), Some("/root"));
    assert_eq!(report.environment("SSH_X"), Some("y"));
    assert_eq!(report.environment("MY_SETTING"), Some("z"));
    assert!(report.environment("PATH").is_some_and(|path| path.contains("/usr/bin")));
}

/// The backlog as a `wait` program finds it.
fn backlog(lab: &mut Lab, options: &[&str]) -> String {
    let launch = lab.launch_with(options);
    lab.start_with(launch, "2001 stream tcp wait nobody /srv/probe probe\n");
    ask("127.0.0.1:2001").get("backlog").to_owned()
}

fn queue_length_default(lab: &mut Lab) {
    assert_eq!(backlog(lab, &[]), "128");
}

fn queue_length(lab: &mut Lab) {
    assert_eq!(backlog(lab, &["-q", "50"]), "50");
}

fn queue_length_minimum(lab: &mut Lab) {
    assert_eq!(backlog(lab, &["-q", "3"]), "10");
}

fn queue_length_attached(lab: &mut Lab) {
    assert_eq!(backlog(lab, &["-q50"]), "50");
}

fn bad_rate(lab: &mut Lab) {
    let launch = lab.launch_with(&["-R", "often"]);
    lab.start_with(launch, LINE);
    ask("127.0.0.1:2001");
    lab.syslog.expect("-R often: bad value for service invocation rate");
}

fn file_named(lab: &mut Lab) {
    lab.write_raw_config("2002 stream tcp nowait nobody /srv/probe default-file\n");
    lab.use_config_path("/etc/other.conf");
    let launch = lab.launch_with(&["/etc/other.conf"]);
    lab.start_with(launch, LINE);
    ask("127.0.0.1:2001");
    assert!(refuses("127.0.0.1:2002"));
    lab.reload("2003 stream tcp nowait nobody /srv/probe probe\n");
    ask("127.0.0.1:2003");
}

fn two_files(lab: &mut Lab) {
    lab.write_config(LINE);
    assert_eq!(ends(lab, &["/etc/inetd.conf", "/etc/inetd.conf"]), Some(1));
    assert!(lab.output().contains("inetd: more than one argument specified\n"), "{}", lab.output());
}

fn unknown_option(lab: &mut Lab) {
    lab.write_config(LINE);
    assert_eq!(ends(lab, &["-Z"]), Some(1));
    let output = lab.output();
    assert!(output.contains("usage: inetd [-d") && output.contains("[configuration_file]\n"), "{output}");
}

fn missing_file(lab: &mut Lab) {
    let status = lab.launch_with(&["/etc/no.conf"]).spawn().wait();
    assert_eq!(status.code(), Some(1));
    lab.syslog.expect("/etc/no.conf: No such file or directory");
}

fn other_users_must_name_a_file(lab: &mut Lab) {
    lab.write_config(LINE);
    let mut launch = lab.launch();
    launch.user = Some(1502);
    assert_eq!(launch.spawn().wait().code(), Some(1));
    assert!(lab.output().contains("inetd: non-root must specify a config file\n"), "{}", lab.output());
}

/// Starts as bob, on a file of his.
fn start_as_bob(lab: &mut Lab, config: &str) {
    let mut launch = lab.launch_with(&["/etc/inetd.conf"]);
    launch.user = Some(1502);
    // The mark line says root, which bob is not; it is never called here.
    lab.start_with(launch, config);
}

fn other_users_serve_as_themselves(lab: &mut Lab) {
    start_as_bob(lab, "2001 stream tcp nowait bob /srv/probe probe\n");
    let report = ask("127.0.0.1:2001");
    assert_eq!(report.get("Uid"), "1502 1502 1502 1502");
}

fn other_users_cannot_be_others(lab: &mut Lab) {
    start_as_bob(
        lab,
        "2002 stream tcp nowait nobody /srv/probe probe\n2001 stream tcp nowait bob /srv/probe probe\n",
    );
    ask("127.0.0.1:2001");
    if !refuses("127.0.0.1:2002") {
        assert_eq!(tcp("127.0.0.1:2002").text(), "");
    }
    assert_eq!(lab.starts(), 1);
}

fn l_logs(lab: &mut Lab) {
    let launch = lab.launch_with(&["-l"]);
    lab.start_with(launch, LINE);
    ask("127.0.0.1:2001");
    lab.syslog.expect_where("a line about the caller", |message| {
        message.text.starts_with("connection from ") && message.text.ends_with(" (tcp)")
    });
}

fn l_denies(lab: &mut Lab) {
    fs::write("/etc/hosts.deny", "probe: ALL\n").expect("/etc is the case's own");
    let launch = lab.launch_with(&["-l"]);
    lab.start_with(launch, LINE);
    assert_eq!(tcp("127.0.0.1:2001").text(), "");
    lab.syslog.expect_where("a line about the caller", |message| {
        message.text.starts_with("refused connection from ") && message.text.contains(", service ")
    });
    assert_eq!(lab.starts(), 0);
}

fn l_replaces_tcpd(lab: &mut Lab) {
    let launch = lab.launch_with(&["-l"]);
    lab.start_with(launch, "2001 stream tcp nowait nobody /usr/sbin/tcpd /srv/probe x\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "x"]);
}
