//! What a banner's file says to one caller.

use super::expand::{Stop, expand};
use super::known::{Asked, Known};
use super::pattern::split_outside_brackets;
use super::request::{Facts, Lookup, Request};

/// What is read of a line at once, in bytes. The rest is a line of its own, without an end to the one before.
const PIECE: usize = 8190;

/// The most that a piece may come to, in bytes.
const MOST: usize = 16382;

/// Expands a banner: `%` in every line, and a CR at its end. Also what `%` letters meant nothing.
///
/// As with the original, NUL bytes at the beginning are sent as they are (some clients want them), one within a line hides
/// the rest of it, and a line in which a bracket is open keeps its end without a CR. A line that would become too long is
/// left out, and so are all that follow.
/// `asked` is what was asked for before the banner: `%h` is an address until the name is.
///
/// # Errors
///
/// What has to be looked up first.
pub fn banner(
    text: &[u8],
    request: &Request,
    facts: &Facts,
    asked: Asked,
) -> Result<(Vec<u8>, Vec<char>), Lookup> {
    let mut known = Known::new(request, facts);
    known.asked = asked;
    let mut unrecognized = Vec::new();
    let nuls = text.iter().take_while(|byte| **byte == 0).count();
    let mut out = text[..nuls].to_vec();
    let lines = text[nuls..].split_inclusive(|byte| *byte == b'\n');
    for piece in lines.flat_map(|line| line.chunks(PIECE)) {
        let line = piece.split(|byte| *byte == 0).next().unwrap_or_default();
        let with_end = match split_outside_brackets(line, b'\n') {
            Some(end) => [&line[..end], b"\r\n"].concat(),
            None => line.to_vec(),
        };
        match expand(&with_end, MOST, &mut known, |letter| unrecognized.push(letter)) {
            Ok(line) => out.extend(line),
            Err(Stop::Needs(lookup)) => return Err(lookup),
            Err(Stop::TooLong) => break,
        }
    }
    Ok((out, unrecognized))
}

#[cfg(test)]
mod tests {
    use super::super::request::{Endpoint, Found};
    use super::*;

    fn said(text: &str, is_name_asked: bool) -> String {
        let client = Endpoint::of(([10, 1, 2, 3], 4000).into());
        let request = Request::new(b"in.telnetd", client, Endpoint::unknown());
        let facts = Facts { client_name: Some(Found::text(b"a.b")), ..Facts::default() };
        let asked = if is_name_asked { Asked::all_of(&facts) } else { Asked::default() };
        let (said, _) = banner(text.as_bytes(), &request, &facts, asked).expect("all is known");
        String::from_utf8(said).expect("text")
    }

    #[test]
    fn lines_get_a_cr_as_libwrap_gives_it() {
        for (text, expected) in [
            ("hello\n", "hello\r\n"),
            ("a\nb", "a\r\nb"),
            ("%a %n %d\n", "10.1.2.3 a.b in.telnetd\r\n"),
            ("\0\0x\n", "\0\0x\r\n"),
            ("[x\ny]\nz\n", "[x\ny]\nz\r\n"),
            ("a\r\nb\r\n", "a\r\r\nb\r\r\n"),
            ("a\0b\nc\n", "ac\r\n"),
        ] {
            assert_eq!(said(text, false), expected, "{text:?}");
        }
    }

    #[test]
    fn a_name_shows_from_where_it_was_asked_for_on() {
        assert_eq!(said("%h %c %n %h %c\n", false), "10.1.2.3 10.1.2.3 a.b a.b a.b\r\n");
        assert_eq!(said("%h %c %n %h %c\n", true), "a.b a.b a.b a.b a.b\r\n");
    }

    #[test]
    fn a_long_line_is_sent_in_pieces_unless_one_becomes_too_long() {
        let line = |text: &str, times: usize| text.repeat(times) + "\n";
        assert_eq!(said(&line("x", 20_000), false), line("x", 20_000).replace('\n', "\r\n"));
        let long = |times| said(&["a\n", &line("%d", times), "b\n"].concat(), false);
        assert_eq!(long(1_000).matches("in.telnetd").count(), 1_000);
        assert!(long(1_000).ends_with("b\r\n"));
        assert_eq!(long(2_000), "a\r\n");
    }

    #[test]
    fn what_has_to_be_looked_up_is_said() {
        let request = Request::new(b"x", Endpoint::unknown(), Endpoint::unknown());
        assert_eq!(banner(b"%n", &request, &Facts::default(), Asked::default()), Err(Lookup::ClientName));
    }
}
