//! ncnn behind the same preprocessing and decoding, for comparing with it on the same machine.
//!
//! Built by the feature `ncnn` against a library that `NCNN_DIR` names (`cross/ncnn.sh` makes one). The crate
//! ncnn-rs is used where it is sound: network, options and the input tensor. Its `Extractor` is not: `extract`
//! passes ncnn the address of a copy of the pointer that ncnn replaces, so that the result never arrives and
//! leaks, and nothing ties an extractor to the life of its network. Extraction therefore goes through the C
//! interface (the crate ncnn-bind, which ncnn-rs re-exports).
//!
//! ncnn trusts its files, and may crash on bad ones. So this crate's own loader reads them first, with all of
//! its checks; what it refuses never reaches ncnn.

use super::{Backend, Opened, preprocess};
use crate::detect::Output;
use crate::engine::{EngineOptions, Precision};
use crate::error::{Error, Result};
use crate::graph::{Graph, Op};
use crate::image::{Frame, Letterbox};
use crate::kernels::PlaneMut;
use crate::limits::THREADS_MAX;
use crate::loader::{LoadOptions, load};
use ncnn_rs::{Allocator, Mat, Net};
use std::ffi::{CStr, CString, c_int};
use std::path::Path;

// In this order: ncnn is an archive of C++ and, usually, OpenMP code, and a linker takes from a library only
// what the objects before it want. The crate ncnn-bind says where the first one is.
#[link(name = "ncnn")]
#[link(name = "stdc++")]
#[link(name = "gomp")]
unsafe extern "C" {}

/// Colour channels of a picture.
const CHANNELS: usize = 3;

/// A model in ncnn.
pub struct Ncnn {
    net: Net,
    /// ncnn's number of the input blob.
    input: c_int,
    /// `[3, height, width]`, as ncnn takes it; nobody else refers to it between two runs.
    planes: Mat,
    size: [usize; 2],
    precision: &'static str,
    table: Box<[[f32; 256]; 3]>,
    /// NHWC, as the letterbox writes it.
    pixels: Vec<f32>,
    results: Vec<Blob>,
}

// SAFETY: ncnn's objects belong to no thread in particular, and an `Ncnn` shares its own with nobody.
unsafe impl Send for Ncnn {}

/// An output of the network.
struct Blob {
    name: String,
    /// ncnn's number.
    index: c_int,
    shape: Vec<usize>,
    /// Images NHWC, others row-major.
    values: Vec<f32>,
}

fn failed(what: &str, code: c_int) -> Error {
    Error::unsupported(format!("ncnn {what} (code {code}); its own message is on standard error"))
}

/// ncnn's refusals: it counts in `c_int` and answers 0 for success.
fn checked(what: &str, code: c_int) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(failed(what, code)) }
}

pub(super) fn open(
    path: &Path,
    load_options: &LoadOptions,
    options: &EngineOptions,
    overrides: &[(String, String)],
) -> Result<Opened> {
    let in_file = |e: Error| e.at(|p| p.file = Some(path.to_owned()));
    if path.extension().is_none_or(|suffix| suffix != "param" && suffix != "bin") {
        let what = "the engine ncnn reads only .param and .param.bin files";
        return Err(Error::Usage(format!("{}: {what}", path.display())));
    }
    let model = load(path, load_options)?;
    let preprocess = preprocess(&model.metadata, overrides)?;
    let table = Box::new(preprocess.real_table());
    let ncnn = Ncnn::new(path, &model.graph, options, table).map_err(in_file)?;
    Ok(Opened { backend: Backend::Ncnn(Box::new(ncnn)), metadata: model.metadata, preprocess })
}

impl Ncnn {
    /// `graph` is what this crate's loader read from the same file.
    fn new(path: &Path, graph: &Graph, options: &EngineOptions, table: Box<[[f32; 256]; 3]>) -> Result<Self> {
        let Some([1, CHANNELS, height, width]) =
            graph.inputs.first().and_then(|&input| graph.shape(input).nchw())
        else {
            return Err(Error::unsupported("the engine ncnn takes one input of three channels"));
        };
        let net = Net::new();
        let precision = set_options(&net, graph, options)?;
        read_files(&net, path)?;
        let extents = [width, height, CHANNELS].map(|n| c_int::try_from(n).expect("limits bound extents"));
        let planes = Mat::create_3d(extents[0], extents[1], extents[2], &Allocator::new());
        if planes.get_data().is_null() {
            return Err(Error::unsupported(format!("no memory for an input of {height}×{width}")));
        }
        // SAFETY: the network lives, and has the input that the loader saw.
        let input = unsafe { ncnn_rs::ncnn_net_get_input_index(net.get(), 0) };
        let results = blobs(&net, path);
        let pixels = vec![0.0; height * width * CHANNELS];
        let size = [height, width];
        let mut ncnn = Ncnn { net, input, planes, size, precision, table, pixels, results };
        // Shapes are known for certain once a picture has gone through.
        ncnn.planes.fill(0.0);
        ncnn.run()?;
        Ok(ncnn)
    }

    pub(super) fn input_size(&self) -> [usize; 2] {
        self.size
    }

    pub(super) fn precision(&self) -> &'static str {
        self.precision
    }

    pub(super) fn outputs(&self) -> Vec<(String, Vec<usize>)> {
        self.results.iter().map(|blob| (blob.name.clone(), blob.shape.clone())).collect()
    }

    pub(super) fn fill(&mut self, letterbox: &mut Letterbox, frame: &Frame) -> Result<()> {
        letterbox.run(frame, &self.table, PlaneMut { data: &mut self.pixels, pitch: CHANNELS })?;
        self.take_apart();
        Ok(())
    }

    pub(super) fn fill_reals(&mut self, pixels: &[f32]) -> Result<()> {
        if pixels.len() != self.pixels.len() {
            return Err(super::wrong_count(pixels.len(), self.size));
        }
        self.pixels.copy_from_slice(pixels);
        self.take_apart();
        Ok(())
    }

    /// The pixels as three planes.
    fn take_apart(&mut self) {
        let count = self.size[0] * self.size[1];
        let step = self.planes.get_cstep() as usize;
        for channel in 0..CHANNELS {
            // SAFETY: the tensor was made with three channels of `count` floats, `step` apart, and between two
            // runs only `self`, which is borrowed mutably, refers to it.
            let plane = unsafe {
                let start = self.planes.get_data().cast::<f32>().add(channel * step);
                std::slice::from_raw_parts_mut(start, count)
            };
            for (value, pixel) in plane.iter_mut().zip(self.pixels.chunks_exact(CHANNELS)) {
                *value = pixel[channel];
            }
        }
    }

    pub(super) fn run(&mut self) -> Result<()> {
        let extractor = Extractor::new(&self.net);
        extractor.input(self.input, &self.planes)?;
        for blob in &mut self.results {
            extractor.extract(blob)?;
        }
        Ok(())
    }

    pub(super) fn output(&self, i: usize) -> Output<'_> {
        let Blob { shape, values, .. } = &self.results[i];
        let pitch = if shape.len() == 4 { shape[1] } else { 1 };
        Output { data: values, pitch }
    }
}

/// Sets threads and arithmetic, and returns the arithmetic's name.
fn set_options(net: &Net, graph: &Graph, options: &EngineOptions) -> Result<&'static str> {
    let threads = options.threads;
    if threads == 0 || threads > THREADS_MAX {
        return Err(Error::Usage(format!("threads must be 1 to {THREADS_MAX}, not {threads}")));
    }
    let int8 = graph.nodes.iter().any(|node| matches!(node.op, Op::FakeQuant(_)));
    match options.precision {
        Precision::Int8 if !int8 => {
            return Err(Error::Usage("the model has no int8 scales; leave --precision at auto".into()));
        }
        Precision::Fp32 if int8 => {
            let what = "the engine ncnn runs int8 weights in int8 only; leave --precision at auto";
            return Err(Error::Usage(what.into()));
        }
        Precision::Dynamic => {
            let what = "the engine ncnn does not quantize while it runs; leave --precision at auto";
            return Err(Error::Usage(what.into()));
        }
        _ => {}
    }
    let settings = ncnn_rs::Option::new();
    settings.set_num_threads(threads as u32);
    let half = options.precision != Precision::Fp32;
    // SAFETY: the options live until the end of this function; the network copies them.
    unsafe {
        ncnn_rs::ncnn_option_set_use_fp16_packed(settings.get(), half.into());
        ncnn_rs::ncnn_option_set_use_fp16_storage(settings.get(), half.into());
        ncnn_rs::ncnn_option_set_use_fp16_arithmetic(settings.get(), half.into());
    }
    net.set_option(&settings);
    Ok(match int8 {
        true => "int8",
        false if half && has_half_arithmetic() => "fp16",
        false => "fp32",
    })
}

/// Whether ncnn, left to itself, computes float networks in 16 bits on this CPU.
fn has_half_arithmetic() -> bool {
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("fp16");
    #[cfg(not(target_arch = "aarch64"))]
    false
}

/// Whether `path` is the binary form, which names nothing: blobs are numbers in it.
fn is_binary(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix == "bin")
}

/// Reads `path` and the weights beside it.
fn read_files(net: &Net, path: &Path) -> Result<()> {
    let c_path = |path: &Path| {
        CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| Error::Usage("a path cannot contain a zero byte".into()))
    };
    let weights = c_path(&crate::loader::weights_of(path))?;
    let layers = c_path(path)?;
    // SAFETY: the network and the strings live; both functions check what the files' ends allow.
    let (layers, weights) = unsafe {
        let layers = match is_binary(path) {
            true => ncnn_rs::ncnn_net_load_param_bin(net.get(), layers.as_ptr()),
            false => ncnn_rs::ncnn_net_load_param(net.get(), layers.as_ptr()),
        };
        // Weights without layers would be read into nothing.
        (layers, if layers == 0 { ncnn_rs::ncnn_net_load_model(net.get(), weights.as_ptr()) } else { 0 })
    };
    checked("does not take the layers", layers)?;
    checked("does not take the weights", weights)
}

/// The outputs of the network in the file `path`, not computed yet.
fn blobs(net: &Net, path: &Path) -> Vec<Blob> {
    // SAFETY: the network lives, and its outputs are numbered up to their count.
    let count = unsafe { ncnn_rs::ncnn_net_get_output_count(net.get()) };
    let blob = |i: c_int| {
        // SAFETY: as above.
        let index = unsafe { ncnn_rs::ncnn_net_get_output_index(net.get(), i) };
        let name = match is_binary(path) {
            true => index.to_string(),
            // SAFETY: as above; where there are names, ncnn has one for each output, as long as the network lives.
            false => unsafe { CStr::from_ptr(ncnn_rs::ncnn_net_get_output_name(net.get(), i)) }
                .to_string_lossy()
                .into_owned(),
        };
        Blob { name, index, shape: Vec::new(), values: Vec::new() }
    };
    (0..count).map(blob).collect()
}

/// One inference; borrows the network, as ncnn's own keeps a pointer to it.
struct Extractor<'a> {
    raw: ncnn_rs::ncnn_extractor_t,
    _net: &'a Net,
}

impl<'a> Extractor<'a> {
    fn new(net: &'a Net) -> Self {
        // SAFETY: the network lives as long as the extractor.
        Extractor { raw: unsafe { ncnn_rs::ncnn_extractor_create(net.get()) }, _net: net }
    }

    fn input(&self, index: c_int, mat: &Mat) -> Result<()> {
        // SAFETY: both live; ncnn counts its own reference to the data.
        let code = unsafe { ncnn_rs::ncnn_extractor_input_index(self.raw, index, mat.get()) };
        checked("has no such input", code)
    }

    /// Computes an output and copies it.
    fn extract(&self, blob: &mut Blob) -> Result<()> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the extractor lives; ncnn stores a tensor that is the caller's, whatever it returns.
        let code = unsafe { ncnn_rs::ncnn_extractor_extract_index(self.raw, blob.index, &mut raw) };
        let result = Tensor(raw);
        if code != 0 {
            return Err(failed(&format!("cannot compute the blob {}", blob.name), code));
        }
        result.copy(blob)
    }
}

impl Drop for Extractor<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `new`, destroyed once.
        unsafe { ncnn_rs::ncnn_extractor_destroy(self.raw) };
    }
}

/// A tensor that ncnn gave away.
struct Tensor(ncnn_rs::ncnn_mat_t);

impl Tensor {
    /// Copies shape and elements. ncnn has `[c, h, w]` with a gap behind each channel.
    fn copy(&self, blob: &mut Blob) -> Result<()> {
        // SAFETY: the tensor lives; these only read its header.
        let (dims, [w, h, d, c], step, bytes, pack, data) = unsafe {
            (
                ncnn_rs::ncnn_mat_get_dims(self.0),
                [
                    ncnn_rs::ncnn_mat_get_w(self.0),
                    ncnn_rs::ncnn_mat_get_h(self.0),
                    ncnn_rs::ncnn_mat_get_d(self.0),
                    ncnn_rs::ncnn_mat_get_c(self.0),
                ]
                .map(|n| usize::try_from(n).unwrap_or(0)),
                ncnn_rs::ncnn_mat_get_cstep(self.0) as usize,
                ncnn_rs::ncnn_mat_get_elemsize(self.0),
                ncnn_rs::ncnn_mat_get_elempack(self.0),
                ncnn_rs::ncnn_mat_get_data(self.0).cast::<f32>(),
            )
        };
        if data.is_null() || bytes != 4 || pack != 1 {
            return Err(Error::unsupported(format!("ncnn gives the blob {} not as floats", blob.name)));
        }
        blob.shape = match dims {
            1 => vec![1, w],
            2 => vec![1, h, w],
            3 => vec![1, c, h, w],
            _ => vec![1, c, d, h, w],
        };
        let count = w * h * d;
        blob.values.resize(c * count, 0.0);
        // SAFETY: channels lie `step` floats apart and have `count` of them, as long as the tensor lives.
        let planes = (0..c).map(|i| unsafe { std::slice::from_raw_parts(data.add(i * step), count) });
        match dims {
            3 => interleave(&planes.collect::<Vec<_>>(), &mut blob.values),
            _ => {
                for (plane, values) in planes.zip(blob.values.chunks_exact_mut(count.max(1))) {
                    values.copy_from_slice(plane);
                }
            }
        }
        Ok(())
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: given by ncnn to this alone; null where ncnn gave nothing, which it takes as well.
        unsafe { ncnn_rs::ncnn_mat_destroy(self.0) };
    }
}

/// Planes as pixels: so many at a time that they stay in the cache while all planes add theirs.
fn interleave(planes: &[&[f32]], pixels: &mut [f32]) {
    const AT_A_TIME: usize = 64;
    let pitch = planes.len();
    for (block, pixels) in pixels.chunks_mut((AT_A_TIME * pitch).max(1)).enumerate() {
        for (channel, plane) in planes.iter().enumerate() {
            let values = plane[block * AT_A_TIME..].iter();
            for (place, value) in pixels[channel..].iter_mut().step_by(pitch).zip(values) {
                *place = *value;
            }
        }
    }
}
