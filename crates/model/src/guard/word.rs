//! What is wrong with a word of the access control, and what would have been right.

use std::fmt;

/// Why a word means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordError {
    /// Numbers and dots that are no IPv4 address. (xinetd fills up as inet_aton(3) does: `10.1` is 10.0.0.1 to it.)
    Ipv4,
    /// A number of an IPv4 address begins with a zero: inet_aton(3) reads it as octal.
    Octal,
    /// Colons, and no IPv6 address.
    Ipv6,
    /// An IPv6 address with an interface, which xinetd reads and does not compare.
    Interface,
    /// No prefix length behind the slash, or one that the family does not have.
    Length,
    /// A netmask behind the slash. (xinetd reads `/255.255.0.0` as `/255`, which is one address.)
    Netmask,
    /// A list in braces that is none.
    Braces,
    /// Words with a comma between them.
    Comma,
    /// No address and no name.
    Name,
    /// No interval of times.
    Interval,
    /// An interval that ends before it has begun, or at once.
    Backward,
    /// No load, or none at all.
    Load,
    /// No time for which a caller is denied.
    DenyTime,
}

impl WordError {
    /// What would have been right.
    pub fn expected(self) -> &'static str {
        match self {
            WordError::Ipv4 => {
                "four numbers from 0 to 255: 10.1.2.3, or with zeros at the end for a net, as 10.1.0.0"
            }
            WordError::Octal => "decimal numbers without zeros in front: 10.1.2.3",
            WordError::Ipv6 => "an IPv6 address, as 2001:db8::1",
            WordError::Interface => "the address alone",
            WordError::Length => "a number of bits behind the slash: 0 to 32 for IPv4, 0 to 128 for IPv6",
            WordError::Netmask => "a number of bits behind the slash, as 10.1.0.0/16",
            WordError::Braces => {
                "numbers in braces for the last part of an address, without blanks: 10.1.{2,3,5}"
            }
            WordError::Comma => "blanks between addresses",
            WordError::Name => {
                "an address, address/bits, a.b.{c,d}, a host name, .domain, or a name of /etc/networks"
            }
            WordError::Interval => "hour:minute-hour:minute, from 0:00 to 24:00, as 8:30-17:59",
            WordError::Backward => "an end later than its begin; over midnight: 22:00-24:00 0:00-6:00",
            WordError::Load => "a number greater than 0, as 2 or 2.5",
            WordError::DenyTime => "a number of minutes, FOREVER or NEVER",
        }
    }
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WordError::Ipv4 => "not an IPv4 address",
            WordError::Octal => "a number with a zero in front, which can be octal",
            WordError::Ipv6 => "not an IPv6 address",
            WordError::Interface => "an address with an interface",
            WordError::Length => "not a prefix length",
            WordError::Netmask => "a netmask in place of a prefix length",
            WordError::Braces => "not a list in braces",
            WordError::Comma => "a comma between addresses",
            WordError::Name => "neither an address nor a name",
            WordError::Interval => "not an interval of times",
            WordError::Backward => "an interval that ends before it has begun",
            WordError::Load => "not a load",
            WordError::DenyTime => "not a time",
        })
    }
}

impl std::error::Error for WordError {}
