//! `cargo xtask test`: builds everything, runs unit tests, doc tests, conformance suites and the cells of the
//! matrix, and ends with a table and the line `N passed, N failed, N skipped`.
//!
//! The parts run side by side, in lanes. What the user left out is printed as skipped; what can't run is a failure
//! that names what is missing.

mod binaries;
pub(crate) mod cells;
mod lanes;
pub(crate) mod plugins;
mod simulation;
mod tally;
mod wanted;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::ferry::TEST_FEATURES;
use crate::flags::TestFlags;
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::services::{Kinds, OnDemand, Services, packages};
use crate::shell;
use crate::workspace::Workspace;
use binaries::Binary;
use cells::{CELLS, Cell, Choice};
use lanes::Part;
use simulation::Simulation;
use tally::{Counts, Report};
use wanted::{Take, Wanted};

/// The package whose integration tests are the conformance suites, one file an implementation.
const CONFORMANCE: &str = "ferry-conformance";
/// The package whose one integration test runs the cells.
const MATRIX: &str = "ferry-matrix";
/// Number of cases of a cell that run at once. They wait most of the time, for jobs, polls and timeouts.
const AT_ONCE: usize = 3;
/// Time for which the engine is simulated with fresh seeds, s; and with `--full`.
const SIMULATED: u64 = 300;
const SIMULATED_FULL: u64 = 1800;
/// The lanes: the cells that run one after the other. What is no cell comes after those of the last: it needs the
/// processors, which the cells leave free while they wait.
const LANES: &[&[&str]] = &[&["local+direct"], &["local+slurm"], &["ssh+slurm"], &["ssh+direct"]];

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
    let mut suite = Suite {
        workspace,
        flags,
        choice,
        interrupt,
        binaries: Vec::new(),
        grounds: Vec::new(),
        order: Vec::new(),
        report: Report::default(),
        home: Home::new()?,
    };
    let outcome = suite.run();
    // Before the table, so that its closing line is the last; and whatever the outcome.
    suite.grounds.clear();
    outcome?;
    suite.report.arrange(&suite.order);
    suite.report.print();
    Ok(if suite.report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Suite<'a> {
    workspace: &'a Workspace,
    flags: &'a TestFlags,
    choice: Choice,
    interrupt: Interrupt,
    binaries: Vec<Binary>,
    /// One for each lane that has parts.
    grounds: Vec<Ground>,
    /// Names of all parts, in the order of the table.
    order: Vec<String>,
    report: Report,
    home: Home,
}

/// The services and plugins of one lane. Dropping it stops what it has started.
#[derive(Debug, Default)]
struct Ground {
    services: Option<Services>,
    /// Two clusters, for the few cases that want them.
    clusters: Option<OnDemand>,
}

/// A part of the run.
#[derive(Debug, Clone, Copy)]
enum What<'a> {
    Unit,
    Docs,
    Conformance(&'a str),
    Matrix(&'static Cell),
}

impl Suite<'_> {
    fn run(&mut self) -> Result<()> {
        if self.flags.filter.is_none() {
            self.announce(self.kinds_of_all(), true);
        }
        if !self.build()? {
            return Ok(());
        }
        let wanted = self.wanted();
        let suites = self.suites();
        let lanes = self.lanes(&suites, &wanted);
        let needs_cells = lanes.iter().flatten().any(|what| matches!(what, What::Matrix(_)));
        self.provide(&wanted, needs_cells);
        let plugins = if needs_cells { self.test_plugins() } else { None };
        self.bring_up(&lanes)?;
        let simulation = self.simulation();
        let lanes =
            lanes.iter().enumerate().map(|(number, lane)| self.parts(number, lane, plugins.as_deref()));
        let lanes = lanes.collect::<Vec<_>>();
        self.carry_out(lanes)?;
        if let Some(simulation) = simulation {
            self.simulated(simulation)?;
        }
        Ok(())
    }

    /// Says beforehand what this run costs.
    fn announce(&self, kinds: Kinds, tools: bool) {
        packages::announce(kinds, tools);
        if self.flags.filter.is_none() {
            println!("on two cores, building takes about five minutes and testing about fifteen");
        }
    }

    fn kinds_of_all(&self) -> Kinds {
        let ssh = Kinds { ssh: true, ..Kinds::default() };
        self.choice.kinds(&self.suites()).with(ssh)
    }

    /// Builds the workspace; without it nothing else can run.
    fn build(&mut self) -> Result<bool> {
        let built = binaries::build(self.workspace)?;
        self.interrupt.check()?;
        if !built.success {
            self.report.failed_part("build", built.took, "the workspace does not build");
        }
        self.binaries = built.binaries;
        Ok(built.success)
    }

    /// Asks the test programs what the filter means to each of them.
    fn wanted(&self) -> Wanted {
        match &self.flags.filter {
            Some(filter) => Wanted::by_name(&self.binaries, filter, self.flags.full),
            None => Wanted::All,
        }
    }

    /// Shares out the parts that run; of the others it is noted why they don't.
    fn lanes<'s>(&mut self, suites: &'s [String], wanted: &Wanted) -> Vec<Vec<What<'s>>> {
        let (mut unit, mut waiting) = (Vec::new(), Vec::new());
        if self.takes("unit tests", wanted.unit()) {
            unit.push(What::Unit);
        }
        self.order.push("doc tests".to_owned());
        unit.push(What::Docs);
        if suites.is_empty() {
            let why = format!("missing: the tests of {CONFORMANCE}");
            self.report.failed_part("conformance", Duration::ZERO, &why);
        }
        for suite in suites {
            let take = if self.choice.leaves_out_suite(suite) { Take::No } else { wanted.suite(suite) };
            if self.takes(&format!("conformance: {suite}"), take) {
                waiting.push(What::Conformance(suite));
            }
        }
        let mut lanes = vec![Vec::new(); LANES.len()];
        for cell in CELLS {
            let name = cell.to_string();
            let take = if self.choice.takes(cell) { wanted.cell(&name) } else { Take::No };
            let lane = LANES.iter().position(|names| names.contains(&name.as_str()));
            if self.takes(&format!("matrix: {cell}"), take) {
                lanes[lane.unwrap_or(0)].push(What::Matrix(cell));
            }
        }
        if let Some(last) = lanes.last_mut() {
            last.extend(waiting.into_iter().chain(unit));
        }
        lanes.retain(|lane: &Vec<_>| !lane.is_empty());
        lanes
    }

    /// Returns true if a part runs, and notes it otherwise.
    fn takes(&mut self, name: &str, take: Take) -> bool {
        self.order.push(name.to_owned());
        match take {
            Take::Yes => return true,
            Take::No => self.report.skipped_part(name, "left out"),
            Take::NoneOf(tests) => self.report.left_out(name, tests),
        }
        false
    }

    /// Installs what the parts need. What needs it fails if that fails, and only that.
    fn provide(&self, wanted: &Wanted, needs_cells: bool) {
        // The SSH transport's own tests start sshds of their own, whatever cells were asked for.
        let kinds = Kinds { ssh: wanted.starts_sshd(), ..Kinds::default() };
        if self.flags.filter.is_some() {
            self.announce(kinds, needs_cells);
        }
        if kinds.ssh
            && let Err(error) = packages::ensure(kinds)
        {
            eprintln!("warning: the tests of transports/ssh will fail: {error:#}");
        }
        if needs_cells && let Err(error) = packages::ensure_tools() {
            eprintln!("warning: single tests will say that they are skipped: {error:#}");
        }
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

    /// Brings up what the lanes need, for each of them services of its own: a case that kills a controller or cuts the
    /// wire disturbs no other lane.
    fn bring_up(&mut self, lanes: &[Vec<What<'_>>]) -> Result<()> {
        for (number, lane) in lanes.iter().enumerate() {
            self.interrupt.check()?;
            let number = number + 1;
            let kinds = lane.iter().map(|what| what.kinds()).fold(Kinds::default(), Kinds::with);
            let mut ground = Ground::default();
            if kinds.slurm {
                ground.clusters = Some(OnDemand::numbered(number)?);
            }
            if kinds != Kinds::default() {
                println!("\n== services of lane {number}");
                let begun = Instant::now();
                match Services::numbered(number, kinds, &self.interrupt) {
                    Ok(services) => ground.services = Some(services),
                    Err(error) => self.report.failed_part("services", begun.elapsed(), &format!("{error:#}")),
                }
            }
            self.grounds.push(ground);
        }
        Ok(())
    }

    /// Starts the simulation, unless only some tests were asked for.
    fn simulation(&mut self) -> Option<Simulation> {
        self.order.push("simulation".to_owned());
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

    fn suites(&self) -> Vec<String> {
        let member = self.workspace.members.iter().find(|member| member.name == CONFORMANCE);
        member.map_or_else(Vec::new, |member| member.tests.clone())
    }

    /// Makes the commands of a lane; of a part that can't run it is noted why.
    fn parts(&mut self, lane: usize, whats: &[What<'_>], plugins: Option<&Path>) -> Vec<Part> {
        let mut parts = Vec::new();
        for what in whats {
            let name = what.to_string();
            match self.command(lane, *what, plugins) {
                Ok(mut command) => {
                    self.home.give(&mut command);
                    parts.push(Part { name, command });
                }
                Err(why) => self.report.failed_part(&name, Duration::ZERO, &why),
            }
        }
        parts
    }

    fn command(&self, lane: usize, what: What<'_>, plugins: Option<&Path>) -> Result<Command, String> {
        match what {
            What::Unit => Ok(self.unit()),
            What::Docs => Ok(self.docs()),
            What::Conformance(suite) => self.conformance(lane, suite),
            What::Matrix(cell) => self.matrix(lane, cell, plugins),
        }
    }

    fn unit(&self) -> Command {
        let others = format!("not (package(={CONFORMANCE}) + package(={MATRIX}))");
        self.runner(&others, || {
            // Without cargo-nextest the integration tests are named, all but those that are parts of their own.
            let own = self.binaries.iter().filter(|binary| binary.is_integration && binary.is_unit());
            let tests = own.flat_map(|binary| ["--test".to_owned(), binary.name.clone()]);
            ["--lib", "--bins"].map(str::to_owned).into_iter().chain(tests).collect()
        })
    }

    fn docs(&self) -> Command {
        let mut command = self.workspace.cargo(&["test", "--doc", "--workspace", "--no-fail-fast"]);
        command.args(["--features", TEST_FEATURES]);
        if let Some(filter) = &self.flags.filter {
            command.args(["--", filter]);
        }
        command
    }

    fn conformance(&self, lane: usize, suite: &str) -> Result<Command, String> {
        let binary = self.binary(CONFORMANCE, suite)?;
        let mut command = if shell::has("cargo-nextest") {
            self.runner(&format!("package(={CONFORMANCE}) & binary(={suite})"), Vec::new)
        } else {
            let mut command = binary.command();
            command.args(self.flags.filter.as_deref());
            command
        };
        self.point_at_services(lane, &mut command);
        // A suite that finds no services may skip itself; one that was asked for may not.
        command.env("FERRY_CELLS", suite);
        Ok(command)
    }

    fn matrix(&self, lane: usize, cell: &Cell, plugins: Option<&Path>) -> Result<Command, String> {
        let missing = Cell::missing();
        if !missing.is_empty() {
            return Err(format!("missing: {}", missing.join(", ")));
        }
        let plugins = plugins.ok_or("missing: the test plugins, which do not build")?;
        let ground = &self.grounds[lane];
        if cell.kinds() != Kinds::default() && ground.services.is_none() {
            return Err("missing: its services, which did not come up".to_owned());
        }
        let mut command = self.binary(MATRIX, "cells")?.command();
        command
            .args(self.flags.filter.as_deref())
            .args(["--test-threads", &AT_ONCE.to_string()])
            .env("FERRY_CELLS", cell.to_string())
            .env("FERRY_BIN", self.workspace.binary("debug", "ferry"))
            .env("FERRY_TEST_PLUGINS", plugins);
        self.point_at_services(lane, &mut command);
        if let Some(clusters) = &ground.clusters {
            command.envs(clusters.environment());
        }
        if self.flags.full {
            command.env("FERRY_FULL", "1");
        }
        Ok(command)
    }

    fn binary(&self, package: &str, name: &str) -> Result<&Binary, String> {
        let mut all = self.binaries.iter();
        all.find(|binary| binary.package == package && binary.name == name && binary.is_integration)
            .ok_or_else(|| format!("missing: the test program {name} of {package}"))
    }

    /// Tells tests where the services are.
    fn point_at_services(&self, lane: usize, command: &mut Command) {
        if let Some(services) = &self.grounds[lane].services {
            command.envs(services.environment());
        }
    }

    /// Returns a test runner for some of the workspace's tests: nextest where it is installed, since it runs each test
    /// in its own process and stops the ones that hang. It names the whole workspace all the same, as the build did:
    /// with fewer packages cargo would choose other features, and compile them once more.
    fn runner(&self, expression: &str, without: impl Fn() -> Vec<String>) -> Command {
        let nextest = shell::has("cargo-nextest");
        let verb: &[&str] = if nextest { &["nextest", "run"] } else { &["test"] };
        let mut command = self.workspace.cargo(verb);
        command.args(["--no-fail-fast", "--workspace", "--features", TEST_FEATURES]);
        if self.flags.full {
            command.env("FERRY_FULL", "1");
        }
        if nextest {
            command.args(["-E", expression]);
        } else {
            command.args(without());
        }
        if let Some(filter) = &self.flags.filter {
            command.args(nextest.then_some("--no-tests=pass")).args(["--", filter]);
        }
        command
    }

    /// Runs the lanes and records what came of them.
    fn carry_out(&mut self, lanes: Vec<Vec<Part>>) -> Result<()> {
        let ended = lanes::run(lanes, &self.interrupt);
        self.interrupt.check()?;
        for part in ended {
            match part.outcome {
                Ok(finished) => {
                    let counts = Counts::read(&finished.lines);
                    self.report.part(&part.name, counts, finished.status.success(), finished.took);
                    if !finished.status.success() {
                        self.report.failures(&part.name, &finished.lines);
                    }
                }
                Err(error) => self.report.failed_part(&part.name, Duration::ZERO, &format!("{error:#}")),
            }
        }
        Ok(())
    }
}

impl What<'_> {
    /// Returns the services that the part needs.
    fn kinds(self) -> Kinds {
        match self {
            What::Unit | What::Docs => Kinds::default(),
            What::Conformance(suite) => cells::suite_kinds(suite),
            What::Matrix(cell) => cell.kinds(),
        }
    }
}

impl std::fmt::Display for What<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            What::Unit => write!(f, "unit tests"),
            What::Docs => write!(f, "doc tests"),
            What::Conformance(suite) => write!(f, "conformance: {suite}"),
            What::Matrix(cell) => write!(f, "matrix: {cell}"),
        }
    }
}
