//! Telling rpcbind where RPC programs are: ONC RPC (RFC 5531) with rpcbind's protocol (RFC 1833), as much as that needs.
//!
//! rpcbind is called over its Unix socket, where it knows who calls and believes root and the owner of a registration.
//! Where there is no such socket, the old portmapper is asked over UDP, which knows IPv4 only and wants a privileged
//! port.
//!
//! What must never happen here: waiting longer than [`PATIENCE`] in all, or taking from rpcbind what somebody else has
//! told it, unless that stands in the way of what is to be told. (The portmapper is not asked so exactly: it forgets a
//! version over all protocols, whoever told it.)

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use usherd_model::registry::{Netid, Refusal, Registration, Tidings};

use crate::message::Told;

/// Where rpcbind listens.
const SOCKET: &str = "/run/rpcbind.sock";

/// Where the old portmapper does, and rpcbind, too.
const PORTMAPPER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 111);

/// All calls together may take so long.
const PATIENCE: Duration = Duration::from_secs(3);

/// The program's number, of rpcbind and of the portmapper alike.
const PROGRAM: u32 = 100_000;

/// The longest answer: some ten thousand registrations.
const MOST: usize = 1 << 20;

/// A call, in rpcbind's protocol or in the portmapper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call<'a> {
    /// `RPCBPROC_SET` of version 4.
    Set(&'a Registration),
    /// `RPCBPROC_UNSET`.
    Unset(&'a Registration),
    /// `RPCBPROC_DUMP`.
    Dump,
    /// `PMAPPROC_SET` of version 2.
    PortmapSet(&'a Registration),
    /// `PMAPPROC_UNSET`, which forgets a version over all protocols.
    PortmapUnset(&'a Registration),
}

/// Tells rpcbind.
pub fn tell(tidings: &Tidings) -> Told {
    let deadline = Instant::now() + PATIENCE;
    let told = match Rpcbind::connect(deadline) {
        Ok(mut rpcbind) => rpcbind.tell(tidings),
        Err(error) if is_absent(&error) => match Portmapper::connect(deadline) {
            Ok(mut portmapper) => match portmapper.tell(tidings) {
                // "Refused" by a port where nobody is.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    return Err("rpcbind does not run".to_owned());
                }
                told => told,
            },
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    told.map_err(|error| {
        if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            "rpcbind does not answer".to_owned()
        } else {
            format!("rpcbind: {error}")
        }
    })
}

fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

/// rpcbind, over its Unix socket.
struct Rpcbind {
    stream: UnixStream,
    deadline: Instant,
    calls: u32,
}

impl Rpcbind {
    fn connect(deadline: Instant) -> Result<Self> {
        // Without waiting: an rpcbind that hangs has a full backlog at some time.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(SOCKET)?)?;
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(false)?;
        Ok(Self { stream, deadline, calls: 0 })
    }

    fn tell(&mut self, tidings: &Tidings) -> Result<Vec<Refusal>> {
        if !tidings.unset.is_empty() {
            let known = registrations(&self.call(Call::Dump)?)?;
            // What somebody else has told rpcbind meanwhile stays.
            for ours in tidings.unset.iter().filter(|ours| known.contains(&Known::of(ours))) {
                self.call(Call::Unset(ours))?;
            }
        }
        let mut refused = Vec::new();
        for registration in &tidings.set {
            // It takes what it knows already. Something else in that place was left behind, or has to give way.
            let taken = is_true(&self.call(Call::Set(registration))?)? || {
                self.call(Call::Unset(registration))?;
                is_true(&self.call(Call::Set(registration))?)?
            };
            if !taken {
                let why = "rpcbind refuses it; rpcinfo -s shows who has it".to_owned();
                refused.push(Refusal { registration: *registration, why });
            }
        }
        Ok(refused)
    }

    fn call(&mut self, call: Call<'_>) -> Result<Vec<u8>> {
        self.calls += 1;
        let message = encode(call, self.calls);
        self.hurry()?;
        self.stream.write_all(&record(&message))?;
        results(&self.read_record()?, self.calls).map(<[u8]>::to_vec)
    }

    /// A record is sent in fragments; the last one says so.
    fn read_record(&mut self) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let mut mark = [0; 4];
            self.read_exact(&mut mark)?;
            let mark = u32::from_be_bytes(mark);
            let length = (mark & !LAST_FRAGMENT) as usize;
            let start = whole.len();
            if start + length > MOST {
                return Err(nonsense());
            }
            whole.resize(start + length, 0);
            self.read_exact(&mut whole[start..])?;
            if mark & LAST_FRAGMENT != 0 {
                return Ok(whole);
            }
        }
    }

    fn read_exact(&mut self, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            self.hurry()?;
            match self.stream.read(buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                got => buffer = &mut buffer[got..],
            }
        }
        Ok(())
    }

    /// Whatever is waited for next may take what is left.
    fn hurry(&self) -> Result<()> {
        let left = time_left(self.deadline)?;
        self.stream.set_read_timeout(Some(left))?;
        self.stream.set_write_timeout(Some(left))
    }
}

/// The portmapper, over UDP.
struct Portmapper {
    socket: UdpSocket,
    deadline: Instant,
    calls: u32,
}

impl Portmapper {
    fn connect(deadline: Instant) -> Result<Self> {
        let socket = privileged_socket()?;
        socket.connect(PORTMAPPER)?;
        Ok(Self { socket, deadline, calls: 0 })
    }

    fn tell(&mut self, tidings: &Tidings) -> Result<Vec<Refusal>> {
        let is_v4 = |registration: &&Registration| registration.address.is_ipv4();
        // Forgetting concerns all protocols of a version, so it comes first, and all that is open is told anew.
        for registration in tidings.unset.iter().chain(&tidings.set).filter(is_v4) {
            self.call(Call::PortmapUnset(registration))?;
        }
        let mut refused = Vec::new();
        for registration in &tidings.set {
            let why = if !is_v4(&registration) {
                "this portmapper knows IPv4 only; rpcbind knows both"
            } else if is_true(&self.call(Call::PortmapSet(registration))?)? {
                continue;
            } else {
                "the portmapper refuses it; rpcinfo -p shows who has it"
            };
            refused.push(Refusal { registration: *registration, why: why.to_owned() });
        }
        Ok(refused)
    }

    /// Calls and calls again: a datagram may be lost.
    fn call(&mut self, call: Call<'_>) -> Result<Vec<u8>> {
        const AGAIN: Duration = Duration::from_millis(500);
        self.calls += 1;
        let message = encode(call, self.calls);
        let mut answer = [0; 1024];
        loop {
            self.socket.send(&message)?;
            let until = Instant::now() + AGAIN.min(time_left(self.deadline)?);
            while let Ok(left) = time_left(until) {
                self.socket.set_read_timeout(Some(left))?;
                match self.socket.recv(&mut answer) {
                    // An answer to an earlier call may come late.
                    Ok(length) if answer.starts_with(&self.calls.to_be_bytes()) => {
                        return results(&answer[..length], self.calls).map(<[u8]>::to_vec);
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

/// The portmapper hears only those who may have a port below 1024; whoever may not tries anyway.
fn privileged_socket() -> Result<UdpSocket> {
    for port in (600..1024).rev() {
        match UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => break,
            socket => return socket,
        }
    }
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
}

fn time_left(deadline: Instant) -> Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

const LAST_FRAGMENT: u32 = 1 << 31;

fn record(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or_default();
    [&(LAST_FRAGMENT | length).to_be_bytes(), message].concat()
}

/// A call as RFC 5531 writes it: no credentials, since rpcbind asks the kernel who calls.
fn encode(call: Call<'_>, number: u32) -> Vec<u8> {
    const CALL: u32 = 0;
    const RPC_VERSION: u32 = 2;
    const NO_CREDENTIALS: [u32; 4] = [0; 4];
    let (version, procedure) = match call {
        Call::Set(_) => (4, 1),
        Call::Unset(_) => (4, 2),
        Call::Dump => (4, 4),
        Call::PortmapSet(_) => (2, 1),
        Call::PortmapUnset(_) => (2, 2),
    };
    let mut message = Vec::new();
    for word in [number, CALL, RPC_VERSION, PROGRAM, version, procedure].into_iter().chain(NO_CREDENTIALS) {
        message.extend(word.to_be_bytes());
    }
    match call {
        Call::Set(registration) | Call::Unset(registration) => {
            message.extend(registration.program.to_be_bytes());
            message.extend(registration.version.to_be_bytes());
            put_string(&mut message, registration.netid.word());
            put_string(&mut message, &universal_address(registration.address));
            put_string(&mut message, &rustix::process::geteuid().as_raw().to_string());
        }
        Call::Dump => {}
        Call::PortmapSet(registration) | Call::PortmapUnset(registration) => {
            let Registration { program, version, netid, address } = registration;
            for word in [*program, *version, netid.protocol(), address.port().into()] {
                message.extend(word.to_be_bytes());
            }
        }
    }
    message
}

/// Length, bytes, and zeros up to the next multiple of four.
fn put_string(message: &mut Vec<u8>, text: &str) {
    message.extend(u32::try_from(text.len()).unwrap_or_default().to_be_bytes());
    message.extend(text.as_bytes());
    message.resize(message.len().next_multiple_of(4), 0);
}

/// An address as rpcbind writes it: the port's two bytes behind it.
fn universal_address(address: SocketAddr) -> String {
    let [high, low] = address.port().to_be_bytes();
    format!("{}.{high}.{low}", address.ip())
}

/// The results in an answer to a call of this number.
fn results(answer: &[u8], number: u32) -> Result<&[u8]> {
    const REPLY: u32 = 1;
    const ACCEPTED: u32 = 0;
    const SUCCESS: u32 = 0;
    let mut rest = answer;
    if take_word(&mut rest)? != number || take_word(&mut rest)? != REPLY {
        return Err(nonsense());
    }
    if take_word(&mut rest)? != ACCEPTED {
        return Err(Error::other("the call was rejected"));
    }
    let _flavour = take_word(&mut rest)?;
    take_string(&mut rest)?;
    match take_word(&mut rest)? {
        SUCCESS => Ok(rest),
        status => Err(Error::other(format!("the call failed with status {status}"))),
    }
}

fn is_true(mut results: &[u8]) -> Result<bool> {
    Ok(take_word(&mut results)? != 0)
}

/// A registration as rpcbind lists it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    program: u32,
    version: u32,
    netid: Vec<u8>,
    address: Vec<u8>,
}

impl Known {
    fn of(registration: &Registration) -> Self {
        Self {
            program: registration.program,
            version: registration.version,
            netid: Netid::word(registration.netid).into(),
            address: universal_address(registration.address).into(),
        }
    }
}

/// The results of a dump: before each entry stands whether there is one.
fn registrations(mut results: &[u8]) -> Result<BTreeSet<Known>> {
    let mut all = BTreeSet::new();
    while take_word(&mut results)? != 0 {
        let (program, version) = (take_word(&mut results)?, take_word(&mut results)?);
        let (netid, address) = (take_string(&mut results)?.into(), take_string(&mut results)?.into());
        let _owner = take_string(&mut results)?;
        all.insert(Known { program, version, netid, address });
    }
    Ok(all)
}

fn take_word(rest: &mut &[u8]) -> Result<u32> {
    let (word, after) = rest.split_first_chunk().ok_or_else(nonsense)?;
    *rest = after;
    Ok(u32::from_be_bytes(*word))
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = take_word(rest)? as usize;
    let padded = length.checked_next_multiple_of(4).ok_or_else(nonsense)?;
    let (bytes, after) = rest.split_at_checked(padded).ok_or_else(nonsense)?;
    *rest = after;
    Ok(&bytes[..length])
}

fn nonsense() -> Error {
    Error::new(ErrorKind::InvalidData, "the answer makes no sense")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(netid: Netid, address: &str) -> Registration {
        let address = address.parse().expect("an address");
        Registration { program: 100_001, version: 5, netid, address }
    }

    /// As words of four bytes, for people to compare with the RFCs.
    fn words(bytes: &[u8]) -> Vec<u32> {
        bytes.chunks(4).map(|word| u32::from_be_bytes(word.try_into().expect("whole words"))).collect()
    }

    #[test]
    fn a_call_to_rpcbind_is_as_the_rfc_has_it() {
        let udp = registration(Netid::Udp, "0.0.0.0:40001");
        let message = encode(Call::Set(&udp), 7);
        assert_eq!(words(&message[..48]), [7, 0, 2, 100_000, 4, 1, 0, 0, 0, 0, 100_001, 5]);
        let owner = rustix::process::geteuid().as_raw().to_string();
        let strings = b"\0\0\0\x03udp\0\0\0\0\x0e0.0.0.0.156.65\0\0";
        assert_eq!(&message[48..48 + strings.len()], strings);
        assert_eq!(&message[48 + strings.len()..][4..4 + owner.len()], owner.as_bytes());
        assert_eq!(message.len() % 4, 0);
        assert_eq!(record(&message)[..4], [0x80, 0, 0, u8::try_from(message.len()).expect("short")]);
        assert_eq!(words(&encode(Call::Dump, 1)), [1, 0, 2, 100_000, 4, 4, 0, 0, 0, 0]);
        let words = words(&encode(Call::PortmapUnset(&udp), 9));
        assert_eq!(words[3..], [100_000, 2, 2, 0, 0, 0, 0, 100_001, 5, 17, 40001]);
    }

    #[test]
    fn addresses_are_universal() {
        let of = |address: &str| universal_address(address.parse().expect("an address"));
        assert_eq!(of("192.0.2.1:258"), "192.0.2.1.1.2");
        assert_eq!(of("[::]:111"), "::.0.111");
        assert_eq!(of("[2001:db8::1]:65535"), "2001:db8::1.255.255");
    }

    #[test]
    fn answers_are_read_and_nonsense_is_not() {
        let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        let good = bytes(&[7, 1, 0, 0, 0, 0, 1]);
        assert!(is_true(results(&good, 7).expect("an answer")).expect("a word"));
        assert!(!is_true(&bytes(&[0])).expect("a word"));
        // With a verifier of five bytes.
        let verified = bytes(&[7, 1, 0, 1, 5, 0, 0, 0, 0]);
        assert!(!is_true(results(&verified, 7).expect("an answer")).expect("a word"));
        assert!(results(&good, 8).is_err(), "of another call");
        assert!(results(&bytes(&[7, 0, 0, 0, 0, 0]), 7).is_err(), "a call");
        assert!(results(&bytes(&[7, 1, 1, 1, 1]), 7).is_err(), "rejected");
        assert!(results(&bytes(&[7, 1, 0, 0, 0, 2]), 7).is_err(), "no such version");
        assert!(results(&bytes(&[7, 1, 0, 0, u32::MAX, 0]), 7).is_err(), "a verifier without end");
        for length in 0..good.len() {
            let short = results(&good[..length], 7).and_then(is_true);
            assert!(short.is_err(), "{length} bytes of an answer");
        }
    }

    #[test]
    fn a_list_is_read() {
        let ours = registration(Netid::Udp6, "[::]:258");
        let mut list = Vec::new();
        for _ in 0..2 {
            // An entry is what a call to set is made of.
            list.extend(1_u32.to_be_bytes());
            list.extend(&encode(Call::Set(&ours), 0)[40..]);
        }
        list.extend(0_u32.to_be_bytes());
        let known = registrations(&list).expect("a list");
        assert_eq!(known, BTreeSet::from([Known::of(&ours)]));
        assert!(registrations(&list[..list.len() - 4]).is_err(), "a list without an end");
        assert!(!known.contains(&Known::of(&registration(Netid::Udp6, "[::]:259"))));
    }
}
