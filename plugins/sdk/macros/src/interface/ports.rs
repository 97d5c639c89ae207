//! The structs of a stub: ports as fields, as an author would have written them.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Namespace, Port};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Ident, Type, parse_quote};

use super::{described, name};
use crate::{inputs, outputs, words::camel};

/// Structs as they are made.
pub(super) struct Ports<'a> {
    types: &'a BTreeMap<String, Type>,
    pub(super) items: TokenStream,
}

impl<'a> Ports<'a> {
    pub(super) fn new(types: &'a BTreeMap<String, Type>) -> Self {
        Ports { types, items: TokenStream::new() }
    }

    /// Adds a struct of input ports, with its draft.
    pub(super) fn inputs(&mut self, name: &Ident, namespace: &Namespace) {
        let fields =
            self.fields(name, namespace, "Inputs", |ports, name, namespace| ports.inputs(name, namespace));
        let item = item(name, &fields);
        let exact = described(namespace);
        self.add(&item, inputs::derive_as(&item, Some(&exact)));
    }

    /// Adds a struct of output ports, with its nodes.
    pub(super) fn outputs(&mut self, name: &Ident, namespace: &Namespace) {
        let fields =
            self.fields(name, namespace, "Outputs", |ports, name, namespace| ports.outputs(name, namespace));
        let item = item(name, &fields);
        let exact = described(namespace);
        self.add(&item, outputs::derive_as(&item, Some(&exact)));
    }

    fn add(&mut self, item: &DeriveInput, derived: syn::Result<TokenStream>) {
        let derived = derived.unwrap_or_else(|error| error.into_compile_error());
        self.items.extend(quote!(#item #derived));
    }

    fn fields(
        &mut self,
        outer: &Ident,
        namespace: &Namespace,
        end: &str,
        nest: impl Fn(&mut Self, &Ident, &Namespace),
    ) -> Vec<TokenStream> {
        let mut field = |port: &String, described: &Port| {
            let is_map = |inner: &Namespace| inner.ports.is_empty();
            let ty = match &described.namespace {
                None => self.leaf(&described.types, end),
                Some(Namespace { ports, dynamic: Some(types) }) if ports.is_empty() => {
                    let leaf = self.leaf(types, end);
                    quote!(::std::collections::BTreeMap<::std::string::String, #leaf>)
                }
                Some(inner) => {
                    let outer = outer.to_string();
                    let inside =
                        format_ident!("{}{}{end}", outer.strip_suffix(end).unwrap_or(&outer), camel(port));
                    nest(self, &inside, inner);
                    quote!(#inside)
                }
            };
            let may_lack = !described.required
                && described.default.is_none()
                && !described.namespace.as_ref().is_some_and(is_map);
            let ty = if may_lack { quote!(::core::option::Option<#ty>) } else { ty };
            let (port, help) = (name(port), &described.help);
            quote!(#[doc = #help] pub #port: #ty)
        };
        namespace.ports.iter().map(|(port, described)| field(port, described)).collect()
    }

    /// Returns the Rust type of a port that takes or gives these data types.
    fn leaf(&self, types: &[String], end: &str) -> TokenStream {
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        if let [only] = types.as_slice()
            && let Some(ty) = self.types.get(*only)
        {
            return quote!(#ty);
        }
        let is_input = end == "Inputs";
        match types.as_slice() {
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
