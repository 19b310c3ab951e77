//! `usherd ident`: the ident service (RFC 1413), a program of its own for each caller.
//!
//! It becomes nobody before it reads, and looks into the home of a connection's owner with his rights and no others. It
//! must never say anything to the caller but the protocol's answer: standard error can be the connection too.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use clap::ArgMatches;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::sockopt::socket_acceptconn;
use rustix::net::{RecvFlags, SendFlags, getpeername, getsockname, recv, send};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::stdio::{stdin, stdout};
use usherd_model::ident::{
    Answer, Connection, Fakeid, Field, Form, Machine, Noident, Options, Ports, Progress, Query, Random,
    Subject, Table, Uid, Unknown, User, answer,
};
use usherd_sys::names::{self, c_name};
use usherd_sys::process;

use crate::caller::{complain, stderr_is_the_caller};
use crate::clock;
use crate::exit_code::Exit;
use crate::privileges::{Keep, PrivilegeError, become_nobody, look_as};

const NAME: &str = "usherd ident";

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let options = options(matches);
    let time = matches.get_one::<Duration>("time-out").copied().unwrap_or_default();
    match serve(&options, time) {
        Ok(()) => Exit::Success,
        Err(error) => {
            complain(NAME, &super::words(&error));
            error.exit()
        }
    }
}

/// Says what is wrong with the command line, if not to a caller.
pub(super) fn misused(error: &clap::Error) -> Exit {
    if error.use_stderr() && stderr_is_the_caller() {
        complain(NAME, error.to_string().lines().next().unwrap_or_default());
        return Exit::Usage;
    }
    super::say_usage(error)
}

fn options(matches: &ArgMatches) -> Options {
    let flag = |name| matches.get_flag(name);
    let field = |name: &str| matches.get_one::<OsString>(name).and_then(|text| Field::new(text.as_bytes()));
    let uname = rustix::system::uname();
    Options {
        subject: match (flag("garbage"), flag("real")) {
            (true, _) => Subject::Garbage,
            (false, true) => Subject::Owner,
            (false, false) => Subject::Fallback,
        },
        fallback: field("fallback"),
        form: if flag("numeric") { Form::Number } else { Form::Name },
        fakeid: match (flag("any-fakeid"), flag("fakeid")) {
            (true, _) => Fakeid::Any,
            (false, true) => Fakeid::Unused,
            (false, false) => Fakeid::Ignored,
        },
        noident: if flag("noident") { Noident::Heeded } else { Noident::Ignored },
        system: Field::system(match matches.get_one::<OsString>("system") {
            Some(name) => name.as_bytes(),
            None => uname.sysname().to_bytes(),
        }),
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum IdentError {
    /// There are rights that cannot be given up.
    Privileges(PrivilegeError),
    /// Standard input is not a connection between two addresses.
    NoConnection(Errno),
}

impl std::fmt::Display for IdentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            IdentError::Privileges(_) => write!(f, "cannot give up rights"),
            IdentError::NoConnection(_) => write!(f, "standard input is not a TCP connection"),
        }
    }
}

impl std::error::Error for IdentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            IdentError::Privileges(error) => Some(error),
            IdentError::NoConnection(error) => Some(error),
        }
    }
}

impl IdentError {
    fn exit(&self) -> Exit {
        match self {
            IdentError::Privileges(_) => Exit::System,
            IdentError::NoConnection(_) => Exit::Usage,
        }
    }
}

/// Hears one query and answers it.
fn serve(options: &Options, time: Duration) -> Result<(), IdentError> {
    let deadline = clock::now().after(time);
    // Name services and home folders on other machines have no deadline of their own.
    process::end_after(u32::try_from(time.as_secs()).unwrap_or(u32::MAX).saturating_add(GRACE));
    let keep = if options.looks_into_homes() { Keep::ChangeOfUser } else { Keep::Nothing };
    become_nobody(keep).map_err(IdentError::Privileges)?;
    let _ = rustix::thread::set_name(c"usherd-ident");
    let hosts = match Hosts::of_connection() {
        Ok(hosts) => hosts,
        // Gone before we were there; but a line that says "wait" is a mistake.
        Err(Errno::NOTCONN) if !socket_acceptconn(stdin()).unwrap_or_default() => return Ok(()),
        Err(error) => return Err(IdentError::NoConnection(error)),
    };
    let mut query = Query::default();
    while hear(&mut query, deadline.since(clock::now())) == Progress::More {}
    let answer = answer(options, &query, &mut Here { hosts }).map_err(IdentError::Privileges)?;
    tell(&answer);
    Ok(())
}

/// How long an answer may take when the question came at the last moment, in seconds.
const GRACE: u32 = 2;

/// Waits so long for more of the query, and takes it. Whole, as far as it goes, is also what has no time left and what
/// is at its end.
fn hear(query: &mut Query, left: Duration) -> Progress {
    if left.is_zero() {
        return Progress::Whole;
    }
    let Ok(left) = Timespec::try_from(left) else { return Progress::Whole };
    let mut waited_for = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
    match poll(&mut waited_for, Some(&left)) {
        Ok(0) => return Progress::Whole,
        Ok(_) | Err(Errno::INTR) => {}
        Err(_) => return Progress::Whole,
    }
    let mut bytes = [0; 1024];
    match recv(stdin(), &mut bytes, RecvFlags::DONTWAIT) {
        Ok((0, _)) => Progress::Whole,
        Ok((length, _)) => query.add(&bytes[..length]),
        Err(Errno::AGAIN | Errno::INTR) => Progress::More,
        Err(_) => Progress::Whole,
    }
}

/// An answer fits into an empty buffer. A caller who has gone, or lets none be empty, gets none.
fn tell(answer: &Answer) {
    let _ = send(stdout(), answer.to_string().as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// The two ends of the caller's connection.
struct Hosts {
    local: IpAddr,
    remote: IpAddr,
}

impl Hosts {
    fn of_connection() -> Result<Self, Errno> {
        let peer = getpeername(stdin())?.ok_or(Errno::NOTCONN)?;
        let [local, remote] = [getsockname(stdin())?, peer].map(SocketAddr::try_from);
        Ok(Self { local: local?.ip(), remote: remote?.ip() })
    }
}

/// This machine, as seen from the caller's connection.
struct Here {
    hosts: Hosts,
}

impl Machine for Here {
    type Stop = PrivilegeError;

    fn owner(&mut self, ports: Ports) -> Result<Option<Uid>, Unknown> {
        let connection = Connection::new(self.hosts.local, self.hosts.remote, ports);
        for table in connection.tables() {
            if let Some(uid) = look_in(*table, &connection)? {
                return Ok(Some(uid));
            }
        }
        Ok(None)
    }

    fn user(&mut self, uid: Uid) -> Result<Option<User>, Unknown> {
        let found = names::user_of_uid(uid.0).map_err(|_| Unknown)?;
        Ok(found.map(|user| User { name: user.name, uid: Uid(user.uid), gid: user.gid, home: user.home }))
    }

    fn look_as(&mut self, user: &User) -> Result<(), PrivilegeError> {
        let groups =
            c_name(&user.name).map_or_else(|| vec![user.gid], |name| names::groups_of(&name, user.gid));
        look_as(user.uid.0, user.gid, &groups)
    }

    fn is_hidden(&mut self, user: &User) -> bool {
        match fs::symlink_metadata(user.home.join(".noident")) {
            Ok(_) => true,
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }

    fn fakeid(&mut self, user: &User) -> Option<Vec<u8>> {
        read_own(&user.home.join(".fakeid"), user.uid)
    }

    fn is_taken(&mut self, name: &Field) -> bool {
        let by_name = c_name(name.as_str()).map_or(Ok(None), |name| names::user(&name));
        let by_number = name.as_str().parse().map_or(Ok(None), names::user_of_uid);
        // What cannot be looked up may be there.
        !matches!((by_name, by_number), (Ok(None), Ok(None)))
    }

    fn random(&mut self) -> Result<Random, Unknown> {
        let mut random = Random::default();
        match getrandom(&mut random, GetRandomFlags::empty()) {
            Ok(length) if length == random.len() => Ok(random),
            Ok(_) | Err(_) => Err(Unknown),
        }
    }
}

/// Whose connection it is, as far as one table says. A kernel without IPv6 has no table for it.
fn look_in(table: Table, connection: &Connection) -> Result<Option<Uid>, Unknown> {
    let path = match table {
        Table::Tcp => "/proc/net/tcp",
        Table::Tcp6 => "/proc/net/tcp6",
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound && table == Table::Tcp6 => return Ok(None),
        Err(_) => return Err(Unknown),
    };
    for line in BufReader::with_capacity(1 << 16, file).split(b'\n') {
        if let Some(uid) = connection.owner(&line.map_err(|_| Unknown)?) {
            return Ok(Some(uid));
        }
    }
    Ok(None)
}

/// The beginning of a file, if it is a plain one and of this owner. Nothing else is even waited for.
fn read_own(path: &Path, owner: Uid) -> Option<Vec<u8>> {
    const MOST: u64 = 64;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).ok()?);
    file.metadata().ok().filter(|about| about.is_file() && about.uid() == owner.0)?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
