//! What a service manager is told (sd_notify(3)): ready, reloading, stopping, alive.
//!
//! The socket is opened once, at start, and never waited for. What cannot be said now is said soon: a manager that
//! does not hear that we are ready ends us. (The sd-notify crate opens one for each message, which
//! fails just when descriptors have run out, and waits when the manager is slow.)

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendto, socket_with};
use rustix::time::{ClockId, clock_gettime};
use usherd_model::time::Tick;

/// The service manager, if there is one.
#[derive(Debug)]
pub struct ServiceManager {
    listener: Option<Listener>,
    /// How often it wants to hear that we live: half of the time after which it would end us.
    watchdog: Option<Duration>,
    next: Option<Tick>,
}

#[derive(Debug)]
struct Listener {
    address: SocketAddrUnix,
    /// `None` when there was no descriptor for it: another is asked for with the next message.
    socket: Option<OwnedFd>,
    /// What could not be said yet, in order.
    unsaid: VecDeque<String>,
    /// Nobody was there for the first of them.
    was_refused: bool,
    /// When that is tried again.
    retry_at: Option<Tick>,
}

/// Between two tries to say what could not be said.
const RETRY: Duration = Duration::from_millis(100);
/// A manager that takes nothing for so many messages does not want them.
const MOST_UNSAID: usize = 8;

impl ServiceManager {
    /// Looks whether there is one.
    pub fn new(now: Tick) -> Self {
        let address = std::env::var_os("NOTIFY_SOCKET").and_then(|path| address(path.as_bytes()));
        let listener = address.map(Listener::new);
        let watchdog = if listener.is_some() { watchdog() } else { None };
        Self { listener, watchdog, next: watchdog.map(|_| now) }
    }

    /// All is open that can be.
    pub fn ready(&mut self, services: usize) {
        self.tell(format!("READY=1\nSTATUS=serving {services} services\n"));
    }

    /// A new configuration is being read. (`Type=notify-reload` wants the time of it.)
    pub fn reloading(&mut self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\n"));
    }

    /// The end has begun.
    pub fn stopping(&mut self) {
        self.tell("STOPPING=1\n".to_owned());
    }

    /// When the next sign of life is due, or another try.
    pub fn deadline(&self) -> Option<Tick> {
        let retry_at = self.listener.as_ref().and_then(|listener| listener.retry_at);
        [self.next, retry_at].into_iter().flatten().min()
    }

    /// Gives a sign of life when one is due, and says what could not be said before.
    pub fn keep_alive(&mut self, now: Tick) {
        if let (Some(every), Some(next)) = (self.watchdog, self.next)
            && now >= next
        {
            self.tell("WATCHDOG=1\n".to_owned());
            self.next = Some(now.after(every));
        }
        if let Some(listener) = &mut self.listener
            && listener.retry_at.is_none_or(|at| now >= at)
        {
            listener.flush();
            listener.retry_at = if listener.unsaid.is_empty() { None } else { Some(now.after(RETRY)) };
        }
    }

    fn tell(&mut self, message: String) {
        let Some(listener) = &mut self.listener else { return };
        if listener.unsaid.len() == MOST_UNSAID {
            listener.unsaid.pop_front();
        }
        listener.unsaid.push_back(message);
        listener.flush();
    }
}

impl Listener {
    fn new(address: SocketAddrUnix) -> Self {
        Self { address, socket: open(), unsaid: VecDeque::new(), was_refused: false, retry_at: None }
    }

    fn flush(&mut self) {
        self.socket = self.socket.take().or_else(open);
        let Some(socket) = &self.socket else { return };
        while let Some(message) = self.unsaid.front() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match sendto(socket, message.as_bytes(), flags, &self.address) {
                Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS | Errno::NOMEM) => return,
                // A manager that is just starting anew is worth another try, and no more than that.
                Err(_) if !self.was_refused => {
                    self.was_refused = true;
                    return;
                }
                Ok(_) | Err(_) => drop(self.unsaid.pop_front()),
            }
            self.was_refused = false;
        }
    }
}

/// A path, or an abstract name behind `@`.
fn address(path: &[u8]) -> Option<SocketAddrUnix> {
    match path.split_first() {
        Some((b'@', name)) => SocketAddrUnix::new_abstract_name(name).ok(),
        _ => SocketAddrUnix::new(path).ok(),
    }
}

fn open() -> Option<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).ok()?;
    Some(crate::descriptors::move_up(socket))
}

fn watchdog() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let time = number("WATCHDOG_USEC").filter(|time| is_ours && *time > 0)?;
    Some(Duration::from_micros(time / 2))
}
