//! Those who call.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};

use crate::wait::DEADLINE;

/// A port of the sandbox's loopback.
pub fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Calls.
#[track_caller]
pub fn connect(to: SocketAddr) -> TcpStream {
    prepared(TcpStream::connect(to).unwrap_or_else(|error| panic!("connect to {to}: {error}")))
}

fn prepared(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    stream.set_write_timeout(Some(DEADLINE)).expect("a time-out");
    stream
}

/// Whether nobody listens there.
pub fn is_refused(to: SocketAddr) -> bool {
    TcpStream::connect(to).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Calls a service that runs `probe report`, and returns what that says.
#[track_caller]
pub fn report(to: SocketAddr) -> serde_json::Value {
    let text = listen(to);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// Calls, says it all, and returns what is answered until the other end closes.
#[track_caller]
pub fn ask(to: SocketAddr, bytes: &str) -> String {
    let mut stream = connect(to);
    stream.write_all(bytes.as_bytes()).expect("write");
    stream.shutdown(Shutdown::Write).expect("shutdown");
    rest(&mut stream)
}

/// Calls and returns what is said until the other end closes, or the empty text when it is reset.
#[track_caller]
pub fn listen(to: SocketAddr) -> String {
    rest(&mut connect(to))
}

/// What is said until the other end closes. A reset is an end too.
#[track_caller]
pub fn rest(stream: &mut impl Read) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("read: {error}, after {:?}", String::from_utf8_lossy(&text)),
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The next line, without its end.
#[track_caller]
pub fn line(stream: &mut impl Read) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).expect("read a line") == 1 && byte[0] != b'\n' {
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Says something on a connection and waits for the same to come back.
#[track_caller]
pub fn echoes(stream: &mut (impl Read + Write), text: &str) {
    stream.write_all(text.as_bytes()).expect("write");
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).expect("an echo");
    assert_eq!(String::from_utf8_lossy(&back), text);
}

/// Calls and resets the connection at once.
#[track_caller]
pub fn reset(to: SocketAddr) {
    let stream = connect(to);
    rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).expect("linger");
}

/// A socket for datagrams to one place.
pub fn datagrams(to: SocketAddr) -> UdpSocket {
    let any = if to.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    datagrams_from(any.parse().expect("an address"), to)
}

/// The same, with an address of its own.
pub fn datagrams_from(from: SocketAddr, to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(from).unwrap_or_else(|error| panic!("bind {from}: {error}"));
    socket.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    socket.connect(to).expect("connect");
    socket
}

/// The next datagram.
#[track_caller]
pub fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 65_536];
    let length = socket.recv(&mut buffer).expect("a datagram");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Sends one datagram and returns the answer.
#[track_caller]
pub fn ask_by_datagram(to: SocketAddr, text: &str) -> String {
    let socket = datagrams(to);
    socket.send(text.as_bytes()).expect("send");
    receive(&socket)
}
