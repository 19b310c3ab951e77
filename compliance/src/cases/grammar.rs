//! How lines are read: fields, comments, continuation, argument lists, bad lines.

use crate::cases::{Case, V4_ONLY, case};
use crate::client::{ask, refuses, tcp, wait_refused};
use crate::deadline;
use crate::lab::Lab;
use crate::server::Dialect;
use crate::server::Server::{Busybox, Inetutils, Openbsd, Usherd};
use crate::sockets;

const NO_CONTINUATION: &str = "its grammar has no continuation by a leading blank";

const NUL: &str = "the NUL ends the line";
const CR: &str = "it is a letter of the last word";

pub const CASES: &[Case] = &[
    case(
        "numeric_port",
        "\"The service name entry is the name of a valid service in the file /etc/services or a port number.\"",
        numeric_port,
    ),
    case(
        "named_port",
        "\"The service name entry is the name of a valid service in the file /etc/services or a port number.\"",
        named_port,
    ),
    case("alias_of_a_port", "getservbyname(3) finds a service by its aliases too", alias_of_a_port),
    case(
        "tabs_and_blanks",
        "\"with entries for each field separated by a tab or a space\"; maintainer scripts mix runs of both",
        tabs_and_blanks,
    ),
    case("blanks_at_the_end", "blanks after the last argument are not an argument", blanks_at_the_end),
    case(
        "comments",
        "\"Comments are denoted by a “#” at the beginning of a line.\"",
        comments,
    ),
    case("cr_at_the_end", "a file from another system: a CR before the line end is no letter", cr_at_the_end)
        .ignored(&[(Openbsd, CR), (Busybox, CR)]),
    case("nul_in_a_line", "half a line is not a line: one with a NUL costs itself and nothing else", nul_in_a_line)
        .ignored(&[(Openbsd, NUL), (Inetutils, NUL), (Busybox, NUL)]),
    case("blank_lines", "a blank line is no entry (getconfigent: \"A blank line.\")", blank_lines),
    case(
        "off_lines",
        "update-inetd(8): a disabled entry begins with `#<off># `, which is a comment",
        off_lines,
    ),
    case("no_newline_at_the_end", "a last line without newline is a line", no_newline_at_the_end),
    case(
        "continuation_by_blank",
        "inetd.c: \"Continuation lines for an entry must begin with a space or tab.\"",
        continuation_by_blank,
    )
    .other_dialects(&[(Dialect::Gnu, NO_CONTINUATION), (Dialect::Busybox, NO_CONTINUATION)]),
    case(
        "continuation_by_tab",
        "inetd.c: \"Continuation lines for an entry must begin with a space or tab.\"",
        continuation_by_tab,
    )
    .other_dialects(&[(Dialect::Gnu, NO_CONTINUATION), (Dialect::Busybox, NO_CONTINUATION)]),
    case(
        "continuation_in_mid_entry",
        "inetd.c: \"Continuation lines for an entry must begin with a space or tab.\"",
        continuation_in_mid_entry,
    )
    .other_dialects(&[(Dialect::Gnu, NO_CONTINUATION), (Dialect::Busybox, NO_CONTINUATION)]),
    case(
        "continuation_over_v6",
        "\"“tcp” and “udp” will be recognized as “TCP or UDP over both IPv4 and IPv6.”\": the same service",
        continuation_over_v6,
    )
    .ignored(&[(Openbsd, "the IPv6 twin is parsed from the first physical line only and loses the rest")])
    .other_dialects(&[
        (Dialect::Gnu, NO_CONTINUATION),
        (Dialect::Busybox, NO_CONTINUATION),
        (Dialect::Freebsd, V4_ONLY),
        (Dialect::Netbsd, V4_ONLY),
    ]),
    case(
        "argv0_is_the_name_when_absent",
        "an entry without arguments gets the program's base name as argv[0] (getconfigent, argc == 0)",
        argv0_is_the_name_when_absent,
    )
    .not_run(&[(Inetutils, "argv is not terminated then; what comes after argv[0] is chance")])
    .other_dialects(&[(Dialect::Busybox, "argv[0] is the whole path then")]),
    case(
        "argv0_as_written",
        "\"starting with argv[0], which is the name of the program\"",
        argv0_as_written,
    ),
    case(
        "argv0_absolute",
        "tcpd lines have the real daemon's absolute path as argv[0], which is passed verbatim",
        argv0_absolute,
    ),
    case(
        "twenty_arguments",
        "inetd.c: \"server program arguments: maximum of MAXARGS (20)\"",
        twenty_arguments,
    ),
    case(
        "many_arguments",
        "the manual knows no limit to \"server program arguments\"",
        many_arguments,
    )
    .ignored(&[
        (Openbsd, "arguments beyond 20 are dropped in silence"),
        (Busybox, "the twentieth word keeps the rest of the line as one argument"),
    ]),
    case(
        "long_line",
        "the manual knows no limit to the length of a line",
        long_line,
    )
    .ignored(&[(Openbsd, "a line is read into 1024 bytes, and what is longer is parsed as two lines")]),
    case("quotes_are_letters", "quotes have no meaning in inetd.conf (skip)", quotes_are_letters)
        .other_dialects(&[
            (Dialect::Gnu, "GNU's words can be quoted"),
            (Dialect::Freebsd, "words can be quoted there"),
            (Dialect::Netbsd, "words can be quoted there"),
        ]),
    case("backslash_is_a_letter", "a backslash has no meaning in inetd.conf (skip)", backslash_is_a_letter),
    case(
        "hash_in_an_entry",
        "a `#` begins a comment \"at the beginning of a line\" only; later it is an argument",
        hash_in_an_entry,
    )
    .other_dialects(&[(Dialect::Busybox, "a # anywhere begins a comment")]),
    case("bytes_beyond_ascii", "arguments are bytes: UTF-8 passes through", bytes_beyond_ascii),
    case("percent_and_dollar", "nothing is expanded in an argument", percent_and_dollar),
    case(
        "too_few_fields",
        "\"There must be an entry for each field of the configuration file\"; a line without costs only itself",
        too_few_fields,
    ),
    case(
        "too_few_fields_logged",
        "skip() logs \"syntax error in inetd config file\"",
        too_few_fields_logged,
    )
    .ignored(&[(Inetutils, "says \"not enough fields\""), (Busybox, "says \"parse error\"")]),
    case(
        "unknown_socket_type",
        "\"The socket type should be one of “stream” or “dgram”\"; another costs only its line",
        unknown_socket_type,
    ),
    case(
        "unknown_internal",
        "an internal service that does not exist costs only its line",
        unknown_internal,
    ),
    case(
        "unknown_internal_logged",
        "getconfigent logs \"internal service NAME unknown\"",
        unknown_internal_logged,
    )
    .ignored(&[(Inetutils, "says it with file and line"), (Busybox, "says it in other words")]),
    case(
        "unknown_service",
        "a name that is not in /etc/services costs only its line",
        unknown_service,
    ),
    case(
        "unknown_service_logged",
        "config() logs \"SERVICE/PROTOCOL: unknown service\"",
        unknown_service_logged,
    )
    .ignored(&[(Inetutils, "says what getaddrinfo says")]),
    case(
        "ports_out_of_range",
        "a port number is 1 to 65535 (strtonum); others cost only their line",
        ports_out_of_range,
    ),
    case(
        "unknown_protocol",
        "\"The protocol must be a valid protocol\"; another costs only its line",
        unknown_protocol,
    ),
    case(
        "bogus_wait_word",
        "the field is \"wait/nowait[.max]\"; a line with another word is not served",
        bogus_wait_word,
    )
    .ignored(&[
        (Usherd, "warns and takes it for nowait: nothing is lost that could be kept"),
    ])
    .other_dialects(&[
        (Dialect::Openbsd, "every word but `wait` is taken for nowait"),
        (Dialect::Gnu, "warns and takes it for nowait"),
        (Dialect::Netbsd, "every word but `wait` is taken for nowait"),
    ]),
    case(
        "bad_max_logged",
        "getconfigent: a bad `.max` is logged, `SERVICE: illegal max field \"X\", setting to N`, and served",
        bad_max_logged,
    )
    .ignored(&[(Inetutils, "says \"invalid number\""), (Busybox, "drops the line")])
    .other_dialects(&[(Dialect::Freebsd, "what stands behind a dot is not looked at there")]),
    case(
        "same_service_twice",
        "matchconf: the same service, address and protocol again replaces the first",
        same_service_twice,
    ),
    case(
        "same_port_tcp_and_udp",
        "the same port under another protocol is another service",
        same_port_tcp_and_udp,
    ),
    case(
        "buffer_sizes",
        "\"the configuration file may specify the send and receive socket buffer sizes for the listening socket\"",
        buffer_sizes,
    )
    .ignored(&[
        (Openbsd, "buffer sizes are read and never applied"),
        (Inetutils, "GNU knows no buffer sizes"),
        (Busybox, "busybox knows no buffer sizes"),
    ]),
    case(
        "buffer_sizes_are_accepted",
        "\"tcp,rcvbuf=64k,sndbuf=1m\" is a protocol",
        buffer_sizes_are_accepted,
    )
    .ignored(&[(Busybox, "busybox knows no buffer sizes")]),
    case(
        "bad_buffer_size",
        "getconfigent logs \"SERVICE: malformed buffer size option `X'\", and only that line is lost",
        bad_buffer_size,
    )
    .ignored(&[
        (Inetutils, "GNU knows no buffer sizes"),
        (Busybox, "busybox knows no buffer sizes"),
    ]),
    case("garbage", "a file of garbage costs only its own lines", garbage),
    case("many_services", "the number of services is not limited by the grammar", many_services),
];

/// Two good neighbours round `line`, both of which must be served.
fn neighbours_of(lab: &mut Lab, line: &str) {
    lab.start(&format!(
        "2001 stream tcp nowait nobody /srv/probe before\n{line}\n2003 stream tcp nowait nobody /srv/probe after\n"
    ));
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["before"]);
    assert_eq!(ask("127.0.0.1:2003").arguments(), ["after"]);
}

fn numeric_port(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe one two\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "one", "two"]);
}

fn named_port(lab: &mut Lab) {
    lab.start("labone stream tcp nowait nobody /srv/probe probe named\n");
    assert_eq!(ask("127.0.0.1:2101").arguments(), ["probe", "named"]);
}

fn alias_of_a_port(lab: &mut Lab) {
    lab.start("labalias stream tcp nowait nobody /srv/probe probe alias\n");
    assert_eq!(ask("127.0.0.1:2101").arguments(), ["probe", "alias"]);
}

fn tabs_and_blanks(lab: &mut Lab) {
    lab.start("2001\t\tstream \t tcp\tnowait\t\tnobody  /srv/probe\tprobe \t  a\t\tb\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "a", "b"]);
}

fn blanks_at_the_end(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe a \t \n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "a"]);
}

fn comments(lab: &mut Lab) {
    lab.start(
        "# a comment\n#2002 stream tcp nowait nobody /srv/probe probe\n\
         2001 stream tcp nowait nobody /srv/probe probe\n#:STANDARD: These are standard services.\n",
    );
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe"]);
    assert!(refuses("127.0.0.1:2002"));
}

fn nul_in_a_line(lab: &mut Lab) {
    neighbours_of(lab, "2002 stream tcp nowait nobody /srv/probe probe a\0b c");
    assert!(refuses("127.0.0.1:2002"));
}

fn cr_at_the_end(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe last\r\n");
    assert!(!tcp("127.0.0.1:2001").text().contains("last\r"));
}

fn blank_lines(lab: &mut Lab) {
    neighbours_of(lab, "\n\n\n");
}

fn off_lines(lab: &mut Lab) {
    neighbours_of(
        lab,
        "#<off># 2002 stream tcp nowait nobody /srv/probe probe\n#<off>#2004 stream tcp nowait root /srv/probe p",
    );
    assert!(refuses("127.0.0.1:2002"));
    assert!(refuses("127.0.0.1:2004"));
}

fn no_newline_at_the_end(lab: &mut Lab) {
    lab.write_raw_config("2001 stream tcp nowait nobody /srv/probe probe last");
    lab.start_only(&lab.launch());
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "last"]);
}

fn continuation_by_blank(lab: &mut Lab) {
    lab.start("2001 stream tcp4 nowait nobody /srv/probe probe one\n two\n   three\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "one", "two", "three"]);
}

fn continuation_by_tab(lab: &mut Lab) {
    lab.start("2001 stream tcp4 nowait nobody\n\t/srv/probe probe\n\tone\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "one"]);
}

fn continuation_in_mid_entry(lab: &mut Lab) {
    lab.start(
        "2001\n stream\n tcp4\n nowait\n nobody\n /srv/probe\n probe\n\
         2002 stream tcp4 nowait nobody /srv/probe next\n",
    );
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe"]);
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["next"]);
}

fn continuation_over_v6(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe one\n two\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "one", "two"]);
    assert_eq!(ask("[::1]:2001").arguments(), ["probe", "one", "two"]);
}

fn argv0_is_the_name_when_absent(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe"]);
}

fn argv0_as_written(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe another-name x\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["another-name", "x"]);
}

fn argv0_absolute(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe /usr/sbin/in.realdaemon -x\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["/usr/sbin/in.realdaemon", "-x"]);
}

fn with_arguments(lab: &mut Lab, count: usize) {
    let words: Vec<String> = (0..count).map(|number| format!("a{number}")).collect();
    lab.start(&format!("2001 stream tcp nowait nobody /srv/probe {}\n", words.join(" ")));
    assert_eq!(ask("127.0.0.1:2001").arguments(), words);
}

fn twenty_arguments(lab: &mut Lab) {
    with_arguments(lab, 20);
}

fn many_arguments(lab: &mut Lab) {
    with_arguments(lab, 60);
}

fn long_line(lab: &mut Lab) {
    let word = "w".repeat(3000);
    lab.start(&format!("2001 stream tcp nowait nobody /srv/probe probe {word} end\n"));
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", &word, "end"]);
}

fn quotes_are_letters(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe \"a b\" 'c d' don't\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "\"a", "b\"", "'c", "d'", "don't"]);
}

fn backslash_is_a_letter(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe a\\ b \\n end\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "a\\", "b", "\\n", "end"]);
}

fn hash_in_an_entry(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe a # b c#d\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "a", "#", "b", "c#d"]);
}

fn bytes_beyond_ascii(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe grüße 世界\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "grüße", "世界"]);
}

fn percent_and_dollar(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe $HOME %s ~ * `id` $(id) ;\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "$HOME", "%s", "~", "*", "`id`", "$(id)", ";"]);
}

fn too_few_fields(lab: &mut Lab) {
    neighbours_of(lab, "2002 stream tcp nowait\n2004\n2005 stream");
    assert!(refuses("127.0.0.1:2002"));
    assert!(refuses("127.0.0.1:2004"));
    assert!(refuses("127.0.0.1:2005"));
}

fn too_few_fields_logged(lab: &mut Lab) {
    neighbours_of(lab, "2002 stream tcp nowait");
    lab.syslog.expect("syntax error in inetd config file");
}

fn unknown_socket_type(lab: &mut Lab) {
    neighbours_of(lab, "2002 strem tcp nowait nobody /srv/probe probe");
    assert!(refuses("127.0.0.1:2002"));
}

fn unknown_internal(lab: &mut Lab) {
    neighbours_of(lab, "labone stream tcp nowait root internal");
    assert!(refuses("127.0.0.1:2101"));
}

fn unknown_internal_logged(lab: &mut Lab) {
    neighbours_of(lab, "labone stream tcp4 nowait root internal");
    lab.syslog.expect("internal service labone unknown");
}

fn unknown_service(lab: &mut Lab) {
    neighbours_of(lab, "nosuchservice stream tcp nowait nobody /srv/probe probe");
    lab.assert_serves();
}

fn unknown_service_logged(lab: &mut Lab) {
    neighbours_of(lab, "nosuchservice stream tcp nowait nobody /srv/probe probe");
    lab.syslog.expect("nosuchservice/tcp: unknown service");
}

fn ports_out_of_range(lab: &mut Lab) {
    let line = |port: &str| format!("{port} stream tcp nowait nobody /srv/probe probe\n");
    let lines: String = ["0", "65536", "99999999999999999999", "-1", "2002x"].map(line).concat();
    neighbours_of(lab, lines.trim_end());
    assert!(refuses("127.0.0.1:2002"), "2002x is not 2002");
    let strangers = sockets::tcp_listeners().iter().filter(|one| one.port > 60000 || one.port < 1024).count();
    assert_eq!(strangers, 0, "no listener on a port that the line did not name");
}

fn unknown_protocol(lab: &mut Lab) {
    neighbours_of(lab, "2002 stream nosuchproto nowait nobody /srv/probe probe");
}

fn bogus_wait_word(lab: &mut Lab) {
    neighbours_of(lab, "2002 stream tcp nowiat nobody /srv/probe probe");
    assert!(refuses("127.0.0.1:2002"));
}

fn bad_max_logged(lab: &mut Lab) {
    neighbours_of(lab, "2002 stream tcp4 nowait.many nobody /srv/probe probe");
    assert_eq!(ask("127.0.0.1:2002").arguments(), ["probe"]);
    lab.syslog.expect_where("a line about the limit", |message| {
        message.text.starts_with("2002: illegal max field \"many\", setting to ")
    });
}

fn same_service_twice(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait nobody /srv/probe first\n2001 stream tcp nowait nobody /srv/probe second\n",
    );
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["second"]);
}

fn same_port_tcp_and_udp(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait nobody /srv/probe stream\n2001 dgram udp wait nobody /srv/probe dgram\n",
    );
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["stream"]);
    let report = crate::report::Report::parse(&crate::client::udp("127.0.0.1:2001").ask("x"));
    assert_eq!(report.arguments(), ["dgram"]);
}

fn buffer_sizes(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp4,rcvbuf=32k,sndbuf=48k wait nobody /srv/probe probe\n\
         2002 dgram udp4,rcvbuf=20000 wait nobody /srv/probe probe\n",
    );
    let report = ask("127.0.0.1:2001");
    // The kernel doubles what it is told, for its own book-keeping (socket(7)).
    assert_eq!(report.get("rcvbuf"), "65536");
    assert_eq!(report.get("sndbuf"), "98304");
    let report = crate::report::Report::parse(&crate::client::udp("127.0.0.1:2002").ask("x"));
    assert_eq!(report.get("rcvbuf"), "40000");
}

fn buffer_sizes_are_accepted(lab: &mut Lab) {
    lab.start("2001 stream tcp4,rcvbuf=64k,sndbuf=1m nowait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe"]);
}

fn bad_buffer_size(lab: &mut Lab) {
    neighbours_of(lab, "2002 stream tcp4,rcvbuf=lots nowait nobody /srv/probe probe");
    assert!(refuses("127.0.0.1:2002"));
    lab.syslog.expect("2002: malformed buffer size option `lots'");
}

fn garbage(lab: &mut Lab) {
    let bytes: String = (1_u32..2000)
        .filter_map(|number| char::from_u32(number.wrapping_mul(2_654_435_761) % 255))
        .filter(|one| *one != '\0')
        .collect();
    // Indented rests of garbage would continue a good line, so it ends with a whole comment line.
    lab.start(&format!("{bytes}\n# end\n2003 stream tcp nowait nobody /srv/probe after\n"));
    assert_eq!(ask("127.0.0.1:2003").arguments(), ["after"]);
}

fn many_services(lab: &mut Lab) {
    let line = |port: usize| format!("{port} stream tcp nowait nobody /srv/probe p{port}\n");
    lab.start(&(3000..3300).map(line).collect::<String>());
    for port in [3000, 3150, 3299] {
        let report = ask(&format!("127.0.0.1:{port}"));
        assert_eq!(report.arguments(), [format!("p{port}")]);
    }
    deadline::wait_until("all ports listen", || {
        (3000..3300).all(|port| sockets::tcp_listeners().iter().any(|one| one.port == port))
    });
    lab.reload("");
    wait_refused("127.0.0.1:3299");
}
