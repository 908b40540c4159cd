//! Settings that change while the daemon runs: by a signal that has the file read again, or by a program that sets
//! thresholds, zones and lines.

use super::config::{self, Camera, Change, Config, Line, Share, Zone};
use super::rules::Rules;
use super::snapshots::Snapshots;
use crate::detect::Names;
use crate::error::{Error, Result};
use arc_swap::{ArcSwap, ArcSwapOption};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Score of a detection where nothing states another.
pub const USUAL_SCORE: f32 = 0.25;

/// What the command line says besides the file: it changes the file's configuration each time that it is read.
pub type Overrides = Box<dyn Fn(Config) -> Result<Config> + Send + Sync>;

/// The settings of a running daemon.
pub struct Live {
    path: Option<PathBuf>,
    overrides: Overrides,
    names: Names,
    /// Whoever changes something holds this.
    config: Mutex<Config>,
    rules: Vec<Arc<ArcSwap<Rules>>>,
    snapshots: Arc<ArcSwapOption<Snapshots>>,
}

/// The settings as programs read them.
#[derive(Serialize)]
struct Shown<'a> {
    /// Whether changes are written into a file.
    kept: bool,
    cameras: Vec<ShownCamera<'a>>,
}

#[derive(Serialize)]
struct ShownCamera<'a> {
    name: String,
    /// The score of classes without one of their own.
    score: f32,
    scores: &'a BTreeMap<String, Share>,
    zones: &'a [Zone],
    lines: &'a [Line],
}

impl<'a> ShownCamera<'a> {
    fn of(camera: &'a Camera, usual_score: f32) -> Self {
        let Camera { scores, zones, lines, .. } = camera;
        let score = camera.score.map_or(usual_score, f32::from);
        ShownCamera { name: camera.label(), score, scores, zones, lines }
    }
}

impl Live {
    /// Settings of the file at `path`, if any, changed by `overrides`, for a model with these classes. Snapshots
    /// are written from now on.
    ///
    /// # Errors
    /// [`Error::Usage`]: a value does not fit the model.
    pub fn new(config: Config, path: Option<PathBuf>, overrides: Overrides, names: &Names) -> Result<Self> {
        let rules = all_rules(&config, names)?;
        let snapshots = config.snapshots.as_ref().map(|s| Snapshots::start(s, names)).transpose()?;
        Ok(Live {
            path,
            overrides,
            names: names.clone(),
            config: Mutex::new(config),
            rules: rules.into_iter().map(|rules| Arc::new(ArcSwap::from_pointee(rules))).collect(),
            snapshots: Arc::new(ArcSwapOption::from_pointee(snapshots)),
        })
    }

    /// The rules of each camera, which follow the changes.
    pub fn rules(&self) -> &[Arc<ArcSwap<Rules>>] {
        &self.rules
    }

    /// The writer of snapshots, which follows the changes.
    pub fn snapshots(&self) -> &Arc<ArcSwapOption<Snapshots>> {
        &self.snapshots
    }

    /// Reads the file again. What can change takes effect with the next frames: thresholds, classes, `min_area`,
    /// `max_fps`, `motion`, zones, lines, snapshots. The result names what cannot, and stays as it was.
    ///
    /// # Errors
    /// The file cannot be read or is wrong; everything stays as it was.
    pub fn reload(&self) -> Result<Vec<String>> {
        let Some(path) = &self.path else {
            return Err(Error::Usage("there is no configuration file to read again; see --config".into()));
        };
        let mut current = self.lock();
        let new = (self.overrides)(config::load(path)?)?;
        let (merged, notes) = merge(&current, new);
        self.apply(&mut current, merged)?;
        Ok(notes)
    }

    /// Thresholds and places of all cameras, as JSON.
    pub fn read(&self) -> String {
        let config = self.lock();
        let usual = usual_score(&config);
        let cameras = config.cameras.iter().map(|camera| ShownCamera::of(camera, usual)).collect();
        let shown = Shown { kept: self.path.is_some(), cameras };
        serde_json::to_string(&shown).expect("names and numbers are JSON")
    }

    /// Makes a [`Change`]: `{"camera": "door", "scores": {"person": 0.5}, "zones": [{"name": …, "points": [[x, y], …]}]}`.
    /// It is written into the configuration file, if there is one, and takes effect with the next frame.
    ///
    /// # Errors
    /// [`Error::Usage`] says what is wrong with it, [`Error::Io`] that it cannot be kept; all stays as it was.
    pub fn change(&self, json: &[u8]) -> Result<()> {
        let change: Change = serde_json::from_slice(json).map_err(|e| Error::Usage(e.to_string()))?;
        let mut current = self.lock();
        let mut new = current.clone();
        let camera = new.cameras.iter_mut().find(|camera| camera.label() == change.camera);
        let camera = camera.ok_or_else(|| Error::Usage(format!("no camera is named '{}'", change.camera)))?;
        change.apply(camera);
        config::check(&new).map_err(Error::Usage)?;
        all_rules(&new, &self.names)?;
        if let Some(path) = &self.path {
            change.keep(path, new.cameras.len() == 1)?;
        }
        self.apply(&mut current, new)
    }

    fn lock(&self) -> MutexGuard<'_, Config> {
        // The configuration is replaced as a whole.
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks everything first, so that it takes effect as a whole or not at all.
    fn apply(&self, current: &mut Config, new: Config) -> Result<()> {
        let rules = all_rules(&new, &self.names)?;
        if new.snapshots != current.snapshots {
            let writer = new.snapshots.as_ref().map(|s| Snapshots::start(s, &self.names)).transpose()?;
            self.snapshots.store(writer.map(Arc::new));
        }
        for (slot, rules) in self.rules.iter().zip(rules) {
            slot.store(Arc::new(rules));
        }
        *current = new;
        Ok(())
    }
}

fn usual_score(config: &Config) -> f32 {
    config.score.map_or(USUAL_SCORE, f32::from)
}

fn all_rules(config: &Config, names: &Names) -> Result<Vec<Rules>> {
    let score = usual_score(config);
    config.cameras.iter().map(|camera| Rules::new(camera, score, names)).collect()
}

/// The current configuration with what may change of the new one, and what of that may not.
fn merge(current: &Config, new: Config) -> (Config, Vec<String>) {
    let mut notes = Vec::new();
    let mut note = |what: String| notes.push(format!("{what} with a restart only"));
    let mut merged = Config { snapshots: new.snapshots.clone(), score: new.score, ..current.clone() };
    let fixed = |config: &Config| Config { snapshots: None, score: None, cameras: vec![], ..config.clone() };
    if fixed(&new) != fixed(current) {
        note("all but thresholds, snapshots and cameras changes".into());
    }
    for camera in &mut merged.cameras {
        let label = camera.label();
        let Some(after) = new.cameras.iter().find(|camera| camera.label() == label) else {
            note(format!("camera '{label}' goes"));
            continue;
        };
        if !camera.has_same_source(after) {
            note(format!(
                "source, raw, loop, fps, format, resolution and all_frames of camera '{label}' change"
            ));
        }
        *camera = camera.with_rules_of(after);
    }
    for camera in &new.cameras {
        if !current.cameras.iter().any(|known| known.label() == camera.label()) {
            note(format!("camera '{}' comes", camera.label()));
        }
    }
    (merged, notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const FILE: &str = "# The door.\n[[camera]]\nname = 'door' # of the house\nsource = 'pictures/'\nmax_fps = 5\n\n\
                        [[camera.zone]]\nname = 'step'\npoints = [[0, 0], [1, 0], [1, 1]]\n";

    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let file = File(std::env::temp_dir().join(format!("ocellus-{name}-{}.toml", std::process::id())));
            file.write(text);
            file
        }

        fn write(&self, text: &str) {
            std::fs::write(&self.0, text).unwrap();
        }

        fn read(&self) -> String {
            std::fs::read_to_string(&self.0).unwrap()
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn live(path: &Path) -> Live {
        let config = config::load(path).unwrap();
        Live::new(config, Some(path.to_owned()), Box::new(Ok), &Names::coco()).unwrap()
    }

    fn zone_names(live: &Live) -> Vec<String> {
        let rules = live.rules()[0].load();
        rules.places.zones.iter().map(|zone| zone.name.to_string()).collect()
    }

    #[test]
    fn a_file_that_is_read_again_changes_what_can_change() {
        let file = File::new("reload", FILE);
        let live = live(&file.0);
        assert_eq!(live.reload().unwrap(), [""; 0]);
        file.write(&FILE.replace("step", "stairs").replace("max_fps = 5", "max_fps = 10"));
        assert_eq!(live.reload().unwrap(), [""; 0]);
        assert_eq!(zone_names(&live), ["stairs"]);
        assert_eq!(live.rules()[0].load().period.unwrap().as_millis(), 100);
        file.write(&(FILE.replace("pictures/", "other/") + "[[camera]]\nname = 'yard'\nsource = '-'\n"));
        let notes = live.reload().unwrap();
        assert!(notes[0].contains("source") && notes[0].contains("'door'"), "{notes:?}");
        assert_eq!(notes[1], "camera 'yard' comes with a restart only");
        assert_eq!((zone_names(&live), live.rules().len()), (vec!["step".to_owned()], 1));
    }

    #[test]
    fn a_wrong_file_changes_nothing() {
        let file = File::new("wrong", FILE);
        let live = live(&file.0);
        file.write(&FILE.replace("step", "stairs").replace("max_fps", "max_fsp"));
        let error = live.reload().unwrap_err().to_string();
        assert!(error.contains(".toml:5: key 'max_fsp' is unknown; did you mean 'max_fps'?"), "{error}");
        assert_eq!(zone_names(&live), ["step"]);
    }

    #[test]
    fn places_that_are_set_are_kept_in_the_file_with_its_comments() {
        let file = File::new("places", FILE);
        let live = live(&file.0);
        let change = r#"{"camera": "door", "zones": [{"name": "mat", "points": [[0.25, 0], [0.5, 0], [0.5, 0.33333]],
                         "classes": ["person"]}], "lines": [{"name": "sill", "points": [[0, 0.5], [1, 0.5]]}]}"#;
        live.change(change.as_bytes()).unwrap();
        assert_eq!(
            (zone_names(&live), live.rules()[0].load().places.lines.len()),
            (vec!["mat".to_owned()], 1)
        );
        let text = file.read();
        for part in ["# The door.", "# of the house", "0.3333]", "name = \"mat\"", "[[camera.line]]"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("step"), "{text}");
        assert_eq!(live.reload().unwrap(), [""; 0]);
        assert_eq!(zone_names(&live), ["mat"]);
        let shown: serde_json::Value = serde_json::from_str(&live.read()).unwrap();
        assert_eq!(shown["cameras"][0]["zones"][0]["points"][0], serde_json::json!([0.25, 0.0]));
        assert_eq!(shown["kept"], true);
    }

    #[test]
    fn thresholds_that_are_set_are_kept_and_leave_places_alone() {
        let file = File::new("scores", &FILE.replace("max_fps", "scores = { dog = 0.9 } # barks\nmax_fps"));
        let live = live(&file.0);
        assert!(live.read().contains(r#""score":0.25,"scores":{"dog":0.9},"#), "{}", live.read());
        live.change(
            br#"{"camera": "door", "score": 0.4, "scores": {"person": 0.625, "traffic light": 0.5}}"#,
        )
        .unwrap();
        let text = file.read();
        assert!(text.contains("score = 0.4\n"), "{text}");
        assert!(text.contains("scores = { person = 0.625, \"traffic light\" = 0.5 } # barks"), "{text}");
        assert_eq!(live.reload().unwrap(), [""; 0]);
        assert_eq!(zone_names(&live), ["step"]);
        let rules = live.rules()[0].load();
        let good = |class_id, score| {
            rules.is_good(&crate::detect::Detection { class_id, score, bbox: [0.0, 0.0, 1.0, 1.0] })
        };
        assert_eq!([good(0, 0.6), good(0, 0.7), good(1, 0.3), good(1, 0.5)], [false, true, false, true]);
        assert!(live.read().contains(r#""score":0.4,"scores":{"person":0.625,"traffic light":0.5},"#));
    }

    /// The command line may call the file's only camera otherwise, and read it from elsewhere.
    #[test]
    fn changes_are_kept_where_flags_name_the_camera() {
        let file = File::new("named", FILE);
        let rename = |mut config: Config| {
            config.cameras.resize(1, Camera::default());
            config.cameras[0].name = Some("yard".into());
            Ok(config)
        };
        let start = || {
            let config = rename(config::load(&file.0).unwrap()).unwrap();
            Live::new(config, Some(file.0.clone()), Box::new(rename), &Names::coco()).unwrap()
        };
        let live = start();
        let change = br#"{"camera": "yard", "zones": [{"name": "mat", "points": [[0, 0], [1, 0], [1, 1]]}]}"#;
        live.change(change).unwrap();
        assert_eq!((zone_names(&live), live.reload().unwrap()), (vec!["mat".to_owned()], vec![]));
        assert!(file.read().contains("name = 'door' # of the house") && !file.read().contains("step"));
        file.write("threads = 1\n");
        let error = start().change(change).unwrap_err().to_string();
        assert!(error.contains("has no [[camera]]"), "{error}");
    }

    #[test]
    fn wrong_changes_change_nothing() {
        let file = File::new("changes", FILE);
        let live = live(&file.0);
        for (json, why) in [
            ("", "EOF"),
            (r#"{"camera": "yard"}"#, "no camera is named 'yard'"),
            (r#"{"camera": "door", "zones": [{"name": "a", "points": [[0, 0], [1, 1]]}]}"#, "2 points"),
            (r#"{"camera": "door", "zones": [{"name": "", "points": [[0, 0], [1, 1], [0, 1]]}]}"#, "no name"),
            (r#"{"camera": "door", "model": "x"}"#, "unknown field"),
            (r#"{"camera": "door", "score": 1.5}"#, "1.5 does not lie between 0 and 1"),
            (r#"{"camera": "door", "scores": {"persn": 0.5}}"#, "did you mean 'person'?"),
            (
                r#"{"camera": "door", "lines": [{"name": "a", "points": [[0, 0], [1, 1]], "classes": ["cart"]}]}"#,
                "did you mean 'car'?",
            ),
        ] {
            let error = live.change(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{json}: {error}");
        }
        assert_eq!((file.read().as_str(), zone_names(&live)), (FILE, vec!["step".to_owned()]));
    }
}
