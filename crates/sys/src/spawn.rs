//! Starting children.
//!
//! A child is cloned into our own memory (`CLONE_VM`) and the daemon goes on at once, without waiting for the exec
//! (no `CLONE_VFORK`): no page table is copied, whatever the daemon holds, and with a second CPU parent and child
//! work side by side. What that asks for:
//!
//! - Each child has a slot: a stack and a [`Run`](crate::child). Plan and slot stay as they are until the kernel says,
//!   by clearing the slot's `tid` (`CLONE_CHILD_CLEARTID`), that the child has left our memory, by exec or by exit.
//! - All signals are blocked in the daemon, always, but for those of our own faults and of job control
//!   ([`block_all`](crate::signal::block_all)), and none has a handler: nothing of ours can run in a child.
//! - A small descriptor table is copied, and exec closes the copy. A large one would cost more to copy than
//!   everything else together: it is shared, and the child leaves it (see [`Table`]).
//! - Where `fs.suid_dumpable` is 1, a user could trace a child that has its uid and still maps our memory. There
//!   children get a copy ([`Memory::Copied`]).

use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::child::{Plan, Run, StepName, usherd_child_main};

/// How a child gets our memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It shares it until exec.
    Shared,
    /// It gets a copy, and the daemon waits until it has exec'd.
    Copied,
}

/// How a child gets our descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// A copy, which exec closes.
    Copied,
    /// The daemon's own, which it leaves at its first step. Until then the daemon keeps open what it was given.
    Shared,
}

/// What a child gets as its connection.
#[derive(Debug)]
pub enum Given<'a> {
    /// This, which the daemon closes.
    Away(OwnedFd),
    /// A copy of this, which the daemon keeps and may close at any time: the child gets a copy of the table.
    Lent(BorrowedFd<'a>),
}

/// Starts children, and keeps what they need while they are in our memory.
#[derive(Debug)]
pub struct Spawner {
    memory: Memory,
    slots: Vec<Slot>,
    /// The last one that was freed is used first: it is in the cache.
    free: Vec<usize>,
    busy: VecDeque<usize>,
    /// Failures of children whose slot is in use again and which were not reaped yet.
    failed: Vec<(i32, Failed)>,
}

/// Why a child did not become its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// In this step.
    pub step: StepName,
    /// With this error number.
    pub errno: i32,
}

/// Children that are between clone and exec at the same time. One that is held up (a program on a dead network disk)
/// keeps its slot; when all are held up, starts fail for the moment and are tried again.
const SLOTS: usize = 64;

/// A child uses a few hundred bytes of stack; a debug build some thousands.
const STACK: usize = 32 * 1024;

/// Room for the variables of one connection, with names and NULs. What does not fit is left out.
const VARIABLES: usize = 512;

#[derive(Debug)]
struct Slot {
    stack: Stack,
    run: Shared,
    pid: i32,
    plan: Option<Arc<Plan>>,
    /// What the child was given, as long as it shares our descriptor table.
    kept: Option<Kept>,
    environment: Vec<*const c_char>,
    variables: Box<[u8; VARIABLES]>,
}

/// What must stay open under its number.
#[derive(Debug)]
struct Kept {
    _connection: Option<OwnedFd>,
    _other: Option<Arc<OwnedFd>>,
}

// SAFETY: the pointers of `environment` lead into `variables` and into the plan, both owned by the slot.
unsafe impl Send for Slot {}

impl Spawner {
    /// With no child yet.
    pub fn new(memory: Memory) -> Self {
        Self { memory, slots: Vec::new(), free: Vec::new(), busy: VecDeque::new(), failed: Vec::new() }
    }

    /// Starts a child that executes `plan` with `connection` and `other`, and returns its process number.
    ///
    /// `variables` are added to the plan's environment, each as name and value. A connection that is given away is
    /// closed here, and `other` let go of; with [`Table::Shared`] not before the child has a table of its own, see
    /// [`Self::settle`].
    ///
    /// # Errors
    ///
    /// What clone(2) says; EAGAIN when too many children are held up between clone and exec.
    pub fn spawn(
        &mut self,
        plan: &Arc<Plan>,
        connection: Given<'_>,
        other: Option<Arc<OwnedFd>>,
        variables: &[(&CStr, &[u8])],
        table: Table,
    ) -> io::Result<i32> {
        let index = self.free_slot()?;
        let slot = &mut self.slots[index];
        let (number, connection, table) = match connection {
            Given::Away(connection) => (connection.as_raw_fd(), Some(connection), table),
            Given::Lent(connection) => (connection.as_raw_fd(), None, Table::Copied),
        };
        slot.prepare(plan, number, other.as_deref(), variables, table);
        let started = slot.clone_child(self.memory, table);
        match started {
            Ok(pid) => {
                slot.pid = pid;
                slot.kept = if table == Table::Shared {
                    Some(Kept { _connection: connection, _other: other })
                } else {
                    None
                };
                self.busy.push_back(index);
                Ok(pid)
            }
            Err(error) => {
                slot.plan = None;
                self.free.push(index);
                Err(error)
            }
        }
    }

    /// Whether another child can be started. With all slots in use by children that are held up before their exec, it
    /// cannot, and nothing should be taken from the kernel that would be for that child.
    pub fn has_room(&mut self) -> bool {
        if self.free.is_empty() && self.slots.len() == SLOTS {
            self.reclaim();
        }
        !self.free.is_empty() || self.slots.len() < SLOTS
    }

    /// Whether a child may still be on its way to its program, with a copy of our descriptors.
    pub fn is_busy(&self) -> bool {
        self.busy.iter().any(|index| !self.slots[*index].is_done())
    }

    /// Closes what was given to children that have a descriptor table of their own by now. True when some have not:
    /// the call is to be made again soon.
    pub fn settle(&mut self) -> bool {
        let mut waiting = false;
        for index in &self.busy {
            let slot = &mut self.slots[*index];
            if slot.kept.is_some() {
                if slot.run.get().has_own_table.load(Ordering::Acquire) != 0 || slot.is_done() {
                    slot.kept = None;
                } else {
                    waiting = true;
                }
            }
        }
        waiting
    }

    /// Why the child of this number, which has ended, did not become its program; `None` when it did. To be called for
    /// every child that has ended, whatever its status: a record that nobody takes would be told of a later child with
    /// the same number.
    pub fn take_failure(&mut self, pid: i32) -> Option<Failed> {
        if let Some(at) = self.failed.iter().position(|(failed, _)| *failed == pid) {
            return Some(self.failed.swap_remove(at).1);
        }
        let index = *self.busy.iter().find(|index| self.slots[**index].pid == pid)?;
        let failed = self.slots[index].failure();
        if failed.is_some() {
            // It is told once; the slot must not tell it again when it is freed.
            self.slots[index].run.get().step.store(0, Ordering::Relaxed);
        }
        failed
    }

    fn free_slot(&mut self) -> io::Result<usize> {
        self.reclaim();
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        if self.slots.len() == SLOTS {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        self.slots.push(Slot::new()?);
        Ok(self.slots.len() - 1)
    }

    /// Frees the slots of children that have left our memory.
    fn reclaim(&mut self) {
        let (slots, free, failed) = (&mut self.slots, &mut self.free, &mut self.failed);
        self.busy.retain(|index| {
            let slot = &mut slots[*index];
            if !slot.is_done() {
                return true;
            }
            failed.extend(slot.failure().map(|failure| (slot.pid, failure)));
            slot.plan = None;
            slot.kept = None;
            free.push(*index);
            false
        });
    }
}

impl Drop for Spawner {
    /// A child that is on its way goes on without us: what it uses is left to it.
    fn drop(&mut self) {
        for slot in self.slots.drain(..) {
            if !slot.is_done() {
                std::mem::forget(slot);
            }
        }
    }
}

impl Slot {
    fn new() -> io::Result<Self> {
        Ok(Self {
            stack: Stack::new()?,
            run: Shared::new()?,
            pid: 0,
            plan: None,
            kept: None,
            environment: Vec::new(),
            variables: Box::new([0; VARIABLES]),
        })
    }

    fn prepare(
        &mut self,
        plan: &Arc<Plan>,
        connection: RawFd,
        other: Option<&OwnedFd>,
        variables: &[(&CStr, &[u8])],
        table: Table,
    ) {
        let environment = if variables.is_empty() {
            Run::environment_of(plan)
        } else {
            self.write_environment(plan, variables)
        };
        let run = Run {
            // Any number but 0, which says "done"; the kernel clears it.
            tid: AtomicI32::new(1),
            step: AtomicU32::new(0),
            errno: AtomicI32::new(0),
            has_own_table: AtomicU32::new(u32::from(table == Table::Copied)),
            plan: Arc::as_ptr(plan),
            environment,
            connection,
            other: other.map_or(-1, AsRawFd::as_raw_fd),
        };
        self.run.set(run);
        self.plan = Some(Arc::clone(plan));
    }

    /// The plan's environment and the variables of one connection. What does not fit is left out: unset, not cut.
    fn write_environment(&mut self, plan: &Plan, variables: &[(&CStr, &[u8])]) -> *const *const c_char {
        self.environment.clear();
        self.environment.extend(plan.environment().pointers());
        let mut rest = self.variables.as_mut_slice();
        for (name, value) in variables {
            let name = name.to_bytes();
            let length = name.len() + 1 + value.len() + 1;
            let Some((text, after)) = std::mem::take(&mut rest).split_at_mut_checked(length) else { break };
            text[..name.len()].copy_from_slice(name);
            text[name.len()] = b'=';
            text[name.len() + 1..length - 1].copy_from_slice(value);
            text[length - 1] = 0;
            self.environment.push(text.as_ptr().cast());
            rest = after;
        }
        self.environment.push(ptr::null());
        self.environment.as_ptr()
    }

    fn clone_child(&mut self, memory: Memory, table: Table) -> io::Result<c_int> {
        let memory_flags = match memory {
            Memory::Shared => libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID,
            Memory::Copied => libc::CLONE_VFORK,
        };
        let table_flags = match table {
            Table::Copied => 0,
            Table::Shared => libc::CLONE_FILES,
        };
        let run = self.run.pointer();
        // SAFETY: the slot owns a stack that nobody uses and a Run whose pointers were just set; both stay as they
        // are until `tid` is cleared (is_done). usherd_child_main never returns into our frames.
        let result = unsafe {
            libc::clone(
                child_entry,
                self.stack.top(),
                memory_flags | table_flags | libc::SIGCHLD,
                run.cast::<c_void>(),
                ptr::null_mut::<libc::pid_t>(),
                ptr::null_mut::<c_void>(),
                self.run.tid_pointer(),
            )
        };
        if memory == Memory::Copied {
            // The daemon waited until the child had exec'd or ended: it is out of our memory.
            self.run.get().tid.store(0, Ordering::Release);
        }
        crate::checked(result)
    }

    fn is_done(&self) -> bool {
        self.run.get().tid.load(Ordering::Acquire) == 0
    }

    fn failure(&self) -> Option<Failed> {
        let run = self.run.get();
        let step = StepName::from_number(run.step.load(Ordering::Acquire))?;
        Some(Failed { step, errno: run.errno.load(Ordering::Relaxed) })
    }
}

extern "C" fn child_entry(run: *mut c_void) -> c_int {
    // SAFETY: clone_child passes a pointer to its slot's Run, which stays valid until the child is gone.
    unsafe { usherd_child_main(run) }
}

/// A stack with a guard page below it.
#[derive(Debug)]
struct Stack {
    base: NonNull<c_void>,
}

/// Pages are 4, 16 or 64 KiB; a guard of the largest is right for all.
const GUARD: usize = 64 * 1024;

impl Stack {
    fn new() -> io::Result<Self> {
        let base = map(GUARD + STACK, libc::MAP_PRIVATE | libc::MAP_STACK | libc::MAP_NORESERVE)?;
        // SAFETY: the range is the lower part of the mapping that was just made, which nothing uses yet.
        let result = unsafe { libc::mprotect(base.as_ptr(), GUARD, libc::PROT_NONE) };
        let stack = Self { base };
        crate::checked(result)?;
        Ok(stack)
    }

    /// The end from which the stack grows down; 16-byte aligned, as a page is.
    fn top(&self) -> *mut c_void {
        // SAFETY: the offset is the length of the mapping: one past its end.
        unsafe { self.base.as_ptr().byte_add(GUARD + STACK) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and no child uses it: a slot whose child has not gone
        // is never dropped (see the Drop of Spawner), and one that was never spawned from has none.
        unsafe { libc::munmap(self.base.as_ptr(), GUARD + STACK) };
    }
}

// SAFETY: the mapping is owned and has no ties to a thread.
unsafe impl Send for Stack {}

/// A [`Run`] in memory that is shared even with a child that got a copy of all else.
#[derive(Debug)]
struct Shared {
    run: NonNull<Run>,
}

impl Shared {
    fn new() -> io::Result<Self> {
        let run = map(size_of::<Run>(), libc::MAP_SHARED)?.cast::<Run>();
        let shared = Self { run };
        // All zeroes is a valid Run with `tid` 0: done.
        Ok(shared)
    }

    fn get(&self) -> &Run {
        // SAFETY: the mapping holds a valid Run (zeroes at first) for as long as self lives; a child changes only
        // its atomics.
        unsafe { self.run.as_ref() }
    }

    fn set(&mut self, run: Run) {
        // SAFETY: the slot is free (is_done), so no child reads the Run; &mut self excludes other readers here.
        unsafe { self.run.as_ptr().write(run) };
    }

    fn pointer(&self) -> *mut Run {
        self.run.as_ptr()
    }

    fn tid_pointer(&self) -> *mut libc::pid_t {
        // SAFETY: the field lies inside the mapping.
        let tid = unsafe { &raw mut (*self.run.as_ptr()).tid };
        tid.cast()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and no child, nor the kernel with its `tid`, writes to
        // it any more: a slot whose child has not gone is never dropped (see the Drop of Spawner).
        unsafe { libc::munmap(self.run.as_ptr().cast(), size_of::<Run>()) };
    }
}

// SAFETY: the mapping is owned and has no ties to a thread.
unsafe impl Send for Shared {}

fn map(length: usize, flags: c_int) -> io::Result<NonNull<c_void>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that exists.
    let address =
        unsafe { libc::mmap(ptr::null_mut(), length, protection, flags | libc::MAP_ANONYMOUS, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(address).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
}
