//! The scheduler suite on the direct scheduler, through the local transport.

use std::process::ExitCode;

use ferry_conformance::{
    libtest_mimic::{Arguments, run},
    scheduler::{self, Fixture},
};
use ferry_engine::computer::Computer;

fn main() -> ExitCode {
    let trials = scheduler::suite("direct", || async {
        let dir = tempfile::tempdir()?;
        let transport = ferry_transport_local::register().open(&Computer::default()).await?;
        let scheduler = ferry_scheduler_direct::register().make(&Computer::default())?;
        Ok(Fixture { scheduler, transport, scratch: dir.path().into(), guard: dir })
    });
    run(&Arguments::from_args(), trials).exit_code()
}
