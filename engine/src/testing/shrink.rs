//! Makes a failing plan smaller: removes one item after the other, as long as it still fails in the same way.

use super::{
    plan::Plan,
    simulation::{Report, try_out},
    trace::Watch,
};

/// Most runs for shrinking one plan.
const RUNS: u32 = 150;

/// Returns a smaller plan that fails in the same way, and its report with the trace as text.
pub fn shrink(plan: &Plan, report: &Report) -> (Plan, Report) {
    let kind = kind(report).to_owned();
    let mut shrinker = Shrinker { kind, runs: 0 };
    let mut best = plan.clone();
    loop {
        let before = size(&best);
        best = shrinker.pass(best);
        if size(&best) == before || shrinker.runs >= RUNS {
            break;
        }
    }
    let report = try_out(&best, Watch::Text).unwrap_or_else(|_| report.clone());
    (best, report)
}

struct Shrinker {
    kind: String,
    runs: u32,
}

impl Shrinker {
    fn pass(&mut self, plan: Plan) -> Plan {
        let mut best = plan;
        for index in (0..best.events.len()).rev() {
            best = self.keep(best, |plan| drop(plan.events.remove(index)));
        }
        for index in (0..best.launches.len()).rev() {
            best = self.keep(best, |plan| drop(plan.launches.remove(index)));
        }
        for number in best.on_commit.keys().copied().collect::<Vec<_>>() {
            best = self.keep(best, |plan| {
                plan.on_commit.remove(&number);
            });
        }
        for number in best.on_op.keys().copied().collect::<Vec<_>>() {
            best = self.keep(best, |plan| {
                plan.on_op.remove(&number);
            });
        }
        for number in best.on_call.iter().copied().collect::<Vec<_>>() {
            best = self.keep(best, |plan| {
                plan.on_call.remove(&number);
            });
        }
        best
    }

    fn keep(&mut self, plan: Plan, change: impl FnOnce(&mut Plan)) -> Plan {
        let mut smaller = plan.clone();
        change(&mut smaller);
        self.runs += 1;
        let fails =
            self.runs < RUNS && try_out(&smaller, Watch::Off).is_ok_and(|report| kind(&report) == self.kind);
        if fails { smaller } else { plan }
    }
}

/// Returns the kind of the first violation, without its details.
fn kind(report: &Report) -> &str {
    let first = report.wrongs.first().map(String::as_str).unwrap_or_default();
    first.split([':', ' ']).next().unwrap_or_default()
}

fn size(plan: &Plan) -> usize {
    plan.events.len() + plan.launches.len() + plan.on_commit.len() + plan.on_op.len() + plan.on_call.len()
}
