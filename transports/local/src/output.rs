//! The output of a child, kept up to a bound and drained beyond it, so that the child never blocks on us.

use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Most bytes that are kept of a stream.
pub(crate) const BOUND: usize = 64 << 20;
const CHUNK: usize = 64 << 10;
/// Most chunks that a sweep takes: more than a pipe holds, so only output of a background child is cut.
const SWEEP: usize = 64;

/// One stream of a child.
#[derive(Debug)]
pub(crate) struct Capture<P> {
    pipe: P,
    bytes: Vec<u8>,
    dropped: u64,
}

impl<P: AsyncRead + AsFd + Unpin> Capture<P> {
    pub(crate) fn new(pipe: P) -> Self {
        Capture { pipe, bytes: Vec::new(), dropped: 0 }
    }

    /// Reads until the writing end is closed.
    ///
    /// # Cancel safety
    /// Bytes that were read are kept.
    pub(crate) async fn drain(&mut self) {
        loop {
            self.bytes.reserve(CHUNK);
            match self.pipe.read_buf(&mut self.bytes).await {
                Ok(1..) => self.cut(),
                // A pipe that can't be read has no more output either.
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Takes the bytes that are in the pipe at this moment, without waiting.
    pub(crate) fn sweep(&mut self) {
        for _ in 0..SWEEP {
            self.bytes.reserve(CHUNK);
            match rustix::io::read(&self.pipe, spare_capacity(&mut self.bytes)) {
                Ok(1..) => self.cut(),
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Returns the kept bytes, and the number of dropped ones.
    pub(crate) fn finish(self) -> (Vec<u8>, u64) {
        (self.bytes, self.dropped)
    }

    /// Returns the last part of it as text, for error messages.
    pub(crate) fn tail(&self) -> String {
        let start = self.bytes.len().saturating_sub(400);
        String::from_utf8_lossy(&self.bytes[start..]).trim().to_owned()
    }

    fn cut(&mut self) {
        self.dropped += self.bytes.len().saturating_sub(BOUND) as u64;
        self.bytes.truncate(BOUND);
    }
}
