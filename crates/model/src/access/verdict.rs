//! What was decided about a caller, as data.

use serde::{Deserialize, Serialize};

use super::option::{Account, Severity};
use super::request::Lookup;
use super::table::{RuleAt, Tables};

/// What a search has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This has to be looked up, for this rule; then it is to be decided anew.
    Needs(Lookup, Option<RuleAt>),
    /// It is decided.
    Decided(Box<Decision>),
}

/// Whether somebody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Yes, if the last [`Effect::Aclexec`] command says so too.
    Allow,
    /// No.
    Deny,
    /// A command answers in the program's place.
    Twist,
}

/// What was decided about a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is let in.
    pub verdict: Verdict,
    /// The rule that decided; none when no rule matched, or hosts.deny cannot be read.
    pub rule: Option<RuleAt>,
    /// It was refused because something could not be found out.
    pub is_undecided: bool,
    /// Where the line about it goes, when a rule says so.
    pub severity: Option<Severity>,
    /// What is to be done, in order, also for one that is refused.
    pub effects: Vec<Effect>,
    /// The options that were carried out, as `name value`.
    pub options: Vec<Vec<u8>>,
    /// Who called, for the log: `user@name`, as far as that was asked for.
    pub client: Vec<u8>,
    /// What is to be said.
    pub notes: Vec<Note>,
}

impl Decision {
    /// Nobody could find out what would have to be known.
    pub fn undecided() -> Self {
        Self { is_undecided: true, ..Self::new(Verdict::Deny, None) }
    }

    pub(super) fn new(verdict: Verdict, rule: Option<RuleAt>) -> Self {
        Self {
            verdict,
            rule,
            is_undecided: false,
            severity: None,
            effects: Vec::new(),
            options: Vec::new(),
            client: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Something that a rule does besides letting in or refusing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Run this with a shell, without the caller's connection.
    Spawn(Vec<u8>),
    /// The same, and refuse when it fails. Of several the last one counts.
    Aclexec(Vec<u8>),
    /// Run this with a shell in the program's place.
    Twist(Vec<u8>),
    /// Set an environment variable.
    Setenv(Vec<u8>, Vec<u8>),
    /// Send the daemon's file in this folder to the caller.
    Banners(Vec<u8>),
    /// Have the kernel find out when the caller is gone.
    KeepAlive,
    /// Hold a closed connection for so many seconds until all is sent.
    Linger(u32),
    /// Change the priority by this.
    Nice(i32),
    /// Set the file mode mask.
    Umask(u32),
    /// Become this user.
    User(Account),
    /// Take this group.
    Group(u32),
}

/// Something that libwrap says in syslog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How it is said.
    pub kind: NoteKind,
    /// At which rule; none for a table as a whole.
    pub rule: Option<RuleAt>,
    /// In libwrap's words.
    pub text: String,
}

impl Note {
    /// The line as libwrap writes it.
    pub fn line(&self, tables: &Tables) -> String {
        let kind = match self.kind {
            NoteKind::Warning => "warning",
            NoteKind::Error => "error",
        };
        match self.rule {
            None => format!("{kind}: {}", self.text),
            Some(rule) => format!("{kind}: {}, line {}: {}", tables.path(rule.table), rule.line, self.text),
        }
    }
}

/// How something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The rule is followed all the same.
    Warning,
    /// The caller is refused for it.
    Error,
}
