//! calib
fn main() {}
