//! Whether hosts.allow and hosts.deny let a caller in, before anything is started for it.
//!
//! A caller about whom something has to be found out waits here, with its place in the limits; nobody else waits for it.
//! What cannot be found out in time lets nobody in.

use std::time::Duration;

use super::{LookupId, ServiceId, Supervisor, Timer, claim, pool, turn_away};
use crate::access::{
    self, Decision, Effect, Endpoint, Facts, Found, IpOptions, Lookup, Note, NoteKind, Outcome, Request,
    RuleAt, Tables, UNKNOWN, Verdict, Which,
};
use crate::admission::Claim;
use crate::event::{Action, Errand, Handed, Judged, Log, Reason, Remark, Start};
use crate::lifecycle::{Pause, Phase};
use crate::lookups::Question;
use crate::service::{Voice, Wrapped};
use crate::slots::Key;
use crate::time::Tick;

/// A caller about whom something has to be found out.
#[derive(Debug)]
pub struct Judgment {
    start: Start,
    /// What it was granted, and holds meanwhile; nothing when it is turned away once it is known who it is.
    claim: Option<Claim>,
    request: Request,
    facts: Facts,
    /// Whether its machine was asked who calls, and has said it.
    user: Option<bool>,
    waits: Waits,
}

/// Names one.
pub(super) type JudgmentId = Key<Box<Judgment>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// Until the tables were read.
    Tables,
    /// For this, which this rule needs.
    For(Lookup, Option<RuleAt>),
    /// For the caller's machine to say who calls.
    User,
}

/// What is to be done about a caller.
enum Next {
    /// This is to be found out, which this rule needs.
    Needs(Lookup, Option<RuleAt>),
    /// The caller's machine is to be asked who calls, and has so many seconds.
    NeedsUser(u32),
    /// It may be served.
    Begins,
    /// It goes, now that it is known who it is.
    Leaves,
    /// It may not.
    IsRefused(Reason),
    /// hosts.allow and hosts.deny say this.
    IsDecided(Box<Decision>),
    /// They cannot be asked.
    IsUndecided,
}

/// So many callers can wait. One more is refused.
const MOST: usize = 4096;

/// Reading the tables may take so long.
const TABLES_PATIENCE: Duration = Duration::from_secs(10);

/// A host name may take so long; resolvers give up after less where nobody has told them otherwise.
const NAME_PATIENCE: Duration = Duration::from_secs(15);

/// The machine of a caller has so many seconds to say who calls, as with xinetd; and where nobody is served without, so
/// many.
const USER_PATIENCE: u32 = 30;
const LONG_USER_PATIENCE: u32 = 60;

/// The helper itself keeps to a caller's patience; so much longer it may take to say so.
const ANSWER: Duration = Duration::from_secs(5);

/// What is said when the tables were not read in time.
pub(super) const TOO_LONG: &str = "it takes too long";

impl Supervisor {
    pub(super) fn examined(
        &mut self,
        start: Start,
        request: Request,
        is_current: bool,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let is_leaving = self.take_leaving(&start);
        let Some(state) = self.services.get(start.service) else { return };
        let claim = if is_leaving { None } else { Some(claim(&start, &state.service.task)) };
        let asks_tables = state.service.wrapped.is_some() && !is_leaving;
        let (facts, user, waits) = (Facts::default(), None, Waits::Tables);
        let judgment = Box::new(Judgment { start, claim, request, facts, user, waits });
        let has_tables = is_current && self.tables.is_some() && self.reading_tables.is_none();
        if has_tables || !asks_tables {
            self.judge(judgment, now, actions);
            return;
        }
        if self.reading_tables.is_none() {
            let until = now.after(TABLES_PATIENCE);
            self.reading_tables = Some(until);
            self.timers.insert((until, Timer::Tables));
            actions.push(Action::ReadTables);
        }
        if let Err(judgment) = self.wait(judgment, actions) {
            self.refuse_undecided(&judgment, now, actions);
        }
    }

    /// Says what a caller's packets had in their headers. Whom that refuses no rule is asked about.
    pub(super) fn has_ip_options(&mut self, start: Start, options: IpOptions, actions: &mut Vec<Action>) {
        let Some(state) = self.services.get(start.service) else { return };
        let Some(wrapped) = &state.service.wrapped else { return };
        let Start { listener, peer, handed, .. } = start;
        let refuses = options.refuses();
        let claim = claim(&start, &state.service.task);
        let address = peer.map_or_else(Endpoint::unknown, Endpoint::of).address;
        let wrapped = Wrapped::clone(wrapped);
        if refuses || wrapped.voice != Voice::Refusals {
            actions.push(Action::Log(Log::IpOptions { listener, wrapped, address, options }));
        }
        if !refuses {
            return;
        }
        // Who leaves already has heard it, is counted, and holds nothing.
        if self.take_leaving(&start) {
            actions.push(turn_away(listener, handed));
            return;
        }
        self.send_away(listener, handed, actions);
        self.count_denied(&start);
        self.release(claim, actions);
    }

    /// Takes a caller out of those who go once it is known who they are; whether it was one.
    fn take_leaving(&mut self, start: &Start) -> bool {
        let place = self.leaving.iter().position(|other| other == start);
        place.map(|place| self.leaving.swap_remove(place)).is_some()
    }

    pub(super) fn tables_read(&mut self, tables: Tables, now: Tick, actions: &mut Vec<Action>) {
        self.tables = Some(Box::new(tables));
        self.stop_reading_tables();
        while let Some(judgment) = self.take_waiting_for_tables() {
            self.judge(judgment, now, actions);
        }
    }

    pub(super) fn tables_not_read(&mut self, why: String, now: Tick, actions: &mut Vec<Action>) {
        self.stop_reading_tables();
        actions.push(Action::Log(Log::TablesNotRead(why)));
        while let Some(judgment) = self.take_waiting_for_tables() {
            self.refuse_undecided(&judgment, now, actions);
        }
    }

    fn stop_reading_tables(&mut self) {
        if let Some(until) = self.reading_tables.take() {
            self.timers.remove(&(until, Timer::Tables));
        }
    }

    /// Takes out one caller who waits for the tables.
    fn take_waiting_for_tables(&mut self) -> Option<Box<Judgment>> {
        let mut waiting = self.judgments.iter().filter(|(_, judgment)| judgment.waits == Waits::Tables);
        let id = waiting.next().map(|(id, _)| id);
        drop(waiting);
        self.judgments.remove(id?)
    }

    /// Whether a built-in may answer a datagram. Nothing is looked up for one: what cannot be told from addresses alone
    /// lets nobody in.
    pub fn lets_datagram_in(&self, request: &Request) -> bool {
        let nothing = || Some(Found::Undecided);
        let facts = Facts { client_name: nothing(), server_name: nothing(), user: nothing() };
        self.tables.as_ref().is_some_and(|tables| match access::decide(tables, request, &facts) {
            Outcome::Decided(decision) => {
                decision.verdict == Verdict::Allow
                    && decision.effects.iter().all(|effect| why_not(effect).is_none())
            }
            Outcome::Needs(..) => false,
        })
    }

    /// The services of callers about whom something has to be found out.
    pub fn judged(&self) -> impl Iterator<Item = ServiceId> {
        self.judgments.iter().map(|(_, judgment)| judgment.start.service)
    }

    /// Decides, as far as the facts go.
    fn judge(&mut self, mut judgment: Box<Judgment>, now: Tick, actions: &mut Vec<Action>) {
        loop {
            match self.next(&judgment) {
                Next::Begins => return self.admitted(&judgment, now, actions),
                Next::IsRefused(reason) => {
                    self.end_waiting(&judgment.start, actions);
                    return self.turn_away(&judgment, reason, actions);
                }
                Next::IsUndecided => return self.refuse_undecided(&judgment, now, actions),
                Next::IsDecided(decision) => return self.decided(&judgment, *decision, now, actions),
                Next::NeedsUser(patience) => match Question::ident(&judgment.request, patience) {
                    None => judgment.user = Some(false),
                    Some(question) => {
                        judgment.waits = Waits::User;
                        let patience = Duration::from_secs(u64::from(patience)) + ANSWER;
                        match self.look_up(judgment, question, patience, now, actions) {
                            None => return,
                            Some(back) => {
                                judgment = back;
                                self.identified(&mut judgment, Err("too many are asked".to_owned()), actions);
                            }
                        }
                    }
                },
                Next::Leaves => {
                    actions.push(turn_away(judgment.start.listener, judgment.start.handed));
                    return;
                }
                Next::Needs(lookup, rule) => match Question::about(lookup, &judgment.request) {
                    None => judgment.facts.learn(lookup, Found::text(UNKNOWN)),
                    Some(question) => {
                        judgment.waits = Waits::For(lookup, rule);
                        let patience = match lookup {
                            Lookup::ClientName | Lookup::ServerName => NAME_PATIENCE,
                            Lookup::User(seconds) => Duration::from_secs(u64::from(seconds)) + ANSWER,
                        };
                        match self.look_up(judgment, question, patience, now, actions) {
                            None => return,
                            Some(back) => {
                                judgment = back;
                                judgment.facts.learn(lookup, Found::Undecided);
                            }
                        }
                    }
                },
            }
        }
    }

    /// What is to be done about a caller, as far as the facts go: first the lists of its service are asked, then
    /// hosts.allow and hosts.deny.
    fn next(&self, judgment: &Judgment) -> Next {
        let Judgment { start, request, facts, user, claim, .. } = judgment;
        if claim.is_none() {
            return if user.is_none() { Next::NeedsUser(USER_PATIENCE) } else { Next::Leaves };
        }
        if self.needs_name(start) {
            match &facts.client_name {
                None => return Next::Needs(Lookup::ClientName, None),
                Some(found) if !self.admits_name(start, found.name()) => {
                    return Next::IsRefused(Reason::Address);
                }
                Some(_) => {}
            }
        }
        if self.needs_user(start) {
            let is_insisted = self.guard(start.listener).is_some_and(|guard| guard.id_only);
            match user {
                None if is_insisted => return Next::NeedsUser(LONG_USER_PATIENCE),
                None => return Next::NeedsUser(USER_PATIENCE),
                Some(false) if is_insisted => return Next::IsRefused(Reason::NoUser),
                Some(_) => {}
            }
        }
        let state = self.services.get(start.service);
        if state.is_none_or(|state| state.service.wrapped.is_none()) {
            return Next::Begins;
        }
        let Some(tables) = &self.tables else { return Next::IsUndecided };
        match access::decide(tables, request, facts) {
            Outcome::Decided(decision) => Next::IsDecided(decision),
            Outcome::Needs(lookup, rule) => Next::Needs(lookup, rule),
        }
    }

    /// A caller's machine has said who calls, or not.
    fn identified(&self, judgment: &mut Judgment, said: Result<Vec<u8>, String>, actions: &mut Vec<Action>) {
        judgment.user = Some(said.is_ok());
        let Start { listener, peer, .. } = judgment.start;
        let is_insisted = self.guard(listener).is_some_and(|guard| guard.id_only);
        // Who need not say it and does not is nothing to speak of; nor who has called what is gone by now.
        if (said.is_ok() || is_insisted) && self.policy(listener).is_some() {
            actions.push(Action::Log(Log::Identified { listener, peer, said }));
        }
    }

    /// Nothing is left to ask about a caller.
    fn admitted(&mut self, judgment: &Judgment, now: Tick, actions: &mut Vec<Action>) {
        self.end_waiting(&judgment.start, actions);
        if self.is_still_there(judgment) {
            self.begin(judgment.start, None, now, actions);
        } else {
            self.turn_away(judgment, Reason::Address, actions);
        }
    }

    /// Asks; the judgment comes back when too many ask.
    fn look_up(
        &mut self,
        judgment: Box<Judgment>,
        question: Question,
        patience: Duration,
        now: Tick,
        actions: &mut Vec<Action>,
    ) -> Option<Box<Judgment>> {
        let id = match self.wait(judgment, actions) {
            Ok(id) => id,
            Err(judgment) => return Some(judgment),
        };
        let until = now.after(patience);
        match self.lookups.ask(question, id, until) {
            Ok(None) => {}
            Ok(Some(asked)) => {
                self.timers.insert((until, Timer::Lookup(asked)));
                self.begin_lookups(actions);
            }
            Err(id) => return self.judgments.remove(id),
        }
        None
    }

    fn begin_lookups(&mut self, actions: &mut Vec<Action>) {
        while let Some((id, question)) = self.lookups.begin_next() {
            actions.push(Action::LookUp(id, question));
        }
    }

    /// Whether somebody waits for the answer to this.
    pub fn is_looking_up(&self, id: LookupId) -> bool {
        self.lookups.is_asked(id)
    }

    pub(super) fn looked_up(
        &mut self,
        id: LookupId,
        found: Option<Found>,
        remark: Option<String>,
        now: Tick,
        actions: &mut Vec<Action>,
    ) {
        let Some((until, waiting)) = self.lookups.end(id) else { return };
        self.timers.remove(&(until, Timer::Lookup(id)));
        self.begin_lookups(actions);
        let found = found.unwrap_or(Found::Undecided);
        for judgment in waiting {
            let Some(mut judgment) = self.judgments.remove(judgment) else { continue };
            if judgment.waits == Waits::User {
                let said = match &found {
                    Found::Text(text) => Ok(text.to_vec()),
                    Found::Undecided => Err(remark.clone().unwrap_or_else(|| "timeout".to_owned())),
                };
                self.identified(&mut judgment, said, actions);
            }
            if let Waits::For(lookup, rule) = judgment.waits {
                if let Some(text) = &remark {
                    let note = Note { kind: NoteKind::Warning, rule, text: text.clone() };
                    let remark = self.remark(&note, &judgment.request.daemon);
                    actions.push(Action::Log(Log::Remarked(remark)));
                }
                judgment.facts.learn(lookup, found.clone());
            }
            self.judge(judgment, now, actions);
        }
    }

    /// Keeps a caller waiting. A listener whose datagram it is waits, too: the datagram is still there.
    fn wait(
        &mut self,
        judgment: Box<Judgment>,
        actions: &mut Vec<Action>,
    ) -> Result<JudgmentId, Box<Judgment>> {
        if self.judgments.len() >= MOST {
            return Err(judgment);
        }
        let Start { listener, handed, .. } = judgment.start;
        if !matches!(handed, Handed::Connection(_)) {
            self.set_phase(listener, Phase::Paused(Pause::Judgment), actions);
        }
        Ok(self.judgments.insert(judgment))
    }

    fn refuse_undecided(&mut self, judgment: &Judgment, now: Tick, actions: &mut Vec<Action>) {
        let client = judgment.request.client.address.to_vec();
        self.decided(judgment, Decision { client, ..Decision::undecided() }, now, actions);
    }

    fn decided(&mut self, judgment: &Judgment, mut decision: Decision, now: Tick, actions: &mut Vec<Action>) {
        let Judgment { start, request, facts, .. } = judgment;
        self.end_waiting(start, actions);
        let Some((wrapped, is_program)) = self.still_there(judgment) else {
            self.turn_away(judgment, Reason::Tables, actions);
            return;
        };
        if !is_program && let Some(why) = decision.effects.iter().find_map(why_not) {
            decision.notes.push(Note { kind: NoteKind::Error, rule: decision.rule, text: why.to_owned() });
            decision.verdict = Verdict::Deny;
            decision.effects.clear();
        }
        let remarks = decision.notes.iter().map(|note| self.remark(note, &wrapped.daemon));
        actions.extend(remarks.map(|remark| Action::Log(Log::Remarked(remark))));
        // Where a command decides, whoever runs it says how.
        let says_grants = matches!(wrapped.voice, Voice::Tcpd | Voice::Inetd);
        let is_said = says_grants || decision.verdict != Verdict::Allow;
        if is_said && !decision.effects.iter().any(|effect| matches!(effect, Effect::Aclexec(_))) {
            actions.push(Action::Log(Log::Judged(Box::new(self.judged_as(judgment, &decision, wrapped)))));
        }
        let errand = if decision.effects.is_empty() || !is_program {
            None
        } else {
            let Decision { verdict, effects, severity, client, .. } = decision.clone();
            Some(Box::new(Errand {
                verdict,
                effects,
                severity,
                client,
                request: request.clone(),
                facts: facts.clone(),
            }))
        };
        match (decision.verdict, errand) {
            (Verdict::Allow | Verdict::Twist, errand) => self.begin(*start, errand, now, actions),
            (Verdict::Deny, Some(errand)) => {
                self.count_denied(start);
                self.begin(*start, Some(errand), now, actions);
            }
            (Verdict::Deny, None) => {
                self.count_denied(start);
                self.turn_away(judgment, Reason::Tables, actions);
            }
        }
    }

    /// How the service of a caller is wrapped, and whether it is a program; `None` when it has gone or become something
    /// else since the caller came, or its socket has.
    fn still_there(&self, judgment: &Judgment) -> Option<(Wrapped, bool)> {
        if !self.is_still_there(judgment) {
            return None;
        }
        let service = &self.services.get(judgment.start.service)?.service;
        Some((Wrapped::clone(service.wrapped.as_ref()?), service.program().is_some()))
    }

    /// Whether service and socket are what they were when the caller came.
    fn is_still_there(&self, judgment: &Judgment) -> bool {
        let Judgment { start, claim, .. } = judgment;
        let state = self.services.get(start.service).filter(|state| !state.listeners.is_empty());
        let is_open = self.listeners.get(start.listener).is_some_and(|listener| listener.phase.is_open());
        is_open && state.zip(*claim).is_some_and(|(state, claim)| pool(&state.service.task) == claim.pool)
    }

    /// Sends a caller away and gives back what it held.
    fn turn_away(&mut self, judgment: &Judgment, reason: Reason, actions: &mut Vec<Action>) {
        let Judgment { start, claim, .. } = judgment;
        let is_open = self.listeners.get(start.listener).is_some_and(|listener| listener.phase.is_open());
        if is_open || matches!(start.handed, Handed::Connection(_)) {
            self.dismiss(start.listener, start.handed, reason, start.peer, actions);
        }
        if let Some(claim) = claim {
            self.release(*claim, actions);
        }
    }

    fn count_denied(&mut self, start: &Start) {
        if let Some(state) = self.services.get_mut(start.service) {
            state.counters.denied += 1;
        }
    }

    /// A listener that waited for a judgment is looked at again.
    fn end_waiting(&mut self, start: &Start, actions: &mut Vec<Action>) {
        let phase = self.listeners.get(start.listener).map(|listener| listener.phase);
        if phase == Some(Phase::Paused(Pause::Judgment)) {
            self.set_phase(start.listener, Phase::Polled, actions);
        }
    }

    fn judged_as(&self, judgment: &Judgment, decision: &Decision, wrapped: Wrapped) -> Judged {
        let twist = decision.effects.iter().find_map(|effect| {
            if let Effect::Twist(command) = effect { Some(command.clone()) } else { None }
        });
        Judged {
            listener: judgment.start.listener,
            wrapped,
            verdict: decision.verdict,
            twist,
            client: decision.client.clone(),
            address: judgment.request.client.address.clone(),
            severity: decision.severity,
            rule: decision.rule.map_or_else(String::new, |rule| self.place(rule)),
            is_undecided: decision.is_undecided,
        }
    }

    fn remark(&self, note: &Note, daemon: &[u8]) -> Remark {
        let text = self.tables.as_ref().map_or_else(|| note.text.clone(), |tables| note.line(tables));
        Remark { daemon: daemon.into(), text }
    }

    fn place(&self, rule: RuleAt) -> String {
        format!("{}:{}", self.table_path(rule.table), rule.line)
    }

    fn table_path(&self, table: Which) -> &str {
        self.tables.as_ref().map_or("", |tables| tables.path(table))
    }
}

/// Why a service without a program cannot do what a rule wants: there is no process of the caller's own. What is left has no
/// meaning without one.
fn why_not(effect: &Effect) -> Option<&'static str> {
    match effect {
        Effect::Spawn(_) | Effect::Aclexec(_) | Effect::Twist(_) | Effect::Banners(_) => {
            Some("a service without a program runs no commands")
        }
        Effect::User(_) | Effect::Group(_) => {
            Some("a service without a program has no user that could be another")
        }
        Effect::Setenv(..) | Effect::KeepAlive | Effect::Linger(_) | Effect::Nice(_) | Effect::Umask(_) => {
            None
        }
    }
}
