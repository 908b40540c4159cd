//! What packages of the program need beside it: completions of shells, and pages for `man`.

use super::Cli;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use ocellus::{Error, Result};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print what a shell needs to complete this program's arguments.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    ocellus completions bash > ~/.local/share/bash-completion/completions/ocellus\n  \
    ocellus completions zsh > \"${fpath[1]}/_ocellus\"\n  \
    ocellus completions fish > ~/.config/fish/completions/ocellus.fish")]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn run(&self) -> Result<ExitCode> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "ocellus", &mut text);
        std::io::stdout().write_all(&text).map_err(|e| Error::io("standard output", e))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Write a page for `man` of each command.
#[derive(Args)]
pub(super) struct Man {
    /// Folder for ocellus.1, ocellus-detect.1 and so on; made if it is not there.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Man {
    pub fn run(&self) -> Result<ExitCode> {
        let failed = |e| Error::io(&self.folder, e);
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), &self.folder)
            .map_err(failed)?;
        Ok(ExitCode::SUCCESS)
    }
}
