//! NetBSD's second form: `[host:]service on|off key = value value, key = value;`
//!
//! A definition may span lines and hold comments. Its values are words, and quotes in them take escapes. One that is
//! wrong costs itself: reading goes on behind its `;`.
//!
//! Source: inetd(8) and `parse_v2.c` of NetBSD.

use super::words::split_versions;
use super::{Dialect, unsupported};
use crate::config::syntax::{
    Account, Entry, FileWords, LimitWord, LimitWords, Numeral, WaitMeaning, Word, Zero, base,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, printable};
use crate::service::Handover;
use crate::source::{FileId, Span, Spanned, offset};

/// A definition as it stands there.
pub(super) struct Definition {
    /// From the name to the `;`.
    span: Span,
    /// The service, perhaps with an address in front of it.
    pub(super) name: Word,
    /// Whether it is `on`.
    pub(super) is_on: bool,
    keys: Vec<Key>,
}

struct Key {
    name: Word,
    values: Vec<Word>,
}

/// Whether a line's second word makes it a definition.
pub(super) fn is_state(word: &Word) -> bool {
    matches!(word.value.as_slice(), b"on" | b"off")
}

/// Reads the definition that begins behind `start`, and says where it ends. One that is wrong is left with its name.
pub(super) fn read(
    file: FileId,
    text: &[u8],
    start: usize,
    diagnostics: &mut Diagnostics,
) -> (Result<Definition, Word>, usize) {
    let mut cursor = Cursor { file, text, at: start };
    let name = cursor.head();
    match cursor.definition(name.clone()) {
        Ok(definition) => (Ok(definition), cursor.at),
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            cursor.at = start;
            cursor.skip_definition();
            (Err(name), cursor.at)
        }
    }
}

/// The keys, and whether each takes several values.
const KEYS: [(&[u8], bool); 15] = [
    (b"bind", false),
    (b"socktype", false),
    (b"acceptfilter", true),
    (b"protocol", false),
    (b"sndbuf", false),
    (b"recvbuf", false),
    (b"wait", false),
    (b"service_max", false),
    (b"ip_max", false),
    (b"accept_max", false),
    (b"user", false),
    (b"group", false),
    (b"exec", false),
    (b"args", true),
    (b"ipsec", true),
];

impl Definition {
    /// Makes an entry of it.
    pub(super) fn entry(
        mut self,
        hosts: Vec<Word>,
        dialect: &Dialect,
        diagnostics: &mut Diagnostics,
    ) -> Result<Entry, Box<Diagnostic>> {
        self.refuse_unknown_keys()?;
        if let Some(ipsec) = self.take(b"ipsec") {
            diagnostics.push(unsupported::no_ipsec(ipsec.name.span));
        }
        if let Some(filter) = self.take(b"acceptfilter") {
            diagnostics.push(unsupported::no_accept_filter(filter.name.span));
        }
        let hosts = self.one(b"bind")?.map_or(hosts, |bind| vec![bind]);
        let (protocol, socket_type) = self.protocol_and_type()?;
        let program = self.one(b"exec")?;
        let wait = self.one(b"wait")?;
        let user = self.one(b"user")?;
        let word = |text: &[u8]| Spanned::new(text.into(), self.name.span);
        let (wait, user, program) = match (program, wait, user) {
            (Some(program), Some(wait), Some(user)) => (wait, user, program),
            (Some(_), None, _) => return Err(self.missing("wait")),
            (Some(_), _, None) => return Err(self.missing("user")),
            (None, wait, user) => (
                wait.unwrap_or_else(|| word(b"no")),
                user.unwrap_or_else(|| word(b"root")),
                word(b"internal"),
            ),
        };
        let handover = match wait.value.as_slice() {
            b"yes" => WaitMeaning::Known(Handover::Listener),
            b"no" => WaitMeaning::Known(Handover::Connection),
            _ => return Err(Box::new(bad_value(&wait, "yes or no"))),
        };
        let group = self.one(b"group")?;
        let mut arguments = self.take(b"args").map_or_else(Vec::new, |key| key.values);
        if arguments.is_empty() && program.value != b"internal" {
            arguments.push(Spanned::new(base(&program.value).into(), program.span));
        }
        let mut limit = |key: &[u8]| -> Result<Option<LimitWord>, Box<Diagnostic>> {
            let word = self.one(key)?;
            Ok(word.map(|word| LimitWord {
                word,
                zero: Zero::Never,
                numeral: Numeral::Decimal,
                refuses: false,
            }))
        };
        let limits = LimitWords {
            rate: None,
            starts: limit(b"service_max")?,
            source_starts: limit(b"ip_max")?,
            children: limit(b"accept_max")?,
            source_children: None,
        };
        let (name, versions) = split_versions(&self.name, &protocol);
        Ok(Entry {
            span: self.span,
            name,
            versions,
            hosts,
            file: FileWords { user: None, group: None, mode: None, default_mode: dialect.socket_mode },
            socket_type,
            transport: dialect.transport(&protocol, diagnostics),
            protocol,
            send_buffer: self.one(b"sndbuf")?,
            receive_buffer: self.one(b"recvbuf")?,
            wait,
            handover,
            limits,
            accounts: vec![Account { user: user.clone(), group }],
            owner: user,
            class: None,
            program,
            arguments,
            attributes: None,
        })
    }

    /// Each of the two says what the other is.
    fn protocol_and_type(&mut self) -> Result<(Word, Word), Box<Diagnostic>> {
        let word = |text: &[u8], like: &Word| Spanned::new(text.into(), like.span);
        match (self.one(b"protocol")?, self.one(b"socktype")?) {
            (Some(protocol), Some(socket_type)) => Ok((protocol, socket_type)),
            (Some(protocol), None) => {
                let socket_type: &[u8] = if protocol.value.starts_with(b"tcp") {
                    b"stream"
                } else if protocol.value.starts_with(b"udp") {
                    b"dgram"
                } else {
                    return Err(self.missing("socktype"));
                };
                let socket_type = word(socket_type, &protocol);
                Ok((protocol, socket_type))
            }
            (None, Some(socket_type)) => {
                let protocol: &[u8] = match socket_type.value.as_slice() {
                    b"stream" => b"tcp",
                    b"dgram" => b"udp",
                    _ => return Err(self.missing("protocol")),
                };
                let protocol = word(protocol, &socket_type);
                Ok((protocol, socket_type))
            }
            (None, None) => Err(self.missing("socktype")),
        }
    }

    fn refuse_unknown_keys(&self) -> Result<(), Box<Diagnostic>> {
        for (index, key) in self.keys.iter().enumerate() {
            let problem = match KEYS.iter().find(|(name, _)| key.name.value == name) {
                None => "is not known here",
                Some(_) if self.keys[..index].iter().any(|other| other.name.value == key.name.value) => {
                    "stands twice"
                }
                Some((_, false)) if key.values.len() > 1 => "takes one value",
                Some(_) => continue,
            };
            let message = format!("{} {problem}", printable(&key.name.value));
            let names: Vec<String> = KEYS.iter().map(|(name, _)| printable(name)).collect();
            return Err(Box::new(
                Diagnostic::error("bad-key", Place::Text(key.name.span), message)
                    .expected(format!("each of {} once at most", names.join(", "))),
            ));
        }
        Ok(())
    }

    fn take(&mut self, name: &[u8]) -> Option<Key> {
        let index = self.keys.iter().position(|key| key.name.value == name)?;
        Some(self.keys.remove(index))
    }

    /// The only value of a key; one that has none is wrong.
    fn one(&mut self, name: &[u8]) -> Result<Option<Word>, Box<Diagnostic>> {
        match self.take(name) {
            None => Ok(None),
            Some(mut key) => match key.values.pop() {
                Some(value) => Ok(Some(value)),
                None => Err(Box::new(bad_value(&key.name, "a value behind the equals sign"))),
            },
        }
    }

    fn missing(&self, key: &str) -> Box<Diagnostic> {
        let message = format!("{} is not said", key);
        let hint = "a service without exec is internal and needs no wait and no user";
        Box::new(Diagnostic::error("missing-key", Place::Text(self.name.span), message).hint(hint))
    }
}

struct Cursor<'a> {
    file: FileId,
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn definition(&mut self, name: Word) -> Result<Definition, Box<Diagnostic>> {
        let state = self.head();
        if !is_state(&state) || name.value.ends_with(b":") {
            return Err(self.wrong("this is no definition", "[host:]service on key = value;"));
        }
        let mut keys = Vec::new();
        loop {
            self.skip_to_next()?;
            match self.peek() {
                Some(b';') => break,
                Some(b',') if !keys.is_empty() => self.at += 1,
                Some(_) => keys.push(self.key()?),
                None => return Err(self.wrong("the definition does not end", "; behind the last value")),
            }
        }
        self.at += 1;
        let span = Span { end: offset(self.at), ..name.span };
        Ok(Definition { span, name, is_on: state.value == b"on", keys })
    }

    /// The name or the state, which end at a blank, a line end, or the definition's end.
    fn head(&mut self) -> Word {
        self.skip_blanks();
        let start = self.at;
        while self.peek().is_some_and(|byte| !byte.is_ascii_whitespace() && byte != b';') {
            self.at += 1;
        }
        Spanned::new(self.text[start..self.at].into(), self.span(start))
    }

    fn key(&mut self) -> Result<Key, Box<Diagnostic>> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.wrong("this is no key", "key = value, key = value;"));
        }
        let name = Spanned::new(self.text[start..self.at].into(), self.span(start));
        self.skip_blanks();
        if self.peek() != Some(b'=') {
            return Err(self.wrong("the equals sign is missing", "key = value"));
        }
        self.at += 1;
        let mut values = Vec::new();
        loop {
            self.skip_to_next()?;
            match self.peek() {
                None | Some(b',' | b';') => return Ok(Key { name, values }),
                Some(_) => values.push(self.value()?),
            }
        }
    }

    fn value(&mut self) -> Result<Word, Box<Diagnostic>> {
        let start = self.at;
        let mut value = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b',' | b';' => break,
                byte if byte.is_ascii_whitespace() => break,
                b'"' | b'\'' => self.quoted(byte, &mut value)?,
                0 => return Err(self.wrong("a NUL byte", "text")),
                byte => {
                    value.push(byte);
                    self.at += 1;
                }
            }
        }
        Ok(Spanned::new(value.as_slice().into(), self.span(start)))
    }

    fn quoted(&mut self, quote: u8, value: &mut Vec<u8>) -> Result<(), Box<Diagnostic>> {
        let open = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(byte) if byte == quote => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => value.push(self.escape()?),
                Some(0) => return Err(self.wrong("a NUL byte", "text")),
                Some(byte) if byte != b'\n' => {
                    value.push(byte);
                    self.at += 1;
                }
                Some(_) | None => {
                    self.at = open;
                    return Err(self.wrong(
                        "the quote is not closed on its line",
                        "the same quote behind the value, or \\n in it",
                    ));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<u8, Box<Diagnostic>> {
        let rest = &self.text[self.at..];
        let (byte, length) = match rest {
            [_, b'\\', ..] => (b'\\', 2),
            [_, b'n', ..] => (b'\n', 2),
            [_, b't', ..] => (b'\t', 2),
            [_, b'r', ..] => (b'\r', 2),
            [_, quote @ (b'"' | b'\''), ..] => (*quote, 2),
            [_, b'x', high, low, ..] => {
                match hexadecimal(*high).zip(hexadecimal(*low)) {
                    // No argument of a program can hold a NUL.
                    Some((0, 0)) | None => return Err(self.wrong("this is no escape", "\\x01 to \\xff")),
                    Some((high, low)) => (high << 4 | low, 4),
                }
            }
            _ => return Err(self.wrong("this is no escape", r#"\\ \n \t \r \' \" or \xHH"#)),
        };
        self.at += length;
        Ok(byte)
    }

    /// Goes behind the `;` of a definition that is wrong, as far as quotes can be told in it; or to the next line that
    /// begins another entry, for the `;` may be what is missing.
    fn skip_definition(&mut self) {
        let mut quote = None;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match (quote, byte) {
                (None, b';') => return,
                (None, b'#') => self.skip_comment(),
                (_, b'\n') if begins_entry(&self.text[self.at..]) => return,
                // A quote that is never closed must not eat the rest of the file.
                (_, b'\n') => quote = None,
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(_), b'\\') => self.at += 1,
                (Some(open), byte) if open == byte => quote = None,
                _ => {}
            }
        }
    }

    /// Skips blanks, line ends and comments.
    fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'#' {
                self.skip_comment();
            } else if byte.is_ascii_whitespace() {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// Skips blanks inside a definition, which no line that begins another entry belongs to.
    fn skip_to_next(&mut self) -> Result<(), Box<Diagnostic>> {
        self.skip_blanks();
        let begins_line = self.at > 0 && self.text[self.at - 1] == b'\n';
        if begins_line && begins_entry(&self.text[self.at..]) {
            return Err(self.wrong("the definition above does not end", "; behind its last value"));
        }
        Ok(())
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn span(&self, start: usize) -> Span {
        Span { file: self.file, start: offset(start), end: offset(self.at) }
    }

    fn wrong(&self, problem: &str, expected: &str) -> Box<Diagnostic> {
        let end = (self.at + 1).min(self.text.len());
        let span = Span { file: self.file, start: offset(self.at), end: offset(end) };
        Box::new(Diagnostic::error("bad-definition", Place::Text(span), problem).expected(expected))
    }
}

/// Whether a text begins with a line that is an entry of its own, in columns or a definition.
fn begins_entry(text: &[u8]) -> bool {
    const SECOND: [&[u8]; 7] = [b"on", b"off", b"stream", b"dgram", b"seqpacket", b"raw", b"rdm"];
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first = line.first().is_some_and(|byte| !byte.is_ascii_whitespace() && *byte != b'#');
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let second = words.nth(1).and_then(|word| word.split(|byte| *byte == b',').next());
    first && second.is_some_and(|word| SECOND.contains(&word))
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn bad_value(word: &Word, expected: &str) -> Diagnostic {
    let message = format!("{:?} is not a value of this key", printable(&word.value));
    Diagnostic::error("bad-value", Place::Text(word.span), message).expected(expected)
}
