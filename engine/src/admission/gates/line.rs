//! The line at the gates of computers that share a queue, as it is reported to the processes that wait in it.

use super::{
    Admitted, Gate, Inner, TELL,
    machine::{Place, Room},
};
use crate::{
    scheduler::{Limits, Usage},
    store::{Change, GateState, NodeId, Sharing},
};

/// The changes to be written, and the states for `limit show` by label.
pub(crate) struct News {
    pub(crate) changes: Vec<Change>,
    pub(crate) states: Vec<(String, GateState)>,
}

impl Inner {
    /// Returns the news for the waiting processes, or `None` if it was written lately or has not changed.
    pub(super) fn news(&self, sharing: &Sharing, admitted: &Admitted) -> Option<News> {
        let mut line: Vec<(NodeId, &str)> = self
            .of(sharing)
            .flat_map(|(label, gate)| gate.wanting.iter().map(move |process| (*process, label)))
            .collect();
        line.sort_unstable();
        let state = |label: &str| GateState {
            usage: admitted.usage,
            taken: admitted.in_use.total(),
            learned_limit: admitted.learned_limit,
            waiting: line.len() as u32,
            shared_with: shared(sharing, label),
            listed: admitted.listed.to_string(),
        };
        let is_due = |(label, gate): (&str, &Gate)| {
            gate.told.is_none_or(|told| told.elapsed() >= TELL) && !gate.shows(&state(label))
        };
        if !self.of(sharing).any(is_due) {
            return None;
        }
        let states: Vec<_> = self.of(sharing).map(|(label, _)| (label.to_owned(), state(label))).collect();
        let mut changes = self.statuses(&line, sharing, admitted);
        let gate = |(label, state): &(String, _)| Change::Gate {
            computer: label.clone(),
            state: GateState::clone(state),
        };
        changes.extend(states.iter().map(gate));
        Some(News { changes, states })
    }

    /// Returns the status for each process in the line: the resource that its machine lacks, else its place.
    fn statuses(&self, line: &[(NodeId, &str)], sharing: &Sharing, admitted: &Admitted) -> Vec<Change> {
        let why = explain(&admitted.limits, &admitted.usage, admitted.learned_limit);
        let with = |label: &str| match shared(sharing, label).join(", ") {
            nobody if nobody.is_empty() => nobody,
            others => format!(", together with {others}"),
        };
        let waiting = line.len();
        let mut room = Room::new(sharing, admitted.in_use.clone());
        let status = |(place, (process, label)): (usize, &(NodeId, &str))| {
            let words = match room.place(label, &self.demand_of(*process), false) {
                Place::Waits(words) => words,
                Place::Fits | Place::Never => {
                    let place = ordinal(place);
                    format!("waiting for a queue slot on {label}: {place} of {waiting}, {why}")
                }
            };
            told(*process, format!("{words}{}", with(label)))
        };
        (1..).zip(line).map(status).collect()
    }
}

impl Gate {
    fn shows(&self, state: &GateState) -> bool {
        self.shown
            .as_ref()
            .is_some_and(|shown| *shown == GateState { listed: shown.listed.clone(), ..state.clone() })
    }
}

/// Returns the labels of the other computers that share a computer's queue.
fn shared(sharing: &Sharing, label: &str) -> Vec<String> {
    sharing.labels().filter(|other| *other != label).map(str::to_owned).collect()
}

pub(super) fn told(process: NodeId, status: String) -> Change {
    Change::Observed { process, status: Some(status), scheduler_state: None }
}

fn explain(limits: &Limits, usage: &Usage, learned_limit: Option<u32>) -> String {
    let mut parts = Vec::new();
    if let Some(bound) = limits.max_queued {
        parts.push(format!("{} of {bound} queued", usage.queued + usage.foreign_queued));
    }
    if let Some(bound) = limits.max_active {
        parts.push(format!("{} of {bound} active", usage.active + usage.foreign_active));
    }
    if let Some(bound) = learned_limit {
        parts.push(format!("the scheduler takes about {bound}"));
    }
    if let Some(rate) = limits.rate {
        parts.push(format!("at most {} in {} s", rate.permits, rate.per.as_secs()));
    }
    if usage.foreign_active > 0 {
        parts.push(format!("{} not ours", usage.foreign_active));
    }
    parts.join(", ")
}

fn ordinal(number: usize) -> String {
    let end = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_in_words() {
        let words: Vec<_> = [1, 2, 3, 4, 11, 12, 21, 112].into_iter().map(ordinal).collect();
        assert_eq!(words, ["1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "112th"]);
        let limits = Limits { max_active: Some(100), ..Limits::default() };
        let usage = Usage { active: 88, foreign_active: 12, ..Usage::default() };
        assert_eq!(explain(&limits, &usage, None), "100 of 100 active, 12 not ours");
    }
}
