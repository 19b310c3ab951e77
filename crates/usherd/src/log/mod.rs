//! What the daemon says, and where to.
//!
//! A record has words for people, fields for machines, and, where the original says something about the same thing,
//! the original's line to the letter. Logging never blocks and never fails: what cannot be written now waits in a
//! bounded queue, and what does not fit there is counted.

mod describe;
mod files;
mod sink;
mod xinetd;

pub use describe::{describe, describe_more};
use sink::Written;
pub use sink::{OwnFile, Sink, Syslog, Terminal};

use std::collections::VecDeque;

use files::{Files, Outcome, stamp};
use usherd_model::diagnostic::printable;
use usherd_model::policy::{LogFile, LogTarget};

use crate::clock;

/// In whose name lines of services stand in syslog, so that their watchers find them.
pub const XINETD: &str = "xinetd";

/// How much a record matters; the numbers are those of syslog(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody does what nobody should.
    Critical = 2,
    /// A service does not work as it should.
    Error = 3,
    /// Something was not as expected.
    Warning = 4,
    /// Something that an administrator did.
    Notice = 5,
    /// A connection, and the like.
    Info = 6,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Critical => "critical",
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
            Level::Info => "info",
        }
    }
}

/// Something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How much it matters.
    pub level: Level,
    /// What happened, in one word.
    pub event: &'static str,
    /// The same in words for people.
    pub text: String,
    /// The same in fields.
    pub fields: Vec<(&'static str, String)>,
    /// What the original says about it, in lines; empty when it says nothing.
    pub original: String,
    /// What xinetd says about it; empty when it says nothing else than that which people read.
    pub xinetd: String,
    /// How much it matters to xinetd, when that is something else.
    pub xinetd_level: Option<Level>,
    /// Whether nobody else has to hear it.
    pub is_for_xinetd_only: bool,
    /// Where that goes, when it is a line of a service's own log.
    pub service_log: Option<LogTarget>,
    /// In whose name syslog has it, when not in the daemon's.
    pub speaker: Option<Speaker>,
}

/// Somebody in whose name a line stands in syslog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// The program; ours when it is empty.
    pub name: String,
    /// As in syslog(3), not shifted.
    pub facility: u8,
    /// As in syslog(3).
    pub level: u8,
}

impl Record {
    /// A record without fields.
    pub fn new(level: Level, event: &'static str, text: impl Into<String>) -> Self {
        Self {
            level,
            event,
            text: text.into(),
            fields: Vec::new(),
            original: String::new(),
            xinetd: String::new(),
            xinetd_level: None,
            is_for_xinetd_only: false,
            service_log: None,
            speaker: None,
        }
    }

    /// Adds a field; an empty value is left out.
    pub fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.fields.push((name, value));
        }
        self
    }

    /// Has it stand in syslog in somebody's name.
    pub fn speaker(mut self, speaker: Speaker) -> Self {
        self.speaker = Some(speaker);
        self
    }

    /// Adds what xinetd says.
    pub fn xinetd(mut self, line: impl Into<String>) -> Self {
        self.xinetd = line.into();
        self
    }

    /// Says how much it matters to xinetd.
    pub fn xinetd_level(mut self, level: Level) -> Self {
        self.xinetd_level = Some(level);
        self
    }

    /// Has it stand in no other form of the log.
    pub fn for_xinetd_only(mut self) -> Self {
        self.is_for_xinetd_only = true;
        self
    }

    /// Makes what xinetd says a line of a service's own log.
    pub fn service_log(mut self, target: LogTarget) -> Self {
        self.service_log = Some(target);
        self
    }

    /// Adds what the original says.
    pub fn original(mut self, original: impl Into<String>) -> Self {
        self.original = original.into();
        self
    }
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line of words, with the time: for a terminal.
    People,
    /// `key=value` pairs.
    Fields,
    /// As openbsd-inetd writes to syslog; words where it says nothing.
    Original,
    /// As xinetd writes to syslog or to its file.
    Xinetd,
}

/// Writes records.
#[derive(Debug)]
pub struct Logger {
    sink: Sink,
    format: Format,
    /// Lines that could not be written yet.
    behind: VecDeque<Line>,
    lost: u64,
    /// The file of a service that the last of them was for.
    lost_of: Option<String>,
    /// Where services have lines of their own.
    files: Files,
    syslog: Option<Syslog>,
}

/// A line on its way.
#[derive(Debug)]
struct Line {
    level: Level,
    speaker: Option<Speaker>,
    text: String,
}

/// Lines that wait for a slow reader. (A syslog socket takes ten at once where nobody has changed that.)
const MOST_BEHIND: usize = 1000;

impl Logger {
    /// Writes to `sink` in this format.
    pub fn new(sink: Sink, format: Format) -> Self {
        Self {
            sink,
            format,
            behind: VecDeque::new(),
            lost: 0,
            lost_of: None,
            files: Files::default(),
            syslog: None,
        }
    }

    /// Writes one record, now or soon; or counts it as lost.
    pub fn log(&mut self, record: &Record) {
        match &record.service_log {
            None | Some(LogTarget::Daemon) => self.log_here(record),
            Some(LogTarget::File(file)) => self.log_to_file(file, &record.xinetd),
            Some(LogTarget::Syslog { facility, level }) => {
                let speaker = Speaker { name: String::new(), facility: *facility, level: *level };
                let line = Line { level: record.level, speaker: Some(speaker), text: record.xinetd.clone() };
                let syslog = self.syslog.get_or_insert_with(|| Syslog::new(XINETD));
                if syslog.write(&line) != Written::Done {
                    self.lost += 1;
                }
            }
        }
    }

    /// Writes what only xinetd says.
    pub fn log_for_xinetd(&mut self, level: Level, text: &str) {
        self.log(&Record::new(level, "xinetd", text).for_xinetd_only());
    }

    /// Lets go of all files: they may have been moved away.
    pub fn reopen(&mut self) {
        self.files.reopen();
        self.sink.reopen();
    }

    fn log_to_file(&mut self, file: &LogFile, line: &str) {
        let path = printable(&file.path);
        let limit = match self.files.write(file, &format!("{}: {line}", stamp())) {
            Outcome::Written => return,
            Outcome::Lost => {
                self.lost += 1;
                self.lost_of = Some(path);
                return;
            }
            Outcome::Grown => "soft limit",
            Outcome::Full => "hard limit",
        };
        self.log_here(&Record::new(Level::Error, "log-size", format!("Size of {path} log exceeded {limit}")));
    }

    /// Writes a record to the daemon's own log.
    fn log_here(&mut self, record: &Record) {
        if record.is_for_xinetd_only && self.format != Format::Xinetd {
            return;
        }
        let line = match self.format {
            Format::People => people(record),
            Format::Fields => fields(record),
            Format::Original if !record.original.is_empty() => {
                for line in record.original.lines() {
                    self.write(record, line.to_owned());
                }
                return;
            }
            Format::Xinetd if !record.xinetd.is_empty() => {
                for line in record.xinetd.lines() {
                    self.write(record, line.to_owned());
                }
                return;
            }
            Format::Original | Format::Xinetd => record.text.clone(),
        };
        self.write(record, line);
    }

    fn write(&mut self, record: &Record, text: String) {
        self.flush();
        let for_xinetd = record.xinetd_level.filter(|_| self.format == Format::Xinetd);
        let (level, speaker) = (for_xinetd.unwrap_or(record.level), record.speaker.clone());
        let line = Line { level, speaker, text };
        let written = if self.is_behind() { Written::Later } else { self.sink.write(&line) };
        match written {
            Written::Done => self.tell_lost(),
            Written::Later if self.behind.len() < MOST_BEHIND => self.behind.push_back(line),
            Written::Later | Written::Nobody => self.lost += 1,
        }
    }

    /// Whether the original's lines are wanted, where it has some.
    pub fn speaks_as_original(&self) -> bool {
        self.format == Format::Original
    }

    /// Whether [`Self::flush`] has to be called again soon.
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Writes what could not be written before.
    pub fn flush(&mut self) {
        while let Some(line) = self.behind.front() {
            match self.sink.write(line) {
                Written::Later => return,
                Written::Done => {}
                Written::Nobody => self.lost += 1,
            }
            self.behind.pop_front();
            if self.behind.is_empty() {
                self.tell_lost();
            }
        }
    }

    /// Says how many lines were lost. Called when there is a reader: one that is not there is not tried in every turn
    /// of the loop.
    fn tell_lost(&mut self) {
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            let of =
                self.lost_of.take().map_or_else(String::new, |path| format!(", the last of them of {path}"));
            self.log(&Record::new(Level::Warning, "log-lost", format!("{lost} log lines were lost{of}")));
        }
    }
}

fn people(record: &Record) -> String {
    let time = clock::local();
    let mark = match record.level {
        Level::Critical => "critical: ",
        Level::Error => "error: ",
        Level::Warning => "warning: ",
        Level::Notice | Level::Info => "",
    };
    format!("{:02}:{:02}:{:02} {mark}{}", time.hour, time.minute, time.second, record.text)
}

fn fields(record: &Record) -> String {
    let mut line = format!("level={} event={}", record.level.word(), record.event);
    for (name, value) in &record.fields {
        line.push_str(&format!(" {name}={}", quote(value)));
    }
    line.push_str(&format!(" msg={}", quote(&record.text)));
    line
}

/// A value as it is when it is one plain word, otherwise in quotes.
fn quote(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:[]@*+,%".contains(c);
    if !value.is_empty() && value.chars().all(plain) { value.to_owned() } else { format!("{value:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_when_they_must_be() {
        let record = Record::new(Level::Error, "start-failed", "cannot start it")
            .field("service", "ftp/tcp")
            .field("error", "No such \"file\"\n")
            .field("nothing", "");
        assert_eq!(
            fields(&record),
            r#"level=error event=start-failed service=ftp/tcp error="No such \"file\"\n" msg="cannot start it""#
        );
    }

    #[test]
    fn a_reader_that_is_not_there_is_tried_for_new_lines_only() {
        let (read, write) = rustix::pipe::pipe().expect("pipe");
        let mut logger = Logger::new(Sink::Terminal(sink::Terminal::on(write)), Format::People);
        drop(read);
        for lost in 1..=3 {
            logger.log(&Record::new(Level::Info, "test", "nobody reads this"));
            assert_eq!(logger.lost, lost);
            logger.flush();
            assert_eq!(logger.lost, lost, "nothing new was written, so nothing new was lost");
        }
    }

    #[test]
    fn what_only_xinetd_says_is_in_its_form_only() {
        let said = |format| {
            let (read, write) = rustix::pipe::pipe().expect("pipe");
            let mut logger = Logger::new(Sink::Terminal(sink::Terminal::on(write)), format);
            logger.log(&Record::new(Level::Error, "rests-again", "it rests").for_xinetd_only());
            drop(logger);
            std::io::read_to_string(std::fs::File::from(read)).expect("lines")
        };
        assert_eq!(said(Format::Xinetd), "it rests\n");
        for format in [Format::People, Format::Fields, Format::Original] {
            assert_eq!(said(format), "");
        }
    }

    #[test]
    fn lost_lines_are_counted_where_there_is_a_reader_again() {
        let (read, write) = rustix::pipe::pipe().expect("pipe");
        let mut logger = Logger::new(Sink::Terminal(sink::Terminal::on(write)), Format::People);
        logger.lost = 2;
        logger.log(&Record::new(Level::Info, "test", "here again"));
        drop(logger);
        let text = std::io::read_to_string(std::fs::File::from(read)).expect("lines");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("here again") && lines[1].ends_with("2 log lines were lost"), "{lines:?}");
    }
}
