//! What a program finds around it, where its service says something of that: priority, umask, limits and variables.

use serde::{Deserialize, Serialize};

/// What is set for a program before it is executed, as root where the daemon is root: what a service is to be kept to is
/// not its user's to refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessSettings {
    /// As nice(1) counts: from -20, the most urgent, to 19.
    pub nice: Option<i8>,
    /// Permission bits that new files do not get; 0 to 0o777.
    pub umask: Option<u16>,
    /// Limits, each both soft and hard.
    pub limits: Box<[ResourceLimit]>,
    /// Its variables.
    pub environment: Environment,
}

/// One limit of setrlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResourceLimit {
    /// Of what.
    pub resource: Resource,
    /// In bytes, seconds or descriptors; `None` is no limit.
    pub most: Option<u64>,
}

/// What a process can be limited in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Resource {
    /// Address space, in bytes.
    AddressSpace,
    /// Processor time, in seconds.
    Cpu,
    /// Heap and the like, in bytes.
    Data,
    /// Open descriptors.
    Descriptors,
    /// Resident memory, in bytes; Linux keeps to it no longer.
    Resident,
    /// Stack, in bytes.
    Stack,
}

/// Which variables a program has besides those that speak of its caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Environment {
    /// The daemon's own that it inherits, by their names; all of them when this is `None`.
    pub inherited: Option<Box<[Box<[u8]>]>>,
    /// More of them, as `NAME=value`; they stand before inherited ones of the same name.
    pub set: Box<[Box<[u8]>]>,
}

impl Environment {
    /// Whether a variable of the daemon, as `NAME=value`, is inherited.
    pub fn inherits(&self, variable: &[u8]) -> bool {
        let name = name_of(variable);
        let is_named = |names: &[Box<[u8]>]| names.iter().any(|known| **known == *name);
        self.inherited.as_deref().is_none_or(is_named) && !self.set.iter().any(|own| name_of(own) == name)
    }
}

/// The name in `NAME=value`.
fn name_of(variable: &[u8]) -> &[u8] {
    variable.split(|byte| *byte == b'=').next().unwrap_or_default()
}
