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
use usherd_model::service::{CommandLine, OURSELVES};
use usherd_model::time::Tick;
use usherd_sys::child::{Plan, Setup, Step, Strings};
use usherd_sys::spawn::{Given, Spawner, Table};

use crate::message::{self, Errand};

/// Starts helpers of one kind, one at a time, and reads what they say.
#[derive(Debug)]
pub struct Helper<Answer> {
    /// What it is called in messages.
    name: &'static str,
    patience: Duration,
    plan: Arc<Plan>,
    /// The last one's, until it was reaped.
    process: Option<Pid>,
    running: Option<Running>,
    answer: PhantomData<fn() -> Answer>,
}

#[derive(Debug)]
struct Running {
    reply: OwnedFd,
    bytes: Vec<u8>,
    deadline: Tick,
}

/// What reading has brought.
#[derive(Debug)]
pub enum Progress<Answer> {
    /// Nothing whole yet.
    Waits,
    /// It is over.
    Done(Ended<Answer>),
}

/// A helper that is done with.
#[derive(Debug)]
pub struct Ended<Answer> {
    /// What is to be closed; it is polled.
    pub pipe: OwnedFd,
    /// The answer, or why there is none.
    pub outcome: Result<Box<Answer>, String>,
}

impl<Answer: DeserializeOwned> Helper<Answer> {
    /// One of this name, that may take so long.
    pub fn new(name: &'static str, patience: Duration) -> Self {
        let steps = Box::new([Step::Descriptors, Step::Connection(0), Step::Other(1), Step::Signals]);
        let command = Strings::new(CommandLine::new(OURSELVES, [b"usherd".as_slice(), b"load"]).text());
        let environment = Arc::new(Strings::new(Arc::from([])));
        let setup = Arc::new(Setup { steps, environment });
        let plan = Plan::new(setup, command).expect("a path and two arguments");
        Self { name, patience, plan: Arc::new(plan), process: None, running: None, answer: PhantomData }
    }

    /// Starts it; one that runs must have been ended by [`Self::stop`]. The answer is to be read when [`Self::reply`]
    /// is readable.
    pub fn start(
        &mut self,
        errand: &Errand,
        spawner: &mut Spawner,
        table: Table,
        now: Tick,
    ) -> Result<Pid, String> {
        let request = message::encode(errand).map_err(|error| format!("request: {error}"))?;
        let (pid, reply) =
            self.spawn(spawner, table, &request).map_err(|error| format!("{}: {error}", self.name))?;
        self.process = Some(pid);
        self.running = Some(Running { reply, bytes: Vec::new(), deadline: now.after(self.patience) });
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
        let pid = spawner.spawn(&self.plan, Given::Away(file), Some(Arc::new(write)), &[], table)?;
        Ok((Pid(pid), crate::descriptors::move_up(reply)))
    }

    /// Ends one that runs. Its pipe, which is polled, is to be closed by the caller.
    #[must_use]
    pub fn stop(&mut self) -> Option<OwnedFd> {
        let running = self.running.take()?;
        if let Some(pid) = self.process.and_then(|pid| SystemPid::from_raw(pid.0)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        Some(running.reply)
    }

    /// The process of the last one, until it was reaped.
    pub fn process(&self) -> Option<Pid> {
        self.process
    }

    /// A process was reaped: its number may be another's from now on. What it wrote may still be read. Whether it was
    /// this helper's.
    pub fn reaped(&mut self, pid: Pid) -> bool {
        self.process.take_if(|process| *process == pid).is_some()
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
                    let Some(Running { reply: pipe, bytes, .. }) = self.running.take() else { break };
                    let answer = message::decode(&bytes).map(Box::new);
                    let outcome = answer.map_err(|_| format!("the {} ended without an answer", self.name));
                    return Progress::Done(Ended { pipe, outcome });
                }
                Ok(got) => running.bytes.extend(&piece[..got]),
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(error) => return self.break_off(format!("{}: {error}", self.name)),
            }
            if running.bytes.len() > message::MOST {
                return self.break_off(format!("the {}'s answer is too large", self.name));
            }
        }
        Progress::Waits
    }

    /// Ends one whose time is over.
    pub fn expire(&mut self, now: Tick) -> Progress<Answer> {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return Progress::Waits;
        }
        self.break_off(format!(
            "the {} took more than {} s and was ended",
            self.name,
            self.patience.as_secs()
        ))
    }

    fn break_off(&mut self, why: String) -> Progress<Answer> {
        self.stop().map_or(Progress::Waits, |pipe| Progress::Done(Ended { pipe, outcome: Err(why) }))
    }
}
