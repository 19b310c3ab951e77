//! Reading the configuration, in a helper.
//!
//! One runs at a time; another request ends it and starts over, and so does its deadline.

use std::time::Duration;

use usherd_model::children::Pid;
use usherd_model::time::Tick;
use usherd_sys::spawn::{Spawner, Table};

use crate::helper::Helper;
use crate::message::{Errand, Reply, Request};

/// A name look-up may take long, but not for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has the configuration read.
#[derive(Debug)]
pub struct Loader {
    errand: Errand,
    /// Who reads it.
    pub helper: Helper<Reply>,
}

impl Loader {
    /// For this request.
    pub fn new(request: Request) -> Self {
        Self { errand: Errand::Load(request), helper: Helper::new("loader", PATIENCE) }
    }

    /// Starts the helper; one that runs is ended.
    pub fn start(&mut self, spawner: &mut Spawner, table: Table, now: Tick) -> Result<Pid, String> {
        self.helper.start(&self.errand, spawner, table, now)
    }
}
