//! `ferry limit`: what bounds the jobs on each computer, and what is in use of it.

use clap::Subcommand;
use ferry_engine::{
    process::State,
    scheduler::{Limits, QueueKey},
    store::{ComputerRow, GateState, Process, ProcessFilter, QueueId, Reader},
};
use serde_json::{Value, json};

use super::shares::{Share, Shares};
use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
};

/// The words of `ferry limit`.
#[derive(Debug, Subcommand)]
pub(crate) enum LimitCommand {
    /// Show the limits of a computer, or of all, and what is in use
    ///
    /// `ferry computer configure LABEL --max-queued-jobs N` (also --max-active-jobs, --submit-rate, --num-cores) changes
    /// them, also while jobs run; 0 lets nothing through.
    Show {
        /// Label of the computer
        computer: Option<String>,
    },
}

/// Runs a command of this group.
///
/// # Errors
/// Fails if the command fails.
pub(crate) async fn run(session: &Session, command: LimitCommand) -> Result {
    let LimitCommand::Show { computer } = command;
    let reader = session.reader().await?;
    let rows = match computer {
        Some(label) => vec![reader.computer(&label)?],
        None => reader.computers()?,
    };
    let shown = rows.iter().map(|row| Shown::read(&reader, row)).collect::<Result<Vec<_>>>()?;
    match session.format {
        Format::Json => output::json(&Value::Array(shown.iter().map(Shown::json).collect())),
        Format::Table => {
            let header = ["computer", "queued", "active", "cores", "GPUs", "not ours", "waiting", "rate"];
            output::table(&header, shown.iter().map(Shown::row))?;
            shown.iter().filter_map(Shown::shared_words).try_for_each(output::line)
        }
    }
}

/// A computer's limits beside what is in use of them.
struct Shown {
    label: String,
    limits: Limits,
    rate: Option<String>,
    /// Our tickets now: queued, and all.
    queued: u32,
    active: u32,
    /// Our processes that wait for a place.
    waiting: usize,
    gate: GateState,
    /// The machine that its jobs share, and its use.
    shares: Shares,
    shared: Option<Shared>,
}

/// The use of a queue that several computers share.
struct Shared {
    /// The name that its host gives it, if it does.
    key: Option<QueueKey>,
    /// Labels of the others.
    others: Vec<String>,
    limits: Limits,
    queued: u32,
    active: u32,
}

impl Shared {
    fn read(reader: &Reader, label: &str) -> Result<Option<Shared>> {
        let sharing = reader.sharing(label)?;
        if sharing.computers.len() < 2 {
            return Ok(None);
        }
        let (mut queued, mut active) = (0, 0);
        for label in sharing.labels() {
            let tickets = reader.tickets(label)?;
            queued += tickets.iter().filter(|ticket| ticket.queued).count() as u32;
            active += tickets.len() as u32;
        }
        let others = sharing.labels().skip(1).map(str::to_owned).collect();
        let limits = sharing.limits();
        let key = match sharing.queue {
            QueueId::Named(key) => Some(key),
            QueueId::At(_) => None,
        };
        Ok(Some(Shared { key, others, limits, queued, active }))
    }

    fn words(&self, label: &str) -> String {
        let queue = self.key.as_ref().map(|key| format!(" ({key})")).unwrap_or_default();
        let computers = if self.others.len() == 1 { "computer" } else { "computers" };
        let bound = |bound: Option<u32>, used: u32, what: &str| {
            bound.map(|bound| format!("{used} of {bound} {what}"))
        };
        let used: Vec<String> = bound(self.limits.max_queued, self.queued, "queued")
            .into_iter()
            .chain(bound(self.limits.max_active, self.active, "active"))
            .collect();
        let used = if used.is_empty() {
            String::new()
        } else {
            format!(": {} together, the smaller bound holds for all", used.join(" and "))
        };
        format!("{label} shares its queue{queue} with {computers} {}{used}", self.others.join(", "))
    }

    fn json(&self) -> Value {
        json!({
            "queue": self.key.as_ref().map(|key| &key.queue),
            "uid": self.key.as_ref().map(|key| key.uid),
            "with": self.others,
            "max_queued_jobs": self.limits.max_queued,
            "max_active_jobs": self.limits.max_active,
            "queued": self.queued,
            "active": self.active,
        })
    }
}

impl Shown {
    fn read(reader: &Reader, row: &ComputerRow) -> Result<Shown> {
        let label = row.config.label.clone();
        let limits =
            Limits::of(&row.config).map_err(|text| Failure::new(format!("{label}: submit_rate: {text}")))?;
        let tickets = reader.tickets(&label)?;
        let live = ProcessFilter { states: State::LIVE.to_vec(), ..ProcessFilter::default() };
        let waits = |process: &Process| waits_at_gate(process.status.as_deref().unwrap_or_default(), &label);
        Ok(Shown {
            shares: Shares::read(reader, &label)?,
            limits,
            rate: row.config.submit_rate.clone(),
            queued: tickets.iter().filter(|ticket| ticket.queued).count() as u32,
            active: tickets.len() as u32,
            waiting: reader.processes(&live)?.iter().filter(|process| waits(process)).count(),
            gate: reader.gate(&label)?.unwrap_or_default(),
            shared: Shared::read(reader, &label)?,
            label,
        })
    }

    fn row(&self) -> Vec<String> {
        let of = |used: u32, bound: Option<u32>| match bound {
            Some(bound) => format!("{used} of {bound}"),
            None => used.to_string(),
        };
        let words = |share: Option<Share>| share.map(Share::words).unwrap_or_default();
        vec![
            self.label.clone(),
            of(self.queued, self.limits.max_queued),
            of(self.active, self.limits.max_active),
            words(self.shares.cores),
            words(self.shares.gpus),
            self.gate.usage.foreign_active.to_string(),
            self.waiting.to_string(),
            self.rate.clone().unwrap_or_default(),
        ]
    }

    fn shared_words(&self) -> Option<String> {
        self.shared.as_ref().map(|shared| shared.words(&self.label))
    }

    fn json(&self) -> Value {
        json!({
            "computer": self.label,
            "cores": self.shares.cores.map(Share::json),
            "memory_kb": self.shares.memory_kb.map(Share::json),
            "gpus": self.shares.gpus.map(Share::json),
            "max_queued_jobs": self.limits.max_queued,
            "max_active_jobs": self.limits.max_active,
            "submit_rate": self.rate,
            "queued": self.queued,
            "active": self.active,
            "foreign_queued": self.gate.usage.foreign_queued,
            "foreign_active": self.gate.usage.foreign_active,
            "waiting": self.waiting,
            "learned_bound": self.gate.learned_limit,
            "shared": self.shared.as_ref().map(Shared::json),
            "listed": (!self.gate.listed.is_empty()).then_some(&self.gate.listed),
        })
    }
}

/// Returns whether a process waits for a place at a computer, or for a share of its machine.
fn waits_at_gate(status: &str, computer: &str) -> bool {
    let Some(what) = status.strip_prefix("waiting for ") else { return false };
    let Some((_, place)) = what.split_once(" on ") else { return false };
    place.strip_prefix(computer).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', ',']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wait_are_known_by_what_they_are_told() {
        for status in [
            "waiting for a queue slot on ws",
            "waiting for a queue slot on ws: 1st of 2, 3 of 3 active",
            "waiting for 2 cores on ws: 6 of 8 in use",
            "waiting for 1 kB of memory on ws: 9 of 9 in use",
            "waiting for a queue slot on ws, whose queue can't be listed: x; trying again",
        ] {
            assert!(waits_at_gate(status, "ws"), "{status}");
            assert!(!waits_at_gate(status, "w"), "{status}");
        }
        assert!(!waits_at_gate("waiting for computer `ws`: unreachable since now", "ws"));
        assert!(!waits_at_gate("job running", "ws"));
    }
}
