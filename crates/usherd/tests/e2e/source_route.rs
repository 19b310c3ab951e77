//! A caller whose packets say by which way the answers are to go.
//!
//! The kernel makes none whose way has an end on this machine, so these are made by hand: three packets, of which the
//! second is the kernel's.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketType, recv, sendto, socket};

use crate::wait;

/// Nobody is there, and nobody answers what the kernel sends there.
const CALLER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// The way that its packets say they came by.
const HOP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

static NEXT_PORT: AtomicU16 = AtomicU16::new(40_000);

const SYN: u8 = 2;
const ACK: u8 = 16;

/// Connects from [`CALLER`], as far as a listener's side goes.
#[track_caller]
pub fn connect(to: SocketAddrV4) {
    for interface in ["all", "lo"] {
        let file = format!("/proc/sys/net/ipv4/conf/{interface}/accept_source_route");
        fs::write(file, "1").expect("this network is ours");
    }
    let wire = raw(AddressFamily::PACKET, u32::from(0x0800_u16.to_be()));
    let out = raw(AddressFamily::INET, 255);
    // The last call's may not be over: nobody answers its end.
    let port = NEXT_PORT.fetch_add(1, Ordering::Relaxed);
    let send = |flags, sequence, acknowledged| {
        let packet = packet(port, to, flags, sequence, acknowledged);
        sendto(&out, &packet, SendFlags::empty(), &to).expect("sendto");
    };
    send(SYN, 1, 0);
    let theirs = wait::some("an answer", || {
        let mut packet = [0; 2048];
        let (got, _) = recv(&wire, &mut packet, RecvFlags::DONTWAIT).ok()?;
        let tcp = packet.get(usize::from(packet[0] & 15) * 4..got)?;
        let is_it = tcp.get(2..4)? == u16::to_be_bytes(port) && *tcp.get(13)? == SYN | ACK;
        Some(u32::from_be_bytes(*tcp.get(4..)?.first_chunk()?)).filter(|_| is_it)
    });
    send(ACK, 2, theirs.wrapping_add(1));
}

fn raw(family: AddressFamily, protocol: u32) -> OwnedFd {
    let kind = if family == AddressFamily::PACKET { SocketType::DGRAM } else { SocketType::RAW };
    let protocol = protocol.try_into().map(Protocol::from_raw).expect("it is not 0");
    socket(family, kind, Some(protocol)).expect("root may have it")
}

fn packet(port: u16, to: SocketAddrV4, flags: u8, sequence: u32, acknowledged: u32) -> Vec<u8> {
    const TCP: u8 = 6;
    let mut tcp = [port.to_be_bytes(), to.port().to_be_bytes()].concat();
    tcp.extend([sequence.to_be_bytes(), acknowledged.to_be_bytes()].concat());
    // Five words of header, and a window.
    tcp.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    let length = u16::try_from(tcp.len()).expect("20");
    let head = [CALLER.octets(), to.ip().octets()].concat();
    let sum = checksum(&[head.as_slice(), &[0, TCP], &length.to_be_bytes(), &tcp].concat());
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    // A loose source route of one place, which it has passed; the kernel writes length and sum of the header.
    let route = [[131, 7, 8].as_slice(), &HOP.octets(), &[0]].concat();
    let mut ip = vec![4 << 4 | 7, 0, 0, 0, 0, 0, 0, 0, 64, TCP, 0, 0];
    ip.extend([head, route, tcp].concat());
    ip
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("it is folded")
}
