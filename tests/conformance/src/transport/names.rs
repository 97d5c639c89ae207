//! Awkward names, each through every method: nothing is split, expanded, run or lost.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use ferry_engine_core::transport::{Command, FileKind, QUIET, Tree, quote_path};

use super::{
    case::{Case, Outcome},
    site::Site,
};

const NAMES: &[(&str, &[u8])] = &[
    ("space", b"two words"),
    ("spaces_around", b"  around  "),
    ("single_quote", b"it's"),
    ("double_quote", b"a \"b\" c"),
    ("semicolon", b"a; touch pwned"),
    ("dollar", b"$HOME ${PATH} $(touch pwned)"),
    ("backticks", b"`touch pwned`"),
    ("ampersand_and_pipe", b"a & touch pwned | touch pwned"),
    ("redirection", b"a > pwned < b"),
    ("newline", b"line\nbreak"),
    ("newlines_around", b"\naround\n"),
    ("tab_and_return", b"a\tb\rc"),
    ("control_characters", b"\x01\x1b[31m\x7f"),
    ("leading_dash", b"-rf"),
    ("two_dashes", b"--help"),
    ("dotfile", b".hidden"),
    ("three_dots", b"..."),
    ("hash_and_parentheses", b"#()"),
    ("pattern", b"*?[a-z]"),
    ("backslash", b"back\\slash\\n"),
    ("tilde", b"~root"),
    ("percent", b"%s%n%00"),
    ("braces_and_bang", b"{a,b}!!"),
    ("equals", b"a=b"),
    ("colon", b"host:file"),
    ("unicode", "gr\u{fc}n-\u{3a9}-\u{4f8b}-\u{1f980}".as_bytes()),
    ("decomposed_unicode", "u\u{308}".as_bytes()),
    ("longest", &[b'n'; 255]),
];

const RAW: &[(&str, &[u8])] = &[("not_utf8", b"\xff\xfe raw \x80"), ("half_utf8", b"a\xc3")];

pub(super) fn cases() -> Vec<Case> {
    let case = |(label, name): &(&str, &'static [u8])| {
        let name = OsStr::from_bytes(name);
        Case::new(label, move |site| check(site, name.to_owned()))
    };
    let raw = RAW
        .iter()
        .map(case)
        .map(|case| case.needs(|can| can.any_bytes_in_names, "its names must be UTF-8, by its own account"));
    NAMES.iter().map(case).chain(raw).collect()
}

async fn check(site: Site, name: OsString) -> Outcome {
    let (dir, file) = (site.path(&name), site.path(&name).join(&name));
    alone(&site, &name, &dir, &file).await?;
    moved(&site, &dir, &file).await?;
    in_trees(&site, &name, &dir).await?;
    in_commands(&site, &name, &dir).await?;
    site.remove_tree(&dir).await?;
    assert_eq!(site.names(site.dir()).await?, [""; 0], "nothing else came to be");
    Ok(())
}

/// Checks a name: made, written, read, listed, matched, changed.
async fn alone(site: &Site, name: &OsStr, dir: &Path, file: &Path) -> Outcome {
    site.mkdir(dir).await?;
    site.write(file, &mut &b"bytes"[..], false).await?;
    assert_eq!(site.stat(file).await?.size, 5);
    assert_eq!(site.bytes(file).await?, b"bytes");
    assert_eq!(site.list(dir).await?.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), [name]);
    let pattern = if name.as_bytes().starts_with(b".") { ".*" } else { "*" };
    assert_eq!(site.glob(&site.path(pattern).join(pattern)).await?, [file]);
    site.chmod(file, 0o640).await?;
    assert_eq!(site.lstat(file).await?.mode, 0o640);
    Ok(())
}

/// Checks a name: renamed, copied, linked, removed.
async fn moved(site: &Site, dir: &Path, file: &Path) -> Outcome {
    let other = site.path("other");
    site.rename(file, &other).await?;
    site.copy(&other, file).await?;
    site.remove_file(&other).await?;
    site.symlink(file, &other).await?;
    assert_eq!(site.bytes(&other).await?, b"bytes");
    site.remove_file(&other).await?;
    site.remove_file(file).await?;
    site.remove_dir(dir).await?;
    site.symlink(&other, dir).await?;
    assert_eq!(site.kind(dir).await, Some(FileKind::Symlink));
    site.remove_tree(dir).await?;
    Ok(())
}

/// Checks a name: put with a tree and fetched again.
async fn in_trees(site: &Site, name: &OsStr, dir: &Path) -> Outcome {
    let local = tempfile::tempdir()?;
    let here = local.path().join(name);
    fs::write(&here, "local")?;
    let tree = Tree::default()
        .bytes(PathBuf::from(name).join(name), *b"bytes")
        .file(PathBuf::from("sub").join(name), &here)
        .symlink(PathBuf::from("links").join(name), dir);
    site.put_tree(&tree, dir, QUIET).await?;
    assert_eq!(site.bytes(&dir.join(name).join(name)).await?, b"bytes");
    assert_eq!(site.kind(&dir.join("links").join(name)).await, Some(FileKind::Symlink));
    let back = local.path().join("back").join(name);
    site.get_files(&[(dir.join("sub").join(name), back.clone())], QUIET).await?;
    assert_eq!(fs::read(back)?, b"local");
    site.remove_tree(dir).await?;
    Ok(())
}

/// Checks a name as working directory, as a word, and in a script.
async fn in_commands(site: &Site, name: &OsStr, dir: &Path) -> Outcome {
    site.mkdir(dir).await?;
    site.exec(&Command::new(["touch", "here"]).cwd(dir)).await?;
    assert_eq!(site.kind(&dir.join("here")).await, Some(FileKind::File));
    let words = [OsStr::new("mkdir"), OsStr::new("--"), name];
    let script = format!("rmdir -- {0} && : > {0}", quote_path(&dir.join(name)));
    for (command, kind) in [(Command::new(words), FileKind::Dir), (Command::sh(script), FileKind::File)] {
        let output = site.exec(&command.cwd(dir)).await?;
        assert_eq!(output.status, 0, "{}", output.error_text());
        assert_eq!(site.kind(&dir.join(name)).await, Some(kind));
    }
    Ok(())
}
