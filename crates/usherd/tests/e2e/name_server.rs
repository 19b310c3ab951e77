//! A name server that says what it is told to, on 127.0.0.1. What is too long for a datagram it says over TCP.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

/// `name type answer…`; everything else does not exist.
pub type Zone = Vec<(String, String, Answer)>;

/// What is said of a name.
#[derive(Clone)]
pub enum Answer {
    /// These.
    Records(Vec<String>),
    /// That the server has failed.
    Fails,
    /// Nothing at all.
    Drops,
}

/// The server, for as long as the sandbox lives.
pub struct NameServer {
    zone: Arc<Mutex<Zone>>,
}

const TYPES: [(&str, u16); 4] = [("A", 1), ("CNAME", 5), ("PTR", 12), ("AAAA", 28)];

impl NameServer {
    /// Serves in a thread, and is the only one that the C library asks.
    pub fn start() -> Self {
        std::fs::write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
            .expect("write");
        std::fs::write("/etc/nsswitch.conf", "hosts: files dns\npasswd: files\ngroup: files\n")
            .expect("write");
        let socket = UdpSocket::bind("127.0.0.1:53").expect("nobody else is here");
        let zone = Arc::new(Mutex::new(Zone::new()));
        let served = Arc::clone(&zone);
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let zone = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(answer) = answer(&question[..length], &zone) {
                    let answer = if answer.len() > DATAGRAM { cut_off(&question[..length]) } else { answer };
                    socket.send_to(&answer, from).expect("send");
                }
            }
        });
        let listener = TcpListener::bind("127.0.0.1:53").expect("nobody else is here");
        let served = Arc::clone(&zone);
        std::thread::spawn(move || {
            for mut caller in listener.incoming().map_while(Result::ok) {
                let zone = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // Whoever asks may go at any time.
                let _ = answer_stream(&mut caller, &zone);
            }
        });
        Self { zone }
    }

    /// What it says from now on.
    pub fn says(&self, zone: Zone) {
        *self.zone.lock().unwrap_or_else(PoisonError::into_inner) = zone;
    }
}

/// What fits into a datagram (RFC 1035).
const DATAGRAM: usize = 512;

/// The answer that says that it does not fit.
fn cut_off(question: &[u8]) -> Vec<u8> {
    let (_, end) = name(question, 12);
    let mut out = question[..2].to_vec();
    out.extend([0x87, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
    out.extend(&question[12..end + 4]);
    out
}

/// Answers questions over TCP, a length before each message.
fn answer_stream(caller: &mut TcpStream, zone: &Zone) -> std::io::Result<()> {
    let mut length = [0; 2];
    loop {
        caller.read_exact(&mut length)?;
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        caller.read_exact(&mut question)?;
        let Some(answer) = answer(&question, zone) else { return Ok(()) };
        let length = u16::try_from(answer.len()).expect("it fits into a message");
        caller.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())?;
    }
}

fn answer(question: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let (name, end) = name(question, 12);
    let kind = u16::from_be_bytes([question[end], question[end + 1]]);
    let of = |wanted: u16, name: &str| {
        zone.iter().find(|(owner, word, _)| {
            let known = TYPES.iter().any(|(known, number)| known == word && *number == wanted);
            known && owner.eq_ignore_ascii_case(name)
        })
    };
    let mut records = Vec::new();
    let mut owner = name.clone();
    let mut code = 0;
    // Aliases are followed, as a server does.
    loop {
        if let Some((_, _, alias)) = of(5, &owner) {
            let Answer::Records(targets) = alias else { break };
            records.push(record(&owner, 5, &targets[0]));
            owner.clone_from(&targets[0]);
            continue;
        }
        match of(kind, &owner).map(|(_, _, answer)| answer) {
            Some(Answer::Records(targets)) => {
                records.extend(targets.iter().map(|target| record(&owner, kind, target)));
            }
            Some(Answer::Fails) => code = 2,
            Some(Answer::Drops) => return None,
            None if zone.iter().any(|(other, ..)| other.eq_ignore_ascii_case(&owner)) => {}
            None => code = 3,
        }
        break;
    }
    let count = u16::try_from(records.len()).expect("they fit into a message");
    let mut out = question[..2].to_vec();
    out.extend([0x85, 0x80 | code]);
    out.extend([0, 1]);
    out.extend(count.to_be_bytes());
    out.extend([0, 0, 0, 0]);
    out.extend(&question[12..end + 4]);
    out.extend(records.concat());
    Some(out)
}

/// A name in a message, and where it ends.
fn name(message: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    while message[at] != 0 {
        let length = usize::from(message[at]);
        labels.push(String::from_utf8_lossy(&message[at + 1..=at + length]).into_owned());
        at += length + 1;
    }
    (labels.join("."), at + 1)
}

fn encoded(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).expect("a short label"));
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}

fn record(owner: &str, kind: u16, target: &str) -> Vec<u8> {
    let data = match kind {
        1 => target.parse::<std::net::Ipv4Addr>().expect("an address").octets().to_vec(),
        28 => target.parse::<std::net::Ipv6Addr>().expect("an address").octets().to_vec(),
        _ => encoded(target),
    };
    let mut out = encoded(owner);
    out.extend(kind.to_be_bytes());
    out.extend([0, 1, 0, 0, 0, 0]);
    out.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
    out.extend(data);
    out
}
