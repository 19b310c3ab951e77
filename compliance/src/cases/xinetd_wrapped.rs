//! hosts.allow and hosts.deny, which xinetd asks for every service: by which name, and what it says.

use crate::cases::tcpd::tables;
use crate::cases::xinetd_conf::{defaults, internal, service, service_without};
use crate::cases::{Case, case};
use crate::client::{ask, tcp};
use crate::lab::Lab;
use crate::report::END;
use crate::server::Server::Xinetd;
use crate::syslog::FACILITY_DAEMON;

pub const CASES: &[Case] = &[
    case(
        "by_the_name_of_the_program",
        "libwrap: \"which defaults to the server name\"",
        by_the_name_of_the_program,
    ),
    case(
        "by_the_first_argument",
        "libwrap: \"the first server_args component with NAMEINARGS\", without its folder",
        by_the_first_argument,
    ),
    case(
        "by_the_name_of_an_internal_service",
        "libwrap: \"the id for internal services\"",
        by_the_name_of_internal,
    ),
    case(
        "by_the_name_of_a_redirected_service",
        "libwrap: \"the service name for redirected services\"",
        by_the_name_of_redirected,
    ),
    case(
        "by_a_name_that_is_said",
        "\"overrides the service name passed to libwrap\"",
        by_a_name_that_is_said,
    ),
    case(
        "refusal_is_logged",
        "access_control(): `libwrap refused connection to ID (libwrap=NAME) from ADDRESS`, and FAIL",
        refusal_is_logged,
    ),
    case(
        "who_is_let_in_is_not_logged",
        "access_control(): nothing is said of who is let in",
        who_is_let_in_is_not_logged,
    ),
    case("nolibwrap", "\"This disables internal calling of the tcpwrap library\"", nolibwrap),
    case(
        "an_edit_counts_at_once",
        "hosts_access() reads the tables for every caller",
        an_edit_counts_at_once,
    ),
    case(
        "wait_services_are_not_asked_for",
        "\"access control on the address of the remote host is not performed when wait is yes and socket_type is stream\"",
        wait_services,
    ),
    case("banner_fail", "\"This banner is printed immediately upon denial of access\"", banner_fail),
    case("an_ipv4_caller_of_both_families", "libwrap takes ::ffff:127.0.0.2 for 127.0.0.2", an_ipv4_caller),
    case("tables_that_cannot_be_read", "what cannot be read lets nobody in", tables_that_cannot_be_read),
    case(
        "tables_that_only_root_reads",
        "tables are asked as they are, whoever the program runs as",
        tables_of_root,
    )
    .ignored(&[(Xinetd, "asks as the service's user, who may not read them, and refuses")]),
];

const PLACE: &str = "127.0.0.1:2001";
const LOG: &str = "log_type = SYSLOG daemon\nlog_on_failure = HOST\nlog_on_success = HOST";

fn start(lab: &mut Lab, lines: &str) {
    lab.start(&format!("{}{}", defaults(LOG), service("probed", 2001, lines)));
}

fn is_served() -> bool {
    tcp(PLACE).text().contains(END)
}

fn by_the_name_of_the_program(lab: &mut Lab) {
    tables("", "probe: ALL\n");
    start(lab, "");
    assert!(!is_served());
    tables("", "probed: ALL\n");
    assert!(is_served());
}

fn by_the_first_argument(lab: &mut Lab) {
    tables("", "other: ALL\n");
    start(lab, "flags = NAMEINARGS\nserver_args = /usr/sbin/other x");
    assert!(!is_served());
    tables("", "probe: ALL\n");
    assert!(is_served());
}

fn by_the_name_of_internal(lab: &mut Lab) {
    tables("", "daytime: ALL\n");
    lab.start(&internal("daytime", "stream", ""));
    assert_eq!(tcp("127.0.0.1:13").text(), "");
    tables("", "other: ALL\n");
    assert!(!tcp("127.0.0.1:13").text().is_empty());
}

fn by_the_name_of_redirected(lab: &mut Lab) {
    tables("", "moved: ALL\n");
    let moved = service("moved", 2002, "redirect = 127.0.0.1 2001");
    lab.start(&format!("{}{moved}", service("probed", 2001, "")));
    assert_eq!(tcp("127.0.0.1:2002").text(), "");
    tables("", "true: ALL\n");
    assert!(tcp("127.0.0.1:2002").text().contains(END));
}

fn by_a_name_that_is_said(lab: &mut Lab) {
    tables("", "special: ALL\n");
    start(lab, "libwrap = special");
    assert!(!is_served());
    tables("", "probe: ALL\n");
    assert!(is_served());
}

fn refusal_is_logged(lab: &mut Lab) {
    tables("", "probe: 127.0.0.1\n");
    start(lab, "id = known");
    assert!(!is_served());
    let message = lab.syslog.expect("libwrap refused connection to known (libwrap=probe) from 127.0.0.1");
    assert_eq!((message.ident.as_str(), message.facility), ("xinetd", FACILITY_DAEMON));
    lab.syslog.expect("FAIL: known libwrap from=127.0.0.1");
    assert_eq!(lab.starts(), 0);
}

fn who_is_let_in_is_not_logged(lab: &mut Lab) {
    tables("ALL: ALL\n", "ALL: ALL\n");
    start(lab, "");
    assert!(is_served());
    lab.syslog.expect("START: probed from=127.0.0.1");
    assert_eq!(
        lab.syslog.count(|message| message.text.contains("allow") || message.text.contains("let in")),
        0
    );
}

fn nolibwrap(lab: &mut Lab) {
    tables("", "ALL: ALL\n");
    start(lab, "flags = NOLIBWRAP");
    assert!(is_served());
}

fn an_edit_counts_at_once(lab: &mut Lab) {
    start(lab, "");
    assert!(is_served());
    tables("", "probe: ALL\n");
    assert!(!is_served());
    tables("probe: 127.\n", "probe: ALL\n");
    assert!(is_served());
}

fn wait_services(lab: &mut Lab) {
    tables("", "probe: 127.0.0.1\n");
    start(lab, "wait = yes");
    ask(PLACE);
}

fn banner_fail(lab: &mut Lab) {
    tables("", "ALL: ALL\n");
    std::fs::write("/etc/fail", "go away\n").expect("/etc is ours");
    start(lab, "banner_fail = /etc/fail");
    assert_eq!(tcp(PLACE).text(), "go away\n");
}

fn an_ipv4_caller(lab: &mut Lab) {
    tables("", "probe: 127.0.0.1\n");
    lab.start(&service_without(&["bind"], "probed", 2001, ""));
    assert!(!is_served());
    ask("[::1]:2001");
}

fn only_root_reads_them(allow: &str, deny: &str) {
    tables(allow, deny);
    for name in ["/etc/hosts.allow", "/etc/hosts.deny"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(name, mode).expect("/etc is ours");
    }
}

fn tables_that_cannot_be_read(lab: &mut Lab) {
    only_root_reads_them("", "ALL: ALL\n");
    start(lab, "");
    assert!(!is_served());
}

fn tables_of_root(lab: &mut Lab) {
    only_root_reads_them("probe: ALL\n", "ALL: ALL\n");
    start(lab, "");
    assert!(is_served());
}
