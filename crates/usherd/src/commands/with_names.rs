//! `usherd with-names`: the host names of both ends, for a program that wants them (`inetd --resolve`).
//!
//! It stands between the daemon and the program, as the program's user: a name service that hangs makes its own caller
//! wait and nobody else. A name that is not known is unset.

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use clap::ArgMatches;
use usherd_sys::names;

use crate::caller::complain;
use crate::exit_code::Exit;

/// The variables with the addresses, and those for the names.
const NAMES: [(&str, &str); 2] = [("TCPREMOTEIP", "TCPREMOTEHOST"), ("TCPLOCALIP", "TCPLOCALHOST")];

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let mut words = matches.get_many::<OsString>("program").into_iter().flatten();
    let (Some(path), Some(name)) = (words.next(), words.next()) else { return Exit::Usage };
    // As the daemon does: what is not absolute is looked for in the root folder, and never in PATH.
    let mut program = Command::new(Path::new("/").join(path));
    program.arg0(name).args(words);
    for (address, host) in NAMES {
        let address = std::env::var(address).ok().and_then(|text| text.parse::<IpAddr>().ok());
        let name = address.map(|address| names::name_of(SocketAddr::new(address, 0)));
        match name.and_then(|name| name.ok().flatten()) {
            Some(name) => program.env(host, OsStr::from_bytes(name.to_bytes())),
            None => program.env_remove(host),
        };
    }
    let error = program.exec();
    complain("usherd with-names", &format!("cannot execute {}: {error}", path.display()));
    Exit::Failure
}
