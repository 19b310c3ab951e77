//! What is peculiar to NetBSD's inetd, by its manual and its source: there is no original to run here.

use std::fs;
use std::time::Duration;

use crate::cases::{Case, case};
use crate::client::{self, Fate, ask, refuses, tcp, tcp_from, udp, wait_refused};
use crate::lab::Lab;
use crate::report::Report;

const LINE: &str = "2001 stream tcp nowait nobody /srv/probe probe\n";
const SHORT: Duration = Duration::from_millis(700);

pub const CASES: &[Case] = &[
    case("tcp_is_v4", "`tcp` without an address is IPv4", tcp_is_v4),
    case("tcp_has_the_family_of_its_address", "`tcp` has the family of a literal address", tcp_of_address),
    case("tcp6_is_v6_only", "`tcp6` is IPv6 only", tcp6_is_v6_only),
    case("quotes_as_in_a_shell", "skip(): quotes join what stands in them, in mid-word too", quotes),
    case("continuation", "nextline(): a line that begins with a blank goes on with the entry", continuation),
    case("colon_before_dot", "parse_v1 looks for `:` first, then for `.`", colon_before_dot),
    case("limit_behind_a_colon", "\"wait/nowait[:max]\": as many starts in a minute", limit_behind_a_colon),
    case("limit_behind_a_dot", "\"wait/nowait[.max]\" is the same", limit_behind_a_dot),
    case("default_is_40", "\"The default is 40\" starts a minute", default_is_40),
    case(
        "accept_max_in_columns",
        "\"stream,N\": programs at the same time; the next caller waits",
        accept_max,
    ),
    case("keys", "\"service on key = value, key = value;\"", keys),
    case("keys_and_columns", "both forms may stand in one file", keys_and_columns),
    case("keys_over_lines", "a definition may span lines and hold comments", keys_over_lines),
    case("keys_off", "\"off\": the definition is checked and not served", keys_off),
    case("keys_quotes_and_escapes", "quotes take the escapes of C strings", keys_quotes_and_escapes),
    case("keys_group", "`group` takes the place of the user's own", keys_group),
    case("keys_wait", "`wait = yes` hands the listener over", keys_wait),
    case("keys_datagrams", "`protocol = udp4`: the type follows from it", keys_datagrams),
    case("keys_bind", "`bind` is the address", keys_bind),
    case("keys_prefix", "the address may stand in front of the service", keys_prefix),
    case("keys_internal", "without `exec` the service is internal", keys_internal),
    case("keys_buffers", "`recvbuf` and `sndbuf` are the sizes of the listener's buffers", keys_buffers),
    case("keys_service_max", "`service_max`: as many starts in a minute", keys_service_max),
    case("keys_ip_max", "`ip_max`: as many starts in a minute for one source", keys_ip_max),
    case(
        "ip_max_of_zero_with_wait",
        "`ip_max = 0` serves nobody, of a listener that is handed over too",
        ip_max_of_zero_with_wait,
    ),
    case("keys_unknown", "an unknown key costs its definition", keys_unknown),
    case("keys_twice", "a key that stands twice costs its definition", keys_twice),
    case("keys_missing", "a program without `user` or `wait` is no definition", keys_missing),
    case(
        "keys_syntax_error",
        "a syntax error costs its definition, and not the rest of the file",
        keys_syntax_error,
    ),
    case("keys_unix", "`protocol = unix` with a socket type", keys_unix),
    case("keys_at_reload", "a changed definition holds after a reload", keys_at_reload),
    case("include", "`.include` reads another file", include),
    case("include_glob", "`.include` takes a pattern", include_glob),
    case("include_relative", "a path is seen from the file that includes it", include_relative),
    case("include_inherits_the_address", "the default address holds in what is included", include_inherits),
    case(
        "include_keeps_its_address",
        "a default address ends with the file that it stands in",
        include_keeps,
    ),
    case("include_ring", "a file that includes itself is read once", include_ring),
    case("include_nothing", "a pattern that nothing matches costs nothing", include_nothing),
    case("include_at_reload", "SIGHUP reads what is included again", include_at_reload),
    case("ipsec_is_said", "`#@` sets an IPsec policy, which is not applied here and said", ipsec_is_said),
    case("ipsec_key_is_said", "`ipsec` is not applied here and said", ipsec_key_is_said),
    case("accept_filter_is_said", "`stream:filter` is not applied here and said", accept_filter_is_said),
    case("foreground", "\"-f\": in the foreground", foreground),
];

fn arguments(lab: &mut Lab, written: &str) -> Vec<String> {
    lab.start(&format!("2001 stream tcp nowait nobody /srv/probe {written}\n"));
    ask("127.0.0.1:2001").arguments().into_iter().map(str::to_owned).collect()
}

/// How many of `callers`, one after the other, are answered.
fn answered(callers: usize) -> usize {
    (0..callers).take_while(|_| tcp("127.0.0.1:2001").fate(SHORT) == Fate::Answered).count()
}

fn tcp_is_v4(lab: &mut Lab) {
    lab.start(LINE);
    ask("127.0.0.1:2001");
    assert!(refuses("[::1]:2001"));
}

fn tcp_of_address(lab: &mut Lab) {
    lab.start("[::1]:2001 stream tcp nowait nobody /srv/probe six\n127.0.0.2:2001 stream tcp nowait nobody /srv/probe four\n");
    assert_eq!(ask("[::1]:2001").arguments(), ["six"]);
    assert_eq!(ask("127.0.0.2:2001").arguments(), ["four"]);
}

fn tcp6_is_v6_only(lab: &mut Lab) {
    lab.start("2001 stream tcp6 nowait nobody /srv/probe probe\n");
    ask("[::1]:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn quotes(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe \"a b\" c'd  e'f ''"), ["probe", "a b", "cd  ef", ""]);
}

fn continuation(lab: &mut Lab) {
    assert_eq!(arguments(lab, "probe one\n  two"), ["probe", "one", "two"]);
}

fn colon_before_dot(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait dot.user:bob /srv/probe p\n2002 stream tcp nowait alice.bob /srv/probe p\n",
    );
    let report = ask("127.0.0.1:2001");
    assert_eq!((report.get("Uid"), report.get("Gid")), ("1503 1503 1503 1503", "1502 1502 1502 1502"));
    let report = ask("127.0.0.1:2002");
    assert_eq!((report.get("Uid"), report.get("Gid")), ("1501 1501 1501 1501", "1502 1502 1502 1502"));
}

fn limit_behind_a_colon(lab: &mut Lab) {
    lab.start(&LINE.replace("nowait", "nowait:3"));
    assert_eq!(answered(6), 3);
}

fn limit_behind_a_dot(lab: &mut Lab) {
    lab.start(&LINE.replace("nowait", "nowait.3"));
    assert_eq!(answered(6), 3);
}

fn default_is_40(lab: &mut Lab) {
    lab.start(LINE);
    assert_eq!(answered(45), 40);
}

/// Two callers are served at the same time; a third waits, and is served when one of them is gone.
fn assert_two_at_a_time() {
    let mut first = tcp("127.0.0.1:2001");
    let mut second = tcp("127.0.0.1:2001");
    first.command("pid");
    second.command("pid");
    let mut third = tcp("127.0.0.1:2001");
    third.send("pid\n");
    assert_eq!(third.fate(SHORT), Fate::Waiting);
    drop(first);
    assert!(third.line().parse::<u32>().is_ok());
}

fn accept_max(lab: &mut Lab) {
    lab.start("2001 stream,2 tcp nowait nobody /srv/probe probe do=obey\n");
    assert_two_at_a_time();
}

/// A definition for port 2001 with these keys beside those that each needs.
fn definition(keys: &str) -> String {
    format!("2001 on protocol = tcp4, wait = no, user = nobody, exec = /srv/probe, {keys};\n")
}

fn keys(lab: &mut Lab) {
    lab.start(&definition("args = probe one two"));
    let report = ask("127.0.0.1:2001");
    assert_eq!(report.arguments(), ["probe", "one", "two"]);
    assert_eq!(report.get("Uid"), "65534 65534 65534 65534");
}

fn keys_and_columns(lab: &mut Lab) {
    let columns = |port: u16| format!("{port} stream tcp nowait nobody /srv/probe columns\n");
    lab.start(&format!("{}{}{}", columns(2002), definition("args = keys"), columns(2003)));
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["keys"]);
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["columns"]);
    assert_eq!(ask("127.0.0.1:2003").arguments(), ["columns"]);
}

fn keys_over_lines(lab: &mut Lab) {
    lab.start(
        "2001 on # a comment\n  protocol = tcp4,\n\nwait = no, # another; with a semicolon\nuser =\n  nobody,\n\
         exec=/srv/probe,args=probe one\n   two # the last\n;\n2002 on protocol = tcp4, wait = no, user = nobody,\n\
         exec = /srv/probe, args = next;\n",
    );
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "one", "two"]);
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["next"]);
}

fn keys_off(lab: &mut Lab) {
    lab.start(&format!(
        "{}{}",
        definition("args = p").replace("2001 on", "2002 off"),
        definition("args = p")
    ));
    ask("127.0.0.1:2001");
    assert!(refuses("127.0.0.1:2002"));
}

fn keys_quotes_and_escapes(lab: &mut Lab) {
    lab.start(&definition(r#"args = probe "a b, c; # d" 'e"f' "tab\there" "\x41\"\\" half" and "half"#));
    assert_eq!(
        ask("127.0.0.1:2001").arguments(),
        ["probe", "a b, c; # d", "e\"f", "tab\there", "A\"\\", "half and half"]
    );
}

fn keys_group(lab: &mut Lab) {
    lab.start(&definition("args = p, group = bob").replace("user = nobody", "user = alice"));
    let report = ask("127.0.0.1:2001");
    assert_eq!((report.get("Uid"), report.get("Gid")), ("1501 1501 1501 1501", "1502 1502 1502 1502"));
}

fn keys_wait(lab: &mut Lab) {
    lab.start(&definition("args = p").replace("wait = no", "wait = yes"));
    assert_eq!(ask("127.0.0.1:2001").get("listening"), "true");
}

fn keys_datagrams(lab: &mut Lab) {
    lab.start("2001 on protocol = udp4, wait = yes, user = nobody, exec = /srv/probe, args = probe;\n");
    assert_eq!(Report::parse(&udp("127.0.0.1:2001").ask("x")).arguments(), ["probe"]);
}

fn keys_bind(lab: &mut Lab) {
    lab.start(&definition("args = p, bind = 127.0.0.2"));
    assert_eq!(ask("127.0.0.2:2001").get("local"), "127.0.0.2:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn keys_prefix(lab: &mut Lab) {
    lab.start(&format!("127.0.0.2:{}", definition("args = p")));
    assert_eq!(ask("127.0.0.2:2001").get("local"), "127.0.0.2:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn keys_internal(lab: &mut Lab) {
    lab.start("daytime on protocol = tcp4, socktype = stream;\n");
    assert!(tcp("127.0.0.1:13").text().ends_with("\r\n"));
}

fn keys_buffers(lab: &mut Lab) {
    let keys = definition("args = p, recvbuf = 32k, sndbuf = 49152");
    lab.start(&keys.replace("wait = no", "wait = yes"));
    let report = ask("127.0.0.1:2001");
    // The kernel doubles what it is told (socket(7)).
    assert_eq!((report.get("rcvbuf"), report.get("sndbuf")), ("65536", "98304"));
}

fn keys_service_max(lab: &mut Lab) {
    lab.start(&definition("args = p, service_max = 3"));
    assert_eq!(answered(6), 3);
}

fn keys_ip_max(lab: &mut Lab) {
    lab.start(&definition("args = p, ip_max = 3"));
    for _ in 0..3 {
        assert_ne!(tcp_from("127.0.0.3:0", "127.0.0.1:2001").text(), "");
    }
    assert_eq!(tcp_from("127.0.0.3:0", "127.0.0.1:2001").text(), "");
    assert_ne!(tcp_from("127.0.0.4:0", "127.0.0.1:2001").text(), "");
}

fn ip_max_of_zero_with_wait(lab: &mut Lab) {
    lab.start(&definition("args = p, ip_max = 0").replace("wait = no", "wait = yes"));
    assert_eq!(answered(1), 0);
    assert_eq!(lab.starts(), 0);
    lab.assert_serves();
}

/// A wrong definition for port 2002 between two good ones.
fn assert_costs_itself(lab: &mut Lab, wrong: &str) {
    let after = "2003 on protocol = tcp4, wait = no, user = nobody, exec = /srv/probe, args = after;\n";
    lab.start(&format!("{}{wrong}\n{after}", definition("args = before")));
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["before"]);
    assert_eq!(ask("127.0.0.1:2003").arguments(), ["after"]);
    assert!(refuses("127.0.0.1:2002"));
}

const NEEDED: &str = "2002 on protocol = tcp4, wait = no, user = nobody, exec = /srv/probe";

fn keys_unknown(lab: &mut Lab) {
    assert_costs_itself(lab, &format!("{NEEDED}, nise = 5;"));
}

fn keys_twice(lab: &mut Lab) {
    assert_costs_itself(lab, &format!("{NEEDED}, user = root;"));
}

fn keys_missing(lab: &mut Lab) {
    assert_costs_itself(lab, "2002 on protocol = tcp4, wait = no, exec = /srv/probe;");
}

fn keys_syntax_error(lab: &mut Lab) {
    assert_costs_itself(lab, &format!("{NEEDED}, args = \"never closed;\n;"));
}

fn keys_unix(lab: &mut Lab) {
    lab.start(
        "/run/lab.sock on protocol = unix, socktype = stream, wait = no, user = nobody, exec = /srv/probe, args = p;\n",
    );
    assert_eq!(Report::parse(&client::unix("/run/lab.sock").all()).arguments(), ["p"]);
}

fn keys_at_reload(lab: &mut Lab) {
    lab.start(&definition("args = before"));
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["before"]);
    lab.reload(&definition("args = after"));
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["after"]);
    lab.reload(&definition("args = after").replace(" on ", " off "));
    wait_refused("127.0.0.1:2001");
}

/// Writes a file of one service, whose argv[0] is the file's path.
fn write_service(path: &str, port: u16) {
    write(path, &format!("{port} stream tcp nowait nobody /srv/probe {path}\n"));
}

fn write(path: &str, text: &str) {
    let folder = std::path::Path::new(path).parent().expect("an absolute path");
    fs::create_dir_all(folder).expect("/etc is the case's own");
    fs::write(path, text).expect("/etc is the case's own");
}

fn include(lab: &mut Lab) {
    write_service("/etc/more/one", 2002);
    lab.start(&format!(".include /etc/more/one\n{LINE}"));
    ask("127.0.0.1:2001");
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["/etc/more/one"]);
}

fn include_glob(lab: &mut Lab) {
    write_service("/etc/more/one.conf", 2002);
    write_service("/etc/more/two.conf", 2003);
    write_service("/etc/more/three.old", 2004);
    lab.start(&format!(".include /etc/more/*.conf\n{LINE}"));
    ask("127.0.0.1:2002");
    ask("127.0.0.1:2003");
    assert!(refuses("127.0.0.1:2004"));
}

fn include_relative(lab: &mut Lab) {
    write_service("/etc/more/deep/leaf", 2002);
    write("/etc/more/middle", ".include deep/leaf\n");
    lab.start(&format!(".include more/middle\n{LINE}"));
    assert_eq!(ask("127.0.0.1:2002").get("argc"), "1");
    ask("127.0.0.1:2001");
}

fn include_inherits(lab: &mut Lab) {
    write_service("/etc/more/one", 2002);
    lab.start(&format!("127.0.0.2:\n.include more/one\n{LINE}"));
    assert_eq!(ask("127.0.0.2:2002").get("local"), "127.0.0.2:2002");
    assert!(refuses("127.0.0.1:2002"));
}

fn include_keeps(lab: &mut Lab) {
    write("/etc/more/one", "127.0.0.2:\n2002 stream tcp nowait nobody /srv/probe probe\n");
    lab.start(&format!(".include more/one\n{LINE}"));
    ask("127.0.0.2:2002");
    ask("127.0.0.1:2001");
}

fn include_ring(lab: &mut Lab) {
    write(
        "/etc/ring",
        &format!(".include inetd.conf\n.include /etc/../etc/ring\n{}", LINE.replace("2001", "2002")),
    );
    lab.start(&format!(".include ring\n{LINE}"));
    ask("127.0.0.1:2001");
    ask("127.0.0.1:2002");
}

fn include_nothing(lab: &mut Lab) {
    lab.start(&format!(".include /etc/nowhere/*.conf\n.include /etc/nothing\n{LINE}"));
    ask("127.0.0.1:2001");
}

fn include_at_reload(lab: &mut Lab) {
    write_service("/etc/more/one", 2002);
    let config = format!(".include more/*\n{LINE}");
    lab.start(&config);
    ask("127.0.0.1:2002");
    fs::remove_file("/etc/more/one").expect("it is there");
    write_service("/etc/more/two", 2003);
    lab.reload(&config);
    ask("127.0.0.1:2003");
    wait_refused("127.0.0.1:2002");
}

fn assert_said(lab: &Lab, text: &str, word: &str) {
    write("/etc/checked.conf", text);
    let (code, said) = lab.check(&["/etc/checked.conf"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(word), "{said}");
}

fn ipsec_is_said(lab: &mut Lab) {
    assert_said(lab, &format!("#@ ipsec ah/require\n{LINE}"), "IPsec");
}

fn ipsec_key_is_said(lab: &mut Lab) {
    assert_said(lab, &definition("args = p, ipsec = \"in ipsec esp/transport//require\""), "IPsec");
}

fn accept_filter_is_said(lab: &mut Lab) {
    assert_said(lab, &LINE.replace("stream", "stream:dataready"), "filter");
    lab.start(&LINE.replace("stream", "stream:dataready"));
    ask("127.0.0.1:2001");
}

fn foreground(lab: &mut Lab) {
    let mut launch = lab.launch_with(&["-f"]);
    launch.mode = crate::daemon::Mode::ForegroundByCase;
    let daemon = lab.start_with(launch, LINE);
    ask("127.0.0.1:2001");
    assert!(daemon.is_alive());
}
