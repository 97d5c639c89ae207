//! The suite on the transport in memory, except for the cases that run programs on the far side: it has none.

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

/// Parts of the names of cases that need `sh` on the far side, or what only it can make or count.
const NEED_PROGRAMS: &[&str] = &[
    "/exec/",
    "/streams/",
    "/names/",
    "/cancellation/dropped_exec",
    "/cancellation/dropped_put_tree_ends_soon",
    "/cancellation/timeout",
    "/concurrency/a_hundred_commands",
    "/concurrency/a_slow_command",
    "/concurrency/twenty_trees",
    "/errors/what_is_forbidden",
    "/files/list_gives_two_thousand_names",
    "/files/stat_gives_size_kind_and_time",
    "/files/whoami",
    "/transfer/get_files_fetches_many",
    "/transfer/read_of_a_pipe",
    "/trees/files_directories_links_and_programs",
    "/trees/jumping_between_directories",
    "/trees/two_thousand_files",
];

fn main() -> ExitCode {
    let mut trials = transport::suite("memory", open);
    let mut provided = transport::suite_without_overrides("memory-provided", open);
    // Without its own way to copy it would need `cp`.
    provided.retain(|trial| !trial.name().contains("/files/copy"));
    trials.extend(provided);
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
