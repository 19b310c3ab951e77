//! What is wrong with a table, or does not mean what it seems to.
//!
//! tcpdchk(8) promises such findings; here are those that follow from the texts alone, the table's and those of the files
//! that it names, each with its place, and those shapes that libwrap takes without a word and understands otherwise than
//! anybody would. What must not be done here is to look anything up on the network.

mod hosts;

use std::collections::BTreeSet;
use std::ops::Range;

use super::line::{LogicalLine, lines};
use super::list::{is_except, placed_words, words};
use super::option::{self, Accounts, chop};
use super::pattern::{split_at_sign, split_outside_brackets};
use super::table::{Files, Which};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, printable};
use crate::source::{FileId, Sources, Span, offset};

/// What libwrap reads of a line, in bytes.
const MOST: usize = 2046;

/// U+FEFF in UTF-8, which some editors put in front of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Looks through one table, and the files that it names.
pub fn findings(
    sources: &mut Sources,
    file: FileId,
    which: Which,
    files: &mut dyn Files,
    accounts: &mut dyn Accounts,
) -> Diagnostics {
    let text = sources.text(file).clone();
    let mut found = Findings {
        sources,
        files,
        file,
        which,
        diagnostics: Diagnostics::default(),
        looked_through: BTreeSet::new(),
        open: Vec::new(),
    };
    if text.starts_with(BYTE_ORDER_MARK) {
        let place = found.place(0..BYTE_ORDER_MARK.len());
        found.error("byte-order-mark", place, "a byte order mark is part of the first word").hint =
            "save the file without".to_owned();
    }
    for line in lines(&text) {
        found.line(&line, accounts);
    }
    if !text.is_empty() && !text.ends_with(b"\n") {
        let place = found.place(text.len() - 1..text.len());
        found.warn("no-line-end", place, "the last line has no end").hint =
            "it is a rule here; libwrap leaves it out, and refuses everybody when this is hosts.deny"
                .to_owned();
    }
    found.diagnostics
}

struct Findings<'a> {
    sources: &'a mut Sources,
    files: &'a mut dyn Files,
    /// The one that is looked through: the table, or a file that it names.
    file: FileId,
    which: Which,
    diagnostics: Diagnostics,
    /// Paths of files whose words were looked at.
    looked_through: BTreeSet<Box<[u8]>>,
    /// Those that are being looked through, each named by the one before it.
    open: Vec<Box<[u8]>>,
}

impl Findings<'_> {
    fn line(&mut self, line: &LogicalLine<'_>, accounts: &mut dyn Accounts) {
        let text = &*line.text;
        if text.len() > MOST {
            let message = format!("a line of {} bytes", text.len());
            self.warn("long-line", self.at(line, 0..1), message).hint =
                "it is a rule here; libwrap stops reading the table at it".to_owned();
        }
        let Some(colon) = split_outside_brackets(text, b':') else {
            let hint = match self.which {
                Which::Allow => "the line lets nobody in",
                Which::Deny => "the line refuses nobody",
            };
            let place = self.at(line, 0..text.len());
            let diagnostic = self.error("missing-colon", place, "there is no colon in this line");
            diagnostic.expected = "daemons: clients".to_owned();
            diagnostic.hint = hint.to_owned();
            return;
        };
        let second = split_outside_brackets(&text[colon + 1..], b':').map(|at| colon + 1 + at);
        let clients = colon + 1..second.unwrap_or(text.len());
        self.daemons(line, 0..colon);
        self.clients(line, clients.clone());
        if let Some(second) = second {
            self.options(line, clients, second + 1..text.len(), accounts);
        }
    }

    fn daemons(&mut self, line: &LogicalLine<'_>, range: Range<usize>) {
        self.list(line, &range, "daemon");
        for (word, range) in placed(&line.text, range) {
            let (process, host) = split_at_sign(word);
            let place = self.at(line, range.clone());
            self.name(process, place, "daemon", &["KNOWN", "LOCAL", "PARANOID"]);
            if let Some(host) = host {
                let place = self.at(line, range.end - host.len()..range.end);
                self.host(host, place);
            }
        }
    }

    fn clients(&mut self, line: &LogicalLine<'_>, range: Range<usize>) {
        self.list(line, &range, "client");
        for (word, range) in placed(&line.text, range) {
            let (user, host) = match split_at_sign(word) {
                (user, Some(host)) => (Some(user), host),
                (host, None) => (None, host),
            };
            if let Some(user) = user {
                let place = self.at(line, range.clone());
                self.name(user, place, "user", &["LOCAL", "PARANOID"]);
            }
            let place = self.at(line, range.end - host.len()..range.end);
            self.host(host, place);
        }
    }

    fn list(&mut self, line: &LogicalLine<'_>, range: &Range<usize>, what: &str) {
        let last = words(&line.text[range.clone()]).last();
        if last.is_none_or(is_except) {
            let message = format!("the {what} list is empty or ends in EXCEPT");
            let place = self.at(line, range.start..range.end.max(range.start + 1));
            self.warn("empty-list", place, message);
        }
    }

    /// A word for a daemon or a user, which means nothing but itself.
    fn name(&mut self, word: &[u8], place: Place, what: &str, reserved: &[&str]) {
        let shown = printable(word);
        let is = |other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        let message = match word {
            [b'@', ..] => format!("{shown}: {what} name begins with \"@\""),
            [b'/', ..] => format!("{shown}: {what} name begins with \"/\""),
            [b'.', ..] => format!("{shown}: {what} name begins with dot"),
            [.., b'.'] => format!("{shown}: {what} name ends in dot"),
            _ if is("FAIL") => return self.fail(place),
            _ if reserved.iter().any(|reserved| is(reserved)) => {
                format!("{shown}: {what} name may be reserved word")
            }
            _ => return,
        };
        self.warn("odd-name", place, message);
    }

    fn fail(&mut self, place: Place) {
        self.error("fail", place, "FAIL is no longer recognized").hint = "use EXCEPT or deny".to_owned();
    }

    /// The first option that is wrong: behind it libwrap reads none.
    fn options(
        &mut self,
        line: &LogicalLine<'_>,
        clients: Range<usize>,
        range: Range<usize>,
        accounts: &mut dyn Accounts,
    ) {
        let field = &line.text[range.clone()];
        let options = option::read(field, accounts);
        let Some(Err(why)) = options.last().map(|option| option.act.as_ref()) else { return };
        let places = option::places(field);
        let (Some(wrong), Some(last)) = (places.get(options.len() - 1), places.last()) else { return };
        let is_nothing = |place: &Range<usize>| chop(&field[place.clone()]).is_empty();
        // It may be the colon behind it that is wrong.
        let alone = option::read(&field[wrong.clone()], accounts);
        let is_right_alone = alone.last().is_some_and(|option| option.act.is_ok());
        let is_trailing = is_nothing(last) && (is_nothing(wrong) || is_right_alone);
        // Colons of an address that is not in brackets are taken for those before options.
        let client = words(&line.text[clients]).last().unwrap_or_default();
        let is_address =
            !client.is_empty() && client.iter().all(u8::is_ascii_hexdigit) && field.contains(&b':');
        let marked = if is_trailing {
            range.start + last.start - 1..range.start + last.start
        } else {
            let word = trimmed(field, wrong.clone());
            range.start + word.start..range.start + word.end.max(word.start + 1)
        };
        let place = self.at(line, marked);
        let message = format!("{why}: who meets this rule is refused");
        let diagnostic = self.error("bad-option", place, message);
        if is_address {
            diagnostic.hint = "an IPv6 address stands in brackets: [2001:db8::1]".to_owned();
        } else if is_trailing {
            diagnostic.expected = "no colon at the end".to_owned();
            diagnostic.hint = "it begins one more option".to_owned();
        } else if why.starts_with("bad option name") {
            let mut names: Vec<&str> = option::names().collect();
            names.sort_unstable();
            diagnostic.expected = format!("one of {}", names.join(", "));
        }
    }

    fn error(&mut self, code: &'static str, place: Place, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::error(code, place, message))
    }

    fn warn(&mut self, code: &'static str, place: Place, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::warning(code, place, message))
    }

    /// Where bytes of a line stand.
    fn at(&self, line: &LogicalLine<'_>, range: Range<usize>) -> Place {
        self.place(line.in_file(range))
    }

    fn place(&self, range: Range<usize>) -> Place {
        Place::Text(Span { file: self.file, start: offset(range.start), end: offset(range.end) })
    }

    fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.diagnostics.add(diagnostic)
    }
}

/// The words of a part of a line but for EXCEPT, each with its place.
fn placed(text: &[u8], range: Range<usize>) -> impl Iterator<Item = (&[u8], Range<usize>)> {
    let words = placed_words(&text[range.clone()]).filter(|(_, word)| !is_except(word));
    words.map(move |(at, word)| (word, range.start + at..range.start + at + word.len()))
}

/// A range of a text without the blanks at its ends.
fn trimmed(text: &[u8], range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_ascii_start().len());
    start..start + part.trim_ascii().len()
}
