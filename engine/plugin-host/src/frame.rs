//! The frames between daemon and host: `u32 length, u32 tag, u64 id`, little endian, then the payload.
//!
//! Towards the host the tag is a method, towards the daemon a status of the contract. Tags from [`RESERVED`] up
//! belong to this module. The id of a reply is that of its request. Both ends are one executable, but a daemon may
//! go on after an update of the file, so the first frame names the version.

use std::{
    io::{self, Read, Write},
    ops::Range,
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Version of these frames, sent in [`HELLO`].
pub(super) const VERSION: u32 = 1;
/// Longest payload.
pub(super) const PAYLOAD_MAX: usize = 256 << 20;

/// First tag that is neither a method nor a status of the contract.
const RESERVED: u32 = 0xffff_0000;
/// To the host, first: [`VERSION`] and the most verbose log level, `u32` each.
pub(super) const HELLO: u32 = RESERVED;
/// To the daemon: the plugin is loaded.
pub(super) const READY: u32 = RESERVED + 1;
/// To the daemon: the plugin is not loaded; the reason is a code in the id and a text in the payload.
pub(super) const NOT_READY: u32 = RESERVED + 2;
/// To the daemon: a log line; the level as id, target and message in the payload, split by a zero byte.
pub(super) const LOG: u32 = RESERVED + 3;
/// To the daemon: the plugin broke the contract; the payload says how.
pub(super) const BROKEN: u32 = RESERVED + 4;

const HEADER: usize = 16;
/// Payloads up to this size are sent in one piece with their header.
const SMALL: usize = 64 << 10;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Method, status or reserved tag.
    pub(super) tag: u32,
    /// The id of the request.
    pub(super) id: u64,
    /// The bytes.
    pub(super) payload: Vec<u8>,
}

struct Head {
    len: usize,
    tag: u32,
    id: u64,
}

impl Head {
    fn decode(bytes: &[u8; HEADER]) -> io::Result<Head> {
        let [l0, l1, l2, l3, t0, t1, t2, t3, id @ ..] = *bytes;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if len > PAYLOAD_MAX {
            return Err(too_long(len));
        }
        Ok(Head { len, tag: u32::from_le_bytes([t0, t1, t2, t3]), id: u64::from_le_bytes(id) })
    }

    /// Returns the header, with the payload behind it if that is small, and the rest of the payload.
    fn encode(tag: u32, id: u64, payload: &[u8]) -> io::Result<(Vec<u8>, &[u8])> {
        let len = u32::try_from(payload.len()).ok().filter(|len| *len as usize <= PAYLOAD_MAX);
        let len = len.ok_or_else(|| too_long(payload.len()))?;
        let inline = if payload.len() <= SMALL { payload.len() } else { 0 };
        let mut bytes = Vec::with_capacity(HEADER + inline);
        bytes.extend(len.to_le_bytes());
        bytes.extend(tag.to_le_bytes());
        bytes.extend(id.to_le_bytes());
        bytes.extend(&payload[..inline]);
        Ok((bytes, &payload[inline..]))
    }
}

fn too_long(len: usize) -> io::Error {
    let message = format!("the message has {len} bytes; at most {PAYLOAD_MAX} are allowed");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Reads a frame; `None` at the end of the stream.
pub(super) fn read(stream: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut header = [0; HEADER];
    match stream.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let head = Head::decode(&header)?;
    let mut payload = vec![0; head.len];
    stream.read_exact(&mut payload)?;
    Ok(Some(Frame { tag: head.tag, id: head.id, payload }))
}

/// Writes a frame.
pub(super) fn write(stream: &mut impl Write, tag: u32, id: u64, payload: &[u8]) -> io::Result<()> {
    let (head, rest) = Head::encode(tag, id, payload)?;
    stream.write_all(&head)?;
    stream.write_all(rest)
}

/// Writes a frame to an asynchronous stream.
///
/// # Cancel safety
/// None: a dropped future leaves half a frame in the stream.
pub(super) async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    tag: u32,
    id: u64,
    payload: &[u8],
) -> io::Result<()> {
    let (head, rest) = Head::encode(tag, id, payload)?;
    stream.write_all(&head).await?;
    stream.write_all(rest).await
}

/// A reader of frames, which keeps the bytes of the next one that have arrived.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    buffer: Vec<u8>,
}

impl Incoming {
    /// Returns the next frame; `None` at the end of the stream.
    ///
    /// # Cancel safety
    /// A dropped future loses nothing.
    pub(super) async fn next(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
        loop {
            let missing = match self.head()? {
                Some((head, payload)) if self.buffer.len() >= payload.end => {
                    return Ok(Some(self.take(&head, payload)));
                }
                Some((_, payload)) => payload.end - self.buffer.len(),
                None => HEADER,
            };
            // Not all of a big payload at once: the length in the header may be false.
            self.buffer.reserve(missing.clamp(4 << 10, 1 << 20));
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn head(&self) -> io::Result<Option<(Head, Range<usize>)>> {
        let Some(header) = self.buffer.first_chunk() else { return Ok(None) };
        let head = Head::decode(header)?;
        let payload = HEADER..HEADER + head.len;
        Ok(Some((head, payload)))
    }

    fn take(&mut self, head: &Head, payload: Range<usize>) -> Frame {
        let rest = self.buffer.split_off(payload.end);
        let mut bytes = std::mem::replace(&mut self.buffer, rest);
        bytes.drain(..payload.start);
        Frame { tag: head.tag, id: head.id, payload: bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_cross_whole_however_they_are_cut() {
        let mut wire = Vec::new();
        for (tag, size) in [(1, 0), (2, 5), (LOG, SMALL + 1)] {
            write(&mut wire, tag, 7, &vec![9; size]).unwrap();
        }
        let mut rest = wire.as_slice();
        let first = read(&mut rest).unwrap().unwrap();
        assert_eq!(first, Frame { tag: 1, id: 7, payload: vec![] });

        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for piece in [1, 16, 17, 1000] {
            let (mut far, mut near) = tokio::io::duplex(piece);
            let sent = wire.clone();
            runtime.block_on(async {
                let writer = tokio::spawn(async move { far.write_all(&sent).await });
                let mut incoming = Incoming::default();
                let mut sizes = Vec::new();
                while let Some(frame) = incoming.next(&mut near).await.unwrap() {
                    assert!(frame.payload.iter().all(|byte| *byte == 9));
                    sizes.push(frame.payload.len());
                }
                assert_eq!(sizes, [0, 5, SMALL + 1]);
                writer.await.unwrap().unwrap();
            });
        }
    }

    #[test]
    fn a_claimed_length_beyond_the_bound_is_refused() {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&mut header.as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
