//! The names of a job: its id, which may name a cluster, and the token that it was submitted with.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The id of a job in its scheduler. The direct scheduler's holds host, boot, pid and start time.
///
/// Where one scheduler has several clusters, an id may name one: `ID;CLUSTER`. An id without a cluster is one of
/// the *home* cluster, which the scheduler's commands address by default. The *normal* form names a cluster only
/// where it is another one.
///
/// ```
/// use ferry_engine_core::scheduler::JobId;
///
/// let id = JobId("2;beta".into());
/// assert_eq!((id.number(), id.cluster()), ("2", Some("beta")));
/// assert_eq!(id.normal(Some("beta")), JobId("2".into()));
/// assert!(id.is_same(&JobId("2".into()), Some("beta")));
/// assert!(!id.is_same(&JobId("2".into()), Some("alpha")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub String);

impl JobId {
    /// Makes an id in a cluster; without a cluster, one of the home cluster.
    pub fn in_cluster(number: &str, cluster: Option<&str>) -> JobId {
        JobId(cluster.map_or_else(|| number.to_owned(), |cluster| format!("{number};{cluster}")))
    }

    /// Returns the id without its cluster, as the scheduler's commands take it.
    pub fn number(&self) -> &str {
        self.0.split_once(';').map_or(&self.0, |(number, _)| number)
    }

    /// Returns the cluster that it names.
    pub fn cluster(&self) -> Option<&str> {
        self.0.split_once(';').map(|(_, cluster)| cluster)
    }

    /// Returns the form in which ids are stored and shown: without a cluster where that is the home cluster.
    #[must_use]
    pub fn normal(&self, home: Option<&str>) -> JobId {
        JobId::in_cluster(self.number(), self.cluster().filter(|cluster| Some(*cluster) != home))
    }

    /// Returns whether both name one job. Where the home cluster is not known, an id without a cluster may be any
    /// cluster's. Compare such ids only beside the same token.
    pub fn is_same(&self, other: &JobId, home: Option<&str>) -> bool {
        let clusters = (self.cluster().or(home), other.cluster().or(home));
        self.number() == other.number()
            && match clusters {
                (Some(one), Some(another)) => one == another,
                _ => true,
            }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A job to ask about. Schedulers forget and reuse ids, so a job is ours only beside a *witness*: its name or
/// comment bears the token, or it works in the directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobRef {
    /// Its id.
    pub id: JobId,
    /// The token it was submitted with.
    pub token: String,
    /// Its work directory.
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &str, another: &str, home: Option<&str>, expect: bool) {
        let (one, another) = (JobId(one.into()), JobId(another.into()));
        assert_eq!(one.is_same(&another, home), expect, "{one} {another} {home:?}");
        assert_eq!(another.is_same(&one, home), expect, "{another} {one} {home:?}");
    }

    #[test]
    fn the_home_cluster_need_not_be_named() {
        check("2", "2;alpha", Some("alpha"), true);
        check("2", "2;beta", Some("alpha"), false);
        check("2;alpha", "2;beta", Some("alpha"), false);
        check("2;beta", "2;beta", Some("alpha"), true);
        check("2", "3", Some("alpha"), false);
        // Where the home cluster is not known yet.
        check("2", "2;alpha", None, true);
        check("2;alpha", "2;beta", None, false);
    }

    #[test]
    fn ids_of_other_schedulers_are_whole() {
        let direct = JobId("node:boot:17:99".into());
        assert_eq!((direct.number(), direct.cluster()), ("node:boot:17:99", None));
        assert_eq!(direct.normal(Some("alpha")), direct);
    }
}
