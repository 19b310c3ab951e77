//! The daemon's state in words: what `usherd status` shows, and what a dump holds.

use usherd_model::status::{FailureStatus, ListenerStatus, RpcStatus, ServiceStatus, Snapshot};

/// All of it, in lines.
pub fn state_text(snapshot: &Snapshot) -> String {
    let programs = match snapshot.max_children {
        u32::MAX => snapshot.children.to_string(),
        most => format!("{} of at most {most}", snapshot.children),
    };
    let mut out = format!(
        "usherd {} (process {}), up {}; {} programs, {} sessions{}\n\n",
        snapshot.program_version,
        snapshot.pid,
        duration(snapshot.uptime_seconds),
        programs,
        snapshot.sessions,
        if snapshot.loading { "; reading its configuration" } else { "" },
    );
    if snapshot.denied_sources > 0 {
        out.push_str(&format!("{} sources have called a sensor and are denied\n\n", snapshot.denied_sources));
    }
    for service in &snapshot.services {
        out.push_str(&service_text(service));
    }
    if !snapshot.diagnostics.is_empty() {
        out.push_str("\nThe configuration:\n");
        for line in &snapshot.diagnostics {
            out.push_str(&format!("  {line}\n"));
        }
    }
    out
}

fn service_text(service: &ServiceStatus) -> String {
    let user = if service.user.is_empty() { String::new() } else { format!(" as {}", service.user) };
    let mut out = format!(
        "{}  {}{user}  ({})\n    {} running, {} calls, {} started, {} failed\n",
        service.name,
        service.program,
        service.origin,
        service.running,
        service.calls,
        service.started,
        service.failed
    );
    if service.denied > 0 {
        out.push_str(&format!("    {} not let in\n", service.denied));
    }
    for listener in &service.listeners {
        out.push_str(&format!("    {}\n", listener_text(listener)));
    }
    for limit in &service.limits {
        let last = match limit.last_seconds_ago {
            Some(seconds) => format!("holds callers back (last: {} ago)", duration(seconds)),
            None => "held callers back".to_owned(),
        };
        out.push_str(&format!("    limit on {} {last}; {} refused\n", limit.limit, limit.refused));
    }
    for failure in &service.failures {
        let FailureStatus { seconds_ago, times, error, .. } = failure;
        let ago = duration(*seconds_ago);
        out.push_str(&if service.failing {
            format!("    start failed {ago} ago, {times} times: {error}\n")
        } else {
            format!("    last failed start: {ago} ago, {times} times: {error} (it has started since)\n")
        });
    }
    for line in &service.stderr {
        out.push_str(&format!("    stderr: {line}\n"));
    }
    out
}

fn listener_text(listener: &ListenerStatus) -> String {
    let ListenerStatus { address, kind, state, why, seconds_left, rpc, .. } = listener;
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    let left = seconds_left.map_or_else(String::new, |seconds| format!(", trying again in {seconds} s"));
    let rpc = rpc.as_ref().map_or_else(String::new, rpc_text);
    format!("{address} {kind}  {state}{why}{left}{rpc}")
}

fn rpc_text(rpc: &RpcStatus) -> String {
    let RpcStatus { program, versions, registered, why, seconds_left } = rpc;
    let because = if why.is_empty() { String::new() } else { format!(" because {why}") };
    let left = seconds_left.map_or_else(String::new, |seconds| format!("; trying again in {seconds} s"));
    let standing = if *registered { "registered with rpcbind" } else { "not registered with rpcbind" };
    format!("; RPC program {program}, version {versions}, {standing}{because}{left}")
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}
