//! The sandbox's log daemon: what comes to `/dev/log`, as it came.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};

use crate::wait;

/// A log.
pub struct Syslog {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Syslog {
    /// Listens from now on.
    pub fn listen() -> Self {
        let socket = UnixDatagram::bind("/dev/log").expect("/dev/log is ours");
        // As a log daemon does it: everybody speaks.
        fs::set_permissions("/dev/log", fs::Permissions::from_mode(0o666)).expect("chmod");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let copy = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut buffer = [0_u8; 8192];
            while let Ok(length) = socket.recv(&mut buffer) {
                let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
                copy.lock().expect("no panic in here").push(line);
            }
        });
        Self { lines }
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no panic in here").clone()
    }

    /// Lines so far that hold `words`.
    pub fn count(&self, words: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(words)).count()
    }

    /// Waits for a line that holds `words`, and returns it.
    #[track_caller]
    pub fn wait_for(&self, words: &str) -> String {
        let found = || self.lines().into_iter().find(|line| line.contains(words));
        let began = std::time::Instant::now();
        loop {
            if let Some(line) = found() {
                return line;
            }
            let lines = self.lines().join("\n");
            assert!(began.elapsed() < wait::DEADLINE, "no {words:?} in the log:\n{lines}");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}
