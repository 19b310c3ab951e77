//! SIGHUP: what changes, what stays, and what a bad file does.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::cases::{Case, V4_DIALECTS, case};
use crate::client::{self, ask, refuses, tcp, wait_refused};
use crate::deadline;
use crate::lab::{CONFIG, Lab};
use crate::report::Report;
use crate::server::Server::{Busybox, Inetutils, Openbsd};
use crate::sockets;

const MODIFIED: &str =
    "\"Services may be added, deleted or modified when the configuration file is reread.\"";
const FORGETS: &str = "forgets a running `wait` server at reload, and the service is off for ever";

pub const CASES: &[Case] = &[
    case("service_added", MODIFIED, service_added),
    case("service_removed", MODIFIED, service_removed),
    case("removed_and_added_again", MODIFIED, removed_and_added_again),
    case("arguments_changed", MODIFIED, arguments_changed),
    case("program_changed", MODIFIED, program_changed),
    case("user_changed", MODIFIED, user_changed),
    case("limit_changed", MODIFIED, limit_changed)
        .ignored(&[(Inetutils, "the limit is not among what a reload changes")]),
    case("port_changed", MODIFIED, port_changed),
    case(
        "port_changed_in_etc_services",
        "config(): a port that changed in /etc/services is followed",
        port_changed_in_etc_services,
    ),
    case("internal_to_program", MODIFIED, internal_to_program).ignored(&[
        (Openbsd, "a change between internal and external is not applied"),
        (Inetutils, "a change between internal and external is not applied"),
        (Busybox, "a change between internal and external is not applied"),
    ]),
    case("program_to_internal", MODIFIED, program_to_internal).ignored(&[
        (Openbsd, "a change between internal and external is not applied"),
        (Inetutils, "a change between internal and external is not applied"),
        (Busybox, "a change between internal and external is not applied"),
    ]),
    case("nowait_to_wait", MODIFIED, nowait_to_wait).ignored(&[
        (Openbsd, "the socket's event handler stays the one for `nowait`"),
        (Inetutils, "goes on accepting itself"),
    ]),
    case("wait_to_nowait", MODIFIED, wait_to_nowait)
        .ignored(&[(Openbsd, "the socket's event handler stays the one for `wait`")])
        .not_run(&[(
            Inetutils,
            "what the next caller gets is chance: the old server still holds the listener",
        )]),
    case(
        "wait_to_nowait_while_a_server_runs",
        "config(): \"don't overwrite it unless the config file explicitly says don't wait\"",
        wait_to_nowait_while_a_server_runs,
    )
    .ignored(&[
        (Openbsd, "the listener is never polled again"),
        (Inetutils, "the listener is never polled again"),
    ]),
    case(
        "star_to_address",
        "a service that moves from all addresses to one does so (BUGS: \"needs to be restarted\")",
        star_to_address,
    )
    .ignored(&[
        (Openbsd, "BUGS: \"needs to be restarted when the host address for a service is changed\""),
        (Inetutils, "the new address cannot be bound beside the old one"),
        (Busybox, "the new address cannot be bound beside the old one"),
    ]),
    case(
        "address_to_star",
        "a service that moves from one address to all does so (BUGS: \"needs to be restarted\")",
        address_to_star,
    )
    .ignored(&[
        (Openbsd, "BUGS: \"needs to be restarted when the host address for a service is changed\""),
        (Inetutils, "the new address cannot be bound beside the old one"),
        (Busybox, "the new address cannot be bound beside the old one"),
    ]),
    case("address_to_address", MODIFIED, address_to_address),
    case("comma_list_changed", "every address of a list gets the new program and user", comma_list_changed)
        .ignored(&[(Inetutils, "the second and later addresses lose their arguments")]),
    case(
        "default_address_changed",
        "a default-address line holds for each reading anew",
        default_address_changed,
    ),
    case("v6_follows", "both listeners of a `tcp` line change together", v6_follows)
        .other_dialects(V4_DIALECTS),
    case(
        "unchanged_listener_is_kept",
        "config(): a service that matches keeps its socket",
        unchanged_listener_is_kept,
    ),
    case(
        "changed_program_keeps_the_listener",
        "config(): a service that matches keeps its socket",
        changed_program_keeps_the_listener,
    ),
    case("queue_is_kept", "a caller in a listener's queue is served after the reload", queue_is_kept),
    case(
        "running_wait_server_is_remembered",
        "config(): \"sep->se_wait may be holding the pid of a daemon that we're waiting for\"",
        running_wait_server_is_remembered,
    ),
    case("wait_server_changes_afterwards", MODIFIED, wait_server_changes_afterwards)
        .ignored(&[(Busybox, FORGETS)]),
    case("datagram_server_is_remembered", "as for streams", datagram_server_is_remembered)
        .ignored(&[(Busybox, FORGETS)]),
    case("sessions_live_on", "a reload is nothing to a connection", sessions_live_on),
    case(
        "sessions_of_a_removed_service_live_on",
        "config() closes the listener, not the connections",
        sessions_of_a_removed_service_live_on,
    ),
    case(
        "bad_line_costs_only_itself",
        "a bad line is skipped at reload as at start",
        bad_line_costs_only_itself,
    ),
    case(
        "bad_line_keeps_the_old_service",
        "a service whose line has become bad is kept as it was",
        bad_line_keeps_the_old_service,
    )
    .ignored(&[
        (Openbsd, "removes the service"),
        (Inetutils, "removes the service"),
        (Busybox, "removes the service"),
    ]),
    case(
        "missing_file_keeps_everything",
        "a file that cannot be read takes no service down",
        missing_file_keeps_everything,
    )
    .ignored(&[(Openbsd, "exits with status 1")]),
    case(
        "folder_as_file_keeps_everything",
        "a file that cannot be read takes no service down",
        folder_as_file_keeps_everything,
    )
    .ignored(&[
        (Openbsd, "opens a folder like a file, reads nothing and removes every service"),
        (Busybox, "opens a folder like a file, reads nothing and removes every service"),
    ]),
    case("file_comes_back", "after a bad file, the next good one is read", file_comes_back)
        .ignored(&[(Openbsd, "exits with status 1")]),
    case(
        "replaced_by_rename",
        "the file is opened anew: editors and update-inetd rename",
        replaced_by_rename,
    ),
    case("empty_file", "a file without entries is a good file: everything is removed", empty_file),
    case("many_hups", "SIGHUP as often as it likes", many_hups)
        .not_run(&[(Inetutils, "reloads in the signal handler; what comes of several at once is chance")]),
    case("no_caller_is_lost", "callers during reloads are served", no_caller_is_lost),
    case(
        "port_taken_at_start",
        "config(): a service whose socket failed is tried again",
        port_taken_at_start,
    ),
    case(
        "buffer_size_after_reload",
        "\"tcp,rcvbuf=16384\" is a protocol each time it is read",
        buffer_size_after_reload,
    )
    .ignored(&[(Busybox, "busybox knows no buffer sizes")]),
    case("no_descriptor_is_leaked", "a reload closes what it opened", no_descriptor_is_leaked),
    case("off_and_on_again", "a service that update-inetd disables and enables", off_and_on_again),
];

const ONE: &str = "2001 stream tcp nowait nobody /srv/probe one\n";
const TWO: &str = "2002 stream tcp nowait nobody /srv/probe two\n";

/// Waits until a new caller gets a program with these arguments: listeners are swapped at once, and the mark
/// of a reload may be seen a moment earlier than the rest of it.
fn wait_arguments(address: &str, expected: &[&str]) {
    deadline::wait_until(&format!("{address} runs {expected:?}"), || ask(address).arguments() == expected);
}

fn service_added(lab: &mut Lab) {
    lab.start(ONE);
    assert!(refuses("127.0.0.1:2002"));
    lab.reload(&format!("{ONE}{TWO}"));
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["two"]);
}

fn service_removed(lab: &mut Lab) {
    lab.start(&format!("{ONE}{TWO}"));
    lab.reload(TWO);
    wait_refused("127.0.0.1:2001");
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["two"]);
}

fn removed_and_added_again(lab: &mut Lab) {
    lab.start(&format!("{ONE}{TWO}"));
    for _ in 0..3 {
        lab.reload(TWO);
        wait_refused("127.0.0.1:2001");
        lab.reload(&format!("{ONE}{TWO}"));
        assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
    }
}

fn arguments_changed(lab: &mut Lab) {
    lab.start(ONE);
    lab.reload("2001 stream tcp nowait nobody /srv/probe changed to this\n");
    wait_arguments("127.0.0.1:2001", &["changed", "to", "this"]);
    lab.reload("2001 stream tcp nowait nobody /srv/probe fewer\n");
    wait_arguments("127.0.0.1:2001", &["fewer"]);
}

fn program_changed(lab: &mut Lab) {
    lab.start(ONE);
    lab.reload("2001 stream tcp nowait nobody /bin/echo echo hello\n");
    deadline::wait_until("the other program", || tcp("127.0.0.1:2001").text() == "hello\n");
}

fn user_changed(lab: &mut Lab) {
    lab.start(ONE);
    assert_eq!(ask("127.0.0.1:2001").get("Uid"), "65534 65534 65534 65534");
    lab.reload("2001 stream tcp nowait bob:other /srv/probe one\n");
    deadline::wait_until("the other user", || {
        let report = ask("127.0.0.1:2001");
        report.get("Uid") == "1502 1502 1502 1502" && report.get("Gid") == "1603 1603 1603 1603"
    });
}

fn limit_changed(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait.2 nobody /srv/probe one\n");
    ask("127.0.0.1:2001");
    lab.reload("2001 stream tcp nowait.50 nobody /srv/probe one\n");
    for _ in 0..10 {
        ask("127.0.0.1:2001");
    }
}

fn port_changed(lab: &mut Lab) {
    lab.start(ONE);
    lab.reload(&ONE.replace("2001", "2011"));
    wait_refused("127.0.0.1:2001");
    assert_eq!(ask("127.0.0.1:2011").arguments(), ["one"]);
}

fn port_changed_in_etc_services(lab: &mut Lab) {
    lab.start("labone stream tcp nowait nobody /srv/probe named\n");
    assert_eq!(ask("127.0.0.1:2101").arguments(), ["named"]);
    let services = fs::read_to_string("/etc/services").expect("the lab wrote it");
    fs::write("/etc/services", services.replace("2101", "2111")).expect("/etc is the case's own");
    lab.reload("labone stream tcp nowait nobody /srv/probe named\n");
    wait_refused("127.0.0.1:2101");
    assert_eq!(ask("127.0.0.1:2111").arguments(), ["named"]);
}

fn internal_to_program(lab: &mut Lab) {
    lab.start("daytime stream tcp nowait root internal\n");
    tcp("127.0.0.1:13").all();
    lab.reload("daytime stream tcp nowait nobody /bin/echo echo not-the-time\n");
    deadline::wait_until("the program answers", || tcp("127.0.0.1:13").text() == "not-the-time\n");
}

fn program_to_internal(lab: &mut Lab) {
    lab.start("daytime stream tcp nowait nobody /bin/echo echo not-the-time\n");
    assert_eq!(tcp("127.0.0.1:13").text(), "not-the-time\n");
    lab.reload("daytime stream tcp nowait root internal\n");
    deadline::wait_until("the daemon answers itself", || tcp("127.0.0.1:13").text().ends_with("\r\n"));
}

fn nowait_to_wait(lab: &mut Lab) {
    lab.start(ONE);
    assert_eq!(ask("127.0.0.1:2001").get("listening"), "false");
    lab.reload("2001 stream tcp wait nobody /srv/probe one\n");
    deadline::wait_until("the listener is passed", || ask("127.0.0.1:2001").get("listening") == "true");
    assert_eq!(ask("127.0.0.1:2001").get("listening"), "true");
}

fn wait_to_nowait(lab: &mut Lab) {
    lab.start("2001 stream tcp wait nobody /srv/probe one\n");
    assert_eq!(ask("127.0.0.1:2001").get("listening"), "true");
    lab.reload(ONE);
    deadline::wait_until("the connection is passed", || ask("127.0.0.1:2001").get("listening") == "false");
    assert_eq!(ask("127.0.0.1:2001").get("listening"), "false");
}

fn wait_to_nowait_while_a_server_runs(lab: &mut Lab) {
    lab.start("2001 stream tcp wait nobody /srv/probe old do=obey\n");
    let mut session = tcp("127.0.0.1:2001");
    let pid = session.command("pid");
    lab.reload("2001 stream tcp nowait nobody /srv/probe new do=obey\n");
    session.send("exit 0\n");
    session.all();
    let (mut one, mut two) = (tcp("127.0.0.1:2001"), tcp("127.0.0.1:2001"));
    let (first, second) = (one.command("pid"), two.command("pid"));
    assert_ne!(first, second);
    assert_ne!(first, pid);
}

fn star_to_address(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe one\n");
    ask("127.0.0.1:2001");
    lab.reload("127.0.0.2:2001 stream tcp nowait nobody /srv/probe two\n");
    wait_refused("127.0.0.1:2001");
    assert_eq!(ask("127.0.0.2:2001").arguments(), ["two"]);
}

fn address_to_star(lab: &mut Lab) {
    lab.start("127.0.0.2:2001 stream tcp nowait nobody /srv/probe one\n");
    ask("127.0.0.2:2001");
    lab.reload("2001 stream tcp nowait nobody /srv/probe two\n");
    assert_eq!(ask("127.0.0.3:2001").arguments(), ["two"]);
    wait_arguments("127.0.0.2:2001", &["two"]);
}

fn address_to_address(lab: &mut Lab) {
    lab.start("127.0.0.2:2001 stream tcp nowait nobody /srv/probe one\n");
    ask("127.0.0.2:2001");
    lab.reload("127.0.0.3:2001 stream tcp nowait nobody /srv/probe two\n");
    assert_eq!(ask("127.0.0.3:2001").arguments(), ["two"]);
    wait_refused("127.0.0.2:2001");
}

fn comma_list_changed(lab: &mut Lab) {
    lab.start("127.0.0.2,127.0.0.3,127.0.0.4:2001 stream tcp nowait nobody /srv/probe one\n");
    lab.reload("127.0.0.2,127.0.0.3,127.0.0.4:2001 stream tcp nowait bob /srv/probe two x\n");
    for address in ["127.0.0.2:2001", "127.0.0.3:2001", "127.0.0.4:2001"] {
        wait_arguments(address, &["two", "x"]);
        assert_eq!(ask(address).get("Uid"), "1502 1502 1502 1502");
    }
}

fn default_address_changed(lab: &mut Lab) {
    lab.start(&format!("127.0.0.2:\n{ONE}"));
    ask("127.0.0.2:2001");
    lab.reload(&format!("127.0.0.3:\n{ONE}"));
    ask("127.0.0.3:2001");
    wait_refused("127.0.0.2:2001");
}

fn v6_follows(lab: &mut Lab) {
    lab.start(ONE);
    assert_eq!(ask("[::1]:2001").arguments(), ["one"]);
    lab.reload("2001 stream tcp nowait nobody /srv/probe changed\n");
    wait_arguments("[::1]:2001", &["changed"]);
    lab.reload(TWO);
    wait_refused("[::1]:2001");
    wait_refused("127.0.0.1:2001");
}

fn inodes(port: u16) -> Vec<u64> {
    let mut inodes: Vec<u64> = sockets::tcp_listeners_on(port).iter().map(|one| one.inode).collect();
    inodes.sort_unstable();
    inodes
}

fn unchanged_listener_is_kept(lab: &mut Lab) {
    lab.start(&format!("{ONE}{TWO}"));
    let before = inodes(2002);
    lab.reload(&format!("# a comment\n{TWO}2003 stream tcp nowait nobody /srv/probe three\n"));
    wait_refused("127.0.0.1:2001");
    assert_eq!(inodes(2002), before);
}

fn changed_program_keeps_the_listener(lab: &mut Lab) {
    lab.start(ONE);
    let before = inodes(2001);
    lab.reload("2001 stream tcp nowait.30 bob /bin/echo echo hello\n");
    deadline::wait_until("the other program", || tcp("127.0.0.1:2001").text() == "hello\n");
    assert_eq!(inodes(2001), before);
}

fn queue_is_kept(lab: &mut Lab) {
    lab.start(ONE);
    // A stopped daemon accepts nothing, so these callers are in the kernel's queue when SIGHUP is seen.
    lab.signal(Signal::STOP);
    deadline::wait_until("the daemon stands still", || {
        lab.daemon().status_value("State").is_some_and(|state| state.starts_with('T'))
    });
    let mut callers: Vec<_> = (0..5).map(|_| tcp("127.0.0.1:2001")).collect();
    lab.write_config(&format!("{TWO}{ONE}"));
    lab.signal(Signal::HUP);
    lab.signal(Signal::CONT);
    lab.wait_read();
    for caller in &mut callers {
        assert_eq!(Report::parse(&caller.all()).arguments(), ["one"]);
    }
}

const OBEY: &str = "2001 stream tcp wait nobody /srv/probe old do=obey\n";

fn running_wait_server_is_remembered(lab: &mut Lab) {
    lab.start(OBEY);
    let pid = tcp("127.0.0.1:2001").command("pid");
    lab.reload(&format!("{OBEY}{TWO}"));
    assert_eq!(tcp("127.0.0.1:2001").command("pid"), pid);
    lab.reload(OBEY);
    assert_eq!(tcp("127.0.0.1:2001").command("pid"), pid);
    assert_eq!(lab.starts(), 1);
}

fn wait_server_changes_afterwards(lab: &mut Lab) {
    lab.start(OBEY);
    let mut session = tcp("127.0.0.1:2001");
    assert_eq!(session.command("argv"), "old do=obey");
    lab.reload(&OBEY.replace("old", "new"));
    assert_eq!(session.command("argv"), "old do=obey");
    session.send("exit 0\n");
    session.all();
    assert_eq!(tcp("127.0.0.1:2001").command("argv"), "new do=obey");
    assert_eq!(lab.starts(), 2);
}

fn datagram_server_is_remembered(lab: &mut Lab) {
    let line = "2001 dgram udp wait nobody /srv/probe old do=obey\n";
    lab.start(line);
    let caller = client::udp("127.0.0.1:2001");
    let pid = caller.command("pid");
    lab.reload(&format!("{line}{TWO}"));
    assert_eq!(caller.command("pid"), pid);
    caller.send("exit 0");
    assert_ne!(caller.command("pid"), pid);
    assert_eq!(lab.starts(), 2);
}

const SESSION: &str = "2001 stream tcp nowait nobody /srv/probe probe do=obey\n";

fn sessions_live_on(lab: &mut Lab) {
    lab.start(SESSION);
    let mut session = tcp("127.0.0.1:2001");
    let pid = session.command("pid");
    lab.reload(&format!("{SESSION}{TWO}"));
    lab.reload(SESSION);
    assert_eq!(session.command("pid"), pid);
}

fn sessions_of_a_removed_service_live_on(lab: &mut Lab) {
    lab.start(SESSION);
    let mut session = tcp("127.0.0.1:2001");
    let pid = session.command("pid");
    lab.reload(TWO);
    wait_refused("127.0.0.1:2001");
    assert_eq!(session.command("pid"), pid);
    session.end_writing();
    session.all();
}

fn bad_line_costs_only_itself(lab: &mut Lab) {
    lab.start(&format!("{ONE}{TWO}"));
    lab.reload(&format!("{ONE}2003 stream\n)(*&^%\n{TWO}"));
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["two"]);
}

fn bad_line_keeps_the_old_service(lab: &mut Lab) {
    lab.start(&format!("{ONE}{TWO}"));
    lab.reload(&format!("2001 stream tcp nowait nobody\n{}", TWO.replace("two", "three")));
    wait_arguments("127.0.0.1:2002", &["three"]);
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
}

/// SIGHUP on a file that is no file; proves that nothing went, for a while.
fn assert_hup_changes_nothing(lab: &Lab) {
    lab.signal(Signal::HUP);
    deadline::stays(Duration::from_millis(600), "both services are served", || {
        let listens = |port| !sockets::tcp_listeners_on(port).is_empty();
        lab.daemon().is_alive() && listens(2001) && listens(2002)
    });
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
    lab.assert_serves();
}

fn missing_file_keeps_everything(lab: &mut Lab) {
    lab.start(&format!("{ONE}{TWO}"));
    fs::remove_file(CONFIG).expect("/etc is the case's own");
    assert_hup_changes_nothing(lab);
}

fn folder_as_file_keeps_everything(lab: &mut Lab) {
    lab.start(&format!("{ONE}{TWO}"));
    fs::remove_file(CONFIG).expect("/etc is the case's own");
    fs::create_dir(CONFIG).expect("the name is free now");
    assert_hup_changes_nothing(lab);
}

fn file_comes_back(lab: &mut Lab) {
    lab.start(ONE);
    fs::remove_file(CONFIG).expect("/etc is the case's own");
    lab.signal(Signal::HUP);
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
    lab.reload(TWO);
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["two"]);
}

fn replaced_by_rename(lab: &mut Lab) {
    lab.start(ONE);
    lab.use_config_path("/etc/inetd.conf.new");
    lab.write_config(TWO);
    fs::rename("/etc/inetd.conf.new", CONFIG).expect("one folder");
    lab.signal(Signal::HUP);
    lab.wait_read();
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["two"]);
    wait_refused("127.0.0.1:2001");
}

fn empty_file(lab: &mut Lab) {
    lab.start(&format!("{ONE}{TWO}"));
    lab.write_raw_config("# nothing\n");
    lab.signal(Signal::HUP);
    wait_refused("127.0.0.1:2001");
    wait_refused("127.0.0.1:2002");
    assert!(lab.daemon().is_alive());
    lab.reload(ONE);
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
}

fn many_hups(lab: &mut Lab) {
    lab.start(ONE);
    for _ in 0..40 {
        lab.signal(Signal::HUP);
    }
    lab.reload(&format!("{ONE}{TWO}"));
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["two"]);
}

fn no_caller_is_lost(lab: &mut Lab) {
    lab.start(ONE);
    for number in 0..40 {
        if number % 3 == 0 {
            lab.signal(Signal::HUP);
        }
        assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"], "caller {number}");
    }
}

fn port_taken_at_start(lab: &mut Lab) {
    let holder = client::occupy("0.0.0.0:2001").expect("the port is free");
    lab.start("2001 stream tcp nowait nobody /srv/probe one\n2002 stream tcp nowait nobody /srv/probe two\n");
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["two"]);
    drop(holder);
    lab.reload(
        "2001 stream tcp nowait nobody /srv/probe one\n2002 stream tcp nowait nobody /srv/probe two\n",
    );
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
}

fn buffer_size_after_reload(lab: &mut Lab) {
    let line = "2001 stream tcp4,rcvbuf=16384 nowait nobody /srv/probe one\n";
    lab.start(line);
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
    for _ in 0..3 {
        lab.reload(&format!("{line}{TWO}"));
        assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
        lab.reload(line);
        wait_refused("127.0.0.1:2002");
        assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
    }
}

fn no_descriptor_is_leaked(lab: &mut Lab) {
    let daemon = lab.start(ONE);
    let reload_twice = |lab: &mut Lab| {
        lab.reload(&format!("{ONE}{TWO}"));
        lab.reload(ONE);
        wait_refused("127.0.0.1:2002");
        ask("127.0.0.1:2001");
    };
    reload_twice(lab);
    let before = daemon.descriptors().len();
    for _ in 0..5 {
        reload_twice(lab);
    }
    deadline::wait_until("as many descriptors as before", || daemon.descriptors().len() <= before);
}

fn off_and_on_again(lab: &mut Lab) {
    lab.start(ONE);
    lab.reload(&format!("#<off># {ONE}"));
    wait_refused("127.0.0.1:2001");
    lab.reload(ONE);
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["one"]);
}
