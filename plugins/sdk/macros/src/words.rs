//! Names: of ports, labels and process types, made of Rust's.

use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitStr, Meta};

/// Returns a Rust name as a port's name: without `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

/// Converts to snake case: `NoOutput` becomes `no_output`, `CPUTime` becomes `cpu_time`.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (i, c) in chars.iter().enumerate() {
        let after_small = i > 0 && !chars[i - 1].is_uppercase() && chars[i - 1] != '_';
        let before_small =
            i > 0 && chars[i - 1].is_uppercase() && chars.get(i + 1).is_some_and(|c| c.is_lowercase());
        if c.is_uppercase() && (after_small || before_small) {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// Converts to camel case: `pw_base` becomes `PwBase`. A digit in front gets a letter.
pub(crate) fn camel(name: &str) -> String {
    let mut camel = String::new();
    for part in name.split(['_', '-']) {
        let mut chars = part.chars();
        camel.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        camel.extend(chars);
    }
    if camel.starts_with(|c: char| c.is_ascii_digit()) { format!("T{camel}") } else { camel }
}

/// Returns the text of an item's doc comments.
pub(crate) fn doc(attrs: &[Attribute]) -> String {
    let lines: Vec<String> = attrs.iter().filter_map(doc_line).collect();
    lines.join("\n").trim().to_owned()
}

fn doc_line(attr: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attr.meta else { return None };
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value else { return None };
    let text = text.value();
    meta.path.is_ident("doc").then(|| text.strip_prefix(' ').unwrap_or(&text).trim_end().to_owned())
}

/// Checks the name of a process type.
pub(crate) fn check_type_name(name: &LitStr) -> syn::Result<()> {
    let text = name.value();
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    if text.contains('.') && text.split('.').all(is_name) {
        return Ok(());
    }
    let message = "a process type is called `plugin.type`: small letters, digits and `_`, with dots between";
    Err(syn::Error::new(name.span(), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snakes() {
        for (name, expected) in [
            ("NoOutput", "no_output"),
            ("CPUTime", "cpu_time"),
            ("Scf2Failed", "scf2_failed"),
            ("X", "x"),
            ("already_so", "already_so"),
        ] {
            assert_eq!(snake(name), expected);
        }
    }

    #[test]
    fn names_become_types() {
        for (name, expected) in [("pw", "Pw"), ("pw_base", "PwBase"), ("add-job_2", "AddJob2"), ("2d", "T2d")]
        {
            assert_eq!(camel(name), expected);
        }
    }

    #[test]
    fn process_types_are_dotted() {
        let check = |name: &str| check_type_name(&LitStr::new(name, proc_macro2::Span::call_site())).is_ok();
        assert!(check("qe.pw") && check("core.arithmetic.add_2"));
        assert!(!check("pw") && !check("qe.Pw") && !check("qe..pw") && !check(".pw") && !check("qe.pw-2"));
    }
}
