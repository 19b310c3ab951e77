//! What both are asked: a caller, what would be found out about it, and the files.

use std::fmt;
use std::net::SocketAddr;

/// Who calls what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub daemon: Vec<u8>,
    pub client: Caller,
    pub server: Option<SocketAddr>,
    /// What looking it up would bring.
    pub client_name: Vec<u8>,
    /// What looking it up would bring.
    pub server_name: Vec<u8>,
    /// What asking the caller's machine would bring; or what is known without asking.
    pub user: Vec<u8>,
    pub is_user_given: bool,
    pub is_datagram: bool,
    pub is_resident: bool,
    /// Whether commands of `aclexec` fail. All others succeed.
    pub aclexec_fails: bool,
    /// Whether libwrap is kept from opening a file that it is reading. Usherd never does.
    pub has_no_rings: bool,
    /// `/allow` and `/deny`, unless they are missing, and what they name.
    pub files: Vec<(String, Contents)>,
}

/// The caller's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    Unknown,
    Socket(SocketAddr),
    /// By texts alone, as with hosts_ctl(3).
    Text {
        address: Vec<u8>,
        name: Option<Vec<u8>>,
    },
}

/// What a path leads to. What is not there is not among the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    Text(Vec<u8>),
    Folder,
    Refused,
    /// A folder, where opening one fails as it does for writing.
    RefusedFolder,
}

impl Question {
    /// The texts among the files.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().filter_map(|(path, contents)| match contents {
            Contents::Text(text) => Some((path.as_str(), text.as_slice())),
            Contents::Folder | Contents::Refused | Contents::RefusedFolder => None,
        })
    }
}

impl fmt::Display for Question {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.client {
            Caller::Unknown => writeln!(out, "  client unknown")?,
            Caller::Socket(address) => writeln!(out, "  client {address}")?,
            Caller::Text { address, name } => {
                let name = name.as_deref().map(|name| name.escape_ascii().to_string());
                writeln!(out, "  client \"{}\", called {name:?}", address.escape_ascii())?;
            }
        }
        writeln!(out, "  server {:?}, daemon \"{}\"", self.server, self.daemon.escape_ascii())?;
        writeln!(
            out,
            "  names \"{}\" \"{}\", user \"{}\"{}{}{}{}",
            self.client_name.escape_ascii(),
            self.server_name.escape_ascii(),
            self.user.escape_ascii(),
            if self.is_user_given { " (given)" } else { "" },
            if self.is_datagram { ", datagram" } else { "" },
            if self.is_resident { ", resident" } else { "" },
            if self.aclexec_fails { ", aclexec fails" } else { "" },
        )?;
        for (path, contents) in &self.files {
            match contents {
                Contents::Text(text) => writeln!(out, "  {path}: \"{}\"", text.escape_ascii())?,
                Contents::Folder | Contents::RefusedFolder => writeln!(out, "  {path}: a folder")?,
                Contents::Refused => writeln!(out, "  {path}: permission denied")?,
            }
        }
        Ok(())
    }
}
