//! `usherd demo`: the main job in one command, as any user, with nothing else installed.

use std::net::{Ipv4Addr, TcpListener};

use clap::ArgMatches;
use usherd_model::config::Defaults;
use usherd_model::config::inetd::DialectName;
use usherd_model::environment::Inherit;
use usherd_model::first_load::Insistence;
use usherd_model::service::Stderr;
use usherd_model::supervisor::Settings;

use super::{control_path, defaults, max_sessions, serve};
use crate::exit_code::Exit;
use crate::message::{CommandLine, Request, SourceSpec};
use crate::output;
use crate::startup::{Background, Options, Speech};
use crate::tables::TablePaths;

/// A process list for machines that have no ps.
const PROCESSES: &str = r#"ps ax 2>/dev/null || for p in /proc/[0-9]*; do
  read -r name < "$p/comm" && echo "${p#/proc/} $name"
done"#;

/// The article's script: three lines, and it is a network service.
const SCRIPT: &str = r#"echo "Hello. What is your name?"
read -r name
echo "Good day, $name. I am process $$, and you are the only one I talk to.""#;

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let ports = [9999, 9998, 9007, 9013].map(free_port);
    let [list, script, echo, daytime] = ports;
    let shell = |port: u16, script: &str| {
        SourceSpec::Command(CommandLine {
            listen: vec![format!("127.0.0.1:{port}")],
            user: String::new(),
            wait: false,
            program: ["/bin/sh", "sh", "-c", script].map(|word| word.as_bytes().to_vec()).to_vec(),
        })
    };
    let builtins = format!(
        "127.0.0.1:{echo} stream tcp4 nowait - internal echo\n\
         127.0.0.1:{echo} dgram udp4 wait - internal echo\n\
         127.0.0.1:{daytime} stream tcp4 nowait - internal daytime\n"
    );
    let options = Options {
        request: Request {
            sources: vec![
                shell(list, PROCESSES),
                shell(script, SCRIPT),
                SourceSpec::Text { name: "demo".to_owned(), text: builtins.into_bytes() },
            ],
            dialect: DialectName::Union,
            defaults: Defaults { stderr: Stderr::Log, ..defaults(DialectName::Union) },
            tables: TablePaths::default(),
        },
        settings: Settings { max_children: 256, max_sessions: max_sessions(), log_connections: true },
        insistence: Insistence::AllOrNothing,
        speech: Speech::People,
        pid_file: None,
        control: control_path(matches),
        background: Background::Foreground,
        // The scripts want a PATH.
        inherit: Inherit::All,
        on_ready: Box::new(move |_| say_what_to_type(ports)),
    };
    serve("usherd demo", options)
}

fn say_what_to_type([list, script, echo, daytime]: [u16; 4]) {
    let text = format!(
        "usherd serves these on this machine only. Type in another terminal (or use nc, telnet, a browser):

  bash -c 'cat </dev/tcp/127.0.0.1/{list}'                            the processes: ps ax on a port
  bash -c 'exec 3<>/dev/tcp/127.0.0.1/{script}; head -1 <&3; echo Ada >&3; cat <&3'   a script of three lines
  bash -c 'exec 3<>/dev/tcp/127.0.0.1/{echo}; echo hello >&3; head -1 <&3'      echo, inside the daemon
  bash -c 'cat </dev/tcp/127.0.0.1/{daytime}'                            daytime, inside the daemon
  usherd status                                                    what it is doing

Each connection shows below. Ctrl-C ends it.

"
    );
    // It serves whether or not somebody reads this.
    output::answer(&text, Exit::Success);
}

/// This port, or another one when somebody has it.
fn free_port(wanted: u16) -> u16 {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .and_then(|listener| listener.local_addr());
    bound.map_or(wanted, |address| address.port())
}
