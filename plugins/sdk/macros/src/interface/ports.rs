//! The structs of a stub: ports as fields, as an author would have written them.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Ident, Type, parse_quote};

use super::{described, name};
use crate::{inputs, json::Json, outputs, words::camel};

/// Structs as they are made.
pub(super) struct Ports<'a> {
    types: &'a BTreeMap<String, Type>,
    pub(super) items: TokenStream,
}

impl<'a> Ports<'a> {
    pub(super) fn new(types: &'a BTreeMap<String, Type>) -> Self {
        Ports { types, items: TokenStream::new() }
    }

    /// A struct of input ports, with its draft.
    pub(super) fn inputs(&mut self, name: &Ident, namespace: Option<&Json>) {
        let fields =
            self.fields(name, namespace, "Inputs", |ports, name, namespace| ports.inputs(name, namespace));
        let item = item(name, &fields);
        let exact = described::namespace(namespace);
        self.add(&item, inputs::derive_as(&item, Some(&exact)));
    }

    /// A struct of output ports, with its nodes.
    pub(super) fn outputs(&mut self, name: &Ident, namespace: Option<&Json>) {
        let fields =
            self.fields(name, namespace, "Outputs", |ports, name, namespace| ports.outputs(name, namespace));
        let item = item(name, &fields);
        let exact = described::namespace(namespace);
        self.add(&item, outputs::derive_as(&item, Some(&exact)));
    }

    fn add(&mut self, item: &DeriveInput, derived: syn::Result<TokenStream>) {
        let derived = derived.unwrap_or_else(|error| error.into_compile_error());
        self.items.extend(quote!(#item #derived));
    }

    fn fields(
        &mut self,
        outer: &Ident,
        namespace: Option<&Json>,
        end: &str,
        nest: impl Fn(&mut Self, &Ident, Option<&Json>),
    ) -> Vec<TokenStream> {
        let entries = namespace.map_or(&[][..], |namespace| namespace.entries("ports"));
        let field = |(port, described): &(String, Json)| {
            let ty = match described.get("namespace") {
                None => self.leaf(&described.texts("types"), end),
                Some(inner) if inner.entries("ports").is_empty() && inner.get("dynamic").is_some() => {
                    let leaf = self.leaf(&inner.texts("dynamic"), end);
                    quote!(::std::collections::BTreeMap<::std::string::String, #leaf>)
                }
                Some(inner) => {
                    let outer = outer.to_string();
                    let inside =
                        format_ident!("{}{}{end}", outer.strip_suffix(end).unwrap_or(&outer), camel(port));
                    nest(self, &inside, Some(inner));
                    quote!(#inside)
                }
            };
            let is_map = described.get("namespace").is_some_and(|inner| inner.entries("ports").is_empty());
            let may_lack = !described.is("required") && described.get("default").is_none() && !is_map;
            let ty = if may_lack { quote!(::core::option::Option<#ty>) } else { ty };
            let (port, help) = (name(port), described.text("help"));
            quote!(#[doc = #help] pub #port: #ty)
        };
        entries.iter().map(field).collect()
    }

    /// The Rust type of a port that takes or gives these data types.
    fn leaf(&self, types: &[&str], end: &str) -> TokenStream {
        if let [only] = types
            && let Some(ty) = self.types.get(*only)
        {
            return quote!(#ty);
        }
        let is_input = end == "Inputs";
        match types {
            ["int"] => quote!(i64),
            ["float"] => quote!(f64),
            ["bool"] => quote!(bool),
            ["str"] => quote!(::std::string::String),
            ["file"] => quote!(::ferry_plugin::SingleFile),
            ["folder"] => quote!(::ferry_plugin::Folder),
            ["remote_folder"] if is_input => quote!(::ferry_plugin::RemoteFolder),
            ["code"] if is_input => quote!(::ferry_plugin::Code),
            ["list" | "dict"] if !is_input => quote!(::ferry_plugin::Json<::ferry_plugin::Value>),
            _ if is_input => quote!(::ferry_plugin::AnyInput),
            _ => quote!(::ferry_plugin::AnyOutput),
        }
    }
}

fn item(name: &Ident, fields: &[TokenStream]) -> DeriveInput {
    let about = format!("Ports of another plugin's process type: see `{}`.", name);
    parse_quote! {
        #[doc = #about]
        pub struct #name { #(#fields),* }
    }
}
