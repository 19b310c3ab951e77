//! Numbers as the C library reads them from a text.
//!
//! What does not fit is not refused there but cut, in two steps: to the ends of what 64 bits can say, and then to 32 of
//! them. Both are kept, or a word that is a port, a length or a limit to libwrap would be none here.

/// Whether isspace(3) holds for it.
pub(super) fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == VERTICAL_TAB
}

const VERTICAL_TAB: u8 = 0x0b;

/// A number at the start of a text, and what follows it.
struct Read<'a> {
    is_negative: bool,
    /// Without its sign; none where 64 bits are too few.
    size: Option<u64>,
    rest: &'a [u8],
}

/// Blanks, a sign, and at least one digit.
fn read(text: &[u8], radix: u8) -> Option<Read<'_>> {
    let blanks = text.iter().take_while(|byte| is_space(**byte)).count();
    let (is_negative, digits) = match &text[blanks..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let end = digits.iter().position(|byte| !(b'0'..b'0' + radix).contains(byte)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let add = |size: u64, digit: &u8| size.checked_mul(radix.into())?.checked_add((digit - b'0').into());
    Some(Read { is_negative, size: digits.iter().try_fold(0, add), rest })
}

impl Read<'_> {
    /// As strtol(3), of which an int is left.
    fn signed(&self) -> i32 {
        let largest = if self.is_negative { i64::MIN } else { i64::MAX };
        let size = self.size.and_then(|size| i64::try_from(size).ok());
        let number = size.map_or(largest, |size| if self.is_negative { -size } else { size });
        low_half(number.cast_unsigned()).cast_signed()
    }

    /// As strtoul(3), which turns a negative number round, and of which an unsigned int is left.
    fn unsigned(&self) -> u32 {
        let number =
            self.size.map_or(u64::MAX, |size| if self.is_negative { size.wrapping_neg() } else { size });
        low_half(number)
    }
}

fn low_half(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// As atoi(3): what follows the digits does not count, and no digits are 0.
pub(super) fn atoi(text: &[u8]) -> i32 {
    read(text, 10).map_or(0, |read| read.signed())
}

/// As sscanf(3) reads `%d` when nothing may follow.
pub(super) fn signed(text: &[u8]) -> Option<i32> {
    read(text, 10).filter(|read| read.rest.is_empty()).map(|read| read.signed())
}

/// As sscanf(3) reads `%u`, or `%o` with the radix 8, when nothing may follow.
pub(super) fn unsigned(text: &[u8], radix: u8) -> Option<u32> {
    read(text, radix).filter(|read| read.rest.is_empty()).map(|read| read.unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut() {
        for (text, expected) in [
            ("5", Some(5)),
            (" \x0b+5", Some(5)),
            ("-5", Some(-5)),
            ("4294967301", Some(5)),
            ("9223372036854775807", Some(-1)),
            ("9223372036854775808", Some(-1)),
            ("-9223372036854775809", Some(0)),
            ("3000000000", Some(-1_294_967_296)),
            ("5x", None),
            ("5 ", None),
            ("- 5", None),
            ("", None),
        ] {
            assert_eq!(signed(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_sign_turns_an_unsigned_number_round() {
        for (text, radix, expected) in [
            ("23", 10, Some(23)),
            ("-4294967273", 10, Some(23)),
            ("4294967319", 10, Some(23)),
            ("-1", 10, Some(u32::MAX)),
            ("18446744073709551616", 10, Some(u32::MAX)),
            ("+022", 8, Some(0o22)),
            ("08", 8, None),
        ] {
            assert_eq!(unsigned(text.as_bytes(), radix), expected, "{text}");
        }
    }

    #[test]
    fn atoi_reads_as_far_as_it_can() {
        for (text, expected) in [("8x", 8), ("x", 0), ("", 0), ("4294967304", 8), ("-1", -1), ("\x0b08", 8)] {
            assert_eq!(atoi(text.as_bytes()), expected, "{text}");
        }
    }
}
