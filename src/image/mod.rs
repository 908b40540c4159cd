//! Pictures: files to pixels, pixels to the network's input, detections drawn on pixels.
//!
//! A picture is a [`Frame`] of packed RGB8. [`Letterbox`] brings it to the network's size and writes the input
//! tensor in one pass: resize, padding, channel order, mean/norm and quantization together. This room knows
//! nothing of models, heads or cameras.

mod decode;
mod draw;
mod frame;
mod letterbox;
mod mapping;
mod preprocess;
mod resize;
mod shrunk;
mod text;

pub use decode::{decode, decode_bytes};
pub use draw::{Painter, save, to_jpeg};
pub use frame::Frame;
pub use letterbox::Letterbox;
pub use mapping::Mapping;
pub use preprocess::{ChannelOrder, Fit, Interpolation, Preprocess};
pub use shrunk::decode_shrunk;
