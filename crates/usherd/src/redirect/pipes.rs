//! Pipes that splice(2) needs between two sockets, shared by all sessions.
//!
//! A pipe is taken when there is something to pass on and given back as soon as it is empty, so sessions that are silent
//! have none. What must never happen: one that still holds bytes given to somebody else.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

use super::PIECE;
use crate::descriptors::move_up;

/// Bytes that a pipe holds, where the kernel lets us have so many. They stay where the network put them, so what this
/// costs is a slow reader's: it can bind so much of our memory beside what its sockets have.
pub const CAPACITY: usize = 256 * 1024;

/// Pipes in all, so that slow readers can bind 32 MiB and 256 descriptors. Whoever finds none left copies.
const MOST: usize = 128;

/// Empty pipes that are kept for the next who needs one.
const KEPT: usize = 16;

/// A pipe.
#[derive(Debug)]
pub struct Pipe {
    /// Where bytes come out.
    pub read: OwnedFd,
    /// Where they go in.
    pub write: OwnedFd,
}

/// All pipes that nobody uses, and how many are in use.
#[derive(Debug)]
pub struct Pipes {
    free: Vec<Pipe>,
    taken: usize,
    most: usize,
}

impl Default for Pipes {
    fn default() -> Self {
        Self { free: Vec::new(), taken: 0, most: MOST }
    }
}

impl Pipes {
    /// An empty pipe, with room for a [`PIECE`] at least. `None` when too many are in use, or the kernel gives none.
    pub fn take(&mut self) -> Option<Pipe> {
        if self.taken >= self.most {
            return None;
        }
        let pipe = match self.free.pop() {
            Some(pipe) => pipe,
            None => open().ok()?,
        };
        self.taken += 1;
        Some(pipe)
    }

    /// Takes an empty pipe back.
    pub fn give_back(&mut self, pipe: Pipe) {
        self.taken -= 1;
        if self.free.len() < KEPT {
            self.free.push(pipe);
        }
    }

    /// Closes a pipe whose bytes nobody wants any more.
    pub fn discard(&mut self, pipe: Pipe) {
        self.taken -= 1;
        drop(pipe);
    }

    /// Descriptors of all of them.
    pub fn descriptors(&self) -> usize {
        2 * (self.taken + self.free.len())
    }

    /// A few only.
    #[cfg(test)]
    pub fn at_most(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// How many are in use.
    #[cfg(test)]
    pub fn taken(&self) -> usize {
        self.taken
    }
}

fn open() -> rustix::io::Result<Pipe> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // A user who is not root and has many pipes gets small ones.
    let size = fcntl_setpipe_size(&write, CAPACITY).or_else(|_| fcntl_getpipe_size(&write))?;
    if size < PIECE {
        return Err(Errno::NOBUFS);
    }
    Ok(Pipe { read: move_up(read), write: move_up(write) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_end_of_pipes_and_few_are_kept() {
        let mut pipes = Pipes::default();
        let taken: Vec<Pipe> = std::iter::from_fn(|| pipes.take()).collect();
        assert_eq!((taken.len(), pipes.descriptors()), (MOST, 2 * MOST));
        for pipe in taken {
            pipes.give_back(pipe);
        }
        assert_eq!((pipes.taken(), pipes.descriptors()), (0, 2 * KEPT));
        let pipe = pipes.take().expect("there are some again");
        pipes.discard(pipe);
        assert_eq!(pipes.descriptors(), 2 * (KEPT - 1));
    }
}
