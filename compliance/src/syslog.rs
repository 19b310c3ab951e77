//! The listener on /dev/log: what the daemon says to syslog, as messages that a case can ask for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};

use crate::deadline;

/// One line of log, taken apart.
#[derive(Clone, Debug)]
pub struct Message {
    pub facility: u8,
    pub severity: u8,
    /// The name before `[pid]:`.
    pub ident: String,
    pub pid: Option<u32>,
    pub text: String,
}

pub const FACILITY_DAEMON: u8 = 3;
pub const SEVERITY_ERR: u8 = 3;
pub const SEVERITY_WARNING: u8 = 4;

/// Everything that was said since the case began.
#[derive(Clone)]
pub struct Syslog {
    messages: Arc<Mutex<Vec<Message>>>,
}

impl Syslog {
    /// Binds /dev/log and listens in a thread until the process ends.
    pub fn listen() -> Syslog {
        let socket = UnixDatagram::bind("/dev/log").expect("/dev is the case's own and empty");
        fs::set_permissions("/dev/log", fs::Permissions::from_mode(0o666)).expect("the case is root");
        let messages = Arc::new(Mutex::new(Vec::new()));
        let store = Arc::clone(&messages);
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(length) = socket.recv(&mut buffer) {
                let message = parse(&String::from_utf8_lossy(&buffer[..length]));
                store.lock().expect("no holder of the lock panics").push(message);
            }
        });
        Syslog { messages }
    }

    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().expect("no holder of the lock panics").clone()
    }

    /// Waits for a message with exactly this text.
    pub fn expect(&self, text: &str) -> Message {
        self.expect_where(&format!("a log line {text:?}"), |message| message.text == text)
    }

    pub fn expect_where(&self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        deadline::wait_for(what, || self.messages().into_iter().find(&wanted))
    }

    pub fn count(&self, wanted: impl Fn(&Message) -> bool) -> usize {
        self.messages().iter().filter(|message| wanted(message)).count()
    }
}

/// `<27>Nov 24 22:39:10 inetd[7]: text`, as libc writes it; what does not look so is all text.
fn parse(line: &str) -> Message {
    let line = line.trim_end_matches(['\n', '\0']);
    let whole = || Message {
        facility: u8::MAX,
        severity: u8::MAX,
        ident: String::new(),
        pid: None,
        text: line.to_owned(),
    };
    let Some((priority, rest)) = line.strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
        return whole();
    };
    let Ok(priority) = priority.parse::<u8>() else {
        return whole();
    };
    // The time is always 15 characters and a blank.
    let Some((tag, text)) = rest.get(16..).and_then(|rest| rest.split_once(": ")) else {
        return whole();
    };
    let (ident, pid) = match tag.split_once('[') {
        Some((ident, pid)) => (ident, pid.trim_end_matches(']').parse().ok()),
        None => (tag, None),
    };
    Message {
        facility: priority >> 3,
        severity: priority & 7,
        ident: ident.to_owned(),
        pid,
        text: text.to_owned(),
    }
}
