//! A service of inetd.conf as xinetd.conf has it.

use std::net::IpAddr;

use super::loss::{Losses, Subject, Weight};
use super::{Converted, limit_number, other_group};
use crate::config::facts::{Facts, NoAnswer};
use crate::config::mux;
use crate::config::syntax::{
    Account, Attributes, Entry, Families, Flags, LimitWord, LimitWords, Numeral, Transport, WaitMeaning,
    Word, Zero, literal,
};
use crate::service::{Builtin, Handover, Protocol};
use crate::source::Spanned;

/// Makes services of one.
pub(super) fn convert(entry: &Entry, facts: &mut dyn Facts) -> Converted {
    let mut losses = Losses::default();
    lost_words(entry, &mut losses);
    let (protocol, families) = match entry.transport {
        Some(Transport::Inet { protocol, families } | Transport::Rpc { protocol, families }) => {
            (protocol, families)
        }
        Some(Transport::Unix) => {
            let why = "xinetd.conf has no Unix sockets";
            losses.add(&entry.name, Subject::Service, Weight::Whole, why);
            return Converted { entries: Vec::new(), losses: losses.0 };
        }
        None => {
            losses.add(&entry.protocol, Subject::Service, Weight::Whole, "the protocol is not known");
            return Converted { entries: Vec::new(), losses: losses.0 };
        }
    };
    let handover = handover(entry, &mut losses);
    let account = account(entry, facts, &mut losses);
    for name in std::iter::once(&account.user).chain(&account.group).filter(|word| is_number(word)) {
        let why = "a name of digits; xinetd would take it for the number of another";
        losses.add(name, Subject::User, Weight::Whole, why);
    }
    let (name, arguments, mut attributes) = identity(entry, &mut losses);
    let is_internal = entry.program.value == b"internal";
    if !is_internal && !entry.program.value.starts_with(b"/") {
        let why = "a program of xinetd.conf has its whole path";
        losses.add(&entry.program, Subject::Command, Weight::Whole, why);
        return Converted { entries: Vec::new(), losses: losses.0 };
    }
    attributes.has_groups = !is_internal || matches!(name.value.as_slice(), b"auth" | b"ident");
    if let Some(group) = other_group(&account, facts).filter(|_| attributes.has_groups) {
        let why = "with groups = yes xinetd keeps the user's own group beside this one";
        losses.add(group, Subject::Groups, Weight::Aside, why);
    }
    attributes.flags = Flags { no_libwrap: true, ..Flags::default() };
    let limits = limits(entry, &mut losses);
    let is_rpc = matches!(entry.transport, Some(Transport::Rpc { .. }));
    let service = |(hosts, families): (Vec<Word>, Families)| Entry {
        name: name.clone(),
        hosts,
        protocol: word(protocol.as_bytes(), &entry.protocol),
        transport: Some(match is_rpc {
            true => Transport::Rpc { protocol, families },
            false => Transport::Inet { protocol, families },
        }),
        send_buffer: None,
        receive_buffer: None,
        handover: WaitMeaning::Known(handover),
        limits: limits.clone(),
        owner: account.user.clone(),
        accounts: vec![account.clone()],
        class: None,
        arguments: arguments.clone(),
        attributes: Some(Box::new(attributes.clone())),
        ..entry.clone()
    };
    // Behind tcpmux an address has no effect.
    let hosts = if mux::name(&entry.name).is_some() { &[] } else { entry.hosts.as_slice() };
    let places = places(hosts, protocol, families, &mut losses);
    Converted { entries: places.into_iter().map(service).collect(), losses: losses.0 }
}

/// What there is no word for, whatever else the service says.
fn lost_words(entry: &Entry, losses: &mut Losses) {
    let buffers = "xinetd.conf has no buffer sizes";
    for size in [&entry.send_buffer, &entry.receive_buffer] {
        losses.add_some(size.as_ref(), Subject::SocketOptions, Weight::Restriction, buffers);
    }
    let class = "xinetd.conf has no login classes";
    losses.add_some(entry.class.as_ref(), Subject::User, Weight::Restriction, class);
}

fn handover(entry: &Entry, losses: &mut Losses) -> Handover {
    match entry.handover {
        WaitMeaning::Known(handover) | WaitMeaning::TakenFor(handover) => handover,
        WaitMeaning::Unknown => {
            losses.add(&entry.wait, Subject::Service, Weight::Whole, "this is neither wait nor nowait");
            Handover::Connection
        }
    }
}

/// The reading of the user column whose user exists; the shortest user when none does.
fn account(entry: &Entry, facts: &mut dyn Facts, losses: &mut Losses) -> Account {
    if let [only] = entry.accounts.as_slice() {
        return only.clone();
    }
    for account in &entry.accounts {
        let Ok(name) = std::str::from_utf8(&account.user.value) else { continue };
        match facts.user(name) {
            Ok(Some(_)) => return account.clone(),
            Ok(None) => {}
            Err(NoAnswer(why)) => {
                let why = format!("whether there is such a user is not known: {why}");
                losses.add(&account.user, Subject::User, Weight::Restriction, why);
                return account.clone();
            }
        }
    }
    let shortest = entry.accounts.iter().min_by_key(|account| account.user.value.len());
    shortest.cloned().unwrap_or_else(|| Account { user: entry.owner.clone(), group: None })
}

/// The name, with the port where it is no name of /etc/services, and the arguments.
fn identity(entry: &Entry, losses: &mut Losses) -> (Word, Vec<Word>, Attributes) {
    let mut attributes = Attributes::default();
    let behind = mux::name(&entry.name).map(|(name, _)| word(name, &entry.name));
    if let Some(behind) = &behind {
        (attributes.id, attributes.is_unlisted) = (Some(behind.clone()), true);
    } else if is_number(&entry.name) {
        attributes.is_unlisted = true;
        attributes.port =
            Some(entry.name.clone()).filter(|_| !matches!(entry.transport, Some(Transport::Rpc { .. })));
    }
    if entry.program.value != b"internal" {
        return (entry.name.clone(), entry.arguments.clone(), attributes);
    }
    // The name says which of them it is, or else the first argument.
    let is_internal = |word: &Word| {
        matches!(word.value.as_slice(), b"auth" | b"ident") || Builtin::by_name(&word.value).is_some()
    };
    let own = behind.as_ref().unwrap_or(&entry.name);
    let named = entry.arguments.first().filter(|first| !is_internal(own) && is_internal(first));
    let meant = named.unwrap_or(own);
    if Builtin::by_name_of_xinetd(&meant.value).is_some_and(Builtin::shows_the_daemon) {
        losses.add(
            meant,
            Subject::Service,
            Weight::Whole,
            "no inetd has had such a service, and xinetd's is another",
        );
    }
    let takes_options = matches!(meant.value.as_slice(), b"auth" | b"ident");
    if let Some(option) = entry.arguments.get(1).filter(|_| takes_options) {
        let why = "xinetd.conf has no options of internal services; say server = /usr/bin/usherd, \
                   server_args = ident and the options";
        losses.add(option, Subject::Command, Weight::Restriction, why);
    }
    let name = match (named, behind) {
        (None, _) => entry.name.clone(),
        (Some(named), Some(_)) => {
            let why = "behind tcpmux the name of the service says which internal one it is";
            losses.add(named, Subject::Command, Weight::Whole, why);
            entry.name.clone()
        }
        (Some(named), None) => {
            attributes.port = Some(entry.name.clone());
            attributes.is_unlisted = true;
            attributes.id = Some(entry.name.clone());
            named.clone()
        }
    };
    (name, Vec::new(), attributes)
}

/// The addresses of each service, with what the language makes of them: one has one address.
fn places(
    hosts: &[Word],
    protocol: &str,
    families: Families,
    losses: &mut Losses,
) -> Vec<(Vec<Word>, Families)> {
    if let [_, second, ..] = hosts {
        let why =
            "a service of xinetd.conf has one address: it is one for each of them, and limits hold for each";
        losses.add(second, Subject::Addresses, Weight::Restriction, why);
    }
    let is_v6 = |host: &Word| literal(host).is_some_and(|address| address.is_ipv6());
    let has_v6 = hosts.iter().any(is_v6);
    let protocol = if protocol == "udp" { Protocol::Udp } else { Protocol::Tcp };
    let of_host = |host: Option<&Word>, losses: &mut Losses| {
        let host = host.filter(|host| host.value != b"*");
        let hosts = host.cloned().into_iter().collect();
        let Some(host) = host else {
            let families = match families {
                Families::V4(_) => Families::V4(protocol),
                Families::V6(_) => Families::V6(protocol),
                // What two sockets serve one does here.
                Families::Both(..) | Families::Dual(_) | Families::Mapped(_) => Families::Dual(protocol),
                Families::OfHost(_) if has_v6 => Families::Dual(protocol),
                Families::OfHost(_) => Families::V4(protocol),
            };
            return (hosts, families);
        };
        match (families, literal(host)) {
            (Families::V4(_), _) => (hosts, Families::V4(protocol)),
            (Families::V6(_), _) => (hosts, Families::V6(protocol)),
            (Families::Both(..) | Families::OfHost(_), Some(IpAddr::V4(_))) => {
                (hosts, Families::V4(protocol))
            }
            (Families::Both(..) | Families::OfHost(_), Some(IpAddr::V6(_))) => {
                (hosts, Families::V6(protocol))
            }
            (Families::Mapped(_), Some(IpAddr::V4(address))) => {
                let mapped = address.to_ipv6_mapped().to_string();
                (vec![word(mapped.as_bytes(), host)], Families::Dual(protocol))
            }
            (Families::OfHost(_), None) if !has_v6 => (hosts, Families::V4(protocol)),
            (Families::Both(..) | Families::OfHost(_), None) => (hosts, Families::Both(protocol, protocol)),
            (Families::Mapped(_), None) => {
                let why = "xinetd binds to the IPv6 addresses of a name here, and to no others";
                losses.add(host, Subject::Addresses, Weight::Aside, why);
                (hosts, Families::Dual(protocol))
            }
            (Families::Dual(_), _) | (Families::Mapped(_), Some(IpAddr::V6(_))) => {
                (hosts, Families::Dual(protocol))
            }
        }
    };
    if hosts.is_empty() {
        return vec![of_host(None, losses)];
    }
    hosts.iter().map(|host| of_host(Some(host), losses)).collect()
}

fn limits(entry: &Entry, losses: &mut Losses) -> LimitWords {
    let words = &entry.limits;
    if let Some(none) = words.children.as_ref().filter(|limit| limit_number(limit) == Ok(None))
        && entry.program.value == b"internal"
    {
        let why = "an internal service of xinetd has as many sessions as usherd gives it";
        losses.add(&none.word, Subject::Children, Weight::Aside, why);
    }
    let mut number = |limit: &Option<LimitWord>, subject: Subject| {
        let limit = limit.as_ref()?;
        match limit_number(limit) {
            Ok(Some(number)) => Some(written(number, &limit.word)),
            Ok(None) => None,
            Err(()) => {
                losses.add(&limit.word, subject, Weight::Restriction, "this is no number");
                None
            }
        }
    };
    let children = number(&words.children, Subject::Children);
    let source_children = number(&words.source_children, Subject::SourceChildren);
    let mut lose = |limit: &Option<LimitWord>, subject: Subject, why: &str| {
        if let Some(limit) = limit.as_ref().filter(|limit| limit_number(limit) != Ok(None)) {
            losses.add(&limit.word, subject, Weight::Restriction, why);
        }
    };
    lose(&words.starts, Subject::Starts, "xinetd.conf counts starts a second (cps), not a minute");
    lose(&words.source_starts, Subject::SourceStarts, "xinetd.conf does not count the starts for one source");
    LimitWords { children, source_children, ..LimitWords::default() }
}

fn written(number: u32, like: &Word) -> LimitWord {
    LimitWord {
        word: word(number.to_string().as_bytes(), like),
        zero: Zero::Never,
        numeral: Numeral::Decimal,
        refuses: true,
    }
}

fn is_number(word: &Word) -> bool {
    !word.value.is_empty() && word.value.iter().all(u8::is_ascii_digit)
}

/// Another word at the place of one.
fn word(text: &[u8], like: &Word) -> Word {
    Spanned::new(text.into(), like.span)
}
