//! Error numbers of the kernel, in words.

use usherd_model::failure::Errno;

/// The words of strerror(3).
pub fn words(errno: Errno) -> String {
    let text = std::io::Error::from_raw_os_error(errno.0).to_string();
    // std adds " (os error N)" to the C library's words.
    match text.rfind(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The number of a rustix error.
pub fn from_rustix(error: rustix::io::Errno) -> Errno {
    Errno(error.raw_os_error())
}

/// The number of an I/O error; EIO for one that did not come from the kernel.
pub fn from_io(error: &std::io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error()))
}

/// Whether an error says that descriptors, memory or processes have run out, which passes by itself.
pub fn is_exhaustion(errno: Errno) -> bool {
    let exhaustion = [
        rustix::io::Errno::MFILE,
        rustix::io::Errno::NFILE,
        rustix::io::Errno::NOBUFS,
        rustix::io::Errno::NOMEM,
        rustix::io::Errno::AGAIN,
    ];
    exhaustion.iter().any(|error| error.raw_os_error() == errno.0)
}
