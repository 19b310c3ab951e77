//! Each fuzz target for a short time, on what `fuzz/seeds` has and from there on. A crash fails.
//!
//! The targets are built here, without cargo-fuzz: coverage needs flags that stable Rust has. There is no address
//! sanitizer; what is fuzzed has no `unsafe`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, program, project};

/// What cargo-fuzz passes for libFuzzer, but for the sanitizer.
const FLAGS: [&str; 8] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions=yes",
];

pub fn run(words: &[String]) -> Outcome {
    let (seconds, wanted) = match words {
        [option, seconds, wanted @ ..] if option == "--seconds" => {
            (seconds.parse().map_err(|_| format!("not a number of seconds: {seconds}"))?, wanted)
        }
        wanted => (20, wanted),
    };
    let folder = project::path("fuzz");
    let targets = targets(&folder)?;
    if let Some(unknown) = wanted.iter().find(|name| !targets.contains(name)) {
        return Err(format!("no such target: {unknown}; there are {}", targets.join(", ")));
    }
    let built = build(&folder)?;
    for target in targets.iter().filter(|name| wanted.is_empty() || wanted.contains(name)) {
        fuzz(&folder, &built, target, seconds)?;
    }
    Ok(())
}

/// One for each file of `fuzz_targets`.
fn targets(folder: &Path) -> Result<Vec<String>, String> {
    let entries =
        fs::read_dir(folder.join("fuzz_targets")).map_err(|error| format!("fuzz_targets: {error}"))?;
    let names = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if is_source { Some(path.file_stem()?.to_string_lossy().into_owned()) } else { None }
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

/// Builds all targets and returns where they are. Naming the system keeps the flags away from build scripts.
fn build(folder: &Path) -> Result<PathBuf, String> {
    let host = program::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let host = host.trim();
    let target = folder.join("target/smoke");
    let mut cargo = program::cargo(folder);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    cargo.args(["build", "--release", "--locked", "--bins", "--target", host, "--target-dir"]).arg(&target);
    program::run(&mut cargo)?;
    Ok(target.join(host).join("release"))
}

fn fuzz(folder: &Path, built: &Path, target: &str, seconds: u32) -> Outcome {
    let corpus = folder.join("corpus").join(target);
    let crashes = folder.join("artifacts").join(target);
    for folder in [&corpus, &crashes] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    println!("{target}: {seconds} s");
    let mut fuzzer = Command::new(built.join(target));
    fuzzer.arg(format!("-max_total_time={seconds}"));
    // A slash at the end makes it a folder to libFuzzer.
    fuzzer.arg(format!("-artifact_prefix={}/", crashes.display()));
    fuzzer.args([
        "-print_final_stats=0",
        "-verbosity=0",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-max_len=4096",
    ]);
    fuzzer.arg(&corpus);
    let seeds = folder.join("seeds").join(target);
    if seeds.is_dir() {
        fuzzer.arg(seeds);
    }
    program::run(&mut fuzzer).map_err(|why| format!("{why}; the input is in {}", crashes.display()))
}
