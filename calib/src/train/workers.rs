//! What looks at the pictures of a batch, one for each thread.

use crate::error::Result;
use crate::loader::Batch;
use crate::share::share;
use ocellus::image::Frame;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Workers of one kind, of which each thread takes one.
pub(super) struct Workers<T>(Mutex<Vec<T>>);

impl<T: Send> Workers<T> {
    /// `count` of them, at least one, made by `make`.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn new(count: usize, make: impl Fn() -> ocellus::Result<T>) -> Result<Self> {
        let workers = (0..count.max(1)).map(|_| make()).collect::<ocellus::Result<Vec<_>>>()?;
        Ok(Workers(Mutex::new(workers)))
    }

    /// What `look` says of each picture of the batch, in their order.
    ///
    /// # Errors
    /// The first that `look` has; the workers are gone then.
    pub fn look<R: Default + Send>(
        &self,
        batch: &Batch,
        look: impl Fn(&mut T, usize, &Frame) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let pictures: Vec<&[u8]> = batch.images.chunks_exact(batch.size * batch.size * 3).collect();
        let said: Vec<Mutex<R>> = pictures.iter().map(|_| Mutex::default()).collect();
        let count = locked(&self.0).len();
        let take = || Ok(locked(&self.0).pop().expect("as many threads as workers take one"));
        let back = share(&pictures, count, take, |worker, image, picture| {
            let frame = Frame::new(batch.size, batch.size, picture.to_vec()).expect("pictures are squares");
            *locked(&said[image]) = look(worker, image, &frame)?;
            Ok(())
        })?;
        locked(&self.0).extend(back);
        Ok(said.into_iter().map(|said| said.into_inner().unwrap_or_else(PoisonError::into_inner)).collect())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
