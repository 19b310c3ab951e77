//! The program of the services: says what it hears.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

/// What standard input is.
#[derive(Clone, Copy)]
pub enum Kind {
    Stream,
    Datagram,
}

impl Kind {
    pub fn by_name(name: &str) -> Result<Self, String> {
        match name {
            "stream" => Ok(Kind::Stream),
            "datagram" => Ok(Kind::Datagram),
            _ => Err(format!("no such responder: {name}")),
        }
    }
}

pub fn run(kind: Kind) -> ExitCode {
    let result = match kind {
        Kind::Stream => std::io::copy(&mut std::io::stdin(), &mut std::io::stdout()).map(|_| ()),
        Kind::Datagram => datagrams(),
    };
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Answers until nothing has come for a moment.
fn datagrams() -> std::io::Result<()> {
    const QUIET: Duration = Duration::from_millis(100);
    let socket = UdpSocket::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_read_timeout(Some(QUIET))?;
    let mut text = [0; 64];
    while let Ok((length, peer)) = socket.recv_from(&mut text) {
        socket.send_to(&text[..length], peer)?;
    }
    Ok(())
}
