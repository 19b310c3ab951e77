//! Random callers and tables, most of which mean something.
//!
//! Everything is composed letter by letter from a grammar. What a rule says is derived from the caller more often than not,
//! so that rules match, nearly match, and need look-ups to know.

mod banner;
mod host;
mod list;
mod option;
mod table;
mod text;
mod world;

use crate::dice::Dice;
use crate::question::{Contents, Question};

use self::world::World;

/// Files of patterns. No more, or a table could not open all that name one another (`oracle.c`).
const LISTS: [&str; 3] = ["/list", "/other", "/third"];

/// Folders of banners.
const BANNERS: [&str; 2] = ["/banners", "/banners2"];

/// The question with this number.
pub fn question(seed: u64, case: u64) -> Question {
    let dice = &mut Dice::new(seed, case);
    let world = World::new(dice);
    let mut files = Vec::new();
    for path in ["/allow", "/deny"] {
        match dice.below(100) {
            0 => {}
            1 => files.push((path.to_owned(), Contents::Folder)),
            2 => files.push((path.to_owned(), Contents::Refused)),
            _ => files.push((path.to_owned(), Contents::Text(table::table(dice, &world)))),
        }
    }
    for path in LISTS {
        match dice.below(8) {
            0 | 1 => {}
            2 => files.push((path.to_owned(), Contents::Folder)),
            3 => files.push((path.to_owned(), Contents::Refused)),
            _ => files.push((path.to_owned(), Contents::Text(list::file(dice, &world)))),
        }
    }
    for folder in BANNERS {
        // Odd letters of a daemon's name are changed where libwrap keeps it, and then in the banner's path.
        let is_plain = world.daemon.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'.');
        if let (Ok(daemon), true) = (str::from_utf8(&world.daemon), is_plain && !dice.once_in(3)) {
            let text = Contents::Text(banner::banner(dice));
            files.push((format!("{folder}/{daemon}"), text));
        }
    }
    Question {
        daemon: world.daemon,
        client: world.client,
        server: world.server,
        client_name: world.client_name,
        server_name: world.server_name,
        user: world.user,
        is_user_given: dice.once_in(8),
        is_datagram: dice.once_in(8),
        is_resident: dice.once_in(6),
        aclexec_fails: dice.once_in(8),
        has_no_rings: false,
        files,
    }
}
