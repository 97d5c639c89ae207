//! The clusters of a computer that have jobs, beside its home cluster. If there are any, a controller that does
//! not answer affects its own cluster alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;

use super::SchedulerTrouble;
use crate::clock;

/// A computer, and a cluster of it that is not its home cluster.
type Place = (String, Option<String>);

/// The other clusters in use, by computer, and the clusters whose queue can't be listed.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    used: Mutex<BTreeMap<String, BTreeSet<String>>>,
    silent: Mutex<BTreeMap<Place, (Timestamp, String)>>,
}

impl Clusters {
    /// Records whether a cluster has jobs.
    pub(crate) fn set(&self, computer: &str, cluster: &str, is_used: bool) {
        let mut all = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let used = all.entry(computer.to_owned()).or_default();
        if is_used {
            used.insert(cluster.to_owned());
        } else {
            used.remove(cluster);
        }
    }

    /// Returns whether any cluster but the home cluster has jobs.
    pub(crate) fn any(&self, computer: &str) -> bool {
        let all = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(computer).is_some_and(|used| !used.is_empty())
    }

    /// Records that the queue of a cluster can't be listed; `None` is the home cluster.
    pub(crate) fn failed(&self, computer: &str, cluster: Option<&str>, error: String) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (computer.to_owned(), cluster.map(str::to_owned));
        silent.entry(place).or_insert_with(|| (clock::now(), String::new())).1 = error;
    }

    /// Records that the cluster has answered, or is not asked any more.
    pub(crate) fn answered(&self, computer: &str, cluster: Option<&str>) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.remove(&(computer.to_owned(), cluster.map(str::to_owned)));
    }

    /// Returns the clusters that do not answer.
    pub(crate) fn silent(&self) -> Vec<SchedulerTrouble> {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble =
            |((computer, cluster), (since, error)): (&(String, Option<String>), &(Timestamp, String))| {
                SchedulerTrouble {
                    computer: computer.clone(),
                    cluster: cluster.clone(),
                    since: since.to_string(),
                    message: error.clone(),
                    held: 0,
                }
            };
        silent.iter().map(trouble).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_told_with_the_time_of_its_first_silence() {
        let clusters = Clusters::default();
        clusters.failed("far", None, "a".into());
        let first = clusters.silent();
        clusters.failed("far", None, "b".into());
        clusters.failed("far", Some("beta"), "c".into());
        let told = clusters.silent();
        assert_eq!(told.iter().map(|one| &*one.message).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(told[0].since, first[0].since);
        clusters.answered("far", None);
        assert_eq!(clusters.silent().len(), 1);
    }
}
