//! Built-ins over datagrams: one answer for each that may be answered, in batches.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use usherd_model::datagram::is_loop;
use usherd_model::service::Builtin;
use usherd_sys::datagram::Batch;

use super::{CHARGEN, CHARGEN_OF_XINETD, chargen_line, daytime, daytime_of_xinetd, time};

/// The built-ins' share of the work on datagrams. Buffers are made with the first datagram.
#[derive(Default)]
pub struct Datagrams {
    batch: Option<Box<Batch>>,
    /// The next line of chargen; shared by all callers, as in the originals.
    line: usize,
}

/// Which datagrams are answered.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Whether a port is one of ours: what comes from there could go in circles.
    pub is_builtin_port: &'a dyn Fn(u16) -> bool,
    /// Whether hosts.allow and hosts.deny let a sender in, where they are asked.
    pub lets_in: Option<&'a dyn Fn(SocketAddr) -> bool>,
}

/// Datagrams that were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub count: u32,
    /// The sender of one of them.
    pub source: SocketAddr,
}

impl Datagrams {
    /// Answers what one socket has waiting, a bounded number at once. What was dropped because an answer could go in
    /// circles, and what because its senders are not let in.
    pub fn serve(
        &mut self,
        builtin: Builtin,
        socket: BorrowedFd<'_>,
        rules: Rules<'_>,
    ) -> (Option<Dropped>, Option<Dropped>) {
        let batch = self.batch.get_or_insert_default();
        let (mut loops, mut denied) = (None, None);
        // An error is that of an earlier answer (nobody listened), which the kernel reports here; or there was none.
        let received = batch.receive(socket).unwrap_or_default();
        for index in 0..received {
            let datagram = batch.datagram(index);
            // A sender without an internet address cannot be answered.
            let Some(source) = datagram.source else { continue };
            if builtin == Builtin::Discard {
                continue;
            }
            if !datagram.to_us_alone || is_loop(source, rules.is_builtin_port) {
                note(&mut loops, source);
                continue;
            }
            if rules.lets_in.is_some_and(|lets_in| !lets_in(source)) {
                note(&mut denied, source);
                continue;
            }
            match builtin {
                Builtin::Echo => batch.echo(index),
                Builtin::Discard
                | Builtin::Tcpmux
                | Builtin::Services
                | Builtin::Servers
                | Builtin::Xadmin => {}
                Builtin::Chargen | Builtin::ChargenOfXinetd => {
                    let pattern: &[u8] =
                        if builtin == Builtin::Chargen { &CHARGEN } else { &CHARGEN_OF_XINETD };
                    batch.answer(index, chargen_line(pattern, self.line));
                    self.line = self.line.wrapping_add(1);
                }
                Builtin::Daytime => batch.answer(index, daytime().as_bytes()),
                Builtin::DaytimeOfXinetd => batch.answer(index, daytime_of_xinetd().as_bytes()),
                Builtin::Time => batch.answer(index, &time()),
            }
        }
        batch.send(socket);
        (loops, denied)
    }
}

fn note(dropped: &mut Option<Dropped>, source: SocketAddr) {
    let count = dropped.map_or(0, |dropped| dropped.count) + 1;
    *dropped = Some(Dropped { count, source });
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams").field("line", &self.line).finish_non_exhaustive()
    }
}
