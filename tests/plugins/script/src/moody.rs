//! `script.moody`: a monitor that is controlled by its `kwargs`, so that trials can have any verdict, and any
//! failure.

use ferry_plugin::{Look, Monitor, Verdict, View, prelude::*};

/// The monitor's arguments.
#[derive(Inputs)]
pub struct Moody {
    #[port(choices(
        "kill",
        "no_parse",
        "no_retrieve",
        "keep",
        "outputs",
        "disable_self",
        "disable_all",
        "look",
        "panic",
        "except",
        "hang",
        "escape"
    ))]
    pub mood: String,
    /// What it says
    #[port(default = "")]
    pub message: String,
}

/// Does what it is told.
#[monitor(name = "script.moody")]
impl Monitor for Moody {
    fn validate(&self, bad: &mut Problems) {
        if self.message == "refuse" {
            bad.at("message", "is refused, as it says");
        }
    }

    fn files(&self) -> Vec<View> {
        match self.mood.as_str() {
            "escape" => vec![View::whole("../../../etc/passwd")],
            _ => vec![View::end("_scheduler-std*.txt", 100)],
        }
    }

    fn judge(&self, job: &Look) -> Result<Option<Verdict>> {
        report!("{} looked at {} files", self.mood, job.files().count());
        let kill = || Verdict::kill(&self.message);
        Ok(Some(match self.mood.as_str() {
            "kill" => kill(),
            "no_parse" => kill().without_parse(),
            "no_retrieve" => kill().without_retrieve(),
            "keep" => kill().keep_exit_code(),
            "outputs" => kill().output("sum", 42_i64),
            "disable_self" => Verdict::disable_self(&self.message),
            "disable_all" => Verdict::disable_all(&self.message),
            "panic" => panic!("a monitor's panic"),
            "except" => Err("a monitor's error")?,
            "hang" => loop {
                std::thread::sleep(std::time::Duration::from_secs(1));
            },
            _ => return Ok(None),
        }))
    }
}
