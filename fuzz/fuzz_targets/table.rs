//! Any text is a calibration table or an error with its line; what is read can be written and read again.

#![no_main]

use calib::table::Table;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(table) = Table::parse(text) else { return };
    // Names that ncnn's tools would not take are refused.
    let Ok(written) = table.to_text() else { return };
    assert_eq!(Table::parse(&written).map(|table| table.entries.len()), Ok(table.entries.len()));
});
