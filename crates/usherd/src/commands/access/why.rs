//! Why a rule matches, in words.

use usherd_model::access::{Matched, Part, Reason, RuleAt, Step, Tables, Words};
use usherd_model::diagnostic::printable;

use super::{CLIENT_NAME, SERVER_NAME, USER, place};

/// One rule that was looked at: its lists, the words that decided, and what had to be looked up for them.
pub(super) fn step_text(step: &Step, tables: &Tables, words: &Words) -> String {
    let at = place(step.rule, tables);
    let Some(daemons) = &step.daemons else { return format!("{at}: no rule, for want of a colon") };
    let mut text = format!("{at}: {}", reason_text("daemon", daemons, step.rule, words));
    if let Some(clients) = &step.clients {
        text.push_str(&format!("; {}", reason_text("client", clients, step.rule, words)));
    }
    let asked = [
        (step.asked_client_name, CLIENT_NAME),
        (step.asked_server_name, SERVER_NAME),
        (step.asked_user, USER),
    ];
    let asked: Vec<&str> = asked.into_iter().filter_map(|(asked, what)| asked.then_some(what)).collect();
    if !asked.is_empty() {
        text.push_str(&format!(" (for {})", asked.join(" and ")));
    }
    text
}

fn reason_text(list: &str, reason: &Reason, rule: RuleAt, words: &Words) -> String {
    let word = |part: &Part| match &part.word {
        Some(word) => word_text(&words.at(rule, word)),
        None => String::new(),
    };
    let Some((first, exceptions)) = reason.parts.split_first() else { return String::new() };
    let is_plain = exceptions.iter().all(|part| part.matched == Matched::No);
    let mut text = match (reason.matched, first.matched) {
        (_, Matched::No) => return format!("no word of the {list} list matches"),
        (Matched::Yes, _) if is_plain => format!("the {list} list matches by {}", word(first)),
        (Matched::Yes, _) => format!("the {list} list matches: {} does", word(first)),
        (Matched::No, Matched::Yes) => format!("the {list} list does not match: {} does", word(first)),
        (Matched::No, Matched::Undecided) => {
            format!("the {list} list does not match: {} may", word(first))
        }
        (Matched::Undecided, Matched::Yes) => {
            format!("whether the {list} list matches cannot be told: {} does", word(first))
        }
        (Matched::Undecided, Matched::Undecided) => {
            format!("whether the {list} list matches cannot be told because of {}", word(first))
        }
    };
    // Each EXCEPT is one from the one before it.
    let turns = ["takes that back", "gives it again"].into_iter().cycle();
    for (part, turns) in exceptions.iter().zip(turns) {
        text.push_str(&match part.matched {
            Matched::Yes => format!(", but EXCEPT {} {turns}", word(part)),
            Matched::No => format!(", and no exception {turns}"),
            Matched::Undecided => format!(", and whether EXCEPT {} {turns} cannot be told", word(part)),
        });
    }
    text
}

/// `"10.0.0.1" of /etc/friends`: the innermost word of those that name files, and where it stands.
fn word_text(chain: &[&[u8]]) -> String {
    let mut words = chain.iter().rev();
    let Some(innermost) = words.next() else { return String::new() };
    words.fold(format!("\"{}\"", printable(innermost)), |text, file| format!("{text} of {}", printable(file)))
}
