//! What is set for a service → an entry, as inetd.conf has it.
//!
//! Words keep their places; what they mean in this language is put beside them. What needs the machine (users, ports,
//! hosts) is left to the check.

use std::net::IpAddr;

use super::attribute::Attribute;
use super::blocks::{Block, Kind, part};
use super::settings::{Setting, Settings};
use crate::config::syntax::{
    Account, Attributes, Entry, Families, FileWords, Flags, LimitWord, LimitWords, Numeral, Transport,
    WaitMeaning, Word, Words, Zero, base, literal,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, printable, quoted};
use crate::process_settings::Resource;
use crate::service::{Handover, Protocol};
use crate::source::{Spanned, Text};

/// Makes an entry; `None` when a diagnostic says why it cannot be used.
pub(super) fn entry(block: &Block, settings: &Settings<'_>, diagnostics: &mut Diagnostics) -> Option<Entry> {
    let mut reader = Reader { block, settings, diagnostics, is_good: true };
    // One that says yes does not come here.
    reader.flag_word(Attribute::Disable);
    let entry = reader.entry();
    entry.filter(|_| reader.is_good)
}

/// Makes an entry of inetd.conf one of these: the defaults hold for it, and it has an id of name and type.
pub(super) fn of_inetd(entry: &mut Entry, defaults: &Settings<'_>, diagnostics: &mut Diagnostics) {
    let (head, span) = (entry.name.clone(), entry.span);
    let block = Block { head, kind: Kind::Service, span, lines: Vec::new(), is_whole: true };
    let mut reader = Reader { block: &block, settings: defaults, diagnostics, is_good: true };
    let flags = Flags { no_libwrap: true, ..Flags::default() };
    let attributes = reader.attributes(Types::default(), flags);
    let limits = reader.limits();
    entry.limits.children = entry.limits.children.take().or(limits.children);
    entry.limits.source_children = entry.limits.source_children.take().or(limits.source_children);
    entry.limits.rate = limits.rate;
    if entry.hosts.is_empty() {
        entry.hosts.extend(defaults.word(Attribute::Bind).cloned());
    }
    let id = [&*entry.name.value, b"-", &*entry.socket_type.value].concat();
    let id = Some(Spanned::new(Text::from(id), entry.name.span));
    let shared_id = Some(Box::new(entry.name.clone()));
    entry.attributes = Some(Box::new(Attributes { id, shared_id, has_groups: true, ..attributes }));
}

struct Reader<'a> {
    block: &'a Block,
    settings: &'a Settings<'a>,
    diagnostics: &'a mut Diagnostics,
    /// Whether nothing was wrong so far. All is looked at, so that one run shows all that is.
    is_good: bool,
}

/// The types that a service can have, as they change how it is read.
#[derive(Clone, Copy, Debug, Default)]
struct Types {
    rpc: bool,
    internal: bool,
    unlisted: bool,
    mux: bool,
    mux_plus: bool,
}

/// What flags say besides those that stay flags.
#[derive(Clone, Copy, Debug, Default)]
struct Meant {
    v4: bool,
    v6: bool,
    name_in_args: bool,
}

impl<'a> Reader<'a> {
    /// `None` when something is missing that an entry must have.
    fn entry(&mut self) -> Option<Entry> {
        let types = self.types();
        let (flags, meant) = self.flags();
        let sensor = flags.sensor.clone();
        let transport = self.transport(types, meant);
        let (wait, handover) = self.wait();
        let server = self.program(types, meant, sensor.as_deref());
        let owner = self.owner(types, sensor.as_deref());
        let limits = self.limits();
        let attributes = self.attributes(types, flags);
        let name = self.name(types);
        let (socket_type, protocol, transport) = transport?;
        let (program, arguments) = server?;
        let owner = owner?;
        let bind = self.settings.word(Attribute::Bind);
        Some(Entry {
            span: self.block.span,
            name,
            versions: self.settings.word(Attribute::RpcVersion).filter(|_| types.rpc).cloned(),
            hosts: bind.cloned().into_iter().collect(),
            file: FileWords { user: None, group: None, mode: None, default_mode: 0 },
            socket_type,
            protocol,
            transport: Some(transport),
            send_buffer: None,
            receive_buffer: None,
            wait: wait?,
            handover,
            limits,
            accounts: vec![Account {
                user: owner.clone(),
                group: self.settings.word(Attribute::Group).cloned(),
            }],
            owner,
            class: None,
            program,
            arguments,
            attributes: Some(Box::new(attributes)),
        })
    }

    fn types(&mut self) -> Types {
        let mut types = Types::default();
        for word in self.values(Attribute::Type) {
            let is = |name: &str| word.value.eq_ignore_ascii_case(name.as_bytes());
            match () {
                () if is("rpc") => types.rpc = true,
                () if is("internal") => types.internal = true,
                () if is("unlisted") => types.unlisted = true,
                () if is("tcpmux") => types.mux = true,
                () if is("tcpmuxplus") => (types.mux, types.mux_plus) = (true, true),
                () if is("special") => self.warning(
                    "type-special",
                    word,
                    "SPECIAL services were xinetd's own",
                    "the word is left out",
                ),
                () => self.error(
                    "bad-type",
                    word,
                    format!("{} is no type of service", quoted(word)),
                    "RPC, INTERNAL, UNLISTED, TCPMUX or TCPMUXPLUS",
                ),
            }
        }
        if types.rpc && types.mux {
            let word = self.values(Attribute::Type)[0].clone();
            self.error("bad-type", &word, "an RPC service cannot be behind tcpmux", "one of the two");
        }
        for attribute in [Attribute::RpcVersion, Attribute::RpcNumber] {
            if let (false, Some(setting)) = (types.rpc, self.settings.get(attribute)) {
                let name = setting.name;
                let message = format!("{} is for RPC services", printable(&name.value));
                self.warning("not-rpc", name, &message, "say type = RPC; the line is left out");
            }
        }
        types
    }

    fn flags(&mut self) -> (Flags, Meant) {
        let (mut flags, mut meant) = (Flags::default(), Meant::default());
        for word in self.values(Attribute::Flags) {
            let is = |name: &str| word.value.eq_ignore_ascii_case(name.as_bytes());
            match () {
                () if is("nodelay") => flags.no_delay = true,
                () if is("keepalive") => flags.keep_alive = true,
                () if is("nolibwrap") => flags.no_libwrap = true,
                () if is("sensor") => flags.sensor = Some(Box::new(word.clone())),
                () if is("idonly") => flags.id_only = Some(Box::new(word.clone())),
                () if is("labeled") => flags.labeled = Some(Box::new(word.clone())),
                () if is("ipv4") => meant.v4 = true,
                () if is("ipv6") => meant.v6 = true,
                () if is("nameinargs") => meant.name_in_args = true,
                // All listeners reuse their addresses; a start that fails for want of processes is not tried again,
                // since the next caller is.
                () if is("reuse") || is("noretry") => {}
                () if is("intercept") => self.warning(
                    "flag-intercept",
                    word,
                    "INTERCEPT is not there: packets do not go through the daemon",
                    "the first packet, or connection, is judged; the program gets those behind it unseen",
                ),
                () => self.error(
                    "bad-flag",
                    word,
                    format!("there is no flag {}", quoted(word)),
                    "IDONLY, NORETRY, NAMEINARGS, NODELAY, KEEPALIVE, NOLIBWRAP, SENSOR, IPv4, IPv6, LABELED or REUSE",
                ),
            }
        }
        (flags, meant)
    }

    /// Type and protocol; each of the two says what the other is.
    fn transport(&mut self, types: Types, meant: Meant) -> Option<(Word, Word, Transport)> {
        let lower = |word: &Word| Spanned::new(Text::from(&*word.value.to_ascii_lowercase()), word.span);
        let socket_type = self.settings.word(Attribute::SocketType).map(lower);
        let protocol = self.settings.word(Attribute::Protocol).map(lower);
        let like = |text: &[u8], word: &Word| Spanned::new(Text::from(text), word.span);
        let (socket_type, protocol) = match (socket_type, protocol) {
            (Some(socket_type), Some(protocol)) => (socket_type, protocol),
            (Some(socket_type), None) => {
                let protocol = if socket_type.value == b"dgram" { b"udp" } else { b"tcp" };
                let protocol = like(protocol, &socket_type);
                (socket_type, protocol)
            }
            (None, Some(protocol)) => {
                let socket_type: &[u8] = if protocol.value == b"udp" { b"dgram" } else { b"stream" };
                (like(socket_type, &protocol), protocol)
            }
            (None, None) => {
                self.missing("socket_type", "stream or dgram");
                return None;
            }
        };
        let is_udp = match protocol.value.as_slice() {
            b"tcp" => false,
            b"udp" => true,
            _ => {
                let message = format!("protocol {} is not supported", quoted(&protocol));
                self.error(
                    "bad-protocol",
                    &protocol,
                    message,
                    "tcp or udp; flags = IPv6 for the newer protocol",
                );
                return None;
            }
        };
        let word = if is_udp { "udp" } else { "tcp" };
        let families = self.families(is_udp, meant);
        let transport = if types.rpc {
            Transport::Rpc { protocol: word, families }
        } else {
            Transport::Inet { protocol: word, families }
        };
        Some((socket_type, protocol, transport))
    }

    /// As xinetd does: both families on one socket, unless a flag or the address says otherwise.
    fn families(&mut self, is_udp: bool, meant: Meant) -> Families {
        let protocol = if is_udp { Protocol::Udp } else { Protocol::Tcp };
        let v6_only = self.flag_word(Attribute::V6only).unwrap_or(false);
        match (meant.v4, meant.v6) {
            (true, true) => {
                if let Some(word) = self.values(Attribute::Flags).first() {
                    self.error(
                        "bad-flag",
                        word,
                        "IPv4 and IPv6 at once",
                        "one of them, or none for both families",
                    );
                }
                Families::V4(protocol)
            }
            (true, false) => Families::V4(protocol),
            (false, _) if v6_only => Families::V6(protocol),
            (false, true) => Families::Dual(protocol),
            (false, false) => families_of(self.settings.word(Attribute::Bind), protocol),
        }
    }

    fn wait(&mut self) -> (Option<Word>, WaitMeaning) {
        let Some(word) = self.settings.word(Attribute::Wait).cloned() else {
            self.missing("wait", "yes, or no for a program that gets each caller's connection");
            return (None, WaitMeaning::Unknown);
        };
        let handover = match self.flag_word(Attribute::Wait) {
            Some(true) => Handover::Listener,
            Some(false) | None => Handover::Connection,
        };
        (Some(word), WaitMeaning::Known(handover))
    }

    /// The program and its arguments.
    fn program(&mut self, types: Types, meant: Meant, sensor: Option<&Word>) -> Option<(Word, Vec<Word>)> {
        let internal = |word: &Word| Spanned::new(Text::from(b"internal".as_slice()), word.span);
        if let Some(sensor) = sensor {
            let discard = Spanned::new(Text::from(b"discard".as_slice()), sensor.span);
            return Some((internal(sensor), vec![discard]));
        }
        if let Some(redirect) = self.settings.get(Attribute::Redirect) {
            return Some((internal(redirect.name), Vec::new()));
        }
        if types.internal {
            let types = self.settings.get(Attribute::Type).map_or(&self.block.head, |types| types.name);
            return Some((internal(types), Vec::new()));
        }
        let Some(server) = self.settings.word(Attribute::Server).cloned() else {
            self.missing("server", "the path of a program; or type = INTERNAL, or redirect = HOST PORT");
            return None;
        };
        let mut arguments = self.values(Attribute::ServerArgs).to_vec();
        if !meant.name_in_args {
            arguments.insert(0, Spanned::new(base(&server.value).into(), server.span));
        } else if arguments.is_empty() {
            let message =
                "NAMEINARGS says that the first of server_args is the program's name, and there is none";
            let flags = self.settings.get(Attribute::Flags).map_or(&server, |flags| flags.name).clone();
            self.error("no-name-in-args", &flags, message, "server_args = NAME [ARGUMENT…]");
        }
        if !server.value.starts_with(b"/") {
            let message = format!("{} is not an absolute path", quoted(&server));
            self.error("relative-program", &server, message, "a path that begins with /");
        }
        Some((server, arguments))
    }

    fn owner(&mut self, types: Types, sensor: Option<&Word>) -> Option<Word> {
        if let Some(user) = self.settings.word(Attribute::User) {
            return Some(user.clone());
        }
        if types.internal || sensor.is_some() || self.settings.get(Attribute::Redirect).is_some() {
            return Some(Spanned::new(Text::from(b"".as_slice()), self.block.head.span));
        }
        self.missing("user", "whom the program runs as");
        None
    }

    fn limits(&mut self) -> LimitWords {
        let limit = |attribute| {
            let word = self.settings.word(attribute)?.clone();
            if word.value.eq_ignore_ascii_case(b"unlimited") {
                return None;
            }
            Some(LimitWord { word, zero: Zero::Never, numeral: Numeral::Xinetd, refuses: true })
        };
        let (children, source_children) = (limit(Attribute::Instances), limit(Attribute::PerSource));
        let rate = self.settings.get(Attribute::Cps).and_then(|cps| cps.values.to_vec().try_into().ok());
        LimitWords { starts: None, children, source_starts: None, source_children, rate }
    }

    fn attributes(&mut self, types: Types, flags: Flags) -> Attributes {
        const RESOURCES: [(Attribute, Resource); 6] = [
            (Attribute::RlimitAs, Resource::AddressSpace),
            (Attribute::RlimitCpu, Resource::Cpu),
            (Attribute::RlimitData, Resource::Data),
            (Attribute::RlimitFiles, Resource::Descriptors),
            (Attribute::RlimitRss, Resource::Resident),
            (Attribute::RlimitStack, Resource::Stack),
        ];
        let has_groups = self.flag_word(Attribute::Groups);
        if let Some(word) = self.settings.word(Attribute::Mdns).cloned() {
            self.warning(
                "no-mdns",
                &word,
                "mdns is ignored, as in xinetd since 2.3.15",
                "register the service with avahi",
            );
        }
        let word = |attribute| self.settings.word(attribute).cloned();
        let rare = |attribute| word(attribute).map(Box::new);
        let words = |attribute| self.settings.get(attribute).map(words).map(Box::new);
        let resources =
            RESOURCES.iter().filter_map(|(attribute, resource)| Some((*resource, word(*attribute)?)));
        Attributes {
            // What is behind tcpmux is known by its own name.
            id: word(Attribute::Id).or_else(|| Some(self.block.head.clone()).filter(|_| types.mux)),
            shared_id: None,
            port: word(Attribute::Port).map(|word| without_plus(&word)),
            is_unlisted: types.unlisted,
            has_groups: has_groups.unwrap_or(false),
            only_from: words(Attribute::OnlyFrom),
            no_access: words(Attribute::NoAccess),
            access_times: words(Attribute::AccessTimes),
            max_load: rare(Attribute::MaxLoad),
            banner: rare(Attribute::Banner),
            banner_success: rare(Attribute::BannerSuccess),
            banner_fail: rare(Attribute::BannerFail),
            log_type: words(Attribute::LogType),
            log_on_success: words(Attribute::LogOnSuccess),
            log_on_failure: words(Attribute::LogOnFailure),
            nice: rare(Attribute::Nice),
            umask: rare(Attribute::Umask),
            resources: resources.collect(),
            environment: words(Attribute::Env),
            pass_environment: words(Attribute::Passenv),
            redirect: words(Attribute::Redirect),
            flags,
            libwrap: rare(Attribute::Libwrap),
            deny_time: rare(Attribute::DenyTime),
        }
    }

    /// The name as inetd.conf has it: with `tcpmux/` in front of what is behind that, and the number of an RPC program
    /// that has no name.
    fn name(&mut self, types: Types) -> Word {
        let head = &self.block.head;
        if types.mux {
            let prefix: &[u8] = if types.mux_plus { b"tcpmux/+" } else { b"tcpmux/" };
            return Spanned::new(Text::from(&*[prefix, &head.value].concat()), head.span);
        }
        let number = self.settings.word(Attribute::RpcNumber).filter(|_| types.rpc && types.unlisted);
        number.unwrap_or(head).clone()
    }

    /// What a word says, `yes` or `no`; `None` when it is not there, or wrong.
    fn flag_word(&mut self, attribute: Attribute) -> Option<bool> {
        let word = self.settings.word(attribute)?.clone();
        let is = |name: &str| word.value.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("yes") => Some(true),
            () if is("no") => Some(false),
            () => {
                self.error(
                    "bad-flag-word",
                    &word,
                    format!("{} is neither yes nor no", quoted(&word)),
                    "yes or no",
                );
                None
            }
        }
    }

    fn values(&self, attribute: Attribute) -> &'a [Word] {
        self.settings.get(attribute).map_or(&[], |setting| &*setting.values)
    }

    fn missing(&mut self, name: &str, expected: &str) {
        let head = self.block.head.clone();
        self.error(
            "missing-attribute",
            &head,
            format!("the service has no {name}"),
            &format!("{name} = {expected}"),
        );
    }

    fn error(&mut self, code: &'static str, word: &Word, message: impl Into<String>, expected: &str) {
        self.is_good = false;
        self.diagnostics
            .add_once(Diagnostic::error(code, Place::Text(word.span), message).expected(expected));
    }

    fn warning(&mut self, code: &'static str, word: &Word, message: impl Into<String>, hint: &str) {
        self.diagnostics.add_once(Diagnostic::warning(code, Place::Text(word.span), message).hint(hint));
    }
}

/// What is opened where no flag says it: both families on one socket, or those of what `bind` names. xinetd itself takes
/// one address of a name, the first that it is told.
pub(super) fn families_of(bind: Option<&Word>, protocol: Protocol) -> Families {
    let Some(bind) = bind else { return Families::Dual(protocol) };
    match literal(bind) {
        Some(IpAddr::V4(_)) => Families::V4(protocol),
        Some(IpAddr::V6(v6)) if v6.is_unspecified() || v6.to_ipv4_mapped().is_some() => {
            Families::Dual(protocol)
        }
        Some(IpAddr::V6(_)) => Families::V6(protocol),
        None => Families::Both(protocol, protocol),
    }
}

/// A number without the plus that xinetd lets stand in front of it; any other word as it is.
fn without_plus(word: &Word) -> Word {
    match word.value.as_slice() {
        [b'+', b'0'..=b'9', ..] => part(word, 1),
        _ => word.clone(),
    }
}

fn words(setting: &Setting<'_>) -> Words {
    Words { name: setting.name.clone(), values: setting.values.to_vec() }
}
