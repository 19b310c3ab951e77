//! The services of the scenario: one of each kind.

/// A service that answers with what it was told.
pub struct Service {
    pub name: &'static str,
    pub address: Address,
    /// Its line, but for the program of those that have one.
    line: &'static str,
    /// The words for the harness as its program, or none for a built-in.
    program: &'static str,
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
};
/// A datagram service whose program gets the listener.
pub const WAIT: Service = Service {
    name: "wait",
    address: Address::Udp(2102),
    line: "2102 dgram udp4 wait nobody",
    program: "datagram",
};
/// A datagram service whose program gets a socket of its own.
pub const DATAGRAM: Service = Service {
    name: "datagram",
    address: Address::Udp(2103),
    line: "2103 dgram udp4 nowait nobody",
    program: "datagram",
};
const UNIX: Service = Service {
    name: "unix",
    address: Address::Unix("/run/echo.sock"),
    line: "/run/echo.sock stream unix nowait nobody",
    program: "stream",
};
const ECHO: Service = Service {
    name: "echo",
    address: Address::Tcp(2104),
    line: "2104 stream tcp4 nowait root internal echo",
    program: "",
};
const ECHO_DATAGRAM: Service = Service {
    name: "echo-datagram",
    address: Address::Udp(2105),
    line: "2105 dgram udp4 wait root internal echo",
    program: "",
};
const REMOVED: Service = Service {
    name: "removed",
    address: Address::Tcp(2106),
    line: "2106 stream tcp4 nowait root",
    program: "stream",
};
const ADDED: Service = Service {
    name: "added",
    address: Address::Tcp(2107),
    line: "2107 stream tcp4 nowait root",
    program: "stream",
};

/// Before the reload.
pub const BEFORE: [&Service; 7] = [&STREAM, &UNIX, &ECHO, &ECHO_DATAGRAM, &WAIT, &DATAGRAM, &REMOVED];
/// After it.
pub const AFTER: [&Service; 7] = [&STREAM, &UNIX, &ECHO, &ECHO_DATAGRAM, &WAIT, &DATAGRAM, &ADDED];

/// With more listeners than this the daemon shares its descriptor table with children.
const CROWD: u8 = 150;

/// One service on many addresses, which nobody calls.
pub fn crowd() -> String {
    let hosts: Vec<String> = (1..=CROWD).map(|host| format!("127.0.1.{host}")).collect();
    format!("{}:2109 stream tcp4 nowait root internal echo\n", hosts.join(","))
}

/// A configuration of these services, with the harness as their program.
pub fn configuration(services: &[&Service], harness: &str) -> String {
    let line = |service: &&Service| match *service {
        Service { line, program: "", .. } => format!("{line}\n"),
        Service { line, program, .. } => format!("{line} {harness} {harness} respond {program}\n"),
    };
    services.iter().map(line).collect()
}
