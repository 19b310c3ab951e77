//! What a new configuration changes.
//!
//! A reload is a transaction: the loader has read and checked everything before the core hears of it, and the plan is
//! a value before anything is touched. A socket that both configurations mean is never closed. What a bad line or an
//! unreadable file would have replaced goes on as it was.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::service::{Config, Listener, ListenerKey, Service, SocketKind};

/// What becomes of each service; indices count the services of the new configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<Id> {
    /// One for each new service.
    pub successors: Vec<Successor<Id>>,
    /// Running services that nothing takes over.
    pub remove: Vec<Id>,
    /// Running services whose sockets may go to others, or to nobody.
    pub contested: Vec<Id>,
    /// Sockets that are to be closed.
    pub close: Vec<ListenerKey>,
}

/// What a new service is to those that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successor<Id> {
    /// It takes over this one, with its counts and its programs, and has the same sockets.
    Same(Id),
    /// It takes over this one; sockets may come and go.
    Takes(Id),
    /// Nothing.
    New,
}

/// What goes on although the new configuration does not have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The names of services whose new line cannot be used.
    pub lines: Vec<String>,
    /// Files and folders that could not be read, and how many services came from each.
    pub unread: BTreeMap<String, u32>,
}

/// Compares what runs with what is to run.
///
/// A new service takes over the running one that has the first of its sockets that is open, unless another new
/// service has taken it over before. Most reloads change a few lines: what stands before and behind them, in the same
/// order, is paired without looking anything up. A service that has other sockets than before takes over the one of its
/// name, among those that run and those of which only programs are `left`: what it has started and what still runs
/// counts against its limits.
pub fn plan<'a, Id: Copy + Eq + std::hash::Hash>(
    running: impl Iterator<Item = (Id, &'a Service)>,
    left: impl Iterator<Item = (Id, &'a Service)>,
    new: &Config,
) -> Plan<Id> {
    let running: Vec<(Id, &Service)> = running.collect();
    let before = paired(running.iter(), new.services.iter());
    let behind = paired(running[before..].iter().rev(), new.services[before..].iter().rev());
    let contested = &running[before..running.len() - behind];
    let wanted = &new.services[before..new.services.len() - behind];
    let same =
        |running: &[(Id, &Service)]| running.iter().map(|(id, _)| Successor::Same(*id)).collect::<Vec<_>>();
    let mut plan = plan_contested(contested, left, wanted);
    plan.successors = [
        same(&running[..before]),
        std::mem::take(&mut plan.successors),
        same(&running[running.len() - behind..]),
    ]
    .concat();
    plan
}

/// How many services of both lists, from their beginning, have the same sockets.
fn paired<'a, 'b: 'a, Id: 'a>(
    running: impl Iterator<Item = &'a (Id, &'b Service)>,
    new: impl Iterator<Item = &'a Service>,
) -> usize {
    let has_key = |(a, b): (&Listener, &Listener)| a.key == b.key;
    let same = |(running, new): (&Service, &Service)| {
        running.listeners.len() == new.listeners.len()
            && running.listeners.iter().zip(&new.listeners).all(has_key)
    };
    running.zip(new).take_while(|((_, running), new)| same((running, new))).count()
}

fn plan_contested<'a, Id: Copy + Eq + std::hash::Hash>(
    running: &[(Id, &'a Service)],
    left: impl Iterator<Item = (Id, &'a Service)>,
    new: &[Service],
) -> Plan<Id> {
    let mut owners: HashMap<&ListenerKey, Id> = HashMap::new();
    for (id, service) in running {
        owners.extend(service.listeners.iter().map(|listener| (&listener.key, *id)));
    }
    let mut taken = HashSet::new();
    let mut wanted = HashSet::new();
    let mut successors = Vec::with_capacity(new.len());
    for service in new {
        wanted.extend(service.listeners.iter().map(|listener| &listener.key));
        let owner = service.listeners.iter().find_map(|listener| owners.get(&listener.key).copied());
        let taken_over = owner.filter(|owner| taken.insert(*owner));
        successors.push(taken_over.map_or(Successor::New, Successor::Takes));
    }
    let free = running.iter().copied().filter(|(id, _)| !taken.contains(id)).chain(left);
    let mut free: Vec<(Id, &Service)> = free.collect();
    for (successor, service) in successors.iter_mut().zip(new) {
        let same_name =
            |(_, other): &(Id, &Service)| other.name == service.name && kind(other) == kind(service);
        if *successor == Successor::New
            && let Some(place) = free.iter().position(same_name)
        {
            let (id, _) = free.swap_remove(place);
            taken.insert(id);
            *successor = Successor::Takes(id);
        }
    }
    let contested: Vec<Id> = running.iter().map(|(id, _)| *id).collect();
    let remove = contested.iter().copied().filter(|id| !taken.contains(id)).collect();
    let mut close: Vec<ListenerKey> =
        owners.keys().filter(|key| !wanted.contains(**key)).map(|key| (*key).clone()).collect();
    close.sort();
    Plan { successors, remove, contested, close }
}

fn kind(service: &Service) -> Option<SocketKind> {
    service.listeners.first().map(|listener| listener.key.kind)
}

/// Whether something of a new configuration could not be used, so that [`keep_unusable`] has to look at the old one.
pub fn has_unusable(new: &Config) -> bool {
    !new.broken.is_empty()
        || !new.unreadable.is_empty()
        || !new.garbled.is_empty()
        || new.services.iter().any(Service::is_unusable)
}

/// Puts into `new` what has to go on from `old`: services of files that could not be read, services whose line is
/// bad now, and services whose user or target was known and is not any more.
pub fn keep_unusable(old: &Config, new: &mut Config) -> Kept {
    let mut kept = Kept::default();
    let mut wanted: HashMap<ListenerKey, usize> = HashMap::new();
    for (index, service) in new.services.iter().enumerate() {
        wanted.extend(service.listeners.iter().map(|listener| (listener.key.clone(), index)));
    }
    for service in &old.services {
        let successor = service.listeners.iter().find_map(|listener| wanted.get(&listener.key).copied());
        match successor {
            Some(index) => {
                let successor = &mut new.services[index];
                if successor.is_unusable() && !service.is_unusable() {
                    successor.task = service.task.clone();
                    successor.limits = Arc::clone(&service.limits);
                    kept.lines.push(service.display_name());
                }
            }
            None => {
                let Some(path) = old.files.get(service.origin.file as usize) else { continue };
                if let Some(unread) = unread(path, new) {
                    *kept.unread.entry(unread.clone()).or_default() += 1;
                } else if is_broken(service, path, new) {
                    kept.lines.push(service.display_name());
                } else {
                    continue;
                }
                let mut service = service.clone();
                service.origin.file = file_number(new, path);
                new.services.push(service);
            }
        }
    }
    kept
}

/// The file or folder that could not be read, if this file is that or lies in it.
fn unread<'a>(path: &str, new: &'a Config) -> Option<&'a String> {
    new.unreadable.iter().chain(&new.garbled).find(|unreadable| {
        *unreadable == path
            || path.strip_prefix(unreadable.as_str()).is_some_and(|rest| rest.starts_with('/'))
    })
}

/// Whether the new configuration has a line for the service that cannot be used.
fn is_broken(service: &Service, path: &String, new: &Config) -> bool {
    new.broken
        .iter()
        .any(|broken| broken.name == service.name && new.files.get(broken.origin.file as usize) == Some(path))
}

fn file_number(config: &mut Config, path: &str) -> u32 {
    let known = config.files.iter().position(|file| file == path);
    let index = known.unwrap_or_else(|| {
        config.files.push(path.to_owned());
        config.files.len() - 1
    });
    crate::source::offset(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{
        AtLimit, Broken, Builtin, CallerVariables, CommandLine, Extras, Handover, Identity, InetAddress,
        Limits, ListenAddress, Listener, Origin, Program, Protocol, Redirect, SocketKind, SourcePrefix,
        Stderr, Targets, Task, Unavailable,
    };
    use proptest::prelude::*;

    fn service(name: &str, line: u32, ports: &[u16]) -> Service {
        let listeners = ports.iter().map(|port| {
            let address = ListenAddress::Inet(InetAddress::new(([0, 0, 0, 0], *port).into(), false));
            Listener::new(
                Protocol::Tcp4,
                ListenerKey { address, kind: SocketKind::Stream },
                128,
                Extras::NONE,
            )
        });
        Service {
            name: name.as_bytes().into(),
            origin: Origin { file: 0, line },
            listeners: listeners.collect(),
            task: Task::Builtin(Builtin::Echo),
            limits: Arc::new(Limits {
                starts: None,
                children: None,
                source_starts: None,
                source_children: None,
                source_prefix: SourcePrefix::default(),
                at_limit: AtLimit::Pause,
                rest: None,
            }),
            wrapped: None,
            policy: None,
        }
    }

    fn config(services: Vec<Service>) -> Config {
        Config { files: vec!["/etc/inetd.conf".to_owned()], services, ..Config::default() }
    }

    fn with_identity(mut service: Service, identity: Identity) -> Service {
        service.task = Task::Program(Program {
            command: CommandLine::new(b"/bin/true", [b"true".as_slice()]),
            handover: Handover::Connection,
            identity,
            variables: CallerVariables::None,
            stderr: Stderr::Connection,
            process: None,
        });
        service
    }

    #[test]
    fn an_unreadable_file_keeps_its_services() {
        let old = config(vec![service("a", 1, &[1001])]);
        let mut new = Config { unreadable: vec!["/etc/inetd.conf".to_owned()], ..Config::default() };
        let unread = [("/etc/inetd.conf".to_owned(), 1)].into();
        assert_eq!(keep_unusable(&old, &mut new), Kept { unread, ..Kept::default() });
        assert_eq!(new.services.len(), 1);
        assert_eq!(new.files, ["/etc/inetd.conf"]);
    }

    #[test]
    fn an_unreadable_folder_keeps_the_services_of_its_files() {
        let mut old = config(vec![service("a", 1, &[1001])]);
        old.files = vec!["/etc/inetd.d/a".to_owned()];
        let mut new = Config { unreadable: vec!["/etc/inetd.d".to_owned()], ..Config::default() };
        let unread = [("/etc/inetd.d".to_owned(), 1)].into();
        assert_eq!(keep_unusable(&old, &mut new), Kept { unread, ..Kept::default() });
        let mut other = Config { unreadable: vec!["/etc/inetd".to_owned()], ..Config::default() };
        assert_eq!(keep_unusable(&old, &mut other), Kept::default());
    }

    #[test]
    fn a_bad_line_keeps_the_service_it_names_and_a_removed_one_goes() {
        let old = config(vec![service("a", 1, &[1001]), service("b", 2, &[1002])]);
        let mut new = config(vec![]);
        new.broken = vec![Broken { origin: Origin { file: 0, line: 1 }, name: b"a".as_slice().into() }];
        assert_eq!(keep_unusable(&old, &mut new).lines, ["a"]);
        assert_eq!(new.services, [service("a", 1, &[1001])]);
    }

    #[test]
    fn a_user_that_is_lost_keeps_the_old_program() {
        let known = with_identity(service("a", 1, &[1001]), Identity::Daemon);
        let lost = Identity::Unavailable(Box::new(Unavailable::NoSuchUser("x".to_owned())));
        let old = config(vec![known.clone()]);
        let mut new = config(vec![with_identity(service("a", 7, &[1001]), lost)]);
        assert_eq!(keep_unusable(&old, &mut new).lines, ["a"]);
        assert_eq!(new.services[0].task, known.task);
        assert_eq!(new.services[0].origin.line, 7);
    }

    #[test]
    fn a_target_that_is_lost_keeps_the_old_one() {
        let redirect = |line, redirect| {
            let mut service = service("a", line, &[1001]);
            service.task = Task::Redirect(redirect);
            service
        };
        let targets = Targets::new([([192, 0, 2, 1], 80).into()]).expect("an address");
        let lost = || Redirect::Unavailable("no such host".into());
        let known = redirect(1, Redirect::To(targets));
        let mut new = config(vec![redirect(7, lost())]);
        assert!(has_unusable(&new));
        assert_eq!(keep_unusable(&config(vec![known.clone()]), &mut new).lines, ["a"]);
        assert_eq!(new.services[0].task, known.task);
        let mut new = config(vec![redirect(7, lost())]);
        assert!(keep_unusable(&config(vec![redirect(1, lost())]), &mut new).lines.is_empty());
    }

    prop_compose! {
        fn any_config()(ports in prop::collection::vec(prop::collection::hash_set(1u16..12, 1..4), 0..6)) -> Config {
            let mut used = HashSet::new();
            let mut services = Vec::new();
            for (line, ports) in ports.into_iter().enumerate() {
                let mut ports: Vec<u16> = ports.into_iter().filter(|port| used.insert(*port)).collect();
                ports.sort_unstable();
                if !ports.is_empty() {
                    services.push(service(&format!("s{line}"), u32::try_from(line).expect("few lines"), &ports));
                }
            }
            config(services)
        }
    }

    proptest! {
        /// After the plan exactly the new sockets are open, none that stays was closed, and no service has two heirs.
        #[test]
        fn the_plan_leads_from_the_old_to_the_new(old in any_config(), new in any_config()) {
            let plan = plan(old.services.iter().enumerate(), std::iter::empty(), &new);
            let keys = |config: &Config| -> HashSet<ListenerKey> {
                config.services.iter().flat_map(|service| &service.listeners).map(|l| l.key.clone()).collect()
            };
            let (before, after) = (keys(&old), keys(&new));
            let closed: HashSet<ListenerKey> = plan.close.iter().cloned().collect();
            prop_assert_eq!(&closed, &(&before - &after));
            let heir = |successor: &Successor<usize>| match successor {
                Successor::Same(id) | Successor::Takes(id) => Some(*id),
                Successor::New => None,
            };
            let heirs: Vec<usize> = plan.successors.iter().filter_map(heir).collect();
            let distinct: HashSet<usize> = heirs.iter().copied().collect();
            prop_assert_eq!(heirs.len(), distinct.len());
            let removed: HashSet<usize> = plan.remove.iter().copied().collect();
            prop_assert!(removed.is_disjoint(&distinct));
            prop_assert_eq!(removed.len() + distinct.len(), old.services.len());
            // A short cut leads where the long way leads.
            let running: Vec<(usize, &Service)> = old.services.iter().enumerate().collect();
            let long = plan_contested(&running, std::iter::empty(), &new.services);
            let heirs_of = |successors: &[Successor<usize>]| successors.iter().map(heir).collect::<Vec<_>>();
            prop_assert_eq!(heirs_of(&plan.successors), heirs_of(&long.successors));
            prop_assert_eq!((plan.close, plan.remove), (long.close, long.remove));
        }

        #[test]
        fn the_same_configuration_changes_nothing(config in any_config()) {
            let plan = plan(config.services.iter().enumerate(), std::iter::empty(), &config);
            prop_assert!(plan.close.is_empty() && plan.remove.is_empty());
            let expected: Vec<_> = (0..config.services.len()).map(Successor::Same).collect();
            prop_assert_eq!(plan.successors, expected);
        }
    }
}
