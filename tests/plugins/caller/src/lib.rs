//! Workflows that call process types of other plugin files without their crates: they know them only by the
//! files below `interfaces`, written by `ferry plugin interface TYPE`. `stale` and `nowhere` were changed by
//! hand, as if they came from plugins that are not installed.

mod chain;
mod checked;
mod stale;
mod wrong;

ferry_plugin::interface!(
    "interfaces/arithmetic.add.json",
    "interfaces/arithmetic.add_job.json",
    "interfaces/arithmetic.multiply.json",
    "interfaces/script.rounds.json",
    "interfaces/stale/arithmetic.multiply_add.json",
    "interfaces/stale/nowhere.thing.json",
);
