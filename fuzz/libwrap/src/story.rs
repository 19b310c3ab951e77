//! Random tables and callers, most of which mean something.
//!
//! What usherd does otherwise on purpose is not among them: lines of more than 2046 bytes, tables without an end of the
//! last line, folders in the place of tables, netgroups, commands that refuse (libwrap's do not), and banners, which
//! are read when they are sent.

use std::net::SocketAddr;

use arbitrary::Unstructured;

use crate::oracle::{Contents, Question};

/// The longest line that libwrap reads, with some room for what is joined.
const MOST_OF_LINE: usize = 600;

pub fn question(dice: &mut Dice<'_>) -> Question {
    let mut files = vec![("/allow".to_owned(), table(dice))];
    files.push(("/deny".to_owned(), table(dice)));
    for path in ["/list", "/other"] {
        match dice.below(5) {
            0 => {}
            1 => files.push((path.to_owned(), Contents::Folder)),
            2 => files.push((path.to_owned(), Contents::Refused)),
            _ => files.push((path.to_owned(), Contents::Text(list_file(dice)))),
        }
    }
    Question {
        daemon: dice.pick(&["in.telnetd", "in.ftpd", "sshd", "23", "IN.TELNETD", "a b;c"]).to_owned(),
        client: address(dice),
        server: if dice.below(3) == 0 { None } else { address(dice) },
        client_name: name(dice),
        server_name: name(dice),
        user: dice.pick(&["joe", "root", "unknown", "JOE", "j;o`e", "joe smith"]).to_owned(),
        is_datagram: dice.below(8) == 0,
        is_resident: dice.below(4) == 0,
        files,
    }
}

fn address(dice: &mut Dice<'_>) -> Option<SocketAddr> {
    let text = dice.pick(&[
        "10.1.2.3:4000",
        "10.1.2.3:23",
        "192.0.2.1:21",
        "127.0.0.1:7",
        "10.0.0.1:23",
        "0.0.0.0:0",
        "255.255.255.255:1",
        "[2001:db8::1]:23",
        "[::1]:4000",
        "[::ffff:10.1.2.3]:4000",
        "[::10.1.2.3]:9",
        "[fe80::1%1]:23",
        "[2001:db8:1:2:3:4:5:6]:21",
        "",
    ]);
    text.parse().ok()
}

fn name(dice: &mut Dice<'_>) -> String {
    dice.pick(&[
        "unknown",
        "paranoid",
        "a.example.com",
        "A.Example.COM",
        "local",
        "10.1.2.3",
        "x_y.example.com",
        "a;b`c.example.com",
        "example.com",
        "UNKNOWN",
    ])
    .to_owned()
}

fn table(dice: &mut Dice<'_>) -> Contents {
    if dice.below(20) == 0 {
        return Contents::Refused;
    }
    let mut text = Vec::new();
    for _ in 0..dice.below(5) {
        let line = match dice.below(16) {
            0 => b"# comment \\\n ALL: ALL\n".to_vec(),
            1 => b" \t\n".to_vec(),
            2 => b"ALL ALL\n".to_vec(),
            3 => garbage(dice),
            _ => rule(dice),
        };
        if line.len() < MOST_OF_LINE {
            text.extend(line);
        }
    }
    if !text.is_empty() {
        // Whatever hides the end of the last line, the table has one.
        text.extend(b"nobody: nowhere\n");
    }
    Contents::Text(text)
}

fn rule(dice: &mut Dice<'_>) -> Vec<u8> {
    let mut line = words(dice, daemon);
    line.push(b':');
    line.extend(words(dice, client));
    if dice.below(2) == 0 {
        for _ in 0..=dice.below(3) {
            line.push(b':');
            line.extend(option(dice));
        }
    }
    if dice.below(12) == 0 {
        let at = dice.below(line.len() + 1);
        let junk = dice.pick(&["\\\n", "\0", "\r", " ", "[", "]", "\\:", ",", "\\ \n"]);
        line.splice(at..at, junk.bytes());
    }
    line.extend(dice.pick(&["\n", "\n", "\n", "\r\n", " \n"]).bytes());
    without_netgroups(line)
}

/// Netgroups are asked for by some builds of libwrap only.
fn without_netgroups(mut line: Vec<u8>) -> Vec<u8> {
    for at in 0..line.len() {
        let begins = at == 0 || b" ,\t\r\n:@\\\0[]".contains(&line[at - 1]);
        if line[at] == b'@' && begins {
            line[at] = b'x';
        }
    }
    line
}

fn words(dice: &mut Dice<'_>, word: fn(&mut Dice<'_>) -> String) -> Vec<u8> {
    let mut list = Vec::new();
    for _ in 0..dice.below(5) {
        let word = match dice.below(6) {
            0 => "EXCEPT".to_owned(),
            1 => "except".to_owned(),
            _ => word(dice),
        };
        list.extend(word.bytes());
        list.extend(dice.pick(&[" ", ", ", ",", "\t", " ,"]).bytes());
    }
    if dice.below(3) > 0 {
        list.extend(word(dice).bytes());
    }
    list
}

fn daemon(dice: &mut Dice<'_>) -> String {
    let process = dice.pick(&[
        "in.telnetd",
        "in.ftpd",
        "ALL",
        "all",
        "KNOWN",
        "UNKNOWN",
        "23",
        "+23",
        "023",
        "-1",
        "65536",
        "23x",
        "in.*",
        "*d",
        "?shd",
        ".telnetd",
        "in.",
        "sshd",
        "99999999999999999999",
        "-4294967273",
    ]);
    if dice.below(5) == 0 { format!("{process}@{}", host(dice)) } else { process.to_owned() }
}

fn client(dice: &mut Dice<'_>) -> String {
    if dice.below(4) > 0 {
        return host(dice);
    }
    let user = dice.pick(&["joe", "ALL", "KNOWN", "UNKNOWN", "j*", ".e", "jo.", "root", "LOCAL", ""]);
    format!("{user}@{}", host(dice))
}

fn host(dice: &mut Dice<'_>) -> String {
    if dice.below(12) == 0 {
        // A net of pieces that hardly fit.
        let net = dice.pick(&[
            "10.0.0.0",
            "10.1.2.3",
            "10",
            "0x0a.0.0.0",
            "012.0.0.0",
            "[2001:db8::]",
            "[::]",
            "[x]",
            "1.2.3.4.5",
            "256.0.0.0",
            "10..0.0",
        ]);
        let mask = dice.pick(&[
            "8",
            "255.0.0.0",
            "0",
            "32",
            "33",
            "-1",
            "+8",
            " 8",
            "08",
            "8x",
            "x",
            "",
            "255.255.255.255",
            "0.0.0.0",
            "255.0.255.0",
            "64",
            "128",
            "129",
            "0xff.0.0.0",
        ]);
        return format!("{net}/{mask}");
    }
    dice.pick(&[
        "ALL",
        "LOCAL",
        "KNOWN",
        "UNKNOWN",
        "PARANOID",
        "10.1.2.3",
        "10.1.",
        "10.",
        ".3",
        "192.0.2.1",
        "010.1.2.3",
        "10.1.2",
        "10.1.2.0/24",
        "10.0.0.0/255.0.0.0",
        "127.0.0.1",
        ".example.com",
        "a.example.com",
        "example.",
        "*.example.com",
        "a.*",
        "?.example.com",
        "*",
        "10.1.*",
        "2001*",
        "[2001:db8::1]",
        "[::1]",
        "[2001:db8::]/32",
        "[::ffff:10.1.2.3]",
        "[fe80::1]",
        "[fe80::1%lo]",
        "[::]/0",
        "2001:db8::1",
        "[10.1.2.3]",
        "[",
        "]",
        "/list",
        "/other",
        "/missing",
        "/list/24",
        "0.0.0.0",
        "unknown",
        "::ffff:10.1.2.3",
        "0.0.0.0/0.0.0.0",
        "example.com",
        "local",
        "x",
        ".",
        "..",
        "10.1.2.3.",
        "a_b",
        "FAIL",
    ])
    .to_owned()
}

fn option(dice: &mut Dice<'_>) -> Vec<u8> {
    let text = dice.pick(&[
        "allow",
        "deny",
        " ALLOW ",
        "severity info",
        "severity mail.info",
        "severity kern.warning",
        "severity .info",
        "severity mail.",
        "severity warn",
        "severity local7.debug",
        "spawn echo %a %c %d %h",
        "spawn %n %u %c %h %H",
        "spawn echo %s %N %A %r %R %p %%",
        "spawn %z %",
        "spawn a\\:b",
        "spawn",
        "twist echo %c",
        "twist",
        "aclexec true %a",
        "keepalive",
        "keepalive x",
        "linger 5",
        "linger 0",
        "linger -1",
        "linger x",
        "rfc931",
        "rfc931 5",
        "rfc931 0",
        "rfc931 x",
        "nice",
        "nice 5",
        "nice -3",
        "nice x",
        "nice +4",
        "setenv A b",
        "setenv A  b  c ",
        "setenv A",
        "setenv A=b",
        "setenv %d %h",
        "umask 022",
        "umask 0777",
        "umask 8",
        "umask = 027",
        "umask=027",
        "umask == 027",
        "user nobody",
        "user nobody.nogroup",
        "user nosuchuser",
        "user nobody.nosuch",
        "group nogroup",
        "group nosuch",
        "nosuch",
        "",
        " ",
        "=",
        "allow yes",
        "user 65534",
        "umask\t027",
        "umask 1777",
        "umask -1",
        "linger +3",
    ]);
    text.as_bytes().to_vec()
}

fn list_file(dice: &mut Dice<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..dice.below(6) {
        // A file that names itself is not read for ever here, and is by libwrap until it has no descriptors left.
        let word = host(dice);
        let word = if word == "/list" || word == "/other" { "/missing".to_owned() } else { word };
        text.extend(word.bytes());
        text.extend(dice.pick(&["\n", " ", "\t", ",", " # ", "\r\n"]).bytes());
    }
    without_netgroups(text)
}

fn garbage(dice: &mut Dice<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    for _ in 0..dice.below(30) {
        line.push(dice.pick(b"ALL: ,[]@.*?/\\#\0\t0123456789axEXCEPT\xe9%="));
    }
    line.push(b'\n');
    // A line that would be joined to the next one may become longer than libwrap reads, or have no end.
    line.retain(|byte| *byte != 0 && *byte != b'\\');
    without_netgroups(line)
}

/// What decides.
pub struct Dice<'a>(pub Unstructured<'a>);

impl Dice<'_> {
    fn below(&mut self, end: usize) -> usize {
        self.0.int_in_range(0..=end.max(1) - 1).unwrap_or_default()
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
