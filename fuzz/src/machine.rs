//! A made-up machine: the answers that a check asks for, from a table.

use std::net::{IpAddr, SocketAddr};

use usherd_model::config::{Facts, HostError, NoAnswer, ProgramFault, User};
use usherd_model::process_settings::Resource;

/// A machine that has these users and hosts, for ever.
pub struct Machine {
    /// Whether the daemon is root.
    pub is_root: bool,
    /// Whether the kernel has IPv6.
    pub has_ipv6: bool,
}

const USERS: [(&str, u32, u32); 4] =
    [("root", 0, 0), ("nobody", 65534, 65534), ("alice", 1501, 1501), ("dot.user", 1503, 1503)];
const GROUPS: [(&str, u32); 4] = [("root", 0), ("nogroup", 65534), ("alice", 1501), ("printers", 1602)];
const PORTS: [(&str, u16); 8] = [
    ("echo", 7),
    ("discard", 9),
    ("daytime", 13),
    ("chargen", 19),
    ("ftp", 21),
    ("telnet", 23),
    ("time", 37),
    ("tftp", 69),
];
const HOSTS: [(&str, &str); 4] = [
    ("localhost", "127.0.0.1"),
    ("localhost", "::1"),
    ("multihost", "127.0.0.6"),
    ("multihost", "127.0.0.7"),
];

impl Facts for Machine {
    fn user(&mut self, name: &str) -> Result<Option<User>, NoAnswer> {
        if name.len() == 9 {
            return Err(NoAnswer("no answer".to_owned()));
        }
        let found = USERS.iter().find(|(known, ..)| *known == name);
        Ok(found.map(|(name, uid, gid)| User { name: (*name).to_owned(), uid: *uid, gid: *gid }))
    }

    fn group(&mut self, name: &str) -> Result<Option<u32>, NoAnswer> {
        Ok(GROUPS.iter().find(|(known, _)| *known == name).map(|(_, gid)| *gid))
    }

    fn groups_of(&mut self, _: &str, gid: u32) -> Vec<u32> {
        vec![gid, 1602]
    }

    fn port(&mut self, service: &str, _: &str) -> Option<u16> {
        PORTS.iter().find(|(known, _)| *known == service).map(|(_, port)| *port)
    }

    fn rpc_program(&mut self, name: &str) -> Option<u32> {
        if name == "rstatd" { Some(100_001) } else { None }
    }

    fn network(&mut self, name: &str) -> Result<Option<u32>, NoAnswer> {
        match name.len() {
            7 => Err(NoAnswer("no answer".to_owned())),
            8 => Ok(Some(0x7f00_0000)),
            _ => Ok(None),
        }
    }

    fn host(&mut self, name: &str, v6: bool) -> Result<Vec<SocketAddr>, HostError> {
        let literal = name.parse().ok();
        let named =
            HOSTS.iter().filter(|(known, _)| *known == name).filter_map(|(_, text)| text.parse().ok());
        let addresses = literal.into_iter().chain(named).filter(|address: &IpAddr| address.is_ipv6() == v6);
        let found: Vec<SocketAddr> = addresses.map(|address| SocketAddr::new(address, 0)).collect();
        match name {
            "slow.example" => Err(HostError::Failed("the name server did not answer".to_owned())),
            _ if found.is_empty() => Err(HostError::Unknown),
            _ => Ok(found),
        }
    }

    fn has_ipv6(&mut self) -> bool {
        self.has_ipv6
    }

    fn file(&mut self, path: &[u8], most: usize) -> Result<Vec<u8>, String> {
        if path.len() > 9 {
            Ok(path[..path.len().min(most)].to_vec())
        } else {
            Err("no such file".to_owned())
        }
    }

    fn auth_fault(&mut self, arguments: &[&[u8]]) -> Option<String> {
        if arguments.len() > 3 { Some("too many".to_owned()) } else { None }
    }

    fn program_fault(&mut self, path: &[u8]) -> Option<ProgramFault> {
        match path.len() % 5 {
            0 => Some(ProgramFault::Missing),
            1 => Some(ProgramFault::NotAFile),
            2 => Some(ProgramFault::NotExecutable),
            3 => Some(ProgramFault::NoInterpreterLine),
            _ => None,
        }
    }

    fn unprivileged_as(&mut self) -> Option<User> {
        if self.is_root { None } else { self.user("alice").ok().flatten() }
    }

    fn highest_limit(&mut self, resource: Resource) -> Option<u64> {
        if resource == Resource::Descriptors { Some(1 << 20) } else { None }
    }
}
