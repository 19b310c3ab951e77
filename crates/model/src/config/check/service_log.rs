//! What is logged of a service's callers, and where.

use std::sync::Arc;

use super::{Checker, quoted};
use crate::config::syntax::{Attributes, Word, Words};
use crate::diagnostic::printable;
use crate::numeral;
use crate::policy::{LogFile, LogOnFailure, LogOnSuccess, LogTarget, ServiceLog};

impl Checker<'_> {
    /// `None` when a word is wrong.
    pub(super) fn service_log(&mut self, attributes: &Attributes, has_callers: bool) -> Option<ServiceLog> {
        let target = match &attributes.log_type {
            Some(words) => self.log_target(words),
            None => Some(LogTarget::Daemon),
        };
        let success = self.log_on_success(attributes, has_callers);
        let failure = self.log_on_failure(attributes, has_callers);
        let name = attributes.shared_id.as_ref().map(|id| printable(&id.value).into());
        Some(ServiceLog { name, target: target?, success: success?, failure: failure? })
    }

    fn log_target(&mut self, words: &Words) -> Option<LogTarget> {
        let is = |word: &Word, name: &str| word.value.eq_ignore_ascii_case(name.as_bytes());
        match words.values.as_slice() {
            [kind, facility] if is(kind, "syslog") => self.syslog(facility, None),
            [kind, facility, level] if is(kind, "syslog") => self.syslog(facility, Some(level)),
            [kind, path, limits @ ..] if is(kind, "file") && limits.len() <= 2 => {
                self.log_file(path, limits.first(), limits.get(1))
            }
            values => {
                let place = values.first().unwrap_or(&words.name);
                self.error("bad-log-type", place, "this is no place for a log").expected =
                    "SYSLOG FACILITY [LEVEL], or FILE PATH [SOFT [HARD]]".to_owned();
                None
            }
        }
    }

    fn syslog(&mut self, facility: &Word, level: Option<&Word>) -> Option<LogTarget> {
        let named = |table: &[(&str, u8)], word: &Word| {
            let is = |(name, _): &&(&str, u8)| word.value.eq_ignore_ascii_case(name.as_bytes());
            table.iter().find(is).map(|(_, number)| *number)
        };
        let number = named(&FACILITIES, facility);
        if number.is_none() {
            let message = format!("{} is no facility of syslog", quoted(facility));
            self.error("bad-facility", facility, message).expected =
                "daemon, auth, authpriv, user, mail, lpr, news, uucp, ftp or local0 to local7".to_owned();
        }
        let level = match level {
            None => Some(INFO),
            Some(word) => {
                let level = named(&LEVELS, word);
                if level.is_none() {
                    let message = format!("{} is no level of syslog", quoted(word));
                    self.error("bad-level", word, message).expected =
                        "emerg, alert, crit, err, warning, notice, info or debug".to_owned();
                }
                level
            }
        };
        Some(LogTarget::Syslog { facility: number?, level: level? })
    }

    fn log_file(&mut self, path: &Word, soft: Option<&Word>, hard: Option<&Word>) -> Option<LogTarget> {
        if !path.value.starts_with(b"/") {
            self.error("bad-log-file", path, format!("{} is not an absolute path", quoted(path))).expected =
                "a path that begins with /".to_owned();
            return None;
        }
        let soft = if let Some(word) = soft { self.bytes(word)? } else { 0 };
        let most = match hard {
            Some(word) => {
                let most = self.bytes(word)?;
                if most < soft {
                    let message = format!("the hard limit is less than the soft one, {soft}");
                    self.error("bad-log-limit", word, message).expected = "FILE PATH SOFT HARD".to_owned();
                    return None;
                }
                most
            }
            None if soft == 0 => 0,
            None => soft.saturating_add((soft / 100).clamp(EXTRA_MIN, EXTRA_MAX)),
        };
        let limit = |bytes: u64| Some(bytes).filter(|bytes| ![0, u64::MAX].contains(bytes));
        let path = path.value.as_slice().into();
        Some(LogTarget::File(Arc::new(LogFile { path, soft: limit(soft), hard: limit(most) })))
    }

    /// A number of bytes, with K or M behind it; 0 and the largest one are no limit.
    fn bytes(&mut self, word: &Word) -> Option<u64> {
        if word.value == b"-1" {
            self.say_unlimited(word);
            return Some(u64::MAX);
        }
        let bytes = numeral::size(&word.value).filter(|bytes| *bytes < u64::MAX);
        if bytes.is_none() {
            let message = format!("{} is no size", quoted(word));
            self.error("bad-log-limit", word, message).expected =
                "a number of bytes, K and M allowed, or 0 for no limit".to_owned();
        }
        bytes
    }

    fn log_on_success(&mut self, attributes: &Attributes, has_callers: bool) -> Option<LogOnSuccess> {
        let mut log = LogOnSuccess::default();
        let mut is_good = true;
        for word in attributes.log_on_success.iter().flat_map(|words| &words.values) {
            match word.value.to_ascii_uppercase().as_slice() {
                b"PID" => log.pid = true,
                b"HOST" => log.host = true,
                b"USERID" => log.user = self.can_ask(word, has_callers),
                b"EXIT" => log.exit = true,
                b"DURATION" => log.duration = true,
                b"TRAFFIC" => log.traffic = true,
                _ => is_good = self.bad_log_word(word, "PID, HOST, USERID, EXIT, DURATION or TRAFFIC"),
            }
        }
        if is_good { Some(log) } else { None }
    }

    fn log_on_failure(&mut self, attributes: &Attributes, has_callers: bool) -> Option<LogOnFailure> {
        let mut log = LogOnFailure::default();
        let mut is_good = true;
        for word in attributes.log_on_failure.iter().flat_map(|words| &words.values) {
            match word.value.to_ascii_uppercase().as_slice() {
                b"ATTEMPT" => log.attempt = true,
                b"HOST" => (log.attempt, log.host) = (true, true),
                b"USERID" => (log.attempt, log.user) = (true, self.can_ask(word, has_callers)),
                b"RECORD" => {
                    log.attempt = true;
                    self.warning("log-record", word, "RECORD is not there any more, in xinetd either").hint =
                        "the attempt is logged".to_owned();
                }
                _ => is_good = self.bad_log_word(word, "HOST, USERID or ATTEMPT"),
            }
        }
        if is_good { Some(log) } else { None }
    }

    /// Whether there are connections, about which a caller's machine can be asked.
    fn can_ask(&mut self, word: &Word, has_callers: bool) -> bool {
        if !has_callers {
            self.warning("no-userid", word, "nobody can be asked who calls this service").hint =
                "USERID is left out, as in xinetd: it needs socket_type = stream and wait = no".to_owned();
        }
        has_callers
    }

    fn bad_log_word(&mut self, word: &Word, expected: &str) -> bool {
        self.error("bad-log-word", word, format!("{} cannot be logged", quoted(word))).expected =
            expected.to_owned();
        false
    }
}

/// As in syslog(3), not shifted.
const FACILITIES: [(&str, u8); 18] = [
    ("daemon", 3),
    ("auth", 4),
    ("authpriv", 10),
    ("user", 1),
    ("mail", 2),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// As in syslog(3).
const LEVELS: [(&str, u8); 8] = [
    ("emerg", 0),
    ("alert", 1),
    ("crit", 2),
    ("err", 3),
    ("warning", 4),
    ("notice", 5),
    ("info", INFO),
    ("debug", 7),
];

/// `LOG_INFO`.
const INFO: u8 = 6;

/// `LOG_EXTRA_MIN` and `LOG_EXTRA_MAX` of xinetd: so much more than the soft limit is the hard one that is not written.
const EXTRA_MIN: u64 = 5 * 1024;
const EXTRA_MAX: u64 = 20 * 1024;
