//! The SQL of lists. It has only the conditions that are requested, since SQLite chooses its index by them.

use jiff::Timestamp;
use rusqlite::types::Value as Sql;

use crate::{
    records::NodeKind,
    tables::{nodes::SELECT as NODE, processes::SELECT as PROCESS},
};
use ferry_engine_core::process::State;

/// The conditions of a list of processes. All must hold.
#[derive(Debug, Clone, Default)]
pub struct ProcessFilter {
    /// One of these states; empty: any state.
    pub states: Vec<State>,
    /// Membership in this group.
    pub group: Option<String>,
    /// This type; `*`, `?` and `[...]` are wildcards.
    pub process_type: Option<String>,
    /// This label; `*`, `?` and `[...]` are wildcards.
    pub label: Option<String>,
    /// Creation at this time or later.
    pub since: Option<Timestamp>,
    /// An end with this exit status.
    pub exit_status: Option<u32>,
    /// True for processes that finished with a non-zero exit status.
    pub failed: bool,
    /// True for processes that are paused and have not ended.
    pub paused: bool,
    /// Greatest number of processes; the newest are returned.
    pub limit: Option<usize>,
}

/// The conditions of a list of nodes. All must hold.
#[derive(Debug, Clone, Default)]
pub struct NodeFilter {
    /// Data, or processes.
    pub kind: Option<NodeKind>,
    /// This type; `*`, `?` and `[...]` are wildcards.
    pub node_type: Option<String>,
    /// This label; `*`, `?` and `[...]` are wildcards.
    pub label: Option<String>,
    /// Membership in this group.
    pub group: Option<String>,
    /// Creation at this time or later.
    pub since: Option<Timestamp>,
    /// Greatest number of nodes; the newest are returned.
    pub limit: Option<usize>,
}

/// Conditions, and the values of their placeholders in order.
#[derive(Default)]
struct Conditions {
    words: Vec<String>,
    values: Vec<Sql>,
}

impl Conditions {
    /// Adds a condition with one placeholder for each value. `words` must not come from a user.
    fn add(&mut self, words: impl Into<String>, value: Option<Sql>) {
        self.words.push(words.into());
        self.values.extend(value);
    }

    fn flag(&mut self, words: &str, wanted: bool) {
        if wanted {
            self.add(words, None);
        }
    }

    fn member(&mut self, of: &str, group: Option<&String>) {
        if let Some(group) = group {
            let members = "SELECT m.node FROM group_member m JOIN node_group g ON g.id = m.node_group
                           WHERE g.label = ?";
            self.add(format!("{of} IN ({members})"), Some(Sql::from(group.clone())));
        }
    }

    /// Adds a condition on a text that may contain `*`, `?` and `[...]`.
    fn pattern(&mut self, column: &str, pattern: Option<&String>) {
        if let Some(pattern) = pattern {
            let same = if pattern.contains(['*', '?', '[']) { "GLOB" } else { "=" };
            self.add(format!("{column} {same} ?"), Some(Sql::from(pattern.clone())));
        }
    }

    fn since(&mut self, since: Option<Timestamp>) {
        if let Some(since) = since {
            self.add("n.created >= ?", Some(Sql::from(since.as_microsecond())));
        }
    }

    /// Returns the query for the newest rows, oldest first.
    fn newest(self, select: &str, by: &str, limit: Option<usize>) -> (String, Vec<Sql>) {
        let Conditions { mut words, mut values } = self;
        words.insert(0, "1".into());
        values.push(Sql::from(limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX))));
        let conditions = words.join(" AND ");
        let sql =
            format!("SELECT * FROM ({select} WHERE {conditions} ORDER BY {by} DESC LIMIT ?) ORDER BY id");
        (sql, values)
    }
}

/// Returns the query for a list of processes. The words of states are ferry's own.
pub(crate) fn processes(filter: &ProcessFilter) -> (String, Vec<Sql>) {
    let mut conditions = Conditions::default();
    if let Some(states) = of_states(&filter.states) {
        conditions.add(states, None);
    }
    conditions.pattern("n.type", filter.process_type.as_ref());
    conditions.member("p.id", filter.group.as_ref());
    conditions.pattern("n.label", filter.label.as_ref());
    conditions.since(filter.since);
    if let Some(status) = filter.exit_status {
        conditions.add("p.exit_status = ?", Some(Sql::from(status)));
    }
    conditions.flag("p.state = 'finished' AND p.exit_status <> 0", filter.failed);
    conditions.flag("p.paused AND p.state IN ('created', 'running', 'waiting')", filter.paused);
    // Both are the same number, but with the column of the node table an index of types is in order, and needs no
    // sort.
    let by = if filter.process_type.is_some() && filter.states.is_empty() { "n.id" } else { "p.id" };
    conditions.newest(PROCESS, by, filter.limit)
}

/// Returns the condition on states. One state, or the states of live processes, are found by an index. Rows in
/// other states are found soon in a scan from the newest; with an index all of them would have to be sorted.
fn of_states(states: &[State]) -> Option<String> {
    let words: Vec<_> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
    let few = states.len() == 1 || states.iter().all(|state| !state.is_terminal());
    let index = if few { "" } else { "+" };
    (!words.is_empty()).then(|| format!("{index}p.state IN ({})", words.join(", ")))
}

pub(crate) fn nodes(filter: &NodeFilter) -> (String, Vec<Sql>) {
    let mut conditions = Conditions::default();
    conditions.flag("n.kind = 'data'", filter.kind == Some(NodeKind::Data));
    conditions.flag("n.kind = 'process'", filter.kind == Some(NodeKind::Process));
    conditions.pattern("n.type", filter.node_type.as_ref());
    conditions.member("n.id", filter.group.as_ref());
    conditions.pattern("n.label", filter.label.as_ref());
    conditions.since(filter.since);
    conditions.newest(NODE, "n.id", filter.limit)
}
