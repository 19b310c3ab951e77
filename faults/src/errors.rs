//! Which errors a call can give, from its manual page, as far as they say something about the system and not about a
//! mistake of the caller.

/// A call and its errors.
pub struct Errors {
    pub call: &'static str,
    pub errors: &'static [&'static str],
    /// Whether the smoke run has it.
    pub smoke: bool,
}

const fn often(call: &'static str, errors: &'static [&'static str]) -> Errors {
    Errors { call, errors, smoke: true }
}

const fn seldom(call: &'static str, errors: &'static [&'static str]) -> Errors {
    Errors { call, errors, smoke: false }
}

const NO_DESCRIPTOR: &[&str] = &["EMFILE", "ENFILE", "ENOMEM"];

/// The calls that are made to fail in the daemon. The first error of each is the one of the smoke run.
pub const DAEMON: &[Errors] = &[
    often(
        "accept4",
        &["EMFILE", "ECONNABORTED", "EAGAIN", "EINTR", "ENFILE", "ENOBUFS", "ENOMEM", "EPERM", "EPROTO"],
    ),
    often("bind", &["EADDRINUSE", "EACCES", "EADDRNOTAVAIL", "ENOMEM"]),
    seldom("capget", &["EPERM"]),
    seldom("capset", &["EPERM"]),
    seldom("chdir", &["EACCES", "EIO"]),
    seldom("chmod", &["EPERM", "EIO"]),
    often("clone", &["EAGAIN", "ENOMEM", "EPERM"]),
    seldom("close_range", &["EMFILE", "ENOMEM"]),
    often("connect", &["EAGAIN", "ECONNREFUSED", "EINTR", "ENETUNREACH", "EACCES"]),
    often("epoll_create1", NO_DESCRIPTOR),
    often("epoll_ctl", &["ENOMEM", "ENOSPC"]),
    often("epoll_pwait2", &["EINTR"]),
    often("epoll_pwait", &["EINTR"]),
    often("epoll_wait", &["EINTR"]),
    seldom("fchmod", &["EPERM", "EIO"]),
    often("fcntl", &["EMFILE", "EINTR", "ENOMEM"]),
    seldom("flock", &["EINTR", "ENOLCK"]),
    seldom("fstat", &["ENOMEM"]),
    seldom("ftruncate", &["EIO", "EINTR"]),
    seldom("getrandom", &["EINTR"]),
    seldom("getsockname", &["ENOBUFS"]),
    seldom("getsockopt", &["ENOMEM"]),
    seldom("ioctl", &["ENOTTY"]),
    seldom("kill", &["ESRCH", "EPERM"]),
    often("listen", &["EADDRINUSE"]),
    seldom("lseek", &["EIO"]),
    seldom("lstat", &["EACCES", "ENOMEM"]),
    often("memfd_create", NO_DESCRIPTOR),
    seldom("mprotect", &["ENOMEM"]),
    seldom("newfstatat", &["EACCES", "ENOMEM"]),
    often("open", &["EMFILE", "ENFILE", "ENOMEM", "EACCES", "EINTR", "EIO"]),
    often("openat", &["EMFILE", "ENFILE", "ENOMEM", "EACCES", "EINTR", "EIO"]),
    often("pipe2", &["EMFILE", "ENFILE"]),
    seldom("prctl", &["EPERM"]),
    seldom("prlimit64", &["EPERM"]),
    seldom("pwrite64", &["EIO", "ENOSPC", "EINTR"]),
    often("read", &["EINTR", "EAGAIN", "EIO", "ECONNRESET", "ENOMEM"]),
    often("recvfrom", &["EAGAIN", "EINTR", "ECONNREFUSED", "ECONNRESET", "ENOMEM"]),
    often("recvmmsg", &["EAGAIN", "EINTR", "ECONNREFUSED", "ENOMEM"]),
    often("recvmsg", &["EAGAIN", "EINTR", "ECONNREFUSED", "ENOMEM"]),
    often("sendmmsg", &["EAGAIN", "ENOBUFS", "EINTR", "EPERM", "ENETUNREACH"]),
    often("sendmsg", &["EAGAIN", "ENOBUFS", "EINTR", "EPERM", "ENETUNREACH"]),
    often("sendto", &["EAGAIN", "ENOBUFS", "EINTR", "EPIPE", "ECONNREFUSED"]),
    seldom("setgroups", &["EPERM", "ENOMEM"]),
    often("setsockopt", &["ENOMEM", "ENOPROTOOPT", "EPERM"]),
    seldom("shutdown", &["ENOTCONN"]),
    often("signalfd4", NO_DESCRIPTOR),
    often("socket", &["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EACCES", "EAFNOSUPPORT"]),
    often("socketpair", NO_DESCRIPTOR),
    seldom("stat", &["EACCES", "ENOMEM"]),
    seldom("statx", &["EACCES", "ENOMEM"]),
    often("splice", &["EAGAIN", "ENOMEM", "ECONNRESET"]),
    often("unlink", &["EACCES", "ENOENT", "EIO"]),
    seldom("unlinkat", &["EACCES", "ENOENT", "EIO"]),
    often("wait4", &["EINTR"]),
    often("write", &["EINTR", "EAGAIN", "EIO", "ENOSPC", "EPIPE", "ECONNRESET"]),
];

/// Calls that are left alone, and why.
pub const LEFT_ALONE: &[(&str, &str)] = &[
    ("brk", "one that fails returns the old end and no error, which strace cannot do"),
    ("close", "a close that fails has closed; one that is kept from the kernel has not"),
    ("exit_group", "cannot fail"),
    ("futex", "is the C library's"),
    ("geteuid", "cannot fail"),
    ("getgid", "cannot fail"),
    ("getpid", "cannot fail"),
    ("getppid", "cannot fail"),
    ("getpriority", "fails for wrong arguments only"),
    ("getuid", "cannot fail"),
    ("madvise", "gives memory back; nobody asks what came of it"),
    (
        "mmap",
        "an allocation that fails ends a Rust program; starts allocate nothing, see the tests of usherd-sys",
    ),
    ("mremap", "as mmap"),
    ("munmap", "one that is kept from the kernel is a leak that is not ours"),
    ("restart_syscall", "is the kernel's"),
    ("rt_sigaction", "fails for wrong numbers only"),
    ("rt_sigprocmask", "fails for wrong numbers only"),
    ("sched_yield", "cannot fail"),
    ("sigaltstack", "is the standard library's"),
    ("umask", "cannot fail"),
];

/// The calls that a helper makes too; it keeps our identity and session.
pub const HELPER: &[&str] = &["close_range", "dup3", "execve", "rt_sigprocmask"];

/// The calls of a child before it is the program.
pub const CHILD: &[Errors] = &[
    seldom("close_range", &["EMFILE", "ENOMEM"]),
    often("dup3", &["EMFILE", "EINTR", "EBUSY"]),
    often("execve", &["ENOENT", "EACCES", "ENOEXEC", "ENOMEM", "E2BIG", "EMFILE", "EIO", "ETXTBSY"]),
    seldom("getresgid", &["EFAULT"]),
    seldom("getresuid", &["EFAULT"]),
    seldom("prlimit64", &["EPERM"]),
    seldom("rt_sigprocmask", &["EINVAL"]),
    often("setgroups", &["EPERM", "ENOMEM"]),
    often("setresgid", &["EPERM"]),
    often("setresuid", &["EAGAIN", "EPERM"]),
    often("setsid", &["EPERM"]),
];
