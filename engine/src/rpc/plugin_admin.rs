//! The installation and removal of plugin files.

use std::path::Path;

use serde_json::json;

use super::{Response, handlers::failed};
use crate::{
    node::disagreement,
    owner::{
        Context,
        setup::{admit, offer},
    },
    plugin,
    store::{Change, PluginRow},
};

/// Admits, probes and activates a plugin file.
pub(crate) async fn install(cx: &Context, path: &str) -> Response {
    match try_install(cx, Path::new(path)).await {
        Ok(response) => response,
        Err(error) => {
            Response::Failed { message: error.to_string(), help: error.help_text().map(str::to_owned) }
        }
    }
}

async fn try_install(cx: &Context, file: &Path) -> plugin::Result<Response> {
    let admitted = admit(cx, file).await?;
    let known = cx.store.plugins().unwrap_or_default();
    let digest = admitted.digest.to_string();
    if let Some(row) = known.iter().find(|row| row.digest == digest && row.active) {
        return Ok(answer(row, true));
    }
    let row = offer(cx, &admitted, file, false, json!(null)).await?;
    if let Some(message) = claimed_twice(&row, &known) {
        let help = Some("remove the other plugin with `ferry plugin remove`, or rename the type".into());
        return Ok(Response::Failed { message, help });
    }
    if let Some(message) = disagreement(&row, &known) {
        let help = "a data type never changes within a version: give the new form a new `version`";
        return Ok(Response::Failed { message, help: Some(help.into()) });
    }
    match cx.store.commit(vec![Change::Plugin(Box::new(row.clone()))]).await {
        Ok(_) => Ok(answer(&row, false)),
        Err(error) => Ok(failed(&error)),
    }
}

fn answer(row: &PluginRow, unchanged: bool) -> Response {
    let types = row.manifest.types.iter().map(|offered| offered.name.clone()).collect();
    Response::Plugin {
        digest: row.digest.clone(),
        name: row.name.clone(),
        version: row.version.clone(),
        types,
        unchanged,
    }
}

/// Returns an error if an active plugin of another name already offers one of the types.
fn claimed_twice(new: &PluginRow, known: &[PluginRow]) -> Option<String> {
    let others = known.iter().filter(|row| row.active && row.name != new.name);
    others.flat_map(|row| row.manifest.types.iter().map(move |offered| (row, &offered.name))).find_map(
        |(row, name)| {
            new.manifest.types.iter().any(|offered| offered.name == *name).then(|| {
                format!(
                    "`{name}` is offered by plugin {} ({}) and by plugin {} ({})",
                    row.name, row.origin, new.name, new.origin
                )
            })
        },
    )
}

/// Deactivates the installed plugin of a name. Running processes keep the plugin file that they run on.
pub(crate) async fn remove(cx: &Context, name: &str) -> Response {
    let known = match cx.store.plugins() {
        Ok(known) => known,
        Err(error) => return failed(&error),
    };
    let named: Vec<&PluginRow> = known.iter().filter(|row| row.active && row.name == name).collect();
    if named.is_empty() {
        let help = Some("`ferry plugin list` shows what there is".into());
        return Response::Failed { message: format!("no plugin is called `{name}`"), help };
    }
    if named.iter().all(|row| row.bundled) {
        let help = Some("it came with ferry; an installed plugin of the same name replaces it".into());
        return Response::Failed {
            message: format!("plugin `{name}` is bundled and can't be removed"),
            help,
        };
    }
    let change = Change::DeactivatePlugin { name: name.to_owned(), bundled: false };
    match cx.store.commit(vec![change]).await {
        Ok(_) => Response::Done,
        Err(error) => failed(&error),
    }
}
