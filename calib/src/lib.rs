//! Host-side companion of ocellus.
