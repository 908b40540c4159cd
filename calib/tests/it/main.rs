//! Tests through the public interface: one program, so that it is linked once.

mod cli;
mod datasets;
mod evaluate;
mod page;
mod table;
mod temp_dir;
