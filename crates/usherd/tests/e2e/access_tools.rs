//! tcpdmatch and tcpdchk, by name: what the originals would print if Debian's builds did not lose their findings.
//!
//! `access_tools.jsonl` has recorded runs: files, arguments, status and output. A string's characters U+0000 to U+00FF are
//! bytes, and `@DIR@` is the folder of the files. They were made where no name is known but localhost.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

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
