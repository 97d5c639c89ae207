//! Plugin files that are installed, with their manifests.

use rusqlite::{Connection, Row, params};

use crate::{
    database::row::{json, time},
    error::{Error, ErrorKind, Result},
    records::PluginRow,
};
use ferry_plugin_proto::Manifest;
use std::sync::Arc;

pub(crate) const SELECT: &str =
    "SELECT digest, name, version, origin, bundled, active, facts, installed, manifest FROM plugin";

pub(crate) fn read(row: &Row<'_>, manifest: Arc<Manifest>) -> rusqlite::Result<PluginRow> {
    Ok(PluginRow {
        digest: row.get(0)?,
        name: row.get(1)?,
        version: row.get(2)?,
        origin: row.get(3)?,
        bundled: row.get(4)?,
        active: row.get(5)?,
        manifest,
        facts: json(row, 6)?,
        installed: time(row, 7)?,
    })
}

pub(crate) fn insert(db: &Connection, plugin: &PluginRow) -> Result<()> {
    let manifest = serde_json::to_string(&*plugin.manifest)
        .map_err(|source| Error::new(ErrorKind::Rule, "store plugin").source(source))?;
    if plugin.active {
        db.execute(
            "UPDATE plugin SET active = 0 WHERE name = ?1 AND bundled = ?2 AND digest <> ?3",
            params![plugin.name, plugin.bundled, plugin.digest],
        )?;
    }
    db.execute(
        "INSERT OR REPLACE INTO plugin
             (digest, name, version, origin, bundled, active, manifest, facts, installed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            plugin.digest,
            plugin.name,
            plugin.version,
            plugin.origin,
            plugin.bundled,
            plugin.active,
            manifest,
            plugin.facts.to_string(),
            plugin.installed.as_microsecond()
        ],
    )?;
    Ok(())
}
