//! The probe: the program that service lines in the cases run, `/srv/probe`.
//!
//! It tells what it was given, or obeys the caller. It must change nothing before it has looked: no file is
//! opened and no signal touched first.
//!
//! ```text
//! /srv/probe NAME ARG...          tell (a report) and exit; on a listener or datagram socket, to one caller
//! /srv/probe NAME do=obey         obey commands, one a line or datagram: pid, report, exit N, kill N, env NAME
//! /srv/probe NAME do=late         wait 300 ms before the first look at the socket, then as do=obey
//! /srv/probe NAME do=cat          send every byte back
//! /srv/probe NAME do=flood N      write N bytes
//! /srv/probe NAME do=stderr TEXT  write TEXT on descriptor 2
//! ```

use std::ffi::{CStr, OsStr};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::os::fd::{BorrowedFd, FromRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt;

use crate::report;

/// Gets a line for every start.
pub const STARTS: &str = "/srv/starts";

/// True when this binary was executed as the probe, whatever its argv[0] says: that is up to the service line.
pub fn is_called_for() -> bool {
    // SAFETY: getauxval reads the auxiliary vector and has no precondition.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) };
    if name == 0 {
        return false;
    }
    // SAFETY: the kernel puts a C string there which lives as long as the process.
    let name = unsafe { CStr::from_ptr(name as *const libc::c_char) };
    Path::new(OsStr::from_bytes(name.to_bytes())).file_name() == Some(OsStr::new("probe"))
}

pub fn run() -> i32 {
    let own = describe();
    note_start();
    let arguments: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let mode = arguments.get(1).and_then(|word| word.strip_prefix("do=")).unwrap_or("tell");
    let value = arguments.get(2).map_or("", String::as_str);
    match mode {
        "tell" => tell(&own),
        "obey" => obey(&own),
        "late" => {
            std::thread::sleep(Duration::from_millis(300));
            obey(&own);
        }
        "cat" => cat(),
        "flood" => flood(value.parse().unwrap_or(0)),
        "stderr" => drop(write_all(2, value.as_bytes())),
        _ => drop(write_all(1, format!("no such mode {mode}\n").as_bytes())),
    }
    0
}

// ---- looking -----------------------------------------------------------------------------------------------

fn describe() -> String {
    let mut out = String::new();
    let mut put = |key: &str, value: &dyn std::fmt::Display| {
        writeln!(out, "{key} {value}").expect("a String takes everything");
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let descriptors = open_descriptors();
    put("fds", &join(descriptors.iter().map(|(number, _)| number)));
    for (number, target) in &descriptors {
        put(&format!("fd[{number}]"), target);
    }
    for line in status.lines() {
        if let Some((key, value)) = line.split_once(":") {
            let words: Vec<&str> = value.split_whitespace().collect();
            put(key, &words.join(" "));
        }
    }
    let arguments: Vec<_> = std::env::args_os().collect();
    put("argc", &arguments.len());
    for (index, word) in arguments.iter().enumerate() {
        put(&format!("argv[{index}]"), &word.to_string_lossy());
    }
    for (name, value) in std::env::vars_os() {
        put(&format!("env[{}]", name.to_string_lossy()), &value.to_string_lossy());
    }
    let cwd = std::env::current_dir().map(|path| path.display().to_string());
    put("cwd", &cwd.unwrap_or_else(|error| error.to_string()));
    put("pid", &std::process::id());
    put("sid", &rustix::process::getsid(None).map_or(-1, |sid| sid.as_raw_nonzero().get()));
    put("pgid", &rustix::process::getpgrp().as_raw_nonzero());
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    put("nofile", &format!("{} {}", show_limit(limit.current), show_limit(limit.maximum)));
    put("nice", &rustix::process::getpriority_process(None).unwrap_or(99));
    for (name, value) in resource_limits() {
        put(&format!("limit[{name}]"), &value);
    }
    let socket = borrow(0);
    put("listening", &sockopt::socket_acceptconn(socket).unwrap_or(false));
    put("nodelay", &sockopt::tcp_nodelay(socket).unwrap_or(false));
    put("keepalive", &sockopt::socket_keepalive(socket).unwrap_or(false));
    put("rcvbuf", &sockopt::socket_recv_buffer_size(socket).unwrap_or(0));
    put("sndbuf", &sockopt::socket_send_buffer_size(socket).unwrap_or(0));
    put("v6only", &sockopt::ipv6_v6only(socket).unwrap_or(false));
    put("backlog", &listen_backlog(0));
    put("peer", &show_address(rustix::net::getpeername(socket).ok().flatten()));
    put("local", &show_address(rustix::net::getsockname(socket).ok()));
    for number in 0..3 {
        let flags = rustix::fs::fcntl_getfl(borrow(number));
        let nonblocking = flags.is_ok_and(|flags| flags.contains(rustix::fs::OFlags::NONBLOCK));
        put(&format!("nonblocking[{number}]"), &nonblocking);
    }
    out.push_str(report::END);
    out.push('\n');
    out
}

/// Soft and hard limits, in the kernel's words for them.
fn resource_limits() -> Vec<(String, String)> {
    const WIDTH_OF_NAMES: usize = 26;
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let lines = text.lines().skip(1).filter_map(|line| line.split_at_checked(WIDTH_OF_NAMES));
    let both = |values: &str| values.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    lines.map(|(name, values)| (name.trim().replace(' ', "-"), both(values))).collect()
}

/// Descriptors with what they lead to, without the one that is needed to look.
fn open_descriptors() -> Vec<(RawFd, String)> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let mut found: Vec<(RawFd, String)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?.display().to_string();
            Some((number, target))
        })
        .filter(|(_, target)| !(target.starts_with("/proc/") && target.ends_with("/fd")))
        .collect();
    found.sort_unstable();
    found
}

/// The length that was given to listen(2): Linux shows it in place of the SACK counter.
fn listen_backlog(fd: RawFd) -> u32 {
    // SAFETY: tcp_info is plain numbers; all zeroes is a value of it.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: `info` and `length` describe memory of this frame that outlives the call.
    let result = unsafe {
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut length)
    };
    if result == 0 { info.tcpi_sacked } else { 0 }
}

fn show_address(address: Option<rustix::net::SocketAddrAny>) -> String {
    let Some(address) = address else {
        return "none".to_owned();
    };
    std::net::SocketAddr::try_from(address).map_or_else(|_| "other".to_owned(), |known| known.to_string())
}

fn show_limit(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}

fn join(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}

fn note_start() {
    if let Ok(mut file) = fs::OpenOptions::new().append(true).open(STARTS) {
        // Whether the note could be written is for the case to find out.
        let _ = writeln!(file, "{}", std::process::id());
    }
}

// ---- speaking ----------------------------------------------------------------------------------------------

enum Given {
    Connection,
    Listener,
    Datagrams,
}

fn what_is_given() -> Given {
    let socket = borrow(0);
    if sockopt::socket_type(socket) == Ok(rustix::net::SocketType::DGRAM) {
        Given::Datagrams
    } else if sockopt::socket_acceptconn(socket).unwrap_or(false) {
        Given::Listener
    } else {
        Given::Connection
    }
}

fn tell(own: &str) {
    match what_is_given() {
        Given::Connection => drop(write_all(1, own.as_bytes())),
        Given::Listener => {
            if let Some(mut stream) = accept() {
                // A caller who left does not want the report.
                let _ = stream.write_all(own.as_bytes());
            }
        }
        Given::Datagrams => answer_datagrams(|_| Some(own.to_owned()), 1),
    }
}

fn obey(own: &str) {
    match what_is_given() {
        Given::Connection => obey_connection(own, &connection(0), &connection(1)),
        Given::Listener => {
            while let Some(stream) = accept() {
                obey_connection(own, &stream, &stream);
            }
        }
        Given::Datagrams => answer_datagrams(|request| carry_out(own, request), usize::MAX),
    }
}

fn obey_connection(own: &str, input: &TcpStream, mut output: &TcpStream) {
    for line in BufReader::new(input).lines() {
        let Some(answer) = line.ok().and_then(|line| carry_out(own, &line)) else {
            return;
        };
        if output.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn answer_datagrams(mut answer: impl FnMut(&str) -> Option<String>, count: usize) {
    let mut buffer = [0_u8; 65536];
    for _ in 0..count {
        // recvfrom and sendto of libc: the socket may be of any family.
        let mut from = rustix::net::recvfrom(borrow(0), &mut buffer[..], rustix::net::RecvFlags::empty());
        let Ok((length, _, Some(from))) = &mut from else {
            return;
        };
        let request = String::from_utf8_lossy(&buffer[..*length]).into_owned();
        let Some(text) = answer(request.trim_end()) else {
            return;
        };
        let flags = rustix::net::SendFlags::empty();
        if rustix::net::sendto(borrow(0), text.as_bytes(), flags, from).is_err() {
            // Connected sockets (one per peer) take no address.
            let _ = rustix::net::send(borrow(0), text.as_bytes(), flags);
        }
    }
}

/// The answer to one command; `exit` and `kill` have none.
fn carry_out(own: &str, command: &str) -> Option<String> {
    let (verb, value) = command.split_once(' ').unwrap_or((command, ""));
    match verb {
        "pid" => Some(format!("{}\n", std::process::id())),
        "report" => Some(own.to_owned()),
        "argv" => Some(format!("{}\n", std::env::args().collect::<Vec<_>>().join(" "))),
        "uid" => Some(format!("{}\n", rustix::process::geteuid().as_raw())),
        "exit" => std::process::exit(value.parse().unwrap_or(99)),
        "kill" => {
            // SAFETY: a signal to this process; none of its memory is involved.
            unsafe { libc::raise(value.parse().unwrap_or(libc::SIGKILL)) };
            None
        }
        _ => Some(format!("what is {command:?}\n")),
    }
}

fn cat() {
    let (mut input, mut output) = (connection(0), connection(1));
    // Both ways of ending, a caller's end of file and a reset, are the end of this service.
    let _ = std::io::copy(&mut *input, &mut *output);
}

fn flood(mut bytes: usize) {
    let block = [b'x'; 8192];
    while bytes > 0 {
        let length = bytes.min(block.len());
        if write_all(1, &block[..length]).is_err() {
            return;
        }
        bytes -= length;
    }
}

fn write_all(fd: RawFd, bytes: &[u8]) -> std::io::Result<()> {
    connection(fd).write_all(bytes)
}

/// Descriptor `fd` as a stream; reading and writing are the same for TCP and unix sockets.
fn connection(fd: RawFd) -> ManuallyDrop<TcpStream> {
    // SAFETY: 0 to 2 are the service's own descriptors; ManuallyDrop leaves them open.
    ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(fd) })
}

/// The next caller on the listener; std's accept would refuse a unix socket.
fn accept() -> Option<TcpStream> {
    rustix::net::accept(borrow(0)).ok().map(TcpStream::from)
}

fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: 0 to 2 are never closed by the probe; a missing one answers EBADF, which is reported.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
