//! hosts.allow and hosts.deny.

use super::list::{Kind, list};
use super::option::options;
use super::text;
use super::world::World;
use crate::dice::Dice;

/// A table's text.
pub fn table(dice: &mut Dice, world: &World) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..dice.below(5) {
        match dice.below(24) {
            0 => text.extend([b"#", &*words(dice)].concat()),
            1 => text.extend(text::word(dice, b" \t\r\x0b")),
            2 => text.extend(words(dice)),
            _ => text.extend(rule(dice, world)),
        }
        if dice.once_in(40) {
            text::spoil(dice, &mut text);
        }
        if !dice.once_in(60) {
            text.extend(dice.pick(&["\n", "\n", "\n", "\n", "\r\n", " \n", "\\\n\n"]).bytes());
        }
    }
    text
}

fn rule(dice: &mut Dice, world: &World) -> Vec<u8> {
    let mut line = list(dice, world, Kind::Daemons);
    line.push(b':');
    line.extend(list(dice, world, Kind::Clients));
    if dice.once_in(2) {
        line.push(b':');
        line.extend(options(dice));
    }
    line
}

/// Anything that means something in a table, in no order.
fn words(dice: &mut Dice) -> Vec<u8> {
    let mut words = Vec::new();
    for _ in 0..dice.below(10) {
        match dice.below(3) {
            0 => words
                .extend(dice.pick(&["ALL", "EXCEPT", "LOCAL", "deny", "spawn", ":", "@", "/list"]).bytes()),
            1 => text::spoil(dice, &mut words),
            _ => words.extend(text::word(dice, b"ALEXCPT: ,@.01[]/*")),
        }
    }
    words
}
