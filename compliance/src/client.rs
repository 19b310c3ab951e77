//! Callers: TCP, UDP and unix sockets, with deadlines on everything they wait for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::net::{AddressFamily, Protocol, SendFlags, SocketType};

use crate::deadline;
use crate::report::Report;

/// A stream to a service, TCP or unix.
pub struct Caller<S> {
    stream: S,
    unread: Vec<u8>,
}

/// Connects; a refusal is tried again until the deadline, for the daemon may still be opening.
pub fn tcp(address: &str) -> Caller<TcpStream> {
    let address = parse(address);
    let stream = deadline::wait_for(&format!("a connection to {address}"), || {
        TcpStream::connect_timeout(&address, deadline::patience()).ok()
    });
    stream.set_read_timeout(Some(deadline::patience())).expect("a time above zero");
    stream.set_write_timeout(Some(deadline::patience())).expect("a time above zero");
    Caller { stream, unread: Vec::new() }
}

/// Connects from a port of the caller's choice.
pub fn tcp_from(source: &str, address: &str) -> Caller<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true).expect("a socket takes it");
    rustix::net::bind(&socket, &parse(source)).expect("the source port is free here");
    rustix::net::connect(&socket, &parse(address)).expect("somebody listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(deadline::patience())).expect("a time above zero");
    Caller { stream, unread: Vec::new() }
}

pub fn unix(path: impl AsRef<Path>) -> Caller<UnixStream> {
    let path = path.as_ref();
    let stream =
        deadline::wait_for(&format!("a connection to {}", path.display()), || UnixStream::connect(path).ok());
    stream.set_read_timeout(Some(deadline::patience())).expect("a time above zero");
    Caller { stream, unread: Vec::new() }
}

/// The probe's report from a TCP service.
pub fn ask(address: &str) -> Report {
    Report::parse(&tcp(address).all())
}

/// True when nobody listens. Ask only when the daemon is known to be ready.
pub fn refuses(address: &str) -> bool {
    let result = TcpStream::connect_timeout(&parse(address), deadline::patience());
    matches!(result, Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

pub fn wait_refused(address: &str) {
    deadline::wait_until(&format!("nobody listens on {address}"), || refuses(address));
}

impl<S: Stream> From<S> for Caller<S> {
    fn from(stream: S) -> Caller<S> {
        stream.set_patience(deadline::patience());
        Caller { stream, unread: Vec::new() }
    }
}

/// What a stream offers beside reading and writing.
pub trait Stream: Read + Write + AsFd {
    fn set_patience(&self, time: Duration);
    fn end_writing(&self);
}

impl Stream for TcpStream {
    fn set_patience(&self, time: Duration) {
        self.set_read_timeout(Some(time)).expect("a time above zero");
    }

    fn end_writing(&self) {
        // The other side may have reset the connection already.
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Stream for UnixStream {
    fn set_patience(&self, time: Duration) {
        self.set_read_timeout(Some(time)).expect("a time above zero");
    }

    fn end_writing(&self) {
        // As for TCP.
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl<S: Stream> Caller<S> {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the service takes what it is sent");
    }

    pub fn end_writing(&self) {
        self.stream.end_writing();
    }

    /// Everything until the service ends; a reset counts as an end.
    pub fn all(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.unread);
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes,
            Err(error) => panic!("the service neither answered nor closed: {error}"),
        }
    }

    /// As [`Caller::all`], as text.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.all()).into_owned()
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
            let mut buffer = [0; 4096];
            let length = self.stream.read(&mut buffer).expect("an answer before the deadline");
            assert!(length > 0, "the service closed instead of answering with a line");
            self.unread.extend_from_slice(&buffer[..length]);
        }
    }

    /// Exactly so many bytes.
    pub fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.unread);
        let have = bytes.len();
        bytes.resize(length, 0);
        self.stream.read_exact(&mut bytes[have..]).expect("so many bytes before the deadline");
        bytes
    }

    /// Sends a command to a probe that obeys, and gives its one-line answer.
    pub fn command(&mut self, text: &str) -> String {
        self.send(format!("{text}\n"));
        self.line()
    }

    /// Whether an answer or an end comes within `time`: what a caller beyond a limit sees.
    pub fn fate(&mut self, time: Duration) -> Fate {
        self.stream.set_patience(time);
        let mut buffer = [0; 65536];
        let result = self.stream.read(&mut buffer);
        self.stream.set_patience(deadline::patience());
        match result {
            Ok(0) => Fate::Closed,
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                Fate::Answered
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Fate::Waiting
            }
            Err(_) => Fate::Closed,
        }
    }
}

impl Caller<TcpStream> {
    /// Ends with a reset in place of an end of file.
    pub fn reset(self) {
        let linger = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&self.stream, linger).expect("TCP takes it");
    }

    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("connected")
    }
}

/// What became of a caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Answered,
    Closed,
    Waiting,
}

/// A UDP caller that takes answers only from the address it asked.
pub struct Udp {
    socket: UdpSocket,
}

pub fn udp(address: &str) -> Udp {
    let address = parse(address);
    let source = match address {
        SocketAddr::V4(four) if four.ip().is_loopback() => "127.0.0.1:0",
        SocketAddr::V4(_) => "192.0.2.1:0",
        SocketAddr::V6(_) => "[::1]:0",
    };
    udp_from(source, &address.to_string())
}

pub fn udp_from(source: &str, address: &str) -> Udp {
    let socket = UdpSocket::bind(parse(source)).expect("the source address is free here");
    socket.connect(parse(address)).expect("UDP connects to everything that has a route");
    socket.set_read_timeout(Some(deadline::patience())).expect("a time above zero");
    Udp { socket }
}

impl Udp {
    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        // An earlier datagram that met no socket leaves an error behind, which the first send takes.
        if self.socket.send(bytes.as_ref()).is_err() {
            self.socket.send(bytes.as_ref()).expect("a datagram can be sent");
        }
    }

    pub fn receive(&self) -> Vec<u8> {
        self.try_receive(deadline::patience()).expect("an answer before the deadline")
    }

    /// An answer within `time`, if there is one.
    pub fn try_receive(&self, time: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(time)).expect("a time above zero");
        let mut buffer = vec![0; 65536];
        let length = self.socket.recv(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    /// Sends and waits for the answer.
    pub fn ask(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        self.send(bytes);
        self.receive()
    }

    /// As [`Udp::ask`], as text without the line's end.
    pub fn command(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.ask(text)).trim_end().to_owned()
    }
}

/// Asks a unix datagram service from a socket of its own name, so that it can answer.
pub fn unix_datagram(own_path: &str, path: &str, bytes: &[u8]) -> Vec<u8> {
    let socket = UnixDatagram::bind(own_path).expect("the case's own path");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(own_path, open).expect("the case is root");
    socket.set_read_timeout(Some(deadline::patience())).expect("a time above zero");
    deadline::wait_until(&format!("{path} takes a datagram"), || socket.send_to(bytes, path).is_ok());
    let mut buffer = vec![0; 65536];
    let length = socket.recv(&mut buffer).expect("an answer before the deadline");
    buffer.truncate(length);
    buffer
}

/// All packets that a unix seqpacket service sends until it ends.
pub fn unix_seqpacket(path: &str) -> Vec<u8> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).expect("a socket");
    let address = rustix::net::SocketAddrUnix::new(path).expect("a short path");
    rustix::net::connect(&socket, &address).expect("somebody listens");
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 65536];
    loop {
        let received = rustix::net::recv(&socket, &mut buffer[..], rustix::net::RecvFlags::empty());
        match received.expect("the service sends or ends").0 {
            0 => return bytes,
            length => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}

/// Sends an IPv4 datagram whose source is somebody else's address.
pub fn forged_datagram(source: &str, target: &str, payload: &[u8]) {
    let (source, target) = (parse(source), parse(target));
    let (IpAddr::V4(from), IpAddr::V4(to)) = (source.ip(), target.ip()) else {
        panic!("only IPv4 is forged");
    };
    let length =
        |header: usize| u16::try_from(header + payload.len()).expect("a short datagram").to_be_bytes();
    // RFC 791 and RFC 768. The kernel fills in the header's checksum; UDP's is left out.
    let mut packet = vec![0x45, 0];
    packet.extend(length(28));
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(source.port().to_be_bytes());
    packet.extend(target.port().to_be_bytes());
    packet.extend(length(8));
    packet.extend([0, 0]);
    packet.extend_from_slice(payload);
    let raw = Protocol::from_raw(NonZeroU32::new(libc::IPPROTO_RAW.unsigned_abs()).expect("it is 255"));
    let socket =
        rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(raw)).expect("the case is root");
    rustix::net::sendto(&socket, &packet, SendFlags::empty(), &target).expect("the target has a route");
}

/// A TCP port that somebody else holds.
pub fn occupy(address: &str) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(parse(address))?;
    debug_assert!(listener.as_raw_fd() >= 0);
    Ok(listener)
}

fn parse(address: &str) -> SocketAddr {
    address.parse().expect("cases write addresses as numbers")
}
