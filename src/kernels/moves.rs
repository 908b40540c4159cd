//! Data movers: what rearranges elements without computing, for any element type.
//!
//! [`Strided`] says where the elements of a tensor lie; transposing, slicing and broadcasting change the
//! description only. A mover is built from descriptions once, at plan time, and then run without
//! allocating.
//!
//! ```
//! use ocellus::kernels::moves::{Strided, StridedCopy};
//! // [2, 3] -> [3, 2]
//! let source = Strided::row_major(&[2, 3], 3).transposed(&[1, 0]);
//! let copy = StridedCopy::new(&source, &Strided::row_major(&[3, 2], 2));
//! let mut turned = [0i8; 6];
//! copy.run(&[1, 2, 3, 4, 5, 6], &mut turned);
//! assert_eq!(turned, [1, 4, 2, 5, 3, 6]);
//! ```

mod collect;
mod gather;
mod nearest;
mod nest;
mod pad;
mod strided;

pub use collect::collect;
pub use gather::Gather;
pub use nearest::NearestResize;
pub(crate) use nearest::source_coordinate;
pub(crate) use nest::Nest;
pub use pad::Pad;
pub use strided::{Strided, StridedCopy};
