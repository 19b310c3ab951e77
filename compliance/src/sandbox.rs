//! Namespaces for one case, and the furniture in them: /etc, /run, /dev, /tmp, /srv and a network.
//!
//! Everything a case can change is private to it, and everything it started ends with it: process 1 of the
//! PID namespace is the case itself. Nothing here may touch the machine outside.

use std::ffi::CString;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use rustix::thread::UnshareFlags;

use crate::command::{ONE_CASE, OneCase};
use crate::daemon;
use crate::server::{Server, originals};

/// Where the server under test stands inside.
pub const SERVER_FOLDER: &str = "/srv/server";
/// Where the unpacked originals stand inside (`killall`, `update-inetd`, libraries).
pub const ORIGINALS: &str = "/srv/originals";
/// Addresses of the loopback interface beside 127.0.0.0/8: built-ins of the originals do not answer 127.
pub const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];
/// An IPv6 address beside ::1, which name look-ups treat in their own way.
pub const V6_ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

const STAGE: &str = "/mnt";

/// Where programs of the archive find the libraries that were unpacked with them.
pub fn library_path() -> String {
    let folder = |tail: &str| format!("{ORIGINALS}/libs/{tail}/{}-linux-gnu", std::env::consts::ARCH);
    format!("{}:{}", folder("usr/lib"), folder("lib"))
}

/// First half, still outside: unshare, then start the case as process 1 of the new namespaces.
pub fn enter_and_start_again(arguments: &[String]) -> i32 {
    // A run that is interrupted leaves nothing behind. This cannot fail with a valid signal.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    // SAFETY: this process has one thread, and shares no descriptor table with another.
    if let Err(error) = unsafe { rustix::thread::unshare_unsafe(flags) } {
        eprintln!("compliance: no namespaces ({error}); the suite has to run as root");
        return 2;
    }
    disinherit();
    let program = std::env::current_exe().expect("/proc is mounted");
    let mut command = Command::new(program);
    command.arg(ONE_CASE).args(arguments).stdin(Stdio::null()).current_dir("/").env_clear();
    match command.status() {
        Ok(status) => status.code().unwrap_or(3),
        Err(error) => {
            eprintln!("compliance: cannot start the case: {error}");
            2
        }
    }
}

/// Lets nothing of whoever started the suite reach a case: no open descriptor, and no signal that a shell had
/// its background jobs ignore.
fn disinherit() {
    // SAFETY: closes nothing; marks what is open above 2 as close-on-exec.
    let marked = unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) };
    assert_eq!(marked, 0, "close_range is there from Linux 5.11 on");
    for signal in 1..=libc::SIGRTMAX() {
        daemon::set_disposition(signal, libc::SIG_DFL);
    }
}

/// Second half, as process 1: mounts, files and network. An error is the machine's fault, not the server's.
pub fn furnish(case: &OneCase) -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| format!("prctl: {error}"))?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).map_err(named("/"))?;
    mount("proc", "/proc", "proc", MountFlags::empty(), None).map_err(named("/proc"))?;
    mount("tmpfs", STAGE, "tmpfs", MountFlags::empty(), Some(c"mode=0755")).map_err(named(STAGE))?;
    let stage = Path::new(STAGE);
    furnish_srv(&stage.join("srv"), case)?;
    furnish_etc(&stage.join("etc"))?;
    furnish_dev(&stage.join("dev"))?;
    make_folder(&stage.join("run"), 0o755)?;
    make_folder(&stage.join("tmp"), 0o1777)?;
    // /tmp last: the project itself may stand there, and what is needed of it has been bound by now.
    for name in ["srv", "etc", "dev", "run", "tmp"] {
        let target = Path::new("/").join(name);
        bind(&stage.join(name), &target)?;
    }
    set_up_network()
}

fn furnish_srv(srv: &Path, case: &OneCase) -> Result<(), String> {
    make_folder(srv, 0o755)?;
    let own = std::env::current_exe().map_err(|error| format!("own path: {error}"))?;
    bind_file(&own, &srv.join("probe"))?;
    write(&srv.join("starts"), "", 0o666)?;
    let server = srv.join("server");
    make_folder(&server, 0o755)?;
    let program = case.server.program(&case.usherd);
    let name = case.server.process_name();
    match case.server {
        // One binary with several names: it has to be called by the right one.
        Server::Busybox | Server::Usherd | Server::UsherdAs(_) | Server::UsherdXinetd => {
            let binary = if case.server.is_usherd() { "usherd" } else { "busybox" };
            bind_file(&program, &server.join(binary))?;
            link(binary, &server.join(name))?;
        }
        Server::Openbsd | Server::Inetutils | Server::Xinetd => bind_file(&program, &server.join(name))?,
    }
    // usherd by the name of tcpd, and Debian's tcpd by another one.
    let ours = srv.join("ours");
    make_folder(&ours, 0o755)?;
    bind_file(&case.usherd, &ours.join("usherd"))?;
    link("usherd", &ours.join("tcpd"))?;
    link("/srv/originals/tcpd/usr/sbin/tcpd", &srv.join("wrapper"))?;
    let unpacked = srv.join("originals");
    make_folder(&unpacked, 0o755)?;
    if originals().exists() {
        bind(&originals(), &unpacked)?;
    }
    Ok(())
}

fn furnish_etc(etc: &Path) -> Result<(), String> {
    make_folder(etc, 0o755)?;
    for (name, text) in ETC_FILES {
        write(&etc.join(name), text, 0o644)?;
    }
    // inetutils-inetd complains when its second default path is missing.
    make_folder(&etc.join("inetd.d"), 0o755)?;
    // What the dynamic linker, perl and its debconf module look for.
    for name in ["ld.so.cache", "debconf.conf"] {
        if let Ok(bytes) = fs::read(Path::new("/etc").join(name)) {
            fs::write(etc.join(name), bytes).map_err(|error| format!("/etc/{name}: {error}"))?;
        }
    }
    for name in ["alternatives", "perl"] {
        let original = Path::new("/etc").join(name);
        if original.is_dir() {
            make_folder(&etc.join(name), 0o755)?;
            bind(&original, &etc.join(name))?;
        }
    }
    Ok(())
}

/// Users, names and ports that the cases speak of.
const ETC_FILES: &[(&str, &str)] = &[
    (
        "passwd",
        "root:x:0:0:root:/root:/bin/sh\n\
         daemon:x:1:1:daemon:/:/usr/sbin/nologin\n\
         alice:x:1501:1501:has more groups:/:/bin/sh\n\
         bob:x:1502:1502:has none:/:/bin/sh\n\
         dot.user:x:1503:1503:a dot in the name:/:/bin/sh\n\
         _usherd:x:1510:1510::/:/usr/sbin/nologin\n\
         _rpc:x:1511:65534::/:/usr/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    (
        "group",
        "root:x:0:\ndaemon:x:1:\ntty:x:5:\nalice:x:1501:\nbob:x:1502:\ndot.user:x:1503:\n_usherd:x:1510:\n\
         wheelers:x:1601:alice\nprinters:x:1602:alice\nother:x:1603:\nnogroup:x:65534:\n",
    ),
    (
        "services",
        "tcpmux 1/tcp\necho 7/tcp\necho 7/udp\ndiscard 9/tcp sink null\ndiscard 9/udp sink null\n\
         daytime 13/tcp\ndaytime 13/udp\nchargen 19/tcp ttytst source\nchargen 19/udp ttytst source\n\
         time 37/tcp timserver\ntime 37/udp timserver\nsunrpc 111/tcp portmapper\nsunrpc 111/udp portmapper\n\
         labone 2101/tcp labalias\nlabone 2101/udp labalias\nlabtwo 2102/tcp\nlabthree 2103/udp\n",
    ),
    ("protocols", "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\n"),
    ("rpc", "portmapper 100000 portmap sunrpc\nrstatd 100001 rstat rup\nrusersd 100002 rusers\n"),
    (
        "netconfig",
        "udp tpi_clts v inet udp - -\ntcp tpi_cots_ord v inet tcp - -\nudp6 tpi_clts v inet6 udp - -\n\
         tcp6 tpi_cots_ord v inet6 tcp - -\nlocal tpi_cots_ord - loopback - - -\n",
    ),
    (
        "hosts",
        "127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.0.5 labhost\n2001:db8::1 lab6host\n\
         127.0.0.6 multihost\n127.0.0.7 multihost\n127.0.0.8 bothhost\n2001:db8::1 bothhost\n",
    ),
    ("host.conf", "multi on\n"),
    (
        "nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\nrpc: files\n\
         networks: files\n",
    ),
    ("hosts.allow", ""),
    ("hosts.deny", ""),
];

fn furnish_dev(dev: &Path) -> Result<(), String> {
    make_folder(dev, 0o755)?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        bind_file(&Path::new("/dev").join(name), &dev.join(name))?;
    }
    // Terminals of its own, for telnet.
    let terminals = dev.join("pts");
    make_folder(&terminals, 0o755)?;
    mount("devpts", &terminals, "devpts", MountFlags::empty(), Some(c"newinstance,ptmxmode=0666"))
        .map_err(named("/dev/pts"))?;
    link("pts/ptmx", &dev.join("ptmx"))?;
    for (name, target) in [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")]
    {
        link(target, &dev.join(name))?;
    }
    Ok(())
}

// ---- network -----------------------------------------------------------------------------------------------

fn set_up_network() -> Result<(), String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").map_err(|error| format!("socket: {error}"))?;
    let up = libc::IFF_UP | libc::IFF_RUNNING | libc::IFF_LOOPBACK;
    let mut request = interface_request("lo");
    request.ifr_ifru.ifru_flags = up as libc::c_short;
    control(&socket, libc::SIOCSIFFLAGS, &mut request)?;
    for (index, address) in ADDRESSES.iter().enumerate() {
        add_v4_address(index + 1, *address)?;
    }
    add_v6_address()
}

/// Gives the loopback interface another address, under the number of an alias.
pub fn add_v4_address(alias: usize, address: Ipv4Addr) -> Result<(), String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").map_err(|error| format!("socket: {error}"))?;
    let mut request = interface_request(&format!("lo:{alias}"));
    request.ifr_ifru.ifru_addr = socket_address(address);
    control(&socket, libc::SIOCSIFADDR, &mut request)
}

/// Linux's `struct in6_ifreq` of linux/ipv6.h.
#[repr(C)]
struct V6Request {
    address: [u8; 16],
    prefix_length: u32,
    interface: i32,
}

fn add_v6_address() -> Result<(), String> {
    /// The loopback interface is the first of every network namespace.
    const LOOPBACK: i32 = 1;
    let socket = std::net::UdpSocket::bind("[::]:0").map_err(|error| format!("IPv6 socket: {error}"))?;
    let request = V6Request { address: V6_ADDRESS.octets(), prefix_length: 128, interface: LOOPBACK };
    // SAFETY: on an IPv6 socket SIOCSIFADDR takes a pointer to this structure, and only reads it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &raw const request) };
    if result == 0 { Ok(()) } else { Err(format!("IPv6 address: {}", std::io::Error::last_os_error())) }
}

fn interface_request(name: &str) -> libc::ifreq {
    // SAFETY: ifreq is plain data; all zeroes is a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    request
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut data = [0 as libc::c_char; 14];
    for (slot, byte) in data[2..].iter_mut().zip(address.octets()) {
        *slot = byte as libc::c_char;
    }
    libc::sockaddr { sa_family: libc::AF_INET as libc::sa_family_t, sa_data: data }
}

fn control(
    socket: &std::net::UdpSocket,
    request: libc::Ioctl,
    argument: &mut libc::ifreq,
) -> Result<(), String> {
    // SAFETY: both requests take a pointer to an ifreq, which this is.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), request, std::ptr::from_mut(argument)) };
    if result == 0 { Ok(()) } else { Err(format!("loopback: {}", std::io::Error::last_os_error())) }
}

// ---- files and mounts --------------------------------------------------------------------------------------

fn make_folder(path: &Path, mode: u32) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
    set_mode(path, mode)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    set_mode(path, mode)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), String> {
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(|error| format!("{}: {error}", path.display()))
}

fn link(target: &str, path: &Path) -> Result<(), String> {
    symlink(target, path).map_err(|error| format!("{}: {error}", path.display()))
}

fn bind_file(source: &Path, target: &Path) -> Result<(), String> {
    fs::write(target, "").map_err(|error| format!("{}: {error}", target.display()))?;
    bind(source, target)
}

fn bind(source: &Path, target: &Path) -> Result<(), String> {
    let words = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes()).expect("a path has no NUL");
    mount_bind_recursive(words(source), words(target))
        .map_err(|error| format!("bind {} on {}: {error}", source.display(), target.display()))
}

fn named(what: &str) -> impl Fn(rustix::io::Errno) -> String + '_ {
    move |error| format!("mount {what}: {error}")
}
