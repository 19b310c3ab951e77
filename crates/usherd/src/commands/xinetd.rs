//! The other classic face: `xinetd`, with the options, the log lines and the habits of Debian's.

use std::ffi::OsString;

use clap::ArgMatches;
use usherd_model::config::inetd::DialectName;
use usherd_model::environment::Inherit;
use usherd_model::first_load::Insistence;
use usherd_model::supervisor::Settings;

use super::{absolute, defaults, max_sessions};
use crate::cli;
use crate::exit_code::Exit;
use crate::message::{Request, SourceSpec};
use crate::output::{answer, complain};
use crate::startup::{Background, ControlPath, Options, Speech, Umask};
use crate::tables::TablePaths;

const CONFIG: &str = "/etc/xinetd.conf";
const INETD_CONFIG: &str = "/etc/inetd.conf";
/// As xinetd has it.
const LOOKUPS: usize = 15;

pub(super) fn run(arguments: &[OsString]) -> Exit {
    match cli::xinetd().try_get_matches_from(with_long_words(arguments)) {
        Ok(matches) => run_matches(&matches),
        Err(error) if !error.use_stderr() => super::say_usage(&error),
        Err(error) => {
            // What is wrong, in one line, and how it is right.
            let text = error.to_string();
            complain(&format!(
                "xinetd: {}",
                text.lines().next().unwrap_or_default().trim_start_matches("error: ")
            ));
            complain(&format!("Usage: {}", cli::XINETD_USAGE));
            Exit::Failure
        }
    }
}

/// xinetd's words have one dash only.
pub(super) fn with_long_words(arguments: &[OsString]) -> Vec<OsString> {
    let lengthen = |word: &OsString| match word.to_str() {
        Some(text) if text.len() > 2 && text.starts_with('-') && !text.starts_with("--") => {
            OsString::from(format!("-{text}"))
        }
        _ => word.clone(),
    };
    arguments.iter().map(lengthen).collect()
}

pub(super) fn run_matches(matches: &ArgMatches) -> Exit {
    if matches.get_flag("version") {
        return answer(&format!("{} libwrap loadavg\n", env!("CARGO_PKG_VERSION")), Exit::Success);
    }
    // The original knows one status for everything that goes wrong.
    if super::serve("xinetd", options(matches)) == Exit::Success { Exit::Success } else { Exit::Failure }
}

fn options(matches: &ArgMatches) -> Options {
    let debug = matches.get_flag("debug");
    let stays = debug || matches.get_flag("dontfork");
    let dialect = DialectName::Union;
    let path = matches.get_one::<String>("config").map_or(CONFIG, String::as_str);
    let mut sources = vec![SourceSpec::Xinetd(absolute(path))];
    if matches.get_flag("inetd-compat") {
        sources.push(SourceSpec::InetdForXinetd(INETD_CONFIG.to_owned()));
    }
    let speech = match (debug, matches.get_one::<String>("filelog"), matches.get_one::<u8>("syslog")) {
        (true, ..) => Speech::XinetdStderr,
        (false, Some(path), _) => Speech::XinetdFile(absolute(path)),
        (false, None, facility) => Speech::XinetdSyslog(facility.copied().unwrap_or(cli::DAEMON_FACILITY)),
    };
    Options {
        request: Request { sources, dialect, defaults: defaults(dialect), tables: TablePaths::default() },
        settings: Settings {
            max_children: matches.get_one::<u32>("limit").copied().unwrap_or(u32::MAX),
            max_sessions: max_sessions(),
            max_lookups: matches.get_one::<u32>("logprocs").map_or(LOOKUPS, |most| *most as usize),
            log_connections: false,
        },
        insistence: if matches.get_flag("stayalive") || stays {
            Insistence::ServeTheRest
        } else {
            Insistence::Something
        },
        speech,
        pid_file: matches.get_one::<String>("pidfile").filter(|_| !debug).map(|path| absolute(path)),
        control: ControlPath::Default,
        background: if stays { Background::Foreground } else { Background::Detached },
        inherit: Inherit::All,
        umask: Umask::UsualAndInherited,
        on_ready: Box::new(|_| {}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(text: &str) -> Result<ArgMatches, clap::Error> {
        let words: Vec<OsString> = text.split(' ').map(OsString::from).collect();
        cli::xinetd().try_get_matches_from(with_long_words(&words))
    }

    #[test]
    fn words_have_one_dash() {
        let found =
            matches("xinetd -f /etc/x -pidfile /run/x.pid -stayalive -limit 7 -inetd_compat -dontfork")
                .expect("these are good");
        let options = options(&found);
        assert_eq!(options.pid_file.as_deref(), Some("/run/x.pid"));
        assert_eq!(options.settings.max_children, 7);
        assert_eq!(options.request.sources.len(), 2);
        assert_eq!((options.background, options.speech), (Background::Foreground, Speech::XinetdSyslog(3)));
        let found = matches("xinetd -syslog local3 -cc 60 -logprocs 3 -reuse").expect("these are good");
        assert_eq!(super::options(&found).speech, Speech::XinetdSyslog(19));
    }

    #[test]
    fn what_is_no_option_is_an_error() {
        for wrong in
            ["-bogus", "-limit", "-limit x", "-syslog nowhere", "-filelog /x -syslog daemon", "-cc 0"]
        {
            assert!(matches(&format!("xinetd {wrong}")).is_err(), "{wrong}");
        }
    }
}
