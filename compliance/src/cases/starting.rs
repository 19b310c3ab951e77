//! What a program is given when it is started: descriptors, signals, identity, environment; and what is said
//! when it cannot be started.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::cases::{Case, case};
use crate::client::{ask, tcp};
use crate::daemon::Mode;
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::server::Dialect;
use crate::server::Server::{Busybox, Inetutils, Openbsd};

const OTHER_WORDS: &str = "says it in other words";

const FORTY: &str = "the default is 40 starts a minute there";

pub const CASES: &[Case] = &[
    case("descriptors_are_0_1_2", "spawn(): dup2 to 0, 1 and 2, closefrom(3)", descriptors_are_0_1_2),
    case(
        "descriptors_with_many_services",
        "spawn(): closefrom(3): no listener of another service gets through",
        descriptors_with_many_services,
    ),
    case(
        "forgotten_descriptor_is_closed",
        "spawn(): closefrom(3): nor a descriptor that inetd inherited",
        forgotten_descriptor_is_closed,
    )
    .ignored(&[(Busybox, "closes only what it knows")]),
    case("socket_is_blocking", "a program expects a blocking socket", socket_is_blocking),
    case("peer_and_local_address", "the connection itself is passed: getpeername(2) works", peer_and_local_address),
    case("no_signal_is_ignored", "spawn(): signal(SIGPIPE, SIG_DFL)", no_signal_is_ignored)
        .ignored(&[(Inetutils, "programs get SIGPIPE ignored")]),
    case("no_signal_is_blocked", "programs start with an empty mask", no_signal_is_blocked),
    case(
        "inherited_ignored_signals",
        "a daemon started with nohup or by a shell in the background does not pass that on",
        inherited_ignored_signals,
    )
    .ignored(&[
        (Openbsd, "restores SIGPIPE only"),
        (Inetutils, "restores nothing"),
        (Busybox, "restores what it changed only"),
    ]),
    case(
        "inherited_blocked_signals",
        "a daemon started with signals blocked does not pass that on",
        inherited_blocked_signals,
    )
    .ignored(&[(Openbsd, "the mask is inherited"), (Busybox, "the mask is inherited")]),
    case("own_session", "spawn(): setsid()", own_session)
        .ignored(&[(Inetutils, "makes a session with -d only")]),
    case("working_folder", "daemon(0, 0) changes to /", working_folder)
        .ignored(&[(Busybox, "keeps the folder in which it was started")]),
    case("umask", "main(): umask(022), whatever it was", umask).ignored(&[
        (Inetutils, "the umask is inherited"),
        (Busybox, "the umask is inherited"),
    ]),
    case("descriptor_limit", "a program gets the limit on descriptors that inetd was started with", descriptor_limit),
    case(
        "descriptor_limit_with_many_services",
        "inetd raises its own limit when it has many sockets, not that of its programs",
        descriptor_limit_with_many_services,
    )
    .ignored(&[
        (Openbsd, "the raised limit is passed on"),
        (Inetutils, "does not raise its own limit, and does not get as far as the last service"),
    ]),
    case(
        "environment_is_laundered",
        "\"Without this option a selection of potentially harmful environment variables, including PATH, will \
         be removed and not inherited by services.\"",
        environment_is_laundered,
    )
    .ignored(&[(Inetutils, "the environment is inherited"), (Busybox, "the environment is inherited")]),
    case(
        "environment_is_kept_otherwise",
        "\"a selection of […] variables\" is removed, and the rest inherited",
        environment_is_kept_otherwise,
    ),
    case(
        "supervisor_variables_are_removed",
        "what a service manager tells the daemon (NOTIFY_SOCKET, LISTEN_FDS…) is not for its programs",
        supervisor_variables_are_removed,
    )
    .ignored(&[
        (Openbsd, "its list is older than these"),
        (Inetutils, "the environment is inherited"),
        (Busybox, "the environment is inherited"),
    ]),
    case(
        "user",
        "\"The user entry should contain the user name of the user as whom the server should run.\"",
        user,
    ),
    case("supplementary_groups", "spawn(): initgroups(pw_name, pw_gid)", supplementary_groups),
    case("user_dot_group", "\"An optional group name can be specified by appending a dot to the user name\"", user_dot_group)
        .other_dialects(&[(Dialect::Freebsd, "user and group are parted by a colon only")]),
    case("user_colon_group", "\"user[.group] or user[:group]\"", user_colon_group),
    case(
        "user_and_group_keep_supplementary",
        "\"If a group is specified and user is not root, the supplementary groups associated with that user \
         will still be set.\"",
        user_and_group_keep_supplementary,
    ),
    case(
        "group_of_root",
        "\"An optional group name\": nobody:root runs with group 0",
        group_of_root,
    )
    .ignored(&[(Inetutils, "a group with number 0 is taken for none")]),
    case("root_stays_root", "inetd.c: \"user = root: NO setuid() or setgid() is done\"", root_stays_root),
    case(
        "root_loses_the_callers_groups",
        "main(): \"If run by hand, ensure groups vector gets trashed\"",
        root_loses_the_callers_groups,
    )
    .ignored(&[(Inetutils, "root services keep the groups that inetd had")]),
    case("root_with_group", "inetd.c: \"user = root: setgid(specified group)\"", root_with_group).ignored(&[
        (Openbsd, "calls setgid with root's own group in place of the one named"),
        (Inetutils, "a group is ignored for root"),
    ]),
    case(
        "user_with_a_dot",
        "a user whose name has a dot can be named",
        user_with_a_dot,
    )
    .other_dialects(&[
        (Dialect::Openbsd, "cuts at the first dot"),
        (Dialect::Gnu, "cuts at the dot"),
        (Dialect::Busybox, "cuts at the first dot"),
        (Dialect::Netbsd, "cuts at the first dot"),
    ]),
    case("no_capabilities", "a program of another user has no capabilities", no_capabilities),
    case(
        "no_inherited_capabilities",
        "a program of another user gets no inheritable or ambient capability either",
        no_inherited_capabilities,
    )
    .ignored(&[
        (Openbsd, "inheritable capabilities pass through a change of user"),
        (Inetutils, "inheritable capabilities pass through a change of user"),
        (Busybox, "inheritable capabilities pass through a change of user"),
    ]),
    case("unknown_user", "an unknown user costs the caller his connection and nobody else", unknown_user),
    case("unknown_user_logged", "spawn() logs `getpwnam: USER: No such user`", unknown_user_logged)
        .ignored(&[(Inetutils, OTHER_WORDS), (Busybox, OTHER_WORDS)]),
    case("unknown_group_logged", "spawn() logs `getgrnam: GROUP: No such group`", unknown_group_logged)
        .ignored(&[(Inetutils, OTHER_WORDS), (Busybox, OTHER_WORDS)]),
    case("no_such_program", "the caller of a missing program sees the end; others are served", no_such_program),
    case(
        "no_such_program_logged",
        "spawn() logs `execv PROGRAM: No such file or directory`",
        no_such_program_logged,
    )
    .ignored(&[(Inetutils, OTHER_WORDS), (Busybox, OTHER_WORDS)]),
    case("not_executable_logged", "spawn() logs `execv PROGRAM: Permission denied`", not_executable_logged)
        .ignored(&[(Inetutils, OTHER_WORDS), (Busybox, OTHER_WORDS)]),
    case(
        "script_without_interpreter_logged",
        "spawn() logs `execv PROGRAM: Exec format error` for a script without #!",
        script_without_interpreter_logged,
    )
    .ignored(&[(Inetutils, OTHER_WORDS), (Busybox, "runs it with a shell (execvp)")]),
    case(
        "script_with_missing_interpreter_logged",
        "spawn() logs `execv PROGRAM: No such file or directory`: the interpreter's",
        script_with_missing_interpreter_logged,
    )
    .ignored(&[(Inetutils, OTHER_WORDS), (Busybox, OTHER_WORDS)]),
    case("folder_as_program_logged", "spawn() logs `execv PROGRAM: Permission denied`", folder_as_program_logged)
        .ignored(&[(Inetutils, OTHER_WORDS), (Busybox, OTHER_WORDS)]),
    case("program_appears_later", "a program is looked up when it is needed", program_appears_later),
    case("script", "a program may be a script", script),
    case("standard_error", "spawn(): descriptor 2 is the connection", standard_error),
    case("half_close", "the caller's end of file reaches the program, and its answer the caller", half_close),
    case("much_output", "a program writes as much as it likes", much_output),
    case("many_callers", "\"nowait\": \"continue processing connections on the socket\"", many_callers)
        .other_dialects(&[(Dialect::Netbsd, FORTY)]),
    case("idle_callers_do_not_block", "\"nowait\": callers who say nothing keep nobody waiting", idle_callers_do_not_block),
    case("no_zombies", "reap(): children are waited for", no_zombies),
    case("no_leaked_descriptors", "gettcp(): the daemon keeps no connection", no_leaked_descriptors)
        .other_dialects(&[(Dialect::Netbsd, FORTY)]),
    case("caller_gone_before_accept", "gettcp(): ECONNABORTED is nothing, and nobody waits for the one who left", caller_gone_before_accept),
    case("callers_who_reset", "accept errors of one caller are nothing to the next", callers_who_reset)
        .other_dialects(&[(Dialect::Netbsd, FORTY)]),
];

const LINE: &str = "2001 stream tcp nowait nobody /srv/probe probe\n";

fn report_of(lab: &mut Lab, user: &str) -> Report {
    lab.start(&format!("2001 stream tcp nowait {user} /srv/probe probe\n"));
    ask("127.0.0.1:2001")
}

fn descriptors_are_0_1_2(lab: &mut Lab) {
    lab.start(LINE);
    let report = ask("127.0.0.1:2001");
    assert_eq!(report.get("fds"), "0 1 2");
    assert!(report.get("fd[0]").starts_with("socket:"));
    assert_eq!(report.get("fd[1]"), report.get("fd[0]"));
    assert_eq!(report.get("fd[2]"), report.get("fd[0]"));
}

fn descriptors_with_many_services(lab: &mut Lab) {
    let line = |port: u16| format!("{port} stream tcp nowait nobody /srv/probe probe\n");
    lab.start(&(3000..3100).map(line).collect::<String>());
    assert_eq!(ask("127.0.0.1:3000").get("fds"), "0 1 2");
    assert_eq!(ask("127.0.0.1:3099").get("fds"), "0 1 2");
}

fn forgotten_descriptor_is_closed(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.forgotten_descriptor = Some(77);
    lab.start_with(launch, LINE);
    assert_eq!(ask("127.0.0.1:2001").get("fds"), "0 1 2");
}

fn socket_is_blocking(lab: &mut Lab) {
    lab.start(LINE);
    let report = ask("127.0.0.1:2001");
    for number in 0..3 {
        assert_eq!(report.get(&format!("nonblocking[{number}]")), "false");
    }
}

fn peer_and_local_address(lab: &mut Lab) {
    lab.start(LINE);
    let mut caller = tcp("127.0.0.4:2001");
    let own = caller.local_address().to_string();
    let report = Report::parse(&caller.all());
    assert_eq!(report.get("peer"), own);
    assert_eq!(report.get("local"), "127.0.0.4:2001");
}

fn no_signal_is_ignored(lab: &mut Lab) {
    lab.start(LINE);
    assert_eq!(ask("127.0.0.1:2001").get("SigIgn"), "0000000000000000");
}

fn no_signal_is_blocked(lab: &mut Lab) {
    lab.start(LINE);
    assert_eq!(ask("127.0.0.1:2001").get("SigBlk"), "0000000000000000");
}

fn inherited_ignored_signals(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.ignored_signals = vec![libc::SIGINT, libc::SIGQUIT, libc::SIGUSR1];
    lab.start_with(launch, LINE);
    assert_eq!(ask("127.0.0.1:2001").get("SigIgn"), "0000000000000000");
}

fn inherited_blocked_signals(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.blocked_signals = vec![libc::SIGUSR2, libc::SIGCHLD];
    lab.start_with(launch, LINE);
    assert_eq!(ask("127.0.0.1:2001").get("SigBlk"), "0000000000000000");
}

fn own_session(lab: &mut Lab) {
    lab.start(LINE);
    let report = ask("127.0.0.1:2001");
    assert_eq!(report.get("sid"), report.get("pid"));
    assert_eq!(report.get("pgid"), report.get("pid"));
}

fn working_folder(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.mode = Mode::Daemon;
    launch.folder = "/usr".to_owned();
    lab.start_with(launch, LINE);
    assert_eq!(ask("127.0.0.1:2001").get("cwd"), "/");
}

fn umask(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.umask = Some(0o077);
    lab.start_with(launch, LINE);
    assert_eq!(ask("127.0.0.1:2001").get("Umask"), "0022");
}

fn descriptor_limit(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.descriptors = Some((333, 4444));
    lab.start_with(launch, LINE);
    assert_eq!(ask("127.0.0.1:2001").get("nofile"), "333 4444");
}

fn descriptor_limit_with_many_services(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.descriptors = Some((100, 4444));
    let line = |port: u16| format!("{port} stream tcp nowait nobody /srv/probe probe\n");
    lab.start_with(launch, &(3000..3200).map(line).collect::<String>());
    assert_eq!(ask("127.0.0.1:3000").get("nofile"), "100 4444");
    assert_eq!(ask("127.0.0.1:3199").get("nofile"), "100 4444");
}

/// One variable for each prefix that the original removes.
const LAUNDERED: &[&str] = &[
    "CVSROOT",
    "DISPLAY",
    "EDITOR",
    "GROUP",
    "HOME",
    "IFS",
    "LD_SOMETHING",
    "LOGNAME",
    "MAIL",
    "PATH",
    "PRINTER",
    "PWD",
    "SHELL",
    "SHLVL",
    "SSH_AUTH_SOCK",
    "TERM",
    "TERMCAP",
    "TMP",
    "TMPDIR",
    "USER",
    "VISUAL",
];

fn environment_is_laundered(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.environment = LAUNDERED.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
    lab.start_with(launch, LINE);
    let report = ask("127.0.0.1:2001");
    let left: Vec<&&str> = LAUNDERED.iter().filter(|name| report.environment(name).is_some()).collect();
    assert_eq!(left, Vec::<&&str>::new());
}

fn environment_is_kept_otherwise(lab: &mut Lab) {
    let mut launch = lab.launch();
    let keep = [("LANG", "C.UTF-8"), ("TZ", "UTC"), ("MY_SETTING", "a b"), ("PATHS", "1"), ("HOMEPAGE", "2")];
    launch.environment = keep.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    lab.start_with(launch, LINE);
    let report = ask("127.0.0.1:2001");
    for (name, value) in keep {
        assert_eq!(report.environment(name), Some(value), "{name}");
    }
}

fn supervisor_variables_are_removed(lab: &mut Lab) {
    let names = [
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "WATCHDOG_PID",
        "CREDENTIALS_DIRECTORY",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
    ];
    let mut launch = lab.launch();
    launch.environment = names.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect();
    lab.start_with(launch, LINE);
    let report = ask("127.0.0.1:2001");
    let left: Vec<&&str> = names.iter().filter(|name| report.environment(name).is_some()).collect();
    assert_eq!(left, Vec::<&&str>::new());
}

fn user(lab: &mut Lab) {
    let report = report_of(lab, "bob");
    assert_eq!(report.get("Uid"), "1502 1502 1502 1502");
    assert_eq!(report.get("Gid"), "1502 1502 1502 1502");
    assert_eq!(report.get("Groups"), "1502");
}

fn supplementary_groups(lab: &mut Lab) {
    let report = report_of(lab, "alice");
    assert_eq!(report.get("Uid"), "1501 1501 1501 1501");
    assert_eq!(report.get("Gid"), "1501 1501 1501 1501");
    assert_eq!(report.get("Groups"), "1501 1601 1602");
}

fn user_dot_group(lab: &mut Lab) {
    let report = report_of(lab, "bob.other");
    assert_eq!(report.get("Uid"), "1502 1502 1502 1502");
    assert_eq!(report.get("Gid"), "1603 1603 1603 1603");
}

fn user_colon_group(lab: &mut Lab) {
    let report = report_of(lab, "bob:other");
    assert_eq!(report.get("Uid"), "1502 1502 1502 1502");
    assert_eq!(report.get("Gid"), "1603 1603 1603 1603");
}

fn user_and_group_keep_supplementary(lab: &mut Lab) {
    let report = report_of(lab, "alice:other");
    assert_eq!(report.get("Gid"), "1603 1603 1603 1603");
    assert_eq!(report.get("Groups"), "1601 1602 1603");
}

fn group_of_root(lab: &mut Lab) {
    let report = report_of(lab, "bob:root");
    assert_eq!(report.get("Uid"), "1502 1502 1502 1502");
    assert_eq!(report.get("Gid"), "0 0 0 0");
}

fn root_stays_root(lab: &mut Lab) {
    let report = report_of(lab, "root");
    assert_eq!(report.get("Uid"), "0 0 0 0");
    assert_eq!(report.get("Gid"), "0 0 0 0");
}

fn root_loses_the_callers_groups(lab: &mut Lab) {
    // This process is process 1 of the case, and its groups are the daemon's.
    rustix::thread::set_thread_groups(&[rustix::process::Gid::from_raw(1603)]).expect("the case is root");
    let report = report_of(lab, "root");
    assert!(!report.get("Groups").contains("1603"), "groups are {:?}", report.get("Groups"));
}

fn root_with_group(lab: &mut Lab) {
    let report = report_of(lab, "root:other");
    assert_eq!(report.get("Uid"), "0 0 0 0");
    assert_eq!(report.get("Gid"), "1603 1603 1603 1603");
}

fn user_with_a_dot(lab: &mut Lab) {
    let report = report_of(lab, "dot.user");
    assert_eq!(report.get("Uid"), "1503 1503 1503 1503");
    assert_eq!(report.get("Gid"), "1503 1503 1503 1503");
}

const NO_CAPABILITY: &str = "0000000000000000";

fn no_capabilities(lab: &mut Lab) {
    let report = report_of(lab, "nobody");
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(report.get(set), NO_CAPABILITY, "{set}");
    }
}

fn no_inherited_capabilities(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.inheritable_capability = true;
    lab.start_with(launch, LINE);
    let report = ask("127.0.0.1:2001");
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(report.get(set), NO_CAPABILITY, "{set}");
    }
}

/// A service that cannot be started beside one that can. Gives what its caller sees.
fn start_bad(lab: &mut Lab, user: &str, program: &str) -> String {
    lab.start(&format!("2002 stream tcp4 nowait {user} {program} program\n{LINE_FOUR}"));
    let seen = tcp("127.0.0.1:2002").text();
    ask("127.0.0.1:2001");
    seen
}

const LINE_FOUR: &str = "2001 stream tcp4 nowait nobody /srv/probe probe\n";

fn unknown_user(lab: &mut Lab) {
    lab.start(&format!("2002 stream tcp nowait ghost /srv/probe probe\n{LINE}"));
    // Some do not listen for such a line, others close the connection.
    let result = std::net::TcpStream::connect("127.0.0.1:2002");
    if let Ok(mut stream) = result {
        stream.set_read_timeout(Some(deadline::patience())).expect("a time above zero");
        let mut seen = Vec::new();
        // A reset is an end as well.
        let _ = std::io::Read::read_to_end(&mut stream, &mut seen);
        assert_eq!(seen, b"");
    }
    ask("127.0.0.1:2001");
    assert_eq!(lab.starts(), 1);
}

fn unknown_user_logged(lab: &mut Lab) {
    assert_eq!(start_bad(lab, "ghost", "/srv/probe"), "");
    lab.syslog.expect("getpwnam: ghost: No such user");
}

fn unknown_group_logged(lab: &mut Lab) {
    assert_eq!(start_bad(lab, "nobody:ghosts", "/srv/probe"), "");
    lab.syslog.expect("getgrnam: ghosts: No such group");
}

fn no_such_program(lab: &mut Lab) {
    lab.start(&format!("2002 stream tcp nowait nobody /srv/absent absent\n{LINE}"));
    for _ in 0..5 {
        assert_eq!(tcp("127.0.0.1:2002").text(), "");
    }
    ask("127.0.0.1:2001");
}

fn no_such_program_logged(lab: &mut Lab) {
    assert_eq!(start_bad(lab, "nobody", "/srv/absent"), "");
    lab.syslog.expect("execv /srv/absent: No such file or directory");
}

fn write_program(path: &str, text: &str, mode: u32) {
    fs::write(path, text).expect("/srv is the case's own");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the case is root");
}

fn not_executable_logged(lab: &mut Lab) {
    write_program("/srv/plain", "text\n", 0o644);
    assert_eq!(start_bad(lab, "nobody", "/srv/plain"), "");
    lab.syslog.expect("execv /srv/plain: Permission denied");
}

fn script_without_interpreter_logged(lab: &mut Lab) {
    write_program("/srv/script", "echo hello\n", 0o755);
    assert_eq!(start_bad(lab, "nobody", "/srv/script"), "");
    lab.syslog.expect("execv /srv/script: Exec format error");
}

fn script_with_missing_interpreter_logged(lab: &mut Lab) {
    write_program("/srv/script", "#!/no/such/shell\necho hello\n", 0o755);
    assert_eq!(start_bad(lab, "nobody", "/srv/script"), "");
    lab.syslog.expect("execv /srv/script: No such file or directory");
}

fn folder_as_program_logged(lab: &mut Lab) {
    assert_eq!(start_bad(lab, "nobody", "/srv"), "");
    lab.syslog.expect("execv /srv: Permission denied");
}

fn program_appears_later(lab: &mut Lab) {
    lab.start("2002 stream tcp nowait nobody /srv/later later\n");
    assert_eq!(tcp("127.0.0.1:2002").text(), "");
    write_program("/srv/later.new", "#!/bin/sh\necho here I am\n", 0o755);
    fs::rename("/srv/later.new", "/srv/later").expect("one file system");
    assert_eq!(tcp("127.0.0.1:2002").text(), "here I am\n");
}

fn script(lab: &mut Lab) {
    write_program("/srv/greet", "#!/bin/sh\nread name\necho \"hello $name, I am $1\"\n", 0o755);
    lab.start("2002 stream tcp nowait nobody /srv/greet greet you\n");
    let mut caller = tcp("127.0.0.1:2002");
    caller.send("world\n");
    assert_eq!(caller.text(), "hello world, I am you\n");
}

fn standard_error(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe do=stderr alas\n");
    assert_eq!(tcp("127.0.0.1:2001").text(), "alas");
}

fn half_close(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /usr/bin/sort sort\n");
    let mut caller = tcp("127.0.0.1:2001");
    caller.send("b\nc\na\n");
    caller.end_writing();
    assert_eq!(caller.text(), "a\nb\nc\n");
}

fn much_output(lab: &mut Lab) {
    const LENGTH: usize = 3_000_000;
    lab.start(&format!("2001 stream tcp nowait nobody /srv/probe probe do=flood {LENGTH}\n"));
    assert_eq!(tcp("127.0.0.1:2001").all().len(), LENGTH);
}

fn many_callers(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe do=obey\n");
    let mut callers: Vec<_> = (0..60).map(|_| tcp("127.0.0.1:2001")).collect();
    let mut pids: Vec<String> = callers.iter_mut().map(|caller| caller.command("pid")).collect();
    pids.sort();
    pids.dedup();
    assert_eq!(pids.len(), 60, "a process for each");
}

fn idle_callers_do_not_block(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait nobody /srv/probe probe do=obey\ndaytime stream tcp nowait root internal\n",
    );
    let idle: Vec<_> = (0..20).map(|_| tcp("127.0.0.1:2001")).collect();
    assert_ne!(tcp("127.0.0.1:2001").command("pid"), "");
    assert_ne!(tcp("127.0.0.1:13").text(), "");
    drop(idle);
}

fn no_zombies(lab: &mut Lab) {
    let daemon = lab.start(LINE);
    for _ in 0..20 {
        ask("127.0.0.1:2001");
    }
    deadline::wait_until("every child has been waited for", || daemon.zombies() == 0);
}

fn no_leaked_descriptors(lab: &mut Lab) {
    let daemon = lab.start(&format!("{LINE}2002 stream tcp nowait nobody /srv/absent absent\n"));
    ask("127.0.0.1:2001");
    tcp("127.0.0.1:2002").all();
    let sockets = || daemon.descriptors().iter().filter(|(_, target)| target.starts_with("socket:")).count();
    deadline::wait_until("the daemon is at rest", || daemon.zombies() == 0);
    let before = sockets();
    for _ in 0..40 {
        ask("127.0.0.1:2001");
        tcp("127.0.0.1:2002").all();
    }
    deadline::wait_until("as many sockets as before", || sockets() <= before);
}

fn caller_gone_before_accept(lab: &mut Lab) {
    lab.start(LINE);
    // A stopped daemon accepts nothing, so this caller is gone before it could.
    lab.signal(rustix::process::Signal::STOP);
    deadline::wait_until("the daemon stands still", || {
        lab.daemon().status_value("State").is_some_and(|state| state.starts_with('T'))
    });
    tcp("127.0.0.1:2001").reset();
    lab.signal(rustix::process::Signal::CONT);
    ask("127.0.0.1:2001");
    lab.assert_serves();
}

fn callers_who_reset(lab: &mut Lab) {
    lab.start(LINE);
    for _ in 0..50 {
        tcp("127.0.0.1:2001").reset();
    }
    ask("127.0.0.1:2001");
    lab.assert_serves();
}
