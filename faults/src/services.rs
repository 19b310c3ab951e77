//! The services of the scenario: one of each kind.

/// A service that answers with what it was told.
pub struct Service {
    pub name: &'static str,
    pub address: Address,
    text: Text,
}

/// What is written of a service.
enum Text {
    /// A line of inetd.conf for a built-in.
    Builtin(&'static str),
    /// A line whose program is the harness.
    Program {
        line: &'static str,
        /// What stands before the program.
        before: &'static str,
        /// The words for the harness.
        words: &'static str,
    },
    /// A block of xinetd.conf.
    Block(&'static str),
}

impl Service {
    /// How often its callers say what they say. What is redirected is to be more than is copied at once.
    pub fn times(&self) -> usize {
        if matches!(self.text, Text::Block(_)) { 4096 } else { 1 }
    }
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
    text: Text::Program { line: "2101 stream tcp4 nowait nobody", before: "", words: "stream" },
};
/// A datagram service whose program gets the listener.
pub const WAIT: Service = Service {
    name: "wait",
    address: Address::Udp(2102),
    text: Text::Program { line: "2102 dgram udp4 wait nobody", before: "", words: "datagram" },
};
/// A datagram service whose program gets a socket of its own.
pub const DATAGRAM: Service = Service {
    name: "datagram",
    address: Address::Udp(2103),
    text: Text::Program { line: "2103 dgram udp4 nowait nobody", before: "", words: "datagram" },
};
const UNIX: Service = Service {
    name: "unix",
    address: Address::Unix("/run/echo.sock"),
    text: Text::Program { line: "/run/echo.sock stream unix nowait nobody", before: "", words: "stream" },
};
const ECHO: Service = Service {
    name: "echo",
    address: Address::Tcp(2104),
    text: Text::Builtin("2104 stream tcp4 nowait root internal echo"),
};
const ECHO_DATAGRAM: Service = Service {
    name: "echo-datagram",
    address: Address::Udp(2105),
    text: Text::Builtin("2105 dgram udp4 wait root internal echo"),
};
/// A stream service whose callers hosts.allow lets in by their names, and which has something done first.
pub const GUARDED: Service = Service {
    name: "guarded",
    address: Address::Tcp(2108),
    text: Text::Program { line: "2108 stream tcp4 nowait nobody", before: "/usr/sbin/tcpd", words: "stream" },
};
/// A stream service that is [`ECHO`], reached through us, and logs to a file of its own.
const REDIRECTED: Service = Service {
    name: "redirected",
    address: Address::Tcp(2110),
    text: Text::Block(
        "service redirected\n{\n type = UNLISTED\n port = 2110\n socket_type = stream\n protocol = tcp\n \
         wait = no\n user = root\n flags = NOLIBWRAP\n redirect = 127.0.0.1 2104\n log_type = FILE /run/redirected.log\n \
         log_on_success = HOST USERID TRAFFIC DURATION\n log_on_failure = HOST\n}\n",
    ),
};
const REMOVED: Service = Service {
    name: "removed",
    address: Address::Tcp(2106),
    text: Text::Program { line: "2106 stream tcp4 nowait root", before: "", words: "stream" },
};
const ADDED: Service = Service {
    name: "added",
    address: Address::Tcp(2107),
    text: Text::Program { line: "2107 stream tcp4 nowait root", before: "", words: "stream" },
};

/// Before the reload.
pub const BEFORE: [&Service; 9] =
    [&STREAM, &UNIX, &ECHO, &ECHO_DATAGRAM, &WAIT, &DATAGRAM, &GUARDED, &REDIRECTED, &REMOVED];
/// After it.
pub const AFTER: [&Service; 9] =
    [&STREAM, &UNIX, &ECHO, &ECHO_DATAGRAM, &WAIT, &DATAGRAM, &GUARDED, &REDIRECTED, &ADDED];

/// With more listeners than this the daemon shares its descriptor table with children.
const CROWD: u8 = 150;

/// One service on many addresses, which nobody calls.
pub fn crowd() -> String {
    let hosts: Vec<String> = (1..=CROWD).map(|host| format!("127.0.1.{host}")).collect();
    format!("{}:2109 stream tcp4 nowait root internal echo\n", hosts.join(","))
}

/// hosts.allow, for the name that [`GUARDED`] has in it; the second one means the same.
pub const ALLOW: [&str; 2] = ["harness: LOCAL: spawn true\n", "harness: LOCAL EXCEPT 10.: spawn true\n"];

/// These services as inetd.conf, with the harness as their program.
pub fn lines(services: &[&Service], harness: &str) -> String {
    let line = |service: &&Service| match service.text {
        Text::Builtin(line) => format!("{line}\n"),
        Text::Program { line, before: "", words } => format!("{line} {harness} {harness} respond {words}\n"),
        Text::Program { line, before, words } => format!("{line} {before} {harness} respond {words}\n"),
        Text::Block(_) => String::new(),
    };
    services.iter().map(line).collect()
}

/// These services as xinetd.conf.
pub fn blocks(services: &[&Service]) -> String {
    let block = |service: &&Service| if let Text::Block(block) = service.text { block } else { "" };
    services.iter().map(block).collect()
}
