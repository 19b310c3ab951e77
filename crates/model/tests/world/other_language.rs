//! Whatever a test reads is written in the other language too: what is read of that has to be the same service, but for
//! what the losses name.

use std::collections::BTreeSet;
use std::sync::Arc;

use usherd_model::config::convert::{Leniency, Loss, Piece, Subject, Target, Weight, convert};
use usherd_model::config::inetd::{self, DialectName};
use usherd_model::config::syntax::{Entry, Tree};
use usherd_model::config::xinetd::{self, Switch};
use usherd_model::config::{Defaults, NoIncludes, check};
use usherd_model::diagnostic::{Diagnostic, Diagnostics, Severity};
use usherd_model::policy::Policy;
use usherd_model::service::{
    CallerVariables, Extras, Identity, InetAddress, ListenAddress, Origin, RpcAddress, Service, SocketKind,
    Task, Voice,
};
use usherd_model::source::Sources;

use super::{Table, defaults};

/// More entries of one text are the same again.
const MOST: usize = 300;

/// Converts each service of a tree that was read in a dialect, or of an xinetd.conf, and reads it again.
pub fn assert_same(tree: &Tree, sources: &Sources, dialect: DialectName) {
    for entry in tree.entries.iter().take(MOST) {
        let target =
            if entry.attributes.is_some() { Target::Inetd(DialectName::Union) } else { Target::Xinetd };
        assert_converts(entry, sources, target);
        // And in its own.
        let target = if entry.attributes.is_some() { Target::Xinetd } else { Target::Inetd(dialect) };
        assert_converts(entry, sources, target);
    }
    assert_whole(tree, sources);
}

/// All of a tree at once: no text spoils another, and what is off stays off.
fn assert_whole(tree: &Tree, sources: &Sources) {
    let tree = &Tree { entries: tree.entries.iter().take(MOST).cloned().collect(), ..tree.clone() };
    for target in [Target::Xinetd, Target::Inetd(DialectName::Union)] {
        let pieces = written(tree, sources, target, Leniency::Strict);
        assert_eq!(pieces.len(), tree.entries.len() + tree.off.len());
        let texts: Vec<&[u8]> = pieces.iter().map(|piece| piece.text.as_slice()).collect();
        let (read, _, diagnostics) = parsed(&texts.concat(), target);
        assert_eq!(errors(&diagnostics), [""; 0], "{}", shown(&texts.concat()));
        let on = pieces.iter().filter(|piece| piece.switch == Switch::On).count();
        assert!(read.entries.len() >= on && read.broken.is_empty(), "{}", shown(&texts.concat()));
        if on == 0 {
            assert_eq!(read.entries.len(), 0, "{}", shown(&texts.concat()));
        }
    }
}

fn assert_converts(entry: &Entry, sources: &Sources, target: Target) {
    let tree = Tree { entries: vec![entry.clone()], ..Tree::default() };
    let [strict] = &*written(&tree, sources, target, Leniency::Strict) else { panic!("one piece") };
    let [lossy] = &*written(&tree, sources, target, Leniency::Lossy) else { panic!("one piece") };
    let text = shown(&lossy.text);
    let weight = lossy.losses.iter().map(|loss| loss.weight).max();
    assert_eq!(strict.switch == Switch::On, weight < Some(Weight::Restriction), "{}", shown(&strict.text));
    assert_eq!(lossy.switch == Switch::On, weight < Some(Weight::Whole), "{text}");
    for piece in [strict, lossy] {
        let (read, _, diagnostics) = parsed(&piece.text, target);
        assert_eq!(errors(&diagnostics), [""; 0], "{text}");
        assert_eq!(!read.entries.is_empty(), piece.switch == Switch::On, "{}", shown(&piece.text));
    }
    if strict.switch == Switch::On {
        assert_eq!(strict, lossy);
    }
    if lossy.switch == Switch::On {
        assert_means_the_same(&tree, sources, lossy, target);
    }
}

fn assert_means_the_same(tree: &Tree, sources: &Sources, piece: &Piece, target: Target) {
    let before = services(tree, sources);
    let (read, sources, _) = parsed(&piece.text, target);
    let after = services(&read, &sources);
    let text = shown(&piece.text);
    let lost = |subject: Subject| piece.losses.iter().any(|loss: &Loss| loss.subject == subject);
    let Some(before) = before.into_iter().next() else {
        // What is wrong there is wrong here, unless just that was lost.
        let is_open = piece.losses.iter().all(|loss| loss.weight < Weight::Restriction);
        assert!(after.is_empty() || !is_open || lost(Subject::Talk), "nothing before: {text}");
        return;
    };
    // As many sockets as there are addresses; all else is the same.
    let mut listeners: BTreeSet<(ListenAddress, SocketKind)> = BTreeSet::new();
    for service in &after {
        listeners.extend(sockets(service));
        let name = String::from_utf8_lossy(&service.name).into_owned();
        let entry = &tree.entries[0];
        let own = [&entry.name.value, &entry.id().value].map(|word| String::from_utf8_lossy(word));
        let port = entry.attributes.as_ref().and_then(|attributes| attributes.port.as_ref());
        let known = own.iter().any(|own| name.starts_with(&**own) || own.ends_with(&name))
            || port.is_some_and(|port| port.value == name)
            || lost(Subject::Name);
        assert!(known, "{name} is not known by {own:?}: {text}");
    }
    let (one, other) = (plain(before.clone(), &lost), after.into_iter().map(|service| plain(service, &lost)));
    for other in other {
        assert_eq!(one, other, "{text}");
    }
    if !lost(Subject::Addresses) {
        assert_eq!(sockets(&before), listeners, "{text}");
    }
}

/// A service without its name, its place, its sockets, and what belongs to the language and not to it: limits that nobody
/// wrote, variables of callers, the words of the log and of internal services. What is lost is taken away too.
fn plain(mut service: Service, lost: &dyn Fn(Subject) -> bool) -> (Service, Vec<Extras>) {
    let mut extras: Vec<Extras> =
        service.listeners.iter().map(|listener| listener.extras().clone()).collect();
    extras.dedup();
    if lost(Subject::SocketOptions) {
        extras.clear();
    }
    service.name = Box::default();
    service.origin = Origin { file: 0, line: 0 };
    service.listeners = Box::default();
    let mut limits = (*service.limits).clone();
    // Neither language can say what the other says of starts.
    (limits.starts, limits.rest) = (None, None);
    for (subject, limit) in
        [(Subject::Children, &mut limits.children), (Subject::SourceChildren, &mut limits.source_children)]
    {
        if lost(subject) {
            *limit = None;
        }
    }
    if lost(Subject::SourceStarts) {
        limits.source_starts = None;
    }
    service.limits = Arc::new(limits);
    if let Task::Builtin(builtin) = &mut service.task {
        *builtin = builtin.of_xinetd();
    }
    if let Task::Program(program) = &mut service.task {
        program.variables = CallerVariables::None;
        if lost(Subject::Process) {
            program.process = None;
        }
        if lost(Subject::User) {
            program.identity = Identity::Daemon;
        }
        if let Identity::User(user) = &mut program.identity
            && lost(Subject::Groups)
        {
            Arc::make_mut(user).groups = Vec::new();
        }
        if lost(Subject::Command) {
            program.command = usherd_model::service::CommandLine::new(b"", []);
        }
    }
    if let Some(wrapped) = &mut service.wrapped {
        wrapped.voice = Voice::Tcpd;
    }
    if lost(Subject::Tables) || lost(Subject::Command) {
        service.wrapped = None;
    }
    // Whose name is that of others depends on the others.
    if let Some(policy) = &mut service.policy {
        policy.log.name = None;
    }
    service.policy = service.policy.filter(|policy| **policy != Policy::default());
    if lost(Subject::Talk) || lost(Subject::Callers) {
        service.policy = None;
    }
    (service, extras)
}

/// Where a service is reached. A socket for both families is one for each.
fn sockets(service: &Service) -> BTreeSet<(ListenAddress, SocketKind)> {
    let mut found = BTreeSet::new();
    for listener in &service.listeners {
        let address = &listener.key.address;
        let both = address.inet().filter(|inet| inet.dual && inet.ip().is_unspecified());
        let families = both.map(|inet| {
            ["0.0.0.0", "::"].map(|ip| {
                let ip = ip.parse().expect("an address");
                InetAddress::new(std::net::SocketAddr::new(ip, inet.port()), false)
            })
        });
        let kind = listener.key.kind;
        match (families, address) {
            (Some(families), ListenAddress::Rpc(rpc)) => {
                let rpc =
                    |address| ListenAddress::Rpc(Box::new(RpcAddress { address, program: rpc.program }));
                found.extend(families.map(|address| (rpc(address), kind)));
            }
            (Some(families), _) => found.extend(families.map(|address| (ListenAddress::Inet(address), kind))),
            (None, address) => drop(found.insert((address.clone(), kind))),
        }
    }
    found
}

fn written(tree: &Tree, sources: &Sources, target: Target, leniency: Leniency) -> Vec<Piece> {
    convert(tree, sources, target, leniency, &mut Table::default())
}

fn parsed(text: &[u8], target: Target) -> (Tree, Sources, Diagnostics) {
    let (mut sources, mut tree, mut diagnostics) =
        (Sources::default(), Tree::default(), Diagnostics::default());
    let file = sources.add("converted", text.to_vec());
    match target {
        Target::Xinetd => {
            let mut reading = xinetd::Reading::default();
            reading.read(&mut sources, file, &mut NoIncludes, &mut diagnostics);
            reading.finish(&mut tree, &mut diagnostics);
            tree.off.extend(reading.off(&mut Diagnostics::default()));
        }
        Target::Inetd(dialect) => {
            let dialect = dialect.dialect();
            inetd::parse(&mut sources, file, dialect, &mut NoIncludes, &mut tree, &mut diagnostics);
        }
    }
    tree.adds_tcpmux = false;
    (tree, sources, diagnostics)
}

/// The typed services, with the same defaults in both languages.
fn services(tree: &Tree, sources: &Sources) -> Vec<Service> {
    let defaults = Defaults { wraps_programs: None, wraps_builtins: None, ..defaults().of_xinetd() };
    check(sources, tree, &defaults, &mut Table::default(), &mut Diagnostics::default()).services
}

fn errors(diagnostics: &[Diagnostic]) -> Vec<String> {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    errors.map(|error| format!("{}: {}", error.code, error.message)).collect()
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
