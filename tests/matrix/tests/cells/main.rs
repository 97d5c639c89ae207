//! The matrix: every case, in every cell that was asked for (`FERRY_CELLS`, default `local+direct`).

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
    libtest_mimic::run(&arguments, trials).exit();
}
