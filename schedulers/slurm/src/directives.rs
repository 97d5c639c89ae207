//! The user's own header lines of a job: the options that they give to `sbatch`, read as `sbatch` reads them.
//!
//! Such lines stand in `custom_scheduler_commands`, and before the first command of each prepend text. A later
//! line overrides an earlier one.
//!
//! ```
//! use ferry_scheduler_slurm::directives::{read, value};
//!
//! let orders = read("# the big nodes\n#SBATCH -M beta --comment='my run' # not --array=1-3\nmodule load x\n#SBATCH -t 1");
//! assert_eq!(value(&orders, "clusters"), Some("beta"));
//! assert_eq!(value(&orders, "comment"), Some("my run"));
//! assert_eq!(value(&orders, "time"), None, "sbatch reads no further than the first command");
//! ```

use std::{collections::BTreeSet, str::Chars};

use ferry_engine_core::scheduler::{Directives, Extras, JobTemplate};

/// The marker that `sbatch` looks for at the very beginning of a line.
const MARKER: &str = "#SBATCH";
/// The marker of PBS. `sbatch` would also read PBS and LSF lines anywhere in the script; `--ignore-pbs` prevents
/// it.
const PBS: &str = "#PBS";

/// The lines that Slurm reads in a header: options, and requests for burst buffers (`burst_buffer.conf`).
pub(crate) const MARKERS: Directives = Directives { own: &[MARKER, "#BB", "#DW"], others: &[PBS, "#BSUB"] };

/// Options that would make a submission more or less than one job of this user, with the reason. Others that would
/// (`--wrap`, `--help`, `--version`) have no effect in a script; tested with 22.05.8.
const REFUSED: &[(&str, &str)] = &[
    ("array", "it turns one submission into many jobs, and ferry follows one: submit a process for each"),
    ("hetjob", "it turns one submission into several jobs, and ferry follows one"),
    ("packjob", "it turns one submission into several jobs, and ferry follows one"),
    ("test-only", "nothing would be submitted"),
    ("uid", "the job would be another user's, whose jobs ferry neither sees nor ends"),
    ("wait", "`sbatch` would not answer before the job's end: ferry waits for it by itself"),
];

/// An option that a header line gives to `sbatch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its long name, without dashes. `hetjob` (or `packjob`) is the separator of a heterogeneous job.
    pub option: String,
    /// Its value, without quotes.
    pub value: Option<String>,
    /// The line that holds it.
    pub line: String,
}

/// Returns the options that a job's own header lines give, in the order in which `sbatch` reads them.
pub fn of_job(job: &JobTemplate) -> Vec<Directive> {
    let texts = std::iter::once(&job.custom_scheduler_commands).chain(&job.prepend);
    texts.flat_map(|text| read(text)).collect()
}

/// Returns the parts of these options that `sbatch`'s arguments and recovery need: the comment that ours is
/// appended to, and the clusters that the job may be in.
pub(crate) fn extras(job: &JobTemplate) -> Extras {
    let directives = of_job(job);
    let names = value(&directives, "clusters").unwrap_or_default().split(',').map(str::trim);
    let clusters = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let comment = value(&directives, "comment").unwrap_or_default().to_owned();
    Extras { comment, clusters }
}

/// Returns the options that the lines of a text give, down to its first command.
pub fn read(text: &str) -> Vec<Directive> {
    header(text).flat_map(options).collect()
}

/// Returns the effective value of an option: the last one.
pub fn value<'a>(directives: &'a [Directive], option: &str) -> Option<&'a str> {
    directives.iter().rev().find(|directive| directive.option == option)?.value.as_deref()
}

/// Checks that a job's header lines hold no refused option.
///
/// # Errors
/// The first such line, with the reason, in words.
pub(crate) fn check(job: &JobTemplate) -> Result<(), String> {
    for directive in of_job(job) {
        let Some((option, why)) = REFUSED.iter().find(|(option, _)| directive.option == *option) else {
            continue;
        };
        let name = if option.ends_with("job") { (*option).to_owned() } else { format!("--{option}") };
        return Err(refusal(&directive.line, &name, why));
    }
    // It would have no effect, but its author does not want one job. Both letters are arrays: Torque's and PBS
    // Pro's.
    let is_array = |line: &&str| {
        let words = line.strip_prefix(PBS).map(words).unwrap_or_default();
        words.iter().any(|word| word.starts_with("-t") || word.starts_with("-J"))
    };
    match header(&job.custom_scheduler_commands).find(is_array) {
        Some(line) => Err(refusal(line, "a job array", REFUSED[0].1)),
        None => Ok(()),
    }
}

fn refusal(line: &str, what: &str, why: &str) -> String {
    format!("`{}`: {what} can't be used with ferry, since {why}; remove it", line.trim_end())
}

/// Returns the variables by which a login gives defaults for these options. To `sbatch` a variable overrides a
/// line of the script; to ferry the line overrides the variable. See sbatch(1), "INPUT ENVIRONMENT VARIABLES", of
/// 22.05.
pub(crate) fn defaults<'a>(options: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for option in options.filter(|option| NAMES.split(' ').any(|name| name == *option)) {
        match option {
            "time" => names.extend(["SBATCH_TIMELIMIT".to_owned()]),
            "mem" | "mem-per-cpu" | "mem-per-gpu" => {
                names.extend(["NODE", "CPU", "GPU"].map(|per| format!("SBATCH_MEM_PER_{per}")));
            }
            "switches" => names.extend(["REQ_SWITCH", "WAIT4SWITCH"].map(|name| format!("SBATCH_{name}"))),
            _ => {
                let name = option.to_uppercase().replace('-', "_");
                if matches!(option, "clusters" | "hint") {
                    names.insert(format!("SLURM_{name}"));
                }
                names.insert(format!("SBATCH_{name}"));
            }
        }
    }
    names
}

/// Returns the lines of a text down to its first command.
fn header(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| {
        let line = line.trim_start();
        line.is_empty() || line.starts_with('#')
    })
}

/// Returns the options of one line; none if it is no directive.
fn options(line: &str) -> Vec<Directive> {
    let Some(rest) = line.strip_prefix(MARKER) else { return Vec::new() };
    let mut words = words(rest).into_iter().peekable();
    let mut found = Vec::new();
    let mut add = |option: &str, value: Option<String>| {
        found.push(Directive { option: option.to_owned(), value, line: line.to_owned() });
    };
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (whole_name(name), Some(value.to_owned())),
                None => (whole_name(long), None),
            };
            let wants_next = value.is_none() && !is_flag(name);
            let next = if wants_next { words.next_if(|next| !next.starts_with("--")) } else { None };
            add(name, value.or(next));
        } else if let Some(letters) = word.strip_prefix('-') {
            for (letter, rest) in letters.char_indices().map(|(at, c)| (c, &letters[at + c.len_utf8()..])) {
                let Some(name) = name_of(letter) else { break };
                if is_flag(name) {
                    add(name, None);
                    continue;
                }
                add(name, if rest.is_empty() { words.next() } else { Some(rest.to_owned()) });
                break;
            }
        } else {
            // Only the separator of a heterogeneous job is a word of its own, in upper or lower case.
            add(&word.to_lowercase(), None);
        }
    }
    found
}

/// Returns the words of a line. Quotes group, a backslash takes the next character as it is, `#` begins a comment.
/// See `get_argument` in Slurm's `src/common/slurm_opt.c` (22.05).
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = line.chars();
    while let Some(word) = word(&mut chars) {
        words.push(word);
    }
    words
}

fn word(chars: &mut Chars<'_>) -> Option<String> {
    let rest = chars.as_str().trim_start();
    *chars = rest.chars();
    if rest.is_empty() || rest.starts_with('#') {
        return None;
    }
    let (mut word, mut quote) = (String::new(), None);
    while let Some(c) = chars.clone().next() {
        match (c, quote) {
            ('#', None) => break,
            (c, None) if c.is_whitespace() => break,
            ('\\', _) => {
                chars.next();
                // A word may hold a blank only inside quotes.
                match chars.clone().next() {
                    Some(c) if quote.is_some() || !c.is_whitespace() => word.push(c),
                    _ => continue,
                }
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            (c, _) => word.push(c),
        }
        chars.next();
    }
    Some(word)
}

/// Returns the option that a long name means: GNU's `getopt_long` accepts any prefix of exactly one option.
fn whole_name(name: &str) -> &str {
    let fitting: Vec<&str> = NAMES.split(' ').filter(|known| known.starts_with(name)).collect();
    let whole = if let [only] = fitting[..] { only } else { name };
    // This is another spelling of the same option.
    if whole == "cluster" { "clusters" } else { whole }
}

fn is_flag(name: &str) -> bool {
    FLAGS.split(' ').any(|flag| flag == name)
}

/// Returns the option that a letter means.
fn name_of(letter: char) -> Option<&'static str> {
    SHORT.split(' ').find_map(|pair| pair.strip_prefix(letter)?.strip_prefix('='))
}

/// Options without a value, or with one only behind an equals sign. Every other takes the next word.
const FLAGS: &str = "\
    contiguous exclusive get-user-env help hold ignore-pbs nice no-kill no-requeue overcommit \
    oversubscribe parsable propagate quiet reboot requeue spread-job test-only usage use-min-nodes \
    verbose version wait";

/// The long options of Slurm 22.05.8, as `sbatch` itself lists them for an ambiguous prefix.
const NAMES: &str = "\
    account acctg-freq array batch bb bbf begin chdir cluster cluster-constraint clusters comment \
    constraint container context contiguous core-spec cores-per-socket cpu-freq cpus-per-gpu \
    cpus-per-task deadline delay-boot dependency distribution error exclude exclusive export \
    export-file extra-node-info get-user-env gid gpu-bind gpu-freq gpus gpus-per-node \
    gpus-per-socket gpus-per-task gres gres-flags help hint hold ignore-pbs input job-name \
    kill-on-invalid-dep licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu \
    mincpus network nice no-kill no-requeue nodefile nodelist nodes ntasks ntasks-per-core \
    ntasks-per-gpu ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode output overcommit \
    oversubscribe parsable partition power prefer priority profile propagate qos quiet reboot \
    requeue reservation signal sockets-per-node spread-job switches tasks-per-node test-only \
    thread-spec threads-per-core time time-min tmp uid usage use-min-nodes verbose version wait \
    wait-all-nodes wckey wrap";

/// Letters and the long options that they stand for; Slurm 22.05.8.
const SHORT: &str = "\
    a=array A=account b=begin B=extra-node-info c=cpus-per-task C=constraint d=dependency D=chdir \
    e=error F=nodefile G=gpus h=help H=hold i=input J=job-name k=no-kill L=licenses m=distribution \
    M=clusters n=ntasks N=nodes o=output O=overcommit p=partition q=qos Q=quiet s=oversubscribe \
    S=core-spec t=time v=verbose V=version w=nodelist W=wait x=exclude";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(&str, Option<&str>)]) {
        let found = read(text);
        let found: Vec<_> = found.iter().map(|one| (one.option.as_str(), one.value.as_deref())).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn a_line_is_read_as_sbatch_reads_it() {
        // Each was given to sbatch 22.05.8, and checked with `scontrol show job`.
        check(
            "#SBATCH -J \"a # b\" --comment=x#y # not --array=1-2",
            &[("job-name", Some("a # b")), ("comment", Some("x"))],
        );
        check(
            "#SBATCH -J a\\\"b --comment='x \"y\" z'",
            &[("job-name", Some("a\"b")), ("comment", Some("x \"y\" z"))],
        );
        check(
            "#SBATCH --comment=x\"y z\"w -J\"q r\"",
            &[("comment", Some("xy zw")), ("job-name", Some("q r"))],
        );
        check(
            "#SBATCH --comment=\"x\\\"y\" -J \"q\\\\r\"",
            &[("comment", Some("x\"y")), ("job-name", Some("q\\r"))],
        );
        check("#SBATCH--array=1-3", &[("array", Some("1-3"))]);
        check("#SBATCH --arr 1-2", &[("array", Some("1-2"))]);
        check("#SBATCH -Ha1-2", &[("hold", None), ("array", Some("1-2"))]);
        check("#SBATCH HetJob", &[("hetjob", None)]);
        check("#SBATCH -J my-hetjob-x", &[("job-name", Some("my-hetjob-x"))]);
    }

    #[test]
    fn what_sbatch_passes_over_is_passed_over() {
        check(" #SBATCH --array=1\n##SBATCH --array=1\n# SBATCH --array=1\n#PBS -t 1", &[]);
        check("\n \t\n # x\n#SBATCH -p a\necho\n#SBATCH -p b", &[("partition", Some("a"))]);
    }

    #[test]
    fn flags_take_no_word_and_newer_options_do_no_harm() {
        check(
            "#SBATCH --requeue -W --exclusive=user",
            &[("requeue", None), ("wait", None), ("exclusive", Some("user"))],
        );
        check("#SBATCH --stepmgr --array=1", &[("stepmgr", None), ("array", Some("1"))]);
        check("#SBATCH --cluster=a,b", &[("clusters", Some("a,b"))]);
    }

    #[test]
    fn what_makes_more_or_less_than_one_job_is_refused_wherever_it_stands() {
        let refused = |custom: &str, prepend: &str| {
            let texts = (custom.to_owned(), vec![prepend.to_owned()]);
            super::check(&JobTemplate {
                custom_scheduler_commands: texts.0,
                prepend: texts.1,
                ..JobTemplate::default()
            })
        };
        for line in [
            "#SBATCH --array=1-3",
            "#SBATCH -N1 -a1-3",
            "#SBATCH -HW",
            "#SBATCH --wait",
            "#SBATCH --test-only",
            "#SBATCH --tes",
            "#SBATCH hetjob",
            "#SBATCH packjob",
            "#SBATCH --uid=daemon",
        ] {
            assert!(refused(line, "").unwrap_err().contains(line), "{line}");
            assert!(
                refused("", &format!("# mine\n{line}\nmodule load x")).unwrap_err().contains(line),
                "{line}"
            );
            assert_eq!(refused("", &format!("module load x\n{line}")), Ok(()), "never read: {line}");
        }
        assert!(refused("#PBS -t 1-3", "").unwrap_err().contains("job array"));
        assert_eq!(refused("#PBS -q x\n#SBATCH --wait-all-nodes=1 -J 'a --wait'", "#PBS -t 1-3"), Ok(()));
    }

    #[test]
    fn a_login_s_defaults_have_the_names_of_the_manual() {
        let names =
            |options: &[&str]| defaults(options.iter().copied()).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(names(&["partition", "core-spec", "rm -rf"]), "SBATCH_CORE_SPEC SBATCH_PARTITION");
        assert_eq!(names(&["time", "clusters"]), "SBATCH_CLUSTERS SBATCH_TIMELIMIT SLURM_CLUSTERS");
        assert_eq!(names(&["mem-per-cpu"]), "SBATCH_MEM_PER_CPU SBATCH_MEM_PER_GPU SBATCH_MEM_PER_NODE");
    }

    #[test]
    fn the_later_of_a_job_s_texts_counts() {
        let job = JobTemplate {
            custom_scheduler_commands: "#SBATCH -M alpha".into(),
            prepend: vec!["module load x".into(), "#SBATCH --clusters=beta\nx".into()],
            ..JobTemplate::default()
        };
        assert_eq!(value(&of_job(&job), "clusters"), Some("beta"));
    }
}
