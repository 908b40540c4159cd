//! Any bytes are a shard of a calibration or a reason why not; one that is read can be merged with itself as another part.

#![no_main]

use calib::table::merge::Merged;
use calib::table::shard::{Place, Shard};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(shard) = Shard::parse(bytes) else { return };
    assert_eq!(Shard::parse(&shard.to_bytes()).as_ref(), Ok(&shard));
    let Place { part, of } = shard.place;
    let twin = Shard { place: Place { part: part % of + 1, of }, ..shard.clone() };
    let mut merged = Merged::of(shard);
    let _ = merged.add(twin);
    let _ = merged.missing();
    let _ = merged.collected();
});
