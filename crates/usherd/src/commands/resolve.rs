//! `usherd resolve`: the helper that finds out who calls.
//!
//! Name servers and callers' machines say what they want, and the C library's resolver reads it. So this process has no
//! rights, writes nothing, starts nothing, and shares nothing with the daemon but one socket. It answers questions side
//! by side, so that a slow zone delays its own callers only, and ends when nobody asks any more.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::stdio::stdin;
use usherd_model::access::Found;
use usherd_model::lookups::MOST_UNDER_WAY;
use usherd_sys::signal::{self, Signal};

use crate::exit_code::Exit;
use crate::lookup;
use crate::message::{self, Answer, Asked, MOST_OF_ANSWER};
use crate::sandbox;

/// After so long without a question it ends; the daemon starts another one.
const IDLE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Of a thread: the C library's resolver takes a few buffers of 64 KiB.
const STACK: usize = 512 * 1024;

/// What a log line about a look-up is cut at, in bytes.
const MOST_OF_REMARK: usize = 512;

pub(super) fn run() -> Exit {
    // "killall -HUP inetd" means the daemon and not us.
    signal::ignore(Signal::HUP);
    let _ = rustix::thread::set_name(c"usherd-resolve");
    if let Err(error) = sandbox::enter() {
        crate::output::complain(&format!("resolve: {error}"));
        return Exit::NotPermitted;
    }
    let places = Arc::new(Places::default());
    loop {
        places.wait_for_one();
        match question(&places) {
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

/// The next question. There is none any more when the daemon is gone, or has asked nothing for a while.
fn question(places: &Places) -> Next {
    let mut look = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
    match poll(&mut look, Some(&IDLE)) {
        Ok(0) if places.taken() == 0 => return Next::End,
        Ok(0) | Err(Errno::INTR) => return Next::Again,
        Ok(_) => {}
        Err(_) => return Next::End,
    }
    let mut packet = [0_u8; MOST_OF_ANSWER];
    match recv(stdin(), &mut packet, RecvFlags::DONTWAIT) {
        Ok((got @ 1.., _)) => message::decode(&packet[..got]).map_or(Next::End, Next::Question),
        Err(Errno::AGAIN | Errno::INTR) => Next::Again,
        Ok(_) | Err(_) => Next::End,
    }
}

fn answer(asked: Asked, places: &Arc<Places>) {
    let Asked { id, question } = asked;
    places.take();
    let mine = Arc::clone(places);
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let (found, remark) = lookup::answer(question);
        reply(id, Some(found), remark);
        mine.give_back();
    });
    if thread.is_err() {
        reply(id, None, None);
        places.give_back();
    }
}

fn reply(id: u64, found: Option<Found>, remark: Option<String>) {
    let remark = remark.map(|mut remark| {
        let end = (0..=MOST_OF_REMARK.min(remark.len())).rev().find(|end| remark.is_char_boundary(*end));
        remark.truncate(end.unwrap_or_default());
        remark
    });
    let Ok(packet) = message::encode(&Answer { id, found, remark }) else { return };
    // Whoever asked may be gone; then so are we, with the next question.
    while let Err(Errno::INTR | Errno::AGAIN) = send(stdin(), &packet, SendFlags::NOSIGNAL) {
        let mut look = [PollFd::from_borrowed_fd(stdin(), PollFlags::OUT)];
        if poll(&mut look, Some(&IDLE)).is_err() {
            break;
        }
    }
}

/// Questions that are being answered.
#[derive(Debug, Default)]
struct Places {
    taken: Mutex<usize>,
    given_back: Condvar,
}

impl Places {
    fn taken(&self) -> usize {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn give_back(&self) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.given_back.notify_all();
    }

    fn wait_for_one(&self) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.given_back.wait_while(taken, |taken| *taken >= MOST_UNDER_WAY));
    }
}
