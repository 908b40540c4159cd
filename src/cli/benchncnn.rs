//! The arguments of benchncnn, for those who know it: numbers by position, then `param=` and `shape=`.

use ocellus::bench::host::{Cpus, allowed_cpus};
use ocellus::{Error, Result};
use std::path::PathBuf;

/// What the arguments say; defaults are benchncnn's.
#[derive(Debug, PartialEq)]
pub(super) struct Arguments {
    pub loops: usize,
    pub threads: Option<usize>,
    pub powersave: usize,
    pub gpu_device: i64,
    /// Wait before each network, so that the CPU is cool.
    pub cooling_down: bool,
    /// A model file instead of the built-in set.
    pub param: Option<PathBuf>,
    /// `[height, width]`.
    pub size: Option<[usize; 2]>,
}

impl Arguments {
    /// Reads `[loop_count] [num_threads] [powersave] [gpu_device] [cooling_down] [param=FILE shape=[w,h,c]]`.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut parsed = Arguments {
            loops: 4,
            threads: None,
            powersave: 2,
            gpu_device: -1,
            cooling_down: true,
            param: None,
            size: None,
        };
        let mut position = 0;
        for argument in arguments {
            if let Some(file) = argument.strip_prefix("param=") {
                parsed.param = Some(file.into());
            } else if let Some(shape) = argument.strip_prefix("shape=") {
                parsed.size = Some(size(shape)?);
            } else {
                parsed.set(position, argument)?;
                position += 1;
            }
        }
        Ok(parsed)
    }

    fn set(&mut self, position: usize, text: &str) -> Result<()> {
        const NAMES: [&str; 5] = ["loop_count", "num_threads", "powersave", "gpu_device", "cooling_down"];
        let Some(name) = NAMES.get(position) else {
            return Err(Error::Usage(format!("'{text}' is one number too many; there are {NAMES:?}")));
        };
        let wrong = |wanted: &str| Error::Usage(format!("{name} must be {wanted}, not '{text}'"));
        let whole = |least: usize, most: usize, wanted: &str| {
            text.parse().ok().filter(|n| (least..=most).contains(n)).ok_or_else(|| wrong(wanted))
        };
        match position {
            0 => self.loops = whole(1, 1_000_000, "a number of runs, from 1")?,
            1 => self.threads = Some(whole(1, usize::MAX, "a number of threads, from 1")?),
            2 => self.powersave = whole(0, 2, "0 (all CPUs), 1 (little) or 2 (big)")?,
            3 if text == "-1" => {}
            3 => return Err(wrong("-1: there is no GPU engine")),
            _ => self.cooling_down = whole(0, 1, "0 or 1")? == 1,
        }
        Ok(())
    }

    /// Threads: as many as were asked for, or one for each CPU that `powersave` stands for.
    ///
    /// # Errors
    /// The little CPUs were asked for, and this process may run on others.
    pub fn threads(&self) -> Result<Option<usize>> {
        let group = [Cpus::All, Cpus::Little, Cpus::Big][self.powersave];
        let Some(wanted) = group.numbers() else { return Ok(self.threads) };
        // Threads that compute without a pause find the big CPUs by themselves, never the little ones.
        if group == Cpus::Little && allowed_cpus().is_some_and(|allowed| allowed != wanted) {
            let list: Vec<String> = wanted.iter().map(usize::to_string).collect();
            let list = list.join(",");
            return Err(Error::Usage(format!(
                "powersave 1 means the CPUs {list}; confine the program to them: taskset -c {list} ocellus bench …"
            )));
        }
        Ok(Some(self.threads.unwrap_or(wanted.len())))
    }

    /// The lines that benchncnn prints first.
    pub fn header(&self, threads: usize) -> String {
        format!(
            "loop_count = {}\nnum_threads = {threads}\npowersave = {}\ngpu_device = {}\ncooling_down = {}",
            self.loops,
            self.powersave,
            self.gpu_device,
            u8::from(self.cooling_down)
        )
    }
}

/// `[height, width]` of `[w,h,3]`.
fn size(shape: &str) -> Result<[usize; 2]> {
    let wrong = || Error::Usage(format!("shape must be [width,height,3], not '{shape}'"));
    let inside = shape.strip_prefix('[').and_then(|s| s.strip_suffix(']')).ok_or_else(wrong)?;
    let numbers: Vec<usize> =
        inside.split(',').map(|n| n.trim().parse()).collect::<Result<_, _>>().map_err(|_| wrong())?;
    match numbers[..] {
        [width, height, 3] => Ok([height, width]),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Arguments> {
        Arguments::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    /// The command lines of benchncnn's README.
    #[test]
    fn arguments_are_those_of_benchncnn() {
        let a = parse("8 4 0").unwrap();
        assert_eq!(
            (a.loops, a.threads, a.powersave, a.gpu_device, a.cooling_down),
            (8, Some(4), 0, -1, true)
        );
        assert_eq!(
            a.header(4),
            "loop_count = 8\nnum_threads = 4\npowersave = 0\ngpu_device = -1\ncooling_down = 1"
        );
        let a = parse("4 1 2 -1 0 param=m.param shape=[320,192,3]").unwrap();
        assert_eq!((a.cooling_down, a.param, a.size), (false, Some("m.param".into()), Some([192, 320])));
        for (bad, part) in [
            ("0", "loop_count"),
            ("4 x", "num_threads"),
            ("4 1 3", "powersave"),
            ("4 1 0 0", "GPU"),
            ("4 1 0 -1 2", "cooling_down"),
            ("4 1 0 -1 0 7", "too many"),
            ("shape=[1,2]", "shape"),
        ] {
            let message = parse(bad).unwrap_err().to_string();
            assert!(message.contains(part), "{bad}: {message}");
        }
    }
}
