//! The frame of all pages: [`Page`].

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use maud::{DOCTYPE, Markup, html};

use crate::console::asked::Base;
use crate::console::failure::Failure;
use crate::console::html::number;
use crate::console::shared::{Behind, Shared};
use crate::text::Shown;

/// A page, without its frame.
pub(crate) struct Page {
    pub(crate) title: String,
    /// The entry of the menu that it belongs to.
    pub(crate) menu: &'static str,
    pub(crate) body: Markup,
    /// Set while older events are still read, on pages that need all of them.
    pub(crate) behind: Option<Behind>,
}

const MENU: &[(&str, &str)] = &[
    ("overview", "Overview"),
    ("aggregates", "Aggregates"),
    ("log", "Log"),
    ("read-side", "Read side"),
    ("dead-letters", "Dead letters"),
    ("model", "Model"),
];

impl Page {
    pub(crate) fn new(menu: &'static str, title: impl Into<String>, body: Markup) -> Self {
        Self {
            title: title.into(),
            menu,
            body,
            behind: None,
        }
    }

    pub(crate) fn behind(self, behind: Option<Behind>) -> Self {
        Self { behind, ..self }
    }

    /// The whole document.
    pub(crate) fn document(self, shared: &Shared, base: &Base) -> Markup {
        let title = Shown(&self.title).to_string();
        let store = shared.source.name();
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    title { (title) " · eventfold" }
                    link rel="icon" href=(base.page("icon.svg")) type="image/svg+xml";
                    link rel="stylesheet" href=(base.page("console.css"));
                    script src=(base.page("console.js")) defer {}
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header {
                        div.where {
                            a.home href=(base.page("overview")) { "eventfold" }
                            bdi.store title=(store) { (store) }
                            @if !shared.may_write { span.badge { "read-only" } }
                        }
                        nav aria-label="Pages" {
                            @for (page, label) in MENU {
                                a href=(base.page(page)) aria-current=[(*page == self.menu).then_some("page")] {
                                    (label)
                                }
                            }
                        }
                    }
                    main #main tabindex="-1" {
                        h1 { (title) }
                        @if let Some(behind) = self.behind { (still_reading(behind)) }
                        (self.body)
                    }
                }
            }
        }
    }
}

fn still_reading(behind: Behind) -> Markup {
    let Behind { until, head } = behind;
    let percent = until.saturating_mul(100) / head.max(1);
    html! {
        p.notice role="status" {
            "Still reading the events, " (percent) " %: up to position " (number(until)) " of " (number(head))
            ". Numbers on this page are those up to there. Load it again in a moment."
        }
    }
}

/// The page about a failure.
pub(crate) fn failure_page(failure: &Failure) -> Page {
    let body = html! {
        p.problem role="alert" { (crate::console::html::Text(&failure.text())) }
        @if let Some(advice) = failure.advice() { p { (advice) } }
    };
    Page::new("-", failure.title(), body)
}

/// An answer in HTML.
pub(crate) fn answer(status: StatusCode, markup: Markup) -> Response<Body> {
    with_type(status, "text/html; charset=utf-8", markup.into_string())
}

pub(crate) fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
