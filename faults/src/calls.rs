//! The callers of the services: each says one thing and wants to hear it again.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::services::{Address, Service};

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Served,
    /// Nobody listens there.
    NotOpen,
    /// Somebody listens, and did not answer.
    Lost(String),
}

/// Nothing takes longer unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(4);

/// Calls a service once.
pub fn call(service: &Service) -> Outcome {
    call_within(service, PATIENCE)
}

fn call_within(service: &Service, patience: Duration) -> Outcome {
    let result = match service.address {
        Address::Tcp(port) => tcp(port, &TEXT.repeat(service.times()), patience),
        Address::Udp(port) => udp(port, patience),
        Address::Unix(path) => UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(patience))?;
            talk(stream, TEXT, |stream| stream.shutdown(Shutdown::Write))
        }),
    };
    match result {
        Ok(()) => Outcome::Served,
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
            Outcome::NotOpen
        }
        Err(error) => Outcome::Lost(format!("{}: {error}", service.name)),
    }
}

/// Calls a service whose program is not going to start: if it answers, it does so soon.
pub fn call_in_vain(service: &Service) -> Outcome {
    call_within(service, Duration::from_secs(1))
}

/// Calls until it is answered. Returns how often a caller was lost.
pub fn call_until_served(
    service: &Service,
    patience: Duration,
    mut between: impl FnMut(u32),
) -> Result<u32, String> {
    let began = Instant::now();
    let mut lost = 0;
    for attempt in 0.. {
        let outcome = call(service);
        match &outcome {
            Outcome::Served => return Ok(lost),
            Outcome::Lost(_) => lost += 1,
            Outcome::NotOpen => {}
        }
        if began.elapsed() > patience {
            return Err(format!(
                "{} is not served after {} s: {outcome:?}",
                service.name,
                patience.as_secs()
            ));
        }
        between(attempt);
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(lost)
}

/// Asks the control socket.
pub fn status(path: &str) -> Outcome {
    let ask = || {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"status\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.starts_with('{') { Ok(()) } else { Err(std::io::Error::other(format!("{answer:?}"))) }
    };
    match ask() {
        Ok(()) => Outcome::Served,
        Err(error) => Outcome::Lost(format!("status: {error}")),
    }
}

const TEXT: &[u8] = b"is anybody there?\n";

fn tcp(port: u16, text: &[u8], patience: Duration) -> std::io::Result<()> {
    let stream = TcpStream::connect_timeout(&local(port), patience)?;
    stream.set_read_timeout(Some(patience))?;
    talk(stream, text, |stream| stream.shutdown(Shutdown::Write))
}

fn udp(port: u16, patience: Duration) -> std::io::Result<()> {
    let socket = UdpSocket::bind(local(0))?;
    socket.connect(local(port))?;
    socket.set_read_timeout(Some(patience))?;
    socket.send(TEXT)?;
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer)?;
    check(&answer[..length], TEXT)
}

fn talk<S: Read + Write>(
    mut stream: S,
    text: &[u8],
    end: impl Fn(&S) -> std::io::Result<()>,
) -> std::io::Result<()> {
    stream.write_all(text)?;
    end(&stream)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    check(&answer, text)
}

fn check(answer: &[u8], text: &[u8]) -> std::io::Result<()> {
    if answer == text {
        return Ok(());
    }
    let beginning = String::from_utf8_lossy(&answer[..answer.len().min(TEXT.len())]);
    Err(std::io::Error::other(format!("answered {} bytes, {beginning:?}", answer.len())))
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
