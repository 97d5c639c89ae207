//! Arrays as nodes of the base type `array`, and as files of data types.

use std::collections::BTreeMap;

use ferry_plugin_proto::{CallInput, NewNode, Node, Value};

use super::Array;
use crate::ports::{
    data::{DataFiles, FileField, give_files, new_files},
    file::FileRef,
    input::PortType,
    lender::Lender,
    output::IntoNode,
    places::Places,
};

/// The name of the only array of a node, if it has no other: AiiDA's.
pub const DEFAULT_ARRAY: &str = "default";
/// The engine's data type for arrays.
const ARRAY: &str = "array";
const ENDING: &str = ".npy";

/// Named arrays: a node of the base type `array`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arrays(pub BTreeMap<String, Array>);

impl Arrays {
    fn files(&self) -> Result<DataFiles, String> {
        let mut files = DataFiles::default();
        self.0.iter().try_for_each(|(name, array)| array.put(name, &mut files))?;
        Ok(files)
    }

    /// Returns the part of the arrays that the engine stores in a body: the type and the shape of each.
    fn body(&self) -> Value {
        let about = |array: &Array| {
            let shape: Vec<Value> = array.shape.iter().map(|length| Value::Int(*length as i64)).collect();
            let words = [("dtype", Value::from(array.items.dtype())), ("shape", shape.into())];
            Value::Map(words.map(|(key, value)| (key.to_owned(), value)).into())
        };
        let arrays = self.0.iter().map(|(name, array)| (name.clone(), about(array))).collect();
        Value::Map([("arrays".to_owned(), Value::Map(arrays))].into())
    }
}

impl PortType for Arrays {
    fn types() -> Vec<String> {
        vec![ARRAY.to_owned()]
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        if node.data_type != ARRAY {
            return Err(format!("expected an array, found a node of type `{}`", node.data_type));
        }
        let Some(Value::Map(arrays)) = node.value.get("arrays") else {
            return Err("the array node's body has no `arrays`".to_owned());
        };
        let files = DataFiles::of_node(node);
        let arrays = arrays.keys().map(|name| Ok((name.clone(), Array::take(name, &files)?)));
        arrays.collect::<Result<_, _>>().map(Arrays)
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        let files = self.files().unwrap_or_default();
        lender.lend_files(ARRAY, self.body(), files.iter())
    }

    fn given(&self) -> Result<CallInput, String> {
        give_files(ARRAY, self.body(), self.files()?)
    }
}

impl IntoNode for Arrays {
    fn types() -> Vec<String> {
        vec![ARRAY.to_owned()]
    }

    fn into_node(self, places: &mut Places) -> Result<NewNode, String> {
        new_files(ARRAY, self.body(), self.files()?, places)
    }
}

impl PortType for Array {
    fn types() -> Vec<String> {
        vec![ARRAY.to_owned()]
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        let mut arrays = Arrays::from_node(node)?.0;
        match (arrays.len(), arrays.pop_first()) {
            (1, Some((_, array))) => Ok(array),
            (count, _) => Err(format!("expected one array, found a node of {count}")),
        }
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        self.clone().alone().lend(lender)
    }

    fn given(&self) -> Result<CallInput, String> {
        self.clone().alone().given()
    }
}

impl IntoNode for Array {
    fn types() -> Vec<String> {
        vec![ARRAY.to_owned()]
    }

    fn into_node(self, places: &mut Places) -> Result<NewNode, String> {
        self.alone().into_node(places)
    }
}

impl Array {
    fn alone(self) -> Arrays {
        Arrays([(DEFAULT_ARRAY.to_owned(), self)].into())
    }
}

impl FileField for Array {
    fn put(&self, path: &str, files: &mut DataFiles) -> Result<(), String> {
        files.add(&format!("{path}{ENDING}"), FileRef::from_bytes(self.to_npy()))
    }

    fn take(path: &str, files: &DataFiles) -> Result<Self, String> {
        let path = format!("{path}{ENDING}");
        let file = files.get(&path)?;
        let bytes = file.read().map_err(|error| format!("its file `{path}` can't be read: {error}"))?;
        Array::from_npy(&bytes).map_err(|error| format!("its file `{path}`: {error}"))
    }

    fn is_there(path: &str, files: &DataFiles) -> bool {
        files.get(&format!("{path}{ENDING}")).is_ok()
    }

    fn names(path: &str, files: &DataFiles) -> Vec<String> {
        files.below(path).filter_map(|name| name.strip_suffix(ENDING)).map(str::to_owned).collect()
    }
}
