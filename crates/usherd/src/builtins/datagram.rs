//! Built-ins over datagrams: one answer for each that may be answered, in batches.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use usherd_model::datagram::is_loop;
use usherd_model::service::Builtin;
use usherd_sys::datagram::Batch;

use super::{chargen_line, daytime, time};

/// The built-ins' share of the work on datagrams. Buffers are made with the first datagram.
#[derive(Default)]
pub struct Datagrams {
    batch: Option<Box<Batch>>,
    /// The next line of chargen; shared by all callers, as in the originals.
    line: usize,
}

/// Datagrams that were dropped because an answer could go in circles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub count: u32,
    /// The sender of one of them.
    pub source: SocketAddr,
}

impl Datagrams {
    /// Answers what one socket has waiting, a bounded number at once.
    pub fn serve(
        &mut self,
        builtin: Builtin,
        socket: BorrowedFd<'_>,
        is_builtin_port: &dyn Fn(u16) -> bool,
    ) -> Option<Dropped> {
        let batch = self.batch.get_or_insert_default();
        let mut dropped: Option<Dropped> = None;
        // An error is that of an earlier answer (nobody listened), which the kernel reports here; or there was none.
        let received = batch.receive(socket).unwrap_or_default();
        for index in 0..received {
            let datagram = batch.datagram(index);
            // A sender without an internet address cannot be answered.
            let Some(source) = datagram.source else { continue };
            if builtin == Builtin::Discard {
                continue;
            }
            if !datagram.to_us_alone || is_loop(source, is_builtin_port) {
                let count = dropped.map_or(0, |dropped| dropped.count) + 1;
                dropped = Some(Dropped { count, source });
                continue;
            }
            match builtin {
                Builtin::Echo => batch.echo(index),
                Builtin::Discard | Builtin::Tcpmux => {}
                Builtin::Chargen => {
                    batch.answer(index, chargen_line(self.line));
                    self.line = self.line.wrapping_add(1);
                }
                Builtin::Daytime => batch.answer(index, daytime().as_bytes()),
                Builtin::Time => batch.answer(index, &time()),
            }
        }
        batch.send(socket);
        dropped
    }
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams").field("line", &self.line).finish_non_exhaustive()
    }
}
