//! Whether a daemon begins to serve with what its first load has brought.
//!
//! What must never happen here: a reason to end a daemon that serves. Whatever a later load brings, it goes on.

use crate::diagnostic::{Report, Severity};
use crate::event::Event;
use crate::service::Config;

/// Which load it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first: nothing is served yet.
    First(Insistence),
    /// Another one: the daemon serves.
    Later,
}

/// What a configuration with errors means at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insistence {
    /// The rest of it is served: a file with many lines.
    ServeTheRest,
    /// The same, if there is something to serve at all.
    Something,
    /// Nothing is served: a command line.
    AllOrNothing,
}

/// Why a daemon did not begin to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The configuration cannot be used.
    Configuration(String),
    /// What is asked for needs rights that the daemon does not have.
    NotPermitted(String),
}

/// What happens when the loader has answered: the event for the core, or the end.
pub fn answered(stage: Stage, config: Config, reports: &[Report]) -> Result<Event, Failure> {
    match reason_to_give_up(stage, &config, reports) {
        Some(failure) => Err(failure),
        None => Ok(Event::Loaded(Box::new(config))),
    }
}

/// What happens when the loader has not answered, for this reason.
pub fn not_answered(stage: Stage, why: String) -> Result<Event, Failure> {
    match stage {
        Stage::First(_) => Err(Failure::Configuration(why)),
        Stage::Later => Ok(Event::LoadFailed(why)),
    }
}

fn reason_to_give_up(stage: Stage, config: &Config, reports: &[Report]) -> Option<Failure> {
    let insistence = match stage {
        Stage::First(insistence) => insistence,
        Stage::Later => return None,
    };
    if config.services.is_empty() && !config.unreadable.is_empty() {
        return Some(Failure::Configuration(format!("cannot read {}", config.unreadable.join(", "))));
    }
    if config.services.is_empty() && insistence == Insistence::Something {
        return Some(Failure::Configuration("no services. Exiting...".to_owned()));
    }
    let error = reports.iter().find(|report| report.severity == Severity::Error)?;
    match (insistence, error.code.as_str()) {
        (Insistence::ServeTheRest | Insistence::Something, _) => None,
        (Insistence::AllOrNothing, "not-permitted") => Some(Failure::NotPermitted(error.message.clone())),
        (Insistence::AllOrNothing, _) => Some(Failure::Configuration(error.message.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Stage = Stage::First(Insistence::ServeTheRest);
    const COMMAND: Stage = Stage::First(Insistence::AllOrNothing);

    fn report(severity: Severity, code: &str) -> Report {
        Report {
            code: code.to_owned(),
            severity,
            path: String::new(),
            excerpt: None,
            message: "wrong".to_owned(),
            expected: String::new(),
            hint: String::new(),
            original: String::new(),
        }
    }

    fn failure(stage: Stage, config: Config, reports: &[Report]) -> Option<Failure> {
        answered(stage, config, reports).err()
    }

    fn unreadable() -> Config {
        Config { unreadable: vec!["/a".to_owned(), "/b".to_owned()], ..Config::default() }
    }

    #[test]
    fn a_file_with_errors_is_served_and_a_command_line_is_not() {
        let reports = [report(Severity::Warning, "unwise"), report(Severity::Error, "no-such-user")];
        assert_eq!(failure(FILE, Config::default(), &reports), None);
        let wrong = Failure::Configuration("wrong".to_owned());
        assert_eq!(failure(COMMAND, Config::default(), &reports), Some(wrong));
        assert_eq!(failure(COMMAND, Config::default(), &reports[..1]), None);
    }

    #[test]
    fn missing_rights_are_told_apart() {
        let reports = [report(Severity::Error, "not-permitted")];
        let missing = Failure::NotPermitted("wrong".to_owned());
        assert_eq!(failure(COMMAND, Config::default(), &reports), Some(missing));
    }

    #[test]
    fn nothing_but_unreadable_files_ends_the_first_load_only() {
        let wrong = Failure::Configuration("cannot read /a, /b".to_owned());
        assert_eq!(failure(FILE, unreadable(), &[]), Some(wrong));
        assert_eq!(failure(Stage::Later, unreadable(), &[report(Severity::Error, "not-permitted")]), None);
    }

    #[test]
    fn a_loader_without_an_answer_ends_the_first_load_only() {
        let why = || "it took too long".to_owned();
        assert_eq!(not_answered(FILE, why()).err(), Some(Failure::Configuration(why())));
        let Ok(Event::LoadFailed(told)) = not_answered(Stage::Later, why()) else { panic!("it goes on") };
        assert_eq!(told, why());
    }
}
