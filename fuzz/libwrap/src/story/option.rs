//! What stands behind the second colon.

use super::{BANNERS, text};
use crate::dice::Dice;

/// The options, with the colons between them.
pub fn options(dice: &mut Dice) -> Vec<u8> {
    let mut field = Vec::new();
    while dice.once_in(2) {
        // Three of them may only be the last, and are somewhere else now and then.
        let kinds = if dice.once_in(20) { 21 } else { 16 };
        field.extend(option(dice, kinds));
        field.push(b':');
    }
    field.extend(option(dice, 21));
    field
}

fn option(dice: &mut Dice, kinds: usize) -> Vec<u8> {
    let (name, value) = match dice.below(kinds) {
        0 => ("keepalive", nothing(dice)),
        1 => ("severity", severity(dice)),
        2 | 3 => ("spawn", expansion(dice)),
        4 => ("aclexec", expansion(dice)),
        5 if dice.once_in(2) => ("", text::word(dice, b"alowdeny= ")),
        5..=7 => ("banners", folder(dice)),
        8 | 9 => ("setenv", variable(dice)),
        10 => ("linger", text::number(dice, &[0, 5, i128::from(i32::MAX)])),
        11 => ("rfc931", optional(dice, &[0, 5, i128::from(i32::MAX)])),
        12 => ("nice", optional(dice, &[0, 10, -5, i128::from(i32::MIN)])),
        13 => ("umask", mask(dice)),
        14 => ("user", account(dice)),
        15 => ("group", group(dice)),
        16 => ("allow", nothing(dice)),
        17 => ("deny", nothing(dice)),
        _ => ("twist", expansion(dice)),
    };
    let mut option = blanks(dice);
    option.extend(text::in_any_case(dice, name.as_bytes()));
    if !value.is_empty() {
        option.extend(
            dice.pick(&[" ", " ", " ", "=", " = ", "  ", "\t", " =", "= ", "\t=", "\r", "==", "\x0b"])
                .bytes(),
        );
        option.extend(value);
    }
    option.extend(blanks(dice));
    if dice.once_in(30) {
        text::spoil(dice, &mut option);
    }
    option
}

fn blanks(dice: &mut Dice) -> Vec<u8> {
    match dice.below(6) {
        0 | 1 => b" ".to_vec(),
        2 => dice.pick(&["\t", "  ", "\r", "\t ", "\x0c", "\x0b "]).as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

fn nothing(dice: &mut Dice) -> Vec<u8> {
    if dice.once_in(12) { text::word(dice, b"yes= ") } else { Vec::new() }
}

fn optional(dice: &mut Dice, around: &[i128]) -> Vec<u8> {
    if dice.once_in(3) { Vec::new() } else { text::number(dice, around) }
}

fn severity(dice: &mut Dice) -> Vec<u8> {
    const FACILITIES: [&str; 21] = [
        "kern", "user", "mail", "daemon", "auth", "lpr", "news", "uucp", "cron", "local0", "local1",
        "local2", "local3", "local4", "local5", "local6", "local7", "authpriv", "ftp", "syslog", "",
    ];
    const LEVELS: [&str; 12] =
        ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "warn", "error", "panic", ""];
    let (facility, level) = (dice.pick(&FACILITIES), dice.pick(&LEVELS));
    let word = match dice.below(5) {
        0 | 1 => level.to_owned(),
        2 | 3 => format!("{facility}.{level}"),
        _ => format!("{level}.{facility}"),
    };
    text::in_any_case(dice, word.as_bytes())
}

fn variable(dice: &mut Dice) -> Vec<u8> {
    let mut variable = if dice.once_in(6) { expansion(dice) } else { text::word(dice, b"ABC_=") };
    variable.extend(blanks(dice));
    variable.extend(expansion(dice));
    variable
}

fn mask(dice: &mut Dice) -> Vec<u8> {
    if dice.once_in(2) { text::number(dice, &[22, 77, 777, 8, 1000]) } else { text::word(dice, b"01234567") }
}

fn account(dice: &mut Dice) -> Vec<u8> {
    let mut account = match dice.below(4) {
        0 => text::word(dice, b"joernbdy."),
        _ => dice.pick(&["root", "joe", "nobody", "JOE", "0"]).as_bytes().to_vec(),
    };
    if dice.once_in(2) {
        account.push(b'.');
        account.extend(group(dice));
    }
    account
}

fn group(dice: &mut Dice) -> Vec<u8> {
    match dice.below(4) {
        0 => text::word(dice, b"usergpno."),
        _ => dice.pick(&["root", "users", "nogroup", "Users", "100"]).as_bytes().to_vec(),
    }
}

fn folder(dice: &mut Dice) -> Vec<u8> {
    if dice.once_in(10) { text::word(dice, b"/baners%") } else { dice.pick(&BANNERS).as_bytes().to_vec() }
}

/// A text in which `%` means something.
pub fn expansion(dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..dice.below(8) {
        match dice.below(10) {
            0..=4 => out.extend([b'%', dice.pick(b"aAcdhHnNrRsu%p")]),
            5 if dice.once_in(3) => out.extend([b'%', dice.pick(b"zZ0 -.:[]\xe9\\\x01")]),
            5 if dice.once_in(100) => out.push(b'%'),
            5 if dice.once_in(10) => {
                // More than libwrap has room for, when what is found is long.
                let letter = dice.pick(b"nchu");
                (0..140).for_each(|_| out.extend([b'%', letter]));
            }
            6 => out.extend(b"\\:"),
            7 => out.extend(text::word(dice, b"echo ;&|'\"$(){}<>[]\\\t.=")),
            _ => out.extend(text::word(dice, b"abc /-")),
        }
    }
    out
}
