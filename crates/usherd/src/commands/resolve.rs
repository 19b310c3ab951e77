//! `usherd resolve`: the helper that finds out who calls.
//!
//! Name servers and callers' machines say what they want, and the C library's resolver reads it. So this process has no
//! rights, writes nothing, starts nothing, and shares nothing with the daemon but one socket. It answers questions side
//! by side, so that a slow zone delays its own callers only, and ends when nobody asks any more, when the daemon does,
//! and when a question hangs: its place would be lost for ever, and whoever asks something else is asked again of the
//! next helper.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::stdio::stdin;
use usherd_model::access::Found;
use usherd_model::places::{PlaceId, Places, Turn};
use usherd_model::time::Tick;
use usherd_sys::signal::{self, Signal};

use crate::clock;
use crate::exit_code::Exit;
use crate::lookup;
use crate::message::{self, Answer, Asked, MOST_OF_ANSWER, Said};
use crate::sandbox;

/// Of a thread: the C library's resolver takes a few buffers of 64 KiB.
const STACK: usize = 512 * 1024;

/// What a text for the log is cut at, in bytes.
const MOST_OF_REMARK: usize = 512;

pub(super) fn run() -> Exit {
    // "killall -HUP inetd" means the daemon and not us.
    signal::ignore(Signal::HUP);
    let _ = rustix::thread::set_name(c"usherd-resolve");
    match sandbox::enter() {
        Ok(missing) => say(&Said::Ready { missing: missing.map(str::to_owned) }),
        Err(error) => {
            say(&Said::Refused(cut(super::words(&error))));
            return Exit::NotPermitted;
        }
    }
    let Ok(places) = Shared::new() else { return Exit::Failure };
    let places = Arc::new(places);
    loop {
        match next(stdin(), &places, clock::now()) {
            Next::Question(asked) => answer(asked, &places),
            Next::Again => {}
            Next::End => return Exit::Success,
        }
    }
}

enum Next {
    Question(Asked),
    Again,
    End,
}

/// The next question, if there is a place for it; or that there is none any more, since the daemon is gone or the places
/// say so.
fn next(socket: BorrowedFd<'_>, places: &Shared, now: Tick) -> Next {
    let Turn::Wait { patience, has_place } = places.look(|places| places.turn(now)) else {
        return Next::End;
    };
    let wanted = if has_place { PollFlags::IN } else { PollFlags::empty() };
    let patience = Timespec::try_from(patience).unwrap_or_default();
    let mut look = [PollFd::from_borrowed_fd(socket, wanted), PollFd::new(&places.given_back, PollFlags::IN)];
    match poll(&mut look, Some(&patience)) {
        Ok(0) => return Next::End,
        Err(Errno::INTR) => return Next::Again,
        Ok(_) => {}
        Err(_) => return Next::End,
    }
    let [asked, given_back] = look.map(|polled| polled.revents());
    if asked.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Next::End;
    }
    if given_back.contains(PollFlags::IN) {
        places.look_again();
    }
    if asked.contains(PollFlags::IN) { question(socket) } else { Next::Again }
}

fn question(socket: BorrowedFd<'_>) -> Next {
    let mut packet = [0_u8; MOST_OF_ANSWER];
    match recv(socket, &mut packet, RecvFlags::DONTWAIT) {
        Ok((got @ 1.., _)) => message::decode(&packet[..got]).map_or(Next::End, Next::Question),
        Err(Errno::AGAIN | Errno::INTR) => Next::Again,
        Ok(_) | Err(_) => Next::End,
    }
}

fn answer(asked: Asked, places: &Arc<Shared>) {
    let Asked { id, question } = asked;
    let place = places.look(|places| places.take(&question, clock::now()));
    let mine = Arc::clone(places);
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let (found, remark) = lookup::answer(question);
        reply(id, Some(found), remark);
        mine.give_back(place);
    });
    if thread.is_err() {
        reply(id, None, None);
        places.give_back(place);
    }
}

fn reply(id: u64, found: Option<Found>, remark: Option<String>) {
    say(&Said::Answer(Answer { id, found, remark: remark.map(cut) }));
}

fn cut(mut text: String) -> String {
    let end = (0..=MOST_OF_REMARK.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}

fn say(said: &Said) {
    let Ok(packet) = message::encode(said) else { return };
    // Whoever asked may be gone; then so are we, with the next look at the socket.
    while let Err(Errno::INTR | Errno::AGAIN) = send(stdin(), &packet, SendFlags::NOSIGNAL) {
        let mut look = [PollFd::from_borrowed_fd(stdin(), PollFlags::OUT)];
        if poll(&mut look, None).is_err_and(|error| error != Errno::INTR) {
            break;
        }
    }
}

/// The places, for all threads.
#[derive(Debug)]
struct Shared {
    places: Mutex<Places>,
    /// Readable when a place was given back since somebody looked.
    given_back: OwnedFd,
}

impl Shared {
    fn new() -> rustix::io::Result<Self> {
        let given_back = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { places: Mutex::default(), given_back })
    }

    fn look<T>(&self, look: impl FnOnce(&mut Places) -> T) -> T {
        look(&mut self.places.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_back(&self, place: PlaceId) {
        self.look(|places| places.give_back(place));
        // A counter that is full says all that it has to.
        let _ = rustix::io::write(self.given_back.as_fd(), &1_u64.to_ne_bytes());
    }

    fn look_again(&self) {
        // It counts, and that it has is enough.
        let _ = rustix::io::read(self.given_back.as_fd(), &mut [0_u8; 8]);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use usherd_model::lookups::Question;

    use super::*;

    #[test]
    fn when_an_answer_is_overdue_nobody_is_heard_any_more() {
        let (socket, daemon) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("socketpair");
        let shared = Shared::new().expect("eventfd");
        let question = Question::Name(([10, 1, 2, 3], 0).into());
        shared.look(|places| places.take(&question, Tick::default()));
        for id in [1, 2] {
            let packet = message::encode(&Asked { id, question }).expect("a message");
            send(&daemon, &packet, SendFlags::NOSIGNAL).expect("send");
        }
        let after =
            |seconds| next(socket.as_fd(), &shared, Tick::default().after(Duration::from_secs(seconds)));
        assert!(matches!(after(89), Next::Question(Asked { id: 1, .. })));
        assert!(matches!(after(90), Next::End));
    }
}
