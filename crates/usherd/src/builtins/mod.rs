//! Services that need no program: echo, discard, chargen, daytime and time.
//!
//! They live in the event loop and own their bytes; the core only hears when a session begins and ends. None of them
//! can hold the loop up: each event of a session does one bounded piece of work.

mod datagram;
mod stream;

pub use datagram::Datagrams;
pub use stream::{Progress, Sessions};

use crate::clock;

/// RFC 864's pattern: 95 lines of 72 printable characters, each beginning one character further on.
#[derive(Debug)]
struct Chargen {
    lines: Vec<u8>,
}

/// The visible characters of a line.
const WIDTH: usize = 72;
/// A line with its end.
const LINE: usize = WIDTH + 2;
/// The printable ASCII characters, from the blank to the tilde.
const PRINTABLE: std::ops::RangeInclusive<u8> = b' '..=b'~';

impl Default for Chargen {
    fn default() -> Self {
        let ring: Vec<u8> = PRINTABLE.collect();
        let mut lines = Vec::with_capacity(ring.len() * LINE);
        for first in 0..ring.len() {
            lines.extend(ring.iter().cycle().skip(first).take(WIDTH));
            lines.extend(b"\r\n");
        }
        Self { lines }
    }
}

impl Chargen {
    /// All lines; after the last comes the first.
    fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// The line of a number, counted round.
    fn line(&self, number: usize) -> &[u8] {
        let start = number % (self.lines.len() / LINE) * LINE;
        &self.lines[start..start + LINE]
    }
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
        let chargen = Chargen::default();
        assert_eq!(
            chargen.line(0),
            b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n"
        );
        assert!(chargen.line(1).starts_with(b"!\"#"));
        assert!(chargen.line(94).starts_with(b"~ !"));
        assert_eq!(chargen.line(95), chargen.line(0));
        assert_eq!(chargen.lines().len(), 95 * 74);
    }
}
