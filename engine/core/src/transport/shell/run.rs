//! One session: its script fed, its streams drained, its end told by marks. If it has to be ended, its whole group is.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Sleep, sleep},
};

use super::{
    Session, Shell,
    framing::{Ending, Stream, Token},
    script::{END_GROUP, Job, READ_SCRIPT},
};
use crate::transport::Result;

/// Time for which output may still come after the session, or after its streams.
const LINGER: Duration = Duration::from_millis(500);
/// Time that a group has to end, first after TERM and then after KILL.
const ENDING: Duration = Duration::from_secs(12);
/// A time-out for commands that have none.
const FAR_FUTURE: Duration = Duration::from_secs(60 * 60 * 24 * 365);
const CHUNK: usize = 64 << 10;

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The end given by its marks.
    Marked(Ending),
    /// The command ended the script itself, with this status.
    Killed(i32),
    /// It took too long, and was ended.
    TimedOut,
    /// The session ended, with this status, without running the script.
    NeverBegan(Option<i32>),
    /// The end is not known.
    Lost,
}

/// A session at work.
pub(super) struct Run {
    shell: Arc<dyn Shell>,
    session: Session,
    feeding: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
    is_open: [bool; 2],
    /// The session's status, once it is over.
    over: Option<Option<i32>>,
    linger: Option<Pin<Box<Sleep>>>,
    buffer: Box<[u8]>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Run {
    /// Starts a session and gives it a job, with a stream as standard input.
    ///
    /// # Errors
    /// Returns those of [`Job::script`] and [`Shell::start`].
    pub(super) async fn start(
        shell: &Arc<dyn Shell>,
        job: &Job,
        input: mpsc::Receiver<Vec<u8>>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Run> {
        let token = Token::new();
        let script = job.script(&token)?;
        let mut session = shell.start(&["/bin/sh", "-c", READ_SCRIPT]).await?;
        let stdin = std::mem::replace(&mut session.stdin, Box::new(tokio::io::sink()));
        Ok(Run {
            shell: shell.clone(),
            session,
            feeding: Some(Box::pin(feed(stdin, script, input))),
            stdout: Stream::new(token.clone()),
            stderr: Stream::new(token),
            is_open: [true; 2],
            over: None,
            linger: None,
            buffer: vec![0; CHUNK].into(),
            _permit: permit,
        })
    }

    /// Runs to the end in a task of its own. If the receiver is dropped, the task ends the group.
    pub(super) fn finish(mut self, timeout: Duration) -> oneshot::Receiver<(Ended, Stream, Stream)> {
        let (mut reply, answer) = oneshot::channel();
        tokio::spawn(async move {
            let ended = self.follow(timeout, &mut reply).await;
            // The caller may have gone.
            let _ = reply.send((ended, self.stdout, self.stderr));
        });
        answer
    }

    async fn follow(
        &mut self,
        timeout: Duration,
        reply: &mut oneshot::Sender<(Ended, Stream, Stream)>,
    ) -> Ended {
        let mut deadline = pin!(sleep(timeout.min(FAR_FUTURE)));
        let ended = poll_fn(|context| {
            if let Poll::Ready(ended) = self.poll_end(context) {
                return Poll::Ready(Some(ended));
            }
            if deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(Some(Ended::TimedOut));
            }
            reply.poll_closed(context).map(|()| None)
        })
        .await;
        if !matches!(ended, None | Some(Ended::TimedOut)) {
            return ended.unwrap_or(Ended::Lost);
        }
        self.end_group().await;
        ended.unwrap_or(Ended::Lost)
    }

    /// Polls until the end.
    pub(super) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        loop {
            if let Poll::Ready(ended) = self.poll_over(context) {
                return Poll::Ready(ended);
            }
            if !self.poll_io(context) {
                // It may have noticed the end of the session.
                return self.poll_over(context);
            }
        }
    }

    /// Looks whether the end has come, without reading.
    pub(super) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        if let (Some(ending), Some(_)) = (self.stdout.ending(), self.stderr.ending()) {
            return Poll::Ready(Ended::Marked(ending));
        }
        let is_closed = self.is_open == [false; 2];
        if is_closed && self.over.is_some() {
            return Poll::Ready(self.guess());
        }
        if !is_closed && self.over.is_none() {
            return Poll::Pending;
        }
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        linger.as_mut().poll(context).map(|()| self.guess())
    }

    /// Feeds, and reads once from each stream; returns true if more may follow at once.
    pub(super) fn poll_io(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(feeding) = &mut self.feeding
            && feeding.as_mut().poll(context).is_ready()
        {
            self.feeding = None;
        }
        if self.over.is_none()
            && let Poll::Ready(status) = self.session.status.as_mut().poll(context)
        {
            self.over = Some(status);
        }
        let Run { session, stdout, stderr, is_open, buffer, .. } = self;
        let mut go_on = false;
        let pipes = [(&mut session.stdout, stdout), (&mut session.stderr, stderr)];
        for ((pipe, stream), is_open) in pipes.into_iter().zip(is_open) {
            if !*is_open {
                continue;
            }
            let mut buffer = ReadBuf::new(buffer);
            if let Poll::Ready(read) = Pin::new(pipe).poll_read(context, &mut buffer) {
                // A stream that can't be read has no more output either.
                *is_open = read.is_ok() && !buffer.filled().is_empty();
                stream.push(buffer.filled());
                go_on = true;
            }
        }
        go_on
    }

    /// Returns the end where the streams do not tell it.
    fn guess(&self) -> Ended {
        match (self.stdout.ending(), self.stdout.group(), self.over) {
            (Some(ending), _, _) => Ended::Marked(ending),
            // A script that was ended by its own command has named its group before.
            (None, Some(_), Some(Some(status))) => Ended::Killed(status),
            (None, None, Some(status)) => Ended::NeverBegan(status),
            _ => Ended::Lost,
        }
    }

    /// Ends the group, TERM and then KILL, by a second session, which is not counted: it frees more than it takes. The
    /// first is held and drained meanwhile, so that the group's number can't become another's. The group may become
    /// known only during this call.
    async fn end_group(&mut self) {
        let mut deadline = pin!(sleep(ENDING));
        let mut is_asked = false;
        poll_fn(|context| {
            let ended = self.poll_end(context);
            if ended.is_ready() {
                return Poll::Ready(());
            }
            if !is_asked && let Some(group) = self.stdout.group() {
                is_asked = true;
                tokio::spawn(kill(self.shell.clone(), group));
            }
            deadline.as_mut().poll(context)
        })
        .await;
    }

    /// Ends the group in the background.
    pub(super) fn abandon(mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { self.end_group().await });
        }
    }
}

/// Sends the script, then all of the input. A command that does not read it is not an error.
async fn feed(
    mut stdin: Box<dyn tokio::io::AsyncWrite + Send + Unpin>,
    script: Vec<u8>,
    mut input: mpsc::Receiver<Vec<u8>>,
) {
    if stdin.write_all(&script).await.is_err() || stdin.flush().await.is_err() {
        return;
    }
    while let Some(bytes) = input.recv().await {
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // It may have ended before its input.
    let _ = stdin.shutdown().await;
}

async fn kill(shell: Arc<dyn Shell>, group: u32) {
    let job = Job::text(END_GROUP, [group.to_string()], ENDING);
    let (_, nothing) = mpsc::channel(1);
    // The session that is to be ended is given up after a while in any case.
    if let Ok(mut run) = Run::start(&shell, &job, nothing, None).await {
        let mut deadline = pin!(sleep(ENDING));
        poll_fn(|context| match run.poll_end(context) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => deadline.as_mut().poll(context),
        })
        .await;
    }
}
