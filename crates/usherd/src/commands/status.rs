//! `usherd status`: asks a running daemon, and shows the answer.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use clap::ArgMatches;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use usherd_model::status::{FailureStatus, ListenerStatus, RpcStatus, ServiceStatus, Snapshot};

use crate::control;
use crate::exit_code::Exit;
use crate::output::{answer, complain};

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let path = matches.get_one::<String>("control").cloned().unwrap_or_else(control::default_path);
    let reply = match ask(&path) {
        Ok(reply) => reply,
        Err(error) => {
            complain(&format!("usherd status: {path}: {error}"));
            complain("hint: is the daemon running, as this user or with --control?");
            return Exit::Unavailable;
        }
    };
    if matches.get_flag("json") {
        return answer(&format!("{reply}\n"), Exit::Success);
    }
    match serde_json::from_str::<Snapshot>(&reply) {
        Ok(snapshot) => answer(&text(&snapshot), Exit::Success),
        Err(error) => {
            complain(&format!("usherd status: {path}: not an answer of this version: {error}"));
            Exit::Unavailable
        }
    }
}

fn ask(path: &str) -> std::io::Result<String> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let mut connection = UnixStream::connect(path)?;
    // The path may lie in a folder that others can write to.
    let peer = socket_peercred(&connection)?;
    if !peer.uid.is_root() && peer.uid != geteuid() {
        return Err(std::io::Error::other("the socket is somebody else's"));
    }
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    connection.write_all(b"status\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    if answer.is_empty() {
        return Err(std::io::Error::other("the daemon does not answer (only root and its own user may ask)"));
    }
    Ok(answer)
}

fn text(snapshot: &Snapshot) -> String {
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
        out.push_str(&format!("    {} not let in by hosts.allow and hosts.deny\n", service.denied));
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
