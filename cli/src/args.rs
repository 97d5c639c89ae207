//! The words of the command line: global options and the commands. Each group's own words lie beside its code.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    commands::{
        cache::CacheCommand, calcjob::CalcjobCommand, code::CodeCommand, computer::ComputerCommand,
        config::ConfigCommand, daemon::DaemonCommand, group::GroupCommand, launch::LaunchArgs,
        limit::LimitCommand, node::NodeCommand, plugin::PluginCommand, process::ProcessCommand,
        storage::StorageCommand, submit::SubmitArgs,
    },
    output::{Wanted, WantedParser},
};

/// Carries calculations to the computers where they run, and brings their results home.
#[derive(Debug, Parser)]
#[command(name = "ferry", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Profile to work with [env: FERRY_PROFILE] [default: default]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// How lists and details are shown; csv only by `process list` and `node list`. For `node export` also the format
    /// of the file
    #[arg(long, global = true, value_parser = WantedParser, default_value = "table", hide_possible_values = true)]
    pub(crate) format: Wanted,
    /// Tell on stderr what happens inside
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Never ask anything
    #[arg(long, global = true)]
    pub(crate) non_interactive: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show how the profile is: store, daemon, computers, plugins
    Status,
    /// Start a process and follow it to its end
    Run(LaunchArgs),
    /// Start a process, or many as one, and print ids at once
    Submit(SubmitArgs),
    /// Look at processes and steer them
    #[command(subcommand)]
    Process(ProcessCommand),
    /// Look into a calculation's files, here and on its computer
    #[command(subcommand)]
    Calcjob(CalcjobCommand),
    /// Data and process nodes, and the graph of where data came from
    #[command(subcommand)]
    Node(NodeCommand),
    /// Computers on which jobs run
    #[command(subcommand)]
    Computer(ComputerCommand),
    /// Programs on computers
    #[command(subcommand)]
    Code(CodeCommand),
    /// Files that bring process types
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Named sets of nodes
    #[command(subcommand)]
    Group(GroupCommand),
    /// Limits on the jobs of a computer, and what is in use
    #[command(subcommand)]
    Limit(LimitCommand),
    /// Results of earlier calculations that later ones take over
    #[command(subcommand)]
    Cache(CacheCommand),
    /// The program that brings processes on in the background
    #[command(subcommand)]
    Daemon(DaemonCommand),
    /// Settings of the profile
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The store of the profile: what it holds, whether it is whole, backups
    #[command(subcommand)]
    Storage(StorageCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}
