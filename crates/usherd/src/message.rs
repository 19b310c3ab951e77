//! What the core and its helpers say to each other.
//!
//! One request, one reply, each a version and one postcard value. The request comes in a memory file, the reply goes
//! through a pipe; the core believes a helper's words (it has the core's rights) but not its length.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use usherd_model::access::Found;
use usherd_model::config::Defaults;
use usherd_model::config::inetd::DialectName;
use usherd_model::diagnostic::Reports;
use usherd_model::lookups::Question;
use usherd_model::registry::{Refusal, Tidings};
use usherd_model::service::Config;

use crate::tables::{Stamps, TablePaths};

/// What a helper is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    /// Read the configuration, and answer with a [`Reply`].
    Load(Request),
    /// Read hosts.allow and hosts.deny, and answer with [`crate::tables::Stamped`].
    ReadTables(TablePaths),
    /// Tell rpcbind, and answer with a [`Told`].
    Register(Tidings),
}

/// What rpcbind did not take, or why it could not be told anything.
pub type Told = Result<Vec<Refusal>, String>;

/// What is to be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Where from, in order.
    pub sources: Vec<SourceSpec>,
    /// Which original the files are read like.
    pub dialect: DialectName,
    /// What holds where a line says nothing else.
    pub defaults: Defaults,
    /// Which tables are read when a service asks them.
    pub tables: TablePaths,
}

/// Where services come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceSpec {
    /// A file.
    File(String),
    /// A file in the language of xinetd.conf, whatever it looks like.
    Xinetd(String),
    /// An inetd.conf whose services are xinetd's: those that no xinetd.conf has.
    InetdForXinetd(String),
    /// A folder whose files are read.
    Folder(String),
    /// A text that is no file, with a name for diagnostics.
    Text {
        /// What diagnostics call it.
        name: String,
        /// The text.
        text: Vec<u8>,
    },
    /// One service from a command line.
    Command(CommandLine),
}

impl SourceSpec {
    /// A path by what it is now. One that is something else at a later load is as good as unreadable: an empty folder
    /// in the place of a file does not say that all its services are gone.
    pub fn path(path: String) -> Self {
        if std::path::Path::new(&path).is_dir() { SourceSpec::Folder(path) } else { SourceSpec::File(path) }
    }
}

/// What `usherd resolve` is to find out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Comes back with the answer.
    pub id: u64,
    /// What.
    pub question: Question,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// First: it has given its rights up, and answers.
    Ready {
        /// What this kernel lacks of that, and could be done without.
        missing: Option<String>,
    },
    /// First and last: it could not give its rights up, for this reason, and ends.
    Refused(String),
    /// An answer.
    Answer(Answer),
}

/// What it has found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Of the question.
    pub id: u64,
    /// The answer; none when it could not ask.
    pub found: Option<Found>,
    /// What is to be said about it.
    pub remark: Option<String>,
}

/// The most that an answer, or a question, may take.
pub const MOST_OF_ANSWER: usize = 1024;

/// The words of `usherd serve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLine {
    /// Where to listen, each as written.
    pub listen: Vec<String>,
    /// Whom to run as; empty for the daemon's own user.
    pub user: String,
    /// Whether the program gets the listener.
    pub wait: bool,
    /// The program and its arguments.
    pub program: Vec<Vec<u8>>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// All that could be used.
    pub config: Config,
    /// What is to be said about it.
    pub reports: Reports,
    /// What the files of [`Config::tables`] were.
    pub stamps: Stamps,
}

/// Raised with every change of the types here. Core and helpers are one file, so this can only differ when something
/// is very wrong.
const VERSION: u8 = 4;

/// The most that a reply may take: some hundred thousand services.
pub const MOST: usize = 64 << 20;

/// A message as bytes.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_extend(message, vec![VERSION])
}

/// A message from bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}
