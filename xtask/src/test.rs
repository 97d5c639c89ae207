//! `cargo xtask test`: builds everything, runs unit tests, doc tests, conformance suites and the cells of the
//! matrix, and ends with a table and the line `N passed, N failed, N skipped`.
//!
//! Cells that the user left out are printed as skipped. Cells that can't run are failures that name what is
//! missing.

pub(crate) mod cells;
pub(crate) mod plugins;
mod simulation;
mod tally;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::ferry::TEST_FEATURES;
use crate::flags::TestFlags;
use crate::interrupt::Interrupt;
use crate::services::{Kinds, OnDemand, Services, packages};
use crate::shell;
use crate::workspace::Workspace;
use cells::{Cell, Choice};
use simulation::Simulation;
use tally::{Counts, Report};

/// The package whose integration tests are the conformance suites, one file an implementation.
const CONFORMANCE: &str = "ferry-conformance";
/// The package whose one integration test runs the cells.
const MATRIX: &str = "ferry-matrix";
/// Time, in seconds, for which the engine is simulated with fresh seeds. The next one applies with `--full`.
const SIMULATED: u64 = 300;
const SIMULATED_FULL: u64 = 1800;

/// Runs the chore.
pub(crate) fn run(workspace: &Workspace, flags: &TestFlags) -> Result<ExitCode> {
    let choice = match Choice::new(&flags.transport, &flags.scheduler) {
        Ok(choice) => choice,
        Err(unknown) => {
            eprintln!("error: {unknown}");
            return Ok(ExitCode::from(2));
        }
    };
    let interrupt = Interrupt::listen()?;
    let clusters = OnDemand::for_test()?;
    let report = Report::default();
    let mut suite =
        Suite { workspace, flags, choice, interrupt, services: None, clusters: Some(clusters), report };
    let outcome = suite.run();
    // Before the table, so that its closing line is the last, whatever the outcome.
    suite.services = None;
    suite.clusters = None;
    outcome?;
    suite.report.print();
    Ok(if suite.report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Suite<'a> {
    workspace: &'a Workspace,
    flags: &'a TestFlags,
    choice: Choice,
    interrupt: Interrupt,
    services: Option<Services>,
    /// Two clusters, for the few cases that want them.
    clusters: Option<OnDemand>,
    report: Report,
}

impl Suite<'_> {
    fn run(&mut self) -> Result<()> {
        if !self.build()? {
            return Ok(());
        }
        let plugins = self.test_plugins();
        self.bring_up();
        self.unit()?;
        self.docs()?;
        self.conformance()?;
        let simulation = self.simulation();
        for cell in cells::CELLS {
            self.cell(cell, plugins.as_deref())?;
        }
        if let Some(simulation) = simulation {
            self.simulated(simulation)?;
        }
        Ok(())
    }

    /// Starts the simulation, unless only some tests were asked for.
    fn simulation(&mut self) -> Option<Simulation> {
        if self.flags.filter.is_some() {
            self.report.skipped_part("simulation", "left out");
            return None;
        }
        let seconds = if self.flags.full { SIMULATED_FULL } else { SIMULATED };
        match Simulation::start(self.workspace, seconds) {
            Ok(simulation) => Some(simulation),
            Err(error) => {
                self.report.failed_part("simulation", Duration::ZERO, &format!("{error:#}"));
                None
            }
        }
    }

    fn simulated(&mut self, simulation: Simulation) -> Result<()> {
        self.interrupt.check()?;
        println!("\n== simulation");
        let outcome = simulation.finish()?;
        println!("{}", outcome.said.trim_end());
        let counts = Counts::one(outcome.success);
        self.report.part("simulation", counts, outcome.success, outcome.took);
        Ok(())
    }

    /// Builds the workspace; without it nothing else can run.
    fn build(&mut self) -> Result<bool> {
        let finished = shell::watch(&mut self.workspace.cargo(&[
            "build",
            "--workspace",
            "--all-targets",
            "--features",
            TEST_FEATURES,
        ]))?;
        if !finished.status.success() {
            self.report.failed_part("build", finished.took, "the workspace does not build");
        }
        Ok(finished.status.success())
    }

    /// Builds the plugins that are workspaces of their own; `None` if that failed.
    fn test_plugins(&mut self) -> Option<std::path::PathBuf> {
        match plugins::build(self.workspace) {
            Ok(dir) => Some(dir),
            Err(error) => {
                self.report.failed_part("test plugins", Duration::ZERO, &format!("{error:#}"));
                None
            }
        }
    }

    fn unit(&mut self) -> Result<()> {
        let features = ["--features", TEST_FEATURES];
        let excluded =
            [&features[..], &["--workspace", "--exclude", CONFORMANCE, "--exclude", MATRIX]].concat();
        let command = self.runner(&excluded);
        self.part("unit tests", command)
    }

    fn docs(&mut self) -> Result<()> {
        let mut command = self.workspace.cargo(&["test", "--doc", "--workspace", "--no-fail-fast"]);
        command.args(["--features", TEST_FEATURES]);
        if let Some(filter) = &self.flags.filter {
            command.args(["--", filter]);
        }
        self.part("doc tests", command)
    }

    /// Brings up what the suites and cells need. What needs it fails if it does not come up, and only that.
    fn bring_up(&mut self) {
        // The SSH transport's own tests start sshds of their own, whatever cells were chosen.
        if let Err(error) = packages::ensure(Kinds { ssh: true, ..Kinds::default() }) {
            eprintln!("warning: the tests of transports/ssh will fail: {error:#}");
        }
        if let Err(error) = packages::ensure_tools() {
            eprintln!("warning: single tests will say that they are skipped: {error:#}");
        }
        let kinds = self.choice.kinds(self.suites());
        if kinds == Kinds::default() {
            return;
        }
        println!("\n== services");
        let begun = Instant::now();
        match Services::for_test(kinds, &self.interrupt) {
            Ok(services) => self.services = Some(services),
            Err(error) => self.report.failed_part("services", begun.elapsed(), &format!("{error:#}")),
        }
    }

    fn suites(&self) -> &[String] {
        let member = self.workspace.members.iter().find(|member| member.name == CONFORMANCE);
        member.map_or(&[][..], |member| &member.tests)
    }

    fn conformance(&mut self) -> Result<()> {
        let suites = self.suites().to_vec();
        if suites.is_empty() {
            self.report.failed_part(
                "conformance",
                Duration::ZERO,
                &format!("missing: the tests of {CONFORMANCE}"),
            );
        }
        for suite in &suites {
            let name = format!("conformance: {suite}");
            if self.choice.leaves_out_suite(suite) {
                self.report.skipped_part(&name, "left out");
            } else {
                // The engine as it was built for the rest, so that it is not built once more.
                let engine = ["--features", "ferry-engine/crash-points"];
                let mut command =
                    self.runner(&[&engine[..], &["--package", CONFORMANCE, "--test", suite]].concat());
                self.point_at_services(&mut command);
                // A suite that finds no services may skip itself; one that was asked for may not.
                command.env("FERRY_CELLS", suite);
                self.part(&name, command)?;
            }
        }
        Ok(())
    }

    fn cell(&mut self, cell: &Cell, plugins: Option<&Path>) -> Result<()> {
        let name = format!("matrix: {cell}");
        if !self.choice.takes(cell) {
            self.report.skipped_part(&name, "left out");
            return Ok(());
        }
        let missing = Cell::missing();
        if !missing.is_empty() {
            self.report.failed_part(&name, Duration::ZERO, &format!("missing: {}", missing.join(", ")));
            return Ok(());
        }
        let Some(plugins) = plugins else {
            self.report.failed_part(&name, Duration::ZERO, "missing: the test plugins, which do not build");
            return Ok(());
        };
        if cell.kinds() != Kinds::default() && self.services.is_none() {
            self.report.failed_part(&name, Duration::ZERO, "missing: its services, which did not come up");
            return Ok(());
        }
        let command = self.matrix(cell, plugins);
        self.part(&name, command)
    }

    fn matrix(&self, cell: &Cell, plugins: &Path) -> Command {
        let mut command = self.workspace.cargo(&["test", "--package", MATRIX, "--tests", "--"]);
        command
            .args(self.flags.filter.as_deref())
            .env("FERRY_CELLS", cell.to_string())
            .env("FERRY_BIN", self.workspace.binary("debug", "ferry"))
            .env("FERRY_TEST_PLUGINS", plugins);
        self.point_at_services(&mut command);
        if let Some(clusters) = &self.clusters {
            command.envs(clusters.environment());
        }
        if self.flags.full {
            command.env("FERRY_FULL", "1");
        }
        command
    }

    /// Tells tests where the services are.
    fn point_at_services(&self, command: &mut Command) {
        if let Some(services) = &self.services {
            command.envs(services.environment());
        }
    }

    /// Makes a test runner over some packages. It is nextest where that is installed, since it runs each test
    /// in its own process and stops those that hang.
    fn runner(&self, packages: &[&str]) -> Command {
        let nextest = shell::has("cargo-nextest");
        let verb: &[&str] =
            if nextest { &["nextest", "run", "--no-fail-fast"] } else { &["test", "--no-fail-fast"] };
        let mut command = self.workspace.cargo(verb);
        command.args(packages);
        if !nextest {
            // The doc tests are a part of their own.
            command.args((!packages.contains(&"--test")).then_some("--all-targets"));
        }
        if let Some(filter) = &self.flags.filter {
            command.args(nextest.then_some("--no-tests=pass")).args(["--", filter]);
        }
        command
    }

    fn part(&mut self, name: &str, mut command: Command) -> Result<()> {
        self.interrupt.check()?;
        println!("\n== {name}");
        let finished = shell::watch(&mut command)?;
        self.interrupt.check()?;
        let counts = Counts::read(&finished.lines);
        self.report.part(name, counts, finished.status.success(), finished.took);
        Ok(())
    }
}
