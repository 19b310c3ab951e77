//! Services that need no program: echo, discard, chargen, daytime and time.
//!
//! They live in the event loop and own their bytes; the core only hears when a session begins and ends. None of them
//! can hold the loop up: each event of a session does one bounded piece of work.

mod datagram;
mod stream;

pub use datagram::{Datagrams, Rules};
pub use stream::{Progress, Sessions};

use crate::clock;

/// The visible characters of a line of chargen.
const WIDTH: usize = 72;
/// A line with its end.
const LINE: usize = WIDTH + 2;
/// The printable ASCII characters, from the blank to the tilde.
const PRINTABLE: std::ops::RangeInclusive<u8> = b' '..=b'~';
/// How many there are, which is how many different lines there are.
const LINES: usize = (*PRINTABLE.end() - *PRINTABLE.start() + 1) as usize;

/// RFC 864's pattern: 95 lines of 72 printable characters, each beginning one character further on. After the last
/// comes the first.
static CHARGEN: [u8; LINES * LINE] = chargen();

const fn chargen() -> [u8; LINES * LINE] {
    let mut ring = [*PRINTABLE.start(); LINES];
    let mut at = 1;
    while at < LINES {
        ring[at] = ring[at - 1] + 1;
        at += 1;
    }
    let mut text = [0; LINES * LINE];
    let mut at = 0;
    while at < text.len() {
        text[at] = match at % LINE {
            WIDTH => b'\r',
            column if column > WIDTH => b'\n',
            column => ring[(at / LINE + column) % LINES],
        };
        at += 1;
    }
    text
}

/// The line of a number, counted round.
fn chargen_line(number: usize) -> &'static [u8] {
    let start = number % LINES * LINE;
    &CHARGEN[start..start + LINE]
}

/// RFC 867's answer, in the originals' form: `Mon Nov 23 08:52:17 2026`.
fn daytime() -> String {
    let time = clock::local();
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} {}\r\n",
        clock::DAYS[time.weekday % 7],
        clock::MONTHS[time.month % 12],
        time.day,
        time.hour,
        time.minute,
        time.second,
        time.year
    )
}

/// RFC 868's answer: seconds since 1900, in four bytes, which wrap in 2036.
fn time() -> [u8; 4] {
    const SECONDS_1900_TO_1970: i64 = 2_208_988_800;
    let seconds = (clock::unix_seconds() + SECONDS_1900_TO_1970) & i64::from(u32::MAX);
    u32::try_from(seconds).unwrap_or_default().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chargen_rotates_through_the_printable_characters() {
        assert_eq!(
            chargen_line(0),
            b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n"
        );
        assert!(chargen_line(1).starts_with(b"!\"#"));
        assert!(chargen_line(94).starts_with(b"~ !"));
        assert_eq!(chargen_line(95), chargen_line(0));
        assert_eq!(CHARGEN.len(), 95 * 74);
    }
}
