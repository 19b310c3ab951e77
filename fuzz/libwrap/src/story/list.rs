//! Lists of daemons and clients, and files of hosts.

use super::host::host;
use super::text;
use super::world::World;
use crate::dice::Dice;

/// Which words a list has.
#[derive(Clone, Copy)]
pub enum Kind {
    Daemons,
    Clients,
}

/// Words with something between them.
pub fn list(dice: &mut Dice, world: &World, kind: Kind) -> Vec<u8> {
    let mut list = separator(dice, true);
    for _ in 0..dice.pick(&[0, 1, 1, 1, 1, 2, 2, 3, 4, 6]) {
        let word = match (dice.below(7), kind) {
            (0, _) => text::in_any_case(dice, b"except"),
            (_, Kind::Daemons) => daemon(dice, world),
            (_, Kind::Clients) => client(dice, world),
        };
        list.extend(word);
        list.extend(separator(dice, false));
    }
    list
}

fn separator(dice: &mut Dice, may_be_none: bool) -> Vec<u8> {
    if may_be_none && !dice.once_in(4) {
        return Vec::new();
    }
    if dice.once_in(3000) {
        // Longer than libwrap's lines.
        return vec![b' '; 1900 + dice.below(300)];
    }
    dice.pick(&[" ", " ", ", ", ",", "\t", " ,", "\r", ""]).as_bytes().to_vec()
}

fn daemon(dice: &mut Dice, world: &World) -> Vec<u8> {
    let mut word = match dice.below(12) {
        0..=2 => {
            let port = world.server.map_or(23, |server| server.port());
            text::number(dice, &[i128::from(port), 0, i128::from(u16::MAX)])
        }
        3 => text::word(dice, b"0123456789+-"),
        4..=6 => wildcard(dice),
        _ => text::pattern(dice, &world.daemon),
    };
    if dice.once_in(5) {
        word.push(b'@');
        word.extend(host(dice, world));
    }
    if dice.once_in(20) {
        text::spoil(dice, &mut word);
    }
    word
}

fn client(dice: &mut Dice, world: &World) -> Vec<u8> {
    if !dice.once_in(4) {
        return host(dice, world);
    }
    let mut word = match dice.below(5) {
        0 | 1 => wildcard(dice),
        2 => text::word(dice, b"joebrt*?."),
        _ => text::pattern(dice, &world.user),
    };
    word.push(b'@');
    word.extend(host(dice, world));
    word
}

fn wildcard(dice: &mut Dice) -> Vec<u8> {
    let word = dice.pick(&["all", "all", "all", "known", "unknown", "local", "paranoid"]);
    text::in_any_case(dice, word.as_bytes())
}

/// A file that a `/path` leads to.
pub fn file(dice: &mut Dice, world: &World) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..dice.below(6) {
        text.extend(host(dice, world));
        text.extend(dice.pick(&["\n", "\n", " ", "\t", ",", " # ", "\r\n", "\x0b"]).bytes());
    }
    text
}
