//! "Did you mean": names that are close to a mistyped one.

/// ``did you mean `close`?``, or the list of all names where none is close.
pub(crate) fn suggestion<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match closest(wanted, names.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("there are: {}", names.join(", ")),
    }
}

/// The name that is closest to `wanted`, if one is close enough.
pub(crate) fn closest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3) && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::suggestion;

    #[test]
    fn close_names_are_suggested_and_far_ones_listed() {
        let names = ["label", "description", "computer"];
        assert_eq!(suggestion("lable", names), "did you mean `label`?");
        assert_eq!(suggestion("q", names), "there are: label, description, computer");
    }
}
