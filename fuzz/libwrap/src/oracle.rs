//! The real libwrap, behind one function.
//!
//! It must be asked by one thread only: libwrap keeps what it reads in globals.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::net::SocketAddr;
use std::ptr;

use crate::question::{Caller, Contents, Question};

/// Files that a question can have, the tables among them; as in `oracle.c`.
const MOST_FILES: usize = 8;

#[repr(C)]
struct RawFile {
    path: *const c_char,
    text: *const c_char,
    length: usize,
    error: c_int,
    is_folder: c_int,
}

#[repr(C)]
struct RawQuestion {
    daemon: *const c_char,
    client_name: *const c_char,
    server_name: *const c_char,
    user: *const c_char,
    given_address: *const c_char,
    given_name: *const c_char,
    given_user: *const c_char,
    client: *const c_void,
    server: *const c_void,
    is_datagram: c_int,
    is_resident: c_int,
    aclexec_fails: c_int,
    is_rehearsal: c_int,
    has_no_rings: c_int,
    file_count: c_int,
    files: [RawFile; MOST_FILES],
}

unsafe extern "C" {
    fn oracle_ask(question: *const RawQuestion, out: *mut c_char, most: usize);
}

/// A socket address as the kernel has it: family, port, and the address itself.
#[repr(C, align(8))]
struct RawAddress([u8; 28]);

const EISDIR: c_int = 21;
const EACCES: c_int = 13;

/// What libwrap does, as `oracle.c` writes it down.
pub fn ask(question: &Question) -> Vec<u8> {
    told(question, false)
}

/// What it does when it is told to change nothing, which in Debian's build is when it changes users and groups.
pub fn rehearse(question: &Question) -> Vec<u8> {
    told(question, true)
}

fn told(question: &Question, is_rehearsal: bool) -> Vec<u8> {
    let text = |text: &[u8]| CString::new(text).expect("names hold no NUL");
    let pointer = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    let address =
        |raw: &Option<RawAddress>| raw.as_ref().map_or(ptr::null(), |raw| ptr::from_ref(raw).cast());
    let (daemon, user) = (text(&question.daemon), text(&question.user));
    let (client_name, server_name) = (text(&question.client_name), text(&question.server_name));
    let given_user = question.is_user_given.then(|| text(&question.user));
    let (socket, given_address, given_name) = match &question.client {
        Caller::Unknown => (None, None, None),
        Caller::Socket(socket) => (Some(raw_address(*socket)), None, None),
        Caller::Text { address, name } => (None, Some(text(address)), name.as_deref().map(text)),
    };
    let server = question.server.map(raw_address);
    let paths: Vec<CString> = question.files.iter().map(|(path, _)| text(path.as_bytes())).collect();
    let nothing = || RawFile { path: ptr::null(), text: ptr::null(), length: 0, error: 0, is_folder: 0 };
    let mut files = std::array::from_fn(|_| nothing());
    assert!(paths.len() <= MOST_FILES, "no story has so many files");
    for ((file, path), (_, contents)) in files.iter_mut().zip(&paths).zip(&question.files) {
        file.path = path.as_ptr();
        match contents {
            Contents::Text(text) => (file.text, file.length) = (text.as_ptr().cast(), text.len()),
            Contents::Folder => file.is_folder = 1,
            Contents::Refused => file.error = EACCES,
            Contents::RefusedFolder => file.error = EISDIR,
        }
    }
    let raw = RawQuestion {
        daemon: daemon.as_ptr(),
        client_name: client_name.as_ptr(),
        server_name: server_name.as_ptr(),
        user: user.as_ptr(),
        given_address: pointer(&given_address),
        given_name: pointer(&given_name),
        given_user: pointer(&given_user),
        client: address(&socket),
        server: address(&server),
        is_datagram: question.is_datagram.into(),
        is_resident: question.is_resident.into(),
        aclexec_fails: question.aclexec_fails.into(),
        is_rehearsal: is_rehearsal.into(),
        has_no_rings: question.has_no_rings.into(),
        file_count: c_int::try_from(paths.len()).expect("few files"),
        files,
    };
    let mut out = vec![0_u8; 1024 * 1024];
    // SAFETY: every pointer of the question leads to something above that lives until the call returns, the structure is
    // that of `oracle.c`, and the answer may be written as far as its length says. One thread calls it.
    unsafe { oracle_ask(&raw const raw, out.as_mut_ptr().cast(), out.len()) };
    CStr::from_bytes_until_nul(&out).expect("it ends what it writes").to_bytes().to_vec()
}

fn raw_address(address: SocketAddr) -> RawAddress {
    const INET: u16 = 2;
    const INET6: u16 = 10;
    let mut raw = [0; 28];
    raw[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            raw[..2].copy_from_slice(&INET.to_ne_bytes());
            raw[4..8].copy_from_slice(&v4.ip().octets());
        }
        SocketAddr::V6(v6) => {
            raw[..2].copy_from_slice(&INET6.to_ne_bytes());
            raw[8..24].copy_from_slice(&v6.ip().octets());
            raw[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
        }
    }
    RawAddress(raw)
}
