//! `%h` and the like.
//!
//! What a caller says of itself (its name, its user) ends in shell commands and in the log: of it only letters that mean
//! nothing to a shell are left, every other byte is `_`.

use std::net::SocketAddr;

use super::known::{End, Known, clean};
use super::request::{Lookup, UNKNOWN, is_known};

/// The most that a value may come to, in bytes; libwrap gives up beyond it.
pub(super) const MOST: usize = 8190;

/// Why there is none.
#[derive(Debug)]
pub(super) enum Stop {
    /// This has to be looked up first.
    Needs(Lookup),
    /// It would be longer than it may be.
    TooLong,
}

impl From<Lookup> for Stop {
    fn from(lookup: Lookup) -> Self {
        Stop::Needs(lookup)
    }
}

/// Expands every `%` of a text, to at most so many bytes. A letter that means nothing is nothing, and is named to
/// `unrecognized`.
pub(super) fn expand(
    text: &[u8],
    most: usize,
    known: &mut Known<'_>,
    mut unrecognized: impl FnMut(char),
) -> Result<Vec<u8>, Stop> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [b'%', letter, after @ ..] => {
                match value_of(*letter, known)? {
                    Some(mut value) => {
                        clean(&mut value);
                        out.extend(value);
                        // With a user in it, `%c` is a text of its own and no name that is kept.
                        known.has_clean_name |= match letter {
                            b'h' | b'n' => true,
                            b'c' => known.known_user().is_none(),
                            _ => false,
                        };
                        known.has_clean_user |= *letter == b'u';
                    }
                    None if letter.is_ascii() => unrecognized(char::from(*letter)),
                    // A part of a letter, which is none by itself.
                    None => unrecognized(char::REPLACEMENT_CHARACTER),
                }
                rest = after;
            }
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
            [] => return Ok(out),
        }
        if out.len() > most {
            return Err(Stop::TooLong);
        }
    }
}

fn value_of(letter: u8, known: &mut Known<'_>) -> Result<Option<Vec<u8>>, Lookup> {
    let request = known.request;
    let port = |socket: Option<SocketAddr>| socket.map_or(0, |socket| socket.port()).to_string().into_bytes();
    Ok(Some(match letter {
        b'a' => request.client.address.to_vec(),
        b'A' => request.server.address.to_vec(),
        b'c' => known.client(),
        b'd' => request.daemon.to_vec(),
        b'h' => known.host(End::Client).to_vec(),
        b'H' => known.host(End::Server).to_vec(),
        b'n' => known.name(End::Client)?.unwrap_or(UNKNOWN).to_vec(),
        b'N' => known.name(End::Server)?.unwrap_or(UNKNOWN).to_vec(),
        b'p' => request.pid.to_string().into_bytes(),
        b'r' => port(request.client.socket),
        b'R' => port(request.server.socket),
        b's' => {
            let host = known.host(End::Server);
            if is_known(host) {
                [&request.daemon, b"@".as_slice(), host].concat()
            } else {
                request.daemon.to_vec()
            }
        }
        b'u' => known.user()?.unwrap_or(UNKNOWN).to_vec(),
        b'%' => b"%".to_vec(),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::request::{Endpoint, Facts, Request};
    use super::*;

    #[test]
    fn what_means_nothing_is_named_as_a_letter() {
        let request = Request::new(b"x", Endpoint::unknown(), Endpoint::unknown());
        let facts = Facts::default();
        let mut letters = Vec::new();
        let text = expand(b"a%z%\xc3\xa9%", MOST, &mut Known::new(&request, &facts), |letter| {
            letters.push(letter);
        });
        assert_eq!(text.expect("short enough"), b"a\xa9%");
        assert_eq!(letters, ['z', '\u{fffd}']);
    }

    #[test]
    fn a_text_has_an_end() {
        let request = Request::new(b"x", Endpoint::unknown(), Endpoint::unknown());
        let facts = Facts::default();
        let fits =
            |length| expand(&vec![b'x'; length], MOST, &mut Known::new(&request, &facts), |_| {}).is_ok();
        assert!(fits(MOST));
        assert!(!fits(MOST + 1));
    }
}
