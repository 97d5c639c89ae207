//! A sum that a shell works out on the computer: a whole calcjob that needs no program of its own.

use std::path::Path;

use ferry_plugin::prelude::*;

/// The script. All that varies comes as arguments, so no input is ever read by a shell as words or code.
const SCRIPT: &str = r#"# usage: add.sh X Y SLEEP MARKER; the last two may be empty
if [ -n "$4" ]; then pwd >> "$4"; fi
if [ -n "$3" ]; then sleep "$3"; fi
echo "$(($1 + $2))"
"#;
const SCRIPT_NAME: &str = "add.sh";
const OUTPUT_NAME: &str = "add.out";

/// Inputs of [`AddJob`].
#[derive(Inputs, Debug, Clone)]
pub struct AddInputs {
    /// One summand
    pub x: i64,
    /// The other
    pub y: i64,
    /// A bash to run the script with; otherwise the computer's own `bash`
    pub code: Option<Code>,
    /// Seconds to sleep before adding, for trials of everything that takes time
    #[port(range(0.0..))]
    pub sleep: Option<f64>,
    /// Absolute path of a file on the computer to which the job adds one line, its work directory, each time it runs
    pub marker: Option<String>,
}

/// Outputs of [`AddJob`].
#[derive(Outputs)]
pub struct AddOutputs {
    /// The sum
    pub sum: i64,
}

/// Exit codes of [`AddJob`], with AiiDA's numbers for `ArithmeticAddCalculation`.
#[derive(ExitCodes, Debug)]
pub enum AddExit {
    /// Nothing was retrieved.
    #[exit(310, "the output file could not be read")]
    ReadingOutputFile,
    /// The retrieved output is no number.
    #[exit(320, "the output file contains invalid output: {found}")]
    InvalidOutput {
        /// The beginning of it.
        found: String,
    },
    /// The sum is there, and negative.
    #[exit(410, "the sum of the operands is a negative number")]
    NegativeNumber,
}

/// The calcjob `arithmetic.add_job`.
#[derive(Debug)]
pub struct AddJob;

/// Adds two integers in a shell on the computer.
#[calcjob(name = "arithmetic.add_job", alias = "core.arithmetic.add", cache_version = 1)]
impl CalcJob for AddJob {
    type Inputs = AddInputs;
    type Outputs = AddOutputs;
    type Exit = AddExit;

    fn options() -> OptionDefaults {
        OptionDefaults::default().input_filename(SCRIPT_NAME).output_filename(OUTPUT_NAME)
    }

    fn validate(inputs: &AddInputs, bad: &mut Problems) {
        if inputs.x.checked_add(inputs.y).is_none() {
            bad.together(format!("{} + {} does not fit into a 64-bit signed integer", inputs.x, inputs.y));
        }
        if inputs.sleep.is_some_and(|seconds| !seconds.is_finite() || seconds < 0.0) {
            bad.at("sleep", "must be a number of seconds, 0 or more");
        }
        if inputs.marker.as_ref().is_some_and(|marker| !Path::new(marker).is_absolute()) {
            bad.at("marker", "must be an absolute path on the computer");
        }
    }

    fn prepare(inputs: &AddInputs, job: &mut Job) -> Result {
        let (script, output) = (job.input_filename()?, job.output_filename()?);
        job.write(&script, SCRIPT)?;
        let command = match &inputs.code {
            Some(code) => job.run(code),
            None => job.command("bash"),
        };
        let sleep = inputs.sleep.map(|seconds| seconds.to_string()).unwrap_or_default();
        let marker = inputs.marker.clone().unwrap_or_default();
        let arguments = [script, inputs.x.to_string(), inputs.y.to_string(), sleep, marker];
        command.args(arguments).stdout(&output);
        job.retrieve([output]);
        Ok(())
    }

    fn parse(_: &AddInputs, run: &Finished, out: &mut AddOutputsDraft) -> Result {
        if run.engine_exit().is_some() {
            return Ok(()); // The engine knows better why there is no sum.
        }
        let output = run.output_filename()?;
        let name = output.rsplit('/').next().unwrap_or(&output);
        let text = run.read(name)?.ok_or(AddExit::ReadingOutputFile)?;
        let sum: i64 = text.trim().parse().map_err(|_| invalid(&text))?;
        out.sum(sum);
        if sum < 0 {
            Err(AddExit::NegativeNumber)?;
        }
        Ok(())
    }
}

fn invalid(text: &str) -> AddExit {
    AddExit::InvalidOutput { found: format!("{:?}", text.chars().take(80).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_plugin::proto::{Exit, JobReport, Program};
    use std::{fs, process::Command};

    fn inputs(x: i64, y: i64) -> AddInputs {
        AddInputs { x, y, code: None, sleep: None, marker: None }
    }

    fn parsed(output: Option<&str>) -> testing::Parsed {
        let home = testing::Scratch::new();
        if let Some(output) = output {
            fs::write(home.path().join(OUTPUT_NAME), output).unwrap();
        }
        testing::parse::<AddJob>(inputs(1, 2), home.path())
    }

    /// Runs the prepared command here, as the engine would there.
    fn runs(inputs: AddInputs) -> (String, std::path::PathBuf) {
        let job = testing::prepare::<AddJob>(inputs);
        let run = &job.description.runs[0];
        assert_eq!(
            (&run.program, run.stdout.as_deref()),
            (&Program::Command("bash".into()), Some(OUTPUT_NAME))
        );
        let output = Command::new("bash").args(&run.arguments).current_dir(job.sandbox()).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        (String::from_utf8(output.stdout).unwrap(), job.sandbox().to_owned())
    }

    #[test]
    fn the_shell_adds() {
        for (x, y) in [(2, 3), (-3, -5), (i64::MIN, 0), (i64::MAX, i64::MIN), (0, -0)] {
            assert_eq!(runs(inputs(x, y)).0, format!("{}\n", x + y));
        }
    }

    #[test]
    fn the_marker_gets_one_line_even_with_an_odd_name() {
        let scratch = testing::Scratch::new();
        let marker = scratch.path().join("it's; \"$(touch bad)\" *");
        let marked =
            AddInputs { marker: Some(marker.display().to_string()), sleep: Some(0.01), ..inputs(1, 1) };
        let (sum, dir) = runs(marked);
        assert_eq!((&*sum, fs::read_to_string(&marker).unwrap()), ("2\n", format!("{}\n", dir.display())));
    }

    #[test]
    fn a_code_is_used_when_there_is_one() {
        let with = AddInputs { code: Some(testing::code("bash@daint")), ..inputs(1, 2) };
        let job = testing::prepare::<AddJob>(with);
        assert_eq!(job.description.runs[0].program, Program::Code("code-bash".into()));
        assert_eq!(job.description.retrieve[0].pattern, OUTPUT_NAME);
        assert_eq!(job.file(SCRIPT_NAME), SCRIPT);
    }

    #[test]
    fn inputs_that_do_not_fit_are_refused() {
        let refused = |inputs: AddInputs| testing::validate::<AddJob>(&inputs).to_string();
        assert_eq!(
            refused(inputs(i64::MAX, 1)),
            "9223372036854775807 + 1 does not fit into a 64-bit signed integer"
        );
        assert!(
            refused(AddInputs { marker: Some("here".into()), ..inputs(1, 1) }).starts_with("marker: must be")
        );
        assert!(refused(AddInputs { sleep: Some(-1.0), ..inputs(1, 1) }).starts_with("sleep: must be"));
        assert_eq!(refused(inputs(1, 1)), "");
    }

    #[test]
    fn each_way_to_end_has_its_exit_code() {
        assert_eq!((parsed(Some("3\n")).status(), parsed(Some("3\n")).value("sum").as_int()), (0, Some(3)));
        assert_eq!(parsed(None).status(), 310);
        for unreadable in ["", "three", "1.5", "3 4", "\u{fffd}"] {
            assert_eq!(parsed(Some(unreadable)).status(), 320);
        }
        let negative = parsed(Some("-3\n"));
        assert_eq!((negative.status(), negative.value("sum").as_int()), (410, Some(-3)));
        assert_eq!(negative.exit.unwrap().label, "ERROR_NEGATIVE_NUMBER");
    }

    #[test]
    fn what_the_engine_concluded_stands() {
        let home = testing::Scratch::new();
        let exit =
            Exit { status: 120, label: "ERROR_SCHEDULER_OUT_OF_WALLTIME".into(), message: "late".into() };
        let job = JobReport { engine_exit: Some(exit), ..JobReport::default() };
        assert_eq!(testing::parse_after::<AddJob>(inputs(1, 2), home.path(), job).status(), 0);
    }
}
