//! Standard output and standard error of commands.
//!
//! What must never happen here: a panic because a reader has gone or a disk is full (as the macros of the standard
//! library have it).

use std::io::{ErrorKind, Write};

use crate::exit_code::Exit;

/// Writes a command's answer, and returns how the command ends: with `exit`, unless the answer cannot be written. A
/// reader that has gone (`| head -1`) has read enough.
pub fn answer(text: &str, exit: Exit) -> Exit {
    answer_bytes(text.as_bytes(), exit)
}

/// The same with an answer that need not be text.
pub fn answer_bytes(bytes: &[u8], exit: Exit) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => exit,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit,
        Err(error) => {
            complain(&format!("usherd: standard output: {error}"));
            Exit::Output
        }
    }
}

/// Writes a line for whoever watches, as far as somebody does.
pub fn complain(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}
