//! The suite on the transport in memory, but for the cases that run programs on the far side: it has none.

use std::process::ExitCode;

use ferry_conformance::{
    libtest_mimic::{Arguments, Failed, run},
    transport::{self, Fixture},
};
use ferry_engine::{
    computer::Computer,
    testing::{HostSettings, MemoryFactory, World, work_dir},
    transport::Factory,
};

/// Cases that need `sh` on the far side, or a pipe that only it can make.
const NEED_PROGRAMS: &[&str] = &["/exec/"];

fn main() -> ExitCode {
    let mut trials = transport::suite("memory", open);
    trials.retain(|trial| !NEED_PROGRAMS.iter().any(|part| trial.name().contains(part)));
    run(&Arguments::from_args(), trials).exit_code()
}

async fn open() -> Result<Fixture<()>, Failed> {
    let host = "memory";
    let world = World::quiet(vec![HostSettings::quiet(host)]);
    let computer = Computer { hostname: host.into(), ..Computer::default() };
    let transport = MemoryFactory::new(world).open(&computer).await?;
    Ok(Fixture { transport, scratch: work_dir(host), guard: () })
}
