//! The transports and schedulers of this program, and the settings that they read.

use std::sync::Arc;

use ferry_engine::{
    owner::Builder,
    scheduler::{self, Schedulers},
    transport::{self, Setting, Transports},
};

use super::keys;
use crate::config_file::Keys;

/// The transports and schedulers of this program.
pub(crate) struct Known {
    pub(super) transports: Transports,
    pub(super) schedulers: Schedulers,
    /// The settings that each of them reads, by its name.
    settings: Vec<(&'static str, &'static [Setting])>,
}

impl Known {
    /// Knows these.
    pub(crate) fn new(
        transports: &[Arc<dyn transport::Factory>],
        schedulers: &[Arc<dyn scheduler::Factory>],
    ) -> Known {
        let of_transports = transports.iter().map(|factory| (factory.name(), factory.settings()));
        let of_schedulers = schedulers.iter().map(|factory| (factory.name(), factory.settings()));
        Known {
            settings: of_transports.chain(of_schedulers).collect(),
            transports: Transports::new(transports.iter().cloned()),
            schedulers: Schedulers::new(schedulers.iter().cloned()),
        }
    }

    /// Knows those of a builder.
    pub(super) fn of(builder: &Builder) -> Known {
        Known::new(&builder.transports, &builder.schedulers)
    }

    /// Returns all keys that a file may hold: the command's, and those that a known transport or scheduler reads.
    pub(super) fn names<K: Keys>(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = K::KEYS.iter().map(|key| key.name).collect();
        for setting in self.settings.iter().flat_map(|(_, settings)| settings.iter()) {
            if !names.contains(&setting.key) {
                names.push(setting.key);
            }
        }
        names
    }

    /// Returns help on the settings that have no flag; `None` if there are none.
    pub(super) fn only_in_files(&self) -> Option<String> {
        let lines = self.settings.iter().flat_map(|(of, settings)| {
            let without_flag = settings.iter().filter(|setting| keys::key(setting.key).is_none());
            without_flag.map(move |setting| format!("\n  {:<18}  {} ({of})", setting.key, setting.help))
        });
        let text: String = lines.collect();
        (!text.is_empty()).then(|| format!("Further keys of a file:{text}"))
    }
}

#[cfg(test)]
mod tests {
    use ferry_engine::{computer::Computer, scheduler::Scheduler};

    use super::*;

    #[derive(Debug)]
    struct Pbs;

    impl scheduler::Factory for Pbs {
        fn name(&self) -> &'static str {
            "mysite.pbs"
        }

        fn settings(&self) -> &'static [Setting] {
            &[Setting { key: "server", help: "the server" }, Setting { key: "timeout", help: "s" }]
        }

        fn make(&self, computer: &Computer) -> scheduler::Result<Arc<dyn Scheduler>> {
            Schedulers::default().of(computer)
        }
    }

    #[test]
    fn a_scheduler_s_own_settings_are_accepted_and_shown() {
        let known = Known::new(&[], &[Arc::new(Pbs)]);
        let names = known.names::<keys::SetupKeys>();
        assert_eq!(names.iter().filter(|name| **name == "server").count(), 1);
        assert_eq!(names.iter().filter(|name| **name == "timeout").count(), 1, "a key with a flag");
        let help = "Further keys of a file:\n  server              the server (mysite.pbs)";
        assert_eq!(known.only_in_files().as_deref(), Some(help));
        assert_eq!(Known::new(&[], &[]).only_in_files(), None);
    }
}
