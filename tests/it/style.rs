//! Rules that no compiler checks, checked on the sources: sizes, words, where `unsafe` may stand, and which
//! room may know which.

use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that may be longer, as `file:name`: flat tables that would not be clearer in pieces.
const LONG_FUNCTIONS: [&str; 1] = ["src/plan/real.rs:lower"];

/// The only places of `unsafe`: the instruction sets and the doors to them, the arena and those who cut
/// slices from it, the thread pool, the C interface of ncnn, the kernel's cameras, a test's allocator, the
/// door of training to matrix products.
const UNSAFE: [&str; 9] = [
    "src/kernels/",
    "src/memory.rs",
    "src/engine.rs",
    "src/plan/step.rs",
    "src/threads.rs",
    "src/engines/ncnn.rs",
    "src/watch/v4l/uapi.rs",
    "tests/allocations.rs",
    "calib/src/train/kernels/gemm.rs",
];

/// What each room may know, the crate's own modules only; see docs/ARCHITECTURE.md.
const KNOWS: [(&str, &[&str]); 17] = [
    ("limits", &[]),
    ("tensor", &["limits"]),
    ("error", &["tensor"]),
    ("threads", &[]),
    ("memory", &["tensor", "limits"]),
    ("graph", &["tensor", "limits", "error"]),
    ("loader", &["graph", "tensor", "limits", "error"]),
    ("passes", &["graph", "tensor", "limits", "error"]),
    // Of the graph only the names of functions and modes.
    ("kernels", &["graph", "tensor", "limits", "error"]),
    ("plan", &["passes", "kernels", "graph", "tensor", "limits", "error", "threads", "memory"]),
    ("engine", &["plan", "passes", "kernels", "graph", "tensor", "limits", "error", "threads", "memory"]),
    ("image", &["kernels", "tensor", "limits", "error"]),
    ("detect", &["image", "tensor", "limits", "error"]),
    ("engines", &["engine", "loader", "graph", "detect", "image", "kernels", "tensor", "limits", "error"]),
    ("watch", &["detector", "detect", "image", "limits", "error"]),
    ("publish", &["watch", "limits", "error"]),
    // Of bench, which is no room below, the facts of the machine.
    ("serve", &["watch", "publish", "image", "limits", "error"]),
];

/// The same for the rooms of `calib/src` that training data pass through. What is not here may know everything.
const CALIB_KNOWS: [(&str, &[&str]); 9] = [
    ("limits", &[]),
    ("random", &[]),
    ("error", &[]),
    ("share", &["error"]),
    ("write", &["limits", "error"]),
    ("dataset", &["write", "share", "random", "limits", "error"]),
    ("anchors", &["dataset", "random"]),
    ("augment", &["dataset", "random", "error"]),
    ("loader", &["augment", "dataset", "share", "random", "error"]),
];

struct Source {
    /// Path from the repository's root.
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, suffixes: &[&str], found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !name.starts_with("target") && !["corpus", "artifacts", "seeds"].contains(&name) {
                collect(&path, suffixes, found);
            }
        } else if suffixes.iter().any(|suffix| name.ends_with(suffix)) {
            found.push(path);
        }
    }
}

/// Files of the repository with one of these suffixes.
fn sources(suffixes: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in ["src", "calib", "tests", "benches", "fuzz", "docs", "models", "cross", ".ci"] {
        collect(&root().join(folder), suffixes, &mut paths);
    }
    paths.extend(["README.md", "CHANGELOG.md", "Cargo.toml", "Cross.toml"].map(|name| root().join(name)));
    paths.retain(|path| suffixes.iter().any(|s| path.to_str().unwrap().ends_with(s)));
    paths.sort();
    let source = |path: PathBuf| Source {
        text: std::fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/"),
    };
    paths.into_iter().map(source).collect()
}

/// Fails with all findings at once.
fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Name of the function that a line begins. The sources are formatted, so a function ends with a brace at
/// the indentation of its first line.
fn function(line: &str) -> Option<&str> {
    let before_name = line.trim_start().split_once("fn ")?;
    let words = ["pub", "pub(crate)", "pub(super)", "const", "unsafe", "extern", "\"C\""];
    before_name.0.split_whitespace().all(|word| words.contains(&word)).then_some(())?;
    before_name.1.split(['(', '<']).next()
}

#[test]
fn files_and_functions_fit_the_eye() {
    let mut findings = Vec::new();
    for Source { path, text } in sources(&[".rs"]) {
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            findings.push(format!("{path}: {} lines, at most {FILE_LINES_MAX}", lines.len()));
        }
        for (first, line) in lines.iter().enumerate() {
            let Some(name) = function(line) else { continue };
            let closes = |l: &&str| l.trim() == "}" && indent(l) == indent(line);
            let ends = |l: &&str| closes(l) || l.trim_end().ends_with("; }") || l.trim_end().ends_with(';');
            let length = match line.trim_end().ends_with(['}', ';']) {
                true => 1,
                // A declaration without a body ends with a semicolon at its own indentation.
                false => lines[first + 1..]
                    .iter()
                    .position(|l| indent(l) == indent(line) && ends(l))
                    .map_or(0, |more| more + 2),
            };
            let known = LONG_FUNCTIONS.contains(&format!("{path}:{name}").as_str());
            if length > FUNCTION_LINES_MAX && !known {
                findings.push(format!("{path}:{}: {name} has {length} lines", first + 1));
            }
        }
    }
    assert_none(&findings);
}

#[test]
fn every_file_says_what_it_holds() {
    let silent = sources(&[".rs"])
        .into_iter()
        .filter(|source| !source.path.ends_with("/tests.rs") && !source.text.starts_with("//! "));
    assert_none(&silent.map(|source| format!("{}: no //! line", source.path)).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_undone() {
    let words =
        [concat!("todo", "!"), concat!("unimplemented", "!"), concat!("dbg", "!("), concat!("FIX", "ME")];
    let machine =
        [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let mut findings = Vec::new();
    for Source { path, text } in sources(&[".rs", ".md", ".toml", "run"]) {
        for (number, line) in text.lines().enumerate() {
            for word in words.iter().chain(&machine).filter(|word| line.contains(*word)) {
                findings.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    assert_none(&findings);
}

#[test]
fn unsafe_code_is_confined_and_explained() {
    let mut findings = Vec::new();
    for Source { path, text } in sources(&[".rs"]).into_iter().filter(|s| !s.path.ends_with("it/style.rs")) {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap();
            let block = code.contains("unsafe {") || code.contains("unsafe impl");
            let item = code.contains("pub unsafe fn") || code.contains("unsafe trait");
            if (block || item) && !UNSAFE.iter().any(|place| path.starts_with(place)) {
                findings.push(format!("{path}:{}: no place for unsafe code", at + 1));
            }
            let above = lines[at.saturating_sub(16)..at].join("\n");
            if block && !above.contains("SAFETY:") || item && !above.contains("# Safety") {
                findings.push(format!("{path}:{}: unsafe without a reason", at + 1));
            }
        }
    }
    assert_none(&findings);
}

#[test]
fn rooms_know_only_what_lies_below() {
    let mut findings = known_against("src/", &KNOWS);
    findings.extend(known_against("calib/src/", &CALIB_KNOWS));
    assert_none(&findings);
}

/// Imports below `folder` that `knows` does not allow, of rooms that it has.
fn known_against(folder: &str, knows: &[(&str, &[&str])]) -> Vec<String> {
    let mut findings = Vec::new();
    for Source { path, text } in sources(&[".rs"]).into_iter().filter(|s| s.path.starts_with(folder)) {
        let room = path[folder.len()..].split(['/', '.']).next().unwrap();
        let Some((_, allowed)) = knows.iter().find(|(name, _)| *name == room) else { continue };
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            for known in code.split("crate::").skip(1) {
                let known = known.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap();
                let module = knows.iter().any(|(name, _)| *name == known);
                if module && known != room && !allowed.contains(&known) {
                    findings.push(format!("{path}:{}: {room} must not know {known}", number + 1));
                }
            }
        }
    }
    findings
}

#[test]
fn the_command_line_uses_only_the_public_library() {
    let private = sources(&[".rs"])
        .into_iter()
        .filter(|s| s.path.starts_with("src/cli/") && s.text.contains("crate::"))
        .map(|s| format!("{}: reaches into the crate", s.path));
    assert_none(&private.collect::<Vec<_>>());
}
