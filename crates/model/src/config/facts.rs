//! What a check has to know about the machine.

use std::net::SocketAddr;

use crate::process_settings::Resource;

/// A data base has not answered, in its own words. That is not "no": what is meant by a name may hang on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer(pub String);

/// Answers from the machine's data bases. Each answer is looked up when it is asked for and may be remembered.
pub trait Facts {
    /// The user of that name, if there is one.
    fn user(&mut self, name: &str) -> Result<Option<User>, NoAnswer>;
    /// The number of the group of that name, if there is one.
    fn group(&mut self, name: &str) -> Result<Option<u32>, NoAnswer>;
    /// All groups of a user whose primary group is `gid`, `gid` included.
    fn groups_of(&mut self, user: &str, gid: u32) -> Vec<u32>;
    /// The port of a service by its name or alias.
    fn port(&mut self, service: &str, protocol: &str) -> Option<u16>;
    /// The number of an RPC program by its name or alias.
    fn rpc_program(&mut self, name: &str) -> Option<u32>;
    /// The number of an IPv4 network by its name or alias.
    fn network(&mut self, name: &str) -> Result<Option<u32>, NoAnswer>;
    /// The addresses of a host name or literal in one family, with port 0, without repetitions.
    fn host(&mut self, name: &str, v6: bool) -> Result<Vec<SocketAddr>, HostError>;
    /// Whether the kernel has IPv6 sockets.
    fn has_ipv6(&mut self) -> bool;
    /// What would keep a program from starting, as far as can be seen now.
    fn program_fault(&mut self, path: &[u8]) -> Option<ProgramFault>;
    /// The beginning of a file, up to so many bytes; or why it cannot be read.
    fn file(&mut self, path: &[u8], most: usize) -> Result<Vec<u8>, String>;
    /// What is wrong with the arguments of `internal auth`, for those who wrote them.
    fn auth_fault(&mut self, arguments: &[&[u8]]) -> Option<String>;
    /// The daemon's own user, when it is not root and so can start programs only as that one.
    fn unprivileged_as(&mut self) -> Option<User>;
    /// The highest limit that a program can be given; `None` when it can be left without one.
    fn highest_limit(&mut self, resource: Resource) -> Option<u64>;
}

/// A user as the data base has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
}

/// Why a host name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostError {
    /// The name is not known in that family.
    Unknown,
    /// The data base did not answer; its own words.
    Failed(String),
}

/// What is wrong with a program's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramFault {
    /// There is no such file.
    Missing,
    /// It is a folder, a device or a socket.
    NotAFile,
    /// Nobody may execute it.
    NotExecutable,
    /// It is a text without a `#!` line.
    NoInterpreterLine,
    /// Its `#!` line names this program, which there is not.
    NoInterpreter(Vec<u8>),
}
