//! `#[derive(Inputs)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, Ident, spanned::Spanned};

use crate::field::{Field, fields_of};

/// The implementations of `Inputs` and `InputField` for a struct.
pub(crate) fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = fields_of(item, "inputs")?;
    let struct_name = &item.ident;
    let namespace = namespace(&fields);
    let read_all = read_all(&fields);
    let lend_all = lend_all(&fields);
    let as_field = as_field(struct_name);
    Ok(quote! {
        #[automatically_derived]
        impl ::ferry_plugin::Inputs for #struct_name {
            #namespace
            #read_all
            #lend_all
        }
        #as_field
    })
}

fn namespace(fields: &[Field<'_>]) -> TokenStream {
    let names = fields.iter().map(|field| &field.name);
    let ports = fields.iter().map(|field| field.port(&quote!(::ferry_plugin::InputField)));
    quote! {
        fn namespace() -> ::ferry_plugin::proto::Namespace {
            ::ferry_plugin::proto::Namespace {
                ports: ::std::collections::BTreeMap::from([#((::std::string::String::from(#names), #ports)),*]),
                dynamic: ::core::option::Option::None,
            }
        }
    }
}

/// All fields are read before the first that failed ends it, so that all problems are told.
fn read_all(fields: &[Field<'_>]) -> TokenStream {
    let locals: Vec<Ident> = (0..fields.len()).map(|i| format_ident!("field_{i}")).collect();
    let idents = fields.iter().map(|field| field.ident);
    let reads = fields.iter().zip(&locals).map(|(field, local)| {
        let (ty, name) = (field.ty, &field.name);
        quote_spanned! {ty.span()=>
            let #local = <#ty as ::ferry_plugin::InputField>::read(
                nodes, &::ferry_plugin::macros::join(prefix, #name), bad,
            );
        }
    });
    quote! {
        #[allow(unused_variables)]
        fn read_all(
            nodes: &::ferry_plugin::proto::Inputs,
            prefix: &str,
            bad: &mut ::ferry_plugin::Problems,
        ) -> ::core::option::Option<Self> {
            #(#reads)*
            ::core::option::Option::Some(Self { #(#idents: #locals?),* })
        }
    }
}

fn lend_all(fields: &[Field<'_>]) -> TokenStream {
    let lends = fields.iter().map(|field| {
        let (ident, ty, name) = (field.ident, field.ty, &field.name);
        quote_spanned! {ty.span()=>
            <#ty as ::ferry_plugin::InputField>::lend(
                &self.#ident, &::ferry_plugin::macros::join(prefix, #name), lender, nodes,
            );
        }
    });
    quote! {
        #[allow(unused_variables)]
        fn lend_all(
            &self,
            prefix: &str,
            lender: &mut ::ferry_plugin::testing::Lender,
            nodes: &mut ::ferry_plugin::proto::Inputs,
        ) {
            #(#lends)*
        }
    }
}

/// Such a struct is a field of another one: a nested namespace.
fn as_field(struct_name: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::ferry_plugin::InputField for #struct_name {
            type Leaf = ::ferry_plugin::NoLeaf;

            fn port() -> ::ferry_plugin::proto::Port {
                ::ferry_plugin::macros::namespace_port(<Self as ::ferry_plugin::Inputs>::namespace())
            }

            fn read(
                nodes: &::ferry_plugin::proto::Inputs,
                name: &str,
                bad: &mut ::ferry_plugin::Problems,
            ) -> ::core::option::Option<Self> {
                <Self as ::ferry_plugin::Inputs>::read_all(nodes, name, bad)
            }

            fn lend(
                &self,
                name: &str,
                lender: &mut ::ferry_plugin::testing::Lender,
                nodes: &mut ::ferry_plugin::proto::Inputs,
            ) {
                <Self as ::ferry_plugin::Inputs>::lend_all(self, name, lender, nodes);
            }
        }
    }
}
