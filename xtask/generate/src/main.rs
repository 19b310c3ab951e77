//! Writes `man` and `completions` into a folder: `generate FOLDER`. Everything comes from the one table of
//! the command line, so help, man pages and completions cannot disagree.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: generate FOLDER");
        return ExitCode::from(64);
    };
    match generate(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {folder}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(folder: &Path) -> std::io::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    let mut command = usherd::command_line().disable_help_subcommand(true);
    command.build();
    pages(&command, &man)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        generate_to(shell, &mut command, "usherd", &completions)?;
    }
    Ok(())
}

/// The page of a command, and those of its parts.
fn pages(command: &Command, folder: &Path) -> std::io::Result<()> {
    page(command, folder)?;
    command.get_subcommands().try_for_each(|part| {
        let name = leak(format!("{}-{}", command.get_name(), part.get_name()));
        pages(&part.clone().name(name), folder)
    })
}

fn page(command: &Command, folder: &Path) -> std::io::Result<()> {
    let name = command.get_name().to_owned();
    let man = Man::new(command.clone()).section("1").source("usherd").date("");
    let mut text = Vec::new();
    man.render(&mut text)?;
    fs::write(folder.join(format!("{name}.1")), text)
}

/// clap wants names that live for ever; this program does not.
fn leak(text: String) -> &'static str {
    text.leak()
}
