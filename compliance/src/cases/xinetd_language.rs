//! xinetd.conf as a language: blocks, operators, defaults, files that are included, and what is wrong with them.

use std::fs;

use crate::cases::xinetd_conf::{defaults, service, service_without};
use crate::cases::{Case, case};
use crate::client::{ask, refuses, tcp};
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::sandbox::ORIGINALS;
use crate::server::Server::{UsherdXinetd, Xinetd};
use crate::sockets;

pub const CASES: &[Case] = &[
    case("listed_service", "port: the port that /etc/services has for the service's name", listed_service),
    case("words_of_either_case", "parse.c: EQ() compares words without regard to case", words_of_either_case),
    case(
        "comments",
        "\"Any line whose first non-white-space character is a '#' is considered a comment line. Empty lines are ignored.\"",
        comments,
    ),
    case("no_comment_behind_values", "next_line(): a `#` behind something is a value", no_comment_behind_values),
    case("no_quotes", "parse_line(): values are separated by blanks and tabs, and nothing is quoted", no_quotes),
    case("many_arguments", "server_args has any number of values", many_arguments),
    case("defaults_hold", "the defaults hold for services that say nothing else", defaults_hold),
    case(
        "defaults_of_a_file_stand_once",
        "parse_conf_file(): \"only 1 defaults entry is allowed. This entry will be ignored\"",
        defaults_of_a_file_stand_once,
    ),
    case(
        "unknown_attribute",
        "identify_attribute(): \"We simply ignore keywords not on the list\", and `bad service attribute: NAME` is logged",
        unknown_attribute,
    ),
    case(
        "operators_change_sets",
        "\"'+=' means adding a value to the set and '-=' means removing a value from the set\"",
        operators_change_sets,
    ),
    case(
        "lines_of_defaults_add_up",
        "identify_attribute(): \"For the defaults entry, '=' and '+=' have the same meaning\"",
        lines_of_defaults_add_up,
    ),
    case("set_twice", "identify_attribute(): \"attribute already set\", and the first one holds", set_twice),
    case(
        "no_blank_before_the_operator",
        "`instances=1` means one thing only, and the service has the limit",
        no_blank_before_the_operator,
    )
    .ignored(&[(Xinetd, "\"Attribute instances=1 needs a space before operator\": the service is left out")]),
    case("disable", "\"This will result in the service being disabled and not starting\"", disable),
    case("disabled", "\"disabled\" takes a list of ids to switch off", disabled),
    case("enabled", "\"This will enable only the services listed as arguments to this attribute\"", enabled),
    case("disabled_beats_enabled", "a service on both lists is off", disabled_beats_enabled),
    case(
        "disable_beats_enabled",
        "\"the service \"disable\" attribute […] can prevent a service from being enabled despite being listed\"",
        disable_beats_enabled,
    ),
    case("ids_tell_services_apart", "id: \"there exist services that can use different protocols\"", ids),
    case("enabled_takes_ids", "\"Takes a list of service ID's to enable\", not of names", enabled_takes_ids),
    case("unlisted_needs_a_port", "check_entry(): an UNLISTED service without a port is left out", unlisted_needs_a_port),
    case("a_name_that_is_not_listed", "\"if this is a service not listed in a standard system file\"", not_listed)
        .ignored(&[(UsherdXinetd, "opens the port that is said, with a warning")]),
    case(
        "port_of_a_listed_service",
        "\"If this attribute is specified for a service listed in /etc/services, it must be equal to the port number listed in that file\"",
        port_of_a_listed_service,
    )
    .ignored(&[(UsherdXinetd, "opens the port that is said, with a warning")]),
    case("unknown_user", "user_parser(): \"Unknown user\": nobody is served", unknown_user),
    case("bad_value", "\"Error parsing attribute NAME - DISABLING SERVICE\": that one, and no other", bad_value),
    case("what_must_be_said", "a service without socket_type, wait, user or server is left out", what_must_be_said),
    case("protocol_follows_the_type", "\"the default protocol employed by the service will be used\"", protocol_follows),
    case("type_follows_the_protocol", "check_entry(): protocol tcp makes socket_type stream", type_follows),
    case("include", "\"The file is then parsed as a new configuration file\"", include),
    case("include_of_nothing", "parse_conf_file(): \"Unable to open included configuration file\", and it goes on", include_of_nothing),
    case(
        "includedir",
        "\"excluding files with names containing a dot ('.') or ending with a tilde ('~')\"",
        includedir,
    ),
    case(
        "includedir_in_order",
        "\"The files will be parsed in alphabetical order according to the C locale\"",
        includedir_in_order,
    ),
    case("files_of_debian", "the files that the package has in /etc/xinetd.d, each of them switched on", files_of_debian),
    case("line_outside_of_blocks", "find_next_entry(): \"missing service keyword\": all to the next `}` is left out", line_outside),
    case("unclosed_block", "parse_entry(): \"incomplete entry\": the last block is left out", unclosed_block),
    case("a_program_that_is_not_there_yet", "the program is looked for when somebody calls", program_not_there)
        .ignored(&[(Xinetd, "a program that is missing when the file is read costs the service")]),
    case("first_of_two_on_a_socket", "activate_service(): \"bind failed\": the second does not start", first_of_two),
    case("duplicate_ids", "\"This attribute is used to uniquely identify a service\": the second is left out", duplicate_ids)
        .ignored(&[(Xinetd, "both are served")]),
    case("limit_with_too_many_values", "a limit that cannot be read is no reason to serve without one", too_many_values)
        .ignored(&[(Xinetd, "\"attribute instances expects 1 values and 2 were specified\": the line is left out")]),
    case("operator_that_an_attribute_does_not_take", "a limit that cannot be read is no reason to serve without one", bad_operator)
        .ignored(&[(Xinetd, "the line is left out")]),
    case("wrong_defaults", "a fatal error in the defaults: no service is served with others than were meant", wrong_defaults),
    case("windows_line_ends", "a file with CR before each LF is read", windows_line_ends)
        .ignored(&[(Xinetd, "the CR is part of the last value")]),
];

const PLACE: &str = "127.0.0.1:2001";
const OTHER: &str = "127.0.0.1:2002";

/// The second service, which has to be there whatever becomes of the first.
fn other() -> String {
    service("other", 2002, "")
}

fn arguments(address: &str) -> Vec<String> {
    ask(address).arguments().into_iter().map(str::to_owned).collect()
}

fn listed_service(lab: &mut Lab) {
    lab.start(
        "service labone\n{\n socket_type = stream\n wait = no\n user = nobody\n server = /srv/probe\n}\n",
    );
    assert_eq!(ask("127.0.0.1:2101").arguments(), ["probe"]);
}

fn words_of_either_case(lab: &mut Lab) {
    lab.start(
        "SERVICE upper\n{\n Type = unlisted\n SOCKET_TYPE = Stream\n protocol = tcp\n Port = 2001\n Wait = NO\n \
         User = nobody\n SERVER = /srv/probe\n Flags = ipv4 nolibwrap\n Log_On_Success = pid\n Disable = No\n}\n",
    );
    assert_eq!(ask(PLACE).arguments(), ["probe"]);
}

fn comments(lab: &mut Lab) {
    let text = service("probed", 2001, "# server_args = x\n\n   \t# and another\nserver_args = y\n");
    lab.start(&format!("# first\n\n   # second\n{text}"));
    assert_eq!(arguments(PLACE), ["probe", "y"]);
}

fn no_comment_behind_values(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "server_args = x # y"));
    assert_eq!(arguments(PLACE), ["probe", "x", "#", "y"]);
}

fn no_quotes(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "server_args =  a\t\"b c\"   'd' e\\ f"));
    assert_eq!(arguments(PLACE), ["probe", "a", "\"b", "c\"", "'d'", "e\\", "f"]);
}

fn many_arguments(lab: &mut Lab) {
    let words: Vec<String> = (0..300).map(|number| format!("w{number}")).collect();
    lab.start(&service("probed", 2001, &format!("server_args = {}", words.join(" "))));
    assert_eq!(arguments(PLACE)[1..], words);
}

fn defaults_hold(lab: &mut Lab) {
    let own =
        service_without(&["bind"], "own", 2002, "umask = 007\nbind = 127.0.0.3\ngroups = no\nuser = alice");
    let meant = service_without(&["bind"], "meant", 2001, "user = alice");
    lab.start(&format!("{}{meant}{own}", defaults("umask = 077\nbind = 127.0.0.2\ngroups = yes")));
    let report = ask("127.0.0.2:2001");
    assert_eq!((report.get("Umask"), report.get("Groups")), ("0077", "1501 1601 1602"));
    let report = ask("127.0.0.3:2002");
    assert_eq!((report.get("Umask"), report.get("Groups")), ("0007", ""));
    assert!(refuses(PLACE) && refuses("127.0.0.2:2002"));
}

fn defaults_of_a_file_stand_once(lab: &mut Lab) {
    let text =
        format!("{}{}{}", defaults("umask = 077"), defaults("umask = 007"), service("probed", 2001, ""));
    lab.start(&text);
    assert_eq!(ask(PLACE).get("Umask"), "0077");
}

fn unknown_attribute(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "colour = blue\nserver_args = x"));
    assert_eq!(arguments(PLACE), ["probe", "x"]);
    lab.syslog.expect_where("a line that names it", |message| message.text.contains("colour"));
}

fn operators_change_sets(lab: &mut Lab) {
    let text = service(
        "probed",
        2001,
        "env = ONE=1 TWO=2\nenv += THREE=3\npassenv = KEPT GONE\npassenv -= GONE\npassenv += ALSO\nserver_args = do=obey",
    );
    let mut launch = lab.launch();
    let variables = [("KEPT", "k"), ("GONE", "g"), ("ALSO", "a"), ("OTHER", "o")];
    launch.environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    lab.start_with(launch, &text);
    let mut caller = tcp(PLACE);
    caller.send("report\n");
    caller.end_writing();
    let report = Report::parse(&caller.all());
    let found = ["ONE", "TWO", "THREE", "KEPT", "ALSO", "GONE", "OTHER"].map(|name| report.environment(name));
    assert_eq!(found, [Some("1"), Some("2"), Some("3"), Some("k"), Some("a"), None, None]);
}

fn lines_of_defaults_add_up(lab: &mut Lab) {
    let text =
        format!("{}{}", defaults("passenv = ONE\npassenv = TWO"), service("probed", 2001, "passenv -= TWO"));
    let mut launch = lab.launch();
    launch.environment = ["ONE", "TWO", "THREE"].map(|name| (name.to_owned(), "1".to_owned())).to_vec();
    lab.start_with(launch, &format!("{text}{}", other()));
    let found = |address: &str| {
        let report = ask(address);
        ["ONE", "TWO", "THREE"].map(|name| report.environment(name).is_some())
    };
    assert_eq!(found(PLACE), [true, false, false]);
    assert_eq!(found(OTHER), [true, true, false]);
}

fn set_twice(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "umask = 077\numask = 007"));
    assert_eq!(ask(PLACE).get("Umask"), "0077");
}

fn no_blank_before_the_operator(lab: &mut Lab) {
    lab.start(&format!("{}{}", service("probed", 2001, "umask=077"), other()));
    ask(OTHER);
    assert_eq!(ask(PLACE).get("Umask"), "0077");
}

fn disable(lab: &mut Lab) {
    let text =
        format!("{}{}", service("probed", 2001, "disable = yes"), service("other", 2002, "disable = no"));
    lab.start(&text);
    ask(OTHER);
    assert!(refuses(PLACE));
}

fn disabled(lab: &mut Lab) {
    let text = [defaults("disabled = probed nosuch"), service("probed", 2001, ""), other()].concat();
    lab.start(&text);
    ask(OTHER);
    assert!(refuses(PLACE));
}

fn enabled(lab: &mut Lab) {
    let text = [defaults("enabled = other mark-59001"), service("probed", 2001, ""), other()].concat();
    lab.start(&text);
    ask(OTHER);
    assert!(refuses(PLACE));
}

fn disabled_beats_enabled(lab: &mut Lab) {
    let lines = "enabled = probed other mark-59001\ndisabled = probed";
    lab.start(&[defaults(lines), service("probed", 2001, ""), other()].concat());
    ask(OTHER);
    assert!(refuses(PLACE));
}

fn disable_beats_enabled(lab: &mut Lab) {
    let text =
        [defaults("enabled = probed other mark-59001"), service("probed", 2001, "disable = yes"), other()];
    lab.start(&text.concat());
    ask(OTHER);
    assert!(refuses(PLACE));
}

fn ids(lab: &mut Lab) {
    let log = defaults("log_type = SYSLOG daemon\nlog_on_success = PID");
    let first = service("same", 2001, "id = same-one\nserver_args = one");
    let second = service("same", 2002, "id = same-two\nserver_args = two");
    lab.start(&format!("{log}{first}{second}"));
    assert_eq!((arguments(PLACE)[1].as_str(), arguments(OTHER)[1].as_str()), ("one", "two"));
    lab.syslog.expect_where("a line with the id", |message| message.text.starts_with("START: same-one pid="));
    lab.syslog
        .expect_where("a line with the other", |message| message.text.starts_with("START: same-two pid="));
}

fn enabled_takes_ids(lab: &mut Lab) {
    let first = service("same", 2001, "id = same-one");
    let second = service("same", 2002, "id = same-two");
    lab.start(&[defaults("enabled = same same-two mark-59001"), first, second].concat());
    ask(OTHER);
    assert!(refuses(PLACE));
}

fn unlisted_needs_a_port(lab: &mut Lab) {
    let text = service_without(&["port"], "labone", 0, "");
    lab.start(&format!("{text}{}", other()));
    ask(OTHER);
    assert!(refuses("127.0.0.1:2101"));
}

fn not_listed(lab: &mut Lab) {
    let listed = service_without(&["type"], "nobodyknows", 2001, "");
    lab.start(&format!("{listed}{}", other()));
    ask(OTHER);
    assert!(refuses(PLACE));
}

fn port_of_a_listed_service(lab: &mut Lab) {
    let good = service_without(&["type"], "labone", 2101, "");
    let bad = service_without(&["type"], "labtwo", 2001, "");
    lab.start(&format!("{good}{bad}"));
    ask("127.0.0.1:2101");
    assert!(refuses(PLACE) && refuses("127.0.0.1:2102"));
}

fn bad_value(lab: &mut Lab) {
    let wrong = [
        "wait = perhaps",
        "socket_type = river",
        "protocol = nosuch",
        "flags = NOSUCH",
        "type = NOSUCH",
        "instances = many",
        "umask = 9",
        "nice = high",
        "cps = a b",
        "per_source = x",
        "log_type = SYSLOG nosuch",
        "log_on_success = NOSUCH",
        "rlimit_cpu = x",
        "bind = no.such.host.invalid",
        "groups = perhaps",
    ];
    let ports = 2101..;
    let bad: String =
        ports.zip(wrong).map(|(port, line)| service(&format!("bad-{port}"), port, line)).collect();
    lab.start(&format!("{bad}{}", other()));
    ask(OTHER);
    for (port, line) in (2101..).zip(wrong) {
        assert!(refuses(&format!("127.0.0.1:{port}")), "{line} should cost the service");
    }
}

fn unknown_user(lab: &mut Lab) {
    let bad =
        format!("{}{}", service("nouser", 2101, "user = nosuch"), service("nogroup", 2102, "group = nosuch"));
    lab.start(&format!("{bad}{}", other()));
    ask(OTHER);
    for address in ["127.0.0.1:2101", "127.0.0.1:2102"] {
        assert!(refuses(address) || tcp(address).text().is_empty(), "{address}");
    }
    assert_eq!(lab.starts(), 1);
}

fn what_must_be_said(lab: &mut Lab) {
    let left_out = ["wait", "user", "server"];
    let mut text = String::new();
    for (port, attribute) in (2101..).zip(left_out) {
        text.push_str(&service_without(&[attribute], &format!("bad-{port}"), port, ""));
    }
    text.push_str(&service_without(&["socket_type", "protocol"], "bad-both", 2110, ""));
    lab.start(&format!("{text}{}", other()));
    ask(OTHER);
    for port in [2101, 2102, 2103, 2110] {
        assert!(refuses(&format!("127.0.0.1:{port}")), "port {port}");
    }
}

fn protocol_follows(lab: &mut Lab) {
    lab.start(&service_without(&["type", "protocol"], "labone", 2101, ""));
    ask("127.0.0.1:2101");
}

fn type_follows(lab: &mut Lab) {
    lab.start(&service_without(&["socket_type"], "probed", 2001, ""));
    ask(PLACE);
}

fn include(lab: &mut Lab) {
    fs::write("/etc/more", format!("include /etc/most\n{}", service("probed", 2001, "")))
        .expect("/etc is ours");
    fs::write("/etc/most", service("deep", 2003, "")).expect("/etc is ours");
    lab.start(&format!("include /etc/more\n{}", other()));
    ask(PLACE);
    ask(OTHER);
    ask("127.0.0.1:2003");
}

fn include_of_nothing(lab: &mut Lab) {
    lab.start(&format!("include /etc/nosuch\nincludedir /etc/nosuch.d\n{}", other()));
    ask(OTHER);
}

fn includedir(lab: &mut Lab) {
    fs::create_dir("/etc/xinetd.d").expect("/etc is ours");
    let names = ["plain", "with-dash_0", "dot.conf", "kept~", ".hidden", "x.dpkg-new"];
    for (port, name) in (2001..).zip(names) {
        fs::write(format!("/etc/xinetd.d/{name}"), service(&format!("in-{port}"), port, "")).expect("ours");
    }
    fs::create_dir("/etc/xinetd.d/folder").expect("ours");
    fs::write("/etc/xinetd.d/folder/inner", service("inner", 2010, "")).expect("ours");
    lab.start(&format!("includedir /etc/xinetd.d\n{}", service("last", 2011, "")));
    ask("127.0.0.1:2001");
    ask("127.0.0.1:2002");
    ask("127.0.0.1:2011");
    for port in [2003, 2004, 2005, 2006, 2010] {
        assert!(refuses(&format!("127.0.0.1:{port}")), "port {port}");
    }
}

fn includedir_in_order(lab: &mut Lab) {
    fs::create_dir("/etc/xinetd.d").expect("/etc is ours");
    for (name, umask) in [("b", "01"), ("a", "02"), ("B", "03"), ("_", "04")] {
        fs::write(format!("/etc/xinetd.d/{name}"), defaults(&format!("umask = {umask}"))).expect("ours");
    }
    lab.start(&format!("includedir /etc/xinetd.d\n{}", service("probed", 2001, "")));
    assert_eq!(ask(PLACE).get("Umask"), "0003", "of B, which is the first");
}

fn files_of_debian(lab: &mut Lab) {
    fs::create_dir("/etc/xinetd.d").expect("/etc is ours");
    let folder = fs::read_dir(format!("{ORIGINALS}/xinetd/etc/xinetd.d")).expect("fetched");
    for file in folder.filter_map(Result::ok) {
        let name = file.file_name().to_string_lossy().into_owned();
        // The UDP services stand in these for a second time.
        if name.ends_with("-udp") {
            continue;
        }
        let text = fs::read_to_string(file.path()).expect("text");
        let lines = text.lines().map(|line| {
            if line.trim_start().starts_with("disable") {
                "\tdisable = no\n".to_owned()
            } else {
                format!("{line}\n")
            }
        });
        fs::write(format!("/etc/xinetd.d/{name}"), lines.collect::<String>()).expect("ours");
    }
    let text = fs::read_to_string(format!("{ORIGINALS}/xinetd/etc/xinetd.conf")).expect("fetched");
    lab.start(&text);
    for port in [7, 9, 13, 19, 37] {
        assert_eq!(sockets::tcp_listeners_on(port).len(), 1, "TCP port {port}");
        assert_eq!(sockets::udp_sockets_on(port).len(), 1, "UDP port {port}");
    }
}

fn line_outside(lab: &mut Lab) {
    let first = service("first", 2001, "");
    lab.start(&format!("{first}nonsense here\n{}{}", service("lost", 2003, ""), other()));
    ask(PLACE);
    ask(OTHER);
}

fn unclosed_block(lab: &mut Lab) {
    let text = service("probed", 2001, "");
    fs::write("/etc/unclosed", text.trim_end().trim_end_matches('}')).expect("/etc is ours");
    lab.start(&format!("include /etc/unclosed\n{}", other()));
    ask(OTHER);
    assert!(refuses(PLACE));
}

fn program_not_there(lab: &mut Lab) {
    lab.start(&service("probed", 2001, "server = /srv/later/probe"));
    std::os::unix::fs::symlink("/srv", "/srv/later").expect("/srv is ours");
    ask(PLACE);
}

fn first_of_two(lab: &mut Lab) {
    let guarded = service("guarded", 2001, "no_access = 127.0.0.1");
    let open = service("open", 2001, "server_args = open");
    lab.start(&format!("{guarded}{open}{}", other()));
    ask(OTHER);
    assert_eq!(tcp(PLACE).text(), "");
    lab.reload(&format!("{open}{guarded}"));
    deadline::wait_until("the first one is another", || tcp(PLACE).text().contains("open"));
}

fn duplicate_ids(lab: &mut Lab) {
    let second = service("second", 2002, "id = one");
    lab.start(&format!("{}{second}", service("first", 2001, "id = one")));
    ask(PLACE);
    assert!(refuses(OTHER));
}

fn too_many_values(lab: &mut Lab) {
    lab.start(&format!("{}{}", service("probed", 2001, "instances = 1 2"), other()));
    ask(OTHER);
    assert!(refuses(PLACE));
}

fn bad_operator(lab: &mut Lab) {
    lab.start(&format!("{}{}", service("probed", 2001, "instances += 1"), other()));
    ask(OTHER);
    assert!(refuses(PLACE));
}

fn wrong_defaults(lab: &mut Lab) {
    lab.write_config(&[defaults("instances = many"), other()].concat());
    let daemon = lab.start_only(&lab.launch());
    lab.syslog.expect_where("a line about it", |message| {
        message.text.contains("instances") || message.text.contains("many")
    });
    deadline::wait_until("it serves nothing", || {
        daemon.ended().is_some() || lab.syslog.count(|message| message.text.contains("working")) > 0
    });
    assert!(refuses(OTHER));
}

fn windows_line_ends(lab: &mut Lab) {
    lab.write_config(&service("probed", 2001, "server_args = x"));
    let text = fs::read_to_string("/etc/xinetd.conf").expect("just written").replace('\n', "\r\n");
    lab.write_raw_config(text);
    lab.start_only(&lab.launch());
    lab.wait_read();
    assert_eq!(arguments(PLACE), ["probe", "x"]);
}
