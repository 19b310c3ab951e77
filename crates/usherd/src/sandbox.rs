//! What `usherd resolve` gives up before it reads the first word.
//!
//! It talks to machines that nobody vouches for, through a resolver with a history. Whoever takes it over finds a process
//! that is nobody else's, may write no file, start no program and touch no other process. What cannot be given up is an
//! error, and then nothing is asked at all.

use std::collections::BTreeMap;
use std::fmt;

use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getegid, geteuid, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{capabilities, set_no_new_privs};
use seccompiler::{
    BackendError, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use usherd_model::service::RESOLVER;
use usherd_sys::process::{set_group_ids, set_groups, set_user_ids};

/// Why a process could not be shut in.
#[derive(Debug)]
pub enum SandboxError {
    /// A system call, and its error.
    Refused(&'static str, Errno),
    /// The filter of system calls.
    Filter(seccompiler::Error),
    /// All went well, and still it has rights.
    StillPowerful,
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SandboxError::Refused(call, _) => write!(f, "cannot be shut in: {call}"),
            SandboxError::Filter(_) => f.write_str("cannot be shut in: seccomp"),
            SandboxError::StillPowerful => f.write_str("cannot be shut in: it still has rights"),
        }
    }
}

impl std::error::Error for SandboxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SandboxError::Refused(_, errno) => Some(errno),
            SandboxError::Filter(error) => Some(error),
            SandboxError::StillPowerful => None,
        }
    }
}

/// Gives everything up, for this process and its threads. It has one thread so far. What this kernel cannot do and can be
/// done without.
pub fn enter() -> Result<Option<&'static str>, SandboxError> {
    let call = |name, done: rustix::io::Result<()>| done.map_err(|errno| SandboxError::Refused(name, errno));
    let own = |name, done: std::io::Result<()>| {
        done.map_err(|error| SandboxError::Refused(name, Errno::from_io_error(&error).unwrap_or(Errno::PERM)))
    };
    let is_root = geteuid().is_root();
    for (resource, most) in LIMITS {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        call("setrlimit", setrlimit(resource, limit))?;
    }
    if is_root {
        own("setgroups", set_groups(&[]))?;
        own("setresgid", set_group_ids(Some(RESOLVER), Some(RESOLVER), Some(RESOLVER)))?;
        own("setresuid", set_user_ids(Some(RESOLVER), Some(RESOLVER), Some(RESOLVER)))?;
        if geteuid().as_raw() != RESOLVER || getegid().as_raw() != RESOLVER {
            return Err(SandboxError::StillPowerful);
        }
    }
    let found = capabilities(None).map_err(|errno| SandboxError::Refused("capget", errno))?;
    if !(found.effective | found.permitted).is_empty() {
        return Err(SandboxError::StillPowerful);
    }
    call("prctl (no new privileges)", set_no_new_privs(true))?;
    call("prctl (not dumpable)", set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    let filter = filter().map_err(|error| SandboxError::Filter(error.into()))?;
    let program: seccompiler::BpfProgram =
        filter.try_into().map_err(|error: BackendError| SandboxError::Filter(error.into()))?;
    apply_filter(&program).map_err(SandboxError::Filter)?;
    Ok(None)
}

/// No file grows, no core is written; threads, sockets and memory are for the questions that are answered side by side.
const LIMITS: [(Resource, u64); 5] = [
    (Resource::Fsize, 0),
    (Resource::Core, 0),
    (Resource::Nofile, 256),
    (Resource::Nproc, 512),
    (Resource::As, 8 << 30),
];

/// System calls that a resolver has no use for, and somebody who took it over would.
///
/// A list of what is allowed would be stricter, and would break with the next module of the C library's name service.
fn filter() -> Result<SeccompFilter, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    // No file is opened for anything but reading.
    for access in [libc::O_WRONLY, libc::O_RDWR] {
        let mask = SeccompCmpOp::MaskedEq(flag(libc::O_ACCMODE));
        let condition =
            |argument| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, mask.clone(), flag(access));
        rules.entry(libc::SYS_openat).or_default().push(SeccompRule::new(vec![condition(2)?])?);
        #[cfg(target_arch = "x86_64")]
        rules.entry(libc::SYS_open).or_default().push(SeccompRule::new(vec![condition(1)?])?);
    }
    let refuse = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1));
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, TARGET)
}

fn flag(flag: i32) -> u64 {
    u64::try_from(flag).unwrap_or_default()
}

#[cfg(target_arch = "x86_64")]
const TARGET: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const TARGET: TargetArch = TargetArch::aarch64;

/// See [`filter`].
const FORBIDDEN: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_openat2,
    libc::SYS_open_by_handle_at,
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
    libc::SYS_setxattr,
    libc::SYS_utimensat,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
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
    libc::SYS_kexec_load,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_one() {
        let filter = filter().expect("its conditions are in order");
        let program: Result<seccompiler::BpfProgram, BackendError> = filter.try_into();
        assert!(program.is_ok_and(|program| !program.is_empty()));
    }
}
