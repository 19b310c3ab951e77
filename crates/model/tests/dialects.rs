//! Each dialect's own meaning of what the others read differently: the lines of its manual and of its source.

mod world;

use usherd_model::config::inetd::{DialectName, compare};
use usherd_model::diagnostic::{Diagnostic, Severity};
use usherd_model::service::{Builtin, Config, FileAccess, Handover, Limits, Service, Task};
use usherd_model::supervisor::Settings;
use world::{Call, Files, Table, World, defaults, parse_as, read_as};

use DialectName::{Busybox, Freebsd, Gnu, Netbsd, Openbsd, Union};

const ALL: [DialectName; 6] = [Union, Openbsd, Gnu, Freebsd, Netbsd, Busybox];

fn load(dialect: DialectName, text: &str) -> (Config, Vec<Diagnostic>) {
    let (config, diagnostics, _) = read_as(dialect, text.as_bytes(), &defaults(), &mut Table::default());
    (config, diagnostics)
}

fn codes(dialect: DialectName, text: &str) -> Vec<&'static str> {
    load(dialect, text).1.iter().map(|diagnostic| diagnostic.code).collect()
}

#[track_caller]
fn one(dialect: DialectName, text: &str) -> Service {
    let (config, diagnostics) = load(dialect, text);
    let [service] = config.services.as_slice() else {
        panic!("{}: one service, not {config:?} {diagnostics:?}", dialect.word())
    };
    service.clone()
}

fn addresses(dialect: DialectName, text: &str) -> Vec<String> {
    let (config, _) = load(dialect, text);
    let listeners = config.services.iter().flat_map(|service| &service.listeners);
    listeners.map(|listener| listener.key.address.display()).collect()
}

fn arguments(dialect: DialectName, tail: &str) -> Vec<String> {
    let service = one(dialect, &format!("2000 stream tcp4 nowait root /bin/x {tail}\n"));
    let program = service.program().expect("a program");
    program.command.arguments().map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

fn limits(dialect: DialectName, wait: &str) -> Limits {
    (*one(dialect, &format!("2000 stream tcp4 {wait} root /bin/x x\n")).limits).clone()
}

fn starts(limits: &Limits) -> Option<u32> {
    limits.starts.map(|rate| rate.count)
}

#[test]
fn what_tcp_means() {
    let word =
        |dialect, word: &str| addresses(dialect, &format!("2000 stream {word} nowait root /bin/x x\n"));
    for dialect in [Union, Openbsd] {
        assert_eq!(word(dialect, "tcp"), ["*:2000", "[::]:2000"]);
        assert_eq!(word(dialect, "tcp6"), ["[::]:2000"]);
    }
    for dialect in [Gnu, Freebsd, Netbsd, Busybox] {
        assert_eq!(word(dialect, "tcp"), ["*:2000"], "{}", dialect.word());
    }
    for dialect in [Gnu, Busybox] {
        assert_eq!(word(dialect, "tcp6"), ["[::]:2000 (IPv4 too)"], "{}", dialect.word());
    }
    for dialect in [Freebsd, Netbsd] {
        assert_eq!(word(dialect, "tcp6"), ["[::]:2000"], "{}", dialect.word());
    }
    for dialect in ALL {
        assert_eq!(word(dialect, "tcp4"), ["*:2000"], "{}", dialect.word());
    }
    for dialect in [Union, Openbsd, Freebsd, Netbsd, Busybox] {
        assert_eq!(word(dialect, "tcp46"), ["[::]:2000 (IPv4 too)"], "{}", dialect.word());
    }
    for dialect in [Union, Gnu, Freebsd, Netbsd, Busybox] {
        assert_eq!(word(dialect, "tcp6only"), ["[::]:2000"], "{}", dialect.word());
    }
    // Words that they do not know and take for something.
    assert_eq!(word(Gnu, "tcp46"), ["*:2000"]);
    assert_eq!(word(Openbsd, "tcp6only"), ["*:2000", "[::]:2000"]);
}

#[test]
fn gnu_maps_ipv4_addresses_of_tcp6() {
    let of = |text: &str| addresses(Gnu, &format!("{text} nowait root /bin/x x\n"));
    assert_eq!(of("127.0.0.1:2000 stream tcp6"), ["[::ffff:127.0.0.1]:2000 (IPv4 too)"]);
    assert_eq!(of("localhost:2000 stream tcp6"), ["[::1]:2000 (IPv4 too)"]);
    assert_eq!(of("two:2000 stream tcp6").len(), 2);
    assert_eq!(of("2000 stream tcp46"), ["*:2000"]);
    assert!(addresses(Openbsd, "127.0.0.1:2000 stream tcp6 nowait root /bin/x x\n").is_empty());
}

#[test]
fn a_word_of_another_dialect_is_said() {
    assert_eq!(codes(Gnu, "2000 stream tcp46 nowait root /bin/x x\n"), ["not-in-dialect"]);
    assert_eq!(codes(Openbsd, "2000 stream tcp6only nowait root /bin/x x\n"), ["not-in-dialect"]);
    assert!(codes(Gnu, "2000 stream tcp6only nowait root /bin/x x\n").is_empty());
}

#[test]
fn netbsd_takes_the_family_of_the_address() {
    let line = "::1:2000 stream tcp nowait root /bin/x x\n127.0.0.1:2001 stream tcp nowait root /bin/x x\n";
    assert_eq!(addresses(Netbsd, line), ["[::1]:2000", "127.0.0.1:2001"]);
}

#[test]
fn a_default_address_of_the_command_line() {
    let bind =
        |address: &str| usherd_model::config::Defaults { bind: Some(address.to_owned()), ..defaults() };
    let text = b"2000 stream tcp nowait root /bin/x x\n127.0.0.1:2001 stream tcp nowait root /bin/x x\n";
    let of = |address: &str| {
        let (config, ..) = read_as(Freebsd, text, &bind(address), &mut Table::default());
        let listeners = config.services.iter().flat_map(|service| service.listeners.iter());
        listeners.map(|listener| listener.key.address.display()).collect::<Vec<_>>()
    };
    assert_eq!(of("192.0.2.1"), ["192.0.2.1:2000", "127.0.0.1:2001"]);
    assert_eq!(of("::1"), ["[::1]:2000", "127.0.0.1:2001"]);
    assert_eq!(of("fe80::1%3"), ["[fe80::1%3]:2000", "127.0.0.1:2001"]);
}

#[test]
fn quotes() {
    let text = r#"x "a b" c'd e'f "#;
    for dialect in [Union, Openbsd, Busybox] {
        assert_eq!(arguments(dialect, text), ["x", "\"a", "b\"", "c'd", "e'f"], "{}", dialect.word());
    }
    assert_eq!(arguments(Gnu, text), ["x", "a b", "c'd", "e'f"]);
    assert_eq!(arguments(Gnu, r#"e"f g"h"#), ["e", "f g", "h"]);
    assert_eq!(arguments(Gnu, r#"x "a b"#), ["x", "\"a b"]);
    assert_eq!(arguments(Gnu, "x a' 'b"), ["x", "a'", "'b"]);
    assert_eq!(arguments(Freebsd, text), ["x", "a b", "c'd", "e'f"]);
    assert_eq!(arguments(Freebsd, r#"x "a b"#), ["x", "a b"]);
    assert_eq!(arguments(Netbsd, text), ["x", "a b", "cd ef"]);
    assert_eq!(arguments(Netbsd, "x ''"), ["x", ""]);
}

#[test]
fn comments() {
    for dialect in [Union, Openbsd, Gnu, Freebsd, Netbsd] {
        assert_eq!(arguments(dialect, "x # y"), ["x", "#", "y"], "{}", dialect.word());
    }
    assert_eq!(arguments(Busybox, "x # y"), ["x"]);
    assert_eq!(arguments(Busybox, "x#y"), ["x"]);
    // An indented comment below an entry is what its original makes of it.
    assert_eq!(arguments(Union, "x\n  # y"), ["x"]);
    assert_eq!(arguments(Openbsd, "x\n  # y"), ["x", "#", "y"]);
    assert_eq!(arguments(Busybox, "x\n  # y"), ["x"]);
    assert_eq!(codes(Gnu, "  # y\n"), ["not-enough-fields"]);
    for dialect in ALL {
        assert!(codes(dialect, "# y\n\n").is_empty(), "{}", dialect.word());
    }
}

#[test]
fn continuation() {
    for dialect in [Union, Openbsd, Freebsd, Netbsd] {
        assert_eq!(arguments(dialect, "x\n\ty"), ["x", "y"], "{}", dialect.word());
        assert_eq!(arguments(dialect, "x \\"), ["x", "\\"], "{}", dialect.word());
    }
    assert_eq!(codes(Gnu, "2000 stream tcp nowait root /bin/x x\n\ty\n"), ["not-enough-fields"]);
    assert_eq!(arguments(Busybox, "x \\\ny z\\\nz"), ["x", "y", "zz"]);
    assert_eq!(arguments(Busybox, "x \\\n  y \\\n \\\n\tz \\\n"), ["x", "y", "z"]);
}

#[test]
fn a_program_without_arguments() {
    for dialect in [Union, Openbsd, Gnu, Freebsd, Netbsd] {
        assert_eq!(arguments(dialect, ""), ["x"], "{}", dialect.word());
    }
    assert_eq!(arguments(Busybox, ""), ["/bin/x"]);
}

#[test]
fn wait_words() {
    let handover = |dialect, word: &str| {
        let (config, _) = load(dialect, &format!("2000 dgram udp4 {word} root /bin/x x\n"));
        let service = config.services.first()?;
        Some(service.program()?.handover)
    };
    for dialect in ALL {
        assert_eq!(handover(dialect, "wait"), Some(Handover::Listener), "{}", dialect.word());
        assert_eq!(handover(dialect, "nowait"), Some(Handover::Connection), "{}", dialect.word());
    }
    for dialect in [Union, Openbsd, Gnu, Netbsd] {
        assert_eq!(handover(dialect, "waitfoo"), Some(Handover::Connection), "{}", dialect.word());
    }
    assert_eq!(handover(Freebsd, "waitfoo"), Some(Handover::Listener));
    assert_eq!(handover(Freebsd, "foo"), None);
    assert_eq!(handover(Busybox, "waitfoo"), None);
}

#[test]
fn starts_a_minute() {
    for dialect in [Union, Openbsd, Gnu, Netbsd, Busybox] {
        assert_eq!(starts(&limits(dialect, "nowait.5")), Some(5), "{}", dialect.word());
    }
    // What the daemon's default is, these tests' defaults say: 256.
    assert_eq!(starts(&limits(Union, "nowait.0")), Some(256));
    assert_eq!(starts(&limits(Openbsd, "nowait.0")), Some(256));
    assert_eq!(codes(Openbsd, "2000 stream tcp4 nowait.0 root /bin/x x\n"), ["bad-max"]);
    assert_eq!(starts(&limits(Gnu, "nowait.0")), Some(256));
    assert!(codes(Gnu, "2000 stream tcp4 nowait.0 root /bin/x x\n").is_empty());
    assert_eq!(starts(&limits(Netbsd, "nowait.0")), Some(0));
    assert_eq!(starts(&limits(Netbsd, "nowait:7")), Some(7));
    assert_eq!(starts(&limits(Union, "nowait:7")), Some(7));
    assert_eq!(starts(&limits(Busybox, "nowait.0")), None);
    // strtoul(3) with base 0 is openbsd's.
    assert_eq!(starts(&limits(Openbsd, "nowait.010")), Some(8));
    assert_eq!(starts(&limits(Gnu, "nowait.010")), Some(10));
}

#[test]
fn freebsd_limits_children_and_sources() {
    for dialect in [Freebsd, Union] {
        let limits = limits(dialect, "nowait/3/5/2");
        assert_eq!(limits.children, Some(3));
        assert_eq!(limits.source_starts.map(|rate| rate.count), Some(5));
        assert_eq!(limits.source_children, Some(2));
    }
    let unlimited = limits(Freebsd, "nowait/0/0/0");
    assert_eq!((unlimited.children, unlimited.source_starts, unlimited.source_children), (None, None, None));
    assert_eq!(limits(Freebsd, "nowait/4").children, Some(4));
    // What stands behind the digits is not looked at; a line without any is refused, as by the original.
    assert_eq!(limits(Freebsd, "nowait/4x").children, Some(4));
    let (config, diagnostics) = load(Freebsd, "2000 stream tcp4 nowait/x4 root /bin/x x\n");
    assert_eq!((config.services.len(), config.broken.len()), (0, 1));
    assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["bad-max"]);
}

#[test]
fn what_originals_do_differently_with_a_good_line_is_noted() {
    assert_eq!(codes(Union, "2000 dgram udp4 nowait root /bin/x x\n"), ["datagram-nowait"]);
    let many = |count: usize| format!("2000 stream tcp4 nowait root /bin/x{}\n", " x".repeat(count));
    assert!(codes(Union, &many(20)).is_empty());
    assert_eq!(codes(Union, &many(21)), ["many-arguments"]);
    assert_eq!(codes(Union, "#@ in ipsec ah/transport//require\n"), ["no-ipsec"]);
    // Its default address stands for every service below it, and is no word of this one.
    let behind = |prefix: &str| format!("{prefix}tcpmux/a stream tcp nowait root /bin/x x\n");
    assert_eq!(codes(Gnu, &behind("10.0.0.1:")), ["address-of-tcpmux"]);
    assert!(codes(Gnu, &behind("10.0.0.1:\n")).is_empty());
}

#[test]
fn a_mistyped_directive_leaves_what_it_means_as_it_was() {
    let mut files = Files(vec![("a", ""), ("b", "")]);
    let (tree, diagnostics, _) =
        parse_as(Union, b".includ a\n2000 stream tcp4 nowait root /bin/x x\n", &mut files);
    assert_eq!((tree.entries.len(), tree.broken.len()), (1, 0));
    assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["unknown-directive"]);
    assert_eq!(files.0, [("b", "")]);
}

#[test]
fn netbsd_limits_children_behind_the_type() {
    for dialect in [Netbsd, Union] {
        let service = one(dialect, "2000 stream,2 tcp4 nowait root /bin/x x\n");
        assert_eq!(service.limits.children, Some(2));
        assert_eq!(
            codes(dialect, "2000 stream,2:dataready tcp4 nowait root /bin/x x\n"),
            ["no-accept-filter"]
        );
    }
}

#[test]
fn users_groups_and_classes() {
    let user = |dialect, owner: &str| {
        let service = one(dialect, &format!("2000 stream tcp4 nowait {owner} /bin/x x\n"));
        format!("{:?}", service.program().expect("a program").identity)
    };
    for dialect in ALL {
        let owner = user(dialect, "www-data:tty");
        assert!(owner.contains("uid: 33") && owner.contains("gid: 5"), "{} {owner}", dialect.word());
    }
    for dialect in [Union, Openbsd, Gnu, Netbsd, Busybox] {
        let owner = user(dialect, "www-data.tty");
        assert!(owner.contains("uid: 33") && owner.contains("gid: 5"), "{} {owner}", dialect.word());
    }
    // A dot in a user's name.
    assert!(user(Union, "first.last:tty").contains("uid: 1000"));
    assert!(user(Gnu, "first.last:tty").contains("uid: 1000"));
    assert!(user(Gnu, "www-data.").contains("gid: 33"));
    assert!(user(Openbsd, "www-data.").contains("NoSuchGroup"));
    assert!(user(Freebsd, "first.last").contains("uid: 1000"));
    assert!(user(Openbsd, "first.last:tty").contains("NoSuchUser(\"first\")"));
    assert!(user(Freebsd, "www-data:tty/daemon").contains("gid: 5"));
    assert_eq!(codes(Freebsd, "2000 stream tcp4 nowait root/daemon /bin/x x\n"), ["login-class"]);
}

#[test]
fn builtins_have_aliases_and_paths() {
    let task = |text: &str| one(Freebsd, text).task;
    assert_eq!(task("sink stream tcp nowait root internal\n"), Task::Builtin(Builtin::Discard));
    assert_eq!(task("/run/echo stream unix nowait root internal\n"), Task::Builtin(Builtin::Echo));
    assert_eq!(codes(Freebsd, "ftp stream tcp nowait root internal\n"), ["unknown-internal"]);
    assert_eq!(codes(Freebsd, "9 stream tcp nowait root internal\n"), ["unknown-internal"]);
    assert_eq!(codes(Freebsd, "/run/x stream unix nowait root internal\n"), ["unknown-internal"]);
}

#[test]
fn files_of_unix_sockets() {
    let access = |dialect, name: &str| {
        let service = one(dialect, &format!("{name} stream unix nowait root /bin/x x\n"));
        service.listeners[0].extras().file.expect("a file")
    };
    let plain = |mode| FileAccess { mode, user: None, group: None };
    assert_eq!(access(Union, "/run/x"), plain(0o666));
    assert_eq!(access(Openbsd, "/run/x"), plain(0o666));
    assert_eq!(access(Netbsd, "/run/x"), plain(0o755));
    assert_eq!(access(Busybox, "/run/x"), plain(0o755));
    assert_eq!(access(Freebsd, "/run/x"), plain(0o200));
    for dialect in [Freebsd, Union] {
        let owned = FileAccess { mode: 0o660, user: Some(33), group: Some(8) };
        assert_eq!(access(dialect, ":www-data:mail:660:/run/x"), owned);
    }
    assert_eq!(codes(Freebsd, ":::999:/run/x stream unix nowait root /bin/x x\n"), ["bad-mode"]);
    assert_eq!(codes(Freebsd, ":nobody2:::/run/x stream unix nowait root /bin/x x\n"), ["unknown-user"]);
}

#[test]
fn netbsd_definitions() {
    let text = "# a comment\n\
                [::1]:2000 on # another\n\
                \tsocktype = stream, protocol = tcp6,\n\
                \twait = no, user = www-data, group = tty,\n\
                \tservice_max = 7, ip_max = 3, accept_max = 2,\n\
                \texec = /bin/x, args = x \"a b\" 'c\\'d' \"\\x41\\t\";\n\
                2001 on socktype=dgram, wait=yes, user=nobody, exec=/bin/y;\n\
                echo on socktype = stream;\n\
                2002 off socktype = stream, wait = no, user = root, exec = /bin/z;\n";
    for dialect in [Netbsd, Union] {
        let (config, diagnostics) = load(dialect, text);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let [first, second, third] = config.services.as_slice() else { panic!("{config:?}") };
        assert_eq!(first.listeners[0].key.address.display(), "[::1]:2000");
        let program = first.program().expect("a program");
        let arguments: Vec<&[u8]> = program.command.arguments().collect();
        assert_eq!(arguments, [b"x" as &[u8], b"a b", b"c'd", b"A\t"]);
        assert!(format!("{:?}", program.identity).contains("gid: 5"));
        assert_eq!(starts(&first.limits), Some(7));
        assert_eq!(first.limits.source_starts.map(|rate| rate.count), Some(3));
        assert_eq!(first.limits.children, Some(2));
        assert_eq!(second.program().expect("a program").handover, Handover::Listener);
        assert_eq!(second.program().expect("a program").command.arguments().collect::<Vec<_>>(), [b"y"]);
        assert!(third.program().is_none());
    }
}

#[test]
fn a_wrong_definition_costs_itself() {
    let good = "2001 on socktype = stream, protocol = tcp4, wait = no, user = root, exec = /bin/y;\n";
    let wrong = [
        ("2000 on socktype stream;\n", "bad-definition"),
        ("2000 on socktype = stream, exec = /bin/x, user = root;\n", "missing-key"),
        ("2000 on socktype = stream, exec = /bin/x, wait = no;\n", "missing-key"),
        ("2000 on socktype = stream, colour = red;\n", "bad-key"),
        ("2000 on socktype = stream, socktype = dgram;\n", "bad-key"),
        ("2000 on socktype = stream dgram;\n", "bad-key"),
        ("2000 on socktype = stream, exec = /bin/x, wait = maybe, user = root;\n", "bad-value"),
        ("2000 on socktype = , wait = no;\n", "bad-value"),
        ("2000 on socktype = stream, args = \"x;\n;\n", "bad-definition"),
        ("2000 on socktype = stream, args = \"\\q\";\n", "bad-definition"),
    ];
    for (text, code) in wrong {
        let (config, diagnostics) = load(Netbsd, &format!("{text}{good}"));
        assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), [code], "{text}");
        assert_eq!(config.services.len(), 1, "{text}");
        assert_eq!(&*config.broken[0].name, b"2000", "{text}");
    }
    assert_eq!(codes(Netbsd, "2000 on socktype = stream"), ["bad-definition"]);
}

#[test]
fn ipsec_is_said() {
    assert_eq!(
        codes(Netbsd, "echo on socktype = stream, protocol = tcp4, ipsec = in bypass;\n"),
        ["no-ipsec"]
    );
    for dialect in [Netbsd, Freebsd] {
        assert_eq!(codes(dialect, "#@ ipsec ah/require\n"), ["no-ipsec"], "{}", dialect.word());
    }
    for dialect in [Openbsd, Gnu, Busybox] {
        assert!(codes(dialect, "#@ ipsec ah/require\n").is_empty(), "{}", dialect.word());
    }
}

#[test]
fn netbsd_includes_inherit_the_default_address() {
    let text = b"127.0.0.1:\n.include other\n2002 stream tcp nowait root /bin/x x\n";
    let mut files = Files(vec![(
        "other",
        "2000 stream tcp nowait root /bin/x x\n::1:\n2001 stream tcp6 nowait root /bin/x x\n",
    )]);
    let (tree, diagnostics, _) = parse_as(Netbsd, text, &mut files);
    assert!(diagnostics.is_empty());
    let hosts: Vec<String> = tree
        .entries
        .iter()
        .map(|entry| entry.hosts.iter().map(|host| String::from_utf8_lossy(&host.value)).collect())
        .collect();
    // What the included file changes ends with it.
    assert_eq!(hosts, ["127.0.0.1", "::1", "127.0.0.1"]);
}

#[test]
fn includes_have_a_depth() {
    let (_, diagnostics, _) = parse_as(Netbsd, b".include a\n", &mut Files(vec![("a", ".include a\n")]));
    assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["include-depth"]);
}

fn differences(text: &str) -> Vec<(Severity, String)> {
    let (tree, _, mut sources) = parse_as(Union, text.as_bytes(), &mut Files(Vec::new()));
    compare(&mut sources, &tree.entries).into_iter().map(|d| (d.severity, d.message)).collect()
}

#[test]
fn what_originals_disagree_about_is_said_once() {
    let text = "2000 stream tcp nowait root /bin/x x\n2001 stream tcp nowait root /bin/x x\n";
    let [(severity, message)] = &differences(text)[..] else { panic!("{:?}", differences(text)) };
    assert_eq!(*severity, Severity::Note);
    assert_eq!(
        message,
        "this means an IPv4 and an IPv6 socket here, an IPv4 socket to gnu, freebsd, netbsd, busybox (and on 1 more line)"
    );
    let quoted = "2000 stream tcp4 nowait root /bin/x x \"a b\"\n";
    assert!(differences(quoted).iter().any(|(severity, message)| {
        *severity == Severity::Warning && message.contains(r#""a b" to gnu, freebsd, netbsd"#)
    }));
    assert!(differences("2000 stream tcp4 nowait root /bin/x x\n").is_empty());
    assert!(differences("127.0.0.1:2000 stream tcp nowait root /bin/x x\n").is_empty());
    let keys = "2000 on protocol = tcp4, wait = no, user = root, exec = /bin/x, args = x, ip_max = 2;\n";
    assert_eq!(differences(keys), []);
    assert!(
        differences("2000 stream tcp4 nowait.0 root /bin/x x\n").iter().any(|(_, m)| m.contains("netbsd"))
    );
}

#[test]
fn a_limit_of_zero_serves_nobody_at_any_time() {
    let mut world =
        World::with("", &defaults(), Settings { max_children: 9, max_sessions: 9, ..Settings::default() });
    let text = "2000 on socktype = stream, protocol = tcp4, wait = no, user = root, exec = /bin/x, service_max = 0;\n";
    world.load(text);
    for _ in 0..3 {
        assert_eq!(world.call("2000"), Call::Waits);
        world.pass(std::time::Duration::from_secs(3600));
    }
}

/// NetBSD's own test of its limits, with the clock made up: how many of 8 callers from two places are served.
#[test]
fn sources_are_unseen_by_wait_services() {
    let keys = |protocol: &str, wait: &str, max: &str| {
        let socket = if protocol == "udp4" { "dgram" } else { "stream" };
        format!(
            "2000 on protocol = {protocol}, socktype = {socket}, wait = {wait}, user = root, exec = /bin/x, {max};\n"
        )
    };
    assert_eq!(codes(Netbsd, &keys("tcp4", "yes", "ip_max = 3")), ["source-limit"]);
    assert!(codes(Netbsd, &keys("tcp4", "no", "ip_max = 3")).is_empty());
    assert!(codes(Netbsd, &keys("udp4", "yes", "ip_max = 3")).is_empty());
    assert_eq!(starts(&one(Netbsd, &keys("tcp4", "yes", "ip_max = 0")).limits), Some(0));
    assert!(codes(Freebsd, "2000 stream tcp4 wait/1/0/0 root /bin/x x\n").is_empty());
    assert_eq!(codes(Freebsd, "2000 stream tcp4 wait/1/0/4 root /bin/x x\n"), ["source-limit"]);
}

#[test]
fn netbsd_service_max_and_ip_max() {
    let text = "10 on socktype = dgram, protocol = udp4, wait = yes, user = root, exec = /bin/x, service_max = 5, ip_max = 3;\n\
                11 on socktype = dgram, protocol = udp4, wait = yes, user = root, exec = /bin/x, ip_max = 0;\n\
                12 on socktype = dgram, protocol = udp4, wait = yes, user = root, exec = /bin/x, service_max = 2;\n\
                13 on socktype = stream, protocol = tcp4, wait = yes, user = root, exec = /bin/x, service_max = 2;\n\
                14 on socktype = stream, protocol = tcp4, wait = no, user = root, exec = /bin/x, service_max = 5, ip_max = 3;\n\
                15 on socktype = stream, protocol = tcp4, wait = no, user = root, exec = /bin/x, ip_max = 0;\n";
    let settings = Settings { max_children: 99, max_sessions: 9, ..Settings::default() };
    let mut world = World::with(text, &defaults(), settings);
    let mut served = |name: &str, peer: &str| {
        let mut count = 0;
        for _ in 0..4 {
            if let Call::Started(pid) = world.call_from(name, peer) {
                count += 1;
                world.end(pid);
            }
        }
        count
    };
    let mut from_two = |name: &str| [served(name, "192.0.2.1:1000"), served(name, "192.0.2.2:1000")];
    assert_eq!(from_two("10"), [3, 2]);
    assert_eq!(from_two("11"), [0, 0]);
    assert_eq!(from_two("12"), [2, 0]);
    assert_eq!(from_two("13"), [2, 0]);
    assert_eq!(from_two("14"), [3, 2]);
    assert_eq!(from_two("15"), [0, 0]);
}

#[test]
fn auth_is_a_program_of_ours() {
    let service = one(Freebsd, "2113 stream tcp nowait root internal auth -r -f\n");
    let program = service.program().expect("a program");
    let arguments: Vec<&[u8]> = program.command.arguments().collect();
    assert_eq!(arguments, [b"usherd" as &[u8], b"ident", b"-r", b"-f"]);
    assert_eq!(codes(Freebsd, "2113 stream tcp nowait root internal auth -x\n"), ["bad-auth-option"]);
    assert_eq!(codes(Freebsd, "2113 stream tcp wait root internal auth\n"), ["auth-waits"]);
    assert_eq!(codes(Freebsd, "2113 dgram udp wait root internal auth\n"), ["unknown-internal"]);
}

#[test]
fn tcpmux_services() {
    let text = "1 stream tcp4 nowait root internal tcpmux\n\
                tcpmux/+Date stream tcp nowait nobody /bin/date date\n\
                tcpmux/who stream tcp wait nobody /bin/who who\n\
                tcpmux/+daytime stream tcp nowait root internal\n";
    let (config, diagnostics) = load(Union, text);
    assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["tcpmux-waits"]);
    let greets: Vec<bool> =
        config.services.iter().map(|service| service.listeners[0].extras().greets).collect();
    assert_eq!(greets, [false, true, false, true]);
    let places: Vec<String> =
        config.services.iter().map(|service| service.listeners[0].key.address.display()).collect();
    assert_eq!(places[1..], ["through tcpmux"; 3]);
    assert!(config.services[3].program().is_none());
}

#[test]
fn tcpmux_lines_that_nobody_could_reach() {
    let line = "tcpmux/x stream tcp nowait root /bin/x x\n";
    assert_eq!(codes(Freebsd, line), ["no-tcpmux"]);
    // GNU's inetd adds it, on both families.
    assert_eq!(addresses(Gnu, line), ["through tcpmux", "[::]:1 (IPv4 too)"]);
    for wrong in [
        "tcpmux/ stream tcp nowait root /bin/x x\n",
        "tcpmux/help stream tcp nowait root /bin/x x\n",
        "tcpmux/x dgram udp nowait root /bin/x x\n",
    ] {
        assert_eq!(codes(Freebsd, wrong), ["bad-tcpmux"], "{wrong}");
    }
    assert_eq!(codes(Freebsd, "tcpmux/tcpmux stream tcp nowait root internal\n"), ["unknown-internal"]);
    let twice = format!("1 stream tcp4 nowait root internal tcpmux\n{line}{}", line.replace("/x ", "/X "));
    assert_eq!(codes(Freebsd, &twice), ["duplicate"]);
}

#[test]
fn a_definition_without_its_end_leaves_other_entries_alone() {
    let others = "7101 stream tcp4 nowait root /bin/echo echo b\n\
                  7102 on protocol = tcp4, socktype = stream, wait = no, user = root, exec = /bin/x;\n";
    for wrong in [
        "7100 on protocol = tcp4, socktype = stream, wait = no, user = root, exec = /bin/x\n",
        "7100 on protocol = tcp4, socktype = stream, wait = no, user = root, exec = /bin/x, args = \"x;\n",
        "7100 on protocol = tcp4, socktype = stream, colour;\n",
    ] {
        let (config, diagnostics) = load(Netbsd, &format!("{wrong}{others}"));
        let names: Vec<&[u8]> = config.services.iter().map(|service| &*service.name).collect();
        assert_eq!(names, [b"7101", b"7102"], "{wrong} {diagnostics:?}");
        assert_eq!(&*config.broken[0].name, b"7100", "{wrong}");
    }
}

#[test]
fn what_is_lost_is_named_so_that_it_goes_on() {
    for dialect in ALL {
        let (config, _) = load(
            dialect,
            "7000 stream tcp4 nowait root /bin/x x\n127.0.0.1:7001 stream tcp4 nowait root /bin/x a\0b\n",
        );
        assert_eq!(config.services.len(), 1, "{}", dialect.word());
        assert_eq!(&*config.broken[0].name, b"7001", "{}", dialect.word());
        let (config, _) = load(dialect, "<html><head>\n<title>404</title>\n");
        assert_eq!(config.garbled, ["/etc/inetd.conf"], "{}", dialect.word());
    }
}

#[test]
fn a_broken_tcpmux_service_keeps_tcpmux() {
    let (config, _) = load(Gnu, "tcpmux/+d strm tcp nowait nobody /bin/date date\n");
    assert_eq!(config.services[0].listeners[0].key.address.display(), "[::]:1 (IPv4 too)");
}
