//! Files on disk: each is whole or as it was before, and several change together.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes all `files`, or none: temporary files beside the targets are synced, then renamed to them.
///
/// # Errors
/// A file cannot be written; the error names the target. Targets that existed are as they were, no temporary
/// is left.
pub fn save(files: &[(&Path, &[u8])]) -> Result<()> {
    for (at, (path, _)) in files.iter().enumerate() {
        if files[..at].iter().any(|(earlier, _)| earlier == path) {
            return Err(Error::Usage(format!("{} would be written twice", path.display())));
        }
    }
    let mut temporaries = Vec::new();
    for (path, bytes) in files {
        temporaries.push(Temporary::write(path, |file| file.write_all(bytes))?);
    }
    rename_all(temporaries)
}

/// As [`save`], of one file that `write` writes.
///
/// # Errors
/// As [`save`].
pub fn save_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    rename_all(vec![Temporary::write(path, write)?])
}

/// Makes a new folder with `written` files and with `copied` ones (from where, to where), all inside it. It gets its name when
/// it is complete. `progress` is called for each file.
///
/// # Errors
/// A file cannot be read or written, or the folder exists already; nothing is left.
pub fn save_folder(
    folder: &Path,
    written: &[(PathBuf, Vec<u8>)],
    copied: &[(PathBuf, PathBuf)],
    progress: impl Fn(),
) -> Result<()> {
    let temporary = Unfinished(beside(folder, "tmp"));
    let place = |inside: &Path| {
        let path = temporary.0.join(inside);
        fs::create_dir_all(folder_of(&path)).map_err(|e| Error::io(folder, e)).map(|()| path)
    };
    for (inside, bytes) in written {
        fs::write(place(inside)?, bytes).map_err(|e| Error::io(folder.join(inside), e))?;
        progress();
    }
    for (from, inside) in copied {
        // The same bytes under a second name, where the file system has that and both lie on it; of the file itself,
        // as a link that is relative would lead nowhere from its new place.
        let to = place(inside)?;
        fs::canonicalize(from)
            .and_then(|file| fs::hard_link(file, &to))
            .or_else(|_| fs::copy(from, &to).map(drop))
            .map_err(|e| Error::io(from, e))?;
        progress();
    }
    fs::rename(&temporary.0, folder).map_err(|e| Error::io(folder, e))
}

/// A folder that goes away unless it is renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Refuses, before a long run, a target that cannot be written after it. `flag` is what gave it.
///
/// # Errors
/// [`Error::Usage`]: its folder does not exist, or it is a folder itself. [`Error::Io`]: the folder does not
/// take new files.
pub fn check_target(flag: &str, path: &Path) -> Result<()> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(Error::Usage(format!("{flag}: there is no folder {}", folder.display())));
    }
    if path.is_dir() || path.file_name().is_none() {
        return Err(Error::Usage(format!("{flag}: {} is a folder, not a file", path.display())));
    }
    // Permissions, read-only mounts and quotas all show in one attempt, and only there.
    let attempt = beside(path, "try");
    let made = File::create(&attempt).map(drop).map_err(|e| Error::io(folder, e));
    made.and_then(|()| fs::remove_file(&attempt).map_err(|e| Error::io(&attempt, e)))
}

fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// A name in the folder of `path` that no other process uses.
fn beside(path: &Path, kind: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.{kind}", std::process::id()));
    PathBuf::from(name)
}

/// A file that goes away unless it is renamed.
struct Temporary {
    path: PathBuf,
    target: PathBuf,
}

impl Temporary {
    fn write(target: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<Self> {
        let temporary = Temporary { path: beside(target, "tmp"), target: target.to_owned() };
        let written = File::create(&temporary.path).and_then(|mut file| {
            write(&mut file)?;
            file.sync_all()
        });
        written.map(|()| temporary).map_err(|e| Error::io(target, e))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It is gone after a rename; where removing fails, an earlier error matters more.
        let _ = fs::remove_file(&self.path);
    }
}

/// What a target was before.
enum Before {
    Absent,
    Kept(Temporary),
}

fn rename_all(temporaries: Vec<Temporary>) -> Result<()> {
    let mut renamed: Vec<(PathBuf, Before)> = Vec::new();
    let last = temporaries.len().saturating_sub(1);
    for (at, temporary) in temporaries.iter().enumerate() {
        // A failed rename changes nothing, so the last target needs no copy.
        let before = if at == last { Ok(Before::Absent) } else { keep(&temporary.target) };
        let done = before.and_then(|before| fs::rename(&temporary.path, &temporary.target).map(|()| before));
        match done {
            Ok(before) => renamed.push((temporary.target.clone(), before)),
            Err(error) => {
                renamed.into_iter().rev().for_each(|(target, before)| restore(&target, &before));
                return Err(Error::io(&temporary.target, error));
            }
        }
    }
    Ok(())
}

fn keep(target: &Path) -> io::Result<Before> {
    if fs::symlink_metadata(target).is_err() {
        return Ok(Before::Absent);
    }
    let kept = Temporary { path: beside(target, "old"), target: target.to_owned() };
    // Some file systems have no second names.
    fs::hard_link(target, &kept.path).or_else(|_| fs::copy(target, &kept.path).map(drop))?;
    Ok(Before::Kept(kept))
}

fn restore(target: &Path, before: &Before) {
    // The error that led here is the one to report.
    let _ = match before {
        Before::Absent => fs::remove_file(target),
        Before::Kept(kept) => fs::rename(&kept.path, target),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of this test, with the names of all files in it.
    fn folder(test: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("calib-save-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn all_files_change_or_none() {
        let folder = folder("all");
        let [a, b, new, taken] = ["a", "b", "new", "taken"].map(|name| folder.join(name));
        save(&[(&a, b"1"), (&b, b"2")]).unwrap();
        save(&[(&a, b"3"), (&b, b"4")]).unwrap();
        assert_eq!((fs::read(&a).unwrap(), fs::read(&b).unwrap()), (b"3".to_vec(), b"4".to_vec()));
        // A folder in the place of the last file makes its rename fail, after the others were renamed.
        fs::create_dir(&taken).unwrap();
        let error = save(&[(&a, b"5"), (&new, b"6"), (&taken, b"7")]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{}: ", taken.display())), "{error}");
        assert_eq!(fs::read(&a).unwrap(), b"3");
        // A folder that is missing fails while temporaries are written.
        let lost = folder.join("missing/c");
        let error = save(&[(&a, b"5"), (&lost, b"6")]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{}: ", lost.display())), "{error}");
        assert!(matches!(save(&[(&a, b"5"), (&a, b"6")]), Err(Error::Usage(_))));
        let failing = save_with(&b, |_| Err(io::Error::other("no space")));
        assert_eq!(failing.unwrap_err().to_string(), format!("{}: no space", b.display()));
        assert_eq!(names(&folder), ["a", "b", "taken"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_target_is_refused_before_the_run() {
        let folder = folder("target");
        fs::write(folder.join("file"), "").unwrap();
        for (path, expected) in
            [("no/x", "--out: there is no folder"), ("file/x", "--out: there is no folder")]
        {
            let error = check_target("--out", &folder.join(path)).unwrap_err();
            assert!(matches!(&error, Error::Usage(what) if what.starts_with(expected)), "{error}");
        }
        assert!(matches!(check_target("--out", &folder), Err(Error::Usage(_))));
        check_target("--out", &folder.join("x")).unwrap();
        assert_eq!(names(&folder), ["file"]);
        fs::remove_dir_all(folder).unwrap();
    }
}
