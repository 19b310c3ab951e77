//! What SIGHUP changes.

use std::fs;

use rustix::process::Signal;

use crate::cases::xinetd_conf::{defaults, internal, service, service_without};
use crate::cases::{Case, case};
use crate::client::{ask, refuses, tcp, tcp_from, wait_refused};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Server::{UsherdXinetd, Xinetd};
use crate::sockets;

pub const CASES: &[Case] = &[
    case(
        "services_come",
        "hard_reconfig(): cnf_start_services() starts those that were not there",
        services_come,
    ),
    case("services_go", "hard_reconfig(): \"Services not in the new Lconf are deactivated\"", services_go),
    case("services_change", "readjust(): the configuration of a service is swapped", services_change),
    case(
        "counts_are_logged",
        "hard_reconfig(): \"Reconfigured: new=%d old=%d dropped=%d (services)\"",
        counts_are_logged,
    ),
    case(
        "unchanged_listeners_stay",
        "readjust(): the socket of a service that stays is not touched",
        unchanged_listeners_stay,
    ),
    case("bind_changes", "readjust(): \"see if the bind address […] changed\"", bind_changes),
    case(
        "bind_comes",
        "readjust(): \"If the service didn't have a bind address before, but does now\"",
        bind_comes,
    ),
    case("bind_goes", "a service that has no address any more is open on all", bind_goes)
        .ignored(&[(Xinetd, "readjust() looks at addresses that are new only: the old one stays")]),
    case("port_changes", "sc_different_confs(): another port is another service", port_changes),
    case("family_changes", "readjust(): SC_IPV4(old) and SC_IPV6(new)", family_changes),
    case("wait_changes", "sc_different_confs(): another wait is another service", wait_changes),
    case(
        "internal_becomes_external",
        "sc_different_confs(): another type is another service",
        internal_becomes_external,
    ),
    case(
        "disable_comes_and_goes",
        "a service that is disabled is not in the new Lconf",
        disable_comes_and_goes,
    ),
    case("defaults_change", "defaults are read again", defaults_change),
    case("lists_change", "\"Access control\": the new lists hold for new callers", lists_change),
    case("log_changes", "restart_log(): the log of a service is closed and opened", log_changes),
    case(
        "logs_are_reopened",
        "\"On reconfiguration the log files are closed and reopened. This allows removal of old log files\"",
        logs_are_reopened,
    ),
    case("own_log_is_reopened", "-filelog: the daemon's own log is reopened too", own_log_is_reopened)
        .ignored(&[(Xinetd, "keeps it open: msg_init() is called at the start only")]),
    case("includedir_is_read_again", "files that are new in the folder are read", includedir_is_read_again),
    case("counts_stay", "SVC_RUNNING_SERVERS() is not touched: who is served is counted", counts_stay),
    case(
        "programs_of_services_that_stay_live_on",
        "readjust() signals nobody when nothing but its arguments has changed",
        programs_of_kept_services,
    ),
    case(
        "programs_of_services_that_go_live_on",
        "who is served is served to the end",
        programs_of_gone_services,
    )
    .ignored(&[(Xinetd, "terminate_servers() kills them")]),
    case("programs_of_services_that_go_are_killed", "terminate_servers(): SIGKILL", programs_are_killed)
        .ignored(&[(UsherdXinetd, "who is served is served to the end")]),
    case("wait_program_stays", "a program that has the listener keeps it", wait_program_stays),
    case(
        "file_that_is_missing",
        "hard_reconfig(): \"reconfiguration failed\": all goes on as it was",
        file_that_is_missing,
    ),
    case(
        "service_that_cannot_be_read",
        "a service whose new lines cannot be used goes on as it was",
        service_that_cannot_be_read,
    )
    .ignored(&[(Xinetd, "drops it")]),
    case("many_times", "twenty reloads in a row leave no descriptor behind", many_times),
];

const PLACE: &str = "127.0.0.1:2001";
const OTHER: &str = "127.0.0.1:2002";

fn probed(lines: &str) -> String {
    service("probed", 2001, lines)
}

fn services_come(lab: &mut Lab) {
    lab.start(&probed(""));
    assert!(refuses(OTHER));
    lab.reload(&format!("{}{}", probed(""), service("added", 2002, "")));
    ask(OTHER);
    ask(PLACE);
}

fn services_go(lab: &mut Lab) {
    lab.start(&format!("{}{}", probed(""), service("gone", 2002, "")));
    ask(OTHER);
    lab.reload(&probed(""));
    wait_refused(OTHER);
    ask(PLACE);
}

fn services_change(lab: &mut Lab) {
    lab.start(&probed("server_args = one"));
    assert_eq!(ask(PLACE).arguments(), ["probe", "one"]);
    lab.reload(&probed("server_args = two\nuser = alice\numask = 077\nenv = NEW=1"));
    let report = ask(PLACE);
    assert_eq!(report.arguments(), ["probe", "two"]);
    assert_eq!((report.get("Uid"), report.get("Umask")), ("1501 1501 1501 1501", "0077"));
    assert_eq!(report.environment("NEW"), Some("1"));
}

fn counts_are_logged(lab: &mut Lab) {
    lab.start(&[probed(""), service("kept", 2002, ""), service("gone", 2003, "")].concat());
    lab.reload(
        &[probed(""), service("kept", 2002, ""), service("new", 2004, ""), service("newer", 2005, "")]
            .concat(),
    );
    // The mark of the lab is another one after each reload.
    lab.syslog.expect("Reconfigured: new=3 old=2 dropped=2 (services)");
}

fn inode(port: u16) -> u64 {
    sockets::tcp_listeners_on(port).first().expect("somebody listens").inode
}

fn unchanged_listeners_stay(lab: &mut Lab) {
    lab.start(&probed("server_args = one"));
    let before = inode(2001);
    lab.reload(&probed("server_args = one"));
    assert_eq!(inode(2001), before);
    lab.reload(&probed("server_args = two\ninstances = 5"));
    assert_eq!(inode(2001), before);
}

fn bind_changes(lab: &mut Lab) {
    lab.start(&probed(""));
    lab.reload(&probed("bind = 127.0.0.2"));
    ask("127.0.0.2:2001");
    wait_refused(PLACE);
}

fn bind_comes(lab: &mut Lab) {
    lab.start(&service_without(&["bind"], "probed", 2001, "flags = IPv4"));
    ask("192.0.2.1:2001");
    lab.reload(&probed("flags = IPv4"));
    ask(PLACE);
    wait_refused("192.0.2.1:2001");
}

fn bind_goes(lab: &mut Lab) {
    lab.start(&probed("flags = IPv4"));
    assert!(refuses("192.0.2.1:2001"));
    lab.reload(&service_without(&["bind"], "probed", 2001, "flags = IPv4"));
    ask("192.0.2.1:2001");
    ask(PLACE);
}

fn port_changes(lab: &mut Lab) {
    lab.start(&probed(""));
    lab.reload(&probed("port = 2002"));
    ask(OTHER);
    wait_refused(PLACE);
}

fn family_changes(lab: &mut Lab) {
    let text = |flag: &str| service_without(&["bind"], "probed", 2001, &format!("flags = {flag}"));
    lab.start(&text("IPv4"));
    assert!(refuses("[::1]:2001"));
    lab.reload(&text("IPv6"));
    ask("[::1]:2001");
    lab.reload(&text("IPv4"));
    wait_refused("[::1]:2001");
    ask(PLACE);
}

fn wait_changes(lab: &mut Lab) {
    lab.start(&probed(""));
    assert_eq!(ask(PLACE).get("listening"), "false");
    lab.reload(&probed("wait = yes"));
    assert_eq!(ask(PLACE).get("listening"), "true");
    lab.reload(&probed(""));
    deadline::wait_until("the connection is handed over", || ask(PLACE).get("listening") == "false");
}

fn internal_becomes_external(lab: &mut Lab) {
    lab.start(&internal("time", "stream", "bind = 127.0.0.1"));
    assert_eq!(tcp("127.0.0.1:37").all().len(), 4);
    lab.reload("service time\n{\n socket_type = stream\n wait = no\n user = nobody\n bind = 127.0.0.1\n server = /srv/probe\n}\n");
    assert_eq!(ask("127.0.0.1:37").arguments(), ["probe"]);
}

fn disable_comes_and_goes(lab: &mut Lab) {
    lab.start(&probed(""));
    lab.reload(&probed("disable = yes"));
    wait_refused(PLACE);
    lab.reload(&probed("disable = no"));
    ask(PLACE);
    lab.reload(&format!("{}{}", defaults("disabled = probed"), probed("")));
    wait_refused(PLACE);
}

fn defaults_change(lab: &mut Lab) {
    lab.start(&format!("{}{}", defaults("umask = 077"), probed("")));
    assert_eq!(ask(PLACE).get("Umask"), "0077");
    lab.reload(&format!("{}{}", defaults("umask = 007"), probed("")));
    assert_eq!(ask(PLACE).get("Umask"), "0007");
}

fn lists_change(lab: &mut Lab) {
    lab.start(&probed("bind = 0.0.0.0\nonly_from = 127.0.0.2"));
    let serves = |source: &str| tcp_from(source, PLACE).text().contains(crate::report::END);
    assert!(serves("127.0.0.2:0") && !serves("127.0.0.3:0"));
    lab.reload(&probed("bind = 0.0.0.0\nonly_from = 127.0.0.3"));
    assert!(!serves("127.0.0.2:0") && serves("127.0.0.3:0"));
}

fn log_changes(lab: &mut Lab) {
    lab.start(&probed("log_type = FILE /srv/log\nlog_on_success = HOST"));
    ask(PLACE);
    deadline::wait_until("a line in the file", || {
        fs::read_to_string("/srv/log").is_ok_and(|text| text.contains("START"))
    });
    let size = fs::metadata("/srv/log").expect("it is there").len();
    lab.reload(&probed("log_type = SYSLOG daemon\nlog_on_success = HOST"));
    ask(PLACE);
    lab.syslog.expect("START: probed from=127.0.0.1");
    assert_eq!(fs::metadata("/srv/log").expect("it is there").len(), size);
}

fn logs_are_reopened(lab: &mut Lab) {
    let own = service("own", 2002, "log_type = FILE /srv/own\nlog_on_success = HOST");
    let text = [defaults("log_type = FILE /srv/log\nlog_on_success = HOST"), probed(""), own].concat();
    lab.start(&text);
    let is_in = |path: &str, words: &str| fs::read_to_string(path).is_ok_and(|text| text.contains(words));
    ask(PLACE);
    ask(OTHER);
    deadline::wait_until("lines in the files", || is_in("/srv/log", "probed") && is_in("/srv/own", "own"));
    for name in ["/srv/log", "/srv/own"] {
        fs::rename(name, format!("{name}.1")).expect("/srv is ours");
    }
    lab.reload(&text);
    ask(PLACE);
    ask(OTHER);
    deadline::wait_until("lines in new files", || is_in("/srv/log", "probed") && is_in("/srv/own", "own"));
}

fn own_log_is_reopened(lab: &mut Lab) {
    let launch = lab.launch_with(&["-filelog", "/srv/daemon.log"]);
    lab.start_with(launch, &probed(""));
    deadline::wait_until("a first line", || fs::metadata("/srv/daemon.log").is_ok());
    fs::rename("/srv/daemon.log", "/srv/daemon.log.1").expect("/srv is ours");
    lab.reload(&probed(""));
    lab.reload(&probed("server_args = x"));
    deadline::wait_until("lines in a new file", || {
        fs::metadata("/srv/daemon.log").is_ok_and(|file| file.len() > 0)
    });
}

fn includedir_is_read_again(lab: &mut Lab) {
    fs::create_dir("/etc/xinetd.d").expect("/etc is ours");
    fs::write("/etc/xinetd.d/one", probed("")).expect("ours");
    lab.start("includedir /etc/xinetd.d\n");
    ask(PLACE);
    fs::remove_file("/etc/xinetd.d/one").expect("ours");
    fs::write("/etc/xinetd.d/two", service("two", 2002, "")).expect("ours");
    lab.reload("includedir /etc/xinetd.d\n");
    ask(OTHER);
    wait_refused(PLACE);
}

fn counts_stay(lab: &mut Lab) {
    let text = probed("server_args = do=obey\ninstances = 1");
    lab.start(&text);
    let mut first = tcp(PLACE);
    first.command("pid");
    lab.reload(&text);
    assert_eq!(tcp(PLACE).text(), "");
    first.send("exit 0\n");
    deadline::wait_until("the next one is served", || {
        let mut caller = tcp(PLACE);
        caller.send("pid\n");
        caller.end_writing();
        !caller.all().is_empty()
    });
}

fn programs_of_kept_services(lab: &mut Lab) {
    lab.start(&probed("server_args = do=obey"));
    let mut caller = tcp(PLACE);
    let pid = caller.command("pid");
    lab.reload(&probed("server_args = do=obey more\ninstances = 1"));
    assert_eq!(caller.command("pid"), pid);
}

fn programs_of_gone_services(lab: &mut Lab) {
    lab.start(&probed("server_args = do=obey"));
    let mut caller = tcp(PLACE);
    let pid = caller.command("pid");
    lab.reload("");
    wait_refused(PLACE);
    assert_eq!(caller.command("pid"), pid);
}

fn programs_are_killed(lab: &mut Lab) {
    lab.start(&probed("server_args = do=obey"));
    let mut caller = tcp(PLACE);
    caller.command("pid");
    lab.reload("");
    assert_eq!(caller.text(), "");
}

fn wait_program_stays(lab: &mut Lab) {
    lab.start(&probed("wait = yes\nserver_args = do=obey"));
    let pid = tcp(PLACE).command("pid");
    lab.reload(&probed("wait = yes\nserver_args = do=obey more"));
    let mut caller = tcp(PLACE);
    assert_eq!(caller.command("pid"), pid);
    assert_eq!(lab.starts(), 1);
    caller.send("exit 0\n");
    deadline::wait_until("the new arguments count", || {
        let mut caller = tcp(PLACE);
        caller.send("argv\n");
        caller.end_writing();
        caller.text().trim_end() == "probe do=obey more"
    });
}

fn file_that_is_missing(lab: &mut Lab) {
    lab.start(&probed(""));
    fs::remove_file("/etc/xinetd.conf").expect("/etc is ours");
    lab.signal(Signal::HUP);
    lab.syslog.expect_where("a line about it", |message| {
        message.text.contains("/etc/xinetd.conf") || message.text == "reconfiguration failed"
    });
    ask(PLACE);
    lab.reload(&format!("{}{}", probed(""), service("added", 2002, "")));
    ask(OTHER);
}

fn service_that_cannot_be_read(lab: &mut Lab) {
    lab.start(&probed("server_args = one"));
    lab.reload(&probed("server_args = two\ninstances = many"));
    assert_eq!(ask(PLACE).arguments(), ["probe", "one"]);
}

fn many_times(lab: &mut Lab) {
    let text = [defaults("log_type = FILE /srv/log\nlog_on_success = HOST"), probed("")].concat();
    let daemon = lab.start(&text);
    lab.reload(&text);
    ask(PLACE);
    let settled = || daemon.descriptors().iter().filter(|(_, target)| !target.contains("/proc/")).count();
    let before = settled();
    for _ in 0..20 {
        lab.reload(&text);
        ask(PLACE);
    }
    deadline::wait_until("no descriptor stays behind", || settled() <= before);
}
