//! The same plugin later: its data type has a second version, and it still reads the first.

extern crate self as molecules_v2;

use ferry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

/// Atoms without places
#[derive(Debug, Serialize, Deserialize, Data)]
#[data(
    name = "molecules.molecule",
    version = 2,
    upgrade(1 => from_v1),
    read("mol"),
    write("mol"),
    check = Molecule::check
)]
pub struct Molecule {
    /// Symbols and how many there are of each
    pub counts: std::collections::BTreeMap<String, u32>,
    /// Elementary charges
    pub charge: i64,
    /// What was said of it
    #[data(file = "notes.txt")]
    #[serde(skip)]
    pub notes: FileRef,
}

#[derive(Deserialize)]
struct V1 {
    atoms: Vec<String>,
}

fn from_v1(old: V1) -> Result<Molecule> {
    let mut molecule = Molecule { counts: Default::default(), charge: 0, notes: FileRef::default() };
    for atom in old.atoms {
        *molecule.counts.entry(atom).or_default() += 1;
    }
    Ok(molecule)
}

impl Molecule {
    fn check(&self) -> Result<(), String> {
        if self.counts.values().any(|count| *count == 0) {
            Err("an atom is there 0 times".into())
        } else {
            Ok(())
        }
    }
}

impl ReadFile for Molecule {
    fn read_file(_: &str, file: &SingleFile) -> Result<Self> {
        from_v1(V1 { atoms: file.read_to_string()?.split_whitespace().map(str::to_owned).collect() })
    }
}

impl WriteFile for Molecule {
    fn write_file(&self, _: &str) -> Result<Vec<u8>> {
        let part = |(symbol, count): (&String, &u32)| format!("{symbol}{count}");
        Ok(self.counts.iter().map(part).collect::<Vec<_>>().join(" ").into_bytes())
    }
}

/// Tells what a molecule is.
#[calcfunction(name = "molecules.tell")]
pub fn tell(molecule: Molecule) -> Result<String> {
    let text = String::from_utf8_lossy(&molecule.write_file("mol")?).into_owned();
    Ok(format!("{text}, charge {}, with {} bytes of notes", molecule.charge, molecule.notes.read()?.len()))
}

ferry_plugin::export_plugin!(molecules_v2, name = "molecules");
