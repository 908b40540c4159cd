//! The command line: arguments, what they mean, and the calls into the library that carry them out.

mod bench;
mod benchncnn;
#[cfg(all(target_os = "linux", feature = "v4l"))]
mod cameras;
mod detect;
mod generate;
mod inputs;
mod inspect;
mod json;
mod options;
mod report;
mod watch;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// INT8 object detection on small CPUs.
#[derive(Parser)]
#[command(
    name = "ocellus",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = "Example, without a model or anything else at hand:\n  ocellus photo.jpg\n\n\
                  Exit status: 0 success, 1 something failed (the message says what), 2 wrong usage.\n\
                  Set OCELLUS_LOG=debug for more messages, OCELLUS_ISA=avx2 (say) for a plainer instruction set."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Short for `detect --draw detected INPUT…`: finds persons and vehicles, and draws them on a copy of each picture.
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Find objects in pictures.
    Detect(Box<detect::Detect>),
    /// Find objects in the frames of a camera, as they come.
    Watch(Box<watch::Watch>),
    /// List the cameras of this machine with their formats and sizes.
    #[cfg(all(target_os = "linux", feature = "v4l"))]
    Cameras(cameras::Cameras),
    /// Show what a model becomes: every step with its type, shape, scale, kernel and place in memory.
    Inspect(inspect::Inspect),
    /// Measure how fast networks run.
    Bench(Box<bench::Bench>),
    /// Print what a shell needs to complete this program's arguments.
    Completions(generate::Completions),
    /// Write a page for `man` of each command.
    #[command(hide = true)]
    Man(generate::Man),
}

/// What the arguments ask for; pictures alone stand for what one wants of them.
fn parse() -> Command {
    let Cli { command, inputs } = Cli::parse();
    command.unwrap_or_else(|| {
        let words = ["ocellus", "detect", "--draw", "detected", "--"].map(OsString::from);
        let cli = Cli::parse_from(words.into_iter().chain(inputs.into_iter().map(OsString::from)));
        cli.command.expect("detect is a command")
    })
}

/// Parses the arguments and runs the command.
pub(crate) fn run() -> ExitCode {
    let command = parse();
    let log = env_logger::Env::default().filter_or("OCELLUS_LOG", "warn");
    env_logger::Builder::from_env(log).format_timestamp(None).format_target(false).init();
    let done = match &command {
        Command::Detect(detect) => detect.run(),
        Command::Watch(watch) => watch.run(),
        #[cfg(all(target_os = "linux", feature = "v4l"))]
        Command::Cameras(cameras) => cameras.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Bench(bench) => bench.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if matches!(error, ocellus::Error::Usage(_)) { 2 } else { 1 })
        }
    }
}
