//! The command line: one table for parsing, help, and (in xtask) man pages and completions.

use clap::builder::{EnumValueParser, PossibleValue, RangedU64ValueParser};
use clap::{Arg, ArgAction, Command, ValueEnum, value_parser};
use usherd_model::config::inetd::DialectName;

/// All of `usherd`.
pub fn usherd() -> Command {
    Command::new("usherd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The internet super-server: binds any command to a port")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(run())
        .subcommand(serve())
        .subcommand(demo())
        .subcommand(check())
        .subcommand(status())
        .subcommand(inetd())
}

fn dialect() -> Arg {
    Arg::new("dialect")
        .long("dialect")
        .value_name("NAME")
        .value_parser(EnumValueParser::<DialectChoice>::new())
        .help("Read the files as this original does [default: as the one that can read a line, openbsd where several can]")
}

fn run() -> Command {
    Command::new("run")
        .about("Run the daemon in the foreground")
        .long_about(
            "Run the daemon in the foreground. SIGHUP reads the configuration again, SIGTERM and SIGINT end the \
             daemon; programs that run go on.",
        )
        .arg(
            Arg::new("config")
                .short('c')
                .long("config")
                .value_name("PATH")
                .action(ArgAction::Append)
                .help("A configuration file, or a folder of them; can be given again [default: /etc/inetd.conf]"),
        )
        .args(daemon_args())
        .arg(
            Arg::new("pid-file").long("pid-file").value_name("PATH").help("Write the process number there, locked"),
        )
        .arg(
            Arg::new("log-connections")
                .long("log-connections")
                .action(ArgAction::SetTrue)
                .help("Log each connection"),
        )
        .arg(
            Arg::new("rate")
                .long("rate")
                .value_name("N")
                .value_parser(RangedU64ValueParser::<u32>::new().range(1..))
                .help("Starts a minute of a service whose line does not say it [default: the dialect's, 256]"),
        )
        .arg(dialect())
}

fn serve() -> Command {
    Command::new("serve")
        .about("Serve one program, without a configuration file")
        .long_about(
            "Serve one program, without a configuration file. LISTEN is a port (on this machine only), ADDRESS:PORT, \
             *:PORT for the whole network, or a path that begins with /; udp: or udp:PORT and so on in front of it \
             for datagrams.",
        )
        .override_usage("usherd serve LISTEN... [OPTIONS] -- PROGRAM [ARG...]")
        .arg(
            Arg::new("listen")
                .value_name("LISTEN")
                .required(true)
                .num_args(1..)
                .action(ArgAction::Append)
                .help("Where to listen: PORT, ADDRESS:PORT, [IPV6]:PORT, *:PORT or /PATH"),
        )
        .arg(
            Arg::new("program")
                .value_name("PROGRAM")
                .required(true)
                .last(true)
                .num_args(1..)
                .value_parser(value_parser!(std::ffi::OsString))
                .help("The program and its arguments"),
        )
        .arg(Arg::new("user").long("user").value_name("USER[:GROUP]").help("Run it as this user [default: yourself]"))
        .arg(number("max", "The most programs at the same time; further callers wait"))
        .arg(number("max-per-source", "The most programs for one source; its further callers are refused"))
        .arg(number("rate", "Starts a minute; further callers wait"))
        .arg(number("rate-per-source", "Starts a minute for one source; its further callers are refused"))
        .arg(
            Arg::new("refuse")
                .long("refuse")
                .action(ArgAction::SetTrue)
                .help("At --max and --rate, refuse callers instead of letting them wait"),
        )
        .arg(
            Arg::new("wait")
                .long("wait")
                .action(ArgAction::SetTrue)
                .help("The program gets the listening socket, one at a time (inetd's \"wait\")"),
        )
        .arg(
            Arg::new("stderr")
                .long("stderr")
                .value_name("WHERE")
                .value_parser(EnumValueParser::<StderrChoice>::new())
                .default_value("log")
                .help("Where the program's standard error goes"),
        )
        .arg(Arg::new("quiet").short('q').long("quiet").action(ArgAction::SetTrue).help("Do not log connections"))
        .args(daemon_args())
}

fn demo() -> Command {
    Command::new("demo")
        .about("Show it: a few services on this machine's loopback, as any user")
        .arg(control())
}

fn check() -> Command {
    Command::new("check")
        .about("Say what is wrong with a configuration, and where")
        .arg(Arg::new("path").value_name("PATH").required(true).num_args(1..).help("Files and folders"))
        .arg(
            Arg::new("strict")
                .long("strict")
                .action(ArgAction::SetTrue)
                .help("End with status 1 when there are warnings"),
        )
        .arg(dialect())
}

fn status() -> Command {
    Command::new("status")
        .about("Show what a running daemon is doing, and why")
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON"))
        .arg(Arg::new("control").long("control").value_name("PATH").help("The daemon's control socket"))
}

/// The classic face: the letters of Debian's openbsd-inetd, and those of the others that it does not have.
pub fn inetd() -> Command {
    let flag = |name: &'static str, letter: char, help: &'static str| {
        Arg::new(name).short(letter).action(ArgAction::SetTrue).help(help)
    };
    let value = |name: &'static str, letter: char, value: &'static str, help: &'static str| {
        Arg::new(name).short(letter).value_name(value).help(help)
    };
    Command::new("inetd")
        .about("As the inetd of Debian's openbsd-inetd, or of another system, with its flags")
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage(INETD_USAGE)
        // As getopt(3): the last of several counts.
        .args_override_self(true)
        .arg(flag("debug", 'd', "Stay in the foreground and say everything").long("debug"))
        .arg(flag("keep-environment", 'E', "Do not clean the environment"))
        .arg(
            flag("foreground", 'i', "Stay in the foreground (-f and --foreground too)")
                .short_alias('f')
                .long("foreground"),
        )
        .arg(flag("stderr", 'e', "Log to standard error instead of syslog"))
        .arg(flag(
            "log",
            'l',
            "TCP wrappers, which are not offered yet, so refused; FreeBSD: log each connection",
        ))
        .arg(flag("wrap", 'w', "TCP wrappers for programs; not offered yet, so refused"))
        .arg(flag("wrap-internal", 'W', "TCP wrappers for built-ins; not offered yet, so refused"))
        .arg(value("address", 'a', "ADDRESS", "Listen there where a line has no address"))
        .arg(value("children", 'c', "N", "Programs of one service at the same time [no limit]"))
        .arg(value("source-rate", 'C', "RATE", "Starts a minute of one service for one source [no limit]"))
        .arg(value("source-children", 's', "N", "Programs of one service for one source [no limit]"))
        .arg(value("backlog", 'q', "LEN", "Connections that wait in the kernel [128]"))
        .arg(value("rate", 'R', "RATE", "Starts a minute of one service [256]").long("rate"))
        .arg(
            value("pid-file", 'p', "FILE", "The pid file; none when it is empty [/run/inetd.pid]")
                .long("pidfile")
                .num_args(0..=1)
                .require_equals(false)
                .default_missing_value(""),
        )
        .arg(
            Arg::new("environment")
                .long("environment")
                .action(ArgAction::SetTrue)
                .help("Give programs PROTO, TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP and TCPLOCALPORT"),
        )
        .arg(dialect())
        .arg(Arg::new("config").value_name("FILE").num_args(0..).help("The configuration [/etc/inetd.conf]"))
}

/// How the original says it, with what the others add.
pub const INETD_USAGE: &str = "inetd [-dEefilwW] [-a address] [-c max] [-C rate] [-p file] [-q len] [-R rate] \
                               [-s max] [--environment] [--dialect name] [configuration_file]";

fn daemon_args() -> [Arg; 5] {
    [
        control(),
        Arg::new("backlog")
            .long("backlog")
            .value_name("N")
            .value_parser(RangedU64ValueParser::<u32>::new().range(1..=65_535))
            .help("Connections that wait in the kernel for one listener [default: the dialect's, 128]"),
        Arg::new("max-children")
            .long("max-children")
            .value_name("N")
            .value_parser(RangedU64ValueParser::<u32>::new().range(1..))
            .default_value("16384")
            .help("The most programs in all at the same time; further callers wait"),
        Arg::new("ucspi")
            .long("ucspi")
            .action(ArgAction::SetTrue)
            .help("Give programs PROTO, TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP and TCPLOCALPORT"),
        Arg::new("keep-environment")
            .long("keep-environment")
            .action(ArgAction::SetTrue)
            .help("Give programs the whole environment, not the cleaned one"),
    ]
}

fn control() -> Arg {
    Arg::new("control")
        .long("control")
        .value_name("PATH")
        .help("The control socket for status, or \"none\" [default: one for each user, see usherd status]")
}

fn number(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("N")
        .value_parser(RangedU64ValueParser::<u32>::new().range(1..))
        .help(help)
}

/// Where standard error goes, as said on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StderrChoice {
    /// To our log.
    Log,
    /// To the caller.
    Connection,
}

impl ValueEnum for StderrChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[StderrChoice::Log, StderrChoice::Connection]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            StderrChoice::Log => PossibleValue::new("log").help("to the log"),
            StderrChoice::Connection => PossibleValue::new("connection").help("to the caller"),
        })
    }
}

/// A dialect, as said on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialectChoice(pub DialectName);

impl ValueEnum for DialectChoice {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [DialectChoice; 5] = [
            DialectChoice(DialectName::Openbsd),
            DialectChoice(DialectName::Gnu),
            DialectChoice(DialectName::Freebsd),
            DialectChoice(DialectName::Netbsd),
            DialectChoice(DialectName::Busybox),
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.word()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        usherd().debug_assert();
        inetd().debug_assert();
    }
}
