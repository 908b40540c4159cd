//! Any bytes as a stream of pictures: the first byte chooses Y4M, motion JPEG, or motion JPEG in chunks of HTTP, the others
//! are the stream. Every frame is decoded; those of chunks at a fraction of their size. Seeds: `seeds/video`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus::watch::{Chunked, Mjpeg, Source, Step, Y4m};

/// More frames than a short input can have.
const FRAMES_MAX: usize = 64;

fuzz_target!(|data: &[u8]| {
    let Some((kind, stream)) = data.split_first() else { return };
    let reader = std::io::Cursor::new(stream.to_vec());
    let (mut source, network): (Box<dyn Source>, _) = match kind % 3 {
        0 => (Box::new(Y4m::new(reader, "fuzz")), None),
        1 => (Box::new(Mjpeg::new(reader, "fuzz")), None),
        _ => (Box::new(Mjpeg::new(Chunked::new(reader), "fuzz")), Some([8, 8])),
    };
    for _ in 0..FRAMES_MAX {
        match source.next_frame() {
            Ok(Step::Frame(shot)) => drop(shot.picture.decode_for(network)),
            Ok(Step::Damaged(_) | Step::Lost(_)) => {}
            Ok(Step::End) | Err(_) => return,
        }
    }
});
