//! `usherd status`: asks a running daemon, and shows the answer.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use clap::ArgMatches;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use usherd_model::status::Snapshot;

use crate::control;
use crate::exit_code::Exit;
use crate::output::{answer, complain};
use crate::state_text::state_text;

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let path = matches.get_one::<String>("control").cloned().unwrap_or_else(control::default_path);
    let reply = match ask(&path) {
        Ok(reply) => reply,
        Err(error) => {
            complain(&format!("usherd status: {path}: {error}"));
            complain("hint: is the daemon running, as this user or with --control?");
            return Exit::Unavailable;
        }
    };
    if matches.get_flag("json") {
        return answer(&format!("{reply}\n"), Exit::Success);
    }
    match serde_json::from_str::<Snapshot>(&reply) {
        Ok(snapshot) => answer(&state_text(&snapshot), Exit::Success),
        Err(error) => {
            complain(&format!("usherd status: {path}: not an answer of this version: {error}"));
            Exit::Unavailable
        }
    }
}

fn ask(path: &str) -> std::io::Result<String> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let mut connection = UnixStream::connect(path)?;
    // The path may lie in a folder that others can write to.
    let peer = socket_peercred(&connection)?;
    if !peer.uid.is_root() && peer.uid != geteuid() {
        return Err(std::io::Error::other("the socket is somebody else's"));
    }
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    connection.write_all(b"status\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    if answer.is_empty() {
        return Err(std::io::Error::other("the daemon does not answer (only root and its own user may ask)"));
    }
    Ok(answer)
}
