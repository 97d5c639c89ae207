//! `outline!`: steps and their order, as they read best.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Expr, Ident, Path, Token, braced,
    parse::{Parse, ParseStream},
    token::Brace,
};

use crate::words::plain;

/// Blocks, one after the other.
pub(crate) struct Outline(Vec<Block>);

enum Block {
    Step(Path),
    If { test: Test, then: Outline, otherwise: Outline },
    While { test: Test, body: Outline },
    Return(Option<Expr>),
}

struct Test {
    method: Path,
    negated: bool,
}

mod word {
    syn::custom_keyword!(elif);
}

impl Parse for Outline {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut blocks = Vec::new();
        while !input.is_empty() {
            blocks.push(input.parse()?);
        }
        Ok(Outline(blocks))
    }
}

impl Parse for Block {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Token![if]) {
            input.parse::<Token![if]>()?;
            return branches(input);
        }
        if input.peek(Token![while]) {
            let word: Token![while] = input.parse()?;
            let block = Block::While { test: input.parse()?, body: body(input)? };
            return match &block {
                Block::While { body: Outline(blocks), .. } if blocks.is_empty() => {
                    Err(syn::Error::new(word.span, "a loop needs a step: without one it would never end"))
                }
                _ => Ok(block),
            };
        }
        if input.peek(Token![return]) {
            input.parse::<Token![return]>()?;
            let exit = if input.peek(Token![;]) { None } else { Some(input.parse()?) };
            input.parse::<Token![;]>()?;
            return Ok(Block::Return(exit));
        }
        let step = method(input, "a step, `if`, `while` or `return`")?;
        if !input.peek(Token![;]) {
            let name = plain_of(&step);
            return Err(
                input.error(format!("expected `;` after the step `{name}`, which takes no arguments here"))
            );
        }
        input.parse::<Token![;]>()?;
        Ok(Block::Step(step))
    }
}

impl Parse for Test {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let negated = input.parse::<Option<Token![!]>>()?.is_some();
        Ok(Test { method: method(input, "a condition: the name of a method")?, negated })
    }
}

/// Parses the test and the blocks that follow an `if` or `elif`.
fn branches(input: ParseStream<'_>) -> syn::Result<Block> {
    let (test, then) = (input.parse()?, body(input)?);
    let is_elif = input.peek(word::elif) || input.peek(Token![else]) && input.peek2(Token![if]);
    let otherwise = if is_elif {
        if input.parse::<Option<word::elif>>()?.is_none() {
            input.parse::<Token![else]>()?;
            input.parse::<Token![if]>()?;
        }
        Outline(vec![branches(input)?])
    } else if input.peek(Token![else]) {
        input.parse::<Token![else]>()?;
        body(input)?
    } else {
        Outline(Vec::new())
    };
    Ok(Block::If { test, then, otherwise })
}

fn body(input: ParseStream<'_>) -> syn::Result<Outline> {
    if !input.peek(Brace) {
        return Err(input.error("expected `{` and the steps that belong to it"));
    }
    let content;
    braced!(content in input);
    content.parse()
}

/// Parses a method: of the workchain if it is one name.
fn method(input: ParseStream<'_>, what: &str) -> syn::Result<Path> {
    if !input.peek(Ident) && !input.peek(Token![Self]) && !input.peek(Token![crate]) {
        return Err(input.error(format!("expected {what}")));
    }
    Path::parse_mod_style(input)
}

fn plain_of(method: &Path) -> String {
    method.segments.last().map(|segment| plain(&segment.ident)).unwrap_or_default()
}

fn called(method: &Path) -> TokenStream {
    match method.get_ident() {
        Some(name) => quote!(Self::#name),
        None => quote!(#method),
    }
}

impl Outline {
    /// Generates the calls that build it.
    pub(crate) fn expand(&self) -> TokenStream {
        let calls = self.0.iter().map(Block::expand);
        quote!(::ferry_plugin::Outline::new() #(#calls)*)
    }
}

impl Block {
    fn expand(&self) -> TokenStream {
        match self {
            Block::Step(step) => {
                let (name, method) = (plain_of(step), called(step));
                quote!(.step(#name, #method))
            }
            Block::If { test, then, otherwise } => {
                let (test, then, otherwise) = (test.expand(), then.expand(), otherwise.expand());
                quote!(.if_(#test, #then, #otherwise))
            }
            Block::While { test, body } => {
                let (test, body) = (test.expand(), body.expand());
                quote!(.while_(#test, #body))
            }
            Block::Return(None) => quote!(.return_()),
            Block::Return(Some(exit)) => quote!(.return_with(&#exit)),
        }
    }
}

impl Test {
    fn expand(&self) -> TokenStream {
        let (name, method) = (plain_of(&self.method), called(&self.method));
        if self.negated {
            quote!(::ferry_plugin::Condition::not(#name, #method))
        } else {
            quote!(::ferry_plugin::Condition::is(#name, #method))
        }
    }
}
