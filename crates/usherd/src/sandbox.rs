//! What `usherd resolve` gives up before it reads the first word.
//!
//! It talks to machines that nobody vouches for, through a resolver with a history. Whoever takes it over finds a process
//! that is nobody else's, may write no file, start no program and touch no other process. What cannot be given up is an
//! error, and then nothing is asked at all; but for Landlock, which older kernels lack: the filter of system calls says
//! the same by other means.

use std::collections::BTreeMap;
use std::fmt;

use landlock::{
    ABI, Access, AccessFs, PathBeneath, PathFd, PathFdError, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope,
};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getegid, geteuid, getgid, getgroups, getpid, getuid,
    set_dumpable_behavior, setrlimit,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use usherd_model::service::RESOLVER;
use usherd_sys::process::{set_group_ids, set_groups, set_user_ids};

/// Why a process could not be shut in.
#[derive(Debug)]
pub enum SandboxError {
    /// A system call, and its error.
    Refused(&'static str, Errno),
    /// The root folder, for the rules of files.
    Root(PathFdError),
    /// The rules of files.
    Landlock(RulesetError),
    /// The filter of system calls.
    Filter(seccompiler::Error),
    /// All went well, and still it has rights.
    StillPowerful,
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SandboxError::Refused(call, _) => write!(f, "cannot be shut in: {call}"),
            SandboxError::Root(_) | SandboxError::Landlock(_) => f.write_str("cannot be shut in: landlock"),
            SandboxError::Filter(_) => f.write_str("cannot be shut in: seccomp"),
            SandboxError::StillPowerful => f.write_str("cannot be shut in: it still has rights"),
        }
    }
}

impl std::error::Error for SandboxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SandboxError::Refused(_, errno) => Some(errno),
            SandboxError::Root(error) => Some(error),
            SandboxError::Landlock(error) => Some(error),
            SandboxError::Filter(error) => Some(error),
            SandboxError::StillPowerful => None,
        }
    }
}

/// Gives everything up, for this process and its threads. It has one thread so far. Returns what this kernel lacks of that
/// and can be done without.
pub fn enter() -> Result<Option<&'static str>, SandboxError> {
    let is_root = geteuid().is_root();
    limit(&LIMITS)?;
    if is_root {
        // Processes are counted by user: another user may have more than this already, and could start no thread.
        limit(&[(Resource::Nproc, 512)])?;
        drop_bounding_set()?;
        become_resolver()?;
    }
    drop_capabilities()?;
    call("prctl (no new privileges)", set_no_new_privs(true))?;
    call("prctl (not dumpable)", set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    let has_landlock = forbid_writing()?;
    forbid_calls()?;
    Ok(if has_landlock { None } else { Some("Landlock, which this kernel has not") })
}

fn call<T>(name: &'static str, done: rustix::io::Result<T>) -> Result<T, SandboxError> {
    done.map_err(|errno| SandboxError::Refused(name, errno))
}

fn limit(limits: &[(Resource, u64)]) -> Result<(), SandboxError> {
    limits.iter().try_for_each(|(resource, most)| {
        call("setrlimit", setrlimit(*resource, Rlimit { current: Some(*most), maximum: Some(*most) }))
    })
}

/// No file grows, no core is written; sockets and memory are for the questions that are answered side by side.
const LIMITS: [(Resource, u64); 4] =
    [(Resource::Fsize, 0), (Resource::Core, 0), (Resource::Nofile, 256), (Resource::As, 8 << 30)];

fn become_resolver() -> Result<(), SandboxError> {
    let own = |name, done: std::io::Result<()>| {
        call(name, done.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::PERM)))
    };
    let all = Some(RESOLVER);
    own("setgroups", set_groups(&[]))?;
    own("setresgid", set_group_ids(all, all, all))?;
    own("setresuid", set_user_ids(all, all, all))?;
    let ids = [getuid().as_raw(), geteuid().as_raw(), getgid().as_raw(), getegid().as_raw()];
    let has_groups = !call("getgroups", getgroups())?.is_empty();
    if ids != [RESOLVER; 4] || has_groups { Err(SandboxError::StillPowerful) } else { Ok(()) }
}

/// What is in no set can come back from no file.
fn drop_bounding_set() -> Result<(), SandboxError> {
    for number in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            // This kernel knows no more.
            Err(Errno::INVAL) => break,
            done => call("prctl (bounding set)", done)?,
        }
    }
    Ok(())
}

/// A daemon that is not root can have some, by its file or its unit.
fn drop_capabilities() -> Result<(), SandboxError> {
    let none = CapabilitySet::empty();
    call("prctl (ambient set)", clear_ambient_capability_set())?;
    let nothing = CapabilitySets { effective: none, permitted: none, inheritable: none };
    call("capset", set_capabilities(None, nothing))?;
    let left = call("capget", capabilities(None))?;
    let is_left = !(left.effective | left.permitted | left.inheritable).is_empty();
    if is_left { Err(SandboxError::StillPowerful) } else { Ok(()) }
}

/// Files can be read, and that is all; signals and abstract sockets of others are out of reach. Whether this kernel does
/// so at all: what only newer ones know is left out.
fn forbid_writing() -> Result<bool, SandboxError> {
    let root = PathFd::new("/").map_err(SandboxError::Root)?;
    let readable = PathBeneath::new(root, AccessFs::ReadFile | AccessFs::ReadDir);
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))
        .and_then(|rules| rules.scope(Scope::from_all(ABI::V6)))
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rule(readable))
        .and_then(|rules| rules.restrict_self())
        .map_err(SandboxError::Landlock)?;
    Ok(restricted.ruleset != RulesetStatus::NotEnforced)
}

fn forbid_calls() -> Result<(), SandboxError> {
    for filter in [forbidden(), unknown()] {
        let program = filter.map_err(|error| SandboxError::Filter(error.into()))?;
        apply_filter(&program).map_err(SandboxError::Filter)?;
    }
    Ok(())
}

/// Refuses system calls that a resolver has no use for, and somebody who took it over would.
///
/// A list of what is allowed would be stricter, and would break with the next module of the C library's name service.
fn forbidden() -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        FORBIDDEN.iter().chain(NEWER).chain(OLDER).map(|call| (*call, Vec::new())).collect();
    let mut forbid = |call: i64, conditions: &[SeccompCondition]| {
        rules.entry(call).or_default().push(SeccompRule::new(conditions.to_vec())?);
        Ok::<(), BackendError>(())
    };
    // Files are opened for reading, if they are there, and stay as they are.
    for (call, flags) in OPEN {
        for access in [libc::O_WRONLY, libc::O_RDWR] {
            forbid(*call, &[bits(*flags, libc::O_ACCMODE, access)?])?;
        }
        for change in [libc::O_CREAT, libc::O_TRUNC] {
            forbid(*call, &[bits(*flags, change, change)?])?;
        }
    }
    // Threads are made, and no processes.
    forbid(libc::SYS_clone, &[bits(0, libc::CLONE_THREAD, 0)?])?;
    // Threads are signalled, and limits of our own are asked for.
    let process = u64::from(getpid().as_raw_pid().unsigned_abs());
    forbid(libc::SYS_tgkill, &[argument(0, SeccompCmpOp::Ne, process)?])?;
    forbid(libc::SYS_prlimit64, &[argument(0, SeccompCmpOp::Ne, 0)?])?;
    forbid(libc::SYS_prctl, &[argument(0, SeccompCmpOp::Eq, number(libc::PR_SET_DUMPABLE))?])?;
    // No terminal is typed on, in case that standard error is one.
    for request in [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSCTTY] {
        forbid(libc::SYS_ioctl, &[argument(1, SeccompCmpOp::Eq, request)?])?;
    }
    // Name servers, services of this machine that know names, and the kernel's list of addresses.
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let others = families.map(|family| argument(0, SeccompCmpOp::Ne, number(family)));
    forbid(libc::SYS_socket, &others.into_iter().collect::<Result<Vec<_>, _>>()?)?;
    let is_netlink = argument(0, SeccompCmpOp::Eq, number(libc::AF_NETLINK))?;
    let is_not_route = argument(2, SeccompCmpOp::Ne, number(libc::NETLINK_ROUTE))?;
    forbid(libc::SYS_socket, &[is_netlink, is_not_route])?;
    let program = compile(rules, libc::EPERM)?;
    #[cfg(target_arch = "x86_64")]
    let program = refuse_x32(program);
    Ok(program)
}

/// clone3(2) has its flags in memory, where no filter looks. Whoever does not know it uses clone(2).
fn unknown() -> Result<BpfProgram, BackendError> {
    compile(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, BackendError> {
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, TARGET)?.try_into()
}

/// A condition on 32 bits of an argument, which is what the kernel looks at in all of these.
fn argument(place: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(place, SeccompCmpArgLen::Dword, is, value)
}

/// Whether these bits of an argument have this value.
fn bits(place: u8, mask: i32, value: i32) -> Result<SeccompCondition, BackendError> {
    argument(place, SeccompCmpOp::MaskedEq(number(mask)), number(value))
}

fn number(flag: i32) -> u64 {
    u64::from(flag.unsigned_abs())
}

/// The same calls have a second set of numbers there, above the first: a filter that names calls one by one has to refuse
/// all of them.
#[cfg(target_arch = "x86_64")]
fn refuse_x32(program: BpfProgram) -> BpfProgram {
    use seccompiler::sock_filter;
    /// `__X32_SYSCALL_BIT` of the kernel's asm/unistd.h.
    const X32: u32 = 0x4000_0000;
    // By linux/bpf_common.h. The call's number is the first word of seccomp_data.
    const LOAD_WORD: u16 = 0x20;
    const IF_NOT_LESS: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    let mut all = vec![
        sock_filter { code: LOAD_WORD, jt: 0, jf: 0, k: 0 },
        sock_filter { code: IF_NOT_LESS, jt: 0, jf: 1, k: X32 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: refuse },
    ];
    all.extend(program);
    all
}

#[cfg(target_arch = "x86_64")]
const TARGET: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const TARGET: TargetArch = TargetArch::aarch64;

/// Calls that open files, and which argument has the flags.
#[cfg(target_arch = "x86_64")]
const OPEN: &[(i64, u8)] = &[(libc::SYS_openat, 2), (libc::SYS_open, 1)];
#[cfg(target_arch = "aarch64")]
const OPEN: &[(i64, u8)] = &[(libc::SYS_openat, 2)];

/// See [`forbidden`]; in the order of what they are about: programs, other processes, files, mounts, namespaces, the
/// kernel's larger machinery, listening.
const FORBIDDEN: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_setpriority,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setaffinity,
    libc::SYS_ioprio_set,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_openat2,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_utimensat,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_personality,
    libc::SYS_fanotify_init,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
];

/// The same, of calls that the libc crate does not declare everywhere; their numbers are the same everywhere: fchmodat2,
/// setxattrat, removexattrat, open_tree_attr, file_setattr.
const NEWER: &[i64] = &[452, 463, 466, 467, 469];

/// The same, of calls that only older machines have.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_creat,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_rmdir,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
];
#[cfg(target_arch = "aarch64")]
const OLDER: &[i64] = &[libc::SYS_renameat];

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::net::{TcpListener, UdpSocket};
    use std::process::Command;

    use rustix::fs::{Mode, OFlags, open};
    use rustix::net::{AddressFamily, SocketType, socket};
    use rustix::process::{Signal, getppid, kill_process};

    use super::*;

    /// `AF_ALG`, a way into the kernel for anybody.
    const ALG: u16 = 38;

    /// What is refused to a thread is refused to no other.
    fn apart<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(body).join().expect("it goes through")
    }

    /// Opens a file that is there with these flags.
    fn opened(flags: OFlags) -> rustix::io::Result<()> {
        open(std::env::temp_dir().join("usherd-sandbox-test"), flags, Mode::RUSR | Mode::WUSR).map(drop)
    }

    #[test]
    fn calls_that_change_or_start_anything_are_refused() {
        let file = std::env::temp_dir().join("usherd-sandbox-test");
        fs::write(&file, "text").expect("write");
        apart(move || {
            forbid_calls().expect("every kernel has it");
            for flags in [OFlags::WRONLY, OFlags::RDWR, OFlags::CREATE, OFlags::TRUNC] {
                assert_eq!(opened(flags), Err(Errno::PERM), "{flags:?}");
            }
            assert_eq!(opened(OFlags::RDONLY), Ok(()));
            let refused = Some(Errno::PERM.raw_os_error());
            assert_eq!(fs::remove_file(&file).expect_err("refused").raw_os_error(), refused);
            assert_eq!(Command::new("true").spawn().expect_err("refused").raw_os_error(), refused);
            let parent = getppid().expect("whoever started the test");
            assert_eq!(kill_process(parent, Signal::CONT), Err(Errno::PERM));
            assert_eq!(kill_process(getpid(), Signal::CONT), Err(Errno::PERM));
            for family in [AddressFamily::PACKET, AddressFamily::BLUETOOTH, AddressFamily::from_raw(ALG)] {
                assert_eq!(socket(family, SocketType::DGRAM, None).map(drop), Err(Errno::PERM));
            }
            assert_eq!(TcpListener::bind("127.0.0.1:0").expect_err("refused").raw_os_error(), refused);
            assert_eq!(fs::read(&file).expect("it can be read"), b"text");
        });
        fs::remove_file(std::env::temp_dir().join("usherd-sandbox-test")).expect("it is still there");
    }

    #[test]
    fn what_a_resolver_needs_is_left() {
        apart(|| {
            forbid_writing().expect("or it is not there");
            forbid_calls().expect("every kernel has it");
            assert_eq!(std::thread::spawn(|| 7).join().expect("a thread"), 7);
            UdpSocket::bind("127.0.0.1:0").expect("a socket");
            fs::read("/proc/self/status").expect("a file");
            fs::read_dir("/").expect("a folder");
        });
    }

    #[test]
    fn files_are_out_of_reach_without_the_filter_too() {
        apart(|| {
            set_no_new_privs(true).expect("prctl");
            if forbid_writing().expect("or it is not there") {
                let error = File::options().write(true).open("/dev/null").expect_err("refused");
                assert_eq!(error.raw_os_error(), Some(Errno::ACCESS.raw_os_error()));
                assert!(Command::new("true").spawn().is_err());
                File::open("/dev/null").expect("it can be read");
            }
        });
    }
}
