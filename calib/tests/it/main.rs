//! Tests through the public interface: one program, so that it is linked once.

mod cli;
mod compare;
mod convert;
mod dataset_tool;
mod datasets;
mod evaluate;
mod label;
mod page;
mod quantize;
mod report;
mod select;
mod shards;
mod table;
mod temp_dir;
mod tiny;
mod training_data;
