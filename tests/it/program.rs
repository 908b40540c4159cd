//! The `ocellus` program.

use serde_json::Value;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// What a run of the program did.
pub struct Ran {
    /// Exit status; `None` after a signal.
    pub status: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Ran {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The lines of standard output as JSON.
    pub fn json_lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs `ocellus` with these arguments.
pub fn ocellus(arguments: &[&dyn AsRef<OsStr>]) -> Ran {
    ocellus_with(&[], arguments)
}

/// As [`ocellus`], in this folder.
pub fn ocellus_in(folder: &Path, arguments: &[&dyn AsRef<OsStr>]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocellus"));
    Ran::of(command.args(arguments).current_dir(folder).output().unwrap())
}

/// As [`ocellus`], with these environment variables.
pub fn ocellus_with(variables: &[(&str, &str)], arguments: &[&dyn AsRef<OsStr>]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocellus"));
    command.args(arguments.iter().map(|a| a.as_ref())).env_remove("OCELLUS_ISA");
    run(command.envs(variables.iter().copied()))
}

/// As [`ocellus`], with `input` on standard input.
pub fn ocellus_fed(input: &[u8], arguments: &[&dyn AsRef<OsStr>]) -> Ran {
    let mut child = start(arguments);
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // A program that ends early reads no more; what it says about that is what the test looks at.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    });
    Ran::of(output)
}

/// Starts `ocellus` with pipes to all three of its streams.
pub fn start(arguments: &[&dyn AsRef<OsStr>]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocellus"));
    command.args(arguments.iter().map(|a| a.as_ref())).env_remove("OCELLUS_ISA").env_remove("OCELLUS_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// As [`ocellus`], with at most a second of CPU time and 200 MB of address space where the system can
/// enforce that. CPU time, so that a busy machine fails no test.
pub fn ocellus_confined(arguments: &[&dyn AsRef<OsStr>]) -> Ran {
    if !cfg!(target_os = "linux") {
        return ocellus(arguments);
    }
    let confined = "ulimit -t 1 && ulimit -v 200000 && exec \"$0\" \"$@\"";
    let arguments = arguments.iter().map(|a| a.as_ref());
    run(Command::new("sh").args(["-c", confined, env!("CARGO_BIN_EXE_ocellus")]).args(arguments))
}

fn run(command: &mut Command) -> Ran {
    Ran::of(command.env_remove("OCELLUS_LOG").output().unwrap())
}
