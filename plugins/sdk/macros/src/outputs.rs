//! `#[derive(Outputs)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, Ident, spanned::Spanned};

use crate::field::{Field, fields_of};

/// Generates the implementations of `Outputs`, `OutputField` and `Returned` for a struct, and its draft.
pub(crate) fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    derive_as(item, None)
}

/// Generates the same; `exact` is an expression of the ports, for fields whose types don't determine all of
/// them.
pub(crate) fn derive_as(item: &DeriveInput, exact: Option<&TokenStream>) -> syn::Result<TokenStream> {
    let fields = fields_of(item, "outputs")?;
    fields.iter().try_for_each(Field::check_output)?;
    let struct_name = &item.ident;
    let draft_name = format_ident!("{struct_name}Draft");
    let nodes_name = format_ident!("{struct_name}Nodes");
    let namespace = exact.cloned().unwrap_or_else(|| namespace(&fields));
    let outputs = outputs(struct_name, &draft_name, &nodes_name, &fields, &namespace);
    let draft = draft(item, &draft_name, &fields);
    let nodes = nodes(item, &nodes_name, &fields);
    let conversions = conversions(struct_name, &nodes_name, &fields);
    Ok(quote!(#outputs #draft #nodes #conversions))
}

/// Generates the namespace of the ports, as the fields' types define them.
fn namespace(fields: &[Field<'_>]) -> TokenStream {
    let names = fields.iter().map(|field| &field.name);
    let ports = fields.iter().map(|field| field.port(&quote!(::ferry_plugin::OutputField)));
    quote! {
        ::ferry_plugin::proto::Namespace {
            ports: ::std::collections::BTreeMap::from([#((::std::string::String::from(#names), #ports)),*]),
            dynamic: ::core::option::Option::None,
        }
    }
}

fn outputs(
    struct_name: &Ident,
    draft_name: &Ident,
    nodes_name: &Ident,
    fields: &[Field<'_>],
    namespace: &TokenStream,
) -> TokenStream {
    let emits = fields.iter().map(|field| {
        let (ident, ty, name) = (field.ident, field.ty, &field.name);
        quote_spanned! {ty.span()=>
            <#ty as ::ferry_plugin::OutputField>::emit(self.#ident, &::ferry_plugin::macros::join(prefix, #name), set);
        }
    });
    quote! {
        #[automatically_derived]
        impl ::ferry_plugin::Outputs for #struct_name {
            type Draft = #draft_name;
            type Nodes = #nodes_name;

            fn namespace() -> ::ferry_plugin::proto::Namespace {
                #namespace
            }

            #[allow(unused_variables)]
            fn emit_all(self, prefix: &str, set: &mut ::ferry_plugin::OutputSet) {
                #(#emits)*
            }
        }
    }
}

fn draft(item: &DeriveInput, draft_name: &Ident, fields: &[Field<'_>]) -> TokenStream {
    let visibility = &item.vis;
    let about = format!("Sets the outputs of [`{}`], one by one. What was set stays set.", item.ident);
    let setters = fields.iter().map(|field| {
        let (ident, ty, name) = (field.ident, field.ty, &field.name);
        let doc = format!("Sets the output `{name}`. {}", field.help);
        quote_spanned! {ty.span()=>
            #[doc = #doc]
            #[allow(dead_code)]
            #visibility fn #ident<V>(&mut self, value: V) -> &mut Self
            where
                #ty: ::ferry_plugin::Accept<V>,
            {
                <#ty as ::ferry_plugin::Accept<V>>::accept(value, #name, &mut self.0);
                self
            }
        }
    });
    quote! {
        #[doc = #about]
        #[derive(Debug)]
        #visibility struct #draft_name(::ferry_plugin::OutputSet);

        impl #draft_name {
            #(#setters)*
        }

        #[automatically_derived]
        impl ::ferry_plugin::OutputsDraft for #draft_name {
            fn over(set: ::ferry_plugin::OutputSet) -> Self {
                Self(set)
            }

            fn into_set(self) -> ::ferry_plugin::OutputSet {
                self.0
            }
        }
    }
}

/// Generates the struct of the outputs of a process that ended, for its caller.
fn nodes(item: &DeriveInput, nodes_name: &Ident, fields: &[Field<'_>]) -> TokenStream {
    let visibility = &item.vis;
    let about = format!("The outputs of [`{}`] as stored nodes, for whoever called the process.", item.ident);
    let members = fields.iter().map(|field| {
        let (ident, ty, doc) = (field.ident, field.ty, format!("The output `{}`. {}", field.name, field.help));
        quote_spanned!(ty.span()=> #[doc = #doc] #visibility #ident: <#ty as ::ferry_plugin::OutputField>::Nodes)
    });
    let reads = fields.iter().map(|field| {
        let (ident, ty, name) = (field.ident, field.ty, &field.name);
        quote_spanned! {ty.span()=>
            #ident: <#ty as ::ferry_plugin::OutputField>::read(nodes, &::ferry_plugin::macros::join(prefix, #name))?
        }
    });
    quote! {
        #[doc = #about]
        #[derive(Debug, Clone)]
        #[allow(dead_code)]
        #visibility struct #nodes_name { #(#members),* }

        #[automatically_derived]
        impl ::ferry_plugin::OutputNodes for #nodes_name {
            #[allow(unused_variables)]
            fn read_all(
                nodes: &::std::collections::BTreeMap<::std::string::String, ::ferry_plugin::proto::Node>,
                prefix: &str,
            ) -> ::core::result::Result<Self, ::std::string::String> {
                ::core::result::Result::Ok(Self { #(#reads),* })
            }
        }
    }
}

/// Generates the uses of such a struct: a field of another one, a return type of a calcfunction, and, if all
/// of it is stored nodes, a return type of a workflow. (A bound on concrete types is an error where it does
/// not hold, unless it is over a lifetime.)
fn conversions(struct_name: &Ident, nodes_name: &Ident, fields: &[Field<'_>]) -> TokenStream {
    let stored = fields.iter().map(|field| {
        let ty = field.ty;
        quote_spanned!(ty.span()=> for<'any> #ty: ::ferry_plugin::macros::StoredFor<'any>)
    });
    quote! {
        #[automatically_derived]
        impl ::ferry_plugin::Stored for #struct_name where #(#stored),* {}

        #[automatically_derived]
        impl ::ferry_plugin::OutputField for #struct_name {
            type Nodes = #nodes_name;

            fn read(
                nodes: &::std::collections::BTreeMap<::std::string::String, ::ferry_plugin::proto::Node>,
                name: &str,
            ) -> ::core::result::Result<#nodes_name, ::std::string::String> {
                <#nodes_name as ::ferry_plugin::OutputNodes>::read_all(nodes, name)
            }

            fn port() -> ::ferry_plugin::proto::Port {
                ::ferry_plugin::macros::namespace_port(<Self as ::ferry_plugin::Outputs>::namespace())
            }

            fn emit(self, name: &str, set: &mut ::ferry_plugin::OutputSet) {
                <Self as ::ferry_plugin::Outputs>::emit_all(self, name, set);
            }
        }

        #[automatically_derived]
        impl ::ferry_plugin::Returned for #struct_name {
            type Nodes = #nodes_name;

            fn namespace() -> ::ferry_plugin::proto::Namespace {
                <Self as ::ferry_plugin::Outputs>::namespace()
            }

            fn emit(self, set: &mut ::ferry_plugin::OutputSet) -> ::ferry_plugin::Result {
                <Self as ::ferry_plugin::Outputs>::emit_all(self, "", set);
                ::core::result::Result::Ok(())
            }
        }
    }
}
