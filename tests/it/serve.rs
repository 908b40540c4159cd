//! The web page of a daemon over real sockets: what it answers, and what hostile clients cannot do.

mod answers;
mod browser;
mod hostile;
mod scene;
