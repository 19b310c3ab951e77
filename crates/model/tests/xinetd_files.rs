//! Files that packages and images have in /etc/xinetd.d: each is read with the findings that it deserves, and means what
//! whoever wrote it meant.

mod world;

use std::net::IpAddr;
use std::time::Duration;

use usherd_model::config::convert::{Leniency, Subject, Target, Weight, convert};
use usherd_model::config::inetd::DialectName;
use usherd_model::guard::Admits;
use usherd_model::policy::{LogOnFailure, LogOnSuccess, LogTarget};
use usherd_model::process_settings::{Resource, ResourceLimit};
use usherd_model::service::{Builtin, Handover, Identity, Rate, Service, SocketKind, Task};
use world::{Files, Table, parse_xinetd, read_xinetd};

macro_rules! kept {
    ($name:literal) => {
        include_str!(concat!("corpus/xinetd/", $name))
    };
}

/// The services of a file, with the codes of what is found in it.
fn read(text: &str) -> (Vec<Service>, Vec<&'static str>) {
    let (config, diagnostics, _) = read_xinetd(text, &mut Files(Vec::new()));
    assert!(config.broken.is_empty(), "{diagnostics:?}");
    (config.services, diagnostics.iter().map(|diagnostic| diagnostic.code).collect())
}

/// The only service of a file, in which just this is found.
#[track_caller]
fn one(text: &str, findings: &[&str]) -> Service {
    let (services, codes) = read(text);
    assert_eq!(codes, findings);
    let [service] = services.as_slice() else { panic!("one service, not {services:?}") };
    service.clone()
}

fn address(service: &Service) -> String {
    let all: Vec<String> = service.listeners.iter().map(|listener| listener.key.address.display()).collect();
    all.join(" ")
}

/// User, group and other groups; the command with its arguments.
#[track_caller]
fn runs(service: &Service) -> (u32, u32, Vec<u32>, String) {
    let program = service.program().expect("a program");
    let Identity::User(user) = &program.identity else { panic!("{:?}", program.identity) };
    let words = std::iter::once(program.command.path()).chain(program.command.arguments());
    let words: Vec<String> = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    (user.uid, user.gid, user.groups.clone(), words.join(" "))
}

fn lets_in(service: &Service, address: &str) -> bool {
    let address: IpAddr = address.parse().expect("an address");
    let peers = service.policy.as_ref().and_then(|policy| policy.guard.peers.as_ref());
    peers.is_none_or(|peers| peers.admits(address) == Admits::Yes)
}

/// Whether there is a service at this hour and minute.
fn is_there(service: &Service, hour: u16, minute: u16) -> bool {
    let times = service.policy.as_ref().and_then(|policy| policy.guard.times.as_ref());
    times.is_none_or(|times| times.admits(hour * 60 + minute))
}

#[test]
fn check_mk_agent() {
    let service = one(kept!("check-mk-agent"), &[]);
    assert_eq!(
        (&*service.name, address(&service).as_str()),
        (b"check_mk".as_slice(), "[::]:6556 (IPv4 too)")
    );
    assert_eq!(runs(&service), (0, 0, vec![], "/usr/bin/check_mk_agent check_mk_agent".to_owned()));
    assert_eq!((service.limits.source_children, service.limits.children), (Some(3), None));
    assert!(lets_in(&service, "192.0.2.1"));
    assert_eq!(service.policy, None);
}

#[test]
fn checks_of_databases() {
    // /etc/services has no such name, and it says no UNLISTED, which xinetd refuses.
    let service = one(kept!("mysqlchk"), &["port-not-listed"]);
    assert_eq!(address(&service), "[::]:9200 (IPv4 too)");
    assert_eq!(runs(&service), (65534, 65534, vec![], "/usr/bin/clustercheck clustercheck".to_owned()));
    assert_eq!(service.limits.source_children, None);
    assert!(lets_in(&service, "192.0.2.1"));
    let failure = service.policy.as_ref().map(|policy| policy.log.failure);
    assert_eq!(failure, Some(LogOnFailure { attempt: true, host: false, user: true }));

    let service = one(kept!("galera-monitor"), &[]);
    assert_eq!(address(&service), "*:9200");
    assert_eq!(runs(&service), (0, 0, vec![0], "/usr/bin/clustercheck clustercheck".to_owned()));
    let policy = service.policy.expect("a log");
    assert_eq!(policy.log.success, LogOnSuccess::default());
    assert_eq!(policy.log.failure, LogOnFailure { attempt: true, host: true, user: false });
}

#[test]
fn tftp() {
    let service = one(kept!("tftp"), &[]);
    assert_eq!(address(&service), "*:69");
    assert_eq!(service.listeners[0].key.kind, SocketKind::Datagram);
    assert_eq!(runs(&service), (0, 0, vec![], "/usr/sbin/in.tftpd in.tftpd -s /var/lib/tftpboot".to_owned()));
    assert_eq!(service.program().map(|program| program.handover), Some(Handover::Listener));
    assert_eq!(service.limits.starts, Some(Rate { count: 100, window: Duration::from_secs(1) }));
    assert_eq!(
        (service.limits.rest, service.limits.source_children),
        (Some(Duration::from_secs(2)), Some(11))
    );
}

#[test]
fn rsync_and_git() {
    let service = one(kept!("rsync"), &[]);
    assert_eq!(address(&service), "[::]:873 (IPv4 too)");
    assert_eq!(runs(&service), (0, 0, vec![], "/usr/bin/rsync rsync --daemon".to_owned()));
    let service = one(kept!("git-daemon"), &[]);
    assert_eq!((&*service.name, address(&service).as_str()), (b"git".as_slice(), "[::]:9418 (IPv4 too)"));
    let (uid, .., command) = runs(&service);
    assert_eq!(uid, 65534);
    assert!(command.starts_with("/usr/libexec/git-core/git-daemon git-daemon --base-path="), "{command}");
    assert!(command.ends_with(" --syslog --inetd --verbose"), "{command}");
}

#[test]
fn amanda() {
    let service = one(kept!("amanda"), &[]);
    assert_eq!(address(&service), "*:10080");
    let command = "/usr/lib/amanda/amandad amandad -auth=bsdtcp amdump amindexd amidxtaped";
    assert_eq!(runs(&service), (34, 6, vec![34], command.to_owned()));
}

#[test]
fn cvs() {
    let service = one(kept!("cvspserver"), &[]);
    assert_eq!(address(&service), "[::]:2401 (IPv4 too)");
    let command = "/usr/bin/cvs cvs -f --allow-root=/var/lib/cvs --allow-root=/srv/cvs pserver";
    assert_eq!(runs(&service), (0, 0, vec![], command.to_owned()));
    let process = service.program().and_then(|program| program.process.clone()).expect("variables");
    assert_eq!(*process.environment.set, [Box::from(b"HOME=/var/lib/cvs".as_slice())]);
    assert!(process.environment.inherits(b"PATH=/bin") && !process.environment.inherits(b"TERM=dumb"));
}

#[test]
fn a_task_of_a_game() {
    // Words behind the numbers, and a banner that the image has and this machine does not.
    let service = one(kept!("ctf"), &["comment-behind", "comment-behind", "no-banner"]);
    assert_eq!(address(&service), "*:9999");
    let command = "/usr/sbin/chroot chroot --userspec=1000:1000 /home/ctf ./pwn";
    assert_eq!(runs(&service), (0, 0, vec![], command.to_owned()));
    assert_eq!(service.limits.source_children, Some(10));
    let process = service.program().and_then(|program| program.process.clone()).expect("limits");
    assert_eq!(*process.limits, [ResourceLimit { resource: Resource::Cpu, most: Some(20) }]);
}

#[test]
fn nrpe() {
    let service = one(kept!("nrpe"), &["port-not-listed"]);
    assert_eq!(address(&service), "[::]:5666 (IPv4 too)");
    let command = "/usr/local/nagios/bin/nrpe nrpe -c /usr/local/nagios/etc/nrpe.cfg --inetd";
    assert_eq!(runs(&service), (119, 125, vec![], command.to_owned()));
    for (address, expected) in [
        ("127.0.0.1", true),
        ("::1", true),
        ("192.0.2.77", true),
        ("192.0.3.1", false),
        ("2001:db8::1", false),
    ] {
        assert_eq!(lets_in(&service, address), expected, "{address}");
    }
}

#[test]
fn telnet_and_swat() {
    let service = one(kept!("telnet"), &[]);
    assert_eq!(address(&service), "[::]:23 (IPv4 too)");
    assert_eq!(runs(&service), (0, 0, vec![], "/usr/sbin/in.telnetd in.telnetd".to_owned()));
    assert!(lets_in(&service, "192.0.2.12") && !lets_in(&service, "192.0.2.13"));
    assert!(is_there(&service, 8, 0) && is_there(&service, 18, 30));
    assert!(!is_there(&service, 7, 59) && !is_there(&service, 18, 31));

    let service = one(kept!("swat"), &[]);
    assert_eq!(address(&service), "[::]:901 (IPv4 too)");
    assert!(lets_in(&service, "127.0.0.1") && !lets_in(&service, "127.0.0.2") && !lets_in(&service, "::1"));
}

#[test]
fn vsftpd() {
    let service = one(kept!("vsftpd"), &[]);
    assert_eq!((&*service.name, address(&service).as_str()), (b"ftp".as_slice(), "[::]:21 (IPv4 too)"));
    assert_eq!(runs(&service), (0, 0, vec![], "/usr/sbin/vsftpd vsftpd /etc/vsftpd-xinetd.conf".to_owned()));
    assert_eq!((service.limits.children, service.limits.source_children), (Some(200), Some(5)));
    let process = service.program().and_then(|program| program.process.clone()).expect("a priority");
    assert_eq!(process.nice, Some(10));
    assert!(lets_in(&service, "192.168.1.4") && !lets_in(&service, "192.168.1.3"));
    let policy = service.policy.expect("a policy");
    assert_eq!(policy.banners.failure.as_deref(), Some(b"not you\r\n".as_slice()));
    assert_eq!(policy.log.target, LogTarget::Daemon);
    let success = policy.log.success;
    assert!(success.pid && success.host && success.duration && !success.exit);
}

#[test]
fn ident_and_uucp() {
    let service = one(kept!("ident"), &[]);
    assert_eq!((&*service.name, address(&service).as_str()), (b"auth".as_slice(), "[::]:113 (IPv4 too)"));
    assert_eq!(runs(&service), (65534, 65534, vec![], "/usr/sbin/in.identd in.identd -w -e".to_owned()));
    assert_eq!(service.program().map(|program| program.handover), Some(Handover::Listener));

    let service = one(kept!("uucp"), &[]);
    assert_eq!(address(&service), "[::]:540 (IPv4 too)");
    assert_eq!(runs(&service), (10, 10, vec![], "/usr/sbin/in.uucpd in.uucpd".to_owned()));
    assert_eq!(service.limits.children, Some(10));
    let process = service.program().and_then(|program| program.process.clone()).expect("a umask");
    assert_eq!(process.umask, Some(0o22));
}

#[test]
fn internal_services_of_debian() {
    let (services, codes) = read(kept!("debian"));
    // `servers` and `services` are switched off, as Debian ships them.
    assert_eq!(codes, ["udp-amplifier"; 4]);
    let found: Vec<(String, Builtin, String)> = services
        .iter()
        .map(|service| match &service.task {
            Task::Builtin(builtin) => (service.display_name(), *builtin, address(service)),
            Task::Program(_) | Task::Redirect(_) => panic!("{service:?}"),
        })
        .collect();
    let expected = [
        ("chargen", Builtin::ChargenOfXinetd, 19),
        ("daytime", Builtin::DaytimeOfXinetd, 13),
        ("discard", Builtin::Discard, 9),
        ("echo", Builtin::Echo, 7),
        ("time", Builtin::Time, 37),
    ];
    let expected: Vec<(String, Builtin, String)> = expected
        .into_iter()
        .flat_map(|(name, builtin, port)| {
            ["stream", "dgram"]
                .map(|kind| (format!("{name}-{kind}"), builtin, format!("[::]:{port} (IPv4 too)")))
        })
        .collect();
    assert_eq!(found, expected);
    let on = kept!("debian").replace("disable		= yes", "disable		= no");
    let (config, diagnostics, _) = read_xinetd(&on, &mut Files(Vec::new()));
    let open = diagnostics.iter().filter(|diagnostic| diagnostic.code == "shown-to-others").count();
    assert_eq!((config.services.len(), config.broken.len(), open), (10, 2, 2));
}

#[test]
fn a_main_file_holds_for_what_it_includes() {
    let mut files = Files(vec![("/etc/xinetd.d", kept!("uucp"))]);
    let (config, diagnostics, _) = read_xinetd(kept!("xinetd.conf"), &mut files);
    assert_eq!(diagnostics, []);
    let [service] = config.services.as_slice() else { panic!("one") };
    // What the service says itself counts, and lists are added to.
    assert_eq!((service.limits.children, service.limits.source_children), (Some(10), Some(10)));
    assert_eq!(runs(service).2, [10]);
    let process = service.program().and_then(|program| program.process.clone()).expect("a umask");
    assert_eq!(process.umask, Some(0o22));
    let log = &service.policy.as_ref().expect("a log").log;
    assert_eq!(log.target, LogTarget::Syslog { facility: 3, level: 6 });
    assert_eq!(log.failure, LogOnFailure { attempt: true, host: true, user: true });
    assert!(log.success.exit && log.success.duration);
}

/// What `usherd convert --to inetd` makes of these files: what would be more open is off.
#[test]
fn what_they_lose_as_lines_of_an_inetd() {
    let converted = |text: &str| {
        let (tree, _, sources) = parse_xinetd(text.as_bytes(), &mut Files(Vec::new()));
        let target = Target::Inetd(DialectName::Union);
        let pieces = convert(&tree, &sources, target, Leniency::Strict, &mut Table::default());
        let losses = pieces.into_iter().flat_map(|piece| piece.losses);
        let restrictions = losses.filter(|loss| loss.weight > Weight::Aside);
        restrictions.map(|loss| loss.subject).collect::<Vec<_>>()
    };
    for (text, expected) in [
        (kept!("check-mk-agent"), &[][..]),
        (kept!("rsync"), &[]),
        (kept!("git-daemon"), &[]),
        (kept!("amanda"), &[]),
        (kept!("ident"), &[]),
        (kept!("galera-monitor"), &[]),
        (kept!("mysqlchk"), &[Subject::Callers]),
        (kept!("tftp"), &[Subject::Starts]),
        (kept!("cvspserver"), &[Subject::Process, Subject::Process]),
        (kept!("ctf"), &[Subject::Process]),
        (kept!("nrpe"), &[Subject::Callers]),
        (kept!("telnet"), &[Subject::Callers, Subject::Callers]),
        (kept!("swat"), &[Subject::Callers]),
        (kept!("vsftpd"), &[Subject::Callers, Subject::Process]),
        (kept!("uucp"), &[Subject::Process]),
    ] {
        assert_eq!(converted(text), expected, "{text}");
    }
    // An inetd asks hosts.allow and hosts.deny for its own services with -W only, and has never had two of these.
    let lost = converted(kept!("debian"));
    let count = |subject| lost.iter().filter(|other| **other == subject).count();
    assert_eq!((count(Subject::Tables), count(Subject::Service), count(Subject::Callers)), (10, 2, 2));
}
