//! One case: which call fails, of whom, how.

use std::fmt;

/// What is made to fail, if anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Case {
    /// Nothing: this run says which calls there are.
    Undisturbed,
    /// Nothing, with so many listeners that children share the daemon's descriptor table, as cases of children do.
    Crowded,
    /// A call of the daemon.
    Daemon(Fault),
    /// A call of one child of the daemon, before it is the program: the one that answers this caller.
    Child(Parent, Fault),
}

/// A call that fails once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The system call.
    pub call: String,
    /// The error that it gives, as errno(3) names it.
    pub error: String,
    /// Which occurrence, from 1.
    pub when: u32,
}

/// For whom a child is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// A caller of a stream service.
    Stream,
    /// A datagram for a service that gets the listener.
    Wait,
    /// A datagram for a service that gets a socket of its own.
    Datagram,
    /// A caller whom hosts.allow lets in, after something was done.
    Guarded,
    /// A reload.
    Loader,
    /// A change of hosts.allow.
    Tables,
}

impl Parent {
    /// The first three are in the smoke run.
    pub const ALL: [Parent; 6] =
        [Parent::Stream, Parent::Wait, Parent::Guarded, Parent::Datagram, Parent::Loader, Parent::Tables];

    pub fn name(self) -> &'static str {
        match self {
            Parent::Stream => "stream",
            Parent::Wait => "wait",
            Parent::Datagram => "datagram",
            Parent::Guarded => "guarded",
            Parent::Loader => "loader",
            Parent::Tables => "tables",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.call, self.error, self.when)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Case::Undisturbed => f.write_str("undisturbed"),
            Case::Crowded => f.write_str("crowded"),
            Case::Daemon(fault) => write!(f, "daemon:{fault}"),
            Case::Child(parent, fault) => write!(f, "child:{fault}:{}", parent.name()),
        }
    }
}

impl Case {
    /// The same as words for a command line.
    pub fn to_words(&self) -> Vec<String> {
        self.to_string().split(':').map(str::to_owned).collect()
    }

    /// What [`Self::to_words`] made.
    pub fn from_words(words: &[String]) -> Result<Self, String> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let fault = |call: &str, error: &str, when: &str| -> Result<Fault, String> {
            let when = when.parse().map_err(|_| format!("not a number: {when}"))?;
            Ok(Fault { call: call.to_owned(), error: error.to_owned(), when })
        };
        match words.as_slice() {
            ["undisturbed"] => Ok(Case::Undisturbed),
            ["crowded"] => Ok(Case::Crowded),
            ["daemon", call, error, when] => Ok(Case::Daemon(fault(call, error, when)?)),
            ["child", call, error, when, parent] => {
                let known = Parent::ALL.into_iter().find(|known| known.name() == *parent);
                let parent = known.ok_or_else(|| format!("no such parent: {parent}"))?;
                Ok(Case::Child(parent, fault(call, error, when)?))
            }
            _ => Err("not a case".to_owned()),
        }
    }

    /// Whether there are many listeners.
    pub fn is_crowded(&self) -> bool {
        matches!(self, Case::Crowded | Case::Child(..))
    }

    /// What fails, if anything does.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Case::Undisturbed | Case::Crowded => None,
            Case::Daemon(fault) | Case::Child(_, fault) => Some(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_survives_the_command_line() {
        let fault = Fault { call: "accept4".to_owned(), error: "EMFILE".to_owned(), when: 2 };
        for case in [
            Case::Undisturbed,
            Case::Crowded,
            Case::Daemon(fault.clone()),
            Case::Child(Parent::Loader, fault),
        ] {
            assert_eq!(Case::from_words(&case.to_words()), Ok(case));
        }
    }
}
