//! The core's side of `usherd load`: a helper that does one errand.
//!
//! A helper is a process of its own: no parser's memory, no NSS module, no directory server and no rpcbind that hangs
//! ever reaches the daemon. It gets one message and answers with one; whoever has taken too long is ended. What is
//! asked and what the answer means is `loader` and `registrar`.

use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid as SystemPid, Signal, kill_process};
use serde::de::DeserializeOwned;
use usherd_model::children::Pid;
use usherd_model::time::Tick;
use usherd_sys::child::{Plan, Step, Strings};
use usherd_sys::spawn::{Given, Spawner, Table};

use crate::message::{self, Errand};

/// Starts helpers of one kind, one at a time, and reads what they say.
#[derive(Debug)]
pub struct Helper<Answer> {
    /// What it is called in messages.
    name: &'static str,
    patience: Duration,
    plan: Arc<Plan>,
    running: Option<Running>,
    answer: PhantomData<fn() -> Answer>,
}

#[derive(Debug)]
struct Running {
    pid: Pid,
    reply: OwnedFd,
    bytes: Vec<u8>,
    deadline: Tick,
}

/// What reading has brought.
#[derive(Debug)]
pub enum Progress<Answer> {
    /// Nothing whole yet.
    Waits,
    /// The answer, or why there is none.
    Done(Result<Box<Answer>, String>),
}

impl<Answer: DeserializeOwned> Helper<Answer> {
    /// One of this name, that may take so long.
    pub fn new(name: &'static str, patience: Duration) -> Self {
        let steps = Arc::from([Step::Descriptors, Step::Connection(0), Step::Other(1), Step::Signals]);
        let command = Strings::new(Arc::from(*b"/proc/self/exe\0usherd\0load\0"));
        let environment = Arc::new(Strings::new(Arc::from([])));
        let plan = Plan::new(steps, command, environment).expect("a path and two arguments");
        Self { name, patience, plan: Arc::new(plan), running: None, answer: PhantomData }
    }

    /// Starts it; one that runs is ended. The answer is to be read when [`Self::reply`] is readable.
    pub fn start(
        &mut self,
        errand: &Errand,
        spawner: &mut Spawner,
        table: Table,
        now: Tick,
    ) -> Result<Pid, String> {
        self.stop();
        let request = message::encode(errand).map_err(|error| format!("request: {error}"))?;
        let (pid, reply) =
            self.spawn(spawner, table, &request).map_err(|error| format!("{}: {error}", self.name))?;
        self.running = Some(Running { pid, reply, bytes: Vec::new(), deadline: now.after(self.patience) });
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

    /// Ends one that runs.
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

    /// The pipe of the one that runs.
    pub fn reply(&self) -> Option<BorrowedFd<'_>> {
        self.running.as_ref().map(|running| running.reply.as_fd())
    }

    /// When the one that runs has had its time.
    pub fn deadline(&self) -> Option<Tick> {
        self.running.as_ref().map(|running| running.deadline)
    }

    /// Reads what is there.
    pub fn read(&mut self) -> Progress<Answer> {
        let Some(running) = &mut self.running else { return Progress::Waits };
        // On the heap, which is given back: a stack that was used once stays.
        let mut piece = vec![0_u8; 64 * 1024];
        // A bounded number of pieces, so that a large answer does not keep callers waiting.
        for _ in 0..16 {
            match rustix::io::read(&running.reply, &mut piece) {
                Ok(0) => {
                    let bytes = std::mem::take(&mut running.bytes);
                    self.running = None;
                    let answer = message::decode(&bytes).map(Box::new);
                    return Progress::Done(
                        answer.map_err(|_| format!("the {} ended without an answer", self.name)),
                    );
                }
                Ok(got) => running.bytes.extend(&piece[..got]),
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(error) => {
                    self.stop();
                    return Progress::Done(Err(format!("{}: {error}", self.name)));
                }
            }
            if running.bytes.len() > message::MOST {
                self.stop();
                return Progress::Done(Err(format!("the {}'s answer is too large", self.name)));
            }
        }
        Progress::Waits
    }

    /// Ends one whose time is over.
    pub fn expire(&mut self, now: Tick) -> Option<String> {
        if self.deadline()? > now {
            return None;
        }
        self.stop();
        Some(format!("the {} took more than {} s and was ended", self.name, self.patience.as_secs()))
    }
}
