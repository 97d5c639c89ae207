//! Options of a calcjob (`metadata.options`): reading them, and a type's defaults.

use std::collections::BTreeMap;

use ferry_plugin_proto::Value;

use crate::error::Result;

/// Returns the text of an option.
pub(crate) fn text(options: &BTreeMap<String, Value>, name: &str) -> Result<String> {
    let text = options.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(text
        .ok_or_else(|| format!("neither the user nor `CalcJob::options` says what the option `{name}` is"))?)
}

/// Defaults for options that the user does not set: see [`CalcJob::options`](crate::CalcJob::options).
///
/// ```
/// # use ferry_plugin::OptionDefaults;
/// let defaults = OptionDefaults::default().input_filename("pw.in").set("withmpi", true);
/// # assert_eq!(defaults.get("input_filename").and_then(|value| value.as_str()), Some("pw.in"));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OptionDefaults(BTreeMap<String, Value>);

impl OptionDefaults {
    /// Sets the name of the file that the program reads; `ferry calcjob inputcat` shows it.
    #[must_use]
    pub fn input_filename(self, name: &str) -> Self {
        self.set("input_filename", name)
    }

    /// Sets the name of the file that the program writes; `ferry calcjob outputcat` shows it.
    #[must_use]
    pub fn output_filename(self, name: &str) -> Self {
        self.set("output_filename", name)
    }

    /// Sets any option. The engine refuses a plugin whose options it does not know.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Returns the default of an option; `None` if none was set.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(crate) fn into_map(self) -> BTreeMap<String, Value> {
        self.0
    }
}
