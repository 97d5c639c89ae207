//! Patterns: one case for each row, all on one tree.

use ferry_engine_core::transport::{ErrorKind, FileKind, QUIET, Tree};

use super::{
    case::{Case, Outcome, cases},
    site::{Site, refused},
};

/// A row's name, its pattern, and what must match.
type Row = (&'static str, &'static str, &'static [&'static str]);

const ROWS: &[Row] = &[
    ("a_plain_name", "a.txt", &["a.txt"]),
    ("a_plain_name_that_is_missing", "no.txt", &[]),
    ("a_star", "*.txt", &["a.txt", "b.txt"]),
    ("a_star_alone_spares_dotfiles", "*", &["[1]", "a.txt", "b.dat", "b.txt", "d1", "d2", "lost", "to-d1"]),
    ("a_written_dot_finds_dotfiles", ".*", &[".hidden"]),
    ("a_question_mark", "?.txt", &["a.txt", "b.txt"]),
    ("a_question_mark_is_no_dot", "?hidden", &[]),
    ("a_class", "[ab].txt", &["a.txt", "b.txt"]),
    ("a_range", "d[1-9]", &["d1", "d2"]),
    ("a_negated_class", "[!a].txt", &["b.txt"]),
    ("a_class_is_no_dot", "[.]hidden", &[]),
    ("a_bracket_in_a_class", "[[]1]", &["[1]"]),
    ("a_bracket_that_nothing_closes", "[1", &[]),
    ("a_star_does_not_cross_names", "*x.out", &[]),
    ("two_names", "d1/*.out", &["d1/x.out"]),
    ("a_star_on_the_way", "*/x.out", &["d1/x.out", "d2/x.out", "to-d1/x.out"]),
    ("three_names", "*/*/*.deep", &["d2/sub/y.deep"]),
    ("directories_match_too", "d*/*", &["d1/x.out", "d2/sub", "d2/x.out"]),
    ("a_plain_name_after_a_star", "*/sub/y.deep", &["d2/sub/y.deep"]),
    ("hidden_directories_are_spared", "*/in-hidden", &[]),
    ("links_to_nowhere_match", "lo*", &["lost"]),
    ("below_a_file_nothing_matches", "a.txt/*", &[]),
    ("below_nothing_nothing_matches", "no/*", &[]),
    ("two_stars_are_one", "**.txt", &["a.txt", "b.txt"]),
    ("nothing_is_escaped", "\\*", &[]),
];

pub(super) fn cases() -> Vec<Case> {
    let row = |row: &'static Row| Case::new(row.0, move |site| check(site, row));
    let others = cases![the_result_is_sorted, odd_names_match, patterns_are_not_shell, relative_is_refused];
    ROWS.iter().map(row).chain(others).collect()
}

async fn check(site: Site, (_, pattern, expect): &'static Row) -> Outcome {
    let tree = Tree::default()
        .bytes("a.txt", *b"")
        .bytes("b.txt", *b"")
        .bytes("b.dat", *b"")
        .bytes("[1]", *b"")
        .bytes(".hidden/in-hidden", *b"")
        .bytes("d1/x.out", *b"")
        .bytes("d2/x.out", *b"")
        .bytes("d2/sub/y.deep", *b"")
        .symlink("to-d1", site.path("d1"))
        .symlink("lost", site.path("nowhere"));
    site.put_tree(&tree, site.dir(), QUIET).await?;
    let expect: Vec<_> = expect.iter().map(|name| site.path(name)).collect();
    assert_eq!(site.glob(&site.path(pattern)).await?, expect);
    Ok(())
}

async fn the_result_is_sorted(site: Site) -> Outcome {
    let names = ["b/1", "a/2", "a/10", "a/1", "c/3"];
    let tree = names.iter().fold(Tree::default(), |tree, name| tree.bytes(*name, *b""));
    site.put_tree(&tree, site.dir(), QUIET).await?;
    let found = site.glob(&site.path("*/*")).await?;
    assert_eq!(found, ["a/1", "a/10", "a/2", "b/1", "c/3"].map(|name| site.path(name)));
    Ok(())
}

async fn odd_names_match(site: Site) -> Outcome {
    let names = ["odd line\nbreak", "odd #()", "odd 'quote\"", "odd $HOME", "odd *", "odd gr\u{fc}n"];
    let tree = names.iter().fold(Tree::default(), |tree, name| tree.bytes(*name, *b""));
    site.put_tree(&tree, site.dir(), QUIET).await?;
    let mut expect = names.map(|name| site.path(name));
    expect.sort();
    assert_eq!(site.glob(&site.path("odd*")).await?, expect);
    assert_eq!(site.glob(&site.path("odd #()")).await?, [site.path("odd #()")]);
    assert_eq!(site.glob(&site.path("odd gr?n")).await?, [site.path("odd gr\u{fc}n")]);
    Ok(())
}

async fn patterns_are_not_shell(site: Site) -> Outcome {
    for pattern in ["$(touch pwned)*", "`touch pwned`*", "; touch pwned; *", "{a,b}", "~*", "'*", "!*"] {
        assert!(site.glob(&site.path(pattern)).await?.is_empty(), "{pattern}");
    }
    assert_eq!(site.kind(&site.path("pwned")).await, None::<FileKind>);
    Ok(())
}

async fn relative_is_refused(site: Site) -> Outcome {
    refused(site.glob("*".as_ref()).await, &[ErrorKind::InvalidPath]);
    refused(site.glob("".as_ref()).await, &[ErrorKind::InvalidPath]);
    Ok(())
}
