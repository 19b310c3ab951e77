//! Built-ins over connections.
//!
//! A session reads only while nothing waits to be written, so what it holds is one piece at the most, and only when
//! its reader is slow. All sessions together hold at most [`MOST_HELD`].

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use usherd_model::children::{self, SessionId};
use usherd_model::service::Builtin;
use usherd_model::slots::Side;
use usherd_model::supervisor::ServiceId;
use usherd_model::tcpmux::{self, Line, Request};
use usherd_model::time::Tick;

use super::dialogue::{Dialogue, Step};
use super::{CHARGEN, CHARGEN_OF_XINETD, daytime, daytime_of_xinetd, time};
use crate::server_list::Page;

/// Bytes that are read at once, and so the most that one session holds.
const PIECE: usize = 16 * 1024;

/// Bytes that all sessions together hold for slow readers. A session that would hold more is ended.
const MOST_HELD: usize = 16 * 1024 * 1024;

/// Pieces that one session may write before the others have their turn.
const TURN: usize = 4;

/// One connection of a built-in.
#[derive(Debug)]
struct Session {
    connection: OwnedFd,
    service: ServiceId,
    work: Work,
    /// The peer will send nothing more.
    ended: bool,
    /// What the poller looks for.
    watched: EventFlags,
    /// When something last came or went.
    active: Tick,
}

#[derive(Debug)]
enum Work {
    /// With what could not be written yet.
    Echo(Vec<u8>),
    Discard,
    /// With the pattern, and the place in it.
    Chargen(&'static [u8], usize),
    Tcpmux(Line),
    Dialogue(Dialogue),
}

/// All sessions, by the core's names for them.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Side<children::Session, Session>,
    count: usize,
    held: usize,
    buffer: Vec<u8>,
}

/// What a session waits for, or that it is over.
#[derive(Debug)]
pub enum Progress {
    /// For the same as before.
    Waits,
    /// For these events from now on.
    Changed(EventFlags),
    /// It has ended; this is to be closed.
    Over(OwnedFd),
    /// It has ended, and its caller wants this on the same connection.
    Asked(OwnedFd, Request),
    /// Its caller is to be told this; see [`Sessions::tell`].
    Wants(Page),
}

impl Sessions {
    /// Begins a session, and says what it waits for. `None` for those that are over at once.
    pub fn begin(
        &mut self,
        id: SessionId,
        builtin: Builtin,
        connection: OwnedFd,
        service: ServiceId,
        now: Tick,
    ) -> Option<EventFlags> {
        let work = match builtin {
            Builtin::Daytime => return answer(&connection, daytime().as_bytes()),
            Builtin::DaytimeOfXinetd => return answer(&connection, daytime_of_xinetd().as_bytes()),
            Builtin::Time => return answer(&connection, &time()),
            Builtin::Echo => Work::Echo(Vec::new()),
            Builtin::Discard => Work::Discard,
            Builtin::Chargen => Work::Chargen(&CHARGEN, 0),
            Builtin::ChargenOfXinetd => Work::Chargen(&CHARGEN_OF_XINETD, 0),
            Builtin::Tcpmux => Work::Tcpmux(Line::default()),
            Builtin::Services => Work::Dialogue(Dialogue::of_page(Page::Services)),
            Builtin::Servers => Work::Dialogue(Dialogue::of_page(Page::Servers)),
            Builtin::Xadmin => Work::Dialogue(Dialogue::of_lines()),
        };
        let mut session =
            Session { connection, service, work, ended: false, watched: EventFlags::empty(), active: now };
        session.watched = session.waits_for();
        let watched = session.watched;
        self.held += session.held();
        self.open.insert(id, session);
        self.count += 1;
        Some(watched)
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The connection of a session.
    pub fn connection(&self, id: SessionId) -> Option<BorrowedFd<'_>> {
        self.open.get(id).map(|session| session.connection.as_fd())
    }

    /// Does a session's next piece of work. `None` when there is no such session any more.
    pub fn proceed(&mut self, id: SessionId, ready: EventFlags, now: Tick) -> Option<Progress> {
        let session = self.open.get_mut(id)?;
        session.active = now;
        if let Work::Tcpmux(line) = &mut session.work {
            let asked = ask(&session.connection, line);
            return self.go_on_asking(id, asked);
        }
        let held_before = session.held();
        if let Work::Dialogue(dialogue) = &mut session.work {
            let step = dialogue.proceed(&session.connection);
            return self.go_on_talking(id, step, held_before);
        }
        self.buffer.resize(PIECE, 0);
        let goes_on = session.proceed(ready, &mut self.buffer);
        self.settle(id, goes_on, held_before)
    }

    /// Tells a session's caller what [`Progress::Wants`] said. `None` when there is no such session any more.
    pub fn tell(&mut self, id: SessionId, text: String) -> Option<Progress> {
        let session = self.open.get_mut(id)?;
        let held_before = session.held();
        let Work::Dialogue(dialogue) = &mut session.work else { return None };
        let step = dialogue.tell(text, &session.connection);
        self.go_on_talking(id, step, held_before)
    }

    fn go_on_talking(&mut self, id: SessionId, step: Step, held_before: usize) -> Option<Progress> {
        match step {
            Step::Waits => self.settle(id, true, held_before),
            Step::Over => self.settle(id, false, held_before),
            Step::Wants(page) => Some(Progress::Wants(page)),
        }
    }

    /// Counts what a session holds after a piece of work, and says what it waits for.
    fn settle(&mut self, id: SessionId, goes_on: bool, held_before: usize) -> Option<Progress> {
        let session = self.open.get_mut(id)?;
        self.held = self.held - held_before + session.held();
        if !goes_on || self.held > MOST_HELD {
            return self.end(id).map(Progress::Over);
        }
        let waits_for = session.waits_for();
        let before = std::mem::replace(&mut session.watched, waits_for);
        Some(if before == waits_for { Progress::Waits } else { Progress::Changed(waits_for) })
    }

    fn go_on_asking(&mut self, id: SessionId, asked: Asked) -> Option<Progress> {
        match asked {
            Asked::Nothing => Some(Progress::Waits),
            Asked::For(request) => Some(Progress::Asked(self.end(id)?, request)),
            Asked::Left => self.end(id).map(Progress::Over),
        }
    }

    /// The session that has been silent for the longest time, of one service or of all, and since when. This walks
    /// over all sessions; it is asked only when there is no room for another one.
    pub fn most_silent(&self, service: Option<ServiceId>) -> Option<(SessionId, Tick)> {
        let all =
            self.open.iter().filter(|(_, session)| service.is_none_or(|service| session.service == service));
        all.map(|(id, session)| (id, session.active)).min_by_key(|(_, active)| *active)
    }

    /// Ends a session.
    pub fn end(&mut self, id: SessionId) -> Option<OwnedFd> {
        let session = self.open.remove(id)?;
        self.count -= 1;
        self.held -= session.held();
        Some(session.connection)
    }
}

impl Session {
    fn held(&self) -> usize {
        match &self.work {
            Work::Echo(rest) => rest.len(),
            Work::Dialogue(dialogue) => dialogue.held(),
            Work::Discard | Work::Chargen(..) | Work::Tcpmux(_) => 0,
        }
    }

    fn waits_for(&self) -> EventFlags {
        let reads = if self.ended { EventFlags::empty() } else { EventFlags::IN };
        match &self.work {
            Work::Echo(rest) if !rest.is_empty() => EventFlags::OUT,
            Work::Echo(_) | Work::Discard | Work::Tcpmux(_) => reads,
            Work::Dialogue(dialogue) => dialogue.waits_for(),
            Work::Chargen(..) => reads | EventFlags::OUT,
        }
    }

    /// False when the session is over.
    fn proceed(&mut self, ready: EventFlags, buffer: &mut [u8]) -> bool {
        let Session { connection, work, ended, .. } = self;
        let readable = ready.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR);
        match work {
            Work::Echo(rest) => {
                if !rest.is_empty() {
                    let Some(sent) = write(connection, rest) else { return false };
                    rest.drain(..sent);
                    if rest.is_empty() {
                        // Slow readers are the exception: what they needed is given back.
                        *rest = Vec::new();
                    }
                } else if readable {
                    let Some(got) = read(connection, buffer, ended) else { return false };
                    let Some(sent) = write(connection, got) else { return false };
                    rest.extend(&got[sent..]);
                }
                !(*ended && rest.is_empty())
            }
            Work::Discard => read(connection, buffer, ended).is_some() && !*ended,
            // Done elsewhere, since they can end in another way.
            Work::Tcpmux(_) | Work::Dialogue(_) => true,
            Work::Chargen(pattern, at) => {
                if readable && !*ended && read(connection, buffer, ended).is_none() {
                    return false;
                }
                for _ in 0..TURN {
                    let Some(sent) = write(connection, &pattern[*at..]) else { return false };
                    if sent == 0 {
                        break;
                    }
                    *at = (*at + sent) % pattern.len();
                }
                true
            }
        }
    }
}

/// Writes an answer that is all there is. It fits into the socket's buffer.
fn answer(connection: &OwnedFd, bytes: &[u8]) -> Option<EventFlags> {
    write(connection, bytes);
    None
}

/// What a caller of tcpmux wants.
enum Asked {
    /// It has not said all.
    Nothing,
    /// This.
    For(Request),
    /// It has gone.
    Left,
}

/// Reads a line, and no byte behind it: that is for the service that is asked for.
fn ask(connection: &OwnedFd, line: &mut Line) -> Asked {
    let mut bytes = [0; tcpmux::MOST + 2];
    let length = match recv(connection, &mut bytes, RecvFlags::DONTWAIT | RecvFlags::PEEK) {
        Ok((_, 0)) => return Asked::For(line.end()),
        Ok((_, length)) => length,
        Err(Errno::AGAIN | Errno::INTR) => return Asked::Nothing,
        Err(_) => return Asked::Left,
    };
    let (taken, asked) = match line.add(&bytes[..length]) {
        tcpmux::Progress::GoesOn(taken) => (taken, Asked::Nothing),
        tcpmux::Progress::Whole(taken, request) => (taken, Asked::For(request)),
    };
    if taken > 0 && recv(connection, &mut bytes[..taken], RecvFlags::DONTWAIT).is_err() {
        return Asked::Left;
    }
    asked
}

/// What is there to read. Notes the end of the stream in `ended`; `None` for a broken connection.
fn read<'a>(connection: &OwnedFd, buffer: &'a mut [u8], ended: &mut bool) -> Option<&'a [u8]> {
    match recv(connection, &mut *buffer, RecvFlags::DONTWAIT) {
        Ok((_, 0)) => {
            *ended = true;
            Some(&[])
        }
        Ok((got, _)) => Some(&buffer[..got]),
        Err(Errno::AGAIN | Errno::INTR) => Some(&[]),
        Err(_) => None,
    }
}

/// Writes what can be written now; `None` for a broken connection.
pub(super) fn write(connection: &OwnedFd, bytes: &[u8]) -> Option<usize> {
    if bytes.is_empty() {
        return Some(0);
    }
    match send(connection, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(sent) => Some(sent),
        Err(Errno::AGAIN | Errno::INTR) => Some(0),
        Err(_) => None,
    }
}
