//! Whose the personal data of an event is, while it is written.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Ident, Member};

use crate::ast::Subjects;

/// ```ignore
/// let subject = Subject::__of("CustomerRegistered", "customer", &self.customer)?;
/// subject.__during(|| <Self as EventPayload>::encode_struct(self, "CustomerRegistered", data))
/// ```
///
/// With several subjects, each says which fields it owns instead.
pub(crate) fn of_struct(
    name: &TokenStream,
    subjects: &Subjects<'_>,
    encode: &TokenStream,
) -> TokenStream {
    around(name, subjects, encode, &|member| quote!(&self.#member))
}

/// As [`of_struct`], in an arm of a `match`: the pattern and the code.
pub(crate) fn of_variant(
    ident: &Ident,
    name: &TokenStream,
    subjects: &Subjects<'_>,
    encode: &TokenStream,
) -> TokenStream {
    if subjects.subjects.is_empty() {
        return quote!(Self::#ident { .. } => #encode,);
    }
    let bound: Vec<&Member> = used(subjects);
    let local = |member: &Member| {
        let position = bound.iter().position(|bound| *bound == member);
        format_ident!("__field_{}", position.unwrap_or_default())
    };
    let locals = bound.iter().map(|member| {
        let local = local(member);
        quote!(#member: #local,)
    });
    let code = around(name, subjects, encode, &|member| {
        let local = local(member);
        quote!(#local)
    });
    quote!(Self::#ident { #(#locals)* .. } => { #code })
}

/// The fields that the code names, each once.
fn used<'a>(subjects: &'a Subjects<'_>) -> Vec<&'a Member> {
    let owned = subjects.personal.iter().filter(|field| field.of.is_some());
    let owned = owned.map(|field| &field.member);
    let mut used = Vec::new();
    for member in subjects
        .subjects
        .iter()
        .map(|field| &field.member)
        .chain(owned)
    {
        if !used.contains(&member) {
            used.push(member);
        }
    }
    used
}

fn around(
    name: &TokenStream,
    subjects: &Subjects<'_>,
    encode: &TokenStream,
    field: &dyn Fn(&Member) -> TokenStream,
) -> TokenStream {
    let local = |position: usize| format_ident!("__subject_{position}");
    let mut code = TokenStream::new();
    for (position, subject) in subjects.subjects.iter().enumerate() {
        let (local, value) = (local(position), field(&subject.member));
        let (span, named) = (super::place(&subject.field.ty), &subject.name.value);
        code.extend(quote_spanned! {span=>
            let #local = __eventfold::Subject::__of(#name, #named, #value)?;
        });
    }
    for personal in &subjects.personal {
        let of = personal.of.as_ref();
        let mut all = subjects.subjects.iter();
        let Some(owner) = of.and_then(|of| all.position(|subject| subject.member == *of)) else {
            continue;
        };
        let (owner, value) = (local(owner), field(&personal.member));
        let span = super::place(&personal.field.ty);
        code.extend(quote_spanned!(span=> #owner.__owns(#value);));
    }
    match subjects.subjects.len() {
        1 => code.extend(quote!(__subject_0.__during(|| #encode))),
        _ => code.extend(quote!(#encode)),
    }
    code
}
