//! A plugin with a data type of its own, in its first version.

extern crate self as molecules_v1;

use ferry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

/// Atoms without places
#[derive(Debug, Serialize, Deserialize, Data)]
#[data(name = "molecules.molecule", read("mol"), write("mol"))]
pub struct Molecule {
    /// Their symbols
    pub atoms: Vec<String>,
    /// What was said of it
    #[data(file = "notes.txt")]
    #[serde(skip)]
    pub notes: FileRef,
}

impl ReadFile for Molecule {
    fn read_file(_: &str, file: &SingleFile) -> Result<Self> {
        let text = file.read_to_string()?;
        let atoms = text.split_whitespace().map(str::to_owned).collect();
        Ok(Molecule { atoms, notes: FileRef::from_bytes("by hand") })
    }
}

impl WriteFile for Molecule {
    fn write_file(&self, _: &str) -> Result<Vec<u8>> {
        Ok(self.atoms.join(" ").into_bytes())
    }
}

/// A molecule of the letters of a word.
#[calcfunction(name = "molecules.spell")]
pub fn spell(word: String) -> Molecule {
    Molecule {
        atoms: word.chars().map(String::from).collect(),
        notes: FileRef::from_bytes(vec![b'x'; 100_000]),
    }
}

/// Tells what a molecule is.
#[calcfunction(name = "molecules.tell")]
pub fn tell(molecule: Molecule) -> Result<String> {
    Ok(format!("{} with {} bytes of notes", molecule.atoms.join(""), molecule.notes.read()?.len()))
}

ferry_plugin::export_plugin!(molecules_v1, name = "molecules");
