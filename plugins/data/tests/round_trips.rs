//! Whatever is thrown at the readers of files, they answer; what is written is read again, and a node of it too.

use ferry_data::{Kind, Structure, Trajectory};
use ferry_plugin::testing;
use proptest::prelude::*;

fn coordinate() -> impl Strategy<Value = f64> {
    (-2_000_i32..2_000).prop_map(|number| f64::from(number) / 97.0)
}

fn kind() -> impl Strategy<Value = Kind> {
    let symbol = prop::sample::select(vec!["H", "C", "O", "Si", "Fe", "Cs"]);
    (symbol, prop::option::of(1..4_u8)).prop_map(|(symbol, number)| {
        let name = number.map_or_else(|| symbol.to_owned(), |number| format!("{symbol}{number}"));
        Kind { name, ..Kind::element(symbol) }
    })
}

fn structure() -> impl Strategy<Value = Structure> {
    let sites = prop::collection::vec((kind(), [coordinate(), coordinate(), coordinate()]), 1..8);
    let lengths = [2.0..9.0, 2.0..9.0, 2.0..9.0_f64];
    (lengths, [-0.9..0.9, -0.9..0.9, -0.9..0.9_f64], any::<bool>(), sites).prop_map(
        |(l, s, repeats, sites)| {
            let mut structure = Structure::in_cell([[l[0], 0.0, 0.0], [s[0], l[1], 0.0], [s[1], s[2], l[2]]]);
            structure.pbc[2] = repeats;
            for (kind, position) in sites {
                structure.add_kind(kind, position);
            }
            structure
        },
    )
}

proptest! {
    #[test]
    fn an_xyz_file_gives_the_same_structure_back(structure in structure()) {
        let again = Structure::from_extxyz(&structure.to_extxyz().unwrap()).unwrap();
        prop_assert_eq!(again, structure);
    }

    #[test]
    fn a_cif_file_gives_the_same_crystal_back(structure in structure()) {
        prop_assume!(structure.pbc[2]);
        let again = match Structure::from_cif(&structure.to_cif().unwrap()) {
            Ok(again) => again,
            // Two random atoms may be at one place.
            Err(error) => { prop_assume!(!error.contains("is where")); unreachable!("{error}") }
        };
        prop_assert_eq!(again.composition(), structure.composition());
        prop_assert!((again.volume() - structure.volume()).abs() < 1e-6 * structure.volume());
    }

    #[test]
    fn a_node_gives_the_same_structure_back(structure in structure()) {
        let given = testing::inputs().with("structure", structure.clone()).with("factor", 1.0);
        let done = testing::call_by_name("ferry_data", "data.rescale", given);
        let stored = testing::stored("core.structure", done.value("result").clone());
        prop_assert_eq!(stored.get::<Structure>().unwrap(), structure);
    }

    #[test]
    fn a_trajectory_gives_its_frames_back(structure in structure(), factor in 0.5..2.0_f64) {
        let frames = [structure.clone(), structure.scaled(factor)];
        let trajectory = Trajectory::from_frames(&frames).unwrap();
        let again = Trajectory::from_extxyz(&trajectory.to_extxyz().unwrap()).unwrap();
        prop_assert_eq!(again.frame(1), Some(frames[1].clone()));
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC*") {
        let _ = (Structure::from_cif(&text), Structure::from_extxyz(&text));
    }

    #[test]
    fn no_words_of_cif_make_a_reader_panic(words in prop::collection::vec(prop::sample::select(vec![
        "data_x", "loop_", "\n", "\n;", "'", "\"", "_cell_length_a 5", "_cell_length_b 5", "_cell_length_c 5",
        "_cell_angle_alpha 90", "_cell_angle_beta 90", "_cell_angle_gamma 1e-300", "_cell_angle_gamma 90",
        "_symmetry_equiv_pos_as_xyz", "x,y,z", "-x,1/2+y,z", "_atom_site_label", "_atom_site_fract_x",
        "_atom_site_fract_y", "_atom_site_fract_z", "_atom_site_occupancy", "Si", "é1", "0.5", "0.1(2)", "1e308", "?", ".", "#", "save_",
    ]), 0..60)) {
        let _ = Structure::from_cif(&words.join(" "));
    }

    #[test]
    fn no_change_of_a_good_file_makes_a_reader_panic(at in 0..2_000_usize, with in "\\PC{0,3}", cut in any::<bool>()) {
        let texts = [
            include_str!("cif/molecule.cif"),
            "2\nLattice=\"5 0 0 0 5 0 0 0 5\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"\nSi 0 0 0\nSi 1 1 1\n",
        ];
        for text in texts {
            let at = at % text.len();
            let rest = if cut { "" } else { text.get(at + 1..).unwrap_or_default() };
            let changed = format!("{}{with}{rest}", text.get(..at).unwrap_or_default());
            let _ = (Structure::from_cif(&changed), Structure::from_extxyz(&changed));
        }
    }
}
