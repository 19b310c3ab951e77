//! Digits as numbers, where no sign may stand in front of them but the plus of xinetd.

use std::num::IntErrorKind;
use std::str::FromStr;

/// As C writes numbers, and strtoul(3) with base 0 reads them: `010` is 8 and `0x10` is 16.
pub fn c_number(digits: &[u8]) -> Option<u32> {
    match digits {
        [b'0', b'x' | b'X', rest @ ..] => number(rest, 16),
        [b'0', rest @ ..] if !rest.is_empty() => number(rest, 8),
        digits => number(digits, 10),
    }
}

/// As xinetd reads sizes: K or M may stand behind.
pub fn size(text: &[u8]) -> Option<u64> {
    let (digits, factor) = match text {
        [digits @ .., b'k' | b'K'] => (digits, 1 << 10),
        [digits @ .., b'm' | b'M'] => (digits, 1 << 20),
        digits => (digits, 1),
    };
    xinetd::<u64>(digits)?.checked_mul(factor)
}

/// As xinetd reads numbers, in decimal: a plus may stand in front.
pub fn xinetd<Number: FromStr>(text: &[u8]) -> Option<Number> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The same, where more than can be counted is as much as can be.
pub fn count(text: &[u8]) -> Option<u32> {
    match std::str::from_utf8(text).ok()?.parse::<u32>() {
        Ok(count) => Some(count),
        Err(error) => Some(u32::MAX).filter(|_| *error.kind() == IntErrorKind::PosOverflow),
    }
}

/// With this radix, from 2 to 16.
pub fn number(digits: &[u8], radix: u32) -> Option<u32> {
    // A sign is no digit, which from_str_radix would take.
    if !digits.first()?.is_ascii_hexdigit() {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}
