//! Terminal escapes in what users, jobs and plugins say. Every command is walked, on a terminal where it behaves
//! otherwise there; none may let one through.

use std::{collections::BTreeSet, fs, process::Stdio};

use ferry_matrix::{Profile, Result, check};

use crate::Case;

pub(crate) const CASES: &[Case] = &[("no_command_lets_an_escape_through", no_command_lets_an_escape_through)];

/// A window title, the C1 form of "clear the screen", and text that reads backwards.
const EVIL: &str = "\u{1b}]0;X\u{7}\u{9b}2J\u{202e}evil";
/// Written by a job to its streams and as a file's name.
const JOB: &str = r#"printf '\033]0;X\007\302\2332J\342\200\256evil\n' | tee /dev/stderr "$(printf 'a\033]0;X\007\342\200\256.txt')"; exit 3"#;

/// The words of every command, after its own: `{P}` the process, `{N}` a node, `{J}` the ended job.
const WALK: &[(&str, &[&str])] = &[
    ("status", &[]),
    ("run", &["arithmetic.add", "x=1", "y=2", "--label", EVIL]),
    ("submit", &["arithmetic.add", "x=1", "y=2", "--label", EVIL]),
    ("process list", &["-a"]),
    ("process show", &["{J}"]),
    ("process inputs", &["{J}"]),
    ("process status", &["{J}"]),
    ("process report", &["{J}"]),
    ("process kill", &["{J}"]),
    ("process pause", &["{J}"]),
    ("process play", &["{J}"]),
    ("process resume", &["{J}"]),
    ("process delete", &["{J}", "--dry-run"]),
    ("process resubmit", &["{J}"]),
    ("process attach", &["{J}"]),
    ("process watch", &["{J}"]),
    ("calcjob inputcat", &["{J}"]),
    ("calcjob inputls", &["{J}"]),
    ("calcjob outputcat", &["{J}", "stdout"]),
    ("calcjob outputls", &["{J}"]),
    ("calcjob remotecat", &["{J}", "stdout"]),
    ("calcjob res", &["{J}"]),
    ("calcjob cleanworkdir", &["{J}", "--dry-run"]),
    ("calcjob gotocomputer", &["{J}", "--echo"]),
    ("node list", &[]),
    ("node show", &["{N}"]),
    ("node label", &["{N}"]),
    ("node description", &["{N}"]),
    ("node comment add", &["{N}", EVIL]),
    ("node comment show", &["{N}"]),
    ("node comment update", &["{N}", "1", EVIL]),
    ("node comment remove", &["{N}", "1"]),
    ("node export", &["{N}"]),
    ("node delete", &["{N}", "--dry-run"]),
    ("node repo ls", &["{F}"]),
    ("node repo cat", &["{F}", "stdout"]),
    ("node graph generate", &["{J}", "--stdout", "-f", "dot"]),
    ("computer setup", &["--label", EVIL]),
    ("computer configure", &["localhost", "-n", "--description", EVIL]),
    ("computer list", &[]),
    ("computer show", &["localhost"]),
    ("computer disable", &["localhost"]),
    ("computer enable", &["localhost"]),
    ("computer login", &["localhost"]),
    ("computer test", &["localhost"]),
    (
        "code create",
        &["-n", "--label", "evil", "--computer", "localhost", "--filepath-executable", "/bin/sh"],
    ),
    ("code list", &[]),
    ("code show", &["evil@localhost"]),
    ("plugin list", &[]),
    ("plugin types", &[]),
    ("plugin show", &["arithmetic.add"]),
    ("plugin interface", &["arithmetic.add"]),
    ("plugin install", &[EVIL]),
    ("plugin remove", &[EVIL]),
    ("group create", &["evil"]),
    ("group add", &["evil", "{N}"]),
    ("group remove", &["evil", "{N}"]),
    ("group move-nodes", &["evil", "{N}"]),
    ("group copy", &["evil", EVIL]),
    ("group relabel", &["evil", EVIL]),
    ("group description", &["evil", EVIL]),
    ("group delete", &[EVIL, "--dry-run"]),
    ("group list", &[]),
    ("group show", &["evil"]),
    ("limit show", &[]),
    ("cache explain", &["{J}"]),
    ("cache invalidate", &["{J}"]),
    ("cache validate", &["{J}"]),
    ("daemon start", &[]),
    ("daemon status", &[]),
    ("daemon restart", &[]),
    ("daemon logs", &[]),
    ("daemon stop", &[]),
    ("config list", &[]),
    ("config get", &[EVIL]),
    ("config set", &[EVIL, EVIL]),
    ("config unset", &[EVIL]),
    ("storage info", &[]),
    ("storage check", &[]),
    ("storage backup", &[EVIL]),
    ("storage maintain", &["--dry-run"]),
    ("completions", &["bash"]),
];

/// These draw on a terminal with escapes of their own.
const DRAWS: &[&str] = &["run", "process status", "process attach", "process watch"];

/// Returns the names of all commands that have none below, as `--help` tells them.
fn commands(ferry: &Profile, above: &[&str]) -> Result<BTreeSet<String>> {
    let help = ferry.ok(&[above, &["--help"]].concat())?;
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = below.take_while(|line| line.starts_with("  ")).filter_map(|line| {
        let name = line.strip_prefix("  ")?;
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase());
        is_name.then(|| name.split(' ').next()).flatten()
    });
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    if names.is_empty() {
        return Ok(BTreeSet::from([above.join(" ")]));
    }
    let mut all = BTreeSet::new();
    for name in names {
        all.extend(commands(ferry, &[above, &[name]].concat())?);
    }
    Ok(all)
}

fn no_command_lets_an_escape_through() -> Result {
    let ferry = Profile::new()?;
    let known: BTreeSet<String> = WALK.iter().map(|(name, _)| (*name).to_owned()).collect();
    let there = commands(&ferry, &[])?;
    check(known == there, || format!("walk these too: {:?}", there.symmetric_difference(&known)))?;

    let script = ferry.scratch().join("job.sh");
    fs::write(&script, JOB).map_err(|error| error.to_string())?;
    let words = ["submit", "shell.run", "command=bash", "arguments={s}", "outputs=[\"*.txt\"]"];
    let file = format!("nodes.s={}", script.display());
    let id = ferry.ok(&[&words[..], &[&file, "--label", EVIL, "--description", EVIL]].concat())?;
    ferry.ok(&["daemon", "start"])?;
    let shown = ferry.ended(&id, std::time::Duration::from_secs(240))?;
    let files = shown["outputs"]["retrieved"]["id"].to_string();
    let node = shown["outputs"]["stdout"]["id"].to_string();
    let filled = |word: &&str| match *word {
        "{J}" => id.clone(),
        "{N}" => node.clone(),
        "{F}" => files.clone(),
        other => other.to_owned(),
    };
    let mut raw = Vec::new();
    for (name, words) in WALK {
        let words: Vec<String> = name.split(' ').map(str::to_owned).chain(words.iter().map(filled)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for format in ["table", "json"] {
            let words = [&words[..], &["--format", format]].concat();
            let said = on_terminal(&ferry, &words, DRAWS.contains(name))?;
            if let Some(bad) = said.replace("\r\n", "\n").find(|c: char| acts(c)) {
                let near: String = said.chars().skip(bad.saturating_sub(20)).take(60).collect();
                raw.push(format!("ferry {name} ({format}): {near:?}"));
            }
        }
    }
    check(raw.is_empty(), || raw.join("\n"))
}

fn acts(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Runs a command on a terminal of its own, with nobody at the keys; without one if it `draws`.
fn on_terminal(ferry: &Profile, words: &[&str], draws: bool) -> Result<String> {
    let command = ferry.command(words);
    if draws {
        let answer = Profile::run(command)?;
        return Ok(answer.stdout + &answer.stderr);
    }
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy());
    let line: Vec<String> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &format!("{} </dev/null", line.join(" ")), "/dev/null"]);
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    script.envs(set).env("SHELL", "/bin/sh").current_dir(ferry.scratch()).stdin(Stdio::null());
    Ok(Profile::run(script)?.stdout)
}
