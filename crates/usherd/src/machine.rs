//! The machine's data bases, as the configuration asks them. Every answer is remembered: a thousand lines ask for the
//! same user once.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Resource as Limited, Rlimit, geteuid, getrlimit, setrlimit};
use usherd_model::config::{Facts, HostError, NoAnswer, ProgramFault, User};
use usherd_model::process_settings::Resource;
use usherd_sys::names;

use crate::config_files;

/// The machine that this process runs on.
#[derive(Debug, Default)]
pub struct Machine {
    users: HashMap<String, Result<Option<User>, NoAnswer>>,
    groups: HashMap<String, Result<Option<u32>, NoAnswer>>,
    memberships: HashMap<(String, u32), Vec<u32>>,
    ports: HashMap<(String, String), Option<u16>>,
    networks: HashMap<String, Result<Option<u32>, NoAnswer>>,
    hosts: HashMap<(String, bool), Result<Vec<SocketAddr>, HostError>>,
    faults: HashMap<Vec<u8>, Option<ProgramFault>>,
    rpc_programs: Option<HashMap<String, u32>>,
    has_ipv6: Option<bool>,
    unprivileged_as: Option<Option<User>>,
    highest_limits: HashMap<Resource, Option<u64>>,
}

impl Facts for Machine {
    fn user(&mut self, name: &str) -> Result<Option<User>, NoAnswer> {
        let look_up = |name: &str| {
            let Some(name) = names::c_name(name) else { return Ok(None) };
            let found = names::user(&name).map_err(|error| NoAnswer(error.to_string()))?;
            Ok(found.map(|found| User { name: found.name, uid: found.uid, gid: found.gid }))
        };
        self.users.entry(name.to_owned()).or_insert_with_key(|name| look_up(name)).clone()
    }

    fn group(&mut self, name: &str) -> Result<Option<u32>, NoAnswer> {
        let look_up = |name: &str| match names::c_name(name) {
            Some(name) => names::group(&name).map_err(|error| NoAnswer(error.to_string())),
            None => Ok(None),
        };
        self.groups.entry(name.to_owned()).or_insert_with_key(|name| look_up(name)).clone()
    }

    fn groups_of(&mut self, user: &str, gid: u32) -> Vec<u32> {
        let look_up = |key: &(String, u32)| match names::c_name(&key.0) {
            Some(name) => names::groups_of(&name, gid),
            None => vec![gid],
        };
        self.memberships.entry((user.to_owned(), gid)).or_insert_with_key(look_up).clone()
    }

    fn port(&mut self, service: &str, protocol: &str) -> Option<u16> {
        let look_up = |key: &(String, String)| {
            names::service_port(&names::c_name(&key.0)?, &names::c_name(&key.1)?).ok().flatten()
        };
        *self.ports.entry((service.to_owned(), protocol.to_owned())).or_insert_with_key(look_up)
    }

    fn rpc_program(&mut self, name: &str) -> Option<u32> {
        self.rpc_programs.get_or_insert_with(rpc_programs).get(name).copied()
    }

    fn network(&mut self, name: &str) -> Result<Option<u32>, NoAnswer> {
        let look_up = |name: &str| match names::c_name(name) {
            Some(name) => names::network(&name).map_err(|error| NoAnswer(error.to_string())),
            None => Ok(None),
        };
        self.networks.entry(name.to_owned()).or_insert_with_key(|name| look_up(name)).clone()
    }

    fn host(&mut self, name: &str, v6: bool) -> Result<Vec<SocketAddr>, HostError> {
        let look_up = |key: &(String, bool)| {
            let name = names::c_name(&key.0).ok_or(HostError::Unknown)?;
            names::host(&name, v6).map_err(|error| match error {
                names::HostError::Unknown => HostError::Unknown,
                names::HostError::Failed(words) | names::HostError::NotAsked(words) => {
                    HostError::Failed(words)
                }
            })
        };
        self.hosts.entry((name.to_owned(), v6)).or_insert_with_key(look_up).clone()
    }

    fn has_ipv6(&mut self) -> bool {
        *self.has_ipv6.get_or_insert_with(|| socket(AddressFamily::INET6, SocketType::DGRAM, None).is_ok())
    }

    fn program_fault(&mut self, path: &[u8]) -> Option<ProgramFault> {
        match self.faults.get(path) {
            Some(known) => known.clone(),
            None => {
                let fault = program_fault(path);
                self.faults.insert(path.to_vec(), fault.clone());
                fault
            }
        }
    }

    fn file(&mut self, path: &[u8], most: usize) -> Result<Vec<u8>, String> {
        let mut text =
            config_files::text(Path::new(OsStr::from_bytes(path))).map_err(|problem| problem.words())?;
        text.truncate(most);
        Ok(text)
    }

    fn auth_fault(&mut self, arguments: &[&[u8]]) -> Option<String> {
        let words =
            ["ident"].into_iter().map(OsStr::new).chain(arguments.iter().map(|word| OsStr::from_bytes(word)));
        let error = crate::cli::ident().try_get_matches_from(words).err()?;
        Some(error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
    }

    fn unprivileged_as(&mut self) -> Option<User> {
        self.unprivileged_as.get_or_insert_with(unprivileged_as).clone()
    }

    fn highest_limit(&mut self, resource: Resource) -> Option<u64> {
        *self.highest_limits.entry(resource).or_insert_with_key(|resource| highest_limit(*resource))
    }
}

fn unprivileged_as() -> Option<User> {
    let uid = geteuid();
    if uid.is_root() {
        return None;
    }
    let known = names::user_of_uid(uid.as_raw()).ok().flatten();
    let gid = rustix::process::getegid().as_raw();
    Some(match known {
        Some(found) => User { name: found.name, uid: found.uid, gid },
        None => User { name: uid.as_raw().to_string(), uid: uid.as_raw(), gid },
    })
}

/// What can be set is tried: in a container the capability that allows it may be there and mean nothing. This process
/// has the limits that programs are given, but for the soft one of descriptors.
fn highest_limit(resource: Resource) -> Option<u64> {
    let (resource, highest) = match resource {
        Resource::AddressSpace => (Limited::As, None),
        Resource::Cpu => (Limited::Cpu, None),
        Resource::Data => (Limited::Data, None),
        Resource::Descriptors => (Limited::Nofile, Some(most_descriptors())),
        Resource::Resident => (Limited::Rss, None),
        Resource::Stack => (Limited::Stack, None),
    };
    let now = getrlimit(resource);
    // The soft limit stays, so that nothing is different meanwhile.
    match setrlimit(resource, Rlimit { current: now.current, maximum: highest }) {
        Ok(()) => {
            let _ = setrlimit(resource, now);
            highest
        }
        Err(_) => now.maximum,
    }
}

/// `fs.nr_open`, beyond which not even root can go.
fn most_descriptors() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/fs/nr_open").ok();
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(1 << 20)
}

/// The names and aliases of `/etc/rpc`: a name, its number, and aliases. (The C library's look-up would go there, too,
/// wherever nobody has written another data base into nsswitch.conf.)
fn rpc_programs() -> HashMap<String, u32> {
    let mut programs = HashMap::new();
    let text = std::fs::read("/etc/rpc").unwrap_or_default();
    for line in String::from_utf8_lossy(&text).lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let (Some(name), Some(number)) = (words.next(), words.next()) else { continue };
        let Ok(number) = number.parse() else { continue };
        for name in std::iter::once(name).chain(words) {
            programs.entry(name.to_owned()).or_insert(number);
        }
    }
    programs
}

fn program_fault(path: &[u8]) -> Option<ProgramFault> {
    // The daemon looks for a relative path in its own folder, the root.
    let path = Path::new("/").join(OsStr::from_bytes(path));
    let Ok(found) = path.metadata() else { return Some(ProgramFault::Missing) };
    if !found.is_file() {
        return Some(ProgramFault::NotAFile);
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Some(ProgramFault::NotExecutable);
    }
    // As much as the kernel looks at.
    let mut head = [0_u8; 256];
    // What may not be read may still be executed.
    let got = File::open(&path).and_then(|mut file| file.read(&mut head)).ok()?;
    let head = &head[..got];
    if is_text_without_interpreter(head) {
        return Some(ProgramFault::NoInterpreterLine);
    }
    let interpreter = interpreter(head)?;
    // Like the program, it is looked for in the root folder when its path is relative.
    let is_missing = !Path::new("/").join(OsStr::from_bytes(interpreter)).exists();
    if is_missing { Some(ProgramFault::NoInterpreter(interpreter.to_vec())) } else { None }
}

/// The program that a `#!` line names: up to a blank or the line's end. (A carriage return is part of its name.)
fn interpreter(head: &[u8]) -> Option<&[u8]> {
    let line = head.strip_prefix(b"#!")?;
    let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let line = &line[blanks..];
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\n'))?;
    Some(&line[..end])
}

fn is_text_without_interpreter(head: &[u8]) -> bool {
    let text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    !head.starts_with(b"#!") && head.iter().all(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_an_interpreter() {
        assert_eq!(interpreter(b"#! /bin/sh -e\n"), Some(&b"/bin/sh"[..]));
        assert_eq!(interpreter(b"#!/bin/sh\n"), Some(&b"/bin/sh"[..]));
        assert_eq!(interpreter(b"#!/bin/sh\r\n"), Some(&b"/bin/sh\r"[..]));
        assert_eq!(interpreter(b"\x7fELF"), None);
    }
}
