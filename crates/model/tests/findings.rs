//! What is wrong with hosts.allow and hosts.deny: each finding with its place.

use std::collections::BTreeMap;

use proptest::prelude::*;
use usherd_model::access::{Account, Accounts, Contents, Files, Which, findings};
use usherd_model::diagnostic::{Report, Severity};
use usherd_model::source::Sources;

/// Files by their paths; everything else is missing.
struct Folder(BTreeMap<Vec<u8>, Contents>);

impl Files for Folder {
    fn contents(&mut self, path: &[u8]) -> Contents {
        self.0.get(path).cloned().unwrap_or(Contents::Missing)
    }
}

/// A machine without users and groups.
struct Nobody;

impl Accounts for Nobody {
    fn account(&mut self, _: &str, _: Option<u32>) -> Result<Option<Account>, String> {
        Ok(None)
    }

    fn gid(&mut self, _: &str) -> Result<Option<u32>, String> {
        Ok(None)
    }
}

fn text(text: &str) -> Contents {
    Contents::Text(text.as_bytes().into())
}

fn found(table: &[u8], files: &[(&str, Contents)]) -> Vec<Report> {
    let files = files.iter().map(|(path, contents)| (path.as_bytes().to_vec(), contents.clone()));
    let mut sources = Sources::default();
    let file = sources.add("hosts.allow", table.to_vec());
    let found = findings(&mut sources, file, Which::Allow, &mut Folder(files.collect()), &mut Nobody);
    found.iter().map(|diagnostic| diagnostic.report(&sources)).collect()
}

/// `code place marked text`, of each finding.
fn places(table: &str, files: &[(&str, Contents)]) -> Vec<String> {
    let place = |report: &Report| {
        let excerpt = report.excerpt.as_ref().expect("each has a place");
        let marked = &excerpt.text[excerpt.mark.0..excerpt.mark.1];
        format!("{} {} {marked}", report.code, report.position())
    };
    found(table.as_bytes(), files).iter().map(place).collect()
}

#[test]
fn each_finding_has_the_place_of_what_is_wrong() {
    for (table, expected) in [
        ("ALL: ALL\n", &[][..]),
        ("ALL: 10. EXCEPT .example.com, [::1]/128 : severity info : allow\n", &[]),
        ("ALL: ALL: allow:\n", &["bad-option hosts.allow:1:16 :"]),
        ("ALL: ALL:  \n", &["bad-option hosts.allow:1:9 :"]),
        ("ALL: ALL: nosuch x: allow\n", &["bad-option hosts.allow:1:11 nosuch x"]),
        ("ALL: ALL: setenv A b\\:c: umask 8: allow\n", &["bad-option hosts.allow:1:26 umask 8"]),
        ("ALL: ALL: allow: nice\n", &["bad-option hosts.allow:1:11 allow"]),
        ("ALL: 2001:db8::1\n", &["bad-option hosts.allow:1:11 db8"]),
        ("ALL: x [::1]/typo,y\n", &["opens-all hosts.allow:1:8 [::1]/typo"]),
        ("ALL: 10.0.0.1/8\n", &["host-bits hosts.allow:1:6 10.0.0.1/8"]),
        ("ALL: 10.0.0.1/255.255.255.255\n", &["bad-net hosts.allow:1:6 10.0.0.1/255.255.255.255"]),
        ("a@10/8: joe@0.0.0.0/0\n", &["bad-net hosts.allow:1:3 10/8", "bad-net hosts.allow:1:13 0.0.0.0/0"]),
        ("ALL: x, \\\n  y 10/8\n", &["bad-net hosts.allow:2:5 10/8"]),
        ("ALL\nALL: ALL", &["missing-colon hosts.allow:1:1 ALL", "no-line-end hosts.allow:2:8 L"]),
        ("ALL: 10.0.0.1 # friends\n", &["no-comment hosts.allow:1:15 #"]),
        ("ALL: ALL EXCEPT\n", &["empty-list hosts.allow:1:5  ALL EXCEPT"]),
        ("LOCAL: FAIL\n", &["odd-name hosts.allow:1:1 LOCAL", "fail hosts.allow:1:8 FAIL"]),
        ("\u{feff}ALL: ALL\n", &["byte-order-mark hosts.allow:1:1 \u{feff}"]),
        (
            "ALL: @group a.example.com. .3\n",
            &[
                "no-netgroups hosts.allow:1:6 @group",
                "ends-in-dot hosts.allow:1:13 a.example.com.",
                "begins-with-dot hosts.allow:1:28 .3",
            ],
        ),
    ] {
        assert_eq!(places(table, &[]), expected, "{table:?}");
    }
}

#[test]
fn errors_are_what_lets_nobody_in_or_too_many() {
    for (word, severity, expected, hint) in [
        ("[::1]/typo", Severity::Error, "a length from 0 to 128", "where no number begins, libwrap reads 0"),
        ("10.1.2.3/16", Severity::Error, "10.1.0.0/16", "the address has bits that the mask takes away"),
        (
            "10.1.2.3/255.255.255.255",
            Severity::Error,
            "n.n.n.n/m.m.m.m, n.n.n.n/length or [n:n::n]/length",
            "libwrap cannot read this mask; write the address alone",
        ),
        ("ALL:", Severity::Error, "no colon at the end", "it begins one more option"),
        (
            "ALL: spaw x",
            Severity::Error,
            "one of aclexec, allow, banners, deny, group, keepalive, linger, nice, rfc931, setenv, severity, spawn, \
             twist, umask, user",
            "",
        ),
        ("/none", Severity::Warning, "", "the word matches nobody as long as there is none"),
    ] {
        let reports = found(format!("ALL: {word}\n").as_bytes(), &[]);
        let [report] = reports.as_slice() else { panic!("{word}: {reports:?}") };
        assert_eq!(
            (report.severity, report.expected.as_str(), report.hint.as_str()),
            (severity, expected, hint),
            "{word}"
        );
    }
}

#[test]
fn files_are_looked_through_once_and_rings_are_found() {
    let files = [
        ("/one", text("192.0.2.1/8\n/two\n")),
        ("/two", text("x /three,\n/one 10/8, # joe@x EXCEPT\n")),
        ("/folder", Contents::Folder),
        ("/closed", Contents::Unreadable("Permission denied".to_owned())),
    ];
    let table = "ALL: /one /two /one\nALL@/folder: joe@/closed /none\nALL: /closed\n";
    assert_eq!(
        places(table, &files),
        [
            "host-bits /one:1:1 192.0.2.1/8",
            "file-word /two:1:3 /three,",
            "file-ring /two:2:1 /one",
            "file-word /two:2:6 10/8,",
            "no-comment /two:2:12 #",
            "file-word /two:2:14 joe@x",
            "file-word /two:2:20 EXCEPT",
            "unreadable-file hosts.allow:2:5 /folder",
            "unreadable-file hosts.allow:2:18 /closed",
            "missing-file hosts.allow:2:26 /none",
            "unreadable-file hosts.allow:3:6 /closed",
        ]
    );
}

proptest! {
    #[test]
    fn no_text_is_too_odd(table in prop::collection::vec(any::<u8>(), 0..200), list in "[a-z0-9:/, \\[\\]#@.\n\0]{0,60}") {
        found(&table, &[]);
        let files = [("/l", text(&list))];
        found(format!("ALL: /l {list}").as_bytes(), &files);
        found(format!("{list}:{list}:{list}\\").as_bytes(), &files);
    }
}
