use super::*;
use crate::kernels::isa::Isa;
use Interpolation::{Antialias, Linear};

/// The picture that the golden numbers were made from: byte n is (7n² + 31n + 5) mod 251.
fn pattern(height: usize, width: usize) -> Vec<u8> {
    (0..height * width * 3).map(|n| ((n * n * 7 + n * 31 + 5) % 251) as u8).collect()
}

fn resized(source: [usize; 2], target: [usize; 2], interpolation: Interpolation) -> Vec<u8> {
    let mut out = Vec::new();
    let mut resizer = Resizer::new(Isa::detect(), source, target, interpolation);
    resizer.run(&pattern(source[0], source[1]), |line| out.extend_from_slice(line));
    out
}

/// Source and target sizes, and FNV-1a of the resized pattern.
type Golden = ([usize; 2], [usize; 2], u64);

fn assert_golden(golden: &[Golden], interpolation: Interpolation) {
    for &(source, target, expected) in golden {
        let fnv = resized(source, target, interpolation)
            .iter()
            .fold(0xcbf29ce484222325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100000001b3));
        assert_eq!(fnv, expected, "{source:?} to {target:?}");
    }
}

/// Golden rows: `Image.fromarray(pattern).resize((7, 5), Image.BILINEAR)`, Pillow 13.0.0.
#[test]
fn enlarges_as_pillow() {
    #[rustfmt::skip]
    let expected = [
        5, 43, 95, 61, 114, 91, 150, 227, 85, 177, 152, 142, 185, 59, 198, 132, 30, 193, 98, 11, 189,
        55, 60, 79, 75, 95, 75, 108, 151, 69, 128, 120, 127, 143, 77, 183, 148, 49, 179, 150, 30, 175,
        130, 85, 54, 97, 67, 51, 44, 38, 46, 54, 72, 104, 81, 105, 161, 172, 77, 157, 229, 59, 154,
        59, 115, 34, 80, 97, 31, 114, 69, 27, 136, 104, 86, 153, 138, 144, 158, 110, 140, 162, 93, 138,
        12, 135, 21, 69, 117, 18, 161, 89, 14, 190, 125, 74, 201, 160, 133, 149, 132, 129, 117, 115, 127,
    ];
    assert_eq!(resized([3, 4], [5, 7], Antialias), expected);
}

/// Golden rows: `Image.fromarray(pattern).resize((4, 3), Image.BILINEAR)`, Pillow 13.0.0.
#[test]
fn reduces_as_pillow() {
    #[rustfmt::skip]
    let expected = [
        139, 108, 104, 135, 104, 179, 81, 125, 127, 102, 121, 163,
        101, 101, 130, 118, 96, 156, 128, 93, 154, 110, 139, 162,
        164, 91, 135, 137, 108, 141, 128, 110, 101, 164, 154, 153,
    ];
    assert_eq!(resized([7, 9], [3, 4], Antialias), expected);
}

/// What Pillow 13.0.0 makes of the pattern. In the last six the height shrinks by more than the width, around
/// the limit where rows come first.
#[test]
fn equals_pillow_at_many_sizes() {
    let golden = [
        ([48, 64], [24, 32], 0xe5f25ecde2dc358a),
        ([108, 81], [32, 24], 0x3e63322a8fef62f7),
        ([33, 50], [21, 32], 0x175ccac2f0523e46),
        ([8, 10], [26, 32], 0x2d34f59f79269021),
        ([7, 13], [31, 29], 0x215feda01fc5d3c7),
        ([54, 96], [18, 32], 0xa3f860f96547571f),
        ([19, 17], [4, 5], 0xd48f98dd407de3cb),
        ([1, 1], [5, 5], 0x9ab6379c66b72992),
        ([3, 2], [9, 9], 0x4687a16983687ec0),
        ([3, 200], [2, 7], 0x2f2284415127fd17),
        ([30, 40], [30, 9], 0xf4722e0c87de02f2),
        ([200, 3], [7, 2], 0x38633ff0a827f0b1),
        ([64, 48], [35, 35], 0x031cf3ebc53e032b),
        ([40, 30], [20, 25], 0xd077d63de37a9e1e),
        ([41, 30], [21, 20], 0xbcb3fc82e7c21ac9),
        ([41, 30], [20, 20], 0xfea59bdea7de6af4),
        ([41, 30], [20, 31], 0x2fe7f4ac817f22aa),
    ];
    assert_golden(&golden, Antialias);
}

/// Golden rows: `cv2.resize(pattern, (7, 5), interpolation=cv2.INTER_LINEAR)`, OpenCV 5.0.0.
#[test]
fn enlarges_as_opencv() {
    #[rustfmt::skip]
    let expected = [
        5, 43, 95, 61, 114, 91, 150, 227, 85, 176, 152, 141, 185, 59, 198, 131, 29, 193, 98, 11, 189,
        55, 60, 79, 75, 95, 75, 107, 151, 69, 127, 120, 126, 144, 78, 183, 148, 48, 178, 150, 30, 175,
        130, 85, 54, 97, 67, 51, 44, 38, 46, 54, 72, 104, 81, 105, 161, 172, 77, 157, 229, 59, 154,
        59, 115, 34, 80, 97, 31, 114, 69, 27, 135, 103, 85, 153, 138, 144, 158, 110, 140, 162, 93, 138,
        12, 135, 21, 69, 117, 18, 160, 89, 14, 189, 124, 73, 200, 159, 133, 149, 132, 129, 117, 115, 127,
    ];
    assert_eq!(resized([3, 4], [5, 7], Linear), expected);
}

/// Golden rows: `cv2.resize(pattern, (4, 3), interpolation=cv2.INTER_LINEAR)`, OpenCV 5.0.0.
#[test]
fn reduces_as_opencv() {
    #[rustfmt::skip]
    let expected = [
        163, 145, 88, 135, 128, 218, 73, 160, 94, 124, 86, 187,
        28, 65, 179, 34, 72, 123, 215, 96, 243, 164, 140, 129,
        142, 47, 154, 88, 87, 111, 74, 136, 76, 202, 192, 175,
    ];
    assert_eq!(resized([7, 9], [3, 4], Linear), expected);
}

/// What OpenCV 5.0.0 makes of the pattern: exact halves and thirds, odd sizes, single pixels.
#[test]
fn equals_opencv_at_many_sizes() {
    let golden = [
        ([48, 64], [24, 32], 0x5f1dfe5748730949),
        ([108, 81], [32, 24], 0xca5d16f42a510b05),
        ([33, 50], [21, 32], 0x50fc7b1ace1b5762),
        ([8, 10], [26, 32], 0x70d57f47034fee65),
        ([7, 13], [31, 29], 0x1e79f528343502c7),
        ([54, 96], [18, 32], 0x61c4e100dff382f1),
        ([19, 17], [4, 5], 0x93d27e9b0ff01dfe),
        ([1, 1], [5, 5], 0x9ab6379c66b72992),
        ([3, 2], [9, 9], 0xeb19836b84801e20),
        ([3, 200], [2, 7], 0xda7b4b4b97ab46fd),
    ];
    assert_golden(&golden, Linear);
}

#[test]
fn the_same_size_is_a_copy_and_a_second_run_repeats_the_first() {
    for interpolation in [Antialias, Linear] {
        assert_eq!(resized([5, 6], [5, 6], interpolation), pattern(5, 6));
        for target in [[5, 7], [2, 7]] {
            let mut resizer = Resizer::new(Isa::detect(), [9, 8], target, interpolation);
            let mut runs = [Vec::new(), Vec::new()];
            for run in &mut runs {
                resizer.run(&pattern(9, 8), |line| run.extend_from_slice(line));
            }
            assert_eq!(runs[0], runs[1]);
        }
    }
}
