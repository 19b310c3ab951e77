//! What is peculiar to Debian's openbsd-inetd beside what every other subject asks of it: its file to the
//! letter.

use crate::cases::{Case, case};
use crate::client::{Fate, ask, tcp};
use crate::lab::Lab;

pub const CASES: &[Case] = &[
    case(
        "indented_comment_is_arguments",
        "nextline(): a line that begins with a blank goes on with the entry, whatever stands on it",
        indented_comment_is_arguments,
    ),
    case("dot_before_colon", "getconfigent looks for `.` first, then for `:`", dot_before_colon),
    case("limit_in_hexadecimal", "getconfigent: strtoul(3) with base 0", limit_in_hexadecimal),
    case("tcp6only_is_tcp", "what is not known behind `tcp6` is as `tcp`", tcp6only_is_tcp),
    case("rate_zero", "main(): a rate of 0 is a bad value, and the default holds", rate_zero),
    case("other_marks_are_letters", "getconfigent knows no `/` and no `:` in the wait column", other_marks),
];

fn indented_comment_is_arguments(lab: &mut Lab) {
    lab.start("2001 stream tcp4 nowait nobody /srv/probe probe one\n  # two\n");
    assert_eq!(ask("127.0.0.1:2001").arguments(), ["probe", "one", "#", "two"]);
}

fn dot_before_colon(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp4 nowait alice.bob /srv/probe probe\n2002 stream tcp4 nowait alice:bob /srv/probe probe\n",
    );
    for address in ["127.0.0.1:2001", "127.0.0.1:2002"] {
        let report = ask(address);
        assert_eq!((report.get("Uid"), report.get("Gid")), ("1501 1501 1501 1501", "1502 1502 1502 1502"));
    }
}

fn limit_in_hexadecimal(lab: &mut Lab) {
    lab.start("2001 stream tcp4 nowait.0x4 nobody /srv/probe probe\n");
    let answered = (0..8)
        .take_while(|_| tcp("127.0.0.1:2001").fate(std::time::Duration::from_millis(1800)) == Fate::Answered);
    let count = answered.count();
    assert!((3..=4).contains(&count), "served {count}");
}

fn other_marks(lab: &mut Lab) {
    lab.start(
        "2001 stream tcp4 nowait/1 nobody /srv/probe probe\n2002 stream tcp4 nowait:1 nobody /srv/probe probe\n",
    );
    for _ in 0..4 {
        ask("127.0.0.1:2001");
        ask("127.0.0.1:2002");
    }
}

fn tcp6only_is_tcp(lab: &mut Lab) {
    lab.start("2001 stream tcp6only nowait nobody /srv/probe probe\n");
    assert!(ask("127.0.0.1:2001").get("peer").starts_with("127.0.0.1:"));
    ask("[::1]:2001");
}

fn rate_zero(lab: &mut Lab) {
    let launch = lab.launch_with(&["-R", "0"]);
    lab.start_with(launch, "2001 stream tcp4 nowait nobody /srv/probe probe\n");
    lab.syslog.expect("-R 0: bad value for service invocation rate");
    for _ in 0..5 {
        ask("127.0.0.1:2001");
    }
}
