//! The command line: one table for parsing, help, and (in xtask) man pages and completions.

use std::ffi::OsString;
use std::time::Duration;

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
        .subcommand(convert())
        .subcommand(status())
        .subcommand(inetd())
        .subcommand(xinetd())
        .subcommand(access())
        .subcommand(ident())
        .subcommand(with_names())
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
                .value_parser(value_parser!(OsString))
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
        .mut_arg("tables", |arg| arg.help("Ask hosts.allow and hosts.deny of this folder who is let in"))
}

fn demo() -> Command {
    Command::new("demo")
        .about("Show it: a few services on this machine's loopback, as any user")
        .arg(control())
}

fn check() -> Command {
    Command::new("check")
        .about("Say what is wrong with a configuration, and where")
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .required(true)
                .num_args(1..)
                .help("Files and folders; what is named hosts.allow or hosts.deny is read as that"),
        )
        .arg(
            Arg::new("strict")
                .long("strict")
                .action(ArgAction::SetTrue)
                .help("End with status 1 when there are warnings"),
        )
        .arg(dialect())
}

fn convert() -> Command {
    Command::new("convert")
        .about("Write the services of inetd.conf as xinetd.conf, or the other way round")
        .long_about(
            "Write the services of inetd.conf as xinetd.conf, or the other way round. What the other language cannot say \
             is listed on standard error, with its place, and in comments above the service; a service that would be \
             more open without it is written switched off. What is switched off there, by disable or by update-inetd \
             (#<off>#), stays so. Files that are there are not written over. Ends with status 0 when nothing is lost, 1 \
             when something is, 78 when a file has errors, which usherd check shows, and 74 when \
             the answer cannot be written.",
        )
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("LANGUAGE")
                .required(true)
                .value_parser(EnumValueParser::<LanguageChoice>::new())
                .help("What to write"),
        )
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("FOLDER")
                .help("Write files into this folder: one for each service of xinetd, or one inetd.conf [default: standard output]"),
        )
        .arg(
            Arg::new("lossy")
                .long("lossy")
                .action(ArgAction::SetTrue)
                .help("Switch services on that are more open without what is lost"),
        )
        .arg(dialect().help(
            "Read inetd.conf as this original does, and write it for that one \
             [default: as the one that can read a line, openbsd where several can]",
        ))
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .required(true)
                .num_args(1..)
                .help("Files and folders, in either language"),
        )
}

fn access() -> Command {
    let file =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).value_name("FILE").help(help);
    let test = Command::new("test")
        .about("Say what hosts.allow and hosts.deny say about a caller, and by which rule")
        .arg(
            Arg::new("daemon")
                .value_name("DAEMON[@SERVER]")
                .required(true)
                .help("What is called; a number is a port"),
        )
        .arg(
            Arg::new("client")
                .value_name("[USER@]CLIENT")
                .required(true)
                .help("Who calls, by address or name"),
        )
        .arg(
            Arg::new("explain")
                .long("explain")
                .action(ArgAction::SetTrue)
                .help("Show every rule that was looked at, and what was looked up for it"),
        )
        .arg(tables())
        .arg(file("allow", "This file instead of hosts.allow"))
        .arg(file("deny", "This file instead of hosts.deny"));
    Command::new("access")
        .about("Try TCP wrappers: hosts.allow and hosts.deny")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(test)
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
    // As getopt(3): what follows is the value, and when it is none that is said of it.
    let count = |name, letter, word, help| value(name, letter, word, help).allow_hyphen_values(true);
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
            "Ask hosts.allow and hosts.deny for every program, and log each connection; FreeBSD: log each connection",
        ))
        .arg(flag("wrap", 'w', "Ask hosts.allow and hosts.deny for every program"))
        .arg(flag("wrap-internal", 'W', "Ask them for built-ins, too"))
        .arg(value("address", 'a', "ADDRESS", "Listen there where a line has no address"))
        .arg(count("children", 'c', "N", "Programs of one service at the same time [no limit]"))
        .arg(count("source-rate", 'C', "RATE", "Starts a minute of one service for one source [no limit]"))
        .arg(count("source-children", 's', "N", "Programs of one service for one source [no limit]"))
        .arg(count("backlog", 'q', "LEN", "Connections that wait in the kernel [128]"))
        .arg(count("rate", 'R', "RATE", "Starts a minute of one service [256]").long("rate"))
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
        .arg(
            Arg::new("resolve")
                .long("resolve")
                .action(ArgAction::SetTrue)
                .help("Give them TCPREMOTEHOST and TCPLOCALHOST too"),
        )
        .arg(dialect())
        .arg(Arg::new("config").value_name("FILE").num_args(0..).help("The configuration [/etc/inetd.conf]"))
}

/// How the original says it, with what the others add.
pub const INETD_USAGE: &str = "inetd [-dEefilwW] [-a address] [-c max] [-C rate] [-p file] [-q len] [-R rate] \
                               [-s max] [--environment] [--resolve] [--dialect name] [configuration_file]";

/// xinetd's options, which have one dash in front of their words there.
pub fn xinetd() -> Command {
    let flag = |name: &'static str, long: &'static str, help: &'static str| {
        Arg::new(name).long(long).action(ArgAction::SetTrue).help(help)
    };
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let count =
        |name, help| value(name, "N", help).value_parser(RangedU64ValueParser::<u32>::new().range(1..));
    Command::new("xinetd")
        .about("As xinetd, with its options and its configuration")
        .long_about(
            "As xinetd, with its options and its configuration, which usherd-xinetd.conf(5) describes. A program that is \
             started by the name xinetd takes the words with one dash, as xinetd does: -dontfork. It goes into the \
             background when every port is open, logs in xinetd's words, and ends when there is nothing to serve. SIGHUP \
             reads the configuration again, SIGUSR1 writes what it is doing to a file that the log names, SIGTERM ends it; \
             programs that run go on.",
        )
        .override_usage(XINETD_USAGE)
        .args_override_self(true)
        .arg(
            Arg::new("debug")
                .short('d')
                .action(ArgAction::SetTrue)
                .help("Stay in the foreground, and log to standard error"),
        )
        .arg(Arg::new("config").short('f').value_name("FILE").help("The configuration [/etc/xinetd.conf]"))
        .arg(
            value("syslog", "FACILITY", "The facility of syslog for the daemon's own lines [daemon]")
                .value_parser(facility)
                .conflicts_with("filelog"),
        )
        .arg(value("filelog", "FILE", "Add the daemon's own lines to this file, instead of syslog"))
        .arg(value("pidfile", "FILE", "Write the process number there, locked"))
        .arg(flag("dontfork", "dontfork", "Stay in the foreground, whatever there is to serve"))
        .arg(flag("stayalive", "stayalive", "Go on when there is nothing to serve"))
        .arg(count("limit", "The most programs in all at the same time [no limit]"))
        .arg(count("logprocs", "The most look-ups about callers at the same time, at most 32 [15]"))
        .arg(flag("inetd-compat", "inetd_compat", "Read /etc/inetd.conf too"))
        .arg(flag("inetd-ipv6", "inetd_ipv6", "Nothing: services of /etc/inetd.conf have both families"))
        .arg(count("cc", "Nothing: there is no check of the daemon's own state to be made now and then"))
        .arg(flag("reuse", "reuse", "Nothing: addresses are always reused"))
        .arg(count("shutdownprocs", "Nothing, as in xinetd"))
        .arg(flag("version", "version", "Print the version"))
}

/// How the original says it, with what it does not say.
pub const XINETD_USAGE: &str = "xinetd [-d] [-f config_file] [-filelog filename] [-syslog facility] [-reuse] \
                                [-limit proc_limit] [-pidfile filename] [-logprocs limit] [-shutdownprocs limit] \
                                [-cc interval] [-dontfork] [-stayalive] [-inetd_compat] [-inetd_ipv6] [-version]";

/// `LOG_DAEMON`, not shifted.
pub const DAEMON_FACILITY: u8 = 3;

/// A facility that xinetd can log to, by its name.
fn facility(name: &str) -> Result<u8, &'static str> {
    let local =
        name.strip_prefix("local").and_then(|number| number.parse::<u8>().ok()).filter(|number| *number < 8);
    match (name, local) {
        ("daemon", _) => Ok(DAEMON_FACILITY),
        ("auth", _) => Ok(4),
        ("authpriv", _) => Ok(10),
        ("user", _) => Ok(1),
        (_, Some(number)) if name.len() == "local0".len() => Ok(16 + number),
        _ => Err("not daemon, auth, authpriv, user or local0 to local7"),
    }
}

fn with_names() -> Command {
    Command::new("with-names")
        .about("Run a program with the host names of both ends of its connection")
        .long_about(
            "Run a program with the host names of both ends of its connection: TCPREMOTEHOST and TCPLOCALHOST, for \
             what TCPREMOTEIP and TCPLOCALIP say; a name that is not known is unset. inetd --resolve puts it in front \
             of programs that are started for connections.",
        )
        .arg(
            Arg::new("program")
                .value_name("PROGRAM")
                .required(true)
                .last(true)
                .num_args(2..)
                .value_parser(value_parser!(std::ffi::OsString))
                .help("The program's path, argv[0], and the other arguments"),
        )
}

/// The ident service.
pub fn ident() -> Command {
    Command::new("ident")
        .about("Tell a caller whose connection it is (RFC 1413): inetd's \"auth\" service")
        .long_about(
            "Tell a caller whose connection it is (RFC 1413): inetd's \"auth\" service, with the options of FreeBSD's. \
             Standard input and output are to be the caller's connection, so it is a program for a line of \
             inetd.conf, with the user root: it becomes nobody before it reads. A caller can ask for connections \
             between its own address and the one that it called, and no others.",
        )
        .args_override_self(true)
        .arg(
            Arg::new("fallback")
                .short('d')
                .value_name("NAME")
                .value_parser(value_parser!(OsString))
                .allow_hyphen_values(true)
                .help("The name to give when the owner is not found, and always without -r"),
        )
        .arg(
            Arg::new("garbage")
                .short('g')
                .action(ArgAction::SetTrue)
                .help("Give a name of letters and digits by chance"),
        )
        .arg(
            Arg::new("time-out")
                .short('t')
                .value_name("SECONDS")
                .value_parser(seconds)
                .default_value("10")
                .help("How long the caller may take to ask, with up to six decimals"),
        )
        .arg(
            Arg::new("real")
                .short('r')
                .action(ArgAction::SetTrue)
                .help("Look for the owner; without it the answer is the name of -d, or HIDDEN-USER"),
        )
        .arg(
            Arg::new("numeric")
                .short('i')
                .action(ArgAction::SetTrue)
                .help("Give the owner's user id, not the name"),
        )
        .arg(
            Arg::new("fakeid")
                .short('f')
                .action(ArgAction::SetTrue)
                .help("Give the name in the owner's ~/.fakeid, unless a user has it"),
        )
        .arg(
            Arg::new("any-fakeid")
                .short('F')
                .action(ArgAction::SetTrue)
                .help("Give the name in the owner's ~/.fakeid, even if a user has it"),
        )
        .arg(
            Arg::new("noident")
                .short('n')
                .action(ArgAction::SetTrue)
                .help("Answer HIDDEN-USER when the owner has a ~/.noident, or when that cannot be told"),
        )
        .arg(
            Arg::new("system")
                .short('o')
                .value_name("NAME")
                .value_parser(value_parser!(OsString))
                .allow_hyphen_values(true)
                .help("The operating system to give [default: this one]"),
        )
}

/// A time of more than nothing: `10`, `0.3`, `0.300000`.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "not seconds with up to six decimals, or none at all";
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = [whole, decimals].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = whole.parse::<u16>().ok().filter(|_| all_digits && matches!(decimals.len(), 1..=6));
    let micros = format!("{decimals:0<6}").parse().ok();
    let time = seconds
        .zip(micros)
        .map(|(seconds, micros)| Duration::from_secs(seconds.into()) + Duration::from_micros(micros));
    time.filter(|time| !time.is_zero()).ok_or(FORM)
}

fn daemon_args() -> [Arg; 6] {
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
        tables(),
    ]
}

fn tables() -> Arg {
    Arg::new("tables")
        .long("tables")
        .value_name("FOLDER")
        .help("Take hosts.allow and hosts.deny from this folder instead of /etc")
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

/// A language of configurations, as said on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanguageChoice {
    /// That of inetd.conf.
    Inetd,
    /// That of xinetd.conf.
    Xinetd,
}

impl ValueEnum for LanguageChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[LanguageChoice::Xinetd, LanguageChoice::Inetd]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            LanguageChoice::Inetd => PossibleValue::new("inetd").help("inetd.conf"),
            LanguageChoice::Xinetd => PossibleValue::new("xinetd").help("xinetd.conf"),
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
        xinetd().debug_assert();
    }

    #[test]
    fn seconds_have_decimals() {
        for (text, micros) in
            [("10", 10_000_000), ("0.3", 300_000), ("0.300000", 300_000), ("2.000001", 2_000_001)]
        {
            assert_eq!(seconds(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "0", "0.0", ".5", "5.", "1.0000001", "-1", "+1", "1.+1", "1,5", "70000", "x"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
