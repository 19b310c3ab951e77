//! Options in the headers of a caller's packets: taken off, and said as tcpd says it.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use usherd_model::access::IpOptions;
use usherd_sys::ip_options;

use crate::errno;
use crate::log::Level;

/// Takes off what a connection has; `None` where there is nothing, as there is on any but one of IPv4.
pub fn take(socket: BorrowedFd<'_>) -> Option<IpOptions> {
    let mut room = [0; ip_options::MOST];
    let options = match ip_options::get(socket, &mut room) {
        Ok(options) => IpOptions::new(options)?,
        // A socket of another kind has none.
        Err(error) if is_not_internet(&error) => return None,
        Err(error) => IpOptions::Unseen(errno::from_io(&error)),
    };
    match options {
        IpOptions::Ignored(_) => match ip_options::set(socket, &[]) {
            Ok(()) => Some(options),
            Err(error) => Some(IpOptions::Kept(errno::from_io(&error))),
        },
        IpOptions::SourceRoute | IpOptions::Kept(_) | IpOptions::Unseen(_) => Some(options),
    }
}

fn is_not_internet(error: &std::io::Error) -> bool {
    let others = [Errno::OPNOTSUPP, Errno::NOPROTOOPT, Errno::NOTSOCK];
    others.iter().any(|other| error.raw_os_error() == Some(other.raw_os_error()))
}

/// What tcpd says of it, and how loud. `connect` is in its words for the connection: `connect from` somebody.
pub fn line(options: &IpOptions, connect: &str) -> (Level, String) {
    match options {
        IpOptions::SourceRoute => {
            (Level::Warning, format!("refused {connect} with IP source routing options"))
        }
        IpOptions::Ignored(options) => {
            let shown: Vec<String> = options.iter().map(|byte| format!("{byte:02x}")).collect();
            let shown = shown.join(" ");
            (Level::Notice, format!("{connect} with IP options (ignored): {shown}"))
        }
        IpOptions::Kept(error) => {
            (Level::Error, format!("error: setsockopt IP_OPTIONS NULL: {}", errno::words(*error)))
        }
        IpOptions::Unseen(error) => {
            (Level::Error, format!("error: getsockopt IP_OPTIONS: {}", errno::words(*error)))
        }
    }
}
