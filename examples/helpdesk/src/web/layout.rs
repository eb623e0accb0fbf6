//! What all pages have in common.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, Render, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

pub(crate) fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Help desk" }
                link rel="stylesheet" href="/helpdesk.css";
                link rel="icon" href="data:,";
                script src="/helpdesk.js" defer {}
            }
            body {
                header {
                    strong { "Help desk" }
                    nav {
                        a href="/" { "Tickets" }
                        a href="/queues" { "Queues" }
                        a href="/customers" { "Customers" }
                        a href="/admin" { "Console" }
                    }
                    output #live-state {}
                }
                main { (content) }
            }
        }
    }
}

/// A form that the script sends as JSON. The page can be sent twice: the command takes effect once.
pub(crate) fn form(method: &str, action: &str, fields: &Markup) -> Markup {
    html! {
        form data-send=(method) action=(action) data-key=(Uuid::new_v4()) {
            (fields)
            output {}
        }
    }
}

/// An address with an id in it, which may be any text.
pub(crate) fn path(begin: &str, id: &str, end: &str) -> String {
    format!("{begin}{}{end}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}

/// A moment, in UTC.
pub(crate) struct Moment(pub(crate) i64);

impl Render for Moment {
    fn render(&self) -> Markup {
        let time = Timestamp::from_millisecond(self.0).unwrap_or_default();
        let shown = time.strftime("%Y-%m-%d %H:%M");
        html! { time datetime=(time) { (shown) } }
    }
}
