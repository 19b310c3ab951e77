//! The core's side of `usherd load`.
//!
//! The loader is a process of its own: no parser's memory, no NSS module and no directory server that hangs ever
//! reaches the daemon. One runs at a time; another request ends it and starts over, and so does its deadline.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid as SystemPid, Signal, kill_process};
use usherd_model::children::Pid;
use usherd_model::time::Tick;
use usherd_sys::child::{Plan, Step, Strings};
use usherd_sys::spawn::{Given, Spawner, Table};

use crate::message::{self, Reply, Request};

/// Starts loaders and reads what they say.
#[derive(Debug)]
pub struct Loader {
    request: Request,
    plan: Arc<Plan>,
    running: Option<Running>,
}

/// A name look-up may take long, but not for ever.
const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Running {
    pid: Pid,
    reply: OwnedFd,
    bytes: Vec<u8>,
    deadline: Tick,
}

/// What reading has brought.
#[derive(Debug)]
pub enum Progress {
    /// Nothing whole yet.
    Waits,
    /// The reply, or why there is none.
    Done(Result<Box<Reply>, String>),
}

impl Loader {
    /// For this request.
    pub fn new(request: Request) -> Self {
        let steps = Arc::from([Step::Descriptors, Step::Connection(0), Step::Other(1), Step::Signals]);
        let command = Strings::new(Arc::from(*b"/proc/self/exe\0usherd\0load\0"));
        let environment = Arc::new(Strings::new(Arc::from([])));
        let plan = Plan::new(steps, command, environment).expect("a path and two arguments");
        Self { request, plan: Arc::new(plan), running: None }
    }

    /// Starts the loader; one that runs is ended. The reply is to be read when [`Self::reply`] is readable.
    pub fn start(&mut self, spawner: &mut Spawner, table: Table, now: Tick) -> Result<Pid, String> {
        self.stop();
        let request = message::encode(&self.request).map_err(|error| format!("request: {error}"))?;
        let (pid, reply) =
            self.spawn(spawner, table, &request).map_err(|error| format!("loader: {error}"))?;
        self.running = Some(Running { pid, reply, bytes: Vec::new(), deadline: now.after(DEADLINE) });
        Ok(pid)
    }

    fn spawn(&self, spawner: &mut Spawner, table: Table, request: &[u8]) -> std::io::Result<(Pid, OwnedFd)> {
        let file = memfd_create("usherd-request", MemfdFlags::CLOEXEC)?;
        let mut rest = request;
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(&file, rest)?..];
        }
        seek(&file, SeekFrom::Start(0))?;
        let (reply, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let flags = rustix::fs::fcntl_getfl(&write)?;
        rustix::fs::fcntl_setfl(&write, flags - rustix::fs::OFlags::NONBLOCK)?;
        let pid = spawner.spawn(&self.plan, Given::Away(file), Some(write.as_fd()), &[], table)?;
        // With a shared table the child may not have taken its copy yet.
        while spawner.settle() {
            std::hint::spin_loop();
        }
        Ok((Pid(pid), crate::descriptors::move_up(reply)))
    }

    /// Ends a loader that runs.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take()
            && let Some(pid) = SystemPid::from_raw(running.pid.0)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Whether one runs.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The pipe of the loader that runs.
    pub fn reply(&self) -> Option<BorrowedFd<'_>> {
        self.running.as_ref().map(|running| running.reply.as_fd())
    }

    /// When the loader that runs has had its time.
    pub fn deadline(&self) -> Option<Tick> {
        self.running.as_ref().map(|running| running.deadline)
    }

    /// Reads what is there.
    pub fn read(&mut self) -> Progress {
        let Some(running) = &mut self.running else { return Progress::Waits };
        // On the heap, which is given back: a stack that was used once stays.
        let mut piece = vec![0_u8; 64 * 1024];
        // A bounded number of pieces, so that a large reply does not keep callers waiting.
        for _ in 0..16 {
            match rustix::io::read(&running.reply, &mut piece) {
                Ok(0) => {
                    let bytes = std::mem::take(&mut running.bytes);
                    self.running = None;
                    let reply = message::decode(&bytes).map(Box::new);
                    return Progress::Done(
                        reply.map_err(|_| "the loader ended without an answer".to_owned()),
                    );
                }
                Ok(got) => running.bytes.extend(&piece[..got]),
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(error) => {
                    self.stop();
                    return Progress::Done(Err(format!("loader: {error}")));
                }
            }
            if running.bytes.len() > message::MOST {
                self.stop();
                return Progress::Done(Err("the loader's answer is too large".to_owned()));
            }
        }
        Progress::Waits
    }

    /// Ends a loader whose time is over.
    pub fn expire(&mut self, now: Tick) -> Option<String> {
        if self.deadline()? > now {
            return None;
        }
        self.stop();
        Some(format!("the loader took more than {} s and was ended", DEADLINE.as_secs()))
    }
}
