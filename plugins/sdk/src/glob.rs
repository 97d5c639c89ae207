//! Shell patterns over paths: `*`, `?` and `[..]` within one part of a path, as a shell on the computer has them.
//! A leading dot is matched by a dot only.

/// Returns whether `path` matches `pattern`, part by part.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let patterns: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let parts: Vec<&str> = path.split('/').collect();
    patterns.len() == parts.len()
        && patterns.iter().zip(&parts).all(|(pattern, part)| part_matches(pattern, part))
}

/// Returns whether `text` has wildcards.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn part_matches(pattern: &str, part: &str) -> bool {
    if part.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let part: Vec<char> = part.chars().collect();
    chars_match(&pattern, &part)
}

/// Matches greedily and goes back to the last star only: linear for one star, never exponential.
fn chars_match(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some(width) = pattern.get(p..).and_then(|rest| one_matches(rest, text[t])) {
            p += width;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, t) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Returns the number of pattern characters that match the one character `c`; `None` if they do not match.
fn one_matches(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match class(pattern) {
            Some((width, set, negated)) => (in_set(set, c) != negated).then_some(width),
            None => (c == '[').then_some(1),
        },
        literal => (*literal == c).then_some(1),
    }
}

/// Parses a `[..]` at the start. Returns its width, its contents, and whether it is negated. A `]` that comes
/// first is literal.
fn class(pattern: &[char]) -> Option<(usize, &[char], bool)> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let from = 1 + usize::from(negated);
    let end = (from + 1..pattern.len()).find(|i| pattern[*i] == ']')?;
    Some((end + 1, &pattern[from..end], negated))
}

fn in_set(set: &[char], c: char) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set.get(i + 1) == Some(&'-') && i + 2 < set.len() {
            if (set[i]..=set[i + 2]).contains(&c) {
                return true;
            }
            i += 3;
        } else if set[i] == c {
            return true;
        } else {
            i += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, path) in [
            ("*.txt", "a.txt"),
            ("a*b*c", "aXbXbc"),
            ("out/*/x-?.[ch]", "out/1/x-7.h"),
            ("[!a-c]*", "dog"),
            ("[]x]", "]"),
            ("a[b", "a[b"),
            (".h*", ".hidden"),
            ("./a", "a"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("*", "a/b"),
            ("*", ".hidden"),
            ("?", ""),
            ("[a-c]", "d"),
            ("*.txt", "a.txt~"),
            ("a*b", "ac"),
            ("[^a]", "a"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }
}
