//! What a service manager is told (sd_notify(3)): ready, reloading, stopping, alive.
//!
//! The socket is opened once, at start, and never waited for. (The sd-notify crate opens one for each message, which
//! fails just when descriptors have run out, and waits when the manager is slow.)

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};
use rustix::time::{ClockId, clock_gettime};
use usherd_model::time::Tick;

/// The service manager, if one listens.
#[derive(Debug)]
pub struct ServiceManager {
    socket: Option<OwnedFd>,
    /// How often it wants to hear that we live: half of the time after which it would end us.
    watchdog: Option<Duration>,
    next: Option<Tick>,
}

impl ServiceManager {
    /// Looks whether one listens.
    pub fn new(now: Tick) -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|path| open(path.as_bytes()));
        let watchdog = if socket.is_some() { watchdog() } else { None };
        Self { socket, watchdog, next: watchdog.map(|_| now) }
    }

    /// All is open that can be.
    pub fn ready(&self, services: usize) {
        self.tell(&format!("READY=1\nSTATUS=serving {services} services\n"));
    }

    /// A new configuration is being read. (`Type=notify-reload` wants the time of it.)
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\n"));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\n");
    }

    /// When the next sign of life is due.
    pub fn deadline(&self) -> Option<Tick> {
        self.next
    }

    /// Gives a sign of life when one is due.
    pub fn keep_alive(&mut self, now: Tick) {
        if let (Some(every), Some(next)) = (self.watchdog, self.next)
            && now >= next
        {
            self.tell("WATCHDOG=1\n");
            self.next = Some(now.after(every));
        }
    }

    /// A manager that does not listen now changes nothing for us.
    fn tell(&self, message: &str) {
        if let Some(socket) = &self.socket {
            let _ = send(socket, message.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
    }
}

/// A path, or an abstract name behind `@`.
fn open(path: &[u8]) -> Option<OwnedFd> {
    let address = match path.split_first() {
        Some((b'@', name)) => SocketAddrUnix::new_abstract_name(name).ok()?,
        _ => SocketAddrUnix::new(path).ok()?,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).ok()?;
    connect(&socket, &address).ok()?;
    Some(crate::descriptors::move_up(socket))
}

fn watchdog() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let time = number("WATCHDOG_USEC").filter(|time| is_ours && *time > 0)?;
    Some(Duration::from_micros(time / 2))
}
