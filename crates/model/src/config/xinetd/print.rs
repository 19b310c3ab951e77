//! An entry → its block.
//!
//! What is printed reads back as the same entry in a file without defaults, as far as its words are ones that this
//! language can hold: it has no quotes, so no word can be empty or have a blank in it. Whoever has made an entry of something
//! else looks whether it does.

use super::entry::families_of;
use crate::config::mux;
use crate::config::syntax::{Attributes, Entry, Families, Flags, Transport, WaitMeaning, Word, Words, base};
use crate::process_settings::Resource;
use crate::service::{Handover, Protocol};

/// Whether a service is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It is.
    On,
    /// It only stands there.
    Off,
}

/// Writes a service of xinetd.conf.
pub fn print(entry: &Entry, switch: Switch) -> Vec<u8> {
    let attributes = entry.attributes.as_deref().cloned().unwrap_or_default();
    let (head, types) = head_and_types(entry, &attributes);
    let mut block = Block { text: Vec::new() };
    block.text.extend([b"service ".as_slice(), head, b"\n{\n"].concat());
    if switch == Switch::Off {
        block.word("disable", b"yes");
    }
    block.some("id", attributes.id.as_ref().filter(|id| !types.is_mux() || id.value != head));
    block.list("type", &types.0);
    block.list("flags", &flags(entry, &attributes));
    block.word("socket_type", &entry.socket_type.value);
    block.word("protocol", &entry.protocol.value);
    block.some("port", attributes.port.as_ref());
    block.some("bind", entry.hosts.first());
    if matches!(said_families(entry), Some(Families::V6(_))) {
        block.word("v6only", b"yes");
    }
    block.some("rpc_version", entry.versions.as_ref());
    if types.has(RPC) && types.has(UNLISTED) {
        block.word("rpc_number", &entry.name.value);
    }
    block.word("wait", wait(entry));
    block.some("user", Some(&entry.owner).filter(|owner| !owner.value.is_empty()));
    block.some("group", entry.accounts.first().and_then(|account| account.group.as_ref()));
    if attributes.has_groups {
        block.word("groups", b"yes");
    }
    block.program(entry, &attributes);
    block.limits(entry);
    block.attributes(&attributes);
    block.text.extend(b"}\n");
    block.text
}

const INTERNAL: &[u8] = b"INTERNAL";
const RPC: &[u8] = b"RPC";
const UNLISTED: &[u8] = b"UNLISTED";
const TCPMUX: &[u8] = b"TCPMUX";
const TCPMUXPLUS: &[u8] = b"TCPMUXPLUS";

struct Types(Vec<&'static [u8]>);

impl Types {
    fn has(&self, name: &[u8]) -> bool {
        self.0.contains(&name)
    }

    fn is_mux(&self) -> bool {
        self.has(TCPMUX) || self.has(TCPMUXPLUS)
    }
}

/// What stands behind `service`, and the types.
fn head_and_types<'a>(entry: &'a Entry, attributes: &Attributes) -> (&'a [u8], Types) {
    let mut types = Vec::new();
    let is_rpc = matches!(entry.transport, Some(Transport::Rpc { .. }));
    if is_rpc {
        types.push(RPC);
    }
    let is_discard = attributes.flags.sensor.is_some() || attributes.redirect.is_some();
    if entry.program.value == b"internal" && !is_discard {
        types.push(INTERNAL);
    }
    if attributes.is_unlisted {
        types.push(UNLISTED);
    }
    // What is behind tcpmux has an id; without one the name is a name.
    let behind =
        mux::name(&entry.name).filter(|(name, _)| !name.is_empty() && !is_rpc && attributes.id.is_some());
    let head = match behind {
        Some((name, plus)) => {
            types.push(if plus { TCPMUXPLUS } else { TCPMUX });
            name
        }
        None => &entry.name.value,
    };
    (head, Types(types))
}

/// The families, where the address does not say them.
fn said_families(entry: &Entry) -> Option<Families> {
    let Some(Transport::Inet { protocol, families } | Transport::Rpc { protocol, families }) =
        entry.transport
    else {
        return None;
    };
    let protocol = if protocol == "udp" { Protocol::Udp } else { Protocol::Tcp };
    Some(families).filter(|families| *families != families_of(entry.hosts.first(), protocol))
}

fn flags(entry: &Entry, attributes: &Attributes) -> Vec<&'static [u8]> {
    let Flags { no_delay, keep_alive, no_libwrap, sensor, id_only, labeled } = &attributes.flags;
    let (v4, v6) = match said_families(entry) {
        Some(Families::V4(_)) => (true, false),
        Some(Families::V6(_) | Families::Mapped(_) | Families::Dual(_)) => (false, true),
        Some(Families::Both(..) | Families::OfHost(_)) | None => (false, false),
    };
    [
        (b"NAMEINARGS".as_slice(), has_name_in_arguments(entry)),
        (b"NOLIBWRAP", *no_libwrap),
        (b"IPv4", v4),
        (b"IPv6", v6),
        (b"NODELAY", *no_delay),
        (b"KEEPALIVE", *keep_alive),
        (b"SENSOR", sensor.is_some()),
        (b"IDONLY", id_only.is_some()),
        (b"LABELED", labeled.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_set)| if is_set { Some(name) } else { None })
    .collect()
}

/// Whether `argv[0]` is another than xinetd would make of the path.
fn has_name_in_arguments(entry: &Entry) -> bool {
    let own = base(&entry.program.value);
    entry.program.value != b"internal" && entry.arguments.first().is_some_and(|first| first.value != own)
}

fn wait(entry: &Entry) -> &'static [u8] {
    match entry.handover {
        WaitMeaning::Known(Handover::Listener) | WaitMeaning::TakenFor(Handover::Listener) => b"yes",
        WaitMeaning::Known(Handover::Connection)
        | WaitMeaning::TakenFor(Handover::Connection)
        | WaitMeaning::Unknown => b"no",
    }
}

struct Block {
    text: Vec<u8>,
}

impl Block {
    fn list(&mut self, name: &str, values: &[&[u8]]) {
        if !values.is_empty() {
            self.line(name, values.iter().copied());
        }
    }

    fn word(&mut self, name: &str, value: &[u8]) {
        self.line(name, std::iter::once(value));
    }

    fn some(&mut self, name: &str, word: Option<&Word>) {
        if let Some(word) = word {
            self.word(name, &word.value);
        }
    }

    /// A list may be empty: `only_from =` is for nobody.
    fn words(&mut self, name: &str, words: Option<&Words>) {
        if let Some(words) = words {
            self.line(name, words.values.iter().map(|word| word.value.as_slice()));
        }
    }

    fn line<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a [u8]>) {
        self.text.extend(format!("\t{name:<15} =").as_bytes());
        for value in values {
            self.text.push(b' ');
            self.text.extend_from_slice(value);
        }
        self.text.push(b'\n');
    }

    fn program(&mut self, entry: &Entry, attributes: &Attributes) {
        self.words("redirect", attributes.redirect.as_deref());
        if entry.program.value == b"internal" {
            return;
        }
        self.word("server", &entry.program.value);
        let own = usize::from(!has_name_in_arguments(entry));
        let arguments: Vec<&[u8]> =
            entry.arguments.iter().skip(own).map(|argument| argument.value.as_slice()).collect();
        self.list("server_args", &arguments);
    }

    fn limits(&mut self, entry: &Entry) {
        let limits = &entry.limits;
        self.some("instances", limits.children.as_ref().map(|limit| &limit.word));
        self.some("per_source", limits.source_children.as_ref().map(|limit| &limit.word));
        if let Some(rate) = &limits.rate {
            self.line("cps", rate.iter().map(|word| word.value.as_slice()));
        }
    }

    fn attributes(&mut self, attributes: &Attributes) {
        self.words("only_from", attributes.only_from.as_deref());
        self.words("no_access", attributes.no_access.as_deref());
        self.words("access_times", attributes.access_times.as_deref());
        self.some("max_load", attributes.max_load.as_deref());
        self.some("deny_time", attributes.deny_time.as_deref());
        self.some("libwrap", attributes.libwrap.as_deref());
        self.words("log_type", attributes.log_type.as_deref());
        self.words("log_on_success", attributes.log_on_success.as_deref());
        self.words("log_on_failure", attributes.log_on_failure.as_deref());
        self.some("banner", attributes.banner.as_deref());
        self.some("banner_success", attributes.banner_success.as_deref());
        self.some("banner_fail", attributes.banner_fail.as_deref());
        self.some("nice", attributes.nice.as_deref());
        self.some("umask", attributes.umask.as_deref());
        for (resource, most) in &attributes.resources {
            self.word(attribute(*resource), &most.value);
        }
        self.words("env", attributes.environment.as_deref());
        self.words("passenv", attributes.pass_environment.as_deref());
    }
}

/// The attribute that limits something.
pub(in crate::config) fn attribute(resource: Resource) -> &'static str {
    match resource {
        Resource::AddressSpace => "rlimit_as",
        Resource::Cpu => "rlimit_cpu",
        Resource::Data => "rlimit_data",
        Resource::Descriptors => "rlimit_files",
        Resource::Resident => "rlimit_rss",
        Resource::Stack => "rlimit_stack",
    }
}
