//! A launch for inspection: checked as any other, but no process is created.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Inputs, Kind};
use tempfile::TempDir;

use crate::calcjob::work_dir::job_inputs::{Item, contents};
use crate::{
    owner::Context,
    process::{Launch, Refusal, judged, lent, problem},
    spec::Options,
};

/// A calcjob that could be launched, for a dry run of it.
pub(crate) struct CheckedLaunch {
    pub(crate) plugin: String,
    pub(crate) process_type: String,
    pub(crate) computer: String,
    pub(crate) options: Options,
    /// The inputs as the plugin sees them; small files are in `folder`.
    pub(crate) inputs: Inputs,
    /// The nodes that the job needs, by UUID.
    pub(crate) nodes: BTreeMap<String, Item>,
    pub(crate) _folder: Option<TempDir>,
}

/// Checks a launch as [`prepare`] does, and creates nothing.
///
/// # Errors
/// Returns all problems at once.
pub(crate) async fn check_launch(cx: &Context, launch: &Launch) -> Result<CheckedLaunch, Refusal> {
    let examined = judged(cx, launch, None).await?;
    let (kind, name) = (examined.process_type.kind, &examined.process_type.name);
    let (Kind::CalcJob, false) = (kind, examined.imported) else {
        let what = if examined.imported { "import" } else { kind.as_str() };
        let message =
            format!("`{name}` would be a {what}, and only a calcjob that is submitted has a dry run");
        return Err(Refusal::Problems(vec![problem("metadata.dry_run", message)]));
    };
    let mut folder = None;
    let inputs = lent(cx, &examined, &mut folder)?;
    let mut nodes = BTreeMap::new();
    for (port, input) in &examined.resolved {
        let files = match &input.new {
            Some(new) => new.files.clone(),
            None => contents(&cx.store, cx.store.files(cx.store.find_node(&input.uuid.to_string())?.id)?)?,
        };
        let (data_type, body) = (input.data_type.clone(), input.value.clone());
        nodes
            .insert(input.uuid.to_string(), Item { name: format!("input `{port}`"), data_type, body, files });
    }
    Ok(CheckedLaunch {
        plugin: examined.plugin.digest,
        process_type: examined.process_type.name,
        computer: examined.computer.unwrap_or_default(),
        options: examined.options,
        inputs,
        nodes,
        _folder: folder,
    })
}
