//! Every bound of the crate, in one place.
//!
//! A model, a picture or a request is somebody else's bytes. Each size taken from such bytes is compared
//! with one of these constants *before* anything is allocated or looped over; what exceeds one becomes a
//! typed error that names the constant's meaning. The compile-time assertions below hold the relations that
//! the code relies on.

/// Largest model file that a loader opens, in bytes.
pub const MODEL_FILE_BYTES_MAX: u64 = 1 << 30;
/// Longest line of a text `.param` file, in bytes.
pub const PARAM_LINE_BYTES_MAX: usize = 1 << 20;
/// Longest name of a node or value, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;
/// Most nodes (ncnn: layers) in a graph.
pub const NODES_MAX: usize = 20_000;
/// Most values (ncnn: blobs) in a graph.
pub const VALUES_MAX: usize = 80_000;
/// Most inputs or outputs of one node.
pub const NODE_ARITY_MAX: usize = 1024;
/// Highest rank of a tensor.
pub const RANK_MAX: usize = 8;
/// Largest extent of one dimension.
pub const DIM_MAX: usize = 1 << 28;
/// Most elements of one tensor.
pub const TENSOR_ELEMENTS_MAX: usize = 1 << 28;
/// Most elements of one array parameter of an ncnn layer or one list attribute of an ONNX node.
pub const ATTRIBUTE_ELEMENTS_MAX: usize = 1 << 16;
/// Largest kernel extent, stride, dilation or padding of a convolution or pooling window.
pub const WINDOW_MAX: usize = 4096;
/// Deepest nesting of messages in an ONNX file.
pub const PROTOBUF_DEPTH_MAX: usize = 32;
/// Most bytes that values made while a model is read (folded constants) may take together.
pub const FOLDED_BYTES_MAX: usize = 128 << 20;
/// Most bytes of one inference arena.
pub const ARENA_BYTES_MAX: usize = 2 << 30;
/// Smallest and largest network input side that `--size` accepts.
pub const INPUT_SIDE_MIN: usize = 32;
/// See [`INPUT_SIDE_MIN`].
pub const INPUT_SIDE_MAX: usize = 4096;
/// Largest picture side that is decoded.
pub const PICTURE_SIDE_MAX: u32 = 16_384;
/// Most pixels of a decoded picture.
pub const PICTURE_PIXELS_MAX: u64 = 100_000_000;
/// Largest picture file that is read, in bytes.
pub const PICTURE_FILE_BYTES_MAX: u64 = 256 << 20;
/// Most pixels of a video frame: 8K UHD fits.
pub const VIDEO_PIXELS_MAX: usize = 1 << 25;
/// Largest JPEG of an MJPEG stream, in bytes.
pub const VIDEO_JPEG_BYTES_MAX: usize = 32 << 20;
/// Longest header line of a Y4M stream, in bytes.
pub const VIDEO_LINE_BYTES_MAX: usize = 1024;
/// Most formats of a camera, and most sizes of a format, that are asked for.
pub const CAMERA_FORMATS_MAX: u32 = 256;
/// Longest head of an answer of an HTTP stream, in bytes.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 << 10;
/// Most events that a daemon keeps for its readers.
pub const EVENTS_KEPT: usize = 256;
/// Most objects that a camera's tracker follows.
pub const TRACKS_MAX: usize = 512;
/// Most points of a zone.
pub const ZONE_POINTS_MAX: usize = 64;
/// Most zones, and most lines, of a camera.
pub const ZONES_MAX: usize = 64;
/// Most cameras of a daemon.
pub const CAMERAS_MAX: usize = 64;
/// Largest configuration file, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Most class names in a names file or in a model's metadata.
pub const CLASSES_MAX: usize = 10_000;
/// Least and largest depth and width multiple of a built-in network.
pub const MULTIPLES: [f64; 2] = [0.05, 2.0];
/// Most candidate boxes that enter non-maximum suppression; the best by score are kept.
pub const CANDIDATES_MAX: usize = 30_000;
/// Most worker threads of an engine.
pub const THREADS_MAX: usize = 256;
/// Most images of a batch.
pub const BATCH_MAX: usize = 1024;
/// Alignment of the arena and of every buffer in it, in bytes: one cache line, one AVX-512 register.
pub const ARENA_ALIGN: usize = 64;
/// Bytes behind every buffer that a kernel may read (never write): a group of channels at the last pixel.
pub const ARENA_SLACK: usize = 64;
/// Channels of a pixel are padded to a multiple of this in the arena: four int8 codes feed one dot product.
pub const CHANNEL_GROUP: usize = 4;
/// Most connections that the web page answers at a time; further ones are closed at once.
pub const HTTP_CONNECTIONS_MAX: usize = 128;
/// Most of them that may be endless (pictures, events), so that others always find a place.
pub const HTTP_STREAMS_MAX: usize = 96;
/// Most bytes of the head of an HTTP request.
pub const HTTP_REQUEST_BYTES_MAX: usize = 16 << 10;
/// Most header lines of an HTTP request.
pub const HTTP_HEADERS_MAX: usize = 64;
/// Most bytes of the body of an HTTP request.
pub const HTTP_BODY_BYTES_MAX: usize = 64 << 10;
/// Seconds in which the head of an HTTP request, and then its body, must have come; an idle connection ends then.
pub const HTTP_REQUEST_SECONDS: u64 = 10;
/// Least bytes that a client must take in [`HTTP_STALL_SECONDS`] while there is something to send.
pub const HTTP_STALL_BYTES_MIN: usize = 10 << 10;
/// See [`HTTP_STALL_BYTES_MIN`].
pub const HTTP_STALL_SECONDS: u64 = 10;
/// Send buffer of a connection in the kernel, in bytes: a few pictures of a slow client, not megabytes.
pub const HTTP_SEND_BUFFER_BYTES: u32 = 256 << 10;
/// Widest picture of the web page's stream; wider frames are shrunk by a whole factor.
pub const HTTP_PICTURE_WIDTH_MAX: usize = 960;
/// Most events that wait for one receiver; beyond them the oldest are dropped.
pub const SPOOL_EVENTS_MAX: usize = 10_000;
/// Most bytes of a waiting event that are read back.
pub const SPOOL_EVENT_BYTES_MAX: u64 = 64 << 10;
/// Shortest token of the web page.
pub const HTTP_TOKEN_CHARS_MIN: usize = 16;
/// Longest token of the web page.
pub const HTTP_TOKEN_CHARS_MAX: usize = 256;

const _: () = assert!(NODES_MAX <= VALUES_MAX);
const _: () = assert!(ARENA_ALIGN.is_power_of_two() && ARENA_SLACK.is_multiple_of(ARENA_ALIGN));
const _: () = assert!(ARENA_SLACK >= CHANNEL_GROUP);
const _: () = assert!(INPUT_SIDE_MIN < INPUT_SIDE_MAX && INPUT_SIDE_MAX <= DIM_MAX);
const _: () = assert!(TENSOR_ELEMENTS_MAX <= ARENA_BYTES_MAX / 4);
const _: () =
    assert!(HTTP_STREAMS_MAX < HTTP_CONNECTIONS_MAX && HTTP_TOKEN_CHARS_MAX < HTTP_REQUEST_BYTES_MAX);
const _: () = assert!(VIDEO_PIXELS_MAX as u64 <= PICTURE_PIXELS_MAX);
const _: () = assert!(VIDEO_JPEG_BYTES_MAX as u64 <= PICTURE_FILE_BYTES_MAX);
const _: () = assert!(PICTURE_PIXELS_MAX <= (PICTURE_SIDE_MAX as u64) * (PICTURE_SIDE_MAX as u64));
