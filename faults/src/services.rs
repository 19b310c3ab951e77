//! The services of the scenario: one of each kind.

/// A service that answers with what it was told.
pub struct Service {
    pub name: &'static str,
    pub address: Address,
    /// Its line, but for the program of those that have one.
    line: &'static str,
    /// The words for the harness as its program, or none for a built-in.
    program: &'static str,
    /// What stands before the program.
    before: &'static str,
}

/// Where it listens.
#[derive(Clone, Copy)]
pub enum Address {
    Tcp(u16),
    Udp(u16),
    Unix(&'static str),
}

/// A stream service that runs a program as another user.
pub const STREAM: Service = Service {
    name: "stream",
    address: Address::Tcp(2101),
    line: "2101 stream tcp4 nowait nobody",
    program: "stream",
    before: "",
};
/// A datagram service whose program gets the listener.
pub const WAIT: Service = Service {
    name: "wait",
    address: Address::Udp(2102),
    line: "2102 dgram udp4 wait nobody",
    program: "datagram",
    before: "",
};
/// A datagram service whose program gets a socket of its own.
pub const DATAGRAM: Service = Service {
    name: "datagram",
    address: Address::Udp(2103),
    line: "2103 dgram udp4 nowait nobody",
    program: "datagram",
    before: "",
};
const UNIX: Service = Service {
    name: "unix",
    address: Address::Unix("/run/echo.sock"),
    line: "/run/echo.sock stream unix nowait nobody",
    program: "stream",
    before: "",
};
const ECHO: Service = Service {
    name: "echo",
    address: Address::Tcp(2104),
    line: "2104 stream tcp4 nowait root internal echo",
    program: "",
    before: "",
};
const ECHO_DATAGRAM: Service = Service {
    name: "echo-datagram",
    address: Address::Udp(2105),
    line: "2105 dgram udp4 wait root internal echo",
    program: "",
    before: "",
};
/// A stream service whose callers hosts.allow lets in by their names, and which has something done first.
pub const GUARDED: Service = Service {
    name: "guarded",
    address: Address::Tcp(2108),
    line: "2108 stream tcp4 nowait nobody",
    program: "stream",
    before: "/usr/sbin/tcpd",
};
const REMOVED: Service = Service {
    name: "removed",
    address: Address::Tcp(2106),
    line: "2106 stream tcp4 nowait root",
    program: "stream",
    before: "",
};
const ADDED: Service = Service {
    name: "added",
    address: Address::Tcp(2107),
    line: "2107 stream tcp4 nowait root",
    program: "stream",
    before: "",
};

/// Before the reload.
pub const BEFORE: [&Service; 8] =
    [&STREAM, &UNIX, &ECHO, &ECHO_DATAGRAM, &WAIT, &DATAGRAM, &GUARDED, &REMOVED];
/// After it.
pub const AFTER: [&Service; 8] = [&STREAM, &UNIX, &ECHO, &ECHO_DATAGRAM, &WAIT, &DATAGRAM, &GUARDED, &ADDED];

/// With more listeners than this the daemon shares its descriptor table with children.
const CROWD: u8 = 150;

/// One service on many addresses, which nobody calls.
pub fn crowd() -> String {
    let hosts: Vec<String> = (1..=CROWD).map(|host| format!("127.0.1.{host}")).collect();
    format!("{}:2109 stream tcp4 nowait root internal echo\n", hosts.join(","))
}

/// hosts.allow, for the name that [`GUARDED`] has in it; the second one means the same.
pub const ALLOW: [&str; 2] = ["harness: LOCAL: spawn true\n", "harness: LOCAL EXCEPT 10.: spawn true\n"];

/// A configuration of these services, with the harness as their program.
pub fn configuration(services: &[&Service], harness: &str) -> String {
    let line = |service: &&Service| match *service {
        Service { line, program: "", .. } => format!("{line}\n"),
        Service { line, program, before: "", .. } => {
            format!("{line} {harness} {harness} respond {program}\n")
        }
        Service { line, program, before, .. } => format!("{line} {before} {harness} respond {program}\n"),
    };
    services.iter().map(line).collect()
}
