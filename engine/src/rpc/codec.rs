//! Messages on the socket: a length and a MessagePack map.

use std::io;

use ferry_plugin_proto::{decode, encode};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

/// Largest message, in bytes. It includes inputs, but no files above 16 KiB.
const MAX: u32 = 64 << 20;

pub(crate) async fn write_message<T: Serialize>(stream: &mut UnixStream, message: &T) -> io::Result<()> {
    let body = encode(message);
    let len = u32::try_from(body.len())
        .ok()
        .filter(|len| *len <= MAX)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is larger than 64 MiB"))?;
    // It may hold answers of a person to a server.
    let body = Zeroizing::new(body);
    let mut bytes = Zeroizing::new(len.to_le_bytes().to_vec());
    bytes.extend_from_slice(&body);
    stream.write_all(&bytes).await
}

pub(crate) async fn read_message<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<T> {
    let len = stream.read_u32_le().await?;
    if len > MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is larger than 64 MiB"));
    }
    // Grows with the bytes received, so a false length costs nothing.
    let mut body = Zeroizing::new(Vec::with_capacity(len.min(1 << 16) as usize));
    stream.take(u64::from(len)).read_to_end(&mut body).await?;
    decode(&body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
