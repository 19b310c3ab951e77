//! The syntax tree that every dialect is read into.
//!
//! An entry is a service with its settings as they were written: words with spans, nothing looked up. Columns of an
//! `inetd.conf` line and attributes of an `xinetd.conf` block become the same settings, so that checks, diagnostics
//! and everything later are written once. Where dialects disagree about what a word means, the reader of the dialect
//! has put its meaning beside the word.

use std::net::{IpAddr, Ipv6Addr};

use crate::numeral;
use crate::process_settings::Resource;
use crate::service::{Handover, Protocol};
use crate::source::{Span, Spanned, Text};

/// A word as it stands in the file: any bytes but NUL, not necessarily UTF-8.
pub type Word = Spanned<Text>;

/// What one or several files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The services, in order.
    pub entries: Vec<Entry>,
    /// Services that are switched off, as far as they can be read.
    pub off: Vec<Entry>,
    /// Lines that a reader could not make an entry of, as far as they name a service.
    pub broken: Vec<Word>,
    /// Whether tcpmux is added when there are services that need it, as GNU's inetd does.
    pub adds_tcpmux: bool,
}

/// One service as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// All of its text.
    pub span: Span,
    /// The service's name, number or path.
    pub name: Word,
    /// The versions of an RPC service: `1`, `1-5`.
    pub versions: Option<Word>,
    /// Where it listens; empty means the wildcard address.
    pub hosts: Vec<Word>,
    /// Who may use the file of a Unix socket.
    pub file: FileWords,
    /// The socket type.
    pub socket_type: Word,
    /// The protocol's word.
    pub protocol: Word,
    /// What the dialect takes `protocol` for; `None` when it does not know it.
    pub transport: Option<Transport>,
    /// Size of the send buffer.
    pub send_buffer: Option<Word>,
    /// Size of the receive buffer.
    pub receive_buffer: Option<Word>,
    /// `wait` or `nowait`.
    pub wait: Word,
    /// What the dialect takes `wait` for.
    pub handover: WaitMeaning,
    /// How much of it may run.
    pub limits: LimitWords,
    /// User, group and class as written.
    pub owner: Word,
    /// The users and groups that `owner` can mean; the first whose user exists is meant.
    pub accounts: Vec<Account>,
    /// FreeBSD's login class.
    pub class: Option<Word>,
    /// The program's path, or `internal`.
    pub program: Word,
    /// The argument list, `argv[0]` first; empty for `internal` without arguments.
    pub arguments: Vec<Word>,
    /// What only xinetd.conf can say, for a service that stands in one.
    pub attributes: Option<Box<Attributes>>,
}

impl Entry {
    /// The name by which the service is known in logs: its own, unless it says another.
    pub fn id(&self) -> &Word {
        self.attributes.as_ref().and_then(|attributes| attributes.id.as_ref()).unwrap_or(&self.name)
    }

    /// The same with every word at one place: two entries that say the same are equal then.
    pub fn placed_at(mut self, span: Span) -> Entry {
        self.span = span;
        self.each_word(&mut |word| word.span = span);
        self
    }

    fn each_word(&mut self, work: &mut dyn FnMut(&mut Word)) {
        let FileWords { user, group, mode, default_mode: _ } = &mut self.file;
        let LimitWords { starts, children, source_starts, source_children, rate } = &mut self.limits;
        let words = [&mut self.name, &mut self.socket_type, &mut self.protocol, &mut self.wait];
        words.into_iter().chain([&mut self.owner, &mut self.program]).for_each(&mut *work);
        let some = [&mut self.versions, &mut self.send_buffer, &mut self.receive_buffer, &mut self.class];
        some.into_iter().chain([user, group, mode]).flatten().for_each(&mut *work);
        let limits = [starts, children, source_starts, source_children].into_iter().flatten();
        limits.map(|limit| &mut limit.word).chain(rate.iter_mut().flatten()).for_each(&mut *work);
        self.hosts.iter_mut().chain(&mut self.arguments).for_each(&mut *work);
        for account in &mut self.accounts {
            work(&mut account.user);
            account.group.iter_mut().for_each(&mut *work);
        }
        if let Some(attributes) = &mut self.attributes {
            attributes.each_word(work);
        }
    }
}

/// What xinetd.conf can say of a service and no inetd.conf can. What few services say is boxed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The name in logs, where it is not the service's.
    pub id: Option<Word>,
    /// The name in the lines of xinetd.log(5), where other services have it too and `id` was made longer.
    pub shared_id: Option<Box<Word>>,
    /// The port, where it is written.
    pub port: Option<Word>,
    /// Whether the service is not to be looked for in /etc/services or /etc/rpc.
    pub is_unlisted: bool,
    /// Whether the program has all of its user's groups.
    pub has_groups: bool,
    /// Whom the service is for.
    pub only_from: Option<Box<Words>>,
    /// Whom it is not for.
    pub no_access: Option<Box<Words>>,
    /// When it is there.
    pub access_times: Option<Box<Words>>,
    /// The load of the machine from which on nobody is served.
    pub max_load: Option<Box<Word>>,
    /// The file that every caller is sent.
    pub banner: Option<Box<Word>>,
    /// The file that those are sent who are served.
    pub banner_success: Option<Box<Word>>,
    /// The file that those are sent who are not.
    pub banner_fail: Option<Box<Word>>,
    /// Where the lines about callers go.
    pub log_type: Option<Box<Words>>,
    /// What they say of those who are served.
    pub log_on_success: Option<Box<Words>>,
    /// What they say of those who are not.
    pub log_on_failure: Option<Box<Words>>,
    /// The program's priority.
    pub nice: Option<Box<Word>>,
    /// Its umask.
    pub umask: Option<Box<Word>>,
    /// Its limits.
    pub resources: Vec<(Resource, Word)>,
    /// Variables that it gets.
    pub environment: Option<Box<Words>>,
    /// The daemon's own variables that it gets; all of them when this is not written.
    pub pass_environment: Option<Box<Words>>,
    /// The host and the port that callers are connected to.
    pub redirect: Option<Box<Words>>,
    /// What is noted about its port.
    pub flags: Flags,
    /// The name by which hosts.allow and hosts.deny know it.
    pub libwrap: Option<Box<Word>>,
    /// For how long a caller of a sensor is kept out of everything.
    pub deny_time: Option<Box<Word>>,
}

impl Attributes {
    /// The attributes with several values.
    pub fn lists_mut(&mut self) -> impl Iterator<Item = &mut Words> {
        [
            &mut self.only_from,
            &mut self.no_access,
            &mut self.access_times,
            &mut self.log_type,
            &mut self.log_on_success,
            &mut self.log_on_failure,
            &mut self.environment,
            &mut self.pass_environment,
            &mut self.redirect,
        ]
        .into_iter()
        .flatten()
        .map(|words| &mut **words)
    }

    fn each_word(&mut self, work: &mut dyn FnMut(&mut Word)) {
        for words in self.lists_mut() {
            work(&mut words.name);
            words.values.iter_mut().for_each(&mut *work);
        }
        let flags = &mut self.flags;
        [&mut self.id, &mut self.port].into_iter().flatten().for_each(&mut *work);
        let words = [
            &mut self.shared_id,
            &mut self.max_load,
            &mut self.banner,
            &mut self.banner_success,
            &mut self.banner_fail,
            &mut self.nice,
            &mut self.umask,
            &mut self.libwrap,
            &mut self.deny_time,
            &mut flags.sensor,
            &mut flags.id_only,
            &mut flags.labeled,
        ];
        words.into_iter().flatten().for_each(|word| work(word));
        self.resources.iter_mut().for_each(|(_, word)| work(word));
    }
}

/// The values of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The attribute's own name.
    pub name: Word,
    /// The values; there may be none.
    pub values: Vec<Word>,
}

/// Flags of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `TCP_NODELAY` for callers.
    pub no_delay: bool,
    /// `SO_KEEPALIVE` for callers.
    pub keep_alive: bool,
    /// hosts.allow and hosts.deny are not asked.
    pub no_libwrap: bool,
    /// Whoever calls it is kept out of everything.
    pub sensor: Option<Box<Word>>,
    /// Whoever has no ident answer is refused.
    pub id_only: Option<Box<Word>>,
    /// The program gets the SELinux context of its caller.
    pub labeled: Option<Box<Word>>,
}

/// What a protocol word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A Unix socket.
    Unix,
    /// Internet sockets.
    Inet {
        /// The protocol's name in /etc/services.
        protocol: &'static str,
        /// Which sockets are opened, by the names that they have in logs.
        families: Families,
    },
    /// Internet sockets whose ports rpcbind is told.
    Rpc {
        /// `tcp` or `udp`.
        protocol: &'static str,
        /// As above.
        families: Families,
    },
}

/// Which sockets a protocol word asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// IPv4 only.
    V4(Protocol),
    /// IPv6 only.
    V6(Protocol),
    /// One socket for each of the two.
    Both(Protocol, Protocol),
    /// One IPv6 socket that serves IPv4 callers too; IPv4 only where the kernel has no IPv6.
    Dual(Protocol),
    /// The same, and an IPv4 address in front of it is bound as an IPv6 one (`::ffff:a.b.c.d`).
    Mapped(Protocol),
    /// The family of the address that is written; IPv4 without one.
    OfHost(Protocol),
}

/// What a dialect takes the wait column for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitMeaning {
    /// This.
    Known(Handover),
    /// Not a word of its own, and taken for this all the same.
    TakenFor(Handover),
    /// Nothing: the dialect refuses the line.
    Unknown,
}

/// Limits as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitWords {
    /// Starts a minute.
    pub starts: Option<LimitWord>,
    /// Programs at the same time.
    pub children: Option<LimitWord>,
    /// Starts a minute for one source.
    pub source_starts: Option<LimitWord>,
    /// Programs at the same time for one source.
    pub source_children: Option<LimitWord>,
    /// Starts a second, and for how many seconds nobody is served when there are more.
    pub rate: Option<[Word; 2]>,
}

/// A limit as written, and how its dialect reads such numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitWord {
    /// The number.
    pub word: Word,
    /// What 0 means.
    pub zero: Zero,
    /// How digits are read.
    pub numeral: Numeral,
    /// Whether the line is refused when this is no number; otherwise the default holds.
    pub refuses: bool,
}

impl LimitWord {
    /// The number, when it is one.
    pub fn number(&self) -> Option<u32> {
        self.numeral.number(&self.word.value)
    }
}

/// What a limit of 0 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// It is no number of starts, and the default holds.
    Wrong,
    /// The default holds.
    Default,
    /// There is no limit.
    Unlimited,
    /// Nobody is served.
    Never,
}

/// How digits are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numeral {
    /// As strtoul(3) with base 0 does: `010` is 8 and `0x10` is 16.
    C,
    /// Decimal.
    Decimal,
    /// Decimal, up to the first other letter.
    Leading,
    /// As xinetd counts: decimal, a plus may stand in front, and more than can be counted is as much as can be.
    Xinetd,
}

impl Numeral {
    /// The number that these digits are, when they are one.
    pub fn number(self, digits: &[u8]) -> Option<u32> {
        match self {
            Numeral::C => numeral::c_number(digits),
            Numeral::Decimal => numeral::number(digits, 10),
            Numeral::Leading => {
                let leading = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
                numeral::number(&digits[..leading], 10)
            }
            Numeral::Xinetd => numeral::count(digits),
        }
    }
}

/// A user and, if one is named, a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's name.
    pub user: Word,
    /// The group's name.
    pub group: Option<Word>,
}

/// Who may use the file of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileWords {
    /// The owner; ourselves when nobody is named.
    pub user: Option<Word>,
    /// The group; ours when none is named.
    pub group: Option<Word>,
    /// The mode, in octal.
    pub mode: Option<Word>,
    /// The mode of this dialect's sockets when none is written.
    pub default_mode: u32,
}

/// The address that a word in front of a service's name, or behind `bind`, is; `None` for a host name. The interface behind
/// an IPv6 address says where it is valid, and nothing of the family.
pub(super) fn literal(host: &Word) -> Option<IpAddr> {
    let text = std::str::from_utf8(&host.value).ok()?;
    match text.split_once('%') {
        None => text.parse().ok(),
        Some((address, _)) => address.parse::<Ipv6Addr>().ok().map(IpAddr::from),
    }
}

/// The last part of a path.
pub(super) fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}
