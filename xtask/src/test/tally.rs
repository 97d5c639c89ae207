//! Counts test results from the closing lines of nextest and libtest, and prints the table at the end.

use std::time::Duration;

/// Number of lines that are repeated of a failed part.
const TOLD: usize = 60;

/// Results of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Everything that ran, in order.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<Row>,
    /// Output of failed parts about their failed tests, in order.
    failures: Vec<(String, Vec<String>)>,
}

#[derive(Debug)]
struct Row {
    name: String,
    counts: Counts,
    took: Duration,
    note: String,
}

impl Counts {
    /// Counts a part that is one test.
    pub(super) fn one(success: bool) -> Counts {
        Counts { passed: u64::from(success), failed: u64::from(!success), skipped: 0 }
    }

    /// Tests that nobody asked for.
    pub(super) fn skipped(number: u64) -> Counts {
        Counts { skipped: number, ..Counts::default() }
    }

    /// Adds up every closing line among `lines`.
    pub(super) fn read(lines: &[String]) -> Counts {
        lines.iter().filter_map(|line| closing(line)).fold(Counts::default(), Counts::plus)
    }

    fn plus(self, other: Counts) -> Counts {
        Counts {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl Report {
    /// Records a part that ran. One that failed without naming a failed test counts as one failure, so
    /// that no crash of a test runner looks like a success.
    pub(super) fn part(&mut self, name: &str, mut counts: Counts, success: bool, took: Duration) {
        let mut note = "";
        if !success && counts.failed == 0 {
            counts.failed = 1;
            note = "failed to run; see its output above";
        }
        self.push(name, counts, took, note);
    }

    /// Keeps what a part said of its failed tests, to be repeated above the table: parts print their output when
    /// they end, and much may come after it.
    pub(super) fn failures(&mut self, name: &str, lines: &[String]) {
        let told = told(lines).iter().take(TOLD).cloned().collect();
        self.failures.push((name.to_owned(), told));
    }

    /// Records a part that could not run, or failed as a whole.
    pub(super) fn failed_part(&mut self, name: &str, took: Duration, why: &str) {
        self.push(name, Counts { failed: 1, ..Counts::default() }, took, why);
    }

    /// Records a part that the user did not want.
    pub(super) fn skipped_part(&mut self, name: &str, why: &str) {
        self.push(name, Counts { skipped: 1, ..Counts::default() }, Duration::ZERO, why);
    }

    /// Records a part that was left out, with the number of its tests.
    pub(super) fn left_out(&mut self, name: &str, tests: u64) {
        self.push(name, Counts::skipped(tests), Duration::ZERO, "no test of that name");
    }

    /// Puts the parts into this order, in which they are read best. Others come first.
    pub(super) fn arrange(&mut self, names: &[String]) {
        self.rows
            .sort_by_key(|row| names.iter().position(|name| *name == row.name).map_or(0, |place| place + 1));
    }

    /// Returns true if anything failed.
    pub(super) fn failed(&self) -> bool {
        self.total().failed > 0
    }

    /// Prints failures, the table and the closing line.
    pub(super) fn print(&self) {
        for (name, lines) in &self.failures {
            println!("\n== failed in {name}\n{}", lines.join("\n"));
        }
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max("part".len());
        println!("\n{:width$}  passed  failed  skipped  seconds", "part");
        for Row { name, counts: Counts { passed, failed, skipped }, took, note } in &self.rows {
            let line = format!(
                "{name:width$}  {passed:>6}  {failed:>6}  {skipped:>7}  {:>7.1}  {note}",
                took.as_secs_f64()
            );
            println!("{}", line.trim_end());
        }
        let Counts { passed, failed, skipped } = self.total();
        println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    }

    fn total(&self) -> Counts {
        self.rows.iter().map(|row| row.counts).fold(Counts::default(), Counts::plus)
    }

    fn push(&mut self, name: &str, counts: Counts, took: Duration, note: &str) {
        self.rows.push(Row { name: name.to_owned(), counts, took, note: note.to_owned() });
    }
}

/// Finds what a test runner says of failed tests when all have run; everything, if it did not come so far.
fn told(lines: &[String]) -> &[String] {
    let begins = |line: &String| line == "failures:" || line.trim_start().starts_with("Summary [");
    let start = lines.iter().position(begins).unwrap_or_else(|| lines.len().saturating_sub(TOLD));
    &lines[start..]
}

/// Reads `test result: ok. 5 passed; 0 failed; 1 ignored; ..` (libtest, libtest-mimic) or
/// `Summary [   0.1s] 3/4 tests run: 1 passed (1 slow), 1 failed, 1 timed out, 7 skipped` (nextest).
fn closing(line: &str) -> Option<Counts> {
    // An indented one is what nextest repeats of a failed test's output.
    if let Some(rest) = line.strip_prefix("test result: ") {
        let (_, counts) = rest.split_once(". ")?;
        return Some(words(counts.split(';')));
    }
    let (_, rest) = line.trim_start().strip_prefix("Summary [")?.split_once(']')?;
    let (_, counts) = rest.split_once("run: ")?;
    Some(words(counts.split(", ")))
}

fn words<'a>(counts: impl Iterator<Item = &'a str>) -> Counts {
    let mut sum = Counts::default();
    for count in counts {
        let mut words = count.split_whitespace();
        let Some(number) = words.next().and_then(|number| number.parse::<u64>().ok()) else { continue };
        match words.collect::<Vec<_>>().as_slice() {
            ["passed", ..] => sum.passed += number,
            ["failed", ..] | ["exec", "failed", ..] | ["timed", "out", ..] => sum.failed += number,
            ["ignored", ..] | ["skipped", ..] | ["filtered", "out", ..] => sum.skipped += number,
            _ => {}
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, passed: u64, failed: u64, skipped: u64) {
        assert_eq!(closing(line), Some(Counts { passed, failed, skipped }), "{line}");
    }

    #[test]
    fn closing_lines_are_read() {
        check(
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s",
            5,
            0,
            3,
        );
        check("test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out", 5, 2, 0);
        check("     Summary [   0.012s] 3 tests run: 3 passed, 0 skipped", 3, 0, 0);
        check(
            "     Summary [   9.012s] 4/5 tests run: 1 passed (1 slow), 2 failed, 1 timed out, 7 skipped",
            1,
            3,
            7,
        );
        assert_eq!(closing("running 5 tests"), None);
        assert_eq!(closing("    test result: FAILED. 0 passed; 1 failed; 0 ignored"), None);
    }

    #[test]
    fn a_runner_that_dies_is_a_failure() {
        let mut report = Report::default();
        report.part("unit", Counts::default(), false, Duration::ZERO);
        assert!(report.failed());
    }

    #[test]
    fn failures_are_found_in_the_output_of_either_runner() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let mimic = lines("test a ... FAILED\n\nfailures:\n\n---- a ----\nwrong\n\nfailures:\n    a");
        assert_eq!(told(&mimic), &mimic[2..]);
        let nextest =
            lines("    FAIL [ 0.1s] x a\n   Summary [ 1s] 2 tests run: 1 passed, 1 failed\n  FAIL x a");
        assert_eq!(told(&nextest), &nextest[1..]);
        let broken = lines("error: it does not start");
        assert_eq!(told(&broken), &broken[..]);
    }

    #[test]
    fn parts_are_put_in_order_whenever_they_ended() {
        let mut report = Report::default();
        for name in ["b", "services", "a"] {
            report.part(name, Counts::one(true), true, Duration::ZERO);
        }
        report.left_out("c", 4);
        report.arrange(&["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        assert_eq!(
            report.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(),
            ["services", "a", "b", "c"]
        );
        assert_eq!(report.total(), Counts { passed: 3, failed: 0, skipped: 4 });
    }

    #[test]
    fn what_is_left_out_is_no_failure() {
        let mut report = Report::default();
        report.skipped_part("matrix: ssh+slurm", "left out");
        assert!(!report.failed());
        assert_eq!(report.total().skipped, 1);
    }
}
