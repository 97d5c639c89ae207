//! Fields of a struct that become ports, and the arguments of their `#[port(..)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Data, DeriveInput, Expr, ExprLit, ExprRange, Fields, Ident, Lit, LitStr, RangeLimits, Token, Type,
    meta::ParseNestedMeta, parenthesized, parse::ParseStream, punctuated::Punctuated, spanned::Spanned,
};

use crate::words::{doc, plain};

/// One field.
pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    /// The port's name.
    pub(crate) name: String,
    pub(crate) help: String,
    said: Said,
}

/// The arguments of `#[port(..)]`.
#[derive(Default)]
struct Said {
    default: Option<Expr>,
    range: Option<ExprRange>,
    choices: Vec<Expr>,
    help: Option<LitStr>,
    /// Ports of a namespace that are left out; dotted.
    exclude: Vec<String>,
    /// The only ones that are not.
    include: Vec<String>,
    /// A function that judges what is given.
    validate: Option<Expr>,
    /// True if the attribute marks the field as a child's ports. The field's type already implies this.
    expose: bool,
}

/// Returns the fields of a plain struct.
pub(crate) fn fields_of<'a>(item: &'a DeriveInput, what: &str) -> syn::Result<Vec<Field<'a>>> {
    if !item.generics.params.is_empty() {
        let message = format!("{what} can't be generic: a process type has one set of ports");
        return Err(syn::Error::new(item.generics.span(), message));
    }
    let fields = match &item.data {
        Data::Struct(data) => &data.fields,
        _ => {
            return Err(syn::Error::new(
                item.ident.span(),
                format!("{what} must be a struct: each field is a port"),
            ));
        }
    };
    match fields {
        Fields::Named(fields) => fields.named.iter().map(read).collect(),
        Fields::Unit => Ok(Vec::new()),
        Fields::Unnamed(_) => {
            Err(syn::Error::new(fields.span(), "ports have names: use a struct with named fields"))
        }
    }
}

fn read(field: &syn::Field) -> syn::Result<Field<'_>> {
    let ident = field.ident.as_ref().ok_or_else(|| syn::Error::new(field.span(), "a port has a name"))?;
    let mut said = Said::default();
    for attr in field.attrs.iter().filter(|attr| attr.path().is_ident("port")) {
        attr.parse_nested_meta(|meta| said.read(&meta))?;
    }
    let help = said.help.as_ref().map_or_else(|| doc(&field.attrs), LitStr::value);
    Ok(Field { ident, ty: &field.ty, name: plain(ident), help, said })
}

impl Said {
    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("default") {
            self.default = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("help") {
            self.help = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("range") {
            let content;
            parenthesized!(content in meta.input);
            self.range = Some(range(content.parse()?)?);
        } else if meta.path.is_ident("choices") {
            let content;
            parenthesized!(content in meta.input);
            self.choices = Punctuated::<Expr, Token![,]>::parse_terminated(&content)?.into_iter().collect();
        } else if meta.path.is_ident("exclude") {
            self.exclude = port_names(meta)?;
        } else if meta.path.is_ident("include") {
            self.include = port_names(meta)?;
        } else if meta.path.is_ident("validate") {
            self.validate = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("expose") {
            self.expose = true;
        } else {
            return Err(meta.error(
                "expected `default = ..`, `range(..)`, `choices(..)`, `help = \"..\"`, `validate = ..`, `expose`, \
                 `exclude(..)` or `include(..)`",
            ));
        }
        Ok(())
    }
}

/// Parses a list of port names: `(structure, mesh.n)`.
fn port_names(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<String>> {
    let content;
    parenthesized!(content in meta.input);
    let name = |input: ParseStream<'_>| Punctuated::<Ident, Token![.]>::parse_separated_nonempty(input);
    let names = content.parse_terminated(name, Token![,])?;
    let dotted = |name: Punctuated<Ident, Token![.]>| name.iter().map(plain).collect::<Vec<_>>().join(".");
    Ok(names.into_iter().map(dotted).collect())
}

fn range(expr: Expr) -> syn::Result<ExprRange> {
    match expr {
        Expr::Range(range) if range.start.is_some() || range.end.is_some() => Ok(range),
        other => {
            Err(syn::Error::new(other.span(), "expected a range with a bound: `5.0..`, `0..10` or `..=1.0`"))
        }
    }
}

impl Field<'_> {
    /// Refuses what makes no sense for an output.
    pub(crate) fn check_output(&self) -> syn::Result<()> {
        let said = &self.said;
        let wrong = said.default.as_ref().or(said.choices.first()).or(said.validate.as_ref());
        match wrong.map(Spanned::span).or(said.range.as_ref().map(Spanned::span)) {
            Some(span) => {
                Err(syn::Error::new(span, "an output port has no default, range, choices or validator"))
            }
            None => Ok(()),
        }
    }

    /// Generates an expression of this field's port, by the trait that its type must have.
    pub(crate) fn port(&self, by: &TokenStream) -> TokenStream {
        let (ty, help) = (self.ty, &self.help);
        let port = quote_spanned!(ty.span()=> <#ty as #by>::port());
        let (range, default, choices) = (self.range(), self.default(), self.choices());
        let (chosen, exposed) = (self.chosen(), self.exposed());
        quote! {{
            #exposed
            #[allow(unused_mut)]
            let mut port = #port;
            port.help = ::std::string::String::from(#help);
            #range
            #default
            #choices
            #chosen
            port
        }}
    }

    fn range(&self) -> Option<TokenStream> {
        let range = self.said.range.as_ref()?;
        let ty = self.ty;
        let bound = |bound: &Option<Box<Expr>>| match bound {
            Some(bound) => quote!(::core::option::Option::Some((#bound) as f64)),
            None => quote!(::core::option::Option::None),
        };
        let (min, max) = (bound(&range.start), bound(&range.end));
        let exclusive = range.end.is_some() && matches!(range.limits, RangeLimits::HalfOpen(_));
        let check =
            quote_spanned!(range.span()=> const _: () = ::ferry_plugin::macros::assert_number::<#ty>(););
        Some(quote! {
            #check
            port.range = ::core::option::Option::Some(::ferry_plugin::proto::Range {
                min: #min,
                max: #max,
                max_exclusive: #exclusive,
            });
        })
    }

    fn default(&self) -> Option<TokenStream> {
        let body = self.body(self.said.default.as_ref()?);
        Some(quote! {
            port.default = ::core::option::Option::Some(#body);
            port.required = false;
        })
    }

    fn choices(&self) -> Option<TokenStream> {
        let bodies: Vec<TokenStream> = self.said.choices.iter().map(|choice| self.body(choice)).collect();
        (!bodies.is_empty()).then(|| quote!(port.choices = ::std::vec![#(#bodies),*];))
    }

    /// Generates the statement that runs the port's validator.
    pub(crate) fn judgement(&self) -> Option<TokenStream> {
        let validate = self.said.validate.as_ref()?;
        let (ty, name) = (self.ty, &self.name);
        Some(quote_spanned! {validate.span()=>
            ::ferry_plugin::macros::validate_port::<#ty, _, _>(
                #validate, nodes, &::ferry_plugin::macros::join(prefix, #name), bad,
            );
        })
    }

    /// Generates a check that does not compile if `expose` is on something that is no child's ports.
    fn exposed(&self) -> Option<TokenStream> {
        let ty = self.ty;
        let check =
            quote_spanned!(ty.span()=> const _: () = ::ferry_plugin::macros::assert_exposed::<#ty>(););
        self.said.expose.then_some(check)
    }

    /// Leaves out ports of a namespace.
    fn chosen(&self) -> Option<TokenStream> {
        let (include, exclude) = (&self.said.include, &self.said.exclude);
        let is_said = !include.is_empty() || !exclude.is_empty();
        is_said
            .then(|| quote!(port = ::ferry_plugin::macros::choose(port, &[#(#include),*], &[#(#exclude),*]);))
    }

    /// Generates the body of a node that holds `value`, which must be what the port takes.
    fn body(&self, value: &Expr) -> TokenStream {
        let ty = self.ty;
        let value = owned(value);
        let typed =
            quote_spanned!(value.span()=> let leaf: <#ty as ::ferry_plugin::InputField>::Leaf = #value;);
        quote! {{
            #typed
            ::ferry_plugin::macros::body(leaf)
        }}
    }
}

/// Turns a text literal into a `String`, and leaves any other expression as it is.
fn owned(value: &Expr) -> TokenStream {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            quote_spanned!(text.span()=> ::std::string::String::from(#text))
        }
        other => other.to_token_stream(),
    }
}
