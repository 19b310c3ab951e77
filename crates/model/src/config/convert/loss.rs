//! What the other language cannot say.

use crate::config::syntax::Word;

/// Something that a service says and the other language cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where it stands.
    pub word: Word,
    /// What it is about.
    pub subject: Subject,
    /// What the service would be without it.
    pub weight: Weight,
    /// Why it cannot be said.
    pub why: String,
}

/// What a service is without something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// No more open than before, and the same to who calls it.
    Aside,
    /// More open, or with more rights, or another service to some of its callers.
    Restriction,
    /// Nothing that could be written.
    Whole,
}

/// What is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The name in logs.
    Name,
    /// Addresses, or their families.
    Addresses,
    /// Buffers and options of sockets.
    SocketOptions,
    /// How often it is started.
    Starts,
    /// How many of it run.
    Children,
    /// Starts for one source.
    SourceStarts,
    /// Programs for one source.
    SourceChildren,
    /// Whom it runs as.
    User,
    /// The groups that the user is in besides.
    Groups,
    /// What is executed, with its arguments.
    Command,
    /// Priority, umask, limits and variables of programs.
    Process,
    /// hosts.allow and hosts.deny.
    Tables,
    /// From where, when and under what load it is called.
    Callers,
    /// What is logged of callers and said to them.
    Talk,
    /// The service itself.
    Service,
}

/// Collects them.
#[derive(Default)]
pub(super) struct Losses(pub(super) Vec<Loss>);

impl Losses {
    pub(super) fn add(&mut self, word: &Word, subject: Subject, weight: Weight, why: impl Into<String>) {
        self.0.push(Loss { word: word.clone(), subject, weight, why: why.into() });
    }

    /// Says that a word which may be there is lost.
    pub(super) fn add_some(&mut self, word: Option<&Word>, subject: Subject, weight: Weight, why: &str) {
        if let Some(word) = word {
            self.add(word, subject, weight, why);
        }
    }
}
