//! Who calls, and what would be found out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::text;
use crate::dice::Dice;
use crate::question::Caller;

/// The caller and what it calls; rules are derived from it.
pub struct World {
    pub daemon: Vec<u8>,
    pub client: Caller,
    pub server: Option<SocketAddr>,
    pub client_name: Vec<u8>,
    pub server_name: Vec<u8>,
    pub user: Vec<u8>,
}

impl World {
    pub fn new(dice: &mut Dice) -> Self {
        let server = if dice.once_in(5) { None } else { Some(socket(dice)) };
        Self {
            daemon: daemon(dice),
            client: client(dice),
            server,
            client_name: found(dice),
            server_name: found(dice),
            user: user(dice),
        }
    }

    /// An address of this world, or any.
    pub fn ip(&self, dice: &mut Dice) -> IpAddr {
        let known = match (dice.below(4), &self.client) {
            (0, _) => None,
            (1, _) => self.server.map(|server| server.ip()),
            (_, Caller::Socket(socket)) => Some(socket.ip()),
            (_, Caller::Text { address, .. }) => {
                str::from_utf8(address).ok().and_then(|text| text.parse().ok())
            }
            (_, Caller::Unknown) => None,
        };
        known.unwrap_or_else(|| ip(dice))
    }

    /// A host name of this world, or any.
    pub fn name(&self, dice: &mut Dice) -> Vec<u8> {
        match (dice.below(6), &self.client) {
            (0, _) => text::name(dice),
            (1, _) => self.server_name.clone(),
            (_, Caller::Text { name: Some(name), .. }) => name.clone(),
            (_, _) => self.client_name.clone(),
        }
    }
}

fn daemon(dice: &mut Dice) -> Vec<u8> {
    match dice.below(20) {
        0 => text::odd(dice),
        1 => text::long(dice),
        2 => text::word(dice, b"0123456789"),
        _ => text::word(dice, b"in.telnetdshftpd"),
    }
}

fn client(dice: &mut Dice) -> Caller {
    match dice.below(12) {
        0 => Caller::Unknown,
        1 => {
            // Libwrap changes odd letters of an address where it keeps it; no address has any.
            let address = match dice.below(6) {
                0 | 1 => text::name(dice),
                2 => dice.pick(&[&b"unknown"[..], b"paranoid", b"localhost", b"UNKNOWN"]).to_vec(),
                _ => ip(dice).to_string().into_bytes(),
            };
            let name = if dice.once_in(2) { Some(found(dice)) } else { None };
            Caller::Text { address, name }
        }
        _ => Caller::Socket(socket(dice)),
    }
}

/// What looking a name up brings.
fn found(dice: &mut Dice) -> Vec<u8> {
    match dice.below(12) {
        0 | 1 => b"unknown".to_vec(),
        2 => b"paranoid".to_vec(),
        3 => text::odd(dice),
        4 | 5 => text::long(dice),
        6 => ip(dice).to_string().into_bytes(),
        _ => text::name(dice),
    }
}

fn user(dice: &mut Dice) -> Vec<u8> {
    match dice.below(10) {
        0 => b"unknown".to_vec(),
        1 => text::odd(dice),
        2 => text::long(dice),
        3 => dice.pick(&[&b"paranoid"[..], b"root", b"UNKNOWN", b"all"]).to_vec(),
        _ => text::word(dice, b"joebrt"),
    }
}

fn socket(dice: &mut Dice) -> SocketAddr {
    let port = port(dice);
    match ip(dice) {
        IpAddr::V6(address) => {
            // A scope belongs to addresses of one link; on others it is shown as its number.
            let scope = match (address.segments()[0] & 0xffc0 == 0xfe80, dice.below(4)) {
                (true, _) => 1,
                (false, 0) if address.segments()[0] != 0 => 7,
                (false, _) => 0,
            };
            SocketAddr::V6(SocketAddrV6::new(address, port, 0, scope))
        }
        address @ IpAddr::V4(_) => SocketAddr::new(address, port),
    }
}

fn port(dice: &mut Dice) -> u16 {
    if dice.once_in(2) { dice.pick(&[0, 7, 21, 23, 79, 113, 4000, 65535]) } else { truncated(dice.number()) }
}

fn truncated(number: u64) -> u16 {
    u16::try_from(number & 0xffff).unwrap_or_default()
}

pub fn ip(dice: &mut Dice) -> IpAddr {
    match dice.below(10) {
        0 => IpAddr::V6(v4(dice).to_ipv6_mapped()),
        1 => IpAddr::V6(Ipv6Addr::from(u128::from(v4(dice).to_bits()))),
        2 | 3 => IpAddr::V6(v6(dice)),
        _ => IpAddr::V4(v4(dice)),
    }
}

fn v4(dice: &mut Dice) -> Ipv4Addr {
    let mut octet = || match dice.below(3) {
        0 => u8::try_from(dice.number() & 0xff).unwrap_or_default(),
        _ => dice.pick(&[0, 1, 2, 3, 10, 127, 128, 192, 255]),
    };
    Ipv4Addr::new(octet(), octet(), octet(), octet())
}

fn v6(dice: &mut Dice) -> Ipv6Addr {
    let mut segments = [0; 8];
    let any = truncated(dice.number());
    segments[0] = dice.pick(&[0x2001, 0xfe80, 0xff02, 0, 0x64, any]);
    for segment in &mut segments[1..] {
        if dice.once_in(3) {
            *segment = dice.pick(&[1, 0xdb8, 0xffff, 0xa, any]);
        }
    }
    Ipv6Addr::from(segments)
}
