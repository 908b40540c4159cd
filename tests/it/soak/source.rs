//! A camera: a person walks through the picture, thirty times a second, and one JPEG in a hundred is damaged.

use super::dice::Dice;
use ocellus::image::{Frame, decode, to_jpeg};
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::ChildStdin;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time from frame to frame.
pub const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 30);
/// One frame in so many is damaged.
const DAMAGED: usize = 100;
/// Frames until the person has walked through.
const WALK: usize = 150;
const WIDTH: usize = 640;
const HEIGHT: usize = 480;

/// What was sent.
#[derive(Default)]
pub struct Sent {
    frames: u64,
    cut: u64,
    flipped: u64,
    resized: u64,
    lying: u64,
    /// Frames that the program's pipe took too late: it did not read.
    late: u64,
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Sent { frames, cut, flipped, resized, lying, late } = self;
        write!(
            f,
            "{frames} frames, of which {cut} cut short, {flipped} with flipped bits, {resized} of another size, {lying} \
             with a false size in the header; {late} taken late"
        )
    }
}

/// Sends frames until `end`.
pub fn start(mut pipe: ChildStdin, end: Instant) -> JoinHandle<Sent> {
    let walk = walk();
    let small = to_jpeg(&Frame::new(160, 120, vec![90; 160 * 120 * 3]).unwrap(), 80).unwrap();
    std::thread::spawn(move || {
        let (mut sent, mut dice, mut due) = (Sent::default(), Dice::new(6), Instant::now());
        while due < end {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let jpeg = &walk[sent.frames as usize % WALK];
            let damaged = (dice.below(DAMAGED) == 0).then(|| damage(jpeg, &small, &mut dice, &mut sent));
            pipe.write_all(damaged.as_ref().unwrap_or(jpeg)).unwrap();
            sent.frames += 1;
            due += PERIOD;
            sent.late += u64::from(Instant::now() > due);
        }
        sent
    })
}

/// The person of the sample picture before a grey wall, from the left edge to the right one.
fn walk() -> Vec<Vec<u8>> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sample.jpg");
    let person = decode(sample).unwrap();
    let picture = |step: usize| {
        let mut frame = Frame::new(WIDTH, HEIGHT, vec![128; WIDTH * HEIGHT * 3]).unwrap();
        let from = (step * (WIDTH + person.width) / WALK) as isize - person.width as isize;
        for (row, line) in frame.rgb.chunks_exact_mut(3 * WIDTH).enumerate().take(person.height.min(HEIGHT)) {
            for x in 0..WIDTH {
                let column = x as isize - from;
                if (0..person.width as isize).contains(&column) {
                    let at = 3 * (row * person.width + column as usize);
                    line[3 * x..3 * x + 3].copy_from_slice(&person.rgb[at..at + 3]);
                }
            }
        }
        to_jpeg(&frame, 85).unwrap()
    };
    (0..WALK).map(picture).collect()
}

fn damage(jpeg: &[u8], small: &[u8], dice: &mut Dice, sent: &mut Sent) -> Vec<u8> {
    let mut bytes = jpeg.to_vec();
    match dice.below(4) {
        0 => {
            sent.cut += 1;
            bytes.truncate(2 + dice.below(bytes.len() - 2));
        }
        1 => {
            sent.flipped += 1;
            for _ in 0..1 + dice.below(20) {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }
        }
        2 => {
            sent.resized += 1;
            bytes = small.to_vec();
        }
        _ => {
            sent.lying += 1;
            // Height and width stand behind FF C0, the length of the segment and the precision.
            let header = bytes.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
            bytes[header + 5..header + 9].fill(0xff);
        }
    }
    bytes
}
