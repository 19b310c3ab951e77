//! What tcpd says in syslog, in the name of the daemon that it stands before.

use usherd_model::access::{Facility, IpOptions, Severity};
use usherd_model::diagnostic::printable;

use crate::effects::{Done, Say};
use crate::ip_options;
use crate::log::{Format, Level, Logger, Record, Sink, Speaker, Syslog};

/// Writes tcpd's lines.
#[derive(Debug)]
pub struct Journal {
    daemon: String,
    /// Where the line about the caller goes, when a rule says so.
    pub severity: Option<Severity>,
    logger: Logger,
}

/// `LOG_DAEMON`.
const DAEMON: u8 = 3;

impl Journal {
    /// In the name of this daemon.
    pub fn new(daemon: &str, severity: Option<Severity>) -> Self {
        let logger = Logger::new(Sink::Syslog(Syslog::new(daemon)), Format::Original);
        Self { daemon: daemon.to_owned(), severity, logger }
    }

    /// Says what has become of a caller.
    pub fn verdict(&mut self, done: &Done, client: &[u8], address: &[u8]) {
        let (client, address) = (printable(client), printable(address));
        let (level, text) = match done {
            Done::Allowed(_) => (Level::Info, format!("connect from {client} ({address})")),
            Done::Refused => (Level::Warning, format!("refused connect from {client} ({address})")),
            Done::Twisted(command, _) => {
                (Level::Warning, format!("twist {client} to {}", command.to_string_lossy()))
            }
        };
        self.say(level, self.severity, text);
    }

    /// Says what a caller's packets had in their headers, before any rule was asked.
    pub fn ip_options(&mut self, options: &IpOptions, address: &[u8]) {
        let (level, text) = ip_options::line(options, &format!("connect from {}", printable(address)));
        self.say(level, None, text);
    }

    fn say(&mut self, level: Level, severity: Option<Severity>, text: String) {
        let speaker = Speaker {
            name: self.daemon.clone(),
            facility: severity.and_then(|severity| severity.facility).map_or(DAEMON, Facility::number),
            level: severity.map_or(level as u8, |severity| severity.level.number()),
        };
        self.logger.log(&Record::new(level, "tcpd", text).speaker(speaker));
    }
}

impl Say for Journal {
    fn error(&mut self, text: &str) {
        self.say(Level::Error, None, text.to_owned());
    }

    fn info(&mut self, text: &str) {
        self.say(Level::Info, None, text.to_owned());
    }
}
