//! Bytes as hosts.allow, hosts.deny and a file that they name.
//!
//! What the language means is compared with libwrap itself, in `fuzz/libwrap`; here nothing may panic, and looking rules
//! up by address has to find what walking through all of them finds.

use std::net::SocketAddr;

use usherd_model::access::{
    Account, Accounts, Asked, Contents, Endpoint, Facts, Files, Found, Request, Tables, banner, decide,
    explain,
};

/// Parts the three texts, which may hold any other byte.
const BETWEEN: u8 = 0xff;

struct Texts<'a>([&'a [u8]; 3]);

impl Files for Texts<'_> {
    fn contents(&mut self, path: &[u8]) -> Contents {
        let [allow, deny, list] = self.0;
        match path {
            b"allow" => Contents::Text(allow.into()),
            b"deny" => Contents::Text(deny.into()),
            b"/list" => Contents::Text(list.into()),
            b"/folder" => Contents::Folder,
            _ => Contents::Missing,
        }
    }
}

struct Nobody;

impl Accounts for Nobody {
    fn account(&mut self, _: &str, _: Option<u32>) -> Result<Option<Account>, String> {
        Ok(None)
    }

    fn gid(&mut self, _: &str) -> Result<Option<u32>, String> {
        Err("nobody answers".to_owned())
    }
}

/// Checks one input.
pub fn check(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == BETWEEN);
    let mut next = || parts.next().unwrap_or_default();
    let (allow, deny, list) = (next(), next(), next());
    let tables = Tables::read("allow", "deny", &mut Texts([allow, deny, list]), &mut Nobody);
    let server = Endpoint::of(([10, 0, 0, 1], 23).into());
    for client in ["10.1.2.3:23", "[2001:db8::1]:4000", "[::ffff:192.0.2.1]:7", ""] {
        let client = client.parse::<SocketAddr>().map_or_else(|_| Endpoint::unknown(), Endpoint::of);
        let request = Request::new(b"in.telnetd", client, server.clone());
        for found in [Found::text(b"a.example.com"), Found::text(b"unknown"), Found::Undecided] {
            let known = || Some(found.clone());
            let facts = Facts { client_name: known(), server_name: known(), user: known() };
            let found = decide(&tables, &request, &facts);
            assert_eq!(found, explain(&tables, &request, &facts).0, "the index leaves something out");
            let _ = banner(list, &request, &facts, Asked::default());
        }
    }
}
