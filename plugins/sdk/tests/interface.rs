//! Stubs of another plugin's type: made of a file, without its crate.
#![allow(missing_docs)]

use ferry_plugin::{
    Exposed, Inputs as _, Outputs as _, interface,
    prelude::*,
    proto::{CallInput, Kind, Value},
    testing,
};
use serde::{Deserialize, Serialize};

/// The Rust type that this crate has for a data type of the file.
pub type Structure = Json<Vec<f64>>;

interface!("tests/interfaces/qe.pw.json", "core.structure" => crate::Structure);

fn pw() -> Draft<qe::Pw> {
    let mut mesh = qe::PwMeshInputsDraft::default();
    mesh.n(4);
    let mut pw = Draft::<qe::Pw>::new();
    pw.structure(Json(vec![1.0])).mesh(mesh);
    pw
}

#[test]
fn a_stub_has_a_setter_per_port_whatever_its_types() {
    let mut pw = pw();
    pw.r#type("relax").ecut(60.0).seed(5).pseudos(("Si", SingleFile::from_bytes("si", "x").unwrap()));
    pw.tags(("any", "text")).tags(("more", vec![1, 2])).settings(Json(Value::Map(Default::default())));
    let ports: Vec<&String> = pw.ports().given().keys().collect();
    assert_eq!(
        ports,
        ["ecut", "mesh.n", "pseudos.Si", "seed", "settings", "structure", "tags.any", "tags.more", "type"]
    );
    let CallInput::New(seed) = &pw.ports().given()["seed"] else { panic!("{pw:?}") };
    assert_eq!(seed.data_type, "int");
    assert_eq!(pw.into_call("0").unwrap().process_type, "qe.pw");
}

#[test]
fn its_ports_are_exactly_those_of_the_file() {
    assert_eq!(<qe::Pw as Process>::kind(), Kind::CalcJob);
    let ports = qe::PwInputs::namespace().ports;
    assert_eq!(ports["seed"].types, ["int", "str"]);
    assert_eq!(
        (ports["ecut"].default.clone(), ports["ecut"].range.unwrap().min),
        (Some(40.0.into()), Some(5.0))
    );
    assert_eq!(ports["type"].choices, [Value::from("scf"), Value::from("relax")]);
    let deep = vec![Value::Int(1), Value::Float(-2.5e-3), Value::Null, Value::Bool(true)];
    assert_eq!(ports["settings"].default, Some(Value::Map([("deep".to_owned(), deep.into())].into())));
    let outputs = qe::PwOutputs::namespace().ports;
    assert_eq!(outputs["structure"].types, ["core.structure"]);
    assert!(!outputs["bands"].required && outputs["energy"].required);
}

#[test]
fn the_manifest_tells_what_the_plugin_was_built_to_call() {
    let manifest = testing::manifest("interface");
    let needed = &manifest.interfaces[0];
    assert_eq!((&*needed.plugin, &*needed.version, &*needed.process_type.name), ("qe", "1.2.0", "qe.pw"));
    assert_eq!(needed.process_type.inputs, qe::PwInputs::namespace());
    assert_eq!(needed.process_type.exit_codes[1].label, "OTHER");
    // The stub itself is nothing that this plugin offers.
    assert!(manifest.types.iter().all(|offered| offered.name != "qe.pw"));
}

#[derive(Inputs)]
pub struct RelaxInputs {
    pub structure: Node<Structure>,
    #[port(expose, exclude(structure))]
    pub pw: Draft<qe::Pw>,
}

#[derive(Outputs)]
pub struct RelaxOutputs {
    pub structure: Node<Structure>,
    #[port(expose)]
    pub pw: Exposed<qe::Pw>,
}

#[derive(Default, Serialize, Deserialize)]
pub struct Relax {
    run: Child<qe::Pw>,
}

/// Runs pw.x once.
#[workchain(name = "test.interface_relax")]
impl WorkChain for Relax {
    type Inputs = RelaxInputs;
    type Outputs = RelaxOutputs;

    fn outline() -> Outline<Self> {
        outline! { run; results; }
    }
}

impl Relax {
    fn run(&mut self, cx: &mut Cx<Self>) {
        let mut pw = cx.inputs().pw.clone();
        pw.structure(&cx.inputs().structure);
        self.run = cx.submit(pw);
    }

    fn results(&mut self, cx: &mut Cx<Self>) -> Result {
        let outputs = self.run.outputs()?;
        let structure = outputs.structure.ok_or("it did not relax")?;
        let exposed = self.run.exposed()?;
        cx.out().structure(structure).pw(exposed);
        Ok(())
    }
}

#[test]
fn a_stub_is_exposed_with_its_metadata_and_its_outputs() {
    let ports = RelaxInputs::namespace().ports;
    let inner = ports["pw"].namespace.as_ref().unwrap();
    // Of a calcjob, also how the job is to run.
    assert!(inner.ports.contains_key("metadata") && !inner.ports.contains_key("structure"));
    assert_eq!(RelaxOutputs::namespace().ports["pw"].namespace, Some(qe::PwOutputs::namespace()));
    let mut draft = Draft::<Relax>::new();
    let mut given = Draft::<qe::Pw>::new();
    let mut mesh = qe::PwMeshInputsDraft::default();
    mesh.n(2);
    given.mesh(mesh);
    given.metadata().label("inner");
    draft.structure(Json(vec![1.0])).pw(given);
    let world = testing::world().fake::<qe::Pw, _>(|inputs| qe::PwOutputs {
        // The default of the file, and a keyword as a name.
        energy: if inputs.r#type == "scf" { -inputs.ecut * inputs.mesh.n as f64 } else { 0.0 },
        structure: Some(Json(inputs.structure.iter().map(|a| a * 2.0).collect())),
        bands: Some(qe::PwBandsOutputs { fermi: 1.5 }),
        files: Default::default(),
    });
    let ran = world.call(draft);
    assert_eq!(ran.output::<f64>("pw.energy"), Ok(-80.0));
    assert_eq!(ran.output::<f64>("pw.bands.fermi"), Ok(1.5));
    assert_eq!(ran.output::<Structure>("structure"), Ok(Json(vec![2.0])));
    assert_eq!(ran.calls()[0].label, "inner");
}

#[test]
fn exit_codes_are_constants() {
    assert_eq!((qe::PwExit::NOT_CONVERGED, qe::PwExit::OTHER), (410, 420));
    let exit = qe::PwExit::error(410).into_exit().unwrap();
    assert_eq!((exit.status, &*exit.label), (410, "ERROR_NOT_CONVERGED"));
    assert_eq!(qe::PwExit::error(1).to_string(), "the interface has no exit code 1");
}

/// The number of a run, whatever it came to.
#[workfunction(name = "test.interface_status")]
pub async fn status(cx: Cx, structure: Node<Structure>) -> Result<Node<Structure>> {
    let mut pw = pw();
    pw.structure(&structure);
    match cx.call(pw).await {
        Err(failed) if failed.exit_status() == Some(qe::PwExit::NOT_CONVERGED) => Ok(structure),
        other => Ok(other?.structure.ok_or("it did not relax")?),
    }
}

#[test]
fn a_workfunction_looks_at_exit_codes_of_a_stub() {
    let world = testing::world().fake::<qe::Pw, _>(|_| -> Result<qe::PwOutputs> {
        Err(qe::PwExit::error(qe::PwExit::NOT_CONVERGED))
    });
    assert_eq!(world.call(status::with(Json(vec![7.0]))).value::<Structure>(), Ok(Json(vec![7.0])));
}
