//! The command line, as text and as values.

use std::path::PathBuf;

use crate::case::Case;
use crate::responder::Kind;

pub const USAGE: &str = "\
usage: faults [--usherd PATH] [--smoke] [--jobs N] [--list] [FILTER...]

A FILTER is a part of a case's name, such as accept4, ENOMEM or child:setresuid. --smoke takes one occurrence of the
important calls. It needs root and strace.";

/// What the command line asks for.
pub enum Command {
    /// Plan and run cases.
    Plan(Options),
    /// Make namespaces, then start again inside with these words.
    Enter(Vec<String>),
    /// Run one case, as process 1 of its namespaces.
    Inside(Case, PathBuf),
    /// Be the program of a service.
    Respond(Kind),
}

/// How to run.
pub struct Options {
    pub usherd: PathBuf,
    pub smoke: bool,
    pub list: bool,
    pub jobs: usize,
    pub filters: Vec<String>,
}

pub const ENTER: &str = "enter";
pub const INSIDE: &str = "inside";
pub const RESPOND: &str = "respond";

pub fn parse(words: &[String]) -> Result<Command, String> {
    match words {
        [word, rest @ ..] if word == ENTER => Ok(Command::Enter(rest.to_vec())),
        [word, usherd, rest @ ..] if word == INSIDE => {
            Ok(Command::Inside(Case::from_words(rest)?, PathBuf::from(usherd)))
        }
        [word, kind] if word == RESPOND => Ok(Command::Respond(Kind::by_name(kind)?)),
        _ => options(words).map(Command::Plan),
    }
}

fn options(words: &[String]) -> Result<Options, String> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let usherd = own.join("../target/release/usherd");
    let mut options = Options { usherd, smoke: false, list: false, jobs: 2, filters: Vec::new() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--smoke" => options.smoke = true,
            "--list" => options.list = true,
            "--usherd" => options.usherd = words.next().ok_or("--usherd needs a path")?.into(),
            "--jobs" => {
                let number = words.next().and_then(|number| number.parse().ok());
                options.jobs = number.filter(|jobs| *jobs > 0).ok_or("--jobs needs a number")?;
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            filter => options.filters.push(filter.to_owned()),
        }
    }
    options.usherd =
        options.usherd.canonicalize().map_err(|error| format!("{}: {error}", options.usherd.display()))?;
    Ok(options)
}
