//! What a request asks for, and links: [`Asked`], [`Link`].

use axum::extract::OriginalUri;
use axum::http::request::Parts;

use crate::console::failure::Failure;
use crate::text::Shown;

/// The address of a page, without the host and the prefix that the console is mounted under.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) page: String,
    params: Vec<(String, String)>,
    pub(crate) base: Base,
}

/// Where the pages are, seen from this one. All links are relative: they hold below every prefix, also
/// one that a proxy removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base(String);

/// A link to a page of the console. All pages lie beside each other, and names from the store are in
/// the query, where every character is safe.
#[derive(Debug, Clone)]
pub(crate) struct Link<'a> {
    page: &'a str,
    query: String,
}

impl Asked {
    pub(crate) fn of(parts: &Parts) -> Self {
        let original = parts.extensions.get::<OriginalUri>();
        let original = original.map_or(parts.uri.path(), |original| original.0.path());
        let query = parts.uri.query().unwrap_or_default();
        Self {
            page: parts.uri.path().trim_start_matches('/').to_owned(),
            params: form_urlencoded::parse(query.as_bytes())
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
            base: Base::of(original, parts.uri.path()),
        }
    }

    /// A parameter; `None` also if it is empty, as forms send it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a parameter that are not empty.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let params = self.params.iter().filter(move |(of, _)| of == name);
        params
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.get(name)
            .ok_or_else(|| Failure::Invalid(format!("The address lacks the parameter `{name}`.")))
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let number = self.get(name).map(|text| {
            text.trim().parse().map_err(|_| {
                let text = Shown(text);
                Failure::Invalid(format!("`{name}` is to be a number, and is `{text}`."))
            })
        });
        number.transpose()
    }

    /// The same page with another value of a parameter.
    pub(crate) fn with(&self, name: &str, value: impl std::fmt::Display) -> Link<'_> {
        self.on(&self.page, name, value)
    }

    /// Another page with the parameters of this one and another value of one of them.
    pub(crate) fn on<'a>(
        &self,
        page: &'a str,
        name: &str,
        value: impl std::fmt::Display,
    ) -> Link<'a> {
        let others = self.params.iter().filter(|(of, _)| of != name);
        let mut link = Link::to(page);
        for (name, value) in others {
            link = link.with(name, value);
        }
        link.with(name, value)
    }
}

impl Base {
    /// `original` is the path that the client sent, `inner` its end below the prefix.
    fn of(original: &str, inner: &str) -> Self {
        let inner = inner.trim_start_matches('/');
        if inner.is_empty() && !original.ends_with('/') {
            // `/admin/eventfold` is the first page, and links are seen from `/admin/`.
            let last = original.rsplit('/').next().unwrap_or_default();
            return Self(format!("./{last}/"));
        }
        // There is no page that lies deeper, but somebody may ask for one.
        match inner.matches('/').count() {
            0 => Self("./".to_owned()),
            depth => Self("../".repeat(depth)),
        }
    }

    pub(crate) fn to(&self, link: &Link<'_>) -> String {
        let Self(base) = self;
        let Link { page, query } = link;
        if query.is_empty() {
            format!("{base}{page}")
        } else {
            format!("{base}{page}?{query}")
        }
    }

    pub(crate) fn page(&self, page: &str) -> String {
        self.to(&Link::to(page))
    }
}

impl<'a> Link<'a> {
    pub(crate) fn to(page: &'a str) -> Self {
        Self {
            page,
            query: String::new(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let mut query = form_urlencoded::Serializer::new(std::mem::take(&mut self.query));
        query.append_pair(name, &value.to_string());
        self.query = query.finish();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_to_the_page_they_are_on() {
        for (original, inner, expected) in [
            ("/", "/", "./log"),
            ("/log", "/log", "./log"),
            ("/admin/eventfold", "/", "./eventfold/log"),
            ("/admin/eventfold/", "/", "./log"),
            ("/admin/eventfold/event", "/event", "./log"),
            (
                "/admin/eventfold/no/such/page",
                "/no/such/page",
                "../../log",
            ),
        ] {
            assert_eq!(
                Base::of(original, inner).page("log"),
                expected,
                "{original}"
            );
        }
    }

    #[test]
    fn every_name_is_safe_in_a_link() {
        let link = Link::to("aggregate").with("id", "a/../b?c&d=\"<é>");
        let query = link.query.clone();
        let read: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        assert_eq!(read[0].1, "a/../b?c&d=\"<é>");
        assert!(query.is_ascii() && !query.contains(['<', '"', '/']));
    }
}
