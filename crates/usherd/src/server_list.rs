//! What the daemon runs, in the words of xinetd before 2.3.12: its services `services`, `servers` and `xadmin`.
//!
//! All of it is made when somebody asks, from what the core knows; nothing is kept for it.

use usherd_model::children::{Child, Pid};
use usherd_model::lifecycle::Phase;
use usherd_model::service::{Identity, ListenAddress, Listener, SocketKind, Task};
use usherd_model::supervisor::{ListenerId, ServiceState, Supervisor};
use usherd_model::time::Tick;
use usherd_model::xadmin::Command;

use crate::clock;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The services that can be called.
    Services,
    /// The programs that run.
    Servers,
    /// The answer to a command.
    Answer(Command),
}

/// One of them.
pub fn text(page: Page, supervisor: &Supervisor, now: Tick) -> String {
    match page {
        Page::Services => services(supervisor),
        Page::Servers => servers(supervisor, now),
        Page::Answer(Command::ShowRunning) => format!("Running services:\n{}", servers(supervisor, now)),
        Page::Answer(Command::ShowAvailable) => available(supervisor),
        Page::Answer(Command::Help) => HELP.to_owned(),
        Page::Answer(Command::ShowWhat) => HELP_WITH_SHOW.to_owned(),
        Page::Answer(Command::Bye) => "bye bye\n".to_owned(),
        Page::Answer(Command::Nothing) => String::new(),
    }
}

const HELP: &str = "xinetd admin help:\n\
    show run  :   shows information about running services\n\
    show avail:   shows what services are currently available\n\
    bye, exit :   exits the admin shell\n";

const HELP_WITH_SHOW: &str = "Relevant commands:\n\
    run   : Show currently running servers\n\
    avail : Show currently available servers\n";

fn services(supervisor: &Supervisor) -> String {
    let line = |(state, id, spec): (&ServiceState, ListenerId, &Listener)| {
        let name = state.service().logged_name();
        format!("{name} {} {}\n", protocol(spec), port(supervisor, id, spec))
    };
    let mut lines: Vec<String> = open(supervisor).into_iter().map(line).collect();
    // A service at several addresses has one.
    lines.dedup();
    lines.concat()
}

fn available(supervisor: &Supervisor) -> String {
    let line = |(state, id, spec): (&ServiceState, ListenerId, &Listener)| {
        let name = state.service().logged_name();
        let (port, address) = (port(supervisor, id, spec), address(spec));
        format!("{name:<10} {port:<6} {address:<16} {}\n", user(&state.service().task))
    };
    let lines: String = open(supervisor).into_iter().map(line).collect();
    format!("Available services:\nservice    port   bound address    uid\n{lines}")
}

/// The listeners that are open, in the order of the files.
fn open(supervisor: &Supervisor) -> Vec<(&ServiceState, ListenerId, &Listener)> {
    let is_open = |id: &ListenerId| {
        let phase = supervisor.listener(*id).map(|listener| listener.phase());
        !matches!(phase, None | Some(Phase::Opening | Phase::Closed { .. }))
    };
    let of_service = |state| {
        let specs = ServiceState::listeners(state).iter().zip(&state.service().listeners);
        specs.filter(|(id, _)| is_open(id)).map(move |(id, spec)| (state, *id, spec))
    };
    let mut all: Vec<_> = supervisor.services().flat_map(|(_, state)| of_service(state)).collect();
    all.sort_by_key(|(state, ..)| {
        let origin = state.service().origin;
        (origin.file, origin.line)
    });
    all
}

fn protocol(spec: &Listener) -> &'static str {
    match (&spec.key.address, spec.key.kind) {
        (ListenAddress::Unix(_), _) => "unix",
        (_, SocketKind::Datagram) => "udp",
        (_, SocketKind::Stream | SocketKind::SeqPacket) => "tcp",
    }
}

/// 0 for what has none of its own.
fn port(supervisor: &Supervisor, id: ListenerId, spec: &Listener) -> u16 {
    match &spec.key.address {
        ListenAddress::Inet(address) => address.port(),
        ListenAddress::Rpc(_) => supervisor.rpc(id).map_or(0, |(port, ..)| port),
        ListenAddress::Unix(_) | ListenAddress::Mux(_) => 0,
    }
}

fn address(spec: &Listener) -> String {
    match &spec.key.address {
        ListenAddress::Inet(address) => address.ip().to_string(),
        ListenAddress::Rpc(rpc) => rpc.address.ip().to_string(),
        ListenAddress::Unix(_) | ListenAddress::Mux(_) => "-".to_owned(),
    }
}

fn user(task: &Task) -> String {
    let own = || rustix::process::geteuid().as_raw().to_string();
    match task {
        Task::Builtin(_) | Task::Redirect(_) => own(),
        Task::Program(program) => match &program.identity {
            Identity::Daemon => own(),
            Identity::User(credentials) => credentials.uid.to_string(),
            Identity::Unavailable(_) => "-".to_owned(),
        },
    }
}

/// The programs, those first that were started first.
fn servers(supervisor: &Supervisor, now: Tick) -> String {
    let mut all: Vec<(Pid, &Child)> = supervisor.children().iter().collect();
    all.sort_by_key(|(pid, child)| (child.started, *pid));
    all.into_iter().map(|(pid, child)| server(supervisor, pid, child, now)).collect()
}

fn server(supervisor: &Supervisor, pid: Pid, child: &Child, now: Tick) -> String {
    let service = supervisor.service(child.claim.service);
    let name = service.map_or_else(String::new, |state| state.service().logged_name());
    let peer = match child.peer() {
        Some(peer) => format!("{},{}", peer.ip(), peer.port()),
        None => "<no address>,0".to_owned(),
    };
    format!(
        "{name} server\npid = {}\nstart_time = {}\nConnection info:\n\tservice = {name}\n\tremote_address = {peer}\n\n",
        pid.0,
        clock::ctime_before(now.since(child.started)),
    )
}
