//! Differential fuzzing: what usherd and Debian's libwrap make of the same tables and callers.
//!
//! `cargo run --release -- --cases N [--seed S]`. Every case follows from its number: one that differs is printed with both
//! answers and can be had again with `--seed NUMBER --cases 1`. Nothing is explained away here: what is different on purpose
//! is not generated (see `story`).

mod oracle;
mod ours;
mod story;

use std::process::ExitCode;

use arbitrary::Unstructured;

use story::Dice;

/// More than any story needs.
const BYTES: usize = 4096;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut cases, mut seed) = (10_000_u64, 0_u64);
    while let Some(word) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (word.as_str(), value) {
            ("--cases", Some(value)) => cases = value,
            ("--seed", Some(value)) => seed = value,
            _ => {
                eprintln!("usage: usherd-libwrap [--cases N] [--seed S]");
                return ExitCode::from(2);
            }
        }
    }
    let mut differ = 0_u64;
    for number in seed..seed + cases {
        if let Some(report) = difference(number) {
            println!("{report}");
            differ += 1;
            if differ == 10 {
                break;
            }
        }
    }
    println!("{cases} cases from {seed}: {differ} differ");
    if differ == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn difference(number: u64) -> Option<String> {
    let bytes = bytes_of(number);
    let question = story::question(&mut Dice(Unstructured::new(&bytes)));
    let theirs = in_order(&oracle::ask(&question));
    let mine = in_order(&ours::ask(&question));
    // Libwrap gives up, without a verdict, on an expansion that is too long.
    if theirs == mine || theirs.iter().any(|line| line == "verdict abort") {
        return None;
    }
    let only = |one: &[String], other: &[String]| {
        let lines = one.iter().filter(|line| !other.contains(line)).map(|line| format!("      {line}\n"));
        lines.collect::<String>()
    };
    let mut report = format!("case {number}: {:?} -> {:?}\n", question.client, question.server);
    report.push_str(&format!(
        "  daemon {:?}, names {:?} {:?}, user {:?}, datagram {}, resident {}\n",
        question.daemon,
        question.client_name,
        question.server_name,
        question.user,
        question.is_datagram,
        question.is_resident
    ));
    for (path, contents) in &question.files {
        match contents {
            oracle::Contents::Text(text) => {
                report.push_str(&format!("  {path}: {:?}\n", text.escape_ascii().to_string()));
            }
            other => report.push_str(&format!("  {path}: {other:?}\n")),
        }
    }
    report.push_str(&format!("    libwrap:\n{}    usherd:\n{}", only(&theirs, &mine), only(&mine, &theirs)));
    Some(report)
}

/// Facts by their kind. Those of one kind keep their order; kinds are not compared in time.
fn in_order(answer: &[u8]) -> Vec<String> {
    // What is no text is shown as if it were, by usherd.
    let text = String::from_utf8_lossy(answer);
    let mut lines: Vec<String> = text.split('\n').map(|line| line.escape_debug().to_string()).collect();
    lines.sort_by_key(|line| line.split(' ').next().unwrap_or_default().to_owned());
    lines
}

/// Numbers that look like chance (splitmix64).
fn bytes_of(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..BYTES / 8).flat_map(|_| next().to_le_bytes()).collect()
}
