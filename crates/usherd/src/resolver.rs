//! The core's side of `usherd resolve`: questions go out, answers come back, and nobody waits.
//!
//! The helper is started with the first question and ends by itself when there are none. It has no rights, so its words
//! are believed as little as those of the name servers that it asks: they are bounded, and end as text in rules and in
//! the log.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, recv, send, shutdown, socketpair,
};
use rustix::process::{Pid as SystemPid, Signal, kill_process};
use usherd_model::children::Pid;
use usherd_model::lookups::Question;
use usherd_model::service::{CommandLine, OURSELVES};
use usherd_model::slots::Key;
use usherd_model::supervisor::LookupId;
use usherd_sys::child::{Plan, Setup, Step, Strings};
use usherd_sys::spawn::{Given, Spawner, Table};

use crate::message::{self, Answer, Asked, MOST_OF_ANSWER, Said};

/// Has things found out.
#[derive(Debug)]
pub struct Resolver {
    plan: Arc<Plan>,
    /// Our end, while there is a helper.
    socket: Option<OwnedFd>,
    /// Whether the kernel has said that the helper ended with something of ours unread.
    is_reset: bool,
    process: Option<Pid>,
    /// Questions without an answer, and how often each was asked.
    asked: HashMap<u64, (Question, u8)>,
    /// What helpers have said of themselves last. Each of them finds the same, and it is to be heard once.
    news: Option<String>,
}

/// A question that was asked of a helper that is gone is asked of one more.
const MOST_ASKED: u8 = 2;

/// What reading has brought.
#[derive(Debug)]
pub enum Heard {
    /// An answer.
    Answer(LookupId, Answer),
    /// What the log is to say of the helper, which serves all the same.
    Missing(String),
    /// What the log is to say of the helper, which will not serve.
    Refused(String),
    /// Nothing for us; there may be more.
    Again,
    /// Nothing more now.
    Nothing,
    /// The helper has ended; these questions are to be asked again, and these have no answer.
    Gone {
        /// What was polled.
        socket: OwnedFd,
        /// To be asked again.
        again: Vec<(LookupId, Question)>,
        /// Without an answer.
        lost: Vec<LookupId>,
    },
}

impl Resolver {
    /// Without a helper yet.
    pub fn new() -> Self {
        let steps = Box::new([Step::Descriptors, Step::Session, Step::Connection(0), Step::Signals]);
        let command = Strings::new(CommandLine::new(OURSELVES, [b"usherd".as_slice(), b"resolve"]).text());
        let environment = Arc::new(Strings::new(Arc::from([])));
        let plan =
            Plan::new(Arc::new(Setup { steps, environment }), command).expect("a path and two arguments");
        Self {
            plan: Arc::new(plan),
            socket: None,
            is_reset: false,
            process: None,
            asked: HashMap::new(),
            news: None,
        }
    }

    /// Whether a helper has to be started before anything can be asked.
    pub fn needs_helper(&self) -> bool {
        self.socket.is_none()
    }

    /// Starts a helper. [`Self::socket`] is to be polled.
    pub fn start(&mut self, spawner: &mut Spawner, table: Table) -> std::io::Result<Pid> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let pid = Pid(spawner.spawn(&self.plan, Given::Away(theirs), None, &[], table)?);
        self.process = Some(pid);
        self.socket = Some(crate::descriptors::move_up(ours));
        self.is_reset = false;
        Ok(pid)
    }

    /// Our end, while there is a helper.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Asks; false when nobody can be asked now.
    pub fn ask(&mut self, id: LookupId, question: Question) -> bool {
        let Some(socket) = &self.socket else { return false };
        let id = id.pack();
        let Ok(packet) = message::encode(&Asked { id, question }) else { return false };
        match send(socket, &packet, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(_) => {}
            // A helper that has just ended, for want of questions, has not read this one. Its end is still to be read,
            // and then this is asked of the next.
            Err(Errno::PIPE | Errno::CONNRESET) => drop(shutdown(socket, Shutdown::Both)),
            Err(_) => return false,
        }
        self.asked.entry(id).or_insert((question, 0)).1 += 1;
        true
    }

    /// Reads one message.
    pub fn read(&mut self) -> Heard {
        let Some(socket) = &self.socket else { return Heard::Nothing };
        let mut packet = [0_u8; MOST_OF_ANSWER];
        match recv(socket, &mut packet, RecvFlags::DONTWAIT) {
            Ok((got @ 1.., _)) => match message::decode(&packet[..got]) {
                Ok(said) => self.hear(said),
                Err(_) => self.end(),
            },
            Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
            // That a question was left unread comes before the helper's last words, which may say why; and comes once.
            Err(Errno::CONNRESET) if !self.is_reset => {
                self.is_reset = true;
                Heard::Again
            }
            Ok(_) | Err(_) => self.end(),
        }
    }

    fn hear(&mut self, said: Said) -> Heard {
        match said {
            Said::Answer(answer) => {
                self.asked.remove(&answer.id);
                Heard::Answer(Key::unpack(answer.id), answer)
            }
            Said::Ready { missing } => {
                let is_news = missing.is_some() && self.news != missing;
                self.news.clone_from(&missing);
                missing.filter(|_| is_news).map_or(Heard::Again, Heard::Missing)
            }
            Said::Refused(why) => {
                let is_news = self.news.as_ref() != Some(&why);
                self.news = Some(why.clone());
                if is_news { Heard::Refused(why) } else { Heard::Again }
            }
        }
    }

    /// Ends the helper, if there is one.
    fn end(&mut self) -> Heard {
        let Some(socket) = self.socket.take() else { return Heard::Nothing };
        // It is no child any more once it was reaped.
        if let Some(pid) = self.process.and_then(|pid| SystemPid::from_raw(pid.0)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let (mut again, mut lost) = (Vec::new(), Vec::new());
        self.asked.retain(|id, (question, times)| {
            if *times < MOST_ASKED {
                again.push((Key::unpack(*id), *question));
                return true;
            }
            lost.push(Key::unpack(*id));
            false
        });
        Heard::Gone { socket, again, lost }
    }

    /// Nobody waits for this answer any more.
    pub fn forget(&mut self, id: LookupId) {
        self.asked.remove(&id.pack());
    }

    /// A process was reaped; whether it was the helper.
    pub fn reaped(&mut self, pid: Pid) -> bool {
        self.process.take_if(|process| *process == pid).is_some()
    }

    /// Ends a helper that cannot be listened to.
    pub fn stop(&mut self) {
        self.socket = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question::Name(([10, 1, 2, 3], 0).into())
    }

    /// One with a helper, and the helper's end.
    fn with_helper() -> (Resolver, OwnedFd) {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("socketpair");
        (Resolver { socket: Some(ours), ..Resolver::new() }, theirs)
    }

    fn say(helper: &OwnedFd, said: &Said) {
        send(helper, &message::encode(said).expect("a message"), SendFlags::NOSIGNAL).expect("send");
    }

    #[test]
    fn a_question_to_a_helper_that_is_gone_is_asked_once_more() {
        let (mut resolver, helper) = with_helper();
        drop(helper);
        let id = Key::unpack(7);
        assert!(resolver.ask(id, question()), "its end was not read yet");
        let Heard::Gone { again, lost, .. } = resolver.read() else { panic!("it is gone") };
        assert_eq!((again, lost), (vec![(id, question())], vec![]));

        let (next, helper) = with_helper();
        resolver.socket = next.socket;
        assert!(resolver.ask(id, question()));
        drop(helper);
        assert!(matches!(resolver.read(), Heard::Again), "a question was left unread");
        let Heard::Gone { again, lost, .. } = resolver.read() else { panic!("it is gone") };
        assert_eq!((again, lost), (vec![], vec![id]));
    }

    /// A helper that may not be what it has to be says so and ends, and has read no question.
    #[test]
    fn the_last_words_of_a_helper_that_left_a_question_unread_are_heard() {
        let (mut resolver, helper) = with_helper();
        let id = Key::unpack(7);
        assert!(resolver.ask(id, question()));
        say(&helper, &Said::Refused("no".to_owned()));
        drop(helper);
        assert!(matches!(resolver.read(), Heard::Again));
        let Heard::Refused(why) = resolver.read() else { panic!("it has said why") };
        assert_eq!(why, "no");
        assert!(matches!(resolver.read(), Heard::Gone { .. }));
        assert!(matches!(resolver.read(), Heard::Nothing));
    }

    #[test]
    fn a_reset_that_comes_again_is_an_end() {
        let (mut resolver, helper) = with_helper();
        // As after the first one.
        resolver.is_reset = true;
        assert!(resolver.ask(Key::unpack(7), question()));
        drop(helper);
        assert!(matches!(resolver.read(), Heard::Gone { .. }));
    }

    /// What [`Resolver::read`] is built on.
    #[test]
    fn the_kernel_says_once_that_a_packet_was_left_unread_and_first() {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("socketpair");
        send(&ours, b"question", SendFlags::NOSIGNAL).expect("send");
        send(&theirs, b"last words", SendFlags::NOSIGNAL).expect("send");
        drop(theirs);
        let mut packet = [0_u8; 64];
        let mut read = || recv(&ours, &mut packet, RecvFlags::DONTWAIT).map(|(got, _)| got);
        assert_eq!([read(), read(), read(), read()], [Err(Errno::CONNRESET), Ok(10), Ok(0), Ok(0)]);
    }

    #[test]
    fn what_every_helper_says_of_itself_is_heard_once() {
        let (mut resolver, helper) = with_helper();
        let lacks = Said::Ready { missing: Some("walls".to_owned()) };
        say(&helper, &lacks);
        assert!(matches!(resolver.read(), Heard::Missing(_)));
        say(&helper, &lacks);
        assert!(matches!(resolver.read(), Heard::Again));
        for expected in [true, false] {
            say(&helper, &Said::Refused("no".to_owned()));
            assert_eq!(matches!(resolver.read(), Heard::Refused(_)), expected);
        }
        assert!(matches!(resolver.read(), Heard::Nothing));
    }

    #[test]
    fn a_helper_that_talks_nonsense_is_gone() {
        let (mut resolver, helper) = with_helper();
        send(&helper, &[0; 600], SendFlags::NOSIGNAL).expect("send");
        assert!(matches!(resolver.read(), Heard::Gone { .. }));
        assert!(resolver.needs_helper());
    }
}
