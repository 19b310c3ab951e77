//! What programs write to standard error, where that comes to us.
//!
//! Each line becomes one log line, and the last few are kept to be shown with failed starts. A line, the lines that
//! are kept and what is read at once are bounded: a program that writes without end costs its own lines.

use std::collections::VecDeque;
use std::os::fd::AsFd;

use usherd_model::diagnostic::printable;
use usherd_model::slots::Side;
use usherd_model::supervisor::{ServiceId, ServiceState};

/// The standard error of all services that log it.
#[derive(Debug, Default)]
pub struct StderrLog {
    services: Side<ServiceState, Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    last: VecDeque<String>,
}

/// The longest line that is logged in one piece.
const LONGEST: usize = 1024;
/// Lines that are kept of each service.
const KEPT: usize = 8;

impl StderrLog {
    /// Reads what a service's programs have written, a bounded piece, and passes each whole line on.
    pub fn read(&mut self, id: ServiceId, pipe: impl AsFd, mut line: impl FnMut(&str)) {
        let mut piece = [0_u8; 4096];
        let Ok(got) = rustix::io::read(pipe, &mut piece) else { return };
        if self.services.get(id).is_none() {
            self.services.insert(id, Lines::default());
        }
        let Some(lines) = self.services.get_mut(id) else { return };
        for byte in &piece[..got] {
            let ends = *byte == b'\n';
            if !ends {
                lines.partial.push(*byte);
            }
            if ends || lines.partial.len() == LONGEST {
                let text = printable(&std::mem::take(&mut lines.partial));
                line(&text);
                if lines.last.len() == KEPT {
                    lines.last.pop_front();
                }
                lines.last.push_back(text);
            }
        }
    }

    /// The last lines of a service.
    pub fn last(&self, id: ServiceId) -> Vec<String> {
        let Some(lines) = self.services.get(id) else { return Vec::new() };
        let partial = if lines.partial.is_empty() { None } else { Some(printable(&lines.partial)) };
        lines.last.iter().cloned().chain(partial).collect()
    }

    /// Forgets a service.
    pub fn forget(&mut self, id: ServiceId) {
        self.services.remove(id);
    }
}
