//! Queries of the SQLite store, short and on read-only connections, which never block the writer.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ferry_plugin_proto::{Kind, Manifest};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use crate::{
    database::{
        connections::Connections,
        row::{json, parse_kind, parse_state, query_all, time, uuid},
    },
    error::{Error, ErrorKind, Result},
    objects::repository::{Content, Objects},
    query::{Reader, Reads},
    records::{
        Child, ComputerRow, GateState, Group, Level, Link, Live, LogLine, Node, NodeFile, NodeId, Orphan,
        PluginRow, Process, Ticket,
    },
    sqlite::place::Place,
    tables::{
        cache::{self, CacheEntry},
        cleaning::{self, Cleaning},
        comments::{self, Comment},
        computers,
        delete::{self, Follow},
        hosts::{self, HostRow},
        links,
        lists::{self, NodeFilter, ProcessFilter},
        nodes::{self, SELECT as NODE},
        plugins::{self, SELECT as INSTALLED},
        processes::{self, SELECT as PROCESS},
        queues, tickets, tree,
    },
};
use ferry_engine_core::{
    process::State,
    scheduler::{Machine, QueueKey},
};

/// An embedded store, open for reading. Clones share its connections.
#[derive(Debug, Clone)]
pub struct SqliteReader {
    connections: Arc<Connections>,
    pub(crate) objects: Objects,
    /// Cached manifests. The manifest of a digest never changes, and reading it costs more than the rest of a
    /// launch.
    manifests: Arc<Mutex<HashMap<String, Arc<Manifest>>>>,
}

impl Reader {
    /// Opens an embedded store for reading.
    ///
    /// # Errors
    /// Fails with `NotFound` if there is none, with `Newer` if a newer ferry created it, and with `Older` if no
    /// owner has migrated it yet.
    pub fn open(path: &Path, objects: Objects) -> Result<Reader> {
        SqliteReader::open(path, objects).map(Reader::new)
    }
}

impl SqliteReader {
    /// Opens a store for reading.
    ///
    /// # Errors
    /// Fails as [`Reader::open`](crate::Reader::open) does.
    pub fn open(path: &Path, objects: Objects) -> Result<SqliteReader> {
        Ok(SqliteReader {
            connections: Arc::new(Connections::open(path)?),
            objects,
            manifests: Arc::default(),
        })
    }

    /// Creates a reader on the writer's own connection.
    #[cfg(feature = "testing")]
    pub(crate) fn sharing(
        connection: crate::database::connections::Shared,
        objects: Objects,
    ) -> SqliteReader {
        SqliteReader {
            connections: Arc::new(Connections::Shared(connection)),
            objects,
            manifests: Arc::default(),
        }
    }

    pub(crate) fn with<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.connections.with(query)
    }

    /// Returns the database's file; `None` for a database in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.connections.path()
    }

    fn plugin_row(&self, row: &Row<'_>) -> rusqlite::Result<PluginRow> {
        let digest: String = row.get(0)?;
        let mut known = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = match known.get(&digest) {
            Some(manifest) => manifest.clone(),
            None => known.entry(digest).or_insert(Arc::new(json(row, 8)?)).clone(),
        };
        plugins::read(row, manifest)
    }

    fn links(&self, end: &str, node: NodeId) -> Result<Vec<Link>> {
        let sql = format!(
            "SELECT source, target, type, label FROM link WHERE {end} = ?1 ORDER BY label, source, target"
        );
        self.with(|db| query_all(db, &sql, [node.0], links::read))
    }
}

impl Reads for SqliteReader {
    fn node(&self, id: NodeId) -> Result<Node> {
        self.with(|db| {
            db.prepare_cached(&format!("{NODE} WHERE n.id = ?1"))?.query_row([id.0], nodes::read).optional()
        })?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "node").message(format!("no node has the id {id}")))
    }

    fn find_node(&self, name: &str) -> Result<Node> {
        if let Ok(id) = name.parse() {
            return self.node(NodeId(id));
        }
        let matches = self.with(|db| {
            let looks_like_uuid = name.len() >= 4 && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
            if looks_like_uuid {
                // All that begin with it: `g` comes after every digit of a UUID.
                let (from, to) = (name.to_ascii_lowercase(), format!("{}g", name.to_ascii_lowercase()));
                let sql = format!("{NODE} WHERE n.uuid >= ?1 AND n.uuid < ?2 LIMIT 5");
                let found = query_all(db, &sql, [from, to], nodes::read)?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            let sql = format!("{NODE} WHERE n.label = ?1 AND n.label <> '' LIMIT 5");
            query_all(db, &sql, [name], nodes::read)
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
        self.with(|db| query_all(db, &format!("{NODE} WHERE n.type = 'code' ORDER BY n.id"), [], nodes::read))
    }

    fn process(&self, id: NodeId) -> Result<Process> {
        self.with(|db| {
            db.prepare_cached(&format!("{PROCESS} WHERE p.id = ?1"))?
                .query_row([id.0], processes::read)
                .optional()
        })?
        .ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "process").message(format!("no process has the id {id}"))
        })
    }

    fn processes(&self, filter: &ProcessFilter) -> Result<Vec<Process>> {
        let (sql, values) = lists::processes(filter);
        self.with(|db| query_all(db, &sql, params_from_iter(values), processes::read))
    }

    fn nodes(&self, filter: &NodeFilter) -> Result<Vec<Node>> {
        let (sql, values) = lists::nodes(filter);
        self.with(|db| query_all(db, &sql, params_from_iter(values), nodes::read))
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

    fn child(&self, caller: NodeId, call: &str) -> Result<Option<Child>> {
        self.with(|db| db.prepare_cached(tree::CHILD)?.query_row((caller.0, call), tree::child).optional())
    }

    fn live_tree(&self, top: NodeId) -> Result<Vec<NodeId>> {
        self.with(|db| query_all(db, tree::LIVE_TREE, [top.0], |row| row.get(0).map(NodeId)))
    }

    fn orphans(&self) -> Result<Vec<Orphan>> {
        self.with(|db| query_all(db, tree::ORPHANS, [], tree::orphan))
    }

    fn cleanings(&self) -> Result<Vec<Cleaning>> {
        self.with(cleaning::pending)
    }

    fn cleaning(&self, process: NodeId) -> Result<Option<Cleaning>> {
        self.with(|db| cleaning::of(db, process))
    }

    fn count_processes(&self) -> Result<Vec<(State, u64)>> {
        self.with(|db| {
            query_all(db, "SELECT state, count(*) FROM process GROUP BY state", [], |row| {
                Ok((parse_state(&row.get::<_, String>(0)?), row.get::<_, i64>(1)? as u64))
            })
        })
    }

    fn cache_entry(&self, process: NodeId) -> Result<Option<CacheEntry>> {
        self.with(|db| cache::entry(db, process))
    }

    fn cache_candidates(&self, hash: &str) -> Result<Vec<NodeId>> {
        self.with(|db| cache::candidates(db, hash))
    }

    fn count_paused(&self) -> Result<u64> {
        let sql =
            "SELECT count(*) FROM process WHERE paused AND state NOT IN ('finished', 'excepted', 'killed')";
        self.with(|db| db.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0)))
            .map(|count| count as u64)
    }

    fn process_total(&self) -> Result<u64> {
        let sql = "SELECT count(*) FROM process";
        self.with(|db| db.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0)))
            .map(|count| count as u64)
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
        Ok(match self.locate(digest)? {
            (_, Place::Row(bytes)) => Content::Inline(bytes),
            (size, _) => Content::Object { digest: digest.to_owned(), size },
        })
    }

    fn open_object(&self, digest: &str) -> Result<Box<dyn std::io::Read + Send>> {
        self.open_place(digest)
    }

    fn object_file(&self, digest: &str) -> Result<PathBuf> {
        self.place_as_file(digest)
    }

    fn objects(&self) -> &Objects {
        &self.objects
    }

    fn computers(&self) -> Result<Vec<ComputerRow>> {
        self.with(computers::all)
    }

    fn tickets(&self, computer: &str) -> Result<Vec<Ticket>> {
        self.with(|db| tickets::of_computer(db, computer))
    }

    fn tokens(&self) -> Result<HashSet<String>> {
        let sql = "SELECT token FROM ticket";
        self.with(|db| db.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect())
    }

    fn gate(&self, computer: &str) -> Result<Option<GateState>> {
        let sql = "SELECT state FROM gate WHERE computer = ?1";
        self.with(|db| db.prepare_cached(sql)?.query_row([computer], |row| json(row, 0)).optional())
    }

    fn hosts(&self) -> Result<BTreeMap<String, HostRow>> {
        self.with(hosts::read)
    }

    fn queues(&self) -> Result<BTreeMap<String, QueueKey>> {
        self.with(queues::read)
    }

    fn machines(&self) -> Result<BTreeMap<String, Machine>> {
        self.with(queues::machines)
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
        self.with(|db| query_all(db, &sql, [group], nodes::read))
    }

    fn comments(&self, node: NodeId) -> Result<Vec<Comment>> {
        self.with(|db| query_all(db, comments::OF_NODE, [node.0], comments::read))
    }

    fn deleted_with(&self, roots: &[NodeId], follow: Follow) -> Result<Vec<NodeId>> {
        self.with(|db| delete::closure(db, roots, follow))
    }

    fn plugins(&self) -> Result<Vec<PluginRow>> {
        let sql = format!("{INSTALLED} ORDER BY active DESC, bundled, name");
        self.with(|db| query_all(db, &sql, [], |row| self.plugin_row(row)))
    }

    fn plugin(&self, digest: &str) -> Result<PluginRow> {
        let sql = format!("{INSTALLED} WHERE digest = ?1");
        self.with(|db| db.prepare_cached(&sql)?.query_row([digest], |row| self.plugin_row(row)).optional())?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "plugin").with("digest", digest))
    }

    fn suspects(&self) -> Result<Vec<(NodeId, u32)>> {
        let sql =
            concat!("SELECT id, crashes FROM process WHERE crashes > 0 AND ", tree::lives!(), " ORDER BY id");
        self.with(|db| query_all(db, sql, [], |row| Ok((NodeId(row.get(0)?), row.get(1)?))))
    }

    fn settings(&self) -> Result<Vec<(String, String)>> {
        self.with(|db| {
            query_all(db, "SELECT key, value FROM setting ORDER BY key", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })
    }

    fn setting(&self, key: &str) -> Result<Option<String>> {
        let sql = "SELECT value FROM setting WHERE key = ?1";
        self.with(|db| db.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional())
    }
}
