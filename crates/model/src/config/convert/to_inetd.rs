//! A service of xinetd.conf as inetd.conf has it.

use super::loss::{Losses, Subject, Weight};
use super::{Converted, limit_number, other_group};
use crate::config::facts::Facts;
use crate::config::inetd::Dialect;
use crate::config::mux;
use crate::config::syntax::{
    Account, Attributes, Entry, Families, LimitWord, LimitWords, Numeral, Transport, WaitMeaning, Word,
    Words, Zero, base,
};
use crate::config::xinetd;
use crate::diagnostic::printable;
use crate::service::{Builtin, Handover};
use crate::source::Spanned;

/// What asks hosts.allow and hosts.deny for an inetd.
const TCPD: &[u8] = b"/usr/sbin/tcpd";

/// Makes a line of a service.
pub(super) fn convert(
    entry: &Entry,
    attributes: &Attributes,
    dialect: &Dialect,
    facts: &mut dyn Facts,
) -> Converted {
    let mut losses = Losses::default();
    lost_attributes(attributes, &mut losses);
    let is_internal = entry.program.value == b"internal";
    if is_internal && (attributes.flags.sensor.is_some() || attributes.redirect.is_some()) {
        return Converted { entries: Vec::new(), losses: losses.0 };
    }
    let own = mux::name(&entry.name).map_or(entry.name.value.as_slice(), |(name, _)| name);
    if is_internal && Builtin::by_name_of_xinetd(own).is_some_and(Builtin::shows_the_daemon) {
        losses.add(&entry.name, Subject::Service, Weight::Whole, "no inetd has such an internal service");
        return Converted { entries: Vec::new(), losses: losses.0 };
    }
    let Some((protocol, transport)) = protocol(entry, dialect, &mut losses) else {
        return Converted { entries: Vec::new(), losses: losses.0 };
    };
    let is_rpc = matches!(transport, Transport::Rpc { .. });
    let (name, internal) = name(entry, attributes, is_rpc, &mut losses);
    let (program, arguments) = match is_internal {
        true => (entry.program.clone(), internal.into_iter().collect()),
        false => command(entry, attributes, &mut losses),
    };
    lost_flags(entry, attributes, &mut losses);
    let (owner, account) = owner(entry, facts, &mut losses);
    if !is_internal {
        lost_groups(entry, attributes, other_group(&account, facts), &mut losses);
    }
    let handover = match entry.handover {
        WaitMeaning::Known(handover) | WaitMeaning::TakenFor(handover) => handover,
        WaitMeaning::Unknown => Handover::Connection,
    };
    let line = Entry {
        name,
        protocol,
        transport: Some(transport),
        wait: like(handover.word().as_bytes(), &entry.wait),
        handover: WaitMeaning::Known(handover),
        limits: limits(entry, dialect, &mut losses),
        owner,
        accounts: vec![account],
        program,
        arguments,
        attributes: None,
        ..entry.clone()
    };
    Converted { entries: vec![line], losses: losses.0 }
}

fn lost_attributes(attributes: &Attributes, losses: &mut Losses) {
    use Weight::{Aside, Restriction, Whole};
    let name = |words: &Option<Box<Words>>| words.as_ref().map(|words| words.name.clone());
    let word = |word: &Option<Box<Word>>| word.as_deref().cloned();
    let flags = &attributes.flags;
    let lost = [
        (name(&attributes.only_from), Subject::Callers, Restriction, "who may call; hosts.allow can"),
        (name(&attributes.no_access), Subject::Callers, Restriction, "who may not call; hosts.deny can"),
        (name(&attributes.access_times), Subject::Callers, Restriction, "when there is a service"),
        (word(&attributes.max_load), Subject::Callers, Restriction, "under what load there is a service"),
        (word(&flags.id_only), Subject::Callers, Restriction, "that callers have to have an ident answer"),
        (word(&flags.labeled), Subject::Process, Restriction, "a context of SELinux"),
        (word(&attributes.nice), Subject::Process, Restriction, "a priority"),
        (word(&attributes.umask), Subject::Process, Restriction, "a umask"),
        (name(&attributes.environment), Subject::Process, Restriction, "variables"),
        (name(&attributes.pass_environment), Subject::Process, Restriction, "which variables are passed on"),
        (word(&flags.sensor), Subject::Service, Whole, "a sensor"),
        (name(&attributes.redirect), Subject::Service, Whole, "a service of another host"),
        (word(&attributes.deny_time), Subject::Callers, Aside, "for how long a sensor keeps callers out"),
        (name(&attributes.log_type), Subject::Talk, Aside, "where a service is logged"),
        (name(&attributes.log_on_success), Subject::Talk, Aside, "what is logged of callers"),
        (name(&attributes.log_on_failure), Subject::Talk, Aside, "what is logged of those who are refused"),
        (word(&attributes.banner), Subject::Talk, Aside, "a banner"),
        (word(&attributes.banner_success), Subject::Talk, Aside, "a banner"),
        (word(&attributes.banner_fail), Subject::Talk, Aside, "a banner"),
    ];
    for (word, subject, weight, what) in lost {
        losses.add_some(word.as_ref(), subject, weight, &format!("inetd.conf cannot say {what}"));
    }
    for (resource, most) in &attributes.resources {
        let why = format!("inetd.conf has no {}", xinetd::attribute_of(*resource));
        losses.add(most, Subject::Process, Restriction, why);
    }
}

fn lost_flags(entry: &Entry, attributes: &Attributes, losses: &mut Losses) {
    let flags = &attributes.flags;
    for (flag, is_set) in [("KEEPALIVE", flags.keep_alive), ("NODELAY", flags.no_delay)] {
        if is_set {
            let why = format!("inetd.conf has no {flag}");
            losses.add(&entry.name, Subject::SocketOptions, Weight::Aside, why);
        }
    }
    if entry.program.value == b"internal" && !flags.no_libwrap {
        let why = "xinetd asks hosts.allow and hosts.deny for its internal services, an inetd with -W only";
        losses.add(&entry.name, Subject::Tables, Weight::Restriction, why);
    }
}

/// `other`: the group that is written where the user's own is another one.
fn lost_groups(entry: &Entry, attributes: &Attributes, other: Option<&Word>, losses: &mut Losses) {
    if !attributes.has_groups {
        let why =
            "an inetd gives programs all groups of their users, which xinetd does with groups = yes only";
        losses.add(&entry.owner, Subject::Groups, Weight::Aside, why);
    } else if let Some(group) = other {
        let why = "an inetd puts this group in the place of the user's own, which xinetd keeps too";
        losses.add(group, Subject::Groups, Weight::Aside, why);
    }
}

/// The word for the same sockets.
fn protocol(entry: &Entry, dialect: &Dialect, losses: &mut Losses) -> Option<(Word, Transport)> {
    let (prefix, protocol, families, is_rpc) = match entry.transport? {
        Transport::Inet { protocol, families } => ("", protocol, families, false),
        Transport::Rpc { protocol, families } => ("rpc/", protocol, families, true),
        Transport::Unix => return None,
    };
    let find = |is: fn(&Families) -> bool| dialect.protocol_word(protocol, is);
    let v4 = || find(|families| matches!(families, Families::V4(_)));
    let v6 = || find(|families| matches!(families, Families::V6(_)));
    let dual = || {
        let dual = find(|families| matches!(families, Families::Dual(_)));
        dual.or_else(|| find(|families| matches!(families, Families::Mapped(_))))
    };
    let found = match families {
        Families::V4(_) => v4(),
        Families::V6(_) => v6(),
        Families::Both(..) | Families::OfHost(_) => find(|families| matches!(families, Families::Both(..))),
        Families::Dual(_) | Families::Mapped(_) => dual(),
    };
    let (word, families) = match found.or_else(dual).or_else(v4) {
        Some(known) => {
            if found.is_none() {
                let why = format!("{} has no word for its sockets", dialect.name);
                losses.add(&entry.protocol, Subject::Addresses, Weight::Restriction, why);
            }
            known
        }
        None => {
            losses.add(&entry.protocol, Subject::Service, Weight::Whole, "there is no such protocol");
            return None;
        }
    };
    let transport = match is_rpc {
        true => Transport::Rpc { protocol, families },
        false => Transport::Inet { protocol, families },
    };
    Some((like(&[prefix.as_bytes(), word].concat(), &entry.protocol), transport))
}

/// The name or the port, and which internal service it is where the port does not say it.
fn name(entry: &Entry, attributes: &Attributes, is_rpc: bool, losses: &mut Losses) -> (Word, Option<Word>) {
    let is_mux = mux::name(&entry.name).is_some();
    let says_id = attributes.id.as_ref().filter(|id| !is_mux && id.span != entry.name.span);
    losses.add_some(says_id, Subject::Name, Weight::Aside, "inetd.conf has no names for logs");
    match &attributes.port {
        Some(port) if is_mux || is_rpc => {
            losses.add(port, Subject::Name, Weight::Aside, "a port is of no use here");
            (entry.name.clone(), None)
        }
        Some(port) => {
            if entry.program.value != b"internal" && says_id.is_none() && entry.name.value != port.value {
                let why = "the line has the port in the name's place";
                losses.add(&entry.name, Subject::Name, Weight::Aside, why);
            }
            (port.clone(), Some(entry.name.clone()))
        }
        None => {
            if attributes.is_unlisted && !is_mux && !is_rpc {
                let why = "an UNLISTED service without a port is none";
                losses.add(&entry.name, Subject::Service, Weight::Whole, why);
            }
            (entry.name.clone(), None)
        }
    }
}

/// The program, behind tcpd where hosts.allow and hosts.deny are asked.
fn command(entry: &Entry, attributes: &Attributes, losses: &mut Losses) -> (Word, Vec<Word>) {
    let server = &entry.program;
    if attributes.flags.no_libwrap || base(&server.value) == b"tcpd" {
        return (server.clone(), entry.arguments.clone());
    }
    let own = base(&server.value);
    let mut arguments = entry.arguments.iter();
    if let Some(first) = arguments.next().filter(|first| first.value != own) {
        let name = printable(own);
        let why =
            format!("tcpd starts the program as {name}, and asks hosts.allow and hosts.deny for that name");
        losses.add(first, Subject::Command, Weight::Restriction, why);
    }
    if let Some(name) = attributes.libwrap.as_ref().filter(|name| name.value != own) {
        let why = format!("tcpd asks hosts.allow and hosts.deny for {}", printable(own));
        losses.add(name, Subject::Tables, Weight::Restriction, why);
    }
    let arguments = std::iter::once(server.clone()).chain(arguments.cloned());
    (like(TCPD, server), arguments.collect())
}

fn owner(entry: &Entry, facts: &mut dyn Facts, losses: &mut Losses) -> (Word, Account) {
    let group = entry.accounts.first().and_then(|account| account.group.clone());
    let is_number = |word: &&Word| !word.value.is_empty() && word.value.iter().all(u8::is_ascii_digit);
    for number in [Some(&entry.owner), group.as_ref()].into_iter().flatten().filter(is_number) {
        let why = "inetd.conf has names of users and groups, not numbers";
        losses.add(number, Subject::User, Weight::Restriction, why);
    }
    let name = std::str::from_utf8(&entry.owner.value).unwrap_or_default();
    if name.contains(['.', ':', '/']) && !facts.user(name).is_ok_and(|found| found.is_some()) {
        let why = "there is no such user, and inetd.conf would take a part of the name for a group";
        losses.add(&entry.owner, Subject::User, Weight::Restriction, why);
    }
    // Whom an internal service is said to run as does not matter.
    let user = if entry.owner.value.is_empty() { like(b"root", &entry.owner) } else { entry.owner.clone() };
    let owner = match &group {
        Some(group) => like(&[&user.value, b":".as_slice(), &group.value].concat(), &user),
        None => user.clone(),
    };
    (owner, Account { user, group })
}

fn limits(entry: &Entry, dialect: &Dialect, losses: &mut Losses) -> LimitWords {
    let words = &entry.limits;
    if let Some([count, _]) = &words.rate {
        let why = "inetd.conf counts starts a minute, and does not rest";
        losses.add(count, Subject::Starts, Weight::Restriction, why);
    }
    let mut number = |limit: &Option<LimitWord>, subject: Subject| {
        let limit = limit.as_ref()?;
        match limit_number(limit) {
            Ok(number) => number.map(|number| (number, limit.word.clone())),
            Err(()) => {
                losses.add(&limit.word, subject, Weight::Restriction, "this is no number");
                None
            }
        }
    };
    let is_internal = entry.program.value == b"internal";
    let children = number(&words.children, Subject::Children);
    let sources = number(&words.source_children, Subject::SourceChildren);
    let counted = |number: u32, word: &Word, zero| {
        let word = like(number.to_string().as_bytes(), word);
        Some(LimitWord { word, zero, numeral: Numeral::Decimal, refuses: false })
    };
    match (children, sources) {
        (None, None) => LimitWords::default(),
        (Some((count, word)), None) if dialect.limits_children() => {
            LimitWords { children: counted(count, &word, Zero::Never), ..LimitWords::default() }
        }
        // Behind the slashes 0 is no limit, and not the one that internal services have where nothing is said.
        (children, Some((sources @ 1.., word)))
            if dialect.limits_sources()
                && children.as_ref().map_or(!is_internal, |(count, _)| *count > 0) =>
        {
            let (count, place) = children.unwrap_or((0, word.clone()));
            LimitWords {
                children: counted(count, &place, Zero::Unlimited),
                source_starts: counted(0, &word, Zero::Unlimited),
                source_children: counted(sources, &word, Zero::Unlimited),
                ..LimitWords::default()
            }
        }
        (Some((count @ 1.., word)), None) if dialect.limits_sources() => {
            LimitWords { children: counted(count, &word, Zero::Unlimited), ..LimitWords::default() }
        }
        (children, sources) => {
            let why = format!("{} has no such limit on a line", dialect.name);
            let all = [(children, Subject::Children), (sources, Subject::SourceChildren)];
            for (limit, subject) in all {
                losses.add_some(limit.map(|(_, word)| word).as_ref(), subject, Weight::Restriction, &why);
            }
            LimitWords::default()
        }
    }
}

/// Another word at the place of one.
fn like(text: &[u8], word: &Word) -> Word {
    Spanned::new(text.into(), word.span)
}
