//! `usherd effects`: does what a rule of hosts.allow or hosts.deny says, then becomes the program.
//!
//! The daemon starts it in the place of a program, as that program's user, with the caller on its standard input.

use std::ffi::OsString;
use std::path::Path;

use usherd_model::access::Effect;
use usherd_model::diagnostic::printable;
use usherd_model::event::Errand;

use super::tcpd::answer;
use crate::effects;
use crate::exit_code::Exit;
use crate::journal::Journal;
use crate::lookup;

/// `words` are an errand, as [`effects::plan`] has made one, `--`, a path, and what it is executed with.
pub(super) fn run(mut words: impl Iterator<Item = OsString>) -> Exit {
    let errand = words.next().and_then(|word| effects::errand(word.to_str()?));
    let mut words = words.skip(1);
    let (Some(errand), Some(path), Some(name)) = (errand, words.next(), words.next()) else {
        return Exit::Usage;
    };
    let Errand { verdict, effects, severity, client, request, facts } = errand;
    let mut journal = Journal::new(&printable(&request.daemon), severity);
    let done = effects::carry_out(&effects, verdict, &request, &facts, &mut lookup::find, &mut journal);
    // The daemon has said who was let in, unless a command had to be asked first.
    if effects.iter().any(|effect| matches!(effect, Effect::Aclexec(_))) {
        journal.verdict(&done, &client, &request.client.address);
    }
    // As the daemon does: what is not absolute is looked for in the root folder, and never in PATH.
    let path = Path::new("/").join(path);
    answer(done, &path, &name, words, &mut journal)
}
