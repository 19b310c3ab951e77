//! Sessions in which the daemon tells what it runs: one page, or an answer to each line.
//!
//! Nothing is heard while something waits to be written, so that a session never holds more than one answer, and a line
//! is taken from the socket without what is behind it.

use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use usherd_model::xadmin::{self, Command, Line};

use super::stream::write;
use crate::server_list::Page;

/// One of these.
#[derive(Debug)]
pub(super) struct Dialogue {
    /// What could not be written yet.
    rest: Vec<u8>,
    next: Next,
}

/// What comes when all is written.
#[derive(Debug)]
enum Next {
    Page(Page),
    Line(Line),
    End,
}

/// What a piece of work has led to.
pub(super) enum Step {
    /// To waiting.
    Waits,
    /// To this question, which [`Dialogue::tell`] answers.
    Wants(Page),
    /// To the end.
    Over,
}

impl Dialogue {
    /// Tells one page.
    pub fn of_page(page: Page) -> Self {
        Self { rest: Vec::new(), next: Next::Page(page) }
    }

    /// Prompts for lines.
    pub fn of_lines() -> Self {
        Self { rest: xadmin::PROMPT.into(), next: Next::Line(Line::default()) }
    }

    /// How many bytes wait to be written.
    pub fn held(&self) -> usize {
        self.rest.len()
    }

    /// What it waits for.
    pub fn waits_for(&self) -> EventFlags {
        match self.next {
            Next::Line(_) if self.rest.is_empty() => EventFlags::IN,
            Next::Line(_) | Next::Page(_) | Next::End => EventFlags::OUT,
        }
    }

    /// Does the next piece of work.
    pub fn proceed(&mut self, connection: &OwnedFd) -> Step {
        if !self.rest.is_empty() {
            return self.write(connection);
        }
        let (page, next) = match &mut self.next {
            Next::Page(page) => (*page, Next::End),
            Next::End => return Step::Over,
            Next::Line(line) => match hear(connection, line) {
                Heard::Nothing => return Step::Waits,
                Heard::Command(Command::Bye) => (Page::Answer(Command::Bye), Next::End),
                Heard::Command(command) => (Page::Answer(command), Next::Line(Line::default())),
                Heard::Last(command) => (Page::Answer(command), Next::End),
                Heard::Gone => return Step::Over,
            },
        };
        self.next = next;
        Step::Wants(page)
    }

    /// Says what was asked for.
    pub fn tell(&mut self, text: String, connection: &OwnedFd) -> Step {
        self.rest = text.into_bytes();
        if let Next::Line(_) = self.next {
            self.rest.extend(xadmin::PROMPT.as_bytes());
        }
        self.write(connection)
    }

    fn write(&mut self, connection: &OwnedFd) -> Step {
        let Some(sent) = write(connection, &self.rest) else { return Step::Over };
        self.rest.drain(..sent);
        match self.next {
            _ if !self.rest.is_empty() => Step::Waits,
            Next::End => Step::Over,
            Next::Page(_) | Next::Line(_) => {
                self.rest = Vec::new();
                Step::Waits
            }
        }
    }
}

/// What has come of a line.
enum Heard {
    /// Not all of it.
    Nothing,
    /// This.
    Command(Command),
    /// This, and no more will come.
    Last(Command),
    /// Whoever was there has gone, or sends what is no line.
    Gone,
}

fn hear(connection: &OwnedFd, line: &mut Line) -> Heard {
    let mut bytes = [0; xadmin::MOST];
    let length = match recv(connection, &mut bytes, RecvFlags::DONTWAIT | RecvFlags::PEEK) {
        Ok((_, 0)) => return line.end().map_or(Heard::Gone, Heard::Last),
        Ok((_, length)) => length,
        Err(Errno::AGAIN | Errno::INTR) => return Heard::Nothing,
        Err(_) => return Heard::Gone,
    };
    let (taken, heard) = match line.add(&bytes[..length]) {
        xadmin::Progress::GoesOn(taken) => (taken, Heard::Nothing),
        xadmin::Progress::Whole(taken, command) => (taken, Heard::Command(command)),
        xadmin::Progress::TooLong => return Heard::Gone,
    };
    match recv(connection, &mut bytes[..taken], RecvFlags::DONTWAIT) {
        Ok(_) => heard,
        Err(_) => Heard::Gone,
    }
}
