//! Every bound of this crate, in one place; those of pictures, classes and models are [`ocellus::limits`].
//!
//! Annotations and detections are somebody else's bytes. Each size taken from them is compared with one of
//! these constants before it is used.

/// Largest annotation or detection file that is read, in bytes.
pub const JSON_FILE_BYTES_MAX: u64 = 2 << 30;
/// Largest YOLO label file, `data.yaml` or names file, in bytes.
pub const TEXT_FILE_BYTES_MAX: u64 = 8 << 20;
/// Largest calibration table that is read, in bytes.
pub const TABLE_FILE_BYTES_MAX: u64 = 64 << 20;
/// Largest file of a shard of a calibration that is read, in bytes: all counts of a thousand tensors are an eighth of it.
pub const SHARD_FILE_BYTES_MAX: u64 = 128 << 20;
/// Most shards of a calibration.
pub const SHARDS_MAX: usize = 4096;
/// Most numbers that a shard counts of a tensor; those of all shards together stay below 2⁶⁴.
pub const SHARD_COUNT_MAX: u64 = 1 << 48;
/// Largest checkpoint of a training run that is read, in bytes.
pub const CHECKPOINT_BYTES_MAX: u64 = 4 << 30;
/// Most images of a data set.
pub const IMAGES_MAX: usize = 2_000_000;
/// Most annotations of a data set.
pub const ANNOTATIONS_MAX: usize = 30_000_000;
/// Most detections in a detection file.
pub const DETECTIONS_MAX: usize = 100_000_000;
/// Longest class name, in bytes.
pub const CLASS_NAME_BYTES_MAX: usize = ocellus::limits::NAME_BYTES_MAX;
/// Largest magnitude of a box's corner, width or height, in pixels; products of two stay exact enough in `f64`.
pub const BOX_COORDINATE_MAX: f64 = 1e7;
/// How far outside 0..=1 a normalised YOLO coordinate may lie: writers round to a few digits.
pub const YOLO_COORDINATE_SLACK: f64 = 1e-3;
/// How many folders above the labels are searched for `data.yaml`.
pub const DATA_YAML_LEVELS_MAX: usize = 3;
/// Most data sets of a description.
pub const SOURCES_MAX: usize = 1000;
/// Most times that a picture is seen in an epoch.
pub const REPEAT_MAX: u32 = 100;
/// Most faults of a data set that are kept to be listed.
pub const FINDINGS_MAX: usize = 1000;
/// How deep the elements of an XML label file may lie inside each other.
pub const XML_DEPTH_MAX: usize = 64;
/// How far a box may reach out of its picture, in pixels and, if that is more, in parts of the picture's side: labels are
/// rounded, and pictures scaled after they were labelled.
pub const BOX_OUTSIDE_MAX: [f64; 2] = [2.0, 0.01];
/// Most names that one error message lists.
pub const NAMES_LISTED_MAX: usize = 12;

const _: () = assert!(IMAGES_MAX <= u32::MAX as usize);
const _: () = assert!(SHARD_COUNT_MAX.checked_mul(SHARDS_MAX as u64).is_some());
const _: () = assert!(ocellus::limits::PICTURE_SIDE_MAX as f64 <= BOX_COORDINATE_MAX);
