//! What is wrong with a table, or does not mean what it seems to.
//!
//! tcpdchk(8) promises such findings; here are those that follow from the text alone, each with its place, and those shapes
//! that libwrap takes without a word and understands otherwise than anybody would.

use std::ops::Range;

use super::false_net::{FalseNet, Flaw};
use super::line::{LogicalLine, lines};
use super::list::{is_except, words};
use super::option::{self, Accounts};
use super::pattern::{HostPattern, Net, split_at_sign, split_outside_brackets};
use super::table::Which;
use crate::diagnostic::{Diagnostic, Place, printable};
use crate::source::{FileId, Sources, Span, offset};

/// What libwrap reads of a line, in bytes.
const MOST: usize = 2046;

/// Looks through one table.
pub fn findings(
    sources: &Sources,
    file: FileId,
    which: Which,
    accounts: &mut dyn Accounts,
) -> Vec<Diagnostic> {
    let text = sources.text(file);
    let mut found = Findings { file, which, diagnostics: Vec::new() };
    for line in lines(text) {
        found.line(&line, accounts);
    }
    if !text.is_empty() && !text.ends_with(b"\n") {
        let end = text.len();
        let place = found.place(end - 1..end);
        found.diagnostics.push(
            Diagnostic::warning("no-line-end", place, "the last line has no end").hint(
                "it is a rule here; libwrap leaves it out, and refuses everybody when this is hosts.deny",
            ),
        );
    }
    found.diagnostics
}

struct Findings {
    file: FileId,
    which: Which,
    diagnostics: Vec<Diagnostic>,
}

impl Findings {
    fn line(&mut self, line: &LogicalLine<'_>, accounts: &mut dyn Accounts) {
        let text = &*line.text;
        if text.len() > MOST {
            let message = format!("a line of {} bytes", text.len());
            self.warn("long-line", line, 0..1, message).hint =
                "it is a rule here; libwrap stops reading the table at it".to_owned();
        }
        let Some(colon) = split_outside_brackets(text, b':') else {
            let hint = match self.which {
                Which::Allow => "the line lets nobody in",
                Which::Deny => "the line refuses nobody",
            };
            let diagnostic =
                self.error("missing-colon", line, 0..text.len(), "there is no colon in this line");
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
        for (word, place) in placed(&line.text, range) {
            if is_except(word) {
                continue;
            }
            let (process, host) = split_at_sign(word);
            self.name(line, process, place.clone(), "daemon", &["KNOWN", "LOCAL", "PARANOID"]);
            if let Some(host) = host {
                self.host(line, host, place.end - host.len()..place.end);
            }
        }
    }

    fn clients(&mut self, line: &LogicalLine<'_>, range: Range<usize>) {
        self.list(line, &range, "client");
        for (word, place) in placed(&line.text, range) {
            if is_except(word) {
                continue;
            }
            if word == b"#" {
                self.warn("no-comment", line, place, "no comment begins here: what follows are clients")
                    .hint = "a comment begins in the first column".to_owned();
                continue;
            }
            let (user, host) = match split_at_sign(word) {
                (user, Some(host)) => (Some(user), host),
                (host, None) => (None, host),
            };
            if let Some(user) = user {
                self.name(line, user, place.clone(), "user", &["LOCAL", "PARANOID"]);
            }
            self.host(line, host, place.end - host.len()..place.end);
        }
    }

    fn list(&mut self, line: &LogicalLine<'_>, range: &Range<usize>, what: &str) {
        let last = words(&line.text[range.clone()]).last();
        if last.is_none_or(is_except) {
            let message = format!("the {what} list is empty or ends in EXCEPT");
            self.warn("empty-list", line, range.start..range.end.max(range.start + 1), message);
        }
    }

    /// A word for a daemon or a user, which means nothing but itself.
    fn name(
        &mut self,
        line: &LogicalLine<'_>,
        word: &[u8],
        place: Range<usize>,
        what: &str,
        reserved: &[&str],
    ) {
        let shown = printable(word);
        let is = |other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        let message = match word {
            [b'@', ..] => format!("{shown}: {what} name begins with \"@\""),
            [b'/', ..] => format!("{shown}: {what} name begins with \"/\""),
            [b'.', ..] => format!("{shown}: {what} name begins with dot"),
            [.., b'.'] => format!("{shown}: {what} name ends in dot"),
            _ if is("FAIL") => return self.fail(line, place),
            _ if reserved.iter().any(|reserved| is(reserved)) => {
                format!("{shown}: {what} name may be reserved word")
            }
            _ => return,
        };
        self.warn("odd-name", line, place, message);
    }

    fn fail(&mut self, line: &LogicalLine<'_>, place: Range<usize>) {
        self.error("fail", line, place, "FAIL is no longer recognized").hint =
            "use EXCEPT or deny".to_owned();
    }

    fn host(&mut self, line: &LogicalLine<'_>, word: &[u8], place: Range<usize>) {
        if word.eq_ignore_ascii_case(b"FAIL") {
            return self.fail(line, place);
        }
        match HostPattern::new(word) {
            HostPattern::Netgroup(group) => {
                let message = format!("the netgroup {} is not asked", printable(&group));
                self.warn("no-netgroups", line, place, message).hint =
                    "it matches nobody, as in the distributions' libwrap of today".to_owned();
            }
            HostPattern::Net(net) => self.net(line, word, net, place),
            HostPattern::Text(_) | HostPattern::Address(_) if word.ends_with(b".") && !is_net_start(word) => {
                let message = format!("{}: domain or host name ends in dot", printable(word));
                self.warn("ends-in-dot", line, place, message).hint =
                    "it matches every name that begins so".to_owned();
            }
            HostPattern::Address(_) if word.starts_with(b".") => {
                let message = format!("{}: network number begins with dot", printable(word));
                self.warn("begins-with-dot", line, place, message).hint =
                    "it matches every address that ends so".to_owned();
            }
            HostPattern::File(_)
            | HostPattern::Known
            | HostPattern::Local
            | HostPattern::Text(_)
            | HostPattern::Address(_) => {}
        }
    }

    fn net(&mut self, line: &LogicalLine<'_>, word: &[u8], net: Net, place: Range<usize>) {
        const SHAPES: &str = "n.n.n.n/m.m.m.m, n.n.n.n/length or [n:n::n]/length";
        let Some(false_net) = FalseNet::of(word, net) else {
            if net == Net::Nothing {
                let message = format!("{}: bad net/mask pattern", printable(word));
                self.error("bad-net", line, place, message).expected = SHAPES.to_owned();
            }
            return;
        };
        let message = false_net.to_string();
        match false_net.flaw {
            Flaw::HostBits(right) => {
                self.error("host-bits", line, place, message).hint =
                    format!("the address has bits that the mask takes away; write {right}");
            }
            Flaw::OpensAll { .. } => {
                self.error("opens-all", line, place, message).expected = "a length from 0 to 128".to_owned();
            }
            Flaw::AllBits => {
                let diagnostic = self.error("bad-net", line, place, message);
                diagnostic.expected = SHAPES.to_owned();
                diagnostic.hint = "libwrap cannot read this mask; write the address alone".to_owned();
            }
        }
    }

    fn options(
        &mut self,
        line: &LogicalLine<'_>,
        clients: Range<usize>,
        range: Range<usize>,
        accounts: &mut dyn Accounts,
    ) {
        let options = option::read(&line.text[range.clone()], accounts);
        let Some(Err(why)) = options.last().map(|option| option.act.as_ref()) else { return };
        let is_trailing = line.text[..range.end].trim_ascii_end().ends_with(b":");
        // Colons of an address that is not in brackets are taken for those before options.
        let last = words(&line.text[clients]).last().unwrap_or_default();
        let is_address = !last.is_empty()
            && last.iter().all(u8::is_ascii_hexdigit)
            && line.text[range.clone()].contains(&b':');
        let place = range.start.saturating_sub(1)..range.end;
        let message = format!("{why}: who meets this rule is refused");
        let diagnostic = self.error("bad-option", line, place, message);
        if is_address {
            diagnostic.hint = "an IPv6 address stands in brackets: [2001:db8::1]".to_owned();
        } else if is_trailing {
            diagnostic.hint = "the colon at the end begins one more option".to_owned();
        }
    }

    fn error(
        &mut self,
        code: &'static str,
        line: &LogicalLine<'_>,
        range: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let place = self.place(line.in_file(range));
        self.push(Diagnostic::error(code, place, message))
    }

    fn warn(
        &mut self,
        code: &'static str,
        line: &LogicalLine<'_>,
        range: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let place = self.place(line.in_file(range));
        self.push(Diagnostic::warning(code, place, message))
    }

    fn place(&self, range: Range<usize>) -> Place {
        Place::Text(Span { file: self.file, start: offset(range.start), end: offset(range.end) })
    }

    fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.diagnostics.push(diagnostic);
        self.diagnostics.last_mut().expect("one was just pushed")
    }
}

/// `10.1.`
fn is_net_start(word: &[u8]) -> bool {
    word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

/// The words of a part of a line, each with its place.
fn placed(text: &[u8], range: Range<usize>) -> Vec<(&[u8], Range<usize>)> {
    let part = &text[range.clone()];
    let mut at = 0;
    let mut placed = Vec::new();
    for word in words(part) {
        // Words come in order, and none holds a separator.
        let Some(begin) = part[at..].windows(word.len()).position(|window| window == word) else { continue };
        let start = range.start + at + begin;
        at += begin + word.len();
        placed.push((word, start..start + word.len()));
    }
    placed
}
