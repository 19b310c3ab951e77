//! The third field of a rule: what is done with a caller whom it matches.
//!
//! The field is parted and read when the table is, so that `check` can say what is wrong with a rule that nobody has met
//! yet. What is wrong takes effect as in libwrap all the same: when the rule is met, behind the options before it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::number::{is_space, signed, unsigned};
use super::pattern::split_outside_brackets;

/// One option, as it will run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opt {
    /// As written; none where it is so wrong that libwrap does not get so far.
    pub(super) words: Option<Words>,
    /// What it does, or what is wrong with it: then the caller is refused.
    pub(super) act: Result<Act, String>,
}

/// The words of an option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Words {
    pub(super) name: Box<[u8]>,
    /// Empty where there is none.
    pub(super) value: Box<[u8]>,
}

/// What an option does. Where nothing is here, its value says the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Act {
    Allow,
    Deny,
    Severity(Severity),
    Spawn,
    Aclexec,
    Twist,
    Setenv,
    Banners,
    KeepAlive,
    Linger(u32),
    /// Seconds, where they are named.
    Identify(Option<u32>),
    Nice(i32),
    Umask(u32),
    User(Account),
    Group(u32),
}

/// The data bases of users and groups.
pub trait Accounts {
    /// The user of that name with all its groups, if there is one; or why nobody can say.
    fn account(&mut self, name: &str, gid: Option<u32>) -> Result<Option<Account>, String>;
    /// The number of the group of that name, if there is one; or why nobody can say.
    fn gid(&mut self, name: &str) -> Result<Option<u32>, String>;
}

/// A user that a caller's program is to run as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// The group that is named, or the user's own.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
}

/// Where a line about a caller goes in syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Severity {
    /// The word for the facility; the program's own when there is none.
    pub facility: Option<Facility>,
    /// How much it matters.
    pub level: Level,
}

macro_rules! words {
    ($(#[$about:meta])* $name:ident, $($(#[$doc:meta])* $variant:ident $word:literal $number:literal,)+) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "the word says which each is")]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            const ALL: &[$name] = &[$($name::$variant),+];

            /// The word in a table.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// Its number in syslog(3).
            pub fn number(self) -> u8 {
                match self { $($name::$variant => $number),+ }
            }

            fn named(word: &[u8]) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word().as_bytes().eq_ignore_ascii_case(word))
            }
        }
    };
}

words! {
    /// The facilities that libwrap knows.
    Facility,
    Kern "kern" 0, User "user" 1, Mail "mail" 2, Daemon "daemon" 3, Auth "auth" 4, Lpr "lpr" 6, News "news" 7,
    Uucp "uucp" 8, Cron "cron" 9, Local0 "local0" 16, Local1 "local1" 17, Local2 "local2" 18, Local3 "local3" 19,
    Local4 "local4" 20, Local5 "local5" 21, Local6 "local6" 22, Local7 "local7" 23,
}

words! {
    /// The levels that libwrap knows.
    Level,
    Emerg "emerg" 0, Alert "alert" 1, Crit "crit" 2, Err "err" 3, Warning "warning" 4, Notice "notice" 5,
    Info "info" 6, Debug "debug" 7,
}

/// Whether an option has a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    None,
    Optional,
    Required,
}

type Read = fn(&[u8], &mut dyn Accounts) -> Result<Act, String>;

/// Name, whether it has a value, whether it must stand last, how the value is read.
const OPTIONS: [(&str, Value, bool, Read); 15] = [
    ("user", Value::Required, false, user),
    ("group", Value::Required, false, group),
    ("umask", Value::Required, false, umask),
    ("linger", Value::Required, false, linger),
    ("keepalive", Value::None, false, |_, _| Ok(Act::KeepAlive)),
    ("spawn", Value::Required, false, |_, _| Ok(Act::Spawn)),
    ("twist", Value::Required, true, |_, _| Ok(Act::Twist)),
    ("rfc931", Value::Optional, false, identify),
    ("setenv", Value::Required, false, |_, _| Ok(Act::Setenv)),
    ("nice", Value::Optional, false, nice),
    ("severity", Value::Required, false, severity),
    ("allow", Value::None, true, |_, _| Ok(Act::Allow)),
    ("deny", Value::None, true, |_, _| Ok(Act::Deny)),
    ("banners", Value::Required, false, |_, _| Ok(Act::Banners)),
    ("aclexec", Value::Required, false, |_, _| Ok(Act::Aclexec)),
];

/// The names of all options.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(name, ..)| *name)
}

impl Act {
    /// Whether `%` means something in its value.
    pub(super) fn expands(&self) -> bool {
        matches!(self, Act::Spawn | Act::Aclexec | Act::Twist | Act::Setenv)
    }
}

/// The options of a rule, up to the first that is wrong.
pub(super) fn read(field: &[u8], accounts: &mut dyn Accounts) -> Vec<Opt> {
    let parts = parts(field);
    let mut options = Vec::with_capacity(parts.len());
    for (place, part) in parts.iter().enumerate() {
        let option = read_one(part, place + 1 == parts.len(), accounts);
        let is_wrong = option.act.is_err();
        options.push(option);
        if is_wrong {
            break;
        }
    }
    options
}

fn read_one(part: &[u8], is_last: bool, accounts: &mut dyn Accounts) -> Opt {
    let (name, value) = name_and_value(chop(part));
    let wrong = |why: String| Opt { words: None, act: Err(why) };
    let text = String::from_utf8_lossy(name);
    if name.is_empty() {
        return wrong("missing option name".to_owned());
    }
    let known = OPTIONS.iter().find(|(known, ..)| known.as_bytes().eq_ignore_ascii_case(name));
    let Some((_, takes, must_be_last, read)) = known else {
        return wrong(format!("bad option name: \"{text}\""));
    };
    match (value, takes) {
        (None, Value::Required) => return wrong(format!("option \"{text}\" requires value")),
        (Some(_), Value::None) => return wrong(format!("option \"{text}\" requires no value")),
        (None, Value::None | Value::Optional) | (Some(_), Value::Optional | Value::Required) => {}
    }
    if *must_be_last && !is_last {
        return wrong(format!("option \"{text}\" must be at end"));
    }
    let value = value.unwrap_or_default();
    Opt { words: Some(Words { name: name.into(), value: value.into() }), act: read(value, accounts) }
}

/// The field, parted at its colons. A colon behind a backslash is a colon of the value.
fn parts(field: &[u8]) -> Vec<Vec<u8>> {
    places(field).into_iter().map(|place| unescaped(&field[place])).collect()
}

/// Where each option of a field stands. What stands behind the last colon is one more, even when it is nothing: the line's
/// end is there at least.
pub(super) fn places(field: &[u8]) -> Vec<Range<usize>> {
    let is_escaped = |at: usize| at > 0 && field[at - 1] == b'\\';
    let colons = (0..field.len()).filter(|at| field[*at] == b':' && !is_escaped(*at));
    let mut places = Vec::new();
    let mut start = 0;
    for colon in colons {
        places.push(start..colon);
        start = colon + 1;
    }
    places.push(start..field.len());
    places
}

fn unescaped(part: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(part.len());
    for byte in part {
        // No other colon is left in a part.
        if *byte == b':' {
            text.pop();
        }
        text.push(*byte);
    }
    text
}

/// The name goes up to a blank or `=`; one `=` is no part of the value.
fn name_and_value(option: &[u8]) -> (&[u8], Option<&[u8]>) {
    let end = option.iter().position(|byte| is_blank(*byte) || *byte == b'=').unwrap_or(option.len());
    let (name, rest) = option.split_at(end);
    let rest = after_blanks(rest);
    let value = after_blanks(rest.strip_prefix(b"=").unwrap_or(rest));
    (name, if value.is_empty() { None } else { Some(value) })
}

/// What libwrap itself takes for a blank. Where it leaves that to the C library, two more are (see `is_space`).
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn after_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| is_blank(**byte)).count()..]
}

/// Without the blanks at both ends.
pub(super) fn chop(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(*byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

fn quoted(value: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(value))
}

fn severity(value: &[u8], _: &mut dyn Accounts) -> Result<Act, String> {
    let unknown = |word: &[u8]| format!("bad syslog facility or severity: {}", quoted(word));
    let (facility, level) = match split_outside_brackets(value, b'.') {
        None => (None, value),
        Some(dot) => {
            let word = &value[..dot];
            (Some(Facility::named(word).ok_or_else(|| unknown(word))?), &value[dot + 1..])
        }
    };
    let level = Level::named(level).ok_or_else(|| unknown(level))?;
    // The kernel's facility is 0, which syslog(3) takes for none.
    let facility = facility.filter(|facility| *facility != Facility::Kern);
    Ok(Act::Severity(Severity { facility, level }))
}

fn linger(value: &[u8], _: &mut dyn Accounts) -> Result<Act, String> {
    let seconds = signed(value).and_then(|seconds| u32::try_from(seconds).ok());
    seconds.map(Act::Linger).ok_or_else(|| format!("bad linger value: {}", quoted(value)))
}

fn identify(value: &[u8], _: &mut dyn Accounts) -> Result<Act, String> {
    if value.is_empty() {
        return Ok(Act::Identify(None));
    }
    let seconds =
        signed(value).and_then(|seconds| u32::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
    seconds
        .map(|seconds| Act::Identify(Some(seconds)))
        .ok_or_else(|| format!("bad rfc931 timeout: {}", quoted(value)))
}

fn nice(value: &[u8], _: &mut dyn Accounts) -> Result<Act, String> {
    const USUAL: i32 = 10;
    if value.is_empty() {
        return Ok(Act::Nice(USUAL));
    }
    signed(value).map(Act::Nice).ok_or_else(|| format!("bad nice value: {}", quoted(value)))
}

fn umask(value: &[u8], _: &mut dyn Accounts) -> Result<Act, String> {
    let mask = unsigned(value, 8).filter(|mask| *mask <= 0o777);
    mask.map(Act::Umask).ok_or_else(|| format!("bad umask value: {}", quoted(value)))
}

fn user(value: &[u8], accounts: &mut dyn Accounts) -> Result<Act, String> {
    let (name, named_group) = match split_outside_brackets(value, b'.') {
        None => (value, None),
        Some(dot) => (&value[..dot], Some(&value[dot + 1..])),
    };
    // The group is looked for first, as the original does: it is named when both are unknown.
    let gid = named_group.map(|group| gid(group, accounts)).transpose()?;
    let unknown = || format!("unknown user: {}", quoted(name));
    let name = std::str::from_utf8(name).map_err(|_| unknown())?;
    accounts.account(name, gid)?.ok_or_else(unknown).map(Act::User)
}

fn group(value: &[u8], accounts: &mut dyn Accounts) -> Result<Act, String> {
    gid(value, accounts).map(Act::Group)
}

fn gid(name: &[u8], accounts: &mut dyn Accounts) -> Result<u32, String> {
    let unknown = || format!("unknown group: {}", quoted(name));
    let text = std::str::from_utf8(name).map_err(|_| unknown())?;
    accounts.gid(text)?.ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Accounts for Nobody {
        fn account(&mut self, _: &str, _: Option<u32>) -> Result<Option<Account>, String> {
            Ok(None)
        }

        fn gid(&mut self, _: &str) -> Result<Option<u32>, String> {
            Ok(None)
        }
    }

    fn act(field: &str) -> Result<Act, String> {
        read(field.as_bytes(), &mut Nobody).remove(0).act
    }

    #[test]
    fn values_are_what_scanf_reads() {
        let bad = |what: &str| Err(format!("bad {what}"));
        for (field, expected) in [
            ("umask +022", Ok(Act::Umask(0o22))),
            ("umask -37777777756", Ok(Act::Umask(0o22))),
            ("umask -1", bad("umask value: \"-1\"")),
            ("linger 4294967301", Ok(Act::Linger(5))),
            ("linger 3000000000", bad("linger value: \"3000000000\"")),
            ("rfc931 9223372036854775808", bad("rfc931 timeout: \"9223372036854775808\"")),
            ("nice 3000000000", Ok(Act::Nice(-1_294_967_296))),
            ("nice =\x0b5", Ok(Act::Nice(5))),
        ] {
            assert_eq!(act(field), expected, "{field:?}");
        }
    }

    #[test]
    fn blanks_around_an_option_are_those_of_the_c_library() {
        assert_eq!(act("\x0b\x0cnice\x0b"), Ok(Act::Nice(10)));
        assert_eq!(act("\x0c"), Err("missing option name".to_owned()));
        assert_eq!(act("nice\x0b5"), Err("bad option name: \"nice\x0b5\"".to_owned()));
    }
}
