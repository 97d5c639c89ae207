//! `cargo xtask demo`: a newcomer's first five minutes, run for real in a scratch profile; `--cluster` shows
//! the same over SSH and Slurm. Each `ferry` command is printed before it runs, results are checked, and
//! nothing that was started is left behind.

mod cluster;
mod silicon;

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::ferry::{self, Ferry};
use crate::flags::DemoFlags;
use crate::interrupt::Interrupt;
use crate::json;
use crate::shell;
use crate::workspace::Workspace;

/// Lines of the text that the demo sorts.
const LINES: usize = 100_000;
/// Maximum time for one job of the demo.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the chore.
pub(crate) fn run(workspace: &Workspace, flags: &DemoFlags) -> Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    // Before the build, which takes minutes, so that missing programs are reported at once. And before the
    // profile, so that its daemon is stopped while the cluster still answers.
    let services = if flags.cluster { Some(cluster::bring_up(&interrupt)?) } else { None };
    tell("Build ferry and the plugins that come with it.");
    let binary = ferry::build(workspace, "debug")?;
    let ferry = Ferry::scratch(binary, flags.keep, interrupt.clone())?;
    println!(
        "\nferry keeps everything in FERRY_HOME; here it is {}, a scratch profile.",
        ferry.home().display()
    );
    match &services {
        Some(services) => cluster::show(&ferry, services, &interrupt, &workspace.target.join("demo"))?,
        None => on_this_computer(&ferry)?,
    }
    tell("That is all. Stop the daemon; a later start would go on where it stopped.");
    ferry.show(&["daemon", "stop"])?;
    if flags.keep {
        println!("\nthe profile is kept: export FERRY_HOME={}", ferry.home().display());
    }
    println!("\ndemo: every step worked");
    Ok(ExitCode::SUCCESS)
}

fn on_this_computer(ferry: &Ferry) -> Result<()> {
    first_look(ferry)?;
    tell("Submit a calculation: a job on this computer that adds two numbers. Its id comes back at once.");
    add(ferry, &[])?;
    a_workchain(ferry)?;
    a_sorted_file(ferry)
}

fn first_look(ferry: &Ferry) -> Result<()> {
    tell("A new profile needs no set-up: this computer and the bundled plugins are there.");
    ferry.show(&["status"])?;
    tell("`run` runs one process in this terminal and prints its outputs, without a daemon.");
    ferry.show(&["run", "shell.run", "command=date"])?;
    tell("The daemon runs what is submitted, and goes on when the terminal is closed.");
    ferry.show(&["daemon", "start"])?;
    ferry.show(&["plugin", "list"])?;
    Ok(())
}

/// Shows the main job, with more words for `ferry submit`.
fn add(ferry: &Ferry, words: &[&str]) -> Result<()> {
    let id = ferry.show(&[&["submit", "arithmetic.add_job", "x=2", "y=3"], words].concat())?;
    let id = id.trim();
    ferry.show(&["process", "list", "-a"])?;
    let process = ferry.wait(id, PATIENCE)?;
    tell("A moment later it has finished. What went in, what came out, and what happened:");
    ferry.show(&["process", "show", id])?;
    ferry.show(&["process", "report", id])?;
    let sum = json::number(finished(&process)?, "/outputs/sum/value")?;
    if sum != 5 {
        bail!("2 + 3 came out as {sum}; the sum must be 5");
    }
    tell("Its results, and the files behind them:");
    ferry.show(&["calcjob", "res", id])?;
    ferry.show(&["calcjob", "outputls", id])?;
    ferry.show(&["calcjob", "outputcat", id, "add.out"])?;
    Ok(())
}

fn a_workchain(ferry: &Ferry) -> Result<()> {
    tell("A workchain calls others: here a function that multiplies, and then a job that adds.");
    let id = ferry.show(&["submit", "arithmetic.multiply_add", "x=2", "y=3", "z=4"])?;
    let process = ferry.wait(id.trim(), PATIENCE)?;
    ferry.show(&["process", "status", id.trim()])?;
    let result = json::number(finished(&process)?, "/outputs/result/value")?;
    if result != 10 {
        bail!("2 * 3 + 4 came out as {result}; it must be 10");
    }
    Ok(())
}

fn a_sorted_file(ferry: &Ferry) -> Result<()> {
    tell(
        "Any command is a calculation. Sort a text file: it becomes an input node, the result an output node.",
    );
    let text = words(LINES);
    let file = ferry.desk().join("words.txt");
    fs::write(&file, &text).with_context(|| format!("could not write {}", file.display()))?;
    println!("(words.txt has {LINES} lines, the first is '{}')", text.lines().next().unwrap_or_default());
    let id = ferry.show(&[
        "submit",
        "shell.run",
        "command=sort",
        "arguments={words}",
        "nodes.words=file:words.txt",
    ])?;
    let id = id.trim();
    let process = ferry.wait(id, PATIENCE)?;
    let node = json::number(finished(&process)?, "/outputs/stdout/id")?.to_string();
    ferry.show(&["process", "show", id])?;
    check_sorted(&text, &ferry.ask(&["calcjob", "outputcat", id, "stdout"])?)?;
    println!("(checked: all {LINES} lines are there, in order)");
    origin(ferry, &node)
}

fn origin(ferry: &Ferry, node: &str) -> Result<()> {
    tell("Every result knows what made it. The origin of the sorted file, as a graph:");
    let graph = drawn(ferry, node, "origin.dot")?;
    println!("{}", graph.trim_end());
    if !graph.contains("digraph") || !graph.contains("shell.run") {
        bail!("the graph does not show the process that made node {node}");
    }
    if shell::has("dot") {
        let drawing = drawn(ferry, node, "origin.svg")?;
        if !drawing.contains("<svg") {
            bail!("origin.svg is not an SVG drawing");
        }
        println!("(origin.svg: {} bytes)", drawing.len());
    } else {
        println!("(a drawing, `--output origin.svg`, needs Graphviz: apt-get install graphviz)");
    }
    Ok(())
}

/// Returns the text of a graph, in the form of the file's extension. Relative names start at the desk.
fn drawn(ferry: &Ferry, node: &str, file: &str) -> Result<String> {
    ferry.show(&["node", "graph", "generate", node, "--output-file", file])?;
    fs::read_to_string(ferry.desk().join(file)).with_context(|| format!("{file} was not written"))
}

/// Returns the process; fails if it did not finish with exit code 0.
fn finished(process: &Value) -> Result<&Value> {
    match (json::text(process, "/state")?, process["exit_code"].as_i64()) {
        ("finished", Some(0)) => Ok(process),
        (state, code) => {
            bail!("process {} is {state}, exit code {code:?}: {}", process["id"], process["exit_message"])
        }
    }
}

fn check_sorted(text: &str, sorted: &str) -> Result<()> {
    let mut expected: Vec<_> = text.lines().collect();
    expected.sort_unstable();
    if sorted.lines().ne(expected) {
        bail!("the sorted file is not the input, sorted");
    }
    Ok(())
}

fn tell(sentence: &str) {
    println!("\n# {sentence}");
}

/// Returns pseudo-random words of one length and lower case, which every locale sorts alike.
fn words(lines: usize) -> String {
    let mut seed: u64 = 7;
    let mut letter = || {
        // Knuth's MMIX generator; its high bits are the good ones.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((seed >> 33) % 26).unwrap_or(0))
    };
    let mut text = String::with_capacity(lines * 13);
    for _ in 0..lines {
        text.extend((0..12).map(|_| letter()));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_line_and_a_wrong_order_are_noticed() {
        let text = words(50);
        let mut lines: Vec<_> = text.lines().collect();
        assert!(check_sorted(&text, &lines.join("\n")).is_err());
        lines.sort_unstable();
        assert!(check_sorted(&text, &lines.join("\n")).is_ok());
        assert!(check_sorted(&text, &lines[1..].join("\n")).is_err());
    }

    #[test]
    fn only_success_is_finished() {
        let show = |state, code: Option<i64>| serde_json::json!({"id": 1, "state": state, "exit_code": code});
        assert!(finished(&show("finished", Some(0))).is_ok());
        assert!(finished(&show("finished", Some(310))).is_err());
        assert!(finished(&show("excepted", None)).is_err());
    }
}
