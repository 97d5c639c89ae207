//! Symbols of the elements.

/// The elements' symbols; hydrogen, of number 1, comes first.
pub const ELEMENTS: [&str; 118] = [
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K",
    "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr",
    "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe",
    "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu",
    "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra",
    "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db",
    "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og",
];

/// Returns whether `symbol` is an element's symbol, in its usual capitalisation.
pub fn is_element(symbol: &str) -> bool {
    ELEMENTS.contains(&symbol)
}

/// Returns the element that a word begins with: `Fe3+`, `SI1`, `O_w`. Isotopes of hydrogen are hydrogen.
///
/// # Errors
/// Fails if there is no element; or, all in capitals, if it could be one of two.
pub(crate) fn leading(word: &str) -> Result<&'static str, String> {
    let letters: String = word.chars().take_while(char::is_ascii_alphabetic).collect();
    let known = |symbol: &str| ELEMENTS.iter().find(|known| **known == symbol).copied();
    let mut chars = letters.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase().to_string()).unwrap_or_default();
    let second = chars.next();
    let one = if matches!(first.as_str(), "D" | "T") { Some("H") } else { known(&first) };
    let two = second.and_then(|second| known(&format!("{first}{}", second.to_ascii_lowercase())));
    match (one, two, second) {
        (Some(one), Some(two), Some(second)) if second.is_ascii_uppercase() => {
            // A word of two letters and nothing else is a symbol, not a label.
            if letters.len() == word.len() && letters.len() == 2 {
                return Ok(two);
            }
            Err(format!("`{word}` may be {one} or {two}"))
        }
        (_, Some(two), _) => Ok(two),
        (Some(one), None, _) => Ok(one),
        (None, None, _) => Err(format!("`{word}` begins with no element's symbol")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_begin_with_an_element_or_are_refused() {
        for (word, expect) in [
            ("Si", Ok("Si")),
            ("SI", Ok("Si")),
            ("Si1", Ok("Si")),
            ("Fe3+", Ok("Fe")),
            ("O2-", Ok("O")),
            ("o_w", Ok("O")),
            ("D", Ok("H")),
            ("C12", Ok("C")),
            ("Uuo", Ok("U")),
            ("OW1", Ok("O")),
            ("Dy1", Ok("Dy")),
        ] {
            assert_eq!(leading(word), expect, "{word}");
        }
        assert_eq!(leading("CA1"), Err("`CA1` may be C or Ca".to_owned()));
        for word in ["", "1", "Q1", "?"] {
            assert!(leading(word).is_err(), "{word}");
        }
    }
}
