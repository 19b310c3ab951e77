//! Words and names, letter by letter.

use crate::dice::Dice;

/// What means something somewhere in a table.
const JUNK: &[u8] = b"\\\n\0\r \t\x0b\x0c[]:,.@/*?%=#+-0aA9_\"'\x7f\xe9";

/// One to nine of these letters.
pub fn word(dice: &mut Dice, letters: &[u8]) -> Vec<u8> {
    (0..=dice.below(9)).map(|_| dice.pick(letters)).collect()
}

/// Labels with dots between them; short, so that two names are alike now and then.
pub fn name(dice: &mut Dice) -> Vec<u8> {
    let mut name = Vec::new();
    for label in 0..=dice.below(4) {
        if label > 0 {
            name.push(b'.');
        }
        for _ in 0..=dice.below(3) {
            name.push(dice.pick(b"abAB01-_"));
        }
    }
    name
}

/// No text at all, but without a NUL byte.
pub fn odd(dice: &mut Dice) -> Vec<u8> {
    (0..=dice.below(12))
        .map(|_| match dice.below(3) {
            0 => dice.pick(b"ab.@ ;`%:["),
            _ => u8::try_from(1 + dice.below(255)).unwrap_or(1),
        })
        .collect()
}

/// About as long as libwrap keeps texts.
pub fn long(dice: &mut Dice) -> Vec<u8> {
    (0..120 + dice.below(16)).map(|_| dice.pick(b"aab.;")).collect()
}

/// A number as a rule may have it: around what matters, and with what C reads over.
pub fn number(dice: &mut Dice, around: &[i128]) -> Vec<u8> {
    let mut number = dice.pick(around) + [0, 0, 0, 1, -1, 2][dice.below(6)];
    if dice.once_in(12) {
        number += dice.pick(&[1 << 16, 1 << 32, -(1 << 32), 1 << 63, 1 << 64, -(1 << 63), 1 << 70]);
    }
    let mut text = Vec::new();
    if dice.once_in(12) {
        text.push(dice.pick(b"+- \x0b"));
    }
    if number < 0 {
        text.push(b'-');
    } else if dice.once_in(12) {
        text.push(b'+');
    }
    if dice.once_in(10) {
        text.extend(&b"0000"[..=dice.below(4).min(3)]);
    }
    if dice.once_in(16) {
        text.extend(format!("{:#x}", number.unsigned_abs()).bytes());
    } else {
        text.extend(number.unsigned_abs().to_string().bytes());
    }
    if dice.once_in(12) {
        text.push(dice.pick(b"x 8.\x0c"));
    }
    text
}

/// The same word with capitals here and there.
pub fn in_any_case(dice: &mut Dice, word: &[u8]) -> Vec<u8> {
    let how = dice.below(4);
    word.iter()
        .map(|byte| match how {
            0 => byte.to_ascii_uppercase(),
            1 if dice.once_in(2) => byte.to_ascii_uppercase(),
            _ => *byte,
        })
        .collect()
}

/// Something may be inserted into a text, deleted from it or changed in it.
pub fn spoil(dice: &mut Dice, text: &mut Vec<u8>) {
    let at = dice.below(text.len() + 1);
    match dice.below(4) {
        0 if at < text.len() => drop(text.remove(at)),
        1 if at < text.len() => text[at] = dice.pick(JUNK),
        2 => drop(text.splice(at..at, *b"\\\n")),
        _ => text.insert(at, dice.pick(JUNK)),
    }
}

/// A pattern for a text: the text, its beginning, its end, or with wildcards.
pub fn pattern(dice: &mut Dice, text: &[u8]) -> Vec<u8> {
    let mut pattern = text.to_vec();
    let cut = dice.below(text.len() + 1);
    match dice.below(8) {
        0 => pattern = [b".", &text[cut..]].concat(),
        1 => pattern = [&text[..cut], b"."].concat(),
        2 => pattern = dots(text).last().map_or(pattern, |dot| text[dot..].to_vec()),
        3 => pattern = dots(text).next().map_or(pattern, |dot| text[..=dot].to_vec()),
        4 | 5 => {
            // Few: libwrap tries all ways to match several stars, which takes hours for six of them and a long name.
            for _ in 0..=dice.below(2) {
                let from = dice.below(pattern.len() + 1);
                let to = (from + dice.below(4)).min(pattern.len());
                let wildcards = dice.pick(&["*", "*", "?", "??", "**", "*?", "?*"]);
                pattern.splice(from..to, wildcards.bytes());
            }
        }
        _ => {}
    }
    in_any_case(dice, &pattern)
}

fn dots(text: &[u8]) -> impl DoubleEndedIterator<Item = usize> {
    text.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at)
}
