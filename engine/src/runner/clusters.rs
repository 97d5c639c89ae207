//! Which clusters of a computer have jobs, beside its home cluster. Where there are any, a controller that does not
//! answer is the trouble of its own cluster alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

/// The other clusters in use, by computer.
#[derive(Debug, Default)]
pub(super) struct Clusters(Mutex<BTreeMap<String, BTreeSet<String>>>);

impl Clusters {
    /// Notes whether a cluster has jobs.
    pub(super) fn set(&self, computer: &str, cluster: &str, is_used: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = all.entry(computer.to_owned()).or_default();
        if is_used {
            used.insert(cluster.to_owned());
        } else {
            used.remove(cluster);
        }
    }

    /// Whether any cluster but the home cluster has jobs.
    pub(super) fn any(&self, computer: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(computer).is_some_and(|used| !used.is_empty())
    }
}
