//! SQLite's answers: short queries on read-only connections, which never block the writer.

use std::path::Path;

use ferry_plugin_proto::Kind;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{
    Child, ComputerRow, Content, Error, ErrorKind, GateState, Group, Level, Link, Live, LogLine, Node,
    NodeFile, NodeId, NodeKind, Objects, Orphan, PluginRow, Process, ProcessFilter, Reads, Result, Ticket,
    connections::Connections, tree,
};
use crate::process::State;

/// An embedded store, open for reading.
#[derive(Debug)]
pub struct SqliteReader {
    connections: Connections,
    objects: Objects,
}

const NODE: &str =
    "SELECT n.id, n.uuid, n.kind, n.type, n.label, n.description, c.label, n.body, n.created, n.modified
     FROM node n LEFT JOIN computer c ON c.id = n.computer";

const PROCESS: &str = "SELECT p.id, n.uuid, n.type, p.kind, n.label, n.description, p.state, p.paused,
         p.kill_requested, p.plugin, p.status, p.exit_status, p.exit_message, p.job_id, p.scheduler_state,
         p.work_dir, c.label, p.checkpoint, p.version, n.created, n.modified, p.caller, p.call, p.root, p.wake,
         p.woken, p.crashes
     FROM process p JOIN node n ON n.id = p.id LEFT JOIN computer c ON c.id = n.computer";

const PLUGIN: &str =
    "SELECT digest, name, version, origin, bundled, active, manifest, facts, installed FROM plugin";

impl SqliteReader {
    /// Opens a store for reading.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Newer` if a newer ferry made it.
    pub fn open(path: &Path, objects: Objects) -> Result<SqliteReader> {
        Ok(SqliteReader { connections: Connections::open(path)?, objects })
    }

    /// Reads on the writer's own connection.
    #[cfg(feature = "testing")]
    pub(super) fn sharing(connection: super::connections::Shared, objects: Objects) -> SqliteReader {
        SqliteReader { connections: Connections::Shared(connection), objects }
    }

    fn with<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.connections.with(query)
    }

    fn links(&self, end: &str, node: NodeId) -> Result<Vec<Link>> {
        let sql = format!(
            "SELECT source, target, type, label FROM link WHERE {end} = ?1 ORDER BY label, source, target"
        );
        self.with(|db| query_all(db, &sql, [node.0], link))
    }
}

impl Reads for SqliteReader {
    fn node(&self, id: NodeId) -> Result<Node> {
        self.with(|db| {
            db.prepare_cached(&format!("{NODE} WHERE n.id = ?1"))?.query_row([id.0], node).optional()
        })?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "node").message(format!("no node has the id {id}")))
    }

    fn find_node(&self, name: &str) -> Result<Node> {
        if let Ok(id) = name.parse() {
            return self.node(NodeId(id));
        }
        let matches = self.with(|db| {
            let looks_like_uuid = name.len() >= 4 && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
            let (column, pattern) = if looks_like_uuid {
                ("uuid GLOB", format!("{name}*"))
            } else {
                ("label =", name.to_owned())
            };
            let mut found = query_all(db, &format!("{NODE} WHERE n.{column} ?1 LIMIT 5"), [pattern], node)?;
            if found.is_empty() && looks_like_uuid {
                found = query_all(db, &format!("{NODE} WHERE n.label = ?1 LIMIT 5"), [name], node)?;
            }
            Ok(found)
        })?;
        match matches.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Error::new(ErrorKind::NotFound, "node")
                .message(format!("no node has the id, uuid or label `{name}`"))),
            several => {
                let ids: Vec<_> = several.iter().map(|node| format!("{} ({})", node.id, node.uuid)).collect();
                Err(Error::new(ErrorKind::Ambiguous, "node")
                    .message(format!("`{name}` names several nodes: {}", ids.join(", ")))
                    .help("use an id or a longer uuid"))
            }
        }
    }

    fn codes(&self) -> Result<Vec<Node>> {
        self.with(|db| query_all(db, &format!("{NODE} WHERE n.type = 'code' ORDER BY n.id"), [], node))
    }

    fn process(&self, id: NodeId) -> Result<Process> {
        self.with(|db| {
            db.prepare_cached(&format!("{PROCESS} WHERE p.id = ?1"))?.query_row([id.0], process).optional()
        })?
        .ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "process").message(format!("no process has the id {id}"))
        })
    }

    fn processes(&self, filter: &ProcessFilter) -> Result<Vec<Process>> {
        let states: Vec<_> = filter.states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        let states =
            if states.is_empty() { "1".into() } else { format!("p.state IN ({})", states.join(", ")) };
        let sql = format!(
            "SELECT * FROM ({PROCESS} WHERE {states}
                 AND (?1 IS NULL OR n.type = ?1)
                 AND (?2 IS NULL OR n.id IN (SELECT node FROM group_member m JOIN node_group g
                                             ON g.id = m.node_group WHERE g.label = ?2))
             ORDER BY p.id DESC LIMIT ?3) ORDER BY id"
        );
        let limit = filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        self.with(|db| query_all(db, &sql, params![filter.process_type, filter.group, limit], process))
    }

    fn live_processes(&self) -> Result<Vec<Live>> {
        self.with(|db| query_all(db, tree::LIVE, [], tree::live))
    }

    fn place(&self, process: NodeId) -> Result<Option<(NodeId, Kind)>> {
        let sql = "SELECT coalesce(root, id), kind FROM process WHERE id = ?1";
        self.with(|db| {
            db.prepare_cached(sql)?
                .query_row([process.0], |row| {
                    Ok((NodeId(row.get(0)?), parse_kind(&row.get::<_, String>(1)?)))
                })
                .optional()
        })
    }

    fn children(&self, caller: NodeId) -> Result<Vec<Child>> {
        self.with(|db| query_all(db, tree::CHILDREN, [caller.0], tree::child))
    }

    fn live_tree(&self, top: NodeId) -> Result<Vec<NodeId>> {
        self.with(|db| query_all(db, tree::LIVE_TREE, [top.0], |row| row.get(0).map(NodeId)))
    }

    fn orphans(&self) -> Result<Vec<Orphan>> {
        self.with(|db| query_all(db, tree::ORPHANS, [], tree::orphan))
    }

    fn count_processes(&self) -> Result<Vec<(State, u64)>> {
        self.with(|db| {
            query_all(db, "SELECT state, count(*) FROM process GROUP BY state", [], |row| {
                Ok((parse_state(&row.get::<_, String>(0)?), row.get::<_, i64>(1)? as u64))
            })
        })
    }

    fn incoming(&self, node: NodeId) -> Result<Vec<Link>> {
        self.links("target", node)
    }

    fn outgoing(&self, node: NodeId) -> Result<Vec<Link>> {
        self.links("source", node)
    }

    fn logs(&self, process: NodeId) -> Result<Vec<LogLine>> {
        self.with(|db| {
            query_all(
                db,
                "SELECT process, time, level, message FROM log WHERE process = ?1 ORDER BY id",
                [process.0],
                |row| {
                    Ok(LogLine {
                        process: NodeId(row.get(0)?),
                        time: time(row, 1)?,
                        level: Level::read(&row.get::<_, String>(2)?),
                        message: row.get(3)?,
                    })
                },
            )
        })
    }

    fn files(&self, node: NodeId) -> Result<Vec<NodeFile>> {
        self.with(|db| {
            query_all(
                db,
                "SELECT path, digest, size, executable FROM node_file WHERE node = ?1 ORDER BY path",
                [node.0],
                |row| {
                    Ok(NodeFile {
                        path: row.get(0)?,
                        digest: row.get(1)?,
                        size: row.get::<_, i64>(2)? as u64,
                        executable: row.get(3)?,
                    })
                },
            )
        })
    }

    fn object(&self, digest: &str) -> Result<Content> {
        let (size, bytes) = self
            .with(|db| {
                db.prepare_cached("SELECT size, bytes FROM object WHERE digest = ?1")?
                    .query_row([digest], |row| {
                        Ok((row.get::<_, i64>(0)? as u64, row.get::<_, Option<Vec<u8>>>(1)?))
                    })
                    .optional()
            })?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "object").with("digest", digest))?;
        Ok(bytes.map_or_else(|| Content::Object { digest: digest.to_owned(), size }, Content::Inline))
    }

    fn open_object(&self, digest: &str) -> Result<Box<dyn std::io::Read + Send>> {
        match self.object(digest)? {
            Content::Inline(bytes) => Ok(Box::new(std::io::Cursor::new(bytes))),
            Content::Object { digest, .. } => {
                let path = self.objects.path(&digest);
                std::fs::File::open(&path).map(|file| Box::new(file) as _).map_err(|source| {
                    Error::new(ErrorKind::Corrupt, "open object").with("path", path.display()).source(source)
                })
            }
        }
    }

    fn objects(&self) -> &Objects {
        &self.objects
    }

    fn computers(&self) -> Result<Vec<ComputerRow>> {
        self.with(|db| {
            query_all(db, "SELECT id, uuid, config, created FROM computer ORDER BY label", [], |row| {
                Ok(ComputerRow {
                    id: row.get(0)?,
                    uuid: uuid(row, 1)?,
                    config: json(row, 2)?,
                    created: time(row, 3)?,
                })
            })
        })
    }

    fn tickets(&self, computer: &str) -> Result<Vec<Ticket>> {
        let sql = "SELECT process, token, queued FROM ticket WHERE computer = ?1 ORDER BY process";
        self.with(|db| {
            query_all(db, sql, [computer], |row| {
                Ok(Ticket { process: NodeId(row.get(0)?), token: row.get(1)?, queued: row.get(2)? })
            })
        })
    }

    fn gate(&self, computer: &str) -> Result<Option<GateState>> {
        let sql = "SELECT state FROM gate WHERE computer = ?1";
        self.with(|db| db.query_row(sql, [computer], |row| json(row, 0)).optional())
    }

    fn groups(&self) -> Result<Vec<Group>> {
        self.with(|db| {
            query_all(
                db,
                "SELECT id, uuid, label, description, created,
                     (SELECT count(*) FROM group_member WHERE node_group = id)
                 FROM node_group ORDER BY label",
                [],
                |row| {
                    Ok(Group {
                        id: row.get(0)?,
                        uuid: uuid(row, 1)?,
                        label: row.get(2)?,
                        description: row.get(3)?,
                        created: time(row, 4)?,
                        count: row.get::<_, i64>(5)? as u64,
                    })
                },
            )
        })
    }

    fn members(&self, group: &str) -> Result<Vec<Node>> {
        let sql = format!(
            "{NODE} JOIN group_member m ON m.node = n.id JOIN node_group g ON g.id = m.node_group
             WHERE g.label = ?1 ORDER BY n.id"
        );
        self.with(|db| query_all(db, &sql, [group], node))
    }

    fn plugins(&self) -> Result<Vec<PluginRow>> {
        self.with(|db| query_all(db, &format!("{PLUGIN} ORDER BY active DESC, bundled, name"), [], plugin))
    }

    fn plugin(&self, digest: &str) -> Result<PluginRow> {
        self.with(|db| {
            let sql = format!("{PLUGIN} WHERE digest = ?1");
            db.prepare_cached(&sql)?.query_row([digest], plugin).optional()
        })?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "plugin").with("digest", digest))
    }

    fn settings(&self) -> Result<Vec<(String, String)>> {
        self.with(|db| {
            query_all(db, "SELECT key, value FROM setting ORDER BY key", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })
    }

    fn setting(&self, key: &str) -> Result<Option<String>> {
        self.with(|db| {
            db.query_row("SELECT value FROM setting WHERE key = ?1", [key], |row| row.get(0)).optional()
        })
    }
}

fn query_all<T, P: rusqlite::Params>(
    db: &Connection,
    sql: &str,
    params: P,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map(params, read)?.collect()
}

fn node(row: &Row<'_>) -> rusqlite::Result<Node> {
    let kind: String = row.get(2)?;
    Ok(Node {
        id: NodeId(row.get(0)?),
        uuid: uuid(row, 1)?,
        kind: if kind == "data" { NodeKind::Data } else { NodeKind::Process },
        node_type: row.get(3)?,
        label: row.get(4)?,
        description: row.get(5)?,
        computer: row.get(6)?,
        body: json(row, 7)?,
        created: time(row, 8)?,
        modified: time(row, 9)?,
    })
}

fn process(row: &Row<'_>) -> rusqlite::Result<Process> {
    Ok(Process {
        id: NodeId(row.get(0)?),
        uuid: uuid(row, 1)?,
        process_type: row.get(2)?,
        kind: parse_kind(&row.get::<_, String>(3)?),
        label: row.get(4)?,
        description: row.get(5)?,
        state: parse_state(&row.get::<_, String>(6)?),
        paused: row.get(7)?,
        kill_requested: row.get::<_, i64>(8)? > 0,
        kill_forced: row.get::<_, i64>(8)? > 1,
        plugin: row.get(9)?,
        status: row.get(10)?,
        exit_status: row.get(11)?,
        exit_message: row.get(12)?,
        job_id: row.get(13)?,
        scheduler_state: row.get(14)?,
        work_dir: row.get(15)?,
        computer: row.get(16)?,
        checkpoint: row.get(17)?,
        version: row.get(18)?,
        created: time(row, 19)?,
        modified: time(row, 20)?,
        caller: row.get::<_, Option<i64>>(21)?.map(NodeId),
        call: row.get(22)?,
        root: NodeId(row.get::<_, Option<i64>>(23)?.map_or_else(|| row.get(0), Ok)?),
        wake: optional_time(row, 24)?,
        woken: row.get(25)?,
        crashes: row.get(26)?,
    })
}

fn link(row: &Row<'_>) -> rusqlite::Result<Link> {
    let word: String = row.get(2)?;
    Ok(Link {
        source: NodeId(row.get(0)?),
        target: NodeId(row.get(1)?),
        link_type: word.parse().map_err(|error: String| unreadable(2, error))?,
        label: row.get(3)?,
    })
}

fn plugin(row: &Row<'_>) -> rusqlite::Result<PluginRow> {
    Ok(PluginRow {
        digest: row.get(0)?,
        name: row.get(1)?,
        version: row.get(2)?,
        origin: row.get(3)?,
        bundled: row.get(4)?,
        active: row.get(5)?,
        manifest: json(row, 6)?,
        facts: json(row, 7)?,
        installed: time(row, 8)?,
    })
}

pub(super) fn unreadable(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}

pub(super) fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error: uuid::Error| unreadable(column, error))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| unreadable(column, error))
}

pub(super) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(column)?;
    micros.map(|_| time(row, column)).transpose()
}

pub(super) fn parse_state(word: &str) -> State {
    State::read(word).unwrap_or(State::Excepted)
}

pub(super) fn parse_kind(word: &str) -> Kind {
    [Kind::CalcFunction, Kind::CalcJob, Kind::WorkFunction, Kind::WorkChain]
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .unwrap_or(Kind::Unknown)
}
