//! `usherd demo`: the main job in one command, as any user, with nothing else installed.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use usherd_model::config::Defaults;
use usherd_model::config::inetd::DialectName;
use usherd_model::environment::Inherit;
use usherd_model::first_load::Insistence;
use usherd_model::service::Stderr;
use usherd_model::supervisor::Settings;

use super::{absolute, control_path, defaults, max_sessions, serve};
use crate::exit_code::Exit;
use crate::message::{CommandLine, Request, SourceSpec};
use crate::output;
use crate::startup::{Background, Options, Speech, Umask};
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
    let guard = match Guard::new() {
        Ok(guard) => guard,
        Err(error) => {
            output::complain(&format!("usherd demo: no folder for hosts.allow and hosts.deny: {error}"));
            return Exit::System;
        }
    };
    let folder = guard.folder.clone();
    let ports = [9999, 9998, 9007, 9013, 9014].map(free_port);
    let [list, script, echo, daytime, guarded] = ports;
    let program = |port: u16, words: &[&str]| {
        SourceSpec::Command(CommandLine {
            listen: vec![format!("127.0.0.1:{port}")],
            user: String::new(),
            wait: false,
            program: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
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
                program(list, &["/bin/sh", "sh", "-c", PROCESSES]),
                program(script, &["/bin/sh", "sh", "-c", SCRIPT]),
                program(guarded, &["/usr/sbin/tcpd", "/bin/date"]),
                SourceSpec::Text { name: "demo".to_owned(), text: builtins.into_bytes() },
            ],
            dialect: DialectName::Union,
            defaults: Defaults { stderr: Stderr::Log, ..defaults(DialectName::Union) },
            tables: TablePaths::within(&folder),
        },
        settings: Settings {
            max_children: 256,
            max_sessions: max_sessions(),
            log_connections: true,
            ..Settings::default()
        },
        insistence: Insistence::AllOrNothing,
        speech: Speech::People,
        pid_file: None,
        control: control_path(matches),
        background: Background::Foreground,
        // The scripts want a PATH.
        inherit: Inherit::All,
        umask: Umask::Usual,
        on_ready: Box::new(move |_| say_what_to_type(ports, &folder)),
    };
    serve("usherd demo", options)
}

fn say_what_to_type([list, script, echo, daytime, guarded]: [u16; 5], folder: &str) {
    let text = format!(
        "usherd serves these on this machine only. Type in another terminal (or use nc, telnet, a browser):

  bash -c 'cat </dev/tcp/127.0.0.1/{list}'                            the processes: ps ax on a port
  bash -c 'exec 3<>/dev/tcp/127.0.0.1/{script}; head -1 <&3; echo Ada >&3; cat <&3'   a script of three lines
  bash -c 'exec 3<>/dev/tcp/127.0.0.1/{echo}; echo hello >&3; head -1 <&3'      echo, inside the daemon
  bash -c 'cat </dev/tcp/127.0.0.1/{daytime}'                            daytime, inside the daemon
  bash -c 'cat </dev/tcp/127.0.0.1/{guarded}'                            date, which hosts.deny keeps from you: nothing comes
  usherd status                                                    what it is doing

Why nothing comes from the guarded one, and how to be let in; an edit counts for the next caller:

  usherd access test --explain --tables {folder} date 127.0.0.1
  echo 'date: 127.0.0.1' >> {folder}/hosts.allow

Each connection shows below. Ctrl-C ends it.

"
    );
    // It serves whether or not somebody reads this.
    output::answer(&text, Exit::Success);
}

/// hosts.allow and hosts.deny of the guarded service, in a folder of their own for as long as it is served.
struct Guard {
    folder: String,
}

impl Guard {
    fn new() -> std::io::Result<Self> {
        let folder = own_folder(Path::new(&absolute(&std::env::temp_dir().to_string_lossy())))?;
        let guard = Self { folder: folder.to_string_lossy().into_owned() };
        fs::write(
            folder.join("hosts.allow"),
            "# DAEMONS: CALLERS, a line for each rule. Who meets one is let in.\n",
        )?;
        fs::write(folder.join("hosts.deny"), "ALL: ALL\n")?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Whoever puts more into it keeps it.
        for name in ["hosts.allow", "hosts.deny"] {
            let _ = fs::remove_file(Path::new(&self.folder).join(name));
        }
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Makes a folder that nobody else can write in: one that is there already may be anybody's.
fn own_folder(place: &Path) -> std::io::Result<PathBuf> {
    const TRIES: u32 = 100;
    let mut taken = 1;
    loop {
        let name = if taken == 1 { "usherd-demo".to_owned() } else { format!("usherd-demo-{taken}") };
        let folder = place.join(name);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && taken < TRIES => taken += 1,
            made => return made.map(|()| folder),
        }
    }
}

/// This port, or another one when somebody has it.
fn free_port(wanted: u16) -> u16 {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .and_then(|listener| listener.local_addr());
    bound.map_or(wanted, |address| address.port())
}
