//! The core's side of `usherd resolve`: questions go out, answers come back, and nobody waits.
//!
//! The helper is started with the first question and ends by itself when there are none. It has no rights, so its words
//! are believed as little as those of the name servers that it asks: they are bounded, and end as text in rules and in
//! the log.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use rustix::process::{Pid as SystemPid, Signal, kill_process};
use usherd_model::children::Pid;
use usherd_model::lookups::Question;
use usherd_model::service::{CommandLine, OURSELVES};
use usherd_model::slots::Key;
use usherd_model::supervisor::LookupId;
use usherd_sys::child::{Plan, Setup, Step, Strings};
use usherd_sys::spawn::{Given, Spawner, Table};

use crate::message::{self, Answer, Asked, MOST_OF_ANSWER};

/// Has things found out.
#[derive(Debug)]
pub struct Resolver {
    plan: Arc<Plan>,
    /// Our end, while there is a helper.
    socket: Option<OwnedFd>,
    process: Option<Pid>,
    /// Questions without an answer, and how often each was asked.
    asked: HashMap<u64, (Question, u8)>,
}

/// A question that was asked of a helper that is gone is asked of one more.
const MOST_ASKED: u8 = 2;

/// What reading has brought.
#[derive(Debug)]
pub enum Heard {
    /// An answer.
    Answer(LookupId, Answer),
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
        Self { plan: Arc::new(plan), socket: None, process: None, asked: HashMap::new() }
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
        let is_sent = send(socket, &packet, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).is_ok();
        if is_sent {
            self.asked.entry(id).or_insert((question, 0)).1 += 1;
        }
        is_sent
    }

    /// Reads one answer.
    pub fn read(&mut self) -> Heard {
        let Some(socket) = &self.socket else { return Heard::Nothing };
        let mut packet = [0_u8; MOST_OF_ANSWER];
        match recv(socket, &mut packet, RecvFlags::DONTWAIT) {
            Ok((got @ 1.., _)) => match message::decode::<Answer>(&packet[..got]) {
                Ok(answer) => {
                    self.asked.remove(&answer.id);
                    Heard::Answer(Key::unpack(answer.id), answer)
                }
                Err(_) => self.end(),
            },
            Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
            Ok(_) | Err(_) => self.end(),
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

    /// A process was reaped; whether it was the helper.
    pub fn reaped(&mut self, pid: Pid) -> bool {
        self.process.take_if(|process| *process == pid).is_some()
    }

    /// Ends a helper that cannot be listened to.
    pub fn stop(&mut self) {
        self.socket = None;
    }
}
