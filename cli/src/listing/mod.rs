//! Lists of nodes and processes with columns, conditions and orders of one's own: `-P id,inputs.ecut,outputs.energy
//! --where 'inputs.ecut>=30' --order-by outputs.energy:desc --format csv`.
//!
//! A *key* names a column; [`key`] reads it, [`row`] looks up what a node has there, as JSON. Conditions and orders
//! compare what was looked up, so they may name anything that a column may.

mod condition;
mod key;
mod order;
mod row;
mod write;

use clap::Args;
use ferry_engine::store::{Node, Process, Reader};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use self::{condition::Condition, key::Key, order::Order, row::Row};
use crate::{
    error::{Failure, Result},
    output,
    session::Session,
};

/// The words that lists share.
#[derive(Debug, Args)]
pub(crate) struct ListingArgs {
    /// Columns: id, label, state, inputs.PORT, outputs.PORT, attributes.NAME ...; separated by commas, or given
    /// several times
    #[arg(short = 'P', long, value_name = "KEY", value_delimiter = ',')]
    project: Vec<Key>,
    /// Only those for which this holds, as 'inputs.ecut>=30', 'label~test' or 'outputs.energy!=null'; several must
    /// all hold
    #[arg(short = 'w', long = "where", value_name = "KEY OP VALUE")]
    conditions: Vec<Condition>,
    /// Order, by one key after the other; KEY:desc turns it round
    #[arg(short = 'O', long, value_name = "KEY", value_delimiter = ',')]
    order_by: Vec<Order>,
    /// Only those of the last days
    #[arg(long, value_name = "DAYS")]
    past_days: Option<u32>,
    /// At most so many: the first of the order, else the newest
    #[arg(short, long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Lines alone, without header and summary
    #[arg(short, long)]
    raw: bool,
}

impl ListingArgs {
    /// Returns the earliest time to list.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        let days = self.past_days?;
        Timestamp::now().checked_sub(SignedDuration::from_hours(24 * i64::from(days))).ok()
    }

    /// Returns the number of rows to ask the store for; `None` for all. Without conditions and orders of our
    /// own, the store applies the limit itself.
    pub(crate) fn limit_of_store(&self) -> Option<usize> {
        if self.conditions.is_empty() && self.order_by.is_empty() { self.limit } else { None }
    }

    /// Returns whether only the lines are wanted.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw
    }

    /// Returns whether columns were chosen, or are necessary: CSV has no other form.
    pub(crate) fn has_columns(&self, session: &Session) -> bool {
        !self.project.is_empty() || session.csv
    }

    /// Returns the rows for which the conditions hold, in order.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub(crate) fn choose<T: Listed>(&self, reader: &Reader, all: Vec<T>) -> Result<Vec<T>> {
        let mut rows: Vec<(Vec<Value>, T)> = Vec::new();
        for it in all {
            let row = Row::new(reader, &it)?;
            let mut holds = true;
            for condition in &self.conditions {
                holds = holds && condition.holds(&row.get(&condition.key)?);
            }
            if holds {
                let by: Result<_> = self.order_by.iter().map(|order| row.get(&order.key)).collect();
                rows.push((by?, it));
            }
        }
        rows.sort_by(|(a, _), (b, _)| order::compare(&self.order_by, a, b));
        let excess = self.limit.map_or(0, |limit| rows.len().saturating_sub(limit));
        // In order of their age the newest are the last, else the first are meant.
        match self.order_by.is_empty() {
            true => drop(rows.drain(..excess)),
            false => rows.truncate(rows.len() - excess),
        }
        Ok(rows.into_iter().map(|(_, it)| it).collect())
    }

    /// Prints the chosen columns, or these.
    ///
    /// # Errors
    /// Returns the store's errors. Fails also if standard output does.
    pub(crate) fn print<T: Listed>(
        &self,
        session: &Session,
        reader: &Reader,
        all: &[T],
        columns: &[&str],
    ) -> Result {
        let usual = || -> Result<Vec<Key>> {
            columns.iter().map(|name| name.parse().map_err(Failure::usage)).collect()
        };
        let keys = if self.project.is_empty() { usual()? } else { self.project.clone() };
        let mut rows = Vec::new();
        for it in all {
            let row = Row::new(reader, it)?;
            rows.push(keys.iter().map(|key| row.get(key)).collect::<Result<Vec<_>>>()?);
        }
        for (at, key) in keys.iter().enumerate() {
            if key.is_port() && !rows.is_empty() && rows.iter().all(|row| row[at].is_null()) {
                output::warn(format!("none of these has `{key}`{}", row::ports_of(reader, all, key)?));
            }
        }
        write::rows(session, self.raw, &keys, rows)
    }
}

/// A row of a list: a node or a process.
pub(crate) trait Listed {
    /// Returns its node, if it was read already; otherwise it is read on demand.
    fn node(&self) -> Option<&Node>;
    /// Returns the process, if it was read already.
    fn process(&self) -> Option<&Process>;
    /// Returns its number.
    fn id(&self) -> ferry_engine::store::NodeId;
}

impl Listed for Node {
    fn node(&self) -> Option<&Node> {
        Some(self)
    }
    fn process(&self) -> Option<&Process> {
        None
    }
    fn id(&self) -> ferry_engine::store::NodeId {
        self.id
    }
}

impl Listed for Process {
    fn node(&self) -> Option<&Node> {
        None
    }
    fn process(&self) -> Option<&Process> {
        Some(self)
    }
    fn id(&self) -> ferry_engine::store::NodeId {
        self.id
    }
}
