//! An impl block as it is written: the heads of its methods are read, their bodies are not.
//!
//! So a body may have any syntax, and costs no time.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Attribute, Generics, Path, Signature, Token, Type, Visibility, braced};

pub(crate) struct ImplBlock {
    pub(crate) attrs: Vec<Attribute>,
    impl_token: Token![impl],
    pub(crate) generics: Generics,
    /// The trait of `impl Trait for Type`.
    pub(crate) trait_: Option<(Path, Token![for])>,
    pub(crate) self_ty: Type,
    pub(crate) items: Vec<ImplItem>,
}

pub(crate) enum ImplItem {
    Method(Box<Method>),
    /// A constant, a type, or a macro.
    Other(TokenStream),
}

pub(crate) struct Method {
    pub(crate) attrs: Vec<Attribute>,
    vis: Visibility,
    pub(crate) sig: Signature,
    body: TokenTree,
}

/// The error about an item that is no [`ImplBlock`].
pub(crate) fn unreadable(item: &TokenStream, error: syn::Error) -> syn::Error {
    let start = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Option<Token![unsafe]>>()?;
        let is_impl = input.peek(Token![impl]);
        input.parse::<TokenStream>().map(|_| is_impl)
    };
    match start.parse2(item.clone()) {
        Ok(true) => error,
        _ => syn::Error::new(
            Span::call_site(),
            "`#[aggregate_impl]` is for the impl block with the methods of an aggregate; write it above `impl Type {`",
        ),
    }
}

impl Parse for ImplBlock {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let impl_token = input.parse()?;
        let mut generics: Generics = input.parse()?;
        let mut self_ty: Type = input.parse()?;
        let mut trait_ = None;
        if let Some(for_token) = input.parse::<Option<Token![for]>>()? {
            if let Type::Path(path) = self_ty {
                trait_ = Some((path.path, for_token));
            }
            self_ty = input.parse()?;
        }
        generics.where_clause = input.parse()?;
        let content;
        braced!(content in input);
        let mut items = Vec::new();
        while !content.is_empty() {
            items.push(content.parse()?);
        }
        Ok(Self {
            attrs,
            impl_token,
            generics,
            trait_,
            self_ty,
            items,
        })
    }
}

impl Parse for ImplItem {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let start = input.fork();
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        // `const X: T` begins like `const fn`.
        if let Ok(sig) = input.fork().parse::<Signature>() {
            input.parse::<Signature>()?;
            let body = input.parse()?;
            return Ok(Self::Method(Box::new(Method {
                attrs,
                vis,
                sig,
                body,
            })));
        }
        let ends_with_semicolon = input.peek(Token![const]) || input.peek(Token![type]);
        loop {
            let last: TokenTree = input.parse()?;
            let is_end = match &last {
                TokenTree::Punct(punct) => punct.as_char() == ';',
                TokenTree::Group(group) => {
                    group.delimiter() == Delimiter::Brace && !ends_with_semicolon
                }
                _ => false,
            };
            if is_end || input.is_empty() {
                break;
            }
        }
        let mut item = TokenStream::new();
        while start.cursor() != input.cursor() {
            item.extend([start.parse::<TokenTree>()?]);
        }
        Ok(Self::Other(item))
    }
}

impl ToTokens for ImplBlock {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self {
            attrs,
            impl_token,
            generics,
            trait_,
            self_ty,
            items,
        } = self;
        let where_clause = &generics.where_clause;
        let trait_ = trait_.iter().map(|(path, for_)| quote!(#path #for_));
        tokens.extend(quote! {
            #(#attrs)*
            #impl_token #generics #(#trait_)* #self_ty #where_clause {
                #(#items)*
            }
        });
    }
}

impl ToTokens for ImplItem {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Method(method) => method.to_tokens(tokens),
            Self::Other(item) => item.to_tokens(tokens),
        }
    }
}

impl ToTokens for Method {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self {
            attrs,
            vis,
            sig,
            body,
        } = self;
        tokens.extend(quote!(#(#attrs)* #vis #sig #body));
    }
}
