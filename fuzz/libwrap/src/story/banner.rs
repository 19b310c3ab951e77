//! What is sent to a caller.

use super::option::expansion;
use super::text;
use crate::dice::Dice;

/// The text of a banner.
pub fn banner(dice: &mut Dice) -> Vec<u8> {
    let mut text = vec![0; if dice.once_in(6) { dice.below(4) } else { 0 }];
    for _ in 0..dice.below(5) {
        let mut line = expansion(dice);
        if dice.once_in(200) {
            line.extend(vec![b'x'; 8100 + dice.below(200)]);
        }
        if dice.once_in(10) {
            text::spoil(dice, &mut line);
        }
        text.extend(line);
        text.extend(dice.pick(&["\n", "\n", "\n", "\r\n", ""]).bytes());
    }
    text
}
