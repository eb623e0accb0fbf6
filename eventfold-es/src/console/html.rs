//! The small parts of pages: texts, numbers, times, payloads, links.
//!
//! `maud` escapes every text. Besides, hidden characters of a text from the store are made visible, and
//! its direction is its own.

use std::fmt::Write as _;
use std::time::SystemTime;

use jiff::Timestamp;
use maud::{Escaper, Markup, PreEscaped, Render, html};

use crate::clock::unix_millis;
use crate::console::asked::{Base, Link};
use crate::console::event::{Cut, Event};
use crate::text::Shown;

/// How deep a payload is indented at most, so that a hostile one takes no more space than others.
const DEEPEST: usize = 16;
/// How many characters of a name are shown.
const NAME: usize = 120;

/// A text from the store, in one line.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl Render for Text<'_> {
    fn render_to(&self, buffer: &mut String) {
        // Writing to a `String` cannot fail.
        let _ = write!(Escaper::new(buffer), "{}", Shown(self.0));
    }
}

/// A name from the store. A long one is cut, and whole in its title.
pub(crate) fn name(text: &str) -> Markup {
    match text.char_indices().nth(NAME) {
        None => html! { bdi { (Text(text)) } },
        Some((end, _)) => html! {
            bdi title=(Text(&text[..floor(text, 2_000)])) { (Text(&text[..end])) "…" }
        },
    }
}

fn floor(text: &str, most: usize) -> usize {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// `1,234,567`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `3 events`, `1 event`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(count))
}

/// `1.5 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // In tenths, so that no float is needed.
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `2026-01-31 12:00:00.123`, in UTC.
pub(crate) fn absolute(ms: u64) -> String {
    match i64::try_from(ms).map(Timestamp::from_millisecond) {
        Ok(Ok(time)) => time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        _ => "beyond the year 9999".to_owned(),
    }
}

/// How long ago, or in how long.
pub(crate) fn relative(ms: u64, now: u64) -> String {
    let distance = ms.abs_diff(now);
    let (seconds, minutes) = (distance / 1_000, distance / 60_000);
    let (hours, days) = (minutes / 60, minutes / 1_440);
    let text = match () {
        () if seconds == 0 => return "now".to_owned(),
        () if minutes == 0 => format!("{seconds} s"),
        () if hours == 0 => format!("{minutes} min"),
        () if days == 0 => format!("{hours} h"),
        () => format!("{} d", number(days)),
    };
    if ms > now {
        format!("in {text}")
    } else {
        format!("{text} ago")
    }
}

/// A time, absolute and relative.
pub(crate) fn time(ms: u64, now: u64) -> Markup {
    let absolute = absolute(ms);
    html! {
        time datetime=(absolute.replace(' ', "T") + "Z") {
            (absolute) " " span.ago { (relative(ms, now)) }
        }
    }
}

pub(crate) fn system_time(at: SystemTime, now: u64) -> Markup {
    time(unix_millis(at), now)
}

/// Reads a time as people write it: `2026-01-31T12:00:00Z`, `2026-01-31 12:00`, `2026-01-31`, or how long
/// before `now`, as in `2h`.
pub(crate) fn read_time(text: &str, now: u64) -> Option<u64> {
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;
    let text = text.trim();
    let ms = |time: Timestamp| u64::try_from(time.as_millisecond()).ok();
    if let Ok(time) = text.parse::<Timestamp>() {
        return ms(time);
    }
    if let Ok(time) = text.parse::<DateTime>() {
        return ms(time.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp());
    }
    let ago: jiff::Span = text.parse().ok()?;
    let now = Timestamp::from_millisecond(i64::try_from(now).ok()?).ok()?;
    let then = now.to_zoned_datetime(TimeZone::UTC).checked_sub(ago).ok()?;
    ms(then.timestamp())
}

/// The beginning of a payload in one line.
pub(crate) fn line(cut: &Cut) -> Markup {
    let end = floor(&cut.text, 240);
    html! {
        code.line dir="ltr" { (Text(&cut.text[..end])) @if end < cut.length { "…" } }
    }
}

/// JSON on several lines. Its values stay as they are written, also numbers of any size.
pub(crate) fn json(cut: &Cut) -> Markup {
    html! {
        pre.json dir="ltr" tabindex="0" { code { (laid_out(&cut.text)) @if cut.is_cut() { "…" } } }
    }
}

fn laid_out(json: &str) -> Markup {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth: usize = 0;
    let mut rest = json;
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
    };
    let span = |out: &mut String, class: &str, text: &str| {
        out.push_str("<span class=\"");
        out.push_str(class);
        out.push_str("\">");
        Text(text).render_to(out);
        out.push_str("</span>");
    };
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '"' => {
                length = text_length(rest);
                let is_name = rest[length..].trim_start().starts_with(':');
                span(&mut out, if is_name { "k" } else { "s" }, &rest[..length]);
            }
            '{' | '[' => {
                out.push(c);
                let inner = rest[1..].trim_start();
                if let Some(end) = inner.chars().next().filter(|end| matches!(end, '}' | ']')) {
                    out.push(end);
                    length = rest.len() - inner.len() + 1;
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                let end = |c: char| {
                    matches!(c, ',' | '}' | ']' | ':' | '"' | '{' | '[') || c.is_whitespace()
                };
                length = rest.find(end).unwrap_or(rest.len()).max(length);
                span(&mut out, "n", &rest[..length]);
            }
        }
        rest = &rest[length..];
    }
    PreEscaped(out)
}

/// How long the text at the beginning of `rest` is, with its quotes. It may be cut.
fn text_length(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

pub(crate) fn event_link(position: u64) -> Link<'static> {
    Link::to("event").with("position", position)
}

pub(crate) fn aggregate_link(aggregate_type: &str, id: &str) -> Link<'static> {
    Link::to("aggregate")
        .with("type", aggregate_type)
        .with("id", id)
}

/// The aggregate of an event, as a link.
pub(crate) fn stream(base: &Base, aggregate_type: &str, id: &str) -> Markup {
    if aggregate_type.is_empty() {
        return html! { span.quiet { "of no aggregate" } };
    }
    let to = aggregate_link(aggregate_type, id);
    html! {
        a.stream href=(base.to(&to)) {
            span.type { (name(aggregate_type)) "/" } (name(id))
        }
    }
}

/// A row of a list of events. It has no line end in it, so it is one line of server-sent events.
pub(crate) fn event_row(base: &Base, event: &Event, now: u64, has_stream: bool) -> Markup {
    html! {
        tr data-position=(event.position) {
            td.number data-label="Position" {
                a href=(base.to(&event_link(event.position))) { (event.position) }
            }
            td data-label="Time" { (time(event.ms, now)) }
            @if has_stream {
                td data-label="Aggregate" { (stream(base, &event.aggregate_type, &event.id)) }
            }
            td.number data-label="Version" { (event.version) }
            td data-label="Event" {
                a.event href=(base.to(&event_link(event.position))) { (name(&event.name)) }
            }
            td.wide data-label="Data" { (line(&event.data)) }
        }
    }
}

/// A table of events.
pub(crate) fn event_table(
    base: &Base,
    events: &[Event],
    now: u64,
    has_stream: bool,
    caption: &str,
) -> Markup {
    html! {
        div.scroll {
            table.events {
                caption.hidden { (caption) }
                thead { tr {
                    th.number scope="col" { "Position" }
                    th scope="col" { "Time (UTC)" }
                    @if has_stream { th scope="col" { "Aggregate" } }
                    th.number scope="col" { "Version" }
                    th scope="col" { "Event" }
                    th.wide scope="col" { "Data" }
                } }
                tbody #rows {
                    @for event in events { (event_row(base, event, now, has_stream)) }
                }
            }
        }
    }
}

/// What a page shows where there is nothing.
pub(crate) fn empty(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(markup: &Markup) -> String {
        let mut text = String::new();
        let mut is_tag = false;
        for c in markup.0.chars() {
            match c {
                '<' => is_tag = true,
                '>' => is_tag = false,
                c if !is_tag => text.push(c),
                _ => {}
            }
        }
        text.replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    }

    #[test]
    fn a_payload_is_laid_out_as_it_is_written() {
        let json = r#"{"n":123456789012345678901234567890.10,"t":"a, \"{b","e":[ ],"l":[1,{}]}"#;
        assert_eq!(
            plain(&laid_out(json)),
            "{\n  \"n\": 123456789012345678901234567890.10,\n  \"t\": \"a, \\\"{b\",\n  \"e\": [],\n  \"l\": [\n    1,\n    {}\n  ]\n}"
        );
    }

    #[test]
    fn a_payload_that_is_cut_anywhere_is_laid_out() {
        let json = r#"{"a":"é<\"","b":[true,{"c":-1.5e3}]}"#;
        for end in (0..=json.len()).filter(|end| json.is_char_boundary(*end)) {
            let shown = laid_out(&json[..end]).0;
            assert!(
                !shown.contains("<\\")
                    && shown.matches("<span").count() == shown.matches("</span>").count()
            );
        }
        let deep = "[".repeat(1_000);
        assert!(laid_out(&deep).0.len() < 1_000 * (2 * DEEPEST + 3));
    }

    #[test]
    fn tags_and_hidden_characters_of_a_text_are_shown() {
        let shown = html! { (name("<b>\u{202e}x\n")) }.into_string();
        assert_eq!(shown, r"<bdi>&lt;b&gt;\u{202e}x\u{a}</bdi>");
    }

    #[test]
    fn numbers_sizes_and_distances_are_short() {
        assert_eq!(
            (number(7), number(1_234_567)),
            ("7".into(), "1,234,567".into())
        );
        assert_eq!(
            (bytes(1023), bytes(1536), bytes(1 << 20)),
            ("1023 B".into(), "1.5 KiB".into(), "1.0 MiB".into())
        );
        assert!(bytes(u64::MAX).ends_with("PiB"));
        assert_eq!(relative(0, 90_000), "1 min ago");
        assert_eq!(relative(7_200_000, 0), "in 2 h");
    }

    #[test]
    fn a_time_is_read_as_people_write_it() {
        let noon = 1_769_860_800_000;
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31 12:00",
            "2026-01-31T12:00",
        ] {
            assert_eq!(read_time(text, 0), Some(noon), "{text}");
        }
        assert_eq!(read_time("2026-01-31", 0), Some(noon - 12 * 3_600_000));
        assert_eq!(read_time("2h", noon), Some(noon - 7_200_000));
        assert_eq!(read_time("soon", noon), None);
    }
}
