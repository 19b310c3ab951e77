//! Calls about our own process that rustix does not offer.

use std::ffi::c_int;
use std::io;

/// Makes a second process. Returns its number in the first, `None` in the second.
///
/// # Errors
///
/// What fork(2) says.
pub fn fork() -> io::Result<Option<i32>> {
    // SAFETY: usherd has one thread when it goes into the background, so no lock can be held by another one.
    match crate::checked(unsafe { libc::fork() })? {
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// Sets the supplementary groups of this process.
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer leads to as many ids as the length says.
    crate::checked(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    Ok(())
}

/// Sets real, effective and saved group of this process; `None` leaves one as it is.
pub fn set_group_ids(real: Option<u32>, effective: Option<u32>, saved: Option<u32>) -> io::Result<()> {
    let [real, effective, saved] = [real, effective, saved].map(|id| id.unwrap_or(UNCHANGED));
    // SAFETY: the call takes three numbers.
    crate::checked(unsafe { libc::setresgid(real, effective, saved) })?;
    Ok(())
}

/// Sets real, effective and saved user of this process; `None` leaves one as it is.
pub fn set_user_ids(real: Option<u32>, effective: Option<u32>, saved: Option<u32>) -> io::Result<()> {
    let [real, effective, saved] = [real, effective, saved].map(|id| id.unwrap_or(UNCHANGED));
    // SAFETY: the call takes three numbers.
    crate::checked(unsafe { libc::setresuid(real, effective, saved) })?;
    Ok(())
}

/// -1 of setresuid(2) and setresgid(2).
const UNCHANGED: u32 = u32::MAX;

/// Has the kernel end this process after so many seconds, whatever it waits for then, unless SIGALRM is handled.
pub fn end_after(seconds: u32) {
    // SAFETY: alarm takes a number and cannot fail.
    unsafe { libc::alarm(seconds) };
}

/// Gives memory that is not used any more back to the kernel. What was needed for a load is not needed to serve.
pub fn trim_heap() {
    // SAFETY: malloc_trim takes no pointer and keeps every allocation.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Ends at once, without running anything that was registered for the end: for the process that stays behind when a
/// daemon goes into the background.
pub fn exit_now(status: c_int) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(status) }
}

/// Marks every descriptor from `first` on as closed by exec: what we inherited is not for our children.
///
/// # Errors
///
/// Those of close_range(2); EINVAL from kernels (5.10) that cannot do it, see [`close_on_exec`].
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: the call changes flags of descriptors and touches no memory.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Marks one descriptor as closed by exec, by its number: whoever goes through all of them owns none.
///
/// # Errors
///
/// EBADF when it is not open.
pub fn close_on_exec(fd: c_int) -> io::Result<()> {
    // SAFETY: the call changes a flag of a descriptor and touches no memory.
    crate::checked(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(())
}

/// Lets the kernel take back the pages of our program's text, which come again from the file when they are needed:
/// what ran once, at start (the command line, the first load), need not stay resident for as long as we serve.
pub fn forget_text() {
    unsafe extern "C" {
        /// Where the program begins and its text ends; both are made by the linker.
        static __executable_start: u8;
        static etext: u8;
    }
    const PAGE: usize = 64 * 1024;
    let start = (&raw const __executable_start).addr().next_multiple_of(PAGE);
    let end = (&raw const etext).addr() / PAGE * PAGE;
    let Some(length) = end.checked_sub(start) else { return };
    let address = std::ptr::without_provenance_mut::<libc::c_void>(start);
    // SAFETY: the range is this program's own file mapping, of which no page before `etext` was ever written to, so
    // each comes back from the file as it was. (A mapping in between that is not readable makes the call fail.)
    unsafe { libc::madvise(address, length, libc::MADV_DONTNEED) };
}
