//! tcpd, by name: for super-servers that ask hosts.allow and hosts.deny no other way.
//!
//! It decides about the caller on its standard input, says so in syslog, and becomes the program that its `argv[0]`
//! names. Where the original sleeps for five seconds before a refusal, this one does not.
//!
//! Source: tcpd(8) and `tcpd.c` of Debian's tcp-wrappers.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, getpeername, recvfrom, shutdown};
use rustix::process::umask;
use rustix::stdio::stdin;
use usherd_model::access::{Decision, Facts, Note, NoteKind, Outcome, Request, Tables, decide};

use crate::effects::{self, Done, Say};
use crate::endpoints::endpoints;
use crate::exit_code::Exit;
use crate::journal::Journal;
use crate::{ip_options, lookup, tables};

/// Where a program is that is named without a folder.
const DAEMONS: &str = "/usr/sbin";

pub(super) fn run(mut arguments: impl Iterator<Item = OsString>) -> Exit {
    umask(Mode::from_raw_mode(0o022));
    let Some(own) = arguments.next() else { return Exit::Usage };
    let path = program(&own);
    let name = path.file_name().map_or_else(|| own.clone(), OsStr::to_owned);
    let mut journal = Journal::new(&name.to_string_lossy(), None);
    let (peer, is_datagram) = match caller() {
        Ok(caller) => caller,
        Err(error) if error == Errno::NOTSOCK => {
            journal.error(&format!(
                "error: getpeername: {}",
                crate::errno::words(crate::errno::from_rustix(error))
            ));
            return Exit::Success;
        }
        Err(error) => {
            let why = crate::errno::words(crate::errno::from_rustix(error));
            journal.error(&format!("warning: can't get client address: {why}"));
            (None, true)
        }
    };
    let (client, server) = endpoints(stdin(), peer);
    let request =
        Request { is_datagram, pid: std::process::id(), ..Request::new(name.as_bytes(), client, server) };
    if let Some(options) = ip_options::take(stdin()) {
        journal.ip_options(&options, &request.client.address);
        if options.refuses() {
            // Closing is not enough where whoever started us has the connection, too.
            let _ = shutdown(stdin(), Shutdown::Both);
            return Exit::Success;
        }
    }
    let stamped = tables::read();
    let (decision, facts) = decided(&stamped.tables, &request, &mut journal);
    let done = effects::carry_out(
        &decision.effects,
        decision.verdict,
        &request,
        &facts,
        &mut lookup::find,
        &mut journal,
    );
    journal.severity = decision.severity;
    journal.verdict(&done, &decision.client, &request.client.address);
    answer(done, &path, &name, arguments, &mut journal)
}

/// Becomes what is to answer the caller; or takes its datagram, and ends.
pub(super) fn answer(
    done: Done,
    path: &Path,
    name: &OsStr,
    arguments: impl Iterator<Item = OsString>,
    journal: &mut Journal,
) -> Exit {
    let (error, what) = match done {
        Done::Allowed(variables) => {
            (effects::execute(path, name, arguments, variables), path.display().to_string())
        }
        Done::Twisted(command, variables) => {
            (effects::execute_twist(&command, variables), command.to_string_lossy().into_owned())
        }
        Done::Refused => {
            effects::sink();
            return Exit::Success;
        }
    };
    let why = crate::errno::words(crate::errno::from_io(&error));
    journal.error(&format!("error: cannot execute {what}: {why}"));
    effects::sink();
    Exit::Success
}

/// The program that tcpd stands before, by its own name.
fn program(own: &OsStr) -> PathBuf {
    Path::new(DAEMONS).join(own)
}

/// Who is on the standard input, and whether by a datagram.
fn caller() -> Result<(Option<SocketAddr>, bool), Errno> {
    match getpeername(stdin()) {
        Ok(address) => Ok((address.and_then(|address| SocketAddr::try_from(address).ok()), false)),
        Err(Errno::NOTSOCK) => Err(Errno::NOTSOCK),
        Err(_) => {
            let mut nothing = [0_u8; 0];
            let (_, _, address) = recvfrom(stdin(), &mut nothing, RecvFlags::PEEK)?;
            Ok((address.and_then(|address| SocketAddr::try_from(address).ok()), true))
        }
    }
}

/// Asks the tables, and whoever else has to be asked.
fn decided(tables: &Tables, request: &Request, journal: &mut Journal) -> (Decision, Facts) {
    let mut facts = Facts::default();
    loop {
        match decide(tables, request, &facts) {
            Outcome::Decided(decision) => {
                for note in &decision.notes {
                    journal.error(&note.line(tables));
                }
                return (*decision, facts);
            }
            Outcome::Needs(lookup, rule) => {
                let (found, remark) = lookup::find(lookup, request);
                if let Some(text) = remark {
                    journal.error(&Note { kind: NoteKind::Warning, rule, text }.line(tables));
                }
                facts.learn(lookup, found);
            }
        }
    }
}
