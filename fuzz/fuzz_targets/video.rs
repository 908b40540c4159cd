//! Any bytes as a stream of pictures: the first byte chooses Y4M or motion JPEG, the others are the stream. Every
//! frame is decoded. Seeds: `seeds/video`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus::watch::{Mjpeg, Source, Step, Y4m};

/// More frames than a short input can have.
const FRAMES_MAX: usize = 64;

fuzz_target!(|data: &[u8]| {
    let Some((kind, stream)) = data.split_first() else { return };
    let mut source: Box<dyn Source> = match kind & 1 {
        0 => Box::new(Y4m::new(std::io::Cursor::new(stream.to_vec()), "fuzz")),
        _ => Box::new(Mjpeg::new(std::io::Cursor::new(stream.to_vec()), "fuzz")),
    };
    for _ in 0..FRAMES_MAX {
        match source.next_frame() {
            Ok(Step::Frame(shot)) => drop(shot.picture.decode()),
            Ok(Step::Damaged(_) | Step::Lost(_)) => {}
            Ok(Step::End) | Err(_) => return,
        }
    }
});
