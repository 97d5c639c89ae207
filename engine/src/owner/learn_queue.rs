//! Asks the hosts of computers which queue they are, and which user name applies there. Each new connection asks
//! once, before anything is submitted or listed over it: a host that was restarted or reinstalled may answer
//! differently.
//!
//! A failed question does no harm: it opens no breaker. Where two computers might share a queue under limits, the
//! first submissions wait for the answer, but not forever.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::Mutex as Turn,
    time::{Instant, timeout},
};

use crate::{
    back_off::BackOff,
    computer::Computer,
    owner::Context,
    scheduler::{self, Cores, ErrorKind, Limits, QueueKey},
    store::{self, Change, Result},
    transport::Transport,
};

/// Time limit for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The times until a host that did not answer is asked again.
const AGAIN: BackOff = BackOff { first: Duration::from_secs(10), longest: Duration::from_secs(3600) };
/// Time that submissions wait for a host that does not answer.
const HOLD: Duration = Duration::from_secs(600);

/// The state of the questions, by the label of the computer.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    asked: Mutex<BTreeMap<String, Arc<Turn<Asked>>>>,
}

#[derive(Debug, Default)]
struct Asked {
    /// The connection over which the host answered, even if it can't say.
    over: Option<Weak<dyn Transport>>,
    /// Time since which there is no answer, and time of the last question.
    silent: Option<(Instant, Instant)>,
    error: String,
}

impl Queues {
    fn of(&self, label: &str) -> Arc<Turn<Asked>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.entry(label.to_owned()).or_default().clone()
    }
}

impl Asked {
    fn is_due(&self) -> bool {
        self.silent
            .is_none_or(|(since, tried)| tried.elapsed() >= AGAIN.wait_by_age(tried.duration_since(since), 2))
    }
}

impl Context {
    /// Learns which queue a computer's host is, unless it was asked over this connection already. The answer is
    /// stored; concurrent callers share one question.
    ///
    /// # Errors
    /// Returns the reason why submissions to the computer must wait: it could not be asked yet, and its jobs may
    /// count under the limits of another computer, or its machine may be full.
    ///
    /// # Cancel safety
    /// A dropped call has no effect.
    pub(crate) async fn learn_queue(
        &self,
        computer: &Computer,
        via: &Arc<dyn Transport>,
    ) -> std::result::Result<(), String> {
        let asked = self.queues.of(&computer.label);
        let mut asked = asked.lock().await;
        if asked.over.as_ref().is_some_and(|over| std::ptr::addr_eq(over.as_ptr(), Arc::as_ptr(via))) {
            return Ok(());
        }
        if asked.is_due() {
            match self.ask_queue(computer, via).await {
                Ok(()) => {
                    *asked = Asked { over: Some(Arc::downgrade(via)), ..Asked::default() };
                    return Ok(());
                }
                Err(error) => {
                    let now = Instant::now();
                    let since = asked.silent.map_or(now, |(since, _)| since);
                    asked.silent = Some((since, now));
                    asked.error = error;
                }
            }
        }
        let is_new = asked.silent.is_some_and(|(since, _)| since.elapsed() < HOLD);
        if is_new && (self.may_share(computer).unwrap_or(true) || self.may_be_full(computer)) {
            Err(asked.error.clone())
        } else {
            Ok(())
        }
    }

    /// Asks the host, and stores the answers. That a host can't say is an answer too.
    async fn ask_queue(
        &self,
        computer: &Computer,
        via: &Arc<dyn Transport>,
    ) -> std::result::Result<(), String> {
        let Ok(scheduler) = self.scheduler(computer) else { return Ok(()) };
        let (label, address) = (&computer.label, computer.address());
        let failed = |error: store::Error| error.to_string();
        let mut changes = Vec::new();
        let key = answer(label, "name its queue", scheduler.queue_key(&**via)).await?;
        let known = self.store.queues().map_err(failed)?.remove(&address);
        if let Some(key) = key.filter(|key| known.as_ref() != Some(key)) {
            tracing::info!(computer = label, queue = %key, "learned its queue");
            changes.push(Change::Queue { address: address.clone(), key });
        }
        if scheduler.capabilities().shares_host {
            let machine = answer(label, "report its machine's resources", scheduler.machine(&**via)).await?;
            // The user's own numbers apply to a machine that reports nothing.
            let machine = machine.unwrap_or_default();
            if self.store.machines().map_err(failed)?.get(&address) != Some(&machine) {
                tracing::info!(computer = label, ?machine, "learned its machine's resources");
                changes.push(Change::Machine { address, machine });
            }
        }
        if !changes.is_empty() {
            self.store.commit(changes).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Returns whether more jobs may start on a computer's machine than fit, since its resources are not known
    /// yet.
    fn may_be_full(&self, computer: &Computer) -> bool {
        let is_known = self.store.sharing(&computer.label).is_ok_and(|sharing| sharing.machine.is_some());
        self.shares_host(computer) && computer.num_cores != Some(Cores::Unlimited) && !is_known
    }

    /// Returns whether the limits of another computer may turn out to hold for this one, or its limits for
    /// another.
    fn may_share(&self, computer: &Computer) -> Result<bool> {
        if self.home_queue(computer)?.is_some() {
            return Ok(false);
        }
        let scheduler = |of: &Computer| of.scheduler.trim_start_matches("core.").to_owned();
        let mut alike: Vec<Computer> = self.store.computers()?.into_iter().map(|row| row.config).collect();
        alike.retain(|other| scheduler(other) == scheduler(computer));
        // A rate that can't be parsed counts as a limit.
        let is_limited = |computer: &Computer| Limits::of(computer).map_or(true, |limits| limits.any());
        Ok(alike.len() > 1 && alike.iter().any(is_limited))
    }

    /// Returns the queue that a computer's plain submissions go to, if its host has reported it.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub(crate) fn home_queue(&self, computer: &Computer) -> Result<Option<QueueKey>> {
        Ok(self.store.queues()?.remove(&computer.address()))
    }
}

/// Waits for an answer of a host. Returns `None` if it can't say.
async fn answer<T>(
    computer: &str,
    what: &str,
    asked: impl Future<Output = scheduler::Result<T>>,
) -> std::result::Result<Option<T>, String> {
    match timeout(PATIENCE, asked).await {
        Ok(Ok(said)) => Ok(Some(said)),
        Ok(Err(error)) if !is_passing(&error) => {
            tracing::info!(computer, %error, "its host does not {what}");
            Ok(None)
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".into()),
    }
}

fn is_passing(error: &scheduler::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Ambiguous | ErrorKind::Busy | ErrorKind::Full)
}
