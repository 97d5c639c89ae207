//! Processes of every kind that take and give shared data types, by value and as nodes, one or many.

use std::collections::BTreeMap;

use ferry_data::{Bands, Kpoint, Kpoints, Structure, Trajectory};
use ferry_plugin::{
    Machine, Steps, Value, machine,
    prelude::*,
    proto::{Call, CallInput, NewNode, StepEvent, Then},
};
use serde::{Deserialize, Serialize};

/// Makes a structure longer by a factor.
#[calcfunction]
pub fn grow(structure: Structure, factor: f64) -> Structure {
    structure.scaled(factor)
}

/// Outputs of `together`.
#[derive(Outputs)]
pub struct Together {
    /// All of them as frames, if there are any
    pub frames: Option<Trajectory>,
    /// The volume of each
    pub volumes: BTreeMap<String, f64>,
    /// The longest, if one was given
    pub spare: Option<Structure>,
}

/// Takes many structures and perhaps one more.
#[calcfunction]
pub fn together(structures: BTreeMap<String, Structure>, spare: Option<Structure>) -> Result<Together> {
    let frames: Vec<Structure> = structures.values().cloned().collect();
    Ok(Together {
        frames: if frames.is_empty() { None } else { Some(Trajectory::from_frames(&frames)?) },
        volumes: structures.iter().map(|(name, structure)| (name.clone(), structure.volume())).collect(),
        spare,
    })
}

/// Energies with holes in them, on as many points as a mesh has.
#[calcfunction]
pub fn flat_bands(mesh: Kpoints) -> Result<Bands> {
    let points = Kpoints::list((0..mesh.count()).map(|n| Kpoint::at([n as f64 / 10.0, 0.0, 0.0])));
    Ok(Bands::new(&points, Array::new([points.count(), 2], vec![f64::NAN; 2 * points.count()])?, "eV"))
}

/// How many items an array has, and whether one is NaN.
#[calcfunction]
pub fn holes(array: Array, all: Option<Arrays>) -> Result<Json<BTreeMap<String, i64>>> {
    let count =
        |array: &Array| array.floats().map_or(0, |items| items.iter().filter(|item| item.is_nan()).count());
    let named = all.map(|all| all.0).unwrap_or_default();
    let each = named.iter().map(|(name, array)| (name.clone(), count(array) as i64));
    Ok(Json([("array".to_owned(), count(&array) as i64)].into_iter().chain(each).collect()))
}

/// What kind of value comes in: nothing of it is read.
#[calcfunction]
pub fn kind(value: AnyNode) -> String {
    value.data_type
}

#[derive(Inputs)]
pub struct PassInputs {
    pub structure: Structure,
    pub more: BTreeMap<String, Structure>,
}

#[derive(Outputs)]
pub struct PassOutputs {
    pub structure: Structure,
}

/// A job that passes a structure through.
pub struct Pass;

#[calcjob]
impl CalcJob for Pass {
    type Inputs = PassInputs;
    type Outputs = PassOutputs;

    fn validate(inputs: &PassInputs, bad: &mut Problems) {
        if inputs.structure.sites.is_empty() {
            bad.at("structure", "nothing stands in it");
        }
    }

    fn prepare(inputs: &PassInputs, job: &mut Job) -> Result {
        job.write("in.xyz", inputs.structure.to_extxyz()?)?;
        for (name, structure) in &inputs.more {
            job.write(&format!("{name}.cif"), structure.to_cif()?)?;
        }
        job.command("cat").arg("in.xyz").stdout("out.xyz");
        job.retrieve(["out.xyz"]);
        Ok(())
    }

    fn parse(_: &PassInputs, run: &Finished, out: &mut PassOutputsDraft) -> Result {
        let text = run.read("out.xyz")?.ok_or("no file `out.xyz`")?;
        out.structure(Structure::from_extxyz(&text)?);
        Ok(())
    }
}

/// Grows a structure twice.
#[workfunction]
pub async fn twice(cx: Cx, structure: Node<Structure>, factor: f64) -> Result<Node<Structure>> {
    let once = cx.call(grow::with(&structure, factor)).await?;
    // A value that a step has read is given as a value.
    let again: Structure = once.value()?;
    Ok(cx.call(grow::with(again, factor)).await?)
}

#[derive(Inputs)]
pub struct ChainInputs {
    pub structure: Node<Structure>,
    pub spare: Option<Node<Structure>>,
}

#[derive(Outputs)]
pub struct ChainOutputs {
    pub passed: Node<Structure>,
    pub frames: Option<Node<Trajectory>>,
}

#[derive(Default, Serialize, Deserialize)]
pub struct Chain {
    passed: Child<Pass>,
    together: Child<together>,
}

/// Passes a structure through a job, and puts it beside what it was.
#[workchain]
impl WorkChain for Chain {
    type Inputs = ChainInputs;
    type Outputs = ChainOutputs;
    type Exit = NoExit;

    fn outline() -> Outline<Self> {
        outline! { pass; compare; results; }
    }
}

impl Chain {
    fn pass(&mut self, cx: &mut Cx<Self>) {
        let mut pass = Draft::<Pass>::new();
        pass.structure(&cx.inputs().structure);
        self.passed = cx.submit(pass);
    }

    fn compare(&mut self, cx: &mut Cx<Self>) -> Result {
        let passed = self.passed.outputs_or("it was not passed")?.structure;
        let mut together = Draft::<together>::new();
        together.structures(("before", &cx.inputs().structure)).structures(("after", &passed));
        if let Some(spare) = &cx.inputs().spare {
            together.spare(spare);
        }
        self.together = cx.submit(together);
        Ok(())
    }

    fn results(&mut self, cx: &mut Cx<Self>) -> Result {
        let frames = self.together.outputs_or("they were not put together")?.frames;
        let passed = self.passed.outputs_or("it was not passed")?.structure;
        cx.out().passed(passed);
        if let Some(frames) = frames {
            cx.out().frames(frames);
        }
        Ok(())
    }
}

#[derive(Inputs)]
pub struct SmuggleInputs {
    pub structure: Json<Value>,
}

#[derive(Outputs)]
pub struct SmuggleOutputs {}

/// Passes any value as a structure to a process that reads nothing of it.
pub struct Smuggle;

#[machine]
impl Machine for Smuggle {
    type Inputs = SmuggleInputs;
    type Outputs = SmuggleOutputs;
    type State = ();

    fn step(inputs: &SmuggleInputs, _: &mut (), event: &StepEvent, cx: &mut Steps) -> Result<Then> {
        if *event != StepEvent::Start {
            return Ok(Then::Finish(None));
        }
        let value = inputs.structure.0.clone();
        let node = NewNode { data_type: "core.structure".into(), value, files: Vec::new() };
        let inputs = [("value".to_owned(), CallInput::New(node))].into();
        cx.launch(Call { call: "kind".into(), process_type: "types.kind".into(), inputs, ..Call::default() });
        Ok(Then::Wait { calls: vec!["kind".into()], any: false, until: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helium() -> Structure {
        let mut helium = Structure::in_cell([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]);
        helium.add("He", [1.0, 1.0, 1.0]);
        helium
    }

    #[test]
    fn a_job_writes_and_reads_a_structure() {
        let inputs = || PassInputs { structure: helium(), more: [("a".to_owned(), helium())].into() };
        let job = testing::prepare::<Pass>(inputs());
        assert!(job.file("in.xyz").contains("He 1 1 1") && job.file("a.cif").contains("_cell_length_a 3"));
        let home = testing::Scratch::new();
        std::fs::write(home.path().join("out.xyz"), job.file("in.xyz")).unwrap();
        let parsed = testing::parse::<Pass>(inputs(), home.path());
        let stored = testing::stored("core.structure", parsed.value("structure").clone());
        assert_eq!(stored.get::<Structure>().unwrap(), helium());
        assert!(
            !testing::validate::<Pass>(&PassInputs { structure: Structure::default(), ..inputs() })
                .is_empty()
        );
    }

    #[test]
    fn workflows_hand_structures_on() {
        let grown = testing::call(twice::with(helium(), 2.0));
        assert_eq!(grown.value::<Structure>().unwrap().cell[0][0], 12.0);
    }
}
