//! The check of a store: that everything stored is still there and consistent.

use rusqlite::Connection;

use crate::{
    database::{connections::for_reading, row::query_all},
    error::Result,
    sqlite::reader::SqliteReader,
};

/// Most lines that one rule reports.
const LINES: usize = 100;

/// A problem found in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the violated rule.
    pub rule: &'static str,
    /// Description of the violation.
    pub what: String,
}

/// Rules about rows: a name, and a query that returns a line for each row that violates the rule.
const RULES: &[(&str, &str)] = &[
    (
        // As the CHECK constraints of the tables, which SQLite ignores on a read-only connection.
        "word",
        "SELECT 'process ' || id || ' has the unknown state `' || state || '`' FROM process
         WHERE state NOT IN ('created', 'running', 'waiting', 'finished', 'excepted', 'killed')
         UNION ALL
         SELECT 'node ' || id || ' has the unknown kind `' || kind || '`' FROM node WHERE kind NOT IN ('data', 'process')
         UNION ALL
         SELECT 'the link from ' || source || ' to ' || target || ' has the unknown type `' || type || '`' FROM link
         WHERE type NOT IN ('input_calc', 'input_work', 'create', 'return', 'call_calc', 'call_work')",
    ),
    ("owner", "SELECT 'the row of the owner is missing' WHERE NOT EXISTS (SELECT 1 FROM owner)"),
    (
        "process",
        "SELECT 'node ' || n.id || ' is a process without a process row' FROM node n
         WHERE n.kind = 'process' AND NOT EXISTS (SELECT 1 FROM process p WHERE p.id = n.id)
         UNION ALL
         SELECT 'process ' || p.id || ' has a node of data' FROM process p JOIN node n ON n.id = p.id
         WHERE n.kind <> 'process'",
    ),
    (
        "end",
        "SELECT 'process ' || id || ' is finished without an exit status' FROM process
         WHERE state = 'finished' AND exit_status IS NULL
         UNION ALL
         SELECT 'process ' || t.process || ' has ended and still holds a ticket of ' || t.computer
         FROM ticket t JOIN process p ON p.id = t.process WHERE p.state IN ('finished', 'excepted', 'killed')
         UNION ALL
         SELECT 'process ' || id || ' has ended and still has a timer' FROM process
         WHERE wake IS NOT NULL AND state IN ('finished', 'excepted', 'killed')",
    ),
    (
        "json",
        "SELECT 'node ' || id || ' has a value that is not JSON' FROM node WHERE NOT json_valid(body)
         UNION ALL
         SELECT 'process ' || id || ' has a checkpoint that is not JSON' FROM process
         WHERE checkpoint IS NOT NULL AND NOT json_valid(checkpoint)
         UNION ALL
         SELECT 'process ' || id || ' has attempts that are not JSON' FROM process
         WHERE attempts IS NOT NULL AND NOT json_valid(attempts)",
    ),
    (
        "link",
        "SELECT 'the ' || l.type || ' link `' || l.label || '` from node ' || l.source || ' to node ' || l.target
             || ' joins the wrong kinds of node'
         FROM link l JOIN node s ON s.id = l.source JOIN node t ON t.id = l.target
             LEFT JOIN process sp ON sp.id = l.source LEFT JOIN process tp ON tp.id = l.target
         WHERE s.kind <> CASE WHEN l.type IN ('input_calc', 'input_work') THEN 'data' ELSE 'process' END
            OR t.kind <> CASE WHEN l.type IN ('create', 'return') THEN 'data' ELSE 'process' END
            OR (l.type = 'create') AND sp.kind IN ('workchain', 'workfunction')
            OR (l.type IN ('return', 'call_calc', 'call_work')) AND sp.kind NOT IN ('workchain', 'workfunction')
            OR (l.type IN ('input_calc', 'call_calc')) AND tp.kind IN ('workchain', 'workfunction')
            OR (l.type IN ('input_work', 'call_work')) AND tp.kind NOT IN ('workchain', 'workfunction')
         UNION ALL
         SELECT 'node ' || source || ' is linked to itself' FROM link WHERE source = target",
    ),
    (
        "degree",
        "SELECT 'process ' || target || ' has two inputs `' || label || '`' FROM link NOT INDEXED
         WHERE type IN ('input_calc', 'input_work') GROUP BY target, label HAVING count(*) > 1
         UNION ALL
         SELECT 'process ' || source || ' has two outputs `' || label || '`' FROM link NOT INDEXED
         WHERE type IN ('create', 'return') GROUP BY source, label HAVING count(*) > 1
         UNION ALL
         SELECT 'node ' || target || ' has two creators' FROM link NOT INDEXED
         WHERE type = 'create' GROUP BY target HAVING count(*) > 1
         UNION ALL
         SELECT 'process ' || target || ' has two callers' FROM link NOT INDEXED
         WHERE type IN ('call_calc', 'call_work') GROUP BY target HAVING count(*) > 1",
    ),
    (
        "caller",
        "SELECT 'process ' || p.id || ' has no link from its caller ' || p.caller FROM process p
         WHERE p.caller IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM link l
             WHERE l.source = p.caller AND l.target = p.id AND l.type IN ('call_calc', 'call_work'))",
    ),
    (
        "object",
        "SELECT 'file `' || f.path || '` of node ' || f.node || ' and its object differ in size'
         FROM node_file f JOIN object o ON o.digest = f.digest WHERE o.size <> f.size
         UNION ALL
         SELECT 'object ' || digest || ' does not have its recorded size' FROM object
         WHERE bytes IS NOT NULL AND length(bytes) <> size",
    ),
];

impl SqliteReader {
    /// Checks the store for problems: SQLite's own structures, references, the rules of links and ends, and that
    /// the bytes of every object exist. With `full` it also checks that the bytes are those that were stored.
    ///
    /// Reads from one snapshot while the owner continues.
    ///
    /// # Errors
    /// Fails if the store can't be opened. Damage inside it is a finding.
    pub fn check(&self, full: bool) -> Result<Vec<Finding>> {
        let mut findings = self.with_snapshot(|db| {
            let mut findings = structure(db, full);
            for (rule, sql) in RULES {
                findings.extend(broken(db, rule, sql));
            }
            findings
        })?;
        findings.extend(self.objects_broken(full)?);
        Ok(findings)
    }

    fn with_snapshot<T>(&self, look: impl FnOnce(&Connection) -> T) -> Result<T> {
        match self.path() {
            Some(path) => {
                let mut db = for_reading(path)?;
                let tx = db.transaction()?;
                Ok(look(&tx))
            }
            None => self.with(|db| Ok(look(db))),
        }
    }
}

/// Runs SQLite's own check. `quick_check` does not verify that indexes and tables agree.
fn structure(db: &Connection, full: bool) -> Vec<Finding> {
    let look = if full { "integrity_check" } else { "quick_check" };
    let judge = |table: &str| -> Vec<Finding> {
        let findings = broken(db, "database", &format!("PRAGMA {look}{table}"));
        findings.into_iter().filter(|finding| finding.what != "ok").collect()
    };
    let mut findings = judge("");
    if !findings.is_empty() {
        // SQLite's findings name pages, or nothing at all. For a repair it is more useful to know the tables.
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
        let tables = query_all(db, tables, [], |row| row.get::<_, String>(0)).unwrap_or_default();
        for table in tables {
            for finding in judge(&format!("('{}')", table.replace('\'', "''"))) {
                let what = format!("table `{table}`: {}", finding.what);
                findings.push(Finding { what, ..finding });
            }
        }
    }
    let sql =
        "SELECT 'row ' || coalesce(rowid, '?') || ' of `' || \"table\" || '` refers to a row of `' || parent
                   || '` that is not there' FROM pragma_foreign_key_check";
    findings.extend(broken(db, "reference", sql));
    findings
}

/// Runs a rule's query. A query that fails is a finding itself.
fn broken(db: &Connection, rule: &'static str, sql: &str) -> Vec<Finding> {
    let lines = query_all(db, sql, [], |row| row.get::<_, String>(0));
    match lines {
        Ok(lines) => {
            let more = lines.len().saturating_sub(LINES);
            let rest = (more > 0).then(|| format!("and {more} more"));
            lines.into_iter().take(LINES).chain(rest).map(|what| Finding { rule, what }).collect()
        }
        Err(error) => vec![Finding { rule, what: format!("it can't be checked: {error}") }],
    }
}
