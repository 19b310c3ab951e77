//! Words for what the core says.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use usherd_model::access::{Facility, IpOptions, Verdict};
use usherd_model::admission::Limit;
use usherd_model::config::STARTS_WINDOW;
use usherd_model::diagnostic::printable;
use usherd_model::episode::Held;
use usherd_model::event::{Changes, Ending, Exit, Judged, Log, Remark, Traffic};
use usherd_model::failure::{Errno, StartError, Step};
use usherd_model::guard::DenyTime;
use usherd_model::policy::ServiceLog;
use usherd_model::registry::{Refusal, Registration};
use usherd_model::service::{Handover, Identity, Service, Task, Unavailable, Voice, Wrapped};
use usherd_model::status;
use usherd_model::supervisor::{ListenerId, ServiceId, Supervisor};

use super::{Level, Record, Speaker, xinetd};
use crate::{errno, ip_options};

/// Finds the words for an entry. Names are looked up in `supervisor`, which still has what the entry speaks of.
pub fn describe(log: &Log, supervisor: &Supervisor) -> Record {
    let names = Names(supervisor);
    match log {
        Log::LimitBegan { service, listener, limit, held, peer, pause, errno } => {
            let window = names.window(*service);
            let (level, words) = limit_words(*limit, window, *held, *peer, *pause, *errno);
            let label = names.listener(*listener);
            let name = names.service(*service);
            // Nothing is accepted for a program that gets the listener; the original says what fork says.
            let hands_over = names.hands_over(*listener);
            let call = if hands_over { "fork".to_owned() } else { format!("accept (for {name})") };
            let original = original_of_limit(&call, &label, *limit, *pause, *errno);
            let what = if hands_over && *limit == Limit::Resources { "start: " } else { "" };
            Record::new(level, "limit-began", format!("{label}: {what}{words}"))
                .field("service", name)
                .field("listener", label)
                .field("limit", limit.word())
                .field("peer", peer.map_or_else(String::new, |peer| peer.to_string()))
                .original(original)
                .xinetd(xinetd::limit(&names.logged(*service), *limit, *pause))
        }
        Log::LimitEnded { service, limit, lasted, refused } => {
            let name = names.service(*service);
            let text = format!(
                "{name}: limit on {} no longer met; it was for {} s, {refused} callers were turned away",
                limit.word(),
                lasted.as_secs()
            );
            Record::new(Level::Notice, "limit-ended", text)
                .field("service", name)
                .field("limit", limit.word())
                .field("lasted", format!("{}s", lasted.as_secs()))
                .field("refused", refused.to_string())
        }
        Log::StartFailed { service, listener, error, pause } => {
            start_failed(names, *service, *listener, error, *pause)
        }
        Log::StartRecovered(service) => {
            let name = names.service(*service);
            let what = match names.redirect(*service) {
                Some(_) => "callers reach their target again",
                None => "programs can be started again",
            };
            Record::new(Level::Notice, "start-recovered", format!("{name}: {what}")).field("service", name)
        }
        Log::Judged(judged) => self::judged(names, judged),
        Log::IpOptions { listener, wrapped, address, options } => {
            has_ip_options(names.listener(*listener), wrapped, &printable(address), options)
        }
        Log::Remarked(Remark { daemon, text }) => {
            let daemon = printable(daemon);
            let speaker = Speaker { name: daemon.clone(), facility: DAEMON, level: ERR };
            Record::new(Level::Warning, "access-remark", format!("{daemon}: {text}"))
                .field("daemon", daemon)
                .original(text.clone())
                .speaker(speaker)
        }
        Log::TablesNotRead(why) => {
            let text =
                format!("hosts.allow and hosts.deny could not be read anew: {why}; callers were refused");
            Record::new(Level::Error, "access-tables", text).field("error", why.clone())
        }
        Log::Connected(start, pid) => {
            let name = names.service(start.service);
            let peer = start.peer.map_or_else(String::new, |peer| peer.to_string());
            let from = if peer.is_empty() { String::new() } else { format!(" from {peer}") };
            let log = names.log(start.service);
            let line = xinetd::start(&names.logged(start.service), log.success, *pid, start.peer);
            let process = pid.map_or_else(String::new, |pid| format!(", process {}", pid.0));
            Record::new(Level::Info, "connected", format!("{name}: connection{from}{process}"))
                .field("service", name)
                .field("listener", names.listener(start.listener))
                .field("peer", peer)
                .field("pid", pid.map_or_else(String::new, |pid| pid.0.to_string()))
                .xinetd(line)
                .service_log(log.target)
        }
        Log::Failed { listener, reason, peer } => {
            let (name, log) = (names.name_of(*listener), names.log_of(*listener));
            let line = xinetd::fail(&names.logged_of(*listener), log.failure, *reason, *peer);
            of_caller("refused", names.listener(*listener), name, *peer, line).service_log(log.target)
        }
        Log::Identified { listener, peer, said } => {
            let (name, log) = (names.name_of(*listener), names.log_of(*listener));
            let user = said.as_ref().map(|user| printable(user));
            let line = xinetd::identified(
                &names.logged_of(*listener),
                *peer,
                user.as_deref().map_err(|why| why.as_str()),
            );
            of_caller("identified", names.listener(*listener), name, *peer, line).service_log(log.target)
        }
        Log::Sensed { listener, source, time } => {
            let label = names.listener(*listener);
            let (how_long, xinetd) = match time {
                // In the number that stands for it.
                DenyTime::Forever => ("for ever".to_owned(), "-1 minutes".to_owned()),
                DenyTime::Never => ("not at all".to_owned(), "0 minutes".to_owned()),
                DenyTime::For(time) => {
                    let minutes = time.as_secs() / 60;
                    (format!("for {minutes} min"), format!("{minutes} minutes"))
                }
            };
            let text = format!("{label}: {source} has called a sensor and is denied everywhere, {how_long}");
            Record::new(Level::Critical, "sensed", text)
                .field("listener", label)
                .field("source", source.to_string())
                .xinetd(format!("Adding {source} to the global_no_access list for {xinetd}"))
        }
        // A flood makes a service rest again and again. The others have said when it began and say when it ends;
        // whoever reads xinetd's lines waits for both of each rest.
        Log::RestsAgain { service, rest } => {
            let line = xinetd::rests(&names.logged(*service), *rest);
            Record::new(Level::Error, "rests-again", line).for_xinetd_only()
        }
        Log::Resumed { service, again } => {
            let name = names.service(*service);
            let record = Record::new(Level::Notice, "resumed", format!("{name}: callers are served again"))
                .field("service", name)
                .xinetd(format!("Activating service {}", names.logged(*service)))
                .xinetd_level(Level::Error);
            if *again { record.for_xinetd_only() } else { record }
        }
        Log::Disconnected { service, pid, source, exit, lasted } => {
            let name = names.service(*service);
            let took = format!("{:.3}s", lasted.as_secs_f64());
            let text = match pid {
                Some(pid) => format!("{name}: process {} ended, {} after {took}", pid.0, exit_words(*exit)),
                None => format!("{name}: session ended after {took}"),
            };
            let log = names.log(*service);
            let line = xinetd::exit(&names.logged(*service), log.success, *exit, *pid, *lasted);
            Record::new(Level::Info, "disconnected", text)
                .field("service", name)
                .field("peer", source.as_ref().map_or_else(String::new, IpAddr::to_string))
                .field("pid", pid.map_or_else(String::new, |pid| pid.0.to_string()))
                .field("exit", exit_words(*exit))
                .field("duration", took)
                .xinetd(line)
                .service_log(log.target)
        }
        Log::Redirected { service, listener, peer: caller, target } => {
            let name = names.service(*service);
            let peer = caller.map_or_else(String::new, |peer| peer.to_string());
            let from = if peer.is_empty() { String::new() } else { format!(" from {peer}") };
            let log = names.log(*service);
            let line = xinetd::start(&names.logged(*service), log.success, None, *caller);
            Record::new(Level::Info, "connected", format!("{name}: connection{from}, passed on to {target}"))
                .field("service", name)
                .field("listener", names.listener(*listener))
                .field("peer", peer)
                .field("target", target.to_string())
                .xinetd(line)
                .service_log(log.target)
        }
        Log::RedirectEnded { service, peer, target, traffic: Traffic { received, sent }, ending, lasted } => {
            let name = names.service(*service);
            let took = format!("{:.3}s", lasted.as_secs_f64());
            let how = ending_words(*ending);
            let text = format!("{name}: {how} after {took}, in={received}(bytes) out={sent}(bytes)");
            let line = xinetd::traffic(&names.logged(*service), *received, *sent);
            Record::new(Level::Info, "disconnected", text)
                .field("service", name)
                .field("peer", peer.map_or_else(String::new, |peer| peer.to_string()))
                .field("target", target.map_or_else(String::new, |target| target.to_string()))
                .field("in", received.to_string())
                .field("out", sent.to_string())
                .field("end", how)
                .field("duration", took)
                .xinetd(line)
                .service_log(names.log(*service).target)
        }
        Log::WaitServerFailed(service, exit) => {
            let path = names.program(*service);
            let text = format!("{path}: {}", exit_words(*exit));
            Record::new(Level::Warning, "wait-server-failed", text.clone())
                .field("service", names.service(*service))
                .field("program", path)
                .field("exit", exit_words(*exit))
                .original(text)
        }
        Log::NotOpened(listener, error, wait) => {
            let label = names.listener(*listener);
            let address = names.address(*listener);
            let words = errno::words(error.errno);
            let text = format!(
                "{label}: cannot listen on {address}: {}: {words}; {}trying again every while, first in {} s",
                error.call,
                advice(error.errno),
                wait.as_secs()
            );
            Record::new(Level::Error, "not-opened", text)
                .field("listener", label.clone())
                .field("address", address)
                .field("call", error.call.to_string())
                .field("error", words.clone())
                .original(format!("{label}: {}: {words}", error.call))
        }
        Log::OpenedAtLast(listener) => {
            let label = names.listener(*listener);
            let address = names.address(*listener);
            Record::new(Level::Notice, "opened", format!("{label}: listening on {address} now"))
                .field("listener", label)
                .field("address", address)
        }
        Log::NotRegistered(listener, refusal, wait) => not_registered(names, *listener, refusal, *wait),
        Log::RegisteredAtLast(listener) => {
            let label = names.listener(*listener);
            Record::new(Level::Notice, "registered", format!("{label}: registered with rpcbind now"))
                .field("listener", label)
        }
        Log::AcceptFailed(listener, error) => {
            let label = names.listener(*listener);
            let words = errno::words(*error);
            let name = label.rsplit_once('/').map_or(label.as_str(), |(name, _)| name).to_owned();
            Record::new(Level::Warning, "accept-failed", format!("{label}: accept: {words}"))
                .field("listener", label)
                .field("error", words.clone())
                .original(format!("accept (for {name}): {words}"))
        }
        Log::Configured(Changes { kept, added, changed, removed, unread, is_first }) => {
            let (level, how) = match unread {
                0 => (Level::Notice, "configured"),
                1.. => (Level::Warning, "configured without what cannot be read"),
            };
            let services = kept + added + changed;
            let text = format!(
                "{how}: {services} services ({kept} as before, {added} new, {changed} changed), {removed} gone"
            );
            let old = kept + changed;
            let xinetd = if *is_first {
                format!(
                    "{} started with libwrap loadavg options compiled in.\nStarted working: {services} available service{}",
                    env!("CARGO_PKG_VERSION"),
                    plural(services)
                )
            } else {
                format!("Reconfigured: new={added} old={old} dropped={removed} (services)")
            };
            Record::new(level, "configured", text)
                .xinetd(xinetd)
                .field("kept", kept.to_string())
                .field("added", added.to_string())
                .field("changed", changed.to_string())
                .field("removed", removed.to_string())
                .field("unread", unread.to_string())
        }
        Log::LoadFailed(why) => {
            let text = format!("the configuration could not be read: {why}; going on as before");
            Record::new(Level::Error, "load-failed", text).field("reason", why.clone())
        }
        Log::KeptAll { path, services } => {
            let who = match services {
                1 => "the service that came from it goes on".to_owned(),
                _ => format!("all {services} services that came from it go on"),
            };
            Record::new(Level::Warning, "kept", format!("{path} cannot be read; {who}"))
                .field("path", path.clone())
                .field("services", services.to_string())
        }
        Log::Kept { service } => {
            let text = format!("{service}: the new line cannot be used; the service goes on as it was");
            Record::new(Level::Warning, "kept", text).field("service", service.clone())
        }
    }
}

/// What is said of one who calls, in xinetd's words.
fn of_caller(
    event: &'static str,
    label: String,
    service: String,
    peer: Option<SocketAddr>,
    line: String,
) -> Record {
    Record::new(Level::Info, event, format!("{label}: {line}"))
        .field("service", service)
        .field("listener", label)
        .field("peer", peer.map_or_else(String::new, |peer| peer.to_string()))
        .xinetd(line)
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// In the words of tcpd, or as an inetd that asks by itself would say it.
fn has_ip_options(label: String, wrapped: &Wrapped, address: &str, options: &IpOptions) -> Record {
    let daemon = printable(&wrapped.daemon);
    let (name, facility, (level, original)) = match wrapped.voice {
        Voice::Tcpd => {
            (daemon.clone(), DAEMON, ip_options::line(options, &format!("connect from {address}")))
        }
        Voice::Inetd | Voice::Refusals | Voice::Xinetd => {
            let (service, protocol) = label.rsplit_once('/').unwrap_or((&label, ""));
            let (level, text) = ip_options::line(options, &format!("connection from {address}"));
            (String::new(), AUTH, (level, format!("{text}, service {service} ({protocol})")))
        }
    };
    let speaker = Speaker { name, facility, level: level as u8 };
    Record::new(level, "ip-options", format!("{label}: {original}"))
        .field("listener", label)
        .field("daemon", daemon)
        .field("address", address.to_owned())
        .original(original)
        .speaker(speaker)
}

/// In the words of tcpd, or in those of an inetd that asks by itself.
fn judged(names: Names<'_>, judged: &Judged) -> Record {
    let Judged { listener, wrapped, verdict, twist, client, address, severity, rule, is_undecided } = judged;
    let (client, address, daemon) = (printable(client), printable(address), printable(&wrapped.daemon));
    let label = names.listener(*listener);
    let command = twist.as_ref().map_or_else(String::new, |command| printable(command));
    let (event, word, level) = match verdict {
        Verdict::Allow => ("access-granted", "let in", Level::Info),
        Verdict::Deny => ("access-denied", "refused", Level::Warning),
        Verdict::Twist => ("access-twist", "answered by a command", Level::Warning),
    };
    let by = match (rule.is_empty(), is_undecided) {
        (_, true) => ": something could not be found out".to_owned(),
        (true, false) => String::new(),
        (false, false) => format!(" by {rule}"),
    };
    let is_granted = *verdict == Verdict::Allow;
    let (name, facility, original) = match (wrapped.voice, verdict) {
        (_, Verdict::Twist) => (daemon.clone(), DAEMON, format!("twist {client} to {command}")),
        (Voice::Tcpd, _) => {
            let refused = if is_granted { "" } else { "refused " };
            (daemon.clone(), DAEMON, format!("{refused}connect from {client} ({address})"))
        }
        (Voice::Inetd | Voice::Refusals, _) => {
            let (service, protocol) = label.rsplit_once('/').unwrap_or((&label, ""));
            let refused = if is_granted { "" } else { "refused " };
            let line = format!("{refused}connection from {client}, service {service} ({protocol})");
            (String::new(), AUTH, line)
        }
        (Voice::Xinetd, Verdict::Allow | Verdict::Deny) => {
            let name = names.logged_of(*listener);
            (
                String::new(),
                DAEMON,
                format!("libwrap refused connection to {name} (libwrap={daemon}) from {address}"),
            )
        }
    };
    let speaker = Speaker {
        name,
        facility: severity.and_then(|severity| severity.facility).map_or(facility, Facility::number),
        level: severity.map_or(level as u8, |severity| severity.level.number()),
    };
    Record::new(level, event, format!("{label}: {client} is {word}{by}"))
        .field("listener", label)
        .field("daemon", daemon)
        .field("client", client)
        .field("address", address)
        .field("rule", rule.clone())
        .field("command", command)
        .field("undecided", if *is_undecided { "yes" } else { "" })
        .xinetd(original.as_str())
        .original(original)
        .speaker(speaker)
}

/// Facilities and levels as in syslog(3).
const DAEMON: u8 = 3;
const AUTH: u8 = 4;
const ERR: u8 = 3;

fn not_registered(
    names: Names<'_>,
    listener: ListenerId,
    refusal: &Refusal,
    wait: std::time::Duration,
) -> Record {
    let label = names.listener(listener);
    let Refusal { registration, why } = refusal;
    let Registration { program, version, netid, address } = registration;
    let text = format!(
        "{label}: not registered with rpcbind, so no caller finds it: {why}; trying again every while, first in {} s",
        wait.as_secs()
    );
    let name = label.split_once("/rpc/");
    let original = name.map_or_else(String::new, |(name, protocol)| {
        let (number, port) = (netid.protocol(), address.port());
        format!("{name} rpc/{protocol}: pmap_set: {program} {version} {number} {port}: {why}")
    });
    Record::new(Level::Error, "not-registered", text)
        .field("listener", label.clone())
        .field("program", program.to_string())
        .field("version", version.to_string())
        .field("netid", netid.word())
        .field("error", why.clone())
        .original(original)
}

/// What the original says after that: to it a child that could not become a `wait` program is one that failed.
pub fn describe_more(log: &Log, supervisor: &Supervisor) -> Option<Record> {
    let Log::StartFailed { service, listener, .. } = log else { return None };
    let names = Names(supervisor);
    let text = format!("{}: {}", names.program(*service), exit_words(Exit::Status(1)));
    Some(Record::new(Level::Warning, "wait-server-failed", text)).filter(|_| names.hands_over(*listener))
}

#[derive(Clone, Copy)]
struct Names<'a>(&'a Supervisor);

impl Names<'_> {
    fn service(self, id: ServiceId) -> String {
        self.0.service(id).map_or_else(|| "?".to_owned(), |state| state.service().display_name())
    }

    fn program(self, id: ServiceId) -> String {
        let program = self.0.service(id).and_then(|state| state.service().program());
        program.map_or_else(|| "?".to_owned(), |program| program.command.display())
    }

    /// Where callers of a service are connected to, if they are.
    fn redirect(self, id: ServiceId) -> Option<String> {
        match &self.0.service(id)?.service().task {
            Task::Redirect(redirect) => Some(redirect.to_string()),
            Task::Builtin(_) | Task::Program(_) => None,
        }
    }

    fn listener(self, id: ListenerId) -> String {
        let both = self.0.service_of(id).zip(self.0.spec(id));
        both.map_or_else(|| "?".to_owned(), |(service, spec)| service.label(spec))
    }

    fn name_of(self, id: ListenerId) -> String {
        self.0.service_of(id).map_or_else(|| "?".to_owned(), Service::display_name)
    }

    /// The name in lines of xinetd's form.
    fn logged(self, id: ServiceId) -> String {
        self.0.service(id).map_or_else(|| "?".to_owned(), |state| state.service().logged_name())
    }

    /// The same of the service of a listener.
    fn logged_of(self, id: ListenerId) -> String {
        self.0.service_of(id).map_or_else(|| "?".to_owned(), Service::logged_name)
    }

    /// What is logged of a service's callers, and where.
    fn log(self, id: ServiceId) -> ServiceLog {
        let service = self.0.service(id).map(|state| state.service());
        service
            .and_then(|service| service.policy.as_ref())
            .map(|policy| policy.log.clone())
            .unwrap_or_default()
    }

    /// The same of the service of a listener.
    fn log_of(self, id: ListenerId) -> ServiceLog {
        self.0.listener(id).map(|listener| self.log(listener.service())).unwrap_or_default()
    }

    /// The stretch of time in which a service's starts are counted.
    fn window(self, id: ServiceId) -> &'static str {
        let starts = self.0.service(id).and_then(|state| state.service().limits.starts);
        if starts.is_some_and(|rate| rate.window == STARTS_WINDOW) { "a minute" } else { "a second" }
    }

    fn hands_over(self, id: ListenerId) -> bool {
        let program = self.0.service_of(id).and_then(Service::program);
        program.is_some_and(|program| program.handover == Handover::Listener)
    }

    fn address(self, id: ListenerId) -> String {
        self.0.spec(id).map_or_else(|| "?".to_owned(), |spec| spec.key.address.display())
    }
}

fn limit_words(
    limit: Limit,
    window: &str,
    held: Held,
    peer: Option<SocketAddr>,
    pause: Option<Duration>,
    errno: Option<Errno>,
) -> (Level, String) {
    let fate = fate(held);
    let from = peer.map_or_else(String::new, |peer| format!(" from {peer}"));
    match limit {
        Limit::Starts => {
            let longest = pause
                .map_or_else(String::new, |pause| format!(", for {} s at the most", whole_seconds(pause)));
            (Level::Error, format!("as many starts {window} as allowed; {fate}{longest}"))
        }
        Limit::Children => (Level::Warning, format!("as many run as allowed; {fate}")),
        Limit::Total => (Level::Warning, format!("as many programs run in all as allowed; {fate}")),
        Limit::Sessions => (Level::Warning, format!("as many sessions are open as allowed; {fate}")),
        Limit::SourceStarts | Limit::SourceChildren | Limit::SourceTable => {
            (Level::Warning, format!("refusing calls{from}: limit on {}", limit.word()))
        }
        Limit::Bounce => (Level::Warning, format!("refusing calls{from}: they come from the ftp data port")),
        Limit::Tables => (Level::Warning, format!("dropping datagrams{from}, who may not call")),
        Limit::Loop => (Level::Warning, format!("dropping datagrams{from} that could go in circles")),
        Limit::Resources => {
            let what = errno.map_or_else(|| "too many programs are on their way".to_owned(), errno::words);
            let again =
                pause.map_or_else(String::new, |pause| format!(", trying again in {} ms", pause.as_millis()));
            (Level::Error, format!("{what}; {fate}{again}"))
        }
    }
}

fn original_of_limit(
    call: &str,
    label: &str,
    limit: Limit,
    pause: Option<Duration>,
    errno: Option<Errno>,
) -> String {
    match limit {
        Limit::Starts => {
            let minutes = pause.map_or(0, whole_seconds).div_ceil(60).max(1);
            format!("{label} server failing (looping), service terminated for {minutes} min")
        }
        Limit::Resources => {
            errno.map_or_else(String::new, |errno| format!("{call}: {}", errno::words(errno)))
        }
        Limit::Children
        | Limit::Total
        | Limit::Sessions
        | Limit::SourceStarts
        | Limit::SourceChildren
        | Limit::SourceTable
        | Limit::Bounce
        | Limit::Loop
        | Limit::Tables => String::new(),
    }
}

/// What becomes of those who meet a limit.
fn fate(held: Held) -> &'static str {
    match held {
        Held::Waits => "callers wait",
        Held::Refused(_) => "callers are refused",
    }
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn start_failed(
    names: Names<'_>,
    id: ServiceId,
    listener: ListenerId,
    error: &StartError,
    pause: Option<Duration>,
) -> Record {
    let words = status::describe(error, &errno::words);
    let name = names.service(id);
    if let Some(target) = names.redirect(id) {
        return Record::new(Level::Error, "start-failed", format!("{name}: cannot connect callers: {words}"))
            .field("service", name)
            .field("listener", names.listener(listener))
            .field("target", target)
            .field("error", words);
    }
    let program = names.program(id);
    let rest = pause.map_or_else(String::new, |pause| format!("; trying again in {} s", pause.as_secs()));
    let service = names.0.service(id).map(|state| state.service());
    Record::new(Level::Error, "start-failed", format!("{name}: cannot start {program}: {words}{rest}"))
        .field("service", name.clone())
        .field("listener", names.listener(listener))
        .field("program", program.clone())
        .field("error", words)
        .original(original_of_start_failure(&name, &program, &names.listener(listener), service, error))
}

fn original_of_start_failure(
    name: &str,
    program: &str,
    label: &str,
    service: Option<&Service>,
    error: &StartError,
) -> String {
    let (step, errno) = match error {
        StartError::Identity(Unavailable::NoSuchUser(user)) => {
            return format!("getpwnam: {user}: No such user");
        }
        StartError::Identity(Unavailable::NoSuchGroup(group)) => {
            return format!("getgrnam: {group}: No such group");
        }
        StartError::Identity(
            Unavailable::NotPermitted(_) | Unavailable::Reserved(_) | Unavailable::NotLookedUp(..),
        ) => {
            return String::new();
        }
        StartError::NoTarget(_) | StartError::Unreached(_) => return String::new(),
        StartError::Refused { step, errno } => (*step, errno::words(*errno)),
    };
    let credentials = service.and_then(Service::program).and_then(|program| match &program.identity {
        Identity::User(credentials) => Some(&**credentials),
        Identity::Daemon | Identity::Unavailable(_) => None,
    });
    match (step, credentials) {
        (Step::Exec, _) => format!("execv {program}: {errno}"),
        (Step::Clone, _) => format!("fork: {errno}"),
        (Step::Session, _) => format!("{name}: setsid: {errno}"),
        (Step::Groups, Some(user)) => format!("{label}: can't initgroups({}): {errno}", user.user),
        (Step::Group, Some(user)) => format!("{label}: can't set gid {}: {errno}", user.gid),
        (Step::User, Some(user)) => format!("{label}: can't set uid {}: {errno}", user.uid),
        (Step::Groups | Step::Group | Step::User, None)
        | (Step::Verify | Step::Limit | Step::Nice | Step::Umask | Step::Descriptors | Step::Signals, _) => {
            String::new()
        }
    }
}

fn ending_words(ending: Ending) -> String {
    match ending {
        Ending::Complete => "complete".to_owned(),
        Ending::CallerLost(errno) => format!("caller lost ({})", errno::words(errno)),
        Ending::TargetLost(errno) => format!("target lost ({})", errno::words(errno)),
        Ending::Silent => "half-closed and silent for too long".to_owned(),
        Ending::Stopped => "stopped".to_owned(),
    }
}

fn exit_words(exit: Exit) -> String {
    match exit {
        Exit::Status(status) => format!("exit status {status}"),
        Exit::Signal(signal) => format!("exit signal {signal}"),
    }
}

/// What to do about a socket that cannot be opened.
fn advice(errno: Errno) -> &'static str {
    let error = rustix::io::Errno::from_raw_os_error(errno.0);
    if error == rustix::io::Errno::ACCESS {
        "ports below 1024 need root or CAP_NET_BIND_SERVICE; "
    } else if error == rustix::io::Errno::ADDRINUSE {
        "another program or service has it (ss -lnp shows which); "
    } else if error == rustix::io::Errno::ADDRNOTAVAIL {
        "this machine does not have that address (yet); "
    } else if error == rustix::io::Errno::AFNOSUPPORT {
        "this kernel does not speak that protocol; "
    } else {
        ""
    }
}
