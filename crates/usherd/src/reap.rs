//! Children that have ended.
//!
//! SIGCHLD says that somebody has ended and not who, and several of them become one. So the children are asked one by
//! one: the recent ones each time, for most programs end soon; the old ones all together, and the more of them go on,
//! the later again ([`REST`]). So those that go on, however many they are, cost a few hundredths of the time at the
//! most, and no descriptor. (Waiting for "any child" walks all of them in the kernel, once for each that has ended; a
//! descriptor for each, in epoll, is taken from the callers of all other services.)

use std::collections::VecDeque;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid as SystemPid, WaitOptions, WaitStatus, waitpid};
use usherd_model::children::Pid;
use usherd_model::event::Exit;
use usherd_model::time::Tick;

/// Children, as the kernel knows them.
#[derive(Debug, Default)]
pub struct Reaper {
    recent: VecDeque<(Pid, Tick)>,
    old: Vec<Pid>,
    /// Whether somebody has ended since the old ones were asked.
    somebody_ended: bool,
    /// The old ones are not asked before.
    not_before: Tick,
}

/// A child that lives so long is old. Most end sooner.
const RECENT: Duration = Duration::from_millis(20);

/// The old ones are left alone so long for each of them that goes on. Asking one takes half a microsecond.
const REST: Duration = Duration::from_micros(20);

impl Reaper {
    /// Notes a child that was started.
    pub fn watch(&mut self, pid: Pid, now: Tick) {
        self.recent.push_back((pid, now));
    }

    /// Somebody has ended: asks the recent children, and passes those that have ended to `ended`.
    pub fn sweep(&mut self, now: Tick, mut ended: impl FnMut(Pid, Exit)) {
        for _ in 0..self.recent.len() {
            let Some((pid, since)) = self.recent.pop_front() else { break };
            match try_wait(pid) {
                Wait::Ended(exit) => ended(pid, exit),
                Wait::Runs if now.since(since) < RECENT => self.recent.push_back((pid, since)),
                Wait::Runs | Wait::Unknown => self.old.push(pid),
            }
        }
        self.somebody_ended = true;
    }

    /// When [`Self::sweep_old`] is to be called; `None` when nobody can have ended.
    pub fn deadline(&self) -> Option<Tick> {
        if self.somebody_ended && !self.old.is_empty() { Some(self.not_before) } else { None }
    }

    /// Asks the old children, and passes those that have ended to `ended`.
    pub fn sweep_old(&mut self, now: Tick, mut ended: impl FnMut(Pid, Exit)) {
        self.somebody_ended = false;
        self.old.retain(|pid| match try_wait(*pid) {
            Wait::Ended(exit) => {
                ended(*pid, exit);
                false
            }
            Wait::Runs => true,
            Wait::Unknown => {
                self.somebody_ended = true;
                true
            }
        });
        let going_on = u32::try_from(self.old.len()).unwrap_or(u32::MAX);
        self.not_before = now.after(REST.saturating_mul(going_on));
    }
}

enum Wait {
    Ended(Exit),
    Runs,
    /// The kernel did not say.
    Unknown,
}

fn try_wait(pid: Pid) -> Wait {
    let pid = SystemPid::from_raw(pid.0);
    match waitpid(pid, WaitOptions::NOHANG) {
        Ok(Some((_, status))) => exit(status).map_or(Wait::Runs, Wait::Ended),
        Ok(None) => Wait::Runs,
        // No child of ours any more: how it ended will never be known, but that it has.
        Err(Errno::CHILD) => Wait::Ended(Exit::Status(0)),
        Err(_) => Wait::Unknown,
    }
}

fn exit(status: WaitStatus) -> Option<Exit> {
    let signal = status.terminating_signal().map(Exit::Signal);
    status.exit_status().map(Exit::Status).or(signal)
}
