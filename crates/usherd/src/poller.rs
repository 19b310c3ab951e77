//! epoll, with what each event is about.
//!
//! A number in epoll data does not say what it names, so each carries a tag. Keys of what has gone find nothing, so
//! an event that was under way when its object went is harmless.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{CreateFlags, Event, EventData, EventFlags, add, create, delete, modify, wait};
use usherd_model::children::SessionId;
use usherd_model::slots::Key;
use usherd_model::supervisor::ListenerId;

use crate::control::ClientId;
use crate::stderr_log::PipeId;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A signal has come.
    Signals,
    /// Somebody calls.
    Listener(ListenerId),
    /// A session of a built-in can go on.
    Session(SessionId),
    /// The caller's connection of a redirect can go on.
    RedirectCaller(SessionId),
    /// The target's can.
    RedirectTarget(SessionId),
    /// The loader has written, or ended.
    Loader,
    /// The helper that tells rpcbind has written, or ended.
    Registrar,
    /// The helper that reads hosts.allow and hosts.deny has written, or ended.
    Tables,
    /// The helper that looks names up has answered, or ended.
    Resolver,
    /// Programs have written to their standard error.
    Stderr(PipeId),
    /// Somebody wants to talk to the daemon.
    Control,
    /// Such a conversation can go on.
    Client(ClientId),
}

/// What happens at one time is handled in turns of so many events.
const EVENTS: usize = 256;

/// epoll(7).
pub struct Poller {
    epoll: std::os::fd::OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    /// With nothing to look at yet.
    pub fn new() -> rustix::io::Result<Self> {
        let epoll = crate::descriptors::move_up(create(CreateFlags::CLOEXEC)?);
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS) })
    }

    /// Looks at a descriptor from now on.
    pub fn add(&self, fd: impl AsFd, token: Token, flags: EventFlags) -> rustix::io::Result<()> {
        add(&self.epoll, fd, EventData::new_u64(token.pack()), flags)
    }

    /// Waits for other events of a descriptor.
    pub fn change(&self, fd: impl AsFd, token: Token, flags: EventFlags) -> rustix::io::Result<()> {
        modify(&self.epoll, fd, EventData::new_u64(token.pack()), flags)
    }

    /// Does not look at a descriptor any more. One that was not looked at is left alone.
    pub fn remove(&self, fd: impl AsFd) {
        let _ = delete(&self.epoll, fd);
    }

    /// Waits for events, for so long at the most.
    pub fn wait(&mut self, timeout: Option<Duration>) -> rustix::io::Result<()> {
        // Milliseconds, rounded up: a timer must not be looked at too early.
        let timeout = timeout.map(|timeout| Timespec::try_from(timeout).unwrap_or(A_DAY));
        self.events.clear();
        match wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How many events the last wait found.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// One of the events that the last wait found.
    pub fn event(&self, index: usize) -> Option<(Token, EventFlags)> {
        let event = self.events.get(index)?;
        // Copied out: the kernel's structure is packed.
        let (data, flags) = (event.data, event.flags);
        Some((Token::unpack(data.u64())?, flags))
    }
}

const A_DAY: Timespec = Timespec { tv_sec: 86_400, tv_nsec: 0 };

impl Token {
    fn pack(self) -> u64 {
        let (tag, value) = match self {
            Token::Signals => (0, 0),
            Token::Listener(key) => (1, key.pack()),
            Token::Session(key) => (2, key.pack()),
            Token::Loader => (3, 0),
            Token::Stderr(key) => (4, key.pack()),
            Token::Control => (5, 0),
            Token::Client(key) => (6, key.pack()),
            Token::Registrar => (7, 0),
            Token::Tables => (8, 0),
            Token::Resolver => (9, 0),
            Token::RedirectCaller(key) => (10, key.pack()),
            Token::RedirectTarget(key) => (11, key.pack()),
        };
        tag << TAG_SHIFT | value
    }

    fn unpack(data: u64) -> Option<Self> {
        let value = data & ((1 << TAG_SHIFT) - 1);
        Some(match data >> TAG_SHIFT {
            0 => Token::Signals,
            1 => Token::Listener(Key::unpack(value)),
            2 => Token::Session(Key::unpack(value)),
            3 => Token::Loader,
            4 => Token::Stderr(Key::unpack(value)),
            5 => Token::Control,
            6 => Token::Client(Key::unpack(value)),
            7 => Token::Registrar,
            8 => Token::Tables,
            9 => Token::Resolver,
            10 => Token::RedirectCaller(Key::unpack(value)),
            11 => Token::RedirectTarget(Key::unpack(value)),
            _ => return None,
        })
    }
}

/// Keys take 56 bits.
const TAG_SHIFT: u32 = 56;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_kernel() {
        let key = (0xabcd << 32) | 0x1234_5678;
        let tokens = [
            Token::Signals,
            Token::Listener(Key::unpack(key)),
            Token::Session(Key::unpack(key)),
            Token::Loader,
            Token::Stderr(Key::unpack(key)),
            Token::Control,
            Token::Client(Key::unpack(key)),
            Token::Registrar,
            Token::Tables,
            Token::Resolver,
            Token::RedirectCaller(Key::unpack(key)),
            Token::RedirectTarget(Key::unpack(key)),
        ];
        for token in tokens {
            assert_eq!(Token::unpack(token.pack()), Some(token));
        }
        assert_eq!(Token::unpack(u64::MAX), None);
    }
}
