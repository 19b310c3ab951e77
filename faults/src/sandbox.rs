//! Namespaces for one case: its own processes, network, /proc and /run.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;

/// Where the harness stands inside, so that every user can start it.
pub const HARNESS: &str = "/run/harness";

/// First half, still outside: starts the case as process 1 of new namespaces.
pub fn enter(words: &[String]) -> ExitCode {
    let flags = UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWPID | UnshareFlags::NEWIPC;
    // SAFETY: this process has one thread, and shares no descriptor table with another.
    if let Err(error) = unsafe { rustix::thread::unshare_unsafe(flags) } {
        eprintln!("faults: no namespaces ({error}); it has to run as root");
        return ExitCode::FAILURE;
    }
    let program = std::env::current_exe().expect("/proc is mounted");
    let mut command = Command::new(program);
    command.arg(crate::command::INSIDE).args(words).stdin(Stdio::null()).current_dir("/").env_clear();
    // strace is looked for by name.
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin");
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: cannot start the case: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Second half, as process 1: mounts and network.
pub fn furnish() -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| format!("prctl: {error}"))?;
    let own = fs::read(std::env::current_exe().map_err(|error| format!("own path: {error}"))?)
        .map_err(|error| format!("own program: {error}"))?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .map_err(|error| format!("mount /: {error}"))?;
    mount("proc", "/proc", "proc", MountFlags::empty(), None)
        .map_err(|error| format!("mount /proc: {error}"))?;
    mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), Some(c"mode=0755"))
        .map_err(|error| format!("mount /run: {error}"))?;
    fs::write(HARNESS, own).map_err(|error| format!("{HARNESS}: {error}"))?;
    fs::set_permissions(HARNESS, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("{HARNESS}: {error}"))?;
    furnish_etc().map_err(|error| format!("/etc: {error}"))?;
    bring_up_loopback()
}

/// An /etc whose tables can be written, and where the name of the caller is found without asking anybody.
fn furnish_etc() -> std::io::Result<()> {
    let kept = ["passwd", "group", "services", "protocols", "rpc", "ld.so.cache", "localtime"];
    let kept = kept.map(|name| (Path::new("/etc").join(name), fs::read(Path::new("/etc").join(name))));
    mount("tmpfs", "/etc", "tmpfs", MountFlags::empty(), Some(c"mode=0755"))?;
    for (path, bytes) in kept {
        // Not every machine has all of them.
        if let Ok(bytes) = bytes {
            fs::write(path, bytes)?;
        }
    }
    fs::write("/etc/nsswitch.conf", "hosts: files\n")?;
    fs::write("/etc/hosts", "127.0.0.1 localhost\n")?;
    fs::write("/etc/hosts.deny", "ALL: ALL\n")
}

fn bring_up_loopback() -> Result<(), String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").map_err(|error| format!("socket: {error}"))?;
    // SAFETY: ifreq is plain data; all zeroes is a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(*b"lo") {
        *slot = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING | libc::IFF_LOOPBACK) as libc::c_short;
    // SAFETY: this request takes a pointer to an ifreq and only reads it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 { Ok(()) } else { Err(format!("loopback: {}", std::io::Error::last_os_error())) }
}
