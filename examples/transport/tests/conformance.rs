//! The published suite on this transport, through a command that changes nothing. Its longer cases run in
//! `tests/conformance/tests/shell.rs`.

use std::process::ExitCode;

use ferry_conformance::{
    libtest_mimic::{Arguments, Failed, run},
    transport::{self, Fixture},
};
use ferry_engine_core::computer::Computer;

/// The duties whose cases are quick.
const QUICK: &[&str] = &["/files/", "/removal/", "/rename/", "/exec/"];

fn main() -> ExitCode {
    let mut trials = transport::suite("through", open);
    trials.retain(|trial| QUICK.iter().any(|duty| trial.name().contains(duty)));
    run(&Arguments::from_args(), trials).exit_code()
}

async fn open() -> Result<Fixture<impl Sized>, Failed> {
    let mut computer = Computer::default();
    let factory = ferry_example_transport::register();
    assert!(factory.check(&computer).is_err(), "without its setting it is no transport");
    computer.connection.insert("through".into(), "env FERRY_EXAMPLE=1".into());
    let dir = tempfile::tempdir()?;
    let scratch = dir.path().to_owned();
    Ok(Fixture { transport: factory.open(&computer).await?, scratch, guard: dir })
}
