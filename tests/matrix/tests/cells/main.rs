//! The matrix: every case, in every cell that was asked for (`FERRY_CELLS`, default `local+direct`).

mod cell;
mod crash;
mod daemon;
mod disk;
mod input;
mod job;
mod limits;
mod plugins;
mod provenance;

use libtest_mimic::{Arguments, Trial};

type Case = (&'static str, fn() -> ferry_matrix::Result);

fn main() {
    let arguments = Arguments::from_args();
    let cells = std::env::var("FERRY_CELLS").unwrap_or_else(|_| "local+direct".into());
    let mut trials = Vec::new();
    if cells.split(',').any(|cell| cell == "local+direct") {
        let groups: [(&str, &[Case]); 8] = [
            ("job", job::CASES),
            ("limits", limits::CASES),
            ("provenance", provenance::CASES),
            ("input", input::CASES),
            ("plugins", plugins::CASES),
            ("daemon", daemon::CASES),
            ("disk", disk::CASES),
            ("crash", crash::CASES),
        ];
        for (group, cases) in groups {
            trials.extend(cases.iter().map(|(name, case)| {
                Trial::test(format!("local+direct/{group}/{name}"), move || Ok(case()?))
            }));
        }
    }
    for name in cells.split(',').filter(|name| *name != "local+direct" && !name.is_empty()) {
        trials.extend(cell_trials(&cell::Cell { name: name.to_owned() }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// What must hold in every cell, in one that is not this machine's own.
fn cell_trials(cell: &cell::Cell) -> Vec<Trial> {
    let queue = if cell.has_queue() { cell::QUEUE_CASES } else { &[] };
    let link = if cell.has_link() { cell::LINK_CASES } else { &[] };
    let trial = |(name, case): &cell::CellCase| {
        let (cell, case) = (cell.clone(), *case);
        Trial::test(format!("{}/cell/{name}", cell.name), move || Ok(case(&cell)?))
    };
    cell::CASES.iter().chain(queue).chain(link).map(trial).collect()
}
