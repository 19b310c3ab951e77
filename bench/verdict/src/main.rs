//! What a verdict costs, with few addresses in the tables and with many.
//!
//! A table of ten thousand addresses is asked for every caller, so its length must hardly matter: the goal is that the
//! long one costs at most twice what the short one does. Both are asked in turns, and the best turn of each counts, so
//! that a busy machine disturbs neither more than the other.

mod hosts_access;
mod peers;

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Instant;

const FEW: u32 = 10;
const MANY: u32 = 10_000;

/// How many times as much the long table may cost.
const GOAL: f64 = 2.0;

const TURNS: u32 = 40;
const VERDICTS: u32 = 20_000;

/// A caller of whom no table knows.
const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The address that the word of this number is about. All differ in their first 24 bits.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0007 + (number << 8))
}

/// Tables and a caller.
trait Question {
    /// Asks, and says whether the answer is what it must be.
    fn is_right(&self) -> bool;
}

/// Nanoseconds of a verdict, in one turn.
fn turn(question: &impl Question) -> f64 {
    let began = Instant::now();
    for _ in 0..VERDICTS {
        black_box(black_box(question).is_right());
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(VERDICTS)
}

/// Asks the short and the long one, and says whether the goal is reached.
fn measure<Q: Question>(name: &str, case: impl Fn(u32) -> Q) -> bool {
    let cases = [FEW, MANY].map(case);
    if !cases.iter().all(Q::is_right) {
        println!("{name:36} wrong verdict");
        return false;
    }
    let mut best = [f64::INFINITY; 2];
    for _ in 0..TURNS {
        for (best, case) in best.iter_mut().zip(&cases) {
            *best = best.min(turn(case));
        }
    }
    let ratio = best[1] / best[0];
    let is_good = ratio <= GOAL;
    println!(
        "{name:36} {:7.0} {:7.0} {ratio:6.2}  {}",
        best[0],
        best[1],
        if is_good { "ok" } else { "short" }
    );
    is_good
}

fn main() -> ExitCode {
    println!(
        "{:36} {FEW:>7} {MANY:>7} {:>6}  goal <= {GOAL:.2}",
        "ns of a verdict, so many addresses", "ratio"
    );
    let tables = [
        ("rules, the last one matches", hosts_access::Form::Rules, true),
        ("rules, none matches", hosts_access::Form::Rules, false),
        ("a file's lines, the last one matches", hosts_access::Form::File, true),
        ("a file's lines, none matches", hosts_access::Form::File, false),
    ];
    let lists = [
        ("only_from, the last one matches", peers::Form::Addresses, true),
        ("only_from, none matches", peers::Form::Addresses, false),
        ("only_from, the last name matches", peers::Form::Names, true),
        ("only_from, no name matches", peers::Form::Names, false),
    ];
    let tables = tables
        .map(|(name, form, is_known)| measure(name, |count| hosts_access::Case::new(form, count, is_known)));
    let lists =
        lists.map(|(name, form, is_known)| measure(name, |count| peers::Case::new(form, count, is_known)));
    if tables.into_iter().chain(lists).all(|is_good| is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
