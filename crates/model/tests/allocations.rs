//! A connection allocates nothing in the core once a few have come and gone.

mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use usherd_model::children::Pid;
use usherd_model::event::{Action, Event, Exit};
use usherd_model::slots::Key;
use usherd_model::supervisor::{Settings, Supervisor};
use usherd_model::time::Tick;

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

/// One caller: readable, accepted, started, ended.
fn connection(core: &mut Supervisor, actions: &mut Vec<Action>, now: Tick, number: i32) {
    let (listener, _) = core.listeners().next().expect("one listener");
    let connection = Key::unpack(u64::from(number.unsigned_abs()));
    let peer = Some("192.0.2.9:40000".parse().expect("an address"));
    core.handle(Event::Readable(listener), now, actions);
    core.handle(Event::Accepted { listener, connection, peer }, now, actions);
    let Some(Action::Start(start)) = actions.last().cloned() else { panic!("a start, not {actions:?}") };
    let pid = Pid(number);
    core.handle(Event::Started(start, pid), now, actions);
    actions.clear();
    core.handle(Event::Ended(pid, Exit::Status(0), None), now, actions);
    actions.clear();
}

#[test]
fn a_connection_allocates_nothing_once_warm() {
    let (config, ..) = world::read("2000 stream tcp4 nowait.1000000 nobody /bin/cat cat\n");
    let mut core = Supervisor::new(Settings { max_children: 100, max_sessions: 1, ..Settings::default() });
    let mut actions = Vec::new();
    core.handle(Event::Loaded(Box::new(config)), Tick::default(), &mut actions);
    let (listener, _) = core.listeners().next().expect("one listener");
    core.handle(Event::Opened(listener), Tick::default(), &mut actions);
    actions.clear();
    for number in 1..10 {
        connection(&mut core, &mut actions, Tick::new(Duration::from_secs(1)), number);
    }
    let before = ALLOCATIONS.get();
    for number in 10..1000 {
        connection(&mut core, &mut actions, Tick::new(Duration::from_secs(2)), number);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
