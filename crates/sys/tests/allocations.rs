//! Starting a child allocates nothing once a few have been started.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::File;
use std::sync::Arc;

use rustix::process::{Pid, WaitOptions, waitpid};
use usherd_sys::child::{Plan, Setup, Step, Strings};
use usherd_sys::spawn::{Given, Memory, Spawner, Table};

struct Counting;

thread_local! {
    /// Of this thread: the test harness has others.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all work is done by the system's allocator; counting changes nothing about it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has nothing to count any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_start_allocates_nothing_once_warm() {
    let text = |bytes: &[u8]| Strings::new(Arc::from(bytes));
    let steps = [Step::Descriptors, Step::Connection(0), Step::Connection(1), Step::Signals];
    let environment = Arc::new(text(b"A=1\0"));
    let setup = Arc::new(Setup { steps: Box::new(steps), environment });
    let plan = Plan::new(setup, text(b"/nonexistent\0x\0")).expect("a command");
    let plan = Arc::new(plan);
    let mut spawner = Spawner::new(Memory::Shared);
    let mut start = |table: Table| {
        let null = File::open("/dev/null").expect("open");
        let before = ALLOCATIONS.get();
        let pid =
            spawner.spawn(&plan, Given::Away(null.into()), None, &[(c"B", b"2")], table).expect("spawn");
        while spawner.settle() {
            std::thread::yield_now();
        }
        waitpid(Pid::from_raw(pid), WaitOptions::empty()).expect("wait");
        assert!(spawner.take_failure(pid).is_some());
        ALLOCATIONS.get() - before
    };
    for table in [Table::Copied, Table::Shared] {
        for _ in 0..3 {
            start(table);
        }
        let counts: Vec<usize> = (0..50).map(|_| start(table)).collect();
        assert_eq!(counts.iter().sum::<usize>(), 0, "{table:?} {counts:?}");
    }
}
