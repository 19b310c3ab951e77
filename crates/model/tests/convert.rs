//! Services in the other language: what is written of them to the letter, what they lose, and that whatever can be written
//! means the same there (see `world::other_language`, which looks at every text that a test reads, too).

mod world;

use proptest::prelude::*;
use usherd_model::config::NoIncludes;
use usherd_model::config::convert::{Leniency, Piece, Subject, Target, Weight, convert};
use usherd_model::config::inetd::DialectName;
use usherd_model::config::xinetd::{Reading, Switch};
use usherd_model::diagnostic::Diagnostics;
use usherd_model::source::Sources;
use world::{Files, Table, other_language, parse_as, parse_xinetd};

use Leniency::{Lossy, Strict};

fn to_xinetd(text: &str, leniency: Leniency) -> (Vec<Piece>, Sources) {
    let (tree, _, sources) = parse_as(DialectName::Union, text.as_bytes(), &mut Files(Vec::new()));
    (convert(&tree, &sources, Target::Xinetd, leniency, &mut Table::default()), sources)
}

fn to_inetd(dialect: DialectName, text: &str, leniency: Leniency) -> (Vec<Piece>, Sources) {
    let (tree, _, sources) = parse_xinetd(text.as_bytes(), &mut Files(Vec::new()));
    (convert(&tree, &sources, Target::Inetd(dialect), leniency, &mut Table::default()), sources)
}

#[track_caller]
fn one((pieces, _): (Vec<Piece>, Sources)) -> (String, Piece) {
    let [piece] = &*pieces else { panic!("one service, not {pieces:?}") };
    (String::from_utf8(piece.text.clone()).expect("text"), piece.clone())
}

/// The line that one service of xinetd.conf becomes, without the comments above it.
#[track_caller]
fn line(lines: &str) -> String {
    line_as(DialectName::Union, lines)
}

#[track_caller]
fn line_as(dialect: DialectName, lines: &str) -> String {
    let (text, piece) = one(to_inetd(dialect, &block(lines), Strict));
    assert_eq!(piece.switch, Switch::On, "{text}");
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

/// A service on port 9000 that loses nothing.
fn block(lines: &str) -> String {
    format!(
        "service 9000\n{{\n type = UNLISTED\n port = 9000\n socket_type = stream\n wait = no\n user = nobody\n \
         groups = yes\n flags = NOLIBWRAP\n server = /bin/cat\n{lines}\n}}\n"
    )
}

/// What is lost of the only service, with the places.
#[track_caller]
fn lost(converted: (Vec<Piece>, Sources)) -> Vec<(Subject, Weight, String)> {
    let (pieces, sources) = converted;
    let [piece] = &*pieces else { panic!("one service, not {pieces:?}") };
    let place = |span| sources.locate(span);
    piece
        .losses
        .iter()
        .map(|loss| {
            let at = place(loss.word.span);
            (loss.subject, loss.weight, format!("{}:{}", at.line, at.column))
        })
        .collect()
}

#[test]
fn a_line_is_a_block() {
    let (text, piece) = one(to_xinetd(
        "ftp stream tcp nowait/4/0/2 www-data:tty /usr/sbin/tcpd /usr/sbin/in.ftpd -l\n",
        Strict,
    ));
    assert_eq!(
        text,
        "# ftp, from /etc/inetd.conf:1:1\n\
         # left out: /etc/inetd.conf:1:38: tty: with groups = yes xinetd keeps the user's own group beside this one\n\
         service ftp\n\
         {\n\
         \tflags           = NAMEINARGS NOLIBWRAP\n\
         \tsocket_type     = stream\n\
         \tprotocol        = tcp\n\
         \twait            = no\n\
         \tuser            = www-data\n\
         \tgroup           = tty\n\
         \tgroups          = yes\n\
         \tserver          = /usr/sbin/tcpd\n\
         \tserver_args     = /usr/sbin/in.ftpd -l\n\
         \tinstances       = 4\n\
         \tper_source      = 2\n\
         }\n"
    );
    let [loss] = &*piece.losses else { panic!("one loss, not {:?}", piece.losses) };
    assert_eq!((loss.subject, loss.weight, piece.id.as_str()), (Subject::Groups, Weight::Aside, "ftp"));
    // The user's own group is no other one.
    assert_eq!(lost(to_xinetd("ftp stream tcp nowait www-data:www-data /bin/ftpd ftpd\n", Strict)), []);
}

#[test]
fn a_block_is_a_line() {
    assert_eq!(line("server_args = -u"), "9000\tstream\ttcp46\tnowait\tnobody\t/bin/cat\tcat\t-u");
    assert_eq!(
        line("instances = 4\n group = tty\n bind = ::1"),
        "[::1]:9000\tstream,4\ttcp6\tnowait\tnobody:tty\t/bin/cat\tcat"
    );
    assert_eq!(
        line("per_source = 4\n bind = 127.0.0.1"),
        "127.0.0.1:9000\tstream\ttcp4\tnowait/0/0/4\tnobody\t/bin/cat\tcat"
    );
    // hosts.allow and hosts.deny are asked there too.
    let asked = block("server_args = -u").replace("NOLIBWRAP", "IPv4");
    let (text, piece) = one(to_inetd(DialectName::Union, &asked, Strict));
    assert!(text.ends_with("9000\tstream\ttcp4\tnowait\tnobody\t/usr/sbin/tcpd\t/bin/cat\t-u\n"), "{text}");
    assert_eq!(piece.losses, []);
}

#[test]
fn the_sockets_are_those_of_the_dialect_that_is_written() {
    use DialectName::{Busybox, Freebsd, Gnu, Netbsd, Openbsd};
    let word = |dialect, lines: &str| {
        let text = line_as(dialect, lines);
        text.split('\t').nth(2).expect("a protocol").to_owned()
    };
    for (dialect, dual, v4, v6) in [
        (Openbsd, Some("tcp46"), "tcp4", Some("tcp6")),
        (Freebsd, Some("tcp46"), "tcp4", Some("tcp6")),
        (Netbsd, None, "tcp4", Some("tcp6")),
        (Gnu, Some("tcp6"), "tcp", Some("tcp6only")),
        (Busybox, Some("tcp6"), "tcp", None),
    ] {
        assert_eq!(word(dialect, "bind = 127.0.0.1"), v4, "{}", dialect.word());
        for (lines, expected) in [("", dual), ("v6only = yes", v6)] {
            match expected {
                Some(expected) => assert_eq!(word(dialect, lines), expected, "{}", dialect.word()),
                None => assert_eq!(
                    lost(to_inetd(dialect, &block(lines), Strict))[0].0,
                    Subject::Addresses,
                    "{}",
                    dialect.word()
                ),
            }
        }
    }
    // What a dialect reads otherwise is not written.
    let quote = block("server_args = \"a");
    assert_eq!(lost(to_inetd(Openbsd, &quote, Lossy)), []);
    assert_eq!(
        lost(to_inetd(Freebsd, &quote, Lossy)),
        [(Subject::Service, Weight::Whole, "11:15".to_owned())]
    );
    assert_eq!(lost(to_inetd(Openbsd, &block("instances = 3"), Lossy))[0].0, Subject::Children);
}

#[test]
fn a_restriction_that_cannot_be_said_switches_off() {
    for (lines, subject) in [
        ("only_from = 127.0.0.1", Subject::Callers),
        ("only_from =", Subject::Callers),
        ("no_access = 192.0.2.1", Subject::Callers),
        ("access_times = 8:00-17:00", Subject::Callers),
        ("max_load = 2.5", Subject::Callers),
        ("cps = 10 30", Subject::Starts),
        ("instances = 0\n per_source = 2", Subject::Children),
        ("per_source = 0", Subject::SourceChildren),
        ("nice = 5", Subject::Process),
        ("umask = 077", Subject::Process),
        ("rlimit_as = 8M", Subject::Process),
        ("env = A=1", Subject::Process),
        ("passenv =", Subject::Process),
    ] {
        let (text, piece) = one(to_inetd(DialectName::Union, &block(lines), Strict));
        let losses = &piece.losses;
        assert!(losses.iter().any(|loss| loss.subject == subject), "{lines}: {losses:?}");
        assert_eq!(piece.switch, Switch::Off, "{lines}");
        let last = text.lines().last().expect("a line");
        assert!(last.starts_with("#<off># 9000\t"), "{text}");
        assert!(text.contains("# and so it is switched off\n"), "{text}");
        let (text, piece) = one(to_inetd(DialectName::Union, &block(lines), Lossy));
        assert_eq!(piece.switch, Switch::On, "{lines}");
        assert!(text.contains("\n9000\t") && text.contains("# left out: /etc/xinetd.conf:11:"), "{text}");
    }
    let numbers = block("").replace("nobody", "12");
    assert_eq!(lost(to_inetd(DialectName::Union, &numbers, Strict))[0].0, Subject::User);
    let built_in = "service echo\n{\n type = INTERNAL\n socket_type = stream\n wait = no\n user = root\n}\n";
    assert_eq!(
        lost(to_inetd(DialectName::Union, built_in, Strict)),
        [(Subject::Tables, Weight::Restriction, "1:9".to_owned())]
    );
    let renamed = block("libwrap = other").replace("NOLIBWRAP", "KEEPALIVE");
    let losses = lost(to_inetd(DialectName::Union, &renamed, Strict));
    assert!(losses.contains(&(Subject::Tables, Weight::Restriction, "11:11".to_owned())), "{losses:?}");
}

#[test]
fn what_nobody_who_calls_would_see_is_left_out_aloud() {
    let text = block(
        "log_on_failure = HOST\n banner_fail = /etc/goodbye\n id = other\n log_type = FILE /var/log/it",
    );
    let (_, piece) = one(to_inetd(DialectName::Union, &text, Strict));
    let losses: Vec<Subject> = piece.losses.iter().map(|loss| loss.subject).collect();
    assert_eq!(losses, [Subject::Talk, Subject::Talk, Subject::Name, Subject::Talk]);
    assert_eq!(piece.switch, Switch::On);
    let groups = block("").replace(" groups = yes\n", "");
    assert_eq!(
        lost(to_inetd(DialectName::Union, &groups, Strict)),
        [(Subject::Groups, Weight::Aside, "7:9".to_owned())]
    );
    let named = block("").replace("service 9000", "service it");
    assert_eq!(
        lost(to_inetd(DialectName::Union, &named, Strict)),
        [(Subject::Name, Weight::Aside, "1:9".to_owned())]
    );
}

#[test]
fn what_is_no_service_there_is_cited() {
    for (text, word) in [
        (
            "service r\n{\n type = UNLISTED\n port = 9000\n socket_type = stream\n wait = no\n redirect = 192.0.2.1 80\n}\n",
            "redirect",
        ),
        (
            "service s\n{\n type = UNLISTED\n port = 9000\n socket_type = stream\n wait = no\n user = root\n flags = SENSOR\n}\n",
            "SENSOR",
        ),
    ] {
        let (text, piece) = one(to_inetd(DialectName::Union, text, Lossy));
        assert_eq!(piece.switch, Switch::Off);
        assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
        assert!(
            text.contains(&format!(
                "# not possible: /etc/xinetd.conf:{}",
                if word == "redirect" { "7:2: redirect" } else { "8:10: SENSOR" }
            )),
            "{text}"
        );
        assert!(text.contains("#      port = 9000\n"), "{text}");
    }
    let (text, piece) = one(to_xinetd("/run/x.sock stream unix nowait root /bin/cat cat\n", Lossy));
    assert_eq!(piece.switch, Switch::Off);
    assert!(text.ends_with("#     /run/x.sock stream unix nowait root /bin/cat cat\n"), "{text}");
}

#[test]
fn a_program_without_its_path_is_said() {
    let (text, piece) = one(to_xinetd("ftp stream tcp nowait root bin/ftpd ftpd\n", Strict));
    assert_eq!(
        (piece.losses[0].weight, piece.losses[0].subject),
        (Weight::Whole, Subject::Command),
        "{text}"
    );
    assert!(text.contains("bin/ftpd: a program of xinetd.conf has its whole path"), "{text}");
}

#[test]
fn what_inetd_says_and_xinetd_cannot() {
    for (text, subject, place) in [
        ("2000 stream tcp nowait.10 root /bin/x x\n", Subject::Starts, "1:24"),
        ("2000 stream tcp nowait/0/5/0 root /bin/x x\n", Subject::SourceStarts, "1:26"),
        ("2000 stream tcp,sndbuf=8k nowait root /bin/x x\n", Subject::SocketOptions, "1:24"),
        ("2000 stream tcp nowait root/daemon /bin/x x\n", Subject::User, "1:29"),
        ("127.0.0.1,::1:2000 stream tcp nowait root /bin/x x\n", Subject::Addresses, "1:11"),
        ("auth stream tcp nowait root internal auth -r\n", Subject::Command, "1:43"),
    ] {
        assert_eq!(
            lost(to_xinetd(text, Strict)),
            [(subject, Weight::Restriction, place.to_owned())],
            "{text}"
        );
        let (written, piece) = one(to_xinetd(text, Strict));
        assert!(piece.switch == Switch::Off && written.contains("\tdisable         = yes\n"), "{written}");
        let (written, piece) = one(to_xinetd(text, Lossy));
        assert!(piece.switch == Switch::On && !written.contains("disable"), "{written}");
    }
    // Words that cannot stand there, and what would end a block.
    let netbsd = "2000 on socktype = stream, wait = no, user = root, exec = /bin/x, args = x \"a b\";\n";
    for text in
        [netbsd.to_owned(), netbsd.replace("a b", "\\n}\\nservice evil\\n{"), netbsd.replace("a b", "")]
    {
        let (written, piece) = one(to_xinetd(&text, Lossy));
        assert!(
            piece.switch == Switch::Off && written.lines().all(|line| line.starts_with('#')),
            "{written}"
        );
    }
    // There it is a name, here it would be root's number.
    let losses = lost(to_xinetd("2000 stream tcp nowait 0 /bin/x x\n", Lossy));
    assert_eq!(losses, [(Subject::User, Weight::Whole, "1:24".to_owned())]);
    // No limit is nothing that is lost.
    assert_eq!(lost(to_xinetd("2000 stream tcp nowait/0/0/0 root /bin/x x\n", Strict)), []);
}

#[test]
fn addresses_are_bound() {
    let bound = |text: &str| {
        let (text, _) = one(to_xinetd(&format!("{text} nowait root /bin/x x\n"), Lossy));
        let has = |name: &str| text.lines().filter(|line| line.trim_start().starts_with(name)).count();
        let bind = text.lines().find_map(|line| line.split("bind            = ").nth(1));
        let flags = text.lines().find_map(|line| line.split("flags           = NOLIBWRAP").nth(1));
        (bind.map(str::to_owned), flags.map(|flags| flags.trim().to_owned()), has("v6only"))
    };
    let expected =
        |bind: Option<&str>, flags: &str, v6only| (bind.map(str::to_owned), Some(flags.to_owned()), v6only);
    assert_eq!(bound("2000 stream tcp"), expected(None, "", 0));
    assert_eq!(bound("*:2000 stream tcp46"), expected(None, "", 0));
    assert_eq!(bound("2000 stream tcp4"), expected(None, "IPv4", 0));
    assert_eq!(bound("2000 stream tcp6"), expected(None, "IPv6", 1));
    assert_eq!(bound("127.0.0.1:2000 stream tcp"), expected(Some("127.0.0.1"), "", 0));
    assert_eq!(bound("[::1]:2000 stream tcp46"), expected(Some("::1"), "IPv6", 0));
    assert_eq!(bound("localhost:2000 stream tcp4"), expected(Some("localhost"), "IPv4", 0));
    assert_eq!(bound("localhost:2000 stream tcp"), expected(Some("localhost"), "", 0));
    assert_eq!(lost(to_xinetd("localhost:2000 stream tcp nowait root /bin/x x\n", Strict)), []);
    assert_eq!(bound("[::]:2000 stream tcp6"), expected(Some("::"), "IPv6", 1));
    assert_eq!(bound("[fe80::1%3]:2000 stream tcp"), expected(Some("fe80::1%3"), "", 0));
    assert!(line("bind = localhost").starts_with("localhost:9000\tstream\ttcp\t"));
    assert!(line("bind = ::").starts_with("[::]:9000\tstream\ttcp46\t"));
}

#[test]
fn services_of_one_name_have_ids_of_their_own() {
    let text = "echo stream tcp nowait root internal\necho dgram udp wait root internal\n\
                127.0.0.1:ftp stream tcp nowait root /bin/x x\n127.0.0.2:ftp stream tcp nowait root /bin/y y\n\
                127.0.0.2:ftp stream tcp nowait root /bin/z z\n2007 stream tcp nowait root internal echo\n";
    let (pieces, _) = to_xinetd(text, Strict);
    let ids: Vec<&str> = pieces.iter().map(|piece| piece.id.as_str()).collect();
    let expected = [
        "echo-stream",
        "echo-dgram",
        "ftp-stream-127.0.0.1",
        "ftp-stream-127.0.0.2",
        "ftp-stream-127.0.0.2-2",
        "2007",
    ];
    assert_eq!(ids, expected);
}

#[test]
fn what_is_switched_off_stays_off() {
    let off = block("disable = yes\n per_source = 2");
    let (text, piece) = one(to_inetd(DialectName::Union, &off, Lossy));
    assert_eq!((piece.switch, piece.losses.len()), (Switch::Off, 0));
    assert!(text.contains("# it is switched off there\n#<off># 9000\t"), "{text}");
    let disabled = format!("defaults\n{{\n disabled = 9000\n}}\n{}", block(""));
    assert_eq!(one(to_inetd(DialectName::Union, &disabled, Lossy)).1.switch, Switch::Off);
    let netbsd = "2000 off socktype = stream, wait = no, user = root, exec = /bin/x, args = x;\n";
    let (text, piece) = one(to_xinetd(netbsd, Lossy));
    assert!(piece.switch == Switch::Off && text.contains("disable         = yes"), "{text}");
    // As update-inetd leaves it; what cannot be read behind its mark is a comment.
    let debian = "#<off># ftp stream tcp nowait root /bin/x x\n#<off># a telnet daemon\n#<off>#\n# ftp too\n";
    for dialect in DialectName::ORIGINALS.into_iter().chain([DialectName::Union]) {
        let (tree, diagnostics, sources) = parse_as(dialect, debian.as_bytes(), &mut Files(Vec::new()));
        assert_eq!((tree.entries.len(), tree.off.len(), diagnostics.len()), (0, 1, 0), "{}", dialect.word());
        let [piece] = &*convert(&tree, &sources, Target::Xinetd, Strict, &mut Table::default()) else {
            panic!("one service")
        };
        assert!(piece.switch == Switch::Off && piece.losses.is_empty(), "{:?}", piece.losses);
    }
    // What is wrong behind the word is nobody's concern, as with xinetd.
    assert_eq!(to_inetd(DialectName::Union, "service x\n{\n disable = yes\n}\n", Lossy).0, []);
}

#[test]
fn defaults_are_resolved_into_each_service() {
    let text = format!(
        "defaults\n{{\n instances = 7\n only_from = 10.0.0.0/8\n bind = 127.0.0.1\n}}\n{}",
        block("")
    );
    let (pieces, sources) = to_inetd(DialectName::Union, &text, Strict);
    let lines: Vec<String> = pieces[0].lines(&sources).collect();
    let expected = "/etc/xinetd.conf:4:2: 9000: only_from: inetd.conf cannot say who may call; hosts.allow can; it is \
                    switched off";
    assert_eq!(lines, [expected]);
    let written = String::from_utf8_lossy(&pieces[0].text).into_owned();
    assert!(written.contains("#<off># 127.0.0.1:9000\tstream,7\ttcp4\t"), "{written}");
}

#[test]
fn gnu_adds_tcpmux_and_xinetd_does_not() {
    let text = b"tcpmux/x stream tcp nowait root /bin/x x\n";
    let (tree, _, sources) = parse_as(DialectName::Gnu, text, &mut Files(Vec::new()));
    let pieces = convert(&tree, &sources, Target::Xinetd, Strict, &mut Table::default());
    let [loss] = &*pieces[0].losses else { panic!("one loss") };
    assert!(loss.why.contains("adds tcpmux") && loss.weight == Weight::Aside);
}

/// A file of this repository.
macro_rules! kept {
    ($path:literal) => {
        ($path, include_bytes!(concat!("../../../", $path)).as_slice())
    };
}

const INETD_FILES: [(&str, &[u8]); 16] = [
    kept!("examples/files/inetd.conf"),
    kept!("examples/ftp/inetd.conf"),
    kept!("examples/processes/inetd.conf"),
    kept!("examples/script/inetd.conf"),
    kept!("examples/shell/inetd.conf"),
    kept!("fuzz/seeds/inetd_conf/addresses.conf"),
    kept!("fuzz/seeds/inetd_conf/debian.conf"),
    kept!("fuzz/seeds/inetd_conf/failed-carriage-return.conf"),
    kept!("fuzz/seeds/inetd_conf/failed-colon-in-name.conf"),
    kept!("fuzz/seeds/inetd_conf/failed-double-brackets.conf"),
    kept!("fuzz/seeds/inetd_conf/failed-empty-brackets.conf"),
    kept!("fuzz/seeds/inetd_conf/failed-host-like-a-comment.conf"),
    kept!("fuzz/seeds/inetd_conf/mistakes.conf"),
    kept!("fuzz/seeds/inetd_conf/rpc.conf"),
    kept!("fuzz/seeds/inetd_conf/unix.conf"),
    kept!("fuzz/seeds/inetd_conf/windows.conf"),
];

const XINETD_FILES: [(&str, &[u8]); 2] =
    [kept!("fuzz/seeds/xinetd_conf/all.conf"), kept!("fuzz/seeds/xinetd_conf/mistakes.conf")];

#[test]
fn examples_and_seeds_mean_the_same() {
    for (path, text) in INETD_FILES {
        let mut count = 0;
        for dialect in DialectName::ORIGINALS.into_iter().chain([DialectName::Union]) {
            let (tree, _, sources) = parse_as(dialect, text, &mut Files(Vec::new()));
            other_language::assert_same(&tree, &sources, dialect);
            count += tree.entries.len();
        }
        assert!(count > 0, "{path}: nothing in it");
    }
    for (path, text) in XINETD_FILES {
        let (tree, _, sources) = parse_xinetd(text, &mut Files(Vec::new()));
        other_language::assert_same(&tree, &sources, DialectName::Union);
        assert!(tree.entries.len() + tree.broken.len() > 0, "{path}: nothing in it");
    }
}

/// A word of a pool, for the most part: what is possible is not what is usual.
fn of(pool: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        30 => prop::sample::select(pool).prop_map(str::to_owned),
        1 => "[!-~]{1,6}",
    ]
}

fn some(chance: f64, strategy: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::option::weighted(chance, strategy).prop_map(Option::unwrap_or_default)
}

fn inetd_line() -> impl Strategy<Value = String> {
    let hosts = some(
        0.4,
        prop::collection::vec(of(&["127.0.0.1", "[::1]", "*", "localhost", "two", "192.0.2.9"]), 1..3)
            .prop_map(|hosts| format!("{}:", hosts.join(","))),
    );
    let name =
        of(&["ftp", "echo", "2000", "2001", "daytime", "sink", "tcpmux/x", "tcpmux/+echo", "auth", "/run/x"]);
    let kind = of(&["stream", "stream", "dgram", "stream,3", "seqpacket"]);
    let protocol = of(&[
        "tcp",
        "tcp4",
        "tcp6",
        "tcp46",
        "tcp6only",
        "udp",
        "udp4",
        "udp6",
        "udp46",
        "unix",
        "rpc/udp",
        "tcp,sndbuf=8k",
        "udp,rcvbuf=1m",
    ]);
    let wait = of(&[
        "nowait",
        "wait",
        "nowait.10",
        "nowait:0",
        "nowait/4",
        "nowait/0/0/2",
        "wait/1/2/3",
        "nowait.0x",
    ]);
    let owner =
        of(&["root", "nobody", "www-data:tty", "www-data.mail", "first.last", "nobody/daemon", "ghost.tty"]);
    let program = of(&["/bin/cat", "/usr/sbin/tcpd", "internal", "internal", "bin/relative", "/opt/x/tcpd"]);
    let arguments =
        prop::collection::vec(of(&["cat", "-l", "echo", "/usr/sbin/in.ftpd", "\"a", "#", "=", "x"]), 0..4);
    (hosts, name, kind, protocol, wait, owner, program, arguments).prop_map(
        |(hosts, name, kind, protocol, wait, owner, program, arguments)| {
            let versions = if protocol.starts_with("rpc/") { "/1-2" } else { "" };
            format!(
                "{hosts}{name}{versions} {kind} {protocol} {wait} {owner} {program} {}\n",
                arguments.join(" ")
            )
        },
    )
}

fn xinetd_block() -> impl Strategy<Value = String> {
    const LINES: &[&str] = &[
        "type = UNLISTED",
        "type = INTERNAL",
        "type = RPC",
        "type = RPC UNLISTED",
        "type = INTERNAL UNLISTED",
        "type = UNLISTED TCPMUX",
        "type = TCPMUXPLUS UNLISTED",
        "port = 2000",
        "port = 21",
        "flags = IPv4",
        "flags = IPv6",
        "flags = NAMEINARGS NOLIBWRAP",
        "flags = NOLIBWRAP",
        "flags = SENSOR",
        "flags = IDONLY",
        "flags = KEEPALIVE",
        "v6only = yes",
        "bind = 127.0.0.1",
        "bind = ::1",
        "bind = localhost",
        "group = tty",
        "group = 8",
        "groups = yes",
        "groups = yes",
        "server_args = cat -u",
        "server_args = in.cat",
        "instances = 4",
        "instances = 0",
        "instances = UNLIMITED",
        "per_source = 2",
        "per_source = 0",
        "cps = 10 20",
        "only_from = 127.0.0.1",
        "only_from =",
        "no_access = 10.0.0.0/8",
        "access_times = 1:00-2:00",
        "max_load = 3",
        "nice = 4",
        "umask = 77",
        "rlimit_as = 4M",
        "env = A=1",
        "passenv = TZ",
        "id = other",
        "log_type = SYSLOG daemon",
        "banner = /etc/banner",
        "log_on_success = PID HOST",
        "rpc_version = 1-2",
        "rpc_number = 300019",
        "redirect = 192.0.2.1 80",
        "libwrap = other",
        "libwrap = cat",
        "disable = no",
        "protocol = tcp",
        "instances = x",
        "deny_time = 5",
    ];
    let lines = prop::collection::vec(prop::sample::select(LINES), 0..7);
    let name = of(&["ftp", "echo", "daytime", "it", "2000", "tcpmux/x", "rstatd"]);
    let kind = of(&["stream", "dgram"]);
    let wait = of(&["yes", "no"]);
    let user = of(&["root", "nobody", "www-data", "first.last", "12"]);
    let server = of(&["/bin/cat", "/usr/sbin/tcpd", "/usr/sbin/in.ftpd"]);
    (name, kind, wait, user, server, lines).prop_map(|(name, kind, wait, user, server, lines)| {
        format!(
            "service {name}\n{{\n{}\nsocket_type = {kind}\nwait = {wait}\nuser = {user}\nserver = {server}\n}}\n",
            lines.join("\n")
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_mean_the_same_as_blocks(lines in prop::collection::vec(inetd_line(), 1..4)) {
        let text = lines.concat();
        for dialect in [DialectName::Union, DialectName::Openbsd, DialectName::Gnu, DialectName::Freebsd] {
            let (tree, _, sources) = parse_as(dialect, text.as_bytes(), &mut Files(Vec::new()));
            other_language::assert_same(&tree, &sources, dialect);
        }
    }

    #[test]
    fn blocks_mean_the_same_as_lines(blocks in prop::collection::vec(xinetd_block(), 1..4)) {
        let text = blocks.concat();
        let (tree, _, sources) = parse_xinetd(text.as_bytes(), &mut Files(Vec::new()));
        other_language::assert_same(&tree, &sources, DialectName::Union);
    }

    #[test]
    fn no_text_is_too_odd_for_either(text in "[a-z0-9:/,.\"#=+ \n\t{}]{0,120}") {
        let (tree, _, sources) = parse_as(DialectName::Union, text.as_bytes(), &mut Files(Vec::new()));
        other_language::assert_same(&tree, &sources, DialectName::Union);
    }
}

#[test]
fn what_is_off_and_cannot_be_read_is_said() {
    for lines in ["disable = yes\n no operator", "disable = yes\n nice = 1 2", "disable = yes\n user += x"] {
        let mut sources = Sources::default();
        let file = sources.add("/etc/xinetd.conf", (block(lines) + &block("disable = yes")).into_bytes());
        let (mut reading, mut diagnostics) = (Reading::default(), Diagnostics::default());
        reading.read(&mut sources, file, &mut NoIncludes, &mut diagnostics);
        assert_eq!(*diagnostics, []);
        assert_eq!(reading.off(&mut diagnostics).len(), 1, "{lines}");
        let codes: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(codes, ["off-and-broken"], "{lines}");
    }
}
