//! usherd: the thin shell around `usherd_model`.
//!
//! [`main`] picks the face by the name that the program was called by, or by its first word. Each face is a file of
//! `commands`; those that serve go through `startup` into `daemon`, the event loop.
#![forbid(unsafe_code)]

mod builtins;
mod caller;
mod circumstances;
mod cli;
mod clock;
mod commands;
mod config_files;
mod control;
mod daemon;
mod descriptors;
mod effects;
mod endpoints;
mod errno;
mod exit_code;
mod helper;
mod ip_options;
mod journal;
mod listeners;
mod loader;
mod log;
mod lookup;
mod machine;
mod message;
mod notify;
mod output;
mod pid_file;
mod poller;
mod privileges;
mod programs;
mod reap;
mod redirect;
mod registrar;
mod render;
mod resolver;
mod rpcbind;
mod sandbox;
mod server_list;
mod socket_file;
mod startup;
mod state_dump;
mod state_text;
mod stderr_log;
mod tables;

use std::process::ExitCode;

/// The whole program.
pub fn main() -> ExitCode {
    commands::run(std::env::args_os().collect()).into()
}

/// The command line, for those who make man pages and completions of it.
pub fn command_line() -> clap::Command {
    cli::usherd()
}
