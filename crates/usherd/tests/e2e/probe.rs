//! The programs that services run: this executable, called by another name.
//!
//! The first argument says what it does, so a configuration line names `/run/e2e/probe probe report`.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{BorrowedFd, FromRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use rustix::net::sockopt;
use rustix::process::{Resource, getegid, geteuid, getgid, getgroups, getrlimit, getuid, umask};
use serde_json::{Value, json};
use usherd_sys::ip_options;
use usherd_sys::process::exit_now;

/// Where it is in a sandbox.
pub const PROBE: &str = "/run/e2e/probe";

/// Whether this process is one.
pub fn is_called() -> bool {
    fs::read_link("/proc/self/exe").is_ok_and(|path| path.as_os_str() == PROBE)
}

/// Does what the first argument says.
pub fn main() -> ! {
    let arguments = fs::read("/proc/self/cmdline").unwrap_or_default();
    let words: Vec<String> =
        arguments.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let number = |index: usize| word(index).parse::<u32>().unwrap_or_default();
    match word(1) {
        "echo" => echo(),
        "hold" => hold(word(2)),
        "say" => say(&words[2..words.len() - 1].join(" ")),
        "accept" => accept(word(2), number(3)),
        "accept-unix" => accept_unix(word(2)),
        "receive" => receive(word(2), number(3)),
        "answer" => answer(word(2)),
        "rpc" => rpc(number(2)),
        "rpc-stream" => rpc_stream(),
        "complain" => complain(word(2), word(3)),
        "call" => call(word(2)),
        "finger" => finger(word(2)),
        "exit" => exit_now(word(2).parse().unwrap_or_default()),
        _ => say(&report(&words[..words.len() - 1]).to_string()),
    }
    exit_now(0)
}

/// All that a program can inherit.
fn report(words: &[String]) -> Value {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map_or_else(String::new, |value| value.trim().to_owned())
    };
    let environment: Vec<String> =
        std::env::vars_os().map(|(name, value)| text([name, value].join("=".as_ref()))).collect();
    let groups: Vec<u32> = getgroups().unwrap_or_default().iter().map(|group| group.as_raw()).collect();
    let pid = rustix::process::getpid();
    let mask = umask(rustix::fs::Mode::empty());
    let limit = getrlimit(Resource::Nofile);
    json!({
        "argv": words,
        "environment": environment,
        "ids": [getuid().as_raw(), geteuid().as_raw(), getgid().as_raw(), getegid().as_raw()],
        "groups": groups,
        "descriptors": descriptors(),
        "blocked": field("SigBlk"),
        "ignored": field("SigIgn"),
        "capabilities": [field("CapInh"), field("CapPrm"), field("CapEff"), field("CapAmb")],
        "pid": pid.as_raw_pid(),
        "parent": field("PPid"),
        "leads_session": leads_session(),
        "folder": std::env::current_dir().map(|folder| text(folder.into())).unwrap_or_default(),
        "umask": format!("{:03o}", mask.bits()),
        "nofile": [limit.current, limit.maximum],
        "name": field("Name"),
        "buffers": [sockopt::socket_recv_buffer_size(stdio(0)).ok(), sockopt::socket_send_buffer_size(stdio(0)).ok()],
        "ip_options": ip_options::get(stdio(0), &mut [0; ip_options::MOST]).unwrap_or_default(),
        "blocks": rustix::fs::fcntl_getfl(stdio(0)).is_ok_and(|flags| !flags.contains(rustix::fs::OFlags::NONBLOCK)),
    })
}

/// By its own entry in `/proc`: a session from outside of the sandbox has the number 0, which is nobody's.
fn leads_session() -> bool {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in brackets: state, parent, process group, session.
    let numbers = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    let own = std::process::id().to_string();
    numbers.skip(2).take(2).collect::<Vec<_>>() == [own.as_str(); 2]
}

/// Open descriptors with what they are, but for the one that looks.
fn descriptors() -> Vec<String> {
    let Ok(folder) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let mut all: Vec<String> = Vec::new();
    for entry in folder.flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        if !target.as_os_str().as_bytes().ends_with(b"/fd") {
            all.push(format!("{} {}", text(entry.file_name()), target.display()));
        }
    }
    all.sort();
    all
}

fn text(value: OsString) -> String {
    String::from_utf8_lossy(&value.into_vec()).into_owned()
}

fn echo() {
    let mut buffer = [0; 65_536];
    while let Ok(length @ 1..) = std::io::stdin().read(&mut buffer) {
        put(&buffer[..length]);
    }
}

/// Says its number and stays until the caller goes.
fn hold(name: &str) {
    say(&format!("{name} {}\n", std::process::id()));
    let mut nothing = [0; 256];
    while let Ok(1..) = std::io::stdin().read(&mut nothing) {}
}

/// Calls somebody, and stays until standard input ends.
fn call(to: &str) {
    let Ok(_connection) = std::net::TcpStream::connect(to) else { exit_now(1) };
    let mut nothing = [0; 256];
    while let Ok(1..) = std::io::stdin().read(&mut nothing) {}
}

/// The client of RFC 1288: `USER@HOST`.
fn finger(whom: &str) {
    let Some((user, host)) = whom.rsplit_once('@') else { exit_now(1) };
    let Ok(mut server) = std::net::TcpStream::connect((host, 79)) else { exit_now(1) };
    let _ = write!(server, "{user}\r\n");
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        put(&buffer[..length]);
    }
}

fn say(text: &str) {
    put(text.as_bytes());
}

/// Straight to the connection: nothing is kept for later.
fn put(mut bytes: &[u8]) {
    while let Ok(written @ 1..) = rustix::io::write(stdio(1), bytes) {
        bytes = &bytes[written..];
    }
}

/// A wait server for streams: serves so many callers, one by one, or all when that is 0, and ends.
fn accept(name: &str, callers: u32) {
    // SAFETY: 0 is open for as long as this process lives, and never closed by us: see ManuallyDrop.
    let listener = ManuallyDrop::new(unsafe { TcpListener::from_raw_fd(0) });
    let mut served = 0;
    while callers == 0 || served < callers {
        let Ok((mut stream, _)) = listener.accept() else { exit_now(1) };
        let _ = writeln!(stream, "{name} {}", std::process::id());
        let mut said = String::new();
        let _ = stream.read_to_string(&mut said);
        if said.trim() == "end" {
            break;
        }
        served += 1;
    }
}

/// The same over a Unix socket, once.
fn accept_unix(name: &str) {
    // SAFETY: 0 is open for as long as this process lives, and never closed by us: see ManuallyDrop.
    let listener = ManuallyDrop::new(unsafe { UnixListener::from_raw_fd(0) });
    if let Ok((mut stream, _)) = listener.accept() {
        let _ = writeln!(stream, "{name} {}", std::process::id());
    }
}

/// A wait server for datagrams: answers so many, or until one says "end", and ends.
fn receive(name: &str, datagrams: u32) {
    // SAFETY: 0 is open for as long as this process lives, and never closed by us: see ManuallyDrop.
    let socket = ManuallyDrop::new(unsafe { UdpSocket::from_raw_fd(0) });
    let mut buffer = [0; 65_536];
    let mut answered = 0;
    while datagrams == 0 || answered < datagrams {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { exit_now(1) };
        let said = String::from_utf8_lossy(&buffer[..length]);
        let _ = socket.send_to(format!("{name} {} {said}", std::process::id()).as_bytes(), from);
        if said == "end" {
            break;
        }
        answered += 1;
    }
}

/// A nowait server for datagrams: answers its one peer until that says "end" or nothing for a while.
fn answer(name: &str) {
    // SAFETY: 0 is open for as long as this process lives, and never closed by us: see ManuallyDrop.
    let socket = ManuallyDrop::new(unsafe { UdpSocket::from_raw_fd(0) });
    let _ = socket.set_read_timeout(Some(Duration::from_secs(30)));
    let mut buffer = [0; 65_536];
    while let Ok(length) = socket.recv(&mut buffer) {
        let said = String::from_utf8_lossy(&buffer[..length]);
        let _ = socket.send(format!("{name} {} {said}", std::process::id()).as_bytes());
        if said == "end" {
            break;
        }
    }
}

/// An RPC server for datagrams: answers so many calls, whatever they ask, and ends.
fn rpc(calls: u32) {
    // SAFETY: 0 is open for as long as this process lives, and never closed by us: see ManuallyDrop.
    let socket = ManuallyDrop::new(unsafe { UdpSocket::from_raw_fd(0) });
    let mut call = [0; 65_536];
    for _ in 0..calls {
        let Ok((length, from)) = socket.recv_from(&mut call) else { exit_now(1) };
        let _ = socket.send_to(&rpc_answer(&call[..length]), from);
    }
}

/// The same for one call over a stream, where a length with a mark stands before each message.
fn rpc_stream() {
    let mut mark = [0; 4];
    let mut input = std::io::stdin().lock();
    if input.read_exact(&mut mark).is_err() {
        exit_now(1);
    }
    let mut call = vec![0; (u32::from_be_bytes(mark) & !(1 << 31)) as usize];
    if input.read_exact(&mut call).is_err() {
        exit_now(1);
    }
    let answer = rpc_answer(&call);
    let mark = 1 << 31 | u32::try_from(answer.len()).unwrap_or_default();
    put(&[&mark.to_be_bytes(), answer.as_slice()].concat());
}

/// That all went well and there is nothing to say: the call's number, then a reply, accepted, no verifier, success.
fn rpc_answer(call: &[u8]) -> Vec<u8> {
    let number = call.first_chunk::<4>().copied().unwrap_or_default();
    [u32::from_be_bytes(number), 1, 0, 0, 0, 0].into_iter().flat_map(u32::to_be_bytes).collect()
}

/// Complains on standard error, and ends with a status.
fn complain(complaint: &str, status: &str) {
    let _ = rustix::io::write(stdio(2), format!("first line\n{complaint}\n").as_bytes());
    exit_now(status.parse().unwrap_or_default());
}

fn stdio(number: i32) -> BorrowedFd<'static> {
    // SAFETY: 0, 1 and 2 are open for as long as this process lives; who starts a probe sees to that.
    unsafe { BorrowedFd::borrow_raw(number) }
}
