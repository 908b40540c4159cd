//! Tests through the public interface: one program, so that it is linked once.

mod cli;
mod convert;
mod datasets;
mod evaluate;
mod page;
mod compare;
mod datasets;
mod evaluate;
mod select;
mod table;
mod temp_dir;
mod tiny;
