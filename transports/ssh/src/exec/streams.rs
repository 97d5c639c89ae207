//! Sessions as streams, for the core's [`ShellTransport`](ferry_engine_core::transport::shell::ShellTransport): the way to files
//! where a server has no SFTP.
//!
//! A session's output is taken off the connection without pause, whoever reads it: one that is not drained would stop
//! all others. The reader takes all of it in turn, and asks for no more than a piece of a file at a time.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use ferry_engine_core::transport::{
    Result, quote,
    shell::{Session, Shell},
};
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::{
    io::{AsyncRead, AsyncReadExt, DuplexStream, ReadBuf, duplex},
    sync::{mpsc, oneshot},
};

use super::{EXEC, Runner, number};
use crate::connection::session::{Outlet, Slot};

/// Bytes of standard input that wait to be sent.
const AHEAD: usize = 64 << 10;

#[async_trait]
impl Shell for Runner {
    async fn start(&self, words: &[&str]) -> Result<Session> {
        let (channel, slot) = match self.connection.warm.take() {
            Some(session) => session,
            None => self.connection.open_session(EXEC, || self.sftp.yield_idle()).await?,
        };
        self.connection.warm_up();
        let (read, write) = channel.split();
        let write = Outlet::new(write);
        let line: Vec<String> = words.iter().map(|word| quote(word)).collect();
        let sent = self.connection.alive(EXEC, write.exec(true, format!("exec {}", line.join(" ")))).await?;
        sent.map_err(|error| self.connection.fault(EXEC, &error))?;
        let (stdin, input) = duplex(AHEAD);
        let (stdout, out) = mpsc::unbounded_channel();
        let (stderr, err) = mpsc::unbounded_channel();
        let (status, told) = oneshot::channel();
        let pump = Pump { runner: self.clone(), stdout, stderr, status, _slot: slot };
        tokio::spawn(pump.run(read, write, input));
        Ok(Session {
            stdin: Box::new(stdin),
            stdout: Box::new(Received::from(out)),
            stderr: Box::new(Received::from(err)),
            status: Box::pin(async move { told.await.ok().flatten() }),
        })
    }
}

/// Carries a session's streams between its channel and its user.
struct Pump {
    runner: Runner,
    stdout: mpsc::UnboundedSender<Bytes>,
    stderr: mpsc::UnboundedSender<Bytes>,
    status: oneshot::Sender<Option<i32>>,
    _slot: Slot,
}

impl Pump {
    async fn run(mut self, mut read: ChannelReadHalf, write: Outlet, input: DuplexStream) {
        let status = self.carry(&mut read, &write, input).await;
        let Pump { runner, stdout, stderr, status: tell, _slot } = self;
        // The streams end before the status is known.
        drop((stdout, stderr));
        // The user may have gone.
        let _ = tell.send(status);
        runner.connection.close_channel(read, write).await;
    }

    /// Carries until the session's end; returns its exit status, if the server told it.
    async fn carry(
        &mut self,
        read: &mut ChannelReadHalf,
        write: &Outlet,
        input: DuplexStream,
    ) -> Option<i32> {
        let mut feeding = std::pin::pin!(feed(write, input));
        let (mut is_fed, mut status) = (false, None);
        loop {
            tokio::select! {
                message = read.wait() => match message {
                    // Without a receiver, nobody wants it any more.
                    Some(ChannelMsg::Data { data }) => drop(self.stdout.send(data)),
                    Some(ChannelMsg::ExtendedData { data, ext: 1 }) => drop(self.stderr.send(data)),
                    Some(ChannelMsg::ExitStatus { exit_status }) => status = i32::try_from(exit_status).ok(),
                    Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                        status = Some(128 + number(&signal_name));
                    }
                    Some(ChannelMsg::Failure | ChannelMsg::Close) | None => return status,
                    Some(_) => {}
                },
                () = &mut feeding, if !is_fed => is_fed = true,
                () = self.status.closed() => return status,
                () = self.runner.connection.ended() => return None,
            }
        }
    }
}

/// Sends standard input to its end.
async fn feed(write: &Outlet, mut input: DuplexStream) {
    let mut buffer = vec![0; AHEAD];
    loop {
        match input.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                if write.data_bytes(Bytes::copy_from_slice(&buffer[..count])).await.is_err() {
                    return;
                }
            }
        }
    }
    // A program that has ended reads no more.
    let _ = write.eof().await;
}

/// The output of a session, as a stream.
struct Received {
    receiver: mpsc::UnboundedReceiver<Bytes>,
    current: Bytes,
}

impl From<mpsc::UnboundedReceiver<Bytes>> for Received {
    fn from(receiver: mpsc::UnboundedReceiver<Bytes>) -> Received {
        Received { receiver, current: Bytes::new() }
    }
}

impl AsyncRead for Received {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.current.is_empty() {
            match std::task::ready!(self.receiver.poll_recv(context)) {
                Some(bytes) => self.current = bytes,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.current.len().min(buffer.remaining());
        buffer.put_slice(&self.current[..count]);
        self.current.advance(count);
        Poll::Ready(Ok(()))
    }
}
