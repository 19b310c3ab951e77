//! tcpdmatch and tcpdchk, by name: what the originals would print if Debian's builds did not lose their findings.
//!
//! `access_tools.jsonl` has recorded runs: files, arguments, status and output. A string's characters U+0000 to U+00FF are
//! bytes, and `@DIR@` is the folder of the files. They were made where no name is known but localhost. Then `usherd access
//! test`, which is nobody's copy.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::daemon::{said_by, usherd};
use crate::sandbox::{self, USHERD};

const RUNS: &str = include_str!("access_tools.jsonl");

/// Runs that come out otherwise, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("file-19", LAST_LINE),
    ("file-21", LAST_LINE),
    ("file-23", LAST_LINE),
    ("file-25", LAST_LINE),
    ("lex-17", LAST_LINE),
    ("long-03", LONG_LINE),
    ("long-06", LONG_LINE),
    ("chk-31", LONG_LINE),
    ("v4-18", "255.255.255.255 is an address, and no name that could not be found"),
    ("net-08", NETGROUPS),
    ("net-09", NETGROUPS),
];

const LAST_LINE: &str = "a last line without its end is a line";
const LONG_LINE: &str = "a line may be as long as it wants";
const NETGROUPS: &str = "recorded where libwrap asks netgroups; today's does not, and says so";

const FOLDER: &str = "/run/tools";

/// Runs one, and says how it differs.
fn difference(run: &Value) -> Option<String> {
    let _ = fs::remove_dir_all(FOLDER);
    fs::create_dir(FOLDER).expect("a folder");
    let bytes = |text: &str| -> Vec<u8> {
        text.replace("@DIR@", FOLDER).chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect()
    };
    for (name, text) in run["files"].as_object().expect("files") {
        let path = Path::new(FOLDER).join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder");
        fs::write(path, bytes(text.as_str().expect("text"))).expect("write");
    }
    let arguments =
        run["arguments"].as_array().expect("a list").iter().map(|word| word.as_str().expect("text"));
    let mut command = Command::new(USHERD);
    let output = command
        .arg0(run["program"].as_str().expect("a name"))
        .args(arguments)
        .current_dir(FOLDER)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).replace(FOLDER, "@DIR@");
    let expected = run["output"].as_str().expect("text");
    let expected = String::from_utf8_lossy(&bytes(expected)).replace(FOLDER, "@DIR@");
    let is_error = run["status"] != 0;
    if i64::from(output.status.code().unwrap_or(-1)) != run["status"].as_i64().expect("a number")
        || !is_error && said != expected
    {
        return Some(format!(
            "{}: {:?}\n--- original\n{expected}--- ours\n{said}",
            run["id"],
            output.status.code()
        ));
    }
    None
}

#[test]
fn tcpdmatch_and_tcpdchk_print_what_the_originals_mean_to() {
    sandbox::run(|| {
        fs::write("/etc/hosts", "127.0.0.1 localhost\n").expect("write");
        fs::write("/etc/nsswitch.conf", "hosts: files\npasswd: files\ngroup: files\n").expect("write");
        let _ = symlink(USHERD, "/usr/sbin/tcpd");
        let mut found = Vec::new();
        let mut same = BTreeSet::new();
        for line in RUNS.lines() {
            let run: Value = serde_json::from_str(line).expect("a record");
            let id = run["id"].as_str().expect("a name").to_owned();
            let is_listed = DIFFERENCES.iter().any(|(listed, _)| *listed == id);
            match difference(&run) {
                Some(text) if !is_listed => found.push(text),
                None if is_listed => drop(same.insert(id)),
                Some(_) | None => {}
            }
        }
        assert!(found.is_empty(), "{} differ:\n{}", found.len(), found.join("\n"));
        assert!(same.is_empty(), "listed, and the same: {same:?}");
    });
}

/// What `usherd access test --explain` says of tables in a folder, and its status.
fn explained(allow: &str, deny: &str, who: &[&str]) -> (Option<i32>, String) {
    fs::create_dir_all(FOLDER).expect("a folder");
    fs::write(format!("{FOLDER}/hosts.allow"), allow).expect("write");
    fs::write(format!("{FOLDER}/hosts.deny"), deny).expect("write");
    let mut command = usherd("access");
    command.args(["test", "--explain", "--tables", FOLDER]).args(who);
    said_by(command)
}

#[test]
fn an_explanation_says_of_every_rule_which_word_decided() {
    sandbox::run(|| {
        fs::write("/etc/hosts", "127.0.0.1 localhost\n").expect("write");
        fs::write("/etc/nsswitch.conf", "hosts: files\n").expect("write");
        fs::write("/run/friends", "10.0.0.5\n192.0.2.0/255.255.255.0\n").expect("write");
        let allow = "nonsense\n\
                     in.ftpd: 10.\n\
                     date: .example.com LOCAL\n\
                     ALL EXCEPT date: ALL\n\
                     ALL: ALL EXCEPT 192.0.2.1 127.0.0.1\n";
        let (status, said) =
            explained(allow, "date: 198.51.100.\nDate@ALL: /run/friends\n", &["date", "192.0.2.1"]);
        let expected = [
            "the client's name, which hosts.allow:3 needs: unknown",
            "hosts.allow:1: no rule, for want of a colon",
            "hosts.allow:2: no word of the daemon list matches",
            "hosts.allow:3: the daemon list matches by \"date\"; no word of the client list matches (for the client's name)",
            "hosts.allow:4: the daemon list does not match: \"ALL\" does, but EXCEPT \"date\" takes that back",
            "hosts.allow:5: the daemon list matches by \"ALL\"; the client list does not match: \"ALL\" does, \
             but EXCEPT \"192.0.2.1\" takes that back",
            "hosts.deny:1: the daemon list matches by \"date\"; no word of the client list matches",
            "hosts.deny:2: the daemon list matches by \"Date@ALL\"; the client list matches by \
             \"192.0.2.0/255.255.255.0\" of /run/friends",
            "warning: hosts.allow, line 1: missing \":\" separator",
            "refused by hosts.deny:2",
        ];
        assert_eq!(said.replace(&format!("{FOLDER}/"), "").lines().collect::<Vec<_>>(), expected);
        assert_eq!(status, Some(1));
    });
}

#[test]
fn an_explanation_tells_exceptions_and_their_exceptions_apart() {
    sandbox::run(|| {
        let why = |clients: &str| {
            let (_, said) = explained(&format!("ALL: {clients}\n"), "", &["date", "joe@10.1.2.3"]);
            let line = said.lines().find(|line| line.contains("hosts.allow:1: ")).expect("a rule").to_owned();
            line.split_once("; ").expect("two lists").1.to_owned()
        };
        for (clients, expected) in [
            ("ALL EXCEPT 192.0.2.1", "the client list matches by \"ALL\", and no exception takes that back"),
            (
                "ALL EXCEPT 10. EXCEPT joe@ALL",
                "the client list matches: \"ALL\" does, but EXCEPT \"10.\" takes that back, \
                 but EXCEPT \"joe@ALL\" gives it again",
            ),
            (
                "ALL EXCEPT 10. EXCEPT ann@ALL",
                "the client list does not match: \"ALL\" does, but EXCEPT \"10.\" takes that back, \
                 and no exception gives it again",
            ),
            ("ann@10.", "no word of the client list matches"),
        ] {
            assert_eq!(why(clients), expected, "{clients}");
        }
    });
}

#[test]
fn tables_are_those_that_are_named() {
    sandbox::run(|| {
        fs::write("/etc/hosts.deny", "ALL: ALL\n").expect("write");
        let test = |arguments: &[&str]| {
            let mut command = usherd("access");
            command.arg("test").args(arguments).args(["date", "192.0.2.1"]);
            said_by(command)
        };
        assert_eq!(test(&[]), (Some(1), "refused by /etc/hosts.deny:1\n".to_owned()));
        fs::create_dir("/run/own").expect("a folder");
        let (status, said) = test(&["--explain", "--tables", "/run/own"]);
        assert_eq!(status, Some(0));
        assert!(said.starts_with("/run/own/hosts.allow: no such file, so no rules\n"), "{said}");
        fs::write("/run/own/hosts.allow", "date: 192.0.2.1\n").expect("write");
        let granted = (Some(0), "granted by /run/own/hosts.allow:1\n".to_owned());
        assert_eq!(test(&["--tables", "/run/own/", "--deny", "/etc/hosts.deny"]), granted);
        let (status, said) = test(&["--tables", "/run/own/hosts.allow"]);
        assert_eq!(
            (status, said.as_str()),
            (Some(78), "access: --tables /run/own/hosts.allow: it is no folder\n")
        );
    });
}
