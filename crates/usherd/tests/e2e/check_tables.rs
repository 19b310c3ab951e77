//! `usherd check` of hosts.allow and hosts.deny: what somebody reads who has written one of them wrong.

use std::fs;

use crate::daemon::{said_by, usherd};
use crate::sandbox;

/// What is said of a table, without the lines that cite it, and the status.
fn check(name: &str, text: &str) -> (Option<i32>, Vec<String>) {
    let path = format!("/run/{name}");
    fs::write(&path, text).expect("write");
    let mut command = usherd("check");
    command.arg(&path);
    let (status, said) = said_by(command);
    (status, said.lines().map(|line| line.trim_end().to_owned()).collect())
}

/// What is said of one wrong line: it is cited, with a mark below it. The last line counts the findings.
#[track_caller]
fn assert_said(text: &str, expected: &[&str]) {
    let (status, said) = check("hosts.allow", text);
    assert_eq!(said, expected, "{text}");
    let is_error = expected.first().is_some_and(|line| line.starts_with("error"));
    assert_eq!(status, Some(if is_error { 78 } else { 0 }), "{text}");
}

#[test]
fn what_libwrap_takes_without_a_word_is_said() {
    sandbox::run(|| {
        assert_said(
            "# friends\nsshd: 192.0.2.1: allow:\n",
            &[
                "error[bad-option]: option \"allow\" must be at end: who meets this rule is refused",
                " --> /run/hosts.allow:2:23",
                "  |",
                "2 | sshd: 192.0.2.1: allow:",
                "  |                       ^ expected no colon at the end",
                "  |",
                "  = help: it begins one more option",
                "",
                "0 services, 1 errors, 0 warnings",
            ],
        );
        assert_said(
            "ALL: x, \\\n [2001:db8::]/e2\n",
            &[
                "error[opens-all]: [2001:db8::]/e2: \"e2\" is read as 0: every IPv6 address",
                " --> /run/hosts.allow:2:2",
                "  |",
                "2 |  [2001:db8::]/e2",
                "  |  ^^^^^^^^^^^^^^^ expected a length from 0 to 128",
                "  |",
                "  = help: where no number begins, libwrap reads 0",
                "",
                "0 services, 1 errors, 0 warnings",
            ],
        );
        assert_said(
            "ALL: 192.0.2.1/255.255.255.0\n",
            &[
                "error[host-bits]: 192.0.2.1/255.255.255.0: no address is in this net",
                " --> /run/hosts.allow:1:6",
                "  |",
                "1 | ALL: 192.0.2.1/255.255.255.0",
                "  |      ^^^^^^^^^^^^^^^^^^^^^^^ expected 192.0.2.0/255.255.255.0",
                "  |",
                "  = help: the address has bits that the mask takes away",
                "",
                "0 services, 1 errors, 0 warnings",
            ],
        );
        assert_said(
            "ALL: 192.0.2.1/255.255.255.255\n",
            &[
                "error[bad-net]: 192.0.2.1/255.255.255.255: bad net/mask pattern",
                " --> /run/hosts.allow:1:6",
                "  |",
                "1 | ALL: 192.0.2.1/255.255.255.255",
                "  |      ^^^^^^^^^^^^^^^^^^^^^^^^^ expected n.n.n.n/m.m.m.m, n.n.n.n/length or [n:n::n]/length",
                "  |",
                "  = help: libwrap cannot read this mask; write the address alone",
                "",
                "0 services, 1 errors, 0 warnings",
            ],
        );
        assert_said(
            "ALL: ALL: dney\n",
            &[
                "error[bad-option]: bad option name: \"dney\": who meets this rule is refused",
                " --> /run/hosts.allow:1:11",
                "  |",
                "1 | ALL: ALL: dney",
                "  |           ^^^^ expected one of aclexec, allow, banners, deny, group, keepalive, linger, nice, \
                 rfc931, setenv, severity, spawn, twist, umask, user",
                "",
                "0 services, 1 errors, 0 warnings",
            ],
        );
        assert_said(
            "ALL: ALL",
            &[
                "warning[no-line-end]: the last line has no end",
                " --> /run/hosts.allow:1:8",
                "  |",
                "1 | ALL: ALL",
                "  |        ^",
                "  |",
                "  = help: it is a rule here; libwrap leaves it out, and refuses everybody when this is hosts.deny",
                "",
                "0 services, 0 errors, 1 warnings",
            ],
        );
    });
}

#[test]
fn files_that_a_table_names_are_looked_through() {
    sandbox::run(|| {
        fs::write("/run/one", "192.0.2.1\n/run/two\n").expect("write");
        fs::write("/run/two", "192.0.2.2, 192.0.2.3\n/run/one\n").expect("write");
        let (status, said) = check("hosts.deny", "ALL: /run/one /run/one/x\nALL: /run/none\n");
        let expected = [
            "warning[file-word]: 192.0.2.2,: no address and no name",
            " --> /run/two:1:1",
            "error[file-ring]: /run/one: names itself",
            " --> /run/two:2:1",
            "error[unreadable-file]: open /run/one/x: Not a directory",
            " --> /run/hosts.deny:1:15",
            "warning[missing-file]: /run/none: no such file",
            " --> /run/hosts.deny:2:6",
            "0 services, 2 errors, 2 warnings",
        ];
        let is_named = |line: &&String| {
            ["error", "warning", " -->", "0 services"].iter().any(|start| line.starts_with(start))
        };
        assert_eq!(said.iter().filter(is_named).collect::<Vec<_>>(), expected);
        assert_eq!(status, Some(78));
    });
}

#[test]
fn tables_are_read_as_the_daemon_reads_them() {
    sandbox::run(|| {
        // A byte order mark is a part of the first word: nobody is refused by this.
        let (status, said) = check("hosts.deny", "\u{feff}ALL: ALL\n");
        assert_eq!(status, Some(78));
        assert!(said[0].starts_with("error[byte-order-mark]"), "{said:?}");
        assert_eq!(check("hosts.deny", "ALL: ALL\n").1, ["0 services, 0 errors, 0 warnings"]);
        fs::remove_file("/run/hosts.deny").expect("it is there");
        fs::create_dir("/run/hosts.deny").expect("a folder");
        let mut command = usherd("check");
        command.arg("/run/hosts.deny");
        let (status, said) = said_by(command);
        assert!(
            status == Some(78) && said.starts_with("error[unreadable]: cannot be read: it is a folder"),
            "{said}"
        );
        // Everything else is a configuration.
        assert!(check("allow", "ALL: ALL\n").1[0].starts_with("error"), "six words are wanted");
    });
}
