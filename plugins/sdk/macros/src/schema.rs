//! `#[derive(Schema)]`: the JSON schema of what serde makes of a type, read off the type and its `#[serde(..)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Fields, LitStr, Token, Type, Variant, meta::ParseNestedMeta,
    spanned::Spanned,
};

use crate::words::{doc, plain, snake};

/// Generates the implementation of `Schema`.
pub(crate) fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    if !item.generics.params.is_empty() {
        return Err(syn::Error::new(item.generics.span(), "a type with a schema can't be generic"));
    }
    let said = Said::of(&item.attrs)?;
    let schema = match &item.data {
        Data::Struct(data) => of_fields(&data.fields, &said)?,
        Data::Enum(data) => of_enum(data, &said)?,
        Data::Union(_) => return Err(syn::Error::new(item.ident.span(), "serde knows no unions")),
    };
    let (name, about) = (&item.ident, doc(&item.attrs));
    Ok(quote! {
        #[automatically_derived]
        impl ::ferry_plugin::Schema for #name {
            fn schema() -> ::ferry_plugin::Value {
                ::ferry_plugin::macros::schema::described(#schema, #about)
            }
        }
    })
}

/// The arguments of `#[serde(..)]` on a type, a variant or a field, as far as they affect the body.
#[derive(Default)]
pub(crate) struct Said {
    rename: Option<String>,
    rename_all: Option<String>,
    rename_all_fields: Option<String>,
    tag: Option<String>,
    untagged: bool,
    pub(crate) skip: bool,
    default: bool,
    flatten: bool,
    strict: bool,
    /// Some other code writes it.
    custom: bool,
    /// It is written as its only field.
    transparent: bool,
}

impl Said {
    pub(crate) fn of(attrs: &[Attribute]) -> syn::Result<Said> {
        let mut said = Said::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
            attr.parse_nested_meta(|meta| said.read(&meta))?;
        }
        Ok(said)
    }

    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let text = || -> syn::Result<Option<String>> { Ok(Some(meta.value()?.parse::<LitStr>()?.value())) };
        match word.as_str() {
            "rename" if meta.input.peek(Token![=]) => self.rename = text()?,
            "rename_all" if meta.input.peek(Token![=]) => self.rename_all = text()?,
            "rename_all_fields" if meta.input.peek(Token![=]) => self.rename_all_fields = text()?,
            "tag" => self.tag = text()?,
            "untagged" => self.untagged = true,
            "skip" => self.skip = true,
            "flatten" => self.flatten = true,
            "deny_unknown_fields" => self.strict = true,
            "default" => {
                self.default = true;
                if meta.input.peek(Token![=]) {
                    text()?;
                }
            }
            "with" | "serialize_with" | "deserialize_with" | "into" | "from" | "try_from" => {
                self.custom = true;
                text()?;
            }
            // These change what is read or when, not how it looks.
            "skip_serializing_if" | "alias" | "expecting" | "bound" | "crate" => {
                text()?;
            }
            "transparent" => self.transparent = true,
            _ => {
                return Err(meta.error(
                    "the schema of a data type can't say this: a body is written and read in one form",
                ));
            }
        }
        Ok(())
    }
}

/// Generates the schema of the fields, or that of any value if the type's own conversions hide them.
fn of_fields(fields: &Fields, said: &Said) -> syn::Result<TokenStream> {
    if said.custom {
        return Ok(quote!(<::ferry_plugin::Value as ::ferry_plugin::Schema>::schema()));
    }
    match fields {
        Fields::Named(fields) if said.transparent && fields.named.len() == 1 => {
            Ok(of_type(&fields.named[0].ty))
        }
        Fields::Named(_) => object(fields, said, None),
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Ok(of_type(&fields.unnamed[0].ty)),
        Fields::Unnamed(fields) => {
            let parts = fields.unnamed.iter().map(|field| of_type(&field.ty));
            Ok(quote!(::ferry_plugin::macros::schema::tuple(::std::vec![#(#parts),*])))
        }
        Fields::Unit => Ok(quote!(::ferry_plugin::macros::schema::null())),
    }
}

fn of_type(ty: &Type) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as ::ferry_plugin::Schema>::schema())
}

/// Generates the schema of an object of named fields, with a tag if there is one.
fn object(fields: &Fields, said: &Said, tag: Option<(&str, &str)>) -> syn::Result<TokenStream> {
    let mut entries = Vec::new();
    if let Some((tag, name)) = tag {
        entries.push(quote!(object.constant(#tag, #name);));
    }
    for field in fields {
        let own = Said::of(&field.attrs)?;
        let Some(ident) = field.ident.as_ref().filter(|_| !own.skip) else { continue };
        let name = match &own.rename {
            Some(name) => name.clone(),
            None => cased(&plain(ident), said.rename_all.as_deref(), false)
                .map_err(|m| syn::Error::new(ident.span(), m))?,
        };
        let (ty, about, has_default) = (&field.ty, doc(&field.attrs), own.default || said.default);
        entries.push(match (own.flatten, own.custom) {
            (true, _) => quote_spanned!(ty.span()=> object.flatten::<#ty>();),
            (false, true) => quote!(object.entry::<::ferry_plugin::Value>(#name, #about, #has_default);),
            (false, false) => quote_spanned!(ty.span()=> object.entry::<#ty>(#name, #about, #has_default);),
        });
    }
    let strict = said.strict;
    Ok(quote!({
        #[allow(unused_mut)]
        let mut object = ::ferry_plugin::macros::schema::Object::default();
        #(#entries)*
        object.finish(#strict)
    }))
}

fn of_enum(data: &DataEnum, said: &Said) -> syn::Result<TokenStream> {
    let choices = data.variants.iter().map(|variant| of_variant(variant, said));
    let choices = choices.filter_map(Result::transpose).collect::<syn::Result<Vec<_>>>()?;
    Ok(quote!(::ferry_plugin::macros::schema::any_of(::std::vec![#(#choices),*])))
}

fn of_variant(variant: &Variant, said: &Said) -> syn::Result<Option<TokenStream>> {
    let mut own = Said::of(&variant.attrs)?;
    if own.skip {
        return Ok(None);
    }
    let name = match &own.rename {
        Some(name) => name.clone(),
        None => cased(&plain(&variant.ident), said.rename_all.as_deref(), true)
            .map_err(|message| syn::Error::new(variant.ident.span(), message))?,
    };
    own.rename_all = own.rename_all.or_else(|| said.rename_all_fields.clone());
    let fields = &variant.fields;
    Ok(Some(match (&said.tag, fields) {
        _ if said.untagged => of_fields(fields, &own)?,
        (Some(tag), Fields::Named(_) | Fields::Unit) => object(fields, &own, Some((tag, &name)))?,
        (Some(_), Fields::Unnamed(_)) => {
            return Err(syn::Error::new(variant.span(), "beside a tag, give the fields names"));
        }
        (None, Fields::Unit) => quote!(::ferry_plugin::macros::schema::constant(#name)),
        (None, _) => {
            let inner = of_fields(fields, &own)?;
            quote!(::ferry_plugin::macros::schema::tagged(#name, #inner))
        }
    }))
}

/// Returns the name in the case that `rename_all` asks for.
fn cased(name: &str, rule: Option<&str>, is_variant: bool) -> Result<String, String> {
    let Some(rule) = rule else { return Ok(name.to_owned()) };
    // serde's own rule: a capital letter begins a word of a variant, an underscore one of a field.
    let words: Vec<String> = match is_variant {
        true => by_capitals(name),
        false => name.split('_').map(str::to_owned).collect(),
    };
    let capital = |word: &String| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
    };
    let pascal: String = words.iter().map(capital).collect();
    Ok(match rule {
        "lowercase" if is_variant => name.to_lowercase(),
        "lowercase" => name.to_owned(),
        "UPPERCASE" => name.to_uppercase(),
        "PascalCase" => pascal,
        "camelCase" => {
            let mut chars = pascal.chars();
            chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
        }
        "snake_case" => words.join("_"),
        "kebab-case" => words.join("-"),
        "SCREAMING_SNAKE_CASE" => words.join("_").to_uppercase(),
        "SCREAMING-KEBAB-CASE" => words.join("-").to_uppercase(),
        other => return Err(format!("serde knows no case `{other}`")),
    })
}

fn by_capitals(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_lowercase().collect()),
        }
    }
    words
}

/// Returns a struct's name in the form of a data type's, for messages.
pub(crate) fn suggested(name: &str) -> String {
    format!("my_library.{}", snake(name))
}
