//! Services that need no program: echo, discard, chargen, daytime and time, and what shows the daemon itself.
//!
//! They live in the event loop and own their bytes; the core only hears when a session begins and ends. None of them
//! can hold the loop up: each event of a session does one bounded piece of work.

mod datagram;
mod dialogue;
mod stream;

pub use datagram::{Datagrams, Rules};
pub use stream::{Progress, Sessions};

use crate::clock;

/// The visible characters of a line of chargen.
const WIDTH: usize = 72;
/// A line with its end.
const LINE: usize = WIDTH + 2;
/// The printable ASCII characters, from the blank to the tilde; how many there are is how many different lines there are.
const PRINTABLE: usize = 95;
/// Those of xinetd: neither blank nor tilde.
const PRINTABLE_OF_XINETD: usize = 93;

/// RFC 864's pattern: 95 lines of 72 printable characters, each beginning one character further on. After the last
/// comes the first.
static CHARGEN: [u8; PRINTABLE * LINE] = chargen::<PRINTABLE, { PRINTABLE * LINE }>(b' ');
static CHARGEN_OF_XINETD: [u8; PRINTABLE_OF_XINETD * LINE] =
    chargen::<PRINTABLE_OF_XINETD, { PRINTABLE_OF_XINETD * LINE }>(b'!');

const fn chargen<const LINES: usize, const LENGTH: usize>(first: u8) -> [u8; LENGTH] {
    let mut ring = [first; LINES];
    let mut at = 1;
    while at < LINES {
        ring[at] = ring[at - 1] + 1;
        at += 1;
    }
    let mut text = [0; LENGTH];
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
fn chargen_line(pattern: &'static [u8], number: usize) -> &'static [u8] {
    let start = number % (pattern.len() / LINE) * LINE;
    &pattern[start..start + LINE]
}

/// RFC 867's answer, in the originals' form: `Mon Nov 23 08:52:17 2026`.
fn daytime() -> String {
    format!("{}\r\n", clock::ctime(&clock::local()))
}

/// The same in xinetd's form, which is SMTP's: `30 NOV 2026 18:14:06 UTC`.
fn daytime_of_xinetd() -> String {
    let time = clock::local();
    format!(
        "{:02} {} {} {:02}:{:02}:{:02} {}\r\n",
        time.day,
        clock::MONTHS[time.month % 12].to_ascii_uppercase(),
        time.year,
        time.hour,
        time.minute,
        time.second,
        time.zone()
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
            chargen_line(&CHARGEN, 0),
            b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n"
        );
        assert!(chargen_line(&CHARGEN, 1).starts_with(b"!\"#"));
        assert!(chargen_line(&CHARGEN, 94).starts_with(b"~ !"));
        assert_eq!(chargen_line(&CHARGEN, 95), chargen_line(&CHARGEN, 0));
        assert_eq!(CHARGEN.len(), 95 * 74);
        assert!(chargen_line(&CHARGEN_OF_XINETD, 0).starts_with(b"!\"#"));
        assert!(chargen_line(&CHARGEN_OF_XINETD, 92).starts_with(b"}!\""));
    }
}
