//! `#[derive(Inputs)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, Expr, Ident, spanned::Spanned};

use crate::field::{Field, fields_of};

/// Generates the implementations of `Inputs` and `InputField` for a struct.
pub(crate) fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    derive_as(item, None)
}

/// Generates the same; `exact` is an expression of the ports, for fields whose types don't determine all of
/// them.
pub(crate) fn derive_as(item: &DeriveInput, exact: Option<&TokenStream>) -> syn::Result<TokenStream> {
    let fields = fields_of(item, "inputs")?;
    let struct_name = &item.ident;
    let namespace = exact.map_or_else(
        || namespace(&fields),
        |exact| quote!(fn namespace() -> ::ferry_plugin::proto::Namespace { #exact }),
    );
    let read_all = read_all(&fields);
    let lend_all = lend_all(&fields);
    let judge_all = judge_all(&fields, whole(item)?.as_ref());
    let draft_name = format_ident!("{struct_name}Draft");
    let draft = draft(item, &draft_name, &fields);
    let as_field = as_field(struct_name, &draft_name);
    Ok(quote! {
        #[automatically_derived]
        impl ::ferry_plugin::Inputs for #struct_name {
            type Draft = #draft_name;
            #namespace
            #read_all
            #lend_all
            #judge_all
        }
        #draft
        #as_field
    })
}

/// Generates the draft, which has a setter per port for the process's callers.
fn draft(item: &DeriveInput, draft_name: &Ident, fields: &[Field<'_>]) -> TokenStream {
    let visibility = &item.vis;
    let about =
        format!("Gives the inputs of [`{}`], one by one, to a process that is to be called.", item.ident);
    let setters = fields.iter().map(|field| {
        let (ident, ty, name) = (field.ident, field.ty, &field.name);
        let doc = format!("Gives the input `{name}`. {}", field.help);
        quote_spanned! {ty.span()=>
            #[doc = #doc]
            #[allow(dead_code)]
            #visibility fn #ident<V>(&mut self, value: V) -> &mut Self
            where
                #ty: ::ferry_plugin::Fill<V>,
            {
                <#ty as ::ferry_plugin::Fill<V>>::fill(value, #name, &mut self.0);
                self
            }
        }
    });
    quote! {
        #[doc = #about]
        #[derive(Debug, Clone, Default, PartialEq)]
        #visibility struct #draft_name(::ferry_plugin::Ports);

        impl #draft_name {
            #(#setters)*
        }

        #[automatically_derived]
        impl ::ferry_plugin::InputsDraft for #draft_name {
            fn over(ports: ::ferry_plugin::Ports) -> Self {
                Self(ports)
            }

            fn ports(&self) -> &::ferry_plugin::Ports {
                &self.0
            }

            fn ports_mut(&mut self) -> &mut ::ferry_plugin::Ports {
                &mut self.0
            }

            fn into_ports(self) -> ::ferry_plugin::Ports {
                self.0
            }
        }
    }
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

/// Generates the code that reads all fields. They are all read before the first failure is returned, so that
/// all problems are reported.
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

/// Returns the value of a namespace's own `#[port(validate = ..)]`.
fn whole(item: &DeriveInput) -> syn::Result<Option<Expr>> {
    let mut validate = None;
    for attr in item.attrs.iter().filter(|attr| attr.path().is_ident("port")) {
        attr.parse_nested_meta(|meta| {
            if !meta.path.is_ident("validate") {
                return Err(meta.error("expected `validate = ..`: all else is said of the fields"));
            }
            validate = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(validate)
}

fn judge_all(fields: &[Field<'_>], whole: Option<&Expr>) -> TokenStream {
    let judges = fields.iter().map(|field| {
        let (ty, name) = (field.ty, &field.name);
        quote_spanned! {ty.span()=>
            <#ty as ::ferry_plugin::InputField>::judge(nodes, &::ferry_plugin::macros::join(prefix, #name), bad);
        }
    });
    let validators = fields.iter().map(Field::judgement);
    let whole = whole.map(|validate| {
        quote_spanned! {validate.span()=>
            ::ferry_plugin::macros::validate_all::<Self, _, _>(#validate, nodes, prefix, bad);
        }
    });
    quote! {
        #[allow(unused_variables)]
        fn judge_all(nodes: &::ferry_plugin::proto::Inputs, prefix: &str, bad: &mut ::ferry_plugin::Problems) {
            #(#judges)*
            #(#validators)*
            #whole
        }
    }
}

/// Generates the implementation for such a struct as a field of another one: a nested namespace.
fn as_field(struct_name: &Ident, draft_name: &Ident) -> TokenStream {
    let nest = quote! {
        ports.nest(name, ::ferry_plugin::InputsDraft::into_ports(value));
    };
    quote! {
        #[automatically_derived]
        impl ::ferry_plugin::Fill<#draft_name> for #struct_name {
            fn fill(value: #draft_name, name: &str, ports: &mut ::ferry_plugin::Ports) {
                #nest
            }
        }

        #[automatically_derived]
        impl ::ferry_plugin::Fill<#draft_name> for ::core::option::Option<#struct_name> {
            fn fill(value: #draft_name, name: &str, ports: &mut ::ferry_plugin::Ports) {
                #nest
            }
        }

        #[automatically_derived]
        impl ::ferry_plugin::InputField for #struct_name {
            type Leaf = ::ferry_plugin::NoLeaf;
            type Judged = Self;

            fn judged(&self) -> ::core::option::Option<&Self> {
                ::core::option::Option::Some(self)
            }

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

            fn judge(nodes: &::ferry_plugin::proto::Inputs, name: &str, bad: &mut ::ferry_plugin::Problems) {
                <Self as ::ferry_plugin::Inputs>::judge_all(nodes, name, bad);
            }
        }
    }
}
