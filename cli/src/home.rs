//! Places on this machine: ferry's home, its own executable, and the plugin files that came with it.

use std::{
    env,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use ferry_engine::profile::Paths;

use crate::error::{Failure, Result};

/// Text that the kernel appends to the name of an executable that was removed or replaced.
const DELETED: &[u8] = b" (deleted)";

/// Returns the paths of the profile of this name, else of `FERRY_PROFILE`, else of `default`.
///
/// # Errors
/// Fails if the name can't be a directory's, or if there is no home.
pub(crate) fn paths(profile: Option<&str>) -> Result<Paths> {
    let from_env = env::var("FERRY_PROFILE").ok().filter(|name| !name.is_empty());
    let profile = profile.map(str::to_owned).or(from_env).unwrap_or_else(|| "default".into());
    if profile.is_empty() || profile.starts_with('.') || profile.contains(['/', '\0']) {
        return Err(Failure::usage(format!("`{profile}` can't be the name of a profile"))
            .help("a profile's name is a plain file name that does not begin with a dot"));
    }
    Ok(Paths::new(home()?, &profile))
}

/// Returns `FERRY_HOME`, else ferry's place in the XDG data directory. It is always absolute, since the
/// daemon leaves the current directory.
fn home() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("FERRY_HOME")
        .or_else(|| set("XDG_DATA_HOME").filter(|dir| dir.is_absolute()).map(|dir| dir.join("ferry")))
        .or_else(|| set("HOME").map(|dir| dir.join(".local/share/ferry")))
        .ok_or_else(|| {
            Failure::new("neither FERRY_HOME nor HOME is set")
                .help("set FERRY_HOME to a directory of your own")
        })?;
    std::path::absolute(&home)
        .map_err(|error| Failure::new(format!("can't tell where {} is: {error}", home.display())))
}

/// Returns the path of this program, to start it again. One that was replaced on disk is still reached
/// through `/proc`.
pub(crate) fn executable() -> PathBuf {
    match env::current_exe() {
        Ok(path) if !path.as_os_str().as_bytes().ends_with(DELETED) => path,
        _ => PathBuf::from("/proc/self/exe"),
    }
}

/// Directories in which bundled plugin files may lie: beside the executable, and where packages put them.
pub(crate) fn bundled() -> Vec<PathBuf> {
    let Ok(exe) = env::current_exe() else { return Vec::new() };
    let exe = exe.into_os_string().into_vec();
    let exe = PathBuf::from(std::ffi::OsString::from_vec(exe.strip_suffix(DELETED).unwrap_or(&exe).to_vec()));
    let Some(dir) = exe.parent() else { return Vec::new() };
    [Some(dir), dir.parent().map(|up| up.join("lib/ferry/plugins")).as_deref()]
        .into_iter()
        .flatten()
        .map(Path::to_owned)
        .collect()
}
