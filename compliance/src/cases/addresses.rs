//! Which address a service listens on: families, prefixes, lists, default-address lines.

use crate::cases::{Case, V4_DIALECTS, case};
use crate::client::{ask, refuses, tcp, udp};
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::server::Dialect;
use crate::server::Server::{Busybox, Inetutils, Openbsd};
use crate::sockets;

const NO_FOUR: &str = "busybox knows no protocol word that ends in 4";

pub const CASES: &[Case] = &[
    case(
        "tcp_is_both_families",
        "\"“tcp” and “udp” will be recognized as “TCP or UDP over both IPv4 and IPv6.”\"",
        tcp_is_both_families,
    )
    .other_dialects(V4_DIALECTS),
    case(
        "tcp_is_two_listeners",
        "\"The default is to run two servers: one for IPv4 and one for IPv6 traffic.\"",
        tcp_is_two_listeners,
    )
    .other_dialects(V4_DIALECTS),
    case(
        "udp_is_both_families",
        "\"“tcp” and “udp” will be recognized as “TCP or UDP over both IPv4 and IPv6.”\"",
        udp_is_both_families,
    )
    .other_dialects(V4_DIALECTS),
    case(
        "tcp4_is_v4_only",
        "\"If you have only one server on “tcp4” […] IPv6 traffic will not be accepted.\"",
        tcp4_is_v4_only,
    )
    .ignored(&[(Busybox, NO_FOUR)]),
    case(
        "tcp6_is_v6_only",
        "\"If you have only one server on “tcp6”, only IPv6 traffic will be routed to the server.\"",
        tcp6_is_v6_only,
    )
    .other_dialects(&[
        (Dialect::Gnu, "`tcp6` is dual stack there"),
        (Dialect::Busybox, "V6ONLY is left to the kernel"),
    ]),
    case(
        "tcp4_and_tcp6_lines",
        "\"If you have two servers on “tcp4” and “tcp6”, IPv4 traffic will be routed to the server on “tcp4”\"",
        tcp4_and_tcp6_lines,
    )
    .other_dialects(&[
        (Dialect::Gnu, "`tcp6` is dual stack there"),
        (Dialect::Busybox, "`tcp6` is dual stack there, and there is no `tcp4`"),
    ]),
    case(
        "tcp46_is_mapped",
        "\"The special “tcp46” parameter can be used for obsolete servers which require to receive IPv4 \
         connections mapped in an IPv6 socket.\"",
        tcp46_is_mapped,
    )
    .ignored(&[(Busybox, "busybox knows no `tcp46`")])
    .other_dialects(&[(Dialect::Gnu, "`tcp46` is taken for IPv4 there")]),
    case("udp4_is_v4_only", "as for tcp4", udp4_is_v4_only).ignored(&[(Busybox, NO_FOUR)]),
    case("udp6_is_v6_only", "as for tcp6: \"only IPv6 traffic will be routed to the server\"", udp6_is_v6_only)
        .ignored(&[(Openbsd, "V6ONLY is set for words that begin with `tcp6` only")])
        .other_dialects(&[
            (Dialect::Gnu, "`udp6` is dual stack there"),
            (Dialect::Busybox, "V6ONLY is left to the kernel"),
        ]),
    case(
        "v4_prefix",
        "\"the string before the colon in the first field indicates what local address inetd should use\"",
        v4_prefix,
    ),
    case("v4_prefix_named_service", "the prefix stands before a name too", v4_prefix_named_service),
    case("udp_prefix", "the prefix holds for datagram sockets", udp_prefix),
    case(
        "v4_prefix_with_tcp_is_quiet",
        "an IPv4 prefix with plain `tcp` is not an error",
        v4_prefix_with_tcp_is_quiet,
    )
    .ignored(&[(Openbsd, "getaddrinfo is asked for an IPv6 twin of the address, and its refusal is logged")]),
    case(
        "v6_prefix_in_brackets",
        "getconfigent: `[ADDRESS]:SERVICE`, since an IPv6 address has colons itself",
        v6_prefix_in_brackets,
    )
    .ignored(&[(Inetutils, "brackets are taken for part of the name")]),
    case("v6_prefix_bare", "getconfigent cuts at the last colon: `::1:2001` is port 2001 of ::1", v6_prefix_bare),
    case(
        "host_name_prefix",
        "\"Numeric IP addresses in dotted-quad notation can be used as well as symbolic hostnames.\"",
        host_name_prefix,
    ),
    case(
        "host_name_with_two_addresses",
        "\"If a hostname has multiple address mappings, inetd creates a socket to listen on each address.\"",
        host_name_with_two_addresses,
    )
    .ignored(&[(Busybox, "listens on the first address only")]),
    case(
        "host_name_of_both_families",
        "\"If a hostname has multiple address mappings, inetd creates a socket to listen on each address.\"",
        host_name_of_both_families,
    )
    .other_dialects(V4_DIALECTS),
    case(
        "comma_list",
        "\"Multiple local addresses can be specified on the same line, separated by commas.\"",
        comma_list,
    ),
    case(
        "comma_list_with_a_bad_name",
        "getconfigent: a name that does not resolve costs only itself, not the list",
        comma_list_with_a_bad_name,
    ),
    case(
        "default_address_line",
        "\"a line with a host address specifier and colon, but no further fields, causes the host address \
         specifier to be remembered and used for all further lines with no explicit host specifier\"",
        default_address_line,
    ),
    case(
        "default_address_replaced",
        "\"until another such line or the end of the file\"",
        default_address_replaced,
    ),
    case(
        "default_address_star",
        "\"The single character “*” indicates INADDR_ANY\"; `*:` ends a default address",
        default_address_star,
    )
    .ignored(&[(Inetutils, "takes another word for the address after `*:`")]),
    case("default_address_list", "the remembered specifier may be a list", default_address_list),
    case(
        "explicit_beats_default",
        "\"used for all further lines with no explicit host specifier\"",
        explicit_beats_default,
    ),
    case("star_prefix", "\"The single character “*” indicates INADDR_ANY, meaning “all local addresses”.\"", star_prefix),
    case("empty_prefix", "getconfigent: `:SERVICE` is `*:SERVICE`", empty_prefix)
        .ignored(&[(Inetutils, "an empty host is looked up"), (Busybox, "an empty host is looked up")]),
    case("unknown_host", "a host that does not resolve costs only its line", unknown_host),
    case(
        "unknown_host_logged",
        "getconfigent logs `SERVICE/PROTOCOL: HOST: what getaddrinfo said`",
        unknown_host_logged,
    )
    .ignored(&[(Inetutils, "says it without the host"), (Busybox, "says it in other words")]),
    case("foreign_address", "an address that is not here costs only its line", foreign_address),
    case(
        "foreign_address_logged",
        "setup() logs `SERVICE/PROTOCOL: bind: Cannot assign requested address`",
        foreign_address_logged,
    )
    .ignored(&[
        (Inetutils, "puts the address in front"),
        (Busybox, "says \"bind\" with the address"),
    ]),
    case(
        "same_port_on_two_addresses",
        "another address is another service, with a program of its own",
        same_port_on_two_addresses,
    ),
];

fn tcp_is_both_families(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe\n");
    assert!(ask("127.0.0.1:2001").get("peer").starts_with("127.0.0.1:"));
    assert!(ask("[::1]:2001").get("peer").starts_with("[::1]:"));
}

fn tcp_is_two_listeners(lab: &mut Lab) {
    lab.start("2001 stream tcp nowait nobody /srv/probe probe\n");
    assert_eq!(sockets::tcp_listeners_on(2001).len(), 2);
}

fn udp_is_both_families(lab: &mut Lab) {
    lab.start("2001 dgram udp wait nobody /srv/probe probe\n");
    assert_eq!(Report::parse(&udp("127.0.0.1:2001").ask("x")).arguments(), ["probe"]);
    assert_eq!(Report::parse(&udp("[::1]:2001").ask("x")).arguments(), ["probe"]);
}

fn tcp4_is_v4_only(lab: &mut Lab) {
    lab.start("2001 stream tcp4 nowait nobody /srv/probe probe\n");
    assert!(ask("127.0.0.1:2001").get("peer").starts_with("127.0.0.1:"));
    assert!(refuses("[::1]:2001"));
}

fn tcp6_is_v6_only(lab: &mut Lab) {
    lab.start("2001 stream tcp6 nowait nobody /srv/probe probe\n");
    assert!(ask("[::1]:2001").get("peer").starts_with("[::1]:"));
    assert!(refuses("127.0.0.1:2001"));
}

fn tcp4_and_tcp6_lines(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp4 nowait nobody /srv/probe four\n2001 stream tcp6 nowait nobody /srv/probe six\n",
    );
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["four"]);
    assert_eq!(ask("[::1]:2001").arguments(), ["six"]);
}

fn tcp46_is_mapped(lab: &mut Lab) {
    lab.start("2001 stream tcp46 nowait nobody /srv/probe probe\n");
    assert!(ask("127.0.0.1:2001").get("peer").starts_with("[::ffff:127.0.0.1]:"));
    assert!(ask("[::1]:2001").get("peer").starts_with("[::1]:"));
    assert_eq!(sockets::tcp_listeners_on(2001).len(), 1);
}

fn udp4_is_v4_only(lab: &mut Lab) {
    lab.start("2001 dgram udp4 wait nobody /srv/probe probe\n");
    assert_eq!(sockets::udp_sockets_on(2001).len(), 1);
    assert_eq!(Report::parse(&udp("127.0.0.1:2001").ask("x")).arguments(), ["probe"]);
}

fn udp6_is_v6_only(lab: &mut Lab) {
    lab.start("2001 dgram udp6 wait nobody /srv/probe probe\n");
    let report = Report::parse(&udp("[::1]:2001").ask("x"));
    assert_eq!(report.get("v6only"), "true");
}

fn v4_prefix(lab: &mut Lab) {
    lab.start("127.0.0.2:2001 stream tcp nowait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.2:2001").get("local"), "127.0.0.2:2001");
    assert!(refuses("127.0.0.1:2001"));
    assert!(refuses("[::1]:2001"));
}

fn v4_prefix_named_service(lab: &mut Lab) {
    lab.start("127.0.0.2:labone stream tcp nowait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.2:2101").get("local"), "127.0.0.2:2101");
    assert!(refuses("127.0.0.1:2101"));
}

fn udp_prefix(lab: &mut Lab) {
    lab.start("127.0.0.2:2001 dgram udp wait nobody /srv/probe probe\n");
    let bound = sockets::udp_sockets_on(2001);
    assert_eq!(bound.len(), 1);
    assert_eq!(bound[0].address, "0200007F");
    assert_eq!(Report::parse(&udp("127.0.0.2:2001").ask("x")).arguments(), ["probe"]);
}

fn v4_prefix_with_tcp_is_quiet(lab: &mut Lab) {
    lab.start("127.0.0.2:2001 stream tcp nowait nobody /srv/probe probe\n");
    ask("127.0.0.2:2001");
    let complaints = lab.syslog.count(|message| message.text.contains("2001"));
    assert_eq!(complaints, 0);
}

fn v6_prefix_in_brackets(lab: &mut Lab) {
    lab.start("[::1]:2001 stream tcp6 nowait nobody /srv/probe probe\n");
    assert_eq!(ask("[::1]:2001").get("local"), "[::1]:2001");
    assert!(refuses("127.0.0.1:2001"));
    assert_eq!(sockets::tcp_listeners_on(2001)[0].address, "00000000000000000000000001000000");
}

fn v6_prefix_bare(lab: &mut Lab) {
    lab.start("::1:2001 stream tcp6 nowait nobody /srv/probe probe\n");
    assert_eq!(ask("[::1]:2001").get("local"), "[::1]:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn host_name_prefix(lab: &mut Lab) {
    lab.start("labhost:2001 stream tcp nowait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.5:2001").get("local"), "127.0.0.5:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn host_name_with_two_addresses(lab: &mut Lab) {
    lab.start("multihost:2001 stream tcp nowait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.6:2001").get("local"), "127.0.0.6:2001");
    assert_eq!(ask("127.0.0.7:2001").get("local"), "127.0.0.7:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn host_name_of_both_families(lab: &mut Lab) {
    lab.start("bothhost:2001 stream tcp nowait nobody /srv/probe probe\n");
    assert_eq!(ask("127.0.0.8:2001").get("local"), "127.0.0.8:2001");
    assert_eq!(ask("[2001:db8::1]:2001").get("local"), "[2001:db8::1]:2001");
    assert!(refuses("127.0.0.1:2001"));
    assert!(refuses("[::1]:2001"));
}

fn comma_list(lab: &mut Lab) {
    lab.start("127.0.0.2,127.0.0.3,labhost:2001 stream tcp nowait nobody /srv/probe probe x\n");
    for address in ["127.0.0.2:2001", "127.0.0.3:2001", "127.0.0.5:2001"] {
        let report = ask(address);
        assert_eq!(report.get("local"), address);
        assert_eq!(report.arguments(), ["probe", "x"]);
    }
    assert!(refuses("127.0.0.1:2001"));
}

fn comma_list_with_a_bad_name(lab: &mut Lab) {
    lab.start("127.0.0.2,no.such.host,127.0.0.3:2001 stream tcp nowait nobody /srv/probe probe\n");
    ask("127.0.0.2:2001");
    ask("127.0.0.3:2001");
}

fn default_address_line(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp nowait nobody /srv/probe probe\n127.0.0.2:\n\
         2002 stream tcp nowait nobody /srv/probe probe\n2003 stream tcp nowait nobody /srv/probe probe\n",
    );
    assert_eq!(ask("127.0.0.1:2001").get("local"), "127.0.0.1:2001");
    assert_eq!(ask("127.0.0.2:2002").get("local"), "127.0.0.2:2002");
    assert_eq!(ask("127.0.0.2:2003").get("local"), "127.0.0.2:2003");
    assert!(refuses("127.0.0.1:2002"));
    assert!(refuses("127.0.0.1:2003"));
}

fn default_address_replaced(lab: &mut Lab) {
    lab.start(
        "127.0.0.2:\n2001 stream tcp nowait nobody /srv/probe probe\n127.0.0.3:\n\
         2002 stream tcp nowait nobody /srv/probe probe\n",
    );
    ask("127.0.0.2:2001");
    ask("127.0.0.3:2002");
    assert!(refuses("127.0.0.3:2001"));
    assert!(refuses("127.0.0.2:2002"));
}

fn default_address_star(lab: &mut Lab) {
    lab.start(
        "127.0.0.2:\n2001 stream tcp nowait nobody /srv/probe probe\n*:\n\
         2002 stream tcp nowait nobody /srv/probe probe\n",
    );
    ask("127.0.0.2:2001");
    assert!(refuses("127.0.0.1:2001"));
    ask("127.0.0.1:2002");
    ask("127.0.0.9:2002");
}

fn default_address_list(lab: &mut Lab) {
    lab.start("127.0.0.2,127.0.0.3:\n2001 stream tcp nowait nobody /srv/probe probe\n");
    ask("127.0.0.2:2001");
    ask("127.0.0.3:2001");
    assert!(refuses("127.0.0.1:2001"));
}

fn explicit_beats_default(lab: &mut Lab) {
    lab.start(
        "127.0.0.2:\n127.0.0.3:2001 stream tcp nowait nobody /srv/probe probe\n\
         2002 stream tcp nowait nobody /srv/probe probe\n",
    );
    ask("127.0.0.3:2001");
    assert!(refuses("127.0.0.2:2001"));
    ask("127.0.0.2:2002");
}

fn star_prefix(lab: &mut Lab) {
    lab.start("127.0.0.2:\n*:2001 stream tcp nowait nobody /srv/probe probe\n");
    ask("127.0.0.1:2001");
    ask("127.0.0.9:2001");
}

fn empty_prefix(lab: &mut Lab) {
    lab.start("127.0.0.2:\n:2001 stream tcp nowait nobody /srv/probe probe\n");
    ask("127.0.0.1:2001");
}

fn unknown_host(lab: &mut Lab) {
    lab.start(
        "no.such.host:2001 stream tcp nowait nobody /srv/probe probe\n\
         2002 stream tcp nowait nobody /srv/probe probe\n",
    );
    ask("127.0.0.1:2002");
    assert!(refuses("127.0.0.1:2001"));
}

fn unknown_host_logged(lab: &mut Lab) {
    lab.start("no.such.host:2001 stream tcp4 nowait nobody /srv/probe probe\n");
    lab.syslog.expect("2001/tcp4: no.such.host: Name or service not known");
}

fn foreign_address(lab: &mut Lab) {
    lab.start(
        "198.51.100.7:2001 stream tcp nowait nobody /srv/probe probe\n\
         2002 stream tcp nowait nobody /srv/probe probe\n",
    );
    ask("127.0.0.1:2002");
    assert!(refuses("127.0.0.1:2001"));
}

fn foreign_address_logged(lab: &mut Lab) {
    lab.start("198.51.100.7:2001 stream tcp4 nowait nobody /srv/probe probe\n");
    lab.syslog.expect("2001/tcp4: bind: Cannot assign requested address");
}

fn same_port_on_two_addresses(lab: &mut Lab) {
    lab.start(
        "127.0.0.2:2001 stream tcp nowait nobody /srv/probe two\n\
         127.0.0.3:2001 stream tcp nowait nobody /srv/probe three\n",
    );
    assert_eq!(ask("127.0.0.2:2001").arguments(), ["two"]);
    assert_eq!(ask("127.0.0.3:2001").arguments(), ["three"]);
    deadline::wait_until("two listeners", || sockets::tcp_listeners_on(2001).len() == 2);
    drop(tcp("127.0.0.2:2001"));
}
