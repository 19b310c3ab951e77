//! System calls without a C library in between, for children that share our memory.
//!
//! The C library's wrappers write `errno`, which is the running parent's here, and some take locks. These do
//! nothing but the call: the result is what the kernel left in the register, a negative error number for a failure.

/// A system call with up to five arguments.
///
/// # Safety
///
/// What the kernel reads or writes through the arguments must be valid for that call.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) unsafe fn syscall(number: libc::c_long, arguments: [usize; 5]) -> libc::c_long {
    let result: libc::c_long;
    // SAFETY: the instruction clobbers rcx and r11, which are declared; memory effects are the caller's promise.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// A system call with up to five arguments.
///
/// # Safety
///
/// What the kernel reads or writes through the arguments must be valid for that call.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) unsafe fn syscall(number: libc::c_long, arguments: [usize; 5]) -> libc::c_long {
    let result: libc::c_long;
    // SAFETY: the instruction changes x0 only; memory effects are the caller's promise.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") arguments[0] => result,
            in("x1") arguments[1],
            in("x2") arguments[2],
            in("x3") arguments[3],
            in("x4") arguments[4],
            options(nostack),
        );
    }
    result
}
