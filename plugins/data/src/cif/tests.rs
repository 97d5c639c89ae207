//! Files as people have them, and what is wrong with some.

use super::*;

/// Returns the sites that are read from a file in `tests/cif`, sorted: kind and fractional coordinates.
fn sites(structure: &Structure) -> Vec<String> {
    let fractional = structure.fractional().unwrap();
    let show = |coordinate: f64| format!("{:.3}", wrapped(coordinate) + 1e-12);
    let site =
        |(site, place): (&crate::Site, &[f64; 3])| format!("{} {}", site.kind, place.map(show).join(" "));
    let mut sites: Vec<String> = structure.sites.iter().zip(&fractional).map(site).collect();
    sites.sort();
    sites
}

#[test]
fn silicon_of_the_open_database_is_eight_atoms() {
    let silicon = read(include_str!("../../tests/cif/si_cod.cif")).unwrap();
    assert_eq!(silicon.formula(), "Si8");
    assert!((silicon.cell[0][0] - 5.4307).abs() < 1e-9 && silicon.cell[1][0] == 0.0);
    assert_eq!(sites(&silicon)[..2], ["Si 0.000 0.000 0.000", "Si 0.000 0.500 0.500"]);
}

#[test]
fn a_hexagonal_cell_and_special_positions_of_three_digits() {
    let zinc = read(include_str!("../../tests/cif/zno.cif")).unwrap();
    assert_eq!(zinc.formula(), "O2Zn2");
    assert!((zinc.cell[1][0] + 3.2495 / 2.0).abs() < 1e-9);
    assert!((zinc.volume() - 47.61).abs() < 0.05, "{}", zinc.volume());
}

#[test]
fn a_monoclinic_molecule_of_a_journal_has_quotes_texts_and_uncertainties() {
    let crystal = read(include_str!("../../tests/cif/molecule.cif")).unwrap();
    assert_eq!(crystal.formula(), "C8H8O8");
    assert!((crystal.volume() - 5.0 * 6.0 * 7.0 * 100_f64.to_radians().sin()).abs() < 1e-6);
}

#[test]
fn sites_that_elements_share_are_kept_with_their_weights() {
    let alloy = read(include_str!("../../tests/cif/alloy.cif")).unwrap();
    assert_eq!((alloy.sites.len(), alloy.kinds.len()), (2, 1));
    assert_eq!(
        (&alloy.kinds[0].symbols[..], &alloy.kinds[0].weights[..]),
        (&["Fe".to_owned(), "Ni".to_owned()][..], &[0.64, 0.36][..])
    );
    assert_eq!(alloy.composition()["Fe"], 1.28);
}

#[test]
fn mmcif_names_cartesian_sites_and_vacancies_are_read() {
    let text = "data_x\n_cell.length_a 10\n_cell.length_b 10\n_cell.length_c 10\n_cell.angle_alpha 90\n\
        _cell.angle_beta 90\n_cell.angle_gamma 90\nloop_\n_atom_site.type_symbol\n_atom_site.Cartn_x\n\
        _atom_site.Cartn_y\n_atom_site.Cartn_z\n_atom_site.occupancy\nO 1 2 3 0.5\nC 5 5 5 .\n";
    let found = read(text).unwrap();
    assert_eq!(sites(&found), ["C 0.500 0.500 0.500", "O 0.100 0.200 0.300"]);
    assert_eq!(found.kinds[0].weights, [0.5]);
}

#[test]
fn what_is_written_is_read_again() {
    for text in [
        include_str!("../../tests/cif/si_cod.cif"),
        include_str!("../../tests/cif/zno.cif"),
        include_str!("../../tests/cif/molecule.cif"),
        include_str!("../../tests/cif/alloy.cif"),
    ] {
        let structure = read(text).unwrap();
        let again = read(&write(&structure).unwrap()).unwrap();
        assert_eq!(sites(&again), sites(&structure));
        assert_eq!(again.kinds, structure.kinds);
    }
    assert!(write(&Structure::default()).unwrap_err().contains("does not repeat"));
}

#[test]
fn errors_name_line_and_reason() {
    const CELL: &str = "data_x\n_cell_length_a 5(1)\n_cell_length_b 5\n_cell_length_c 5\n_cell_angle_alpha 90\n\
        _cell_angle_beta 90\n_cell_angle_gamma 90\n";
    const SITES: &str =
        "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n";
    let says = |text: &str, part: &str| {
        let error = read(text).unwrap_err();
        assert!(error.contains(part), "{error}");
    };
    let with = |rows: &str| format!("{CELL}{SITES}{rows}");
    assert!(read(&with("Si1 0 0 0\n")).is_ok());
    says("", "no loop of sites");
    says("hello", "line 1: a CIF file begins with `data_`");
    says("data_x\n5", "line 2: the value `5` belongs to no name");
    says("data_x\n_a\n_b 1", "line 2: `_a` has no value");
    says(CELL, "no loop of sites");
    says(&with("Si1 0 0\n"), "line 13: the last row of the loop that begins in line 8 has 3 of 4 values");
    says(&with("Si1 0 zero 0\n"), "line 13: expected a number, found `zero`");
    says(&with("Si1 0 ? 0\n"), "line 13: where this site is is not known");
    says(&with("Si1 0 nan 0\n"), "line 13: expected a number");
    says(&with("CA1 0 0 0\n"), "line 13: `CA1` may be C or Ca; say which by a column");
    says(&with("Qq 0 0 0\n"), "line 13: `Qq` begins with no element's symbol");
    says(&with("Si1 0 0 0\nSi2 0 0 1.0\n"), "line 14: site `Si2` is where `Si1` is already");
    says(&with("Si1 0 0 0\n").replace("5(1)", "-5"), "line 2: `_cell_length_a` is -5");
    says(
        &with("Si1 0 0 0\n").replace("_cell_angle_beta 90\n", ""),
        "line 1: the block has no `_cell_angle_beta`",
    );
    says(
        &with("Si1 0 0 0\n").replace("beta 90", "beta 30").replace("alpha 90", "alpha 20"),
        "no cell has these angles",
    );
    says(&with("Si1 0 0 0\n").replace("beta 90", "beta 200"), "beta is 200");
    says(
        &with("Si1 0 0 0\n").replace("loop_", "_symmetry_space_group_name_H-M 'F d -3 m'\nloop_"),
        "line 8: the space group is F d -3 m, and its symmetry operations are not listed",
    );
    says(
        &with("Si1 0 0 0\n").replacen("loop_", "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,w'\nloop_", 1),
        "line 10: symmetry operation `x,y,w`: `w` has no meaning",
    );
    says(
        &(with("Si1 0 0 0\n") + &with("Si1 0 0 0\n").replace("data_x", "data_y")),
        "several structures, `x` and `y`",
    );
}
