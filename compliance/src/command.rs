//! The command line, as text and as values. It decides nothing and touches nothing.

use std::path::PathBuf;

use crate::server::Server;

pub const USAGE: &str = "\
usage: compliance [--server SERVER] [--usherd PATH] [--jobs N] [-v] [FILTER]...
       compliance list
       compliance fetch-originals

SERVER: openbsd, inetutils, busybox, xinetd, usherd, usherd with one dialect: usherd-openbsd, usherd-gnu,
usherd-freebsd, usherd-netbsd, usherd-busybox, or usherd by the name of xinetd: usherd-xinetd.

The server is usherd unless --server or COMPLIANCE_SERVER says otherwise; its binary is the one that
--usherd or COMPLIANCE_USHERD names, or ../target/release/usherd. A FILTER is a part of a case's name.
Cases need root, for their namespaces.";

/// What the command line asks for.
pub enum Command {
    Run(Plan),
    List,
    FetchOriginals,
    /// Internal: make namespaces, then start `OneCase` with these arguments inside.
    EnterNamespaces(Vec<String>),
    /// Internal: run one case, as process 1 of its namespaces.
    OneCase(OneCase),
}

/// A run of the suite against one server.
pub struct Plan {
    pub server: Server,
    pub usherd: PathBuf,
    pub jobs: usize,
    pub verbose: bool,
    pub filters: Vec<String>,
}

/// One case in namespaces that exist already.
pub struct OneCase {
    pub name: String,
    pub server: Server,
    pub usherd: PathBuf,
    /// The case is ignored for this server: it is expected to fail and gets less time to do so.
    pub ignored: bool,
}

impl OneCase {
    /// The same as words, for the process that reads them with [`parse`].
    pub fn to_arguments(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.server.name().to_owned(),
            self.usherd.to_string_lossy().into_owned(),
            self.ignored.to_string(),
        ]
    }
}

pub const ENTER_NAMESPACES: &str = "enter-namespaces";
pub const ONE_CASE: &str = "one-case";

pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut words: Vec<String> = arguments.collect();
    match words.first().map(String::as_str) {
        Some("list") => return Ok(Command::List),
        Some("fetch-originals") => return Ok(Command::FetchOriginals),
        Some(ENTER_NAMESPACES) => return Ok(Command::EnterNamespaces(words.split_off(1))),
        Some(ONE_CASE) => return parse_one_case(&words[1..]).map(Command::OneCase),
        _ => {}
    }
    parse_plan(words.into_iter()).map(Command::Run)
}

fn parse_plan(mut words: impl Iterator<Item = String>) -> Result<Plan, String> {
    let from_environment = std::env::var("COMPLIANCE_SERVER").ok();
    let mut server = from_environment.unwrap_or_else(|| "usherd".to_owned());
    let mut usherd = std::env::var_os("COMPLIANCE_USHERD").map(PathBuf::from);
    let mut jobs = "6".to_owned();
    let mut verbose = false;
    let mut filters = Vec::new();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--server" => server = value()?,
            "--usherd" => usherd = Some(PathBuf::from(value()?)),
            "--jobs" => jobs = value()?,
            "-v" | "--verbose" => verbose = true,
            _ if word.starts_with('-') => return Err(format!("unknown option {word}")),
            _ => filters.push(word),
        }
    }
    let server = Server::from_name(&server).ok_or_else(|| format!("unknown server {server}"))?;
    let jobs = jobs.parse().ok().filter(|jobs| *jobs > 0).ok_or("--jobs needs a number above 0")?;
    Ok(Plan { server, usherd: usherd.unwrap_or_else(default_usherd), jobs, verbose, filters })
}

fn default_usherd() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/usherd"))
}

fn parse_one_case(words: &[String]) -> Result<OneCase, String> {
    let [name, server, usherd, ignored] = words else {
        return Err(format!("{ONE_CASE} takes four words"));
    };
    let server = Server::from_name(server).ok_or_else(|| format!("unknown server {server}"))?;
    Ok(OneCase { name: name.clone(), server, usherd: PathBuf::from(usherd), ignored: ignored == "true" })
}
