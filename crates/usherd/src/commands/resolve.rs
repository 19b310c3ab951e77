//! `usherd resolve`: the helper that finds out who calls.
//!
//! Name servers and callers' machines say what they want, and the C library's resolver reads it. So this process has no
//! rights, writes nothing, starts nothing, and shares nothing with the daemon but one socket. It answers questions side
//! by side, so that a slow zone delays its own callers only, and ends when nobody asks any more, when the daemon does,
//! and when a question hangs: its place would be lost for ever, and whoever asks something else is asked again of the
//! next helper.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::stdio::stdin;
use usherd_model::access::Found;
use usherd_model::lookups::{MOST_UNDER_WAY, Question};
use usherd_sys::signal::{self, Signal};

use crate::exit_code::Exit;
use crate::lookup;
use crate::message::{self, Answer, Asked, MOST_OF_ANSWER, Said};
use crate::sandbox;

/// After so long without a question it ends; the daemon starts another one.
const IDLE: Duration = Duration::from_secs(30);

/// A name that is not found out in so long hangs. No resolver takes so long, and the daemon has given up long before.
const NAME_HANGS: Duration = Duration::from_secs(90);

/// A user is asked for with a patience of his own; what takes so much longer hangs.
const USER_HANGS: Duration = Duration::from_secs(30);

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
    let Ok(places) = Places::new() else { return Exit::Failure };
    let places = Arc::new(places);
    loop {
        match next(&places) {
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

/// The next question, if there is a place for it. There is none any more when the daemon is gone or has asked nothing
/// for a while, and when an answer is overdue.
fn next(places: &Places) -> Next {
    let wanted = if places.are_taken() { PollFlags::empty() } else { PollFlags::IN };
    let now = Instant::now();
    let patience = match places.first_end() {
        // Seen here, since others may ask and be answered all the time.
        Some(end) if end <= now => return Next::End,
        Some(end) => end - now,
        None => IDLE,
    };
    let patience = Timespec::try_from(patience).unwrap_or_default();
    let stdin = stdin();
    let mut look = [PollFd::new(&stdin, wanted), PollFd::new(&places.given_back, PollFlags::IN)];
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
    if asked.contains(PollFlags::IN) { question() } else { Next::Again }
}

fn question() -> Next {
    let mut packet = [0_u8; MOST_OF_ANSWER];
    match recv(stdin(), &mut packet, RecvFlags::DONTWAIT) {
        Ok((got @ 1.., _)) => message::decode(&packet[..got]).map_or(Next::End, Next::Question),
        Err(Errno::AGAIN | Errno::INTR) => Next::Again,
        Ok(_) | Err(_) => Next::End,
    }
}

fn answer(asked: Asked, places: &Arc<Places>) {
    let Asked { id, question } = asked;
    let place = places.take(Instant::now() + hangs_after(&question));
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

fn hangs_after(question: &Question) -> Duration {
    match question {
        Question::Name(_) => NAME_HANGS,
        Question::User { patience, .. } => Duration::from_secs(u64::from(*patience)) + USER_HANGS,
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

/// Questions that are being answered, each with when its answer is overdue.
#[derive(Debug)]
struct Places {
    taken: Mutex<Taken>,
    /// Readable when a place was given back since somebody looked.
    given_back: OwnedFd,
}

#[derive(Debug, Default)]
struct Taken {
    last: u64,
    ends: HashMap<u64, Instant>,
}

impl Places {
    fn new() -> rustix::io::Result<Self> {
        let given_back = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { taken: Mutex::default(), given_back })
    }

    fn look<T>(&self, look: impl FnOnce(&mut Taken) -> T) -> T {
        look(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn are_taken(&self) -> bool {
        self.look(|taken| taken.ends.len() >= MOST_UNDER_WAY)
    }

    fn first_end(&self) -> Option<Instant> {
        self.look(|taken| taken.ends.values().min().copied())
    }

    fn take(&self, ends: Instant) -> u64 {
        self.look(|taken| {
            taken.last += 1;
            taken.ends.insert(taken.last, ends);
            taken.last
        })
    }

    fn give_back(&self, place: u64) {
        self.look(|taken| taken.ends.remove(&place));
        // A counter that is full says all that it has to.
        let _ = rustix::io::write(self.given_back.as_fd(), &1_u64.to_ne_bytes());
    }

    fn look_again(&self) {
        // It counts, and that it has is enough.
        let _ = rustix::io::read(self.given_back.as_fd(), &mut [0_u8; 8]);
    }
}
