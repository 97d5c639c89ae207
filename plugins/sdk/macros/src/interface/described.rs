//! A described process type as the expression that makes it again: what the manifest of the caller's plugin tells.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::{exit, json::Json};

/// A `ProcessType`. Its documentation and aliases play no part in whether it fits.
pub(super) fn process_type(described: &Json) -> TokenStream {
    let (name, kind) = (described.text("name"), kind(described.text("kind")));
    let (inputs, outputs) = (namespace(described.get("inputs")), namespace(described.get("outputs")));
    let codes = described.list("exit_codes").iter().map(exit_code);
    quote! {
        ::ferry_plugin::proto::ProcessType {
            name: ::std::string::String::from(#name),
            kind: #kind,
            doc: ::std::string::String::new(),
            inputs: #inputs,
            outputs: #outputs,
            exit_codes: ::std::vec![#(#codes),*],
            aliases: ::std::vec::Vec::new(),
            cache_version: 0,
            options: ::std::collections::BTreeMap::new(),
        }
    }
}

pub(super) fn kind(word: &str) -> TokenStream {
    let kind = match word {
        "calcfunction" => quote!(CalcFunction),
        "calcjob" => quote!(CalcJob),
        "workfunction" => quote!(WorkFunction),
        "workchain" => quote!(WorkChain),
        _ => quote!(Unknown),
    };
    quote!(::ferry_plugin::proto::Kind::#kind)
}

pub(super) fn exit_code(code: &Json) -> TokenStream {
    let status: u32 = code.number("status").unwrap_or_default();
    exit::exit_code(status, code.text("label"), code.text("message"), code.is("invalidates_cache"))
}

/// A `Namespace`; an empty one of nothing.
pub(super) fn namespace(described: Option<&Json>) -> TokenStream {
    let entries = described.map_or(&[][..], |described| described.entries("ports"));
    let ports = entries.iter().map(|(name, described)| {
        let port = port(described);
        quote!((::std::string::String::from(#name), #port))
    });
    let dynamic = match described.filter(|described| described.get("dynamic").is_some()) {
        Some(described) => {
            let types = texts(&described.texts("dynamic"));
            quote!(::core::option::Option::Some(#types))
        }
        None => quote!(::core::option::Option::None),
    };
    quote! {
        ::ferry_plugin::proto::Namespace {
            ports: ::std::collections::BTreeMap::from([#(#ports),*]),
            dynamic: #dynamic,
        }
    }
}

fn port(described: &Json) -> TokenStream {
    let (types, required, help) =
        (texts(&described.texts("types")), described.is("required"), described.text("help"));
    let some = |value: Option<TokenStream>| match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    };
    let default = some(described.get("default").map(value));
    let range = some(described.get("range").map(range));
    let choices = described.list("choices").iter().map(value);
    let inner = some(described.get("namespace").map(|inner| namespace(Some(inner))));
    quote! {
        ::ferry_plugin::proto::Port {
            types: #types,
            required: #required,
            default: #default,
            help: ::std::string::String::from(#help),
            range: #range,
            choices: ::std::vec![#(#choices),*],
            namespace: #inner,
            ..::core::default::Default::default()
        }
    }
}

fn range(described: &Json) -> TokenStream {
    let bound = |key: &str| match described.number::<f64>(key) {
        Some(bound) => quote!(::core::option::Option::Some(#bound)),
        None => quote!(::core::option::Option::None),
    };
    let (min, max, max_exclusive) = (bound("min"), bound("max"), described.is("max_exclusive"));
    quote!(::ferry_plugin::proto::Range { min: #min, max: #max, max_exclusive: #max_exclusive })
}

fn texts(texts: &[&str]) -> TokenStream {
    quote!(::std::vec![#(::std::string::String::from(#texts)),*])
}

/// A `Value`. A number is a float if it is written like one.
fn value(json: &Json) -> TokenStream {
    let value = quote!(::ferry_plugin::Value);
    match json {
        Json::Null => quote!(#value::Null),
        Json::Bool(truth) => quote!(#value::Bool(#truth)),
        Json::Number(number) => match number.parse::<i64>() {
            Ok(int) => quote!(#value::Int(#int)),
            Err(_) => {
                let float = Literal::f64_suffixed(number.parse().unwrap_or_default());
                quote!(#value::Float(#float))
            }
        },
        Json::Text(text) => quote!(#value::Str(::std::string::String::from(#text))),
        Json::List(items) => {
            let items = items.iter().map(self::value);
            quote!(#value::List(::std::vec![#(#items),*]))
        }
        Json::Map(entries) => {
            let entries = entries.iter().map(|(key, inner)| {
                let inner = self::value(inner);
                quote!((::std::string::String::from(#key), #inner))
            });
            quote!(#value::Map(::std::collections::BTreeMap::from([#(#entries),*])))
        }
    }
}
