//! Signals: blocked but for a few that stay as they are, those that mean something to us read from a descriptor.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A signal's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub c_int);

#[expect(missing_docs, reason = "each is the signal of that name")]
impl Signal {
    pub const HUP: Signal = Signal(libc::SIGHUP);
    pub const INT: Signal = Signal(libc::SIGINT);
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    pub const TERM: Signal = Signal(libc::SIGTERM);
    pub const ALRM: Signal = Signal(libc::SIGALRM);
    pub const CHLD: Signal = Signal(libc::SIGCHLD);
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    pub const USR2: Signal = Signal(libc::SIGUSR2);
}

/// Signals that stay as they are: those by which the kernel reports our own faults, and those of job control in a
/// terminal, which stop and continue a child before its exec as they do us.
const LEFT_ALONE: [c_int; 9] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
    libc::SIGTSTP,
    libc::SIGCONT,
];

/// Gives every signal its default action again: exec keeps what is ignored, and Rust ignores SIGPIPE, nohup SIGHUP,
/// and whoever starts programs with posix_spawn(3) the two that the C library keeps to itself. For those the C
/// library's own functions do nothing, so the kernel is asked.
pub fn reset_dispositions() {
    const SIGNALS: c_int = 64;
    /// struct sigaction of the kernel: handler, flags, restorer, mask. All zeroes is SIG_DFL.
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in 1..=SIGNALS {
        let nothing = std::ptr::null_mut::<u64>();
        // SAFETY: the new action is valid and no old one is asked for; nothing else in this process relies on
        // handlers. The two signals that cannot be changed say EINVAL.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), nothing, size_of::<u64>()) };
    }
}

/// Gives a signal its default action again.
pub fn reset(signal: Signal) {
    // SAFETY: SIG_DFL is no handler of ours.
    unsafe { libc::signal(signal.0, libc::SIG_DFL) };
}

/// Ignores a signal in this process and those that it executes.
pub fn ignore(signal: Signal) {
    // SAFETY: SIG_IGN is no handler of ours.
    unsafe { libc::signal(signal.0, libc::SIG_IGN) };
}

/// Blocks every signal but those by which the kernel reports our own faults, and those of job control (TSTP, TTIN, TTOU
/// and CONT): see `LEFT_ALONE`. None of them has a handler.
pub fn block_all() -> io::Result<()> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set that it is given.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: initialised just now.
    let mut set: libc::sigset_t = unsafe { set.assume_init() };
    for signal in LEFT_ALONE {
        // SAFETY: the set is initialised and the number valid.
        unsafe { libc::sigdelset(&raw mut set, signal) };
    }
    set_mask(&set)
}

fn set_mask(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is initialised; no old set is asked for. The process has one thread.
    crate::checked(unsafe { libc::sigprocmask(libc::SIG_SETMASK, set, std::ptr::null_mut()) })?;
    Ok(())
}

fn set_of(signals: &[Signal]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised just now.
    let mut set: libc::sigset_t = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: the set is initialised and the number valid.
        unsafe { libc::sigaddset(&raw mut set, signal.0) };
    }
    set
}

/// A descriptor from which blocked signals are read (signalfd(2)); non-blocking, closed by exec.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// For these signals, which must be blocked.
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        let set = set_of(signals);
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        let fd = crate::checked(unsafe {
            libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)
        })?;
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// What has come, at most [`AT_ONCE`] signals, in one call. A signal that comes twice before it is read is read once.
    pub fn read(&self) -> Received {
        let mut records = [const { MaybeUninit::<libc::signalfd_siginfo>::uninit() }; AT_ONCE];
        let room = size_of_val(&records);
        // SAFETY: the buffer is that large and may be written.
        let got = unsafe { libc::read(self.0.as_raw_fd(), records.as_mut_ptr().cast(), room) };
        // A failure is "nothing now": what is there is read the next time.
        let count = usize::try_from(got).unwrap_or_default() / size_of::<libc::signalfd_siginfo>();
        let mut received = Received { signals: [Signal(0); AT_ONCE], count };
        for (signal, record) in received.signals.iter_mut().zip(&records[..count]) {
            // SAFETY: the kernel has written so many whole records.
            let record = unsafe { record.assume_init_ref() };
            *signal = Signal(c_int::try_from(record.ssi_signo).unwrap_or_default());
        }
        received
    }
}

/// Signals that are read in one call: more kinds than the daemon listens to.
pub const AT_ONCE: usize = 16;

/// Signals that have come.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    signals: [Signal; AT_ONCE],
    count: usize,
}

impl Received {
    /// In the order in which the kernel tells them.
    pub fn iter(&self) -> impl Iterator<Item = Signal> {
        self.signals[..self.count].iter().copied()
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
