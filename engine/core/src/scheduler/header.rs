//! The header of a job script: the lines of the user's texts that go into it, and those that come too late for it.
//!
//! A scheduler reads its directives (`#SBATCH ..`) down to the first command of a script. ferry's start gate is a
//! command, so directives at the top of a prepend text are moved in front of it. The order is AiiDA's: options,
//! raw header lines, then each prepend text. Of two that contradict each other, the later counts.

use std::borrow::Cow;

use super::{JobTemplate, Resources, Scheduler, job_script};

/// The markers with which directives begin: the lines of a script that the scheduler reads as orders. Without any
/// marker, no line moves. A scheduler that reads its directives anywhere in the script (as SGE does) needs none
/// here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directives {
    /// The scheduler's own, which it reads down to the first command.
    pub own: &'static [&'static str],
    /// Markers of other schedulers. It would obey them too if not told to ignore them. They have no effect.
    pub others: &'static [&'static str],
}

impl Directives {
    fn is_own(&self, line: &str) -> bool {
        self.own.iter().any(|marker| line.starts_with(marker))
    }

    fn is_other(&self, line: &str) -> bool {
        self.others.iter().any(|marker| line.starts_with(marker))
    }
}

/// The user's lines of a script's header, and what is left of the prepend texts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) lines: Vec<&'a str>,
    pub(super) prepend: Vec<Cow<'a, str>>,
}

/// Sorts the lines of a job's texts into the header and the rest.
pub(super) fn sort<'a>(job: &'a JobTemplate, directives: &Directives) -> Header<'a> {
    let custom = job.custom_scheduler_commands.as_str();
    if directives.own.is_empty() {
        let lines = if custom.is_empty() { Vec::new() } else { vec![custom] };
        return Header { lines, prepend: job.prepend.iter().map(|text| Cow::from(text.as_str())).collect() };
    }
    // From its first command on, the rest of the raw lines comes after all directives.
    let custom: Vec<&str> = custom.lines().collect();
    let (first, rest) = custom.split_at(header_length(&custom));
    let mut lines = first.to_vec();
    let mut prepend = Vec::new();
    for text in &job.prepend {
        let (header, body) = split(text, directives);
        lines.extend(header);
        prepend.push(body);
    }
    lines.extend(rest);
    Header { lines, prepend }
}

/// Returns the number of lines before the first command.
fn header_length(lines: &[&str]) -> usize {
    let is_comment = |line: &&str| line.trim_start().is_empty() || line.trim_start().starts_with('#');
    lines.iter().position(|line| !is_comment(line)).unwrap_or(lines.len())
}

/// Splits the directives at the top of a text from the rest, with the comments that stand above them.
fn split<'a>(text: &'a str, directives: &Directives) -> (Vec<&'a str>, Cow<'a, str>) {
    let lines: Vec<&str> = text.lines().collect();
    let top = &lines[..header_length(&lines)];
    let Some(last) = top.iter().rposition(|line| directives.is_own(line)) else {
        return (Vec::new(), Cow::from(text));
    };
    let (mut header, mut body) = (Vec::new(), Vec::new());
    for (at, line) in lines.iter().enumerate() {
        let moves = at <= last && !line.trim().is_empty() && (directives.is_own(line) || is_plain(line));
        if moves { header.push(*line) } else { body.push(*line) }
    }
    (header, Cow::from(body.join("\n")))
}

/// Returns whether a line is a comment and no scheduler's directive. Directives have something right behind their
/// `#`, or an `@`.
fn is_plain(line: &str) -> bool {
    let Some(comment) = line.trim_start().strip_prefix('#') else { return false };
    let text = comment.trim_start();
    text.is_empty() || comment.starts_with('#') || (text.len() < comment.len() && !text.starts_with('@'))
}

/// Returns a warning for each line of a text that looks like a directive and is none. Either it comes after the
/// first command, where the scheduler reads no further, or it is another scheduler's. `of` names the text.
fn unread(of: &str, text: &str, directives: &Directives) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let top = header_length(&lines);
    let mut told = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let shown = line.trim_end();
        if directives.is_own(line) && at >= top {
            told.push(format!(
                "{of}: `{shown}` comes after a command, where the scheduler reads no directives: move it to the top"
            ));
        } else if directives.is_other(line) {
            let own = directives.own.first().copied().unwrap_or_default();
            told.push(format!(
                "{of}: `{shown}` is another scheduler's directive and is ignored: write it with {own}"
            ));
        }
    }
    told
}

/// Returns the same for texts in which no line is read, wherever it stands, such as those behind the commands.
fn unread_anywhere(of: &str, text: &str, directives: &Directives) -> Vec<String> {
    let after_a_command = format!(":\n{text}");
    unread(of, &after_a_command, directives)
}

/// Returns a warning for each line of a job's texts that looks like a directive and is none.
pub fn unread_of_job(job: &JobTemplate, directives: &Directives) -> Vec<String> {
    let mut told = unread("custom_scheduler_commands", &job.custom_scheduler_commands, directives);
    told.extend(job.prepend.iter().flat_map(|text| unread("prepend_text", text, directives)));
    told.extend(job.append.iter().flat_map(|text| unread_anywhere("append_text", text, directives)));
    told
}

/// The texts of a user, to be checked before a job uses them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Texts<'a> {
    /// Raw header lines.
    pub custom: &'a str,
    /// The text before the commands.
    pub prepend: &'a str,
    /// The text behind the commands.
    pub append: &'a str,
}

impl Texts<'_> {
    /// Returns a warning for each line that looks like a directive and is none.
    pub fn unread(&self, scheduler: &dyn Scheduler) -> Vec<String> {
        unread_of_job(&self.job(), &scheduler.capabilities().directives)
    }

    /// Checks that the texts hold nothing that a job may not have in its header.
    ///
    /// # Errors
    /// The scheduler's error.
    pub fn check(&self, scheduler: &dyn Scheduler) -> super::Result<()> {
        scheduler.script(&self.job()).map(drop)
    }

    /// Returns the smallest job with these texts.
    fn job(&self) -> JobTemplate {
        JobTemplate {
            shebang: job_script::SHEBANG.into(),
            resources: Resources { machines: 1, tasks_per_machine: 1, ..Resources::default() },
            import_sys_environment: true,
            custom_scheduler_commands: self.custom.into(),
            prepend: vec![self.prepend.into()],
            append: vec![self.append.into()],
            ..JobTemplate::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLURM: Directives = Directives { own: &["#SBATCH", "#DW"], others: &["#PBS"] };

    fn job(custom: &str, prepend: &[&str]) -> JobTemplate {
        JobTemplate {
            custom_scheduler_commands: custom.into(),
            prepend: prepend.iter().map(|text| (*text).to_owned()).collect(),
            ..JobTemplate::default()
        }
    }

    fn check(custom: &str, prepend: &[&str], header: &[&str], bodies: &[&str]) {
        let job = job(custom, prepend);
        let sorted = sort(&job, &SLURM);
        assert_eq!(
            (sorted.lines, sorted.prepend),
            (header.to_vec(), bodies.iter().map(|b| Cow::from(*b)).collect())
        );
    }

    #[test]
    fn directives_at_the_top_of_texts_go_into_the_header_in_order() {
        check(
            "#SBATCH -C a",
            &[
                "#SBATCH -p x\nmodule load y",
                "",
                "# big\n#SBATCH -t 1\n\n#DW jobdw\n# the modules\nmodule load z",
            ],
            &["#SBATCH -C a", "#SBATCH -p x", "# big", "#SBATCH -t 1", "#DW jobdw"],
            &["module load y", "", "\n# the modules\nmodule load z"],
        );
        // What comes after a command is never read; what another scheduler would read must not be.
        check("", &["x\n#SBATCH -p x"], &[], &["x\n#SBATCH -p x"]);
        check(
            "",
            &["#PBS -q y\n#$ -V\n# @ class\n#SBATCH -p x"],
            &["#SBATCH -p x"],
            &["#PBS -q y\n#$ -V\n# @ class"],
        );
        check(
            "",
            &[" #SBATCH -p x", "##SBATCH -p x\n# SBATCH"],
            &[],
            &[" #SBATCH -p x", "##SBATCH -p x\n# SBATCH"],
        );
    }

    #[test]
    fn a_command_among_raw_header_lines_hides_no_directive() {
        check(
            "#SBATCH -C a\nulimit -s 1\n#SBATCH -C b",
            &["#SBATCH -p x"],
            &["#SBATCH -C a", "#SBATCH -p x", "ulimit -s 1", "#SBATCH -C b"],
            &[""],
        );
    }

    #[test]
    fn without_markers_nothing_moves() {
        let job = job("#$ -V\nx", &["#$ -q a\n#SBATCH -p x"]);
        let sorted = sort(&job, &Directives::default());
        assert_eq!(sorted.lines, ["#$ -V\nx"]);
        assert_eq!(sorted.prepend, ["#$ -q a\n#SBATCH -p x"]);
        assert!(unread_of_job(&job, &Directives::default()).is_empty());
    }

    #[test]
    fn what_the_scheduler_does_not_read_is_told() {
        let told = unread("prepend_text", "#SBATCH -p a\nmodule load x\n#SBATCH -t 1\n#PBS -q y", &SLURM);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("prepend_text: `#SBATCH -t 1` comes after a command"), "{told:?}");
        assert!(told[1].contains("`#PBS -q y` is another scheduler's") && told[1].ends_with("with #SBATCH"));
        let job = JobTemplate { append: vec!["#SBATCH -t 1".into()], ..job("#PBS -q y\n#SBATCH -p a", &[]) };
        assert_eq!(unread_of_job(&job, &SLURM).len(), 2);
    }
}
