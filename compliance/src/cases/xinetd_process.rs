//! What a program of an xinetd.conf is given: arguments, user, groups, limits, environment, descriptors.

use crate::cases::xinetd_conf::{defaults, service};
use crate::cases::{Case, case};
use crate::client::{ask, tcp, udp};
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::server::Server::Xinetd;

pub const CASES: &[Case] = &[
    case(
        "argv0_is_the_base_name",
        "\"In contrast to inetd, the server name should not be included in server_args\"",
        argv0_is_the_base_name,
    ),
    case(
        "nameinargs",
        "\"This will cause the first argument in \"server_args\" to be argv[0] when executing the server\"",
        nameinargs,
    ),
    case("nameinargs_in_any_order", "flags can stand behind server_args", nameinargs_in_any_order)
        .ignored(&[(Xinetd, "the process that is to become the program dies of SIGSEGV")]),
    case(
        "nameinargs_without_arguments",
        "fix_server_argv(): \"Must specify server args if using NAMEINARGS flag\"",
        nameinargs_without_arguments,
    ),
    case("user_by_name", "user_parser(): uid and primary group of the user, and no others", user_by_name),
    case("user_by_number", "\"The user attribute can either be numeric or a name\"", user_by_number),
    case(
        "number_without_a_name",
        "user_parser(): a number that no user has is the group, too",
        number_without_a_name,
    ),
    case(
        "nice_that_only_root_may_set",
        "a negative priority holds, whoever the program runs as",
        negative_nice,
    )
    .ignored(&[(Xinetd, "sets it as the service's user, who may not")]),
    case("group_by_name", "\"determines the gid for the server process\"", group_by_name),
    case("group_by_number", "\"The group attribute can either be numeric or a name\"", group_by_number),
    case(
        "root_has_no_groups_either",
        "set_credentials(): the same for every user",
        root_has_no_groups_either,
    ),
    case(
        "groups",
        "\"If the groups attribute is set to \"yes\", then the server is executed with access to the groups that the server's effective UID has access to\"",
        groups,
    ),
    case(
        "groups_with_another_group",
        "set_credentials(): initgroups(3) with the user's own group, whatever group says",
        groups_with_another_group,
    ),
    case("umask", "\"Sets the inherited umask for the service. Expects an octal value\"", umask),
    case("usual_umask", "\"xinetd sets its own umask to the previous umask OR'd with 022\"", usual_umask),
    case("nice", "\"determines the server priority\"", nice),
    case(
        "rlimits",
        "rlimit_*: \"a positive integer representing the number of bytes\" with K or M, or UNLIMITED",
        rlimits,
    ),
    case("rlimit_files", "exec_server(): RLIMIT_NOFILE", rlimit_files),
    case("rlimits_of_nothing", "exec_server(): a limit of 0 is not set", rlimits_of_nothing),
    case(
        "rlimit_that_cannot_be_set",
        "exec_server(): what setrlimit(2) refuses is passed over",
        rlimit_that_cannot_be_set,
    ),
    case("rlimit_of_minus_one", "parse_ull(): strtoull(3) makes RLIM_INFINITY of it", rlimit_of_minus_one),
    case("nice_beyond_the_ends", "nice(2) goes as far as it can", nice_beyond_the_ends),
    case("plus_in_front", "parse_int(), parse_base10(): strtol(3) passes over a plus", plus_in_front),
    case("env", "\"These strings will be added to the environment before starting a server\"", env),
    case(
        "whole_environment",
        "\"the server's environment will include xinetd's environment plus the specified strings\"",
        whole_environment,
    ),
    case(
        "passenv",
        "\"a list of environment variables from xinetd's environment that will be passed to the server\"",
        passenv,
    ),
    case(
        "passenv_of_nothing",
        "\"An empty list implies passing no variables to the server except for those explicitly defined using the env attribute\"",
        passenv_of_nothing,
    ),
    case("remote_host", "\"REMOTE_HOST Contains the IP address of the client\"", remote_host),
    case("remote_host_of_datagrams", "child_process(): for datagrams too", remote_host_of_datagrams),
    case(
        "clean_process",
        "descriptors 0, 1 and 2, a session of its own, no signal blocked or ignored",
        clean_process,
    ),
    case("folder", "no_control_tty(), main(): the folder is /, wherever xinetd was started", folder),
    case(
        "wait_stream",
        "\"When wait is yes and socket_type is stream, the socket passed to the server can only accept connections\"",
        wait_stream,
    ),
    case(
        "wait_runs_one",
        "\"xinetd will start the server and then it will stop handling requests for the service until the server dies\"",
        wait_runs_one,
    ),
    case(
        "wait_datagrams",
        "\"Services in this group are usually datagram-based\": the program gets the socket with the first packet in it",
        wait_datagrams,
    ),
    case(
        "waiting_datagrams_start_it_again",
        "a packet that the program leaves in the socket is the next caller",
        waiting_datagrams,
    )
    .not_run(&[(Xinetd, "throws away what has come when the program ends: a matter of luck")]),
    case(
        "many_at_once",
        "\"multi-threaded […] xinetd will keep handling new service requests\"",
        many_at_once,
    ),
];

const PLACE: &str = "127.0.0.1:2001";
const DATAGRAM: &str = "socket_type = dgram\nprotocol = udp\nwait = yes\nserver_args = do=obey";

fn start(lab: &mut Lab, lines: &str) {
    lab.start(&service("probed", 2001, lines));
}

fn start_with_environment(lab: &mut Lab, lines: &str) {
    let mut launch = lab.launch();
    launch.environment =
        [("ONE", "1"), ("TWO", "2")].map(|(name, value)| (name.into(), value.into())).to_vec();
    lab.start_with(launch, &service("probed", 2001, lines));
}

fn argv0_is_the_base_name(lab: &mut Lab) {
    start(lab, "server_args = one two");
    assert_eq!(ask(PLACE).arguments(), ["probe", "one", "two"]);
}

fn nameinargs(lab: &mut Lab) {
    start(lab, "flags = NAMEINARGS\nserver_args = /a/name one");
    assert_eq!(ask(PLACE).arguments(), ["/a/name", "one"]);
}

fn nameinargs_in_any_order(lab: &mut Lab) {
    start(lab, "server_args = name one\nflags = NAMEINARGS");
    assert_eq!(ask(PLACE).arguments(), ["name", "one"]);
}

fn nameinargs_without_arguments(lab: &mut Lab) {
    lab.start(&format!("{}{}", service("probed", 2001, "flags = NAMEINARGS"), service("other", 2002, "")));
    ask("127.0.0.1:2002");
    assert!(crate::client::refuses(PLACE));
}

fn ids_of(report: &Report) -> (&str, &str, &str) {
    (report.get("Uid"), report.get("Gid"), report.get("Groups"))
}

fn user_by_name(lab: &mut Lab) {
    start(lab, "user = alice");
    assert_eq!(ids_of(&ask(PLACE)), ("1501 1501 1501 1501", "1501 1501 1501 1501", ""));
}

fn user_by_number(lab: &mut Lab) {
    start(lab, "user = 1502\ngroup = bob");
    assert_eq!(ids_of(&ask(PLACE)), ("1502 1502 1502 1502", "1502 1502 1502 1502", ""));
}

fn number_without_a_name(lab: &mut Lab) {
    start(lab, "user = 4242");
    assert_eq!(ids_of(&ask(PLACE)), ("4242 4242 4242 4242", "4242 4242 4242 4242", ""));
}

fn negative_nice(lab: &mut Lab) {
    start(lab, "nice = -3");
    assert_eq!(ask(PLACE).get("nice"), "-3");
}

fn group_by_name(lab: &mut Lab) {
    start(lab, "user = alice\ngroup = other");
    assert_eq!(ids_of(&ask(PLACE)), ("1501 1501 1501 1501", "1603 1603 1603 1603", ""));
}

fn group_by_number(lab: &mut Lab) {
    start(lab, "user = alice\ngroup = 1603");
    assert_eq!(ids_of(&ask(PLACE)), ("1501 1501 1501 1501", "1603 1603 1603 1603", ""));
}

fn root_has_no_groups_either(lab: &mut Lab) {
    start(lab, "user = root\ngroup = other");
    assert_eq!(ids_of(&ask(PLACE)), ("0 0 0 0", "1603 1603 1603 1603", ""));
}

fn groups(lab: &mut Lab) {
    start(lab, "user = alice\ngroups = yes");
    assert_eq!(ids_of(&ask(PLACE)), ("1501 1501 1501 1501", "1501 1501 1501 1501", "1501 1601 1602"));
}

fn groups_with_another_group(lab: &mut Lab) {
    start(lab, "user = alice\ngroup = other\ngroups = yes");
    assert_eq!(ids_of(&ask(PLACE)), ("1501 1501 1501 1501", "1603 1603 1603 1603", "1501 1601 1602"));
}

fn umask(lab: &mut Lab) {
    start(lab, "umask = 0137");
    assert_eq!(ask(PLACE).get("Umask"), "0137");
}

fn usual_umask(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.umask = Some(0o005);
    lab.start_with(launch, &service("probed", 2001, ""));
    assert_eq!(ask(PLACE).get("Umask"), "0027");
}

fn nice(lab: &mut Lab) {
    start(lab, "nice = 7");
    assert_eq!(ask(PLACE).get("nice"), "7");
}

fn rlimits(lab: &mut Lab) {
    start(
        lab,
        "rlimit_as = 700M\nrlimit_cpu = 20\nrlimit_data = 300000K\nrlimit_rss = 123456\nrlimit_stack = UNLIMITED",
    );
    let report = ask(PLACE);
    assert_eq!(report.get("limit[Max-address-space]"), "734003200 734003200");
    assert_eq!(report.get("limit[Max-cpu-time]"), "20 20");
    assert_eq!(report.get("limit[Max-data-size]"), "307200000 307200000");
    assert_eq!(report.get("limit[Max-resident-set]"), "123456 123456");
    assert_eq!(report.get("limit[Max-stack-size]"), "unlimited unlimited");
}

fn rlimit_files(lab: &mut Lab) {
    start(lab, "rlimit_files = 77");
    assert_eq!(ask(PLACE).get("nofile"), "77 77");
}

fn rlimits_of_nothing(lab: &mut Lab) {
    const LIMITS: [&str; 5] =
        ["Max-address-space", "Max-cpu-time", "Max-data-size", "Max-resident-set", "Max-stack-size"];
    let zero =
        "rlimit_as = 0\nrlimit_cpu = 0\nrlimit_data = 0K\nrlimit_files = 0\nrlimit_rss = 0\nrlimit_stack = 0";
    lab.start(&format!("{}{}", service("probed", 2001, zero), service("other", 2002, "")));
    let (zero, unsaid) = (ask(PLACE), ask("127.0.0.1:2002"));
    for name in LIMITS.map(|name| format!("limit[{name}]")).iter().map(String::as_str).chain(["nofile"]) {
        assert_eq!(zero.get(name), unsaid.get(name), "{name}");
    }
}

fn rlimit_that_cannot_be_set(lab: &mut Lab) {
    let values = ["UNLIMITED", "99999999999", "2000M", "-1"];
    let text: String = (2001..)
        .zip(values)
        .map(|(port, value)| service(&format!("files-{port}"), port, &format!("rlimit_files = {value}")))
        .collect();
    lab.start(&text);
    for (port, value) in (2001..).zip(values) {
        assert!(!ask(&format!("127.0.0.1:{port}")).get("nofile").is_empty(), "{value}");
    }
}

fn rlimit_of_minus_one(lab: &mut Lab) {
    start(lab, "rlimit_stack = -1");
    assert_eq!(ask(PLACE).get("limit[Max-stack-size]"), "unlimited unlimited");
}

fn nice_beyond_the_ends(lab: &mut Lab) {
    let values = [("20", "19"), ("100", "19"), ("99999999999", "19"), ("-21", "-20")];
    let text: String = (2001..)
        .zip(values)
        .map(|(port, (value, _))| {
            service(&format!("nice-{port}"), port, &format!("user = root\nnice = {value}"))
        })
        .collect();
    lab.start(&text);
    for (port, (value, meant)) in (2001..).zip(values) {
        assert_eq!(ask(&format!("127.0.0.1:{port}")).get("nice"), meant, "{value}");
    }
}

fn plus_in_front(lab: &mut Lab) {
    lab.start(&service(
        "probed",
        2001,
        "port = +2001\nnice = +7\numask = +137\ninstances = +5\nper_source = +5\ncps = +10 +1\nrlimit_cpu = +20",
    ));
    let report = ask(PLACE);
    let found = ["nice", "Umask", "limit[Max-cpu-time]"].map(|name| report.get(name));
    assert_eq!(found, ["7", "0137", "20 20"]);
}

fn env(lab: &mut Lab) {
    start_with_environment(lab, "env = NEW=a=b ONE=other EMPTY=");
    let report = ask(PLACE);
    let found = ["NEW", "ONE", "TWO", "EMPTY"].map(|name| report.environment(name).map(str::trim));
    assert_eq!(found, [Some("a=b"), Some("other"), Some("2"), Some("")]);
}

fn whole_environment(lab: &mut Lab) {
    start_with_environment(lab, "");
    let report = ask(PLACE);
    assert_eq!((report.environment("ONE"), report.environment("TWO")), (Some("1"), Some("2")));
    assert!(report.environment("PATH").is_some());
}

fn passenv(lab: &mut Lab) {
    start_with_environment(lab, "passenv = ONE NOSUCH\nenv = NEW=n");
    let report = ask(PLACE);
    let found = ["ONE", "TWO", "NEW", "PATH"].map(|name| report.environment(name));
    assert_eq!(found, [Some("1"), None, Some("n"), None]);
}

fn passenv_of_nothing(lab: &mut Lab) {
    start_with_environment(lab, "passenv =\nenv = NEW=n");
    let report = ask(PLACE);
    let found = ["ONE", "TWO", "NEW", "PATH", "REMOTE_HOST"].map(|name| report.environment(name));
    assert_eq!(found, [None, None, Some("n"), None, Some("127.0.0.1")]);
}

fn remote_host(lab: &mut Lab) {
    start(lab, "env = REMOTE_HOST=forged");
    assert_eq!(ask(PLACE).environment("REMOTE_HOST"), Some("127.0.0.1"));
}

fn remote_host_of_datagrams(lab: &mut Lab) {
    start(lab, DATAGRAM);
    let report = Report::parse(&udp(PLACE).ask("report"));
    assert_eq!(report.environment("REMOTE_HOST"), Some("127.0.0.1"));
}

fn clean_process(lab: &mut Lab) {
    start(lab, "");
    let report = ask(PLACE);
    assert_eq!(report.get("fds"), "0 1 2");
    assert_eq!(report.get("sid"), report.get("pid"));
    let none = "0000000000000000";
    assert_eq!((report.get("SigBlk"), report.get("SigIgn"), report.get("SigCgt")), (none, none, none));
    assert_eq!(report.get("nonblocking[0]"), "false");
}

fn folder(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.folder = "/tmp".to_owned();
    lab.start_with(launch, &service("probed", 2001, ""));
    assert_eq!(ask(PLACE).get("cwd"), "/");
}

fn wait_stream(lab: &mut Lab) {
    start(lab, "wait = yes");
    let report = ask(PLACE);
    assert_eq!((report.get("listening"), report.get("fds")), ("true", "0 1 2"));
    assert_eq!(ask(PLACE).get("listening"), "true");
    assert_eq!(lab.starts(), 2);
}

fn wait_runs_one(lab: &mut Lab) {
    start(lab, "wait = yes\nserver_args = do=obey");
    let first = tcp(PLACE).command("pid");
    assert_eq!(tcp(PLACE).command("pid"), first);
    tcp(PLACE).send("exit 0\n");
    deadline::wait_until("another one serves", || {
        let mut caller = tcp(PLACE);
        caller.send("pid\n");
        caller.end_writing();
        let answer = caller.text();
        !answer.is_empty() && answer.trim_end() != first
    });
}

fn wait_datagrams(lab: &mut Lab) {
    start(lab, DATAGRAM);
    let caller = udp(PLACE);
    let first = caller.command("pid");
    assert_eq!(caller.command("pid"), first);
    let report = Report::parse(&caller.ask("report"));
    assert_eq!((report.get("fds"), report.get("listening")), ("0 1 2", "false"));
    caller.send("exit 0");
    deadline::wait_until("another one serves", || {
        caller.send("pid");
        let answer = caller.try_receive(std::time::Duration::from_millis(100));
        answer.is_some_and(|answer| String::from_utf8_lossy(&answer).trim_end() != first)
    });
}

fn waiting_datagrams(lab: &mut Lab) {
    start(lab, &DATAGRAM.replace("server_args = do=obey", ""));
    let callers = [udp(PLACE), udp(PLACE)];
    for caller in &callers {
        caller.send("x");
    }
    let pids = callers.map(|caller| Report::parse(&caller.receive()).get("pid").to_owned());
    assert_ne!(pids[0], pids[1]);
}

fn many_at_once(lab: &mut Lab) {
    lab.start(&format!("{}{}", defaults("cps = 200 10"), service("probed", 2001, "server_args = do=obey")));
    let mut callers: Vec<_> = (0..30).map(|_| tcp(PLACE)).collect();
    let mut pids: Vec<String> = callers.iter_mut().map(|caller| caller.command("pid")).collect();
    pids.sort();
    pids.dedup();
    assert_eq!(pids.len(), 30);
}
