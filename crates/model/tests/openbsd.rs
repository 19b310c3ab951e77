//! Debian's openbsd-inetd dialect: what lines mean, and what is said about those that mean nothing.

mod world;

use usherd_model::config::inetd::{DialectName, print};
use usherd_model::config::syntax::Entry;
use usherd_model::diagnostic::{Diagnostic, Place, Severity};
use usherd_model::service::{
    Builtin, Config, Handover, Identity, ListenAddress, Rate, Service, SocketKind, Task, Unavailable,
};
use usherd_model::source::Sources;
use world::{Files, Table, defaults, parse_as, read, read_on};

fn one(text: &str) -> Service {
    let (config, diagnostics, _) = read(text);
    let [service] = config.services.as_slice() else { panic!("one service, not {config:?} {diagnostics:?}") };
    service.clone()
}

fn addresses(text: &str) -> Vec<String> {
    let (config, ..) = read(text);
    let listeners =
        config.services.iter().flat_map(|service| service.listeners.iter().map(move |l| (service, l)));
    listeners.map(|(service, l)| format!("{} {}", service.label(l), l.key.address.display())).collect()
}

fn arguments(service: &Service) -> Vec<String> {
    let program = service.program().expect("a program");
    program.command.arguments().map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

fn codes(diagnostics: &[Diagnostic]) -> Vec<&str> {
    diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

fn line_and_column(diagnostic: &Diagnostic, sources: &Sources) -> (u32, u32) {
    match &diagnostic.place {
        Place::Text(span) => {
            let location = sources.locate(*span);
            (location.line, location.column)
        }
        Place::File(_) => (0, 0),
    }
}

#[test]
fn protocols_and_families() {
    let line = |protocol: &str| addresses(&format!("2000 stream {protocol} nowait root /bin/cat cat\n"));
    assert_eq!(line("tcp"), ["2000/tcp *:2000", "2000/tcp6 [::]:2000"]);
    assert_eq!(line("tcp4"), ["2000/tcp4 *:2000"]);
    assert_eq!(line("tcp6"), ["2000/tcp6 [::]:2000"]);
    assert_eq!(line("tcp46"), ["2000/tcp46 [::]:2000 (IPv4 too)"]);
    assert_eq!(line("udp46"), ["2000/udp46 [::]:2000 (IPv4 too)"]);
}

#[test]
fn what_the_original_says_has_a_line_for_each_family() {
    let said = |text: &str| {
        let (_, diagnostics, _) = read(text);
        diagnostics.into_iter().map(|diagnostic| diagnostic.original).collect::<Vec<String>>().join("\n")
    };
    let both = |what: &str| said(&format!("{what} nowait root /bin/cat cat\n"));
    assert_eq!(both("gopher stream tcp"), "gopher/tcp: unknown service\ngopher/tcp6: unknown service");
    assert_eq!(both("70000 dgram udp"), "70000/udp: unknown service\n70000/udp6: unknown service");
    assert_eq!(both("0 stream tcp6"), "0/tcp6: unknown service");
    assert_eq!(
        both("2000 strm tcp"),
        "2000/tcp: *: ai_socktype not supported\n2000/tcp6: *: ai_socktype not supported"
    );
    assert_eq!(
        both("no-such-host:2000 stream tcp"),
        "2000/tcp: no-such-host: Name or service not known\n2000/tcp6: no-such-host: Name or service not known"
    );
    assert_eq!(said("ecko stream tcp nowait root internal\n"), "internal service ecko unknown");
}

#[test]
fn without_ipv6_tcp_is_ipv4() {
    let mut table = Table { has_ipv6: false, ..Table::default() };
    let text = b"2000 stream tcp nowait root /bin/cat cat\n2001 stream tcp6 nowait root /bin/cat cat\n";
    let (config, ..) = read_on(text, &defaults(), &mut table);
    assert_eq!(config.services[0].listeners.len(), 1);
    // Whoever writes a 6 hears of it when the socket cannot be opened.
    assert_eq!(config.services[1].listeners.len(), 1);
}

#[test]
fn names_and_aliases_of_ports() {
    assert_eq!(addresses("ftp stream tcp4 nowait root /bin/ftpd ftpd\n"), ["ftp/tcp4 *:21"]);
    assert_eq!(addresses("mail stream tcp4 nowait root /bin/smtpd smtpd\n"), ["mail/tcp4 *:25"]);
    let (config, diagnostics, _) = read("gopher stream tcp4 nowait root /bin/x x\n");
    assert!(config.services.is_empty());
    assert_eq!(codes(&diagnostics), ["unknown-service"]);
    assert_eq!(diagnostics[0].original, "gopher/tcp4: unknown service");
}

#[test]
fn ports_have_bounds() {
    for port in ["0", "65536", "99999999999999999999"] {
        let (config, diagnostics, _) = read(&format!("{port} stream tcp4 nowait root /bin/x x\n"));
        assert!(config.services.is_empty(), "{port}");
        assert_eq!(codes(&diagnostics), ["bad-port"], "{port}");
    }
}

#[test]
fn hosts_in_front_of_the_service() {
    let line = |name: &str| addresses(&format!("{name} stream tcp nowait root /bin/cat cat\n"));
    assert_eq!(line("127.0.0.1:2000"), ["2000/tcp 127.0.0.1:2000"]);
    assert_eq!(line("[::1]:2000"), ["2000/tcp6 [::1]:2000"]);
    assert_eq!(line("::1:2000"), ["2000/tcp6 [::1]:2000"]);
    assert_eq!(line("localhost:2000"), ["2000/tcp 127.0.0.1:2000", "2000/tcp6 [::1]:2000"]);
    assert_eq!(line("two:2000"), ["2000/tcp 192.0.2.1:2000", "2000/tcp 192.0.2.2:2000"]);
    assert_eq!(line("192.0.2.1,,127.0.0.1:2000"), ["2000/tcp 192.0.2.1:2000", "2000/tcp 127.0.0.1:2000"]);
    assert_eq!(line(":2000"), ["2000/tcp *:2000", "2000/tcp6 [::]:2000"]);
    assert_eq!(line("*:2000"), ["2000/tcp *:2000", "2000/tcp6 [::]:2000"]);
    assert_eq!(line("127.0.0.1: 2000"), ["2000/tcp 127.0.0.1:2000"]);
}

#[test]
fn an_unknown_host_costs_itself() {
    let (config, diagnostics, _) = read("nowhere,127.0.0.1:2000 stream tcp4 nowait root /bin/cat cat\n");
    assert_eq!(config.services[0].listeners.len(), 1);
    assert_eq!(codes(&diagnostics), ["unknown-host"]);
    let (config, diagnostics, _) = read("slow:2000 stream tcp4 nowait root /bin/cat cat\n");
    assert!(config.services.is_empty());
    assert!(diagnostics[0].message.contains("Temporary failure"));
}

#[test]
fn a_default_host_holds_until_the_next() {
    let text = "127.0.0.1:\n2000 stream tcp4 nowait root /bin/cat cat\n[::1]:2001 stream tcp6 nowait root /bin/cat cat\n\
                *:\n2002 stream tcp4 nowait root /bin/cat cat\n";
    assert_eq!(addresses(text), ["2000/tcp4 127.0.0.1:2000", "2001/tcp6 [::1]:2001", "2002/tcp4 *:2002"]);
}

#[test]
fn unix_sockets() {
    let service = one("/run/x.sock stream unix nowait root /bin/cat cat\n");
    assert_eq!(service.listeners[0].key.address, ListenAddress::Unix(b"/run/x.sock".as_slice().into()));
    assert_eq!(service.label(&service.listeners[0]), "/run/x.sock/unix");
    let service = one("/run/x.sock seqpacket unix nowait root /bin/cat cat\n");
    assert_eq!(service.listeners[0].key.kind, SocketKind::SeqPacket);
    for bad in [
        "x.sock stream unix nowait root /bin/cat cat\n",
        &format!("/{} stream unix nowait root /x\n", "a".repeat(107)),
    ] {
        assert_eq!(codes(&read(bad).1), ["bad-unix-path"], "{bad}");
    }
}

#[test]
fn a_unix_datagram_socket_is_served_as_wait() {
    let (config, diagnostics, _) = read("/run/x.sock dgram unix nowait root /bin/cat cat\n");
    assert_eq!(config.services[0].program().map(|program| program.handover), Some(Handover::Listener));
    assert_eq!(codes(&diagnostics), ["unix-datagrams-wait"]);
}

#[test]
fn buffer_sizes() {
    let service = one("2000 stream tcp4,sndbuf=16k,rcvbuf=1m nowait root /bin/cat cat\n");
    assert_eq!(service.listeners[0].extras().send_buffer, Some(16 * 1024));
    assert_eq!(service.listeners[0].extras().receive_buffer, Some(1024 * 1024));
    assert_eq!(
        one("2000 stream tcp4,rcvbuf=16384 nowait root /bin/cat cat\n").listeners[0].extras().receive_buffer,
        Some(16384)
    );
    for bad in [
        "sndbuf=0",
        "sndbuf=",
        "sndbuf",
        "sndbuf=1g",
        "sndbuf=-1",
        "buf=1",
        "sndbuf=1,sndbuf=2",
        "sndbuf=4096m",
    ] {
        let (config, diagnostics, _) = read(&format!("2000 stream tcp4,{bad} nowait root /bin/cat cat\n"));
        assert!(config.services.is_empty(), "{bad}");
        assert_eq!(codes(&diagnostics), ["bad-buffer-size"], "{bad}");
    }
}

#[test]
fn wait_and_rates() {
    let starts = |word: &str| one(&format!("2000 stream tcp4 {word} root /bin/cat cat\n")).limits.starts;
    let rate = |count| Some(Rate { count, window: std::time::Duration::from_secs(60) });
    assert_eq!(starts("nowait"), rate(256));
    assert_eq!(starts("nowait.5"), rate(5));
    assert_eq!(starts("wait.0x10"), rate(16));
    assert_eq!(starts("nowait.010"), rate(8));
    let (config, diagnostics, _) = read("2000 stream tcp4 nowait.0 root /bin/cat cat\n");
    assert_eq!((config.services[0].limits.starts, codes(&diagnostics)), (rate(256), vec!["bad-max"]));
    let (config, diagnostics, _) = read("2000 stream tcp4 noway root /bin/cat cat\n");
    let handover = config.services[0].program().map(|program| program.handover);
    assert_eq!((handover, codes(&diagnostics)), (Some(Handover::Connection), vec!["bad-wait"]));
}

fn identity(owner: &str) -> Identity {
    let service = one(&format!("2000 stream tcp4 nowait {owner} /bin/cat cat\n"));
    service.program().expect("a program").identity.clone()
}

#[test]
fn users_and_groups() {
    let ids = |owner: &str| match identity(owner) {
        Identity::User(user) => (user.uid, user.gid, user.groups.clone()),
        other @ (Identity::Daemon | Identity::Unavailable(_)) => panic!("{owner}: {other:?}"),
    };
    assert_eq!(ids("nobody"), (65534, 65534, vec![65534]));
    assert_eq!(ids("nobody.tty"), (65534, 5, vec![5]));
    assert_eq!(ids("nobody:root"), (65534, 0, vec![0]));
    assert_eq!(ids("root.mail"), (0, 8, vec![8]));
    assert_eq!(ids("www-data"), (33, 33, vec![33, 8]));
    // A user whose name holds a dot.
    assert_eq!(ids("first.last"), (1000, 1000, vec![1000]));
    assert_eq!(ids("first.last.tty"), (1000, 5, vec![5]));
    assert_eq!(ids("first.last:tty"), (1000, 5, vec![5]));
}

#[test]
fn who_is_unknown_keeps_the_service_from_starting_programs() {
    let unavailable = |owner: &str| match identity(owner) {
        Identity::Unavailable(why) => *why,
        other @ (Identity::Daemon | Identity::User(_)) => panic!("{owner}: {other:?}"),
    };
    let silent =
        |name: &str| Unavailable::NotLookedUp(name.to_owned(), "the directory does not answer".to_owned());
    assert_eq!(unavailable("slow"), silent("slow"));
    // Another reading of the word would be another user.
    assert_eq!(unavailable("slow.www-data"), silent("slow.www-data"));
    assert_eq!(unavailable("nosuch"), Unavailable::NoSuchUser("nosuch".to_owned()));
    assert_eq!(unavailable("nosuch.tty"), Unavailable::NoSuchUser("nosuch".to_owned()));
    assert_eq!(unavailable("nobody.nosuch"), Unavailable::NoSuchGroup("nosuch".to_owned()));
}

#[test]
fn without_root_programs_run_as_oneself_or_not_at_all() {
    let mut table = Table { unprivileged_as: Some(("www-data", 33, 33)), ..Table::default() };
    let text = b"2000 stream tcp4 nowait www-data /bin/cat cat\n2001 stream tcp4 nowait root /bin/cat cat\n";
    let (config, diagnostics, _) = read_on(text, &defaults(), &mut table);
    let identity = |index: usize| config.services[index].program().map(|program| program.identity.clone());
    assert_eq!(identity(0), Some(Identity::Daemon));
    let refused = Box::new(Unavailable::NotPermitted("root".to_owned()));
    assert_eq!(identity(1), Some(Identity::Unavailable(refused)));
    assert_eq!(codes(&diagnostics), ["not-permitted"]);
}

#[test]
fn arguments_are_passed_as_they_stand() {
    assert_eq!(arguments(&one("2000 stream tcp4 nowait root /usr/bin/cat\n")), ["cat"]);
    let tcpd = one("telnet stream tcp4 nowait root /usr/sbin/launcher /usr/sbin/in.telnetd -h\n");
    assert_eq!(arguments(&tcpd), ["/usr/sbin/in.telnetd", "-h"]);
    let quotes = one("2000 stream tcp4 nowait root /bin/sh sh -c \"echo hi\" #no comment\n");
    assert_eq!(arguments(&quotes), ["sh", "-c", "\"echo", "hi\"", "#no", "comment"]);
    let many: Vec<String> = (0..500).map(|number| format!("a{number}")).collect();
    let text = format!("2000 stream tcp4 nowait root /bin/x {}\n", many.join(" "));
    assert_eq!(arguments(&one(&text)), many);
}

#[test]
fn a_line_that_begins_with_a_blank_goes_on() {
    let text = "2000 stream tcp4\n\tnowait root\n   /bin/echo echo one\n \n\ttwo\n2001 stream tcp4 nowait root /bin/cat\n";
    let (config, diagnostics, _) = read(text);
    assert_eq!(arguments(&config.services[0]), ["echo", "one", "two"]);
    assert_eq!(config.services.len(), 2);
    assert!(diagnostics.is_empty());
    // Both sockets of "tcp" have all of it. (The original's IPv6 twin loses the continuation.)
    assert_eq!(one("2000 stream tcp nowait root /bin/echo echo one\n two\n").listeners.len(), 2);
}

#[test]
fn a_line_that_begins_with_a_blank_and_goes_on_with_nothing_is_a_line() {
    assert_eq!(addresses("# comment\n  2000 stream tcp4 nowait root /bin/cat cat\n"), ["2000/tcp4 *:2000"]);
    assert_eq!(addresses("\n  2000 stream tcp4 nowait root /bin/cat cat\n"), ["2000/tcp4 *:2000"]);
}

#[test]
fn comments_are_comments_even_when_indented() {
    let text = "#<off># telnet\tstream\ttcp\tnowait\troot\t/usr/sbin/launcher\t/usr/sbin/telnetd\n\
                2000 stream tcp4 nowait root /bin/cat cat\n   # not an argument\n";
    let (config, diagnostics, sources) = read(text);
    assert_eq!(arguments(&config.services[0]), ["cat"]);
    assert_eq!(codes(&diagnostics), ["indented-comment"]);
    assert_eq!(line_and_column(&diagnostics[0], &sources), (3, 4));
}

#[test]
fn built_ins() {
    let task = |text: &str| one(text).task;
    assert_eq!(task("echo dgram udp4 wait root internal\n"), Task::Builtin(Builtin::Echo));
    assert_eq!(task("127.0.0.1:daytime stream tcp4 nowait root internal\n"), Task::Builtin(Builtin::Daytime));
    assert_eq!(task("2000 stream tcp4 nowait - internal chargen\n"), Task::Builtin(Builtin::Chargen));
    let (config, diagnostics, _) = read("ftp stream tcp4 nowait root internal\n");
    assert!(config.services.is_empty());
    assert_eq!(diagnostics[0].original, "internal service ftp unknown");
    // A built-in makes no process; it is limited only when its line says so.
    assert_eq!(one("echo stream tcp4 nowait root internal\n").limits.starts, None);
    assert!(one("echo stream tcp4 nowait.9 root internal\n").limits.starts.is_some());
}

#[test]
fn each_bad_line_costs_itself_only() {
    let text = "bogus\n2000 stream tcp4 nowait root /bin/cat cat\n2001 strea tcp9 nowait root /bin/cat cat\n\
                2002 stream tcp4 nowait root\n2003 rdm udp wait root /bin/cat\n2004 stream tcp4 nowait root /bin/cat cat\n";
    let (config, diagnostics, sources) = read(text);
    let names: Vec<&[u8]> = config.services.iter().map(|service| &*service.name).collect();
    assert_eq!(names, [b"2000", b"2004"]);
    let found: Vec<_> = diagnostics.iter().map(|d| (d.code, line_and_column(d, &sources))).collect();
    assert_eq!(
        found,
        [
            ("not-enough-fields", (1, 6)),
            ("not-enough-fields", (4, 29)),
            ("bad-socket-type", (3, 6)),
            ("bad-socket-type", (5, 6)),
        ]
    );
    let broken: Vec<&[u8]> = config.broken.iter().map(|broken| &*broken.name).collect();
    assert_eq!(broken, [b"bogus".as_slice(), b"2002", b"2001", b"2003"]);
}

#[test]
fn the_last_of_two_equal_lines_wins() {
    let text = "2000 stream tcp nowait root /bin/cat cat\n2000 stream tcp4 nowait root /bin/tac tac\n";
    let (config, diagnostics, _) = read(text);
    assert_eq!(addresses(text), ["2000/tcp6 [::]:2000", "2000/tcp4 *:2000"]);
    assert_eq!(arguments(&config.services[1]), ["tac"]);
    assert_eq!(codes(&diagnostics), ["duplicate"]);
}

#[test]
fn a_shell_on_a_port_is_pointed_out() {
    let warned = |text: &str| {
        let (_, diagnostics, _) = read(text);
        diagnostics.iter().find(|d| d.code == "shell-on-a-port").map(|d| d.message.clone())
    };
    let world = warned("2000 stream tcp nowait root /bin/bash bash\n").expect("a warning");
    assert!(world.contains("the whole network a shell as root"), "{world}");
    assert!(warned("2000 stream tcp nowait root /bin/bash bash -i\n").is_some());
    assert!(warned("2000 stream tcp nowait root /bin/busybox sh\n").is_some());
    let local = warned("127.0.0.1:2000 stream tcp4 nowait nobody /bin/sh sh\n").expect("a warning");
    assert!(local.contains("everybody on this machine a shell as nobody"), "{local}");
    assert_eq!(warned("2000 stream tcp nowait root /bin/sh sh -c date\n"), None);
    assert_eq!(warned("2000 stream tcp nowait root /bin/sh sh /usr/local/bin/script\n"), None);
    assert_eq!(warned("2000 stream tcp nowait root /bin/cat cat\n"), None);
}

#[test]
fn odd_bytes_cost_their_line() {
    let (config, diagnostics, _) = read_on(
        b"a\0b stream tcp nowait root /bin/cat\n2000 stream tcp4 nowait root /bin/cat \xff\xfe\r\n",
        &defaults(),
        &mut Table::default(),
    );
    assert_eq!(codes(&diagnostics), ["nul-byte"]);
    let program = config.services[0].program().expect("a program");
    assert_eq!(program.command.arguments().next(), Some(b"\xff\xfe".as_slice()));
}

#[test]
fn an_argument_that_the_kernel_would_not_pass_is_refused() {
    let text = format!("2000 stream tcp4 nowait root /bin/x {}\n", "a".repeat(1 << 20));
    let (config, diagnostics, sources) = read(&text);
    assert!(config.services.is_empty());
    assert_eq!(codes(&diagnostics), ["argument-too-long"]);
    assert!(diagnostics[0].report(&sources).line().len() < 1000);
}

#[test]
fn ten_thousand_services_are_read() {
    let lines: Vec<String> = (1..=10_000)
        .map(|port| format!("{} stream tcp4 nowait nobody /bin/cat cat {port}", port + 1000))
        .collect();
    let (config, diagnostics, _) = read(&lines.join("\n"));
    assert_eq!((config.services.len(), diagnostics.len()), (10_000, 0));
}

#[test]
fn every_finding_says_what_to_do_or_what_was_expected() {
    let text = "bogus\n0 strea tcp9,x=1 noway.x nosuch /bin/missing\n2001 strea tcp9 noway.x nosuch.x bash\n\
                echo dgram udp wait root internal\nx stream unix nowait root internal foo\n2002 stream rpc/udp wait root /bin/x\n";
    let (_, diagnostics, sources) = read(text);
    assert!(diagnostics.len() > 8);
    for diagnostic in diagnostics {
        assert!(!diagnostic.expected.is_empty() || !diagnostic.hint.is_empty(), "{diagnostic:?}");
        let report = diagnostic.report(&sources);
        let excerpt = report.excerpt.expect("each has a place");
        assert!(excerpt.text.get(excerpt.mark.0..excerpt.mark.1).is_some());
        assert_ne!(report.severity, Severity::Note);
    }
}

fn entries(text: &[u8]) -> (Vec<Entry>, Sources) {
    let (tree, _, sources) = parse_as(DialectName::Union, text, &mut Files(Vec::new()));
    (tree.entries, sources)
}

#[test]
fn what_is_printed_reads_back_the_same() {
    let text = b"[::1],127.0.0.1:\nftp stream tcp,sndbuf=1k nowait.3 root.wheel /x a b\n  c #d\n/run/s dgram unix wait u:g internal\n";
    let (read_entries, _) = entries(text);
    let printed: Vec<u8> = read_entries.iter().flat_map(print).collect();
    let (again, _) = entries(&printed);
    let words = |entries: &[Entry]| entries.iter().map(print).collect::<Vec<_>>();
    assert_eq!(words(&read_entries), words(&again));
    assert_eq!(again.len(), 2);
}

#[test]
fn a_config_of_nothing_is_fine() {
    let (config, diagnostics, _) = read("");
    assert_eq!(config, Config { files: vec!["/etc/inetd.conf".to_owned()], ..Config::default() });
    assert!(diagnostics.is_empty());
}
