//! try-from, by name: shows a caller what TCP wrappers know of it.
//!
//! Source: try-from(8).

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::net::getpeername;
use rustix::stdio::stdin;
use usherd_model::access::{Asked, Facts, Request, banner};

use crate::endpoints::endpoints;
use crate::exit_code::Exit;
use crate::lookup;

/// Two signs for one make a letter out of what would be a value.
const LINES: &[u8] = b"client address  (%%a): %a\n\
                       client hostname (%%n): %n\n\
                       client username (%%u): %u\n\
                       client info     (%%c): %c\n\
                       server address  (%%A): %A\n\
                       server hostname (%%N): %N\n\
                       server process  (%%d): %d\n\
                       server info     (%%s): %s\n";

pub(super) fn run(mut arguments: impl Iterator<Item = OsString>) -> Exit {
    let own = arguments.next().unwrap_or_default();
    let name = Path::new(&own).file_name().unwrap_or_default();
    let peer = getpeername(stdin()).ok().flatten().and_then(|address| SocketAddr::try_from(address).ok());
    let (client, server) = endpoints(stdin(), peer);
    let request = Request { pid: std::process::id(), ..Request::new(name.as_bytes(), client, server) };
    let mut facts = Facts::default();
    let said = loop {
        match banner(LINES, &request, &facts, Asked::default()) {
            Ok((said, _)) => break said,
            Err(needed) => facts.learn(needed, lookup::find(needed, &request).0),
        }
    };
    // It is no banner: its lines end as lines of this system do.
    let text: Vec<u8> = said.into_iter().filter(|byte| *byte != b'\r').collect();
    match std::io::stdout().write_all(&text) {
        Ok(()) => Exit::Success,
        Err(_) => Exit::Output,
    }
}
