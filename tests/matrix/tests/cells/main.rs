//! The matrix: every case, in every cell that was asked for (`FERRY_CELLS`, default `local+direct`).
#![allow(clippy::print_stdout, reason = "what a campaign counted is said on stdout")]

mod bulk;
mod cache;
mod calcjob;
mod cell;
mod chaos;
mod clock;
mod clusters;
mod crash;
mod daemon;
mod data;
mod disk;
mod ends;
mod escapes;
mod failure;
mod fault;
mod flow;
mod force;
mod graph;
mod hidden;
mod hosts;
mod input;
mod interface;
mod job;
mod limits;
mod login;
mod look;
mod monitor;
mod names;
mod passing;
mod plugins;
mod port;
mod provenance;
mod refused;
mod services;
mod share;
mod sites;
mod squeue;
mod stash;
mod status;
mod styles;
mod submits;
mod supervisor;
mod sweep;
mod told;
mod tree;
mod upgrade;
mod workchain;
mod wrong;

use std::sync::{PoisonError, RwLock};

use libtest_mimic::{Arguments, Trial};

type Case = (&'static str, fn() -> ferry_matrix::Result);

fn main() {
    let arguments = Arguments::from_args();
    let cells = std::env::var("FERRY_CELLS").unwrap_or_else(|_| "local+direct".into());
    let mut trials = Vec::new();
    if cells.split(',').any(|cell| cell == "local+direct") {
        let groups: &[(&str, &[Case])] = &[
            ("job", job::CASES),
            ("limits", limits::CASES),
            ("share", share::CASES),
            ("provenance", provenance::CASES),
            ("cache", cache::CASES),
            ("look", look::CASES),
            ("bulk", bulk::CASES),
            ("graph", graph::CASES),
            ("input", input::CASES),
            ("plugins", plugins::CASES),
            ("data", data::CASES),
            ("daemon", daemon::CASES),
            ("supervisor", supervisor::CASES),
            ("disk", disk::CASES),
            ("clock", clock::CASES),
            ("crash", crash::CASES),
            ("tree", tree::CASES),
            ("flow", flow::CASES),
            ("hosts", hosts::CASES),
            ("refused", refused::CASES),
            ("workchain", workchain::CASES),
            ("interface", interface::CASES),
            ("status", status::CASES),
            ("wrong", wrong::CASES),
            ("styles", styles::CASES),
            ("stash", stash::CASES),
            ("monitor", monitor::CASES),
            ("failure", failure::CASES),
            ("login", login::CASES),
            ("escapes", escapes::CASES),
        ];
        trials.extend(
            calcjob::cases()
                .into_iter()
                .map(|(name, case)| Trial::test(format!("local+direct/calcjob/{name}"), move || Ok(case()?))),
        );
        for &(group, cases) in groups {
            trials.extend(cases.iter().map(|(name, case)| {
                Trial::test(format!("local+direct/{group}/{name}"), move || Ok(case()?))
            }));
        }
        let groups: [(&str, &[cell::CellCase]); 10] = [
            ("cell", cell::EVERYWHERE),
            ("ends", ends::CASES),
            ("ends", ends::DIRECT_CASES),
            ("hosts", hosts::EVERYWHERE),
            ("sweep", sweep::CASES),
            ("chaos", chaos::CASES),
            ("stash", stash::CELL_CASES),
            ("monitor", monitor::CELL_CASES),
            ("told", told::CASES),
            ("upgrade", upgrade::cases()),
        ];
        for (group, cases) in groups {
            trials.extend(cases.iter().map(|(name, case)| {
                let cell = cell::Cell { name: "local+direct".into() };
                Trial::test(format!("local+direct/{group}/{name}"), move || Ok(case(&cell)?))
            }));
        }
    }
    for name in cells.split(',').filter(|name| *name != "local+direct" && !name.is_empty()) {
        trials.extend(cell_trials(&cell::Cell { name: name.to_owned() }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Cases that break a service or count all its jobs have it for themselves; the others share it.
static SERVICES: RwLock<()> = RwLock::new(());

/// Returns whether the long campaigns run too.
fn is_full() -> bool {
    std::env::var_os("FERRY_FULL").is_some()
}

/// Cases of the long campaigns.
fn in_full(cases: &'static [cell::CellCase]) -> &'static [cell::CellCase] {
    if is_full() { cases } else { &[] }
}

/// Returns the trials of a cell that is not this machine's own.
fn cell_trials(cell: &cell::Cell) -> Vec<Trial> {
    // Those that mostly wait begin first, beside the others.
    let mut together: Vec<cell::CellCase> = Vec::new();
    let mut alone: Vec<cell::CellCase> = Vec::new();
    if cell.has_link() {
        together.extend(fault::WIRE_CASES.iter().chain(hosts::LINK_CASES).chain(supervisor::LINK_CASES));
        alone.extend(fault::LINK_CASES);
    }
    if cell.has_link() && !cell.has_queue() {
        together.extend(sites::CASES);
    }
    if cell.has_queue() && !cell.has_link() {
        together.extend(failure::QUEUE_CASES.iter().chain(names::CASES).chain(names::LOGIN_CASES));
        together.extend(submits::CASES.iter().chain(login::QUEUE_CASES));
    }
    if cell.has_queue() {
        together.extend(hidden::CASES.iter().chain(fault::REQUEUE_CASES));
        alone.extend(cell::QUEUE_CASES.iter().chain(squeue::CASES).chain(fault::CONTROLLER_CASES));
        // Small in one cell; what they hold has nothing to do with how the queue is reached.
        alone.extend(if cell.has_link() { in_full(passing::CASES) } else { passing::CASES });
    }
    if !cell.has_queue() {
        together.extend(told::CASES);
    }
    if cell.has_link() && cell.has_queue() {
        together.extend(in_full(names::CASES));
        together.extend(force::CASES);
        together.extend(in_full(sweep::CASES));
    }
    together.extend(cell::CASES.iter().chain(cell::EVERYWHERE).chain(hosts::EVERYWHERE));
    together.extend(ends::CASES);
    together.extend(if cell.has_queue() { ends::QUEUE_CASES } else { ends::DIRECT_CASES });
    together.extend(stash::CELL_CASES.iter().chain(monitor::CELL_CASES).chain(upgrade::cases()));
    let trial = |group: &str, (name, case): cell::CellCase, alone: bool| {
        let cell = cell.clone();
        Trial::test(format!("{}/{group}/{name}", cell.name), move || {
            // A case that failed has left nothing behind that the next one could trip over.
            let outcome = if alone {
                let _turn = SERVICES.write().unwrap_or_else(PoisonError::into_inner);
                case(&cell)
            } else {
                let _turn = SERVICES.read().unwrap_or_else(PoisonError::into_inner);
                case(&cell)
            };
            Ok(outcome?)
        })
    };
    let together = together.into_iter().map(|case| trial("cell", case, false));
    let alone = alone.into_iter().map(|case| trial("cell", case, true));
    let chaos = chaos::CASES.iter().map(|case| trial("chaos", *case, true));
    // Beside the rest: their services are others.
    let clusters = clusters::cases(cell).map(|(name, case)| {
        let cell = cell.clone();
        Trial::test(format!("{}/clusters/{name}", cell.name), move || Ok(case(&cell)?))
    });
    clusters.chain(together).chain(alone).chain(chaos).collect()
}
