//! TCP port service multiplexer, RFC 1078: what a caller asks for, and what it is told.
//!
//! A caller names a service in one line and gets it on the same connection. These bytes are read in the daemon, so no
//! more than [`MOST`] of them are looked at, and what is behind the line is left for the service.

use std::time::Duration;

/// The port that the RFC gives it.
pub const PORT: u16 = 1;

/// The longest line, its end included.
pub const MOST: usize = 256;

/// So long a caller has for its line. Without that, one that says nothing would hold a place for ever.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// There is no such service, or it has no room.
pub const NOT_AVAILABLE: &[u8] = b"-Service not available\r\n";

/// What was sent is no line.
pub const NO_NAME: &[u8] = b"-Error reading service name\r\n";

/// What follows is the service itself.
pub const GO: &[u8] = b"+Go\r\n";

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A service, by its name in lower case.
    Service(Box<[u8]>),
    /// The list of services.
    Help,
    /// Nothing that could be read.
    Unreadable,
}

/// A line that is being read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    bytes: Vec<u8>,
    /// A CR has come, and an LF may follow, which must not be left for the service.
    ends: bool,
}

/// What has become of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes belong to it, and it goes on.
    GoesOn(usize),
    /// So many bytes belong to it, and it is whole.
    Whole(usize, Request),
}

impl Line {
    /// Looks at the bytes that have come. A line ends at CR, LF or NUL; an LF or NUL behind a CR belongs to it.
    pub fn add(&mut self, bytes: &[u8]) -> Progress {
        if self.ends && !bytes.is_empty() {
            return Progress::Whole(usize::from(matches!(bytes[0], b'\n' | 0)), self.request());
        }
        let room = MOST - self.bytes.len();
        let looked_at = &bytes[..bytes.len().min(room)];
        let Some(end) = looked_at.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)) else {
            self.bytes.extend(looked_at);
            return if self.bytes.len() < MOST {
                Progress::GoesOn(looked_at.len())
            } else {
                Progress::Whole(looked_at.len(), Request::Unreadable)
            };
        };
        self.bytes.extend(&looked_at[..end]);
        self.ends = true;
        match (looked_at[end], bytes.get(end + 1)) {
            (b'\r', None) => Progress::GoesOn(end + 1),
            (b'\r', Some(b'\n' | 0)) => Progress::Whole(end + 2, self.request()),
            _ => Progress::Whole(end + 1, self.request()),
        }
    }

    /// The caller will say no more: what has come is the line, as with GNU's inetd.
    pub fn end(&self) -> Request {
        self.request()
    }

    fn request(&self) -> Request {
        let name = self.bytes.trim_ascii().to_ascii_lowercase();
        match name.as_slice() {
            b"help" => Request::Help,
            name => Request::Service(name.into()),
        }
    }
}

/// The answer to [`Request::Help`]: a name a line, and no more than fits into a socket's buffer.
pub fn list<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    const FITS: usize = 16 * 1024;
    let mut text = Vec::new();
    for name in names {
        if text.len() + name.len() + 2 > FITS {
            break;
        }
        text.extend(name);
        text.extend(b"\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> Request {
        Request::Service(name.as_bytes().into())
    }

    #[test]
    fn a_line_ends_at_its_end_and_takes_nothing_of_what_follows() {
        for (text, length, request) in [
            ("date\r\nmore", 6, service("date")),
            ("date\nmore", 5, service("date")),
            ("date\rmore", 5, service("date")),
            ("date\r\0more", 6, service("date")),
            ("date\0more", 5, service("date")),
            ("HELP\r\n", 6, Request::Help),
            ("DaTe\r\n", 6, service("date")),
            ("\r\n", 2, service("")),
        ] {
            assert_eq!(Line::default().add(text.as_bytes()), Progress::Whole(length, request), "{text:?}");
        }
    }

    #[test]
    fn a_line_may_come_in_pieces() {
        let mut line = Line::default();
        for byte in b"date" {
            assert_eq!(line.add(&[*byte]), Progress::GoesOn(1));
        }
        assert_eq!(line.add(b"\n"), Progress::Whole(1, service("date")));
    }

    #[test]
    fn a_line_feed_that_comes_late_belongs_to_the_line() {
        let mut line = Line::default();
        assert_eq!(line.add(b"date\r"), Progress::GoesOn(5));
        assert_eq!(line.clone().add(b"\nmore"), Progress::Whole(1, service("date")));
        assert_eq!(line.clone().add(b"more"), Progress::Whole(0, service("date")));
        assert_eq!(line.end(), service("date"));
        assert_eq!(Line::default().end(), service(""));
    }

    #[test]
    fn a_line_that_does_not_end_is_given_up() {
        let mut line = Line::default();
        assert_eq!(line.add(&[b'x'; 200]), Progress::GoesOn(200));
        assert_eq!(line.add(&[b'x'; 2000]), Progress::Whole(56, Request::Unreadable));
    }

    #[test]
    fn a_list_is_bounded() {
        let names = std::iter::repeat_n(b"name".as_slice(), 100_000);
        assert!(list(names).len() <= 16 * 1024);
        assert_eq!(list([b"a".as_slice(), b"b"].into_iter()), b"a\r\nb\r\n");
    }
}
