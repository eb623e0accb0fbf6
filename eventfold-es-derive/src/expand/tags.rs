//! The tags of an event.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Member;

use crate::ast::Tagged;
use crate::ast::event::SetVariant;

/// What [`of_struct`] and [`of_variants`] need in scope.
pub(crate) fn imports(has_tags: bool) -> Option<TokenStream> {
    has_tags.then(|| {
        quote! {
            use __eventfold::NotOneTag as _;
        }
    })
}

/// ```ignore
/// fn append_tags(&self, tags: &mut Tags) -> Result<(), InvalidTag> {
///     TagOf::<CourseId>::__append("course", &self.course, tags)?;
///     Ok(())
/// }
/// ```
pub(crate) fn of_struct(tagged: &[Tagged<'_>]) -> Option<TokenStream> {
    let appended = tagged.iter().map(|field| {
        let mut member = field.member.clone();
        match &mut member {
            Member::Named(ident) => ident.set_span(place(field)),
            Member::Unnamed(index) => index.span = place(field),
        }
        append(field, &quote_spanned!(place(field)=> &self.#member))
    });
    let appended: TokenStream = appended.collect();
    (!tagged.is_empty()).then(|| function(&quote!(#appended ::core::result::Result::Ok(()))))
}

/// ```ignore
/// fn append_tags(&self, tags: &mut Tags) -> Result<(), InvalidTag> {
///     match self {
///         Self::Subscribed { course: tag_0, .. } => {
///             TagOf::<CourseId>::__append("course", tag_0, tags)?;
///         }
///         _ => {}
///     }
///     Ok(())
/// }
/// ```
pub(crate) fn of_variants(variants: &[SetVariant<'_>]) -> Option<TokenStream> {
    let with_tags = variants.iter().filter(|variant| !variant.tags.is_empty());
    let arms: Vec<TokenStream> = with_tags
        .map(|variant| {
            let (mut bound, mut appended) = (TokenStream::new(), TokenStream::new());
            for (position, field) in variant.tags.iter().enumerate() {
                let (member, local) = (
                    &field.member,
                    format_ident!("__tag_{position}", span = place(field)),
                );
                bound.extend(quote!(#member: #local,));
                appended.extend(append(field, &quote!(#local)));
            }
            let ident = variant.ident;
            quote!(Self::#ident { #bound .. } => { #appended })
        })
        .collect();
    let rest = (arms.len() < variants.len()).then(|| quote!(_ => {}));
    (!arms.is_empty()).then(|| {
        function(&quote! {
            match self { #(#arms)* #rest }
            ::core::result::Result::Ok(())
        })
    })
}

/// `&["course", "student"]`
pub(crate) fn names(tagged: &[Tagged<'_>]) -> TokenStream {
    let mut names: Vec<&str> = Vec::new();
    for name in tagged.iter().flat_map(|field| &field.names) {
        if !names.contains(&name.value.as_str()) {
            names.push(&name.value);
        }
    }
    quote!(&[#(#names),*])
}

/// The function around `body`.
pub(crate) fn function(body: &TokenStream) -> TokenStream {
    quote! {
        fn append_tags(
            &self,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            #body
        }
    }
}

/// Appends a field's tags. An error about its type points at it.
fn append(field: &Tagged<'_>, value: &TokenStream) -> TokenStream {
    let ty = &field.field.ty;
    let names = field.names.iter().map(|name| &name.value);
    let appended = names.map(|name| {
        quote_spanned! {place(field)=>
            __eventfold::TagOf::<#ty>::__append(#name, #value, __tags)?;
        }
    });
    appended.collect()
}

fn place(field: &Tagged<'_>) -> Span {
    super::place(&field.field.ty)
}
