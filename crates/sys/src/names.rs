//! The machine's data bases: users, groups, services, hosts. For processes of their own (the loader, ident): NSS
//! may block, load modules and allocate, which the daemon itself never does.

use std::ffi::{CStr, CString, OsStr, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;

use rustix::net::SocketAddrAny;

/// A user as the data base has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passwd {
    /// Name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home folder.
    pub home: PathBuf,
}

/// The most bytes that one record of the user or group data base may take: groups can have many members.
const MAX_RECORD: usize = 4 << 20;

/// The user of a name.
pub fn user(name: &CStr) -> io::Result<Option<Passwd>> {
    passwd(|record, buffer, found| {
        let (text, length) = (buffer.as_mut_ptr().cast::<c_char>(), buffer.len());
        // SAFETY: the name is terminated; record and buffer may be written, and the length is the buffer's.
        unsafe { libc::getpwnam_r(name.as_ptr(), record, text, length, found) }
    })
}

/// The user of a number.
pub fn user_of_uid(uid: u32) -> io::Result<Option<Passwd>> {
    passwd(|record, buffer, found| {
        let (text, length) = (buffer.as_mut_ptr().cast::<c_char>(), buffer.len());
        // SAFETY: record and buffer may be written, and the length is the buffer's.
        unsafe { libc::getpwuid_r(uid, record, text, length, found) }
    })
}

fn passwd(
    call: impl FnMut(*mut libc::passwd, &mut [u8], *mut *mut libc::passwd) -> c_int,
) -> io::Result<Option<Passwd>> {
    look_up(call, |record: &libc::passwd| {
        // SAFETY: a found record's name is a terminated string inside the buffer, which is still alive.
        let name = unsafe { CStr::from_ptr(record.pw_name) };
        // SAFETY: as above, for the folder.
        let home = unsafe { CStr::from_ptr(record.pw_dir) };
        Passwd {
            name: name.to_string_lossy().into_owned(),
            uid: record.pw_uid,
            gid: record.pw_gid,
            home: OsStr::from_bytes(home.to_bytes()).into(),
        }
    })
}

/// The number of a group.
pub fn group(name: &CStr) -> io::Result<Option<u32>> {
    look_up(
        |record: *mut libc::group, buffer, found| {
            let (text, length) = (buffer.as_mut_ptr().cast::<c_char>(), buffer.len());
            // SAFETY: the name is terminated; record and buffer may be written, and the length is the buffer's.
            unsafe { libc::getgrnam_r(name.as_ptr(), record, text, length, found) }
        },
        |record| record.gr_gid,
    )
}

/// The number of an IPv4 network, by name or alias, with zeros at its end where its text has them or has too few fields.
pub fn network(name: &CStr) -> io::Result<Option<u32>> {
    let mut why = 0;
    let found = look_up(
        |record: *mut libc::netent, buffer, found| {
            let (text, length) = (buffer.as_mut_ptr().cast::<c_char>(), buffer.len());
            // SAFETY: the name is terminated; record, buffer and reason may be written, and the length is the buffer's.
            unsafe { libc::getnetbyname_r(name.as_ptr(), record, text, length, found, &raw mut why) }
        },
        |record| (record.n_addrtype == libc::AF_INET).then_some(record.n_net),
    )?;
    Ok(found.flatten())
}

/// The port of a service, by name or alias.
pub fn service_port(name: &CStr, protocol: &CStr) -> io::Result<Option<u16>> {
    look_up(
        |record: *mut libc::servent, buffer, found| {
            let (text, length) = (buffer.as_mut_ptr().cast::<c_char>(), buffer.len());
            // SAFETY: the names are terminated; record and buffer may be written, and the length is the buffer's.
            unsafe { getservbyname_r(name.as_ptr(), protocol.as_ptr(), record, text, length, found) }
        },
        // s_port is an int that holds 16 bits in network order.
        |record| u16::from_be(u16::try_from(record.s_port & 0xffff).unwrap_or_default()),
    )
}

unsafe extern "C" {
    /// getservbyname_r(3), which the libc crate does not declare.
    fn getservbyname_r(
        name: *const c_char,
        protocol: *const c_char,
        record: *mut libc::servent,
        buffer: *mut c_char,
        length: usize,
        found: *mut *mut libc::servent,
    ) -> c_int;
}

/// The pattern of all `get…_r` functions: a record whose strings lie in a buffer that may be too small.
fn look_up<Record, T>(
    mut call: impl FnMut(*mut Record, &mut [u8], *mut *mut Record) -> c_int,
    read: impl Fn(&Record) -> T,
) -> io::Result<Option<T>> {
    let mut buffer = vec![0_u8; 1024];
    loop {
        let mut record = MaybeUninit::uninit();
        let mut found = ptr::null_mut();
        match call(record.as_mut_ptr(), &mut buffer, &raw mut found) {
            libc::ERANGE if buffer.len() < MAX_RECORD => buffer.resize(buffer.len() * 4, 0),
            // Different data bases say "no such name" in all of these ways; see getpwnam(3).
            0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM if found.is_null() => return Ok(None),
            0 => {
                // SAFETY: a found pointer leads to the record, which the call has filled in.
                let record = unsafe { &*found };
                return Ok(Some(read(record)));
            }
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The groups of a user whose primary group is `gid`, that one included.
pub fn groups_of(user: &CStr, gid: u32) -> Vec<u32> {
    let mut groups = vec![0; 64];
    loop {
        let mut count = c_int::try_from(groups.len()).unwrap_or(c_int::MAX);
        // SAFETY: the list has room for `count` ids, and the count may be written.
        let result = unsafe { libc::getgrouplist(user.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
        let needed = usize::try_from(count).unwrap_or_default();
        if result >= 0 {
            groups.truncate(needed);
            return groups;
        }
        if needed <= groups.len() {
            return vec![gid];
        }
        groups.resize(needed, 0);
    }
}

/// Why a host name has no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostError {
    /// It is not known, or has none in that family.
    Unknown,
    /// The data base did not answer; its own words.
    Failed(String),
    /// It was not asked: this process, or this machine, has run out of something.
    NotAsked(String),
}

/// The addresses of a host name or literal in one family, with port 0, to be bound to.
pub fn host(name: &CStr, v6: bool) -> Result<Vec<SocketAddr>, HostError> {
    look_host_up(name, v6, libc::AI_PASSIVE).map(|(_, addresses)| addresses)
}

/// The canonical name of a host, and its addresses in one family, with port 0.
pub fn canonical_host(name: &CStr, v6: bool) -> Result<(CString, Vec<SocketAddr>), HostError> {
    let (canonical, addresses) = look_host_up(name, v6, libc::AI_CANONNAME)?;
    Ok((canonical.unwrap_or_else(|| name.to_owned()), addresses))
}

/// Whether a name is an address of this family, in any form that the C library takes for one: for IPv4 those of
/// inet_aton(3), so `167838211` is `10.1.2.3`. Nobody is asked.
pub fn is_number(name: &CStr, v6: bool) -> bool {
    look_host_up(name, v6, libc::AI_NUMERICHOST).is_ok()
}

fn look_host_up(
    name: &CStr,
    v6: bool,
    flags: c_int,
) -> Result<(Option<CString>, Vec<SocketAddr>), HostError> {
    // SAFETY: a zeroed addrinfo asks for nothing in particular.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = flags;
    let mut list = ptr::null_mut();
    // SAFETY: the name is terminated, the hints are initialised, and the list may be written.
    let error = unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    match error {
        0 => {}
        libc::EAI_NONAME | libc::EAI_NODATA | EAI_ADDRFAMILY | libc::EAI_FAMILY => {
            return Err(HostError::Unknown);
        }
        error => {
            if let Some(error) = shortage(error) {
                return Err(HostError::NotAsked(error.to_string()));
            }
            // SAFETY: gai_strerror returns a constant string for any number.
            let words = unsafe { libc::gai_strerror(error) };
            // SAFETY: as above.
            let words = unsafe { CStr::from_ptr(words) };
            return Err(HostError::Failed(words.to_string_lossy().into_owned()));
        }
    }
    let mut canonical = None;
    let mut addresses = Vec::new();
    let mut next = list;
    // SAFETY: the list is getaddrinfo's own until it is freed below; each entry leads to the next or to null.
    while let Some(entry) = unsafe { next.as_ref() } {
        if canonical.is_none() && !entry.ai_canonname.is_null() {
            // SAFETY: a name that is there is terminated, and is copied before the list is freed.
            canonical = Some(unsafe { CStr::from_ptr(entry.ai_canonname) }.to_owned());
        }
        if let Some(address) = socket_address(entry)
            && addresses.len() < MOST_ADDRESSES
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
        next = entry.ai_next;
    }
    // SAFETY: the list came from getaddrinfo and is not used any more.
    unsafe { libc::freeaddrinfo(list) };
    Ok((canonical, addresses))
}

/// So many addresses of one name are looked at.
const MOST_ADDRESSES: usize = 4096;

/// The host name of an address, when it has one: a failure of the data base is none. The port does not count.
///
/// # Errors
///
/// Nobody was asked, since this process, or this machine, has run out of something.
pub fn name_of(address: SocketAddr) -> io::Result<Option<CString>> {
    let address = SocketAddrAny::from(address);
    let mut name = [0_u8; 1025];
    let length = libc::socklen_t::try_from(name.len()).unwrap_or_default();
    // SAFETY: the address is one of its own length, the name may be written as far as its length says, and no service
    // is asked for.
    let error = unsafe {
        libc::getnameinfo(
            address.as_ptr().cast(),
            address.addr_len(),
            name.as_mut_ptr().cast(),
            length,
            ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    match shortage(error) {
        Some(error) => Err(error),
        None if error == 0 => Ok(CStr::from_bytes_until_nul(&name).ok().map(CStr::to_owned)),
        None => Ok(None),
    }
}

/// What a look-up lacked that ended with this number, just now; `None` when it lacked nothing.
fn shortage(error: c_int) -> Option<io::Error> {
    let cause = io::Error::last_os_error();
    match (error, cause.raw_os_error()) {
        (libc::EAI_MEMORY, _) => Some(io::ErrorKind::OutOfMemory.into()),
        (libc::EAI_SYSTEM, Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)) => Some(cause),
        _ => None,
    }
}

/// `EAI_ADDRFAMILY` of netdb.h, which the libc crate does not declare.
const EAI_ADDRFAMILY: c_int = -9;

fn socket_address(entry: &libc::addrinfo) -> Option<SocketAddr> {
    match entry.ai_family {
        libc::AF_INET => {
            // SAFETY: an entry of this family has an address of this type; it may be unaligned for it.
            let address = unsafe { entry.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, 0).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address = unsafe { entry.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, 0, 0, address.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// A name for the data bases; `None` if it holds a NUL, which no name does.
pub fn c_name(name: &str) -> Option<CString> {
    CString::new(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_those_of_the_file() {
        let text = std::fs::read_to_string("/etc/networks").unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let (Some(name), Some(number)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<Ipv4Addr>() else { continue };
            let found = network(&c_name(name).expect("a name")).expect("an answer");
            assert_eq!(found, Some(number.to_bits()), "{name}");
        }
        assert_eq!(network(c"no-such-network").expect("an answer"), None);
    }
}
