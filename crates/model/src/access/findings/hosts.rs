//! Words for hosts, in a table and in the files that it names.

use super::Findings;
use crate::access::address::quad;
use crate::access::false_net::{FalseNet, Flaw};
use crate::access::list::is_except;
use crate::access::pattern::{HostPattern, Net, split_at_sign, split_outside_brackets};
use crate::access::table::{Contents, placed_file_words};
use crate::diagnostic::{Place, printable};

impl Findings<'_> {
    pub(super) fn host(&mut self, word: &[u8], place: Place) {
        if word.eq_ignore_ascii_case(b"FAIL") {
            return self.fail(place);
        }
        if word.starts_with(b"#") {
            self.warn("no-comment", place, "no comment begins here: what follows are clients").hint =
                "a comment begins in the first column of a table, and nowhere in a file that it names"
                    .to_owned();
            return;
        }
        match HostPattern::new(word) {
            HostPattern::Netgroup(group) => {
                let message = format!("the netgroup {} is not asked", printable(&group));
                self.warn("no-netgroups", place, message).hint =
                    "it matches nobody, as in the distributions' libwrap of today".to_owned();
            }
            HostPattern::File(path) => self.named_file(&path, place),
            HostPattern::Net(net) => self.net(word, net, place),
            HostPattern::Text(_) | HostPattern::Address(_) if word.ends_with(b".") && !is_net_start(word) => {
                let message = format!("{}: domain or host name ends in dot", printable(word));
                self.warn("ends-in-dot", place, message).hint =
                    "it matches every name that begins so".to_owned();
            }
            HostPattern::Address(_) if word.starts_with(b".") => {
                let message = format!("{}: network number begins with dot", printable(word));
                self.warn("begins-with-dot", place, message).hint =
                    "it matches every address that ends so".to_owned();
            }
            HostPattern::Known | HostPattern::Local | HostPattern::Text(_) | HostPattern::Address(_) => {}
        }
    }

    fn named_file(&mut self, path: &[u8], place: Place) {
        let shown = printable(path);
        if self.open.iter().any(|open| **open == *path) {
            self.error("file-ring", place, format!("{shown}: names itself")).hint =
                "the word matches nobody; take it out".to_owned();
            return;
        }
        if self.looked_through.contains(path) {
            return;
        }
        let why = match self.files.contents(path) {
            Contents::Text(text) => return self.words_of(path, &text),
            Contents::Missing => {
                self.warn("missing-file", place, format!("{shown}: no such file")).hint =
                    "the word matches nobody as long as there is none".to_owned();
                return;
            }
            Contents::Folder => "Is a directory".to_owned(),
            Contents::Unreadable(why) => why,
        };
        let diagnostic = self.error("unreadable-file", place, format!("open {shown}: {why}"));
        diagnostic.expected = "a file of addresses and names".to_owned();
        diagnostic.hint = "the word matches nobody until it can be read".to_owned();
    }

    fn words_of(&mut self, path: &[u8], text: &[u8]) {
        let named = self.sources.add(printable(path), text.to_vec());
        let namer = std::mem::replace(&mut self.file, named);
        self.looked_through.insert(path.into());
        self.open.push(path.into());
        for (at, word) in placed_file_words(text) {
            let place = self.place(at..at + word.len());
            if is_except(word) || word.contains(&b',') || split_at_sign(word).1.is_some() {
                let message = format!("{}: no address and no name", printable(word));
                self.warn("file-word", place, message).hint =
                    "a file has words parted by blanks and lines: no commas, no EXCEPT and no user@"
                        .to_owned();
            } else {
                self.host(word, place);
            }
        }
        self.open.pop();
        self.file = namer;
    }

    fn net(&mut self, word: &[u8], net: Net, place: Place) {
        const SHAPES: &str = "n.n.n.n/m.m.m.m, n.n.n.n/length or [n:n::n]/length";
        let slash = split_outside_brackets(word, b'/').unwrap_or(word.len());
        let (address, mask) = (&word[..slash], word.get(slash + 1..).unwrap_or_default());
        let Some(false_net) = FalseNet::of(word, net) else {
            if net == Net::Nothing {
                let message = format!("{}: bad net/mask pattern", printable(word));
                let diagnostic = self.error("bad-net", place, message);
                diagnostic.expected = SHAPES.to_owned();
                diagnostic.hint = match (quad(address).is_some(), mask) {
                    (true, b"0") => "for every IPv4 address, write 0.0.0.0/0.0.0.0".to_owned(),
                    (true | false, _) => "it matches nobody".to_owned(),
                };
            }
            return;
        };
        let message = false_net.to_string();
        match false_net.flaw {
            Flaw::HostBits(right) => {
                let diagnostic = self.error("host-bits", place, message);
                diagnostic.expected = format!("{right}/{}", printable(mask));
                diagnostic.hint = "the address has bits that the mask takes away".to_owned();
            }
            Flaw::OpensAll { .. } => {
                let diagnostic = self.error("opens-all", place, message);
                diagnostic.expected = "a length from 0 to 128".to_owned();
                diagnostic.hint = "where no number begins, libwrap reads 0".to_owned();
            }
            Flaw::AllBits => {
                let diagnostic = self.error("bad-net", place, message);
                diagnostic.expected = SHAPES.to_owned();
                diagnostic.hint = "libwrap cannot read this mask; write the address alone".to_owned();
            }
        }
    }
}

/// `10.1.`
fn is_net_start(word: &[u8]) -> bool {
    word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}
