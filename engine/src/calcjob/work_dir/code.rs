//! The words that start a code's program in a job's script.

use crate::calcjob::work_dir::job_inputs::Item;
use crate::node::code::{CONTAINERIZED, is_portable, kind};

/// Returns the word that starts its program in the work directory.
pub(crate) fn program(item: &Item) -> String {
    let path = item.text("filepath_executable");
    if is_portable(&item.body) { format!("./{path}") } else { path.to_owned() }
}

/// Returns the words of the engine that runs a container; none for a program outside of one. The image's name is
/// one word, whatever characters it holds.
pub(crate) fn engine(item: &Item) -> Vec<String> {
    if kind(&item.body) != CONTAINERIZED {
        return Vec::new();
    }
    let image = item.text("image_name");
    item.text("engine_command").split_whitespace().map(|word| word.replace("{image_name}", image)).collect()
}

#[cfg(test)]
mod tests {
    use ferry_plugin_proto::Value;

    use super::*;

    #[test]
    fn the_image_of_a_container_is_one_word() {
        let contained = [
            ("filepath_executable", "/bin/cat"),
            ("kind", CONTAINERIZED),
            ("image_name", "a b"),
            ("engine_command", "run {image_name}"),
        ];
        let body = contained.map(|(key, text)| (key.to_owned(), Value::from(text)));
        let item = Item { body: Value::Map(body.into()), ..Item::default() };
        assert_eq!(engine(&item), ["run", "a b"]);
        assert_eq!(program(&item), "/bin/cat");
    }
}
