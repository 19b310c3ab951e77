//! Signals, and children that have ended: programs and helpers.

use usherd_model::children::Pid;
use usherd_model::event::{Event, Exit};
use usherd_model::failure::Errno;
use usherd_sys::child::FAILED;
use usherd_sys::signal::Signal;

use crate::log::Level;
use crate::programs::failed_step;
use crate::reap::Reaper;

use super::Daemon;
use super::helpers::no_helper;

impl Daemon {
    pub(super) fn read_signals(&mut self) {
        let mut sweep = false;
        for signal in self.signals.read().iter() {
            match signal {
                Signal::CHLD => sweep = true,
                // The second is xinetd's.
                Signal::HUP | Signal::USR2 => {
                    self.logger.reopen();
                    self.logger.log_for_xinetd(Level::Notice, "Starting reconfiguration");
                    self.raise(Event::ReloadRequested);
                }
                Signal::TERM | Signal::INT | Signal::QUIT => self.raise(Event::StopRequested),
                Signal::USR1 => self.dump_state(),
                Signal::ALRM => self.raise(Event::RetryRequested),
                // Means nothing to us, and must not end us.
                Signal(_) => {}
            }
        }
        if sweep {
            let now = self.now;
            self.reap(|reaper, ended| reaper.sweep(now, |pid, exit| ended.push((pid, exit))));
        }
    }

    pub(super) fn reap(&mut self, sweep: impl FnOnce(&mut Reaper, &mut Vec<(Pid, Exit)>)) {
        let mut ended = std::mem::take(&mut self.ended);
        sweep(&mut self.reaper, &mut ended);
        for (pid, exit) in ended.drain(..) {
            self.child_ended(pid, exit);
        }
        self.ended = ended;
    }

    fn child_ended(&mut self, pid: Pid, exit: Exit) {
        // Taken for every child: what stays would be told of a later one with the same number.
        let failed = self.spawner.take_failure(pid.0).filter(|_| exit == Exit::Status(FAILED));
        if self.loader.helper.reaped(pid) {
            if let Some(failed) = failed {
                self.stop_loader();
                self.load_failed(no_helper("loader", failed));
            }
            return;
        }
        if self.table_reader.helper.reaped(pid) {
            if let Some(failed) = failed {
                self.stop_table_reader();
                self.raise(Event::TablesNotRead(no_helper("table reader", failed)));
            }
            return;
        }
        if self.resolver.reaped(pid) {
            if let Some(failed) = failed {
                self.say_no_resolver(&no_helper("helper", failed));
            }
            return;
        }
        if self.registrar.helper.reaped(pid) {
            if let Some(failed) = failed {
                self.stop_registrar();
                self.raise(Event::NotRegistered(no_helper("helper", failed)));
            }
            return;
        }
        self.end_stderr_line(pid);
        let failure = failed.map(|failed| (failed_step(failed.step), Errno(failed.errno)));
        self.raise(Event::Ended(pid, exit, failure));
    }
}
