//! Datagrams in batches: recvmmsg(2) and sendmmsg(2), with the address that was asked, so that an answer comes from
//! there.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Datagrams of one system call. More would let one busy socket keep the others waiting.
pub const BATCH: usize = 32;

/// The largest datagram of UDP, so that none is cut. Pages that no datagram reaches are never touched.
const LONGEST: usize = 65_536;

/// Room for one IP_PKTINFO or IPV6_PKTINFO message.
const CONTROL: usize = 64;

/// A batch of datagrams: received, looked at, answered.
pub struct Batch {
    data: Vec<u8>,
    names: Box<[MaybeUninit<libc::sockaddr_storage>; BATCH]>,
    controls: Box<[Control; BATCH]>,
    vectors: Box<[libc::iovec; BATCH]>,
    messages: Box<[libc::mmsghdr; BATCH]>,
    received: usize,
    /// Answers, as indices of messages.
    answers: Vec<usize>,
}

#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Control([u8; CONTROL]);

/// What is known about one datagram.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// Who sent it; `None` for a family that is not an internet one.
    pub source: Option<SocketAddr>,
    /// Whether it was sent to this machine alone, and not to a broadcast or multicast address. True where the socket
    /// does not say.
    pub to_us_alone: bool,
}

// SAFETY: all pointers lead into boxes that the batch owns; they are set anew before each call.
unsafe impl Send for Batch {}

impl Default for Batch {
    fn default() -> Self {
        // SAFETY: all-zero vectors and message headers are valid: null pointers and no lengths.
        let (vectors, messages) = unsafe { std::mem::zeroed() };
        Self {
            data: vec![0; BATCH * LONGEST],
            names: Box::new([MaybeUninit::uninit(); BATCH]),
            controls: Box::new([Control([0; CONTROL]); BATCH]),
            vectors: Box::new(vectors),
            messages: Box::new(messages),
            received: 0,
            answers: Vec::with_capacity(BATCH),
        }
    }
}

impl Batch {
    /// Receives what is there, at most [`BATCH`] datagrams, without waiting. Returns how many.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.received = 0;
        self.answers.clear();
        for index in 0..BATCH {
            let data = &mut self.data[index * LONGEST..(index + 1) * LONGEST];
            self.vectors[index] =
                libc::iovec { iov_base: data.as_mut_ptr().cast::<c_void>(), iov_len: LONGEST };
            let header = &mut self.messages[index].msg_hdr;
            header.msg_name = self.names[index].as_mut_ptr().cast();
            header.msg_namelen = socklen::<libc::sockaddr_storage>();
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL as _;
            header.msg_flags = 0;
        }
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: each of the BATCH headers was just pointed at buffers of the stated lengths, which self owns.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                count(BATCH),
                flags,
                ptr::null_mut::<libc::timespec>(),
            )
        };
        self.received = usize::try_from(crate::checked(got)?).unwrap_or_default();
        Ok(self.received)
    }

    /// One of those that were received.
    pub fn datagram(&self, index: usize) -> Datagram<'_> {
        assert!(index < self.received, "only what was received can be looked at");
        let message = &self.messages[index];
        let length = (message.msg_len as usize).min(LONGEST);
        let start = index * LONGEST;
        Datagram {
            data: &self.data[start..start + length],
            source: self.source(index),
            to_us_alone: self.to_us_alone(index),
        }
    }

    /// Answers a datagram with itself.
    pub fn echo(&mut self, index: usize) {
        let length = (self.messages[index].msg_len as usize).min(LONGEST);
        self.queue(index, length);
    }

    /// Answers a datagram with these bytes.
    pub fn answer(&mut self, index: usize, bytes: &[u8]) {
        let length = bytes.len().min(LONGEST);
        self.data[index * LONGEST..index * LONGEST + length].copy_from_slice(&bytes[..length]);
        self.queue(index, length);
    }

    /// Sends the answers, each from the address that was asked. One that the kernel refuses, or for which there is
    /// no room, is lost, as datagrams are. Returns how many were sent.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> usize {
        let mut sent = 0;
        let mut next = 0;
        while next < self.answers.len() {
            let run = contiguous(&self.answers[next..]);
            let first = self.answers[next];
            let messages = &mut self.messages[first..first + run];
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: `run` headers from `first` on lead to buffers of self that hold the answers.
            let result =
                unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count(run), flags) };
            match usize::try_from(result) {
                Ok(done @ 1..) => {
                    sent += done;
                    next += done;
                }
                // The first of them cannot be sent: it is passed over.
                Ok(0) | Err(_) => next += 1,
            }
        }
        self.answers.clear();
        sent
    }

    fn queue(&mut self, index: usize, length: usize) {
        self.vectors[index].iov_len = length;
        self.answer_from_where_it_was_asked(index);
        self.answers.push(index);
    }

    /// The received control message, turned round: what was the destination becomes the source, by whatever way the
    /// routes say.
    fn answer_from_where_it_was_asked(&mut self, index: usize) {
        let header = &mut self.messages[index].msg_hdr;
        let Some((family, data)) = packet_info(header) else {
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
            return;
        };
        if family == libc::AF_INET {
            // SAFETY: packet_info found an in_pktinfo there, inside this message's own control buffer.
            let mut info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
            info.ipi_ifindex = 0;
            // SAFETY: as above; the buffer may be written.
            unsafe { data.cast::<libc::in_pktinfo>().write_unaligned(info) };
        }
    }

    fn source(&self, index: usize) -> Option<SocketAddr> {
        let length = self.messages[index].msg_hdr.msg_namelen as usize;
        let name = self.names[index].as_ptr();
        if length < size_of::<libc::sa_family_t>() {
            return None;
        }
        // SAFETY: the kernel has written at least the family.
        let family = c_int::from(unsafe { name.cast::<libc::sa_family_t>().read() });
        match family {
            libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
                // SAFETY: the kernel has written an address of this type and length.
                let address = unsafe { name.cast::<libc::sockaddr_in>().read() };
                let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(address.sin_port)).into())
            }
            libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
                // SAFETY: as above.
                let address = unsafe { name.cast::<libc::sockaddr_in6>().read() };
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                let port = u16::from_be(address.sin6_port);
                Some(SocketAddrV6::new(ip, port, 0, address.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    fn to_us_alone(&self, index: usize) -> bool {
        let Some((family, data)) = packet_info(&self.messages[index].msg_hdr) else { return true };
        if family == libc::AF_INET {
            // SAFETY: packet_info found an in_pktinfo there.
            let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
            // The address in the packet is not the one it was taken in for: broadcast or multicast.
            info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr
        } else {
            // SAFETY: packet_info found an in6_pktinfo there.
            let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
            !IpAddr::from(Ipv6Addr::from(info.ipi6_addr.s6_addr)).is_multicast()
        }
    }
}

/// How many of these indices follow each other without a gap.
fn contiguous(indices: &[usize]) -> usize {
    indices.windows(2).take_while(|pair| pair[1] == pair[0] + 1).count() + 1
}

/// The packet information of a received message, with its family.
fn packet_info(header: &libc::msghdr) -> Option<(c_int, *mut u8)> {
    if header.msg_control.is_null() {
        return None;
    }
    // SAFETY: the header's control buffer and length are those that the kernel has set.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a whole header inside the buffer.
    while let Some(control) = unsafe { next.as_ref() } {
        let kind = (control.cmsg_level, control.cmsg_type);
        if kind == (libc::IPPROTO_IP, libc::IP_PKTINFO) {
            // SAFETY: the data of a header inside the buffer.
            return Some((libc::AF_INET, unsafe { libc::CMSG_DATA(next) }));
        }
        if kind == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
            // SAFETY: as above.
            return Some((libc::AF_INET6, unsafe { libc::CMSG_DATA(next) }));
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        next = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    None
}

/// The size of a type, as socket calls take it.
fn socklen<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("addresses and options are small")
}

/// A number of messages, as the calls take it.
fn count(messages: usize) -> libc::c_uint {
    libc::c_uint::try_from(messages).expect("a batch is small")
}

/// Asks the kernel to say, for each datagram, which of our addresses it was sent to.
pub fn ask_for_destination(socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    let (level, name) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    let on: c_int = 1;
    let length = socklen::<c_int>();
    // SAFETY: the option is an int, and the pointer leads to one.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const on).cast(), length) };
    crate::checked(result)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn answers_come_from_the_address_that_was_asked() {
        let server = UdpSocket::bind("0.0.0.0:0").expect("bind");
        ask_for_destination(server.as_fd(), false).expect("IP_PKTINFO");
        let port = server.local_addr().expect("address").port();
        let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let mut batch = Batch::default();
        for asked in ["127.0.0.2", "127.0.0.3"] {
            client.send_to(b"hello", (asked, port)).expect("send");
            server.set_nonblocking(false).expect("blocking");
            while batch.receive(server.as_fd()).is_err() {}
            assert_eq!(batch.datagram(0).data, b"hello");
            assert_eq!(batch.datagram(0).source, Some(client.local_addr().expect("address")));
            assert!(batch.datagram(0).to_us_alone);
            batch.answer(0, b"world");
            assert_eq!(batch.send(server.as_fd()), 1);
            let mut answer = [0; 16];
            let (length, from) = client.recv_from(&mut answer).expect("answer");
            assert_eq!(&answer[..length], b"world");
            assert_eq!(from.ip().to_string(), asked);
        }
    }
}
