//! A whole plugin: one calculation, as a job. A crate of your own needs nothing but `ferry-plugin`; beside it stands
//! a second one of a single line, which makes the file that ferry loads (see `file/`).
//!
//! ```text
//! cargo build -p ferry-example-plugin-file
//! ferry plugin install target/debug/libferry_example_plugin_file.so
//! ferry run example.words text=file:notes.txt
//! ```

use ferry_plugin::prelude::*;

/// The inputs of [`Words`].
#[derive(Inputs, Debug)]
pub struct WordsInputs {
    /// The text whose words are counted
    pub text: SingleFile,
    /// Smallest number of words
    #[port(default = 1, range(0..))]
    pub least: i64,
}

/// The outputs of [`Words`].
#[derive(Outputs)]
pub struct WordsOutputs {
    /// Number of words in the text
    pub words: i64,
}

/// The ways in which [`Words`] ends without success.
#[derive(ExitCodes, Debug)]
pub enum WordsExit {
    /// Nothing was retrieved.
    #[exit(310, "the output file could not be read")]
    ReadingOutputFile,
    /// The text is too short. The count is an output all the same.
    #[exit(410, "{words} words are too few")]
    TooFew {
        /// The number that it has.
        words: i64,
    },
}

/// The calcjob `example.words`.
#[derive(Debug)]
pub struct Words;

/// Counts the words of a text with `wc`.
#[calcjob(name = "example.words", cache_version = 1)]
impl CalcJob for Words {
    type Inputs = WordsInputs;
    type Outputs = WordsOutputs;
    type Exit = WordsExit;

    fn prepare(inputs: &WordsInputs, job: &mut Job) -> Result {
        job.copy(&inputs.text, "text");
        job.command("wc").arg("-w").stdin("text").stdout("count");
        job.retrieve(["count"]);
        Ok(())
    }

    fn parse(inputs: &WordsInputs, run: &Finished, out: &mut WordsOutputsDraft) -> Result {
        let words = run.read("count")?.ok_or(WordsExit::ReadingOutputFile)?.trim().parse()?;
        out.words(words);
        if words < inputs.least {
            Err(WordsExit::TooFew { words })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(least: i64) -> WordsInputs {
        WordsInputs { text: SingleFile::from_bytes("notes.txt", "two words").unwrap(), least }
    }

    fn parsed(least: i64, count: Option<&str>) -> testing::Parsed {
        let home = testing::Scratch::new();
        if let Some(count) = count {
            std::fs::write(home.path().join("count"), count).unwrap();
        }
        testing::parse::<Words>(inputs(least), home.path())
    }

    #[test]
    fn the_text_is_what_wc_reads() {
        let job = testing::prepare::<Words>(inputs(1));
        assert_eq!(job.file("text"), "two words");
        assert_eq!(job.description.runs[0].arguments, ["-w"]);
    }

    #[test]
    fn each_way_to_end_has_its_exit_code() {
        let good = parsed(1, Some("2\n"));
        assert_eq!((good.status(), good.value("words").as_int()), (0, Some(2)));
        let short = parsed(3, Some("2\n"));
        assert_eq!((short.status(), short.value("words").as_int()), (410, Some(2)));
        assert_eq!(parsed(1, None).status(), 310);
    }
}
