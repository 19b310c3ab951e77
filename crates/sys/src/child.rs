//! What a child does between clone and exec, as data, and the one function that does it.
//!
//! The child shares its memory with the running daemon. So it allocates nothing, locks nothing, panics nowhere,
//! touches no thread-local storage (`errno`!) and calls no library: it walks prepared steps and makes raw system
//! calls. `cargo xtask child-check` looks for all of that in the object code of [`usherd_child_main`].

use std::ffi::{c_char, c_int, c_long, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::raw::syscall;

/// The exit status of a child that did not become its program. A program can exit with it too: the error in the
/// slot tells them apart.
pub const FAILED: i32 = 127;

/// One thing to do in the child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take leave of a shared descriptor table: from here on nothing that we do to descriptors reaches the daemon.
    Descriptors,
    /// Lead a session of its own.
    Session,
    /// Put the connection (or the listener) on this descriptor.
    Connection(c_int),
    /// Put the second thing that the child was given on this descriptor.
    Other(c_int),
    /// Set the supplementary groups.
    Groups(Box<[u32]>),
    /// Set all group ids.
    Group(u32),
    /// Set all user ids.
    User(u32),
    /// Look whether all ids are what was set.
    Verify {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// Restore the limit of open descriptors.
    DescriptorLimit {
        /// Soft.
        soft: u64,
        /// Hard.
        hard: u64,
    },
    /// Set the priority, as nice(1) counts.
    Nice(i8),
    /// Set the umask.
    Umask(u16),
    /// Set a limit, soft and hard.
    Limit {
        /// `RLIMIT_AS` and so on.
        resource: i32,
        /// `RLIM_INFINITY` for none.
        most: u64,
    },
    /// Let all signals through again.
    Signals,
}

/// Which step failed, as the child reports it. `Exec` is the last, which every child makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "each is the step of that name")]
pub enum StepName {
    Descriptors = 1,
    Session,
    Connection,
    Other,
    Groups,
    Group,
    User,
    Verify,
    DescriptorLimit,
    Nice,
    Umask,
    Limit,
    Signals,
    Exec,
}

impl StepName {
    /// All of them.
    const ALL: [StepName; 14] = [
        StepName::Descriptors,
        StepName::Session,
        StepName::Connection,
        StepName::Other,
        StepName::Groups,
        StepName::Group,
        StepName::User,
        StepName::Verify,
        StepName::DescriptorLimit,
        StepName::Nice,
        StepName::Umask,
        StepName::Limit,
        StepName::Signals,
        StepName::Exec,
    ];

    /// The step of a number that a child left. `None` for 0, which says that none has failed.
    pub(crate) fn from_number(number: u32) -> Option<StepName> {
        Self::ALL.into_iter().find(|name| *name as u32 == number)
    }
}

/// Strings as execve(2) wants them: pointers into a text that they own, with a null at the end.
#[derive(Debug)]
pub struct Strings {
    /// Each string with its NUL. Never changed, since `pointers` lead into it.
    text: Arc<[u8]>,
    pointers: Box<[*const c_char]>,
}

// SAFETY: the pointers lead into `text`, which is kept and never changed; nothing is shared that is not constant.
unsafe impl Send for Strings {}
// SAFETY: as above: all access is reading.
unsafe impl Sync for Strings {}

impl Strings {
    /// The strings of a text that has a NUL behind each. What stands behind the last NUL is no string.
    pub fn new(text: Arc<[u8]>) -> Self {
        let strings = text.split_inclusive(|byte| *byte == 0).filter(|string| string.ends_with(&[0]));
        let pointers = strings.map(|string| string.as_ptr().cast()).chain([std::ptr::null()]).collect();
        Self { text, pointers }
    }

    /// The strings, each with its NUL.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split_inclusive(|byte| *byte == 0)
    }

    /// The pointers, without the null.
    pub(crate) fn pointers(&self) -> &[*const c_char] {
        &self.pointers[..self.pointers.len() - 1]
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// All that is known about a program's starts before anybody calls. Made at load time, never changed; a child that
/// still reads it keeps it alive, whatever a reload does.
#[derive(Debug)]
pub struct Plan {
    setup: Arc<Setup>,
    /// The program's path and its arguments, of which there is at least one. Private: [`Plan::new`] has looked.
    command: Strings,
}

/// What comes before the program. Many programs share theirs.
#[derive(Debug)]
pub struct Setup {
    /// What to do, in order; the exec follows.
    pub steps: Box<[Step]>,
    /// The environment, but for variables of one connection.
    pub environment: Arc<Strings>,
}

impl Plan {
    /// `command` is a path and at least one argument; `None` when it is less.
    pub fn new(setup: Arc<Setup>, command: Strings) -> Option<Self> {
        if command.pointers().len() < 2 { None } else { Some(Self { setup, command }) }
    }

    /// What comes before the program.
    pub fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup)
    }

    /// The environment, but for variables of one connection.
    pub(crate) fn environment(&self) -> &Strings {
        &self.setup.environment
    }
}

/// What one child needs, in memory that it shares with the daemon for as long as it is not the program.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Run {
    /// The child's thread id from clone on; the kernel clears it when the child has left our memory.
    pub(crate) tid: AtomicI32,
    /// The step that failed, or 0; written before `errno` is.
    pub(crate) step: AtomicU32,
    /// Its error number.
    pub(crate) errno: AtomicI32,
    /// 1 from when the child has a descriptor table of its own.
    pub(crate) has_own_table: AtomicU32,
    pub(crate) plan: *const Plan,
    pub(crate) environment: *const *const c_char,
    pub(crate) connection: c_int,
    /// -1 when there is none.
    pub(crate) other: c_int,
}

impl Run {
    /// Points this run at a plan whose own environment is used as it is.
    pub(crate) fn environment_of(plan: &Plan) -> *const *const c_char {
        plan.environment().as_ptr()
    }
}

/// The child's only function.
///
/// # Safety
///
/// `run` must point at a [`Run`] whose pointers are valid until its `tid` is cleared.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) unsafe extern "C" fn usherd_child_main(run: *mut c_void) -> c_int {
    // SAFETY: the parent made this pointer from a live Run and changes only its atomics while the child is here.
    let run = unsafe { &*run.cast::<Run>() };
    // SAFETY: the slot keeps the plan alive until the kernel has cleared `tid`.
    let plan = unsafe { &*run.plan };
    for step in &plan.setup.steps {
        let (name, result) = perform(step, run);
        if result < 0 {
            fail(run, name, result);
        }
    }
    let words = plan.command.as_ptr();
    // SAFETY: a plan's command has a path and at least one argument; see Plan::new.
    let path = unsafe { *words };
    let arguments = [path as usize, words.wrapping_add(1) as usize, run.environment as usize, 0, 0];
    // SAFETY: path, arguments and environment are null-terminated and outlive the call; see `tid`.
    let result = unsafe { syscall(libc::SYS_execve, arguments) };
    fail(run, StepName::Exec, result)
}

#[inline(always)]
fn perform(step: &Step, run: &Run) -> (StepName, c_long) {
    match step {
        Step::Descriptors => (StepName::Descriptors, leave_shared_table(run)),
        Step::Session => (StepName::Session, call(libc::SYS_setsid, [0; 5])),
        Step::Connection(to) => (StepName::Connection, duplicate(run.connection, *to)),
        Step::Other(to) => (StepName::Other, duplicate(run.other, *to)),
        Step::Groups(groups) => {
            let arguments = [groups.len(), groups.as_ptr() as usize, 0, 0, 0];
            (StepName::Groups, call(libc::SYS_setgroups, arguments))
        }
        Step::Group(gid) => {
            let gid = *gid as usize;
            (StepName::Group, call(libc::SYS_setresgid, [gid, gid, gid, 0, 0]))
        }
        Step::User(uid) => {
            let uid = *uid as usize;
            (StepName::User, call(libc::SYS_setresuid, [uid, uid, uid, 0, 0]))
        }
        Step::Verify { uid, gid } => (StepName::Verify, verify(*uid, *gid)),
        Step::DescriptorLimit { soft, hard } => {
            (StepName::DescriptorLimit, limit(libc::RLIMIT_NOFILE as usize, *soft, *hard))
        }
        Step::Nice(value) => {
            let arguments = [libc::PRIO_PROCESS as usize, 0, isize::from(*value).cast_unsigned(), 0, 0];
            (StepName::Nice, call(libc::SYS_setpriority, arguments))
        }
        Step::Umask(mask) => (StepName::Umask, call(libc::SYS_umask, [usize::from(*mask), 0, 0, 0, 0])),
        Step::Limit { resource, most } => (StepName::Limit, limit(register(*resource), *most, *most)),
        Step::Signals => {
            let none: u64 = 0;
            let how = register(libc::SIG_SETMASK);
            let arguments = [how, &raw const none as usize, 0, size_of::<u64>(), 0];
            (StepName::Signals, call(libc::SYS_rt_sigprocmask, arguments))
        }
    }
}

/// `close_range(2)` from above what the child needs, which copies only what is below. A table that is not shared is
/// left alone: everything in it is closed by exec.
#[inline(always)]
fn leave_shared_table(run: &Run) -> c_long {
    if run.has_own_table.load(Ordering::Relaxed) != 0 {
        return 0;
    }
    let highest = if run.other > run.connection { run.other } else { run.connection };
    let first = register(highest).wrapping_add(1);
    let result =
        call(libc::SYS_close_range, [first, u32::MAX as usize, libc::CLOSE_RANGE_UNSHARE as usize, 0, 0]);
    if result == 0 {
        run.has_own_table.store(1, Ordering::Release);
    }
    result
}

/// dup2(2), which aarch64 does not have; dup3(2) refuses equal numbers, which the daemon never passes: its own 0, 1
/// and 2 stay open.
#[inline(always)]
fn duplicate(from: c_int, to: c_int) -> c_long {
    call(libc::SYS_dup3, [register(from), register(to), 0, 0, 0])
}

#[inline(always)]
fn limit(resource: usize, soft: u64, hard: u64) -> c_long {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    call(libc::SYS_prlimit64, [0, resource, &raw const limit as usize, 0, 0])
}

#[inline(always)]
fn verify(uid: u32, gid: u32) -> c_long {
    let mut ids = [0_u32; 3];
    let place = |ids: &mut [u32; 3]| {
        let first = ids.as_mut_ptr() as usize;
        [first, first + size_of::<u32>(), first + 2 * size_of::<u32>(), 0, 0]
    };
    let arguments = place(&mut ids);
    let result = call(libc::SYS_getresuid, arguments);
    if result != 0 || ids != [uid, uid, uid] {
        return -c_long::from(libc::EPERM);
    }
    let arguments = place(&mut ids);
    let result = call(libc::SYS_getresgid, arguments);
    if result != 0 || ids != [gid, gid, gid] {
        return -c_long::from(libc::EPERM);
    }
    0
}

/// A number as a register holds it. None that is passed here is negative.
#[inline(always)]
#[expect(
    clippy::cast_sign_loss,
    reason = "descriptors and constants are not negative, and a panic path is not allowed here"
)]
fn register(number: c_int) -> usize {
    number as usize
}

/// A system call whose pointers, if any, lead to what a reference in this function's caller holds.
#[inline(always)]
fn call(number: libc::c_long, arguments: [usize; 5]) -> c_long {
    // SAFETY: every caller in this file passes numbers, or addresses of values that live across the call and have
    // the type that the kernel expects for that call.
    unsafe { syscall(number, arguments) }
}

/// Leaves step and error where the parent finds them, and ends.
#[inline(always)]
fn fail(run: &Run, name: StepName, result: c_long) -> ! {
    #[expect(clippy::cast_possible_truncation, reason = "the kernel's error numbers end at 4095")]
    run.errno.store((result as i32).wrapping_neg(), Ordering::Relaxed);
    run.step.store(name as u32, Ordering::Release);
    loop {
        call(libc::SYS_exit_group, [FAILED as usize, 0, 0, 0, 0]);
    }
}
