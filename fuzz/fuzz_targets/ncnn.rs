//! Any bytes as an ncnn model: two bytes with the length of the `.param` file, that file (text or binary, as
//! its first bytes tell), and the `.bin` file. Seeds: `seeds/ncnn`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus::loader::{LoadOptions, ncnn};

fuzz_target!(|data: &[u8]| {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (param, bin) = rest.split_at(length);
    let _ = ncnn::parse(param, bin, &LoadOptions::default());
});
