//! `calib`: see `calib --help`.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let cli = calib::cli::Cli::parse();
    match calib::cli::run(&cli, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("calib: error: {e}");
            ExitCode::from(e.exit_code())
        }
    }
}
