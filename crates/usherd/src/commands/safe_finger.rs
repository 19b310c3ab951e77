//! safe_finger, by name: finger for rules that want to know who is there, with answers that can do no harm.
//!
//! What it reads was written by whoever is being looked at. So it runs as nobody, for a minute, reads a bounded number of
//! bytes, and shows lines that no mailer and no terminal takes for anything else.
//!
//! Source: safe_finger(8) and its behaviour.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::geteuid;
use usherd_sys::{names, process};

use crate::exit_code::Exit;
use crate::output::complain;

const FOLDERS: &str = "/bin:/usr/bin:/usr/ucb:/usr/bsd:/etc:/usr/etc:/usr/sbin";

/// Where there is no nobody.
const NOBODY: u32 = 65_534;

const PATIENCE: Duration = Duration::from_secs(60);

/// So many bytes are read.
const MOST: usize = 100_000;

/// So long is a line, its blank included.
const LINE: usize = 128;

pub(super) fn run(arguments: impl Iterator<Item = OsString>) -> Exit {
    if let Err(error) = drop_root() {
        complain(&format!("safe_finger: {error}"));
        return Exit::Failure;
    }
    // Looked for here and not in the environment's path, which is the daemon's.
    let program = FOLDERS
        .split(':')
        .map(|folder| format!("{folder}/finger"))
        .find(|path| rustix::fs::access(path.as_str(), rustix::fs::Access::EXEC_OK).is_ok());
    let mut finger = Command::new(program.as_deref().unwrap_or("/usr/bin/finger"));
    finger.args(arguments.skip(1)).env("PATH", FOLDERS).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = match finger.spawn() {
        Ok(child) => child,
        Err(error) => {
            complain(&format!("finger: {}", crate::errno::words(crate::errno::from_io(&error))));
            return Exit::Failure;
        }
    };
    let shown = show(&mut child);
    // Whoever has said enough, or nothing for too long, need not go on.
    let _ = if shown { Ok(()) } else { child.kill() };
    match child.wait() {
        Ok(status) if shown && status.success() => Exit::Success,
        Ok(_) | Err(_) => Exit::Failure,
    }
}

fn drop_root() -> std::io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let nobody = names::c_name("nobody").and_then(|name| names::user(&name).ok().flatten());
    let (uid, gid) = nobody.map_or((NOBODY, NOBODY), |user| (user.uid, user.gid));
    process::set_groups(&[])?;
    process::set_group_ids(Some(gid), Some(gid), Some(gid))?;
    process::set_user_ids(Some(uid), Some(uid), Some(uid))
}

/// Copies what finger says to standard output. False when it was cut short.
fn show(child: &mut Child) -> bool {
    let Some(mut from) = child.stdout.take() else { return false };
    let ends = Instant::now() + PATIENCE;
    let mut safe = Safe::default();
    let mut piece = [0; 4096];
    loop {
        let left = Timespec::try_from(ends.saturating_duration_since(Instant::now())).unwrap_or_default();
        let mut look = [PollFd::new(&from, PollFlags::IN)];
        match poll(&mut look, Some(&left)) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
        let Ok(got) = from.read(&mut piece) else { return false };
        let goes_on = safe.take(&piece[..got]);
        if std::io::stdout().write_all(&std::mem::take(&mut safe.out)).is_err() || !goes_on {
            return false;
        }
        if got == 0 {
            return true;
        }
    }
}

/// Makes text that can do no harm.
#[derive(Debug, Default)]
struct Safe {
    out: Vec<u8>,
    read: usize,
    /// Of the line so far.
    length: usize,
}

impl Safe {
    /// Takes more. False when it was the most.
    fn take(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            self.read += 1;
            if self.read > MOST {
                self.out.extend(format!("\n\n Input truncated to {MOST} bytes...\n").bytes());
                return false;
            }
            self.put(*byte);
        }
        true
    }

    fn put(&mut self, byte: u8) {
        if self.length >= LINE {
            self.out.extend(b"\\\n");
            self.length = 0;
        }
        // A dot or a tilde at the beginning would be a command to some mailers.
        if self.length == 0 && byte != b'\n' {
            self.out.push(b' ');
            self.length = 1;
        }
        match byte {
            b'\n' => {
                self.out.push(byte);
                self.length = 0;
            }
            b'\\' => self.text(b"\\\\"),
            b' '..=b'~' | b'\t' | 0x0b | 0x0c | b'\r' => self.text(&[byte]),
            byte => self.text(format!("\\{byte:03o}").as_bytes()),
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
        self.length += text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safe(text: &[u8]) -> String {
        let mut safe = Safe::default();
        safe.take(text);
        String::from_utf8(safe.out).expect("all of it is text")
    }

    #[test]
    fn lines_begin_with_a_blank_and_hold_no_odd_letter() {
        assert_eq!(safe(b"a\\b\tc\n\x01x\n\n\xe9y\r\n"), " a\\\\b\tc\n \\001x\n\n \\351y\r\n");
        let long = safe(&[b'z'; 300]);
        let lines: Vec<&str> = long.split('\n').collect();
        let full = format!(" {}\\", "z".repeat(127));
        assert_eq!(lines, [full.as_str(), full.as_str(), &format!(" {}", "z".repeat(46))]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let text = safe(&[b'y'; MOST + 10]);
        assert!(text.ends_with("y\n\n Input truncated to 100000 bytes...\n"), "{}", &text[text.len() - 60..]);
    }
}
