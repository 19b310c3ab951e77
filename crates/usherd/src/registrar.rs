//! Telling rpcbind, in a helper.
//!
//! rpcbind may be slow, hang, or not be there: the core hears in any case, and soon.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use usherd_model::children::Pid;
use usherd_model::registry::Tidings;
use usherd_model::time::Tick;
use usherd_sys::spawn::{Spawner, Table};

use crate::helper::{Helper, Progress};
use crate::message::{Errand, Told};

/// Longer than the helper itself waits, so that it can say what has happened.
const PATIENCE: Duration = Duration::from_secs(5);

/// At the daemon's end rpcbind has so long.
const LAST_PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 500_000_000 };

/// Has rpcbind told.
#[derive(Debug)]
pub struct Registrar {
    /// Who tells it.
    pub helper: Helper<Told>,
}

impl Registrar {
    /// With nothing to tell yet.
    pub fn new() -> Self {
        Self { helper: Helper::new("helper", PATIENCE) }
    }

    /// Starts the helper; one that runs is ended.
    pub fn start(
        &mut self,
        tidings: Tidings,
        spawner: &mut Spawner,
        table: Table,
        now: Tick,
    ) -> Result<Pid, String> {
        self.helper.start(&Errand::Register(tidings), spawner, table, now)
    }

    /// What the helper has to say, as one result.
    pub fn read(&mut self) -> Option<Told> {
        match self.helper.read() {
            Progress::Waits => None,
            Progress::Done(Ok(told)) => Some(*told),
            Progress::Done(Err(why)) => Some(Err(why)),
        }
    }

    /// Waits for a helper that runs, for a moment, and ends it.
    pub fn finish(&mut self) {
        if let Some(reply) = self.helper.reply() {
            let mut answer = [PollFd::new(&reply, PollFlags::IN)];
            // Whatever it says, there is nobody any more who could do something about it.
            let _ = poll(&mut answer, Some(&LAST_PATIENCE));
        }
        self.helper.stop();
    }
}
