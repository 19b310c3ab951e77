//! The rule that decides about a caller.
//!
//! hosts.allow is searched from its top, then hosts.deny; the first rule whose lists both match ends the search, and who
//! meets none is let in. A search that needs to know more stops and says what; it is begun anew with the answer among the
//! facts. So nothing is kept between two attempts, and look-ups come in libwrap's order, each only if a rule needs it.

mod explain;

use super::expand::{MOST, Stop, expand};
use super::known::{End, Known};
use super::list::{Truth, any};
use super::option::{Act, Opt, Words, chop, is_blank};
use super::pattern::{ClientPattern, HostPattern, ProcessPattern, ServerPattern, TextPattern};
use super::request::{Facts, Lookup, Request, UNKNOWN, is_known};
use super::table::{Item, PatternFile, Rule, RuleAt, State, Table, Tables, Which};
use super::verdict::{Decision, Effect, Note, NoteKind, Outcome, Verdict};
use super::why::Step;

/// One attempt.
pub(super) struct Search<'a> {
    tables: &'a Tables,
    known: Known<'a>,
    /// Which rule is being looked at.
    at: Option<RuleAt>,
    notes: Vec<Note>,
    /// Files that are being searched, each named by the one before it.
    open: Vec<&'a [u8]>,
    /// What was looked at, when somebody wants to know.
    steps: Option<Vec<Step>>,
}

/// What one table says.
enum Answer<'a> {
    Nothing,
    Matches(&'a Rule),
    /// It could not be found out whether a rule matches that may refuse. (One that can only let in does not match
    /// then.)
    Undecided,
    /// The table cannot be used.
    Unusable,
}

impl<'a> Search<'a> {
    pub(super) fn new(tables: &'a Tables, request: &'a Request, facts: &'a Facts, explains: bool) -> Self {
        let known = Known::new(request, facts);
        let steps = explains.then(Vec::new);
        Self { tables, known, at: None, notes: Vec::new(), open: Vec::new(), steps }
    }

    /// Searches both tables.
    pub(super) fn run(mut self) -> (Outcome, Vec<Step>) {
        let outcome = match self.decide() {
            Ok(decision) => {
                let client = self.known.client();
                Outcome::Decided(Box::new(Decision { client, notes: self.notes, ..decision }))
            }
            Err(lookup) => Outcome::Needs(lookup, self.at),
        };
        (outcome, self.steps.unwrap_or_default())
    }

    fn decide(&mut self) -> Result<Decision, Lookup> {
        let tables = self.tables;
        for (table, which, verdict) in
            [(&tables.allow, Which::Allow, Verdict::Allow), (&tables.deny, Which::Deny, Verdict::Deny)]
        {
            match self.search(table, which)? {
                Answer::Matches(rule) => return self.follow(rule, verdict),
                Answer::Undecided => {
                    return Ok(Decision { is_undecided: true, ..Decision::new(Verdict::Deny, self.at) });
                }
                Answer::Unusable if which == Which::Deny => return Ok(Decision::new(Verdict::Deny, None)),
                Answer::Nothing | Answer::Unusable => {}
            }
        }
        Ok(Decision::new(Verdict::Allow, None))
    }

    fn search(&mut self, table: &'a Table, which: Which) -> Result<Answer<'a>, Lookup> {
        self.at = None;
        let why = match &table.state {
            State::Read => None,
            State::Missing => return Ok(Answer::Nothing),
            State::Folder => Some("Is a directory"),
            State::Unreadable(why) => Some(why.as_str()),
        };
        if let Some(why) = why {
            self.warn(format!("cannot open {}: {why}", table.path));
            return Ok(Answer::Unusable);
        }
        let all = if self.steps.is_some() { 0..table.items.len() } else { 0..0 };
        let hits = self.steps.is_none().then(|| table.index.candidates(self.known.address(End::Client)));
        for place in all.chain(hits.into_iter().flatten()) {
            let item = &table.items[place];
            self.at = Some(RuleAt { table: which, line: item.line });
            match (self.item(item)?, &item.rule) {
                (Truth::Yes, Some(rule)) => return Ok(Answer::Matches(rule)),
                (Truth::Undecided, Some(rule)) if which == Which::Deny || rule.may_refuse() => {
                    return Ok(Answer::Undecided);
                }
                (Truth::Yes | Truth::No | Truth::Undecided, _) => {}
            }
        }
        Ok(Answer::Nothing)
    }

    fn item(&mut self, item: &'a Item) -> Result<Truth, Lookup> {
        let before = self.known.asked;
        let Some(rule) = &item.rule else {
            self.warn("missing \":\" separator".to_owned());
            self.explain(before, None)?;
            return Ok(Truth::No);
        };
        let daemons = rule.daemons.matches(|pattern| self.server_matches(pattern))?;
        let clients = match daemons {
            Truth::No => None,
            Truth::Yes | Truth::Undecided => {
                Some(rule.clients.matches(|pattern| self.client_matches(pattern))?)
            }
        };
        self.explain(before, Some((rule, daemons, clients)))?;
        Ok(daemons & clients.unwrap_or(Truth::No))
    }

    fn server_matches(&mut self, pattern: &'a ServerPattern) -> Result<Truth, Lookup> {
        let process = match &pattern.process {
            ProcessPattern::Port(port) => {
                self.known.request.server.socket.is_some_and(|server| server.port() == *port)
            }
            ProcessPattern::Name(name) => name.matches(&self.known.request.daemon),
        };
        match &pattern.host {
            Some(host) if process => self.host_matches(host, End::Server),
            Some(_) | None => Ok(process.into()),
        }
    }

    fn client_matches(&mut self, pattern: &'a ClientPattern) -> Result<Truth, Lookup> {
        let host = self.host_matches(&pattern.host, End::Client)?;
        match &pattern.user {
            Some(user) if host != Truth::No => Ok(host & heard_matches(self.known.user()?, user)),
            Some(_) | None => Ok(host),
        }
    }

    fn host_matches(&mut self, pattern: &'a HostPattern, end: End) -> Result<Truth, Lookup> {
        let address = self.known.address(end);
        Ok(match pattern {
            HostPattern::Netgroup(_) => {
                self.warn("netgroup support is disabled".to_owned());
                Truth::No
            }
            HostPattern::File(path) => self.file_matches(path, end)?,
            HostPattern::Known => {
                let is_address_known = !address.eq_ignore_ascii_case(UNKNOWN);
                heard_is(self.known.name(end)?, is_known) & is_address_known.into()
            }
            HostPattern::Local => {
                heard_is(self.known.name(end)?, |name| is_known(name) && !name.contains(&b'.'))
            }
            HostPattern::Net(net) => net.holds(address).into(),
            HostPattern::Address(text) => text.matches(address).into(),
            HostPattern::Text(text) if text.matches(address) => Truth::Yes,
            HostPattern::Text(text) => heard_matches(self.known.name(end)?, text),
        })
    }

    fn file_matches(&mut self, path: &'a [u8], end: End) -> Result<Truth, Lookup> {
        let tables = self.tables;
        match tables.files.get(path) {
            Some(PatternFile::Unreadable(why)) => {
                self.warn(format!("open {}: {why}", String::from_utf8_lossy(path)));
                Ok(Truth::No)
            }
            Some(PatternFile::Read { .. }) if self.open.contains(&path) => {
                self.warn(format!("{}: names itself", String::from_utf8_lossy(path)));
                Ok(Truth::No)
            }
            Some(PatternFile::Read { patterns, index }) => {
                self.open.push(path);
                let hits = index.candidates(self.known.address(end));
                let truth = any(hits, |place| self.host_matches(&patterns[place], end));
                self.open.pop();
                truth
            }
            Some(PatternFile::Nothing) | None => Ok(Truth::No),
        }
    }

    /// Carries out what a rule says behind its lists. What is wrong in it refuses, after what stands before it.
    fn follow(&mut self, rule: &Rule, verdict: Verdict) -> Result<Decision, Lookup> {
        let mut decision = Decision::new(verdict, self.at);
        for option in rule.options.iter().flatten() {
            match self.carry_out(option, &mut decision) {
                Ok(()) => {}
                Err(Wrong::Needs(lookup)) => return Err(lookup),
                Err(Wrong::Because(why)) => {
                    self.note(NoteKind::Error, why);
                    decision.verdict = Verdict::Deny;
                    break;
                }
            }
        }
        Ok(decision)
    }

    fn carry_out(&mut self, option: &Opt, decision: &mut Decision) -> Result<(), Wrong> {
        let Some(Words { name, value }) = &option.words else {
            return option.act.clone().map(drop).map_err(Wrong::Because);
        };
        let expands = option.act.as_ref().is_ok_and(Act::expands);
        let value = if expands { self.expand(value)? } else { value.to_vec() };
        decision.options.push([name, b" ".as_slice(), &value].concat());
        let effect = match option.act.as_ref().map_err(|why| Wrong::Because(why.clone()))? {
            Act::Allow => {
                decision.verdict = Verdict::Allow;
                return Ok(());
            }
            Act::Deny => {
                decision.verdict = Verdict::Deny;
                return Ok(());
            }
            Act::Severity(severity) => {
                decision.severity = Some(*severity);
                return Ok(());
            }
            Act::Identify(seconds) => {
                self.known.patience = seconds.unwrap_or(self.known.patience);
                self.known.user()?;
                return Ok(());
            }
            Act::Twist if self.known.request.is_resident => {
                return Err(Wrong::Because("twist option in resident process".to_owned()));
            }
            Act::Twist => {
                decision.verdict = Verdict::Twist;
                Effect::Twist(value)
            }
            Act::Spawn => Effect::Spawn(value),
            Act::Aclexec => Effect::Aclexec(value),
            Act::Setenv => setenv(&value)?,
            Act::Banners => Effect::Banners(value),
            Act::KeepAlive => Effect::KeepAlive,
            Act::Linger(seconds) => Effect::Linger(*seconds),
            Act::Nice(by) => Effect::Nice(*by),
            Act::Umask(mask) => Effect::Umask(*mask),
            Act::User(account) => Effect::User(account.clone()),
            Act::Group(gid) => Effect::Group(*gid),
        };
        decision.effects.push(effect);
        Ok(())
    }

    fn expand(&mut self, value: &[u8]) -> Result<Vec<u8>, Stop> {
        let mut unrecognized = Vec::new();
        let text = expand(value, MOST, &mut self.known, |letter| unrecognized.push(letter));
        for letter in unrecognized {
            self.warn(format!("unrecognized %{letter}"));
        }
        text.map(|text| chop(&text).to_vec())
    }

    fn warn(&mut self, text: String) {
        self.note(NoteKind::Warning, text);
    }

    fn note(&mut self, kind: NoteKind, text: String) {
        self.notes.push(Note { kind, rule: self.at, text });
    }
}

/// What keeps an option from being carried out.
enum Wrong {
    Needs(Lookup),
    Because(String),
}

impl From<Lookup> for Wrong {
    fn from(lookup: Lookup) -> Self {
        Wrong::Needs(lookup)
    }
}

impl From<Stop> for Wrong {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Needs(lookup) => Wrong::Needs(lookup),
            Stop::TooLong => Wrong::Because("percent_x: expansion too long".to_owned()),
        }
    }
}

/// `NAME value`.
fn setenv(words: &[u8]) -> Result<Effect, Wrong> {
    let end = words.iter().position(|byte| is_blank(*byte)).unwrap_or(words.len());
    let (name, value) = words.split_at(end);
    let name = chop(name);
    // What setenv(3) refuses, libwrap takes for a lack of memory.
    if name.is_empty() || name.contains(&b'=') {
        return Err(Wrong::Because("memory allocation failure".to_owned()));
    }
    Ok(Effect::Setenv(name.to_vec(), chop(value).to_vec()))
}

/// Whether a pattern matches what was heard, if anything was. What matches any text needs to hear none.
fn heard_matches(heard: Option<&[u8]>, pattern: &TextPattern) -> Truth {
    match heard {
        None if *pattern == TextPattern::All => Truth::Yes,
        heard => heard_is(heard, |text| pattern.matches(text)),
    }
}

fn heard_is(heard: Option<&[u8]>, test: impl Fn(&[u8]) -> bool) -> Truth {
    heard.map_or(Truth::Undecided, |text| test(text).into())
}
