//! What the test of Debian's openbsd-inetd package asks, told anew: each protocol word with each kind of
//! address in front of it, who is refused, and what peer the program sees.

use crate::cases::{Case, case};
use crate::client::{ask, refuses};
use crate::lab::Lab;

pub const CASES: &[Case] = &[
    case("words_without_address", "tcp, tcp46, tcp4 and tcp6 alone", words_without_address),
    case("words_with_localhost", "a name with an address of each family", words_with_localhost),
    case("words_with_ip6_localhost", "the name that Debian has for ::1", words_with_ip6_localhost),
    case("added_at_reload", "a service that SIGHUP adds, between others", added_at_reload),
];

/// A line, and whom it serves: the peer that its program sees over IPv4 and over IPv6.
struct Row {
    port: u16,
    host: &'static str,
    word: &'static str,
    over_v4: Option<&'static str>,
    over_v6: Option<&'static str>,
}

const V4: Option<&str> = Some("127.0.0.1");
const V6: Option<&str> = Some("[::1]");
const MAPPED: Option<&str> = Some("[::ffff:127.0.0.1]");

const ROWS: &[Row] = &[
    Row { port: 2000, host: "", word: "tcp", over_v4: V4, over_v6: V6 },
    Row { port: 2001, host: "", word: "tcp46", over_v4: MAPPED, over_v6: V6 },
    Row { port: 2002, host: "", word: "tcp4", over_v4: V4, over_v6: None },
    Row { port: 2003, host: "", word: "tcp6", over_v4: None, over_v6: V6 },
    Row { port: 2004, host: "localhost:", word: "tcp", over_v4: V4, over_v6: V6 },
    Row { port: 2005, host: "localhost:", word: "tcp4", over_v4: V4, over_v6: None },
    Row { port: 2006, host: "localhost:", word: "tcp6", over_v4: None, over_v6: V6 },
    // To a look-up of IPv4 addresses the C library gives a ::1 of /etc/hosts as 127.0.0.1.
    Row { port: 2008, host: "ip6-localhost:", word: "tcp", over_v4: V4, over_v6: V6 },
    Row { port: 2009, host: "ip6-localhost:", word: "tcp46", over_v4: None, over_v6: V6 },
    Row { port: 2010, host: "ip6-localhost:", word: "tcp4", over_v4: V4, over_v6: None },
    Row { port: 2011, host: "ip6-localhost:", word: "tcp6", over_v4: None, over_v6: V6 },
];

const ADDED: Row = Row { port: 2007, host: "127.0.0.1:", word: "tcp", over_v4: V4, over_v6: None };

fn lines(rows: &[&Row]) -> String {
    let line =
        |row: &&Row| format!("{}{} stream {} nowait nobody /srv/probe probe\n", row.host, row.port, row.word);
    rows.iter().map(line).collect()
}

fn check(row: &Row) {
    for (address, peer) in [("127.0.0.1", row.over_v4), ("[::1]", row.over_v6)] {
        let address = format!("{address}:{}", row.port);
        match peer {
            Some(peer) => {
                let report = ask(&address);
                let seen = report.get("peer").rsplit_once(':').map(|(host, _)| host.to_owned());
                assert_eq!(seen.as_deref(), Some(peer), "{}{}", row.host, row.word);
            }
            None => assert!(refuses(&address), "{}{} over {address}", row.host, row.word),
        }
    }
}

fn check_all_with(lab: &mut Lab, host: &str) {
    lab.start(&lines(&ROWS.iter().collect::<Vec<_>>()));
    let rows = ROWS.iter().filter(|row| row.host == host);
    rows.for_each(check);
}

fn words_without_address(lab: &mut Lab) {
    check_all_with(lab, "");
}

fn words_with_localhost(lab: &mut Lab) {
    check_all_with(lab, "localhost:");
}

fn words_with_ip6_localhost(lab: &mut Lab) {
    check_all_with(lab, "ip6-localhost:");
}

fn added_at_reload(lab: &mut Lab) {
    let before: Vec<&Row> = ROWS.iter().collect();
    lab.start(&lines(&before));
    assert!(refuses("127.0.0.1:2007"));
    let (low, high) = before.split_at(7);
    lab.reload(&lines(&[low, &[&ADDED], high].concat()));
    check(&ADDED);
    ROWS.iter().for_each(check);
}
