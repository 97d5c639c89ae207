//! "Did you mean": names that are close to a mistyped one.

pub(crate) use ferry_engine::process::closest_name as closest;

/// Suggests a name: ``did you mean `close`?``, or the list of all names if none is close.
pub(crate) fn suggestion<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match closest(wanted, names.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("there are: {}", names.join(", ")),
    }
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
