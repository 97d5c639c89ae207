//! The words of `cargo xtask`.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

/// Ferry's own chores: tests, demo, benchmarks, tidiness.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub(crate) struct Flags {
    /// The chore.
    #[command(subcommand)]
    pub(crate) subcommand: Subcommand,
}

/// One chore each.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Run the unit tests alone: no services, no root, seconds after an edit
    Quick(QuickFlags),
    /// Build everything, then run unit tests, doc tests, conformance suites and the matrix
    Test(TestFlags),
    /// Kill daemons, plugin hosts, sshd and slurmctld and cut the wire while jobs run; count what is lost
    Chaos(ChaosFlags),
    /// Bring up, take down or show a private sshd and a private Slurm for tests
    Services(ServicesFlags),
    /// Keep the door of a wire that can be cut; `services` starts it
    #[command(hide = true)]
    Door(DoorFlags),
    /// Build ferry and show its main job in a scratch profile, command by command
    Demo(DemoFlags),
    /// Measure throughput, memory and start-up, each beside a baseline of the same run
    Bench(BenchFlags),
    /// Run the engine in virtual time under seeded faults, and hold what it left against the truth
    Simulate(SimulateFlags),
    /// Check arrows between crates, module docs, lints, licences and where `unsafe` stands
    Tidy(TidyFlags),
}

/// Flags of `quick`.
#[derive(Debug, Args)]
pub(crate) struct QuickFlags {
    /// Only tests whose name contains this
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Option<String>,
}

/// Flags of `test`.
#[derive(Debug, Default, Args)]
pub(crate) struct TestFlags {
    /// Only these transports, separated by commas [default: all that this version has]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) transport: Vec<String>,
    /// Only these schedulers, separated by commas [default: all that this version has]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) scheduler: Vec<String>,
    /// Only tests whose name contains this; only what they need is started and installed
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// The long campaigns too: more crashes, more jobs, more seeds
    #[arg(long)]
    pub(crate) full: bool,
}

/// Flags of `chaos`.
#[derive(Debug, Args)]
pub(crate) struct ChaosFlags {
    /// How many trials on each cell
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) trials: u64,
    /// Seed of the first trial; the others count up from it [default: another one each time]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// All trials with that one seed: what breaks when is the same, and a race may need several
    #[arg(long, requires = "seed")]
    pub(crate) same_seed: bool,
    /// Only these transports, separated by commas [default: all that this version has]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) transport: Vec<String>,
    /// Only these schedulers, separated by commas [default: all that this version has]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) scheduler: Vec<String>,
}

/// Flags of `services`.
#[derive(Debug, Args)]
pub(crate) struct ServicesFlags {
    /// What to do
    #[arg(value_enum)]
    pub(crate) verb: ServicesVerb,
    /// Two Slurm clusters that share accounting, instead of the one Slurm
    #[arg(long)]
    pub(crate) clusters: bool,
    /// Where they live [default: ferry-UID/services, or clusters, in the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// The action on the services.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ServicesVerb {
    /// Start them, and print as JSON what a test needs
    Up,
    /// Stop them and remove their directory; fine if there are none
    Down,
    /// Say which daemons run; status 1 if one does not
    Status,
}

/// Words of `door`.
#[derive(Debug, Args)]
pub(crate) struct DoorFlags {
    /// The network namespace to listen in
    pub(crate) namespace: String,
    /// Where to listen
    pub(crate) address: Ipv4Addr,
    /// On which port
    pub(crate) port: u16,
    /// What answers each connection, on its standard input and output
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}

/// Flags of `demo`.
#[derive(Debug, Default, Args)]
pub(crate) struct DemoFlags {
    /// Show it over SSH and Slurm, on services of the demo's own, with a calculation by Quantum ESPRESSO
    #[arg(long)]
    pub(crate) cluster: bool,
    /// Keep the scratch profile and say where it is
    #[arg(long)]
    pub(crate) keep: bool,
}

/// Flags of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchFlags {
    /// Measure this instead
    #[arg(value_enum)]
    pub(crate) what: Option<BenchWhat>,
    /// Measure Slurm and SSH too, on services of the bench's own
    #[arg(long)]
    pub(crate) cluster: bool,
    /// How many jobs a round submits
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) jobs: u32,
    /// How many rounds, or pairs with Slurm; the median is printed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
}

/// Additional measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchWhat {
    /// Jobs on the machine itself: one, and many, beside a bare loop and HyperQueue; with `--cluster` over SSH too
    Direct,
    /// The engine alone, without jobs: commits, steps, very many processes
    Engine,
    /// Workchains: a thousand with ten jobs each, and steps and nested calls without jobs
    Workflows,
    /// Tiny jobs on a private Slurm beside a bare `sbatch` loop by eight, in pairs
    Slurm,
    /// Jobs over SSH, on loopback and on a line of 50 ms, beside rsync, tar, scp and `ssh cat`
    Transport,
}

/// Flags of `simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateFlags {
    /// For so long, s [default: 60, if no other bound is given]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
    /// At most so many schedules
    #[arg(long, value_name = "NUMBER")]
    pub(crate) schedules: Option<u64>,
    /// Begin with this seed [default: a fresh one]
    #[arg(long, value_name = "SEED")]
    pub(crate) first: Option<u64>,
    /// Show the run of this seed alone
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seconds", "schedules", "first"])]
    pub(crate) seed: Option<u64>,
}

/// Flags of `tidy`.
#[derive(Debug, Args)]
pub(crate) struct TidyFlags {
    /// Keep the texts that users read as they are now, in each crate's `texts.txt`
    #[arg(long)]
    pub(crate) renew_texts: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_words_make_sense_together() {
        Flags::command().debug_assert();
    }
}
