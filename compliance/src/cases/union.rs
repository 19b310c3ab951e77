//! usherd without `--dialect`: what only one original can read is read its way, and openbsd-inetd is followed
//! where several can.

use std::fs;

use crate::cases::{Case, case};
use crate::client::{self, Fate, ask, refuses, tcp, tcp_from};
use crate::lab::Lab;
use crate::report::Report;

pub const CASES: &[Case] = &[
    case("all_in_one_file", "lines of every dialect in one file", all_in_one_file),
    case("families", "`tcp` is openbsd-inetd's, `tcp6only` is GNU's", families),
    case("freebsd_limits", "`/children/starts/children` of a source, as FreeBSD", freebsd_limits),
    case("netbsd_limits", "`:N` and `stream,N`, as NetBSD", netbsd_limits),
    case("unix_prefix", "`:user:group:mode:` in front of a path, as FreeBSD", unix_prefix),
    case("unix_mode", "a socket without prefix is for everybody, as openbsd-inetd", unix_mode),
    case("quotes_are_letters", "quotes are letters, as openbsd-inetd", quotes_are_letters),
    case("indented_comment", "an indented comment is one, in whatever place", indented_comment),
    case(
        "users_with_dots",
        "the whole word is a user first, then what stands before a mark",
        users_with_dots,
    ),
    case("one_file", "more than one file is an error, as openbsd-inetd", one_file),
    case(
        "check_says_where_they_differ",
        "`check` says what a line means to others",
        check_says_where_they_differ,
    ),
    case("check_with_a_dialect", "`check --dialect` reads as that original", check_with_a_dialect),
];

fn all_in_one_file(lab: &mut Lab) {
    fs::create_dir("/etc/more").expect("/etc is the case's own");
    fs::write("/etc/more/one", "2006 stream tcp nowait nobody /srv/probe included\n").expect("as above");
    lab.start(
        "# everything\n\
         2001 stream tcp nowait.60 nobody /srv/probe openbsd\n\
         2002 stream tcp6only nowait nobody /srv/probe gnu\n\
         2003 stream tcp nowait/10/20/5 nobody:nogroup/daemon /srv/probe freebsd\n\
         2004 stream,9 tcp nowait:60 nobody /srv/probe netbsd\n\
         2005 on protocol = tcp4, wait = no, user = nobody, exec = /srv/probe, args = keys;\n\
         .include more/*\n\
         #@ ipsec ah/require\n",
    );
    let expected =
        [(2001, "openbsd"), (2003, "freebsd"), (2004, "netbsd"), (2005, "keys"), (2006, "included")];
    for (port, name) in expected {
        assert_eq!(ask(&format!("127.0.0.1:{port}")).arguments(), [name]);
    }
    assert_eq!(ask("[::1]:2002").arguments(), ["gnu"]);
    assert!(refuses("127.0.0.1:2002"));
}

fn families(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait nobody /srv/probe probe\n2002 stream tcp6only nowait nobody /srv/probe probe\n\
         2003 stream tcp46 nowait nobody /srv/probe probe\n",
    );
    ask("127.0.0.1:2001");
    ask("[::1]:2001");
    assert!(refuses("127.0.0.1:2002"));
    ask("[::1]:2002");
    assert!(ask("127.0.0.1:2003").get("peer").starts_with("[::ffff:127.0.0.1]:"));
}

fn freebsd_limits(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait/0/0/1 nobody /srv/probe probe do=obey\n");
    let mut held = tcp_from("127.0.0.3:0", "127.0.0.1:2001");
    held.command("pid");
    assert_eq!(tcp_from("127.0.0.3:0", "127.0.0.1:2001").text(), "");
    assert!(tcp_from("127.0.0.4:0", "127.0.0.1:2001").command("pid").parse::<u32>().is_ok());
}

fn netbsd_limits(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait:2 nobody /srv/probe probe\n2002 stream,1 tcp nowait nobody /srv/probe p do=obey\n",
    );
    let short = std::time::Duration::from_millis(700);
    assert_eq!((0..4).take_while(|_| tcp("127.0.0.1:2001").fate(short) == Fate::Answered).count(), 2);
    let mut held = tcp("127.0.0.1:2002");
    held.command("pid");
    let mut next = tcp("127.0.0.1:2002");
    next.send("pid\n");
    assert_eq!(next.fate(short), Fate::Waiting);
    drop(held);
    assert!(next.line().parse::<u32>().is_ok());
}

fn unix_prefix(lab: &mut Lab) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    lab.start(":alice:printers:620:/run/lab.sock stream unix nowait nobody /srv/probe probe\n");
    let found = fs::metadata("/run/lab.sock").expect("the socket is there");
    assert_eq!((found.uid(), found.gid(), found.permissions().mode() & 0o7777), (1501, 1602, 0o620));
    Report::parse(&client::unix("/run/lab.sock").all());
}

fn unix_mode(lab: &mut Lab) {
    use std::os::unix::fs::PermissionsExt;
    lab.start("/run/lab.sock stream unix nowait nobody /srv/probe probe\n");
    let found = fs::metadata("/run/lab.sock").expect("the socket is there");
    assert_eq!(found.permissions().mode() & 0o7777, 0o666);
}

fn quotes_are_letters(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe \"a b\" c'd\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "\"a", "b\"", "c'd"]);
}

fn indented_comment(lab: &mut Lab) {
    lab.start(
        "  # before\n2001 stream tcp nowait nobody /srv/probe probe one\n  # amid\n  two\n\t# behind\n",
    );
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "one", "two"]);
}

fn users_with_dots(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait dot.user /srv/probe probe\n2002 stream tcp nowait dot.user.bob /srv/probe probe\n\
         2003 stream tcp nowait dot.user:bob /srv/probe probe\n2004 stream tcp nowait alice.bob /srv/probe probe\n",
    );
    let expected = [(2001, 1503, 1503), (2002, 1503, 1502), (2003, 1503, 1502), (2004, 1501, 1502)];
    for (port, user, group) in expected {
        let report = ask(&format!("127.0.0.1:{port}"));
        assert_eq!(report.get("Uid"), [user; 4].map(|id| id.to_string()).join(" "), "port {port}");
        assert_eq!(report.get("Gid"), [group; 4].map(|id| id.to_string()).join(" "), "port {port}");
    }
}

fn one_file(lab: &mut Lab) {
    lab.write_config("");
    let mut launch = lab.launch_with(&["/etc/inetd.conf", "/etc/inetd.conf"]);
    launch.mode = crate::daemon::Mode::Daemon;
    assert_eq!(launch.spawn().wait().code(), Some(1));
}

const DIFFERENT: &str = "2001 stream tcp nowait nobody /srv/probe probe \"a b\"\n";

fn check_says_where_they_differ(lab: &mut Lab) {
    fs::write("/etc/checked.conf", DIFFERENT).expect("/etc is the case's own");
    let (code, said) = lab.check(&["/etc/checked.conf"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("an IPv4 and an IPv6 socket here, an IPv4 socket to gnu"), "{said}");
    assert!(said.contains("\"a b\""), "{said}");
}

fn check_with_a_dialect(lab: &mut Lab) {
    fs::write("/etc/checked.conf", DIFFERENT).expect("/etc is the case's own");
    let (code, said) = lab.check(&["--dialect", "gnu", "/etc/checked.conf"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("dialects-differ"), "{said}");
}
