//! The kinds of schedulers that a program knows: their names, the settings that they read, and how one is made for a
//! computer.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize as _, de::DeserializeOwned};

use super::{Allocation, Error, ErrorKind, Result, Scheduler};
use crate::{computer::Computer, transport::Setting};

/// Makes a kind of scheduler for computers.
pub trait Factory: fmt::Debug + Send + Sync + 'static {
    /// Returns its name in computer files. Names that begin with `core.` are ferry's own. Any other belongs to its
    /// author, who begins it with a word of their own, as in `mysite.pbs`.
    fn name(&self) -> &'static str;

    /// Returns the settings of a computer that it reads ([`setting`]), beside those that every
    /// computer has.
    fn settings(&self) -> &'static [Setting] {
        &[]
    }

    /// Returns the environment of its allocations, in which a user may run ferry itself. By default there is none.
    fn allocation(&self) -> Option<Allocation> {
        None
    }

    /// Makes the scheduler of a computer. It is called for each piece of work, and when a computer is set up: it
    /// must be quick, and opens nothing.
    ///
    /// # Errors
    /// `Permanent` for a setting that does not fit, naming its key.
    fn make(&self, computer: &Computer) -> Result<Arc<dyn Scheduler>>;
}

/// Reads one of the scheduler's own settings; `None` if the computer has it not.
///
/// # Errors
/// `Permanent` if the value is not of that type, naming the key.
pub fn setting<T: DeserializeOwned>(computer: &Computer, key: &str) -> Result<Option<T>> {
    let Some(value) = computer.scheduler_settings.get(key) else { return Ok(None) };
    Option::deserialize(value).map_err(|error| {
        Error::new(ErrorKind::Permanent, "settings")
            .message(format!("{key}: `{value}` does not fit: {error}"))
    })
}

/// A kind of scheduler that reads no settings: one value serves all computers.
#[derive(Debug, Clone)]
pub struct Ready {
    name: &'static str,
    scheduler: Arc<dyn Scheduler>,
    allocation: Option<Allocation>,
}

impl Ready {
    /// Makes the factory of this scheduler.
    pub fn new(name: &'static str, scheduler: impl Scheduler) -> Ready {
        Ready { name, scheduler: Arc::new(scheduler), allocation: None }
    }

    /// Declares the environment of its allocations.
    #[must_use]
    pub fn allocation(self, allocation: Allocation) -> Ready {
        Ready { allocation: Some(allocation), ..self }
    }
}

impl Factory for Ready {
    fn name(&self) -> &'static str {
        self.name
    }

    fn allocation(&self) -> Option<Allocation> {
        self.allocation
    }

    fn make(&self, _: &Computer) -> Result<Arc<dyn Scheduler>> {
        Ok(self.scheduler.clone())
    }
}

/// The schedulers that a program knows.
#[derive(Debug, Clone, Default)]
pub struct Schedulers {
    factories: BTreeMap<&'static str, Arc<dyn Factory>>,
}

impl Schedulers {
    /// Knows these schedulers and no others.
    pub fn new(factories: impl IntoIterator<Item = Arc<dyn Factory>>) -> Self {
        Schedulers { factories: factories.into_iter().map(|factory| (factory.name(), factory)).collect() }
    }

    /// Returns the names of the known ones.
    pub fn names(&self) -> Vec<&'static str> {
        self.factories.keys().copied().collect()
    }

    /// Returns all of them, in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Factory>> {
        self.factories.values()
    }

    /// Returns the environments of allocations that they declare. Whatever scheduler a job goes to, it leaves all
    /// of them.
    pub fn allocations(&self) -> Vec<Allocation> {
        self.all().filter_map(|factory| factory.allocation()).collect()
    }

    /// Returns the factory of a name. `slurm` stands for `core.slurm`, if there is one: that is the stored form.
    ///
    /// # Errors
    /// `Permanent`, listing the known ones.
    pub fn factory(&self, name: &str) -> Result<&Arc<dyn Factory>> {
        let own = if name.contains('.') { None } else { self.factories.get(format!("core.{name}").as_str()) };
        own.or_else(|| self.factories.get(name)).ok_or_else(|| {
            Error::new(ErrorKind::Permanent, "scheduler")
                .message(format!("no scheduler is called `{name}`"))
                .help(format!("this ferry has: {}", self.names().join(", ")))
        })
    }

    /// Makes the scheduler of a computer.
    ///
    /// # Errors
    /// `Permanent` if it is not known, or for a setting that does not fit.
    pub fn of(&self, computer: &Computer) -> Result<Arc<dyn Scheduler>> {
        self.factory(&computer.scheduler)?.make(computer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kind that reads one setting, and makes nothing.
    #[derive(Debug)]
    struct Named(&'static str);

    impl Factory for Named {
        fn name(&self) -> &'static str {
            self.0
        }

        fn settings(&self) -> &'static [Setting] {
            &[Setting { key: "slots", help: "jobs at once" }]
        }

        fn make(&self, computer: &Computer) -> Result<Arc<dyn Scheduler>> {
            let slots = setting::<u32>(computer, "slots")?;
            Err(Error::new(ErrorKind::Permanent, "test").message(format!("{} {slots:?}", self.0)))
        }
    }

    fn said(name: &str, settings: serde_json::Value) -> String {
        let names = ["core.slurm", "core.direct", "mysite.pbs", "slurm", "other"];
        let known = Schedulers::new(names.map(|name| Arc::new(Named(name)) as Arc<dyn Factory>));
        let serde_json::Value::Object(scheduler_settings) = settings else {
            panic!("settings are an object")
        };
        let computer = Computer { scheduler: name.into(), scheduler_settings, ..Computer::default() };
        known.of(&computer).unwrap_err().explained()
    }

    #[test]
    fn a_name_is_its_author_s_and_core_is_ferry_s() {
        let none = serde_json::json!({});
        for (name, found) in [
            ("core.slurm", "core.slurm"),
            // The stored form, which another's name can't take.
            ("slurm", "core.slurm"),
            ("direct", "core.direct"),
            ("mysite.pbs", "mysite.pbs"),
            ("other", "other"),
        ] {
            assert_eq!(said(name, none.clone()), format!("{found} None"), "{name}");
        }
        for name in ["pbs", "core.pbs", "core.other", "mysite.slurm", ""] {
            let list = "this ferry has: core.direct, core.slurm, mysite.pbs, other, slurm";
            assert_eq!(said(name, none.clone()), format!("no scheduler is called `{name}` ({list})"));
        }
    }

    #[test]
    fn a_scheduler_reads_its_settings_and_says_which_does_not_fit() {
        assert_eq!(said("mysite.pbs", serde_json::json!({"slots": 4})), "mysite.pbs Some(4)");
        assert_eq!(said("mysite.pbs", serde_json::json!({"slots": null})), "mysite.pbs None");
        let wrong = said("mysite.pbs", serde_json::json!({"slots": "many"}));
        assert!(
            wrong.starts_with("slots: `\"many\"` does not fit: invalid type: string \"many\""),
            "{wrong}"
        );
    }
}
