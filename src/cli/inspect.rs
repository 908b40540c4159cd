//! `ocellus inspect`

use super::options::{Format, RunOptions};
use clap::Args;
use ocellus::engine::Engine;
use ocellus::loader::{EMBEDDED, LoadOptions, load};
use ocellus::plan::{Port, Step};
use ocellus::tensor::DType;
use ocellus::{Error, Result};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show what a model becomes: every step with its type, shape, scale, kernel and place in memory.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    ocellus inspect yolov5-lite-int8.param\n  \
    ocellus inspect model.onnx --size 640 --format json | jq '.steps[] | select(.dtype == \"f32\")'\n\n\
    A step marked with * computes in float: there the network leaves int8.")]
pub(super) struct Inspect {
    /// Model: .onnx, ncnn's .param with the .bin beside it, or the one in this program.
    #[arg(value_name = "MODEL", default_value = EMBEDDED)]
    model: PathBuf,
    #[command(flatten)]
    run: RunOptions,
    /// How the plan is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Serialize)]
struct Report {
    model: String,
    precision: &'static str,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    arena_bytes: usize,
    weights_bytes: usize,
    macs: u64,
    steps: Vec<Row>,
}

#[derive(Serialize)]
struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    scale: Option<f32>,
    zero_point: Option<i8>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    op: String,
    /// Element type of the operands: what the step computes in.
    input_dtype: String,
    dtype: String,
    shape: Vec<usize>,
    scale: Option<f32>,
    zero_point: Option<i8>,
    kernel: String,
    macs: u64,
    offset: usize,
}

impl Inspect {
    pub fn run(&self) -> Result<ExitCode> {
        let options = self.run.engine()?;
        let model = load(&self.model, &LoadOptions { size: self.run.size() })?;
        let engine =
            Engine::new(&model.graph, &options).map_err(|e| e.at(|p| p.file = Some(self.model.clone())))?;
        let plan = engine.plan();
        let offsets = &plan.layout.offsets;
        let steps: Vec<Row> = plan.steps.iter().map(|step| row(step, offsets)).collect();
        let report = Report {
            model: self.model.to_string_lossy().into_owned(),
            precision: plan.precision(),
            inputs: plan.inputs.iter().map(tensor).collect(),
            outputs: plan.outputs.iter().map(tensor).collect(),
            arena_bytes: engine.arena_bytes(),
            weights_bytes: plan.weights_bytes(),
            macs: steps.iter().map(|s| s.macs).sum(),
            steps,
        };
        let mut out = std::io::stdout().lock();
        let written = match self.format {
            Format::Json => {
                let json = serde_json::to_string_pretty(&report).expect("names and numbers are JSON");
                writeln!(out, "{json}")
            }
            Format::Text => text(&mut out, &report),
        };
        match written {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("standard output", e)),
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}

fn tensor(port: &Port) -> Tensor {
    Tensor {
        name: port.name.clone(),
        dtype: port.loc.dtype.to_string(),
        shape: port.shape.dims().to_vec(),
        scale: port.quant.map(|q| q.scale),
        zero_point: port.quant.map(|q| q.zero_point),
    }
}

fn row(step: &Step, offsets: &[usize]) -> Row {
    let input = if step.reads.iter().any(|loc| loc.dtype == DType::F32) { DType::F32 } else { DType::I8 };
    Row {
        name: step.name.clone(),
        op: step.op.clone(),
        input_dtype: input.to_string(),
        dtype: step.write.dtype.to_string(),
        shape: step.shape.dims().to_vec(),
        scale: step.quant.map(|q| q.scale),
        zero_point: step.quant.map(|q| q.zero_point),
        kernel: step.work.kernel.clone(),
        macs: step.work.macs,
        offset: offsets[step.write.buffer] + step.write.start * step.write.dtype.bytes(),
    }
}

fn text(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    let list = |tensors: &[Tensor]| {
        let one = |t: &Tensor| format!("{} {} {:?}", t.name, t.dtype, t.shape);
        tensors.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    writeln!(out, "model    {} ({})", report.model, report.precision)?;
    writeln!(out, "inputs   {}", list(&report.inputs))?;
    writeln!(out, "outputs  {}", list(&report.outputs))?;
    let kib = |bytes: usize| bytes.div_ceil(1024);
    writeln!(
        out,
        "memory   {} KiB arena, {} KiB weights; {:.1} M multiply-accumulates",
        kib(report.arena_bytes),
        kib(report.weights_bytes),
        report.macs as f64 / 1e6
    )?;
    let float = report.steps.iter().filter(|s| s.input_dtype == "f32").count();
    writeln!(out, "steps    {}, {float} of them in float (*)\n", report.steps.len())?;
    writeln!(
        out,
        "{:>4}   {:<28} {:<12} {:<4} {:<20} {:>10} {:>5} {:<24} {:>9} {:>9}",
        "step", "name", "op", "type", "shape", "scale", "zero", "kernel", "kMAC", "offset"
    )?;
    for (i, s) in report.steps.iter().enumerate() {
        let scale = s.scale.map_or(String::from("-"), |x| format!("{x:.3e}"));
        let zero = s.zero_point.map_or(String::from("-"), |z| z.to_string());
        let mark = if s.input_dtype == "f32" { '*' } else { ' ' };
        writeln!(
            out,
            "{i:>4} {mark} {:<28} {:<12} {:<4} {:<20} {scale:>10} {zero:>5} {:<24} {:>9} {:>9}",
            s.name,
            s.op,
            s.dtype,
            format!("{:?}", s.shape),
            s.kernel,
            s.macs / 1000,
            s.offset
        )?;
    }
    Ok(())
}
