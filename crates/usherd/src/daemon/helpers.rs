//! Helpers that find out what takes time: the loader, the registrar, the reader of the tables, the resolver.

use rustix::event::epoll::EventFlags;
use usherd_model::children::Pid;
use usherd_model::diagnostic::{Report, Severity};
use usherd_model::event::Event;
use usherd_model::failure::Errno;
use usherd_model::first_load;
use usherd_model::lookups::Question;
use usherd_model::registry::Tidings;
use usherd_model::supervisor::LookupId;
use usherd_sys::spawn::Failed;

use crate::descriptors::{self, LowNumbers};
use crate::errno::{self, from_io};
use crate::helper::{Ended, Progress};
use crate::log::{Level, Record};
use crate::message::{Reply, Told};
use crate::poller::Token;
use crate::programs::failed_step;
use crate::resolver::Heard;
use crate::tables::Stamped;

use super::Daemon;

/// Findings of one load that are logged and kept for status. Somebody who names a wrong file gets the idea.
const FINDINGS: usize = 200;

impl Daemon {
    pub(super) fn load(&mut self) {
        self.manager.reloading();
        self.stop_loader();
        let table = descriptors::table(self.long_lived());
        self.reserve.release();
        let started = self.loader.start(&mut self.spawner, table, self.now);
        match started {
            Ok(pid) => {
                self.reaper.watch(pid, self.now);
                let added = self
                    .loader
                    .helper
                    .reply()
                    .map(|reply| self.poller.add(reply, Token::Loader, EventFlags::IN));
                if let Some(Err(error)) = added {
                    self.stop_loader();
                    self.load_failed(format!("epoll: {error}"));
                }
            }
            Err(why) => self.load_failed(why),
        }
    }

    pub(super) fn read_loader(&mut self) {
        let progress = self.loader.helper.read();
        self.go_on_loading(progress);
    }

    pub(super) fn go_on_loading(&mut self, progress: Progress<Reply>) {
        let process = self.loader.helper.process();
        match self.answer("loader", process, progress) {
            None => {}
            Some(Ok(reply)) => self.loaded(*reply),
            Some(Err(why)) => self.load_failed(why),
        }
    }

    pub(super) fn stop_loader(&mut self) {
        if let Some(pipe) = self.loader.helper.stop() {
            self.forget(pipe);
        }
    }

    pub(super) fn register(&mut self, tidings: Tidings) {
        if let Err(why) = self.try_register(tidings) {
            self.events.push_back(Event::NotRegistered(why));
        }
    }

    fn try_register(&mut self, tidings: Tidings) -> Result<(), String> {
        self.stop_registrar();
        let table = descriptors::table(self.long_lived());
        self.reserve.release();
        let pid = self.registrar.start(tidings, &mut self.spawner, table, self.now)?;
        self.reaper.watch(pid, self.now);
        let Some(reply) = self.registrar.helper.reply() else { return Ok(()) };
        if let Err(error) = self.poller.add(reply, Token::Registrar, EventFlags::IN) {
            self.stop_registrar();
            return Err(format!("epoll: {error}"));
        }
        Ok(())
    }

    pub(super) fn read_registrar(&mut self) {
        let progress = self.registrar.helper.read();
        self.go_on_registering(progress);
    }

    pub(super) fn go_on_registering(&mut self, progress: Progress<Told>) {
        let process = self.registrar.helper.process();
        match self.answer("helper", process, progress).map(|told| told.and_then(|told| *told)) {
            None => {}
            Some(Ok(refused)) => self.raise(Event::Registered(refused)),
            Some(Err(why)) => self.raise(Event::NotRegistered(why)),
        }
    }

    pub(super) fn start_reading_tables(&mut self) {
        if let Err(why) = self.try_reading_tables() {
            self.events.push_back(Event::TablesNotRead(why));
        }
    }

    fn try_reading_tables(&mut self) -> Result<(), String> {
        self.stop_table_reader();
        let table = descriptors::table(self.long_lived());
        self.reserve.release();
        let pid = self.table_reader.start(&mut self.spawner, table, self.now)?;
        self.reaper.watch(pid, self.now);
        let Some(reply) = self.table_reader.helper.reply() else { return Ok(()) };
        if let Err(error) = self.poller.add(reply, Token::Tables, EventFlags::IN) {
            self.stop_table_reader();
            return Err(format!("epoll: {error}"));
        }
        Ok(())
    }

    pub(super) fn read_tables(&mut self) {
        let progress = self.table_reader.helper.read();
        self.go_on_reading_tables(progress);
    }

    pub(super) fn go_on_reading_tables(&mut self, progress: Progress<Stamped>) {
        let process = self.table_reader.helper.process();
        match self.answer("table reader", process, progress) {
            None => {}
            Some(Ok(stamped)) => {
                let Stamped { tables, stamps } = *stamped;
                self.stamps = stamps;
                self.raise(Event::TablesRead(Box::new(tables)));
            }
            Some(Err(why)) => self.raise(Event::TablesNotRead(why)),
        }
    }

    pub(super) fn look_up(&mut self, id: LookupId, question: Question) {
        if self.resolver.needs_helper() && !self.start_resolver() || !self.resolver.ask(id, question) {
            self.events.push_back(Event::LookedUp(id, None, None));
        }
    }

    fn start_resolver(&mut self) -> bool {
        let table = descriptors::table(self.long_lived());
        match self.resolver.start(&mut self.spawner, table) {
            Ok(pid) => {
                self.reaper.watch(pid, self.now);
                let socket = self.resolver.socket();
                let added = socket.map(|socket| self.poller.add(socket, Token::Resolver, EventFlags::IN));
                let is_polled = matches!(added, Some(Ok(())));
                if !is_polled {
                    self.resolver.stop();
                }
                is_polled
            }
            Err(error) => {
                self.say_no_resolver(&errno::words(from_io(&error)));
                false
            }
        }
    }

    pub(super) fn say_no_resolver(&mut self, why: &str) {
        let text = format!("no helper to look names up: {why}");
        self.logger.log(&Record::new(Level::Error, "no-resolver", text));
    }

    pub(super) fn read_resolver(&mut self) {
        loop {
            match self.resolver.read() {
                Heard::Nothing => return,
                Heard::Again => {}
                Heard::Missing(what) => {
                    let text = format!("the helper that looks names up does without {what}");
                    self.logger.log(&Record::new(Level::Warning, "resolver", text));
                }
                Heard::Refused(why) => self.say_no_resolver(&why),
                Heard::Answer(id, answer) => {
                    self.raise(Event::LookedUp(id, answer.found, answer.remark));
                }
                Heard::Gone { socket, again, lost } => {
                    self.forget(socket);
                    for (id, question) in again {
                        if self.supervisor.is_looking_up(id) {
                            self.look_up(id, question);
                        } else {
                            self.resolver.forget(id);
                        }
                    }
                    for id in lost {
                        self.events.push_back(Event::LookedUp(id, None, None));
                    }
                    self.raise_pending();
                    return;
                }
            }
        }
    }

    pub(super) fn stop_table_reader(&mut self) {
        if let Some(pipe) = self.table_reader.helper.stop() {
            self.forget(pipe);
        }
    }

    pub(super) fn stop_registrar(&mut self) {
        if let Some(pipe) = self.registrar.helper.stop() {
            self.forget(pipe);
        }
    }

    /// What a helper that is done has said, or why it has not: where it never ran, that, and not its silence.
    fn answer<Answer>(
        &mut self,
        name: &str,
        process: Option<Pid>,
        progress: Progress<Answer>,
    ) -> Option<Result<Box<Answer>, String>> {
        let Progress::Done(Ended { pipe, outcome }) = progress else { return None };
        self.forget(pipe);
        Some(outcome.map_err(|why| {
            // Its pipe ends before we hear of its own end.
            let failed = process.and_then(|pid| self.spawner.take_failure(pid.0));
            failed.map_or(why, |failed| no_helper(name, failed))
        }))
    }

    fn loaded(&mut self, reply: Reply) {
        let Reply { config, reports, stamps } = reply;
        if config.tables.is_some() {
            self.stamps = stamps;
        }
        // Before a listener that waits for a descriptor takes what the load has used.
        self.reserve.fill();
        let shown = &reports.shown[..reports.shown.len().min(FINDINGS)];
        self.diagnostics = shown.iter().map(Report::line).collect();
        let uncounted: usize = reports.more.iter().map(|more| more.count).sum();
        let more = reports.shown.len() - shown.len() + uncounted;
        if more > 0 {
            let more = format!("{more} more findings; usherd check shows those that matter most");
            self.logger.log(&Record::new(Level::Warning, "configuration", more.clone()));
            self.diagnostics.push(more);
        }
        for report in shown {
            let level = match report.severity {
                // All that the original says of a configuration is an error to it.
                _ if self.logger.speaks_as_original() && !report.original.is_empty() => Level::Error,
                Severity::Error => Level::Error,
                Severity::Warning => Level::Warning,
                Severity::Note => Level::Info,
            };
            let record = Record::new(level, "configuration", report.line())
                .original(report.original.clone())
                .field("code", report.code.clone())
                .field("place", report.position());
            self.logger.log(&record);
        }
        let listeners = config.services.iter().map(|service| service.listeners.len()).sum();
        match first_load::answered(self.stage(), config, &reports.shown) {
            Ok(event) => {
                let low_numbers = LowNumbers::take(listeners);
                self.raise(event);
                drop(low_numbers);
                self.has_loaded = true;
            }
            Err(failure) => self.give_up(failure),
        }
    }

    pub(super) fn load_failed(&mut self, why: String) {
        match first_load::not_answered(self.stage(), why) {
            Ok(event) => {
                self.raise(event);
                self.manager.ready(self.supervisor.services().count());
            }
            Err(failure) => self.give_up(failure),
        }
    }
}

/// Why there was no helper, in words.
pub(super) fn no_helper(name: &str, failed: Failed) -> String {
    format!("no {name}: {}: {}", failed_step(failed.step).word(), errno::words(Errno(failed.errno)))
}
