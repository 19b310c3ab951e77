//! Which cases there are, from what an undisturbed run does.

use crate::case::{Case, Fault, Parent};
use crate::errors::{CHILD, DAEMON, Errors, HELPER, LEFT_ALONE};
use crate::trace::Occurrences;

/// Occurrences of one call that are tried: the first, the last and these many between them.
const BETWEEN: usize = 4;

/// Calls that a run makes and `errors` knows nothing of.
pub fn unknown(calls: &Occurrences) -> Vec<&str> {
    let is_known = |name: &str| {
        DAEMON.iter().any(|errors| errors.call == name) || LEFT_ALONE.iter().any(|(call, _)| *call == name)
    };
    calls.keys().map(String::as_str).filter(|name| !is_known(name)).collect()
}

/// All cases; or one for each important call.
pub fn cases(calls: &Occurrences, smoke: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for Errors { call, errors, smoke: important } in DAEMON {
        let Some(occurrences) = calls.get(*call) else { continue };
        let wanted = if smoke { usize::from(*important) } else { errors.len() };
        for error in &errors[..wanted] {
            let mut spread = spread(occurrences);
            // A start that fails tells little, and the last occurrence is not there in every run.
            if smoke {
                spread = vec![spread[spread.len() / 2]];
            }
            for when in spread {
                cases.push(Case::Daemon(fault(call, error, when)));
            }
        }
    }
    for Errors { call, errors, smoke: important } in CHILD {
        let wanted = if smoke { usize::from(*important) } else { errors.len() };
        let parents = if smoke { &Parent::ALL[..3] } else { &Parent::ALL };
        for error in &errors[..wanted] {
            let is_helper = |parent: &Parent| matches!(parent, Parent::Loader | Parent::Tables);
            let makes_it = |parent: &&Parent| !is_helper(parent) || HELPER.contains(call);
            let parents = parents.iter().filter(makes_it);
            cases.extend(parents.map(|parent| Case::Child(*parent, fault(call, error, 1))));
        }
    }
    cases
}

fn fault(call: &str, error: &str, when: u32) -> Fault {
    Fault { call: call.to_owned(), error: error.to_owned(), when }
}

/// The first, the last and some between.
fn spread(occurrences: &[u32]) -> Vec<u32> {
    let last = occurrences.len().saturating_sub(1);
    let steps = BETWEEN + 1;
    let mut places: Vec<usize> = (0..=steps).map(|step| last * step / steps).collect();
    places.dedup();
    places.into_iter().filter_map(|place| occurrences.get(place).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_both_ends() {
        assert_eq!(spread(&[3]), [3]);
        assert_eq!(spread(&[1, 2]), [1, 2]);
        assert_eq!(spread(&(1..=31).collect::<Vec<u32>>()), [1, 7, 13, 19, 25, 31]);
    }

    #[test]
    fn the_smoke_run_has_one_case_for_a_call() {
        let calls =
            [("accept4".to_owned(), vec![1, 2, 9]), ("chdir".to_owned(), vec![1])].into_iter().collect();
        let of_daemon = |case: &Case| matches!(case, Case::Daemon(_));
        assert_eq!(cases(&calls, true).into_iter().filter(of_daemon).count(), 1);
        assert!(cases(&calls, false).len() > 30);
    }
}
