//! A machine of its own for each test: user, mount, pid, net, ipc and uts namespaces.
//!
//! The executable runs itself again, three times: the first run makes the namespaces, the second is process 1 in
//! them, which mounts what a sandbox has and reaps what others leave behind, and the third runs the one test. When
//! the test ends, so does process 1, and the kernel ends whatever is left.
//!
//! As root a sandbox has all users of its `/etc/passwd`. As anybody else it has one, `me`, and tests that need more
//! are skipped by name. `USHERD_FORBID_SKIPS` in the environment makes a skip a failure.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with};
use rustix::process::{Pid, Signal, WaitOptions, getgid, getuid, set_parent_process_death_signal, waitpid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, capabilities, configure_capability_in_ambient_set,
    set_capabilities, unshare_unsafe,
};
use usherd_sys::process::exit_now;

use crate::probe;

/// The program under test, inside.
pub const USHERD: &str = "/run/e2e/usherd";

/// Which run of the executable this is.
const STAGE: &str = "USHERD_E2E_STAGE";
const NAMESPACES: &str = "namespaces";
const INIT: &str = "init";
const TEST: &str = "test";

/// How a run ends that cannot make what it should, and one whose test is skipped.
const NOT_MADE: i32 = 76;
const SKIPPED: i32 = 77;

/// A whole test may take so long before it is ended.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs `body` in a sandbox. To be called by a test function, with nothing beside it.
#[track_caller]
pub fn run(body: impl FnOnce()) {
    if stage() == TEST {
        body();
        return;
    }
    let thread = std::thread::current();
    let name = thread.name().expect("libtest names the thread of a test after the test");
    let (status, output) = run_inside(name);
    match status {
        Some(0) => {}
        Some(SKIPPED | NOT_MADE) => {
            let reason =
                output.lines().find_map(|line| line.split_once("SKIP: ")).map_or("?", |(_, why)| why);
            // Past libtest, which would swallow it: a skip is to be seen.
            let _ = writeln!(std::io::stderr(), "skipped: {name}: {reason}");
            let forbidden = std::env::var_os("USHERD_FORBID_SKIPS").is_some();
            assert!(!forbidden, "skipped, and USHERD_FORBID_SKIPS is set: {reason}");
        }
        status => panic!("in the sandbox ({status:?}):\n{output}"),
    }
}

/// Leaves the test: this machine, or this user, cannot give what it needs.
pub fn skip(reason: &str) -> ! {
    end(SKIPPED, reason)
}

/// Leaves the test unless the sandbox has all the users of its `/etc/passwd`.
pub fn need_users() {
    if !getuid().is_root() {
        skip("needs several users, so root");
    }
}

/// Leaves the test unless the kernel speaks IPv6.
pub fn need_ipv6() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        skip("needs IPv6");
    }
}

/// The name of the user that the test, and so its daemon, runs as.
pub fn user() -> &'static str {
    if getuid().is_root() { "root" } else { "me" }
}

fn stage() -> String {
    std::env::var(STAGE).unwrap_or_default()
}

fn end(status: i32, reason: &str) -> ! {
    let _ = writeln!(std::io::stderr(), "SKIP: {reason}");
    exit_now(status)
}

/// Runs the executable again, and returns how it ended and what it said.
fn run_inside(name: &str) -> (Option<i32>, String) {
    let output = memfd_create("output", MemfdFlags::CLOEXEC).expect("memfd_create");
    let mut output = fs::File::from(output);
    let copy = || Stdio::from(output.try_clone().expect("dup"));
    let mut child = Command::new(std::env::current_exe().expect("current_exe"))
        .args(["--exact", name, "--nocapture"])
        .env(STAGE, NAMESPACES)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(copy())
        .stderr(copy())
        .spawn()
        .expect("the executable runs again");
    let began = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status.code();
        }
        if began.elapsed() > DEADLINE {
            child.kill().expect("kill");
            child.wait().expect("wait");
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut text = Vec::new();
    output.seek(SeekFrom::Start(0)).expect("seek");
    output.read_to_end(&mut text).expect("read");
    (status, String::from_utf8_lossy(&text).into_owned())
}

/// What the first and the second run do, before `main`. Returns in all others.
pub fn make_if_asked() {
    match stage().as_str() {
        NAMESPACES => namespaces(),
        INIT => init(),
        _ => {}
    }
}

/// The first run: makes the namespaces and waits for the second.
fn namespaces() -> ! {
    // Who waits for us may be ended, and all of it ends with us.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let (uid, gid) = (getuid(), getgid());
    let all = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    let flags = if uid.is_root() { all } else { all | UnshareFlags::NEWUSER };
    // SAFETY: no descriptor table is unshared, which is all that the function warns of.
    if let Err(error) = unsafe { unshare_unsafe(flags) } {
        end(NOT_MADE, &format!("no namespaces here: unshare: {error}"));
    }
    if !uid.is_root() {
        let map = |file: &str, text: String| {
            if let Err(error) = fs::write(file, text) {
                end(NOT_MADE, &format!("no user namespace here: {file}: {error}"));
            }
        };
        map("/proc/self/setgroups", "deny".to_owned());
        map("/proc/self/uid_map", format!("{uid} {uid} 1", uid = uid.as_raw()));
        map("/proc/self/gid_map", format!("{gid} {gid} 1", gid = gid.as_raw()));
        keep_capabilities();
    }
    let status = run_stage(INIT).and_then(|mut child| child.wait()).map(|status| status.code());
    match status {
        Ok(Some(status)) => exit_now(status),
        Ok(None) => exit_now(1),
        Err(error) => end(NOT_MADE, &format!("no pid namespace here: {error}")),
    }
}

/// Whoever is not root loses capabilities with an exec, unless they are ambient.
fn keep_capabilities() {
    let wanted = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN | CapabilitySet::DAC_OVERRIDE;
    let sets = capabilities(None).expect("capget");
    set_capabilities(None, CapabilitySets { inheritable: wanted, ..sets }).expect("capset");
    for capability in wanted.iter() {
        configure_capability_in_ambient_set(capability, true).expect("prctl");
    }
}

fn run_stage(next: &str) -> std::io::Result<std::process::Child> {
    Command::new(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(STAGE, next).spawn()
}

/// The second run: process 1 of the sandbox.
fn init() -> ! {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    if let Err(problem) = furnish() {
        end(NOT_MADE, &problem);
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let test = match run_stage(TEST) {
        Ok(child) => Pid::from_child(&child),
        Err(error) => end(NOT_MADE, &format!("the test does not run: {error}")),
    };
    loop {
        match waitpid(None, WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == test => exit_now(status.exit_status().unwrap_or(1)),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => end(1, &format!("wait: {error}")),
        }
    }
}

/// Mounts what a sandbox has: `/proc`, `/run`, `/etc` and `/dev` of its own, and a loopback that is up.
fn furnish() -> Result<(), String> {
    let problem = |what: &str| {
        let what = what.to_owned();
        move |error: rustix::io::Errno| format!("no private mounts here: {what}: {error}")
    };
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).map_err(problem("/"))?;
    mount("proc", "/proc", "proc", MountFlags::NOSUID, None).map_err(problem("/proc"))?;
    let executable = std::env::current_exe().map_err(|error| error.to_string())?;
    tmpfs("/run").map_err(problem("/run"))?;
    let io = |error: std::io::Error| format!("furnishing: {error}");
    fs::create_dir("/run/e2e").map_err(io)?;
    for (from, to) in [(Path::new(env!("CARGO_BIN_EXE_usherd")), USHERD), (&executable, probe::PROBE)] {
        fs::write(to, "").map_err(io)?;
        mount_bind(from, to).map_err(problem(to))?;
    }
    for name in ["inetd", "xinetd"] {
        symlink(USHERD, format!("/run/e2e/{name}")).map_err(io)?;
    }
    furnish_dev().map_err(io)?;
    furnish_etc().map_err(io)?;
    // Sockets of an ordinary user's daemon are to have the ports that old configurations name.
    if !getuid().is_root() {
        fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").map_err(io)?;
    }
    // As on a machine with systemd: a log daemon may be some lines behind. (Older kernels have no such file here.)
    let _ = fs::write("/proc/sys/net/unix/max_dgram_qlen", "512");
    raise_loopback().map_err(|error| format!("no loopback here: {error}"))
}

fn tmpfs(path: &str) -> rustix::io::Result<()> {
    mount("tmpfs", path, "tmpfs", MountFlags::NOSUID, Some(c"mode=0755,size=256m"))
}

/// The usual devices, and room for `/dev/log`.
fn furnish_dev() -> std::io::Result<()> {
    fs::create_dir("/run/dev")?;
    tmpfs("/run/dev")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let (from, to) = (format!("/dev/{name}"), format!("/run/dev/{name}"));
        fs::write(&to, "")?;
        mount_bind(from.as_str(), to.as_str())?;
    }
    for (name, to) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        symlink(format!("/proc/self/fd{to}"), format!("/run/dev/{name}"))?;
    }
    rustix::mount::mount_bind_recursive("/run/dev", "/dev")?;
    Ok(())
}

/// Users, groups and services that tests know, whatever the machine has.
fn furnish_etc() -> std::io::Result<()> {
    let linker = fs::read("/etc/ld.so.cache").ok();
    tmpfs("/etc")?;
    if let Some(linker) = linker {
        fs::write("/etc/ld.so.cache", linker)?;
    }
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let me = if uid == 0 { String::new() } else { format!("me:x:{uid}:{gid}::/:/bin/sh\n") };
    let mine = if gid == 0 { String::new() } else { format!("me:x:{gid}:\n") };
    let files = [
        (
            "passwd",
            format!(
                "root:x:0:0::/root:/bin/sh\n{me}daemon:x:1:1::/:/bin/false\n\
                 alice:x:1001:1001::/:/bin/sh\nbob:x:1002:1002::/:/bin/sh\nbob.smith:x:1003:1002::/:/bin/sh\n\
                 nobody:x:65534:65534::/:/bin/false\n"
            ),
        ),
        (
            "group",
            format!(
                "root:x:0:\n{mine}daemon:x:1:\nalice:x:1001:\nbob:x:1002:\nstaff:x:1101:alice\n\
                 games:x:1102:alice,bob\nnogroup:x:65534:\n"
            ),
        ),
        (
            "services",
            "echo 7/tcp\necho 7/udp\ndiscard 9/tcp sink null\ndiscard 9/udp sink null\ndaytime 13/tcp\n\
             daytime 13/udp\nchargen 19/tcp ttytst source\nchargen 19/udp ttytst source\nftp 21/tcp\n\
             telnet 23/tcp\ntime 37/tcp timserver\ntime 37/udp timserver\ntftp 69/udp\nfinger 79/tcp\n\
             netstat 15/tcp\ntalk 517/udp\nntalk 518/udp\nexample 2500/tcp\n"
                .to_owned(),
        ),
        ("protocols", "ip 0 IP\ntcp 6 TCP\nudp 17 UDP\n".to_owned()),
        ("hosts", "127.0.0.1 localhost\n127.0.0.2 second\n::1 localhost ip6-localhost\n".to_owned()),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nservices: files\nprotocols: files\nhosts: files\n".to_owned(),
        ),
    ];
    for (name, text) in files {
        fs::write(format!("/etc/{name}"), text)?;
    }
    fs::set_permissions("/etc", fs::Permissions::from_mode(0o755))
}

/// Sends one `RTM_NEWLINK` that sets `IFF_UP` on the loopback, which is always the first interface.
fn raise_loopback() -> rustix::io::Result<()> {
    const LENGTH: u32 = 32;
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    const LOOPBACK: u32 = 1;
    let mut message = Vec::new();
    message.extend(LENGTH.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    // Sequence number and port, then an ifinfomsg: family and type, index, flags, and which flags change.
    for word in [0, 0, 0, LOOPBACK, IFF_UP, IFF_UP] {
        message.extend(word.to_ne_bytes());
    }
    // Protocol 0 of this family is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0_u8; 64];
    rustix::net::recv(&socket, &mut answer[..], rustix::net::RecvFlags::empty())?;
    let error = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    if error == 0 { Ok(()) } else { Err(rustix::io::Errno::from_raw_os_error(-error)) }
}
