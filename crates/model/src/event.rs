//! The whole contract between the core and the shell: events in, actions out.
//!
//! The shell turns everything that happens (a readable socket, a signal, a child's end) into an [`Event`], hands it
//! to [`crate::supervisor::Supervisor::handle`] and performs the [`Action`]s in order. Performing one may make the
//! next event. Bytes of callers never pass here.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::access::{self, Effect, Found, IpOptions, Severity, Tables, Verdict};
use crate::admission::Limit;
use crate::children::{Pid, SessionId};
use crate::episode::Held;
use crate::failure::{Attempt, Errno, StartError, Step};
use crate::guard::{Circumstances, DenyTime};
use crate::lookups::Question;
use crate::registry::{Refusal, Tidings};
use crate::service::{Builtin, Config, Targets, Wrapped};
use crate::slots::Key;
use crate::supervisor::{ListenerId, LookupId, ServiceId};
use crate::tcpmux::Request;

/// A connection that the shell holds until the core has decided.
#[derive(Debug)]
pub struct Pending;

/// Names a connection that the shell holds.
pub type ConnectionId = Key<Pending>;

/// Something has happened.
#[derive(Debug)]
pub enum Event {
    /// How the machine is now. Comes before callers of services for which that matters.
    Observed(Circumstances),
    /// A polled listener is readable.
    Readable(ListenerId),
    /// A listener has nobody waiting, as [`Action::Look`] asked.
    Silent(ListenerId),
    /// A connection was accepted, as [`Action::Accept`] asked.
    Accepted {
        /// By this listener.
        listener: ListenerId,
        /// It is kept under this name.
        connection: ConnectionId,
        /// The caller, if it has an internet address.
        peer: Option<SocketAddr>,
    },
    /// The next datagram of a listener comes from here, as [`Action::PeekDatagram`] asked.
    DatagramFrom {
        /// On this listener.
        listener: ListenerId,
        /// The sender, if it has an internet address.
        peer: Option<SocketAddr>,
    },
    /// Accepting, or looking at a datagram, failed.
    AcceptFailed(ListenerId, AcceptError),
    /// A program was started.
    Started(Start, Pid),
    /// No process could be made for a program. What it was to be handed is gone: a connection is closed, and a socket
    /// that was split off for a datagram, too. (A listener is handed as a copy, and stays.)
    NotStarted(Start, NotStarted),
    /// A program has ended; or its child could not become the program, for this reason.
    Ended(Pid, Exit, Option<(Step, Errno)>),
    /// A session of a built-in service has ended.
    SessionEnded(SessionId),
    /// A redirected caller is connected to this target, as [`Action::Redirect`] asked.
    Reached(SessionId, SocketAddr),
    /// It could not be: the session is over, and the caller's connection closed.
    NotReached(SessionId, NotReached),
    /// A session of a redirect has ended, with these bytes and in this way.
    RedirectEnded(SessionId, Traffic, Ending),
    /// A session of tcpmux has read its line: the session is over, and the connection, which is kept under this name,
    /// goes to what was asked for.
    Asked {
        /// Which session.
        session: SessionId,
        /// Its connection.
        connection: ConnectionId,
        /// What its caller wants.
        request: Request,
    },
    /// A built-in has dropped datagrams that could have made loops.
    LoopsDropped(ListenerId, u32, SocketAddr),
    /// A built-in has dropped datagrams whose senders hosts.allow and hosts.deny do not let in.
    DatagramsDenied(ListenerId, u32, SocketAddr),
    /// A listener was opened.
    Opened(ListenerId),
    /// The listener of an RPC service was opened, on this port.
    Bound(ListenerId, u16),
    /// A listener could not be opened.
    NotOpened(ListenerId, OpenError),
    /// rpcbind was told, as [`Action::Register`] asked; these it did not take.
    Registered(Vec<Refusal>),
    /// rpcbind could not be told, for this reason.
    NotRegistered(String),
    /// The ends of a connection, as [`Action::Examine`] asked, and whether hosts.allow and hosts.deny are as they were
    /// read.
    Examined(Start, Box<access::Request>, bool),
    /// A caller's packets had options, as was found on the way to [`Event::Examined`], which follows unless they refuse.
    HasIpOptions(Start, IpOptions),
    /// hosts.allow and hosts.deny were read anew, as [`Action::ReadTables`] asked.
    TablesRead(Box<Tables>),
    /// They could not be, for this reason.
    TablesNotRead(String),
    /// A look-up has an answer, as [`Action::LookUp`] asked, and what is to be said about it; or none will come.
    LookedUp(LookupId, Option<Found>, Option<String>),
    /// The time that [`crate::supervisor::Supervisor::next_deadline`] named has come.
    TimerDue,
    /// Somebody asked for a reload (SIGHUP), or the daemon begins.
    ReloadRequested,
    /// The loader has answered.
    Loaded(Box<Config>),
    /// The loader has failed; the old configuration stands.
    LoadFailed(String),
    /// Try at once what waits for its next try (SIGALRM).
    RetryRequested,
    /// The daemon is to end (SIGTERM, SIGINT).
    StopRequested,
}

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look whether somebody waits at a listener and report: [`Event::Readable`] or [`Event::Silent`].
    Look(ListenerId),
    /// Accept one connection and report it.
    Accept(ListenerId),
    /// Look who sent the next datagram, leave it where it is, and report.
    PeekDatagram(ListenerId),
    /// Start the service's program and report.
    Start(Start),
    /// Do what a rule of hosts.allow or hosts.deny says, then start the service's program if there is to be one, and
    /// report as for [`Action::Start`].
    StartAfter(Start, Box<Errand>),
    /// Find the ends of a connection and report.
    Examine(Start),
    /// Read hosts.allow and hosts.deny anew and report; a helper that is doing so is killed.
    ReadTables,
    /// Find something out about a caller and report.
    LookUp(LookupId, Question),
    /// Begin a session of a built-in with this connection.
    Serve {
        /// Which session.
        session: SessionId,
        /// Whose.
        service: ServiceId,
        /// Which built-in.
        builtin: Builtin,
        /// With whom.
        connection: ConnectionId,
    },
    /// Connect this caller to the first of the targets that answers, and report: [`Event::Reached`] or
    /// [`Event::NotReached`], and [`Event::RedirectEnded`] when it is over.
    Redirect {
        /// Which session.
        session: SessionId,
        /// Whose.
        service: ServiceId,
        /// Where to.
        targets: Targets,
        /// Who.
        connection: ConnectionId,
    },
    /// End the session of a built-in that has been silent for the longest time, if that is at least [`IDLE`], and
    /// report: [`Event::SessionEnded`]. It is looked for among those of this service, or, with none named, among all.
    /// (A redirect's is somebody else's conversation, and may be silent.)
    EndIdleSession(Option<ServiceId>),
    /// End a session, and report: [`Event::SessionEnded`] or [`Event::RedirectEnded`].
    EndSession(SessionId),
    /// Write this to a connection, as far as it goes without waiting.
    Say(ConnectionId, Cow<'static, [u8]>),
    /// Close a connection.
    Refuse(ConnectionId),
    /// Take one datagram (or one connection) off a listener and drop it.
    Skip(ListenerId),
    /// Open a listener and report.
    Open(ListenerId),
    /// Apply changed buffer sizes and backlog, and what a changed task needs of its socket.
    Adjust(ListenerId),
    /// Close a listener, and remove its file if it has one.
    Close(ListenerId),
    /// Look out for callers.
    Poll(ListenerId),
    /// Do not look out for callers; they wait in the kernel.
    Pause(ListenerId),
    /// Make ready what starts of this service's program need.
    Prepare(ServiceId),
    /// Forget what was made ready.
    Discard(ServiceId),
    /// Start the loader; one that runs is killed.
    Load,
    /// Have rpcbind told and report; a helper that is doing so is killed. Before [`Action::Exit`] it is waited for, for a
    /// moment.
    Register(Tidings),
    /// All is open that can be: tell whoever waits for that. Said after each load.
    Ready,
    /// Close everything and end.
    Exit,
    /// Say this.
    Log(Log),
}

/// A session of a built-in that was silent for so long makes room when others wait for it. Without that, whoever
/// holds connections open and says nothing would keep everybody else out for ever.
pub const IDLE: Duration = Duration::from_secs(10);

/// When as many children as can be are on their way to their programs, it is tried again so soon: a child needs less
/// than this from clone to exec.
pub const BUSY_RETRY: Duration = Duration::from_millis(1);

/// What a rule of hosts.allow or hosts.deny has to be done before a program starts, or in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// Whether the program is started afterwards.
    pub verdict: Verdict,
    /// What is done, in order.
    pub effects: Vec<Effect>,
    /// Where the line about the caller goes.
    pub severity: Option<Severity>,
    /// Who called, for the log.
    pub client: Vec<u8>,
    /// The connection.
    pub request: access::Request,
    /// What was found out about it.
    pub facts: access::Facts,
}

/// A start that was granted, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Whose program.
    pub service: ServiceId,
    /// The listener that was called.
    pub listener: ListenerId,
    /// What the program gets as standard input and output.
    pub handed: Handed,
    /// The caller, where one is known.
    pub peer: Option<SocketAddr>,
}

impl Start {
    /// The caller's address, where one is known.
    pub fn source(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip())
    }
}

/// What a program gets as standard input and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// This accepted connection.
    Connection(ConnectionId),
    /// The listener's own socket, connected to the peer; the listener goes on with a new one.
    DatagramPeer,
    /// The listener itself, shared with the daemon.
    Listener,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By exit(2), with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// Whether it says that all went well.
    pub fn is_success(self) -> bool {
        self == Exit::Status(0)
    }
}

/// Why a caller was not connected to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReached {
    /// No address has answered.
    Failed(Box<[Attempt]>),
    /// Descriptors or memory have run out.
    Exhausted(Errno),
}

/// Bytes that a session of a redirect has passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From the caller to the target.
    pub received: u64,
    /// From the target to the caller.
    pub sent: u64,
}

/// How a session of a redirect has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Both ends have said all that they had to say.
    Complete,
    /// The caller's connection broke.
    CallerLost(Errno),
    /// The target's connection broke.
    TargetLost(Errno),
    /// One end had said all, and for too long nothing more came from the other.
    Silent,
    /// It was ended by the daemon.
    Stopped,
}

/// Why nobody was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// The caller has gone, or there was none.
    Nobody,
    /// As many children as can be are on their way to their programs: the caller still waits, for a moment.
    Busy,
    /// Descriptors or memory have run out: the caller still waits.
    Exhausted(Errno),
    /// Something else, which will probably last.
    Failed(Errno),
}

/// Why no process was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// Processes, descriptors or memory have run out.
    Exhausted(Errno),
    /// The kernel refuses.
    Failed(Errno),
    /// As many children as can be are on their way to their programs.
    Busy,
    /// The caller of a datagram service has gone: there was no datagram any more.
    Nobody,
}

/// Why a listener could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// The system call.
    pub call: Call,
    /// Its error.
    pub errno: Errno,
}

/// A system call on the way to a listener. One byte: every listener has room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Display` says which each is")]
pub enum Call {
    Socket,
    Bind,
    Listen,
    Connect,
    GetSockName,
    SetV6Only,
    SetKeepAlive,
    SetNoDelay,
    SetSendBuffer,
    SetReceiveBuffer,
    SetReuseAddress,
    SetPacketInfo,
    JoinGroup,
    Stat,
    Open,
    Chown,
    Chmod,
    Unlink,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Socket => "socket",
            Call::Bind => "bind",
            Call::Listen => "listen",
            Call::Connect => "connect",
            Call::GetSockName => "getsockname",
            Call::SetV6Only => "setsockopt (IPV6_V6ONLY)",
            Call::SetKeepAlive => "setsockopt (SO_KEEPALIVE)",
            Call::SetNoDelay => "setsockopt (TCP_NODELAY)",
            Call::SetSendBuffer => "setsockopt (SO_SNDBUF)",
            Call::SetReceiveBuffer => "setsockopt (SO_RCVBUF)",
            Call::SetReuseAddress => "setsockopt (SO_REUSEADDR)",
            Call::SetPacketInfo => "setsockopt (PKTINFO)",
            Call::JoinGroup => "setsockopt (ADD_MEMBERSHIP)",
            Call::Stat => "stat",
            Call::Open => "open",
            Call::Chown => "chown",
            Call::Chmod => "chmod",
            Call::Unlink => "unlink",
        })
    }
}

/// Something that somebody may want to read. The shell finds the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// A limit began to hold callers back.
    LimitBegan {
        /// Of this service.
        service: ServiceId,
        /// Called here.
        listener: ListenerId,
        /// Which limit.
        limit: Limit,
        /// Whether the caller who met it waits.
        held: Held,
        /// By this caller, where one is known.
        peer: Option<SocketAddr>,
        /// How long at the most, where that is known.
        pause: Option<Duration>,
        /// The kernel's error, when it is resources that have run out.
        errno: Option<Errno>,
    },
    /// A service rests because too many came, as it has before since that began: some say each rest.
    RestsAgain {
        /// Of this service.
        service: ServiceId,
        /// For so long.
        rest: Duration,
    },
    /// A limit has held nobody back for a while.
    LimitEnded {
        /// Of this service.
        service: ServiceId,
        /// Which limit.
        limit: Limit,
        /// From the first caller that was held back to the last.
        lasted: Duration,
        /// Callers that were turned away. (Those that waited were not.)
        refused: u64,
    },
    /// Starts of a program fail, for a reason that was not yet said.
    StartFailed {
        /// The service.
        service: ServiceId,
        /// Called here.
        listener: ListenerId,
        /// Why.
        error: StartError,
        /// The listener rests so long.
        pause: Option<Duration>,
    },
    /// A program could be started again.
    StartRecovered(ServiceId),
    /// hosts.allow and hosts.deny have let somebody in, or not.
    Judged(Box<Judged>),
    /// A caller's packets had options.
    IpOptions {
        /// Called here.
        listener: ListenerId,
        /// How the tables are asked for what was called.
        wrapped: Wrapped,
        /// From where.
        address: Box<[u8]>,
        /// Which, and what became of them.
        options: IpOptions,
    },
    /// Something is to be said about hosts.allow or hosts.deny, or about a look-up for them.
    Remarked(Remark),
    /// They could not be read anew, for this reason; whoever waited for that was refused.
    TablesNotRead(String),
    /// A caller is served, by this process where it is a program's.
    Connected(Start, Option<Pid>),
    /// A caller is not served.
    Failed {
        /// Called here.
        listener: ListenerId,
        /// Why.
        reason: Reason,
        /// The caller, where one is known.
        peer: Option<SocketAddr>,
    },
    /// A caller's machine was asked who calls.
    Identified {
        /// Called here.
        listener: ListenerId,
        /// The caller.
        peer: Option<SocketAddr>,
        /// What it says, or why nothing.
        said: Result<Vec<u8>, String>,
    },
    /// Somebody has called a sensor, and is denied from now on.
    Sensed {
        /// Called here.
        listener: ListenerId,
        /// Who.
        source: IpAddr,
        /// For how long.
        time: DenyTime,
    },
    /// A service that rested because too many came is there again.
    Resumed {
        /// This service.
        service: ServiceId,
        /// Whether it has been before since too many came.
        again: bool,
    },
    /// A program that had a connection has ended, or a session of a built-in.
    Disconnected {
        /// The service.
        service: ServiceId,
        /// The program's process.
        pid: Option<Pid>,
        /// The caller.
        source: Option<IpAddr>,
        /// How.
        exit: Exit,
        /// After this time.
        lasted: Duration,
    },
    /// A caller was connected to a target.
    Redirected {
        /// The service.
        service: ServiceId,
        /// Called here.
        listener: ListenerId,
        /// The caller.
        peer: Option<SocketAddr>,
        /// Whom it is connected to.
        target: SocketAddr,
    },
    /// A session of a redirect has ended.
    RedirectEnded {
        /// The service.
        service: ServiceId,
        /// The caller.
        peer: Option<SocketAddr>,
        /// Whom it was connected to, if it was.
        target: Option<SocketAddr>,
        /// What was said.
        traffic: Traffic,
        /// How.
        ending: Ending,
        /// After this time.
        lasted: Duration,
    },
    /// A program that had the listener (`wait`) has ended, and not well.
    WaitServerFailed(ServiceId, Exit),
    /// A listener could not be opened; it is tried again after this time.
    NotOpened(ListenerId, OpenError, Duration),
    /// A listener was opened after failures.
    OpenedAtLast(ListenerId),
    /// rpcbind does not know an RPC service, for a reason that was not yet said; it is tried again after this time.
    NotRegistered(ListenerId, Refusal, Duration),
    /// It knows it now.
    RegisteredAtLast(ListenerId),
    /// Nobody could be accepted, and not for want of resources.
    AcceptFailed(ListenerId, Errno),
    /// A configuration was taken up.
    Configured(Changes),
    /// A configuration could not be had; the old one stands.
    LoadFailed(String),
    /// A line could not be used, and what it had replaced goes on.
    Kept {
        /// The service that goes on.
        service: String,
    },
    /// A file or folder could not be read, and what came from it goes on.
    KeptAll {
        /// Which.
        path: String,
        /// How many services came from it.
        services: u32,
    },
}

/// Why a caller is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A limit.
    Limit(Limit),
    /// hosts.allow and hosts.deny do not let it in.
    Tables,
    /// It is not among those who may call.
    Address,
    /// It is not the time.
    Time,
    /// The machine has too much to do.
    Load,
    /// Its machine does not say who calls.
    NoUser,
    /// No process could be made.
    NoProcess,
}

/// Whether somebody was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Called here.
    pub listener: ListenerId,
    /// How it is said, and the name of the daemon.
    pub wrapped: Wrapped,
    /// Whether.
    pub verdict: Verdict,
    /// What answers in the program's place.
    pub twist: Option<Vec<u8>>,
    /// Who.
    pub client: Vec<u8>,
    /// From where.
    pub address: Box<[u8]>,
    /// Where the line goes, when a rule says so.
    pub severity: Option<Severity>,
    /// `file:line` of the rule, if one decided.
    pub rule: String,
    /// It was refused because something could not be found out.
    pub is_undecided: bool,
}

/// Something that libwrap would say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// In the name of this daemon.
    pub daemon: Box<[u8]>,
    /// The words, with the rule that they belong to.
    pub text: String,
}

/// What a reload has changed, in services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Running as before.
    pub kept: u32,
    /// New.
    pub added: u32,
    /// Running with something changed.
    pub changed: u32,
    /// Gone.
    pub removed: u32,
    /// Files and folders that could not be read: what came from them counts as kept.
    pub unread: u32,
    /// Whether it is the first configuration.
    pub is_first: bool,
}
