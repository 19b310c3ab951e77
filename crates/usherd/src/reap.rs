//! Children that have ended.
//!
//! On SIGCHLD the recent children are asked for one by one; one that lives longer gets a descriptor of its own
//! (pidfd) in epoll. So the work of one end does not grow with the children that go on: waiting for "any child"
//! walks all of them in the kernel.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid as SystemPid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, waitpid};
use usherd_model::children::Pid;
use usherd_model::event::Exit;
use usherd_model::time::Tick;

/// Children, as the kernel knows them.
#[derive(Debug, Default)]
pub struct Reaper {
    recent: VecDeque<(Pid, Tick)>,
    old: HashMap<Pid, OwnedFd>,
}

/// A child that lives so long gets a descriptor. Most end sooner.
const RECENT: Duration = Duration::from_millis(20);

impl Reaper {
    /// Notes a child that was started.
    pub fn watch(&mut self, pid: Pid, now: Tick) {
        self.recent.push_back((pid, now));
    }

    /// Asks for all recent children. Those that have ended are passed to `ended`; those that are not recent any more
    /// are passed to `register` with their descriptor, which is kept here when it returns true.
    pub fn sweep(
        &mut self,
        now: Tick,
        mut register: impl FnMut(Pid, &OwnedFd) -> bool,
        mut ended: impl FnMut(Pid, Exit),
    ) {
        for _ in 0..self.recent.len() {
            let Some((pid, since)) = self.recent.pop_front() else { break };
            match try_wait(pid) {
                Wait::Ended(exit) => ended(pid, exit),
                Wait::Runs if now.since(since) < RECENT => self.recent.push_back((pid, since)),
                Wait::Runs => match descriptor(pid) {
                    Some(fd) if register(pid, &fd) => {
                        self.old.insert(pid, fd);
                    }
                    // No descriptor to be had now: it is asked for again with the next sweep.
                    Some(_) | None => self.recent.push_back((pid, since)),
                },
            }
        }
    }

    /// How many old children have a descriptor.
    pub fn descriptors(&self) -> usize {
        self.old.len()
    }

    /// Asks for an old child whose descriptor says that it has ended. The descriptor goes with the answer.
    pub fn collect(&mut self, pid: Pid) -> Option<(Exit, OwnedFd)> {
        let fd = self.old.remove(&pid)?;
        match try_wait(pid) {
            Wait::Ended(exit) => Some((exit, fd)),
            Wait::Runs => {
                self.old.insert(pid, fd);
                None
            }
        }
    }
}

enum Wait {
    Ended(Exit),
    Runs,
}

fn try_wait(pid: Pid) -> Wait {
    let pid = SystemPid::from_raw(pid.0);
    match waitpid(pid, WaitOptions::NOHANG) {
        Ok(Some((_, status))) => exit(status).map_or(Wait::Runs, Wait::Ended),
        // No child of ours any more: how it ended will never be known, but that it has.
        Err(Errno::CHILD) => Wait::Ended(Exit::Status(0)),
        // Asked again with the next sweep.
        Ok(None) | Err(_) => Wait::Runs,
    }
}

fn exit(status: WaitStatus) -> Option<Exit> {
    let signal = status.terminating_signal().map(Exit::Signal);
    status.exit_status().map(Exit::Status).or(signal)
}

fn descriptor(pid: Pid) -> Option<OwnedFd> {
    pidfd_open(SystemPid::from_raw(pid.0)?, PidfdFlags::empty()).ok().map(crate::descriptors::move_up)
}
