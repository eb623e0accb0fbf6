//! Who may ask: the host of a request, the origin of a form, and the headers of every answer.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Response, header};

use crate::console::failure::{Failure, Result};
use crate::console::shared::Shared;
use crate::text::Shown;

/// The hosts of the console unless the host application names others.
pub(crate) const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // With `no-referrer` browsers would send forms without their origin.
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

pub(crate) fn add_headers(response: &mut Response<Body>) {
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
}

/// Fails unless the request names a host of the console. A foreign page that lets its own name point to
/// this machine is refused here.
pub(crate) fn check_host(shared: &Shared, parts: &Parts) -> Result<()> {
    let Some(hosts) = &shared.hosts else {
        return Ok(());
    };
    let authority = host_of(parts);
    let name = authority.as_ref().map(name_of);
    if name.is_some_and(|name| hosts.iter().any(|host| host.eq_ignore_ascii_case(name))) {
        return Ok(());
    }
    Err(Failure::Host(match name {
        Some(name) => format!(
            "The console does not answer for the host `{}`. If that is its name, the program is to allow \
             it: `console::router(&store).hosts([\"{}\"])`.",
            Shown(name),
            Shown(name)
        ),
        None => "The request names no host.".to_owned(),
    }))
}

fn host_of(parts: &Parts) -> Option<Authority> {
    let named = parts.headers.get(header::HOST);
    let named = named.and_then(|host| host.to_str().ok()?.parse().ok());
    named.or_else(|| parts.uri.authority().cloned())
}

/// The host without port and final dot.
fn name_of(authority: &Authority) -> &str {
    let host = authority.host();
    host.strip_suffix('.').unwrap_or(host)
}

/// Fails unless the browser says that a form comes from a page of the same origin.
pub(crate) fn check_origin(shared: &Shared, parts: &Parts) -> Result<()> {
    let refused = |what: &str| {
        Err(Failure::Refused(format!(
            "This form was sent from {what}: nothing was changed."
        )))
    };
    let text = |name: &str| {
        parts
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap_or(""))
    };
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return refused("another site");
    }
    if let Some(origin) = text("origin") {
        // The same scheme cannot be told behind a proxy, so the host has to do.
        let from = origin
            .split_once("://")
            .map_or("", |(_, authority)| authority);
        let own = host_of(parts);
        let is_own = own.is_some_and(|own| own.as_str().eq_ignore_ascii_case(from));
        // A proxy may have put another name into the request.
        let is_known = || {
            let from: Option<Authority> = from.parse().ok();
            let hosts = shared.hosts.iter().flatten();
            from.is_some_and(|from| {
                let name = name_of(&from);
                !LOOPBACK.contains(&name)
                    && hosts.clone().any(|host| host.eq_ignore_ascii_case(name))
            })
        };
        if !is_own && !is_known() {
            return refused("a page of another origin");
        }
    }
    Ok(())
}

/// Fails unless the form is one of the console.
pub(crate) fn check_token(shared: &Shared, token: Option<&str>) -> Result<()> {
    let expected = shared.token.as_bytes();
    let found = token.unwrap_or_default().as_bytes();
    // As long as each other, compared in a time that does not depend on the content.
    let differ = found
        .iter()
        .zip(expected)
        .fold(0, |all, (a, b)| all | (a ^ b));
    if found.len() == expected.len() && differ == 0 {
        return Ok(());
    }
    Err(Failure::Refused(
        "The form is from an earlier run of the program, or from no page of the console: load the page \
         again, and send the form again. Nothing was changed."
            .to_owned(),
    ))
}
