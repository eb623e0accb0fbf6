//! The input of `#[aggregate_impl]`: the methods that decide commands and evolve by events.
//!
//! The receiver tells which: `&self` decides, `&mut self` evolves. Every other method is marked
//! `#[helper]`, so a mistake in a head never makes a method a helper.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Attribute, FnArg, GenericParam, Ident, Meta, PatType, Path, Receiver, ReceiverKind, ReturnType,
    Safety, Signature, Type, TypeReference,
};

use super::impl_block::{ImplBlock, ImplItem, Method};
use crate::attr::Entries;
use crate::attr::key::{self, Place};
use crate::errors::Errors;
use crate::similar;

/// The impl block of an aggregate.
pub(crate) struct AggregateImpl {
    pub(crate) krate: Path,
    /// The block, without the `#[helper]`s.
    pub(crate) block: ImplBlock,
    /// The `cfg` attributes of the block.
    pub(crate) cfgs: Vec<TokenStream>,
    pub(crate) handlers: Vec<Handler>,
}

/// A method that decides a command or evolves by an event.
pub(crate) struct Handler {
    pub(crate) handles: Handles,
    pub(crate) method: Ident,
    /// The type of the command or of the event.
    pub(crate) message: Type,
    /// What a decision returns.
    pub(crate) returned: Option<Type>,
    /// The type of a decision's context.
    pub(crate) context: Option<Type>,
    /// The `cfg` and `doc` attributes of the method.
    pub(crate) attrs: Vec<TokenStream>,
    /// Whether one of `attrs` may remove it.
    pub(crate) is_conditional: bool,
    /// Whether the method can be called. If not, a stand-in takes its place.
    pub(crate) is_sound: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handles {
    Command,
    /// And what the decision knows besides.
    CommandInContext,
    Event,
}

impl Handles {
    pub(crate) fn is_command(self) -> bool {
        self != Self::Event
    }
}

impl AggregateImpl {
    pub(crate) fn read(arguments: TokenStream, mut block: ImplBlock, errors: &mut Errors) -> Self {
        let entries = Entries::of_arguments(
            "aggregate_impl",
            arguments,
            &key::AGGREGATE_IMPL,
            Place::AggregateImpl,
            errors,
        );
        let is_possible = check_block(&block, errors);
        let mut handlers = Vec::new();
        for item in &mut block.items {
            if let ImplItem::Method(method) = item
                && !take_helper(method, errors)
                && is_possible
                && let Some(handler) = Handler::read(method, errors)
            {
                handlers.push(handler);
            }
        }
        let cfgs = block.attrs.iter().filter_map(|of| copied(of, &["cfg"]));
        let cfgs = cfgs.collect();
        if !handlers.is_empty() {
            block.attrs.push(allowed());
        }
        Self {
            krate: super::runtime(&entries),
            block,
            cfgs,
            handlers,
        }
    }
}

/// Whether the block can have methods that decide and evolve.
fn check_block(block: &ImplBlock, errors: &mut Errors) -> bool {
    if let Some((path, for_token)) = &block.trait_ {
        errors.at(
            quote!(#path #for_token),
            "`#[aggregate_impl]` is for an impl block without a trait; put the methods into one of their own, or remove the attribute",
        );
        return false;
    }
    if !block.generics.params.is_empty() {
        errors.at(
            &block.generics,
            "an aggregate has no parameters; a stored stream belongs to one concrete type, so write the types out",
        );
        return false;
    }
    true
}

/// Removes `#[helper]`, and returns whether it was there. The compiler reports a misspelt one as
/// unknown, and nothing else is said about its method.
fn take_helper(method: &mut Method, errors: &mut Errors) -> bool {
    let is_helper = |attribute: &Attribute| attribute.path().is_ident("helper");
    let is_meant = |attribute: &Attribute| {
        let name = attribute.path().get_ident().map(ToString::to_string);
        name.is_some_and(|name| similar::nearest(&name, ["helper"]).is_some())
    };
    let was_there = method.attrs.iter().any(is_meant);
    for attribute in method.attrs.extract_if(.., |of| is_helper(of)) {
        if !matches!(attribute.meta, Meta::Path(_)) {
            errors.at(
                &attribute.meta,
                "`#[helper]` stands alone; write `#[helper]`",
            );
        }
    }
    was_there
}

impl Handler {
    /// Reads the head of a method. `None` after a mistake that hides what the method handles.
    fn read(method: &Method, errors: &mut Errors) -> Option<Self> {
        let sig = &method.sig;
        let mut head = Head {
            sig,
            errors,
            is_sound: true,
        };
        let is_command = head.receiver();
        let is_told = head.is_sound;
        head.modifiers();
        let parameters: Vec<&PatType> = sig
            .inputs
            .iter()
            .filter_map(|input| match input {
                FnArg::Typed(typed) => Some(typed),
                FnArg::Receiver(_) => None,
            })
            .collect();
        let is_command = is_command?;
        let handles = match (is_command, parameters.len()) {
            (false, _) => Handles::Event,
            (true, 2) => Handles::CommandInContext,
            (true, _) => Handles::Command,
        };
        let message = if is_command {
            head.command(&parameters)
        } else {
            head.event(&parameters)
        };
        // Without a receiver that tells, the method may be meant otherwise.
        let returned = if is_told {
            head.returned(is_command)
        } else {
            None
        };
        let is_sound = head.is_sound;
        // The type of a stand-in must exist outside of the method.
        let message = message.filter(|message| {
            is_sound || !is_generic(sig) && !matches!(message, Type::ImplTrait(_))
        })?;
        let attrs = method.attrs.iter();
        Some(Self {
            handles,
            method: sig.ident.clone(),
            message,
            returned,
            context: parameters.get(1).map(|second| (*second.ty).clone()),
            is_conditional: attrs.clone().any(|of| copied(of, &["cfg"]).is_some()),
            attrs: attrs.filter_map(|of| copied(of, &["cfg", "doc"])).collect(),
            is_sound,
        })
    }

    /// Whether both handle a type that is written in the same way.
    pub(crate) fn handles_same_as(&self, other: &Self) -> bool {
        let text = |of: &Self| of.message.to_token_stream().to_string();
        self.handles.is_command() == other.handles.is_command() && text(self) == text(other)
    }
}

/// Allows the lints of clippy that do not apply to the methods of a trait: these stand for some.
fn allowed() -> Attribute {
    syn::parse_quote! {
        #[allow(
            clippy::needless_pass_by_value,
            clippy::trivially_copy_pass_by_ref,
            clippy::unnecessary_wraps,
            clippy::unused_self
        )]
    }
}

/// The head of a method, while it is read.
struct Head<'a> {
    sig: &'a Signature,
    errors: &'a mut Errors,
    is_sound: bool,
}

impl Head<'_> {
    fn wrong(&mut self, tokens: impl ToTokens, message: String) {
        self.errors.at(tokens, message);
        self.is_sound = false;
    }

    /// Whether the method decides. `None` if its receiver does not tell.
    fn receiver(&mut self) -> Option<bool> {
        let sig = self.sig;
        let name = &sig.ident;
        let Some(FnArg::Receiver(receiver)) = sig.inputs.first() else {
            self.wrong(
                name,
                format!("`{name}` has no `self`; write `&self` to decide a command, `&mut self` to evolve by an event, or mark it `#[helper]`"),
            );
            return None;
        };
        if let Some(is_mutable) = is_mutable(receiver) {
            return Some(!is_mutable);
        }
        self.wrong(
            receiver,
            format!("`{name}` takes `self` by value; write `&self` to decide a command, `&mut self` to evolve by an event, or mark it `#[helper]`"),
        );
        // An event is taken by reference.
        match sig.inputs.get(1) {
            Some(FnArg::Typed(typed)) => Some(reference(&typed.ty).is_none()),
            _ => None,
        }
    }

    fn modifiers(&mut self) {
        let sig = self.sig;
        let name = &sig.ident;
        if let Some(asyncness) = &sig.asyncness {
            self.wrong(
                asyncness,
                format!("`{name}` is `async`, but deciding and evolving never wait; find out first what is needed, put it into the command, and remove `async`"),
            );
        }
        if let Safety::Unsafe(keyword) = &sig.safety {
            self.wrong(
                keyword,
                format!(
                    "`{name}` is `unsafe`, but the store calls it like any other; remove `unsafe`"
                ),
            );
        }
        if is_generic(sig) {
            self.wrong(
                &sig.generics,
                format!("`{name}` has parameters, but is for one command or event; write the types out, or mark it `#[helper]`"),
            );
        }
    }

    /// The type of the command.
    fn command(&mut self, parameters: &[&PatType]) -> Option<Type> {
        let name = &self.sig.ident;
        let Some(first) = parameters.first() else {
            self.wrong(
                name,
                format!("`{name}` takes no command; write `fn {name}(&self, command: Command) -> Decision<Self>`, or mark it `#[helper]` if it decides nothing"),
            );
            return None;
        };
        let mut command = &*first.ty;
        if let Some(reference) = reference(command) {
            command = &reference.elem;
            let (shown, pattern) = (shown(command), shown(&first.pat));
            self.wrong(
                &first.ty,
                format!("a command is taken by value; write `{pattern}: {shown}`, or mark `{name}` `#[helper]` if it decides nothing"),
            );
        }
        self.concrete("command", command);
        if let Some(second) = parameters.get(1)
            && reference(&second.ty).is_none_or(|of| of.mutability.is_some())
        {
            self.wrong(
                second,
                format!("a decision takes nothing after the command but its context; write `context: &DecisionContext<'_>`, put the rest into the command, or mark `{name}` `#[helper]`"),
            );
        }
        for further in parameters.iter().skip(2) {
            self.wrong(
                further,
                format!("a decision takes a command and its context only; put the rest into the command, or mark `{name}` `#[helper]`"),
            );
        }
        Some(command.clone())
    }

    /// The type of the event.
    fn event(&mut self, parameters: &[&PatType]) -> Option<Type> {
        let name = &self.sig.ident;
        let Some(first) = parameters.first() else {
            self.wrong(
                name,
                format!("`{name}` takes no event; write `fn {name}(&mut self, event: &Event)`, or mark it `#[helper]` if it is no event's effect"),
            );
            return None;
        };
        let mut event = &*first.ty;
        let reference = reference(event);
        if let Some(reference) = reference {
            event = &reference.elem;
        }
        if reference.is_none_or(|reference| reference.mutability.is_some()) {
            let (shown, pattern) = (shown(event), shown(&first.pat));
            self.wrong(
                &first.ty,
                format!("an event is taken by reference; write `{pattern}: &{shown}`, or mark `{name}` `#[helper]` if it is no event's effect"),
            );
        }
        self.concrete("event", event);
        for further in parameters.iter().skip(1) {
            self.wrong(
                further,
                format!("the effect of an event depends on the event alone; put the rest into the event, or mark `{name}` `#[helper]`"),
            );
        }
        Some(event.clone())
    }

    fn concrete(&mut self, kind: &str, ty: &Type) {
        if let Type::ImplTrait(any) = ty {
            let name = &self.sig.ident;
            self.wrong(
                any,
                format!("`{name}` is for one {kind}; write its type, or mark `{name}` `#[helper]`"),
            );
        }
    }

    /// The type that a decision returns. An event's effect returns nothing.
    fn returned(&mut self, is_command: bool) -> Option<Type> {
        let sig = self.sig;
        let name = &sig.ident;
        let returned = match &sig.output {
            ReturnType::Type(_, returned) if !is_unit(returned) => Some(&**returned),
            _ => None,
        };
        if is_command {
            if returned.is_none() {
                self.wrong(
                    name,
                    format!("`{name}` returns nothing; a decision returns `Decision<Self>`, another method is marked `#[helper]`"),
                );
            }
            return returned.cloned();
        }
        if let Some(returned) = returned {
            self.wrong(
                returned,
                format!("the effect of an event has no result; remove the return type, or mark `{name}` `#[helper]` if it is no event's effect"),
            );
        }
        None
    }
}

/// Whether the method has parameters besides lifetimes.
fn is_generic(sig: &Signature) -> bool {
    let is_lifetime = |of: &GenericParam| matches!(of, GenericParam::Lifetime(_));
    !sig.generics.params.iter().all(is_lifetime)
}

/// Whether a receiver is `&mut self`; `None` unless it is a reference.
fn is_mutable(receiver: &Receiver) -> Option<bool> {
    match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => Some(mutability.is_some()),
        ReceiverKind::Typed(_, ty) => Some(reference(ty)?.mutability.is_some()),
        _ => None,
    }
}

/// `&T`, through the invisible groups around a `macro_rules!` variable.
fn reference(ty: &Type) -> Option<&TypeReference> {
    match ty {
        Type::Group(group) => reference(&group.elem),
        Type::Reference(reference) => Some(reference),
        _ => None,
    }
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// The part of an attribute that generated code has too: `cfg`, the text of a `doc`, and these inside
/// of a `cfg_attr`. `kept` has the wanted ones.
fn copied(attribute: &Attribute, kept: &[&str]) -> Option<TokenStream> {
    let is_kept = |meta: &Meta| {
        // `#[doc(alias = "..")]` is not allowed on an impl block.
        let has_form = !meta.path().is_ident("doc") || matches!(meta, Meta::NameValue(_));
        has_form && kept.iter().any(|name| meta.path().is_ident(name))
    };
    if is_kept(&attribute.meta) {
        return Some(attribute.to_token_stream());
    }
    let Meta::List(list) = &attribute.meta else {
        return None;
    };
    if !list.path.is_ident("cfg_attr") {
        return None;
    }
    let parse = syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated;
    let parts = list.parse_args_with(parse).ok()?;
    let mut parts = parts.iter();
    let condition = parts.next()?;
    let parts: Vec<&Meta> = parts.filter(|meta| is_kept(meta)).collect();
    (!parts.is_empty()).then(|| quote!(#[cfg_attr(#condition, #(#parts),*)]))
}

/// Code as a message shows it.
fn shown(code: impl ToTokens) -> String {
    let text = code.to_token_stream().to_string();
    let tight = [
        (" :: ", "::"),
        (" < ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
    ];
    tight
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}
