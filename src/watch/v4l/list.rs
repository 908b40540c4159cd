//! The cameras of this machine, for people who choose one.

use super::Device;
use super::negotiate::{self, Camera, Offer};
use crate::error::{Error, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A camera of this machine.
#[derive(Debug, Serialize)]
pub struct CameraInfo {
    /// Its node, such as `/dev/video0`.
    pub path: PathBuf,
    /// A path that stays the camera's, whatever else is plugged in.
    pub by_id: Option<PathBuf>,
    /// Its name.
    pub card: String,
    /// Its driver.
    pub driver: String,
    /// Where it is plugged in.
    pub bus: String,
    /// What it offers.
    pub formats: Vec<FormatInfo>,
}

/// A format of a camera.
#[derive(Debug, Serialize)]
pub struct FormatInfo {
    /// Its four characters.
    pub fourcc: String,
    /// Whether frames in it can be read.
    pub supported: bool,
    /// The sizes.
    pub sizes: Vec<Offer>,
}

/// The cameras of this machine, and those that cannot be asked, with the reason.
pub fn list() -> Vec<(PathBuf, Result<CameraInfo>)> {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let number = |path: &Path| path.to_str()?.strip_prefix("/dev/video")?.parse::<u32>().ok();
    let mut nodes: Vec<_> =
        entries.map(|entry| entry.path()).filter_map(|path| Some((number(&path)?, path))).collect();
    nodes.sort();
    let nodes = nodes.into_iter().map(|(_, path)| path);
    let ask = |path: PathBuf| match Device::open(&path) {
        Ok(device) if device.captures() => Some((path.clone(), info(path, &device))),
        Ok(_) => None,
        Err(error) => Some((path, Err(error))),
    };
    nodes.filter_map(ask).collect()
}

fn info(path: PathBuf, device: &Device) -> Result<CameraInfo> {
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    let formats = device.formats().map_err(|e| Error::io(&path, e))?;
    let format = |fourcc: [u8; 4]| FormatInfo {
        fourcc: negotiate::text(fourcc),
        supported: negotiate::is_supported(fourcc),
        sizes: device.sizes(fourcc).unwrap_or_default(),
    };
    Ok(CameraInfo {
        by_id: by_id(&path),
        card: text(&device.capability.card),
        driver: text(&device.capability.driver),
        bus: text(&device.capability.bus),
        formats: formats.into_iter().map(format).collect(),
        path,
    })
}

/// The link of `/dev/v4l/by-id` that leads to a node.
fn by_id(node: &Path) -> Option<PathBuf> {
    let links = std::fs::read_dir("/dev/v4l/by-id").ok()?.flatten().map(|entry| entry.path());
    links.into_iter().find(|link| link.canonicalize().is_ok_and(|path| path == node))
}
