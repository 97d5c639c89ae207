//! The claim protocol: a submission happens at most once, and its outcome can be found after a crash.
//!
//! All evidence of a submission lies in `.ferry/` of the work directory:
//!
//! | name | made by | means |
//! |---|---|---|
//! | `sentinel` | upload | the directory is this job's and whole |
//! | `submit-TOKEN/` | wrapper, or recovery | only its maker may call the scheduler for this token |
//! | `submit-TOKEN/host` | wrapper | the host that it ran on |
//! | `submit-TOKEN/script` | wrapper | the job script with the token in it, where the scheduler passes no arguments |
//! | `submit-TOKEN/clusters` | wrapper | other clusters that its environment may send the job to |
//! | `submit-TOKEN/{out,err,rc}` | wrapper | the scheduler's answer; `rc` comes last, by one write, and counts once it is not empty |
//! | `submit-TOKEN/recovered` | recovery | no submission with this token will ever happen |
//! | `run` | job script | token, job id and restart count of the one copy that runs |
//! | `fenced` | job script | copies that came too late and ended themselves |
//! | `commands` | job script | the user's texts and commands, which run as its child |
//! | `child` | direct job script | that child's pid and start time |
//! | `ending` | cancelling a direct job | when it was told to end, by the host's uptime |
//! | `removed` | job script | the job had removed `.ferry`, which the script made anew |
//! | `exit` | job script | a blank line that takes the room; then, appended at its end, exit status, token and job id |
//!
//! The wrapper runs in a session of its own, so no lost channel ends it half-way. It runs under `timeout`, so it
//! does not act after [`WRAPPER_DEADLINE`].

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::job_script::TAKES_TOKEN;
use super::login::Start;
use super::{Error, ErrorKind, JobFailure, JobId, JobRef, Recorded, Result, Submission};
use crate::transport::{self, Command, Output, Transport, quote, quote_path};

/// Time after which a wrapper is ended, with the scheduler's client that it waits for.
pub const WRAPPER_DEADLINE: Duration = Duration::from_secs(60);

/// Time after which a wrapper begins no further submission, s. One that it has begun may take as long as a dialect
/// allows (Slurm's 42 s), and must be over before the wrapper is. The remaining ones stay unclaimed, and are tried
/// again.
const LAST_BEGIN: u64 = 15;

/// Most submissions in one round trip. It keeps the script below the kernel's limit for one argument.
pub(super) const BATCH: usize = 32;

/// The markers of a work directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marker {
    /// The text of the sentinel; `None` if the directory or its sentinel is missing.
    pub sentinel: Option<String>,
    /// Token and id of the copy that runs, or ran.
    pub run: Option<(String, JobId)>,
    /// Exit status of that copy; `None` if it has left none.
    pub exit: Option<i32>,
    /// True if copies came too late.
    pub fenced: bool,
    /// The limit that it exceeded, where ferry itself enforces it.
    pub failure: Option<JobFailure>,
    /// True if the job has removed `.ferry`, and its shell has made it again.
    pub is_removed: bool,
}

/// Markers by work directory.
pub type Markers = BTreeMap<PathBuf, Marker>;

/// Shell functions that print marker files line by line, with a letter in front, without starting a program.
const PRINT: &str = r#"
p() { [ -e "$2" ] || return 0; while IFS= read -r l || [ -n "$l" ]; do printf '%s%s\n' "$1" "$l"; done < "$2"; }
"#;

/// Shell text that sets `h` to the name of this host.
const HOST: &str = "h=; { IFS= read -r h < /proc/sys/kernel/hostname; } 2> /dev/null; h=${h:-$(uname -n)}";

/// Shell text that sets `u` to the seconds that this host has been up, without starting a program.
pub(super) const UPTIME: &str = "u=; { IFS='. ' read -r u l < /proc/uptime; } 2> /dev/null; u=${u:-0}";

/// The order in which one wrapper makes its submissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walks {
    /// One after the other. No step takes long, so one program claims all of them.
    Quick,
    /// This many side by side: each does its share, and then what the others have not reached yet.
    AtOnce(usize),
}

/// The way in which the token reaches the script of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tokens {
    /// As an argument that the scheduler passes on.
    Argument,
    /// In a copy of the script, which the wrapper makes before it calls the scheduler.
    Copy,
}

/// Returns the command that submits: a detached wrapper for all jobs, then a report of what each recorded.
/// `prelude` is the dialect's own text, run before the first submission.
pub(super) fn submit_command(
    prelude: &str,
    jobs: &[(&Submission, String)],
    start: Start<'_>,
    walks: Walks,
    tokens: Tokens,
) -> Command {
    let (copied, script) = match tokens {
        Tokens::Argument => ("", ""),
        Tokens::Copy => (" && k \"$ferry_c/script\"", " \"$ferry_c/script\""),
    };
    // A dialect's text may use any short name for itself.
    let mut wrapper = format!(
        "ferry_begun=$1 ferry_made=; {HOST}\nt() {{ {UPTIME}; [ $((u - ferry_begun)) -le {LAST_BEGIN} ]; }}\n"
    );
    wrapper += &format!(
        r#"s() {{
    ferry_c=.ferry/submit-$3 o=
    case $ferry_made in
    *"/submit-$3"*) o=1; [ ! -e "$1/$ferry_c/host" ] || return;;
    *) [ ! -e "$1/$ferry_c" ] || return;;
    esac
    if t && cd "$1" && {{ d=; IFS= read -r d < .ferry/sentinel; [ "$d" = "$2" ]; }}; then
        [ -n "$o" ] || mkdir "$ferry_c" 2> /dev/null || return
    else
        # Nobody was asked: a claim of ours goes back.
        [ -z "$o" ] || rmdir "$1/$ferry_c"
        return
    fi
    # Without room for an answer nothing is asked, and the claim goes back.
    {{ printf '%s\n' "$h" > "$ferry_c/host" && : > "$ferry_c/out" && : > "$ferry_c/err"{copied}; }} 2> /dev/null || {{ rm -rf "$ferry_c"; return; }}
    f "$3"{script} > "$ferry_c/out" 2> "$ferry_c/err" < /dev/null
    # One write, so that it is there whole or empty, which says nothing: no program to rename it.
    printf '%s\n' "$?" > "$ferry_c/rc"
}}
j() {{ case $1 in
"#,
    );
    let (mut report, mut claims) = (String::from(PRINT), Vec::new());
    for (number, (job, submit)) in jobs.iter().enumerate() {
        let (dir, token) = (quote_path(&job.dir), quote(&job.token));
        let copy = match tokens {
            Tokens::Argument => String::new(),
            Tokens::Copy => format!("k() {{ {}; }}\n", copy(job)),
        };
        wrapper +=
            &format!("{number}) f() {{ {submit}\n}}\n{copy}s {dir} {} {token};;\n", quote(&job.digest));
        report += &format!("echo '#{number}'\n{}", report_claim(&dir, &token));
        claims.push(format!("{dir}/.ferry/submit-{token}"));
    }
    wrapper += "esac; }\n";
    wrapper += &format!("{prelude}\n{}", walk(jobs.len(), walks, &claims));
    start.command(&wrapper, &claims, &report, WRAPPER_DEADLINE)
}

/// Returns shell text that copies the script of a job to `$1`, with the token in place of the argument that its
/// start gate reads. A copy is as good as the script wherever it is read: a scheduler may keep it or run it.
fn copy(job: &Submission) -> String {
    let gate = TAKES_TOKEN.replace('$', "\\$");
    let edit = format!("1,/^{gate}$/s/^{gate}$/ferry_token={}/", job.token);
    let script = quote_path(&Path::new(".").join(&job.script));
    format!("LC_ALL=C sed {} {script} > \"$1\" && chmod u+x \"$1\"", quote(&edit))
}

/// Returns the end of a wrapper: the submissions that it begins, in their order.
fn walk(jobs: usize, walks: Walks, claims: &[String]) -> String {
    let all = |stride: usize, from: &str| {
        format!(
            "ferry_i={from}; while [ \"$ferry_i\" -lt {jobs} ]; do j \"$ferry_i\"; \
             ferry_i=$((ferry_i + {stride})); done\n"
        )
    };
    match walks {
        Walks::Quick if jobs > 1 => {
            // It prints what it made, and only that is ours. Where it knows no `-v` it makes nothing.
            format!("ferry_made=$(LC_ALL=C mkdir -v {} 2> /dev/null)\n{}", claims.join(" "), all(1, "0"))
        }
        Walks::AtOnce(walks) if walks.min(jobs) > 1 => {
            let walks = walks.min(jobs);
            let walk = format!("w() {{ {}{}}}\n", all(walks, "$1"), all(1, "0"));
            let each: String = (0..walks).map(|walk| format!("w {walk} &\n")).collect();
            // A signal ends `wait` early.
            format!("{walk}{each}until wait; do :; done\n")
        }
        _ => all(1, "0"),
    }
}

fn report_claim(dir: &str, token: &str) -> String {
    format!(
        "c={dir}/.ferry; p s \"$c/sentinel\"; p g \"$c/run\"; c=$c/submit-{token}; \
         p o \"$c/out\"; p e \"$c/err\"; p r \"$c/rc\"\n"
    )
}

/// Splits an answer into its sections, one for each job asked about.
fn sections(text: &str) -> Vec<Vec<&str>> {
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') {
            sections.push(Vec::new());
        } else if let Some(section) = sections.last_mut() {
            section.push(line);
        }
    }
    sections
}

fn find<'a>(section: &[&'a str], letter: char) -> Option<&'a str> {
    section.iter().find_map(|line| line.strip_prefix(letter))
}

fn recorded(section: &[&str]) -> Recorded {
    let collect =
        |letter| section.iter().filter_map(|line| line.strip_prefix(letter)).collect::<Vec<_>>().join("\n");
    Recorded {
        stdout: collect('o'),
        stderr: collect('e'),
        status: find(section, 'r').and_then(|word| word.parse().ok()),
    }
}

fn owner(section: &[&str]) -> Option<(String, JobId)> {
    let mut words = find(section, 'g')?.split(' ');
    Some((words.next()?.to_owned(), JobId(words.next()?.to_owned())))
}

/// The answer of a submission about one job.
pub(super) enum Answer {
    /// A copy of the job already runs, or ran; it is adopted.
    Runs(JobId),
    /// The scheduler answered.
    Recorded(Recorded),
    /// Nothing was recorded.
    Nothing,
    /// The directory or its sentinel is missing.
    NoSentinel,
}

/// Reads the answers to [`submit_command`], one for each job.
pub(super) fn parse_submit(text: &str, count: usize) -> Vec<Answer> {
    let mut answers: Vec<Answer> = sections(text).iter().map(|section| answer(section)).collect();
    answers.resize_with(count, || Answer::Nothing);
    answers
}

fn answer(section: &[&str]) -> Answer {
    let recorded = recorded(section);
    if let Some((_, id)) = owner(section) {
        Answer::Runs(id)
    } else if recorded.status.is_some() {
        Answer::Recorded(recorded)
    } else if find(section, 's').is_none() {
        Answer::NoSentinel
    } else {
        Answer::Nothing
    }
}

/// The state of the work directory, as recovery finds it.
pub(super) enum Found {
    /// Sentinel or directory is missing.
    Missing,
    /// A copy of the job took the start gate.
    Owner(JobId),
    /// The claim was free and recovery took it, now or before: no submission can happen any more.
    Claimed,
    /// The wrapper had the claim and recorded an answer.
    Recorded(Recorded),
    /// The wrapper had the claim and recorded nothing.
    Claim {
        /// Age of the claim, by the clock of the file system that it lies on.
        age: Duration,
        /// The host that it ran on, if another one answers now (login nodes that share a name).
        elsewhere: Option<String>,
    },
    /// The claim is free and could not be taken: no room, for instance.
    Unclaimed(String),
}

/// The state of a work directory, and the other clusters that recovery has to ask.
pub(super) struct Investigated {
    /// The state of the work directory.
    pub(super) found: Found,
    /// Clusters that the wrapper's environment named: the job may be there.
    pub(super) clusters: Vec<String>,
}

/// Looks at the work directory, and takes the claim if it is free.
pub(super) async fn investigate(via: &dyn Transport, job: &Submission) -> Result<Investigated> {
    let (dir, token) = (quote_path(&job.dir), quote(&job.token));
    // The glob lists the directory first: otherwise a network file system may answer from its cache.
    let script = format!(
        r#"{PRINT}
cd {dir} 2> /dev/null || {{ echo missing; exit 0; }}
d=; {{ IFS= read -r d < .ferry/sentinel; }} 2> /dev/null; [ "$d" = {digest} ] || {{ echo missing; exit 0; }}
set -- .ferry/* .ferry/submit-{token}/*
if [ -e .ferry/run ]; then p g .ferry/run; exit 0; fi
c=.ferry/submit-{token}
if e=$(mkdir "$c" 2>&1); then
    if {{ : > "$c/recovered"; }} 2> /dev/null; then echo claimed; else rmdir "$c"; echo 'xno room for the claim'; fi
    exit 0
fi
if [ -e "$c/recovered" ]; then echo claimed; exit 0; fi
if [ ! -d "$c" ]; then echo "x$e"; exit 0; fi
p o "$c/out"; p e "$c/err"; p r "$c/rc"; p g .ferry/run; p h "$c/host"; p k "$c/clusters"
{HOST}; echo "i$h"
born=$(stat -c %Y "$c"); n=.ferry/now-$$
{{ : > "$n"; }} 2> /dev/null && now=$(stat -c %Y "$n"); rm -f "$n"
echo "a$(( ${{now:-$born}} - born ))"
"#,
        digest = quote(&job.digest)
    );
    let output = via.exec(&Command::sh(script)).await.map_err(|error| unreachable("recover", error))?;
    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    let names = lines.iter().filter_map(|line| line.strip_prefix('k')).flat_map(|line| line.split(','));
    let clusters = names.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(Investigated { found: found(&lines, &output)?, clusters })
}

fn found(lines: &[&str], output: &Output) -> Result<Found> {
    if let Some((_, id)) = owner(lines) {
        return Ok(Found::Owner(id));
    }
    let recorded = recorded(lines);
    match lines.first().copied() {
        Some("missing") => Ok(Found::Missing),
        Some("claimed") => Ok(Found::Claimed),
        Some(line) if line.starts_with('x') => Ok(Found::Unclaimed(line[1..].to_owned())),
        _ if recorded.status.is_some() => Ok(Found::Recorded(recorded)),
        _ => {
            let age = find(lines, 'a').and_then(|word| word.parse::<i64>().ok()).ok_or_else(|| {
                Error::new(ErrorKind::Unreadable, "recover")
                    .with("status", output.status)
                    .with("stderr", output.error_text())
                    .later()
            })?;
            let elsewhere = find(lines, 'h').filter(|host| find(lines, 'i') != Some(*host));
            let elsewhere = elsewhere.map(str::to_owned);
            Ok(Found::Claim { age: Duration::from_secs(age.max(0) as u64), elsewhere })
        }
    }
}

/// Leaves a mark that no submission with this token will ever happen, so that a later look says the same.
pub(super) async fn seal(via: &dyn Transport, job: &Submission) -> Result<()> {
    let file = job.dir.join(format!(".ferry/submit-{}/recovered", job.token));
    let output = via
        .exec(&Command::sh(format!(": > {}", quote_path(&file))))
        .await
        .map_err(|error| unreachable("recover", error))?;
    if output.status == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unreadable, "recover").message(output.error_text()).later())
}

/// The result of fencing off a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fenced {
    /// No wrapper can submit with this token any more. If it created a job all the same, that job stops at the
    /// start gate.
    Yes,
    /// A copy of the job has taken the gate: it counts.
    Runs(JobRef),
    /// The work directory or its sentinel is gone, which fences it off as well.
    Gone,
}

/// Fences off a submission whose outcome stays unclear, when the user has decided to submit again.
///
/// # Errors
/// `Unreachable`; `Unreadable` where the mark can't be left.
pub async fn fence(via: &dyn Transport, job: &Submission) -> Result<Fenced> {
    let (dir, token) = (quote_path(&job.dir), quote(&job.token));
    let script = format!(
        r#"{PRINT}
cd {dir} 2> /dev/null || {{ echo gone; exit 0; }}
d=; {{ IFS= read -r d < .ferry/sentinel; }} 2> /dev/null; [ "$d" = {digest} ] || {{ echo gone; exit 0; }}
set -- .ferry/*
c=.ferry/submit-{token}; mkdir -p "$c" && : > "$c/recovered" || exit 1
p g .ferry/run; echo fenced
"#,
        digest = quote(&job.digest)
    );
    let output = via.exec(&Command::sh(script)).await.map_err(|error| unreachable("fence", error))?;
    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    if let Some((token, id)) = owner(&lines) {
        return Ok(Fenced::Runs(JobRef { id, token, dir: job.dir.clone() }));
    }
    match lines.last().copied() {
        Some("gone") => Ok(Fenced::Gone),
        Some("fenced") => Ok(Fenced::Yes),
        _ => Err(Error::new(ErrorKind::Unreadable, "fence").message(output.error_text()).later()),
    }
}

/// Reads the markers of many work directories in one round trip. A directory without an entry in the answer was
/// not answered for.
///
/// # Errors
/// `Unreachable`; `Unreadable` for an answer that was cut.
pub async fn markers(via: &dyn Transport, dirs: &[&Path]) -> Result<Markers> {
    let mut all = Markers::new();
    for chunk in dirs.chunks(BATCH * 8) {
        let mut script = format!(
            r#"{PRINT}
m() {{ cd "$1" 2> /dev/null || return; set -- .ferry/*; p s .ferry/sentinel; p g .ferry/run; p q .ferry/exit; p f .ferry/fenced; p v .ferry/failure; [ ! -e .ferry/removed ] || echo d; }}
"#
        );
        for (number, dir) in chunk.iter().enumerate() {
            script += &format!("echo '#{number}'; m {}\n", quote_path(dir));
        }
        script += "echo '#end'\n";
        let command = Command::new(["sh"]).stdin(script);
        let output = via.exec(&command).await.map_err(|error| unreachable("read markers", error))?;
        let text = output.text();
        let sections = sections(&text);
        if !text.ends_with("#end\n") || sections.len() != chunk.len() + 1 {
            return Err(Error::new(ErrorKind::Unreadable, "read markers")
                .message("the answer was cut")
                .with("stderr", output.error_text())
                .later());
        }
        all.extend(chunk.iter().zip(&sections).map(|(dir, section)| ((*dir).to_owned(), marker(section))));
    }
    Ok(all)
}

fn marker(section: &[&str]) -> Marker {
    let run = owner(section);
    // The line that counts is appended by one write. A part of it that is seen earlier does not name the job.
    let exit = |line: &&str| {
        let words: Vec<&str> = line[1..].split(' ').collect();
        let [code, _, job] = words[..] else { return None };
        run.as_ref().is_none_or(|(_, id)| id.0 == job).then(|| code.parse().ok())?
    };
    Marker {
        sentinel: find(section, 's').map(str::to_owned),
        exit: section.iter().filter(|line| line.starts_with('q')).find_map(exit),
        run,
        fenced: find(section, 'f').is_some(),
        failure: find(section, 'v').and_then(JobFailure::of),
        is_removed: find(section, 'd').is_some(),
    }
}

/// Converts a transport's error into a scheduler's: its effect says whether the request may have been accepted.
pub(super) fn unreachable(operation: &'static str, source: transport::Error) -> Error {
    let kind = match source.effect() {
        crate::error::Effect::Unknown => ErrorKind::Ambiguous,
        crate::error::Effect::None => ErrorKind::Unreachable,
    };
    let error = Error::new(kind, operation).source(source).later();
    if kind == ErrorKind::Ambiguous { error.effect_unknown() } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_section_by_section() {
        let text =
            "#0\nsabc\nohost:1:2:3\nr0\n#1\nsabc\neno such partition\nr1\n#2\n#3\nsabc\ngtok host:9 0\n";
        let answers = parse_submit(text, 5);
        assert!(
            matches!(&answers[0], Answer::Recorded(r) if r.stdout == "host:1:2:3" && r.status == Some(0))
        );
        assert!(
            matches!(&answers[1], Answer::Recorded(r) if r.stderr == "no such partition" && r.status == Some(1))
        );
        assert!(matches!(&answers[2], Answer::NoSentinel));
        assert!(matches!(&answers[3], Answer::Runs(id) if id.0 == "host:9"));
        assert!(matches!(&answers[4], Answer::Nothing));
    }

    #[test]
    fn an_answer_that_is_not_written_yet_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let claim = dir.path().join(".ferry/submit-t");
        std::fs::create_dir_all(&claim).unwrap();
        std::fs::write(dir.path().join(".ferry/sentinel"), "d\n").unwrap();
        for (rc, is_answer) in [("", false), ("0\n", true)] {
            std::fs::write(claim.join("rc"), rc).unwrap();
            let script = format!("{PRINT}echo '#0'\n{}", report_claim(&quote_path(dir.path()), "t"));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            let answers = parse_submit(&String::from_utf8(output.stdout).unwrap(), 1);
            assert_eq!(matches!(&answers[0], Answer::Recorded(_)), is_answer, "{rc:?}");
            assert_eq!(matches!(&answers[0], Answer::Nothing), !is_answer, "{rc:?}");
        }
    }

    /// Submits a job with a shell, by a text that shows the script it was given and runs it; returns its output.
    fn submitted(token: &str, dir: &Path) -> String {
        let job = Submission {
            token: token.into(),
            dir: dir.into(),
            script: "-job's.sh".into(),
            digest: "d".into(),
            ..Submission::default()
        };
        let text = "printf '%s\\n' \"$2\"; \"./$2\" no argument counts".to_owned();
        let start = Start { is_login: false, is_local: true, allocations: &[] };
        let command = submit_command("", &[(&job, text)], start, Walks::AtOnce(1), Tokens::Copy);
        let argv = &command.argv;
        let ended = std::process::Command::new(&argv[0]).args(&argv[1..]).status().unwrap();
        assert!(ended.success());
        let answer = |name: &str| {
            std::fs::read_to_string(dir.join(format!(".ferry/submit-{token}/{name}"))).unwrap_or_default()
        };
        answer("out") + &answer("err")
    }

    #[test]
    fn each_submission_has_a_script_with_its_own_token() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".ferry")).unwrap();
        std::fs::write(dir.path().join(".ferry/sentinel"), "d\n").unwrap();
        // A line of the user's that looks like the gate's stays as it is.
        let job = super::super::JobTemplate {
            dir: dir.path().into(),
            digest: "d".into(),
            prepend: vec![format!(
                "cat << 'EOF'\n{TAKES_TOKEN}\nEOF\nread -r t j r < .ferry/run; echo \"$t\""
            )],
            ..super::super::JobTemplate::default()
        };
        let text = super::super::script(&job, &[], &Default::default(), "ferry_job=$$ ferry_restart=0", &[]);
        std::fs::write(dir.path().join("-job's.sh"), text).unwrap();
        let first = submitted("fone", dir.path());
        assert_eq!(first, format!(".ferry/submit-fone/script\n{TAKES_TOKEN}\nfone\n"));
        // The same job again, with another token: told apart by the gate.
        assert_eq!(submitted("ftwo", dir.path()), ".ferry/submit-ftwo/script\n");
        let read = |name: &str| std::fs::read_to_string(dir.path().join(".ferry").join(name)).unwrap();
        assert!(read("run").starts_with("fone ") && read("fenced").starts_with("ftwo "));
    }

    #[test]
    fn markers_are_read() {
        let lines = ["sabc", "gtok 42 0", "q    ", "q7 tok 42", "vout_of_walltime"];
        let found = marker(&lines);
        assert_eq!(found.run, Some(("tok".into(), JobId("42".into()))));
        assert_eq!(found.exit, Some(7));
        assert!(!found.fenced);
        assert_eq!(found.failure, Some(JobFailure::OutOfWalltime));
    }
}
