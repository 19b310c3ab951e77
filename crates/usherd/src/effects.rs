//! What a rule of hosts.allow or hosts.deny does besides letting in and refusing.
//!
//! It is done in the caller's own process, between the daemon and the program, as the program's user: a command that
//! hangs, a banner on a slow line or a folder that nobody may read is the caller's affair and nobody else's. The daemon
//! starts `usherd effects` in the program's place; tcpd does the same in its own process.
//!
//! What cannot be done refuses: no program starts that a rule wanted to have another user, mask or guard.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::net::sockopt::{set_socket_keepalive, set_socket_linger};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Pid, PidfdFlags, Signal as SystemSignal, kill_process_group, nice, pidfd_open, umask};
use rustix::stdio::stdin;
use usherd_model::access::{Asked, Effect, Facts, Found, Lookup, Request, Verdict, banner};
use usherd_model::diagnostic::printable;
use usherd_model::event::Errand;
use usherd_model::service::{CommandLine, OURSELVES, Service};
use usherd_sys::child::{Plan, Strings};
use usherd_sys::process;
use usherd_sys::signal::{self, Signal};

use crate::message;

/// Says something in syslog, in the daemon's name.
pub trait Say {
    /// As an error of libwrap's.
    fn error(&mut self, text: &str);
    /// For those who want to know.
    fn info(&mut self, text: &str);
}

/// Finds something out about the caller, now.
pub type LookUp<'a> = &'a mut dyn FnMut(Lookup, &Request) -> (Found, Option<String>);

/// What is left when all was done.
#[derive(Debug)]
pub enum Done {
    /// The program may start, with these variables.
    Allowed(Vec<(OsString, OsString)>),
    /// This command is executed in its place.
    Twisted(OsString, Vec<(OsString, OsString)>),
    /// The caller is refused.
    Refused,
}

/// A command that has not ended by then is ended, and the caller refused.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most of a banner that is read.
const BANNER: u64 = 64 * 1024;

/// The plan of a program that is started behind its effects. `None` when they are more than a program can be told.
pub fn plan(program: &Plan, service: &Service, errand: &Errand) -> Option<Arc<Plan>> {
    let command = &service.program()?.command;
    let words = hexadecimal(&message::encode(errand).ok()?);
    if words.len() > MOST {
        return None;
    }
    let start = [b"usherd" as &[u8], b"effects", words.as_bytes(), b"--", command.path()];
    let command = CommandLine::new(OURSELVES, start.into_iter().chain(command.arguments()));
    Plan::new(program.setup(), Strings::new(command.text())).map(Arc::new)
}

/// An errand from the word that [`plan`] has made of it.
pub fn errand(word: &str) -> Option<Errand> {
    message::decode(&bytes(word)?).ok()
}

/// The longest word that the kernel passes on: 32 pages.
const MOST: usize = 32 * 4096 - 1;

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let pairs = hexadecimal.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Does all of it, in order. The caller's connection is the standard input.
pub fn carry_out(
    effects: &[Effect],
    verdict: Verdict,
    request: &Request,
    facts: &Facts,
    look_up: LookUp<'_>,
    say: &mut dyn Say,
) -> Done {
    let mut run = Run { request, facts: facts.clone(), look_up, say, variables: Vec::new() };
    let mut is_let_in = true;
    let mut twist = None;
    for effect in effects {
        let done = match effect {
            Effect::Spawn(command) => run.command(command).map(|_| ()),
            Effect::Aclexec(command) => run.command(command).map(|status| {
                is_let_in = status.success();
                run.judge(status);
            }),
            Effect::Twist(command) => {
                twist = Some(OsString::from_vec(command.clone()));
                Ok(())
            }
            Effect::Setenv(name, value) => {
                run.variables.push((OsString::from_vec(name.clone()), OsString::from_vec(value.clone())));
                Ok(())
            }
            Effect::Banners(folder) => {
                run.banner(folder);
                Ok(())
            }
            Effect::KeepAlive => {
                run.warn("setsockopt SO_KEEPALIVE", set_socket_keepalive(stdin(), true));
                Ok(())
            }
            Effect::Linger(seconds) => {
                let time = Some(Duration::from_secs(u64::from(*seconds))).filter(|_| *seconds > 0);
                run.warn("setsockopt SO_LINGER", set_socket_linger(stdin(), time));
                Ok(())
            }
            Effect::Nice(by) => {
                // What comes back is the new value, and may be negative.
                run.warn(&format!("nice({by})"), nice(*by).map(drop));
                Ok(())
            }
            Effect::Umask(mask) => {
                umask(Mode::from_raw_mode(*mask));
                Ok(())
            }
            Effect::User(account) => become_user(account.uid, account.gid, &account.groups)
                .map_err(|error| format!("cannot become {}: {error}", account.name)),
            Effect::Group(gid) => process::set_group_ids(Some(*gid), Some(*gid), Some(*gid))
                .map_err(|error| format!("cannot take the group {gid}: {error}")),
        };
        if let Err(why) = done {
            run.say.error(&format!("error: {why}"));
            is_let_in = false;
            break;
        }
    }
    let variables = run.variables;
    match (is_let_in, verdict, twist) {
        (false, ..) | (true, Verdict::Deny, _) => Done::Refused,
        (true, _, Some(command)) => Done::Twisted(command, variables),
        (true, Verdict::Allow | Verdict::Twist, None) => Done::Allowed(variables),
    }
}

/// Takes one datagram off the socket, if that is what it is, so that a refused one is not seen again.
pub fn sink() {
    let mut nothing = [0_u8; 1];
    let _ = recv(stdin(), &mut nothing, RecvFlags::DONTWAIT | RecvFlags::TRUNC);
}

/// Becomes a program. Only returns when that fails.
pub fn execute(
    path: &Path,
    name: &OsStr,
    arguments: impl Iterator<Item = OsString>,
    variables: Vec<(OsString, OsString)>,
) -> std::io::Error {
    Command::new(path).arg0(name).args(arguments).envs(variables).exec()
}

/// Becomes a shell that runs a command, with the caller on all three descriptors. Only returns when that fails.
pub fn execute_twist(command: &OsStr, variables: Vec<(OsString, OsString)>) -> std::io::Error {
    if let Err(error) = rustix::stdio::dup2_stdout(stdin()).and_then(|()| rustix::stdio::dup2_stderr(stdin()))
    {
        return error.into();
    }
    Command::new(SHELL).arg0("sh").arg("-c").arg(command).envs(variables).exec()
}

const SHELL: &str = "/bin/sh";

struct Run<'a> {
    request: &'a Request,
    facts: Facts,
    look_up: LookUp<'a>,
    say: &'a mut dyn Say,
    variables: Vec<(OsString, OsString)>,
}

impl Run<'_> {
    /// Runs a command without the caller's connection and waits for it.
    fn command(&self, command: &[u8]) -> Result<ExitStatus, String> {
        let shown = printable(command);
        let fail = |error: std::io::Error| format!("cannot run {shown}: {error}");
        // As in the original; a shell passes on what it ignores.
        signal::ignore(Signal::HUP);
        let child = Command::new(SHELL)
            .arg0("sh")
            .arg("-c")
            .arg(OsStr::from_bytes(command))
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        signal::reset(Signal::HUP);
        wait(child.map_err(fail)?, PATIENCE)
            .map_err(fail)?
            .ok_or_else(|| format!("{shown} did not end within {} s and was ended", PATIENCE.as_secs()))
    }

    /// Says what libwrap says of a command that refuses.
    fn judge(&mut self, status: ExitStatus) {
        if let Some(signal) = status.signal() {
            self.say.error(&format!("warning: a command was ended by signal {signal}"));
        }
        if !status.success() {
            self.say.info("aclexec returned 1");
        }
    }

    /// Sends the daemon's file in a folder, as far as the caller takes it. That there is none is no fault.
    fn banner(&mut self, folder: &[u8]) {
        let folder = PathBuf::from(OsStr::from_bytes(folder));
        let path = folder.join(OsStr::from_bytes(&self.request.daemon));
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(BANNER).read_to_end(&mut text));
        if read.is_err() {
            if let Err(error) = std::fs::metadata(&folder) {
                let why = crate::errno::words(crate::errno::from_io(&error));
                self.say.error(&format!("warning: {}: {why}", folder.display()));
            }
            return;
        }
        let asked = Asked::all_of(&self.facts);
        let said = loop {
            match banner(&text, self.request, &self.facts, asked) {
                Ok((said, unrecognized)) => {
                    for letter in unrecognized {
                        self.say.error(&format!("warning: {}: unrecognized %{letter}", path.display()));
                    }
                    break said;
                }
                Err(lookup) => self.learn(lookup),
            }
        };
        let mut rest = said.as_slice();
        while !rest.is_empty() {
            match send(stdin(), rest, SendFlags::NOSIGNAL) {
                Ok(sent @ 1..) => rest = &rest[sent..],
                Err(rustix::io::Errno::INTR) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    fn learn(&mut self, lookup: Lookup) {
        let (found, remark) = (self.look_up)(lookup, self.request);
        if let Some(remark) = remark {
            self.say.error(&format!("warning: {remark}"));
        }
        self.facts.learn(lookup, found);
    }

    fn warn(&mut self, what: &str, done: rustix::io::Result<()>) {
        if let Err(error) = done {
            self.say.error(&format!("warning: {what}: {error}"));
        }
    }
}

/// How a command has ended; `None` for one that had to be ended. What it has put into the background lives on.
fn wait(mut child: Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
        return child.wait().map(Some);
    };
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let patience = Timespec::try_from(patience).unwrap_or_default();
    let mut look = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    loop {
        match poll(&mut look, Some(&patience)) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) => {
                let _ = kill_process_group(pid, SystemSignal::KILL);
                child.wait()?;
                return Ok(None);
            }
            Ok(_) | Err(_) => return child.wait().map(Some),
        }
    }
}

/// Groups first: the user may not change them any more. Whoever is that user already needs no right to become it.
fn become_user(uid: u32, gid: u32, groups: &[u32]) -> std::io::Result<()> {
    if rustix::process::geteuid().is_root() {
        process::set_groups(groups)?;
    }
    process::set_group_ids(Some(gid), Some(gid), Some(gid))?;
    process::set_user_ids(Some(uid), Some(uid), Some(uid))
}

#[cfg(test)]
mod tests {
    use std::process::{ChildStdin, ChildStdout};

    use super::*;
    use usherd_model::access::Endpoint;

    /// A shell with this command that has said that it is ready; what it reads, and what it and its own write to.
    fn shell(command: &str) -> (Child, ChildStdin, ChildStdout) {
        let mut shell = Command::new(SHELL);
        shell.arg("-c").arg(command).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = shell.spawn().expect("a shell");
        let input = child.stdin.take().expect("a pipe");
        let mut output = child.stdout.take().expect("a pipe");
        let mut ready = [0; 6];
        output.read_exact(&mut ready).expect("it says so");
        assert_eq!(&ready, b"ready\n");
        (child, input, output)
    }

    #[test]
    fn a_command_that_does_not_end_is_ended_with_all_that_it_has_started() {
        let (child, _input, mut output) = shell("sleep 86399 & sleep 86399 | cat & echo ready; wait");
        assert!(wait(child, Duration::ZERO).expect("it is ours").is_none());
        // There is an end only when nobody has the pipe any more.
        assert_eq!(output.read_to_end(&mut Vec::new()).expect("read"), 0);
    }

    #[test]
    fn a_command_that_ends_in_time_leaves_what_it_has_put_into_the_background() {
        let (child, input, mut output) =
            shell("exec 3<&0; (read nothing <&3; echo well) & echo ready; exit 3");
        let status = wait(child, PATIENCE).expect("it is ours").expect("it ends");
        assert_eq!(status.code(), Some(3));
        // It reads until now: what is put into the background has no standard input but this.
        drop(input);
        let mut said = String::new();
        output.read_to_string(&mut said).expect("text");
        assert_eq!(said, "well\n");
    }

    #[test]
    fn an_errand_survives_its_way_through_a_command_line() {
        let errand = Errand {
            verdict: Verdict::Allow,
            effects: vec![Effect::Spawn(b"echo \xff 'x'".to_vec()), Effect::Nice(-3)],
            severity: None,
            client: b"joe@a.b".to_vec(),
            request: Request::new(b"in.ftpd", Endpoint::local(), Endpoint::unknown()),
            facts: Facts::default(),
        };
        let word = hexadecimal(&message::encode(&errand).expect("it is no special value"));
        assert_eq!(super::errand(&word), Some(errand));
        assert_eq!(super::errand("0"), None);
    }
}
