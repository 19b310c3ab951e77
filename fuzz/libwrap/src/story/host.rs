//! Words that stand for hosts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::world::World;
use super::{LISTS, text};
use crate::dice::Dice;

/// One word.
pub fn host(dice: &mut Dice, world: &World) -> Vec<u8> {
    let mut word = match dice.below(24) {
        0..=3 => wildcard(dice),
        4..=6 => name(dice, world),
        7 | 8 => dice.pick(&LISTS).as_bytes().to_vec(),
        9 => [b"@", &*text::word(dice, b"ab@.")].concat(),
        10 => text::word(dice, b"0123456789./"),
        11 => text::word(dice, b"[]:/.@ab01*?%"),
        12..=14 => net(dice, world),
        _ => address(dice, world),
    };
    if dice.once_in(16) {
        text::spoil(dice, &mut word);
    }
    word
}

fn wildcard(dice: &mut Dice) -> Vec<u8> {
    let word = dice.pick(&["all", "local", "known", "unknown", "paranoid", "fail", "all"]);
    text::in_any_case(dice, word.as_bytes())
}

fn name(dice: &mut Dice, world: &World) -> Vec<u8> {
    let mut name = world.name(dice);
    // What would part the word is not in the name but by chance.
    name.retain(|byte| !byte.is_ascii_whitespace() && !b",:@".contains(byte));
    text::pattern(dice, &name)
}

fn address(dice: &mut Dice, world: &World) -> Vec<u8> {
    match world.ip(dice) {
        IpAddr::V4(address) => v4(dice, address),
        IpAddr::V6(address) => match (address.to_ipv4_mapped(), dice.below(3)) {
            (Some(address), 1 | 2) => v4(dice, address),
            (_, 0) => {
                let word = address.to_string();
                text::pattern(dice, word.as_bytes())
            }
            _ => v6(dice, address),
        },
    }
}

fn v4(dice: &mut Dice, address: Ipv4Addr) -> Vec<u8> {
    if dice.once_in(2) { text::pattern(dice, address.to_string().as_bytes()) } else { quad(dice, address) }
}

/// As C reads addresses.
fn quad(dice: &mut Dice, address: Ipv4Addr) -> Vec<u8> {
    let mut fields = Vec::new();
    for octet in address.octets() {
        fields.push(match dice.below(16) {
            0 => format!("{octet:#x}"),
            1 => format!("0X{octet:X}"),
            2 => format!("0{octet:o}"),
            3 => format!("0{octet}"),
            _ => octet.to_string(),
        });
    }
    fields.join(".").into_bytes()
}

fn v6(dice: &mut Dice, address: Ipv6Addr) -> Vec<u8> {
    let inside = spelled(dice, address);
    let scope = match dice.below(12) {
        0 => "%lo",
        1 => "%1",
        2 => "%nowhere0",
        3 => "%4294967296",
        _ => "",
    };
    [b"[", &*inside, scope.as_bytes(), b"]"].concat()
}

fn spelled(dice: &mut Dice, address: Ipv6Addr) -> Vec<u8> {
    let segments = address.segments();
    let text = match dice.below(4) {
        0 => segments.map(|segment| format!("{segment:04X}")).join(":"),
        1 => segments.map(|segment| format!("{segment:x}")).join(":"),
        _ => address.to_string(),
    };
    text.into_bytes()
}

fn net(dice: &mut Dice, world: &World) -> Vec<u8> {
    let (mut net, bits) = match world.ip(dice) {
        IpAddr::V4(address) => {
            let length = dice.pick(&[0, 8, 16, 20, 24, 31, 32]);
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or_default();
            // A net with bits that its mask takes away is none.
            let kept = if dice.once_in(5) { u32::MAX } else { mask };
            let net = quad(dice, Ipv4Addr::from(address.to_bits() & kept));
            if dice.once_in(3) {
                let holes = if dice.once_in(8) { 0x00ff_0000 } else { 0 };
                let mask = quad(dice, Ipv4Addr::from(mask & !holes));
                return [&*net, b"/", &*mask].concat();
            }
            (net, length)
        }
        IpAddr::V6(address) => (v6(dice, address), dice.pick(&[0, 1, 31, 32, 48, 64, 96, 127, 128])),
    };
    net.push(b'/');
    match dice.below(12) {
        0 => {}
        1 => net.extend(text::word(dice, b"x.8/ ")),
        _ => net.extend(text::number(dice, &[i128::from(bits), 0, 32, 128, i128::from(bits)])),
    }
    net
}
