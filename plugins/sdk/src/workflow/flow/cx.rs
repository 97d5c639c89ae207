//! The context of a workfunction.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    called::Called,
    core::{Core, Op},
};
use crate::{host::report, process::process_type::Process, workflow::draft::Draft};

/// The latest time that a sleep ends at, microseconds since 1970: in the year 9999.
const TIME_MAX: i64 = 253_402_000_000_000_000;

/// A workfunction's way to everything outside of it. Whatever it awaits comes from here.
///
/// Everything that this gives is the same when the workfunction is run again from its journal: the time, random
/// numbers, how calls ended and in which order. Other inputs (a clock, the environment, files, threads, the
/// order of a `HashMap`) may differ when it is run again. If this changes the requests of the workfunction, the
/// replay detects and reports it.
///
/// When the workfunction ends, with its outputs or an exit code, calls that it still held are given up. When it is
/// excepted, nothing of that step is done, so that the process can be resumed from before it; what it called runs on.
#[derive(Debug, Clone)]
pub struct FlowCx {
    core: Core,
}

impl FlowCx {
    pub(super) fn new(core: Core) -> Self {
        FlowCx { core }
    }

    /// Calls a process; awaited, it gives the outputs as stored nodes, or how the process failed.
    ///
    /// The process begins whether or not anybody awaits it yet: two calls made one after the other run side by side.
    /// A call that is dropped before it has ended is given up: its process is killed.
    ///
    /// ```
    /// # use ferry_plugin::prelude::*;
    /// # #[calcfunction(name = "doc.add")] pub fn add(x: i64, y: i64) -> i64 { x + y }
    /// # #[calcfunction(name = "doc.multiply")] pub fn multiply(x: i64, y: i64) -> i64 { x * y }
    /// /// (x + y) * z
    /// #[workfunction(name = "doc.add_mul")]
    /// pub async fn add_mul(cx: Cx, x: Node<i64>, y: Node<i64>, z: Node<i64>) -> Result<Node<i64>> {
    ///     let sum = cx.call(add::with(&x, &y)).await?;
    ///     Ok(cx.call(multiply::with(&sum, &z)).await?)
    /// }
    /// assert_eq!(testing::call(add_mul::with(3, 4, 5)).value::<i64>(), Ok(35));
    /// ```
    #[must_use = "a call that is dropped is given up: await it, or keep it"]
    pub fn call<P: Process>(&self, draft: Draft<P>) -> Called<P> {
        Called::new(&self.core, draft)
    }

    /// Calls a process that is awaited later, or not at all. It is the same as [`call`](FlowCx::call), under
    /// a name that makes this clear. The handle can be awaited, killed or detached.
    #[must_use = "a call that is dropped is given up: await it, keep it, or `detach()` it"]
    pub fn submit<P: Process>(&self, draft: Draft<P>) -> Called<P> {
        self.call(draft)
    }

    /// Sleeps. It begins now, not when it is first awaited; restarts of the daemon and of the machine don't prolong
    /// it.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        self.sleep_to(self.core.now().saturating_add(micros))
    }

    /// Sleeps until a time; one that has passed is over with the next event.
    pub fn sleep_until(&self, time: SystemTime) -> Sleep {
        self.sleep_to(to_micros(time))
    }

    fn sleep_to(&self, until: i64) -> Sleep {
        Sleep { op: self.core.sleep(until.clamp(0, TIME_MAX)) }
    }

    /// Returns the time of the last event that was delivered to this workfunction. It is never the clock, and
    /// does not advance between events.
    pub fn now(&self) -> SystemTime {
        to_time(self.core.now())
    }

    /// Returns a random number, which is the same when the workfunction is run again: the generator is seeded
    /// by the process's uuid. Do not use it for secrets.
    pub fn random(&self) -> u64 {
        self.core.random()
    }

    /// Returns the process's uuid.
    pub fn process(&self) -> String {
        self.core.process()
    }

    /// Adds a line to the process's report, once, however often the workfunction is run again.
    pub fn report(&self, line: impl Into<String>) {
        report::report(line.into());
    }

    /// Sets the status that `process list` and `process show` print.
    pub fn status(&self, status: impl Into<String>) {
        self.core.set_position(status.into());
    }
}

/// A sleep: made by [`FlowCx::sleep`]. Dropped, it is forgotten.
#[derive(Debug)]
#[must_use = "a sleep that is not awaited is none"]
pub struct Sleep {
    op: Op,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.op.poll(context).map(drop)
    }
}

fn to_time(micros: i64) -> SystemTime {
    let far = Duration::from_micros(micros.unsigned_abs());
    let time = if micros < 0 { UNIX_EPOCH.checked_sub(far) } else { UNIX_EPOCH.checked_add(far) };
    time.unwrap_or(UNIX_EPOCH)
}

fn to_micros(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
