//! `#[derive(Data)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Data, DeriveInput, Fields, Ident, LitInt, LitStr, Path, Token, Type, meta::ParseNestedMeta,
    parenthesized, punctuated::Punctuated, spanned::Spanned,
};

use crate::{
    schema::{self, Said},
    words::{check_type_name, doc, plain},
};

/// The arguments of `#[data(..)]`.
#[derive(Default)]
struct About {
    name: Option<LitStr>,
    version: Option<LitInt>,
    /// Versions with what makes them one newer.
    upgrades: Vec<(u32, Path)>,
    read: Vec<LitStr>,
    write: Vec<LitStr>,
    check: Option<Path>,
}

/// A field that is a file of the node, or several.
struct FileField<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    path: String,
}

/// Generates the implementations of `Data`, of `Schema`, and of the traits that make it a port.
pub(crate) fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    let about = About::of(item)?;
    let files = file_fields(item)?;
    let schema = schema::derive(item)?;
    let data = data(item, &about, &files)?;
    let ports = ports(&item.ident);
    Ok(quote!(#schema #data #ports))
}

impl About {
    fn of(item: &DeriveInput) -> syn::Result<About> {
        let mut about = About::default();
        for attr in item.attrs.iter().filter(|attr| attr.path().is_ident("data")) {
            attr.parse_nested_meta(|meta| about.read(&meta))?;
        }
        let Some(name) = &about.name else {
            let message = format!(
                "say how the data type is called: `#[data(name = \"{}\")]`",
                schema::suggested(&item.ident.to_string())
            );
            return Err(syn::Error::new(item.ident.span(), message));
        };
        check_type_name(name)?;
        about.check_upgrades()?;
        Ok(about)
    }

    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("name") {
            self.name = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("version") {
            self.version = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("check") {
            self.check = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("upgrade") {
            let content;
            parenthesized!(content in meta.input);
            while !content.is_empty() {
                let from: LitInt = content.parse()?;
                content.parse::<Token![=>]>()?;
                self.upgrades.push((from.base10_parse()?, content.parse()?));
                if !content.is_empty() {
                    content.parse::<Token![,]>()?;
                }
            }
        } else if meta.path.is_ident("read") {
            self.read = formats(meta)?;
        } else if meta.path.is_ident("write") {
            self.write = formats(meta)?;
        } else {
            return Err(meta.error(
                "expected `name = \"..\"`, `version = N`, `upgrade(N => path)`, `read(\"..\")`, `write(\"..\")` or `check = path`",
            ));
        }
        Ok(())
    }

    fn version(&self) -> syn::Result<u32> {
        match &self.version {
            Some(version) => match version.base10_parse()? {
                0 => Err(syn::Error::new(version.span(), "versions start at 1")),
                version => Ok(version),
            },
            None => Ok(1),
        }
    }

    /// Checks that the upgrades leave no gap: each makes a body one version newer.
    fn check_upgrades(&self) -> syn::Result<()> {
        let version = self.version()?;
        let count = self.upgrades.len() as u32;
        for (position, (from, path)) in (0..).zip(&self.upgrades) {
            let wanted = version.saturating_sub(count) + position;
            if *from != wanted || wanted == 0 {
                let message = format!(
                    "upgrades go up by one version each, the last one to {version}: expected `{} => ..`",
                    wanted.max(1)
                );
                return Err(syn::Error::new(path.span(), message));
            }
        }
        Ok(())
    }
}

fn formats(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<LitStr>> {
    let content;
    parenthesized!(content in meta.input);
    let formats = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
    for format in &formats {
        let is_word = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        if !is_word(&format.value())
            || ["file", "folder", "str", "json", "yaml", "yml"].contains(&format.value().as_str())
        {
            let message = "a format is a file name's ending, of small letters and digits, and none that ferry reads itself";
            return Err(syn::Error::new(format.span(), message));
        }
    }
    Ok(formats.into_iter().collect())
}

fn file_fields(item: &DeriveInput) -> syn::Result<Vec<FileField<'_>>> {
    let Data::Struct(data) = &item.data else {
        return Err(syn::Error::new(item.ident.span(), "a data type is a struct: its body is a map"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new(item.ident.span(), "a data type has named fields: its body is a map"));
    };
    let mut files = Vec::new();
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let mut path = None;
        for attr in field.attrs.iter().filter(|attr| attr.path().is_ident("data")) {
            attr.parse_nested_meta(|meta| {
                if !meta.path.is_ident("file") {
                    return Err(meta.error("expected `file` or `file = \"name.ext\"`"));
                }
                path = Some(match meta.input.peek(Token![=]) {
                    true => meta.value()?.parse::<LitStr>()?.value(),
                    false => plain(ident),
                });
                Ok(())
            })?;
        }
        if ident == "_version" {
            return Err(syn::Error::new(ident.span(), "ferry keeps the type's version under this name"));
        }
        let Some(path) = path else { continue };
        if !Said::of(&field.attrs)?.skip {
            let message = "a file is no part of the body: write `#[serde(skip)]` beside `#[data(file)]`";
            return Err(syn::Error::new(ident.span(), message));
        }
        files.push(FileField { ident, ty: &field.ty, path });
    }
    Ok(files)
}

fn data(item: &DeriveInput, about: &About, files: &[FileField<'_>]) -> syn::Result<TokenStream> {
    let (ident, name, version, help) = (&item.ident, &about.name, about.version()?, doc(&item.attrs));
    let (read, write) = (&about.read, &about.write);
    let upgrades = about.upgrades.iter().map(|(from, path)| {
        quote_spanned!(path.span()=> (#from, |body| ::ferry_plugin::macros::upgrade(#path, body)))
    });
    let read_file = (!read.is_empty()).then(|| {
        quote! {
            fn read_format(format: &str, file: &::ferry_plugin::SingleFile) -> ::ferry_plugin::Result<Self> {
                <Self as ::ferry_plugin::ReadFile>::read_file(format, file)
            }
        }
    });
    let write_file = (!write.is_empty()).then(|| {
        quote! {
            fn write_format(&self, format: &str) -> ::ferry_plugin::Result<::std::vec::Vec<u8>> {
                <Self as ::ferry_plugin::WriteFile>::write_file(self, format)
            }
        }
    });
    let check = about.check.as_ref().map(|path| {
        quote_spanned! {path.span()=>
            fn check(&self) -> ::core::result::Result<(), ::std::string::String> {
                ::ferry_plugin::macros::checked(#path(self))
            }
        }
    });
    let puts = files.iter().map(|FileField { ident, ty, path }| {
        quote_spanned!(ty.span()=> <#ty as ::ferry_plugin::FileField>::put(&self.#ident, #path, files)?;)
    });
    let takes = files.iter().map(|FileField { ident, ty, path }| {
        quote_spanned!(ty.span()=> self.#ident = <#ty as ::ferry_plugin::FileField>::take(#path, files)?;)
    });
    Ok(quote! {
        #[automatically_derived]
        impl ::ferry_plugin::Data for #ident {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            const DOC: &'static str = #help;
            const READS: &'static [&'static str] = &[#(#read),*];
            const WRITES: &'static [&'static str] = &[#(#write),*];
            const UPGRADES: &'static [(u32, ::ferry_plugin::Upgrade)] = &[#(#upgrades),*];

            #[allow(unused_variables)]
            fn put_files(&self, files: &mut ::ferry_plugin::DataFiles) -> ::core::result::Result<(), ::std::string::String> {
                #(#puts)*
                ::core::result::Result::Ok(())
            }

            #[allow(unused_variables)]
            fn take_files(&mut self, files: &::ferry_plugin::DataFiles) -> ::core::result::Result<(), ::std::string::String> {
                #(#takes)*
                ::core::result::Result::Ok(())
            }

            #check
            #read_file
            #write_file
        }

        const _: () = {
            use ::ferry_plugin::macros::inventory;
            inventory::submit! { ::ferry_plugin::macros::DataEntry::of::<#ident>() }
        };
    })
}

/// Generates the implementations that make the type a port. A blanket implementation would conflict with
/// those for plain types.
fn ports(ident: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::ferry_plugin::PortType for #ident {
            fn types() -> ::std::vec::Vec<::std::string::String> {
                ::ferry_plugin::macros::data_types::<Self>()
            }

            fn from_node(node: &::ferry_plugin::proto::Node) -> ::core::result::Result<Self, ::std::string::String> {
                ::ferry_plugin::macros::data_from_node(node)
            }

            fn lend(&self, lender: &mut ::ferry_plugin::testing::Lender) -> ::ferry_plugin::proto::Node {
                ::ferry_plugin::macros::lend_data(self, lender)
            }

            fn given(&self) -> ::core::result::Result<::ferry_plugin::proto::CallInput, ::std::string::String> {
                ::ferry_plugin::macros::give_data(self)
            }
        }

        #[automatically_derived]
        impl ::ferry_plugin::IntoNode for #ident {
            fn types() -> ::std::vec::Vec<::std::string::String> {
                ::ferry_plugin::macros::data_types::<Self>()
            }

            fn into_node(
                self,
                places: &mut ::ferry_plugin::Places,
            ) -> ::core::result::Result<::ferry_plugin::proto::NewNode, ::std::string::String> {
                ::ferry_plugin::macros::data_into_node(&self, places)
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#ident> for ::ferry_plugin::AnyOutput {
            fn from(value: #ident) -> Self {
                ::ferry_plugin::AnyOutput::new(value)
            }
        }
    }
}
