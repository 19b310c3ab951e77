//! Who asks: clients of the control socket, and the state dump.

use rustix::event::epoll::EventFlags;
use usherd_model::status::{self, Snapshot};

use crate::control::{self, ClientId};
use crate::errno::{self, from_rustix, is_exhaustion};
use crate::log::{Level, Record};
use crate::poller::Token;
use crate::state_dump;
use crate::state_text::state_text;

use super::Daemon;

impl Daemon {
    pub(super) fn accept_client(&mut self) {
        let Some(control) = &mut self.control else { return };
        let mut accepted = control.accept(self.now);
        if accepted.is_err_and(|error| is_exhaustion(from_rustix(error))) {
            // Whoever wants to know what is wrong when descriptors have run out gets the reserve.
            self.reserve.release();
            accepted = control.accept(self.now);
        }
        let Ok(Some(client)) = accepted else { return };
        let added =
            control.connection(client).map(|fd| self.poller.add(fd, Token::Client(client), EventFlags::IN));
        if !matches!(added, Some(Ok(()))) {
            self.end_client(client);
        }
    }

    pub(super) fn converse(&mut self, client: ClientId) {
        let Some(control) = &mut self.control else { return };
        let mut progress = control.proceed(client);
        if let control::Progress::Asks(control::Request::Status) = progress {
            let answer = serde_json::to_vec(&self.snapshot()).unwrap_or_default();
            let Some(control) = &mut self.control else { return };
            progress = control.answer(client, answer);
        }
        let Some(control) = &mut self.control else { return };
        match progress {
            control::Progress::Reads | control::Progress::Asks(_) => {}
            control::Progress::Writes => {
                if let Some(connection) = control.connection(client) {
                    let _ = self.poller.change(connection, Token::Client(client), EventFlags::OUT);
                }
            }
            control::Progress::Over => self.end_client(client),
        }
    }

    fn end_client(&mut self, client: ClientId) {
        if let Some(connection) = self.control.as_mut().and_then(|control| control.end(client)) {
            self.forget(connection);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let (children, max_children) = status::children(&self.supervisor);
        Snapshot {
            version: 1,
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: self.pid,
            uptime_seconds: self.now.since(self.began).as_secs(),
            children,
            max_children,
            sessions: status::sessions(&self.supervisor),
            denied_sources: self.supervisor.denied_sources(self.now),
            loading: self.loader.helper.is_running(),
            diagnostics: self.diagnostics.clone(),
            services: status::services(&self.supervisor, self.now, &errno::words, &|id| {
                self.stderr_log.last(id)
            }),
        }
    }

    pub(super) fn dump_state(&mut self) {
        let record = match state_dump::write(&state_text(&self.snapshot())) {
            Ok(path) => {
                let text = format!("generated state dump in file {}", path.display());
                Record::new(Level::Info, "state-dump", text)
            }
            Err(error) => Record::new(Level::Error, "state-dump", format!("no state dump: {error}")),
        };
        self.logger.log(&record);
    }
}
