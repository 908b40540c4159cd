//! Which network the tensors of a file are of.

use super::convolutions;
use super::names::{self, Name, Names};
use super::tensors::Tensors;
use ocellus::limits::CLASSES_MAX;
use ocellus::zoo::{self, Multiples};
use ocellus::{Error, Result};

/// Depths and widths that are tried where no network of a name fits: parts of 24 and of 64, so thirds, quarters and eighths, up
/// to yolov5x. Networks are built to be compared: what a file claims to be must not be larger than what users have.
const DEPTH_PARTS: [usize; 2] = [24, 32];
const WIDTH_PARTS: [usize; 2] = [64, 80];
/// Side at which networks are built to compare shapes.
const SIDE: usize = 64;

/// The network of a file.
pub(super) struct Found {
    pub network: zoo::Network,
    pub classes: usize,
    pub names: Vec<Name>,
    /// The module of the heads.
    pub head: String,
}

/// The built-in network, of whatever multiples, whose names and shapes are the file's.
pub(super) fn find(tensors: &Tensors) -> Result<Found> {
    let named = zoo::Network::yolov5s().copied();
    let deep = zoo::Network::yolov5s().flat_map(|network| {
        depths().filter_map(|depth| network.scaled(Multiples { depth, width: 1.0 }).ok())
    });
    let deep = deep.filter(|network| names::of(network).is_some_and(|names| has(tensors, &names)));
    let scaled = deep.flat_map(|network| {
        let of = move |width| network.scaled(Multiples { width, ..network.multiples()? }).ok();
        widths().filter_map(of)
    });
    let mut differs = None;
    for network in named.chain(scaled) {
        let Some(names) = names::of(&network).filter(|names| has(tensors, names)) else { continue };
        let classes = classes(tensors, &names.head)?;
        if first_width(tensors, &names) != Some(names.first) {
            continue;
        }
        match difference(tensors, &network, classes, &names.all)? {
            None => return Ok(Found { network, classes, names: names.all, head: names.head }),
            Some(what) => drop(differs.get_or_insert(what)),
        }
    }
    Err(Error::unsupported(differs.unwrap_or_else(|| {
        let all: Vec<_> = zoo::Network::yolov5s().map(|network| network.name).collect();
        format!("its modules are those of none of {}; export it to ONNX", all.join(", "))
    })))
}

fn depths() -> impl Iterator<Item = f64> {
    let [whole, most] = DEPTH_PARTS;
    (1..=most).map(move |part| part as f64 / whole as f64)
}

fn widths() -> impl Iterator<Item = f64> {
    let [whole, most] = WIDTH_PARTS;
    (1..=most).map(move |part| part as f64 / whole as f64)
}

/// The name under which a convolution's weights are.
fn weights(tensors: &Tensors, name: &Name) -> String {
    match name {
        Name::Norm { conv, .. } | Name::Conv(conv) => format!("{conv}.weight"),
        Name::Rep(module) => {
            let made = format!("{module}.rbr_reparam.weight");
            if tensors.shape(&made).is_some() { made } else { format!("{module}.rbr_dense.conv.weight") }
        }
    }
}

/// Whether the file has all of these convolutions, and no others.
fn has(tensors: &Tensors, names: &Names) -> bool {
    let apart = |name: &&Name| match name {
        Name::Rep(module) => tensors.shape(&format!("{module}.rbr_1x1.conv.weight")).is_some(),
        _ => false,
    };
    let count = names.all.len() + names.all.iter().filter(apart).count();
    tensors.convolutions() == count
        && names.all.iter().all(|name| tensors.shape(&weights(tensors, name)).is_some())
}

/// Channels of the first convolution.
fn first_width(tensors: &Tensors, names: &Names) -> Option<usize> {
    tensors.shape(&weights(tensors, names.all.first()?))?.first().copied()
}

/// The number of classes that a head is for: it has three anchors, each with a box, an objectness and the classes.
fn classes(tensors: &Tensors, head: &str) -> Result<usize> {
    let channels = tensors.shape(&format!("{head}.m.0.weight")).and_then(|shape| shape.first().copied());
    match channels {
        Some(channels) if channels % 3 == 0 && (6..=5 + CLASSES_MAX).contains(&(channels / 3)) => {
            Ok(channels / 3 - 5)
        }
        _ => Err(Error::unsupported(format!(
            "{head}.m.0.weight has {} channels; a head has three anchors with 5 numbers and the classes",
            channels.unwrap_or(0)
        ))),
    }
}

/// The first convolution whose weights have another shape than the network's; in words.
fn difference(
    tensors: &Tensors,
    network: &zoo::Network,
    classes: usize,
    names: &[Name],
) -> Result<Option<String>> {
    let graph = network.detector([SIDE; 2], classes, 0)?;
    let pairs = names.iter().zip(convolutions(&graph));
    let mut differing = pairs.filter_map(|(name, node)| {
        let name = weights(tensors, name);
        let (own, expected) = (tensors.shape(&name)?, graph.shape(node.inputs[1]).dims());
        let is_focus = super::layers::is_focus(own, expected);
        (own != expected && !is_focus).then(|| {
            format!("{name} has the shape {own:?}, that of {} {expected:?}; export it to ONNX", network.name)
        })
    });
    Ok(differing.next())
}
